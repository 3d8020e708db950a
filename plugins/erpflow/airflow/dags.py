"""Builds the DAG of one system and entity. A DAG file calls this and does nothing else: no I/O at parse time."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, CronDataIntervalTimetable, Param, task_group

from erpflow.airflow.freshness import freshness_deadline
from erpflow.airflow.operators import (
    ExtractOperator,
    FinishOperator,
    LoadOperator,
    MapOperator,
    PlanOperator,
    ScanOperator,
    SendOperator,
    TransformOperator,
)
from erpflow.airflow.retry import ErrorKindPolicy

MAPPINGS = Path(os.environ.get("ERPFLOW_MAPPINGS") or Path(__file__).parents[3] / "include" / "mappings")

STEP: dict[str, Any] = {"retries": 5, "retry_delay": timedelta(seconds=10), "retry_policy": ErrorKindPolicy()}

DOC = """
### {title}: {entity}

Keeps **{entity}** records of every {title} connection and `{table}` in step, by the mapping
`include/mappings/{system}/{entity}.yaml`: first what changed there, then (`push_…`) what changed here, for the
connections whose sync goes that way.

| to … | do |
|---|---|
| sync now | **Trigger**, and leave the form as it is |
| read everything again | **Trigger** with *full* |
| read a span of time | **Trigger** with *since* and *until* (UTC) |
| read the past day by day | **Backfill**: the cursor stays where it is |
| see what would happen | **Trigger** with *dry run*: nothing is written |
| sync some records | **Trigger** with *records*: the vendor's ids |
| try rejects again | **Trigger** with *rejects*: their ids; all of them are tried anyway once the mapping changes |
| apply a changed mapping to what was read | clear *transform*, or **Trigger** with *replay*: the id of a sync log |
| answer a question about many deletes | **Required Actions** of the run |
| see what failed | the failed task's log says what, why and what to do next |
| see what was rejected | the records are kept whole in `erpflow.erp_rejects`, each with its reasons |

A direction with nothing new skips its other steps.
"""

NULLABLE_MOMENT: dict[str, Any] = {"type": ["null", "string"], "format": "date-time"}


def pool_of(system: str) -> str:
    """The Airflow pool that bounds how many tasks ask a system's vendors at once."""
    return f"erpflow_{system}"


def which() -> dict[str, Param]:
    """The part of a form that says which sync configs a run is about."""
    return {
        "connection": Param(None, type=["null", "string"], title="Connection", description="Only this one; empty: all"),
        "config": Param(
            None, type=["null", "string"], title="Sync config", description="Only this one, by its id; empty: all"
        ),
    }


def params() -> dict[str, Param]:
    """The form of a sync DAG."""
    return {
        **which(),
        "full": Param(
            default=False, type="boolean", title="Full", description="Read everything, not only what changed"
        ),
        "since": Param(None, **NULLABLE_MOMENT, title="Since", description="Changed at or after, UTC"),
        "until": Param(None, **NULLABLE_MOMENT, title="Until", description="Changed before, UTC"),
        "dry_run": Param(
            default=False, type="boolean", title="Dry run", description="Count what would happen, write nothing"
        ),
        "direction": Param(
            None,
            type=["null", "string"],
            enum=[None, "pull", "push"],
            title="Direction",
            description="Only this one; empty: as configured",
        ),
        "records": Param(
            None,
            type=["null", "array"],
            items={"type": "string", "minLength": 1},
            title="Records",
            description="Only these, by the vendor's id (with direction push: by the key here)",
        ),
        "rejects": Param(
            None,
            type=["null", "array"],
            items={"type": "string", "minLength": 1},
            title="Rejects",
            description="Try just these rejects again, by their own ids",
        ),
        "replay": Param(
            None,
            type=["null", "string"],
            title="Replay",
            description="The id of a sync log: run the pages it landed through today's mapping",
        ),
        "allow_deletes": Param(
            default=False, type="boolean", title="Allow deletes", description="Do not ask about many deletes"
        ),
    }


def pushes(system: str, entity: str) -> bool:
    """Whether the shipped mapping of an entity goes to the vendor too; a file that is not there might."""
    try:
        text = (MAPPINGS / system / f"{entity}.yaml").read_text(encoding="utf-8")
    except OSError:
        return True
    return re.search(r"^direction:\s*(push|bidirectional)\b", text, flags=re.MULTILINE) is not None


def sync_dag(*, system: str, title: str, entity: str, table: str, cron: str, queue: str | None = None) -> DAG:
    """The DAG `<system>__<entity>`: plan → (extract → transform → load, then the same towards the vendor) → finish.

    The steps are mapped over the configs that are due; those towards the vendor are there if the mapping pushes.
    `cron` is the shortest sensible cadence of the system (UTC); `every` of each config decides whether it is due.
    `queue`: where the steps run that ask the vendor, for one that only workers in a customer's network can reach.
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
        deadline=freshness_deadline(),
    ) as dag:
        plan = PlanOperator(task_id="plan", system=system, entity=entity)

        @task_group(group_id="sync")
        def sync(run: dict[str, str]) -> None:
            shown: dict[str, Any] = {"run": run, "map_index_template": "{{ task.run['label'] }}"}
            asking = {**shown, "pool": pool_of(system), **({"queue": queue} if queue else {})}
            extract = ExtractOperator(task_id="extract", **asking)
            load = LoadOperator(task_id="load", table=table, **shown)
            extract >> TransformOperator(task_id="transform", **shown) >> load
            if pushes(system, entity):
                # Whatever became of the pull: a push looks at the versions of what it overwrites.
                scan = ScanOperator(task_id="push_extract", trigger_rule="all_done", **shown)
                send = SendOperator(task_id="push_load", **asking)
                load >> scan >> MapOperator(task_id="push_transform", **shown) >> send

        finish = FinishOperator(task_id="finish", runs=plan.output)
        sync.expand(run=plan.output) >> finish
    return dag
