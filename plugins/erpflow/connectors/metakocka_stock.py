"""Stock levels: what of each product lies in each warehouse. Only read; a stocktake is an act of bookkeeping.

A product's stock comes in several rows, which have to be added up, and a list cut by rows would cut through a product.
So a page is a page of products, and holds all rows of each. What is sold out may have no row at all: so every product
has a level in every active warehouse, as Metakocka's own webhook tells it.

Source: metakocka/metakocka_api_base, docs/warehouse_stock.md, warehouse_list.md, webhooks.md.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final

import msgspec

from erpflow.connectors.base import Page, PageToken, RawRecord
from erpflow.connectors.metakocka_company import Company
from erpflow.connectors.metakocka_paging import position_of, walk
from erpflow.connectors.metakocka_products import Listing, fetched
from erpflow.connectors.metakocka_records import Record, stock_of
from erpflow.connectors.metakocka_wire import UNREADABLE, ZONE, Members, members_of, rows_of, text_of
from erpflow.errors import ProtocolError
from erpflow.vocabulary import RemoteId

_MOST_ROWS: Final = 1000
_PART: Final = "inventory"
_PAGE: Final = "The landed page of inventory"
_WITH_SOLD_OUT: Final = {"return_reservation_without_amount": "true"}
_ONLY: Final = msgspec.json.Decoder(list[tuple[str, str]])


def read(company: Company, *, resume: PageToken | None, limit: int) -> Iterator[Page]:
    """All stock levels, `limit` products a page."""
    listing = Listing(company, details={})
    warehouses = _warehouses(company)
    for rows, following in walk(listing.rows, position_of(resume, parts=[_PART]), limit=limit):
        stock = _stock(company, [row.id for row in rows if row.id])
        page = _page([row.raw for row in rows], stock, warehouses, token=following.token() if following else None)
        if page.count or following is None:
            yield page


def read_one(company: Company, remote_id: RemoteId) -> Record | None:
    """One stock level, or None when there is no such product or warehouse."""
    records = split(read_many(company, [remote_id]).raw)
    return msgspec.json.decode(records[0], type=dict[str, Any]) if records else None


def read_many(company: Company, remote_ids: Sequence[RemoteId]) -> Page:
    """The stock levels with these ids as one page."""
    pairs = (each.split(":") for each in remote_ids)
    wanted = {(pair[0], pair[1]) for pair in pairs if len(pair) == 2 and all(map(_is_id, pair))}
    products = fetched(company, sorted({mk_id for _, mk_id in wanted})) if wanted else {}
    stock = [row for row in _stock(company, sorted(products)) if _place(row) in wanted] if products else []
    return _page(list(products.values()), stock, _warehouses(company) if products else [], only=wanted)


def split(raw: bytes) -> list[RawRecord]:
    """The stock levels of a landed page. Raises ProtocolError when it is none."""
    members = members_of(raw, what=_PAGE)
    if "stock_list" not in members:
        raise ProtocolError(f"{_PAGE} holds no stock_list; it is not one of this connector.")
    try:
        return stock_of(
            rows_of(members, "stock_list"),
            warehouses=rows_of(members, "warehouse_list"),
            products=rows_of(members, "product_list"),
            only=_ONLY.decode(members["only"]) if "only" in members else None,
        )
    except UNREADABLE as error:
        raise ProtocolError(f"{_PAGE} cannot be read: {error}.") from None


def _page(
    products: Sequence[bytes],
    stock: Sequence[bytes],
    warehouses: Sequence[bytes],
    *,
    token: PageToken | None = None,
    only: Collection[tuple[str, str]] | None = None,
) -> Page:
    parts = {
        "product_list": b"[" + b",".join(products) + b"]",
        "stock_list": b"[" + b",".join(stock) + b"]",
        "warehouse_list": b"[" + b",".join(warehouses) + b"]",
    }
    if only is not None:
        parts["only"] = msgspec.json.encode(sorted(only))
    raw = b"{" + b",".join(b'"' + name.encode() + b'":' + part for name, part in parts.items()) + b"}"
    return Page(raw, len(split(raw)), token, zone=ZONE)


def _stock(company: Company, products: Sequence[str]) -> list[bytes]:
    """All rows of these products. An answer that may be cut off is asked for in two halves."""
    if not products:
        return []
    asked = {**_WITH_SOLD_OUT, "product_mk_id_list": ",".join(products), "limit": str(_MOST_ROWS), "offset": "0"}
    rows = company.ask("json/warehouse_stock", asked).rows("stock_list")
    strangers = {place[1] for row in rows if (place := _place(row))[1]} - set(products)
    if strangers:
        raise ProtocolError(
            f"Metakocka was asked for the stock of {len(products)} products and sent that of {min(strangers)}, "
            "which is none of them: it does not heed the filter."
        )
    if len(rows) < _MOST_ROWS:
        return rows
    if len(products) == 1:
        return _stock_of_one(company, products[0], rows)
    middle = len(products) // 2
    return _stock(company, products[:middle]) + _stock(company, products[middle:])


def _stock_of_one(company: Company, product: str, rows: list[bytes]) -> list[bytes]:
    """One product in a thousand rows and more, counted through."""
    last = rows
    while len(last) >= _MOST_ROWS:
        asked = {**_WITH_SOLD_OUT, "product_mk_id_list": product, "limit": str(_MOST_ROWS), "offset": str(len(rows))}
        last = company.ask("json/warehouse_stock", asked).rows("stock_list")
        rows = rows + last
    return rows


def _warehouses(company: Company) -> list[bytes]:
    return company.ask("json/warehouse_list", {"limit": str(_MOST_ROWS), "offset": "0"}).rows("warehouse_list")


def _place(row: bytes) -> tuple[str, str]:
    members: Members = members_of(row, what="A row of Metakocka's stock")
    return text_of(members, "warehouse_id"), text_of(members, "mk_id")


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit()
