"""What Razorpay takes of the fields of a request, and how it words what it does not take.

That unknown fields are refused and in which words is in the sheet (§2). The words for missing and wrong values are
UNVERIFIED: the sheet has those of invoices only ("line_items is required.").
"""

from collections.abc import Mapping
from typing import Any

from sandbox.razorpay.answers import NO_SUCH_ID, Refusal

MOST_NOTES = 15
LONGEST_NOTE = 256
LEAST_INR = 100
MANY = 2**31


def only(given: Mapping[str, Any], known: set[str], *, inside: str = "") -> None:
    """Refuses fields that are not known."""
    unknown = sorted(set(given) - known)
    if unknown:
        names = ", ".join(f"{inside}{name}" for name in unknown)
        raise Refusal(f"{names} is/are not required and should not be sent")


def whole(given: Mapping[str, Any], name: str, *, least: int = 1, default: int | None = None) -> int:
    """A whole number, also as text: forms send those."""
    value = given.get(name)
    if value is None:
        if default is None:
            raise Refusal(f"The {name.replace('_', ' ')} field is required.", field=name)
        return default
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 16:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise Refusal(f"The {name.replace('_', ' ')} must be an integer.", field=name)
    if value < least or value > MANY * MANY:
        raise Refusal(f"The {name.replace('_', ' ')} must be at least {least}.", field=name)
    return value


def later(given: Mapping[str, Any], name: str, *, now: int) -> int | None:
    """A moment that is still to come; None where none is given."""
    if given.get(name) is None:
        return None
    at = whole(given, name)
    if at <= now or at > MANY * 2:
        raise Refusal(f"The {name.replace('_', ' ')} must be a valid timestamp in the future.", field=name)
    return at


def yes(given: Mapping[str, Any], name: str, *, default: bool) -> bool:
    value = given.get(name, default)
    if value not in (True, False, "0", "1"):
        raise Refusal(f"The {name.replace('_', ' ')} field must be true or false.", field=name)
    return value in (True, "1")


def text(given: Mapping[str, Any], name: str, *, field: str | None = None) -> str:
    value = given.get(name)
    if not isinstance(value, str) or not value.strip():
        raise Refusal(f"The {name.replace('_', ' ')} field is required.", field=field or name)
    return value


def notes(given: Mapping[str, Any]) -> dict[str, str] | list[Any]:
    """The notes as they are stored and shown: an empty list where there are none."""
    value = given.get("notes")
    if value is None or value in ({}, []):
        return []
    if not isinstance(value, dict):
        raise Refusal("The notes must be an array.", field="notes")
    if len(value) > MOST_NOTES:
        raise Refusal(f"The notes may not have more than {MOST_NOTES} items.", field="notes")
    if any(not isinstance(each, str | int) or len(str(each)) > LONGEST_NOTE for each in value.values()):
        raise Refusal(f"The notes may not be greater than {LONGEST_NOTE} characters.", field="notes")
    return value


def item(given: Any, *, inside: str = "item.") -> dict[str, Any]:
    """What is charged: an amount in the smallest unit, an integer."""
    if not isinstance(given, dict):
        raise Refusal("The item field is required.", field="item")
    only(given, {"name", "amount", "currency", "description"}, inside=inside)
    amount = given.get("amount")
    if not isinstance(amount, int) or isinstance(amount, bool):
        raise Refusal("The amount must be an integer.", field="amount")
    currency = text(given, "currency", field="currency")
    if currency == "INR" and amount < LEAST_INR:
        raise Refusal("The amount must be at least INR 1.00", field="amount")
    return {
        "name": text(given, "name", field="name"),
        "description": given.get("description"),
        "amount": amount,
        "unit_amount": amount,
        "currency": currency,
    }


def known(table: Mapping[str, dict[str, Any]], id_: Any) -> dict[str, Any]:
    """The row of an id. A missing one is a 400, not a 404."""
    found = table.get(id_) if isinstance(id_, str) else None
    if found is None:
        raise Refusal(NO_SUCH_ID)
    return found
