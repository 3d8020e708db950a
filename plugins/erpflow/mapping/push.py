"""The way from a local row to the shape the vendor takes."""

from __future__ import annotations

from collections.abc import Callable, Collection
from collections.abc import Mapping as Row
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfoNotFoundError

from erpflow.errors import ConfigError, FieldProblem, RecordRejected, suggestion
from erpflow.mapping.kinds import FieldType
from erpflow.mapping.paths import Path, plant, planter
from erpflow.mapping.pipeline import converter, ordered, zone_of
from erpflow.mapping.record import Taker, takers
from erpflow.mapping.template_use import given_names
from erpflow.mapping.values import Refused, canonical, storable, to_boolean, to_json
from erpflow.vocabulary import Direction
from erpflow.yaml_files.complaints import excerpt

if TYPE_CHECKING:
    from erpflow.mapping.model import Children, FieldSpec, Mapping

ABSENT = object()


@dataclass(frozen=True, slots=True)
class PushField:
    """One remote field: the local column it comes from (None: a constant), what is given of it, and where that goes.

    `named`: it goes to the name of a value that a record template takes back, not into the record.
    """

    column: str | None
    give: Callable[[Any], Any]
    put: Callable[[dict[str, Any], Any], Any]
    named: bool


@dataclass(frozen=True, slots=True)
class PushLines:
    """The lines of one child table: `row[table]` is a list of rows, written at `path`."""

    table: str
    path: Path
    fields: tuple[PushField, ...]


@dataclass(frozen=True, slots=True)
class PushProgram:
    """The compiled way from local to remote.

    A row holds the local columns as Python values (`str`, `Decimal`, `int`, `bool`, `date`, `datetime`, decoded JSON,
    None); lookup columns (`lookups`) hold the remote value the engine has looked up already; lines are under the name
    of their table. A column or a table that the row does not hold is not sent; a null is sent as null.

    Decimals stay Decimals: encode the result with `msgspec.json.Encoder(decimal_format="number")`, which writes a JSON
    number with exactly these digits. A vendor that wants text for money says so in its connector.

    `changeable` are the `fields` of an update: all but the constants, unless a template takes those back, for then they
    are part of what it writes. `records` are the record templates to go back through. Each needs all of its columns to
    write what it once read: a row that holds some of the columns of one group in `together` and not all of them is
    rejected.
    """

    mapping: Mapping
    zone: str
    fields: tuple[PushField, ...]
    changeable: tuple[PushField, ...]
    records: tuple[Taker, ...]
    lines: tuple[PushLines, ...]
    lookups: tuple[str, ...]

    @property
    def together(self) -> tuple[frozenset[str], ...]:
        """Groups of columns of which a row must hold all or none."""
        return tuple(taker.columns for taker in self.records if len(taker.columns) > 1)

    def with_companions(self, columns: Collection[str]) -> list[str]:
        """The columns in their order, and after them those that must be sent whenever one of them is."""
        found = dict.fromkeys(columns)
        for group in self.together:
            if not group.isdisjoint(found):
                found |= dict.fromkeys(sorted(group))
        return list(found)

    def map_row(self, row: Row[str, Any], *, constants: bool = True) -> dict[str, Any]:
        """The remote record of a local row. Raises RecordRejected with every problem of the row.

        Without `constants` only what the row holds is written: an update sends what changed, and constants do not.
        """
        problems: list[FieldProblem] = []
        fields = self.fields if constants else self.changeable
        given: dict[str, Any] = {}
        record = _write(fields, row, "", problems, given)
        for taker in self.records:
            taker.take(row, given, record, problems)
        for lines in self.lines:
            rows = row.get(lines.table)
            if rows is None:
                continue
            name = lines.table.partition(".")[2]
            made = [_write(lines.fields, line, f"{name}[{n}].", problems, given) for n, line in enumerate(rows)]
            plant(record, lines.path, made)
        if problems:
            raise RecordRejected(problems)
        return record


def _write(
    fields: tuple[PushField, ...], row: Row[str, Any], prefix: str, problems: list[FieldProblem], given: dict[str, Any]
) -> dict[str, Any]:
    record: dict[str, Any] = {}
    for field in fields:
        value = None if field.column is None else row.get(field.column, ABSENT)
        if value is ABSENT:
            continue
        try:
            field.put(given if field.named else record, field.give(value))
        except Refused as refused:
            name = f"{prefix}{field.column}"
            problems.append(FieldProblem(name, refused.rule, f"{name}: {refused.message}", excerpt(refused.value)))
    return record


