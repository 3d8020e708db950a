"""Records as they really come: text from other hands, dates from other centuries, numbers nobody has.

Most of them a careful client can take over. Those marked `breaks` it cannot, and has to reject and report.
"""

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

HTML = '<script>alert("x")</script> <b>Krepko</b> &amp; & <br>'
QUOTES = 'O\'Neil "&" Sinovi \\ C:\\temp; DROP TABLE customers;--'
RTL = "\u202eשלום\u202c d.o.o."
EMOJI = "😀 Emoji 👩‍👩‍👧‍👦 d.o.o."
BLANKS = "\u00a0 \t Presledki\u200b  "
LONG = 10_000
HUGE = Decimal("1E+20")
NUL = "NUL character"
OVERFLOW = "number too big"
NO_DATE = "no date"
NEGATIVE = "negative price"
NO_NAME = "no name"
PARTNER = "its partner is rejected"
PRODUCT = "its product is rejected"


@dataclass(frozen=True, slots=True)
class Hostile:
    """What differs from an ordinary record, and why a client cannot store it, if it cannot."""

    values: dict[str, Any] = field(default_factory=dict)
    breaks: str | None = None


PARTNERS = (
    Hostile({"customer": f"HOSTILE {HTML}"}),
    Hostile({"customer": f"HOSTILE {QUOTES}"}),
    Hostile({"customer": f"HOSTILE {RTL}"}),
    Hostile({"customer": f"HOSTILE {EMOJI}"}),
    Hostile({"customer": f"HOSTILE {BLANKS}"}),
    Hostile({"tax_id_number": None, "registration_number": None, "partner_contact_list": []}),
    Hostile({"partner_delivery_address_list": [], "partner_contact_list": []}),
    Hostile({"customer": "HOSTILE Nul\x00"}, NUL),
)
PRODUCTS = (
    Hostile({"name": "HOSTILE <b>žeblji</b> & co", "name_desc": f"<div>{HTML}</div><br>opis"}),
    Hostile({"name": f"HOSTILE {QUOTES}"}),
    Hostile({"name": f"HOSTILE {RTL}", "name_desc": RTL}),
    Hostile({"name": f"HOSTILE {EMOJI}", "activated": False}),
    Hostile({"name": "HOSTILE brez cene", "pricelist": []}),
    Hostile({"name": "HOSTILE lestvica", "pricelist": [{"count_code": "PC-2026", "price_def": [
        {"amount_to": Decimal(10), "price": Decimal("2.5"), "tax": "EX4"},
        {"amount_from": Decimal(10), "price": Decimal(2), "tax": "EX4"},
    ]}]}),
    Hostile({"name": "HOSTILE z davkom", "pricelist": [{"count_code": "PC-2026", "price_def": [
        {"price_with_tax": Decimal("14.6754"), "tax": "EX4", "discount": Decimal(15)},
    ]}]}),
    Hostile({"name": "HOSTILE teža", "weight": Decimal("1895.01")}),
    Hostile({"name": "HOSTILE Nul\x00"}, NUL),
    Hostile({"name": None}, NO_NAME),
    Hostile({"name": "HOSTILE minus", "pricelist": [{"count_code": "PC-2026", "price_def": [
        {"price": Decimal(-1), "tax": "EX4"}]}]}, NEGATIVE),
    Hostile({"name": "HOSTILE drago", "pricelist": [{"count_code": "PC-2026", "price_def": [
        {"price": HUGE, "tax": "EX4"}]}]}, OVERFLOW),
)  # fmt: skip
DOCUMENTS = (
    Hostile({"title": "HOSTILE", "notes": HTML * 3, "buyer_order": f"HOSTILE {QUOTES}"}),
    Hostile({"title": "HOSTILE 1970", "doc_date": date(1970, 1, 1)}),
    Hostile({"title": "HOSTILE 9999", "doc_date": date(9999, 12, 31)}),
    Hostile({"title": RTL, "notes": EMOJI}),
    Hostile({"title": "HOSTILE long", "notes": "dolgo besedilo & " * (LONG // 17)}),
    Hostile({"title": "HOSTILE orphan", "_partner": "1599999999", "_receiver": "1599999999"}),
    Hostile({"title": "HOSTILE", "doc_date": None}, NO_DATE),
    Hostile({"count_code": "HOSTILE\x00"}, NUL),
    Hostile({"title": "HOSTILE huge", "_huge": True}, OVERFLOW),
)
