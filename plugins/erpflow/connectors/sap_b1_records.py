"""The records of a Service Layer's answers, as bytes: identified and dated without being decoded whole.

Each gets the field `ModifiedAt`, `2026-11-25T14:03:11 W/"DA4B…"`: its stamp in server time, and behind a space its ETag
where the vendor gives one. It dates a record in one field, and is what an update is based on. `split` adds it, so pages
land as the vendor sent them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Final, TypeVar

import msgspec

from erpflow.connectors.answer import Answer, excerpt
from erpflow.connectors.base import RawRecord
from erpflow.connectors.sap_b1_time import stamp_of
from erpflow.errors import ProtocolError

T = TypeVar("T")
MODIFIED: Final = "ModifiedAt"
CONTACT: Final = "ContactKey"
"""The key of a contact person: its own number, a colon, and the code of the partner it belongs to."""

_UNREADABLE: Final = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)


class Head(msgspec.Struct, gc=False):
    """What reading needs of a row; the rest of it is skipped over."""

    card_code: str | None = msgspec.field(name="CardCode", default=None)
    item_code: str | None = msgspec.field(name="ItemCode", default=None)
    doc_entry: int | None = msgspec.field(name="DocEntry", default=None)
    day: str | None = msgspec.field(name="UpdateDate", default=None)
    time: str | None = msgspec.field(name="UpdateTime", default=None)
    etag_v1: str | None = msgspec.field(name="odata.etag", default=None)
    etag_v2: str | None = msgspec.field(name="@odata.etag", default=None)

    @property
    def key(self) -> str | int | None:
        """A document names its partner too, so its own number comes first."""
        return self.doc_entry if self.doc_entry is not None else self.item_code or self.card_code

    @property
    def etag(self) -> str | None:
        return self.etag_v1 or self.etag_v2

    @property
    def stamp(self) -> str | None:
        return stamp_of(self.day, self.time)

    @property
    def version(self) -> str:
        """Which state of which row this is."""
        return f"{self.key} {self.etag or ''}"

    @property
    def modified(self) -> str | None:
        """What `ModifiedAt` says; None of a row that was never updated."""
        return None if self.stamp is None else f"{self.stamp} {self.etag}" if self.etag else self.stamp


class _List(msgspec.Struct):
    value: list[msgspec.Raw]
    next_v1: str | None = msgspec.field(name="odata.nextLink", default=None)
    next_v2: str | None = msgspec.field(name="@odata.nextLink", default=None)


class _Contacts(msgspec.Struct):
    code: str = msgspec.field(name="CardCode")
    rows: list[msgspec.Raw] | None = msgspec.field(name="ContactEmployees", default=None)


class _Contact(msgspec.Struct):
    number: int = msgspec.field(name="InternalCode")


HEAD: Final = msgspec.json.Decoder(Head)
RECORD: Final = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)
_LIST: Final = msgspec.json.Decoder(_List)
_CONTACTS: Final = msgspec.json.Decoder(_Contacts)
_CONTACT: Final = msgspec.json.Decoder(_Contact)
_FIELDS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Listing:
    """A list as it was answered. Raises ProtocolError when it is none."""

    def __init__(self, answer: Answer) -> None:
        found = decode(answer, _LIST)
        self.answer = answer
        self.rows = [bytes(row) for row in found.value]
        self.heads = [_decoded(answer, row, HEAD) for row in self.rows]
        self.more = bool(found.next_v1 or found.next_v2)


def decode(answer: Answer, decoder: msgspec.json.Decoder[T]) -> T:
    """The answer in its promised shape. Raises ProtocolError with the beginning of what came instead."""
    return _decoded(answer, answer.body, decoder)


def page_bytes(rows: Iterable[bytes]) -> bytes:
    """Some rows as a page that `split` takes."""
    return b"".join((b'{"value":[', b",".join(rows), b"]}"))


def records_of_page(raw: bytes, *, entity: str) -> list[RawRecord]:
    """The records of a landed page, each with `ModifiedAt`. Raises ProtocolError when it is none."""
    try:
        return [msgspec.Raw(_dated(bytes(row), HEAD.decode(row))) for row in _LIST.decode(raw).value]
    except _UNREADABLE as error:
        raise ProtocolError(
            f"The landed page of {entity} is not a JSON page with a list under `value` ({_why(error)}). "
            f"It begins: {excerpt(raw)}"
        ) from None


def contacts_of(answer: Answer, partners: Sequence[bytes], *, only: frozenset[str] | None = None) -> list[bytes]:
    """The contact persons inside rows of business partners as records of their own; `only` those of these keys.

    Each gets its partner's code, its key, and the partner's update time and ETag: a contact is saved with its partner.
    Raises ProtocolError for a row that is no partner.
    """
    found: list[bytes] = []
    for partner in partners:
        inside, head = _decoded(answer, partner, _CONTACTS), _decoded(answer, partner, HEAD)
        for row in inside.rows or ():
            key = f"{_decoded(answer, bytes(row), _CONTACT).number}:{inside.code}"
            if only is None or key in only:
                fields = _decoded(answer, bytes(row), _FIELDS)
                times = {"UpdateDate": head.day, "UpdateTime": head.time, "@odata.etag": head.etag}
                found.append(msgspec.json.encode({**fields, CONTACT: key, "CardCode": inside.code, **times}))
    return found


def partner_of(contact: str) -> tuple[int, str] | None:
    """The number of a contact person and the code of its partner; None for what is no key of one."""
    number, colon, code = contact.partition(":")
    return (int(number), code) if colon and code and number.isascii() and number.isdigit() else None


def _dated(row: bytes, head: Head) -> bytes:
    inside = row.rstrip()[:-1]
    comma = b"" if inside.strip() == b"{" else b","
    return b"".join((inside, comma, msgspec.json.encode({MODIFIED: head.modified})[1:]))


def _decoded(answer: Answer, raw: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    try:
        return decoder.decode(raw)
    except _UNREADABLE as error:
        raise ProtocolError(
            f"SAP Business One's answer to {answer.method} {answer.path} is not what its API promises "
            f"({_why(error)}). It begins: {excerpt(raw)}"
        ) from None


def _why(error: Exception) -> str:
    return "nested too deep" if isinstance(error, RecursionError) else str(error)
