"""Products: one list without any date, so every read reads it all.

Source: metakocka/metakocka_api_base, docs/product_list.md, product_update.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Final

from erpflow.connectors.base import Page, PageToken, RawRecord
from erpflow.connectors.metakocka_company import Company
from erpflow.connectors.metakocka_documents import holds
from erpflow.connectors.metakocka_paging import Position, Row, position_of, walk
from erpflow.connectors.metakocka_records import Record, product_of, split_rows
from erpflow.connectors.metakocka_wire import UNREADABLE, ZONE, members_of, rows_of, text_of
from erpflow.errors import ProtocolError
from erpflow.vocabulary import RemoteId, VendorRecord

MOST_ROWS: Final = 1000
_CALL: Final = "json/product_list"
_DETAILS: Final = {"return_pricelist": "true", "show_tax_factor": "true", "return_category": "true"}
_PART: Final = "product"
_ONE_BY_ONE: Final = 10  # more products than that are looked for in the whole list
_SEVERAL: Final = 2
_PAGE: Final = "The landed page of products"


def read(company: Company, *, resume: PageToken | None, limit: int) -> Iterator[Page]:
    """All products."""
    listing = Listing(company, details=_DETAILS)
    for rows, following in walk(listing.rows, position_of(resume, parts=[_PART]), limit=min(limit, MOST_ROWS)):
        if rows or following is None:
            token = following.token() if following else None
            raw = page_bytes([row.raw for row in rows])
            yield Page(raw, len(rows), token, zone=ZONE, server_time=listing.server_time)


def read_one(company: Company, remote_id: RemoteId) -> Record | None:
    """One product, or None."""
    raw = fetched(company, [remote_id]).get(remote_id)
    return None if raw is None else product_of(raw)


def read_many(company: Company, remote_ids: Sequence[RemoteId]) -> Page:
    """These products as one page."""
    rows = list(fetched(company, remote_ids).values())
    return Page(page_bytes(rows), len(rows), None, zone=ZONE)


def fetched(company: Company, remote_ids: Sequence[str]) -> dict[str, bytes]:
    """Products by their ids, as Metakocka answers them: one by one, many out of the whole list.

    The documentation has a filter by mk_id and a client in use says that there is none (UNVERIFIED), so an answer
    that does not heed it leads to the whole list too.
    """
    wanted = dict.fromkeys(each for each in remote_ids if each.isascii() and each.isdigit())
    if len(wanted) > _ONE_BY_ONE:
        return _out_of_all(company, wanted)
    found: dict[str, bytes] = {}
    for mk_id in wanted:
        rows = Listing(company, details=_DETAILS, filters={"mk_id": mk_id}).rows(0, _SEVERAL)
        if any(row.id != mk_id for row in rows):
            return _out_of_all(company, wanted)
        found |= {row.id: row.raw for row in rows}
    return found


def find_all(company: Company, keys: Sequence[VendorRecord]) -> list[list[RemoteId]]:
    """For each key at most two products that hold its values."""
    if len(keys) > _ONE_BY_ONE or any(_filters(key) is None for key in keys):
        return _found_in_all(company, keys)
    return [list(islice(_matching(company, key), _SEVERAL)) for key in keys]


def page_bytes(rows: Sequence[bytes]) -> bytes:
    """A page as it lands: products in the bytes they came in."""
    return b'{"product_list":[' + b",".join(rows) + b"]}"


def split(raw: bytes) -> list[RawRecord]:
    """The products of a landed page. Raises ProtocolError when it is none."""
    members = members_of(raw, what=_PAGE)
    if "product_list" not in members:
        raise ProtocolError(f"{_PAGE} holds no product_list; it is not one of this connector.")
    try:
        return split_rows(rows_of(members, "product_list"), product_of)
    except UNREADABLE as error:
        raise ProtocolError(f"{_PAGE} cannot be read: {error}.") from None


class Listing:
    """The product list, page by page; `server_time` is that of the last answer."""

    def __init__(
        self, company: Company, *, details: Mapping[str, str], filters: Mapping[str, Any] | None = None
    ) -> None:
        self._company = company
        self._parameters = {**details, **(filters or {})}
        self.server_time: datetime | None = None

    def rows(self, offset: int, limit: int) -> list[Row]:
        """So many products behind an offset."""
        reply = self._company.ask(_CALL, {**self._parameters, "limit": str(limit), "offset": str(offset)})
        self.server_time = reply.server_time
        return [
            Row(text_of(members_of(raw, what="A product of Metakocka's"), "mk_id"), raw)
            for raw in reply.rows("product_list")
        ]


def _all(company: Company, filters: Mapping[str, Any] | None = None) -> Iterator[Row]:
    listing = Listing(company, details=_DETAILS, filters=filters)
    for rows, _ in walk(listing.rows, Position(_PART), limit=MOST_ROWS):
        yield from rows


def _out_of_all(company: Company, wanted: Mapping[str, None]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for row in _all(company):
        if row.id in wanted:
            found[row.id] = row.raw
            if len(found) == len(wanted):
                break
    return found


def _filters(key: VendorRecord) -> dict[str, Any] | None:
    """The filter that narrows a look-up down; None where only the whole list helps. What it finds is compared still."""
    for name in ("mk_id", "code", "count_code"):
        if isinstance(key.get(name), str) and key[name]:
            return {name: key[name]}
    if isinstance(key.get("name"), str) and key["name"]:
        return {"title": key["name"], "search_with_like": "true"}
    return None


def _matching(company: Company, key: VendorRecord) -> Iterator[RemoteId]:
    for row in _all(company, _filters(key)):
        if holds(product_of(row.raw), key):
            yield RemoteId(row.id)


def _found_in_all(company: Company, keys: Sequence[VendorRecord]) -> list[list[RemoteId]]:
    found: list[list[RemoteId]] = [[] for _ in keys]
    for row in _all(company):
        record = product_of(row.raw)
        for place, key in enumerate(keys):
            if len(found[place]) < _SEVERAL and key and holds(record, key):
                found[place].append(RemoteId(row.id))
    return found
