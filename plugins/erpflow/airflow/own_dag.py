"""What the DAGs share that sync nothing: they look after what the syncs need."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from airflow.sdk import DAG

from erpflow.airflow.retry import ErrorKindPolicy

SINCE: Final = datetime(2020, 1, 1, tzinfo=UTC)


def own_dag(
    dag_id: str,
    *,
    cron: str,
    doc: str,
    retries: int = 0,
    retry_delay: timedelta = timedelta(minutes=1),
    **options: Any,
) -> DAG:
    """A DAG of one run at a time, which makes up for no run that was missed: each does all there is to do.

    `options`: more of Airflow's own.
    """
    return DAG(
        dag_id=dag_id,
        schedule=cron,
        start_date=SINCE,
        catchup=False,
        max_active_runs=1,
        tags=["erpflow"],
        doc_md=doc,
        default_args={"retries": retries, "retry_delay": retry_delay, "retry_policy": ErrorKindPolicy()},
        **options,
    )
