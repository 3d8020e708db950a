"""The API in Airflow's own API server: what it answers there, the DAG runs it starts, the stream of what they do."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest

from erpflow.api.app import API, VENDOR_ROUTERS
from erpflow.store.events import Place
from tests.airflow.running_api import Erp, ask, token_of
from tests.airflow.test_running import CUSTOMER, SECRET, Airflow, airflow
from tests.airflow.test_running_services import unpaused
from tests.streams import Frame, Stream

__all__ = ["airflow"]  # a fixture: pytest finds it here

pytestmark = pytest.mark.timeout(600)

RECONCILE = f"{CUSTOMER}__reconcile"
OUTCOMES = ("created", "updated", "unchanged", "deleted", "conflict", "rejected", "ignored")


@pytest.fixture(scope="module")
def erp(airflow: Airflow) -> Erp:
    """The API as the administrator has it."""
    return Erp(airflow.demo, token_of(airflow.demo, "admin"))


@pytest.fixture(scope="module")
def connection_id(erp: Erp) -> str:
    [found] = erp.call("GET", "/connections", system="erpnext")["items"]
    return str(found["id"])


@pytest.fixture(scope="module")
def config_id(erp: Erp, connection_id: str) -> str:
    [found] = erp.call("GET", "/sync-configs", connection_id=connection_id, entity="customer")["items"]
    return str(found["id"])


def runs_of(airflow: Airflow, dag_id: str = CUSTOMER) -> set[str]:
    found = airflow.api("GET", f"/dags/{dag_id}/dagRuns", limit=100)["dag_runs"]
    return {run["dag_run_id"] for run in found}


def test_it_answers_beside_airflow_and_describes_itself(airflow: Airflow, erp: Erp) -> None:
    nobody = ask(airflow.demo, "GET", "/api/erp/health", headers={})
    assert (nobody.status_code, nobody.json()["status"]) == (200, "ok")
    paths = erp.call("GET", "/openapi.json")["paths"]
    assert {"/sync", "/connections/{connection_id}/test", "/events/stream"} <= set(paths)
    page = erp.ask("GET", "/docs")
    assert "/api/erp/openapi.json" in page.text
    plugins = airflow.api("GET", "/plugins")["plugins"]
    [ours] = [plugin for plugin in plugins if plugin["name"] == "erpflow"]
    assert {app["url_prefix"] for app in ours["fastapi_apps"]} == {API, *VENDOR_ROUTERS}


def test_connections_and_the_dashboard_show_what_the_demo_has(erp: Erp, connection_id: str) -> None:
    shown = erp.ask("GET", f"/connections/{connection_id}")
    assert (shown.json()["airflow_conn_id"], shown.json()["password"]) == ("erpnext_demo", "***")
    assert SECRET not in shown.text
    dashboard = erp.call("GET", "/dashboard")
    assert dashboard["totals"]["connections"] == 1
    assert {one["entity"] for one in dashboard["freshness"]} == {"customer", "product", "order"}
    assert all(one["run_link"].startswith("/dags/erpnext__") for one in dashboard["recent"])


def test_a_connection_is_tried_at_the_vendor(airflow: Airflow, erp: Erp, connection_id: str) -> None:
    assert erp.call("POST", f"/connections/{connection_id}/test")["success"] is True
    with airflow.connection(password="wrong-9f3c2d77"):
        tested = erp.ask("POST", f"/connections/{connection_id}/test")
        assert tested.json()["success"] is False
        assert "wrong-9f3c2d77" not in tested.text
    assert erp.call("POST", f"/connections/{connection_id}/test")["status"] == "active"


def test_a_sync_that_is_waited_for_is_a_dag_run_and_ends_with_its_counts(
    airflow: Airflow, erp: Erp, config_id: str
) -> None:
    answer = erp.ask("POST", "/sync", {"syncConfigId": config_id, "syncType": "full"}, wait="true")
    assert answer.headers["Content-Type"].startswith("application/x-ndjson")
    last = json.loads(answer.text.splitlines()[-1])
    assert airflow.ended(last["dag_run_id"]) == "success"
    pull, push = (airflow.sync_log(last["dag_run_id"], direction=direction) for direction in ("pull", "push"))
    assert last["log_ids"] == {"pull": pull["id"], "push": push["id"]}
    assert last["status"] in {"completed", "partial"}
    assert last["recordsProcessed"] == pull["read_count"] + push["read_count"] >= 2_000
    told = last["recordsSuccess"] + last["recordsFailed"] + last["recordsSkipped"]
    assert told == sum(log[f"{outcome}_count"] for log in (pull, push) for outcome in OUTCOMES)
    assert pull["triggered_by"] == "admin"
    page = ask(airflow.demo, "GET", last["run_link"], headers={})
    assert page.status_code == 200
    assert "text/html" in page.headers["Content-Type"]
    assert airflow.api("GET", f"{last['run_link'].replace('/runs/', '/dagRuns/')}")["state"] == "success"


def test_a_sync_with_a_key_is_one_run_however_often_it_is_asked_for(airflow: Airflow, erp: Erp, config_id: str) -> None:
    before = runs_of(airflow)
    body, headers = (
        {"sync_config_id": config_id, "since": "2031-01-01T00:00:00Z"},
        {"Idempotency-Key": f"nightly-{uuid4()}"},
    )
    first = erp.call("POST", "/sync", body, headers=headers)
    again = erp.ask("POST", "/sync", body, headers=headers)
    assert again.json() == first
    assert again.headers["Idempotency-Replayed"] == "true"
    new = runs_of(airflow) - before
    assert {run for run in new if run.startswith("api__")} == {first["dag_run_id"]}
    assert airflow.ended(first["dag_run_id"]) == "success"


def test_what_is_wrong_in_a_request_is_a_problem_that_names_it(erp: Erp, config_id: str) -> None:
    problem = erp.refused("POST", "/sync", {"sync_config_id": config_id, "sync_typ": "full"})
    assert (problem["status"], problem["code"], problem["field"]) == (422, "invalid", "sync_typ")
    assert erp.refused("GET", "/sync-configs/00000000-0000-0000-0000-000000000000")["status"] == 404
    assert erp.refused("GET", "/nothing/here")["status"] == 404


def test_a_preview_shows_records_and_writes_nothing(airflow: Airflow, erp: Erp, config_id: str) -> None:
    before = airflow.rows("SELECT count(*) FROM erpflow.erp_sync_logs")
    shown = erp.call("POST", f"/sync-configs/{config_id}/preview", {"limit": 5})
    assert len(shown["records"]) == 5
    assert shown["local_table"] == "app.customers"
    assert airflow.rows("SELECT count(*) FROM erpflow.erp_sync_logs") == before


def test_both_sides_are_compared_by_a_dag_run(airflow: Airflow, erp: Erp, config_id: str) -> None:
    with unpaused(airflow, RECONCILE):
        begun = erp.call("POST", f"/sync-configs/{config_id}/reconcile", {})
        assert airflow.ended(begun["dag_run_id"], RECONCILE) == "success"
    ended = erp.call("GET", f"/reconciliations/{begun['id']}")
    assert ended["status"] in {"clean", "findings"}
    assert ended["read_count"] >= 2_000
    assert len(ended["findings"]["items"]) == min(50, sum(ended["found"].values()))


def test_a_run_that_would_wait_for_ever_is_not_started(airflow: Airflow, erp: Erp, config_id: str) -> None:
    before = airflow.rows("SELECT count(*) FROM erpflow.erp_sync_logs")
    problem = erp.refused("POST", f"/sync-configs/{config_id}/reconcile", {})
    assert (problem["status"], problem["code"]) == (409, "dag_paused")
    assert f"{RECONCILE} is paused" in problem["detail"]
    assert airflow.rows("SELECT count(*) FROM erpflow.erp_sync_logs") == before


def test_a_key_that_was_made_here_works_for_programs_until_it_is_revoked(erp: Erp) -> None:
    made = erp.call("POST", "/api-keys", {"name": "prometheus", "scopes": ["look"]})
    program = Erp(erp.demo, made["key"])
    assert "erpflow_sync_freshness_lag_seconds{" in program.ask("GET", "/metrics").text
    assert program.refused("POST", "/sync", {})["status"] == 403
    erp.call("DELETE", f"/api-keys/{made['id']}")
    assert program.refused("GET", "/metrics")["status"] == 401


def test_the_stream_tells_a_sync_from_its_opening_to_its_end(airflow: Airflow, erp: Erp, config_id: str) -> None:
    with Stream(erp.demo.port, erp.bearer, query=f"?sync_config_id={config_id}") as stream:
        stream.began()
        begun = erp.call("POST", "/sync", {"sync_config_id": config_id, "sync_type": "full"})
        found = told_of(stream, begun["log_id"])
    kinds = [frame.event for frame in found]
    assert kinds[0] == "sync_opened"
    assert kinds[-1] == "sync_closed"
    assert "sync_progress" in kinds
    shares = [share for frame in found if (share := frame.data["payload"].get("share")) is not None]
    assert shares == sorted(shares)
    log = airflow.sync_log(begun["dag_run_id"])
    assert found[-1].data["payload"]["read"] == log["read_count"]
    places = [Place.read(frame.id) for frame in found]
    assert places == sorted(places)


def told_of(stream: Stream, log_id: str) -> list[Frame]:
    """The events of one log, up to the one that closes it."""
    found: list[Frame] = []
    while not found or found[-1].event != "sync_closed":
        frame = stream.next()
        assert frame is not None, f"the stream ended after {[each.event for each in found]}"
        if frame.event and frame.data["log_id"] == log_id:
            found.append(frame)
    return found


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/metakocka/documents/unsynced", 401),
        ("POST", "/api/customers/sync", 401),
        ("GET", "/api/webhooks/erpnext/customers", 401),
        ("GET", "/api/webhooks/erpnext/setup", 401),
        ("POST", "/api/webhooks/erpnext/customers", 401),
        ("POST", "/api/webhooks/veekaart/orders", 401),
        ("POST", "/api/integrations/veekaart/push-products", 401),
        ("POST", "/webhooks/razorpay", 401),
        ("POST", "/razorpay/subscriptions", 401),
        ("POST", "/ocr/analyze", 401),
        ("GET", "/webhooks/nobody", 404),
    ],
)
def test_the_paths_of_other_systems_are_ours_and_let_nobody_in(
    airflow: Airflow, method: str, path: str, status: int
) -> None:
    body: Any = {} if method == "POST" else None
    answer = ask(airflow.demo, method, path, body, headers={})
    assert answer.status_code == status
    # Some are told in the words that their callers know.
    assert answer.json().keys() >= {"code", "detail"} or answer.json()["success"] is False
