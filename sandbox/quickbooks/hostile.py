"""Rows as they really come: text from other hands, dates from other centuries, numbers nobody has.

Most of them a careful client can take over. Those marked `breaks` it cannot, and has to reject and report.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

HTML = '<script>alert("x")</script> <b>Bold</b> &amp; & <img src=x onerror=alert(1)>'
QUOTES = 'O\'Neil "&" Söhne \\ C;\\temp; DROP TABLE customers;--'
RTL = "\u202eشركة الهلال\u202c (Riyadh)"
EMOJI = "😀 Emoji Traders 👩‍👩‍👧‍👦 🇸🇦"
HUGE = Decimal(10**20)  # more digits than any money column has
NUL = "NUL character"
OVERFLOW = "number too big"
TWICE = "a value that only one row may have"


@dataclass(frozen=True, slots=True)
class Hostile:
    """A row: its name, what differs from an ordinary one, and why a client cannot store it, if it cannot."""

    name: str
    values: dict[str, Any] = field(default_factory=dict)
    breaks: str | None = None


CUSTOMERS = (
    Hostile("HOSTILE-HTML", {"CompanyName": HTML, "Notes": HTML}),
    Hostile("HOSTILE-QUOTES", {"CompanyName": QUOTES, "BillAddr": {"City": "L'Aquila"}}),
    Hostile("HOSTILE-RTL", {"CompanyName": RTL, "BillAddr": {"Line1": "شارع الملك فهد", "City": "\u200fجدة\u200e"}}),
    Hostile("HOSTILE-EMOJI", {"CompanyName": EMOJI, "GivenName": "🧔🏽‍♂️ Ravi"}),
    Hostile("HOSTILE-BLANKS", {"CompanyName": "\u00a0 \t Tab\tand\nNewline \r\n \u200b", "GivenName": "   "}),
    Hostile("HOSTILE-EMPTY", dict.fromkeys(("PrimaryEmailAddr", "PrimaryPhone", "BillAddr", "CompanyName"))),
    Hostile("HOSTILE-PLAIN", {"PrimaryEmailAddr": {}, "BillAddr": {"Id": "9"}, "GivenName": ""}),
    Hostile("HOSTILE-EMAIL", {"PrimaryEmailAddr": {"Address": "  SALES@HOSTILE.Larkspur-Customers.example "}}),
    Hostile("HOSTILE-" + "L" * 491, {"Notes": "long text & " * 160}),
    Hostile("HOSTILE-INACTIVE (deleted)", {"Active": False}),
    Hostile("HOSTILE-NUL", {"CompanyName": "Nul\x00Byte"}, NUL),
)
ITEMS = (
    Hostile("HOSTILE-HTML", {"Description": HTML}),
    Hostile("HOSTILE-QUOTES", {"Description": QUOTES, "Sku": "LHG-'\"\\"}),
    Hostile("HOSTILE-RTL", {"Description": RTL}),
    Hostile("HOSTILE-CATEGORY", {"Type": "Category", "Sku": None, "Description": None, "UnitPrice": 0}),
    Hostile("HOSTILE-TWIN", {"Sku": "LHG-00001"}, TWICE),
    Hostile("HOSTILE-PRICE-HUGE", {"UnitPrice": HUGE}, OVERFLOW),
    Hostile("HOSTILE-NUL", {"Description": "Nul\x00Byte"}, NUL),
)
DOCUMENTS: Mapping[str, tuple[Hostile, ...]] = {
    "Invoice": (
        Hostile("1970", {"TxnDate": "1970-01-01", "DueDate": "1970-01-31"}),
        Hostile("9999", {"TxnDate": "9999-12-31", "DueDate": "9999-12-31"}),
        Hostile("twin", {"DocNumber": "1001"}, TWICE),
    ),
    "SalesReceipt": (
        Hostile("notes", {"PrivateNote": HTML}),
        Hostile("number", {"DocNumber": "R/1 & \u202eשלום\u202c"}),
        Hostile("nul", {"DocNumber": "R\x001"}, NUL),
    ),
    "Estimate": (Hostile("status", {"TxnStatus": "Converted"}),),
}
