"""What the task of the webhooks' DAG does, without a running Airflow."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from erpflow.airflow import environment, webhooks
from erpflow.store.database import Database
from erpflow.webhooks import wake
from tests.inbox import Inbox, engine_of
from tests.two_way import TwoWayShop


def drained(*, stay_s: float = 0) -> dict[str, Any]:
    run = SimpleNamespace(dag_id=webhooks.DAG_ID, run_id="webhook__1")
    context: Any = {"params": {"stay_s": stay_s}, "dag_run": run}
    return webhooks.DrainOperator(task_id="drain").execute(context)


def test_a_run_applies_what_is_due_and_its_pulls_name_it(
    fresh_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = TwoWayShop(fresh_database, tmp_path)
    inbox = Inbox(fresh_database, engine_of(shop))
    monkeypatch.setattr(environment, "engine", lambda: inbox.engine)
    inbox.tell(shop.vendor.put(name="a", email="a"), "R999999")
    assert drained() == {"events": 2, "runs": 1, "applied": 1, "ignored": 1}
    assert drained() == {"events": 0, "runs": 0}
    assert shop.rows("SELECT dag_id, dag_run_id, triggered_by FROM erpflow.erp_sync_logs") == [
        ("erpflow__webhooks", "webhook__1", "webhook")
    ]


def test_the_dag_sweeps_every_minute_one_run_at_a_time_and_stays_only_when_it_is_told_to() -> None:
    dag = runpy.run_path(str(Path(__file__).parents[2] / "dags" / "erpflow_webhooks.py"))["dag"]
    assert (dag.dag_id, dag.max_active_runs, dag.task_ids) == (wake.DAG_ID, 1, ["drain"])
    assert dag.params["stay_s"] == 0
    assert 0 < wake.CONF["stay_s"] <= webhooks.LONGEST_STAY_S
    assert set(wake.CONF) == set(dag.params)
