"""The Metakocka mappings as they ship: what a page of the vendor's becomes, and what goes back.

The documents, partners and stock in the golden files are those of the vendor's own documentation, or made after them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from erpflow.connectors.base import RawRecord
from erpflow.connectors.metakocka import ENTITIES, Metakocka
from erpflow.connectors.metakocka_wire import ZONE
from erpflow.mapping.checks import check_mapping
from erpflow.mapping.compile import compile_pull, compile_push
from erpflow.mapping.load import load_mapping
from erpflow.mapping.model import Mapping
from erpflow.vocabulary import Direction, Operation

ROOT = Path(__file__).parents[2]
GOLDEN = sorted((ROOT / "tests" / "golden" / "metakocka").glob("*/*.json"))


def mapping_of(entity: str) -> Mapping:
    return load_mapping(ROOT / "include" / "mappings" / "metakocka" / f"{entity}.yaml")


def pulled(mapping: Mapping, record: RawRecord) -> dict[str, Any]:
    program = compile_pull(mapping, zone=ZONE)
    values, children = program.map_record(record)
    row: dict[str, Any] = dict(zip(program.columns, values, strict=True))
    for child, lines in zip(program.children, children, strict=True):
        row[child.table] = [dict(zip(child.columns, line, strict=True)) for line in lines]
    return row


def pushed(mapping: Mapping, row: dict[str, Any]) -> Any:
    back = compile_push(mapping, zone=ZONE).map_row(row)
    return json.loads(msgspec.json.Encoder(decimal_format="number").encode(back))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_golden_pages_map_as_agreed(path: Path) -> None:
    golden = json.loads(path.read_text(encoding="utf-8"))
    mapping = mapping_of(path.parent.name)
    records = Metakocka.split(path.parent.name, json.dumps(golden["remote"]).encode())
    rows = [pulled(mapping, record) for record in records]
    assert rows == [record["local"] for record in golden["records"]]
    if mapping.direction is Direction.BIDIRECTIONAL:
        assert [pushed(mapping, row) for row in rows] == [record["back"] for record in golden["records"]]


@pytest.mark.parametrize("entity", ENTITIES)
def test_every_entity_has_a_mapping_that_is_correct_and_agrees_with_the_data_sheet(entity: str) -> None:
    mapping, spec = mapping_of(entity), ENTITIES[entity]
    assert check_mapping(mapping) == []
    assert (mapping.remote.object, mapping.remote.key, mapping.remote.modified) == (
        spec.remote,
        spec.key,
        spec.modified,
    )
    assert (mapping.direction is Direction.BIDIRECTIONAL) == bool(spec.writes)


@pytest.mark.parametrize("entity", [name for name, spec in ENTITIES.items() if spec.writes])
def test_rows_of_other_systems_are_not_made_at_metakocka(entity: str) -> None:
    assert mapping_of(entity).writes == {Operation.UPDATE}
