"""The shapes of Frappe's answers, and documents put together from them as bytes, without decoding them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal, TypeVar

import msgspec

from erpflow.connectors.answer import Answer, excerpt
from erpflow.connectors.base import RawRecord
from erpflow.connectors.erpnext_errors import error_body
from erpflow.connectors.erpnext_paging import Head
from erpflow.errors import ProtocolError
from erpflow.vocabulary import VendorRecord

T = TypeVar("T")
_UNREADABLE: Final = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)


class _HeadsInData(msgspec.Struct):
    found: list[Head] = msgspec.field(name="data")


class _HeadsInMessage(msgspec.Struct):
    found: list[Head] = msgspec.field(name="message")


class _RowsInData(msgspec.Struct):
    found: list[msgspec.Raw] = msgspec.field(name="data")


class _RowsInMessage(msgspec.Struct):
    found: list[msgspec.Raw] = msgspec.field(name="message")


class _ChildHead(msgspec.Struct, gc=False):
    parent: str


class _Document(msgspec.Struct):
    data: dict[str, Any]


class _Text(msgspec.Struct):
    message: str


class _TimeZone(msgspec.Struct):
    time_zone: str | None


class _SiteZone(msgspec.Struct):
    message: _TimeZone


TEXT: Final = msgspec.json.Decoder(_Text)
SITE_ZONE: Final = msgspec.json.Decoder(_SiteZone)
_DOCUMENT: Final = msgspec.json.Decoder(_Document, float_hook=Decimal)
_CHILD_HEAD: Final = msgspec.json.Decoder(_ChildHead)
_HEADS_IN_DATA: Final = msgspec.json.Decoder(_HeadsInData)
_HEADS_IN_MESSAGE: Final = msgspec.json.Decoder(_HeadsInMessage)
_ROWS_IN_DATA: Final = msgspec.json.Decoder(_RowsInData)
_ROWS_IN_MESSAGE: Final = msgspec.json.Decoder(_RowsInMessage)


@dataclass(frozen=True, slots=True)
class Listing:
    """A list as it was answered: `/api/resource` puts it under `data`, `frappe.client.get_list` under `message`."""

    answer: Answer
    under: Literal["data", "message"]

    @property
    def is_page(self) -> bool:
        """The answer can land as it is."""
        return self.under == "data"

    def heads(self) -> list[Head]:
        """The name and time of every row. Raises ProtocolError when the answer is not a list."""
        if self.under == "data":
            return decode(self.answer, _HEADS_IN_DATA).found
        return decode(self.answer, _HEADS_IN_MESSAGE).found

    def rows(self) -> list[bytes]:
        """Every row as the bytes it came in. Raises ProtocolError when the answer is not a list."""
        if self.under == "data":
            return [bytes(row) for row in decode(self.answer, _ROWS_IN_DATA).found]
        return [bytes(row) for row in decode(self.answer, _ROWS_IN_MESSAGE).found]

    def rows_by_parent(self, names: Sequence[str]) -> dict[str, list[bytes]]:
        """Child rows by the document they belong to, in the order they came.

        Raises ProtocolError for a row of a document that is not among `names`.
        """
        found: dict[str, list[bytes]] = {name: [] for name in names}
        spelled: dict[str, str] = {}
        for row in self.rows():
            parent = _parent_of(row, self.answer)
            if parent not in found:  # names match case-insensitively at the vendor
                spelled = spelled or {name.casefold(): name for name in names}
                parent = spelled.get(parent.casefold(), parent)
            if parent not in found:
                raise ProtocolError(
                    f"ERPNext sent a child row of {parent!r}, which was not asked for: it does not heed the filter."
                )
            found[parent].append(row)
        return found


def decode(answer: Answer, decoder: msgspec.json.Decoder[T]) -> T:
    """The answer in its promised shape. Raises ProtocolError with the beginning of what came instead."""
    try:
        return decoder.decode(answer.body)
    except _UNREADABLE as error:
        raise ProtocolError(
            f"ERPNext's answer to {answer.method} {answer.path} is not what its API promises ({_why(error)}). "
            f"It begins: {excerpt(answer.body)}"
        ) from None


def decode_document(answer: Answer) -> VendorRecord:
    """A whole document, its numbers with a point as Decimal. Raises ProtocolError when there is none."""
    return decode(answer, _DOCUMENT).data


def says_missing(answer: Answer) -> bool:
    """Whether it is Frappe that says so, and not a proxy that knows no such path."""
    body = error_body(answer.body)
    return answer.status == 404 and body is not None and body.exc_type == "DoesNotExistError"


def splice(
    documents: Sequence[bytes], names: Sequence[str], *, field: str, rows: Mapping[str, Sequence[bytes]]
) -> list[bytes]:
    """The documents with their child rows under `field`, as the single read of a document has them."""
    head = b',"' + field.encode() + b'":['
    return [
        b"".join((document[:-1], head, b",".join(rows[name]), b"]}"))
        for document, name in zip(documents, names, strict=True)
    ]


def page_bytes(documents: Sequence[bytes]) -> bytes:
    """A page as it lands."""
    return b"".join((b'{"data":[', b",".join(documents), b"]}"))


def rows_of_page(raw: bytes, *, entity: str) -> list[RawRecord]:
    """The records of a landed page, undecoded. Raises ProtocolError when it is none."""
    try:
        return _ROWS_IN_DATA.decode(raw).found
    except _UNREADABLE as error:
        raise ProtocolError(
            f"The landed page of {entity} is not a JSON page with a list under `data` ({_why(error)}). "
            f"It begins: {excerpt(raw)}"
        ) from None


def _parent_of(row: bytes, answer: Answer) -> str:
    try:
        return _CHILD_HEAD.decode(row).parent
    except _UNREADABLE as error:
        raise ProtocolError(
            f"A row of {answer.path} does not say which document it belongs to ({_why(error)}). "
            f"It begins: {excerpt(row)}"
        ) from None


def _why(error: Exception) -> str:
    return "nested too deep" if isinstance(error, RecursionError) else str(error)
