"""The DAG that compares both sides of an entity: plan → for each config extract → compare → repair → finish.

Tasks pass references and counts through XCom, never records. Each step can be killed at any instruction and run again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import structlog
from airflow.sdk import DAG, BaseOperator, CronDataIntervalTimetable, Param, task_group
from airflow.sdk.exceptions import AirflowSkipException

from erpflow.airflow.approval import AskingOperator
from erpflow.airflow.dags import STEP, pool_of, which
from erpflow.airflow.links import SyncLogLink
from erpflow.airflow.operators import SyncStepOperator, report_progress, run_request
from erpflow.errors import DeletesNeedApproval, SyncsFailed
from erpflow.vocabulary import REPAIRABLE, FindingKind, SyncLogId, SyncStatus

if TYPE_CHECKING:
    from airflow.sdk.definitions.context import Context

    from erpflow.sync.reconcile import ReconcileJob

log = structlog.get_logger(__name__)

DOC = """
### {title}: {entity}, both sides compared

Reads every **{entity}** record of every {title} connection, compares it with `{table}` by the mapping
`include/mappings/{system}/{entity}.yaml`, and names what is missing, extra, different or there twice. Once a week, and
whenever it is triggered. Without *repair* nothing is written on either side.

| to … | do |
|---|---|
| compare now | **Trigger**, and leave the form as it is |
| repair what is found | **Trigger** with *repair*; *kinds* says which of it |
| see what was found | the XCom of `finish` has the numbers, `erpflow.erp_reconciliation_findings` the first 10,000 |
| see all of it | the report, a CSV in the landing area: `erpflow.erp_reconciliations` says where |
| answer a question about many deletes | **Required Actions** of the run |
"""

ALL_KINDS = tuple(FindingKind)


class PlanReconciliationsOperator(BaseOperator):
    """Open a sync log for every active config, or that of the connection in the params."""

    def __init__(self, *, system: str, entity: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.system = system
        self.entity = entity

    def execute(self, context: Context) -> list[dict[str, str]]:
        """One reference for each config: its `label`, and the id of its sync log under `reconcile`."""
        from erpflow.airflow.environment import database
        from erpflow.sync.reconcile import plan_reconciliations

        params = context["params"]
        kinds = [FindingKind(kind) for kind in params.get("kinds") or ALL_KINDS]
        with database().session() as connection:
            planned = plan_reconciliations(
                connection,
                run_request(context),
                system=self.system,
                entity=self.entity,
                repairs=kinds if params.get("repair") else (),
            )
        log.info("planned", reconciliations=len(planned), system=self.system, entity=self.entity)
        return [{"label": run.label, "reconcile": run.log_id} for run in planned]


@contextmanager
def reconcile_job(run: dict[str, str]) -> Iterator[ReconcileJob]:
    """The job of a reconciliation; what goes wrong inside is noted in its log before Airflow hears of it."""
    from erpflow.airflow import environment
    from erpflow.sync.pull import note_failure

    log_id = SyncLogId(run["reconcile"])
    try:
        yield environment.engine().reconcile_job(log_id)
    except (AirflowSkipException, DeletesNeedApproval):
        raise
    except Exception as error:
        note_failure(environment.database(), log_id, error)
        raise


class ReadEverythingOperator(SyncStepOperator):
    """Ask the vendor for every record and land the pages."""

    def execute(self, context: Context) -> dict[str, int]:
        """How many pages and records landed."""
        from erpflow.airflow.environment import connector_for

        with reconcile_job(self.run) as job:
            job.check()
            with connector_for(job.run, job.engine.database) as vendor:
                extracted = job.extract(vendor, on_progress=report_progress("extracting"))
        return {"pages": extracted.pages, "records": extracted.records}


class CompareOperator(SyncStepOperator):
    """Compare what landed with ties and rows, and write the report."""

    def execute(self, context: Context) -> dict[str, int]:
        """How many findings of each kind."""
        with reconcile_job(self.run) as job:
            done = job.compare()
        log.info("report_written", report=done.report)
        return _counts(done.found)


class RepairOperator(AskingOperator):
    """Repair what was found, if that was asked for. Many deletes are asked about first."""

    template_fields: Sequence[str] = ("run",)
    operator_extra_links = (SyncLogLink(),)

    def __init__(self, *, run: dict[str, str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.run = run

    def apply(self, context: Context, *, deletes: bool | None) -> dict[str, int]:
        """How many findings of each kind are no more."""
        if not context["params"].get("repair"):
            raise AirflowSkipException("Nobody asked for a repair.")
        with reconcile_job(self.run) as job:
            return _counts(job.answered(deletes).repair().repaired)


class FinishReconciliationsOperator(BaseOperator):
    """Close every reconciliation of the run. Always runs; fails when one failed, so that the DAG run shows it."""

    template_fields: Sequence[str] = ("runs",)

    def __init__(self, *, runs: Any, **kwargs: Any) -> None:
        super().__init__(trigger_rule="all_done", **kwargs)
        self.runs = runs

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """What each found and repaired."""
        from erpflow.airflow.environment import database
        from erpflow.sync.reconcile import finish_reconciliation

        if self.runs is None:
            raise SyncsFailed("plan did not finish: see its log. Nothing was compared.")
        ended = [finish_reconciliation(database(), SyncLogId(run["reconcile"])) for run in self.runs]
        for summary, done in ended:
            say = log.warning if done.left else log.info
            say("reconciled", connection=summary.connection, status=done.status, left=done.left, report=done.report)
        failed = [summary for summary, _ in ended if summary.status is SyncStatus.FAILED]
        if failed:
            reasons = "\n".join(f"  {summary.connection} {summary.entity}: {summary.error}" for summary in failed)
            raise SyncsFailed(f"{len(failed)} of {len(ended)} reconciliations failed:\n{reasons}")
        return [
            {
                "connection": summary.connection,
                "status": done.status,
                "read": summary.counts.read,
                "found": _counts(done.found),
                "repaired": _counts(done.repaired),
            }
            for summary, done in ended
        ]


def params() -> dict[str, Param]:
    """The form of a reconciliation."""
    return {
        **which(),
        "repair": Param(
            default=False,
            type="boolean",
            title="Repair",
            description="Mend what is found; without it nothing is written",
        ),
        "kinds": Param(
            None,
            type=["null", "array"],
            items={"type": "string", "enum": [kind.value for kind in REPAIRABLE]},
            title="Kinds",
            description="Repair only these; empty: all that can be",
        ),
        "allow_deletes": Param(
            default=False, type="boolean", title="Allow deletes", description="Do not ask about many deletes"
        ),
    }


def reconcile_dag(*, system: str, title: str, entity: str, table: str, cron: str, queue: str | None = None) -> DAG:
    """The DAG `<system>__<entity>__reconcile`; its steps are mapped over the configs of the entity.

    `cron` (UTC) is slow: it reads everything the vendor has.
    """
    with DAG(
        dag_id=f"{system}__{entity}__reconcile",
        schedule=CronDataIntervalTimetable(cron, timezone="UTC"),
        start_date=datetime(2020, 1, 1, tzinfo=UTC),
        catchup=False,
        max_active_runs=1,
        params=params(),
        tags=["erpflow", system, entity, "reconcile"],
        doc_md=DOC.format(system=system, title=title, entity=entity, table=table),
        default_args=STEP,
        render_template_as_native_obj=True,
    ) as dag:
        plan = PlanReconciliationsOperator(task_id="plan", system=system, entity=entity)

        @task_group(group_id="reconcile")
        def reconcile(run: dict[str, str]) -> None:
            shown: dict[str, Any] = {"run": run, "map_index_template": "{{ task.run['label'] }}"}
            asking = {**shown, "pool": pool_of(system), **({"queue": queue} if queue else {})}
            extract = ReadEverythingOperator(task_id="extract", **asking)
            extract >> CompareOperator(task_id="compare", **shown) >> RepairOperator(task_id="repair", **asking)

        finish = FinishReconciliationsOperator(task_id="finish", runs=plan.output)
        reconcile.expand(run=plan.output) >> finish
    return dag


def _counts(by_kind: Mapping[FindingKind, int]) -> dict[str, int]:
    """Numbers of findings as XCom takes them."""
    return {kind.value: number for kind, number in by_kind.items()}
