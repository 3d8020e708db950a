"""Applies what vendors' webhooks have told: how often it looks by itself. A webhook that comes in wakes it at once."""

from __future__ import annotations

from erpflow.airflow.webhooks import webhooks_dag

dag = webhooks_dag(cron="* * * * *")
