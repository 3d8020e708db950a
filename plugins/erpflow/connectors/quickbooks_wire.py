"""The shapes of QuickBooks' answers, and records as they land: undecoded, their lines made fit to be told apart."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final, TypeVar

import msgspec

from erpflow.connectors.answer import Answer, excerpt
from erpflow.connectors.base import RawRecord
from erpflow.errors import ProtocolError
from erpflow.vocabulary import VendorRecord

T = TypeVar("T")
UNREADABLE: Final = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
GONE: Final = "Deleted"
_SUBTOTAL: Final = "SubTotalLineDetail"


class Times(msgspec.Struct, gc=False):
    LastUpdatedTime: str


class Head(msgspec.Struct, gc=False):
    """What paging and writing need of a record; the rest of it is skipped over, not decoded."""

    Id: str
    MetaData: Times
    SyncToken: str = ""
    status: str | None = None


class _Response(msgspec.Struct):
    QueryResponse: dict[str, msgspec.Raw]


class _Captured(msgspec.Struct):
    QueryResponse: list[dict[str, msgspec.Raw]]


class _Capture(msgspec.Struct):
    CDCResponse: list[_Captured]


class _Line(msgspec.Struct, gc=False):
    DetailType: str = ""
    LineNum: int | None = None


RESPONSE: Final = msgspec.json.Decoder(_Response)
CAPTURE: Final = msgspec.json.Decoder(_Capture)
ENVELOPE: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_HEAD: Final = msgspec.json.Decoder(Head)
_RAWS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_COUNT: Final = msgspec.json.Decoder(int)
_FIELDS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LINE: Final = msgspec.json.Decoder(_Line)
_RECORD: Final = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)
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
            f"QuickBooks' answer to {answer.method} {answer.path} is not what its API promises ({_why(error)}). "
            f"It begins: {excerpt(answer.body)}"
        ) from None


def rows_of(answer: Answer, remote: str) -> list[bytes]:
    """The records of a query; where there are none the answer does not name the entity at all."""
    found = decode(answer, RESPONSE).QueryResponse
    return _raws(answer, found[remote]) if remote in found else []


def count_of(answer: Answer) -> int:
    """What `select count(*)` came to."""
    found = decode(answer, RESPONSE).QueryResponse
    try:
        return _COUNT.decode(found["totalCount"])
    except (KeyError, *UNREADABLE):
        raise ProtocolError(f"{answer.path} did not count. The answer begins: {excerpt(answer.body)}") from None


def changes_of(answer: Answer, remote: str) -> list[bytes]:
    """The records and the stubs of change data capture; what has no change is missing or empty."""
    captured = decode(answer, CAPTURE).CDCResponse
    return [
        row
        for each in captured
        for response in each.QueryResponse
        if remote in response
        for row in _raws(answer, response[remote])
    ]


def record_of(answer: Answer, remote: str) -> bytes:
    """The one record of an answer."""
    found = decode(answer, ENVELOPE)
    if remote not in found:
        raise ProtocolError(f"{answer.path} was answered without a {remote}. It begins: {excerpt(answer.body)}")
    return bytes(found[remote])


def head_of(row: bytes) -> Head:
    """Raises ProtocolError for a record without an id or a time."""
    try:
        return _HEAD.decode(row)
    except UNREADABLE as error:
        raise ProtocolError(
            f"A record of QuickBooks has no id or no time ({_why(error)}). It begins: {excerpt(row)}"
        ) from None


def record(row: bytes) -> VendorRecord:
    """A record, decoded; its numbers with a point as Decimal."""
    try:
        return _RECORD.decode(row)
    except UNREADABLE as error:
        raise ProtocolError(
            f"A record of QuickBooks cannot be read ({_why(error)}). It begins: {excerpt(row)}"
        ) from None


def page_bytes(remote: str, rows: Sequence[bytes]) -> bytes:
    """A page as it lands: in the shape of a query's answer."""
    return b"".join((b'{"QueryResponse":{"', remote.encode(), b'":[', b",".join(rows), b"]}}"))


def rows_of_page(entity: str, remote: str, raw: bytes) -> list[bytes]:
    """The rows of a landed page. Raises ProtocolError when it is none."""
    try:
        found = RESPONSE.decode(raw).QueryResponse
        return [bytes(row) for row in _RAWS.decode(found[remote])] if remote in found else []
    except UNREADABLE as error:
        raise ProtocolError(
            f"The landed page of {entity} is not a JSON page of QuickBooks ({_why(error)}). It begins: {excerpt(raw)}"
        ) from None


def with_line_numbers(row: bytes) -> RawRecord:
    """A sales document without the sum that the vendor puts below its lines, each line with a number of its own.

    The sum and a discount come without `LineNum` and `Id`. Deterministic: the same record gives the same bytes.
    """
    try:
        fields = _FIELDS.decode(row)
        lines = [bytes(line) for line in _RAWS.decode(fields["Line"])] if "Line" in fields else []
        shapes = [_LINE.decode(line) for line in lines]
    except UNREADABLE:
        return RawRecord(row)  # lines of another shape: the mapping says what is wrong with them
    if all(shape.LineNum is not None for shape in shapes):
        return RawRecord(row)
    last = max((shape.LineNum or 0 for shape in shapes), default=0)
    numbered = []
    for line, shape in zip(lines, shapes, strict=True):
        if shape.LineNum is None and shape.DetailType == _SUBTOTAL:
            continue
        if shape.LineNum is None:
            last += 1
            line = b'{"LineNum":%d,' % last + line.lstrip()[1:]
        numbered.append(line)
    fields["Line"] = msgspec.Raw(b"[" + b",".join(numbered) + b"]")
    return RawRecord(_ENCODER.encode(fields))


def _raws(answer: Answer, raw: msgspec.Raw) -> list[bytes]:
    try:
        return [bytes(row) for row in _RAWS.decode(raw)]
    except UNREADABLE:
        raise ProtocolError(
            f"{answer.path} was answered with something that is no list of records. It begins: {excerpt(bytes(raw))}"
        ) from None


def _why(error: Exception) -> str:
    return "nested too deep" if isinstance(error, RecursionError) else str(error)
