"""POST /sync: validated, triggered once, its logs open at once, and followed to its end."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier
from typing import Any

import pytest

from erpflow.api.rights import Right
from erpflow.api.routers import syncs
from erpflow.store import sync_logs
from erpflow.store.sync_logs import OpenRequest
from erpflow.sync.plan import PlannedRun, RunRequest, plan
from erpflow.vocabulary import SyncConfigId, Window
from tests.calling import ALL, Api
from tests.integration.conftest import Installation

LOGS = "SELECT id::text, direction, status FROM erpflow.erp_sync_logs ORDER BY direction"


@pytest.fixture
def customer(config_ids: dict[str, str]) -> str:
    return config_ids["customer"]


def test_a_sync_is_triggered_with_its_logs(erpnext_api: Api, connected: Installation, customer: str) -> None:
    erpnext_api.runs.carries_out = False
    body = {"syncConfigId": customer, "syncType": "manual", "syncDirection": "bidirectional", "triggeredBy": "shop"}
    answer = erpnext_api.client.post("/api/erp/sync", json=body)
    assert answer.status_code == 202, answer.text
    started = answer.json()
    [(dag_id, conf, run_id)] = erpnext_api.runs.asked
    assert (dag_id, conf) == ("erpnext__customer", {"config": customer})
    assert (started["dag_run_id"], started["status"]) == (run_id, "running")
    assert connected.rows(LOGS) == [
        (started["log_ids"]["pull"], "pull", "running"),
        (started["log_ids"]["push"], "push", "running"),
    ]
    assert started["log_id"] == started["log_ids"]["pull"]
    shown = erpnext_api.client.get(f"/api/erp/sync-logs/{started['log_id']}").json()
    assert (shown["dag_run_id"], shown["triggered_by"].endswith("(shop)")) == (run_id, True)


def test_the_counts_are_final_when_the_run_is(erpnext_api: Api, customer: str) -> None:
    started = erpnext_api.client.post("/api/erp/sync", json={"sync_config_id": customer, "sync_type": "full"}).json()
    assert erpnext_api.runs.asked[0][1] == {"config": customer, "full": True}
    assert (started["status"], started["recordsProcessed"]) == ("partial", 60)
    assert started["recordsSuccess"] + started["recordsFailed"] + started["recordsSkipped"] == 60
    assert started["recordsFailed"] > 0


@pytest.mark.parametrize("api_first", [True, False])
def test_api_and_dag_plan_one_run_whoever_is_first(
    erpnext_api: Api, connected: Installation, customer: str, *, api_first: bool
) -> None:
    erpnext_api.runs.carries_out = not api_first
    started = erpnext_api.client.post("/api/erp/sync", json={"sync_config_id": customer}).json()
    if api_first:
        dag_id, conf, run_id = erpnext_api.runs.asked[0]
        erpnext_api.runs.carry_out(dag_id, conf, run_id, "somebody")
    logs = connected.rows(LOGS)
    assert [log[0] for log in logs] == [started["log_ids"]["pull"], started["log_ids"]["push"]]
    assert [log[2] for log in logs] == ["partial", "completed"]


def test_planning_at_the_same_moment_opens_the_logs_once(
    erpnext_api: Api, connected: Installation, customer: str
) -> None:
    for number in range(8):
        both = Barrier(2)

        def plan_it(attempt: str, both: Barrier = both) -> list[PlannedRun]:
            request = RunRequest(kind="manual", config_id=SyncConfigId(customer), attempt_key=attempt)
            with connected.database.session() as connection:
                both.wait(10)
                return plan(connection, request, system="erpnext", entity="customer", now=datetime.now(UTC))

        with ThreadPoolExecutor(2) as threads:
            first, second = threads.map(plan_it, [f"same/{number}/0"] * 2)
        assert first == second
        assert [run.direction for run in first] == ["pull", "push"]
        assert connected.rows("SELECT count(*) FROM erpflow.erp_sync_logs") == [(2 * (number + 1),)]


def test_a_plan_that_comes_late_does_not_open_a_run_again_that_has_ended(
    erpnext_api: Api, connected: Installation, customer: str
) -> None:
    started = erpnext_api.client.post("/api/erp/sync", json={"sync_config_id": customer}).json()
    key = f"erpnext__customer/{started['dag_run_id']}/0"
    with connected.database.session() as connection:
        late = OpenRequest(kind="incremental", window=Window(), attempt_key=key)
        assert sync_logs.open_log(connection, SyncConfigId(customer), late) == started["log_id"]
    assert [row[2] for row in connected.rows(LOGS)] == ["partial", "completed"]


def test_a_repeated_request_with_its_key_is_the_same_run(
    erpnext_api: Api, connected: Installation, customer: str
) -> None:
    headers, body = {"Idempotency-Key": "once"}, {"sync_config_id": customer, "sync_direction": "remote_to_local"}
    first = erpnext_api.client.post("/api/erp/sync", json=body, headers=headers).json()
    # As if the first answer had never been kept: the request itself finds the run again.
    connected.rows("DELETE FROM erpflow.erp_idempotency_keys RETURNING 1")
    again = erpnext_api.client.post("/api/erp/sync", json=body, headers=headers).json()
    assert (again["log_id"], again["dag_run_id"]) == (first["log_id"], first["dag_run_id"])
    other = erpnext_api.client.post("/api/erp/sync", json=body, headers={"Idempotency-Key": "twice"}).json()
    assert other["dag_run_id"] != first["dag_run_id"]
    assert len(erpnext_api.runs.asked) == 2
    assert connected.rows("SELECT count(*) FROM erpflow.erp_sync_logs") == [(2,)]


def test_named_records_and_spans_reach_the_dag(erpnext_api: Api, customer: str) -> None:
    erpnext_api.runs.carries_out = False
    named = {"sync_config_id": customer, "record_ids": ["A", "B"], "sync_direction": "pull"}
    assert erpnext_api.client.post("/api/erp/sync", json=named).json()["log_ids"].keys() == {"pull"}
    span = {"sync_config_id": customer, "since": "2026-01-01T00:00:00", "until": "2026-02-01T00:00:00+01:00"}
    assert erpnext_api.client.post("/api/erp/sync", json=span).json()["log_ids"].keys() == {"pull"}
    assert [conf for _, conf, _ in erpnext_api.runs.asked] == [
        {"config": customer, "direction": "pull", "records": ["A", "B"]},
        {"config": customer, "since": "2026-01-01T00:00:00+00:00", "until": "2026-01-31T23:00:00+00:00"},
    ]


def test_a_generated_client_knows_the_names_of_the_counts(erpnext_api: Api) -> None:
    schemas = erpnext_api.client.get("/api/erp/openapi.json").json()["components"]["schemas"]
    counts = {"recordsProcessed", "recordsSuccess", "recordsFailed", "recordsSkipped"}
    assert counts <= schemas["SyncStarted"]["properties"].keys()


def lines_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_waiting_streams_until_the_counts_are_final(
    erpnext_api: Api, customer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syncs, "POLL_S", 0.02)
    runs = erpnext_api.runs
    runs.carries_out = False
    seen, threads = threading.Event(), []
    told = syncs._state

    def look(*of: Any) -> Any:
        state = told(*of)
        seen.set()
        return state

    def later(trigger: Callable[..., str]) -> Callable[..., str]:
        def start(dag_id: str, *, conf: dict[str, Any], run_id: str, by: str) -> str:
            def carry_out() -> None:
                assert seen.wait(10)
                runs.carry_out(dag_id, conf, run_id, by)

            threads.append(threading.Thread(target=carry_out))
            threads[0].start()
            return trigger(dag_id, conf=conf, run_id=run_id, by=by)

        return start

    monkeypatch.setattr(syncs, "_state", look)
    monkeypatch.setattr(runs, "trigger", later(runs.trigger))
    answer = erpnext_api.client.post("/api/erp/sync?wait=true", json={"sync_config_id": customer})
    threads[0].join(10)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-ndjson")
    lines = lines_of(answer.text)
    assert (lines[0]["status"], lines[0]["recordsProcessed"]) == ("running", 0)
    assert (lines[-1]["status"], lines[-1]["recordsProcessed"], lines[-1]["timed_out"]) == ("partial", 60, False)
    assert [line["status"] for line in lines].count("partial") == 1


def test_waiting_ends_with_the_time_out_and_the_run_goes_on(
    erpnext_api: Api, connected: Installation, customer: str
) -> None:
    erpnext_api.runs.carries_out = False
    answer = erpnext_api.client.post("/api/erp/sync?wait=true&timeout_s=0.05", json={"sync_config_id": customer})
    last = lines_of(answer.text)[-1]
    assert (last["status"], last["timed_out"]) == ("running", True)
    assert [row[2] for row in connected.rows(LOGS)] == ["running", "running"]


def test_a_wrong_request_names_the_field_and_starts_nothing(
    erpnext_api: Api, connected: Installation, config_ids: dict[str, str]
) -> None:
    customer, since = config_ids["customer"], "2026-02-01T00:00:00Z"
    for body, field in (
        ({}, "sync_config_id"),
        ({"sync_direction": "sideways"}, "sync_direction"),
        ({"sync_type": "some"}, "sync_type"),
        ({"since": since, "until": "2026-01-01T00:00:00Z"}, "until"),
        ({"since": since, "record_ids": ["A"]}, "record_ids"),
        ({"since": since, "sync_type": "full"}, "sync_type"),
        ({"since": since, "sync_direction": "push"}, "sync_direction"),
        ({"sync_config_id": config_ids["product"], "sync_direction": "local_to_remote"}, "sync_direction"),
    ):
        sent = {"sync_config_id": customer, **body} if body else {}
        refused = erpnext_api.client.post("/api/erp/sync", json=sent)
        problem = refused.json()
        assert (refused.status_code, problem["field"].replace("syncConfigId", "sync_config_id")) == (422, field)
    assert erpnext_api.runs.asked == []
    assert connected.rows(LOGS) == []


def test_nothing_runs_that_is_switched_off_or_somebody_elses(erpnext_api: Api, customer: str) -> None:
    body = {"sync_config_id": customer}
    other = erpnext_api.as_key(erpnext_api.key(*ALL, tenant_id=erpnext_api.tenant("acme")))
    assert other.post("/api/erp/sync", json=body).status_code == 404
    looking = erpnext_api.as_key(erpnext_api.key(Right.LOOK, Right.CONFIGURE))
    assert looking.post("/api/erp/sync", json=body).status_code == 403
    erpnext_api.client.put(f"/api/erp/sync-configs/{customer}", json={"enabled": False})
    off = erpnext_api.client.post("/api/erp/sync", json=body)
    assert (off.status_code, off.json()["code"]) == (409, "disabled")
    assert erpnext_api.runs.asked == []
