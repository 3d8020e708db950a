"""What the store makes of one row that is sent: its values as they are stored, or why it is refused.

A row replaces what was there: a field that is not sent gets its default. Source: the sheet, "Field mapping" and
"Operations"; that a row without a required field is refused, and that negative amounts are, is UNVERIFIED.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sandbox.veekaart.answers import plain

LONGEST_NAME = 255
LONGEST_SKU = 100
CENT = Decimal("0.01")
LARGEST = Decimal(10) ** 12


class RowRefused(Exception):
    """A row that the store does not take."""

    def __init__(self, code: str, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field

    def shown(self) -> dict[str, Any]:
        return {"code": self.code, "field": self.field, "message": self.message}


def invalid(field: str, message: str) -> RowRefused:
    return RowRefused("validation_error", message, field=field)


@dataclass(frozen=True, slots=True)
class Read:
    """A row as it is stored, and the time its sender gave it."""

    values: dict[str, Any]
    said_at: datetime | None


def sku_of(row: Any) -> str:
    """The key of a row, without blanks around it. Raises RowRefused."""
    if not isinstance(row, Mapping):
        raise invalid("", "A row must be an object")
    sku = row.get("sku")
    if not isinstance(sku, str) or not sku.strip():
        raise invalid("sku", "sku is required")
    if len(sku.strip()) > LONGEST_SKU:
        raise invalid("sku", f"sku must not be longer than {LONGEST_SKU} characters")
    return sku.strip()


def product(row: Mapping[str, Any]) -> Read:
    """A row of `products`. Raises RowRefused."""
    name = text(row, "name", longest=LONGEST_NAME)
    if not name.strip():
        raise invalid("name", "name is required")
    if row.get("status") not in ("active", "inactive"):
        raise invalid("status", "status must be active or inactive")
    values = {
        "external_id": text(row, "external_id") or None,
        "name": name,
        "description": text(row, "description"),
        "hsn_sac_code": text(row, "hsn_sac_code"),
        "price": money(row, "price", required=True),
        "mrp": money(row, "mrp"),
        "tax_rate": rate(row),
        "status": row["status"],
    }
    return Read(values, moment(row, "updated_at"))


def stock(row: Mapping[str, Any]) -> Read:
    """A row of `inventory`. Raises RowRefused."""
    fields = ("quantity", "reserved_quantity", "available_quantity")
    values = {field: amount(row, field, required=field == "quantity") for field in fields}
    as_of = moment(row, "as_of")
    return Read(values, as_of)


def prices(row: Mapping[str, Any]) -> Read:
    """A row of `pricing`; the discount is computed again. Raises RowRefused."""
    selling, mrp = money(row, "selling_price", required=True), money(row, "mrp")
    discount = discount_of(selling, mrp)
    sent = row.get("discount_percentage")
    if sent is not None and abs(amount(row, "discount_percentage") - discount) > CENT:
        message = f"discount_percentage is {sent}, expected {discount}"
        raise RowRefused("discount_mismatch", message, field="discount_percentage")
    values = {
        "cost_price": money(row, "cost_price") if row.get("cost_price") is not None else None,
        "selling_price": selling,
        "mrp": mrp,
        "tax_rate": rate(row),
        "discount_percentage": plain(discount),
    }
    return Read(values, None)


READERS: dict[str, Callable[[Mapping[str, Any]], Read]] = {"products": product, "inventory": stock, "pricing": prices}


def discount_of(selling: Decimal, mrp: Decimal) -> Decimal:
    """How far the price lies below the maximum retail price, in per cent; 0 where there is none, or it lies above."""
    if mrp <= 0 or selling >= mrp:
        return Decimal(0)
    return ((mrp - selling) / mrp * 100).quantize(CENT)


def text(row: Mapping[str, Any], field: str, *, longest: int | None = None) -> str:
    value = row.get(field)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise invalid(field, f"{field} must be text")
    if longest is not None and len(value) > longest:
        raise invalid(field, f"{field} must not be longer than {longest} characters")
    return value


def amount(row: Mapping[str, Any], field: str, *, required: bool = False) -> Decimal:
    """A number that is not negative, as it was written. Raises RowRefused."""
    value = row.get(field)
    if value is None:
        if required:
            raise invalid(field, f"{field} is required")
        return Decimal(0)
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise invalid(field, f"{field} must be a number")
    if value < 0:
        raise invalid(field, f"{field} must not be negative")
    if value >= LARGEST:
        raise invalid(field, f"{field} is too large")
    return plain(value)


def money(row: Mapping[str, Any], field: str, *, required: bool = False) -> Decimal:
    """An amount of at most two decimals. Raises RowRefused."""
    value = amount(row, field, required=required)
    if value != value.quantize(CENT):
        raise invalid(field, f"{field} must have at most 2 decimals")
    return value.quantize(CENT)


def rate(row: Mapping[str, Any]) -> Decimal:
    """A tax rate: a percentage, and no id of one. Raises RowRefused."""
    value = amount(row, "tax_rate")
    if value > 100:
        raise invalid("tax_rate", "tax_rate must be a percentage from 0 to 100")
    return value


def moment(row: Mapping[str, Any], field: str) -> datetime | None:
    """An ISO time with an offset. Raises RowRefused."""
    value = row.get(field)
    if value is None:
        return None
    try:
        found = datetime.fromisoformat(value)
        if found.tzinfo is None:
            raise ValueError
    except (TypeError, ValueError):
        raise invalid(field, f"{field} must be a time with an offset, such as 2026-01-19T10:00:00+05:30") from None
    return found
