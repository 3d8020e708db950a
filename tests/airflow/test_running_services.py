"""The services' DAGs in a running Airflow: the watch tells by mail and webhook, the triggerer tells what is late."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from erpflow.testing.server import Reply, ScriptedServer
from tests.airflow.test_running import Airflow, airflow
from tests.mail import MailServer

__all__ = ["airflow"]  # a fixture: pytest finds it here

pytestmark = pytest.mark.timeout(600)

WATCH, RETENTION = "erpflow__watch", "erpflow__retention"
SECRET = "T0-9f3c2d77-B0"


@contextmanager
def connection(airflow: Airflow, conn_id: str, **parts: Any) -> Iterator[None]:
    airflow.api("POST", "/connections", {"connection_id": conn_id, **parts})
    try:
        yield
    finally:
        airflow.api("DELETE", f"/connections/{conn_id}")


@contextmanager
def unpaused(airflow: Airflow, dag_id: str) -> Iterator[None]:
    airflow.api("PATCH", f"/dags/{dag_id}", {"is_paused": False})
    try:
        yield
    finally:
        airflow.api("PATCH", f"/dags/{dag_id}", {"is_paused": True})


@pytest.fixture
def chat(airflow: Airflow) -> Iterator[ScriptedServer]:
    """A webhook that takes everything, known to Airflow by its default Connection."""
    with (
        ScriptedServer(lambda _: Reply()) as server,
        connection(
            airflow, "erpflow_notify_webhook", conn_type="http", host=server.url, password=f"/services/{SECRET}"
        ),
    ):
        yield server


def said(server: ScriptedServer) -> list[dict[str, Any]]:
    return [json.loads(asked.body) for asked in server.asked]


def look(airflow: Airflow) -> dict[str, Any]:
    """One run of the watch to its end; what its task returned."""
    run = airflow.trigger(WATCH)
    assert airflow.ended(run, WATCH) == "success"
    return returned(airflow, WATCH, run, "tell")


def returned(airflow: Airflow, dag_id: str, run: str, task: str) -> dict[str, Any]:
    path = f"/dags/{dag_id}/dagRuns/{run}/taskInstances/{task}/xcomEntries/return_value"
    value = airflow.api("GET", path.replace("+", "%2B"))["value"]
    return dict(json.loads(value) if isinstance(value, str) else value)


def test_the_watch_tells_each_cause_once_by_mail_and_by_webhook(airflow: Airflow, chat: ScriptedServer) -> None:
    settings = json.dumps({"email": ["ops@example.com"], "stale_after_intervals": 1000})
    airflow.api("POST", "/variables", {"key": "erpflow_notifications", "value": settings})
    try:
        with MailServer() as mail, unpaused(airflow, WATCH):
            extra = {"from_email": "erpflow@example.com", "disable_ssl": True, "disable_tls": True}
            smtp = {"conn_type": "smtp", "host": "127.0.0.1", "port": mail.port, "extra": json.dumps(extra)}
            with connection(airflow, "erpflow_smtp", **smtp):
                look(airflow)
                first = said(chat)
                look(airflow)
    finally:
        airflow.api("DELETE", "/variables/erpflow_notifications")
    assert said(chat) == first
    told = {(message["kind"], message["entity"]): message for message in first}
    assert len(told) == len(first)
    partial = told["partial", "customer"]
    assert partial["counts"]["refused"] > 0
    assert partial["reasons"]
    page = urlsplit(partial["links"]["Sync log"])
    assert airflow.session.get(f"{airflow.demo.url}{page.path}", timeout=30).status_code == 200
    assert partial["links"]["Sync log"].startswith(airflow.demo.url)
    assert sorted(str(message["Subject"]) for message in mail.got) == sorted(one["subject"] for one in first)
    assert mail.recipients == [["ops@example.com"]] * len(first)


def test_a_webhook_that_is_away_fails_the_run_its_secret_address_is_in_no_log_and_the_message_comes_later(
    airflow: Airflow, chat: ScriptedServer
) -> None:
    airflow.rows(
        "INSERT INTO erpflow.erp_conflicts (tenant_id, sync_config_id, remote_id, kind, strategy)"
        " SELECT tenant_id, id, 'C1', 'both_updated', 'manual' FROM erpflow.erp_sync_configs WHERE entity = 'customer'"
    )
    try:
        airflow.api("PATCH", "/connections/erpflow_notify_webhook", nowhere())
        with unpaused(airflow, WATCH):
            run = airflow.trigger(WATCH)
            assert airflow.ended(run, WATCH) == "failed"
            log = airflow.log(run, airflow.tasks(run, WATCH)["tell"])
            assert "The webhook did not take the message" in log
            assert SECRET not in log
            airflow.api("PATCH", "/connections/erpflow_notify_webhook", nowhere() | {"host": chat.url})
            look(airflow)
    finally:
        airflow.rows("DELETE FROM erpflow.erp_conflicts")
    assert [message["kind"] for message in said(chat)] == ["conflicts"]
    assert chat.asked[0].path == f"/services/{SECRET}"


def nowhere() -> dict[str, Any]:
    """The webhook's Connection with an address where nobody listens."""
    return {
        "connection_id": "erpflow_notify_webhook",
        "conn_type": "http",
        "host": "http://127.0.0.1:9",
        "password": f"/services/{SECRET}",
    }


