"""What the tasks of the retention DAG do, without a running Airflow."""

from __future__ import annotations

import runpy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.exceptions import AirflowSkipException

from erpflow.airflow import environment, housekeeping
from erpflow.services.retention import DEFAULT_DAYS, Kept
from erpflow.store.database import Database
from erpflow.sync.landing import Folder
from tests.engine import Shop, ShopConnector, customer


def context(*, kind: str, days: int | None, run_type: str = "manual", late: timedelta = timedelta(0)) -> Any:
    run = SimpleNamespace(run_type=run_type, run_after=datetime.now(UTC) - late)
    return {"params": {f"{kind}_days": days, "dry_run": False}, "dag_run": run}


def purge(kind: str, **facts: Any) -> dict[str, Any]:
    return housekeeping.PurgeOperator(task_id=kind, kind=kind).execute(context(kind=kind, **facts))


@pytest.fixture
def shop(fresh_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setenv(f"AIRFLOW_CONN_{environment.DATABASE_CONNECTION.upper()}", fresh_database.url)
    monkeypatch.setenv("ERPFLOW_LANDING_URI", (tmp_path / "landing").as_uri())
    return Shop(fresh_database, tmp_path)


def test_the_dag_has_a_task_and_a_number_of_days_for_each_kind_and_none_hides_the_failure_of_another() -> None:
    dag = housekeeping.retention_dag(cron="30 2 * * *", days={kind.value: days for kind, days in DEFAULT_DAYS.items()})
    assert set(dag.task_ids) == {kind.value for kind in Kept} == set(housekeeping.WHAT)
    assert all(not task.downstream_task_ids for task in dag.tasks)
    assert dag.max_active_tasks == 1
    by_priority = sorted(dag.tasks, key=lambda task: -task.priority_weight)
    assert by_priority[-1].task_id == "logs"
    assert {name: dag.params[name] for name in dag.params if name != "dry_run"} == {
        f"{kind.value}_days": days for kind, days in DEFAULT_DAYS.items()
    }


def test_the_dag_file_keeps_what_the_documentation_says() -> None:
    dag = runpy.run_path(str(Path(__file__).parents[2] / "dags" / "erpflow_retention.py"))["dag"]
    assert {kind.value: dag.params[f"{kind.value}_days"] for kind in Kept} == {
        kind.value: days for kind, days in DEFAULT_DAYS.items()
    }


def test_a_kind_without_a_number_of_days_is_kept_for_ever() -> None:
    with pytest.raises(AirflowSkipException, match="Kept for ever: record history"):
        purge("history", days=None)


def test_a_scheduled_run_that_comes_too_late_removes_nothing() -> None:
    with pytest.raises(AirflowSkipException, match="comes too late"):
        purge("history", days=1, run_type="scheduled", late=timedelta(hours=2))


@pytest.mark.parametrize(
    "run", [{"run_type": "scheduled", "late": timedelta(minutes=30)}, {"late": timedelta(hours=2)}]
)
def test_a_run_in_time_and_one_by_hand_remove(shop: Shop, run: dict[str, Any]) -> None:
    shop.rows_of(
        "INSERT INTO erpflow.erp_record_history (tenant_id, sync_config_id, direction, change, changed_at)"
        " SELECT tenant_id, id, 'pull', 'created', now() - interval '2 days' FROM erpflow.erp_sync_configs RETURNING 1",
        {},
    )
    assert purge("history", days=1, **run)["removed"] == 2
    assert shop.rows("SELECT count(*) FROM erpflow.erp_record_history") == [(0,)]


def test_pages_in_airflows_object_storage_go_with_everything_in_their_folder(shop: Shop, tmp_path: Path) -> None:
    records = [customer(number) for number in range(3)]
    logs = []
    for _ in range(2):
        log = shop.plan()
        job = shop.job(log)
        job.extract(ShopConnector(records))
        job.transform()
        job.load()
        logs.append(log)
    shop.do(
        "UPDATE erpflow.erp_sync_logs SET status = 'completed', finished_at = started_at,"
        " read_count = created_count + updated_count + unchanged_count"
    )
    shop.do(f"UPDATE erpflow.erp_sync_logs SET finished_at = now() - interval '2 days' WHERE id = '{logs[0]}'")
    folders = [tmp_path / "landing" / "shop" / "customer" / log for log in logs]
    assert all(any(folder.rglob("*.msgpack")) for folder in folders)
    assert purge("landing", days=1)["removed"] == 1
    assert [folder.exists() for folder in folders] == [False, True]


def test_a_folder_that_is_gone_is_removed_all_the_same(tmp_path: Path) -> None:
    gone = cast("Folder", ObjectStoragePath((tmp_path / "gone").as_uri()))
    housekeeping.remove_folder(gone)
