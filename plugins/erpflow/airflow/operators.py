"""The steps of a sync DAG: plan → for each config extract → transform → load, and the same for its push → finish.

Tasks pass references and counts through XCom, never records. Each step can be killed at any instruction and run again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

import structlog
from airflow.sdk import Asset, AssetAlias, BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from erpflow.airflow.approval import AskingOperator
from erpflow.airflow.links import SyncLogLink
from erpflow.errors import DeletesNeedApproval, SyncsFailed
from erpflow.vocabulary import Direction, SyncConfigId, SyncLogId, SyncStatus

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk.definitions.context import Context

    from erpflow.sync.plan import RunRequest
    from erpflow.sync.pull import Progress, PullJob
    from erpflow.sync.push import PushJob

log = structlog.get_logger(__name__)

RUN_KINDS = {"scheduled": "scheduled", "backfill": "backfill"}
"""Airflow's run types that decide the window; every other (manual, asset, operator) reads like a run by hand."""

PROGRESS_EVERY = 20
"""Pages or chunks between two lines of progress in a task's log."""


class PlanOperator(BaseOperator):
    """Open the sync logs of every config that is due (or named in the params) and hand their ids on."""

    def __init__(self, *, system: str, entity: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.system = system
        self.entity = entity

    def execute(self, context: Context) -> list[dict[str, str]]:
        """One reference for each config: its `label`, and the ids of its sync logs under `pull` and `push`."""
        from erpflow.airflow.environment import database
        from erpflow.sync.plan import plan

        with database().session() as connection:
            planned = plan(
                connection, run_request(context), system=self.system, entity=self.entity, now=datetime.now(UTC)
            )
        log.info("planned", syncs=len(planned), system=self.system, entity=self.entity)
        runs: dict[str, dict[str, str]] = {}
        for run in planned:
            # By the config: two tenants may call their connections alike.
            runs.setdefault(run.config_id, {"label": run.label})[run.direction] = run.log_id
        return list(runs.values())


@contextmanager
def noting_failure(run: dict[str, str], direction: Direction) -> Iterator[SyncLogId]:
    """The log of a step; what goes wrong inside is noted in it before Airflow hears of it.

    Skips the step when the sync does not go that way.
    """
    from erpflow.airflow import environment
    from erpflow.sync.pull import note_failure

    if direction.value not in run:
        raise AirflowSkipException(f"This sync does not {direction.value}.")
    log_id = SyncLogId(run[direction.value])
    try:
        yield log_id
    except (AirflowSkipException, DeletesNeedApproval):
        raise
    except Exception as error:
        note_failure(environment.database(), log_id, error)
        raise


@contextmanager
def pull_job(run: dict[str, str]) -> Iterator[PullJob]:
    """The job of a pull, read back from the id of its log."""
    from erpflow.airflow.environment import engine

    with noting_failure(run, Direction.PULL) as log_id:
        yield engine().pull_job(log_id)


@contextmanager
def push_job(run: dict[str, str]) -> Iterator[PushJob]:
    """The job of a push, read back from the id of its log."""
    from erpflow.airflow.environment import engine

    with noting_failure(run, Direction.PUSH) as log_id:
        yield engine().push_job(log_id)


def _settle_pushes(run: dict[str, str]) -> None:
    """Look up what killed pushes left behind: what they had created must not come as a stranger."""
    if Direction.PUSH.value in run:
        with push_job(run) as push:
            push.settle_open()


class SyncStepOperator(BaseOperator):
    """One step of one sync. `run` is a reference of `PlanOperator`; a failure is kept in its sync log."""

    template_fields: Sequence[str] = ("run",)
    operator_extra_links = (SyncLogLink(),)

    def __init__(self, *, run: dict[str, str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.run = run


class ExtractOperator(SyncStepOperator):
    """Ask the vendor for the pages of the window and land them. Nothing new: the rest of the sync is skipped."""

    def execute(self, context: Context) -> dict[str, int]:
        """How many pages and records landed."""
        from erpflow.airflow.environment import connector_for

        with pull_job(self.run) as job:
            job.check()
            _settle_pushes(self.run)
            with connector_for(job.run, job.database) as connector:
                extracted = job.extract(connector, on_progress=report_progress("extracting"))
            if job.is_empty(extracted):
                raise AirflowSkipException("Nothing changed at the vendor in this window.")
        return {"pages": extracted.pages, "records": extracted.records}


class TransformOperator(SyncStepOperator):
    """Landed pages into chunks: unchanged records dropped unparsed, the rest mapped, what cannot be is a reject."""

    def execute(self, context: Context) -> dict[str, int]:
        """How many chunks there are to load."""
        with pull_job(self.run) as job:
            return {"chunks": job.transform()}


class TellsLineage:
    """A step that tells what it read and wrote, column by column. Only the OpenLineage provider calls it."""

    direction: ClassVar[Direction]
    run: dict[str, str]

    def get_openlineage_facets_on_complete(self, _task_instance: Any) -> OperatorLineage[Any, Any] | None:
        """The data sets and counts of the sync log; None when the sync does not go this way."""
        return self._lineage(failed=False)

    def get_openlineage_facets_on_failure(self, _task_instance: Any) -> OperatorLineage[Any, Any] | None:
        """The same of what was applied before it failed, and why it did."""
        return self._lineage(failed=True)

    def _lineage(self, *, failed: bool) -> OperatorLineage[Any, Any] | None:
        if self.direction.value not in self.run:
            return None
        from erpflow.airflow.lineage import lineage_of_run

        return lineage_of_run(SyncLogId(self.run[self.direction.value]), failed=failed)


class LoadOperator(TellsLineage, AskingOperator):
    """Apply the chunks, each in one transaction with its counts and the cursor, then the vendor's deletes.

    Then tell who waits for the table. Many deletes are asked about first.
    """

    direction = Direction.PULL
    template_fields: Sequence[str] = ("run",)
    operator_extra_links = (SyncLogLink(),)

    def __init__(self, *, run: dict[str, str], table: str, **kwargs: Any) -> None:
        super().__init__(outlets=[AssetAlias(loaded_alias(table))], **kwargs)
        self.run = run
        self.table = table

    def apply(self, context: Context, *, deletes: bool | None) -> dict[str, int]:
        """What became of the records."""
        with pull_job(self.run) as job:
            _settle_pushes(self.run)
            counts = job.answered(deletes).load(on_progress=report_progress("loading"))
        log.info("loaded", table=self.table, sync_log=self.run["pull"], **asdict(counts))
        changed = counts.created + counts.updated + counts.deleted + counts.conflict
        if changed and not job.run.dry_run:
            context["outlet_events"][AssetAlias(loaded_alias(self.table))].add(
                table_asset(self.table), extra={"sync_log": self.run["pull"], **asdict(counts)}
            )
        return asdict(counts)


class ScanOperator(SyncStepOperator):
    """Find the rows that changed here since both sides agreed. None: the rest of the push is skipped."""

    def execute(self, context: Context) -> dict[str, int]:
        """How many rows are new, changed and gone."""
        with push_job(self.run) as job:
            job.check()
            scanned = job.extract()
            if job.is_idle(scanned):
                raise AirflowSkipException("Nothing changed here since both sides agreed.")
        return {"created": scanned.creates, "updated": scanned.updates, "deleted": scanned.deletes}


class MapOperator(SyncStepOperator):
    """Changed rows into the vendor's shape, and only what changed of them; what cannot be is a reject."""

    def execute(self, context: Context) -> dict[str, int]:
        """How many batches there are to send."""
        with push_job(self.run) as job:
            return {"batches": job.transform()}


class SendOperator(TellsLineage, AskingOperator):
    """Send the batches, each attempt recorded before it leaves. Many deletes are asked about first."""

    direction = Direction.PUSH
    template_fields: Sequence[str] = ("run",)
    operator_extra_links = (SyncLogLink(),)

    def __init__(self, *, run: dict[str, str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.run = run

    def apply(self, context: Context, *, deletes: bool | None) -> dict[str, int]:
        """What became of the rows."""
        with push_job(self.run) as job:
            counts = job.answered(deletes).load()
        log.info("pushed", sync_log=self.run["push"], **asdict(counts))
        return asdict(counts)


class FinishOperator(BaseOperator):
    """Close every sync log of the run. Always runs; fails when a sync failed, so that the DAG run shows it."""

    template_fields: Sequence[str] = ("runs",)

    def __init__(self, *, runs: Any, **kwargs: Any) -> None:
        super().__init__(trigger_rule="all_done", **kwargs)
        self.runs = runs

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """The counts of each sync."""
        from erpflow.airflow.environment import database
        from erpflow.airflow.watch import tell_after_run
        from erpflow.sync.pull import finish

        if self.runs is None:
            raise SyncsFailed("plan did not finish: see its log. No sync was started.")
        db = database()
        logs = [run[way.value] for run in self.runs for way in (Direction.PULL, Direction.PUSH) if way.value in run]
        summaries = [finish(db, SyncLogId(log_id)) for log_id in logs]
        for summary in summaries:
            log.info(
                "sync_finished",
                connection=summary.connection,
                direction=summary.direction,
                status=summary.status,
                **asdict(summary.counts),
            )
        tell_after_run([{"log_id": log_id} for log_id in logs])
        failed = [summary for summary in summaries if summary.status is SyncStatus.FAILED]
        if failed:
            reasons = "\n".join(
                f"  {summary.connection} {summary.entity} ({summary.direction}): {summary.error}" for summary in failed
            )
            raise SyncsFailed(f"{len(failed)} of {len(summaries)} syncs failed:\n{reasons}")
        return [
            {
                "connection": summary.connection,
                "direction": summary.direction,
                "status": summary.status.value,
                **asdict(summary.counts),
            }
            for summary in summaries
        ]


def loaded_alias(table: str) -> str:
    """The alias under which a load announces the table it changed."""
    return f"loaded {table}"


def table_asset(table: str) -> Asset:
    """The asset of a local table: `app.customers` is erpflow://app/customers."""
    return Asset(name=table, uri=f"erpflow://{table.replace('.', '/', 1)}")


def run_request(context: Context) -> RunRequest:
    """What the DAG run asks for: its params, and its data interval where it has one.

    A run triggered by hand or by REST without a logical date has no interval at all; its keys are not in the context.
    """
    from erpflow.sync.plan import RunRequest

    params, dag_run = context["params"], context["dag_run"]
    start, end = context.get("data_interval_start"), context.get("data_interval_end")
    kind = RUN_KINDS.get(getattr(dag_run.run_type, "value", dag_run.run_type), "manual")
    task_instance = context["ti"]
    clear_number = getattr(dag_run, "clear_number", 0) or 0
    return RunRequest(
        kind=kind,
        connection=params.get("connection") or None,
        config_id=SyncConfigId(params["config"]) if params.get("config") else None,
        full=bool(params.get("full")),
        since=_moment(params.get("since")),
        until=_moment(params.get("until")),
        dry_run=bool(params.get("dry_run")),
        interval=(start, end) if start is not None and end is not None else None,
        dag_id=dag_run.dag_id,
        dag_run_id=dag_run.run_id,
        attempt_key=f"{dag_run.dag_id}/{dag_run.run_id}/{clear_number}",
        triggered_by=getattr(dag_run, "triggering_user_name", None) or f"airflow:{task_instance.task_id}",
        cleared=clear_number > 0,
        direction=Direction(params["direction"]) if params.get("direction") else None,
        record_ids=tuple(params.get("records") or ()),
        allow_deletes=bool(params.get("allow_deletes")),
        reject_ids=tuple(params.get("rejects") or ()),
        replay=SyncLogId(params["replay"]) if params.get("replay") else None,
    )


def _moment(value: str | datetime | None) -> datetime | None:
    """A date-time param as an aware datetime; without an offset it is UTC."""
    if not value:
        return None
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def report_progress(what: str) -> Any:
    """A progress callback that writes a line now and then."""
    calls = 0

    def report(progress: Progress) -> None:
        nonlocal calls
        calls += 1
        if calls % PROGRESS_EVERY == 0:
            log.info(what, pages=progress.pages, records=progress.records, **asdict(progress.counts))

    return report
