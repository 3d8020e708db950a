"""Writing rows of one VeeKaart table: up to 500 in one post, each with a result of its own.

A post makes a row or replaces it, by SKU. So what is there is looked up first: a create that would overwrite a row is a
duplicate, an update that would make one finds it missing, and an update of some fields sends the others along as they
are. Nothing locks a row between that look and the post; the contract has no way to.

The observed profile cannot be asked and answers with a number only: every row is sent as it is, and when some were not
taken, in halves until it shows which.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from erpflow.connectors.answer import Answer
from erpflow.connectors.base import Change, Outcome, WriteResult
from erpflow.connectors.delivery import Delivery
from erpflow.connectors.veekaart_errors import is_passing, judge, problem_of
from erpflow.connectors.veekaart_rows import Remarks, Row, keep_sku, row_of, sku_of
from erpflow.connectors.veekaart_shelf import Shelf
from erpflow.connectors.veekaart_wire import Store, decode_reply, encode, record_of
from erpflow.errors import ErpflowError, FieldProblem, ProtocolError, RecordRejected, VendorUnavailable
from erpflow.vocabulary import Operation, RemoteId

_DONE: Final = frozenset({"created", "updated", "unchanged"})
_STALE: Final = "skipped_stale"
_ERROR: Final = "error"


@contextmanager
def _nothing_written() -> Iterator[None]:
    """A question among the writes: what it raises says of no write that it may be done."""
    try:
        yield
    except (VendorUnavailable, ProtocolError) as error:
        error.maybe_done = False
        raise


class Writer:
    """Sends changes of one table, and says what became of each."""

    def __init__(self, store: Store, table: str, shelf: Shelf) -> None:
        self._store = store
        self._table = table
        self._shelf = shelf

    def write(self, changes: Sequence[Change]) -> list[WriteResult]:
        """One result for each change, in their order. See `SupportsWrites.write`."""
        delivery = Delivery(changes)
        for places in _rounds(changes):
            self._deliver(delivery, places)
        return delivery.results()

    def _deliver(self, delivery: Delivery, places: Sequence[int]) -> None:
        """A request that is too large is refused as a whole: then in halves."""
        if delivery.attempt(places, self._count_posted if self._store.is_observed else self._post):
            return
        middle = len(places) // 2
        self._deliver(delivery, places[:middle])
        self._deliver(delivery, places[middle:])

    def _post(self, changes: Sequence[Change]) -> list[WriteResult]:
        with _nothing_written():
            stored = self._shelf.rows([name for change in changes if (name := _name_of(change)) is not None])
        remarks = Remarks(self._table)
        prepared = [self._prepare(change, stored, remarks) for change in changes]
        rows = [each for each in prepared if isinstance(each, dict)]
        if not rows:
            return [each for each in prepared if isinstance(each, WriteResult)]
        remarks.tell()
        told = iter(self._results(rows, self._send(rows, changes)))
        return [each if isinstance(each, WriteResult) else next(told) for each in prepared]

    def _prepare(self, change: Change, stored: Mapping[str, bytes], remarks: Remarks) -> Row | WriteResult:
        """The row to send for a change, or what becomes of it without being sent."""
        try:
            if change.operation is Operation.CREATE:
                sku = sku_of(change.values)
                if sku in stored:
                    message = f"VeeKaart has a row of the SKU {sku} already; a new one would overwrite it."
                    raise RecordRejected([FieldProblem("sku", "duplicate", message, sku[:80])])
                return _checked(row_of(self._table, sku, change.values, None, remarks))
            if not change.remote_id or change.remote_id not in stored:
                return WriteResult(Outcome.MISSING, change.remote_id)
            keep_sku(change.values, change.remote_id)
            if not change.values:
                return WriteResult(Outcome.DONE, change.remote_id)
            known = record_of(stored[change.remote_id])
            return _checked(row_of(self._table, change.remote_id, change.values, known, remarks))
        except RecordRejected as refused:
            return WriteResult(Outcome.REJECTED, change.remote_id, problems=refused.problems)

    def _send(self, rows: Sequence[Row], changes: Sequence[Change]) -> Answer:
        """The post of these rows. Its key is the same whenever the same changes send the same rows."""
        keys = "\n".join(change.idempotency_key for change in changes)
        key = hashlib.sha256(f"{self._table}\n{keys}\n".encode() + encode(rows)).hexdigest()
        return self._store.post(self._table, rows, key=key, judged=_judge_post)

    def _results(self, rows: Sequence[Row], answer: Answer) -> list[WriteResult]:
        """One result for each row that was sent. Raises ProtocolError for an answer that does not say so."""
        told = _told(answer)
        found: dict[int, WriteResult] = {}
        for each in told if isinstance(told, list) else ():
            index = each.get("index") if isinstance(each, dict) else None
            if isinstance(index, int) and 0 <= index < len(rows):
                found[index] = _result(each, RemoteId(rows[index]["sku"]), answer)
        if len(found) != len(rows):
            raise ProtocolError(
                f"VeeKaart was sent {len(rows)} rows of {self._table} and tells the result of {len(found)}.",
                maybe_done=True,
            )
        return [found[index] for index in range(len(rows))]

    # -- the observed profile ------------------------------------------------------------------------------------------

    def _count_posted(self, changes: Sequence[Change]) -> list[WriteResult]:
        """Raises RecordRejected when not all were taken: of one row it is the reason, of several nobody knows which."""
        remarks = Remarks(self._table)
        rows = [self._observed(change, remarks) for change in changes]
        remarks.tell()
        answer = self._send(rows, changes)
        data = decode_reply(answer).get("data")
        taken = data.get("synced_count") if isinstance(data, dict) else None
        if not isinstance(taken, int):
            raise ProtocolError(f"VeeKaart answered POST /{self._table} without a synced_count.", maybe_done=True)
        if taken < len(rows):
            message = "The store did not take the row, and its profile does not say why."
            raise RecordRejected([FieldProblem("", "refused", message)])
        return [WriteResult(Outcome.DONE, RemoteId(row["sku"])) for row in rows]

    def _observed(self, change: Change, remarks: Remarks) -> Row:
        if change.remote_id is not None:
            keep_sku(change.values, change.remote_id)
        sku = change.remote_id or sku_of(change.values)
        row = row_of(self._table, sku, change.values, None, remarks)
        if "external_id" in row:  # its word for the sender's own id
            row["id"] = row.pop("external_id")
        return _checked(row)


def _rounds(changes: Sequence[Change]) -> list[list[int]]:
    """Places of changes that go in one post: of one SKU the store would take the last row only."""
    rounds: list[list[int]] = []
    met: dict[str, int] = {}
    for place, change in enumerate(changes):
        name = _name_of(change)
        number = met.get(name, 0) if name is not None else 0
        if name is not None:
            met[name] = number + 1
        if number == len(rounds):
            rounds.append([])
        rounds[number].append(place)
    return rounds


def _name_of(change: Change) -> str | None:
    """The SKU a change is about; None for a new row without one."""
    if change.remote_id is not None:
        return change.remote_id
    try:
        return sku_of(change.values)
    except RecordRejected:
        return None


def _judge_post(answer: Answer) -> ErpflowError | None:
    """A post of which no row was taken (422) is refused and carries its results all the same."""
    if answer.status != 422:
        return judge(answer)
    try:
        return None if _told(answer) is not None else judge(answer)
    except ProtocolError as error:
        return error


def _told(answer: Answer) -> Any:
    """The results in an answer: under `data`, or of a refused post (the contract does not say where) in `details`."""
    body = decode_reply(answer)
    error = body.get("error")
    for part in (body.get("data"), error.get("details") if isinstance(error, dict) else None):
        if isinstance(part, dict) and "results" in part:
            return part["results"]
    return None


def _result(told: Mapping[str, Any], sku: RemoteId, answer: Answer) -> WriteResult:
    word, error = told.get("result"), told.get("error")
    if word in _DONE:
        return WriteResult(Outcome.DONE, sku)
    if word == _STALE:
        return WriteResult(Outcome.STALE, sku)
    if word != _ERROR or not isinstance(error, dict):
        raise ProtocolError(f"VeeKaart answered {answer.path} with an unknown result {word!r}.", maybe_done=True)
    if is_passing(error):
        return WriteResult(Outcome.NOT_SENT, sku)
    return WriteResult(Outcome.REJECTED, sku, problems=(problem_of(error),))


def _checked(row: Row) -> Row:
    """Raises RecordRejected for what JSON cannot carry: half a surrogate pair, an object of no known type."""
    try:
        encode(row)
    except (TypeError, ValueError) as error:
        raise RecordRejected([FieldProblem("", "type", f"A value cannot be sent as JSON: {error}")]) from None
    return row
