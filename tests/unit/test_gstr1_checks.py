"""What is refused before a return leaves: by document, field and rule, with what is allowed."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from erpflow.services.gst import gstin
from erpflow.services.gst.gstr1.build import MOST_PROBLEMS, generate
from erpflow.services.gst.gstr1.documents import (
    Books,
    Document,
    Filer,
    Kind,
    Nature,
    Original,
    Period,
    Problem,
    Series,
    ShippingBill,
    Supply,
    Treatment,
)
from tests.gstr1 import FILER, KARNATAKA, MAHARASHTRA, OWN, TODAY, biscuits, credit_note, invoice, line, rice, support

GOOD = invoice("A1", "27", "118", line("100"), buyer_gstin=MAHARASHTRA)
BILL = ShippingBill(number="1234567", date=date(2026, 1, 20), port="INMAA1")
EXPORT = invoice("A1", "96", "100", line("100", "0"), supply=Supply.EXPORT_WITHOUT_PAYMENT, shipping_bill=BILL)
NOTE = credit_note("N1", "33", "118", line("100"), of=Original(date=date(2026, 1, 2), value=Decimal(118)))


def problems_of(*documents: Document, filer: Filer = FILER, series: tuple[Series, ...] = ()) -> list[Problem]:
    return list(generate(Books(filer, documents, series), today=TODAY).problems)


def lines(**changes: Any) -> Document:
    return replace(GOOD, lines=(replace(GOOD.lines[0], **changes),))


REFUSED: dict[str, tuple[Document, str, str, str]] = {
    "a number of 17": (replace(GOOD, number="A" * 17), "number", "pattern", "at most 16"),
    "a number that begins with a dash": (replace(GOOD, number="-1"), "number", "pattern", "-1 is no number"),
    "a day after the period": (replace(GOOD, date=date(2026, 2, 1)), "date", "future", "01-02-2026, after the period"),
    "a consumer's document of another month": (
        invoice("A1", "29", "118", line("100"), date=date(2025, 12, 31)),
        "date", "late", "only documents to registered",
    ),
    "a GSTIN with a wrong check digit": (
        replace(GOOD, buyer_gstin="27AAECE5678K1Z4"),
        "buyer_gstin", "gstin", "ends with 4 where the other characters make 3",
    ),
    "a GSTIN of no state": (replace(GOOD, buyer_gstin="28AAECE5678K1Z3"), "buyer_gstin", "gstin", "begins with 28"),
    "one's own GSTIN": (replace(GOOD, buyer_gstin=OWN), "buyer_gstin", "own", "the supplier's own"),
    "an export to a GSTIN": (replace(EXPORT, buyer_gstin=MAHARASHTRA), "buyer_gstin", "export", "has the GSTIN"),
    "an SEZ unit without a GSTIN": (
        replace(GOOD, buyer_gstin=None, supply=Supply.SEZ_WITH_PAYMENT), "supply", "needs_gstin", "needs the GSTIN",
    ),
    "a consumer under reverse charge": (
        replace(GOOD, buyer_gstin=None, reverse_charge=True), "reverse_charge", "needs_gstin", "needs the GSTIN",
    ),
    "an SEZ unit under reverse charge": (
        replace(GOOD, supply=Supply.SEZ_WITH_PAYMENT, reverse_charge=True),
        "reverse_charge", "zero_rated", "zero-rated",
    ),
    "a place that is none": (replace(GOOD, place_of_supply="28"), "place_of_supply", "pos", "'28'"),
    "an export to a state": (replace(EXPORT, place_of_supply="27"), "place_of_supply", "pos", "96"),
    "abroad, and no export": (
        replace(GOOD, place_of_supply="96", buyer_gstin=None), "place_of_supply", "pos", "say which",
    ),
    "no lines": (replace(GOOD, lines=()), "lines", "required", "has no lines"),
    "17 %": (lines(rate=Decimal(17)), "lines[0].rate", "rate", "the rate 17 % is not in the list"),
    "12 % after it was withdrawn": (lines(rate=Decimal(12)), "lines[0].rate", "rate", "withdrawn after 21-09-2025"),
    "40 % for an invoice of before": (
        replace(NOTE, lines=(line("100", "40"),), original=Original(date=date(2025, 9, 21), value=Decimal(140))),
        "lines[0].rate", "rate", "in force from 22-09-2025",
    ),
    "0 % that does not say why": (
        lines(rate=Decimal(0)), "lines[0].treatment", "required", "nil_rated, exempt or non_gst",
    ),
    "nil-rated with a rate": (
        lines(treatment=Treatment.NIL_RATED), "lines[0].rate", "treatment", "nil_rated has no tax",
    ),
    "nil-rated in an export with payment": (
        replace(EXPORT, supply=Supply.EXPORT_WITH_PAYMENT, lines=(rice("100"),)),
        "lines[0].treatment", "zero_rated", "its own",
    ),
    "outside the tax, in an export": (
        replace(EXPORT, lines=(line("100", "0", treatment=Treatment.NON_GST),)),
        "lines[0].treatment", "zero_rated", "its own",
    ),
    "no code": (lines(hsn=""), "lines[0].hsn", "required", "no HSN or SAC code"),
    "a code of letters": (lines(hsn="8504AB"), "lines[0].hsn", "hsn", "digits only"),
    "a code of zeros": (lines(hsn="000000"), "lines[0].hsn", "hsn", "digits only"),
    "a code that lost its zero": (lines(hsn="1011010"), "lines[0].hsn", "hsn", "01011010 is listed"),
    "four digits above five crore": (lines(hsn="8504"), "lines[0].hsn", "hsn", "6 at least"),
    "a heading that is not listed": (lines(hsn="770100"), "lines[0].hsn", "hsn_unknown", "heading 7701"),
    "a unit that is none": (lines(unit="PIECE"), "lines[0].unit", "uqc", "'PIECE'"),
    "a negative quantity": (lines(quantity=Decimal(-1)), "lines[0].quantity", "min", "negative"),
    "a note with negative amounts": (
        replace(NOTE, value=Decimal(-118), lines=(line("-100"),)),
        "taxable_value", "negative", "positive, of notes too",
    ),
    "a tax a rupee off": (lines(igst=Decimal(19)), "igst", "tax", "charges IGST 19 at 18 %, and 100.00 make 18.00"),
    "CGST between two states": (lines(cgst=Decimal(9), sgst=Decimal(9)), "cgst", "tax", "make 0"),
    "tax on an export without payment": (
        replace(EXPORT, lines=(line("100", igst=Decimal(18)),)), "igst", "tax", "make 0",
    ),
    "cess on an export without payment": (
        replace(EXPORT, value=Decimal(101), lines=(line("100", cess=Decimal(1)),)), "cess", "untaxed", "has cess",
    ),
    "a value that is not the sum": (replace(GOOD, value=Decimal("119.01")), "value", "sum", "make 118.00"),
    "a note that is older than its invoice": (
        replace(NOTE, original=Original(date=date(2026, 1, 20), value=Decimal(1))), "original.date", "order", "earlier",
    ),
    "a note to another state without the day": (
        replace(NOTE, original=Original(value=Decimal(1))), "original.date", "required", "decides its section",
    ),
    "a note to another state without the value": (
        replace(NOTE, original=None), "original.value", "required", "decides its section",
    ),
    "an invoice with an original": (replace(GOOD, original=Original(number="A0")), "original", "no_note", "is no note"),
    "a shipping bill at home": (
        replace(GOOD, shipping_bill=BILL), "shipping_bill", "no_export", "no invoice of an export",
    ),
    "a shipping bill of two digits": (
        replace(EXPORT, shipping_bill=replace(BILL, number="12")), "shipping_bill.number", "pattern", "3 to 7",
    ),
    "a port of five": (
        replace(EXPORT, shipping_bill=replace(BILL, port="INMAA")), "shipping_bill.port", "pattern", "six",
    ),
    "an IRN without its day": (replace(GOOD, irn="ab" * 32), "irn", "incomplete", "without its date"),
    "an IRN that is none": (replace(GOOD, irn="AB", irn_date=date(2026, 1, 19)), "irn", "pattern", "64 digits"),
    "an advance": (replace(GOOD, kind=Kind.ADVANCE), "kind", "unsupported", "tables 11A and 11B"),
    "an advance that is adjusted": (replace(GOOD, kind=Kind.ADVANCE_ADJUSTED), "kind", "unsupported", "11B"),
    "an amendment": (replace(GOOD, amends="A0"), "amends", "unsupported", "amendments are not filled"),
    "an operator of e-commerce": (
        replace(GOOD, ecommerce_gstin=KARNATAKA), "ecommerce_gstin", "unsupported", "table 14",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_wrong_is_named_and_keeps_the_document_out(case: str) -> None:
    document, field, rule, words = REFUSED[case]
    made = generate(Books(FILER, (document,)), today=TODAY)
    found = [each for each in made.problems if (each.field, each.rule) == (field, rule)]
    assert len(found) == 1, made.problems
    assert found[0].document == document.number and found[0].blocks
    assert words in found[0].message and found[0].message.startswith(document.number)
    assert made.left_out == (document.number,) and made.is_blocked and not made.sections


def test_what_is_right_has_no_problem() -> None:
    for document in (GOOD, EXPORT, NOTE):
        assert problems_of(document) == []


def test_every_problem_of_a_document_is_named_at_once() -> None:
    bad = replace(lines(rate=Decimal(17), hsn="", unit="X"), number="", place_of_supply="", value=Decimal(900))
    assert {each.rule for each in problems_of(bad)} >= {"pattern", "pos", "rate", "required", "sum"}


def test_a_document_to_a_company_may_be_declared_late_and_is_pointed_out() -> None:
    (found,) = problems_of(replace(GOOD, date=date(2025, 12, 31)))
    assert (found.rule, found.blocks) == ("late", False)


def test_a_number_is_there_once_in_a_financial_year_whatever_its_case() -> None:
    twice = problems_of(GOOD, replace(GOOD, number="a1"))
    assert [(each.document, each.rule) for each in twice] == [("A1", "duplicate"), ("a1", "duplicate")]
    last_year = replace(GOOD, date=date(2025, 3, 31))
    assert "duplicate" not in {each.rule for each in problems_of(GOOD, last_year)}
    note = replace(NOTE, number="A1")
    assert problems_of(GOOD, note) == []


def test_a_bad_note_does_not_keep_out_the_invoice_of_the_same_number() -> None:
    made = generate(Books(FILER, (GOOD, replace(NOTE, number="A1", original=None))), today=TODAY)
    assert made.left_out == ("A1",) and set(made.sections) == {"b2b"}


@pytest.mark.parametrize(
    ("day", "rate", "is_good"),
    [
        (date(2025, 9, 21), "12", True),
        (date(2025, 9, 22), "12", False),
        (date(2025, 9, 21), "40", False),
        (date(2025, 9, 22), "40", True),
        (date(2026, 1, 31), "28", True),
        (date(2026, 2, 1), "28", False),
        (date(2026, 2, 1), "18", True),
        (date(2026, 2, 1), "0.25", True),
    ],
)
def test_a_rate_is_measured_by_the_day_of_the_document(day: date, rate: str, is_good: bool) -> None:
    filer = replace(FILER, period=Period(day.year, day.month))
    value = str(Decimal(100) + Decimal(rate))
    tobacco = line("100", rate, hsn="240220", unit="THD")
    found = problems_of(invoice("A1", "27", value, tobacco, buyer_gstin=MAHARASHTRA, date=day), filer=filer)
    assert [each.rule for each in found] == ([] if is_good else ["rate"])


def test_a_note_follows_the_rate_of_its_invoice() -> None:
    august = Original(date=date(2025, 8, 20))
    about = {"buyer_gstin": MAHARASHTRA, "date": date(2025, 10, 5)}
    filer = replace(FILER, period=Period(2025, 10))
    note = credit_note("N1", "27", "112", line("100", "12"), of=august, **about)
    assert problems_of(note, filer=filer) == []
    assert [each.rule for each in problems_of(replace(note, original=None), filer=filer)] == ["rate"]


def test_28_percent_of_anything_but_tobacco_is_pointed_out_since_september_2025() -> None:
    (found,) = problems_of(invoice("A1", "27", "128", line("100", "28"), buyer_gstin=MAHARASHTRA))
    assert (found.rule, found.blocks) == ("rate_for_code", False)


def test_up_to_five_crore_four_digits_do_and_consumers_need_none() -> None:
    small = replace(FILER, is_large=False)
    assert problems_of(lines(hsn="8504"), filer=small) == []
    assert problems_of(invoice("A1", "29", "118", line("100", hsn="", unit="")), filer=small) == []
    assert [each.rule for each in problems_of(lines(hsn=""), filer=small)] == ["required"]


def test_a_service_needs_no_unit_and_a_new_code_of_one_is_pointed_out() -> None:
    assert problems_of(invoice("A1", "29", "118", support("100"))) == []
    (found,) = problems_of(invoice("A1", "29", "118", line("100", hsn="998310", unit="")))
    assert (found.rule, found.blocks) == ("hsn_unknown", False)
    (long,) = problems_of(invoice("A1", "29", "118", line("100", hsn="99831300", unit="")))
    assert "code of services has one of (4, 6)" in long.message


def test_rounding_to_the_rupee_and_charges_that_are_no_supply_make_up_the_value() -> None:
    assert problems_of(replace(GOOD, value=Decimal("118.50"))) == []
    with_tcs = replace(GOOD, value=Decimal("123.00"), other_charges=Decimal("5.00"))
    assert problems_of(with_tcs) == []
    freight = invoice("A1", "29", "1000", support("1000"), buyer_gstin=KARNATAKA, reverse_charge=True)
    assert problems_of(freight) == [] and problems_of(replace(freight, value=Decimal(1180))) == []


def test_discounts_may_be_lines_of_their_own() -> None:
    assert problems_of(replace(GOOD, lines=(line("120"), line("-20")))) == []


def test_what_was_charged_is_compared_with_what_is_declared() -> None:
    charged = replace(GOOD, lines=(line("60", igst=Decimal("10.80")), line("40", igst=Decimal("7.60"))))
    made = generate(Books(FILER, (charged,)), today=TODAY)
    assert made.problems == ()
    assert made.compared.books.igst == Decimal("18.40")
    assert made.compared.declared.igst == 18 and made.compared.difference.igst == Decimal("-0.40")


def test_gaps_in_the_numbers_are_pointed_out() -> None:
    (found,) = problems_of(GOOD, replace(GOOD, number="A5"))
    assert (found.rule, found.blocks) == ("gap", False)
    assert "3 numbers are missing, A2, A3, A4" in found.message
    (found,) = problems_of(replace(GOOD, number="A/0009"), replace(GOOD, number="A/0011"))
    assert "A/0010" in found.message


def test_a_series_has_to_hold_the_documents() -> None:
    series = Series(nature=Nature.INVOICE, first="A1", last="A2", total=2, cancelled=2)
    (found,) = problems_of(GOOD, series=(series,))
    assert (found.document, found.field, found.rule, found.blocks) == (None, "series", "count", True)
    (found,) = problems_of(series=(replace(series, nature=Nature.CHALLAN_OTHER, cancelled=3),))
    assert found.rule == "cancelled"


@pytest.mark.parametrize(
    ("filer", "field", "rule"),
    [
        (replace(FILER, gstin="29AABCV1234M1Z6"), "gstin", "gstin"),
        (replace(FILER, period=Period(2026, 3)), "period", "period"),
        (replace(FILER, period=Period(2017, 6)), "period", "barred"),
        (replace(FILER, period=Period(2022, 12)), "period", "barred"),
        (replace(FILER, period=Period(2026, 1, is_quarter=True)), "period", "quarter"),
    ],
)
def test_a_return_that_cannot_be_is_refused_as_a_whole(filer: Filer, field: str, rule: str) -> None:
    (found,) = problems_of(filer=filer)
    assert (found.document, found.field, found.rule, found.blocks) == (None, field, rule, True)


def test_three_years_after_its_day_a_return_is_still_taken() -> None:
    filer = replace(FILER, period=Period(2023, 1))
    document = replace(GOOD, date=date(2023, 1, 3))
    assert generate(Books(filer, (document,)), today=date(2026, 2, 11)).problems == ()
    assert generate(Books(filer, (document,)), today=date(2026, 2, 12)).is_blocked


def test_a_quarter_has_the_documents_of_its_three_months() -> None:
    quarter = replace(FILER, period=Period(2025, 12, is_quarter=True))
    consumer = invoice("A1", "29", "105", biscuits("100"), date=date(2025, 10, 1))
    assert problems_of(consumer, filer=quarter) == []
    assert msgspec.json.decode(generate(Books(quarter, (consumer,)), today=TODAY).payload)["fp"] == "122025"


@pytest.mark.parametrize("number", ["27AAPFU0939F1ZV", "29AABCV1234M1Z5", "27AAECE5678K1Z3", "29AAFCB4321P1ZD"])
def test_the_check_digit_of_known_numbers_is_right_and_of_every_other_last_sign_wrong(number: str) -> None:
    assert gstin.why_not(number) is None
    for sign in "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ":
        assert (gstin.why_not(number[:-1] + sign) is None) == (sign == number[-1])


def test_two_signs_that_change_places_are_noticed() -> None:
    assert gstin.why_not("27AAPFU9039F1ZV") is not None
    assert gstin.why_not("27aapfu0939f1zv") is not None


def test_of_thousands_of_problems_those_that_block_are_listed_first_and_the_rest_counted() -> None:
    gaps = [replace(GOOD, number=f"G{n}/1") for n in range(3)] + [replace(GOOD, number=f"G{n}/3") for n in range(3)]
    bad = [replace(GOOD, number=f"B{n}", place_of_supply="00") for n in range(MOST_PROBLEMS - 1)]
    made = generate(Books(FILER, (*gaps, *bad)), today=TODAY)
    assert len(made.problems) == MOST_PROBLEMS + 1 and len(made.left_out) == MOST_PROBLEMS - 1
    assert [each.blocks for each in made.problems].index(False) == MOST_PROBLEMS - 1
    assert made.problems[-1].message.startswith("2 more problems") and made.is_blocked
