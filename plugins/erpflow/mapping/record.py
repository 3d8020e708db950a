"""Record templates at work: several values out of several, and on a push the way back.

What a template gives is named, and from then on the name stands where a path could: in `remote` of a field, and in
what a later template reads. What a user's function raises, or returns in place of what it promised, is a problem of
that record, never the page's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from erpflow.errors import FieldProblem
from erpflow.mapping.functions import OfRecord
from erpflow.mapping.paths import Misfit, Path, dig, dig_first, plant
from erpflow.mapping.problems import BrokenPromise, Problems, kind_of, note, problem_of_template, reason_of
from erpflow.mapping.template_use import RecordUse, given_names
from erpflow.mapping.values import Refused, refuse_misfit, to_json
from erpflow.yaml_files.complaints import excerpt
from erpflow.yaml_files.explain import allowed

if TYPE_CHECKING:
    from erpflow.mapping.model import Mapping as MappingFile

Give = Callable[[tuple[Any, ...], Problems], tuple[tuple[Any, ...], Problems]]


class Failed:
    """Stands for a value that a template could not give: who needs it adds no complaint of its own."""

    __slots__ = ()


FAILED: Final = Failed()
_PLAIN: Final = (str, int, float, Decimal, date, list, tuple, dict, type(None))


def giver(use: RecordUse) -> Give:
    """A function from the values a template reads to those it gives, noting a problem when there are none."""
    keys = tuple(key for key, _ in use.reads)
    promised = tuple(key for key, _ in use.gives)
    nothing = (FAILED,) * len(promised)

    def give(values: tuple[Any, ...], problems: Problems) -> tuple[tuple[Any, ...], Problems]:
        for value in values:
            if value is FAILED:
                return nothing, problems
        try:
            for key, value in zip(keys, values, strict=True):
                if type(value) is Misfit:
                    _refuse(key, value)
            return _called(use.function.apply, keys, values, promised), problems
        except Refused as refused:
            return nothing, note(problems, problem_of_template(use.template.name, refused))

    return give


def _refuse(key: str, value: Misfit) -> None:
    try:
        refuse_misfit(value)
    except Refused as refused:
        raise Refused(refused.rule, f"cannot read {key}: {refused.message}", value=refused.value) from refused


def given_values(uses: Sequence[RecordUse], record: Mapping[str, Any]) -> dict[str, Any]:
    """What templates give for one decoded record, by name; None where a template has a problem.

    For people to look at: compiled programs have their own way.
    """
    seen, given = dict(record), dict[str, Any]()
    for use in uses:
        values = tuple(dig(seen, paths[0]) if len(paths) == 1 else dig_first(seen, paths) for paths in use.paths)
        found, _ = giver(use)(values, None)
        given |= {name: None if value is FAILED else value for name, value in zip(use.names, found, strict=True)}
        seen |= given
    return given


def _called(
    function: OfRecord, keys: tuple[str, ...], values: tuple[Any, ...], promised: tuple[str, ...]
) -> tuple[Any, ...]:
    """What the function makes of the values, in the order of `promised`. Raises Refused for all that goes wrong."""
    try:
        return _kept(function(dict(zip(keys, values, strict=True))), promised)
    except Exception as error:  # a user's function may raise anything: it is this record's problem, not the page's
        shown = ", ".join(f"{key}={excerpt(value, width=30)}" for key, value in zip(keys, values, strict=True))
        raise Refused("template", reason_of(error), value=shown) from error


def _kept(found: Any, promised: tuple[str, ...]) -> tuple[Any, ...]:
    """The values in the order of `promised`. Raises BrokenPromise when they are not exactly those, or odd."""
    if not isinstance(found, Mapping):
        raise BrokenPromise(f"gave {kind_of(found)}, expected a dict with {', '.join(promised)}")
    extra = next((str(key) for key in found if key not in promised), None)
    if extra is not None:
        raise BrokenPromise(f'gave "{extra}"{allowed(extra, promised)}')
    for key in promised:
        if key not in found:
            raise BrokenPromise(f'gave no "{key}", expected exactly {", ".join(promised)}')
        if not isinstance(found[key], _PLAIN):
            expected = "text, a number, true, false, a date, a time, a list or an object"
            raise BrokenPromise(f'gave {kind_of(found[key])} as "{key}", expected {expected}')
    return tuple(found[key] for key in promised)


@dataclass(frozen=True, slots=True)
class Taker:
    """One record template on its way back.

    `columns` are the local ones that feed it: a row holds all of them or none. `gives` pairs the keys its function
    takes with the names they come under, `reads` those it returns with the path where they go; `before` are the names
    that earlier templates give, which such a path may be.
    """

    name: str
    apply: OfRecord
    columns: frozenset[str]
    gives: tuple[tuple[str, str], ...]
    reads: tuple[tuple[str, Path], ...]
    before: frozenset[str]

    def take(
        self, row: Mapping[str, Any], given: dict[str, Any], record: dict[str, Any], problems: list[FieldProblem]
    ) -> None:
        """Write what the template once read, out of what it gives; note a problem when that cannot be."""
        missing = sorted(column for column in self.columns if column not in row)
        if missing and len(missing) == len(self.columns):
            return
        try:
            if missing:
                held = sorted(self.columns - set(missing))
                raise Refused("template", f"needs {', '.join(missing)} too, for the row holds {', '.join(held)}")
            if any(name not in given for _, name in self.gives):
                return  # the field of that name has a problem of its own
            keys = tuple(key for key, _ in self.gives)
            values = tuple(given[name] for _, name in self.gives)
            wanted = tuple(key for key, _ in self.reads)
            found = _called(self.apply, keys, values, wanted)
            sent = [_sendable(key, value) for key, value in zip(wanted, found, strict=True)]
        except Refused as refused:
            problems.append(problem_of_template(self.name, refused))
            return
        for (_, path), value in zip(self.reads, sent, strict=True):
            plant(given if path[0] in self.before else record, path, value)


def _sendable(key: str, value: Any) -> Any:
    """Raises Refused for what JSON cannot hold."""
    if isinstance(value, date):
        return value.isoformat()
    try:
        to_json(value)
    except Refused as refused:
        raise Refused(refused.rule, f'gave as "{key}" {refused.message}', value=refused.value) from refused
    return value


def takers(mapping: MappingFile) -> tuple[Taker, ...]:
    """The templates a push goes back through, the last one first: those whose values some field pushes."""
    names = given_names(mapping.record)
    feeding: dict[str, set[str]] = {}
    for spec in mapping.fields:
        if spec.pushes() and spec.paths[0][0] in names:
            feeding.setdefault(str(spec.paths[0][0]), set()).update([spec.local] if spec.local else [])
    found = []
    for position in reversed(range(len(mapping.record))):
        use, before = mapping.record[position], given_names(mapping.record[:position])
        if use.function.reverse is None or not feeding.keys() & set(use.names):
            continue
        columns = frozenset().union(*(feeding.get(name, set()) for name in use.names))
        reads = tuple((key, paths[0]) for (key, _), paths in zip(use.reads, use.paths, strict=True))
        for _, path in reads:
            if path[0] in before:
                feeding.setdefault(str(path[0]), set()).update(columns)
        found.append(Taker(use.template.name, use.function.reverse, columns, use.gives, reads, before))
    return tuple(found)
