"""A VeeKaart store on the wire: its key, its lists and single rows, its bulk posts, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, TypeVar
from urllib.parse import quote

import msgspec
import requests
from requests.auth import AuthBase

from erpflow.connectors.answer import Answer, Judge, excerpt
from erpflow.connectors.base import RawRecord
from erpflow.connectors.redaction import MASK
from erpflow.connectors.signing import header_safe
from erpflow.connectors.transport import Retries, Transport
from erpflow.connectors.veekaart_errors import UNREADABLE, judge, refusal
from erpflow.errors import ErpflowError, ProtocolError

OBSERVED_PREFIX: Final = "/api/sync"
"""Where the profile lives that was seen at work: three posts without a key, and no reads."""

LARGEST_PAGE: Final = 200
T = TypeVar("T")


class Head(msgspec.Struct, gc=False):
    """What names and dates a row."""

    sku: str
    updated_at: str


class _Items(msgspec.Struct):
    items: list[msgspec.Raw]
    next_cursor: str | None = None


class _Listed(msgspec.Struct):
    data: _Items


class _Single(msgspec.Struct):
    data: msgspec.Raw


class _About(msgspec.Struct):
    store_id: str = ""
    store_name: str = ""


class _Pong(msgspec.Struct):
    data: _About


PONG: Final = msgspec.json.Decoder(_Pong)
_LISTED: Final = msgspec.json.Decoder(_Listed)
_SINGLE: Final = msgspec.json.Decoder(_Single)
_HEAD: Final = msgspec.json.Decoder(Head)
_RECORD: Final = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)
_ANY: Final = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)


class ApiKeyAuth(AuthBase):
    """`Authorization: Bearer <api key>`. Without a key nothing is sent."""

    def __init__(self, key: str | None) -> None:
        self._key = header_safe(key, what="API key", spaces="")

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be read by anybody: the transport masks it."""
        return (self._key,) if self._key else ()

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._key:
            request.headers["Authorization"] = f"Bearer {self._key}"
        return request

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ApiKeyAuth) and self.secrets == other.secrets

    def __hash__(self) -> int:
        return hash(self.secrets)

    def __repr__(self) -> str:
        return f"ApiKeyAuth({MASK})"


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of a list as it was answered, with the bytes, the SKU and the time of every row."""

    answer: Answer
    rows: list[RawRecord]
    heads: list[Head]
    cursor: str | None


class Store:
    """One store. Tables go by its own names: products, inventory, pricing."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @property
    def is_observed(self) -> bool:
        """Whether it speaks the profile that was observed, which cannot be read."""
        return self._transport.base_url.endswith(OBSERVED_PREFIX)

    def ask(
        self,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        retries: Retries | None = None,
        judged: Judge = judge,
    ) -> Answer:
        """A question. Raises what `judged` returns, and what `Transport.request` raises."""
        return self._transport.request("GET", path, query=query, judge=judged, retries=retries)

    def listing(self, table: str, *, limit: int, since: datetime | None, cursor: str | None) -> Listing:
        """One page of a table by the time of change, from `since` on, or behind a cursor.

        Raises ProtocolError for an answer that is no list.
        """
        query = {"limit": str(limit)}
        if since is not None:
            query["updated_since"] = wire_time(since)
        if cursor is not None:
            query["cursor"] = cursor
        answer = self.ask(f"/{table}", query=query)
        found = decode(answer, _LISTED).data
        return Listing(answer, found.items, [head_of(row) for row in found.items], found.next_cursor)

    def row(self, table: str, sku: str) -> bytes | None:
        """One row as the store gives it; None when it has none. Raises ProtocolError."""
        answer = self.ask(f"/{table}/{quote(sku, safe='')}", judged=_judge_single)
        if answer.status == 404:
            return None
        row = bytes(decode(answer, _SINGLE).data)
        if head_of(row).sku != sku:
            raise ProtocolError(f"VeeKaart was asked for the SKU {sku!r} and sent another row: {excerpt(row)}")
        return row

    def post(self, table: str, rows: Sequence[dict[str, Any]], *, key: str, judged: Judge) -> Answer:
        """A bulk post. It may be sent again: the store answers to a key it knows as it did the first time, and a row
        that is sent twice does what once does.
        """
        return self._transport.request(
            "POST",
            f"/{table}",
            body=encode({table: rows}),
            headers={"Content-Type": "application/json", "Idempotency-Key": key},
            judge=judged,
            idempotent=True,
        )


def _judge_single(answer: Answer) -> ErpflowError | None:
    """A row that is not there is an answer, if it is the store that says so."""
    said = refusal(answer.body) if answer.status == 404 else None
    return None if said is not None and said.code == "not_found" else judge(answer)


encode = msgspec.json.Encoder(decimal_format="number").encode
"""JSON with numbers of exactly their digits."""


def decode(answer: Answer, decoder: msgspec.json.Decoder[T]) -> T:
    """The answer in its promised shape. Raises ProtocolError with the beginning of what came instead."""
    try:
        return decoder.decode(answer.body)
    except UNREADABLE as error:
        raise ProtocolError(
            f"VeeKaart's answer to {answer.method} {answer.path} is not what its API promises ({_why(error)}). "
            f"It begins: {excerpt(answer.body)}"
        ) from None


def decode_reply(answer: Answer) -> dict[str, Any]:
    """The answer to a post. Raises ProtocolError for one that does not tell whether it was done."""
    try:
        return decode(answer, _ANY)
    except ProtocolError as error:
        error.maybe_done = True
        raise


def head_of(row: bytes | RawRecord) -> Head:
    """What names and dates a row. Raises ProtocolError for a row without."""
    try:
        return _HEAD.decode(row)
    except UNREADABLE as error:
        raise ProtocolError(
            f"A row of VeeKaart does not say its sku and updated_at ({_why(error)}). It begins: {excerpt(bytes(row))}"
        ) from None


def record_of(row: bytes | RawRecord) -> dict[str, Any]:
    """A row, its numbers with a point as Decimal. Raises ProtocolError when it is none."""
    try:
        return _RECORD.decode(row)
    except UNREADABLE as error:
        raise ProtocolError(
            f"A row of VeeKaart is no object ({_why(error)}). It begins: {excerpt(bytes(row))}"
        ) from None


def page_bytes(rows: Sequence[bytes | RawRecord]) -> bytes:
    """A page as it lands, in the form of the store's lists."""
    return b"".join((b'{"success":true,"data":{"items":[', b",".join(map(bytes, rows)), b"]}}"))


def rows_of_page(raw: bytes, *, entity: str) -> list[RawRecord]:
    """The records of a landed page, undecoded. Raises ProtocolError when it is none."""
    try:
        return _LISTED.decode(raw).data.items
    except UNREADABLE as error:
        raise ProtocolError(
            f"The landed page of {entity} is not a JSON page with a list under `data.items` ({_why(error)}). "
            f"It begins: {excerpt(raw)}"
        ) from None


def to_instant(text: str) -> datetime | None:
    """A time of the store, which always has an offset, in UTC; None when it is none."""
    try:
        found = datetime.fromisoformat(text)
        return None if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def wire_time(moment: datetime) -> str:
    """A time as the store takes it."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _why(error: Exception) -> str:
    return "nested too deep" if isinstance(error, RecursionError) else str(error)
