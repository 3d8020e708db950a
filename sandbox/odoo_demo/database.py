"""The models of the database: their fields, what a record looks like in an answer, and what is refused."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from sandbox.shelf import Row, Shelf

PARTNER, PRODUCT, ORDER = "res.partner", "product.product", "sale.order"
COUNTRIES = {1: "DE", 2: "FR", 3: "IN", 4: "SA", 5: "AE"}
UNITS = {1: "Units", 2: "kg", 3: "Hours"}

MANY2ONE = {"country_id": COUNTRIES, "uom_id": UNITS}
"""Fields that refer to a record of a list that never changes: id to its name."""

FIELDS: dict[str, dict[str, type | tuple[type, ...]]] = {
    PARTNER: {
        "name": str, "email": str, "phone": str, "vat": str, "street": str, "city": str, "country_id": int,
        "credit_limit": (int, Decimal), "comment": str, "ref": str, "active": bool,
    },
    PRODUCT: {
        "default_code": str, "name": str, "description_sale": str, "list_price": (int, Decimal), "uom_id": int,
        "active": bool,
    },
    ORDER: {
        "name": str, "partner_id": int, "date_order": str, "state": str, "client_order_ref": str, "order_line": list,
        "amount_untaxed": (int, Decimal), "amount_tax": (int, Decimal), "amount_total": (int, Decimal),
    },
}  # fmt: skip
AMOUNTS = ("credit_limit", "list_price", "amount_untaxed", "amount_tax", "amount_total")
REQUIRED = {PARTNER: "name", PRODUCT: "name", ORDER: "partner_id"}


class OdooError(Exception):
    """What the server raises: its Python name, and what it says."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name
        self.message = message


@dataclass
class Database:
    """The state. `expired`: the key was revoked, and nobody is let in."""

    shelf: Shelf
    began_with: dict[str, int] = field(default_factory=dict)
    expired: bool = False

    def model(self, name: str) -> dict[int, Row]:
        """The rows of a model. Raises OdooError for one that is not there."""
        if name not in self.shelf.tables:
            raise OdooError("builtins.KeyError", f"{name!r}")
        return self.shelf.tables[name]

    def existing(self, model: str, ids: Any) -> list[int]:
        """The ids, when all of them are there. Raises OdooError as the ORM does for a record that was deleted."""
        wanted = [number for number in (ids if isinstance(ids, list) else [ids]) if isinstance(number, int)]
        gone = [number for number in wanted if number not in self.model(model)]
        if gone:
            raise OdooError(
                "odoo.exceptions.MissingError",
                f"Record does not exist or has been deleted.\n(Record: {model}({gone[0]},), User: 2)",
            )
        return wanted

    def checked(self, model: str, values: Any, *, number: int | None = None) -> Row:
        """The values as they would be stored. Raises OdooError."""
        if not isinstance(values, dict):
            raise OdooError("builtins.TypeError", "vals must be a dict")
        row: Row = {}
        for name, value in values.items():
            if name not in FIELDS[model]:
                raise OdooError("builtins.ValueError", f"Invalid field {name!r} on model {model!r}")
            row[name] = _stored(model, name, value)
        needed = REQUIRED[model]
        if (number is None or needed in row) and not row.get(needed):
            raise OdooError(
                "odoo.exceptions.ValidationError",
                f"The operation cannot be completed: a mandatory field is not set.\n\nField: {needed}",
            )
        self._unique(model, row, number)
        return row

    def shown(self, model: str, number: int, specification: Mapping[str, Any]) -> Row:
        """A record as an answer holds it: false where there is nothing, references as far as they are asked for."""
        row = self.model(model)[number]
        found: Row = {"id": number}
        for name, wanted in specification.items():
            inner = (wanted or {}).get("fields") if isinstance(wanted, dict) else None
            if name == "write_date":
                found[name] = second_of(self.shelf.stamps[model][number])
            elif name not in FIELDS[model] and name != "id":
                raise OdooError("builtins.ValueError", f"Invalid field {name!r} on model {model!r}")
            elif name != "id":
                found[name] = self._value(name, row.get(name), inner)
        return found

    def _value(self, name: str, value: Any, inner: Mapping[str, Any] | None) -> Any:
        if name == "order_line":
            return [self._line(line, inner or {}) for line in value or []]
        if name in AMOUNTS:
            return value or Decimal("0.0")
        if value is None or value == "":
            return False
        if name in MANY2ONE:
            label = MANY2ONE[name][value]
            return {"id": value, **dict.fromkeys(inner or {}, label)} if inner is not None else value
        if name == "partner_id" and inner is not None:
            return {"id": value, **{key: self.model(PARTNER)[value].get("name") for key in inner}}
        return value

    def _line(self, line: Row, inner: Mapping[str, Any]) -> Row:
        found = {"id": line["id"], **{name: line.get(name, False) for name in inner}}
        product = (inner.get("product_id") or {}).get("fields")
        if product is not None:
            row = self.model(PRODUCT).get(line["product_id"], {})
            found["product_id"] = {"id": line["product_id"], **{name: row.get(name) or False for name in product}}
        return found

    def _unique(self, model: str, row: Mapping[str, Any], number: int | None) -> None:
        code = row.get("default_code") if model == PRODUCT else None
        others = [other.get("default_code") for key, other in self.model(model).items() if key != number]
        if code and code in others:
            raise OdooError(
                "odoo.exceptions.ValidationError",
                f"The operation cannot be completed: Internal Reference {code} must be unique!",
            )


def second_of(at: datetime) -> str:
    """A time as the server writes it: UTC, without its microseconds, which the database keeps."""
    return at.strftime("%Y-%m-%d %H:%M:%S")


def _stored(model: str, name: str, value: Any) -> Any:
    """False and null are one: nothing."""
    kind = FIELDS[model][name]
    if value is None or (value is False and kind is not bool):
        return None
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise OdooError("builtins.ValueError", f"Wrong value for {model}.{name}: {value!r}")
    if name in MANY2ONE and value not in MANY2ONE[name]:
        raise OdooError("odoo.exceptions.ValidationError", f"There is no record {value} for the field {name}.")
    return value


def complete(table: str, given: Row) -> Row:
    """A whole row of what a person typed."""
    row = {**dict.fromkeys(FIELDS[table]), **{name: value for name, value in given.items() if name != "id"}}
    if "active" in row and row["active"] is None:
        row["active"] = True
    return row
