"""Sums of a return: by section, of the documents as they were issued, and against what the portal has."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from erpflow.services.gst.gstr1.amounts import Amounts
from erpflow.services.gst.gstr1.classify import Section
from erpflow.services.gst.gstr1.documents import ZERO, Document, rupees
from erpflow.services.gst.gstr1.rows import Declared, consumers


@dataclass(frozen=True, slots=True)
class Total:
    """A section's sums; credit notes are taken off.

    `rows` as the portal counts them. `value` of the whole documents, in the section of their taxed lines.
    """

    documents: int = 0
    rows: int = 0
    value: Decimal = ZERO
    amounts: Amounts = field(default_factory=Amounts)


@dataclass(frozen=True, slots=True)
class Compared:
    """The documents as the books have them beside what is declared: `difference` is rounding, or to be explained."""

    books: Amounts
    declared: Amounts
    difference: Amounts
    value: Decimal


def totals_of(declared: Iterable[Declared]) -> dict[Section, Total]:
    """The sums of the sections that have any."""
    each_once = tuple(declared)
    sums: dict[Section, Amounts] = defaultdict(Amounts)
    numbers: dict[Section, set[tuple[str, str]]] = defaultdict(set)
    rows: dict[Section, int] = defaultdict(int)
    values: dict[Section, Decimal] = defaultdict(lambda: ZERO)
    for each in each_once:
        sign, name = each.document.sign, (each.document.kind, each.document.number.upper())
        main = each.section if each.items else Section.NIL
        values[main] += rupees(each.document.value) * sign
        if each.items:
            numbers[each.section].add(name)
            rows[each.section] += 1
        if each.items and each.section is not Section.B2CS:
            sums[each.section] += _sum(item.amounts for item in each.items).times(sign)
        if each.unrated:
            numbers[Section.NIL].add(name)
            rows[Section.NIL] += 1
            sums[Section.NIL] += Amounts(sum((share.taxable for share in each.unrated), ZERO)).times(sign)
    netted = consumers(each_once)
    if netted:
        rows[Section.B2CS], sums[Section.B2CS] = len(netted), _sum(row.amounts for row in netted)
    return {
        section: Total(len(numbers[section]), rows[section], values[section], sums[section])
        for section in Section
        if numbers[section]
    }


def compared(declared: Iterable[Declared], totals: dict[Section, Total]) -> Compared:
    """What the documents charged, as far as they say, beside what is declared."""
    each_once = tuple(declared)
    books = _sum(_charged(each).times(each.document.sign) for each in each_once)
    sums = _sum(total.amounts for total in totals.values())
    value = sum((rupees(each.document.value) * each.document.sign for each in each_once), ZERO)
    return Compared(books, sums, sums + books.times(-1), value)


def _charged(each: Declared) -> Amounts:
    found = Amounts(sum((share.taxable for share in each.unrated), ZERO))
    for item in each.items:
        told = {
            name: _told([getattr(share.line, name) for share in item.shares], getattr(item.amounts, name))
            for name in ("igst", "cgst", "sgst")
        }
        found += Amounts(item.amounts.taxable, cess=item.amounts.cess, **told)
    return found


def _told(taxes: list[Decimal | None], computed: Decimal) -> Decimal:
    known = [tax for tax in taxes if tax is not None]
    return rupees(sum(known, ZERO)) if known else computed


def _sum(amounts: Iterable[Amounts]) -> Amounts:
    found = Amounts()
    for each in amounts:
        found += each
    return found


def count_of(documents: Iterable[Document]) -> dict[str, int]:
    """How many documents of each kind, and how many of them cancelled."""
    found: dict[str, int] = defaultdict(int)
    for each in documents:
        found["cancelled" if each.is_cancelled else each.kind.value] += 1
    return dict(found)
