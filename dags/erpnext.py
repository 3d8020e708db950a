"""ERPNext: what is synced."""

from __future__ import annotations

from erpflow.airflow.systems import dags_of

TABLES = {
    "customer": "app.customers",
    "product": "app.products",
    "order": "app.orders",
}

globals().update(dags_of("erpnext", "ERPNext", TABLES))
