"""A full sync of VeeKaart in a running Airflow: products, then stock, then prices, to the sandbox's store."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
import requests

from erpflow.mapping.load import load_mapping
from erpflow.store.connections import ensure_connection
from erpflow.store.database import Database
from erpflow.store.planning import note_started
from erpflow.sync.configure import configure
from tests.airflow.test_running import Airflow, airflow
from tests.demos import PROJECT

__all__ = ["airflow"]

pytestmark = pytest.mark.timeout(600)

ENTITIES = ("product", "inventory", "price")
DAG_IDS = ("veekaart__full", *(f"veekaart__{entity}" for entity in ENTITIES))
STOCK = """
INSERT INTO app.stock (product_id, warehouse, quantity, reserved)
SELECT id, warehouse, 40, 3 FROM (SELECT id FROM app.products WHERE price IS NOT NULL ORDER BY id LIMIT 20) p,
       unnest(ARRAY['Kochi', 'Pune']) warehouse
"""


@pytest.fixture
def shop(airflow: Airflow) -> Iterator[Airflow]:
    """The store as a second connection of the demo; the tests after this one find the demo without it."""
    lines = dict(line.split("=", 1) for line in (airflow.demo.home / "env").read_text().splitlines() if "=" in line)
    airflow.api("POST", "/pools", {"name": "erpflow_veekaart", "slots": 2})
    fields = {"connection_id": "shop", "conn_type": "veekaart", "host": f"{airflow.sandbox}/veekaart"}
    airflow.api("POST", "/connections", {**fields, "password": "sandbox-veekaart-key"})
    database = Database(lines["ERPFLOW_DATABASE_URL"])
    with database.transaction() as session:
        connection = ensure_connection(session, "shop", system="veekaart")
        for entity in ENTITIES:
            path = Path("veekaart") / f"{entity}.yaml"
            mapping = load_mapping(PROJECT / "include" / "mappings" / path)
            config = configure(session, connection.id, mapping, path=str(path))
            note_started(session, config.id, datetime.now(UTC))  # nothing is due of the interval that has just ended
    with psycopg.connect(lines["ERPFLOW_DATABASE_URL"], autocommit=True) as session:
        session.execute(STOCK.encode())
    for dag_id in DAG_IDS:
        airflow.api("PATCH", f"/dags/{dag_id}", {"is_paused": False})
    yield airflow
    for dag_id in DAG_IDS:
        airflow.api("PATCH", f"/dags/{dag_id}", {"is_paused": True})
    with psycopg.connect(lines["ERPFLOW_DATABASE_URL"], autocommit=True) as session:
        session.execute("DELETE FROM erpflow.erp_connections WHERE name = 'shop'")
        session.execute("DELETE FROM app.stock")
    airflow.api("DELETE", "/connections/shop")


def rows_at_store(airflow: Airflow, table: str) -> dict[str, dict[str, object]]:
    answer = requests.get(f"{airflow.sandbox}/_sandbox/veekaart/rows", params={"table": table}, timeout=10)
    return {row["sku"]: row for row in answer.json()["rows"]}


def test_a_full_sync_sends_products_then_stock_then_prices(shop: Airflow) -> None:
    airflow = shop
    before = {table: len(rows_at_store(airflow, table)) for table in ("products", "inventory", "pricing")}

    run = airflow.trigger("veekaart__full", connection="shop")

    assert airflow.ended(run, "veekaart__full") == "success"
    logs = airflow.rows(
        "SELECT c.entity, l.status, l.kind, l.created_count, l.rejected_count FROM erpflow.erp_sync_logs l"
        " JOIN erpflow.erp_sync_configs c ON c.id = l.sync_config_id"
        " JOIN erpflow.erp_connections n ON n.id = c.connection_id"
        " WHERE n.name = 'shop' AND l.kind = 'full' ORDER BY l.started_at"
    )
    assert [(entity, kind) for entity, _, kind, _, _ in logs] == [(entity, "full") for entity in ENTITIES]
    (sendable,) = airflow.rows("SELECT count(*) FROM app.products WHERE price IS NOT NULL")
    after = {table: len(rows_at_store(airflow, table)) for table in before}
    assert 0 < after["products"] - before["products"] == logs[0][3] <= sendable[0]
    assert logs[1][1:] == ("completed", "full", 20, 0)
    assert 0 < after["pricing"] - before["pricing"] <= logs[2][3] <= sendable[0]  # a price of each product that has one
    again = airflow.trigger("veekaart__full", connection="shop")
    assert airflow.ended(again, "veekaart__full") == "success"
    assert {table: len(rows_at_store(airflow, table)) for table in before} == after
