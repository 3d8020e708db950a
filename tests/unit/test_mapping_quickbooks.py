"""The QuickBooks mappings as they ship: what each vendor record becomes, and what goes back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from erpflow.connectors.quickbooks import ENTITIES, QuickBooks
from erpflow.errors import RecordRejected
from erpflow.mapping.checks import check_mapping
from erpflow.mapping.compile import compile_pull, compile_push
from erpflow.mapping.load import load_mapping
from erpflow.mapping.model import Mapping
from erpflow.vocabulary import Direction, Operation

ROOT = Path(__file__).parents[2]
MAPPINGS = ROOT / "include" / "mappings" / "quickbooks"
GOLDEN = sorted((ROOT / "tests" / "golden" / "quickbooks").glob("*/*.json"))


def mapping_of(entity: str) -> Mapping:
    return load_mapping(MAPPINGS / f"{entity}.yaml")


def both_ways(mapping: Mapping) -> Mapping:
    return mapping.model_copy(update={"direction": Direction.BIDIRECTIONAL})


def pulled(mapping: Mapping, record: Any) -> dict[str, Any]:
    """A record as the connector splits it off a page, mapped."""
    remote = ENTITIES[mapping.entity].remote
    (raw,) = QuickBooks.split(mapping.entity, msgspec.json.encode({"QueryResponse": {remote: [record]}}))
    program = compile_pull(mapping)
    values, children = program.map_record(bytes(raw))
    row: dict[str, Any] = dict(zip(program.columns, values, strict=True))
    for child, lines in zip(program.children, children, strict=True):
        row[child.table] = [dict(zip(child.columns, line, strict=True)) for line in lines]
    return row


def test_every_entity_has_a_mapping_of_its_own() -> None:
    assert {path.stem for path in MAPPINGS.glob("*.yaml")} == set(ENTITIES)
    for entity, spec in ENTITIES.items():
        remote = mapping_of(entity).remote
        assert (remote.object, remote.key, remote.modified) == (spec.remote, spec.key, spec.modified)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_golden_records_map_as_agreed(path: Path) -> None:
    golden = json.loads(path.read_text(encoding="utf-8"))
    mapping = mapping_of(path.parent.name)
    row = pulled(mapping, golden["remote"])
    assert row == golden["local"]
    back = compile_push(both_ways(mapping)).map_row(row)
    assert json.loads(msgspec.json.Encoder(decimal_format="number").encode(back)) == golden["back"]


def test_every_entity_has_a_golden_record() -> None:
    assert {path.parent.name for path in GOLDEN} == set(ENTITIES)


@pytest.mark.parametrize("entity", sorted(ENTITIES))
def test_the_mappings_are_ready_to_be_turned_bidirectional(entity: str) -> None:
    assert check_mapping(both_ways(mapping_of(entity))) == []


def test_rows_of_other_systems_are_not_created_in_quickbooks() -> None:
    for entity in ENTITIES:
        mapping = mapping_of(entity)
        assert mapping.direction is Direction.PULL or set(mapping.writes) == {Operation.UPDATE}


@pytest.mark.parametrize(
    ("entity", "record"),
    [
        ("customer", {"Id": "1", "DisplayName": "Nul\0"}),
        ("product", {"Id": "1", "Name": "Cheap", "UnitPrice": -1}),
        ("estimate", {"Id": "1", "DocNumber": "1", "TxnDate": "2026-01-01", "TxnStatus": "Wondering"}),
        ("invoice", {"Id": "1", "DocNumber": "1"}),
    ],
)
def test_what_no_table_can_hold_is_rejected(entity: str, record: Any) -> None:
    with pytest.raises(RecordRejected):
        pulled(mapping_of(entity), record)
