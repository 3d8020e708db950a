"""Metakocka's records as everybody else's: lists that are lists, numbers that are numbers, days that are days.

Pages land as they were answered; this is done to a record whenever a landed page is split. It depends on nothing but
the record's bytes, and sorts its members, so an unchanged record has the same bytes whichever call brought it.

Some members are added, because no mapping could compute them: see `docs/systems/metakocka.md`, "What is read".
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

import msgspec

from erpflow.connectors.base import RawRecord
from erpflow.connectors.metakocka_wire import UNREADABLE, as_list, encode, to_date, to_number

Record = dict[str, Any]

_DECODE: Final = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal).decode
_HEAD: Final = ("opr_code", "opr_desc", "opr_time", "opr_time_ms", "opr_time_no_lock_ms")
"""Members of an answer that come along in a record; how long Metakocka took is no change of it."""
_SIX: Final = Decimal("0.000001")
_CENT: Final = Decimal("0.01")
_HUNDRED: Final = Decimal(100)


@dataclass(frozen=True, slots=True)
class Shape:
    """Which members of an object are numbers, days, lists, and objects (or lists of objects) with a shape of their own.

    `payments`: numbers in which a dot alone groups thousands.
    """

    numbers: frozenset[str] = frozenset()
    payments: frozenset[str] = frozenset()
    dates: frozenset[str] = frozenset()
    lists: frozenset[str] = frozenset()
    inside: Mapping[str, Shape] = field(default_factory=dict)

    def applied(self, record: Mapping[str, Any]) -> Record:
        """The record in this shape; what is of no member's kind stays as the vendor wrote it."""
        return {name: self._member(name, value) for name, value in record.items()}

    def _member(self, name: str, value: Any) -> Any:
        if name in self.dates:
            return to_date(value)
        if name in self.numbers or name.startswith("sum_"):
            return to_number(value)
        if name in self.payments:
            return to_number(value, dots_group=True)
        if name in self.lists:
            value = as_list(value)
        inside = self.inside.get(name)
        if inside is None:
            return value
        if isinstance(value, list):
            return [inside.applied(item) if isinstance(item, dict) else item for item in value]
        return inside.applied(value) if isinstance(value, dict) else value


_LINE: Final = Shape(
    numbers=frozenset({"amount", "price", "price_with_tax", "tax_factor"}),
    dates=frozenset({"expiration_date_value"}),
    lists=frozenset({"meta_data", "compounds"}),
)
_PAYMENT: Final = Shape(payments=frozenset({"amount"}), dates=frozenset({"date"}))
_INSTALLMENT: Final = Shape(numbers=frozenset({"installment_amount"}), dates=frozenset({"installment_date"}))
DOCUMENT: Final = Shape(
    numbers=frozenset({"discount_value", "prepayment_value", "valid_days", "duo_payment_days"}),
    payments=frozenset({"last_paid_sum"}),
    dates=frozenset(
        {
            *("doc_date", "service_from_date", "service_to_date", "duo_payment", "valid_to", "delivery_deadline"),
            *("finish_date", "shipped_date", "shipped_date_expected_seller", "sum_full_paid_when", "last_paid_date"),
        }
    ),
    lists=frozenset(
        {
            *("product_list", "mark_paid", "doc_link_list", "extra_column", "offer_list", "sales_order_list"),
            *("installment_list", "credit_note_list", "packlist_accform_list", "meta_data"),
        }
    ),
    inside={"product_list": _LINE, "mark_paid": _PAYMENT, "installment_list": _INSTALLMENT},
)
_PRICE: Final = Shape(
    numbers=frozenset(
        {"price", "price_with_tax", "tax_factor", "amount_from", "amount_to", "discount", "lowest_price_30_days"}
    )
)
_PRICELIST: Final = Shape(
    dates=frozenset({"valid_from", "valid_to"}), lists=frozenset({"price_def"}), inside={"price_def": _PRICE}
)
_PRODUCT: Final = Shape(
    numbers=frozenset(
        {
            *("weight", "gross_weight", "height", "width", "depth", "unit_factor", "min_stock"),
            *("minimal_order_quantity", "last_purchase_price"),
        }
    ),
    lists=frozenset({"pricelist", "localization", "categories", "category_tree_list", "extra_column"}),
    inside={"pricelist": _PRICELIST},
)
_CONTACT: Final = Shape(lists=frozenset({"partner_contact_list", "partner_delivery_address_list", "discounts"}))
_STOCK: Final = Shape(numbers=frozenset({"amount", "reserved_amount", "free_amount", "unit_factor"}))

BILLING: Final = "Račun"


def document_of(raw: bytes, *, doc_type: str) -> Record:
    """One document. `doc_type` is what was asked for: not every answer repeats it."""
    record = DOCUMENT.applied(_decoded(raw))
    kind = record.setdefault("doc_type", doc_type)
    record["id"] = f"{kind}:{record['mk_id']}" if record.get("mk_id") else None
    lines = [line for line in record.setdefault("product_list", []) if isinstance(line, dict)]
    for number, line in enumerate(lines, start=1):
        line["line_no"] = number
        price = _net(line)
        if price is not None:
            line["net_price"] = price
            line |= _amount(line, price)
    taxes = [value for name, value in record.items() if name.startswith("sum_tax_")]
    if all(isinstance(tax, Decimal) for tax in taxes):
        record["sum_tax"] = sum(taxes, Decimal(0))
    total, paid = record.get("sum_all"), record.get("sum_paid", Decimal(0))
    if isinstance(total, Decimal) and isinstance(paid, Decimal):
        record["sum_open"] = total - paid
    return record


