"""The DAGs of a system. A DAG file calls this and does nothing else: no I/O at parse time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from airflow.sdk import DAG

from erpflow.airflow.dags import sync_dag
from erpflow.airflow.reconciling import reconcile_dag

LOOK: Final = "*/5 * * * *"
COMPARE: Final = "0 3 * * 0"


def dags_of(
    system: str, title: str, tables: Mapping[str, str], *, cron: str = LOOK, queue: str | None = None
) -> dict[str, DAG]:
    """By id: for each entity one DAG that syncs it with its table here, and one that compares both sides weekly.

    `cron`: how often (UTC) a DAG looks whether a sync is due; `every` of each config decides. `queue`: where the
    steps run that ask the vendor, for one that only workers in a customer's network can reach.
    """
    dags = [
        dag
        for entity, table in tables.items()
        for dag in (
            sync_dag(system=system, title=title, entity=entity, table=table, cron=cron, queue=queue),
            reconcile_dag(system=system, title=title, entity=entity, table=table, cron=COMPARE, queue=queue),
        )
    ]
    return {dag.dag_id: dag for dag in dags}
