"""Turns a checked mapping into programs: one generated Python function per mapping and direction.

    program = compile_pull(load_mapping(path), zone="Asia/Kolkata")
    key, modified = program.identify(raw)
    values, children = program.map_record(raw)      # or RecordRejected, with every problem of the record
    line, children = program.map_line(raw)          # the same values as one text, see lines.py

Interpreting a mapping record by record costs several times as much (`bench/mapping_speed.py` shows it).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import tzinfo
from decimal import Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfoNotFoundError

import msgspec

from erpflow.errors import ConfigError, FieldProblem, RecordRejected
from erpflow.mapping.batch import Refine, Refined, refiner
from erpflow.mapping.emit import Column, Giver, Lines, Variant, write_identify, write_program
from erpflow.mapping.lines import Row, as_line, join
from erpflow.mapping.model import Children, FieldSpec, Lookup, Mapping
from erpflow.mapping.paths import Path, dig, dig_first, parse_path, peek
from erpflow.mapping.pipeline import constant_text, default_text, field_reader, zone_of
from erpflow.mapping.problems import Problems, note, problem_of
from erpflow.mapping.push import PushProgram, compile_push
from erpflow.mapping.record import FAILED, giver
from erpflow.mapping.shape import Node, add_lines, struct_of, tree
from erpflow.mapping.shortcuts import names_used, shortcut_of
from erpflow.mapping.template_use import given_names
from erpflow.mapping.values import Refused, refuse_misfit, to_key
from erpflow.vocabulary import Direction
from erpflow.yaml_files.complaints import excerpt

__all__ = [
    "ChildProgram",
    "LookupColumn",
    "MappedRecord",
    "PullProgram",
    "PushProgram",
    "Refined",
    "Row",
    "compile_identity",
    "compile_pull",
    "compile_push",
]

RawBytes = msgspec.Raw | bytes
"""One record as JSON bytes, not parsed."""

UNREADABLE = (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError)
"""What a decoder raises for bytes it cannot read: malformed, not UTF-8, an absurd number, too deep."""


@dataclass(frozen=True, slots=True)
class LookupColumn:
    """A column whose text is still the remote value: the load resolves it. `required`: never null."""

    column: str
    lookup: Lookup
    position: int
    required: bool


@dataclass(frozen=True, slots=True)
class ChildProgram:
    """One child table: `parent` is its column for the parent row's key, `key` the column that tells lines apart."""

    table: str
    parent: str
    key: str
    columns: tuple[str, ...]
    lookups: tuple[LookupColumn, ...]


class MappedRecord(NamedTuple):
    """A record in Postgres text format: `values` in the order of `columns`; one list of rows per child table."""

    values: Row
    children: tuple[list[Row], ...]


@dataclass(frozen=True, slots=True)
class PullProgram:
    """The compiled way from remote to local. `seed` (64 bits, from the mapping's version) goes into record hashes.

    `identify(raw)` gives the record's key and the text of its modification time. `map_record(raw)` gives the whole
    record, `map_line(raw)` the same with its row as a line. All take any bytes, and raise RecordRejected and nothing
    else.

    `refine(rows)` applies the batch templates to the rows (`values`) of a chunk, and raises nothing at all; None when
    the mapping has none.
    """

    mapping: Mapping
    zone: str
    columns: tuple[str, ...]
    lookups: tuple[LookupColumn, ...]
    children: tuple[ChildProgram, ...]
    seed: int
    identify: Callable[[RawBytes], tuple[str, str | None]]
    map_record: Callable[[RawBytes], MappedRecord]
    map_line: Callable[[RawBytes], tuple[str, tuple[list[Row], ...]]]
    refine: Refine | None
    source: str

    def with_zone(self, zone: str) -> PullProgram:
        """The same program for times without an offset that are meant in another zone."""
        return self if zone == self.zone else compile_pull(self.mapping, zone=zone)


def _rescue(read: Callable[[Any], str | None], column: str, remote: str, table: str | None) -> Callable[..., Any]:
    """The long way of one field: `(text, problems)`, with a problem added when the value has none."""

    def rescue(value: Any, problems: Problems, line: int | None = None) -> tuple[str | None, Problems]:
        try:
            return read(value), problems
        except Refused as refused:
            found = refused
        except Exception as error:  # noqa: BLE001 - a value so odd that reading it fails is its own problem, not the page's
            found = Refused("type", f"{excerpt(value)} cannot be read: {type(error).__name__}", value=value)
        name = column if table is None else f"{table}[{line}].{column}"
        return None, note(problems, problem_of(name, remote, found))

    return rescue


