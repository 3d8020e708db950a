"""Metakocka: what is synced."""

from __future__ import annotations

from erpflow.airflow.in_order import in_order_dag
from erpflow.airflow.systems import dags_of

# What a record refers to comes before it: a document without its partner or products waits among the rejects.
TABLES = {
    "contact": "app.customers",
    "product": "app.products",
    "inventory": "app.stock",
    "document": "app.invoices",
}

globals().update(dags_of("metakocka", "Metakocka", TABLES))
metakocka__documents = in_order_dag(
    system="metakocka", title="Metakocka", entities=["contact", "product", "document"], name="documents"
)
