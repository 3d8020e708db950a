"""What a mapping makes of single records, told field by field for people."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec

from erpflow.connectors.base import Connector
from erpflow.errors import FieldProblem, RecordRejected
from erpflow.mapping.batch import Refine
from erpflow.mapping.compile import UNREADABLE, MappedRecord, PullProgram, Row
from erpflow.mapping.model import Children, FieldSpec, Mapping
from erpflow.mapping.paths import dig_first
from erpflow.mapping.record import given_values
from erpflow.mapping.template_use import given_names
from erpflow.mapping.values import json_text
from erpflow.vocabulary import Window
from erpflow.yaml_files.complaints import excerpt

NOTHING = "-"
_decode = msgspec.json.Decoder(float_hook=Decimal).decode


@dataclass(frozen=True, slots=True)
class Previewed:
    """One record: its key, rows of (remote path, remote value, local column, local value), and why it is refused.

    `dropped` says which batch template left it out.
    """

    key: str | None
    rows: tuple[tuple[str, str, str, str], ...]
    problems: tuple[str, ...]
    dropped: str | None = None


@dataclass(slots=True)
class _Trial:
    """What is known of one record so far."""

    raw: msgspec.Raw
    key: str | None = None
    mapped: MappedRecord | None = None
    problems: Sequence[FieldProblem] = ()
    dropped: str | None = None


def first_records(
    vendor: Connector, entity: str, *, limit: int, on_page: Callable[[], None] = lambda: None
) -> tuple[str, list[msgspec.Raw]]:
    """The zone of naive times and up to `limit` records as the vendor sends them now.

    `on_page` is called after each page, and may raise when it has been long enough.
    """
    zone = "UTC"
    raws: list[msgspec.Raw] = []
    for page in vendor.read(entity, Window()):
        zone = page.zone
        raws += vendor.split(entity, page.raw)
        if len(raws) >= limit:
            break
        on_page()
    return zone, raws[:limit]


def preview_records(program: PullProgram, raws: Iterable[msgspec.Raw]) -> list[Previewed]:
    """What becomes of each record. Never fails: a record that cannot be mapped says why.

    Batch templates see all of these records at once, and no others.
    """
    trials = [_try(program, raw) for raw in raws]
    if program.refine is not None:
        _refine(program.refine, [trial for trial in trials if trial.mapped is not None])
    return [_preview(program.mapping, trial) for trial in trials]


def _try(program: PullProgram, raw: msgspec.Raw) -> _Trial:
    trial = _Trial(raw)
    try:
        trial.key, _ = program.identify(raw)
        trial.mapped = program.map_record(raw)
    except RecordRejected as rejected:
        trial.problems = rejected.problems
    return trial


def _refine(refine: Refine, trials: Sequence[_Trial]) -> None:
    refined = refine([trial.mapped.values for trial in trials if trial.mapped is not None])
    for position, trial in enumerate(trials):
        if position in refined.rows and trial.mapped is not None:
            trial.mapped = trial.mapped._replace(values=refined.rows[position])
            continue
        trial.mapped = None
        trial.problems = refined.rejected.get(position, ())
        trial.dropped = refined.dropped.get(position)


def _preview(mapping: Mapping, trial: _Trial) -> Previewed:
    try:
        record = _decode(trial.raw)
    except UNREADABLE:
        record = None
    rows = _rows(mapping, record, trial.mapped) if isinstance(record, dict) else ()
    problems = tuple(problem.message for problem in trial.problems)
    return Previewed(key=trial.key, rows=tuple(rows), problems=problems, dropped=trial.dropped)


def _rows(mapping: Mapping, record: Any, mapped: MappedRecord | None) -> Iterator[tuple[str, str, str, str]]:
    seen = {**record, **given_values(mapping.record, record)}
    names = given_names(mapping.record)
    yield from _fields(mapping, seen, mapped.values if mapped else None, prefix="", given=names)
    for position, child in enumerate(mapping.children):
        lines = mapped.children[position] if mapped else []
        found = dig_first(record, child.paths)
        items = found if isinstance(found, list) else [found] if isinstance(found, dict) else []
        for number, item in enumerate(items):
            values = lines[number] if number < len(lines) else None
            yield from _fields(child, item, values, prefix=f"{child.remote[0]}[{number}].")


def _fields(
    part: Mapping | Children,
    record: Any,
    values: Row | None,
    *,
    prefix: str,
    given: frozenset[str] = frozenset(),
) -> Iterator[tuple[str, str, str, str]]:
    pulled = [spec for spec in part.fields if spec.pulls()]
    for position, spec in enumerate(pulled):
        local = _told(values[position]) if values is not None else NOTHING
        if spec.lookup is not None and local != NOTHING:
            local = f"{local} (to be looked up)"
        yield _remote_name(spec, prefix, given), _remote_value(spec, record), spec.local or "", local


def _remote_name(spec: FieldSpec, prefix: str, given: frozenset[str]) -> str:
    if spec.value is not None:
        return "(constant)"
    return " or ".join(f"{prefix}{path}{' (given)' if path in given else ''}" for path in spec.remote or ())


def _remote_value(spec: FieldSpec, record: Any) -> str:
    return str(spec.value) if spec.value is not None else _told(dig_first(record, spec.paths))


def _told(value: Any) -> str:
    if value is None or isinstance(value, str):
        return NOTHING if value is None else value
    try:
        return json_text(value).decode()
    except (TypeError, ValueError, RecursionError):  # a template's function may give anything
        return excerpt(value)