def _unless_failed(rescue: Callable[..., Any]) -> Callable[..., Any]:
    """The long way of a field that reads what a template gives: nothing, when the template has a problem already."""

    def rescue_given(value: Any, problems: Problems) -> tuple[str | None, Problems]:
        return (None, problems) if value is FAILED else rescue(value, problems)

    return rescue_given


def _column(
    spec: FieldSpec, *, zone: tzinfo, required: bool, table: str | None = None, names: frozenset[str] = frozenset()
) -> Column:
    if spec.value is not None:
        return Column(constant=constant_text(spec, zone=zone))
    read = field_reader(spec, zone=zone, required=required)
    default = default_text(spec, zone=zone)
    rescue = _rescue(read, spec.local or "", " or ".join(spec.remote or ()), table)
    # A short cut takes a value for one that JSON can hold; what a template gives may be anything.
    given = any(path[0] in names for path in spec.paths)
    return Column(
        constant=None,
        paths=spec.paths,
        rescue=_unless_failed(rescue) if given else rescue,
        shortcut=None if given else shortcut_of(spec, zone=zone, required=required),
        none=None if required and default is None else repr(default),
    )


def _pulled(part: Mapping | Children) -> list[FieldSpec]:
    return [spec for spec in part.fields if spec.pulls()]


def _lookups(part: Mapping | Children) -> tuple[LookupColumn, ...]:
    return tuple(
        LookupColumn(spec.local or "", spec.lookup, position, spec.required)
        for position, spec in enumerate(_pulled(part))
        if spec.lookup is not None
    )


def _names(part: Mapping | Children) -> tuple[str, ...]:
    return tuple(spec.local or "" for spec in _pulled(part))


def _paths(part: Mapping | Children) -> list[Path]:
    return [path for spec in _pulled(part) if spec.value is None for path in spec.paths]


def _record_paths(mapping: Mapping) -> list[Path]:
    """The places in the record that fields and record templates read."""
    names = given_names(mapping.record)
    found = [path for path in _paths(mapping) if path[0] not in names]
    for position, use in enumerate(mapping.record):
        before = given_names(mapping.record[:position])
        found += [path for paths in use.paths for path in paths if path[0] not in before]
    return found


def _lines(child: Children, *, zone: tzinfo) -> Lines:
    table = child.local.partition(".")[2]
    remote = " or ".join(child.remote)

    def spread(items: Any, problems: Problems) -> tuple[list[Any], Problems]:
        if isinstance(items, list):
            return items, problems
        if isinstance(items, dict):
            return [items], problems
        if items == "":
            return [], problems
        try:
            refuse_misfit(items)
            refused = Refused("shape", f"expected a list of lines, found {excerpt(items)}", value=items)
        except Refused as misfit:
            refused = misfit
        return [], note(problems, problem_of(table, remote, refused))

    def odd(line: Any, problems: Problems, number: int) -> Problems:
        refused = Refused("shape", f"expected an object for each line, found {excerpt(line)}", value=line)
        return note(problems, problem_of(f"{table}[{number}]", remote, refused))

    def repeated(rows: list[Row], problems: Problems) -> Problems:
        keys = [row[key] for row in rows]
        twice = next(k for k in keys if keys.count(k) > 1)
        refused = Refused("unique", f"two lines have the same {child.key}, {excerpt(twice)}", value=twice)
        return note(problems, problem_of(f"{table}.{child.key}", remote, refused))

    specs = _pulled(child)
    key = next(position for position, spec in enumerate(specs) if spec.local == child.key)
    columns = tuple(
        _column(spec, zone=zone, required=spec.required or spec.local == child.key, table=table) for spec in specs
    )
    return Lines(child.paths, tree(_paths(child)), columns, key, spread, odd, repeated)


def _object_decoder() -> Callable[[RawBytes], dict[str, Any]]:
    decode = msgspec.json.Decoder(float_hook=Decimal).decode

    def decode_object(raw: RawBytes) -> dict[str, Any]:
        try:
            found = decode(raw)
        except UNREADABLE as error:
            reason = "nested too deeply" if isinstance(error, RecursionError) else str(error) or type(error).__name__
            shown = excerpt(bytes(raw)[:60].decode(errors="replace"))
            message = f"the record is not readable JSON ({reason}); it begins {shown}"
            raise RecordRejected([FieldProblem("", "json", message, shown)]) from error
        if not isinstance(found, dict):
            message = f"the record is not an object: found {excerpt(found)}"
            raise RecordRejected([FieldProblem("", "shape", message, excerpt(found))])
        return found

    return decode_object


