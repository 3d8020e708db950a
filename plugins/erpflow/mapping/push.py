"""The way from a local row to the shape the vendor takes."""

from __future__ import annotations

from collections.abc import Callable, Collection
from collections.abc import Mapping as Row
from dataclasses import dataclass, field
from datetime import date, datetime, tzinfo
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfoNotFoundError

from erpflow.errors import ConfigError, FieldProblem, RecordRejected, suggestion
from erpflow.mapping.kinds import FieldType
from erpflow.mapping.paths import Path, plant, planter
from erpflow.mapping.pipeline import converter, ordered, zone_of
from erpflow.mapping.push_emit import Shortcut, Write, compile_write, is_clean, shortcut_of
from erpflow.mapping.record import Taker, takers
from erpflow.mapping.template_use import given_names
from erpflow.mapping.values import Refused, canonical, storable, to_boolean, to_json
from erpflow.vocabulary import Direction
from erpflow.yaml_files.complaints import excerpt

if TYPE_CHECKING:
    from erpflow.mapping.model import Children, FieldSpec, Mapping


@dataclass(frozen=True, slots=True)
class PushField:
    """One remote field: the local column it comes from (None: a constant), what is given of it, and where that goes.

    `named`: it goes to the name of a value that a record template takes back, not into the record. `nulls`: a null is
    sent as it is. `shortcut` writes the common case of what is given; None when there is none worth it.
    """

    column: str | None
    give: Callable[[Any], Any]
    path: Path
    named: bool
    nulls: bool = False
    shortcut: Shortcut | None = None

    @property
    def put(self) -> Callable[[dict[str, Any], Any], Any]:
        """Writes what is given into the record, or into what is named."""
        return planter(self.path)


@dataclass(frozen=True, slots=True)
class PushLines:
    """The lines of one child table: `row[table]` is a list of rows, each made by `write` and all put at `path`."""

    table: str
    path: Path
    write: Write


@dataclass(frozen=True, slots=True)
class PushProgram:
    """The compiled way from local to remote.

    A row holds the local columns as Python values (`str`, `Decimal`, `int`, `bool`, `date`, `datetime`, decoded JSON,
    None); lookup columns (`lookups`) hold the remote value the engine has looked up already; lines are under the name
    of their table. A column or a table that the row does not hold is not sent; a null is sent as null.

    Decimals stay Decimals: encode the result with `msgspec.json.Encoder(decimal_format="number")`, which writes a JSON
    number with exactly these digits. A vendor that wants text for money says so in its connector.

    `write` makes the fields of a create, `change` those of an update: all but the constants, unless a template takes
    those back, for then they are part of what it writes. `records` are the record templates to go back through. Each
    needs all of its columns to write what it once read: a row that holds some of the columns of one group in `together`
    and not all of them is rejected.
    """

    mapping: Mapping
    zone: str
    write: Write = field(repr=False)
    change: Write = field(repr=False)
    records: tuple[Taker, ...]
    lines: tuple[PushLines, ...]
    lookups: tuple[str, ...]
    together: tuple[frozenset[str], ...]

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
        given: dict[str, Any] = {}
        record = (self.write if constants else self.change)(row, "", problems, given)
        for taker in self.records:
            taker.take(row, given, record, problems)
        for lines in self.lines:
            rows = row.get(lines.table)
            if rows is None:
                continue
            name = lines.table.partition(".")[2]
            made = [lines.write(line, f"{name}[{n}].", problems, given) for n, line in enumerate(rows)]
            plant(record, lines.path, made)
        if problems:
            raise RecordRejected(problems)
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


def _in_zone(moment: datetime, zone: tzinfo) -> datetime:
    try:
        return moment.astimezone(zone)
    except (OverflowError, ValueError) as error:
        message = f"{excerpt(moment)} is outside the years 1 to 9999 in {zone}"
        raise Refused("type", message, value=moment) from error


def _typed(spec: FieldSpec, zone: tzinfo) -> Callable[[Any], Any]:
    """A local value as the type says it is, judged by the rules, before the transforms are undone."""
    if spec.type in (FieldType.NUMBER, FieldType.DATE, FieldType.DATETIME):
        judge = ordered(spec, zone=zone)
        if spec.type is FieldType.DATETIME:
            return lambda value: _in_zone(judge(value)[0], zone)
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


def _shortcut(spec: FieldSpec, zone: tzinfo) -> Shortcut | None:
    if any(use.backward() is not None for use in spec.transform):
        return None
    names = {
        name: value for name, value in (spec.values or {}).items() if not isinstance(value, str) or is_clean(value)
    }
    return shortcut_of(spec, zone=zone, names=names)


def _constant(spec: FieldSpec, zone: tzinfo) -> Callable[[Any], Any]:
    fixed = _picked(spec, spec.value) if spec.values is not None else _wire(_typed(spec, zone)(spec.value))
    return lambda _: fixed


def _field(spec: FieldSpec, zone: tzinfo, names: frozenset[str]) -> PushField:
    path, is_constant = spec.paths[0], spec.value is not None
    return PushField(
        column=spec.local,
        give=_constant(spec, zone) if is_constant else _giver(spec, zone),
        path=path,
        named=path[0] in names,
        nulls=not is_constant and spec.default is None and not spec.required,
        shortcut=None if is_constant else _shortcut(spec, zone),
    )


def _fields(part: Mapping | Children, zone: tzinfo, names: frozenset[str] = frozenset()) -> list[PushField]:
    return [_field(spec, zone, names) for spec in part.fields if spec.pushes()]


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
    fields, what = _fields(mapping, place, given_names(mapping.record)), f"{mapping.system}/{mapping.entity}"
    records = takers(mapping)
    return PushProgram(
        mapping=mapping,
        zone=zone,
        write=compile_write(fields, what=what),
        change=compile_write([each for each in fields if each.column is not None or each.named], what=what),
        records=records,
        lines=tuple(
            PushLines(child.local, child.paths[0], compile_write(_fields(child, place), what=what))
            for child in mapping.children
        ),
        lookups=tuple(
            spec.local for spec in mapping.fields if spec.lookup is not None and spec.pushes() and spec.local
        ),
        together=tuple(taker.columns for taker in records if len(taker.columns) > 1),
    )
