"""The mapping of one config: changed for it alone, checked like a file, and in force with the next sync."""

from __future__ import annotations

from typing import Any

import pytest

from erpflow.api.rights import Right
from tests.calling import ALL, Api
from tests.integration.conftest import Installation

HOSTILE = 2
"""How a sync of customers ends: a few of the sandbox are refused for what they hold."""


def with_state(fields: list[dict[str, Any]], state: str) -> list[dict[str, Any]]:
    """The fields with a constant in place of the state."""
    return [field for field in fields if field["local"] != "state"] + [
        {"local": "state", "value": state, "only": "pull"}
    ]


@pytest.fixture
def where(config_ids: dict[str, str]) -> str:
    return f"/api/erp/sync-configs/{config_ids['customer']}/field-mappings"


def test_the_mapping_in_force_is_the_files_until_it_is_changed(erpnext_api: Api, where: str) -> None:
    shown = erpnext_api.client.get(where).json()
    assert (shown["local_table"], shown["match_on"], shown["overridden"]) == ("app.customers", ["email"], [])
    assert shown["fields"][0]["local"] == "name"
    assert (shown["errors"], shown["versions"]) == ([], [])


def test_a_change_is_in_force_with_the_next_sync_and_for_this_config_alone(
    erpnext_api: Api, connected: Installation, where: str
) -> None:
    before = erpnext_api.client.get(where).json()
    fields = with_state(before["fields"], "from ERPNext")
    fields[0] = {"local": "name", "remote": "name", "required": True, "transform": ["trim", "upper"]}
    changed = erpnext_api.client.put(where, json={"fields": fields})
    assert changed.status_code == 200, changed.text
    assert changed.json()["version"] != before["version"]
    assert (changed.json()["overridden"], changed.json()["fields"]) == (["fields"], fields)
    assert connected.run("sync", "run", "demo", "customer", "--direction", "pull").status in (0, HOSTILE)
    names = [str(row[0]) for row in connected.rows("SELECT name FROM app.customers")]
    assert len(names) > 50
    assert names == [name.upper() for name in names]
    assert connected.rows("SELECT DISTINCT state FROM app.customers") == [("from ERPNext",)]
    assert connected.run("mapping", "check").status == 0
    logs = connected.rows("SELECT mapping_version FROM erpflow.erp_sync_logs")
    assert logs == [(changed.json()["version"],)]


def test_a_push_and_a_reconciliation_use_the_mapping_in_force(
    erpnext_api: Api, connected: Installation, where: str
) -> None:
    fields = [
        {"local": "name", "remote": "customer_name", "required": True},
        {"local": "email", "remote": "email_id", "only": "pull"},
    ]
    assert erpnext_api.client.put(where, json={"fields": fields}).status_code == 200
    assert connected.run("sync", "run", "demo", "customer").status == 0
    connected.rows("UPDATE app.customers SET phone = 'unmapped', tax_number = 'unmapped' RETURNING 1")
    planned = connected.run("plan", "demo", "customer")
    assert "there: 0 to create, 0 to update" in planned.out, planned.out
    compared = connected.run("reconcile", "demo", "customer")
    assert "different" not in compared.out, compared.out + compared.err


def test_a_template_that_the_tenant_keeps_is_in_force_with_the_next_sync(
    erpnext_api: Api, connected: Installation, where: str
) -> None:
    loud = {"name": "loud", "level": "field", "definition": {"transform": ["trim", "upper"]}}
    fields = [
        {"local": "name", "remote": "customer_name", "transform": {"template": "loud"}, "only": "pull"},
        {"local": "email", "remote": "email_id", "only": "pull"},
        {"local": "tax_number", "remote": "tax_id"},
    ]
    unknown = erpnext_api.client.put(where, json={"fields": fields})
    assert (unknown.status_code, unknown.json()["field"]) == (422, "fields[0].transform[0]"), unknown.text
    assert erpnext_api.client.post("/api/erp/transform-templates", json=loud).status_code == 201
    accepted = erpnext_api.client.put(where, json={"fields": fields})
    assert accepted.status_code == 200, accepted.text
    assert connected.run("sync", "run", "demo", "customer", "--direction", "pull").status in (0, HOSTILE)
    names = [str(row[0]) for row in connected.rows("SELECT name FROM app.customers")]
    assert len(names) > 50
    assert names == [name.upper() for name in names]
    assert connected.rows("SELECT DISTINCT mapping_version FROM erpflow.erp_sync_logs") == [
        (accepted.json()["version"],)
    ]
    assert "different" not in connected.run("reconcile", "demo", "customer").out
    config = erpnext_api.client.get(where.removesuffix("/field-mappings")).json()
    assert config["mapping_error"] is None
    kept = erpnext_api.client.get("/api/erp/transform-templates/loud").json()
    assert kept["used_by"] == ["demo customer"]
    assert erpnext_api.client.delete("/api/erp/transform-templates/loud").status_code == 409
    changed = erpnext_api.client.put(
        "/api/erp/transform-templates/loud", json={"level": "field", "definition": {"transform": ["trim", "lower"]}}
    )
    assert changed.status_code == 200, changed.text
    assert connected.run("sync", "run", "demo", "customer", "--full").status in (0, HOSTILE)
    names = [str(row[0]) for row in connected.rows("SELECT name FROM app.customers")]
    assert names == [name.lower() for name in names]


