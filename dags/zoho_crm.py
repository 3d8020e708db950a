"""Zoho CRM: what is synced."""

from __future__ import annotations

from erpflow.airflow.systems import dags_of

TABLES = {
    "customer": "app.customers",
    "contact": "app.contacts",
    "lead": "app.customers",
    "product": "app.products",
    "deal": "app.deals",
    "order": "app.orders",
    "invoice": "app.invoices",
}

globals().update(dags_of("zoho_crm", "Zoho CRM", TABLES))
