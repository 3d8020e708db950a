"""SAP Business One: what is synced."""

from __future__ import annotations

from erpflow.airflow.systems import dags_of

TABLES = {
    "customer": "app.customers",
    "contact": "app.contacts",
    "product": "app.products",
    "order": "app.orders",
    "invoice": "app.invoices",
    "payment": "app.payments",
}

globals().update(dags_of("sap_b1", "SAP Business One", TABLES))
