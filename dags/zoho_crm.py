"""Zoho CRM: what is synced, how often the DAG looks whether a sync is due, and when both sides are compared."""

from __future__ import annotations

from erpflow.airflow.dags import sync_dag
from erpflow.airflow.reconciling import reconcile_dag

TABLES = {
    "customer": "app.customers",
    "contact": "app.contacts",
    "lead": "app.customers",
    "product": "app.products",
    "deal": "app.deals",
    "order": "app.orders",
    "invoice": "app.invoices",
}

for entity, table in TABLES.items():
    globals()[f"zoho_crm__{entity}"] = sync_dag(
        system="zoho_crm", title="Zoho CRM", entity=entity, table=table, cron="*/5 * * * *"
    )
    globals()[f"zoho_crm__{entity}__reconcile"] = reconcile_dag(
        system="zoho_crm", title="Zoho CRM", entity=entity, table=table, cron="0 4 * * 0"
    )
