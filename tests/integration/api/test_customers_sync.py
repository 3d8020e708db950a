"""Customers synced with ERPNext at the paths that existing systems call."""

from __future__ import annotations

from erpflow.api.rights import Right
from tests.calling import Api
from tests.integration.conftest import Installation

SYNC, ENHANCED = "/api/customers/sync", "/api/customers/sync/enhanced"


def test_customers_are_pulled(erpnext_api: Api, installation: Installation) -> None:
    answer = erpnext_api.client.post(SYNC)
    assert answer.status_code == 200, answer.text
    [run] = answer.json()["data"]
    assert (answer.json()["success"], run["dag_id"], run["direction"]) == (True, "erpnext__customer", "pull")
    [(count,)] = installation.rows("SELECT count(*) FROM app.customers")
    assert isinstance(count, int) and count > 50
    logs = erpnext_api.client.get("/api/erp/sync-logs").json()["items"]
    assert [log["sync_config_id"] for log in logs] == [run["sync_config_id"]]


def test_only_the_named_customers_are_pulled(erpnext_api: Api, installation: Installation) -> None:
    erpnext_api.client.post(SYNC)
    [(name,)] = installation.rows("SELECT min(remote_id) FROM erpflow.erp_entity_sync_records")
    assert erpnext_api.client.post(SYNC, json={"customerIds": [name]}).status_code == 200
    log = erpnext_api.client.get("/api/erp/sync-logs").json()["items"][0]
    assert (log["kind"], log["read_count"]) == ("records", 1)


def test_the_enhanced_form_takes_a_span_of_time_or_a_dry_run(erpnext_api: Api, installation: Installation) -> None:
    dry = erpnext_api.client.post(ENHANCED, json={"dryRun": True, "direction": "pull", "full": True})
    assert dry.status_code == 200, dry.text
    assert installation.rows("SELECT count(*) FROM app.customers") == [(0,)]
    span = {"since": "2000-01-01T00:00:00Z", "until": "2000-01-02T00:00:00Z"}
    assert erpnext_api.client.post(ENHANCED, json=span).json()["data"][0]["direction"] == "bidirectional"
    assert erpnext_api.runs.asked[-1][1]["since"] == "2000-01-01T00:00:00+00:00"
    for wrong in (span | {"full": True}, {"since": "2000-01-01T00:00:00"}, {"direction": "both"}):
        assert erpnext_api.client.post(ENHANCED, json=wrong).status_code in (400, 422), wrong


def test_syncing_needs_the_right_to_run_and_a_connection_of_ones_own(erpnext_api: Api) -> None:
    assert erpnext_api.as_key(erpnext_api.key(Right.LOOK)).post(SYNC).status_code == 403
    other = erpnext_api.as_key(erpnext_api.key(Right.RUN, tenant_id=erpnext_api.tenant("acme")))
    assert [other.post(path).status_code for path in (SYNC, ENHANCED)] == [404, 404]
    assert erpnext_api.runs.asked == []
