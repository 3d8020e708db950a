"""The row that is sent for a change: whole, because the store replaces rows, and with what follows from its values.

Source: the interchange contract, "Field mapping" and "Operations".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any, Final

import structlog

from erpflow.errors import FieldProblem, RecordRejected
from erpflow.vocabulary import RemoteId

log = structlog.get_logger(__name__)

Row = dict[str, Any]
CENT: Final = Decimal("0.01")
_GIVEN_BY_STORE: Final = frozenset({"id", "updated_at"})
_TEXTS: Final[Mapping[str, tuple[str, ...]]] = {"products": ("description", "hsn_sac_code")}
_NUMBERS: Final[Mapping[str, tuple[str, ...]]] = {
    "products": ("price", "mrp", "tax_rate"),
    "inventory": ("quantity", "reserved_quantity", "available_quantity"),
    "pricing": ("cost_price", "selling_price", "mrp", "tax_rate", "discount_percentage"),
}


class Remarks:
    """What was odd about the rows of a request and is sent all the same: told once for all of them."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._counted: Counter[str] = Counter()
        self._first: dict[str, str] = {}

    def note(self, what: str, sku: str) -> None:
        """Note an oddity of a row."""
        self._counted[what] += 1
        self._first.setdefault(what, sku)

    def tell(self) -> None:
        """A warning for each kind of oddity, with how often and the first SKU."""
        for what, count in self._counted.items():
            log.warning(what, table=self._table, rows=count, first=self._first[what])


def sku_of(values: Mapping[str, Any]) -> str:
    """The SKU of a new row, without blanks around it. Raises RecordRejected when there is none."""
    sku = values.get("sku")
    if not isinstance(sku, str) or not sku.strip():
        raise RecordRejected([FieldProblem("sku", "required", "A row needs a SKU: it is the key at VeeKaart.")])
    return sku.strip()


def keep_sku(values: Mapping[str, Any], remote_id: RemoteId) -> None:
    """Raises RecordRejected for an update that would write another row than its own."""
    wanted = values.get("sku", remote_id)
    if str(wanted).strip() != remote_id:
        message = f"The SKU {remote_id} is the key of the row and is not changed. Deactivate it and make a new product."
        raise RecordRejected([FieldProblem("sku", "readonly", message, str(wanted)[:80])])


def row_of(table: str, sku: str, values: Mapping[str, Any], stored: Mapping[str, Any] | None, remarks: Remarks) -> Row:
    """The whole row to send: what the store has of it, with these values, and what follows from them."""
    row: Row = {name: value for name, value in (stored or {}).items() if name not in _GIVEN_BY_STORE}
    row |= values
    row["sku"] = sku
    for name in _TEXTS.get(table, ()):
        if name in row and row[name] is None:  # a description that is null is an empty one
            row[name] = ""
    for name in _NUMBERS[table]:
        row |= {name: _as_number(row[name])} if isinstance(row.get(name), str) else {}
    if "tax_rate" in row and row["tax_rate"] is None:  # goods without a tax rate have none to pay
        row["tax_rate"] = 0
    _FOLLOWING[table](row, values, remarks)
    return row


def _as_number(text: str) -> Any:
    """A number that came as text, as what a look-up finds does; other text is left for the store to refuse."""
    try:
        found = Decimal(text)
    except InvalidOperation:
        return text
    return found if found.is_finite() else text


def _product(row: Row, _values: Mapping[str, Any], remarks: Remarks) -> None:
    price, mrp = number(row.get("price")), number(row.get("mrp"))
    if price is not None and mrp and mrp < price:
        remarks.note("price_above_mrp", row["sku"])


def _stock(row: Row, values: Mapping[str, Any], remarks: Remarks) -> None:
    """Books may be below zero, and a shelf may not; what is available is what is there and not reserved."""
    quantity, reserved = number(row.get("quantity")), number(row.get("reserved_quantity"))
    if quantity is None:
        return
    if quantity < 0:
        remarks.note("negative_stock_sent_as_zero", row["sku"])
        row["quantity"] = quantity = Decimal(0)
    available = max(Decimal(0), quantity - (reserved or 0))
    said = number(values.get("available_quantity"))
    if said is not None and said != available:
        remarks.note("available_stock_recomputed", row["sku"])
    row["available_quantity"] = available


def _prices(row: Row, values: Mapping[str, Any], remarks: Remarks) -> None:
    """The store computes the discount too, and refuses another one: it goes with the prices, whoever changed them."""
    selling, mrp = number(row.get("selling_price")), number(row.get("mrp"))
    if selling is not None and mrp and mrp < selling:
        remarks.note("price_above_mrp", row["sku"])
    if "discount_percentage" in values:
        return
    row.pop("discount_percentage", None)
    if selling is not None:
        row["discount_percentage"] = discount_of(selling, mrp)


def discount_of(selling: Decimal, mrp: Decimal | None) -> Decimal:
    """(mrp - selling price) / mrp in per cent, to 2 decimals; 0 without an mrp, and above it (which is UNVERIFIED)."""
    if not mrp or mrp < 0 or selling >= mrp:
        return Decimal(0)
    return ((mrp - selling) / mrp * 100).quantize(CENT, ROUND_HALF_UP)


def number(value: Any) -> Decimal | None:
    """A number as Decimal; None for what is none, which is left for the store to judge."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    found = Decimal(value)
    return found if found.is_finite() else None


_FOLLOWING: Final[Mapping[str, Callable[[Row, Mapping[str, Any], Remarks], None]]] = {
    "products": _product,
    "inventory": _stock,
    "pricing": _prices,
}
