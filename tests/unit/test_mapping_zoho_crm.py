"""The Zoho CRM mappings as they ship: what each vendor record becomes, and what goes back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from erpflow.connectors.zoho_crm import ENTITIES
from erpflow.errors import RecordRejected
from erpflow.mapping.checks import check_mapping
from erpflow.mapping.compile import compile_pull, compile_push
from erpflow.mapping.load import load_mapping
from erpflow.mapping.model import Mapping

ROOT = Path(__file__).parents[2]
MAPPINGS = ROOT / "include" / "mappings" / "zoho_crm"
GOLDEN = sorted((ROOT / "tests" / "golden" / "zoho_crm").glob("*/*.json"))


def mapping_of(entity: str) -> Mapping:
    return load_mapping(MAPPINGS / f"{entity}.yaml")


def pulled(mapping: Mapping, record: Any) -> dict[str, Any]:
    program = compile_pull(mapping, zone="UTC")
    values, children = program.map_record(msgspec.json.encode(record))
    row: dict[str, Any] = dict(zip(program.columns, values, strict=True))
    for child, lines in zip(program.children, children, strict=True):
        row[child.table] = [dict(zip(child.columns, line, strict=True)) for line in lines]
    return row


def golden(entity: str, name: str) -> Any:
    return json.loads((ROOT / "tests" / "golden" / "zoho_crm" / entity / f"{name}.json").read_text(encoding="utf-8"))


def test_every_entity_has_a_mapping_and_golden_records() -> None:
    assert {path.stem for path in MAPPINGS.glob("*.yaml")} == set(ENTITIES) == {path.parent.name for path in GOLDEN}


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_golden_records_map_as_agreed(path: Path) -> None:
    agreed = json.loads(path.read_text(encoding="utf-8"))
    mapping = mapping_of(path.parent.name)
    row = pulled(mapping, agreed["remote"])
    assert row == agreed["local"]
    back = compile_push(mapping, zone="UTC").map_row(row)
    assert json.loads(msgspec.json.Encoder(decimal_format="number").encode(back)) == agreed["back"]


@pytest.mark.parametrize("entity", sorted(ENTITIES))
def test_the_mappings_go_both_ways_and_create_nothing_at_zoho(entity: str) -> None:
    mapping = mapping_of(entity)
    assert mapping.direction.value == "bidirectional"
    assert [write.value for write in mapping.writes] == ["update"]
    assert check_mapping(mapping) == []
    assert (mapping.remote.object, mapping.remote.key, mapping.remote.modified) == (
        ENTITIES[entity].remote, ENTITIES[entity].key, ENTITIES[entity].modified,
    )  # fmt: skip


def test_the_day_of_an_order_is_that_of_the_organisations_clock() -> None:
    record = golden("order", "with_its_lines")["remote"]
    late = {**record, "Created_Time": "2025-01-02T00:30:00+02:00"}  # still the first of January in UTC
    assert pulled(mapping_of("order"), late)["order_date"] == "2025-01-02"


@pytest.mark.parametrize(
    ("entity", "name", "broken", "rule"),
    [
        ("product", "as_a_list_shows_it", {"Product_Code": None}, "required"),
        ("order", "with_its_lines", {"Status": "Invented"}, "picklist"),
        ("deal", "as_a_list_shows_it", {"Amount": 10**17}, "max"),
        ("deal", "as_a_list_shows_it", {"Closing_Date": "31.12.2025"}, "type"),
        ("customer", "as_a_list_shows_it", {"Account_Name": "nul \0"}, "characters"),
    ],
)
def test_what_cannot_be_stored_is_rejected_by_rule(entity: str, name: str, broken: dict[str, Any], rule: str) -> None:
    with pytest.raises(RecordRejected) as rejected:
        pulled(mapping_of(entity), {**golden(entity, name)["remote"], **broken})
    assert {problem.rule for problem in rejected.value.problems} == {rule}
