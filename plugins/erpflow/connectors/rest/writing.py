"""Writes of a declared system: one request for each record, or one for many with an outcome for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from erpflow.connectors.answer import excerpt
from erpflow.connectors.base import Change, Outcome, WriteResult
from erpflow.connectors.delivery import Delivery
from erpflow.connectors.rest.answers import Purpose, RecordMissing, judge_item
from erpflow.connectors.rest.asking import Asking
from erpflow.connectors.rest.expressions import encode, search, text_at
from erpflow.connectors.rest.fill import NoSuchNumber
from erpflow.connectors.rest.model import Entity, Write
from erpflow.errors import FieldProblem, ProtocolError, RecordRejected, StaleVersion
from erpflow.vocabulary import Operation, RemoteId


class Writer:
    """Writes the records of one entity."""

    def __init__(self, asking: Asking, entity: Entity) -> None:
        self._asking = asking
        self._writes = entity.writes()
        self._zone = asking.declaration.times.zone

    def write(self, changes: Sequence[Change]) -> list[WriteResult]:
        """See `SupportsWrites`. Neighbouring creates go together where the system takes many."""
        delivery = Delivery(changes)
        for places in self._batches(changes):
            if len(places) == 1 and not self._is_bulk(changes[places[0]]):
                delivery.attempt(places, lambda batch: [self._sent(batch[0])])
            elif not delivery.attempt(places, self._sent_together):
                self._in_parts(delivery, places)
        return delivery.results()

    def _is_bulk(self, change: Change) -> bool:
        write = self._writes.get(change.operation)
        return write is not None and write.bulk > 1

    def _in_parts(self, delivery: Delivery, places: list[int]) -> None:
        """A bulk that was refused as a whole is halved until what is bad stands alone."""
        middle = len(places) // 2
        for part in (places[:middle], places[middle:]):
            if not delivery.attempt(part, self._sent_together):
                self._in_parts(delivery, part)

    def _batches(self, changes: Sequence[Change]) -> list[list[int]]:
        batches: list[list[int]] = []
        for place, change in enumerate(changes):
            write = self._writes.get(change.operation)
            before = batches[-1] if batches else []
            joins = write is not None and write.bulk > 1 and before and len(before) < write.bulk
            if joins and changes[before[0]].operation is change.operation:
                before.append(place)
            else:
                batches.append([place])
        return batches

    def _write(self, operation: Operation) -> Write:
        try:
            return self._writes[operation]
        except KeyError:
            problem = FieldProblem(
                "", "permission", f"The connector's file declares no {operation.value} of this entity."
            )
            raise RecordRejected([problem]) from None

    def _sent(self, change: Change) -> WriteResult:
        """One change in one request."""
        write = self._write(change.operation)
        values = {
            "id": change.remote_id,
            "record": dict(change.values),
            "version": change.version,
            "idempotency_key": change.idempotency_key,
        }
        purpose = Purpose(writes=True, of_record=change.operation is not Operation.CREATE)
        try:
            answer = self._asking.ask(write, values, purpose=purpose)
        except (RecordMissing, NoSuchNumber):
            return WriteResult(Outcome.MISSING, change.remote_id)
        data = self._asking.data(answer, maybe_done=True)
        return self._done(write, change, data, answer.body)

    def _sent_together(self, changes: Sequence[Change]) -> list[WriteResult]:
        """Many changes in one request."""
        write = self._write(changes[0].operation)
        records = [dict(change.values) for change in changes]
        answer = self._asking.ask(write, {"records": records}, purpose=Purpose(writes=True))
        items = search(write.results or "@", self._asking.data(answer, maybe_done=True))
        if not isinstance(items, list) or len(items) != len(changes):
            raise ProtocolError(
                f"{answer.method} {answer.path} was sent {len(changes)} records and does not say what became of "
                f"each. The answer begins: {excerpt(answer.body)}",
                maybe_done=True,
            )
        return [self._told(write, change, item) for change, item in zip(changes, items, strict=True)]

    def _told(self, write: Write, change: Change, item: Any) -> WriteResult:
        """What a bulk says of one change."""
        error = judge_item(write.errors, item)
        if error is None:
            return self._done(write, change, item, encode(item))
        if isinstance(error, RecordRejected):
            return WriteResult(Outcome.REJECTED, change.remote_id, problems=error.problems)
        if isinstance(error, StaleVersion):
            return WriteResult(Outcome.STALE, change.remote_id)
        if isinstance(error, RecordMissing):
            return WriteResult(Outcome.MISSING, change.remote_id)
        return WriteResult(Outcome.NOT_SENT, change.remote_id)

    def _done(self, write: Write, change: Change, data: Any, body: bytes) -> WriteResult:
        identity = change.remote_id
        if identity is None:
            found = text_at(write.id or "@", data)
            if found is None:
                raise ProtocolError(
                    f"The answer to a create has no id at `{write.id}`. It begins: {excerpt(body)}", maybe_done=True
                )
            identity = RemoteId(found)
        record = search(write.record, data) if write.record else None
        told = encode(record) if isinstance(record, dict) else None
        return WriteResult(Outcome.DONE, identity, record=told, zone=self._zone)