def test_a_template_of_another_tenant_is_none_of_ours(erpnext_api: Api, where: str) -> None:
    theirs = erpnext_api.as_key(erpnext_api.key(*ALL, tenant_id=erpnext_api.tenant("acme")))
    loud = {"name": "loud", "level": "field", "definition": {"transform": ["trim", "upper"]}}
    assert theirs.post("/api/erp/transform-templates", json=loud).status_code == 201
    fields = [{"local": "name", "remote": "customer_name", "transform": {"template": "loud"}, "only": "pull"}]
    assert erpnext_api.client.put(where, json={"fields": fields}).status_code == 422


def test_every_accepted_version_is_kept_field_by_field(erpnext_api: Api, connected: Installation, where: str) -> None:
    first = [{"local": "name", "remote": "customer_name"}, {"local": "email", "remote": "email_id", "only": "pull"}]
    second = [*first, {"local": "city", "remote": "city", "only": "pull"}]
    versions = []
    for fields in (first, second, first):
        changed = erpnext_api.client.put(where, json={"fields": fields})
        assert changed.status_code == 200, changed.text
        versions.append(changed.json()["version"])
    assert versions[0] == versions[2] != versions[1]
    shown = erpnext_api.client.get(where).json()["versions"]
    assert [(kept["version"], kept["fields"]) for kept in shown] == [(versions[1], 3), (versions[0], 2)]
    kept = connected.rows(
        "SELECT definition FROM erpflow.erp_field_mappings ORDER BY created_at, mapping_version, position"
    )
    assert [row[0] for row in kept] == [*first, *second]


def test_what_is_null_is_as_in_the_file_again(erpnext_api: Api, where: str) -> None:
    before = erpnext_api.client.get(where).json()
    fields = [{"local": "name", "remote": "customer_name"}]
    changed = erpnext_api.client.put(where, json={"fields": fields, "matchOn": ["name"], "deletes": {"pull": "soft"}})
    assert changed.status_code == 422  # the table has no column for the mark
    changed = erpnext_api.client.put(where, json={"fields": fields, "matchOn": ["name"], "conflict": "manual"})
    assert changed.status_code == 200, changed.text
    assert (changed.json()["match_on"], changed.json()["conflict"]) == (["name"], "manual")
    again = erpnext_api.client.put(where, json={"fields": None, "match_on": None, "conflict": None}).json()
    assert (again["fields"], again["version"]) == (before["fields"], before["version"])
    assert (again["match_on"], again["conflict"], again["overridden"]) == (["email"], "newest_wins", [])


def test_rejects_are_tried_again_when_the_mapping_has_changed(
    erpnext_api: Api, connected: Installation, where: str
) -> None:
    strict = [
        {"local": "name", "remote": "customer_name", "max_length": 3, "required": True},
        {"local": "email", "remote": "email_id", "only": "pull"},
    ]
    erpnext_api.client.put(where, json={"fields": strict}).raise_for_status()
    assert connected.run("sync", "run", "demo", "customer", "--direction", "pull").status == 2
    assert connected.rows("SELECT count(*) FROM erpflow.erp_rejects WHERE status = 'open'") == [(60,)]
    mild = [{"local": "name", "remote": "customer_name", "required": True}, strict[1]]
    erpnext_api.client.put(where, json={"fields": mild}).raise_for_status()
    assert connected.run("sync", "run", "demo", "customer", "--direction", "pull").status == 0
    assert connected.rows("SELECT count(*) FROM erpflow.erp_rejects WHERE status = 'open'") == [(0,)]
    assert connected.rows("SELECT count(*) FROM app.customers") == [(60,)]


