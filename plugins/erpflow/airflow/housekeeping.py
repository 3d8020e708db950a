"""The DAG that forgets what nobody needs any more: a task per kind, so that one that fails holds up no other."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import structlog
from airflow.sdk import DAG, BaseOperator, Param
from airflow.sdk.exceptions import AirflowSkipException

from erpflow.airflow.own_dag import own_dag

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import ObjectStoragePath
    from airflow.sdk.definitions.context import Context

    from erpflow.sync.landing import Folder

log = structlog.get_logger(__name__)

DAG_ID = "erpflow__retention"

DOC = """
### Forget what nobody needs any more

Each kind is kept for so many days, then removed in small batches. Nothing is removed that is open, running, the newest
of its sync, or referred to. Without a number a kind is kept for ever.

To see first: unpause (which removes nothing before the next night) and **Trigger** with *dry run*; each task's XCom
says what it would remove. The days of the daily run are in `dags/erpflow_retention.py`.
"""

MISSED_AFTER = timedelta(hours=1)
"""A scheduled run that starts so late is skipped: Airflow starts the night before's as soon as a DAG is unpaused."""

WHAT = {
    "landing": ("Landed pages", "The raw pages of a sync; without them its transform cannot be cleared"),
    "history": ("Record history", "Every change of every record"),
    "attempts": ("Push attempts", "Writes to a vendor whose outcome is known"),
    "rejects": ("Rejects", "Resolved or discarded, with the payloads they had"),
    "conflicts": ("Conflicts", "Resolved"),
    "events": ("Webhook events", "Processed"),
    "deliveries": ("Outgoing messages", "Delivered, or given up"),
    "messages": ("Mail, SMS, WhatsApp", "What became of each; unknown ones stay, and with a row its key is forgotten"),
    "stream": ("Event stream", "What was told to those who follow; they resume without a gap for as long"),
    "logs": ("Sync logs", "That nothing refers to; the newest of each sync stays"),
}
"""The kinds in the order of their tasks: logs last, when what refers to them has gone."""


class PurgeOperator(BaseOperator):
    """Remove what is older than the days that the run's params give for `kind`."""

    def __init__(self, *, kind: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kind = kind

    def execute(self, context: Context) -> dict[str, Any]:
        """How many folders or rows were removed, or would have been. Skipped when it is kept for ever, or too late."""
        from erpflow.airflow.environment import database, landing_root
        from erpflow.services.retention import Kept, LandingArea, purge

        _skip_when_missed(context)
        days, dry_run = context["params"][f"{self.kind}_days"], bool(context["params"]["dry_run"])
        if days is None:
            raise AirflowSkipException(f"Kept for ever: {WHAT[self.kind][0].lower()}.")
        done = purge(
            database(),
            Kept(self.kind),
            days=int(days),
            landing=LandingArea(landing_root(), remove_folder),
            dry_run=dry_run,
        )
        log.info("purged", kind=self.kind, before=done.before, removed=done.removed, dry_run=dry_run)
        return {
            "kind": self.kind,
            "before": done.before.isoformat(),
            "removed": done.removed,
            "elsewhere": done.elsewhere,
            "dry_run": dry_run,
        }


def retention_dag(*, cron: str, days: Mapping[str, int | None]) -> DAG:
    """The DAG `erpflow__retention`. `days`: for how long each kind is kept; None is for ever."""
    params = {
        f"{kind}_days": Param(
            days[kind], type=["null", "integer"], minimum=1, title=title, description=f"{text}. Days; empty: for ever"
        )
        for kind, (title, text) in WHAT.items()
    }
    params["dry_run"] = Param(default=False, type="boolean", title="Dry run", description="Count, remove nothing")
    with own_dag(DAG_ID, cron=cron, doc=DOC, retries=3, max_active_tasks=1, params=params) as dag:
        # Side by side and not in a chain: a run whose last task succeeds counts as a success, whatever failed before.
        for place, kind in enumerate(WHAT):
            PurgeOperator(task_id=kind, kind=kind, priority_weight=len(WHAT) - place)
    return dag


def _skip_when_missed(context: Context) -> None:
    run = context["dag_run"]
    due = run.run_after
    if getattr(run.run_type, "value", run.run_type) == "scheduled" and datetime.now(UTC) - due > MISSED_AFTER:
        raise AirflowSkipException(
            f"This run was due {due:%Y-%m-%d %H:%M}Z and comes too late: the next one removes. To remove now: Trigger."
        )


def remove_folder(folder: Folder) -> None:
    """Remove a folder of the landing area with everything in it; one that is gone already is no matter."""
    place = cast("ObjectStoragePath", folder)
    with suppress(FileNotFoundError):
        place.fs.rm(place.path, recursive=True)
