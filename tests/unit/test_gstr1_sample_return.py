"""The documents behind a whole return, and the JSON that they make: every section but advances."""

from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from erpflow.services.gst.gstr1.build import Return, generate
from erpflow.services.gst.gstr1.classify import Section
from erpflow.services.gst.gstr1.documents import Books, Period
from tests.gstr1 import FILER, TODAY, sample_documents

TESTS = Path(__file__).parents[1]
SAMPLE = msgspec.json.decode((TESTS / "golden" / "gstr1" / "sample_return.json").read_bytes())
SCHEMA = msgspec.json.decode((TESTS / "fixtures" / "gstr1" / "gstr1_schema.json").read_bytes())


@pytest.fixture(scope="module")
def made() -> Return:
    return generate(Books(FILER, tuple(sample_documents())), today=TODAY)


def unordered(value: Any) -> Any:
    """Without what is free to choose: the order of rows and the numbers that follow from it."""
    if isinstance(value, dict):
        return {key: unordered(each) for key, each in value.items() if key != "num"}
    return sorted(map(unordered, value), key=repr) if isinstance(value, list) else value


def test_the_sample_return_comes_out(made: Return) -> None:
    payload = msgspec.json.decode(made.payload)
    wanted = {key: value for key, value in SAMPLE.items() if key != "at"}  # advances are not filled in
    assert unordered(payload) == unordered(wanted)
    assert [problem.message for problem in made.problems] == []


def test_rows_are_in_a_fixed_order(made: Return) -> None:
    payload = msgspec.json.decode(made.payload)
    assert [each["ctin"] for each in payload["b2b"]] == ["27AAECE5678K1Z3", "29AAFCB4321P1ZD"]
    items = payload["b2b"][0]["inv"][0]["itms"]
    assert [(item["num"], item["itm_det"]["rt"]) for item in items] == [(1, 18), (2, 5)]
    assert [(row["num"], row["hsn_sc"]) for row in payload["hsn"]["hsn_b2b"]] == [
        (1, "19053100"),
        (2, "85044090"),
        (3, "998313"),
    ]


def test_the_payload_is_what_the_portal_takes(made: Return) -> None:
    jsonschema.validate(msgspec.json.decode(made.payload), SCHEMA)
    assert b'"val":18938,' in made.payload and b'"iamt":227.5,' in made.payload
    assert b'"idt":"19-01-2026"' in made.payload


def test_sections_have_the_sums_of_the_portals_summary(made: Return) -> None:
    samples = msgspec.json.decode((TESTS / "fixtures" / "gstr1" / "flow_samples.json").read_bytes())
    summary = {each["sec_nm"]: each for each in samples["summary_response"]["data"]["sec_sum"]}
    for name, section in (("B2B_4A", "b2b"), ("B2CL", "b2cl"), ("B2CS", "b2cs"), ("CDNR", "cdnr"), ("CDNUR", "cdnur")):
        total, wanted = made.sections[Section(section)], summary[name]
        assert total.rows == wanted["ttl_rec"]
        assert (total.amounts.taxable, total.amounts.igst) == (Decimal(str(wanted["ttl_tax"])), wanted["ttl_igst"])
        assert (total.amounts.cgst, total.amounts.sgst) == (wanted["ttl_cgst"], wanted["ttl_sgst"])
        assert section == "b2cs" or total.value == wanted["ttl_val"]


def test_documents_and_their_lines_may_come_in_any_order(made: Return) -> None:
    lots = random.Random(7)
    documents = [replace(each, lines=tuple(lots.sample(each.lines, len(each.lines)))) for each in sample_documents()]
    lots.shuffle(documents)
    again = generate(Books(FILER, tuple(documents)), today=TODAY)
    assert again.payload == made.payload and again.digest == made.digest


@pytest.mark.parametrize(
    ("month", "tabs"), [(4, {"data": 3}), (5, {"hsn_b2b": 3}), (12, {"hsn_b2b": 3})], ids=["April", "May", "December"]
)
def test_before_may_2025_table_12_has_one_list(month: int, tabs: dict[str, int]) -> None:
    earlier = replace(FILER, period=Period(2025, month))
    documents = tuple(replace(each, date=each.date.replace(2025, month, 19)) for each in sample_documents()[:2])
    payload = msgspec.json.decode(generate(Books(earlier, documents), today=TODAY).payload)
    assert {tab: len(rows) for tab, rows in payload["hsn"].items()} == tabs


def test_a_return_of_nothing_has_no_sections() -> None:
    made = generate(Books(FILER), today=TODAY)
    assert msgspec.json.decode(made.payload) == {"gstin": FILER.gstin, "fp": "012026"}
    assert [(problem.rule, problem.blocks) for problem in made.problems] == [("empty", False)]
