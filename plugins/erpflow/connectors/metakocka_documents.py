"""The sales documents: seven types of one search, each with its own way of saying what changed.

Source: metakocka/metakocka_api_base, docs/search_examples.md, documents_get_document_*.md; that offers refuse dates in
a search: matejmohar/metakocka-mcp, src/api.ts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import islice
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from erpflow.connectors.base import Page, PageToken, RawRecord
from erpflow.connectors.metakocka_company import Company, Reply
from erpflow.connectors.metakocka_errors import BAD_PARAMETER, BUSINESS_RULE, Refused
from erpflow.connectors.metakocka_paging import Position, Row, position_of, walk
from erpflow.connectors.metakocka_records import Record, document_of, split_rows
from erpflow.connectors.metakocka_wire import (
    UNREADABLE,
    ZONE,
    members_of,
    text_of,
    to_date,
    wire_date,
    wire_time,
)
from erpflow.errors import ConfigError, ProtocolError, suggestion
from erpflow.vocabulary import RemoteId, Window


class Changes(StrEnum):
    """How the changed documents of a type are found.

    `time`: by the time of their last change. `date`: by their own date alone, so that a span of older ones is read
    again. `all`: by nothing, so that all are read again.
    """

    TIME = "last_change"
    DATE = "doc_date"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class DocumentType:
    """One type of document. `sortable`: a search of it can be sorted, by mk_id."""

    changes: Changes
    sortable: bool = False


TYPES: Final[Mapping[str, DocumentType]] = {
    "sales_order": DocumentType(Changes.TIME, sortable=True),
    "sales_offer": DocumentType(Changes.ALL),
    # Whether bills take last_change_from too is UNVERIFIED; search_query_advance_discovery tells.
    "sales_bill_domestic": DocumentType(Changes.DATE),
    "sales_bill_foreign": DocumentType(Changes.DATE),
    "sales_bill_retail": DocumentType(Changes.DATE),
    "sales_bill_prepaid": DocumentType(Changes.DATE),
    "sales_bill_credit_note": DocumentType(Changes.DATE),
}
RESCAN: Final = timedelta(days=90)
"""How far back bills are read again for payments and changes of status, which nothing dates."""

MOST_ROWS: Final = 100
_DETAILS: Final = {"show_payment_detail": "true", "show_tax_factor": "true", "show_product_detail": "true"}
_SEVERAL: Final = 2
_OLDEST_YEAR: Final = 1970  # what a window asks for before that is everything


class _Group(msgspec.Struct):
    doc_type: str
    result: list[msgspec.Raw]


class _Landed(msgspec.Struct):
    documents: list[_Group]


_LANDED: Final = msgspec.json.Decoder(_Landed)


def id_of(doc_type: str, mk_id: str) -> RemoteId:
    """A document's id here: Metakocka wants to be told the type with every number."""
    return RemoteId(f"{doc_type}:{mk_id}")


def parts_of(remote_id: str) -> tuple[str, str] | None:
    """The type and the mk_id of a document; None when the id is none of ours."""
    doc_type, _, mk_id = remote_id.partition(":")
    return (doc_type, mk_id) if doc_type in TYPES and mk_id.isascii() and mk_id.isdigit() else None


def known_type(doc_type: object) -> str:
    """The type, when it is one of ours. Raises ConfigError with the nearest."""
    if doc_type not in TYPES:
        raise ConfigError(f"Metakocka has no sales document {doc_type!r}{suggestion(str(doc_type), TYPES)}")
    return str(doc_type)


# -- reading ---------------------------------------------------------------------------------------------------------


def read(company: Company, window: Window, *, resume: PageToken | None, limit: int) -> Iterator[Page]:
    """The documents that a window holds, and more: type by type, in the order of `TYPES`."""
    for rows in searched(company, window, resume=resume, limit=limit, rescan=RESCAN):
        raw = page_bytes({rows.doc_type: [row.raw for row in rows.rows]})
        yield Page(raw, len(rows.rows), rows.next, zone=ZONE, server_time=rows.server_time)


@dataclass(frozen=True, slots=True)
class Searched:
    """The rows of one search that are new, and where the read goes on; None at its end."""

    doc_type: str
    rows: Sequence[Row]
    next: PageToken | None
    server_time: datetime | None


