"""What a caller sends to have a return made of it: invoices and notes, in the words of the law."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Annotated
from uuid import UUID

from pydantic import Field, field_validator

from erpflow.api.bodies import Body
from erpflow.services.gst.gstr1.documents import (
    Books,
    Document,
    Filer,
    Kind,
    Line,
    Nature,
    Original,
    Period,
    Series,
    ShippingBill,
    Supply,
    Treatment,
)

MOST_DOCUMENTS = 20_000
MOST_LINES = 2_000
MOST_SERIES = 500
MOST_LINES_IN_ALL = 100_000

Rupees = Annotated[Decimal, Field(max_digits=18, decimal_places=6)]
Percent = Annotated[Decimal, Field(max_digits=7, decimal_places=3, ge=0)]
Number = Annotated[str, Field(max_length=64)]
Gstin = Annotated[str, Field(max_length=32)]


class GstLine(Body):
    """One line. `taxable_value` after discounts, of all pieces. Taxes as charged are compared with the computed."""

    taxable_value: Rupees
    rate: Percent = Field(default=Decimal(0), description="In percent: CGST and SGST together, or IGST")
    treatment: Treatment = Treatment.TAXABLE
    hsn: str = Field(default="", max_length=16, description="HSN code of goods or SAC code of services, as text")
    description: str = Field(default="", max_length=2_000)
    unit: str = Field(default="", max_length=16, description="Unit quantity code, such as NOS; none for services")
    quantity: Rupees = Decimal(0)
    cess: Rupees = Decimal(0)
    igst: Rupees | None = None
    cgst: Rupees | None = None
    sgst: Rupees | None = None


class OriginalInvoice(Body):
    """The invoice a note is about. Day and value are looked for among the documents if only its number is given."""

    number: Number | None = None
    date: dt.date | None = None
    value: Rupees | None = None


class GstShippingBill(Body):
    """The shipping bill of an export of goods."""

    number: Number
    date: dt.date
    port: str = Field(max_length=16, description="Port code, six characters")


class GstDocument(Body):
    """An invoice, a credit or a debit note; amounts of notes are positive.

    Of a cancelled one only `number`, `date` and `kind` are looked at. `value` is of the whole document, with taxes and
    rounding; `other_charges` is what it holds besides supplies, such as tax collected at source. A consumer has no
    `buyer_gstin`; an export has the place of supply 96. Advances, amendments and supplies through operators of
    e-commerce can be said, and are refused by name.
    """

    number: Number
    date: dt.date
    kind: Kind = Kind.INVOICE
    cancelled: bool = False
    buyer_gstin: Gstin | None = None
    supply: Supply = Supply.REGULAR
    place_of_supply: str = Field(default="", max_length=8, description="Code of the state, two digits; 96: abroad")
    reverse_charge: bool = False
    value: Rupees = Decimal(0)
    other_charges: Rupees = Decimal(0)
    lines: list[GstLine] = Field(default=[], max_length=MOST_LINES)
    original: OriginalInvoice | None = None
    shipping_bill: GstShippingBill | None = None
    irn: str | None = Field(default=None, max_length=128)
    irn_date: dt.date | None = None
    amends: Number | None = None
    ecommerce_gstin: Gstin | None = None

    def document(self) -> Document:
        """As the return is made of it."""
        given = {name: getattr(self, name) for name in _SAME}
        original, bill = self.original, self.shipping_bill
        return Document(
            **given,
            is_cancelled=self.cancelled,
            lines=tuple(Line(**line.model_dump()) for line in self.lines),
            original=Original(**original.model_dump()) if original else None,
            shipping_bill=ShippingBill(**bill.model_dump()) if bill else None,
        )


_SAME = (
    "number", "date", "kind", "buyer_gstin", "supply", "place_of_supply", "reverse_charge", "value", "other_charges",
    "irn", "irn_date", "amends", "ecommerce_gstin",
)  # fmt: skip


class IssuedSeries(Body):
    """Numbers that were given out, of documents of one nature (1 invoices … 12 other delivery challans)."""

    nature: int = Field(ge=1, le=12)
    first: Number
    last: Number
    total: int = Field(ge=1, le=10_000_000)
    cancelled: int = Field(default=0, ge=0)

    def series(self) -> Series:
        """As the return is made of it."""
        return Series(nature=Nature(str(self.nature)), **self.model_dump(exclude={"nature"}))


class WantedReturn(Body):
    """A return to be generated.

    `documents`: everything that was issued in the period, cancelled ones too; an empty list is a return of nothing.
    `series` in place of what the numbers of the documents say, for the natures it names. `quarterly`: the period is the
    last month of a quarter. `turnover_above_5_crore` of the year before: HSN codes then have six digits at least.
    """

    gstin: Gstin
    period: str = Field(pattern=r"^(0[1-9]|1[0-2])20[0-9]{2}$", description="MMYYYY")
    documents: list[GstDocument] = Field(max_length=MOST_DOCUMENTS)
    series: list[IssuedSeries] = Field(default=[], max_length=MOST_SERIES)
    quarterly: bool = False
    turnover_above_5_crore: bool = True
    connection_id: UUID | None = Field(default=None, description="The account at the portal it will be submitted with")

    @field_validator("documents")
    @classmethod
    def _bounded(cls, documents: list[GstDocument]) -> list[GstDocument]:
        lines = sum(len(each.lines) for each in documents)
        if lines > MOST_LINES_IN_ALL:
            raise ValueError(f"{lines:,} lines are more than {MOST_LINES_IN_ALL:,}, which is what one return may have")
        return documents

    def books(self) -> Books:
        """What the return is made of."""
        period = Period.parse(self.period, is_quarter=self.quarterly)
        return Books(
            Filer(gstin=self.gstin, period=period, is_large=self.turnover_above_5_crore),
            tuple(each.document() for each in self.documents),
            tuple(each.series() for each in self.series),
        )
