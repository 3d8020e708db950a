"""An order as a VeeKaart store posts it: checked, and made into the two records that the mappings take.

Amounts are exact and without tax. What the store says only of the whole order, its discount and its tax, is given to
the lines so that they add up to it to the cent. Source: the interchange contract, "Order webhook" (docs/systems/
veekaart.md). Prices that include tax are UNVERIFIED and not read: their total does not add up, so they are refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any, Final

import msgspec

from erpflow.errors import FieldProblem, RecordRejected

REQUIRED: Final = ("order_id", "customer", "items", "total_amount")
UPDATED: Final = "order.updated"
CURRENCY: Final = "INR"
DRAFT: Final = "draft"
LINES_AT_MOST: Final = 1_000
LONGEST_ID: Final = 200
TOLERANCE: Final = Decimal("1.00")
"""How far an order's total may be from the sum of what it is made of: stores round line by line."""

MISSING: Final = "missing"
UNREADABLE: Final = "json"
"""Rules of problems that make a body no order at all."""

_CENT: Final = Decimal("0.01")
_LARGEST: Final = Decimal(10) ** 15
_GSTIN: Final = re.compile(r"[0-9]{2}[A-Z]{5}[0-9]{4}[A-Z][0-9A-Z]Z[0-9A-Z]")
_SIGNS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_DECODER: Final = msgspec.json.Decoder(float_hook=Decimal)
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")


@dataclass(frozen=True, slots=True)
class PostedOrder:
    """One order: `customer` and `order` as the mappings of these names read them, its total, and whether it replaces.

    `customer_id`: the store's name for the buyer, or ours for one whom the store has not named.
    """

    order_id: str
    customer_id: str
    customer: Mapping[str, Any]
    order: Mapping[str, Any]
    total: Decimal
    replaces: bool


def encode(record: Mapping[str, Any]) -> bytes:
    """A record as the bytes a mapping reads: its numbers keep their digits."""
    return _ENCODER.encode(record)


def order_id_of(body: bytes) -> str | None:
    """What the order of a body is called, whatever else is wrong with it; None when not even that can be used."""
    try:
        return _name(_object(body))
    except RecordRejected:
        return None


def order_of(body: bytes) -> PostedOrder:
    """The order of a body. Raises RecordRejected, naming every field at fault (by the store's names)."""
    found = _object(body)
    if any(found.get(name) in (None, "", [], {}) for name in REQUIRED):
        raise _refused("", MISSING, f"Missing required fields: {', '.join(REQUIRED)}")
    order_id = _name(found)
    customer, items = found["customer"], found["items"]
    if order_id is None:
        raise _refused("order_id", "type", f"order_id: a text of 1 to {LONGEST_ID} printable characters is expected")
    if not isinstance(customer, dict):
        raise _refused("customer", "type", "customer: an object is expected")
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items) or len(items) > LINES_AT_MOST:
        raise _refused("items", "type", f"items: a list of 1 to {LINES_AT_MOST:,} objects is expected")
    buyer = _customer(customer, order_id)
    return PostedOrder(
        order_id=order_id,
        customer_id=buyer["id"],
        customer=buyer,
        order=_order(found, order_id, buyer, items),
        total=_amount(found, "total_amount"),
        replaces=UPDATED in (found.get("event"), found.get("event_type")),
    )


