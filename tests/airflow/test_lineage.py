"""What a load and a send tell OpenLineage, by the provider's own extraction and client, into a file."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from erpflow.airflow import environment
from erpflow.airflow.operators import LoadOperator, SendOperator
from erpflow.connectors import registry
from erpflow.connectors.quickbooks import QuickBooks
from erpflow.store import sync_logs
from erpflow.store.database import Database
from erpflow.sync.plan import RunRequest, plan
from erpflow.sync.pull import finish, note_failure
from erpflow.vocabulary import Counts, SyncLogId
from tests.engine import Shop, ShopConnector, customer, order

CANARY = "canary-4b1f"
VENDOR = "shop://shop.example:8443"
TWO_WAY = """
system: shop
entity: customer
remote: {object: customers, key: id, modified: modified}
local: {table: app.customers, key: id, modified: updated_at}
direction: bidirectional
fields:
  - {local: name, remote: [title, name], required: true, transform: trim}
  - {local: city, remote: address.city}
  - {local: phone, remote: phone, only: pull}
"""

Told = Callable[..., dict[str, Any]]


@pytest.fixture
def shop(fresh_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A shop whose Airflow Connection has a secret in each of its parts."""
    secret = {
        "conn_type": "http",
        "host": f"https://{CANARY}:{CANARY}@Shop.example:8443/{CANARY}/api?token={CANARY}",
        "login": CANARY,
        "password": CANARY,
        "extra": {"token": CANARY},
    }
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps(secret))
    monkeypatch.setenv(f"AIRFLOW_CONN_{environment.DATABASE_CONNECTION.upper()}", fresh_database.url)
    monkeypatch.setenv("ERPFLOW_MAPPINGS", str(tmp_path / "mappings"))
    monkeypatch.setattr(registry, "connector_class", lambda _: ShopConnector)
    return Shop(fresh_database, tmp_path)


@pytest.fixture
def told(tmp_path: Path) -> Told:
    """What is in the file after a step has ended: the event, as a collector of lineage gets it."""
    from airflow.providers.openlineage.extractors import ExtractorManager
    from airflow.providers.openlineage.plugins.adapter import OpenLineageAdapter
    from airflow.utils.state import TaskInstanceState
    from openlineage.client import OpenLineageClient
    from openlineage.client.transport.file import FileConfig, FileTransport

    path = tmp_path / "events.json"

    def ended(task: Any, *, error: Exception | None = None, killed: bool = False) -> dict[str, Any]:
        state = TaskInstanceState.FAILED if error or killed else TaskInstanceState.SUCCESS
        run: Any = SimpleNamespace(run_id="manual__1")
        found = ExtractorManager().extract_metadata(run, task, state, None)
        client = OpenLineageClient(transport=FileTransport(FileConfig(log_file_path=str(path), append=True)))
        told: dict[str, Any] = {
            "run_id": str(uuid.uuid4()),
            "job_name": "shop__customer.sync.load",
            "end_time": datetime.now(UTC).isoformat(),
            "task": found,
            "nominal_start_time": None,
            "nominal_end_time": None,
            "owners": None,
            "tags": None,
            "job_description": None,
        }
        adapter = OpenLineageAdapter(client)
        if state is TaskInstanceState.FAILED:
            adapter.fail_task(**told, error=error)
        else:
            adapter.complete_task(**told)
        return dict(json.loads(path.read_text().splitlines()[-1]))

    return ended


def load_of(log_id: SyncLogId, *, table: str = "app.customers") -> LoadOperator:
    return LoadOperator(task_id="load", run={"label": "shop", "pull": log_id}, table=table)


def origins(dataset: dict[str, Any], column: str) -> list[tuple[str, str, str, str]]:
    fields = dataset["facets"]["columnLineage"]["fields"][column]["inputFields"]
    return [
        (field["namespace"], field["name"], field["field"], "/".join([one["type"], one["subtype"]]))
        for field in fields
        for one in field["transformations"]
    ]


def postgres(shop: Shop) -> str:
    return f"postgres://{shop.database.host}:{shop.database.port}"


