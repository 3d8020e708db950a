"""Sync records: which row is which record, and every change of it with its run."""

from __future__ import annotations

import pytest

from erpflow.api.rights import Right
from erpflow.api.routers.sync_records import record_id
from tests.calling import ALL, Api
from tests.integration.conftest import Installation

BASE = "/api/erp/sync-records"


@pytest.fixture
def synced(erpnext_api: Api, connected: Installation, config_ids: dict[str, str]) -> str:
    """The config of customers, which have been synced, one of them with a change since."""
    config_id = config_ids["customer"]
    erpnext_api.client.post("/api/erp/sync", json={"sync_config_id": config_id}).raise_for_status()
    connected.rows(
        "UPDATE app.customers SET name = name || ' Ltd', updated_at = now()"
        " WHERE id = (SELECT min(local_id::bigint) FROM erpflow.erp_entity_sync_records"
        "             WHERE remote_id NOT LIKE 'HOSTILE%') RETURNING 1"
    )
    erpnext_api.client.post("/api/erp/sync", json={"sync_config_id": config_id}).raise_for_status()
    return config_id


def test_records_are_read_page_by_page_without_a_gap(erpnext_api: Api, connected: Installation, synced: str) -> None:
    seen, after = [], None
    while True:
        page = erpnext_api.client.get(BASE, params={"limit": 25, "after": after, "sync_config_id": synced}).json()
        seen += [(row["remote_id"], row["local_id"]) for row in page["items"]]
        after = page["next"]
        if after is None:
            break
    kept = connected.rows(
        'SELECT remote_id, local_id FROM erpflow.erp_entity_sync_records ORDER BY remote_id COLLATE "C"'
    )
    assert seen == kept
    assert len(seen) > 50


def test_a_record_is_found_by_either_id_and_status(erpnext_api: Api, synced: str) -> None:
    [changed] = [
        row
        for row in erpnext_api.client.get(BASE, params={"limit": 200}).json()["items"]
        if row["last_direction"] == "push"
    ]
    assert (changed["system"], changed["entity"], changed["status"]) == ("erpnext", "customer", "synced")
    for filters in ({"remote_id": changed["remote_id"]}, {"local_id": changed["local_id"]}):
        assert erpnext_api.client.get(BASE, params=filters).json()["items"] == [changed]
    assert erpnext_api.client.get(BASE, params={"status": "frozen"}).json()["items"] == []
    assert erpnext_api.client.get(BASE, params={"status": "melted"}).status_code == 422


def test_a_history_names_every_change_with_its_run(erpnext_api: Api, synced: str) -> None:
    [changed] = [
        row
        for row in erpnext_api.client.get(BASE, params={"limit": 200}).json()["items"]
        if row["last_direction"] == "push"
    ]
    history = erpnext_api.client.get(f"{BASE}/{changed['id']}/history").json()["items"]
    assert [(one["direction"], one["change"]) for one in history] == [("push", "updated"), ("pull", "created")]
    assert history[0]["after"]["name"] == f"{history[0]['before']['name']} Ltd"
    runs = [run_id for _, _, run_id in erpnext_api.runs.asked]
    assert [one["dag_run_id"] for one in history] == [runs[1], runs[0]]
    assert all(one["run_link"] and one["log_id"] for one in history)
    first = erpnext_api.client.get(f"{BASE}/{changed['id']}/history", params={"limit": 1}).json()
    rest = erpnext_api.client.get(f"{BASE}/{changed['id']}/history", params={"limit": 1, "after": first["next"]}).json()
    assert (first["items"] + rest["items"], rest["next"]) == (history, None)


def test_an_id_with_a_slash_has_a_history_too(erpnext_api: Api, connected: Installation, synced: str) -> None:
    odd = "SINV/2026/ä?#%2F"
    connected.rows(
        "INSERT INTO erpflow.erp_entity_sync_records"
        " (sync_config_id, tenant_id, remote_id, local_id, raw_hash, first_log_id)"
        f" SELECT sync_config_id, tenant_id, '{odd}', '9999', 0, id FROM erpflow.erp_sync_logs LIMIT 1 RETURNING 1"
    )
    [row] = erpnext_api.client.get(BASE, params={"remote_id": odd}).json()["items"]
    history = erpnext_api.client.get(f"{BASE}/{row['id']}/history")
    assert (history.status_code, [one["change"] for one in history.json()["items"]]) == (200, ["created"])


def test_what_is_not_there_or_somebody_elses_is_not_found(erpnext_api: Api, synced: str) -> None:
    other = erpnext_api.as_key(erpnext_api.key(*ALL, tenant_id=erpnext_api.tenant("acme")))
    row = erpnext_api.client.get(BASE, params={"limit": 1}).json()["items"][0]
    assert other.get(BASE).json()["items"] == []
    assert other.get(f"{BASE}/{row['id']}/history").status_code == 404
    for wrong in ("x", "AAAA", "é", record_id(synced, "NOBODY"), "_" * 200):
        assert erpnext_api.client.get(f"{BASE}/{wrong}/history").status_code == 404
    assert erpnext_api.as_key(erpnext_api.key(Right.RUN)).get(BASE).status_code == 403
