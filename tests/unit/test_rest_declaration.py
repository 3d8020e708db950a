"""A declaration loads whole or not at all, and every mistake is named with its file, line and key."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from erpflow.connectors.rest import model
from erpflow.connectors.rest.connector import connector_of
from erpflow.connectors.rest.files import find_declarations
from erpflow.connectors.rest.load import load_declaration
from erpflow.connectors.rest.schema import schema_text
from erpflow.errors import ConfigError
from erpflow.vocabulary import Operation
from erpflow.yaml_files.part import Part
from erpflow.yaml_files.reading import read_yaml
from tests.declared import declaration, written

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "include" / "connector.schema.json"
PAGE = (ROOT / "docs" / "how-to-declare-a-connector.md").read_text(encoding="utf-8")
PARTS = [
    part for part in vars(model).values() if isinstance(part, type) and issubclass(part, Part) and part is not Part
]
WORDS = (model.AuthKind, model.PagingKind, model.Meaning, model.Place)


def mistakes(folder: Path, content: dict[str, Any] | str) -> list[str]:
    path = written(folder, content)
    with pytest.raises(ConfigError) as raised:
        load_declaration(path)
    return [line.removeprefix(f"{path}:") for line in str(raised.value).splitlines()]


# -- what is published -------------------------------------------------------------------------------------------------


def test_the_published_schema_is_current() -> None:
    assert SCHEMA.read_text(encoding="utf-8") == schema_text(), (
        "run: python -m erpflow.connectors.rest.schema > include/connector.schema.json"
    )


@pytest.mark.parametrize("path", sorted((ROOT / "include" / "connectors").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_declarations_that_ship_are_correct_and_fit_the_schema(path: Path) -> None:
    found = load_declaration(path)
    assert found.system == path.stem
    data = json.loads(json.dumps(read_yaml(path, page="").data, default=float))
    assert list(Draft202012Validator(json.loads(schema_text())).iter_errors(data)) == []


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
def test_the_page_names_every_key(part: type[Part]) -> None:
    assert [name for name in part.model_fields if f"`{name}`" not in PAGE] == []


@pytest.mark.parametrize("words", WORDS, ids=lambda words: words.__name__)
def test_the_page_names_every_word_a_key_takes(words: Any) -> None:
    assert [word.value for word in words if f"`{word.value}`" not in PAGE] == []


def test_the_samples_of_the_page_load(tmp_path: Path) -> None:
    samples = [part.split("```")[0] for part in PAGE.split("```yaml\n")[1:]]
    whole = [sample for sample in samples if "\nentities:" in sample]
    assert whole
    for sample in whole:
        path = tmp_path / "ledgerly.yaml"
        path.write_text(sample)
        load_declaration(path)


# -- mistakes ----------------------------------------------------------------------------------------------------------


def test_all_mistakes_are_named_at_once_with_their_lines(tmp_path: Path) -> None:
    text = """\
system: acme
titel: Acme
auth: {kind: api-key}
check: {path: me}
times: {zone: Mars/Olympus}
entities:
  thing:
    object: things
    key: id
    list:
      path: /things
      records: "data[?"
      paging: {kind: pages}
