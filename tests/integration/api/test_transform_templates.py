"""Templates by the API: those of files are shown, those kept are made, changed, counted and deleted."""

from __future__ import annotations

from typing import Any

import pytest

from erpflow.api.rights import Right
from erpflow.mapping.templates import find_templates
from erpflow.store import templates as store_of_templates
from tests.calling import ALL, Api
from tests.integration.conftest import Installation

PATH = "/api/erp/transform-templates"
TIDY = {"name": "tidy", "level": "field", "description": "Tidied.", "definition": {"transform": ["trim", "lower"]}}


def made(api: Api, **changes: Any) -> dict[str, Any]:
    answer = api.client.post(PATH, json={**TIDY, **changes})
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


def shown(api: Api, name: str) -> dict[str, Any]:
    answer = api.client.get(f"{PATH}/{name}")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_templates_of_files_are_listed_with_where_they_are_used(api: Api) -> None:
    found = {one["name"]: one for one in api.client.get(PATH, params={"limit": 200}).json()["items"]}
    assert found["clean_email"]["source"] == "file"
    assert found["clean_email"]["definition"] == {"transform": ["trim", "lower", "empty_to_null"]}
    assert found["b1_document"]["used_by"] == ["sap_b1/invoice.yaml", "sap_b1/order.yaml"]
    assert list(found) == sorted(found)


def test_a_template_is_kept_shown_changed_and_deleted(api: Api) -> None:
    created = made(api)
    assert (created["source"], created["usage_count"], created["problem"]) == ("kept", 0, None)
    assert shown(api, "tidy") == created
    changed = api.client.put(f"{PATH}/tidy", json={"level": "field", "definition": {"transform": "trim"}})
    assert changed.status_code == 200, changed.text
    assert changed.json()["definition"] == {"transform": "trim"}
    assert api.client.delete(f"{PATH}/tidy").status_code == 204
    assert api.client.get(f"{PATH}/tidy").status_code == 404


@pytest.mark.parametrize(
    "content",
    [
        {"level": "record", "definition": {"function": "split_full_name", "reads": ["n"], "gives": ["a", "b"]}},
        {"level": "batch", "definition": {"function": "without_test_addresses"}},
        {"level": "field", "definition": {"transform": ["trim", {"template": "clean_email"}]}},
    ],
)
def test_every_level_can_be_kept(api: Api, content: dict[str, Any]) -> None:
    made(api, **content)
    assert shown(api, "tidy")["definition"] == content["definition"]


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"level": "table"}, "level", "field"),
        ({"name": "No Good"}, "name", "small letters"),
        ({"definition": {"transform": ["trim", "lowr"]}}, "definition.transform[1]", "lower"),
        ({"definition": {"transform": []}}, "definition.transform", "one at least"),
        ({"definition": {"transfrom": ["trim"]}}, "definition.transfrom", "transform"),
        ({"definition": {"transform": ["trim"], "file": True}}, "definition.file", "unknown key"),
        ({"definition": {"transform": [{"template": "tidy"}]}}, "definition.transform[0]", "leads back to itself"),
        ({"level": "batch", "definition": {"function": "nothing"}}, "definition.function", "nothing"),
    ],
)
def test_what_is_wrong_is_named_by_its_key(api: Api, changes: dict[str, Any], field: str, said: str) -> None:
    refused = api.client.post(PATH, json={**TIDY, **changes})
    assert refused.status_code == 422
    named = {one["field"]: one["detail"] for one in refused.json()["errors"]}
    assert said in named[field], refused.text
    assert api.client.get(f"{PATH}/tidy").status_code == 404


def test_a_template_of_a_file_is_only_read(api: Api) -> None:
    content = {"level": "field", "definition": {"transform": "trim"}}
    for answer in (
        api.client.put(f"{PATH}/clean_email", json=content),
        api.client.delete(f"{PATH}/clean_email"),
        api.client.post(PATH, json={**TIDY, "name": "clean_email"}),
    ):
        assert answer.status_code == 409
        assert "templates/clean_email.yaml" in answer.json()["detail"]


