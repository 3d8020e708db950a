"""Writing records of one module: up to 100 a request, each with its own outcome.

A create that carries its own mark in a unique field (`remote.external_id` of a mapping) goes out as an upsert on that
field: sent twice, it makes one record. Any other goes out as an insert, for an upsert without such a field would change
whatever record has the same name.

Zoho compares versions for a whole request (`If-Unmodified-Since`), not for a record. So the versions are read just
before, and the header holds the latest of them: what changes in between is refused. Source: docs/api/v8/insert-records,
upsert-records, update-records, delete-records.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Final

import msgspec

from erpflow.connectors.answer import Answer
from erpflow.connectors.base import Change, Outcome, WriteResult
from erpflow.connectors.delivery import Delivery
from erpflow.connectors.zoho_crm_modules import Module
from erpflow.connectors.zoho_crm_org import API, MOST_IDS, Organisation
from erpflow.connectors.zoho_crm_refusals import ROWS, judge_write, result_of
from erpflow.connectors.zoho_crm_wire import LINE_NUMBER, PARTS, decode, encode, to_instant
from erpflow.errors import FieldProblem, ProtocolError, RecordRejected, VendorUnavailable
from erpflow.vocabulary import Operation

_MOST_AT_ONCE: Final = 100
_PRODUCT: Final = "Product_Name"
_SET_BY_ZOHO: Final = frozenset({"id", "Created_Time", "Modified_Time", "Created_By", "Modified_By"})


class _Line(msgspec.Struct):
    id: str


class _Known(msgspec.Struct):
    """A record as it is now: what an update is compared with."""

    modified: str
    lines: tuple[str, ...] = ()


_LINES: Final = msgspec.json.Decoder(list[_Line] | None)
_TEXT: Final = msgspec.json.Decoder(str)


@contextmanager
def _nothing_written() -> Iterator[None]:
    """A question among the writes: what it raises says of no write that it may be done."""
    try:
        yield
    except (VendorUnavailable, ProtocolError) as error:
        error.maybe_done = False
        raise


class Writer:
    """Sends changes to one module, and says what became of each."""

    def __init__(self, org: Organisation, module: Module) -> None:
        self._org = org
        self._module = module
        self._path = f"{API}/{module.name}"

    def write(self, changes: Sequence[Change]) -> list[WriteResult]:
        """One result for each change, in their order. See `SupportsWrites.write`."""
        delivery = Delivery(changes)
        for run in self._runs(changes):
            self._send(delivery, run)
        return delivery.results()

    def _send(self, delivery: Delivery, places: Sequence[int]) -> None:
        """What is refused together is halved until it shows whose fault it was; nothing of it was done."""
        if delivery.attempt(places, self._send_together):
            return
        middle = len(places) // 2
        self._send(delivery, places[:middle])
        self._send(delivery, places[middle:])

    def _send_together(self, changes: Sequence[Change]) -> list[WriteResult]:
        operation = changes[0].operation
        if operation is Operation.CREATE:
            return self._create(changes)
        if operation is Operation.UPDATE:
            return self._update(changes)
        return self._delete(changes)

    # -- requests --------------------------------------------------------------------------------------------------

    def _create(self, changes: Sequence[Change]) -> list[WriteResult]:
        mark = mark_of(changes[0])
        records = [self._fields(change) for change in changes]
        if mark is None:
            return self._told(changes, self._tell("POST", self._path, {"data": records}))
        body = {"data": records, "duplicate_check_fields": [mark]}
        return self._told(changes, self._tell("POST", f"{self._path}/upsert", body))

    def _update(self, changes: Sequence[Change]) -> list[WriteResult]:
        known = self._known(changes)
        results: dict[int, WriteResult] = {}
        left: list[int] = []
        for place, change in enumerate(changes):
            settled = self._settled(change, known)
            if settled is None and not self._fields(change):  # a save without a change is one all the same
                settled = WriteResult(Outcome.DONE, change.remote_id)
            if settled is None:
                left.append(place)
            else:
                results[place] = settled
        if left:
            sent = [changes[place] for place in left]
            records = [{**self._values(change, known), "id": change.remote_id} for change in sent]
            answer = self._tell("PUT", self._path, {"data": records}, headers=_unmodified_since(sent, known))
            results |= zip(left, self._told(sent, answer), strict=True)
        return [results[place] for place in range(len(changes))]

    def _delete(self, changes: Sequence[Change]) -> list[WriteResult]:
        """A delete has no lock: versions are compared as shortly before as we can."""
        known = self._known(changes)
        results = {place: self._settled(change, known) for place, change in enumerate(changes)}
        left = [place for place, settled in results.items() if settled is None]
        if left:
            sent = [changes[place] for place in left]
            query = {"ids": ",".join(str(change.remote_id) for change in sent)}
            answer = self._org.tell("DELETE", self._path, query=query, records=len(sent), judge=judge_write)
            results |= zip(left, self._told(sent, answer), strict=True)
        return [result for _, result in sorted(results.items()) if result is not None]

    def _tell(self, method: str, path: str, body: dict[str, Any], *, headers: dict[str, str] | None = None) -> Answer:
        """Without `trigger`: workflows run as if a person had saved. Raises RecordRejected for what is no JSON."""
        try:
            raw = encode(body)
        except (TypeError, ValueError) as error:
            raise RecordRejected([FieldProblem("", "type", f"A value cannot be sent as JSON: {error}")]) from None
        return self._org.tell(method, path, raw, headers=headers, records=len(body["data"]), judge=judge_write)

    def _told(self, changes: Sequence[Change], answer: Answer) -> list[WriteResult]:
        """What the answer says of each change. Raises ProtocolError when it does not."""
        try:
            rows = decode(answer, ROWS).data
        except ProtocolError as error:
            error.maybe_done = True
            raise
        if len(rows) != len(changes):
            raise ProtocolError(
                f"Zoho was sent {len(changes)} {self._module.name} and tells of {len(rows)}.", maybe_done=True
            )
        return [result_of(change, row) for change, row in zip(changes, rows, strict=True)]

    # -- what is there ---------------------------------------------------------------------------------------------

    def _known(self, changes: Sequence[Change]) -> dict[str, _Known] | None:
        """The records as they are now, when versions or lines have to be compared; None when nothing has to be."""
        lines = self._module.lines
        has_lines = lines is not None and any(isinstance(change.values.get(lines), list) for change in changes)
        if not has_lines and all(change.version is None for change in changes):
            return None
        ids = [str(change.remote_id) for change in changes if _is_id(change.remote_id)]
        with _nothing_written():
            if has_lines:
                found = self._org.documents(self._module, ids)
            else:
                found = self._org.by_ids(self._module, ids, [("Modified_Time",)])
        return {one: _known_of(record, lines if has_lines else None) for one, record in found.items()}

    def _settled(self, change: Change, known: dict[str, _Known] | None) -> WriteResult | None:
        """The outcome of a change that is not to be sent; None for one that is."""
        if not _is_id(change.remote_id):
            return WriteResult(Outcome.MISSING, change.remote_id)
        if known is None:
            return None
        now = known.get(str(change.remote_id))
        if now is None:
            return WriteResult(Outcome.MISSING, change.remote_id)
        if change.version is not None and to_instant(now.modified) != to_instant(change.version):
            return WriteResult(Outcome.STALE, change.remote_id)
        return None

    def _values(self, change: Change, known: dict[str, _Known] | None) -> dict[str, Any]:
        """The fields of an update.

        Lines that are sent are all lines, as everywhere in erpflow; Zoho keeps those that are not named, so they are
        taken away by name. A line is found by its id or, from us, by its place.
        """
        values = self._fields(change)
        lines = self._module.lines
        if lines is not None and isinstance(values.get(lines), list) and known is not None:
            before = known[str(change.remote_id)].lines
            rows = [_with_id(row, before) for row in change.values[lines]]
            named = {row.get("id") for row in rows}
            values[lines] = [*rows, *({"id": one, "_delete": None} for one in before if one not in named)]
        return values

    def _fields(self, change: Change) -> dict[str, Any]:
        """What is sent of a change: not what Zoho sets itself, nor our numbers of lines."""
        values = {name: value for name, value in change.values.items() if name not in _SET_BY_ZOHO}
        lines = self._module.lines
        if lines is not None and isinstance(values.get(lines), list):
            values[lines] = [_with_id(row, ()) for row in values[lines]]
        return values

    def _runs(self, changes: Sequence[Change]) -> Iterator[list[int]]:
        """Places of neighbouring changes that go in one request: of one kind, and no record twice."""
        run: list[int] = []
        kind: object = None
        names: set[object] = set()
        for place, change in enumerate(changes):
            kind_now = (change.operation, change.version is not None, mark_of(change))
            if run and (kind_now != kind or len(run) == min(_MOST_AT_ONCE, MOST_IDS) or change.remote_id in names):
                yield run
                run, names = [], set()
            run.append(place)
            kind = kind_now
            if change.remote_id is not None:
                names.add(change.remote_id)
        if run:
            yield run


def mark_of(change: Change) -> str | None:
    """The field of a create that holds its idempotency key; None when none does."""
    if change.operation is not Operation.CREATE:
        return None
    return next((name for name, value in change.values.items() if value == change.idempotency_key), None)


def _is_id(name: object) -> bool:
    return isinstance(name, str) and name.isascii() and name.isdigit()


def _with_id(row: Mapping[str, Any], before: Sequence[str]) -> dict[str, Any]:
    """A line as Zoho takes it: with the id of the line at its place, without our number of it.

    Every line has a product, so none means one that is not known here: the line keeps its own.
    """
    place = row.get(LINE_NUMBER)
    values = {name: value for name, value in row.items() if name != LINE_NUMBER}
    if "id" not in values and isinstance(place, int | Decimal) and 1 <= place <= len(before):
        values["id"] = before[int(place) - 1]
    product = values.get(_PRODUCT)
    if "id" in values and _PRODUCT in values and (product is None or product == {"id": None}):
        del values[_PRODUCT]
    return values


def _known_of(record: bytes, lines: str | None) -> _Known:
    parts = PARTS.decode(record)
    try:
        modified = _TEXT.decode(parts["Modified_Time"])
        rows = _LINES.decode(parts[lines]) or [] if lines else []
    except (KeyError, msgspec.DecodeError):
        raise ProtocolError("Zoho does not tell when a record was modified, or which lines it has.") from None
    return _Known(modified, tuple(row.id for row in rows))


def _unmodified_since(changes: Sequence[Change], known: dict[str, _Known] | None) -> dict[str, str]:
    """The header that refuses what was changed since the versions were read."""
    if known is None or changes[0].version is None:
        return {}
    times = [to_instant(known[str(change.remote_id)].modified) for change in changes]
    return {"If-Unmodified-Since": max(filter(None, times)).isoformat(timespec="seconds")}
