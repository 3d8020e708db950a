"""What is checked of the lines of a document, and of its sums."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from erpflow.services.gst import hsn
from erpflow.services.gst.gstr1.amounts import Item, items_of, unrated_of
from erpflow.services.gst.gstr1.documents import (
    EXPORTS,
    UNTAXED,
    ZERO,
    ZERO_RATED,
    Document,
    Filer,
    Line,
    Problem,
    Treatment,
    rupees,
)
from erpflow.services.gst.reference import GST_2_0, UNITS, why_not_in_force

TAX_TOLERANCE: Final = Decimal(1)
"""By how much less than a rupee the tax as charged may differ from the computed one, per rate (UNVERIFIED: the
portal's own tolerance is not published). What is declared is the computed one."""

ROUNDING: Final = Decimal(1)
"""By how much the value of a document may differ from its sum: rounding to whole rupees."""

_LARGE_DIGITS: Final = 6
_SMALL_DIGITS: Final = 4
_SIN_RATE: Final = Decimal(28)
_SIN_CODES: Final = ("24", "21069020")


def line_problems(document: Document, filer: Filer) -> Iterator[Problem]:
    """What is wrong with single lines."""
    if not document.lines:
        yield Problem.of(document, "lines", "required", " has no lines")
    for index, line in enumerate(document.lines):
        for field, rule, what, value, blocks in (*_rate(document, line), *_code(document, line, filer), *_unit(line)):
            where = f"lines[{index}].{field}"
            yield Problem.of(document, where, rule, f", line {index + 1}: {what}", value, blocks=blocks)


_Found = tuple[str, str, str, str | None, bool]


def _rate(document: Document, line: Line) -> Iterator[_Found]:
    rate = f"{line.rate:f}"
    why = why_not_in_force(line.rate, document.rate_date)
    if why:
        yield "rate", "rate", f"the rate {rate} % {why}", rate, True
    if line.treatment is not Treatment.TAXABLE:
        yield from _untaxed(document, line)
    elif line.rate == 0 and document.supply not in UNTAXED:
        yield (
            "treatment", "required",
            "0 % is no taxable supply: say whether it is nil_rated, exempt or non_gst", line.treatment.value, True,
        )  # fmt: skip
    if line.rate == _SIN_RATE and document.rate_date >= GST_2_0 and not line.hsn.startswith(_SIN_CODES):
        what = f"since {GST_2_0:%d-%m-%Y} 28 % is for tobacco and pan masala, and the code is {line.hsn or 'none'}"
        yield "rate", "rate_for_code", what, rate, False


def _untaxed(document: Document, line: Line) -> Iterator[_Found]:
    what = line.treatment.value
    if line.rate or line.cess:
        yield "rate", "treatment", f"what is {what} has no tax, and the rate is {line.rate:f} %", f"{line.rate:f}", True
    if document.supply in ZERO_RATED and (document.supply not in UNTAXED or line.treatment is Treatment.NON_GST):
        yield (
            "treatment", "zero_rated",
            f"{what} cannot be in a supply {document.supply}: issue a document of its own for it", what, True,
        )  # fmt: skip


def _code(document: Document, line: Line, filer: Filer) -> Iterator[_Found]:
    is_optional = not filer.is_large and document.buyer_gstin is None and document.supply not in EXPORTS
    if not line.hsn:
        if not is_optional:
            yield "hsn", "required", "there is no HSN or SAC code", None, True
        return
    why = hsn.why_not(line.hsn, at_least=_LARGE_DIGITS if filer.is_large else _SMALL_DIGITS)
    if why:
        yield "hsn", "hsn", f"the code {line.hsn} {why}", line.hsn, True
    elif not hsn.is_heading_known(line.hsn):
        what = f"the code {line.hsn} has the heading {line.hsn[:4]}, which is not in the portal's list"
        yield "hsn", "hsn_unknown", what, line.hsn, filer.period.has_split_hsn
    elif hsn.is_service(line.hsn) and not hsn.is_service_known(line.hsn):
        yield "hsn", "hsn_unknown", f"the code {line.hsn} is not in our list of services: check it", line.hsn, False


def _unit(line: Line) -> Iterator[_Found]:
    if line.hsn and not hsn.is_service(line.hsn) and line.unit not in UNITS:
        what = f"the unit {line.unit!r} of goods is none of the portal's: {', '.join(sorted(UNITS))}"
        yield "unit", "uqc", what, line.unit, True
    if line.quantity < 0:
        yield "quantity", "min", "the quantity is negative", f"{line.quantity:f}", True


def amount_problems(document: Document, filer: Filer) -> Iterator[Problem]:
    """What is wrong with the sums: nothing negative, the taxes as the rates make them, the value as all of it makes."""
    items, unrated = items_of(document, filer), unrated_of(document)
    for item in items:
        yield from _taxes(document, item)
    sums = [("taxable_value", item.amounts.taxable) for item in items] + [("cess", item.amounts.cess) for item in items]
    sums += [("taxable_value", sum((share.taxable for share in unrated), ZERO)), ("value", document.value)]
    for field, amount in sums:
        if amount < 0:
            yield Problem.of(
                document, field, "negative",
                f" comes to {amount:f} of {field}: amounts are positive, of notes too", amount,
            )  # fmt: skip
    if document.supply in UNTAXED and any(item.amounts.cess for item in items):
        yield Problem.of(document, "cess", "untaxed", " is without payment of tax, and has cess")
    yield from _value(document, items, sum((share.taxable for share in unrated), ZERO))


def _taxes(document: Document, item: Item) -> Iterator[Problem]:
    for name in ("igst", "cgst", "sgst"):
        told = [getattr(share.line, name) for share in item.shares]
        if any(each is not None for each in told):
            charged = sum((each for each in told if each is not None), ZERO)
            computed = getattr(item.amounts, name)
            if abs(charged - computed) >= TAX_TOLERANCE:
                yield Problem.of(
                    document, name, "tax",
                    f" charges {name.upper()} {charged:f} at {item.rate:f} %, and {item.amounts.taxable:f} make "
                    f"{computed:f}", charged,
                )  # fmt: skip


def _value(document: Document, items: tuple[Item, ...], unrated: Decimal) -> Iterator[Problem]:
    taxable = unrated + document.other_charges + sum((item.amounts.taxable for item in items), ZERO)
    whole = taxable + sum((item.amounts.tax for item in items), ZERO)
    # Under reverse charge the buyer pays the tax: the invoice may show it in its total, or not.
    allowed = (whole, taxable) if document.reverse_charge else (whole,)
    if all(abs(document.value - each) > ROUNDING for each in allowed):
        yield Problem.of(
            document, "value", "sum",
            f" has the value {rupees(document.value):f}, and its lines with taxes and other charges make "
            f"{rupees(whole):f}", document.value,
        )  # fmt: skip