def test_a_name_is_given_once(api: Api) -> None:
    made(api)
    refused = api.client.post(PATH, json={**TIDY, "definition": {"transform": "upper"}})
    assert (refused.status_code, refused.json()["field"]) == (409, "name")
    assert shown(api, "tidy")["definition"] == TIDY["definition"]


def test_what_is_used_is_not_deleted(api: Api) -> None:
    made(api)
    made(api, name="outer", definition={"transform": [{"template": "tidy"}]})
    refused = api.client.delete(f"{PATH}/tidy")
    assert (refused.status_code, "outer" in refused.json()["detail"]) == (409, True)
    assert api.client.delete(f"{PATH}/outer").status_code == 204
    assert api.client.delete(f"{PATH}/tidy").status_code == 204


def test_counts_of_files_and_of_kept_ones_are_shown(api: Api, installation: Installation) -> None:
    made(api)
    with installation.database.transaction() as connection:
        kept = store_of_templates.kept_templates(connection)
        among = find_templates(installation.mappings / "templates", kept=kept)
        used = [among.get("tidy"), among.get("clean_email")]
        store_of_templates.count_usage(connection, used, rows=12)
    assert (shown(api, "tidy")["usage_count"], shown(api, "clean_email")["usage_count"]) == (12, 12)
    assert shown(api, "clean_email")["source"] == "file"


def test_the_row_of_a_file_that_is_gone_gives_its_name_free(api: Api, installation: Installation) -> None:
    with installation.database.transaction() as connection:
        connection.execute(
            "INSERT INTO erpflow.erp_transform_templates (tenant_id, name, level, definition) VALUES"
            """ ('00000000-0000-0000-0000-000000000001', 'tidy', 'field', '{"file": true, "transform": "upper"}')"""
        )
    assert api.client.get(f"{PATH}/tidy").status_code == 404
    assert made(api)["definition"] == TIDY["definition"]


def test_the_list_is_filtered_and_paged_by_name(api: Api) -> None:
    for name in ("one", "three", "two"):
        made(api, name=name)
    first = api.client.get(PATH, params={"source": "kept", "limit": 2}).json()
    rest = api.client.get(PATH, params={"source": "kept", "limit": 2, "after": first["next"]}).json()
    assert [one["name"] for one in first["items"] + rest["items"]] == ["one", "three", "two"]
    assert rest["next"] is None
    levels = {one["level"] for one in api.client.get(PATH, params={"level": "batch"}).json()["items"]}
    assert levels == {"batch"}


def test_a_broken_file_is_shown_with_what_is_wrong(api: Api, installation: Installation) -> None:
    (installation.mappings / "templates" / "bad.yaml").write_text("level: field\ntransform: [lowr]\n")
    bad = shown(api, "bad")
    assert (bad["source"], bad["level"]) == ("file", None)
    assert "templates/bad.yaml:2: transform[0]" in bad["problem"]
    assert str(installation.mappings) not in bad["problem"]


def test_another_tenant_has_templates_of_its_own(api: Api) -> None:
    made(api)
    other = api.as_key(api.key(*ALL, tenant_id=api.tenant("acme")))
    assert other.get(f"{PATH}/tidy").status_code == 404
    assert other.delete(f"{PATH}/tidy").status_code == 404
    assert other.post(PATH, json={**TIDY, "definition": {"transform": "upper"}}).status_code == 201
    assert shown(api, "tidy")["definition"] == TIDY["definition"]


def test_changing_templates_needs_the_right_to_configure(api: Api) -> None:
    running = api.as_key(api.key(Right.LOOK, Right.RUN))
    assert running.get(PATH).status_code == 200
    assert running.post(PATH, json=TIDY).status_code == 403
