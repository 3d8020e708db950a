"""The button on a task that leads to its sync log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk.types import TaskInstanceKey


class SyncLogLink(BaseOperatorLink):
    """From a step of a sync to the page of its sync log, inside the Airflow UI."""

    name = "Sync log"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        """The address of the log; empty until `plan` has opened it."""
        run = getattr(operator, "run", None)
        direction = "push" if str(operator.task_id).rpartition(".")[2].startswith("push_") else "pull"
        log_id = run.get("reconcile", run.get(direction)) if isinstance(run, dict) else None
        return f"/api/erp/sync-logs/{log_id}" if log_id else ""
