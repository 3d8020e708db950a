"""The reference page and the published schema say what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from erpflow.mapping.compile import compile_pull, compile_push
from erpflow.mapping.kinds import FieldType, Level, Only, OnMissing
from erpflow.mapping.load import find_mappings, load_mapping, parse_mapping
from erpflow.mapping.model import Children, DeletesEachWay, FieldSpec, Local, Lookup, Mapping, Remote
from erpflow.mapping.schema import schema_text
from erpflow.mapping.templates import BatchTemplate, FieldTemplate, RecordTemplate, find_templates
from erpflow.mapping.transforms import known_transforms, load_transforms
from erpflow.vocabulary import ConflictStrategy, Deletes, Direction
from erpflow.yaml_files.part import Part
from erpflow.yaml_files.reading import read_yaml

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference-mapping.md").read_text(encoding="utf-8")
SCHEMA = ROOT / "include" / "mapping.schema.json"
CODE = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)
YAML = [text for language, text in CODE.findall(PAGE) if language == "yaml"]
TEMPLATES = {
    found[1]: text for text in YAML if (found := re.match(r"# include/mappings/templates/(\w+)\.yaml\n", text))
}
SAMPLES = [text for text in YAML if text not in TEMPLATES.values()]
NAMED = set(re.findall(r"`([^`\n]+)`", CODE.sub("", PAGE)))


@pytest.mark.parametrize("part", [Mapping, Remote, Local, FieldSpec, Lookup, Children, DeletesEachWay])
def test_the_page_names_every_key(part: type[Part]) -> None:
    missing = set(part.model_fields) - NAMED - {"pull", "push"}
    assert not missing


@pytest.mark.parametrize("words", [FieldType, Level, Only, OnMissing, Direction, ConflictStrategy, Deletes])
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


def python_of(page: str) -> list[str]:
    """The Python samples of a page."""
    return [text for language, text in CODE.findall((ROOT / page).read_text(encoding="utf-8")) if language == "python"]


@pytest.fixture
def include(tmp_path: Path) -> Path:
    """An `include` folder with the functions and templates of the page."""
    for name in ("transforms", "mappings/templates", "mappings/rest"):
        (tmp_path / name).mkdir(parents=True)
    for number, code in enumerate(python_of("docs/reference-mapping.md")):
        (tmp_path / "transforms" / f"sample_{number}.py").write_text(code, encoding="utf-8")
    for name, text in TEMPLATES.items():
        (tmp_path / "mappings" / "templates" / f"{name}.yaml").write_text(text, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.split("\n")[0][:30])
def test_every_sample_loads_and_satisfies_the_schema(include: Path, sample: str) -> None:
    path = include / "mappings" / "rest" / "sample.yaml"
    path.write_text(sample, encoding="utf-8")
    assert load_mapping(path).fields
    Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8"))).validate(plain_of(path))


def sample_with(include: Path, words: str) -> Mapping:
    """The sample that holds these words."""
    path = include / "mappings" / "rest" / "sample.yaml"
    path.write_text(next(sample for sample in SAMPLES if words in sample), encoding="utf-8")
    return load_mapping(path)


def test_the_samples_of_templates_do_what_the_page_says(include: Path) -> None:
    templates = find_templates(include / "mappings" / "templates")
    assert {templates.get(name).level for name in templates.names()} == set(Level)
    weighed = sample_with(include, "- weight:")
    values = compile_pull(weighed).map_record(b'{"shipping": {"weight": "12.5 kg"}, "gross_weight": "13"}').values
    assert values == ("12.5", "kg", "13")
    back = compile_push(weighed).map_row({"net_weight": "12.5", "weight_unit": "kg"})
    assert back == {"shipping": {"weight": "12.5 kg"}}
    refine = compile_pull(sample_with(include, "no_samples")).refine
    assert refine is not None
    refined = refine([("A", "115.00", "0.15"), ("B", "0", "0")])
    assert (refined.rows, refined.dropped) == ({0: ("A", "100.00", "0.15")}, {1: "dropped by no_samples"})


@pytest.mark.parametrize("part", [FieldTemplate, RecordTemplate, BatchTemplate])
def test_the_page_names_every_key_of_a_template(part: type[Part]) -> None:
    section = PAGE[PAGE.index("## Templates") : PAGE.index("### Of a field")]
    assert not {key for key in part.model_fields if f"| `{key}` |" not in section}


def test_the_page_names_the_type_in_a_frame_of_every_field_type() -> None:
    section = PAGE[PAGE.index("### Of a batch") :]
    assert not {kind for kind in FieldType if not re.search(rf"^\|.*`{kind}`.*\|", section, re.MULTILINE)}


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("docs/reference-mapping.md", ["without_country", "without_samples", "without_unit"]),
        ("include/transforms/README.md", ["without_blocked", "without_country", "without_dial_code"]),
    ],
)
def test_the_samples_of_a_users_functions_run(tmp_path: Path, page: str, names: list[str]) -> None:
    for number, code in enumerate(python_of(page)):
        (tmp_path / f"sample_{number}.py").write_text(code, encoding="utf-8")
    assert load_transforms(tmp_path) == names
    assert known_transforms(tmp_path)["without_country"].apply("SA300") == "300"
    for path in tmp_path.glob("*.py"):
        path.unlink()
    assert load_transforms(tmp_path) == []


def plain_of(path: Path) -> Any:
    """The data of a YAML file with numbers as JSON has them."""
    return json.loads(json.dumps(read_yaml(path, page="").data, default=float))


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
USE_MISTAKES: list[dict[str, Any]] = [
    {"record": [5]},
    {"record": [{}]},
    {"record": [{"name": {"read": {}}}]},
    {"record": [{"name": {"gives": {"a": "b.c"}}}]},
    {"record": [{"name": {"reads": {"a": []}}}]},
    {"batch": [{"name": {}}]},
    {"batch": 5},
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


@pytest.mark.parametrize("mistake", USE_MISTAKES, ids=str)
def test_the_schema_knows_how_templates_are_named(mistake: dict[str, Any]) -> None:
    data: dict[str, Any] = {
        "system": "rest",
        "entity": "x",
        "remote": {"object": "x", "key": "id"},
        "local": {"table": "app.x"},
        "fields": [{"local": "a", "remote": "b"}],
    }
    validator = Draft202012Validator(json.loads(schema_text()))
    named = {"record": ["name", {"name": {"reads": {"a": ["b", "c.d"]}, "gives": {"a": "b"}}}], "batch": ["rows"]}
    assert validator.is_valid(data | named)
    assert validator.is_valid(data | {"record": "name", "batch": "rows"})
    assert not validator.is_valid(data | mistake)
