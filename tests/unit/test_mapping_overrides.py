"""What a sync config says in place of its mapping file: merged, checked by the same model, part of the version."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from erpflow.errors import ConfigError
from erpflow.mapping.load import examine_mapping, load_mapping
from erpflow.sync.in_force import mapping_in_force
from erpflow.vocabulary import ConflictStrategy, Deletes, Direction

FILE = """
system: shop
entity: customer
remote: {object: customers, key: id}
local: {table: app.customers, match_on: [email]}
direction: bidirectional
fields:
  - {local: name, remote: name}
  - {local: email, remote: email}
"""
EMAIL = {"local": "email", "remote": "email"}
KEYS = {"table": "ERPFLOW.erp_api_keys", "match": "id", "take": "id"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "mappings" / "shop" / "customer.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(FILE)
    return file


def test_no_overrides_are_the_file(path: Path) -> None:
    assert load_mapping(path, overrides={}) == load_mapping(path)


def test_each_replaces_what_the_file_says_and_nothing_else(path: Path) -> None:
    plain = load_mapping(path)
    overrides = {"fields": [EMAIL], "direction": "pull", "conflict": "manual", "deletes": "hard", "match_on": []}
    found = load_mapping(path, overrides=overrides)
    assert [spec.local for spec in found.fields] == ["email"]
    assert (found.direction, found.conflict, found.deletes.pull) == (
        Direction.PULL,
        ConflictStrategy.MANUAL,
        Deletes.HARD,
    )
    assert (found.local.match_on, found.local.table, found.remote) == ((), plain.local.table, plain.remote)


@pytest.mark.parametrize("overrides", [{"fields": [EMAIL]}, {"match_on": ["name"]}])
def test_the_version_covers_what_decides_what_a_record_becomes(path: Path, overrides: dict[str, Any]) -> None:
    plain = load_mapping(path).version
    changed = mapping_in_force(path.parent.parent, "shop/customer.yaml", overrides, kept={}).version
    assert changed != plain
    assert load_mapping(path, overrides=overrides).version == changed
    assert mapping_in_force(path.parent.parent, "shop/customer.yaml", {}, kept={}).version == plain


def test_the_same_fields_have_the_same_version_wherever_they_stand(path: Path) -> None:
    fields = [{"local": "name", "remote": "name"}, EMAIL]
    assert load_mapping(path, overrides={"fields": fields}).version == load_mapping(path).version


@pytest.mark.parametrize(
    ("overrides", "key"),
    [
        ({"feilds": []}, "feilds"),
        ({"fields": [EMAIL, {"local": "name", "remote": "x", "typ": "text"}]}, "fields[1].typ"),
        ({"match_on": "name"}, "match_on"),
        ({"match_on": ["a b"]}, "match_on[0]"),
        ({"direction": "up"}, "direction"),
        ({"fields": [EMAIL], "match_on": ["name"]}, "match_on[0]"),
        ({"fields": [{**EMAIL, "type": "lookup", "lookup": KEYS}]}, "fields[0].lookup.table"),
    ],
)
def test_a_mistake_names_its_key_and_no_line_of_the_file(path: Path, overrides: dict[str, Any], key: str) -> None:
    wrong = examine_mapping(path, overrides=overrides).wrong
    assert [(complaint.key, complaint.line) for complaint in wrong] == [(key, None)]
    with pytest.raises(ConfigError, match="overrides of the sync config: "):
        load_mapping(path, overrides=overrides)


def test_a_mistake_of_the_file_keeps_its_line(path: Path) -> None:
    path.write_text(FILE.replace("entity: customer", "entity: Customer"))
    [complaint] = examine_mapping(path, overrides={"fields": [EMAIL], "match_on": []}).wrong
    assert (complaint.key, complaint.line) == ("entity", 3)


def test_a_file_that_only_pulls_has_no_steps_for_a_push(path: Path) -> None:
    path.write_text(FILE.replace("direction: bidirectional\n", ""))
    for direction, keys in (("pull", []), ("push", ["direction"]), ("bidirectional", ["direction"])):
        wrong = examine_mapping(path, overrides={"direction": direction}).wrong
        assert [complaint.key for complaint in wrong] == keys
