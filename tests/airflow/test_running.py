"""The DAGs in a running Airflow, against the ERPNext sandbox: triggers, params, backfills, failures, retries, kills."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
import requests

from tests.demos import Demo

pytestmark = pytest.mark.timeout(600)

WITHIN_S = 150
SECRET = "sandbox-connector-secret"
CUSTOMER = "erpnext__customer"


@dataclass
class Airflow:
    """A running Airflow through its REST API, and the database and the sandbox beside it."""

    demo: Demo
    session: requests.Session

    def api(self, method: str, path: str, body: Any = None, *, expect: int | None = None, **query: Any) -> Any:
        answer = self.session.request(method, f"{self.demo.url}/api/v2{path}", json=body, params=query, timeout=60)
        assert answer.status_code == expect if expect else answer.ok, answer.text
        return answer.json() if answer.text else None

    def trigger(self, dag_id: str = CUSTOMER, **conf: Any) -> str:
        body = {"logical_date": None, "conf": conf}
        return str(self.api("POST", f"/dags/{dag_id}/dagRuns", body)["dag_run_id"])

    def state(self, run_id: str, dag_id: str = CUSTOMER) -> str:
        return str(self.api("GET", f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}")["state"])

    def ended(self, run_id: str, dag_id: str = CUSTOMER) -> str:
        return self.until(lambda: (found := self.state(run_id, dag_id)) in {"success", "failed"} and found)

    def tasks(self, run_id: str, dag_id: str = CUSTOMER) -> dict[str, dict[str, Any]]:
        found = self.api("GET", f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/taskInstances", limit=50)
        return {task["task_id"]: task for task in found["task_instances"]}

    def log(self, run_id: str, task: dict[str, Any]) -> str:
        path = f"/dags/{task['dag_id']}/dagRuns/{quote(run_id, safe='')}/taskInstances/{task['task_id']}/logs"
        found = self.api("GET", f"{path}/{task['try_number']}", map_index=task["map_index"], full_content=True)
        return json.dumps(found, ensure_ascii=False)

    def rows(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        lines = dict(line.split("=", 1) for line in (self.demo.home / "env").read_text().splitlines() if "=" in line)
        with psycopg.connect(lines["ERPFLOW_DATABASE_URL"], autocommit=True) as connection:
            cursor = connection.execute(statement, parameters or None)
            return cursor.fetchall() if cursor.description else []

    def sync_log(self, run_id: str, *, direction: str = "pull") -> dict[str, Any]:
        of_run = "SELECT to_jsonb(l) FROM erpflow.erp_sync_logs l WHERE dag_run_id = %s AND direction = %s"
        [(row,)] = self.rows(of_run, run_id, direction)
        return dict(row)

    @property
    def sandbox(self) -> str:
        return (self.demo.home / "sandbox.url").read_text().strip()

    @contextmanager
    def fault(self, **fault: Any) -> Iterator[None]:
        requests.post(f"{self.sandbox}/_sandbox/faults", json=fault, timeout=10).raise_for_status()
        try:
            yield
        finally:
            requests.delete(f"{self.sandbox}/_sandbox/faults", timeout=10).raise_for_status()

    @contextmanager
    def connection(self, **changes: Any) -> Iterator[None]:
        """The Airflow Connection of the demo with something wrong in it."""
        good = {
            "connection_id": "erpnext_demo",
            "conn_type": "erpnext",
            "host": f"{self.sandbox}/erpnext",
            "login": "sandbox-connector-key",
            "password": SECRET,
        }
        self.api("PATCH", "/connections/erpnext_demo", good | changes)
        try:
            yield
        finally:
            self.api("PATCH", "/connections/erpnext_demo", good)

    def until(self, look: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + WITHIN_S
        while not (found := look()):
            assert time.monotonic() < deadline, "it did not happen"
            time.sleep(0.3)
        return found


@pytest.fixture(scope="module")
def airflow(demo: Demo) -> Airflow:
    session = requests.Session()
    session.trust_env = False
    login = {"username": "admin", "password": demo.password}
    token = session.post(f"{demo.url}/auth/token", json=login, timeout=60).json()["access_token"]
    session.headers["Authorization"] = f"Bearer {token}"
    return Airflow(demo, session)


def test_a_window_that_holds_little_is_read_and_found_unchanged(airflow: Airflow) -> None:
    run = airflow.trigger()
    assert airflow.ended(run) == "success"
    log = airflow.sync_log(run)
    assert (log["kind"], log["status"]) == ("incremental", "completed" if not log["rejected_count"] else "partial")
    assert log["read_count"] == log["unchanged_count"] + log["rejected_count"]
    assert log["read_count"] < 2_000


def test_a_window_that_holds_nothing_skips_transform_and_load(airflow: Airflow) -> None:
    run = airflow.trigger(since="2031-01-01T00:00:00Z")
    assert airflow.ended(run) == "success"
    states = {name: task["state"] for name, task in airflow.tasks(run).items()}
    assert states == {
        "plan": "success",
        "sync.extract": "skipped",
        "sync.transform": "skipped",
        "sync.load": "skipped",
        "sync.push_extract": "skipped",
        "sync.push_transform": "skipped",
        "sync.push_load": "skipped",
        "finish": "success",
    }
    assert airflow.sync_log(run)["status"] == "completed"


def test_a_dry_run_counts_and_writes_nothing(airflow: Airflow) -> None:
    before = airflow.rows("SELECT md5(string_agg(p::text, '' ORDER BY id)) FROM app.products p")
    rejects = airflow.rows("SELECT count(*), sum(attempts) FROM erpflow.erp_rejects")
    run = airflow.trigger("erpnext__product", full=True, dry_run=True)
    assert airflow.ended(run, "erpnext__product") == "success"
    log = airflow.sync_log(run)
    assert log["dry_run"]
    assert log["read_count"] == log["unchanged_count"] + log["rejected_count"] == 500
    assert airflow.rows("SELECT md5(string_agg(p::text, '' ORDER BY id)) FROM app.products p") == before
    assert airflow.rows("SELECT count(*), sum(attempts) FROM erpflow.erp_rejects") == rejects


def test_a_backfill_reads_each_interval_and_leaves_the_cursor(airflow: Airflow) -> None:
    cursor = airflow.rows("SELECT cursor_at FROM erpflow.erp_sync_configs WHERE entity = 'customer'")
    body = {
        "dag_id": CUSTOMER,
        "from_date": "2026-03-01T00:00:00Z",
        "to_date": "2026-03-01T00:05:00Z",
        "dag_run_conf": {},
    }
    airflow.api("POST", "/backfills", body)

    def logs() -> list[tuple[Any, ...]]:
        return airflow.rows(
            "SELECT window_since, window_until, status FROM erpflow.erp_sync_logs"
            " WHERE kind = 'backfill' AND status <> 'running' ORDER BY window_since"
        )

    found = airflow.until(lambda: len(logs()) == 2 and logs())
    assert [f"{since:%H:%M}-{until:%H:%M}" for since, until, _ in found] == ["00:00-00:05", "00:05-00:10"]
    assert {status for _, _, status in found} <= {"completed", "partial"}
    assert airflow.rows("SELECT cursor_at FROM erpflow.erp_sync_configs WHERE entity = 'customer'") == cursor


def test_a_param_of_the_wrong_kind_is_refused_before_the_run(airflow: Airflow) -> None:
    answer = airflow.api(
        "POST", f"/dags/{CUSTOMER}/dagRuns", {"logical_date": None, "conf": {"full": "maybe"}}, expect=400
    )
    assert "full" in json.dumps(answer)


def test_an_unknown_connection_fails_the_plan_at_once_with_the_nearest_name(airflow: Airflow) -> None:
    run = airflow.trigger(connection="erpnext_dem")
    assert airflow.ended(run) == "failed"
    plan = airflow.tasks(run)["plan"]
    assert (plan["state"], plan["try_number"]) == ("failed", 1)
    assert 'did you mean \\"erpnext_demo\\"' in airflow.log(run, plan).replace('\\\\"', '\\"')


def test_a_wrong_secret_fails_at_once_and_is_in_no_log(airflow: Airflow) -> None:
    with airflow.connection(password="wrong-9f3c2d77"):
        run = airflow.trigger()
        assert airflow.ended(run) == "failed"
    extract = airflow.tasks(run)["sync.extract"]
    assert (extract["state"], extract["try_number"]) == ("failed", 1)
    log = airflow.log(run, extract)
    assert "AuthFailed" in log
    assert "wrong-9f3c2d77" not in log
    kept = airflow.sync_log(run)
    assert (kept["status"], kept["error_kind"]) == ("failed", "AuthFailed")
    assert "wrong-9f3c2d77" not in json.dumps(kept)


def test_a_page_that_is_not_json_fails_at_once_with_how_it_begins(airflow: Airflow) -> None:
    with airflow.fault(kind="html", path="/api/resource/Customer"):
        run = airflow.trigger(full=True)
        assert airflow.ended(run) == "failed"
    kept = airflow.sync_log(run)
    assert kept["error_kind"] == "ProtocolError"
    assert "Please sign in" in kept["error"] or "<!DOCTYPE html>" in kept["error"]


def test_a_dead_host_is_tried_again_until_it_is_back(airflow: Airflow) -> None:
    with airflow.connection(host="http://127.0.0.1:9"):
        run = airflow.trigger()
        airflow.until(lambda: airflow.tasks(run)["sync.extract"]["state"] == "up_for_retry")
        assert airflow.sync_log(run)["error_kind"] == "VendorUnavailable"
    assert airflow.ended(run) == "success"
    assert airflow.tasks(run)["sync.extract"]["try_number"] >= 2
    assert airflow.sync_log(run)["error"] is None


def test_a_task_killed_with_sigkill_is_tried_again_and_ends_as_if_it_had_run_once(airflow: Airflow) -> None:
    with airflow.fault(kind="latency", seconds=1.5, path="limit_page_length|get_list"):
        run = airflow.trigger(full=True)

        def pid_after_a_page() -> int | None:
            task = airflow.tasks(run).get("sync.extract", {})
            landed = (
                list(airflow.demo.home.glob(f"landing/erpnext/customer/{airflow.sync_log(run)['id']}/*.note"))
                if task.get("pid")
                else []
            )
            return int(task["pid"]) if landed else None

        os.kill(airflow.until(pid_after_a_page), signal.SIGKILL)
    assert airflow.ended(run) == "success"
    assert airflow.tasks(run)["sync.extract"]["try_number"] == 2
    log = airflow.sync_log(run)
    assert log["read_count"] == 2_000
    assert log["unchanged_count"] + log["rejected_count"] == 2_000


def test_every_step_links_to_its_sync_log_and_the_page_is_for_those_who_may_look(airflow: Airflow) -> None:
    run = airflow.trigger(since="2031-01-01T00:00:00Z")
    airflow.ended(run)
    path = f"/dags/{CUSTOMER}/dagRuns/{quote(run, safe='')}/taskInstances/sync.extract/links"
    link = airflow.api("GET", path, map_index=0)["extra_links"]["Sync log"]
    assert link == f"/api/erp/sync-logs/{airflow.sync_log(run)['id']}"

    assert airflow.session.get(f"{airflow.demo.url}{link}", timeout=30).json()["connection"] == "erpnext_demo"
    html = airflow.session.get(f"{airflow.demo.url}{link}", headers={"Accept": "text/html"}, timeout=30)
    assert "What became of the records" in html.text
    assert "default-src 'none'" in html.headers["Content-Security-Policy"]
    assert requests.get(f"{airflow.demo.url}{link}", timeout=30).status_code == 401
    missing = "/api/erp/sync-logs/00000000-0000-0000-0000-000000000000"
    assert airflow.session.get(f"{airflow.demo.url}{missing}", timeout=30).status_code == 404


def test_a_load_that_changed_rows_is_announced_as_an_asset_event(airflow: Airflow) -> None:
    events = airflow.api("GET", "/assets/events", limit=50)["asset_events"]
    assert {"app.customers", "app.products", "app.orders"} <= {event["name"] for event in events}
    customers = [event["extra"] for event in events if event["name"] == "app.customers"]
    assert any(counts["created"] > 0 for counts in customers)


def test_xcoms_hold_references_and_counts_never_records(airflow: Airflow) -> None:
    run = airflow.trigger(full=True)
    assert airflow.ended(run) == "success"
    for task_id, task in airflow.tasks(run).items():
        path = f"/dags/{CUSTOMER}/dagRuns/{quote(run, safe='')}/taskInstances/{task_id}/xcomEntries"
        for entry in airflow.api("GET", path, map_index=task["map_index"])["xcom_entries"]:
            value = airflow.api("GET", f"{path}/{entry['key']}", map_index=task["map_index"])["value"]
            assert len(json.dumps(value)) < 600
