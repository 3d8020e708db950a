"""The mappings of the two declared systems as they ship: what each record becomes, and what goes back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from erpflow.mapping.compile import compile_pull, compile_push
from erpflow.mapping.load import load_mapping
from erpflow.mapping.model import Mapping
from erpflow.vocabulary import Direction, Operation

ROOT = Path(__file__).parents[2]
SYSTEMS = ("kontor", "odoo_demo")
GOLDEN = sorted(path for system in SYSTEMS for path in (ROOT / "tests" / "golden" / system).glob("*/*.json"))


def mapping_of(system: str, entity: str) -> Mapping:
    return load_mapping(ROOT / "include" / "mappings" / system / f"{entity}.yaml")


def pulled(mapping: Mapping, record: Any) -> dict[str, Any]:
    program = compile_pull(mapping)
    values, children = program.map_record(msgspec.json.encode(record))
    row: dict[str, Any] = dict(zip(program.columns, values, strict=True))
    for child, lines in zip(program.children, children, strict=True):
        row[child.table] = [dict(zip(child.columns, line, strict=True)) for line in lines]
    return row


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: "/".join(path.parts[-3:]))
def test_golden_records_map_as_agreed(path: Path) -> None:
    golden = json.loads(path.read_text(encoding="utf-8"))
    mapping = mapping_of(*path.parts[-3:-1])
    row = pulled(mapping, golden["remote"])
    assert row == golden["local"]
    assert ("back" in golden) == (mapping.direction is not Direction.PULL)
    if "back" in golden:
        back = compile_push(mapping).map_row(row)
        assert json.loads(msgspec.json.Encoder(decimal_format="number").encode(back)) == golden["back"]


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("entity", ["customer", "product"])
def test_rows_of_other_systems_in_the_same_table_are_not_made_there(system: str, entity: str) -> None:
    assert mapping_of(system, entity).writes == {Operation.UPDATE}


def test_the_golden_records_cover_every_mapping() -> None:
    assert {path.parts[-3:-1] for path in GOLDEN} == {
        (system, entity) for system in SYSTEMS for entity in ("customer", "product", "order")
    }
