"""The VeeKaart mappings as they ship: what is sent of each row, and what a row of the store would become here."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from erpflow.mapping.checks import check_mapping
from erpflow.mapping.compile import compile_pull, compile_push
from erpflow.mapping.load import load_mapping
from erpflow.mapping.model import Mapping
from erpflow.vocabulary import Direction, Operation

ROOT = Path(__file__).parents[2]
GOLDEN = sorted((ROOT / "tests" / "golden" / "veekaart").glob("*/*.json"))
ENTITIES = ("product", "inventory", "price")


def mapping_of(entity: str) -> Mapping:
    return load_mapping(ROOT / "include" / "mappings" / "veekaart" / f"{entity}.yaml")


def both_ways(mapping: Mapping) -> Mapping:
    return mapping.model_copy(update={"direction": Direction.BIDIRECTIONAL})


def decoded(text: bytes | str) -> Any:
    return json.loads(text, parse_float=Decimal)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_golden_rows_map_as_agreed(path: Path) -> None:
    golden = decoded(path.read_text(encoding="utf-8"))
    mapping = mapping_of(path.parent.name)
    sent = compile_push(mapping).map_row(golden["local"])
    assert decoded(msgspec.json.Encoder(decimal_format="number").encode(sent)) == golden["remote"]
    if golden["record"] is not None:
        program = compile_pull(both_ways(mapping))
        values, _ = program.map_record(msgspec.json.Encoder(decimal_format="number").encode(golden["record"]))
        row = dict(zip(program.columns, values, strict=True))
        assert row == {name: golden["local"][name] for name in row}


@pytest.mark.parametrize("entity", ENTITIES)
def test_the_mappings_only_push(entity: str) -> None:
    assert mapping_of(entity).direction is Direction.PUSH


def test_products_are_ready_to_be_turned_bidirectional() -> None:
    assert check_mapping(both_ways(mapping_of("product"))) == []


def test_a_product_goes_away_by_its_status_and_its_stock_by_being_none() -> None:
    assert [Operation.DELETE in mapping_of(entity).writes for entity in ENTITIES] == [True, True, False]
    marks = [mapping_of(entity).remote.deleted for entity in ("product", "inventory")]
    assert [mark and (mark.path, mark.value) for mark in marks] == [("status", "inactive"), ("quantity", 0)]


@pytest.mark.parametrize("entity", ["inventory", "price"])
def test_what_is_made_of_several_rows_is_found_by_its_values_and_not_by_a_time(entity: str) -> None:
    assert mapping_of(entity).local.modified is None
