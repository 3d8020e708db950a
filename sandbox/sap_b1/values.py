"""Values on their way in: checked against the type of their property, and put into the form in which they are kept.

Dates are kept as `2026-11-25`, times as `14:03:11`, enums by the names of their members, numbers as Decimal.
"""

import re
from datetime import date, time
from decimal import Decimal
from typing import Any

from sandbox.sap_b1.errors import ServiceError, refused, unknown_property
from sandbox.sap_b1.schema import Property, Type, schema

LENGTHS = {
    ("BusinessPartner", "CardCode"): 15,
    ("BusinessPartner", "CardName"): 100,
    ("BusinessPartner", "FederalTaxID"): 32,
    ("BusinessPartner", "EmailAddress"): 100,
    ("BusinessPartner", "Phone1"): 20,
    ("ContactEmployee", "Name"): 50,
    ("ContactEmployee", "Remarks1"): 100,
    ("ContactEmployee", "E_Mail"): 100,
    ("Item", "ItemCode"): 50,
    ("Item", "ItemName"): 100,
    ("Document", "NumAtCard"): 100,
    ("Document", "Comments"): 254,
    ("Payment", "Remarks"): 254,
    ("Payment", "CounterReference"): 100,
}
DURATION = re.compile(r"PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?$")


def accept(values: Any, kind: Type) -> dict[str, Any]:
    """The properties of a body. Raises ServiceError for one the type does not have, and for a value that is none."""
    if not isinstance(values, dict):
        raise ServiceError(400, 201, "Invalid JSON: an object was expected.")
    accepted = {}
    for name, value in values.items():
        if "odata." in name:
            continue
        declared = kind.properties.get(name)
        if declared is None:
            raise unknown_property(name, kind.name)
        accepted[name] = accept_one(value, declared, kind)
    return accepted


def accept_one(value: Any, declared: Property, kind: Type) -> Any:
    if value is None:
        return [] if declared.many else None
    inner = schema().types.get(declared.type)
    if declared.many:
        if not isinstance(value, list) or inner is None:
            raise invalid(value, declared)
        return [accept(row, inner) for row in value]
    if inner is not None:
        return accept(value, inner)
    found = scalar(value, declared)
    if found is None:
        raise invalid(value, declared)
    longest = LENGTHS.get((kind.name, declared.name))
    if longest is not None and isinstance(found, str) and len(found) > longest:
        raise refused(f"Value too long in property '{declared.name}' of '{kind.name}'", code=-1)
    return found


def scalar(value: Any, declared: Property) -> Any:
    """A value in the form in which it is kept; None when it is not of its type."""
    enum = schema().enums.get(declared.type)
    if enum is not None:
        return member_of(enum, value)
    reader = READERS.get(declared.type)
    return reader(value) if reader else None


def member_of(enum: dict[str, str], value: Any) -> str | None:
    """An enum's member by its name or by the value the database has."""
    if not isinstance(value, str):
        return None
    return value if value in enum else next((name for name, stored in enum.items() if stored == value), None)


def text_of(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def whole(value: Any) -> int | None:
    try:
        return int(value) if not isinstance(value, bool) and int(value) == Decimal(str(value)) else None
    except (ValueError, TypeError, ArithmeticError):
        return None


def number(value: Any) -> Decimal | None:
    try:
        return Decimal(str(value)) if not isinstance(value, bool) else None
    except ArithmeticError:
        return None


def day(value: Any) -> str | None:
    """A date in any of the forms the vendor reads; the time behind it is ignored."""
    if not isinstance(value, str):
        return None
    text = value[:10] if "-" in value else f"{value[:4]}-{value[4:6]}-{value[6:8]}"
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        return None


def clock_time(value: Any) -> str | None:
    """A time of day; the date before it is ignored."""
    if not isinstance(value, str):
        return None
    if duration := DURATION.match(value):
        value = ":".join(f"{int(part or 0):02}" for part in duration.groups())
    try:
        return time.fromisoformat(value.rpartition("T")[2]).replace(microsecond=0, tzinfo=None).isoformat()
    except ValueError:
        return None


def invalid(value: Any, declared: Property) -> ServiceError:
    return refused(f"Invalid value for property '{declared.name}': {str(value)[:40]!r}", code=-1004)


READERS = {
    "Edm.String": text_of,
    "Edm.Int32": whole,
    "Edm.Int16": whole,
    "Edm.Double": number,
    "Edm.Decimal": number,
    "Edm.DateTime": day,
    "Edm.Time": clock_time,
}
