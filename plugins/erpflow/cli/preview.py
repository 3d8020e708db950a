"""What a mapping makes of single records, told field by field for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from erpflow.errors import RecordRejected
from erpflow.mapping.compile import MappedRecord, PullProgram
from erpflow.mapping.model import Children, FieldSpec, Mapping
from erpflow.mapping.paths import dig_first

NOTHING = "-"


@dataclass(frozen=True, slots=True)
class Previewed:
    """One record: its key, rows of (remote path, remote value, local column, local value), and why it is refused."""

    key: str | None
    rows: tuple[tuple[str, str, str, str], ...]
    problems: tuple[str, ...]


def preview_records(program: PullProgram, raws: Iterable[msgspec.Raw]) -> list[Previewed]:
    """What becomes of each record. Never fails: a record that cannot be mapped says why."""
    return [_preview(program, raw) for raw in raws]


def _preview(program: PullProgram, raw: msgspec.Raw) -> Previewed:
    mapped: MappedRecord | None = None
    key, problems = None, []
    try:
        key, _ = program.identify(raw)
        mapped = program.map_record(raw)
    except RecordRejected as rejected:
        problems = [problem.message for problem in rejected.problems]
    try:
        record = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        record = None
    rows = _rows(program.mapping, record, mapped) if isinstance(record, dict) else ()
    return Previewed(key=key, rows=tuple(rows), problems=tuple(problems))


def _rows(mapping: Mapping, record: Any, mapped: MappedRecord | None) -> Iterator[tuple[str, str, str, str]]:
    yield from _fields(mapping, record, mapped.values if mapped else None, prefix="")
    for position, child in enumerate(mapping.children):
        lines = mapped.children[position] if mapped else []
        found = dig_first(record, child.paths)
        items = found if isinstance(found, list) else [found] if isinstance(found, dict) else []
        for number, item in enumerate(items):
            values = lines[number] if number < len(lines) else None
            yield from _fields(child, item, values, prefix=f"{child.remote[0]}[{number}].")


def _fields(
    part: Mapping | Children, record: Any, values: tuple[str | None, ...] | None, *, prefix: str
) -> Iterator[tuple[str, str, str, str]]:
    pulled = [spec for spec in part.fields if spec.pulls()]
    for position, spec in enumerate(pulled):
        local = _told(values[position]) if values is not None else NOTHING
        if spec.lookup is not None and local != NOTHING:
            local = f"{local} (to be looked up)"
        yield _remote_name(spec, prefix), _remote_value(spec, record), spec.local or "", local


def _remote_name(spec: FieldSpec, prefix: str) -> str:
    return "(constant)" if spec.value is not None else " or ".join(f"{prefix}{path}" for path in spec.remote or ())


def _remote_value(spec: FieldSpec, record: Any) -> str:
    return str(spec.value) if spec.value is not None else _told(dig_first(record, spec.paths))


def _told(value: Any) -> str:
    return NOTHING if value is None else value if isinstance(value, str) else msgspec.json.encode(value).decode()
