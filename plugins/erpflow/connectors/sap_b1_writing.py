"""Writing records of one entity set: creates, updates, deletes; several in one `$batch`, each with its own outcome."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import msgspec

from erpflow.connectors.answer import Answer, excerpt
from erpflow.connectors.base import Change, Outcome, WriteResult
from erpflow.connectors.delivery import Delivery
from erpflow.connectors.sap_b1_batch import Operation as Sent
from erpflow.connectors.sap_b1_entities import Collection
from erpflow.connectors.sap_b1_finding import listings_of
from erpflow.connectors.sap_b1_layer import REPLACE_LINES, Layer
from erpflow.connectors.sap_b1_records import CONTACT, HEAD, MODIFIED
from erpflow.connectors.sap_b1_refusals import is_missing, judge_write, may_wait_for_approval
from erpflow.connectors.sap_b1_text import equals, resource
from erpflow.errors import ErpflowError, FieldProblem, ProtocolError, RecordRejected, StaleVersion, VendorUnavailable
from erpflow.vocabulary import Operation, RemoteId

_SET_BY_VENDOR: Final = frozenset({MODIFIED, CONTACT, "odata.etag", "@odata.etag", "UpdateDate", "UpdateTime"})
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")


@contextmanager
def nothing_written() -> Iterator[None]:
    """A question among the writes: what it raises says of no write that it may be done."""
    try:
        yield
    except (VendorUnavailable, ProtocolError) as error:
        error.maybe_done = False
        raise


class Writer:
    """Sends changes to one entity set, and says what became of each."""

    def __init__(self, layer: Layer, collection: Collection) -> None:
        self._layer = layer
        self._collection = collection

    def write(self, changes: Sequence[Change]) -> list[WriteResult]:
        """One result for each change, in their order. See `SupportsWrites.write`."""
        if not changes:
            return []
        delivery = Delivery(changes)
        with nothing_written():
            self._layer.sign_in()
            outdated = self._outdated(changes)
        waiting: list[tuple[int, Sent]] = []
        for place, change in enumerate(changes):
            sent = prepared(delivery, place, change, partial(self._operation, outdated=outdated))
            if sent is not None:
                waiting.append((place, sent))
        deliver(self._layer, delivery, waiting, self._result)
        return delivery.results()

    def _operation(self, change: Change, *, outdated: frozenset[RemoteId]) -> Sent | WriteResult:
        """What is sent for a change, or its result when nothing is. Raises RecordRejected or StaleVersion."""
        key = self._collection.listed.key
        if change.operation is Operation.CREATE:
            values = {
                **self._collection.presets,
                **without_vendors_own(change.values, {key.name} if key.number else set()),
            }
            return Sent("POST", self._collection.name, encoded(values))
        if change.remote_id is None or not key.fits(change.remote_id):
            return WriteResult(Outcome.MISSING, change.remote_id)
        if change.remote_id in outdated:
            raise StaleVersion(
                f"{self._collection.name} {change.remote_id} is not the one of {change.version} any more."
            )
        path = resource(self._collection.name, key, change.remote_id)
        headers: Mapping[str, str] = _if_match(change.version)
        if change.operation is Operation.DELETE:
            return Sent("DELETE", path, headers=headers)
        changed = self._changed(change, change.remote_id)
        if not changed:  # a save without a change moves UpdateTime all the same
            return WriteResult(Outcome.DONE, change.remote_id)
        if self._collection.whole in changed:
            headers = {**headers, **REPLACE_LINES}
        return Sent("PATCH", path, encoded(changed), headers)

    def _changed(self, change: Change, name: RemoteId) -> Mapping[str, Any]:
        """The fields of an update.

        Raises RecordRejected for another key, which the vendor would silently not take, and for rows that do not say
        which they are, which it would append.
        """
        key = self._collection.listed.key.name
        wanted = change.values.get(key, name)
        if str(wanted) != name:
            message = f"The vendor keeps the {key} of a record for good; make a new one in place of {name}."
            raise RecordRejected([FieldProblem(key, "readonly", message, str(wanted)[:80])])
        values = without_vendors_own(change.values, {key})
        for field, ids in self._collection.rows.items():
            rows = values.get(field)
            if field != self._collection.whole and isinstance(rows, Sequence):
                for place, row in enumerate(rows):
                    if not all(row.get(each) is not None for each in ids):
                        message = f"A row of {field} without {' and '.join(ids)} would be added as a new one."
                        raise RecordRejected([FieldProblem(f"{field}[{place}].{ids[0]}", "required", message)])
        return values

    def _outdated(self, changes: Sequence[Change]) -> frozenset[RemoteId]:
        """Of the changes whose version has no ETag (older than 10.0 FP 2102): those whose record has moved on.

        Compared as shortly before as we can; a change in the milliseconds between is overwritten.
        """
        versions = {change.remote_id: change.version for change in changes if change.remote_id and _untagged(change)}
        if not versions:
            return frozenset()
        key, moved = self._collection.listed.key, set()
        fields = (key.name, "UpdateDate", "UpdateTime")
        for listing in listings_of(self._layer, self._collection, list(versions), fields=fields):
            for head in listing.heads:
                name = RemoteId(key.of(head))
                if head.stamp is not None and head.stamp != versions.get(name):
                    moved.add(name)
        return frozenset(moved)

    def _result(self, change: Change, answer: Answer) -> WriteResult:
        """What one answer means. Raises what is the outcome of the change instead."""
        error = judge_write(answer)
        if error is None:
            return self._done(change, answer)
        if change.operation is not Operation.CREATE and is_missing(answer):
            return WriteResult(Outcome.MISSING, change.remote_id)
        if change.operation is Operation.CREATE and may_wait_for_approval(answer):
            self._look_for_draft(change)
        raise error

    def _done(self, change: Change, answer: Answer) -> WriteResult:
        if change.operation is not Operation.CREATE:
            return WriteResult(Outcome.DONE, change.remote_id)
        try:
            name = self._collection.listed.key.of(HEAD.decode(answer.body))
        except (msgspec.DecodeError, ProtocolError, RecursionError, UnicodeDecodeError):
            raise ProtocolError(
                f"SAP Business One's answer to a new {self._collection.name} holds no "
                f"{self._collection.listed.key.name}. It begins: {excerpt(answer.body)}",
                maybe_done=True,
            ) from None
        return WriteResult(Outcome.DONE, RemoteId(name))

    def _look_for_draft(self, change: Change) -> None:
        """Raises RecordRejected when the new document is a draft that waits for somebody's approval."""
        number = self._collection.own_number
        ours = change.values.get(number) if number else None
        if number is None or not ours:
            return
        partner = change.values.get("CardCode")
        only = f"{equals(number, ours)} and {equals('CardCode', partner)}"
        with nothing_written():
            drafts = self._layer.listing("Drafts", fields=("DocEntry", number), only=only, order="DocEntry")
        if drafts.heads:
            message = (
                f"It waits for approval as draft {drafts.heads[-1].doc_entry}. Approve or delete the draft in Business "
                "One; an approved one comes with the next sync."
            )
            raise RecordRejected([FieldProblem("", "approval", message)])


