"""What was deleted, from DocType Deleted Document: a row for every delete, by anybody, for about half a year.

Source: captures of Frappe 15.55 (delete/deleted_document_*). That a rename leaves no row, and that sites clear rows
older than 180 days (Log Settings), is by Frappe's source alone: UNVERIFIED.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from erpflow.connectors.answer import excerpt
from erpflow.connectors.base import Deletion, Page, PageToken
from erpflow.connectors.erpnext_paging import (
    Bounds,
    Filter,
    Position,
    bounds_of,
    filters_of,
    pages,
    position_of,
    step,
    to_instant,
    zone_of,
)
from erpflow.connectors.erpnext_site import ALL_ROWS, Site
from erpflow.connectors.erpnext_wire import page_bytes
from erpflow.errors import PermissionDenied, ProtocolError
from erpflow.vocabulary import RemoteId, Window

_DOCTYPE: Final = "Deleted Document"
# `modified` of such a row is when the document was deleted (`creation`), and every site has an index on it.
_FIELDS: Final = ("name", "deleted_name", "creation", "modified")


class _Row(msgspec.Struct):
    deleted_name: str | int
    creation: str | None = None


class _Rows(msgspec.Struct):
    data: list[_Row]


_ROW: Final = msgspec.json.Decoder(_Row)
_ROWS: Final = msgspec.json.Decoder(_Rows)
_UNREADABLE: Final = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)


def read_deleted(site: Site, doctype: str, window: Window, *, resume: PageToken | None, limit: int) -> Iterator[Page]:
    """The deletions of one DocType in a window, oldest first, without what exists by now.

    Raises PermissionDenied when the API user may not see them.
    """
    return _pages(site, doctype, window, position_of(resume), limit)


def split_deleted(entity: str, raw: bytes, *, zone: str) -> list[Deletion]:
    """The deletions of a landed page. Raises ProtocolError when it is none.

    In the hour that runs twice a delete counts as one of the second run: it must not seem older than the last change
    of the document, and what exists again by now is not among them.
    """
    try:
        rows = _ROWS.decode(raw).data
    except _UNREADABLE as error:
        raise ProtocolError(
            f"The landed page of deleted {entity} is not a JSON page with a list under `data` "
            f"({type(error).__name__}). It begins: {excerpt(raw)}"
        ) from None
    return [
        Deletion(RemoteId(str(row.deleted_name)), to_instant(row.creation or "", zone=zone, fold=1)) for row in rows
    ]


def _pages(site: Site, doctype: str, window: Window, position: Position, limit: int) -> Iterator[Page]:
    zone = site.ask_zone()
    bounds = bounds_of(window, zone=zone_of(zone))
    yield from pages(lambda at: _page(site, doctype, at, bounds=bounds, limit=limit, zone=zone), position)


def _page(
    site: Site, doctype: str, position: Position, *, bounds: Bounds, limit: int, zone: str
) -> tuple[Page, Position | None]:
    filters: list[Filter] = [
        ["deleted_doctype", "=", doctype],
        ["restored", "=", 0],
        *filters_of(position, bounds),
    ]
    try:
        listing = site.listing(_DOCTYPE, filters=filters, limit=limit, fields=_FIELDS)
    except PermissionDenied as error:
        raise PermissionDenied(
            f"The API user may not see what was deleted: only the role System Manager may read {_DOCTYPE}. Give the "
            "user that role, or write `deletes: {pull: ignore}` into the mapping, or find deletions by a full sync. "
            f"{error}"
        ) from None
    heads = listing.heads()
    taken = step(position, heads, bounds=bounds, limit=limit)
    rows = listing.rows()
    gone = _gone(site, doctype, rows if taken.fresh is None else [rows[place] for place in taken.fresh])
    token = taken.next.token() if taken.next else None
    return Page(page_bytes(gone), len(gone), token, zone=zone, server_time=listing.answer.server_time), taken.next


def _gone(site: Site, doctype: str, rows: list[bytes]) -> list[bytes]:
    """The rows whose document is not there: a name may be taken again, and a deleted last number is given out anew."""
    names = [_name_of(row) for row in rows]
    if not names:
        return []
    there = _existing(site, doctype, names)
    return [row for row, name in zip(rows, names, strict=True) if _collated(name) not in there]


def _existing(site: Site, doctype: str, names: Sequence[str]) -> set[str]:
    filters: list[Filter] = [["name", "in", list(dict.fromkeys(names))]]
    listing = site.listing(doctype, filters=filters, limit=ALL_ROWS, fields=("name",), order="name asc")
    return {_collated(str(head.name)) for head in listing.heads()}


def _name_of(row: bytes) -> str:
    try:
        return str(_ROW.decode(row).deleted_name)
    except _UNREADABLE:
        raise ProtocolError(f"A row of {_DOCTYPE} does not say what was deleted. It begins: {excerpt(row)}") from None


def _collated(name: str) -> str:
    """A name as the site compares names: without case and accents."""
    parts = unicodedata.normalize("NFKD", name)
    return "".join(part for part in parts if not unicodedata.combining(part)).casefold().strip()
