"""What a return is made of: invoices and notes as they were issued, and the series of their numbers."""

from __future__ import annotations

import calendar
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import Final

Day = date  # some fields below are called date
ZERO: Final = Decimal(0)
_PAISA: Final = Decimal("0.01")
_QUARTER: Final = 3


def rupees(amount: Decimal) -> Decimal:
    """An amount in rupees and paise, halves away from zero."""
    return amount.quantize(_PAISA, rounding=ROUND_HALF_UP)


class Kind(StrEnum):
    """What a document is. Advances are known only so that they are refused by name."""

    INVOICE = "invoice"
    CREDIT_NOTE = "credit_note"
    DEBIT_NOTE = "debit_note"
    ADVANCE = "advance"
    ADVANCE_ADJUSTED = "advance_adjusted"


class Supply(StrEnum):
    """What kind of supply a document is of, as the law names it."""

    REGULAR = "regular"
    SEZ_WITH_PAYMENT = "sez_with_payment"
    SEZ_WITHOUT_PAYMENT = "sez_without_payment"
    DEEMED_EXPORT = "deemed_export"
    BONDED_WAREHOUSE = "bonded_warehouse"
    EXPORT_WITH_PAYMENT = "export_with_payment"
    EXPORT_WITHOUT_PAYMENT = "export_without_payment"


EXPORTS: Final = frozenset({Supply.EXPORT_WITH_PAYMENT, Supply.EXPORT_WITHOUT_PAYMENT})
SEZ: Final = frozenset({Supply.SEZ_WITH_PAYMENT, Supply.SEZ_WITHOUT_PAYMENT})
ZERO_RATED: Final = EXPORTS | SEZ
UNTAXED: Final = frozenset({Supply.SEZ_WITHOUT_PAYMENT, Supply.EXPORT_WITHOUT_PAYMENT})
"""Under a bond or letter of undertaking: no tax is charged, whatever the rate of the goods."""


class Treatment(StrEnum):
    """How a line is taxed."""

    TAXABLE = "taxable"
    NIL_RATED = "nil_rated"
    EXEMPT = "exempt"
    NON_GST = "non_gst"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line. `rate` in percent; `taxable_value` after discounts, of all pieces; taxes as charged, None: not told."""

    taxable_value: Decimal
    rate: Decimal = ZERO
    treatment: Treatment = Treatment.TAXABLE
    hsn: str = ""
    description: str = ""
    unit: str = ""
    quantity: Decimal = ZERO
    cess: Decimal = ZERO
    igst: Decimal | None = None
    cgst: Decimal | None = None
    sgst: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """The invoice that a note is about; what is None is looked for among the documents."""

    number: str | None = None
    date: Day | None = None
    value: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShippingBill:
    """Of an export of goods, once customs have numbered it."""

    number: str
    date: Day
    port: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One invoice or note. Amounts of a note are positive.

    `value`: of the whole document, with taxes and rounding. `other_charges`: what is in the value and is no supply,
    such as tax collected at source. `place_of_supply`: two digits. `amends` and `ecommerce_gstin` are known only so
    that they are refused by name. `irn`, `irn_date`: of its e-invoice.
    """

    number: str
    date: Day
    kind: Kind = Kind.INVOICE
    is_cancelled: bool = False
    buyer_gstin: str | None = None
    supply: Supply = Supply.REGULAR
    place_of_supply: str = ""
    reverse_charge: bool = False
    value: Decimal = ZERO
    other_charges: Decimal = ZERO
    lines: tuple[Line, ...] = ()
    original: Original | None = None
    shipping_bill: ShippingBill | None = None
    irn: str | None = None
    irn_date: Day | None = None
    amends: str | None = None
    ecommerce_gstin: str | None = None

    @property
    def is_note(self) -> bool:
        """Whether it corrects an invoice."""
        return self.kind in (Kind.CREDIT_NOTE, Kind.DEBIT_NOTE)

    @property
    def sign(self) -> int:
        """-1 for what takes from the supplies, else 1."""
        return -1 if self.kind is Kind.CREDIT_NOTE else 1

    @property
    def rate_date(self) -> Day:
        """The day whose rates and thresholds hold: of a note the day of its invoice, as far as it is known."""
        return self.original.date if self.is_note and self.original and self.original.date else self.date


