"""The shapes of Zoho's answers, and records put together from them as bytes, without decoding more than needed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, TypeVar

import msgspec

from erpflow.connectors.answer import Answer, excerpt
from erpflow.connectors.base import RawRecord
from erpflow.errors import ProtocolError
from erpflow.vocabulary import VendorRecord

T = TypeVar("T")
UNREADABLE: Final = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
LINE_NUMBER: Final = "$line"
"""The place of a line among the lines of its document, from 1: Zoho keeps their order and does not number them."""


class Head(msgspec.Struct, gc=False):
    """What paging needs of a record. Times carry the organisation's offset."""

    id: str
    modified: str = msgspec.field(name="Modified_Time", default="")


class Info(msgspec.Struct):
    """What a list says about itself."""

    more_records: bool = False
    next_page_token: str | None = None


class _Heads(msgspec.Struct):
    data: list[Head]
    info: Info = msgspec.field(default_factory=Info)


class _Rows(msgspec.Struct):
    data: list[msgspec.Raw]


class _Documents(msgspec.Struct):
    data: list[dict[str, Any]]


class _Count(msgspec.Struct):
    count: str | int


HEADS: Final = msgspec.json.Decoder(_Heads)
COUNT: Final = msgspec.json.Decoder(_Count)
ROWS: Final = msgspec.json.Decoder(_Rows)
DOCUMENTS: Final = msgspec.json.Decoder(_Documents, float_hook=Decimal)
PARTS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LINES: Final = msgspec.json.Decoder(list[dict[str, msgspec.Raw]] | None)
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")


def encode(value: object) -> bytes:
    """JSON in which a Decimal is a number of exactly its digits. Raises TypeError or ValueError for what it is not."""
    return _ENCODER.encode(value)


def decode(answer: Answer, decoder: msgspec.json.Decoder[T]) -> T:
    """The answer in its promised shape. Raises ProtocolError with the beginning of what came instead."""
    try:
        return decoder.decode(answer.body)
    except UNREADABLE as error:
        raise ProtocolError(
            f"Zoho's answer to {answer.method} {answer.path} is not what its API promises ({_why(error)}). "
            f"It begins: {excerpt(answer.body)}"
        ) from None


def is_empty(answer: Answer) -> bool:
    """Whether an answer says that there is nothing (204), or nothing new (304): both have no body."""
    return answer.status in (204, 304)


def rows_of(answer: Answer) -> list[bytes]:
    """The records of an answer as the bytes they came in. Raises ProtocolError."""
    return [] if is_empty(answer) else [bytes(row) for row in decode(answer, ROWS).data]


def page_bytes(records: Sequence[bytes]) -> bytes:
    """A page as it lands."""
    return b"".join((b'{"data":[', b",".join(records), b"]}"))


def split_page(raw: bytes, *, entity: str, lines: str | None) -> list[RawRecord]:
    """The records of a landed page, their `lines` numbered. Raises ProtocolError when it is none."""
    try:
        rows = ROWS.decode(raw).data
        return rows if lines is None else [msgspec.Raw(numbered(bytes(row), lines)) for row in rows]
    except UNREADABLE as error:
        raise ProtocolError(
            f"The landed page of {entity} is not a JSON page with a list under `data` ({_why(error)}). "
            f"It begins: {excerpt(raw)}"
        ) from None


def numbered(record: bytes, lines: str) -> bytes:
    """A document whose lines say their place."""
    parts = PARTS.decode(record)
    if lines in parts:
        rows = _LINES.decode(parts[lines]) or []
        parts[lines] = msgspec.Raw(
            encode([{**row, LINE_NUMBER: msgspec.Raw(b"%d" % place)} for place, row in enumerate(rows, start=1)])
        )
    return encode(parts)


def with_numbered_lines(document: dict[str, Any], lines: str | None) -> VendorRecord:
    """The same for a decoded document."""
    rows = document.get(lines or "")
    if lines is None or not isinstance(rows, list):
        return document
    return {**document, lines: [{**row, LINE_NUMBER: place} for place, row in enumerate(rows, start=1)]}


def to_instant(text: str) -> datetime | None:
    """A time with its offset (`2024-05-02T10:11:12+02:00`, or a `Z`) as UTC; None when it is none."""
    try:
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC) if found.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def instant_of(head: Head, what: str) -> datetime:
    """When a record was modified. Raises ProtocolError for a record that does not say."""
    found = to_instant(head.modified)
    if found is None:
        raise ProtocolError(
            f"Zoho's {what} {head.id} has no Modified_Time with an offset, but {head.modified[:40]!r}. "
            "Its changes cannot be followed."
        )
    return found


def _why(error: Exception) -> str:
    return "nested too deep" if isinstance(error, RecursionError) else str(error)
