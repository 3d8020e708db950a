"""A full sync of VeeKaart in a running Airflow: products, then stock, then prices, to the sandbox's store."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

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
TABLES = ("products", "inventory", "pricing")
SOLD = """
SELECT p.sku, s.quantity, s.reserved, c.amount FROM app.products p
JOIN app.product_stock s ON s.product_id = p.id JOIN app.store_prices c ON c.product_id = p.id
WHERE s.quantity >= 0 ORDER BY p.id
"""
FORGOTTEN = 20


def connect(airflow: Airflow) -> None:
    """The store as a second connection of the demo."""
    lines = dict(line.split("=", 1) for line in (airflow.demo.home / "env").read_text().splitlines() if "=" in line)
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
    for dag_id in ("veekaart__full", *(f"veekaart__{entity}" for entity in ENTITIES)):
        airflow.api("PATCH", f"/dags/{dag_id}", {"is_paused": False})


def rows_at_store(airflow: Airflow) -> dict[str, dict[str, dict[str, object]]]:
    """The rows of each table of the store by SKU."""
    url = f"{airflow.sandbox}/_sandbox/veekaart/rows"
    answers = {table: requests.get(url, params={"table": table}, timeout=10).json()["rows"] for table in TABLES}
    return {table: {row["sku"]: row for row in rows} for table, rows in answers.items()}


def test_a_full_sync_sends_products_then_stock_then_prices(airflow: Airflow) -> None:
    """The demo has filled the store already; what the store then forgets is new to a second connection to it."""
    before = rows_at_store(airflow)
    sold = [row for row in airflow.rows(SOLD) if all(row[0] in before[table] for table in TABLES)][:FORGOTTEN]
    assert len(sold) == FORGOTTEN
    body = {"skus": [sku for sku, *_ in sold]}
    requests.post(f"{airflow.sandbox}/_sandbox/veekaart/forget", json=body, timeout=10).raise_for_status()
    connect(airflow)

    run = airflow.trigger("veekaart__full", connection="shop")

    assert airflow.ended(run, "veekaart__full") == "success"
    logs = airflow.rows(
        "SELECT c.entity, l.kind, l.created_count, l.conflict_count FROM erpflow.erp_sync_logs l"
        " JOIN erpflow.erp_sync_configs c ON c.id = l.sync_config_id"
        " JOIN erpflow.erp_connections n ON n.id = c.connection_id"
        " WHERE n.name = 'shop' AND l.kind = 'full' ORDER BY l.started_at"
    )
    assert logs == [(entity, "full", FORGOTTEN, 0) for entity in ENTITIES]
    after = rows_at_store(airflow)
    for sku, quantity, reserved, amount in sold:
        stock, price = after["inventory"][sku], after["pricing"][sku]["selling_price"]
        told = [stock["quantity"], stock["reserved_quantity"], price]
        assert told == pytest.approx([float(quantity), float(reserved), float(amount)], abs=0.005)
    again = airflow.trigger("veekaart__full", connection="shop")
    assert airflow.ended(again, "veekaart__full") == "success"
    assert rows_at_store(airflow) == after