def deliver(
    layer: Layer,
    delivery: Delivery,
    waiting: Sequence[tuple[int, Sent]],
    result: Callable[[Change, Answer], WriteResult],
) -> None:
    """Sends operations in batches, until all were answered or the delivery has stopped.

    A batch ends at its first failure, so what stands behind that one is sent again, and nothing else.
    """
    left = list(waiting)
    while left:
        answers = delivery.carry([place for place, _ in left], partial(layer.tell, [sent for _, sent in left]))
        if not answers:
            return
        for (place, _), answer in zip(left, answers, strict=False):
            delivery.attempt([place], partial(_judged, result, answer))
        left = left[len(answers) :]


def _judged(
    result: Callable[[Change, Answer], WriteResult], answer: Answer, batch: Sequence[Change]
) -> Sequence[WriteResult]:
    return [result(batch[0], answer)]


def encoded(values: Mapping[str, Any]) -> bytes:
    """Raises RecordRejected for what JSON cannot carry: half a surrogate pair, an object of no known type."""
    try:
        return _ENCODER.encode(values)
    except (TypeError, ValueError) as error:
        raise RecordRejected([FieldProblem("", "type", f"A value cannot be sent as JSON: {error}")]) from None


def prepared(
    delivery: Delivery, place: int, change: Change, prepare: Callable[[Change], Sent | WriteResult]
) -> Sent | None:
    """What is to be sent for one change; None when its outcome is known without."""
    try:
        made = prepare(change)
    except (RecordRejected, StaleVersion) as error:
        settle(delivery, place, error)
        return None
    if isinstance(made, WriteResult):
        settle(delivery, place, made)
        return None
    return made


def settle(delivery: Delivery, place: int, outcome: WriteResult | ErpflowError) -> None:
    """The outcome of a change that nothing was sent for."""

    def told(batch: Sequence[Change]) -> Sequence[WriteResult]:
        if isinstance(outcome, ErpflowError):
            raise outcome
        return [outcome]

    delivery.attempt([place], told)


def without_vendors_own(values: Mapping[str, Any], also: set[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in _SET_BY_VENDOR and name not in also}


def _if_match(version: str | None) -> dict[str, str]:
    etag = (version or "").partition(" ")[2]
    return {"If-Match": etag} if etag and etag.isascii() and etag.isprintable() else {}


def _untagged(change: Change) -> bool:
    return change.version is not None and not _if_match(change.version)