def _order(
    found: Mapping[str, Any], order_id: str, buyer: Mapping[str, Any], items: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    tax, total = _amount(found, "tax_amount", absent=Decimal(0)), _amount(found, "total_amount")
    discount = _amount(found, "discount_amount", absent=Decimal(0))
    lines = [_line(item, number) for number, item in enumerate(items, 1)]
    gross = sum((line["gross"] for line in lines), Decimal(0))
    if abs(gross - discount + tax - total) > TOLERANCE:
        raise _refused(
            "total_amount",
            "total_mismatch",
            f"total_amount: {total} is not {gross} of the items less the discount {discount} plus the tax {tax}",
        )
    if discount > gross:
        raise _refused("discount_amount", "max", f"discount_amount: {discount} is more than the items' {gross}")
    _share_out(lines, discount=discount, tax=tax)
    return {
        "order_id": order_id,
        "document_status": DRAFT,
        "order_date": _date(found),
        "customer_name": buyer["name"],
        "currency": _text(found, "currency") or CURRENCY,
        "net_total": gross - discount,
        "discount_amount": discount,
        "tax_amount": tax,
        "total_amount": total,
        "balance": total - _paid(found, total),
        "payment_method": _text(found, "payment_method"),
        "payment_status": _text(found, "payment_status"),
        "items": lines,
    }


def _line(item: Mapping[str, Any], number: int) -> dict[str, Any]:
    where = f"items[{number}]."
    quantity, price = _amount(item, "quantity", where=where, cents=False), _amount(item, "price", where=where)
    if not quantity:
        raise _refused(f"{where}quantity", "min", f"{where}quantity: more than 0 is expected")
    return {
        "line_no": number,
        "sku": _text(item, "sku"),
        "name": _text(item, "name") or _text(item, "sku"),
        "description": _text(item, "description"),
        "hsn_code": _text(item, "hsn_code"),
        "quantity": quantity,
        "unit": _text(item, "unit"),
        "price": price,
        # A rate is looked up by its text: 18, 18.0 and 18.00 are one.
        "tax_rate": f"{_amount(item, 'tax_rate', where=where, absent=Decimal(0), cents=False).normalize():f}",
        "gross": _cents(quantity * price),
    }


def _share_out(lines: Sequence[dict[str, Any]], *, discount: Decimal, tax: Decimal) -> None:
    """Give each line its part of the discount by its amount, and of the tax by what its rate makes of the rest."""
    for line, part in zip(lines, _parts(discount, [line["gross"] for line in lines]), strict=True):
        line["discount"] = part
        line["amount"] = line["gross"] - part
    for line, part in zip(
        lines, _parts(tax, [line["amount"] * Decimal(line["tax_rate"]) for line in lines]), strict=True
    ):
        line["tax_amount"] = part


def _parts(total: Decimal, weights: Sequence[Decimal]) -> list[Decimal]:
    """`total` in as many parts as there are weights, to the cent, by their share; together they are `total`."""
    whole = sum(weights, Decimal(0))
    shares = list(weights) if whole else [Decimal(1)] * len(weights)
    whole = whole or Decimal(len(weights))
    parts, given, reached = [], Decimal(0), Decimal(0)
    for share in shares:
        reached += share
        upto = _cents(total * reached / whole)
        parts.append(upto - given)
        given = upto
    return parts


def _customer(found: Mapping[str, Any], order_id: str) -> dict[str, Any]:
    email, phone, gstin = _text(found, "email"), _text(found, "phone"), _text(found, "gstin")
    if gstin is not None and not is_gstin(gstin.upper()):
        raise _refused("customer.gstin", "pattern", f"customer.gstin: {gstin[:40]!r} is no GSTIN with its check digit")
    filled = (found.get(name) for name in ("billing_address", "shipping_address"))
    address: Mapping[str, Any] = next((each for each in filled if isinstance(each, dict) and each), {})
    lines = [_text(address, name) for name in ("line1", "line2", "pincode")]
    email = email.lower() if email else None
    # Somebody without a name at the store is told apart by how they can be reached, or is a buyer of this order alone.
    key = _text(found, "id") or email or phone or f"order {order_id}"
    return {
        "id": key[:LONGEST_ID],
        "name": _text(found, "name") or email or phone or key,
        "email": email,
        "phone": phone,
        "gstin": gstin.upper() if gstin else None,
        "address": ", ".join(line for line in lines if line) or None,
        "city": _text(address, "city"),
        "state": _text(address, "state"),
        "country": _text(address, "country"),
    }


def is_gstin(text: str) -> bool:
    """Whether a text has the form of a GSTIN and the check digit that its first fourteen signs give.

    Source: GSTN's check sum, base 36: every second sign counts twice, quotient and remainder are added.
    """
    if not _GSTIN.fullmatch(text):
        return False
    products = (_SIGNS.index(sign) * (1 + place % 2) for place, sign in enumerate(text[:-1]))
    return _SIGNS[-sum(product // 36 + product % 36 for product in products) % 36] == text[-1]


def _paid(found: Mapping[str, Any], total: Decimal) -> Decimal:
    status = (_text(found, "payment_status") or "pending").lower()
    if status == "paid":
        return total
    if status == "partial":
        return min(_amount(found, "paid_amount"), total)
    return Decimal(0)


def _date(found: Mapping[str, Any]) -> str | None:
    """The day of the order where the store is; the time of day is not part of an invoice."""
    text = _text(found, "order_date")
    try:
        return datetime.fromisoformat(text).date().isoformat() if text else None
    except ValueError:
        raise _refused("order_date", "type", f"order_date: {text!r:.60} is no ISO date and time") from None


def _amount(
    found: Mapping[str, Any], name: str, *, where: str = "", absent: Decimal | None = None, cents: bool = True
) -> Decimal:
    """A number that is not below zero, as the text or number it came as."""
    value = found.get(name)
    if value is None and absent is not None:
        return absent
    try:
        if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
            raise InvalidOperation
        number = Decimal(value)
    except InvalidOperation:
        raise _refused(f"{where}{name}", "type", f"{where}{name}: a number is expected") from None
    if not number.is_finite() or not 0 <= number < _LARGEST:
        raise _refused(f"{where}{name}", "min", f"{where}{name}: a number of 0 or more is expected")
    return _cents(number) if cents else number


def _cents(number: Decimal) -> Decimal:
    return number.quantize(_CENT, ROUND_HALF_UP)


def _name(found: Mapping[str, Any]) -> str | None:
    """The id of an order, which is kept, searched for and shown; None for one that cannot be."""
    order_id = _text(found, "order_id")
    return order_id if order_id and len(order_id) <= LONGEST_ID and order_id.isprintable() else None


def _text(found: Mapping[str, Any], name: str) -> str | None:
    value = found.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value).strip() or None


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, InvalidOperation):
        found = None
    if not isinstance(found, dict):
        raise _refused("", UNREADABLE, "The body is not a JSON object")
    return found


def _refused(field: str, rule: str, message: str) -> RecordRejected:
    return RecordRejected([FieldProblem(field, rule, message)])
