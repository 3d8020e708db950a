"""ERPNext: what is synced, and how often the DAG looks whether a sync is due."""

from __future__ import annotations

from erpflow.airflow.dags import sync_dag

TABLES = {
    "customer": "app.customers",
    "product": "app.products",
    "order": "app.orders",
}

for entity, table in TABLES.items():
    globals()[f"erpnext__{entity}"] = sync_dag(
        system="erpnext", title="ERPNext", entity=entity, table=table, cron="*/5 * * * *"
    )
