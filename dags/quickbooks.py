"""QuickBooks: what is synced, how often the DAG looks whether a sync is due, and when both sides are compared."""

from __future__ import annotations

from erpflow.airflow.dags import sync_dag
from erpflow.airflow.reconciling import reconcile_dag

TABLES = {
    "customer": "app.customers",
    "product": "app.products",
    "invoice": "app.invoices",
    "payment": "app.payments",
    "order": "app.orders",
    "estimate": "app.orders",
}

for entity, table in TABLES.items():
    globals()[f"quickbooks__{entity}"] = sync_dag(
        system="quickbooks", title="QuickBooks Online", entity=entity, table=table, cron="*/5 * * * *"
    )
    globals()[f"quickbooks__{entity}__reconcile"] = reconcile_dag(
        system="quickbooks", title="QuickBooks Online", entity=entity, table=table, cron="0 4 * * 0"
    )