def test_a_load_tells_what_it_read_and_wrote_and_how_many(shop: Shop, told: Told) -> None:
    summary = shop.sync([customer(1), customer(2), customer(3, name=None)])
    event = told(load_of(summary.log_id))
    assert event["eventType"] == "COMPLETE"
    (vendor,), (table,) = event["inputs"], event["outputs"]
    assert (vendor["namespace"], vendor["name"]) == (VENDOR, "customers")
    assert vendor["inputFacets"]["inputStatistics"]["rowCount"] == 3
    assert [field["name"] for field in vendor["facets"]["schema"]["fields"]] == [
        "name", "email", "phone", "address.city", "limit",
    ]  # fmt: skip
    assert (table["namespace"], table["name"]) == (postgres(shop), f"{shop.database.name}.app.customers")
    assert table["outputFacets"]["outputStatistics"]["rowCount"] == 2
    types = {field["name"]: field["type"] for field in table["facets"]["schema"]["fields"]}
    assert (types["name"], types["credit_limit"], types["updated_at"]) == (
        "text", "numeric(18,2)", "timestamp with time zone",
    )  # fmt: skip


def test_each_column_is_traced_to_the_field_it_comes_from(shop: Shop, told: Told) -> None:
    event = told(load_of(shop.sync([customer(1)]).log_id))
    (table,) = event["outputs"]
    assert origins(table, "city") == [(VENDOR, "customers", "address.city", "DIRECT/IDENTITY")]
    assert origins(table, "credit_limit") == [(VENDOR, "customers", "limit", "DIRECT/TRANSFORMATION")]
    limit = table["facets"]["columnLineage"]["fields"]["credit_limit"]
    assert limit["transformationDescription"] == "read as number with 2 decimals"


def test_lines_are_a_data_set_of_their_own_and_a_look_up_leads_to_the_table_it_looks_into(
    shop: Shop, told: Told
) -> None:
    shop.sync([customer(1)])
    summary = shop.sync([order(1, buyer=1)], "order")
    event = told(load_of(summary.log_id, table="app.orders"))
    name = shop.database.name
    assert [one["name"] for one in event["inputs"]] == ["orders", f"{name}.app.customers"]
    orders, items = event["outputs"]
    assert [orders["name"], items["name"]] == [f"{name}.app.orders", f"{name}.app.order_items"]
    assert origins(orders, "customer_id") == [
        (VENDOR, "orders", "customer", "INDIRECT/JOIN"),
        (postgres(shop), f"{name}.app.customers", "id", "DIRECT/TRANSFORMATION"),
    ]
    assert origins(items, "quantity") == [(VENDOR, "orders", "lines[].qty", "DIRECT/TRANSFORMATION")]
    assert "outputStatistics" not in items.get("outputFacets", {})


def test_the_run_names_its_sync_log_and_what_became_of_the_records(shop: Shop, told: Told) -> None:
    summary = shop.sync([customer(1), customer(2, name=None)])
    facet = told(load_of(summary.log_id))["run"]["facets"]["erpflow_syncLog"]
    assert (facet["syncLogId"], facet["connection"], facet["system"], facet["entity"], facet["direction"]) == (
        summary.log_id, "shop", "shop", "customer", "pull",
    )  # fmt: skip
    assert facet["counts"] == {
        "read": 2, "created": 1, "updated": 0, "unchanged": 0, "deleted": 0, "conflict": 0, "rejected": 1, "ignored": 0,
    }  # fmt: skip
    assert len(facet["mappingVersion"]) == 16


