"""Renews webhooks before their vendors forget them: how often it looks."""

from __future__ import annotations

from erpflow.airflow.webhook_renewal import renewal_dag

dag = renewal_dag(cron="17 */6 * * *")
