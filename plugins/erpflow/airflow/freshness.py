"""Airflow's own deadline for a run of a sync DAG: told by the triggerer, also when no worker is free to tell."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog
from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

if TYPE_CHECKING:
    from erpflow.services.notifications.tell import Telling

log = structlog.get_logger(__name__)

WITHIN = timedelta(hours=1)


def freshness_deadline(*, within: timedelta = WITHIN) -> DeadlineAlert:
    """For `DAG(deadline=…)`: a run that has not ended so long after it was queued is told as late.

    The watch finds what is stale in the tables, but it is a task itself: where the workers are stuck or all taken, it
    does not run. The scheduler notices a missed deadline and the triggerer tells it, without a worker.
    """
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=within,
        callback=AsyncCallback(run_is_late, kwargs={"within_s": within.total_seconds()}),
        name="fresh",
    )


async def run_is_late(*, context: dict[str, Any], within_s: float) -> None:
    """Tell that a run is late. Airflow's triggerer calls it with the DAG run as its REST API shows it.

    In a thread of its own: the triggerer has one loop for everybody, and mail servers and databases are slow.
    """
    run = context["dag_run"]
    queued_at = datetime.fromisoformat(run["queued_at"] or run["run_after"])
    told = await asyncio.to_thread(
        _tell,
        dag_id=run["dag_id"],
        dag_run_id=run["dag_run_id"],
        queued_at=queued_at.astimezone(UTC),
        within=timedelta(seconds=within_s),
    )
    log.info("late_run_told", dag_id=run["dag_id"], sent=told.sent, failed=told.failed, unheard=told.unheard)


def _tell(*, dag_id: str, dag_run_id: str, queued_at: datetime, within: timedelta) -> Telling:
    from erpflow.airflow import notify
    from erpflow.airflow.environment import database
    from erpflow.services.notifications.causes import late_run
    from erpflow.services.notifications.tell import tell_one

    settings = notify.notification_settings()
    cause = late_run(dag_id=dag_id, dag_run_id=dag_run_id, queued_at=queued_at, within=within, now=datetime.now(UTC))
    return tell_one(
        database(),
        cause,
        settings=settings,
        channels=partial(notify.channels_of, settings),
        base_url=notify.base_url(),
    )
