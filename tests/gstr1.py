"""Invoices and notes as tests of GSTR-1 have them: a supplier in Karnataka, its return of January 2026."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from erpflow.services.gst.gstr1.documents import (
    Document,
    Filer,
    Kind,
    Line,
    Original,
    Period,
    ShippingBill,
    Supply,
    Treatment,
)

OWN = "29AABCV1234M1Z5"
MAHARASHTRA = "27AAECE5678K1Z3"
KARNATAKA = "29AAFCB4321P1ZD"
PERIOD = Period(2026, 1)
FILER = Filer(gstin=OWN, period=PERIOD)
TODAY = date(2026, 2, 5)


def line(taxable: str, rate: str = "18", **more: Any) -> Line:
    """A line of power adapters, if nothing else is said."""
    given = {"hsn": "85044090", "description": "Power adapter", "unit": "NOS", "quantity": Decimal(1)} | more
    return Line(taxable_value=Decimal(taxable), rate=Decimal(rate), **given)


def biscuits(taxable: str, quantity: int = 1) -> Line:
    return line(taxable, "5", hsn="19053100", description="Sweet biscuits", unit="PCS", quantity=Decimal(quantity))


def rice(taxable: str, quantity: int = 1) -> Line:
    about = {"hsn": "10063090", "description": "Rice, loose", "unit": "KGS", "quantity": Decimal(quantity)}
    return line(taxable, "0", treatment=Treatment.NIL_RATED, **about)


def support(taxable: str) -> Line:
    return line(taxable, hsn="998313", description="Software support", unit="", quantity=Decimal(3))


def invoice(number: str, pos: str, value: str, *lines: Line, **more: Any) -> Document:
    """An invoice of the 19th of January, if nothing else is said."""
    given = {"date": date(2026, 1, 19), "place_of_supply": pos, "value": Decimal(value), "lines": lines}
    return Document(number=number, **(given | more))


def credit_note(number: str, pos: str, value: str, *lines: Line, of: Original | None = None, **more: Any) -> Document:
    return invoice(number, pos, value, *lines, kind=Kind.CREDIT_NOTE, original=of, **more)


def sample_documents() -> list[Document]:
    """The documents behind the sample return: 118 sales of a shop among them."""
    small = [("150.00", 3)] * 115 + [("2750.00", 95)]
    shop = [
        invoice(f"VK/{number}", "29", str(Decimal(taxable) * Decimal("1.05")), biscuits(taxable, quantity))
        for number, (taxable, quantity) in enumerate(small, start=1003)
    ]
    bill = ShippingBill(number="1234567", date=date(2026, 1, 26), port="INMAA1")
    abroad = line("50000", "0", quantity=Decimal(40), description="Power adapter (export)")
    return [
        invoice(
            "INV/2026/0104", "27", "18938", line("12000", quantity=Decimal(10)), biscuits("4550", 100),
            buyer_gstin=MAHARASHTRA,
        ),
        invoice("INV/2026/0105", "29", "11800", support("10000"), buyer_gstin=KARNATAKA),
        Document(number="INV/2026/0106", date=date(2026, 1, 19), is_cancelled=True),
        invoice("INV/2026/0107", "33", "141600", line("120000", quantity=Decimal(100)), date=date(2026, 1, 20)),
        invoice("VK/1001", "07", "5900", line("5000", quantity=Decimal(5))),
        invoice("VK/1002", "29", "3000", rice("3000", 60)),
        *shop,
        Document(number="VK/1119", date=date(2026, 1, 30), is_cancelled=True),
        Document(number="VK/1120", date=date(2026, 1, 30), is_cancelled=True),
        invoice(
            "EXP/2026/0003", "96", "50000", abroad, date=date(2026, 1, 24), shipping_bill=bill,
            supply=Supply.EXPORT_WITHOUT_PAYMENT,
        ),
        credit_note(
            "CN/2026/0009", "27", "1416", line("1200"), date=date(2026, 1, 22), buyer_gstin=MAHARASHTRA,
            of=Original(number="INV/2026/0104"),
        ),
        credit_note(
            "CN/2026/0010", "33", "1180", line("1000"), date=date(2026, 1, 25), of=Original(number="inv/2026/0107")
        ),
    ]  # fmt: skip
