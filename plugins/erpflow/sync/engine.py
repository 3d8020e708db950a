"""The engine with its surroundings: makes the job of a sync log, and runs it to its end in this process."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

from erpflow.connectors.base import Connector
from erpflow.errors import ErpflowError, UnsettledWrites
from erpflow.store import sync_logs
from erpflow.store.database import Database
from erpflow.store.reconciliations import Reconciliation
from erpflow.store.sync_logs import RunSummary, SyncRun
from erpflow.sync.landing import Folder
from erpflow.sync.pull import Progress, PullJob, finish, note_failure
from erpflow.sync.push import PushJob
from erpflow.sync.reconcile import ReconcileJob, finish_reconciliation
from erpflow.vocabulary import Counts, Direction, SyncLogId

OnProgress = Callable[[Progress], None]
Finish = Callable[[Database, SyncLogId], object]

SETTLINGS = 3
"""How often a pull settles what pushes leave behind that are killed while it reads."""


def _silent(_progress: Progress) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Engine:
    """What every sync needs: the database, the vendors (`connect` gives a session for a run), and two folders."""

    database: Database
    connector_class: Callable[[str], type[Connector]]
    connect: Callable[[SyncRun], AbstractContextManager[Connector]]
    landing_root: Folder
    mappings: Path

    def pull_job(self, log_id: SyncLogId) -> PullJob:
        """The job of a pull, read back from the id of its log. Raises ConfigError."""
        return PullJob.open(
            self.database,
            log_id,
            connector_class=self.connector_class,
            landing_root=self.landing_root,
            mappings=self.mappings,
        )

    def push_job(self, log_id: SyncLogId) -> PushJob:
        """The job of a push, read back from the id of its log. Raises ConfigError."""
        return PushJob.open(
            self.database,
            log_id,
            connector_class=self.connector_class,
            connect=self.connect,
            landing_root=self.landing_root,
            mappings=self.mappings,
        )

    def reconcile_job(self, log_id: SyncLogId) -> ReconcileJob:
        """The job of a reconciliation, read back from the id of its log. Raises ConfigError."""
        return ReconcileJob.open(self, log_id)

    def run(self, log_id: SyncLogId, *, on_progress: OnProgress = _silent) -> RunSummary:
        """Run one sync to its end, whatever its direction; its log tells what happened, whatever happened.

        Raises what the job raises, after it has been noted in the log.
        """
        try:
            with self.database.session() as connection:
                direction = sync_logs.load_run(connection, log_id).direction
            if direction is Direction.PUSH:
                self._push(log_id, on_progress)
            else:
                self._pull(log_id, on_progress)
        except BaseException as error:
            self._close(log_id, error)
            raise
        return finish(self.database, log_id)

    def reconcile(self, log_id: SyncLogId, *, on_progress: OnProgress = _silent) -> Reconciliation:
        """Run one reconciliation to its end, as `run` runs a sync. Raises what the job raises."""
        try:
            job = self.reconcile_job(log_id)
            job.check()
            with self.connect(job.run) as vendor:
                job.run_whole(vendor, on_progress=on_progress)
        except BaseException as error:
            self._close(log_id, error, finish=finish_reconciliation)
            raise
        return finish_reconciliation(self.database, log_id)[1]

    def _pull(self, log_id: SyncLogId, on_progress: OnProgress) -> None:
        job = self.pull_job(log_id)
        job.check()
        for rest in range(SETTLINGS, -1, -1):
            if job.run.is_two_way:  # what a killed push had created must not come as a stranger
                self.push_job(log_id).settle_open()
            try:
                with self.connect(job.run) as vendor:
                    job.run_whole(vendor, on_progress=on_progress)
                return
            except UnsettledWrites:  # a push was killed while we read
                if not rest:
                    raise

    def _push(self, log_id: SyncLogId, on_progress: OnProgress) -> None:
        job = self.push_job(log_id)
        job.check()
        progress = Progress()

        def sent(counts: Counts) -> None:
            progress.counts += counts
            progress.records = progress.counts.read
            on_progress(progress)

        job.run_whole(on_progress=sent)

    def _close(self, log_id: SyncLogId, error: BaseException, *, finish: Finish = finish) -> None:
        """Close the log with the reason. A database that is away cannot be told."""
        reason: BaseException = error
        if isinstance(error, KeyboardInterrupt):
            reason = Stopped("Stopped by a person. What was applied stays; a new run goes on with the rest.")
        with suppress(ErpflowError):
            note_failure(self.database, log_id, reason)
            finish(self.database, log_id)


class Stopped(ErpflowError):
    """Somebody pressed Ctrl-C, or sent SIGTERM."""
