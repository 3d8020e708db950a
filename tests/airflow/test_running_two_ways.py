"""Both directions in a running Airflow: pushes, and deletes that wait for a person."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from tests.airflow.test_running import Airflow
from tests.airflow.test_running import airflow as airflow  # a fixture, for this module too

pytestmark = pytest.mark.timeout(600)

KEY = {"Authorization": "token sandbox-connector-key:sandbox-connector-secret"}
PRODUCT = "erpnext__product"
SHIPPED = Path(__file__).parents[2] / "include" / "mappings" / "erpnext" / "product.yaml"
EXTRA = 60
TIED = (
    "SELECT r.remote_id, r.local_id FROM erpflow.erp_entity_sync_records r JOIN erpflow.erp_sync_configs c"
    " ON c.id = r.sync_config_id WHERE c.entity = 'customer' AND r.status = 'synced' ORDER BY r.remote_id LIMIT 1"
)
REJECT = (
    "SELECT r.id::text FROM erpflow.erp_rejects r JOIN erpflow.erp_sync_configs c ON c.id = r.sync_config_id"
    " WHERE r.status = 'open' AND c.entity = 'customer' AND r.direction = 'pull' LIMIT 1"
)
CHANGE = "UPDATE app.customers SET tax_number = %s, updated_at = now() WHERE id::text = %s"
OURS = "SELECT count(*) FROM app.products WHERE sku LIKE 'WAITING-%%'"
MAPPING = "UPDATE erpflow.erp_sync_configs SET mapping_path = %s WHERE entity = 'product'"


def erpnext(airflow: Airflow, method: str, path: str, body: Any = None) -> Any:
    answer = requests.request(method, f"{airflow.sandbox}/erpnext{path}", json=body, headers=KEY, timeout=30)
    answer.raise_for_status()
    return answer.json()


def test_what_changed_here_goes_there_and_what_changed_there_comes_here_in_one_run(airflow: Airflow) -> None:
    remote_id, local_id = airflow.rows(TIED)[0]
    path = f"/api/resource/Customer/{quote(remote_id, safe='')}"
    airflow.rows(CHANGE, "29AAAAA0000A1Z5", local_id)
    erpnext(airflow, "PUT", path, {"customer_name": "Renamed There"})
    run = airflow.trigger()
    assert airflow.ended(run) == "success"
    theirs = erpnext(airflow, "GET", path)["data"]
    assert (theirs["tax_id"], theirs["customer_name"]) == ("29AAAAA0000A1Z5", "Renamed There")
    ours = airflow.rows("SELECT tax_number, name FROM app.customers WHERE id::text = %s", local_id)
    assert ours == [("29AAAAA0000A1Z5", "Renamed There")]
    assert airflow.sync_log(run, direction="push")["updated_count"] == 1
    again = airflow.trigger()
    assert airflow.ended(again) == "success"
    assert {name: task["state"] for name, task in airflow.tasks(again).items() if "push" in name} == {
        "sync.push_extract": "skipped",
        "sync.push_transform": "skipped",
        "sync.push_load": "skipped",
    }


def test_a_vendor_that_is_away_keeps_the_rows_for_the_next_try(airflow: Airflow) -> None:
    remote_id, local_id = airflow.rows(TIED)[0]
    airflow.rows(CHANGE, "29BBBBB0000B1Z5", local_id)
    with airflow.fault(kind="status", status=503, method="PUT", path="/api/resource/Customer"):
        run = airflow.trigger(direction="push")
        airflow.until(lambda: airflow.tasks(run).get("sync.push_load", {}).get("state") == "up_for_retry")
        assert airflow.sync_log(run, direction="push")["error_kind"] == "VendorUnavailable"
    assert airflow.ended(run) == "success"
    assert airflow.sync_log(run, direction="push")["updated_count"] == 1
    theirs = erpnext(airflow, "GET", f"/api/resource/Customer/{quote(remote_id, safe='')}")["data"]
    assert theirs["tax_id"] == "29BBBBB0000B1Z5"


@pytest.fixture
def items_that_go(airflow: Airflow, tmp_path: Path) -> Iterator[None]:
    """Sixty more items that have been synced, then deleted in ERPNext; and a mapping that deletes them here too."""
    mapping = tmp_path / "product.yaml"
    mapping.write_text(SHIPPED.read_text().replace("deletes: ignore", "deletes: hard"))
    airflow.rows(MAPPING, str(mapping))
    try:
        for number in range(EXTRA):
            item = {"item_code": f"WAITING-{number:02}", "item_name": "Waits", "item_group": "Products"}
            erpnext(airflow, "POST", "/api/resource/Item", {**item, "stock_uom": "Nos"})
        run = airflow.trigger(PRODUCT)
        assert airflow.ended(run, PRODUCT) == "success"
        assert airflow.rows(OURS) == [(EXTRA,)]
        for number in range(EXTRA):
            erpnext(airflow, "DELETE", f"/api/resource/Item/WAITING-{number:02}")
        yield
    finally:
        airflow.rows(MAPPING, "erpnext/product.yaml")


def ended_answering(airflow: Airflow, run: str, chosen: str) -> str:
    """How a run ends whose load asks before it deletes, answered each time it asks.

    It may ask twice: an answer faster than any person's meets a worker that is still leaving, which Airflow's scheduler
    takes for a task killed from outside, and it tries again.
    """
    asked = False

    def look() -> str | None:
        nonlocal asked
        state, task = airflow.state(run, PRODUCT), airflow.tasks(run, PRODUCT).get("sync.load", {})
        if task.get("state") == "awaiting_input":
            path = f"/dags/{PRODUCT}/dagRuns/{quote(run, safe='')}/taskInstances/sync.load/{task['map_index']}"
            question = airflow.api("GET", f"{path}/hitlDetails")
            if not question["response_received"]:
                assert f"Delete {EXTRA} of " in question["subject"]
                assert "WAITING-" in question["body"]
                airflow.api("PATCH", f"{path}/hitlDetails", {"chosen_options": [chosen], "params_input": {}})
                asked = True
        return state if state in {"success", "failed"} else None

    state = str(airflow.until(look))
    assert asked
    return state


@pytest.mark.usefixtures("items_that_go")
def test_many_deletes_wait_for_a_person_who_may_refuse_and_is_asked_again(airflow: Airflow) -> None:
    refused = airflow.trigger(PRODUCT)
    assert ended_answering(airflow, refused, "Keep them") == "success"
    assert airflow.rows(OURS) == [(EXTRA,)]

    allowed = airflow.trigger(PRODUCT)
    assert ended_answering(airflow, allowed, "Delete them") == "success"
    assert airflow.rows(OURS) == [(0,)]
    assert airflow.sync_log(allowed)["deleted_count"] == EXTRA


def test_a_landed_page_is_replayed_and_a_reject_is_tried_again_from_the_form(airflow: Airflow) -> None:
    first = airflow.trigger(full=True, direction="pull")
    assert airflow.ended(first) == "success"
    log = airflow.sync_log(first)
    run = airflow.trigger(replay=log["id"])
    assert airflow.ended(run) == "success"
    replayed = airflow.sync_log(run)
    assert (replayed["kind"], replayed["read_count"]) == ("replay", log["read_count"])
    (reject,) = airflow.rows(REJECT)[0]
    run = airflow.trigger(rejects=[reject])
    assert airflow.ended(run) == "success"
    assert (airflow.sync_log(run)["kind"], airflow.sync_log(run)["read_count"]) == ("retry", 1)
