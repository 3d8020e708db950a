"""erpflow's connector for the sink: bulk writes of a hundred records, found and read again by the batch.

The sink does not check versions (`checks_version=False`), so the engine reads what it is about to update and compares:
most vendors need that, and it is the dearer way. What it makes carries our key in `origin`, and customers are met by
their e-mail address, so a batch of creates is looked for before it is sent. A batch is two requests either way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

import msgspec

from erpflow.connectors.base import (
    Change,
    CheckResult,
    Connector,
    ConnectorSpec,
    EntitySpec,
    Limits,
    Outcome,
    Page,
    PageToken,
    RawRecord,
    WriteResult,
)
from erpflow.connectors.delivery import Delivery
from erpflow.errors import ProtocolError
from erpflow.vocabulary import Operation, RemoteId, VendorRecord, Window

SYSTEM: Final = "bench_sink"
ENTITY: Final = "customer"
BULK: Final = 100
"""Records in one write."""

_METHODS: Final = {Operation.CREATE: "POST", Operation.UPDATE: "PATCH"}
_encode: Final = msgspec.json.Encoder(decimal_format="number").encode


class _Page(msgspec.Struct):
    data: list[msgspec.Raw]


class _Written(msgspec.Struct):
    id: str
    record: msgspec.Raw = msgspec.Raw()
    error: str | None = None


class _Results(msgspec.Struct):
    results: list[_Written]


class _Found(msgspec.Struct):
    found: list[list[str]]


class Sink(Connector):
    """Writes to the benchmark's sink."""

    spec: ClassVar[ConnectorSpec] = ConnectorSpec(
        system=SYSTEM,
        title="Benchmark sink",
        auth=(),
        entities={
            ENTITY: EntitySpec(
                remote="customers",
                key="id",
                modified="updated_at",
                page_size=1_000,
                bulk_size=BULK,
                writes=frozenset({Operation.CREATE, Operation.UPDATE}),
            )
        },
    )

    def check(self) -> CheckResult:
        return CheckResult(success=True, message="The sink takes what it is sent")

    def read(self, entity: str, window: Window, *, resume: PageToken | None = None) -> Iterator[Page]:
        raw = self._transport.request("GET", "/customers").body
        yield Page(raw, len(self.split(entity, raw)), None)

    def read_one(self, entity: str, remote_id: RemoteId) -> VendorRecord | None:
        found = self.split(entity, self.read_many(entity, [remote_id]).raw)
        return msgspec.json.decode(found[0]) if found else None

    def read_many(self, entity: str, remote_ids: Sequence[RemoteId]) -> Page:
        raw = self._post("/customers/read", {"ids": remote_ids})
        return Page(raw, len(self.split(entity, raw)), None)

    def find(self, entity: str, keys: Sequence[VendorRecord]) -> list[list[RemoteId]]:
        (field,) = {field for key in keys for field in key}
        raw = self._post("/customers/find", {"field": field, "values": [key[field] for key in keys]})
        return [[RemoteId(name) for name in names] for names in msgspec.json.decode(raw, type=_Found).found]

    def write(self, entity: str, changes: Sequence[Change]) -> list[WriteResult]:
        delivery = Delivery(changes)
        for operation in _METHODS:
            places = [place for place, change in enumerate(changes) if change.operation is operation]
            if places:
                delivery.attempt(places, self._send)
        return delivery.results()

    @classmethod
    def split(cls, entity: str, raw: bytes) -> list[RawRecord]:
        try:
            return msgspec.json.decode(raw, type=_Page).data
        except msgspec.DecodeError as error:
            raise ProtocolError(f"The landed page of {entity} is not a page of the sink: {error}") from None

    @classmethod
    def instant(cls, text: str, *, zone: str) -> datetime | None:
        try:
            return datetime.fromisoformat(text).astimezone(UTC)
        except ValueError:
            return None

    def _send(self, changes: Sequence[Change]) -> list[WriteResult]:
        body = _encode({"data": [_record(change) for change in changes]})
        answer = self._transport.request(_METHODS[changes[0].operation], "/customers", body=body)
        try:
            written = msgspec.json.decode(answer.body, type=_Results).results
        except msgspec.DecodeError as error:
            raise ProtocolError(f"The sink's answer cannot be read: {error}", maybe_done=True) from None
        return [
            WriteResult(
                Outcome.MISSING if each.error else Outcome.DONE,
                RemoteId(each.id),
                bytes(each.record) or None,
            )
            for each in written
        ]

    def _post(self, path: str, question: dict[str, Any]) -> bytes:
        return self._transport.request("POST", path, body=_encode(question), idempotent=True).body


def _record(change: Change) -> VendorRecord:
    return {**change.values, "id": change.remote_id} if change.remote_id is not None else change.values


def sink_connector(*, per_second: float | None, workers: int) -> type[Sink]:
    """The connector with other limits on its data sheet: requests a second for all workers, and how many workers."""

    class LimitedSink(Sink):
        """The sink within limits."""

        spec: ClassVar[ConnectorSpec] = replace(Sink.spec, limits=Limits(per_second=per_second, concurrent=workers))

    return LimitedSink
