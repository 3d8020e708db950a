"""Webhooks in a running Airflow: a run that is woken applies what has come, and what comes while it stays."""

from __future__ import annotations

import json
import time
from typing import Any, cast
from urllib.parse import quote

import pytest
import requests

from erpflow.airflow.webhooks import DAG_ID
from erpflow.store.database import Database
from erpflow.sync.engine import Engine
from tests.airflow.test_running import Airflow, airflow
from tests.airflow.test_running_services import unpaused
from tests.inbox import Inbox

__all__ = ["airflow"]  # a fixture: pytest finds it here

pytestmark = pytest.mark.timeout(600)


def inbox_of(airflow: Airflow) -> Inbox:
    """A webhook of the demo's ERPNext; its events are drained by Airflow, never here."""
    lines = dict(line.split("=", 1) for line in (airflow.demo.home / "env").read_text().splitlines() if "=" in line)
    ((name,),) = airflow.rows("SELECT name FROM erpflow.erp_connections WHERE system = 'erpnext'")
    nothing = cast("Engine", None)
    return Inbox(Database(lines["ERPFLOW_DATABASE_URL"]), nothing, name=name, payload={})


def rename(airflow: Airflow, name: str, company: str) -> bytes:
    """A person at the site changes a customer; what its webhook says of it."""
    answer = requests.put(
        f"{airflow.sandbox}/erpnext/api/resource/Customer/{quote(name)}",
        json={"tax_id": company},
        headers={"Authorization": "token sandbox-connector-key:sandbox-connector-secret"},
        timeout=30,
    )
    answer.raise_for_status()
    facts = {"event": "on_update", "doctype": "Customer", "name": name, "modified": answer.json()["data"]["modified"]}
    return json.dumps(facts).encode()


def test_a_run_that_was_woken_applies_what_comes_while_it_stays(airflow: Airflow) -> None:
    inbox = inbox_of(airflow)
    ((name, local_id),) = airflow.rows(
        "SELECT r.remote_id, r.local_id FROM erpflow.erp_entity_sync_records r"
        " JOIN erpflow.erp_sync_configs c ON c.id = r.sync_config_id JOIN app.customers t ON t.id::text = r.local_id"
        " JOIN erpflow.erp_connections n ON n.id = c.connection_id"
        " WHERE n.system = 'erpnext' AND c.entity = 'customer' AND r.status = 'synced' ORDER BY 1 LIMIT 1"
    )

    def is_here(tax_number: str) -> Any:
        return airflow.rows("SELECT 1 FROM app.customers WHERE id::text = %s AND tax_number = %s", local_id, tax_number)

    try:
        with unpaused(airflow, DAG_ID):
            inbox.deliver(rename(airflow, name, "HOOK-1"))
            run = airflow.trigger(DAG_ID, stay_s=10)
            airflow.until(lambda: is_here("HOOK-1"))
            seconds = []
            for number in range(2, 7):
                body = rename(airflow, name, f"HOOK-{number}")
                began = time.monotonic()
                inbox.deliver(body)
                while not is_here(f"HOOK-{number}"):
                    assert time.monotonic() - began < 60, "it did not come"
                    time.sleep(0.02)
                seconds.append(time.monotonic() - began)
            # Far below it, also on a busy machine: a run for each event would take longer than that.
            assert sorted(seconds)[2] < 10, f"from the request to the row it took {seconds} seconds"
            assert airflow.ended(run, DAG_ID) == "success"
        assert [action for _, action, _ in inbox.states()] == ["updated"] * 6
        logs = airflow.rows(
            "SELECT DISTINCT dag_id, triggered_by, status FROM erpflow.erp_sync_logs WHERE triggered_by = 'webhook'"
        )
        assert logs == [(DAG_ID, "webhook", "completed")]
    finally:
        airflow.rows("DELETE FROM erpflow.erp_webhooks")