def _identity(mapping: Mapping) -> Callable[[Any, Any], tuple[str, str | None]]:
    """The careful form of `identify`, for keys that are numbers, absent or odd."""

    def text_of(value: Any, remote: str) -> str:
        try:
            refuse_misfit(value)
            if value is None or value == "":
                raise Refused("required", "the record has no key", value=value)
            return to_key(value)
        except Refused as refused:
            message = f"{remote}: {refused.message}"
            raise RecordRejected([FieldProblem(remote, refused.rule, message, excerpt(refused.value))]) from refused

    def identity(key: Any, modified: Any) -> tuple[str, str | None]:
        return (
            text_of(key, mapping.remote.key),
            None if modified is None or modified == "" else text_of(modified, mapping.remote.modified or ""),
        )

    return identity


def _run(source: str, names: dict[str, Any], what: str) -> None:
    exec(compile(source, f"<mapping {what}>", "exec"), names)  # noqa: S102 - our own source; a mapping gives only constants


def _compile_identify(mapping: Mapping, names: dict[str, Any]) -> str:
    key = parse_path(mapping.remote.key)
    modified = parse_path(mapping.remote.modified) if mapping.remote.modified else None
    node = tree([key, *filter(None, [modified])])
    variants = [Variant.TYPED, Variant.LOOSE] if node.nameable() else [Variant.LOOSE]
    if node.nameable():
        names["decode_key"] = msgspec.json.Decoder(struct_of(node), float_hook=Decimal).decode
    names["identity"] = _identity(mapping)
    return write_identify(names, node, key, modified, variants=variants)


def _compile_mapping(mapping: Mapping, names: dict[str, Any], zone: tzinfo) -> str:
    names_given = given_names(mapping.record)
    columns = [_column(spec, zone=zone, required=spec.required, names=names_given) for spec in _pulled(mapping)]
    lines = [_lines(child, zone=zone) for child in mapping.children]
    givers = [Giver(use.paths, use.names, giver(use)) for use in mapping.record]
    node: Node = tree(_record_paths(mapping))
    for child in lines:
        add_lines(node, child.paths, child.node)
    variants = [Variant.LOOSE, Variant.CAREFUL]
    if node.nameable():
        names["decode"] = msgspec.json.Decoder(struct_of(node), float_hook=Decimal).decode
        variants[:0] = [Variant.TYPED, Variant.LINE]
    return write_program(names, node, columns, lines, givers=givers, variants=variants)


def compile_identity(mapping: Mapping) -> Callable[[RawBytes], tuple[str, str | None]]:
    """`identify` alone, for a mapping that only pushes: a record's key and the text of its modification time."""
    names: dict[str, Any] = {
        "NUL": "\x00",
        "UNREADABLE": UNREADABLE,
        "decode_object": _object_decoder(),
        "dig": dig,
        "dig_first": dig_first,
        "peek": peek,
    }
    _run(_compile_identify(mapping, names), names, f"{mapping.system}/{mapping.entity}")
    found: Callable[[RawBytes], tuple[str, str | None]] = names.get("identify", names["identify_loose"])
    return found


def compile_pull(mapping: Mapping, *, zone: str = "UTC") -> PullProgram:
    """The program that turns vendor records into rows; times without an offset are times in `zone`.

    Raises ConfigError for a mapping that only pushes, and for an unknown zone.
    """
    if mapping.direction is Direction.PUSH:
        raise ConfigError(
            f"The mapping {mapping.system}/{mapping.entity} only pushes: set direction to pull or bidirectional."
        )
    try:
        place = zone_of(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigError(f'"{zone}" is not a time zone; expected a name such as Asia/Kolkata or UTC.') from error
    names: dict[str, Any] = names_used(place) | {
        "BACKSLASH": b"\\",  # one byte is found ten times as fast as six, and most records have none
        "MappedRecord": MappedRecord,
        "NUL": "\x00",
        "NUL_ESCAPE": b"\\u0000",
        "RecordRejected": RecordRejected,
        "UNREADABLE": UNREADABLE,
        "as_line": as_line,
        "decode_object": _object_decoder(),
        "dig": dig,
        "dig_first": dig_first,
        "join": join,
        "new": tuple.__new__,
        "peek": peek,
    }
    source = _compile_identify(mapping, names) + "\n" + _compile_mapping(mapping, names, place)
    _run(source, names, f"{mapping.system}/{mapping.entity}")
    return PullProgram(
        mapping=mapping,
        zone=zone,
        columns=_names(mapping),
        lookups=_lookups(mapping),
        children=tuple(
            ChildProgram(child.local, child.parent, child.key, _names(child), _lookups(child))
            for child in mapping.children
        ),
        seed=int(mapping.version, 16),
        identify=names.get("identify", names["identify_loose"]),
        map_record=names.get("typed", names["careful"]),
        map_line=names.get("line", lambda raw: as_line(names["careful"](raw))),
        refine=refiner(mapping, zone=place),
        source=source,
    )
