"""The ERPNext mappings as they ship: what each vendor record becomes, and what goes back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from erpflow.mapping.checks import check_mapping
from erpflow.mapping.compile import compile_pull, compile_push
from erpflow.mapping.load import find_mappings, load_mapping
from erpflow.mapping.model import Mapping
from erpflow.vocabulary import Direction

ROOT = Path(__file__).parents[2]
MAPPINGS = ROOT / "include" / "mappings"
GOLDEN = sorted((ROOT / "tests" / "golden" / "erpnext").glob("*/*.json"))
ZONE = "Asia/Kolkata"


def mapping_of(entity: str) -> Mapping:
    return load_mapping(MAPPINGS / "erpnext" / f"{entity}.yaml")


def both_ways(mapping: Mapping) -> Mapping:
    return mapping.model_copy(update={"direction": Direction.BIDIRECTIONAL})


def pulled(mapping: Mapping, record: Any) -> dict[str, Any]:
    program = compile_pull(mapping, zone=ZONE)
    values, children = program.map_record(msgspec.json.encode(record))
    row: dict[str, Any] = dict(zip(program.columns, values, strict=True))
    for child, lines in zip(program.children, children, strict=True):
        row[child.table] = [dict(zip(child.columns, line, strict=True)) for line in lines]
    return row


def test_every_mapping_that_ships_loads() -> None:
    found = [path.relative_to(MAPPINGS).as_posix() for path in find_mappings(MAPPINGS)]
    assert {"erpnext/customer.yaml", "erpnext/order.yaml", "erpnext/product.yaml"} <= set(found)
    for path in find_mappings(MAPPINGS):
        mapping = load_mapping(path)
        assert path.relative_to(MAPPINGS).as_posix() == f"{mapping.system}/{mapping.entity}.yaml"


def test_the_customer_mapping_has_the_columns_the_issue_names() -> None:
    columns = compile_pull(mapping_of("customer")).columns
    assert columns == (
        "name", "company_name", "contact_person", "email", "phone", "address",
        "city", "state", "country", "tax_number", "credit_limit", "currency",
    )  # fmt: skip


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_golden_records_map_as_agreed(path: Path) -> None:
    golden = json.loads(path.read_text(encoding="utf-8"))
    mapping = mapping_of(path.parent.name)
    row = pulled(mapping, golden["remote"])
    assert row == golden["local"]
    back = compile_push(both_ways(mapping), zone=ZONE).map_row(row)
    assert json.loads(msgspec.json.Encoder(decimal_format="number").encode(back)) == golden["back"]


@pytest.mark.parametrize("entity", ["customer", "product", "order"])
def test_the_mappings_are_ready_to_be_turned_bidirectional(entity: str) -> None:
    assert check_mapping(both_ways(mapping_of(entity))) == []