def product_of(raw: bytes) -> Record:
    """One product, with the price and currency of its first sales price list."""
    record = _PRODUCT.applied(_decoded(raw))
    found = sales_price(record)
    return record if found is None else record | {"net_price": found[2], "currency_code": found[0].get("currency_code")}


def sales_price(product: Mapping[str, Any]) -> tuple[Record, int, Decimal] | None:
    """The first price list that sells a product to everybody, the place of its first price in it, and that price."""
    for pricelist in product.get("pricelist", []):
        if not isinstance(pricelist, dict) or pricelist.get("sales_purchase") == "purchase" or pricelist.get("buyer"):
            continue
        steps = [step for step in pricelist.get("price_def", []) if isinstance(step, dict)]
        for place, step in enumerate(steps):
            if (price := _net(step)) is not None:
                return pricelist, place, price
    return None


def contact_of(raw: bytes) -> Record:
    """One partner, its addresses and persons in an order of ours: those of the bill first, then the oldest."""
    record = _CONTACT.applied(_decoded(raw))
    addresses = _ordered(
        record.get("partner_delivery_address_list", []), lambda each: each.get("address_type") != BILLING
    )
    billing = {each.get("mk_id") for each in addresses if each.get("address_type") == BILLING}
    persons = _ordered(record.get("partner_contact_list", []), lambda each: each.get("mk_address_id") not in billing)
    return record | {"partner_delivery_address_list": addresses, "partner_contact_list": persons}


def stock_of(
    rows: Sequence[bytes],
    *,
    warehouses: Sequence[bytes],
    products: Sequence[bytes],
    only: Collection[tuple[str, str]] | None = None,
) -> list[RawRecord]:
    """The level of each product in each active warehouse: its rows (of lots, serial numbers, microlocations) added up.

    A warehouse that is not active has a level only where it has rows; `only`: these pairs of warehouse and product.
    Whether a reservation is split over those rows or repeated in each is UNVERIFIED; they are added up, as amounts are.
    """
    houses = {str(each.get("mk_id")): each for each in map(_decoded, warehouses)}
    found: dict[tuple[str, str], Record] = {}
    for product in (each for each in map(_decoded, products) if each.get("service") != "true"):
        named = {"title": product.get("name"), **product}
        for mk_id, house in houses.items():
            place = (mk_id, str(product.get("mk_id")))
            if house.get("active") != "false" and (only is None or place in only):
                found[place] = _stock_record(place, named, house) | {"amount": Decimal(0)}
    unreadable: list[RawRecord] = []
    for raw in rows:
        try:
            row = _STOCK.applied(_decoded(raw))
        except UNREADABLE:
            unreadable.append(msgspec.Raw(raw))
            continue
        place = (str(row.get("warehouse_id")), str(row.get("mk_id")))
        total = found.setdefault(place, _stock_record(place, row, houses.get(place[0], {})))
        for name in _STOCK_SUMS:
            total[name] = _added(total[name], row.get(name))
    return [*(kept_raw(found[place]) for place in sorted(found)), *unreadable]


def _stock_record(place: tuple[str, str], named: Record, warehouse: Record) -> Record:
    kept = {name: named[name] for name in ("count_code", "code", "title", "unit", "mk_id") if name in named}
    return kept | {
        "id": ":".join(place),
        "warehouse_id": place[0],
        "warehouse_mark": warehouse.get("mark"),
        "warehouse_name": warehouse.get("name"),
        **dict.fromkeys(_STOCK_SUMS),
    }


def kept_raw(record: Record) -> RawRecord:
    """A record as a page is split into it."""
    return msgspec.Raw(encode(record))


def split_rows(rows: Sequence[bytes], make: Any) -> list[RawRecord]:
    """Each row as a record; one that is no readable JSON stays as it is, so that it becomes a reject."""
    found = []
    for row in rows:
        try:
            found.append(kept_raw(make(row)))
        except (*UNREADABLE, UnicodeEncodeError):
            found.append(msgspec.Raw(row))
    return found


_STOCK_SUMS: Final = ("amount", "reserved_amount", "free_amount")


def _decoded(raw: bytes) -> Record:
    return {name: value for name, value in _DECODE(raw).items() if name not in _HEAD}


def _net(part: Mapping[str, Any]) -> Decimal | None:
    """The price without tax: given, or out of the one with tax when the tax is known."""
    price, gross, factor = (part.get(name) for name in ("price", "price_with_tax", "tax_factor"))
    if isinstance(price, Decimal):
        return price
    if isinstance(gross, Decimal) and isinstance(factor, Decimal) and factor > -1:
        return (gross / (1 + factor)).quantize(_SIX, ROUND_HALF_UP) if abs(gross.adjusted()) < 15 else None
    return None


def _amount(line: Mapping[str, Any], price: Decimal) -> Record:
    """What a line comes to without tax: `22;23` are two discounts, one after the other."""
    amount = line.get("amount")
    if not isinstance(amount, Decimal):
        return {}
    total = amount * price
    for part in str(line.get("discount") or "0").split(";"):
        percent = to_number(part)
        if not isinstance(percent, Decimal):
            return {}
        total *= 1 - percent / _HUNDRED
    return {"net_amount": total.quantize(_CENT, ROUND_HALF_UP)} if abs(total.adjusted()) < 20 else {}


def _ordered(items: Sequence[Any], later: Any) -> list[Record]:
    objects = [item for item in items if isinstance(item, dict)]
    return sorted(objects, key=lambda each: (later(each), len(str(each.get("mk_id"))), str(each.get("mk_id"))))


def _added(one: Any, other: Any) -> Any:
    if isinstance(one, Decimal) and isinstance(other, Decimal):
        return one + other
    return other if one is None else one