"""
    assert mistakes(tmp_path, text) == [
        "1: title: found nothing, allowed: this key is required",
        '2: titel: found the unknown key "titel", allowed address, auth, check, entities, errors, form, limits, '
        'settings, system, times, title (did you mean "title"?)',
        '3: auth.kind: found "api-key", allowed api_key, basic, bearer, none, oauth2_client_credentials, '
        'oauth2_refresh, session (did you mean "api_key"?)',
        '4: check.path: found "me", allowed a path such as /api/customers; what follows a ? goes into `query`',
        '5: times.zone: found "Mars/Olympus", allowed a time zone such as Europe/Berlin',
        mistakes(tmp_path, text)[5],
        '13: entities.thing.list.paging.kind: found "pages", allowed cursor, keyset, link, none, odata, offset, page '
        '(did you mean "page"?)',
    ]
    assert mistakes(tmp_path, text)[5].startswith(
        '12: entities.thing.list.records: found "data[?", allowed a JMESPath expression: '
    )


LISTED = {"path": "/things", "records": "data"}


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"system": "other"}, 'system: found "other", allowed acme: the file\'s name'),
        ({"auth": {"kind": "api_key"}}, "found nothing under name, allowed: auth of kind api_key requires it"),
        ({"auth": {"kind": "bearer", "value": "{pasword}"}}, 'unknown placeholder {pasword}'),
        ({"errors": [{"means": "stale"}]}, "errors[0]: found a rule without `status` and `when`"),
        ({"entity": {"get": None}}, "found neither `get` nor `many`"),
        ({"entity": {"list": {**LISTED, "paging": {"kind": "page"}}}}, "found no placeholder {page}"),
        ({"entity": {"list": {**LISTED, "query": {"x": "{sinse}"}}}}, 'unknown placeholder {sinse}'),
        (
            {"entity": {"list": {**LISTED, "query": {"p": "{page}", "u": "{until}"}, "paging": {"kind": "page"}}}},
            "found `{until}` with paging by page",
        ),
        (
            {"entity": {"list": {**LISTED, "query": {"s": "{since}"}, "paging": {"kind": "keyset"}}}},
            "found neither `{seen}` in the request nor `most` with `{limit}`",
        ),
        ({"entity": {"list": {**LISTED, "paging": {"kind": "cursor"}}}}, "found no `next`"),
        (
            {"entity": {"create": {"method": "POST", "path": "/things", "body": "{record}", "id": "id"}}},
            "found writes without `find`",
        ),
        (
            {"entity": {"create": {"method": "POST", "path": "/t", "body": "{records}", "bulk": 9, "id": "id"}}},
            "found `bulk` without `results`",
        ),
        ({"entity": {"create": {"method": "POST", "path": "/things", "body": "{record}"}}}, "found no `id`"),
        ({"entity": {"delete": {"method": "DELETE", "path": "/things"}}}, "found no placeholder {id}"),
        ({"entity": {"modified": None}}, "unknown placeholder {since}"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused_with_its_place(tmp_path: Path, parts: dict[str, Any], said: str) -> None:
    found = mistakes(tmp_path, declaration(**parts))
    assert any(said in line for line in found), found
    assert all(line.split(":")[0].isdigit() for line in found)


def test_a_file_that_is_empty_names_the_page_that_explains(tmp_path: Path) -> None:
    (line,) = mistakes(tmp_path, "")
    assert "docs/how-to-declare-a-connector.md" in line


# -- the data sheet ----------------------------------------------------------------------------------------------------


def test_the_data_sheet_says_what_the_requests_say(tmp_path: Path) -> None:
    find = {"path": "/things", "query": {"{field}": "{value}"}, "records": "data"}
    write = {"path": "/things/{id}", "headers": {"If-Match": "{version}"}}
    entity = {
        "find": find,
        "create": {
            "method": "POST",
            "path": "/things",
            "headers": {"Idempotency-Key": "{idempotency_key}"},
            "body": "{record}",
            "id": "id",
        },
        "update": {**write, "method": "PATCH", "body": "{record}"},
        "delete": {**write, "method": "DELETE"},
    }
    spec = connector_of(load_declaration(written(tmp_path, declaration(entity=entity)))).spec.entities["thing"]
    assert spec.writes == set(Operation)
    assert (spec.checks_version, spec.repeatable_create, spec.deleted_feed, spec.ordered) == (True, True, False, False)


def test_the_folder_of_declarations_can_be_another_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, declaration())
    monkeypatch.setenv("ERPFLOW_CONNECTORS", str(tmp_path))
    assert find_declarations() == {"acme": tmp_path / "acme.yaml"}


def test_listing_systems_reads_no_declaration_and_imports_nothing_heavy() -> None:
    code = (
        "import sys; from erpflow.connectors.registry import systems; assert 'kontor' in systems();"
        " sys.exit('pydantic' in sys.modules or 'jmespath' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT).returncode == 0
