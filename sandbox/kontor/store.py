"""What Kontor keeps, and the rules it keeps it by."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from sandbox.shelf import Row, Shelf

CENT = Decimal("0.01")
VAT = Decimal("0.19")
LONGEST = 20_000

FIELDS: dict[str, tuple[str, ...]] = {
    "customers": (
        "name", "email", "phone", "tax_number", "street", "city", "country", "credit_limit", "currency", "notes",
    ),
    "products": ("sku", "name", "description", "unit", "price", "currency", "active"),
    "orders": ("number", "customer_id", "order_date", "status", "currency", "reference", "note", "lines"),
}  # fmt: skip
REQUIRED = {"customers": "name", "products": "sku", "orders": "customer_id"}
AMOUNTS = ("credit_limit", "price")


class Refused(Exception):
    """A record that Kontor does not take."""

    def __init__(self, code: str, message: str, field: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field


@dataclass
class Switches:
    """What the side door can switch: how many requests a minute are taken."""

    requests_per_minute: int | None = 1_200


@dataclass
class Office:
    """The state: the shelf with its three tables, and what was sent under each Idempotency-Key."""

    shelf: Shelf
    began_with: dict[str, int] = field(default_factory=dict)
    switches: Switches = field(default_factory=Switches)
    answered: dict[str, int] = field(default_factory=dict)
    asked_at: list[float] = field(default_factory=list)

    def checked(self, table: str, values: Mapping[str, Any], *, number: int | None = None) -> Row:
        """The values as they would be stored. Raises Refused with the field that is wrong."""
        for name in values:
            if name not in FIELDS[table]:
                raise Refused("unknown_field", f"There is no field {name} here.", name)
        needed = REQUIRED[table]
        if number is None or needed in values:
            self._required(values, needed)
        for name, value in values.items():
            if name in AMOUNTS and value is not None and not isinstance(value, int | Decimal):
                raise Refused("invalid", f"{name} must be a number.", name)
            if isinstance(value, str) and len(value) > LONGEST:
                raise Refused("invalid", f"{name} is longer than {LONGEST} characters.", name)
        self._unique(table, values, number)
        return complete(table, {**self._before(table, number), **values}, self.shelf)

    def _required(self, values: Mapping[str, Any], name: str) -> None:
        if values.get(name) in (None, "", " "):
            raise Refused("required", f"{name} must not be <b>empty</b>.", name)

    def _before(self, table: str, number: int | None) -> Row:
        return dict(self.shelf.tables[table][number]) if number is not None else {}

    def _unique(self, table: str, values: Mapping[str, Any], number: int | None) -> None:
        if table != "products" or "sku" not in values:
            return
        if any(row["sku"] == values["sku"] and key != number for key, row in self.shelf.tables[table].items()):
            raise Refused("taken", f"Another product has the sku {values['sku']}.", "sku")


def complete(table: str, given: Mapping[str, Any], shelf: Shelf) -> Row:
    """A whole row: every field there, and what Kontor computes. Raises Refused for an order of what is not there."""
    row = {**dict.fromkeys(FIELDS[table]), **given}
    if table == "orders":
        return _order(row, shelf)
    for name in AMOUNTS:
        if row.get(name) is not None:
            row[name] = Decimal(row[name]).quantize(CENT, ROUND_HALF_UP)
    if table == "products":
        row["active"] = True if row["active"] is None else row["active"]
    return row


def _order(row: Row, shelf: Shelf) -> Row:
    customer = shelf.tables["customers"].get(_number(row["customer_id"]))
    if customer is None:
        raise Refused("unknown_customer", f"There is no customer {row['customer_id']}.", "customer_id")
    lines = [_line(place, line, shelf) for place, line in enumerate(row["lines"] or [], start=1)]
    net = sum((line["amount"] for line in lines), Decimal("0.00"))
    tax = (net * VAT).quantize(CENT, ROUND_HALF_UP)
    row |= {
        "customer_id": customer["id"],
        "customer_name": customer["name"],
        "lines": lines,
        "net": net,
        "tax": tax,
        "total": net + tax,
    }
    row["status"] = row["status"] or "open"
    row["number"] = row["number"] or f"SO-{max(shelf.tables['orders'], default=0) + 1:06}"
    return row


def _line(place: int, given: Mapping[str, Any], shelf: Shelf) -> Row:
    product = shelf.tables["products"].get(_number(given.get("product_id")))
    if product is None:
        raise Refused("unknown_product", f"There is no product {given.get('product_id')}.", "lines")
    quantity, price = Decimal(given.get("quantity") or 0), Decimal(given.get("unit_price") or 0)
    return {
        "position": place,
        "product_id": product["id"],
        "sku": product["sku"],
        "name": product["name"],
        "quantity": quantity,
        "unit": product["unit"],
        "unit_price": price,
        "amount": (quantity * price).quantize(CENT, ROUND_HALF_UP),
    }


def _number(value: Any) -> int:
    """An id, which may come as text; 0 for what is none."""
    return int(value) if isinstance(value, int) or (isinstance(value, str) and value.isdigit()) else 0
