"""How values look on the wire: every scalar a text, decimals in two notations, lists of one without their list."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.metakocka.refusals import invalid

ZONE = ZoneInfo("Europe/Ljubljana")

COLLAPSING = frozenset({"product_list", "localization", "price_def", "categories", "mark_paid"})
"""Lists that come as the bare object when there is one thing in them."""

SLOVENE = frozenset({"weight", "gross_weight", "unit_factor"})
"""Numbers that a record writes with a decimal comma, whatever the others do."""


def rendered(value: Any, name: str = "", *, collapse: bool = True) -> Any:
    """A stored value as JSON carries it; None for what is left out."""
    if isinstance(value, Mapping):
        members = {
            key: shown
            for key, inner in value.items()
            if not key.startswith("_") and (shown := rendered(inner, key, collapse=collapse)) is not None
        }
        return members or None
    if isinstance(value, list):
        items = [shown for item in value if (shown := rendered(item, collapse=collapse)) is not None]
        if len(items) == 1 and collapse and name in COLLAPSING and isinstance(items[0], dict):
            return items[0]
        return items or None
    return scalar(value, name)


def scalar(value: Any, name: str) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return slovene(value) if name in SLOVENE else dotted(value)
    if isinstance(value, datetime):
        return value.astimezone(ZONE).replace(microsecond=0).isoformat()
    if isinstance(value, date):
        return f"{value.isoformat()}{offset_on(value)}"
    return str(value)


def dotted(value: Decimal) -> str:
    """`24.8`: as few digits as say the same."""
    text = f"{value:f}"
    return (text.rstrip("0").rstrip(".") or "0") if "." in text else text


def slovene(value: Decimal) -> str:
    """`1.895,01`: points group thousands, a comma is the decimal mark."""
    whole, _, fraction = dotted(abs(value)).partition(".")
    grouped = f"{int(whole):,}".replace(",", ".")
    return f"{'-' if value < 0 else ''}{grouped}{',' + fraction if fraction else ''}"


def offset_on(day: date) -> str:
    noon = datetime.combine(day, time(12), ZONE)
    seconds = int((noon.utcoffset() or timedelta()).total_seconds())
    return f"{'-' if seconds < 0 else '+'}{abs(seconds) // 3600:02}:{abs(seconds) % 3600 // 60:02}"


# -- what is sent to us ----------------------------------------------------------------------------------------------


def truth(value: Any) -> bool:
    return str(value).lower() == "true"


def number(value: Any, name: str) -> Decimal:
    """A number in either notation, quoted or not. Raises Refusal."""
    text = str(value).replace(" ", "")
    group, mark = (".", ",") if text.rfind(",") > text.rfind(".") else (",", ".")
    text = text.replace(group, "").replace(mark, ".")
    try:
        found = Decimal(text)
    except InvalidOperation:
        raise invalid(name, value) from None
    if not found.is_finite():
        raise invalid(name, value)
    return found


def day(value: Any, name: str) -> date:
    """`2014-05-20+02:00`, or `14.03.2024`. Raises Refusal."""
    text = str(value)
    try:
        if text[2:3] == ".":
            return datetime.strptime(text, "%d.%m.%Y").replace(tzinfo=UTC).date()
        return date.fromisoformat(text[:10])
    except ValueError:
        raise invalid(name, value) from None


def instant(value: Any, name: str) -> datetime:
    """`2024-01-17T14:28:54+01:00`. Raises Refusal."""
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        raise invalid(name, value) from None
    return found if found.tzinfo else found.replace(tzinfo=ZONE)


def listed(value: Any) -> list[Any]:
    """A list, or the one thing in its place."""
    if value is None or value == "":
        return []
    return value if isinstance(value, list) else [value]
