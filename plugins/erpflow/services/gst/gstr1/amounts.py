"""Amounts of a document by rate: lines of one rate are summed, then rounded, then taxed as the portal does it again.

Every sum is shared out to its lines again to the paisa, so that the summary by HSN adds up to the other sections.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from erpflow.services.gst.gstr1.classify import is_inter_state, is_rated
from erpflow.services.gst.gstr1.documents import UNTAXED, ZERO, Document, Filer, Line, rupees

_PERCENT: Final = Decimal(100)
_HALF_PERCENT: Final = Decimal(200)


@dataclass(frozen=True, slots=True)
class Amounts:
    """In rupees; of credit notes negative wherever they are summed."""

    taxable: Decimal = ZERO
    igst: Decimal = ZERO
    cgst: Decimal = ZERO
    sgst: Decimal = ZERO
    cess: Decimal = ZERO

    def __add__(self, other: Amounts) -> Amounts:
        return Amounts(
            self.taxable + other.taxable,
            self.igst + other.igst,
            self.cgst + other.cgst,
            self.sgst + other.sgst,
            self.cess + other.cess,
        )

    def times(self, sign: int) -> Amounts:
        """With another sign."""
        return Amounts(*(each * sign for each in (self.taxable, self.igst, self.cgst, self.sgst, self.cess)))

    @property
    def tax(self) -> Decimal:
        """All taxes together."""
        return self.igst + self.cgst + self.sgst + self.cess


@dataclass(frozen=True, slots=True)
class Share:
    """What one line is of its document, in whole paise."""

    line: Line
    taxable: Decimal
    cess: Decimal


@dataclass(frozen=True, slots=True)
class Item:
    """The lines of one document at one rate. `is_inter`: taxed with IGST, else half and half."""

    rate: Decimal
    is_inter: bool
    amounts: Amounts
    shares: tuple[Share, ...]


def taxed(taxable: Decimal, rate: Decimal, *, is_inter: bool, cess: Decimal = ZERO) -> Amounts:
    """A taxable value with its taxes: IGST, or CGST and SGST, rounded apart and yet equal."""
    if is_inter:
        return Amounts(taxable, igst=rupees(taxable * rate / _PERCENT), cess=cess)
    half = rupees(taxable * rate / _HALF_PERCENT)
    return Amounts(taxable, cgst=half, sgst=half, cess=cess)


def rate_of(document: Document, line: Line) -> Decimal:
    """The rate that a line is declared at: none without payment of tax."""
    return ZERO if document.supply in UNTAXED else line.rate


def items_of(document: Document, filer: Filer) -> tuple[Item, ...]:
    """The rated lines of a document, an item for each rate, the highest first."""
    lines: dict[Decimal, list[Line]] = defaultdict(list)
    for line in document.lines:
        if is_rated(document, line):
            lines[rate_of(document, line)].append(line)
    is_inter = is_inter_state(document, filer)
    return tuple(_item(rate, lines[rate], is_inter=is_inter) for rate in sorted(lines, reverse=True))


def unrated_of(document: Document) -> tuple[Share, ...]:
    """The lines of a document that are summed up in `nil`."""
    unrated = (line for line in document.lines if not is_rated(document, line))
    return tuple(Share(line, rupees(line.taxable_value), ZERO) for line in unrated)


def shared_out(shares: Iterable[tuple[Share, int]], rate: Decimal, *, is_inter: bool) -> Iterator[tuple[Line, Amounts]]:
    """The amounts of every line, with its sign, which together are what all of them are taxed as one.

    Each line gets what the tax of the sum up to it is more than the tax of the sum before.
    """
    before = Amounts()
    taxable = cess = ZERO
    for share, sign in shares:
        taxable += share.taxable * sign
        cess += share.cess * sign
        after = taxed(taxable, rate, is_inter=is_inter, cess=cess)
        yield share.line, after + before.times(-1)
        before = after


def _item(rate: Decimal, lines: Sequence[Line], *, is_inter: bool) -> Item:
    shares = []
    taxable = cess = ZERO
    for line in sorted(lines, key=_order):
        before, cess_before = rupees(taxable), rupees(cess)
        taxable += line.taxable_value
        cess += line.cess
        shares.append(Share(line, rupees(taxable) - before, rupees(cess) - cess_before))
    return Item(rate, is_inter, taxed(rupees(taxable), rate, is_inter=is_inter, cess=rupees(cess)), tuple(shares))


def _order(line: Line) -> tuple[object, ...]:
    """By what a line says, not by where it stands: the same lines in another order are the same document."""
    return (
        line.hsn,
        line.unit,
        line.rate,
        line.treatment,
        line.taxable_value,
        line.quantity,
        line.cess,
        line.description,
    )
