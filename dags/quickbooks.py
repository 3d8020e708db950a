"""QuickBooks Online: what is synced."""

from __future__ import annotations

from erpflow.airflow.systems import dags_of

TABLES = {
    "customer": "app.customers",
    "product": "app.products",
    "invoice": "app.invoices",
    "payment": "app.payments",
    # Two kinds of QuickBooks' documents: sales receipts, and estimates.
    "order": "app.orders",
    "estimate": "app.orders",
}

globals().update(dags_of("quickbooks", "QuickBooks Online", TABLES))
