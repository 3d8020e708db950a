"""The Tally mappings as they ship: what each record becomes, and what goes back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from erpflow.connectors.registry import connector_class
from erpflow.mapping.compile import compile_pull, compile_push
from erpflow.mapping.load import load_mapping
from erpflow.mapping.model import Mapping
from erpflow.vocabulary import Direction

ROOT = Path(__file__).parents[2]
GOLDEN = sorted((ROOT / "tests" / "golden" / "tally").glob("*/*.json"))
ENTITIES = sorted(connector_class("tally").spec.entities)


def mapping_of(entity: str) -> Mapping:
    return load_mapping(ROOT / "include" / "mappings" / "tally" / f"{entity}.yaml")


def pulled(mapping: Mapping, record: Any) -> dict[str, Any]:
    program = compile_pull(mapping, zone="UTC")
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
        back = compile_push(mapping, zone="UTC").map_row(row)
        assert json.loads(msgspec.json.Encoder(decimal_format="number").encode(back)) == golden["back"]


def test_every_entity_has_a_mapping_and_golden_records() -> None:
    assert sorted({path.parent.name for path in GOLDEN}) == ENTITIES
    for entity in ENTITIES:
        spec, mapping = connector_class("tally").spec.entities[entity], mapping_of(entity)
        assert (mapping.remote.key, mapping.remote.modified) == (spec.key, spec.modified)


@pytest.mark.parametrize("entity", ENTITIES)
def test_nothing_that_is_derived_is_sent_back(entity: str) -> None:
    mapping = mapping_of(entity)
    if mapping.direction is Direction.PULL:
        return
    pushed = [path for field in mapping.fields if field.pushes() for path in field.paths]
    assert pushed and not [path for path in pushed if path[0] == "DERIVED"]