def test_a_watch_that_no_worker_takes_is_told_by_the_triggerer_and_is_over_when_it_runs(
    airflow: Airflow, chat: ScriptedServer
) -> None:
    with unpaused(airflow, WATCH):
        look(airflow)
        slots(airflow, 0)
        try:
            airflow.trigger(WATCH)
            run = airflow.until(lambda: states(airflow, WATCH, state="running"))[0][0]  # or the scheduled one before it
            miss_deadline(airflow, run)
            airflow.until(lambda: "late" in {message["kind"] for message in said(chat)})
            assert airflow.state(run, WATCH) == "running"
        finally:
            slots(airflow, 128)
        assert airflow.ended(run, WATCH) == "success"
    late = [(message["state"], message["cause"]) for message in said(chat) if message["kind"] == "late"]
    assert late == [("new", f"late/{WATCH}"), ("resolved", f"late/{WATCH}")]


def slots(airflow: Airflow, number: int) -> None:
    """How many tasks may run at once, of all DAGs."""
    pool = {"pool": "default_pool", "slots": number, "include_deferred": False}
    airflow.api("PATCH", "/pools/default_pool", pool, update_mask="slots")


def miss_deadline(airflow: Airflow, run: str) -> None:
    """Let the time that Airflow gave the run be over; it has noted it when it queued the run."""
    lines = dict(line.split("=", 1) for line in (airflow.demo.home / "env").read_text().splitlines() if "=" in line)
    url = lines["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("postgresql+psycopg2", "postgresql")
    with psycopg.connect(url, autocommit=True) as metadata:
        changed = metadata.execute(
            "UPDATE deadline SET deadline_time = now() - interval '1 second' WHERE dagrun_id ="
            " (SELECT id FROM dag_run WHERE dag_id = %s AND run_id = %s)",
            (WATCH, run),
        )
        assert changed.rowcount == 1


def test_a_dag_with_a_deadline_stays_one_version_however_often_it_is_read(airflow: Airflow) -> None:
    assert airflow.api("GET", f"/dags/{WATCH}/dagVersions")["total_entries"] == 1


def test_retention_removes_old_pages_and_clearing_their_transform_says_so(airflow: Airflow) -> None:
    run = airflow.trigger()
    airflow.ended(run)
    log = airflow.sync_log(run)["id"]
    airflow.ended(airflow.trigger())  # the newest of a sync stays
    folder = airflow.demo.home / "landing" / "erpnext" / "customer" / log
    assert folder.is_dir()

    def purge(**conf: Any) -> dict[str, Any]:
        purging = airflow.trigger(RETENTION, **conf)
        assert airflow.ended(purging, RETENTION) == "success"
        assert {task["state"] for task in airflow.tasks(purging, RETENTION).values()} <= {"success", "skipped"}
        return returned(airflow, RETENTION, purging, "landing")

    with unpaused(airflow, RETENTION):
        # Airflow starts the run of the night before at once.
        airflow.until(lambda: {state for _, state in states(airflow, RETENTION, run_type="scheduled")} == {"success"})
        age(airflow, log)
        seen = purge(dry_run=True)
        assert (seen["removed"], seen["elsewhere"], seen["dry_run"]) == (1, 0, True)
        assert folder.is_dir()
        assert purge()["removed"] == 1
    assert not folder.exists()

    body = {"dag_run_id": run, "task_ids": ["sync.transform"], "dry_run": False, "only_failed": False}
    airflow.api("POST", "/dags/erpnext__customer/clearTaskInstances", body)
    transform = airflow.until(lambda: (task := airflow.tasks(run)["sync.transform"])["state"] == "failed" and task)
    assert "or they were cleaned up" in airflow.log(run, transform)


def states(airflow: Airflow, dag_id: str, **which: str) -> list[tuple[str, str]]:
    """Runs of a DAG and how they stand."""
    found = airflow.api("GET", f"/dags/{dag_id}/dagRuns", **which)
    return [(run["dag_run_id"], run["state"]) for run in found["dag_runs"]]


def age(airflow: Airflow, log: str) -> None:
    airflow.rows(
        "UPDATE erpflow.erp_sync_logs SET started_at = started_at - interval '15 days',"
        " finished_at = finished_at - interval '15 days' WHERE id = %s",
        log,
    )


def test_a_number_of_days_below_one_is_refused_before_the_run(airflow: Airflow) -> None:
    body = {"logical_date": None, "conf": {"history_days": 0}}
    airflow.api("POST", f"/dags/{RETENTION}/dagRuns", body, expect=400)
