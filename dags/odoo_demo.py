"""Odoo (JSON-RPC), which `include/connectors/odoo_demo.yaml` declares: what is synced."""

from __future__ import annotations

from erpflow.airflow.systems import dags_of

# What an order refers to comes before it.
TABLES = {
    "customer": "app.customers",
    "product": "app.products",
    "order": "app.orders",
}

globals().update(dags_of("odoo_demo", "Odoo (JSON-RPC)", TABLES))