def test_a_send_tells_the_vendors_object_field_by_field(shop: Shop, told: Told) -> None:
    shop.write_mapping("customer", TWO_WAY)
    shop.do("UPDATE erpflow.erp_sync_configs SET direction = 'bidirectional' WHERE entity = 'customer'")
    with shop.database.session() as connection:
        request = RunRequest(kind="manual", connection="shop")
        logs = plan(connection, request, system="shop", entity="customer", now=datetime.now(UTC))
        (log_id,) = [run.log_id for run in logs if run.direction == "push"]
        sync_logs.add_pushed(connection, log_id, Counts(read=5, created=1, updated=2, deleted=1, rejected=1))
    event = told(SendOperator(task_id="send", run={"label": "shop", "push": log_id}))
    (table,), (vendor,) = event["inputs"], event["outputs"]
    assert (table["name"], table["inputFacets"]["inputStatistics"]["rowCount"]) == (
        f"{shop.database.name}.app.customers", 5,
    )  # fmt: skip
    assert (vendor["namespace"], vendor["name"]) == (VENDOR, "customers")
    assert vendor["outputFacets"]["outputStatistics"]["rowCount"] == 4
    assert set(vendor["facets"]["columnLineage"]["fields"]) == {"title", "address.city"}
    assert origins(vendor, "title") == [(postgres(shop), table["name"], "name", "DIRECT/TRANSFORMATION")]
    assert origins(vendor, "address.city") == [(postgres(shop), table["name"], "city", "DIRECT/IDENTITY")]


def test_a_load_that_failed_tells_what_was_applied_before_and_why_it_did(shop: Shop, told: Told) -> None:
    log_id = shop.plan()
    note_failure(shop.database, log_id, RuntimeError("lost"))
    event = told(load_of(log_id), error=ValueError("the disk is full"))
    assert event["eventType"] == "FAIL"
    assert event["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] == 0
    assert event["run"]["facets"]["errorMessage"]["message"] == "the disk is full"
    # A task that was killed has no error of its own: then it is what its log says.
    assert told(load_of(log_id), killed=True)["run"]["facets"]["errorMessage"]["message"] == "lost"


def test_a_dry_run_has_read_and_written_no_data_set(shop: Shop, told: Told) -> None:
    log_id = shop.plan(dry_run=True)
    shop.job(log_id).run_whole(ShopConnector([customer(1)]))
    finish(shop.database, log_id)
    event = told(load_of(log_id))
    assert (event["inputs"], event["outputs"]) == ([], [])
    assert event["run"]["facets"]["erpflow_syncLog"]["dryRun"] is True


def test_a_step_of_the_other_direction_has_nothing_to_tell(shop: Shop) -> None:
    task = SendOperator(task_id="send", run={"label": "shop", "pull": shop.plan()})
    assert task.get_openlineage_facets_on_complete(None) is None


def test_no_part_of_a_connection_but_its_host_is_told(shop: Shop, told: Told, tmp_path: Path) -> None:
    told(load_of(shop.sync([customer(1)]).log_id))
    assert CANARY not in (tmp_path / "events.json").read_text()


@pytest.mark.parametrize(
    ("host", "port", "own", "namespace"),
    [
        ("https://erp.example.com", None, True, "erpnext://erp.example.com"),
        ("erp.example.com", 8000, True, "erpnext://erp.example.com:8000"),
        ("https://api.example.com/v3", None, False, "erpnext://api.example.com/acme%20books"),
        (None, None, True, "erpnext://acme%20books"),
    ],
)
def test_an_account_that_shares_its_address_with_others_is_told_apart_by_its_connection(
    host: str | None, port: int | None, own: bool, namespace: str
) -> None:
    from erpflow.airflow.lineage import vendor_namespace

    run: Any = SimpleNamespace(system="erpnext", connection="acme books")
    connection: Any = SimpleNamespace(host=host, port=port)
    assert vendor_namespace(run, connection, own_address=own) == namespace


def test_the_companies_of_quickbooks_share_an_address() -> None:
    assert QuickBooks.own_address is False


def test_without_a_configured_transport_nothing_listens_and_the_client_is_not_even_imported() -> None:
    program = (
        "import sys; import airflow.sdk;"
        "from airflow.providers.openlineage.plugins.openlineage import OpenLineageProviderPlugin as plugin;"
        "print(plugin.listeners, [name for name in sys.modules if name.split('.')[0] == 'openlineage'])"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=True)
    assert (done.stdout.strip().splitlines()[-1], done.stderr) == ("[] []", "")
