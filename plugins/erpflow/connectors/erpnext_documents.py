"""Whole documents: rows of a list with their child rows, fetched for all of them at once; and finding documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from erpflow.connectors.base import Page
from erpflow.connectors.erpnext_paging import Filter, Head, canonical
from erpflow.connectors.erpnext_site import ALL_ROWS, Site
from erpflow.connectors.erpnext_wire import page_bytes, splice
from erpflow.errors import ConfigError, ProtocolError
from erpflow.vocabulary import RemoteId, VendorRecord

_CHILD_ORDER: Final = "parent asc, idx asc"
_BY_NAME: Final = "name asc"
_NOT_ONE: Final = 2
_KEYS_AT_ONCE: Final = 200
_ROW: Final = msgspec.json.Decoder(dict[str, Any])


@dataclass(frozen=True, slots=True)
class ChildTable:
    """A table inside a document: the field that holds its rows, and the DocType of a row."""

    field: str
    doctype: str


def with_children(
    site: Site, parent: str, children: Sequence[ChildTable], names: Sequence[str], documents: list[bytes]
) -> bytes:
    """The page as it lands: the documents of these names, with their child rows."""
    for child in children if documents else ():
        # `parent=` only grants access: the same child DocType may serve other DocTypes and fields.
        filters: list[Filter] = [
            ["parent", "in", list(names)],
            ["parenttype", "=", parent],
            ["parentfield", "=", child.field],
        ]
        listing = site.listing(
            child.doctype, filters=filters, limit=ALL_ROWS, order=_CHILD_ORDER, parent=parent, by_post=True
        )
        documents = splice(documents, names, field=child.field, rows=listing.rows_by_parent(names))
    return page_bytes(documents)


def read_many(site: Site, doctype: str, children: Sequence[ChildTable], names: Sequence[RemoteId]) -> Page:
    """The documents of these names that exist, as one page."""
    wanted = list(dict.fromkeys(filter(None, names)))
    if not wanted:
        return Page(page_bytes([]), 0, None)
    listing = site.listing(doctype, filters=[["name", "in", wanted]], limit=ALL_ROWS, order=_BY_NAME)
    heads, rows = listing.heads(), listing.rows()
    if len(rows) > len(wanted):
        raise ProtocolError(f"ERPNext was asked for {len(wanted)} {doctype} and sent {len(rows)}: it heeds no filter.")
    raw = with_children(site, doctype, children, [str(head.name) for head in heads], rows)
    return Page(raw, len(rows), None, zone=site.zone, server_time=listing.answer.server_time)


def head_of(site: Site, doctype: str, name: str) -> Head | None:
    """The name and time of one document, or None if it is not there (or the API user may not see it)."""
    heads = site.listing(doctype, filters=[["name", "=", name]], limit=1, fields=("name", "modified")).heads()
    return heads[0] if heads else None


def find_all(site: Site, doctype: str, keys: Sequence[VendorRecord]) -> list[list[RemoteId]]:
    """For each key the names of at most two documents; keys of one and the same text field in one request."""
    field = next(iter(keys[0]), "") if keys else ""
    if len(keys) < _NOT_ONE or any(list(key) != [field] or not isinstance(key[field], str) for key in keys):
        return [_find(site, doctype, key) for key in keys]
    found: dict[str, list[RemoteId]] = {str(key[field]).casefold(): [] for key in keys}
    for start in range(0, len(keys), _KEYS_AT_ONCE):
        values = [key[field] for key in keys[start : start + _KEYS_AT_ONCE]]
        fields = tuple(dict.fromkeys(("name", field)))
        listing = site.listing(
            doctype, filters=[[field, "in", values]], limit=ALL_ROWS, fields=fields, order=_BY_NAME, by_post=True
        )
        for row, head in zip(listing.rows(), listing.heads(), strict=True):
            value = str(_ROW.decode(row).get(field, "")).casefold()  # the site compares without regard to case
            if len(found.setdefault(value, [])) < _NOT_ONE:
                found[value].append(RemoteId(str(head.name)))
    return [found[str(key[field]).casefold()] for key in keys]


def _find(site: Site, doctype: str, key: VendorRecord) -> list[RemoteId]:
    """The names of at most two documents whose fields hold these values, compared as the site compares."""
    nested = next((path for path in key if "." in path), None)
    if not key or nested is not None:
        raise ConfigError(
            f"ERPNext finds a {doctype} by fields of its own, not by {nested or 'nothing'!r}. "
            "Name such fields in the mapping's match_on."
        )
    filters: list[Filter] = [
        [field, "is", "not set"] if value is None else [field, "=", value] for field, value in key.items()
    ]
    fields = tuple(dict.fromkeys(("name", *key)))
    listing = site.listing(doctype, filters=filters, limit=_NOT_ONE, fields=fields, order=_BY_NAME)
    for row in listing.rows():
        _check_heeded(doctype, _ROW.decode(row), key)
    return [RemoteId(str(head.name)) for head in listing.heads()]


def _check_heeded(doctype: str, row: VendorRecord, key: VendorRecord) -> None:
    """A date that makes no sense is no filter at all for Frappe: every row comes back, and any would be taken."""
    for field, value in key.items():
        found = row.get(field)
        if canonical(found) and canonical(found) != canonical(value):
            raise ProtocolError(
                f"ERPNext was asked for a {doctype} with {field} {str(value)[:80]!r} and sent {row.get('name')!r} of "
                f"{found!r}: it does not heed the filter. Write the value as the site does, like {found!r}."
            )
