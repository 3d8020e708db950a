"""Builds the DAG of one system and entity. A DAG file calls this and does nothing else: no I/O at parse time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, CronDataIntervalTimetable, Param, task_group

from erpflow.airflow.operators import (
    ExtractOperator,
    FinishOperator,
    LoadOperator,
    PlanOperator,
    TransformOperator,
)
from erpflow.airflow.retry import ErrorKindPolicy

STEP: dict[str, Any] = {"retries": 5, "retry_delay": timedelta(seconds=10), "retry_policy": ErrorKindPolicy()}

DOC = """
### {title}: {entity}

Reads **{entity}** records of every {title} connection into `{table}`, by the mapping
`include/mappings/{system}/{entity}.yaml`.

| to … | do |
|---|---|
| sync now | **Trigger**, and leave the form as it is |
| read everything again | **Trigger** with *full* |
| read a span of time | **Trigger** with *since* and *until* (UTC) |
| read the past day by day | **Backfill**: the cursor stays where it is |
| see what would happen | **Trigger** with *dry run*: nothing is written |
| see what failed | the failed task's log says what, why and what to do next |
| see what was rejected | the records are kept whole in `erpflow.erp_rejects`, each with its reasons |

A run with nothing new skips transform and load.
"""

NULLABLE_MOMENT: dict[str, Any] = {"type": ["null", "string"], "format": "date-time"}


def pool_of(system: str) -> str:
    """The Airflow pool that bounds how many tasks ask a system's vendors at once."""
    return f"erpflow_{system}"


def params() -> dict[str, Param]:
    """The form of a sync DAG."""
    return {
        "connection": Param(None, type=["null", "string"], title="Connection", description="Only this one; empty: all"),
        "full": Param(
            default=False, type="boolean", title="Full", description="Read everything, not only what changed"
        ),
        "since": Param(None, **NULLABLE_MOMENT, title="Since", description="Changed at or after, UTC"),
        "until": Param(None, **NULLABLE_MOMENT, title="Until", description="Changed before, UTC"),
        "dry_run": Param(
            default=False, type="boolean", title="Dry run", description="Count what would happen, write nothing"
        ),
    }


def sync_dag(*, system: str, title: str, entity: str, table: str, cron: str) -> DAG:
    """The DAG `<system>__<entity>`: plan → (extract → transform → load) for each config → finish.

    `cron` is the shortest sensible cadence of the system (UTC); `every` of each config decides whether it is due.
    """
    with DAG(
        dag_id=f"{system}__{entity}",
        schedule=CronDataIntervalTimetable(cron, timezone="UTC"),
        start_date=datetime(2020, 1, 1, tzinfo=UTC),
        catchup=False,
        max_active_runs=4,
        params=params(),
        tags=["erpflow", system, entity],
        doc_md=DOC.format(system=system, title=title, entity=entity, table=table),
        default_args=STEP,
        render_template_as_native_obj=True,
    ) as dag:
        plan = PlanOperator(task_id="plan", system=system, entity=entity)

        @task_group(group_id="sync")
        def sync(run: dict[str, str]) -> None:
            label = "{{ task.run['label'] }}"
            extract = ExtractOperator(task_id="extract", run=run, pool=pool_of(system), map_index_template=label)
            transform = TransformOperator(task_id="transform", run=run, map_index_template=label)
            load = LoadOperator(task_id="load", run=run, table=table, map_index_template=label)
            extract >> transform >> load

        finish = FinishOperator(task_id="finish", runs=plan.output)
        sync.expand(run=plan.output) >> finish
    return dag
