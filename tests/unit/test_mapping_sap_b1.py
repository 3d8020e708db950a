"""The SAP Business One mappings as they ship: what each vendor record becomes, and what goes back."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from erpflow.errors import RecordRejected
from erpflow.mapping.checks import check_mapping
from erpflow.mapping.compile import compile_pull, compile_push
from erpflow.mapping.load import load_mapping
from erpflow.mapping.model import Mapping
from erpflow.vocabulary import Direction
from sandbox.sap_b1 import seed
from sandbox.sap_b1.render import encode, shaped
from sandbox.sap_b1.schema import schema
from sandbox.vendor import SeedPlan

ROOT = Path(__file__).parents[2]
GOLDEN = sorted((ROOT / "tests" / "golden" / "sap_b1").glob("*/*.json"))
BOTH_WAYS = ("customer", "contact", "product", "order")
WEST_OF_GREENWICH = "America/Chicago"


def mapping_of(entity: str) -> Mapping:
    return load_mapping(ROOT / "include" / "mappings" / "sap_b1" / f"{entity}.yaml")


def pulled(mapping: Mapping, record: Any, *, zone: str = "Europe/Berlin") -> dict[str, Any]:
    program = compile_pull(mapping, zone=zone)
    values, children = program.map_record(msgspec.json.encode(record))
    row: dict[str, Any] = dict(zip(program.columns, values, strict=True))
    for child, lines in zip(program.children, children, strict=True):
        row[child.table] = [dict(zip(child.columns, line, strict=True)) for line in lines]
    return row


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_golden_records_map_as_agreed(path: Path) -> None:
    golden = json.loads(path.read_text(encoding="utf-8"))
    mapping = mapping_of(path.parent.name)
    row = pulled(mapping, golden["remote"])
    assert row == golden["local"]
    if mapping.direction is Direction.BIDIRECTIONAL:
        back = compile_push(mapping, zone="Europe/Berlin").map_row(row)
        assert json.loads(msgspec.json.Encoder(decimal_format="number").encode(back)) == golden["back"]


def test_there_is_a_golden_record_of_every_entity() -> None:
    assert {path.parent.name for path in GOLDEN} == {*BOTH_WAYS, "invoice", "payment"}


@pytest.mark.parametrize("entity", ["customer", "contact", "product", "order", "invoice", "payment"])
def test_the_mappings_are_correct_and_make_nothing_at_the_vendor(entity: str) -> None:
    mapping = mapping_of(entity)
    assert check_mapping(mapping) == []
    assert (mapping.direction is Direction.BIDIRECTIONAL) == (entity in BOTH_WAYS)
    if entity in BOTH_WAYS:
        assert [str(write) for write in mapping.writes] == ["update"], "rows of other systems stay out"


@pytest.mark.parametrize("text", ["2025-06-15T00:00:00Z", "2025-06-15"])
def test_a_day_is_the_same_day_in_every_time_zone_and_version(text: str) -> None:
    record = {"DocEntry": 1, "DocNum": 7, "DocDate": text, "DocDueDate": text, "DocumentLines": []}
    row = pulled(mapping_of("order"), record, zone=WEST_OF_GREENWICH)
    assert (row["order_date"], row["delivery_date"]) == ("2025-06-15", "2025-06-15")


def test_what_is_open_of_an_invoice_in_a_foreign_currency_is_in_that_currency() -> None:
    record = {
        "DocEntry": 1, "DocNum": 7, "DocDate": "2025-06-15", "DocCurrency": "USD", "DocTotal": 92.0,
        "DocTotalFc": 100.0,
        "VatSum": 9.2, "VatSumFc": 10.0, "PaidToDate": 23.0, "DocumentStatus": "bost_Open", "CancelStatus": "csNo",
        "DocumentLines": [],
    }  # fmt: skip
    row = pulled(mapping_of("invoice"), record)
    assert [row[name] for name in ("grand_total", "tax_total", "net_total", "balance")] == [
        "100.00", "10.00", "90.00", "75.00",
    ]  # fmt: skip


def test_the_sandboxs_broken_records_break_the_rules_it_says_they_do() -> None:
    company = seed(SeedPlan(sizes={"customers": 3, "items": 2, "orders": 2, "never_updated": 0}))
    broken: dict[str, Counter[str]] = {}
    for entity, name in (("customer", "BusinessPartners"), ("product", "Items"), ("order", "Orders")):
        kind = schema().sets[name].type
        for row in company.tables[name].values():
            try:
                compile_pull(mapping_of(entity), zone="UTC").map_record(encode(shaped(row.values, kind, version="v2")))
            except RecordRejected as rejected:
                broken.setdefault(entity, Counter()).update({problem.rule for problem in rejected.problems})
    assert broken == company.expected["rejects"]
