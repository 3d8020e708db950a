"""Goods and orders as they really come: markup, other scripts, slashes in keys, prices that make no sense."""

from dataclasses import dataclass, field
from typing import Any

HTML = '<script>alert("x")</script> <b>Bold</b> &amp; & <img src=x onerror=alert(1)>'
QUOTES = 'O\'Neil "&" Söhne \\ C:\\temp; DROP TABLE products;--'
RTL = "\u202eشاحن سريع\u202c 65W"
EMOJI = "😀 Diwali box 👩‍👩‍👧‍👦 🇮🇳"

GOODS: tuple[dict[str, Any], ...] = (
    {"sku": "HOSTILE-HTML", "name": "Nails <50 mm> & Co", "description": HTML},
    {"sku": "HOSTILE-QUOTES", "name": QUOTES},
    {"sku": "HOSTILE-RTL", "name": RTL, "description": RTL},
    {"sku": "HOSTILE-EMOJI", "name": EMOJI},
    {"sku": "HOSTILE/SLASH ? # % & +", "name": "Key with everything a path must not hold"},
    {"sku": "HOSTILE केसर चाय", "name": "केसर चाय"},
    {"sku": "hostile-html", "name": "The same key in small letters"},
    {"sku": "HOSTILE-NAME-255", "name": "ल" * 255},
    {"sku": "HOSTILE-ZEROS", "name": "Seeds", "hsn_sac_code": "00120991"},
    {"sku": "HOSTILE-NO-MRP", "name": "Loose sugar", "mrp": 0},
    {"sku": "HOSTILE-ABOVE-MRP", "name": "Dearer than printed", "price": 120, "mrp": 100},
    {"sku": "HOSTILE-FREE", "name": "Free sample", "price": 0, "mrp": 0},
    {"sku": "HOSTILE-WITHDRAWN", "name": "No longer sold", "status": "inactive"},
)


@dataclass(frozen=True, slots=True)
class HostileOrder:
    """An order that differs from an ordinary one, and why a receiver has to refuse it, if it has to."""

    name: str
    values: dict[str, Any] = field(default_factory=dict)
    customer: dict[str, Any] = field(default_factory=dict)
    breaks: str | None = None


ORDERS = (
    HostileOrder("NO-EMAIL", customer={"email": None}),
    HostileOrder("EMAIL-CASE", customer={"email": "  ASHA@Example.COM "}),
    HostileOrder("HTML", customer={"name": HTML, "billing_address": {"line1": HTML, "city": "O'Fallon"}}),
    HostileOrder("RTL", customer={"name": RTL}),
    HostileOrder("EMOJI", customer={"name": EMOJI}),
    HostileOrder("1970", {"order_date": "1970-01-01T00:00:00+05:30"}),
    HostileOrder("9999", {"order_date": "9999-12-31T23:59:59+05:30"}),
    HostileOrder("UNKNOWN-SKU", {"items.0.sku": "NO-SUCH-SKU"}),
    HostileOrder("EXTRA", {"loyalty": {"points": 12}, "notes": None}),
    HostileOrder("NO-CUSTOMER", {"customer": None}, breaks="no customer"),
    HostileOrder("NO-LINES", {"items": []}, breaks="no lines"),
    HostileOrder("WRONG-TOTAL", {"total_amount": 1}, breaks="the total does not add up"),
)
