"""A reconciliation in a running Airflow, against the ERPNext sandbox: found by one run, repaired by the next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.airflow.test_running import Airflow
from tests.airflow.test_running import airflow as airflow  # a fixture, for this module too

pytestmark = pytest.mark.timeout(600)

PRODUCT = "erpnext__product__reconcile"
ALTERED = "SELECT count(*) FROM app.products WHERE name = 'Altered here'"
ALTER = (
    "UPDATE app.products SET name = 'Altered here' WHERE id IN ("
    "SELECT r.local_id::bigint FROM erpflow.erp_entity_sync_records r JOIN erpflow.erp_sync_configs c"
    " ON c.id = r.sync_config_id WHERE c.entity = 'product' AND r.status = 'synced' ORDER BY r.remote_id LIMIT 2)"
)


@pytest.fixture
def unpaused(airflow: Airflow) -> Iterator[None]:
    """Weekly runs only come when somebody wants them."""
    airflow.api("PATCH", f"/dags/{PRODUCT}", {"is_paused": False})
    yield
    airflow.api("PATCH", f"/dags/{PRODUCT}", {"is_paused": True})


def result_of(airflow: Airflow, run: str) -> Any:
    path = f"/dags/{PRODUCT}/dagRuns/{quote(run, safe='')}/taskInstances/finish/xcomEntries/return_value"
    (result,) = airflow.api("GET", path)["value"]
    return result


@pytest.mark.usefixtures("unpaused")
def test_what_one_run_finds_the_next_repairs_when_it_is_asked_to(airflow: Airflow) -> None:
    cursor = airflow.rows("SELECT cursor_at, last_started_at FROM erpflow.erp_sync_configs WHERE entity = 'product'")
    airflow.rows(ALTER)

    run = airflow.trigger(PRODUCT, connection="erpnext_demo")

    assert airflow.ended(run, PRODUCT) == "success"
    assert {name: task["state"] for name, task in airflow.tasks(run, PRODUCT).items()} == {
        "plan": "success",
        "reconcile.extract": "success",
        "reconcile.compare": "success",
        "reconcile.repair": "skipped",
        "finish": "success",
    }
    result = result_of(airflow, run)
    assert (result["connection"], result["status"], result["read"]) == ("erpnext_demo", "findings", 500)
    assert result["found"]["different"] == 2
    assert airflow.rows(ALTERED) == [(2,)]
    log = airflow.sync_log(run, direction="bidirectional")
    path = f"/dags/{PRODUCT}/dagRuns/{quote(run, safe='')}/taskInstances/reconcile.compare/links"
    assert airflow.api("GET", path, map_index=0)["extra_links"]["Sync log"] == f"/api/erp/sync-logs/{log['id']}"

    run = airflow.trigger(PRODUCT, repair=True, kinds=["different"])

    assert airflow.ended(run, PRODUCT) == "success"
    assert result_of(airflow, run)["repaired"] == {"different": 2}
    assert airflow.rows(ALTERED) == [(0,)]
    assert (
        airflow.rows("SELECT cursor_at, last_started_at FROM erpflow.erp_sync_configs WHERE entity = 'product'")
        == cursor
    )