class Nature(StrEnum):
    """The kinds of documents whose numbers are accounted for (table 13), as the portal numbers them."""

    INVOICE = "1"
    INWARD_FROM_UNREGISTERED = "2"
    REVISED_INVOICE = "3"
    DEBIT_NOTE = "4"
    CREDIT_NOTE = "5"
    RECEIPT_VOUCHER = "6"
    PAYMENT_VOUCHER = "7"
    REFUND_VOUCHER = "8"
    CHALLAN_JOB_WORK = "9"
    CHALLAN_ON_APPROVAL = "10"
    CHALLAN_LIQUID_GAS = "11"
    CHALLAN_OTHER = "12"


NATURES: Final = {
    Kind.INVOICE: Nature.INVOICE,
    Kind.DEBIT_NOTE: Nature.DEBIT_NOTE,
    Kind.CREDIT_NOTE: Nature.CREDIT_NOTE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One series of numbers that was given out: all of them, and how many were cancelled."""

    nature: Nature
    first: str
    last: str
    total: int
    cancelled: int = 0


@dataclass(frozen=True, slots=True)
class Period:
    """A month of a return; of a quarterly filer the last of its three."""

    year: int
    month: int
    is_quarter: bool = False

    @classmethod
    def parse(cls, text: str, *, is_quarter: bool = False) -> Period:
        """Of `MMYYYY`. Raises ValueError."""
        return cls(int(text[2:]), date(int(text[2:]), int(text[:2]), 1).month, is_quarter)

    def __str__(self) -> str:
        return f"{self.month:02}{self.year}"

    @property
    def first_day(self) -> date:
        """The first day of the month, or of the quarter."""
        months = self.year * 12 + self.month - 1 - (_QUARTER - 1 if self.is_quarter else 0)
        return date(months // 12, months % 12 + 1, 1)

    @property
    def last_day(self) -> date:
        """The last day of the month."""
        return date(self.year, self.month, calendar.monthrange(self.year, self.month)[1])

    @property
    def due(self) -> date:
        """The day until which it is to be filed: the 11th of the next month, of a quarter the 13th."""
        day = 13 if self.is_quarter else 11
        return date(self.year + self.month // 12, self.month % 12 + 1, day)

    @property
    def has_split_hsn(self) -> bool:
        """Whether table 12 has a tab for registered and one for other buyers: from May 2025 on."""
        return (self.year, self.month) >= (2025, 5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filer:
    """Whose return it is. `is_large`: its turnover of the year before was above five crore rupees."""

    gstin: str
    period: Period
    is_large: bool = True

    @property
    def state(self) -> str:
        """The code of its state."""
        return self.gstin[:2]


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, of which document, in which field; what was found and what is allowed is in the sentence.

    `document` is None for the return as a whole. What `blocks` has to be corrected before the return can be submitted;
    the rest should be looked at.
    """

    document: str | None
    field: str
    rule: str
    message: str
    value: str | None = None
    blocks: bool = True
    kind: Kind | None = None

    @classmethod
    def of(
        cls, document: Document, field: str, rule: str, what: str, value: object = None, *, blocks: bool = True
    ) -> Problem:
        """A problem of one document; `what` goes on after its number."""
        shown = f"{value:f}" if isinstance(value, Decimal) else None if value is None else str(value)
        return cls(document.number, field, rule, f"{document.number}{what}.", shown, blocks, document.kind)


@dataclass(frozen=True, slots=True)
class Books:
    """What a return is made of."""

    filer: Filer
    documents: tuple[Document, ...] = ()
    series: tuple[Series, ...] = field(default=())