def searched(
    company: Company, window: Window, *, resume: PageToken | None, limit: int, rescan: timedelta
) -> Iterator[Searched]:
    """What the searches of all types bring; one that brings nothing new is left out, unless it is the last."""
    names = list(TYPES)
    here = position_of(resume, parts=names)
    for doc_type in names[names.index(here.part) :]:
        at = here if doc_type == here.part else Position(doc_type)
        search = _Search(company, doc_type, filters_of(doc_type, window, rescan=rescan))
        for rows, following in walk(search.rows, at, limit=min(limit, MOST_ROWS)):
            after = following or _start_of_next(names, doc_type)
            if rows or after is None:
                yield Searched(doc_type, rows, after.token() if after else None, search.server_time)


def filters_of(doc_type: str, window: Window, *, rescan: timedelta) -> list[dict[str, str]]:
    """What of a type a window asks for; everything of it that could have changed in the window is in it."""
    changes, since, until = TYPES[doc_type].changes, window.since, window.until
    filters: list[dict[str, str]] = []
    if changes is Changes.TIME:
        if since is not None and since.year >= _OLDEST_YEAR:
            filters.append({"type": "last_change_from", "value": wire_time(since)})
        if until is not None:  # a second later: times are sent without their fraction
            filters.append({"type": "last_change_to", "value": wire_time(until + timedelta(seconds=1))})
    if changes is Changes.DATE and since is not None and since.year >= _OLDEST_YEAR:
        filters.append({"type": "doc_date_from", "value": wire_date(_day(since - rescan))})
    return filters


def read_one(company: Company, remote_id: RemoteId) -> Record | None:
    """One document, or None."""
    raw = fetched(company, remote_id)
    return None if raw is None else document_of(raw, doc_type=remote_id.partition(":")[0])


def read_many(company: Company, remote_ids: Sequence[RemoteId]) -> Page:
    """These documents as one page: a call for each, for a search cannot ask for ids."""
    found: dict[str, list[bytes]] = {}
    for remote_id in dict.fromkeys(remote_ids):
        raw = fetched(company, remote_id)
        if raw is not None:
            found.setdefault(remote_id.partition(":")[0], []).append(raw)
    return Page(page_bytes(found), sum(map(len, found.values())), None, zone=ZONE)


def fetched(company: Company, remote_id: str) -> bytes | None:
    """One document as Metakocka answers it, or None when there is none of that type and number."""
    parts = parts_of(remote_id)
    if parts is None:
        return None
    doc_type, mk_id = parts
    try:
        reply = company.ask("get_document", {"doc_type": doc_type, "doc_id": mk_id, **_DETAILS})
    except Refused as refused:
        if refused.code in (BAD_PARAMETER, BUSINESS_RULE):  # nothing else about this question can be wrong
            return None
        raise
    if reply.text("mk_id") != mk_id:
        raise ProtocolError(
            f"Metakocka was asked for the {doc_type} {mk_id} and sent {reply.text('mk_id') or 'one without a number'}."
        )
    return reply.body


def page_bytes(documents: Mapping[str, Sequence[bytes]]) -> bytes:
    """A page as it lands: documents by type, each in the bytes it came in."""
    groups = [
        b'{"doc_type":"' + doc_type.encode() + b'","result":[' + b",".join(rows) + b"]}"
        for doc_type, rows in documents.items()
    ]
    return b'{"documents":[' + b",".join(groups) + b"]}"


def split(raw: bytes) -> list[RawRecord]:
    """The documents of a landed page. Raises ProtocolError when it is none."""
    members_of(raw, what="The landed page of documents")
    try:
        groups = _LANDED.decode(raw).documents
    except UNREADABLE as error:
        raise ProtocolError(f"The landed page of documents is not one of this connector: {error}.") from None
    return [
        record
        for group in groups
        for record in split_rows(
            [bytes(row) for row in group.result], lambda row, kind=group.doc_type: document_of(row, doc_type=kind)
        )
    ]


# -- looking up ------------------------------------------------------------------------------------------------------


def find(company: Company, key: Mapping[str, Any]) -> list[RemoteId]:
    """At most two documents that hold these values. Raises ConfigError for a key that Metakocka cannot search by."""
    if "id" in key:
        found = [key["id"]] if isinstance(key["id"], str) else []
        records = (record for remote_id in found if (record := read_one(company, RemoteId(remote_id))) is not None)
    else:
        records = (record for doc_type in _types_for(key) for record in _candidates(company, doc_type, key))
    return [RemoteId(record["id"]) for record in islice((r for r in records if holds(r, key)), _SEVERAL)]


