"""Tells people what needs them: how often it looks."""

from __future__ import annotations

from erpflow.airflow.watch import watch_dag

dag = watch_dag(cron="*/5 * * * *")
