"""Forgets what nobody needs any more: when, and for how many days each kind is kept (None: for ever)."""

from __future__ import annotations

from erpflow.airflow.housekeeping import retention_dag

dag = retention_dag(
    cron="30 2 * * *",
    days={
        "landing": 14,
        "history": 365,
        "attempts": 90,
        "rejects": 180,
        "conflicts": 180,
        "events": 30,
        "deliveries": 30,
        "messages": 365,
        "stream": 1,
        "logs": 180,
    },
)
