"""What is checked before a return leaves: every problem of every document by name, with what is allowed.

The portal checks the same again and answers hours later, row by row. Source: GSTN, "Validations of GSTR-1".
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Final

from erpflow.services.gst import gstin
from erpflow.services.gst.gstr1.check_lines import amount_problems, line_problems
from erpflow.services.gst.gstr1.classify import is_inter_state
from erpflow.services.gst.gstr1.documents import (
    EXPORTS,
    NATURES,
    ZERO_RATED,
    Document,
    Filer,
    Kind,
    Original,
    Problem,
    Supply,
)
from erpflow.services.gst.reference import OTHER_COUNTRY, STATES

NUMBER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9/-]{0,15}")
_SHIPPING_BILL: Final = re.compile(r"[0-9]{3,7}")
_PORT: Final = re.compile(r"[A-Z0-9]{6}")
_IRN: Final = re.compile(r"[0-9a-f]{64}")
_APRIL: Final = 4
_QUARTERS: Final = frozenset({3, 6, 9, 12})
BARRED_AFTER_YEARS: Final = 3
_FIRST_YEAR: Final = 2017


def filer_problems(filer: Filer, *, today: date) -> list[Problem]:
    """What is wrong with whose return it is, and with its period. `today` where the portal is."""
    found = []
    why = gstin.why_not(filer.gstin)
    if why:
        found.append(Problem(None, "gstin", "gstin", f"{filer.gstin} {why}.", filer.gstin))
    period = filer.period
    if period.year < _FIRST_YEAR or period.first_day > today:
        found.append(
            Problem(None, "period", "period", f"The period {period} has not begun, or is before the law.", str(period))
        )
    elif today > _years_after(period.due, BARRED_AFTER_YEARS):
        why = (
            f"The return of {period} was due on {period.due:%d-%m-%Y}: after {BARRED_AFTER_YEARS} years none is taken."
        )
        found.append(Problem(None, "period", "barred", why, str(period)))
    if period.is_quarter and period.month not in _QUARTERS:
        why = f"A quarter ends in March, June, September or December; {period} is none of its last months."
        found.append(Problem(None, "period", "quarter", why, str(period)))
    return found


def with_originals(documents: Sequence[Document]) -> list[Document]:
    """The documents, each note with what the invoice it names says, where that is among them."""
    invoices = {each.number.upper(): each for each in documents if each.kind is Kind.INVOICE}
    return [_with_original(each, invoices) for each in documents]


def document_problems(documents: Sequence[Document], filer: Filer) -> Iterator[Problem]:
    """Everything that is wrong with documents that have their originals; nothing here stops at the first."""
    used = Counter(_identity(each) for each in documents)
    for document in documents:
        if used[_identity(document)] > 1:
            yield _of(
                document, "number", "duplicate", f"is there {used[_identity(document)]} times in this financial year"
            )
        for check in _OF_CANCELLED if document.is_cancelled else _OF_ISSUED:
            yield from check(document, filer)


# -- of one document --------------------------------------------------------------------------------------------------


def _not_supported(document: Document, _filer: Filer) -> Iterator[Problem]:
    if document.kind not in NATURES:
        yield _of(
            document, "kind", "unsupported",
            "is an advance: tables 11A and 11B are not filled here. Enter it at the portal", document.kind.value,
        )  # fmt: skip
    if document.amends is not None:
        yield _of(
            document, "amends", "unsupported",
            f"amends {document.amends} of an earlier return: amendments are not filled here. Enter it at the portal",
            document.amends,
        )  # fmt: skip
    if document.ecommerce_gstin is not None:
        yield _of(
            document, "ecommerce_gstin", "unsupported",
            "was supplied through an operator of e-commerce: table 14 is not filled here. Enter it at the portal",
            document.ecommerce_gstin,
        )  # fmt: skip


def _number(document: Document, _filer: Filer) -> Iterator[Problem]:
    if not NUMBER.fullmatch(document.number):
        yield _of(
            document, "number", "pattern",
            "is no number of a document: at most 16 of A-Z a-z 0-9 / -, the first one a letter or a digit",
            document.number,
        )  # fmt: skip


def _date(document: Document, filer: Filer) -> Iterator[Problem]:
    period, shown = filer.period, f"{document.date:%d-%m-%Y}"
    if document.date > period.last_day:
        yield _of(document, "date", "future", f"is of {shown}, after the period {period}", shown)
    elif document.date < period.first_day:
        is_late = document.buyer_gstin is not None and not document.is_cancelled
        why = "it is declared late" if is_late else "only documents to registered buyers may be declared late"
        yield _of(
            document, "date", "late", f"is of {shown}, before the period {period}: {why}", shown, blocks=not is_late
        )


def _buyer(document: Document, filer: Filer) -> Iterator[Problem]:
    number = document.buyer_gstin
    if number is None:
        for needs, field, what in (
            (document.supply not in EXPORTS | {Supply.REGULAR}, "supply", f"is a supply {document.supply}"),
            (document.reverse_charge, "reverse_charge", "is under reverse charge"),
        ):
            if needs:
                yield _of(document, field, "needs_gstin", f"{what}, which needs the GSTIN of the buyer")
        return
    why = gstin.why_not(number)
    if document.supply in EXPORTS:
        yield _of(document, "buyer_gstin", "export", "is an export, and has the GSTIN of a buyer", number)
    elif why:
        yield _of(document, "buyer_gstin", "gstin", f"names the buyer {number}, which {why}", number)
    elif number == filer.gstin:
        yield _of(document, "buyer_gstin", "own", "is to the supplier's own GSTIN", number)


def _place(document: Document, _filer: Filer) -> Iterator[Problem]:
    place, is_export = document.place_of_supply, document.supply in EXPORTS
    if is_export and place != OTHER_COUNTRY:
        yield _of(document, "place_of_supply", "pos", f"is an export: its place of supply is {OTHER_COUNTRY}", place)
    elif not is_export and place == OTHER_COUNTRY:
        yield _of(
            document, "place_of_supply", "pos", f"is supplied to {OTHER_COUNTRY} and is no export: say which", place
        )
    elif not is_export and place not in STATES:
        yield _of(
            document, "place_of_supply", "pos",
            f"has the place of supply {place!r}, which is no code of a state: {', '.join(STATES)}", place,
        )  # fmt: skip


def _reverse_charge(document: Document, _filer: Filer) -> Iterator[Problem]:
    if document.reverse_charge and document.supply in ZERO_RATED:
        yield _of(document, "reverse_charge", "zero_rated", "is zero-rated: there is no tax for the buyer to pay")


def _original(document: Document, filer: Filer) -> Iterator[Problem]:
    if not document.is_note:
        if document.original is not None:
            yield _of(document, "original", "no_note", "names an original, and is no note")
        return
    found = document.original or Original()
    if found.date is not None and found.date > document.date:
        yield _of(document, "original.date", "order", "is of an earlier day than its invoice", f"{found.date:%d-%m-%Y}")
    if document.buyer_gstin is None and document.supply not in EXPORTS and is_inter_state(document, filer):
        for name, value in (("date", found.date), ("value", found.value)):
            if value is None:
                yield _of(
                    document, f"original.{name}", "required",
                    f"is a note to a consumer in another state: the {name} of its invoice decides its section, and is "
                    "neither given nor among the documents",
                )  # fmt: skip


def _shipping_bill(document: Document, _filer: Filer) -> Iterator[Problem]:
    bill = document.shipping_bill
    if bill is None:
        return
    if document.supply not in EXPORTS or document.is_note:
        yield _of(document, "shipping_bill", "no_export", "has a shipping bill, and is no invoice of an export")
    if not _SHIPPING_BILL.fullmatch(bill.number):
        yield _of(
            document,
            "shipping_bill.number",
            "pattern",
            "has a shipping bill whose number is not 3 to 7 digits",
            bill.number,
        )
    if not _PORT.fullmatch(bill.port):
        yield _of(document, "shipping_bill.port", "pattern", "has a port code that is not six of A-Z 0-9", bill.port)


def _e_invoice(document: Document, _filer: Filer) -> Iterator[Problem]:
    if (document.irn is None) != (document.irn_date is None):
        yield _of(document, "irn", "incomplete", "has an IRN without its date, or a date without an IRN")
    if document.irn is not None and not _IRN.fullmatch(document.irn):
        yield _of(document, "irn", "pattern", "has an IRN that is not 64 digits of 0-9 a-f", document.irn)


_Check = Callable[[Document, Filer], Iterator[Problem]]
_OF_CANCELLED: Final[tuple[_Check, ...]] = (_not_supported, _number, _date)
_OF_ISSUED: Final[tuple[_Check, ...]] = (
    *_OF_CANCELLED, _buyer, _place, _reverse_charge, _original, _shipping_bill, _e_invoice,
    line_problems, amount_problems,
)  # fmt: skip


def _of(
    document: Document, field: str, rule: str, what: str, value: str | None = None, *, blocks: bool = True
) -> Problem:
    return Problem.of(document, field, rule, f" {what}", value, blocks=blocks)


def _identity(document: Document) -> tuple[object, ...]:
    """What must be there once: a number of a kind in a financial year, without case."""
    year = document.date.year - (1 if document.date.month < _APRIL else 0)
    return (document.kind, document.number.upper(), year)


def _with_original(document: Document, invoices: dict[str, Document]) -> Document:
    given = document.original
    if not document.is_note or given is None or given.number is None:
        return document
    invoice = invoices.get(given.number.upper())
    if invoice is None or invoice.is_cancelled:
        return document
    return replace(document, original=Original(number=invoice.number, date=invoice.date, value=invoice.value))


def _years_after(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year + years)
    except ValueError:  # the 29th of February
        return (day + timedelta(days=1)).replace(year=day.year + years)
