"""Which section a document lands in: the worked examples of the law's order, for a supplier in Karnataka (29)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from erpflow.services.gst.gstr1.build import generate
from erpflow.services.gst.gstr1.documents import Books, Document, Kind, Nature, Original, Series, Supply
from tests.gstr1 import FILER, KARNATAKA, MAHARASHTRA, TODAY, credit_note, invoice, line, rice, support

DELHI = "07AAECE5678K1Z5"
EXPORT = {"supply": Supply.EXPORT_WITHOUT_PAYMENT}
LARGE = Original(number="INV/7", date=date(2026, 1, 10), value=Decimal(141_600))
SMALL = Original(number="INV/8", date=date(2026, 1, 10), value=Decimal(5_900))


def payload_of(*documents: Document, **more: Any) -> dict[str, Any]:
    made = generate(Books(FILER, documents, **more), today=TODAY)
    assert [problem.message for problem in made.problems if problem.blocks] == []
    found: dict[str, Any] = msgspec.json.decode(made.payload)
    return found


def sections(payload: dict[str, Any]) -> set[str]:
    return set(payload) - {"gstin", "fp", "hsn", "doc_issue"}


CASES: dict[str, tuple[Document, str, dict[str, Any]]] = {
    "a company in another state": (
        invoice("A1", "27", "118", line("100"), buyer_gstin=MAHARASHTRA),
        "b2b",
        {"ctin": MAHARASHTRA, "pos": "27", "inv_typ": "R", "iamt": 18},
    ),
    "a company in the own state": (
        invoice("A1", "29", "118", line("100"), buyer_gstin=KARNATAKA),
        "b2b",
        {"pos": "29", "camt": 9, "samt": 9, "iamt": None},
    ),
    "an SEZ unit without payment": (
        invoice("A1", "07", "100", line("100"), buyer_gstin=DELHI, supply=Supply.SEZ_WITHOUT_PAYMENT),
        "b2b",
        {"inv_typ": "SEWOP", "iamt": 0},
    ),
    "an SEZ unit in the own state, with payment": (
        invoice("A1", "29", "118", line("100"), buyer_gstin=KARNATAKA, supply=Supply.SEZ_WITH_PAYMENT),
        "b2b",
        {"inv_typ": "SEWP", "iamt": 18, "camt": None},
    ),
    "a consumer in Tamil Nadu above a lakh": (
        invoice("A1", "33", "141600", line("120000")),
        "b2cl",
        {"pos": "33", "iamt": 21_600, "val": 141_600},
    ),
    "a consumer in Tamil Nadu, one lakh exactly": (
        invoice("A1", "33", "100000.00", line("84745.76")),
        "b2cs",
        {"sply_ty": "INTER", "pos": "33"},
    ),
    "a consumer in the own state, however much": (
        invoice("A1", "29", "500000", line("423728.81")),
        "b2cs",
        {"sply_ty": "INTRA", "pos": "29"},
    ),
    "a consumer in Delhi": (
        invoice("A1", "07", "5900", line("5000")),
        "b2cs",
        {"sply_ty": "INTER", "typ": "OE", "pos": "07", "iamt": 900},
    ),
    "a credit note to a company": (
        credit_note("N1", "27", "118", line("100"), buyer_gstin=MAHARASHTRA),
        "cdnr",
        {"ntty": "C", "val": 118, "txval": 100},
    ),
    "a debit note to a company": (
        invoice("N1", "27", "118", line("100"), buyer_gstin=MAHARASHTRA, kind=Kind.DEBIT_NOTE),
        "cdnr",
        {"ntty": "D"},
    ),
    "a credit note for the invoice of 141,600": (
        credit_note("N1", "33", "1180", line("1000"), of=LARGE),
        "cdnur",
        {"typ": "B2CL", "ntty": "C", "pos": "33", "txval": 1000},
    ),
    "a credit note for a small invoice": (
        credit_note("N1", "07", "1180", line("1000"), of=SMALL),
        "b2cs",
        {"pos": "07", "txval": -1000, "iamt": -180},
    ),
    "a note of today for two lakh of July 2024": (
        credit_note(
            "N1", "33", "1180", line("1000"), of=replace(LARGE, date=date(2024, 7, 31), value=Decimal(200_000))
        ),
        "b2cs",
        {"pos": "33"},
    ),
    "a note of today for two lakh of August 2024": (
        credit_note("N1", "33", "1180", line("1000"), of=replace(LARGE, date=date(2024, 8, 1), value=Decimal(200_000))),
        "cdnur",
        {"typ": "B2CL"},
    ),
    "an export under a letter of undertaking": (
        invoice("A1", "96", "50000", line("50000"), **EXPORT),
        "exp",
        {"exp_typ": "WOPAY", "rt": 0, "iamt": 0},
    ),
    "an export with payment": (
        invoice("A1", "96", "59000", line("50000"), supply=Supply.EXPORT_WITH_PAYMENT),
        "exp",
        {"exp_typ": "WPAY", "rt": 18, "iamt": 9000},
    ),
    "a credit note for an export": (
        credit_note("N1", "96", "500", line("500"), **EXPORT),
        "cdnur",
        {"typ": "EXPWOP", "pos": None, "rt": 0},
    ),
    "rice to a consumer at home": (
        invoice("A1", "29", "3000", rice("3000")),
        "nil",
        {"sply_ty": "INTRAB2C", "nil_amt": 3000, "expt_amt": 0},
    ),
    "freight under reverse charge": (
        invoice("A1", "29", "1000", support("1000"), buyer_gstin=KARNATAKA, reverse_charge=True),
        "b2b",
        {"rchrg": "Y", "camt": 90},
    ),
}


def flat(value: Any) -> dict[str, Any]:
    """Every key of a section with one row, however deep."""
    if isinstance(value, list):
        (value,) = value
    found: dict[str, Any] = {}
    for key, each in value.items():
        found |= flat(each) if isinstance(each, dict | list) else {key: each}
    return found


@pytest.mark.parametrize("case", CASES)
def test_a_document_lands_in_its_section_and_in_no_other(case: str) -> None:
    document, section, wanted = CASES[case]
    payload = payload_of(document)
    assert sections(payload) == {section}
    row = flat(payload[section])
    assert {key: row.get(key) for key in wanted} == wanted


def test_an_invoice_of_july_2024_is_measured_by_the_threshold_of_its_day() -> None:
    def section_of(value: str, day: date) -> str:
        from erpflow.services.gst.gstr1.classify import rated_section

        return rated_section(invoice("A1", "33", value, date=day), FILER).value

    assert section_of("200000", date(2024, 7, 31)) == "b2cs"
    assert section_of("200000", date(2024, 8, 1)) == "b2cl"
    assert section_of("250000", date(2024, 7, 31)) == "b2cs"
    assert section_of("250000.01", date(2024, 7, 31)) == "b2cl"


def test_a_mixed_invoice_is_split_and_keeps_its_whole_value() -> None:
    payload = payload_of(invoice("A1", "27", "218", line("100"), rice("100"), buyer_gstin=MAHARASHTRA))
    assert sections(payload) == {"b2b", "nil"}
    (row,) = payload["b2b"][0]["inv"]
    assert (row["val"], [item["itm_det"]["txval"] for item in row["itms"]]) == (218, [100])
    assert payload["nil"]["inv"] == [{"sply_ty": "INTRB2B", "expt_amt": 0, "nil_amt": 100, "ngsup_amt": 0}]
    assert [row["rt"] for row in payload["hsn"]["hsn_b2b"]] == [0, 18]


def test_exports_are_in_the_tab_of_unregistered_buyers() -> None:
    payload = payload_of(invoice("A1", "96", "50000", line("50000"), **EXPORT))
    assert set(payload["hsn"]) == {"hsn_b2c"}


def test_notes_to_consumers_are_netted_by_place_and_rate() -> None:
    payload = payload_of(
        invoice("A1", "07", "5900", line("5000", quantity=Decimal(5))),
        credit_note("N1", "07", "1180", line("1000"), of=Original(number="a1")),
    )
    (row,) = payload["b2cs"]
    assert (row["txval"], row["iamt"]) == (4000, 720)
    (by_code,) = payload["hsn"]["hsn_b2c"]
    assert (by_code["qty"], by_code["txval"], by_code["iamt"]) == (4, 4000, 720)


def test_lines_of_one_rate_are_summed_before_they_are_rounded() -> None:
    payload = payload_of(
        invoice("A1", "27", "1.18", line("0.333"), line("0.333"), line("0.334"), buyer_gstin=MAHARASHTRA)
    )
    (item,) = payload["b2b"][0]["inv"][0]["itms"]
    assert item == {"num": 1, "itm_det": {"rt": 18, "txval": 1, "iamt": 0.18, "csamt": 0}}
    (row,) = payload["hsn"]["hsn_b2b"]
    assert (row["txval"], row["iamt"]) == (1, 0.18)


def test_halves_are_rounded_away_from_zero_on_both_sides() -> None:
    payload = payload_of(invoice("A1", "29", "10.55", line("10.05", "5"), buyer_gstin=KARNATAKA))
    detail = payload["b2b"][0]["inv"][0]["itms"][0]["itm_det"]
    assert (detail["camt"], detail["samt"]) == (0.25, 0.25)  # 0.25125
    payload = payload_of(invoice("A1", "29", "10.71", line("10.20", "5"), buyer_gstin=KARNATAKA))
    detail = payload["b2b"][0]["inv"][0]["itms"][0]["itm_det"]
    assert (detail["camt"], detail["samt"]) == (0.26, 0.26)  # 0.255


def test_what_was_cancelled_is_counted_and_declared_nowhere() -> None:
    payload = payload_of(
        invoice("A-1", "29", "118", line("100")),
        Document(number="A-2", date=date(2026, 1, 20), is_cancelled=True),
        invoice("A-10", "29", "118", line("100")),
    )
    assert payload["b2cs"][0]["txval"] == 200
    (row,) = payload["doc_issue"]["doc_det"][0]["docs"]
    assert row == {"num": 1, "from": "A-1", "to": "A-10", "totnum": 3, "cancel": 1, "net_issue": 2}


def test_a_series_that_is_given_is_taken_as_it_is() -> None:
    given = (
        Series(nature=Nature.INVOICE, first="A1", last="A9", total=9, cancelled=2),
        Series(nature=Nature.CHALLAN_JOB_WORK, first="J1", last="J4", total=4),
    )
    payload = payload_of(invoice("A1", "29", "118", line("100")), series=given)
    found = {each["doc_num"]: each["docs"] for each in payload["doc_issue"]["doc_det"]}
    assert (found[1][0]["totnum"], found[1][0]["net_issue"], found[9][0]["to"]) == (9, 7, "J4")


def test_an_e_invoice_keeps_its_reference() -> None:
    about = {"irn": "ab" * 32, "irn_date": date(2026, 1, 19)}
    payload = payload_of(invoice("A1", "27", "118", line("100"), buyer_gstin=MAHARASHTRA, **about))
    (row,) = payload["b2b"][0]["inv"]
    assert (row["irn"], row["irngendate"], row["srctyp"]) == ("ab" * 32, "19-01-2026", "E-Invoice")
