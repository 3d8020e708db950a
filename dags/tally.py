"""Tally: what is synced."""

from __future__ import annotations

import os

from erpflow.airflow.systems import dags_of

TABLES = {
    "customer": "app.customers",
    "product": "app.products",
    "order": "app.orders",
    "invoice": "app.invoices",
    "payment": "app.payments",
}

# The workers that reach Tally, in the network of whoever runs it; empty: all workers do.
QUEUE = os.environ.get("ERPFLOW_TALLY_QUEUE")

globals().update(dags_of("tally", "Tally", TABLES, queue=QUEUE))
