"""Rows as they really come: text from other hands, dates from other centuries, numbers nobody has.

Most of them a careful client can take over. Those marked `breaks` it cannot, and has to reject and report.
"""

from dataclasses import dataclass, field
from typing import Any

HTML = '<script>alert("x")</script> <b>Bold</b> &amp; & <img src=x onerror=alert(1)>'
QUOTES = 'O\'Neil "&" Söhne \\ C:\\temp; DROP TABLE customers;--'
RTL = "\u202eشركة الهلال\u202c (Riyadh)"
EMOJI = "😀 Emoji Traders 👩‍👩‍👧‍👦 🇸🇦"
BLANKS = "\u00a0 \t Tab\tand\nNewline \r\n Stores \u200b"
STACKED = "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L̠ͨͧͩ͘G̴̻͈͍͔̹̑͗̎̅͛́Ǫ̵̹̻̝̳͂̌̌͘ Trading"
LONG = 10_000
HUGE = 1e20  # more digits than any money column has
TOO_LONG = "name over 200 characters"
NUL = "NUL character"
OVERFLOW = "number too big"
NEGATIVE = "negative price"
NO_DATE = "no order date"


@dataclass(frozen=True, slots=True)
class Hostile:
    """A row: its name, what differs from an ordinary one, and why a client cannot store it, if it cannot."""

    name: str
    values: dict[str, Any] = field(default_factory=dict)
    breaks: str | None = None


CUSTOMERS = (
    Hostile("HOSTILE-HTML", {"primary_address": f"<p>{HTML}</p><br>1 &lt;Main&gt; St<br>", "company_name": HTML}),
    Hostile("HOSTILE-QUOTES", {"customer_name": QUOTES, "contact_person": QUOTES, "city": "L'Aquila"}),
    Hostile("HOSTILE-RTL", {"customer_name": RTL, "city": "\u200fجدة\u200e", "contact_person": "أبو بكر"}),
    Hostile("HOSTILE-EMOJI", {"customer_name": EMOJI, "contact_person": "🧔🏽‍♂️ Ravi"}),
    Hostile("HOSTILE-BLANKS", {"customer_name": BLANKS, "city": "   ", "state": "\t", "contact_person": "\n\n"}),
    Hostile("HOSTILE-STACKED", {"customer_name": STACKED}),
    Hostile("HOSTILE-EMPTY", dict.fromkeys(("email_id", "mobile_no", "tax_id", "company_name", "primary_address"), "")),
    Hostile("HOSTILE-NULLS", dict.fromkeys(("customer_type", "customer_group", "territory", "language", "city"))),
    Hostile("HOSTILE-DETAILS", {"customer_details": "long text & " * (LONG // 12)}),
    Hostile("HOSTILE-ADDRESS", {"primary_address": "<br>".join(["1 Very Long Street"] * (LONG // 22))}),
    Hostile("HOSTILE-1970", {"creation": "1970-01-01 00:00:00.000000", "modified": "1970-01-01 00:00:00.000001"}),
    Hostile("HOSTILE-EMAIL", {"email_id": "  SALES@HOSTILE.Example.COM ", "mobile_no": "not a phone"}),
    Hostile("HOSTILE-LIMIT-NEGATIVE", {"credit_limit": -5.25}),
    Hostile("HOSTILE-LIMIT-TINY", {"credit_limit": 0.005}),
    Hostile("HOSTILE/SLASH ? # % & +", {"customer_name": "A/B & C? #1 100% Co"}),
    Hostile("HOSTILE-TWIN", {"customer_name": "Twin Traders"}),
    Hostile("HOSTILE-TWIN - 1", {"customer_name": "Twin Traders"}),
    Hostile("HOSTILE-NAME-10000", {"customer_name": "L" * LONG}, TOO_LONG),
    Hostile("HOSTILE-NAME-201", {"customer_name": "ش" * 201}, TOO_LONG),
    Hostile("HOSTILE-NUL", {"contact_person": "Nul\x00Byte"}, NUL),
    Hostile("HOSTILE-NUL-ADDRESS", {"city": "Kochi\x00"}, NUL),
    Hostile("HOSTILE-LIMIT-HUGE", {"credit_limit": HUGE}, OVERFLOW),
)
ITEMS = (
    Hostile("HOSTILE-HTML", {"item_name": "Nails <50 mm> & Co", "description": f"<div><p>{HTML}</p></div>"}),
    Hostile("HOSTILE-QUOTES", {"item_name": QUOTES}),
    Hostile("HOSTILE-RTL", {"item_name": RTL, "description": RTL}),
    Hostile("HOSTILE-EMOJI", {"item_name": EMOJI}),
    Hostile("HOSTILE-NAME-10000", {"item_name": "N" * LONG}, TOO_LONG),
    Hostile("HOSTILE-DESCRIPTION", {"description": "<p>long</p>" * (LONG // 11)}),
    Hostile("HOSTILE-9999", {"end_of_life": "9999-12-31"}),
    Hostile("HOSTILE-EMPTY", {"description": "", "brand": "", "customs_tariff_number": "   "}),
    Hostile("hostile/slash 1½″ ∅8", {"item_name": "½″ pipe, ∅ 8 mm"}),
    Hostile("HOSTILE-NUL", {"item_name": "Nul\x00Byte"}, NUL),
    Hostile("HOSTILE-NEGATIVE", {"standard_rate": -1.0}, NEGATIVE),
    Hostile("HOSTILE-PRICE-HUGE", {"standard_rate": HUGE}, OVERFLOW),
)
ORDERS = (
    Hostile("HOSTILE-ORD-HTML", {"po_no": HTML, "customer_name": f"<b>{QUOTES}</b>"}),
    Hostile("HOSTILE-ORD-1970", {"transaction_date": "1970-01-01", "delivery_date": "1970-01-01"}),
    Hostile("HOSTILE-ORD-9999", {"delivery_date": "9999-12-31"}),
    Hostile("HOSTILE-ORD-EMPTY", {"po_no": "", "tax_id": "", "contact_email": ""}),
    Hostile("HOSTILE-ORD-RTL", {"po_no": RTL, "customer_name": EMOJI}),
    Hostile("HOSTILE-ORD-PO-10000", {"po_no": "P" * LONG}),
    Hostile("HOSTILE-ORD-ORPHAN", {"customer": "A Customer Who Was Merged", "customer_name": "Gone Traders"}),
    Hostile("HOSTILE-ORD-NO-DATE", {"transaction_date": None}, NO_DATE),
    Hostile("HOSTILE-ORD-NO-DATE-2", {"transaction_date": None, "status": "Draft"}, NO_DATE),
    Hostile("HOSTILE-ORD-NUL", {"po_no": "PO\x00-1"}, NUL),
    Hostile("HOSTILE-ORD-HUGE", {"grand_total": HUGE, "base_grand_total": HUGE}, OVERFLOW),
)
BY_DOCTYPE = {"Customer": CUSTOMERS, "Item": ITEMS, "Sales Order": ORDERS}
