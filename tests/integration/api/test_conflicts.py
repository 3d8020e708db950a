"""Conflicts over REST: both values, and a person's decision on them."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
import requests

from erpflow.api.rights import Right
from tests.calling import ALL, Api
from tests.integration.conftest import API_KEY, API_SECRET, Installation, Sandbox

BASE = "/api/erp/conflicts"
TIES = """
SELECT remote_id, local_id FROM erpflow.erp_entity_sync_records
WHERE remote_id NOT LIKE 'HOSTILE%' ORDER BY local_id::bigint LIMIT 3
"""


def write(sandbox: Sandbox, name: str, **values: str) -> None:
    """Change a customer at the vendor."""
    signed = {"Authorization": f"token {API_KEY}:{API_SECRET}"}
    url = f"{sandbox.erpnext}/api/resource/Customer/{name}"
    requests.put(url, json=values, headers=signed, timeout=10).raise_for_status()


@pytest.fixture
def contested(
    erpnext_api: Api, connected: Installation, sandbox: Sandbox, config_ids: dict[str, str]
) -> list[dict[str, Any]]:
    """Three customers whose tax number both sides have changed; nobody wins by himself."""
    where = f"/api/erp/sync-configs/{config_ids['customer']}"
    erpnext_api.client.put(where, json={"conflict": "manual"}).raise_for_status()
    sync = {"sync_config_id": config_ids["customer"]}
    erpnext_api.client.post("/api/erp/sync", json=sync).raise_for_status()
    for remote_id, local_id in connected.rows(TIES):
        write(sandbox, str(remote_id), tax_id=f"THEIRS-{uuid4().hex[:6]}")
        connected.rows(
            f"UPDATE app.customers SET tax_number = 'OURS', updated_at = now() WHERE id = {local_id} RETURNING 1"
        )
    erpnext_api.client.post("/api/erp/sync", json={**sync, "sync_type": "full"}).raise_for_status()
    found = erpnext_api.client.get(BASE, params={"status": "open"}).json()["items"]
    assert len(found) == 3
    return list(found)


def tax_number(connected: Installation, conflict: dict[str, Any]) -> object:
    [(value,)] = connected.rows(f"SELECT tax_number FROM app.customers WHERE id = {conflict['local_id']}")
    return value


def test_both_values_are_shown_field_by_field(erpnext_api: Api, contested: list[dict[str, Any]]) -> None:
    shown = erpnext_api.client.get(f"{BASE}/{contested[0]['id']}").json()
    assert shown == contested[0]
    [field] = shown["fields"]
    assert (field["field"], field["local"], field["remote"][:6], field["winner"]) == (
        "tax_number", "OURS", "THEIRS", None,
    )  # fmt: skip
    assert (shown["kind"], shown["strategy"], shown["system"]) == ("both_updated", "manual", "erpnext")
    for filters, count in (({"kind": "both_created"}, 0), ({"sync_config_id": shown["sync_config_id"]}, 3)):
        assert len(erpnext_api.client.get(BASE, params=filters).json()["items"]) == count


def test_a_decision_is_done_here_and_sent_by_the_next_push(
    erpnext_api: Api, connected: Installation, contested: list[dict[str, Any]]
) -> None:
    ours, theirs, neither = contested
    decisions: list[tuple[dict[str, Any], dict[str, Any], str, str]] = [
        (ours, {"keep": "local"}, "local", "OURS"),
        (theirs, {"fields": {"tax_number": "remote"}}, "remote", theirs["fields"][0]["remote"]),
        (neither, {"fields": {"tax_number": {"value": "NEITHER"}}}, "merged", "NEITHER"),
    ]
    for conflict, decision, winner, value in decisions:
        answer = erpnext_api.client.post(f"{BASE}/{conflict['id']}/resolve", json=decision)
        assert (answer.status_code, answer.json()["winner"]) == (200, winner), answer.text
        assert tax_number(connected, conflict) == value
    shown = erpnext_api.client.get(f"{BASE}/{ours['id']}").json()
    assert (shown["status"], shown["resolution"], shown["resolved_by"][:4]) == ("resolved", {"keep": "local"}, "key:")
    again = erpnext_api.client.post(f"{BASE}/{ours['id']}/resolve", json={"keep": "remote"})
    assert (again.status_code, again.json()["code"]) == (409, "already_resolved")
    sync = {"sync_config_id": ours["sync_config_id"]}
    assert erpnext_api.client.post("/api/erp/sync", json=sync).json()["status"] in ("completed", "partial")
    assert erpnext_api.client.get(BASE, params={"status": "open"}).json()["items"] == []


def test_several_are_decided_at_once_each_for_itself(
    erpnext_api: Api, connected: Installation, contested: list[dict[str, Any]]
) -> None:
    first, second, third = contested
    erpnext_api.client.post(f"{BASE}/{third['id']}/resolve", json={"keep": "local"}).raise_for_status()
    nobody = str(uuid4())
    ids = [first["id"], nobody, third["id"], second["id"]]
    answer = erpnext_api.client.post(f"{BASE}/resolve", json={"ids": ids, "keep": "remote"}).json()
    assert [(one["id"], one["resolved"], one["code"]) for one in answer["results"]] == [
        (first["id"], True, None),
        (nobody, False, "not_found"),
        (third["id"], False, "already_resolved"),
        (second["id"], True, None),
    ]
    assert answer["resolved_count"] == 2
    assert [tax_number(connected, one) for one in (first, second)] == [
        one["fields"][0]["remote"] for one in (first, second)
    ]


def test_what_is_no_decision_is_refused_and_changes_nothing(erpnext_api: Api, contested: list[dict[str, Any]]) -> None:
    one = f"{BASE}/{contested[0]['id']}"
    for body, field in (
        ({"keep": "both"}, "keep"),
        ({}, "keep"),
        ({"keep": "local", "fields": {"tax_number": "local"}}, "keep"),
        ({"fields": {"tax_numer": "local"}}, "fields.tax_numer"),
        ({"fields": {"tax_number": "local", "name": "local"}}, "fields.name"),
    ):
        refused = erpnext_api.client.post(f"{one}/resolve", json=body)
        assert (refused.status_code, refused.json()["field"]) == (422, field), refused.text
    other = erpnext_api.as_key(erpnext_api.key(*ALL, tenant_id=erpnext_api.tenant("acme")))
    assert [other.get(one).status_code, other.post(f"{one}/resolve", json={"keep": "local"}).status_code] == [404, 404]
    in_bulk = other.post(f"{BASE}/resolve", json={"ids": [contested[0]["id"]], "keep": "local"}).json()
    assert in_bulk["results"][0]["code"] == "not_found"
    running = erpnext_api.as_key(erpnext_api.key(Right.LOOK, Right.RUN))
    assert running.post(f"{one}/resolve", json={"keep": "local"}).status_code == 403
    assert running.post(f"{BASE}/resolve", json={"ids": [], "keep": "local"}).status_code == 403
    assert erpnext_api.client.get(one).json()["status"] == "open"
