"""Tells other programs what happened, by webhook: how often what is due is sent."""

from __future__ import annotations

from erpflow.airflow.outgoing import outgoing_dag

dag = outgoing_dag(cron="* * * * *")