def _json(value: Any) -> Any:
    to_json(value)
    return value


def _picked(spec: FieldSpec, value: Any) -> Any:
    known = spec.values or {}
    name = canonical(value)
    if name not in known:
        raise Refused("picklist", f"{excerpt(value)} has no remote value{suggestion(name, known)}", value=value)
    return known[name]


def _typed(spec: FieldSpec, zone: tzinfo) -> Callable[[Any], Any]:
    """A local value as the type says it is, judged by the rules, before the transforms are undone."""
    if spec.type in (FieldType.NUMBER, FieldType.DATE, FieldType.DATETIME):
        judge = ordered(spec, zone=zone)
        if spec.type is FieldType.DATETIME:
            return lambda value: judge(value)[0].astimezone(zone)
        return lambda value: judge(value)[0]
    if spec.type is FieldType.BOOLEAN:
        return lambda value: to_boolean(value) == "t"
    if spec.type is FieldType.PICKLIST:
        return lambda value: _picked(spec, value)
    return _json if spec.type is FieldType.JSON else converter(spec, zone=zone)


def _wire(value: Any) -> Any:
    """Dates and times that no transform wrote go out as ISO text."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    return storable(value) if isinstance(value, str) else value


def _giver(spec: FieldSpec, zone: tzinfo) -> Callable[[Any], Any]:
    typed = _typed(spec, zone)
    back = [step for step in (use.backward() for use in reversed(spec.transform)) if step is not None]
    is_sendable = not back and spec.type in _SENDABLE
    missing = _missing(spec)

    def give(value: Any) -> Any:
        if value is None or value == "":
            value = missing(value)
            if value is None:
                return None
        value = typed(value)
        if is_sendable:
            return value
        for step in back:
            value = step(value)
        return _wire(value)

    return give


_SENDABLE: Final = frozenset({FieldType.TEXT, FieldType.LOOKUP, FieldType.NUMBER, FieldType.BOOLEAN, FieldType.JSON})
"""Types whose values go out as they are typed."""


def _missing(spec: FieldSpec) -> Callable[[Any], Any]:
    """What takes the place of null or an empty text: the default, or a null that is sent. Raises Refused."""
    default, is_text = spec.default, spec.type is FieldType.TEXT

    def missing(value: Any) -> Any:
        found = default if default is not None else value
        if spec.required and (found is None or found == ""):
            raise Refused("required", f"a value is required, found {excerpt(found)}", value=found)
        return found if is_text or found != "" else None

    return missing


def _constant(spec: FieldSpec, zone: tzinfo) -> Callable[[Any], Any]:
    fixed = _picked(spec, spec.value) if spec.values is not None else _wire(_typed(spec, zone)(spec.value))
    return lambda _: fixed


def _fields(part: Mapping | Children, zone: tzinfo, names: frozenset[str] = frozenset()) -> tuple[PushField, ...]:
    return tuple(
        PushField(
            column=spec.local,
            give=_constant(spec, zone) if spec.value is not None else _giver(spec, zone),
            put=planter(spec.paths[0]),
            named=spec.paths[0][0] in names,
        )
        for spec in part.fields
        if spec.pushes()
    )


def compile_push(mapping: Mapping, *, zone: str = "UTC") -> PushProgram:
    """The program that turns local rows into what the vendor takes; times go out in `zone`.

    Of several remote paths a field reads from, a push writes the first. Raises ConfigError for a mapping that only
    pulls, and for an unknown zone.
    """
    if mapping.direction is Direction.PULL:
        raise ConfigError(
            f"The mapping {mapping.system}/{mapping.entity} only pulls: set direction to push or bidirectional."
        )
    try:
        place = zone_of(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigError(f'"{zone}" is not a time zone; expected a name such as Asia/Kolkata or UTC.') from error
    fields = _fields(mapping, place, given_names(mapping.record))
    return PushProgram(
        mapping=mapping,
        zone=zone,
        fields=fields,
        changeable=tuple(field for field in fields if field.column is not None or field.named),
        records=takers(mapping),
        lines=tuple(PushLines(child.local, child.paths[0], _fields(child, place)) for child in mapping.children),
        lookups=tuple(
            spec.local for spec in mapping.fields if spec.lookup is not None and spec.pushes() and spec.local
        ),
    )