def holds(record: Mapping[str, Any], key: Mapping[str, Any]) -> bool:
    """Whether a record has exactly these values; a search also finds what merely resembles them."""
    return all(_same(_at(record, path), value) for path, value in key.items())


def _types_for(key: Mapping[str, Any]) -> list[str]:
    """The types a key can be looked up in. By the customer's own number only orders are found."""
    wanted = [known_type(key["doc_type"])] if "doc_type" in key else list(TYPES)
    if _text(key, "count_code"):
        return wanted
    if _text(key, "buyer_order") and ("sales_order" in wanted):
        return ["sales_order"]
    raise ConfigError(
        f"Metakocka finds a document by its count_code, and an order by its buyer_order too, but not by "
        f"{', '.join(key) or 'nothing'}. Name one of them in the mapping's match_on."
    )


def _candidates(company: Company, doc_type: str, key: Mapping[str, Any]) -> Iterator[Record]:
    number, order = _text(key, "count_code"), _text(key, "buyer_order")
    wanted: dict[str, Any] = (
        {"query": number} if number else {"query_advance": [{"type": "customer_order", "value": order}]}
    )
    search = _Search(company, doc_type, wanted.pop("query_advance", []), more=wanted)
    for rows, _ in walk(search.rows, Position(doc_type), limit=MOST_ROWS):
        yield from (document_of(row.raw, doc_type=doc_type) for row in rows)


def _text(key: Mapping[str, Any], name: str) -> str:
    value = key.get(name)
    return value if isinstance(value, str) else ""


def _at(record: Any, path: str) -> Any:
    for step in path.split("."):
        if isinstance(record, list) and step.isdigit():
            record = record[int(step)] if int(step) < len(record) else None
        else:
            record = record.get(step) if isinstance(record, Mapping) else None
    return record


def _same(found: Any, wanted: Any) -> bool:
    return (found or None) == (wanted or None) if isinstance(wanted, str | None) else found == wanted


# -- the search ------------------------------------------------------------------------------------------------------


class _Search:
    """One search of one type, page by page; `server_time` is that of the last answer."""

    def __init__(
        self,
        company: Company,
        doc_type: str,
        filters: Sequence[Mapping[str, str]],
        *,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        self._company = company
        self._doc_type = doc_type
        self._earliest = next((f["value"][:10] for f in filters if f["type"] == "doc_date_from"), "")
        self._parameters: dict[str, Any] = {"doc_type": doc_type, "result_type": "doc", **_DETAILS, **(more or {})}
        if filters:
            self._parameters["query_advance"] = list(filters)
        if TYPES[doc_type].sortable:
            self._parameters["order_direction"] = "asc"
        self.server_time: datetime | None = None

    def rows(self, offset: int, limit: int) -> list[Row]:
        """So many documents behind an offset. Raises ProtocolError for some that were not asked for."""
        try:
            reply = self._company.ask("search", {**self._parameters, "limit": str(limit), "offset": str(offset)})
        except Refused as refused:
            # Searches without a hit are refused for complaints; whether for others too is UNVERIFIED.
            if refused.code == BUSINESS_RULE and "found" in str(refused):
                return []
            raise
        self.server_time = reply.server_time
        return [self._row(reply, raw) for raw in reply.rows("result")]

    def _row(self, reply: Reply, raw: bytes) -> Row:
        members = members_of(raw, what=f"A row of Metakocka's search for {self._doc_type}")
        kind, mk_id, day = (
            text_of(members, "doc_type"),
            text_of(members, "mk_id"),
            to_date(text_of(members, "doc_date")),
        )
        if kind not in ("", self._doc_type):
            raise ProtocolError(f"Metakocka was asked for documents of type {self._doc_type} and sent a {kind}.")
        if self._earliest and len(day) == len(self._earliest) and day < self._earliest:
            raise ProtocolError(
                f"Metakocka was asked for {self._doc_type} from {self._earliest} on and sent {mk_id} of {day}: "
                "it does not heed the filter."
            )
        return Row(mk_id, raw)


def _start_of_next(names: Sequence[str], doc_type: str) -> Position | None:
    place = names.index(doc_type) + 1
    return Position(names[place]) if place < len(names) else None


def _day(moment: datetime) -> str:
    return moment.astimezone(ZoneInfo(ZONE)).date().isoformat()
