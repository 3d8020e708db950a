"""Writing records of one entity: each update and delete on the version it was just read in, many in one batch.

The SyncToken of a list may be outdated, so every record is read by its id before it is changed; what the vendor changed
since our own reading is told by its time. A sparse update leaves alone what it does not name; it cannot clear a field
(UNVERIFIED: null is ignored), so a change that clears one sends the whole record without it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from erpflow.connectors.answer import Answer
from erpflow.connectors.base import Change, Outcome, WriteResult
from erpflow.connectors.delivery import Delivery
from erpflow.connectors.quickbooks_company import Company, Kind
from erpflow.connectors.quickbooks_faults import Fault, faults_in, verdict
from erpflow.connectors.quickbooks_query import to_instant
from erpflow.connectors.quickbooks_updates import changed, merged_lines, writable
from erpflow.connectors.quickbooks_wire import decode, encode, head_of, record, record_of, with_line_numbers
from erpflow.errors import (
    ErpflowError,
    FieldProblem,
    ProtocolError,
    RateLimited,
    RecordRejected,
    StaleVersion,
    VendorUnavailable,
)
from erpflow.vocabulary import Operation, RemoteId, VendorRecord

BATCH: Final = 30
"""Items of one batch, at most."""

_WORDS: Final[Mapping[Operation, str]] = {
    Operation.CREATE: "create",
    Operation.UPDATE: "update",
    Operation.DELETE: "delete",
}


class _Batch(msgspec.Struct):
    BatchItemResponse: list[dict[str, Any]]


class _RawBatch(msgspec.Struct):
    BatchItemResponse: list[dict[str, msgspec.Raw]]


_BATCH: Final = msgspec.json.Decoder(_Batch)
_RAW_BATCH: Final = msgspec.json.Decoder(_RawBatch)


@dataclass(frozen=True, slots=True)
class _Ready:
    """A change as it can be sent: its operation and its body, with the version it is for."""

    operation: str
    body: VendorRecord


@contextmanager
def _nothing_written() -> Iterator[None]:
    """A question among the writes: what it raises says of no write that it may be done."""
    try:
        yield
    except (VendorUnavailable, ProtocolError) as error:
        error.maybe_done = False
        raise


class Writer:
    """Sends changes of one entity, and says what became of each. `alone`: each create by itself, with its key."""

    def __init__(self, company: Company, kind: Kind, *, alone: bool) -> None:
        self._company = company
        self._kind = kind
        self._alone = alone

    def write(self, changes: Sequence[Change]) -> list[WriteResult]:
        """One result for each change, in their order. See `SupportsWrites.write`."""
        delivery = Delivery(changes)
        for run in self._runs(changes):
            self._send(delivery, run)
        return delivery.results()

    def _runs(self, changes: Sequence[Change]) -> Iterator[list[int]]:
        """Places of changes that go in one request: neighbours, except creates that must be repeatable."""
        run: list[int] = []
        for place, change in enumerate(changes):
            alone = self._alone and change.operation is Operation.CREATE
            if run and (alone or len(run) == BATCH):
                yield run
                run = []
            if alone:
                yield [place]
            else:
                run.append(place)
        if run:
            yield run

    def _send(self, delivery: Delivery, places: Sequence[int]) -> None:
        """A batch that is refused as a whole is halved until it shows whose fault it was."""
        if delivery.attempt(places, self._send_many):
            return
        middle = len(places) // 2
        self._send(delivery, places[:middle])
        self._send(delivery, places[middle:])

    # -- requests --------------------------------------------------------------------------------------------------

    def _send_many(self, changes: Sequence[Change]) -> list[WriteResult]:
        """Everything is read first; then what can be sent goes in one request."""
        prepared = [self._prepared(change) for change in changes]
        ready = [place for place, each in enumerate(prepared) if isinstance(each, _Ready)]
        if not ready:
            return [each for each in prepared if isinstance(each, WriteResult)]
        send = self._send_one if len(ready) == 1 else self._send_batch
        sent = send([changes[place] for place in ready], [each for each in prepared if isinstance(each, _Ready)])
        answered = dict(zip(ready, sent, strict=True))
        return [each if isinstance(each, WriteResult) else answered[place] for place, each in enumerate(prepared)]

    def _send_one(self, changes: Sequence[Change], bodies: Sequence[_Ready]) -> list[WriteResult]:
        (change,), (ready,) = changes, bodies
        operation = "delete" if change.operation is Operation.DELETE else None
        try:
            answer = self._company.tell(
                self._kind.path, ready.body, request_id=change.idempotency_key, operation=operation
            )
        except (RecordRejected, StaleVersion) as error:
            return [self._refusal(change, error)]
        with _maybe_written():
            return [self._done(change, record_of(answer, self._kind.remote))]

    def _send_batch(self, changes: Sequence[Change], bodies: Sequence[_Ready]) -> list[WriteResult]:
        items = [
            {"bId": str(place), "operation": each.operation, self._kind.remote: each.body}
            for place, each in enumerate(bodies)
        ]
        answer = self._company.tell("/batch", {"BatchItemRequest": items}, request_id=None)
        with _maybe_written():
            answered = self._items(answer, len(changes))
        return [self._outcome(change, item) for change, item in zip(changes, answered, strict=True)]

    def _items(self, answer: Answer, count: int) -> list[tuple[Sequence[Fault], bytes]]:
        """The faults, or else the record, of each item in the order they were sent."""
        found: dict[str, tuple[Sequence[Fault], bytes]] = {}
        raws = decode(answer, _RAW_BATCH).BatchItemResponse
        for item, raw in zip(decode(answer, _BATCH).BatchItemResponse, raws, strict=True):
            fault = item.get("Fault")
            faults = faults_in(fault) if isinstance(fault, dict) else []
            found[str(item.get("bId"))] = (faults, bytes(raw.get(self._kind.remote, b"")))
        missing = [place for place in range(count) if not any(found.get(str(place), ((), b"")))]
        if missing:
            raise ProtocolError(
                f"QuickBooks was sent a batch of {count} {self._kind.remote} and did not answer item {missing[0]}."
            )
        return [found[str(place)] for place in range(count)]

    # -- what is sent ----------------------------------------------------------------------------------------------

    def _prepared(self, change: Change) -> _Ready | WriteResult:
        """The change on the version there is now; or its outcome, where it cannot be sent."""
        operation = _WORDS[change.operation]
        try:
            if change.operation is Operation.CREATE:
                return self._checked(_Ready(operation, writable(change.values)))
            current = self._current(change)
            if current is None:
                return WriteResult(Outcome.MISSING, change.remote_id)
            if not self._is_of(change, current):
                return WriteResult(Outcome.STALE, change.remote_id)
            head = {"Id": change.remote_id, "SyncToken": head_of(current).SyncToken}
            if change.operation is Operation.DELETE:
                return _Ready(operation, head)
            values = writable(change.values)
            if not values:
                return self._done(change, current)
            return self._checked(_Ready(operation, self._changed(current, values) | head))
        except RecordRejected as error:
            return WriteResult(Outcome.REJECTED, change.remote_id, problems=error.problems)

    def _changed(self, current: bytes, values: Mapping[str, Any]) -> dict[str, Any]:
        """What is sent of an update, lines merged with those that bear their numbers."""
        found = record(bytes(with_line_numbers(current)) if self._kind.has_lines else current)
        if self._kind.has_lines and isinstance(values.get("Line"), list):
            values = {**values, "Line": merged_lines(found.get("Line") or [], values["Line"])}
        return changed(found, values)

    def _current(self, change: Change) -> bytes | None:
        if not is_id(change.remote_id or ""):
            return None
        with _nothing_written():
            return self._company.record(self._kind, change.remote_id or "")

    def _is_of(self, change: Change, current: bytes) -> bool:
        if change.version is None:
            return True
        return to_instant(head_of(current).MetaData.LastUpdatedTime) == to_instant(change.version)

    def _checked(self, ready: _Ready) -> _Ready:
        """Raises RecordRejected for what JSON cannot carry: half a surrogate pair, an object of no known type."""
        try:
            encode(ready.body)
        except (TypeError, ValueError) as error:
            raise RecordRejected([FieldProblem("", "type", f"A value cannot be sent as JSON: {error}")]) from None
        return ready

    # -- what became of it -----------------------------------------------------------------------------------------

    def _outcome(self, change: Change, item: tuple[Sequence[Fault], bytes]) -> WriteResult:
        faults, row = item
        if not faults:
            return self._done(change, row)
        return self._refusal(change, verdict(faults))

    def _refusal(self, change: Change, error: ErpflowError) -> WriteResult:
        """What became of a change that was refused by itself. Raises nothing: its neighbours have been written."""
        remote_id = change.remote_id
        if isinstance(error, StaleVersion):
            return WriteResult(Outcome.STALE, remote_id)
        if isinstance(error, RateLimited):  # this item was one too many: it was not done
            self._company.pause(error.retry_after)
            return WriteResult(Outcome.NOT_SENT, remote_id)
        if not isinstance(error, RecordRejected):
            return WriteResult(Outcome.UNKNOWN, remote_id)
        if change.operation is not Operation.CREATE and any(problem.rule == "lookup" for problem in error.problems):
            return self._not_found(change, error)
        return WriteResult(Outcome.REJECTED, remote_id, problems=error.problems)

    def _not_found(self, change: Change, error: RecordRejected) -> WriteResult:
        """What is not there may be the record itself, deleted since we read it, or what it refers to."""
        try:
            is_gone = self._current(change) is None
        except ErpflowError:  # nobody tells now: it was not done, and is tried again
            return WriteResult(Outcome.NOT_SENT, change.remote_id)
        if is_gone:
            return WriteResult(Outcome.MISSING, change.remote_id)
        return WriteResult(Outcome.REJECTED, change.remote_id, problems=error.problems)

    def _done(self, change: Change, row: bytes) -> WriteResult:
        if change.operation is Operation.DELETE:
            return WriteResult(Outcome.DONE, change.remote_id)
        with _maybe_written():
            remote_id = RemoteId(head_of(row).Id)
        if not self._kind.comes_whole:  # it is read again by a query
            return WriteResult(Outcome.DONE, remote_id)
        landed = bytes(with_line_numbers(row)) if self._kind.has_lines else row
        return WriteResult(Outcome.DONE, remote_id, record=landed)


@contextmanager
def _maybe_written() -> Iterator[None]:
    """An answer to a write that does not tell whether it was done."""
    try:
        yield
    except ProtocolError as error:
        error.maybe_done = True
        raise


def is_id(text: str) -> bool:
    """Ids are whole numbers; anything else would be another path, or is refused in words of its own."""
    return text.isascii() and text.isdecimal()
