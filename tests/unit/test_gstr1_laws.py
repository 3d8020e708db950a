"""Laws that every return keeps, whatever the documents are."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from erpflow.services.gst.gstr1.build import Return, generate
from erpflow.services.gst.gstr1.classify import sections_of
from erpflow.services.gst.gstr1.documents import Books, Document, Kind, Line, Original, Supply, Treatment
from tests.gstr1 import FILER, KARNATAKA, MAHARASHTRA, TODAY

SCHEMA = msgspec.json.decode((Path(__file__).parents[1] / "fixtures/gstr1/gstr1_schema.json").read_bytes())
quiet = settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
TAXES = {"iamt": "igst", "camt": "cgst", "samt": "sgst", "csamt": "cess"}
UNTAXED = (Supply.EXPORT_WITHOUT_PAYMENT, Supply.SEZ_WITHOUT_PAYMENT)
SEZ = (Supply.SEZ_WITHOUT_PAYMENT, Supply.SEZ_WITH_PAYMENT)


def paise(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)


amounts = st.decimals("0.01", "90000", places=3)
codes = st.sampled_from([("85044090", "NOS"), ("19053100", "PCS"), ("10063090", "KGS"), ("998313", "")])


@st.composite
def lines(draw: st.DrawFn, *, is_untaxed: bool, may_be_nil: bool) -> Line:
    code, unit = draw(codes)
    treatment = draw(st.sampled_from(Treatment)) if may_be_nil else Treatment.TAXABLE
    rate = draw(st.sampled_from(["0.25", "3", "5", "18", "40"])) if treatment is Treatment.TAXABLE else "0"
    cess = draw(st.decimals(0, 50, places=2)) if treatment is Treatment.TAXABLE and not is_untaxed else Decimal(0)
    return Line(
        taxable_value=draw(amounts), rate=Decimal(rate), treatment=treatment, hsn=code, unit=unit, cess=cess,
        quantity=draw(st.decimals(0, 99, places=2)), description=draw(st.sampled_from(["", "one", "other"])),
    )  # fmt: skip


@st.composite
def documents(draw: st.DrawFn, number: str) -> Document:
    """A document without a fault, its value the sum of its lines with their taxes."""
    gstin = draw(st.sampled_from([None, None, MAHARASHTRA, KARNATAKA]))
    exports = [Supply.EXPORT_WITH_PAYMENT, Supply.EXPORT_WITHOUT_PAYMENT]
    others = [Supply.REGULAR, *SEZ, Supply.DEEMED_EXPORT, Supply.BONDED_WAREHOUSE]
    supply = draw(st.sampled_from(others if gstin else [Supply.REGULAR, Supply.REGULAR, *exports]))
    pos = "96" if supply in exports else draw(st.sampled_from(["29", "27", "33", "07"]))
    kind = draw(st.sampled_from([Kind.INVOICE, Kind.INVOICE, Kind.CREDIT_NOTE, Kind.DEBIT_NOTE]))
    is_home = supply in (Supply.REGULAR, Supply.DEEMED_EXPORT, Supply.BONDED_WAREHOUSE)
    kept = tuple(draw(st.lists(lines(is_untaxed=supply in UNTAXED, may_be_nil=is_home), min_size=1, max_size=4)))
    is_intra = is_home and pos == "29"
    original = Original(date=date(2026, 1, 2), value=draw(st.sampled_from([Decimal(90_000), Decimal(150_000)])))
    return Document(
        number=number, date=date(2026, 1, draw(st.integers(3, 31))), kind=kind, buyer_gstin=gstin, supply=supply,
        place_of_supply=pos, value=value_of(kept, is_untaxed=supply in UNTAXED, is_intra=is_intra), lines=kept,
        original=None if kind is Kind.INVOICE else original,
    )  # fmt: skip


def value_of(kept: tuple[Line, ...], *, is_untaxed: bool, is_intra: bool) -> Decimal:
    by_rate: dict[tuple[bool, Decimal], Decimal] = defaultdict(Decimal)
    for each in kept:
        is_taxable = each.treatment is Treatment.TAXABLE
        by_rate[is_taxable, Decimal(0) if is_untaxed else each.rate] += each.taxable_value
    value = sum((each.cess for each in kept), Decimal(0))
    for (_, rate), taxable in by_rate.items():
        whole = paise(taxable)
        value += whole + (2 * paise(whole * rate / 200) if is_intra else paise(whole * rate / 100))
    return value


@st.composite
def books(draw: st.DrawFn) -> list[Document]:
    count = draw(st.integers(1, 12))
    return [draw(documents(f"D-{number}")) for number in range(1, count + 1)]


def made_of(found: list[Document]) -> Return:
    made = generate(Books(FILER, tuple(found)), today=TODAY)
    assert [each.message for each in made.problems if each.blocks] == []
    return made


def numbers_in(payload: dict[str, Any], section: str) -> set[str]:
    def each(value: Any) -> set[str]:
        if isinstance(value, list):
            return set().union(*map(each, value)) if value else set()
        if isinstance(value, dict):
            own = {value[key] for key in ("inum", "nt_num") if key in value}
            return own.union(*map(each, value.values()))
        return set()

    return each(payload.get(section, []))


def decoded(made: Return) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.Decoder(float_hook=Decimal).decode(made.payload)
    return found


@quiet
@given(books())
def test_the_sections_sum_up_to_the_documents(found: list[Document]) -> None:
    made = made_of(found)
    wanted = value = Decimal(0)
    for each in found:
        by_rate: dict[object, Decimal] = defaultdict(Decimal)
        for line in each.lines:
            by_rate[line.rate if each.supply not in UNTAXED else 0, line.treatment is Treatment.TAXABLE] += (
                line.taxable_value if line.treatment is Treatment.TAXABLE else paise(line.taxable_value)
            )
        wanted += each.sign * sum(map(paise, by_rate.values()))
        value += each.sign * paise(each.value)
    assert sum((total.amounts.taxable for total in made.sections.values()), Decimal(0)) == wanted
    assert sum((total.value for total in made.sections.values()), Decimal(0)) == value == made.compared.value
    assert abs(made.compared.difference.tax) <= Decimal("0.01") * 4 * len(found)


@quiet
@given(books())
def test_every_document_is_in_the_sections_it_must_be_in_and_in_no_other(found: list[Document]) -> None:
    made = made_of(found)
    payload = decoded(made)
    for section in ("b2b", "b2cl", "cdnr", "cdnur", "exp"):
        wanted = {each.number for each in found if section in sections_of(each, FILER)}
        assert numbers_in(payload, section) == wanted
    for section, total in made.sections.items():
        assert total.documents == sum(section in sections_of(each, FILER) for each in found)


@quiet
@given(books())
def test_table_12_says_the_same_as_the_other_sections_to_the_paisa(found: list[Document]) -> None:
    made = made_of(found)
    by_code: dict[str, Decimal] = defaultdict(Decimal)
    for row in (row for tab in decoded(made)["hsn"].values() for row in tab):
        for key in ("txval", *TAXES):
            by_code[key] += row[key]
    sums = [total.amounts for total in made.sections.values()]
    assert by_code["txval"] == sum((each.taxable for each in sums), Decimal(0))
    for key, name in TAXES.items():
        assert by_code[key] == sum((getattr(each, name) for each in sums), Decimal(0)), key


@quiet
@given(books(), st.randoms(use_true_random=False))
def test_the_order_of_documents_and_lines_changes_nothing(found: list[Document], lots: Any) -> None:
    made = made_of(found)
    shuffled = [replace(each, lines=tuple(lots.sample(each.lines, len(each.lines)))) for each in found]
    lots.shuffle(shuffled)
    again = made_of(shuffled)
    assert again == made and again.digest == made.digest


@quiet
@given(books())
def test_a_return_is_what_the_portal_takes_and_every_tax_what_it_computes_again(found: list[Document]) -> None:
    made = made_of(found)
    jsonschema.validate(msgspec.json.decode(made.payload), SCHEMA)

    def taxed(value: Any) -> None:
        if isinstance(value, list):
            for each in value:
                taxed(each)
        elif isinstance(value, dict) and "rt" in value and "txval" in value and "hsn_sc" not in value:
            if "iamt" in value:
                assert value["iamt"] == paise(Decimal(value["txval"]) * value["rt"] / 100) and "camt" not in value
            else:
                assert value["camt"] == value["samt"] == paise(Decimal(value["txval"]) * value["rt"] / 200)
        elif isinstance(value, dict):
            for each in value.values():
                taxed(each)

    taxed({section: rows for section, rows in decoded(made).items() if section != "hsn"})


@quiet
@given(books(), st.data())
def test_what_is_refused_is_named_and_takes_nothing_else_along(found: list[Document], data: st.DataObject) -> None:
    spoilt = data.draw(st.sets(st.integers(0, len(found) - 1)))
    given = [replace(each, place_of_supply="00") if n in spoilt else each for n, each in enumerate(found)]
    made = generate(Books(FILER, tuple(given)), today=TODAY)
    assert set(made.left_out) == {found[n].number for n in spoilt}
    assert {each.document for each in made.problems if each.blocks} == set(made.left_out)
    alone = generate(Books(FILER, tuple(each for n, each in enumerate(found) if n not in spoilt)), today=TODAY)
    assert made.payload == alone.payload
