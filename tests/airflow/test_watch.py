"""What the watch tells Airflow, without a running Airflow: after a run, every few minutes, and at a deadline."""

from __future__ import annotations

import asyncio
import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG

from erpflow.airflow import environment, freshness, watch
from erpflow.errors import DatabaseUnavailable, NotificationFailed
from erpflow.services.notifications.tell import Telling
from erpflow.store.database import Database
from erpflow.testing.server import Asked, Reply, ScriptedServer
from tests.engine import Shop, customer

RUN: Any = {"dag_run": SimpleNamespace(dag_id=watch.DAG_ID)}


@pytest.fixture
def shop(fresh_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setenv(f"AIRFLOW_CONN_{environment.DATABASE_CONNECTION.upper()}", fresh_database.url)
    return Shop(fresh_database, tmp_path)


def chat(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = json.dumps({"conn_type": "http", "host": server.url})
    monkeypatch.setenv("AIRFLOW_CONN_ERPFLOW_NOTIFY_WEBHOOK", connection)


def said(server: ScriptedServer) -> list[tuple[str, str]]:
    bodies = [json.loads(asked.body) for asked in server.asked]
    return [(body["state"], body["cause"].split("/")[0]) for body in bodies]


def test_what_came_of_a_run_is_told_right_after_it(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer(lambda _: Reply()) as server:
        chat(server, monkeypatch)
        summary = shop.sync([customer(1, name=None)])
        watch.tell_after_run([{"log_id": summary.log_id, "label": "shop customer"}])
        watch.tell_after_run([{"log_id": summary.log_id, "label": "shop customer"}])
    assert said(server) == [("new", "partial")]


def test_a_run_without_a_sync_looks_at_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "look", lambda _logs: pytest.fail("it looked"))
    watch.tell_after_run([])
    watch.tell_after_run(None)


@pytest.mark.parametrize("error", [DatabaseUnavailable("away"), KeyError("a defect")])
def test_telling_after_a_run_never_fails_the_run(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(_logs: object) -> Telling:
        raise error

    monkeypatch.setattr(watch, "look", fail)
    watch.tell_after_run([{"log_id": "1"}])


def test_a_watch_that_could_not_tell_fails_and_says_each_reason_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "look", lambda **_: Telling(open=2, sent=1, failed=["email: down"] * 2))
    with pytest.raises(NotificationFailed, match=r"^email: down$"):
        watch.WatchOperator(task_id="tell").execute(RUN)


def test_a_watch_returns_its_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "look", lambda **_: Telling(open=2, sent=1, unheard=1))
    told = watch.WatchOperator(task_id="tell").execute(RUN)
    assert told == {"open": 2, "sent": 1, "unheard": 1, "failed": []}


def test_a_deadline_goes_with_a_dag_and_survives_serialization() -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    with DAG("d", deadline=freshness.freshness_deadline(within=timedelta(minutes=30))) as dag:
        pass
    assert "erpflow.airflow.freshness.run_is_late" in json.dumps(DagSerialization.to_dict(dag))


def test_a_late_run_is_told_off_the_loop_of_the_triggerer(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    loops = threading.get_ident()
    threads: list[int] = []
    inner = freshness._tell

    def tell(**facts: Any) -> Telling:
        threads.append(threading.get_ident())
        return inner(**facts)

    monkeypatch.setattr(freshness, "_tell", tell)
    queued = datetime.now(UTC) - timedelta(hours=2)
    run = {"dag_id": "shop__customer", "dag_run_id": "scheduled__1", "queued_at": queued.isoformat()}
    with ScriptedServer(lambda _: Reply()) as server:
        chat(server, monkeypatch)
        asyncio.run(freshness.run_is_late(context={"dag_run": run}, within_s=3600.0))
    assert said(server) == [("new", "late")]
    assert "queued 2 h ago" in json.loads(server.asked[0].body)["what"]
    assert threads != [loops]


def test_a_run_that_was_never_queued_is_late_since_it_should_have_begun(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = (datetime.now(UTC) - timedelta(hours=3)).isoformat()
    run = {"dag_id": "shop__customer", "dag_run_id": "scheduled__1", "queued_at": None, "run_after": began}

    def answer(_asked: Asked) -> Reply:
        return Reply()

    with ScriptedServer(answer) as server:
        chat(server, monkeypatch)
        asyncio.run(freshness.run_is_late(context={"dag_run": run}, within_s=3600.0))
    assert "queued 3 h ago" in json.loads(server.asked[0].body)["what"]