def test_what_landed_is_replayed_through_the_changed_mapping(
    erpnext_api: Api, connected: Installation, where: str
) -> None:
    assert connected.run("sync", "run", "demo", "customer", "--direction", "pull").status == HOSTILE
    [(log_id,)] = connected.rows("SELECT id::text FROM erpflow.erp_sync_logs")
    fields = with_state(erpnext_api.client.get(where).json()["fields"], "replayed")
    erpnext_api.client.put(where, json={"fields": fields}).raise_for_status()
    replayed = connected.run("replay", str(log_id))
    assert replayed.status == HOSTILE, replayed.err
    assert connected.rows("SELECT DISTINCT state FROM app.customers") == [("replayed",)]


NAME = {"local": "name", "remote": "customer_name"}
EMAIL = {"local": "email", "remote": "email_id", "only": "pull"}


MISTAKES: list[tuple[dict[str, Any], str, str]] = [
    ({"fields": [NAME, EMAIL, {"local": "nmae", "remote": "x"}]}, "fields[2].local", 'did you mean "name"?'),
    ({"fields": [{**NAME, "transform": "upercase"}, EMAIL]}, "fields[0].transform[0]", "upercase"),
    ({"fields": [{**NAME, "typ": "text"}, EMAIL]}, "fields[0].typ", 'did you mean "type"?'),
    ({"fields": [{**NAME, "type": "money"}, EMAIL]}, "fields[0].type", "number"),
    ({"fields": [NAME, EMAIL], "matchOn": ["emial"]}, "match_on[0]", "emial"),
    (
        {"fields": [{**NAME, "type": "lookup", "lookup": {"entity": "country"}}, EMAIL]},
        "fields[0].lookup.entity",
        "does not sync",
    ),
    (
        {
            "fields": [
                {
                    **NAME,
                    "lookup": {"table": "erpflow.erp_tenants", "match": "id", "take": "name"},
                    "type": "lookup",
                },
                EMAIL,
            ]
        },
        "fields[0].lookup.table",
        "a table of your own",
    ),
    ({"fields": []}, "fields", "at least 1"),
    ({"fields": [NAME, EMAIL], "direction": "sideways"}, "direction", "pull"),
    ({"fields": [NAME, EMAIL], "deletes": "perhaps"}, "deletes.pull", "ignore"),
    ({}, "fields", "Give"),
]


def test_every_mistake_names_its_key_and_changes_nothing(erpnext_api: Api, where: str) -> None:
    before = erpnext_api.client.get(where).json()
    for body, field, words in MISTAKES:
        refused = erpnext_api.client.put(where, json=body)
        assert (refused.status_code, refused.json()["field"]) == (422, field), refused.text
        assert words in refused.json()["detail"]
    assert erpnext_api.client.get(where).json() == before


def test_two_mistakes_are_told_at_once(erpnext_api: Api, where: str) -> None:
    fields = [{**NAME, "transform": "upercase"}, {"local": "email", "remote": "a", "typ": "text"}]
    errors = erpnext_api.client.put(where, json={"fields": fields}).json()["errors"]
    assert [error["field"] for error in errors] == ["fields[0].transform[0]", "fields[1].typ"]
    assert all(error.keys() == {"field", "code", "detail"} for error in errors)


def test_a_mistake_in_the_file_has_its_line(erpnext_api: Api, connected: Installation, where: str) -> None:
    path = connected.mappings / "erpnext" / "customer.yaml"
    path.write_text(path.read_text().replace("every: 30m", "evry: 30m"))
    line = next(n for n, text in enumerate(path.read_text().splitlines(), start=1) if text.startswith("evry"))
    shown = erpnext_api.client.get(where).json()
    assert [(error["field"], error["line"]) for error in shown["errors"]] == [("evry", line)]
    assert shown["version"] is None


def test_another_companys_mapping_is_not_there_and_a_wrong_right_is_refused(erpnext_api: Api, where: str) -> None:
    other = erpnext_api.as_key(erpnext_api.key(*ALL, tenant_id=erpnext_api.tenant("acme")))
    assert [other.get(where).status_code, other.put(where, json={"fields": [NAME]}).status_code] == [404, 404]
    looking = erpnext_api.as_key(erpnext_api.key(Right.LOOK))
    assert [looking.get(where).status_code, looking.put(where, json={"fields": [NAME]}).status_code] == [200, 403]
