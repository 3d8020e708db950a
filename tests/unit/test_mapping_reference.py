"""The reference page and the published schema say what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from erpflow.mapping.forms import Part
from erpflow.mapping.kinds import FieldType, Only, OnMissing
from erpflow.mapping.load import find_mappings, load_mapping, parse_mapping
from erpflow.mapping.model import Children, DeletesEachWay, FieldSpec, Local, Lookup, Mapping, Remote
from erpflow.mapping.schema import schema_text
from erpflow.mapping.transforms import known_transforms, load_transforms
from erpflow.mapping.yamlfile import read_yaml
from erpflow.vocabulary import Conflict, Deletes, Direction

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference-mapping.md").read_text(encoding="utf-8")
SCHEMA = ROOT / "include" / "mapping.schema.json"
CODE = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)
SAMPLES = [text for language, text in CODE.findall(PAGE) if language == "yaml"]
NAMED = set(re.findall(r"`([^`\n]+)`", CODE.sub("", PAGE)))


@pytest.mark.parametrize("part", [Mapping, Remote, Local, FieldSpec, Lookup, Children, DeletesEachWay])
def test_the_page_names_every_key(part: type[Part]) -> None:
    missing = set(part.model_fields) - NAMED - {"pull", "push"}
    assert not missing


@pytest.mark.parametrize("words", [FieldType, Only, OnMissing, Direction, Conflict, Deletes])
def test_the_page_names_every_word_a_key_takes(words: Any) -> None:
    assert not {word.value for word in words} - NAMED


def test_the_page_names_every_transform() -> None:
    built_in = {name for name, made in known_transforms().items() if made.source is None}
    listed = {
        name
        for row in re.findall(r"^\| (`[a-z0-9_`, ]+`) \|", PAGE, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", row)
    }
    assert not built_in - listed


def test_the_page_names_every_rule_a_problem_may_have() -> None:
    folder = ROOT / "plugins" / "erpflow" / "mapping"
    raised: set[str] = set()
    for path in folder.glob("*.py"):
        text = path.read_text(encoding="utf-8")
        raised |= set(re.findall(r'Refused\(\s*"(\w+)"', text)) | set(re.findall(r'FieldProblem\("", "(\w+)"', text))
    assert {"type", "required", "min", "json", "shape", "unique"} <= raised
    assert not raised - NAMED


def test_the_page_has_samples() -> None:
    assert len(SAMPLES) >= 3


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.split("\n")[0][:30])
def test_every_sample_loads_and_satisfies_the_schema(tmp_path: Path, sample: str) -> None:
    path = tmp_path / "sample.yaml"
    path.write_text(sample, encoding="utf-8")
    assert load_mapping(path).fields
    Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8"))).validate(plain_of(path))


@pytest.mark.parametrize("page", ["docs/reference-mapping.md", "include/transforms/README.md"])
def test_the_sample_of_a_users_transform_runs(tmp_path: Path, page: str) -> None:
    (code,) = [
        text for language, text in CODE.findall((ROOT / page).read_text(encoding="utf-8")) if language == "python"
    ]
    (tmp_path / "vat.py").write_text(code, encoding="utf-8")
    assert load_transforms(tmp_path) == ["without_country"]
    assert known_transforms()["without_country"].apply("SA300") == "300"
    (tmp_path / "vat.py").unlink()
    assert load_transforms(tmp_path) == []


def plain_of(path: Path) -> Any:
    """The data of a YAML file with numbers as JSON has them."""
    return json.loads(json.dumps(read_yaml(path).data, default=float))


def test_the_committed_schema_is_the_current_one() -> None:
    """Otherwise: python -m erpflow.mapping.schema > include/mapping.schema.json"""
    assert SCHEMA.read_text(encoding="utf-8") == schema_text()


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(json.loads(schema_text()))


@pytest.mark.parametrize(
    "path", find_mappings(ROOT / "include" / "mappings"), ids=lambda path: f"{path.parent.name}/{path.stem}"
)
def test_shipped_mappings_satisfy_the_schema_and_point_their_editor_to_it(path: Path) -> None:
    Draft202012Validator(json.loads(schema_text())).validate(plain_of(path))
    first = path.read_text(encoding="utf-8").split("\n")[0]
    named = first.removeprefix("# yaml-language-server: $schema=")
    assert (path.parent / named).resolve() == SCHEMA.resolve()


MISTAKES = [
    {"typ": "text"},
    {"type": "txt"},
    {"max_length": 0},
    {"remote": []},
    {"transform": {}},
    {"lookup": {"entity": "x", "on_missing": "no"}},
    {"local": "a b"},
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=str)
def test_what_the_loader_refuses_in_form_the_schema_refuses_too(mistake: dict[str, Any]) -> None:
    data: dict[str, Any] = {
        "system": "rest",
        "entity": "x",
        "remote": {"object": "x", "key": "id"},
        "local": {"table": "app.x"},
        "fields": [{"local": "a", "remote": "b"}],
    }
    validator = Draft202012Validator(json.loads(schema_text()))
    assert validator.is_valid(data)
    assert parse_mapping(data, name="test")
    data["fields"] = [{"local": "a", "remote": "b", **mistake}]
    assert not validator.is_valid(data)
    with pytest.raises(Exception, match="fields"):
        parse_mapping(data, name="test")
