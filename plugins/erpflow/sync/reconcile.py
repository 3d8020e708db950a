"""Reconcile: both sides of a sync config read whole and compared; what is missing, extra, different or there twice.

Step by step for Airflow's tasks, or all at once. It moves no cursor and writes no row: a repair, where one is asked
for, is the engine's own pulls and pushes of single records, each with a sync log of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog

from erpflow.connectors.base import Connector
from erpflow.errors import ConfigError
from erpflow.store import attempts, reconciliations, sync_logs
from erpflow.store.comparing import Comparer
from erpflow.store.database import Database
from erpflow.store.pull import Connection
from erpflow.store.reconciliations import KEPT, Reconciliation
from erpflow.store.sync_logs import OpenRequest, RunSummary, SyncRun
from erpflow.sync.compare import Comparison, Subject
from erpflow.sync.extract import OnPage, extract, reader
from erpflow.sync.findings import Finding, FindingsLanding, finding
from erpflow.sync.landing import Extracted, Landing
from erpflow.sync.plan import PlannedRun, RunRequest, named_candidates
from erpflow.sync.pull import Progress, finish
from erpflow.sync.repair import Repairer
from erpflow.vocabulary import Direction, FindingKind, SyncLogId, Window

if TYPE_CHECKING:
    from erpflow.sync.engine import Engine, OnProgress

log = structlog.get_logger(__name__)

KIND = "reconcile"
COMPARED, REPAIRED = 1, 2
"""The steps of a reconciliation, as its log counts them."""

BATCH = 500
"""Findings written to the table at once."""


def _silent(_progress: Progress) -> None:
    return None


def plan_reconciliations(
    connection: Connection,
    request: RunRequest,
    *,
    system: str,
    entity: str,
    repairs: Sequence[FindingKind] = (),
) -> list[PlannedRun]:
    """Open a sync log for every active config of an entity, or of the connection that the request names.

    `repairs`: the kinds of findings to repair. Raises ConfigError for a connection that there is not, or that is off.
    """
    planned = []
    for candidate in named_candidates(connection, request, system=system, entity=entity):
        if not candidate.is_active:
            continue
        with connection.transaction():
            log_id = sync_logs.open_log(
                connection,
                candidate.config_id,
                OpenRequest(
                    kind=KIND,
                    window=Window(),
                    dag_id=request.dag_id,
                    dag_run_id=request.dag_run_id,
                    attempt_key=request.attempt_key,
                    triggered_by=request.triggered_by,
                    direction=Direction.BIDIRECTIONAL,
                    allow_deletes=request.allow_deletes,
                ),
            )
            reconciliations.open_reconciliation(connection, log_id, repairs)
        planned.append(PlannedRun(log_id, f"{candidate.connection} {entity}", KIND, candidate.config_id))
    return planned


def finish_reconciliation(database: Database, log_id: SyncLogId) -> tuple[RunSummary, Reconciliation]:
    """Close the log and the reconciliation: failed, clean, or with findings that are left."""
    with database.session() as connection, connection.transaction():
        summary = sync_logs.close(connection, log_id)
        return summary, reconciliations.finish(connection, log_id)


@dataclass(frozen=True, slots=True)
class ReconcileJob:
    """Everything one reconciliation needs, read back from the id of its log: any task, on any worker, can build it."""

    engine: Engine
    run: SyncRun
    connector: type[Connector]
    landing: Landing

    @classmethod
    def open(cls, engine: Engine, log_id: SyncLogId) -> ReconcileJob:
        """Read the run back and open its landing folder. A failure that an earlier try left in the log is cleared."""
        with engine.database.session() as connection:
            sync_logs.reopen(connection, log_id)
            run = sync_logs.load_run(connection, log_id)
            folder = engine.landing_root / run.system / run.entity / run.log_id
            sync_logs.note_pages(connection, log_id, pages=0, landing=str(folder))
        return cls(engine, run, engine.connector_class(run.system), Landing(folder).open())

    def answered(self, deletes: bool | None) -> ReconcileJob:  # noqa: FBT001  (three answers: yes, no, not asked)
        """The same job after a person has said whether the deletes it asked about are right; None: nobody was asked."""
        if deletes is None:
            return self
        with self.engine.database.session() as connection:
            sync_logs.answer_deletes(connection, self.run.log_id, allowed=deletes)
            return replace(self, run=sync_logs.load_run(connection, self.run.log_id))

    def check(self) -> None:
        """Fail now, before anything is read, if the mapping or a table it names is wrong."""
        with self.engine.database.session() as connection:
            self._subject(connection)

    def extract(self, vendor: Connector, *, on_progress: OnProgress = _silent) -> Extracted:
        """Land everything the vendor has; run again, it fetches what is missing or damaged."""
        self._settle_open()
        damaged = self.landing.first_damaged()
        if damaged is not None:
            self.landing.forget_from(damaged)
            with self.engine.database.session() as connection:
                sync_logs.forget_chunks(connection, self.run.log_id)
        read = reader(self.run, vendor)
        extracted = extract(read, self.landing, log_id=self.run.log_id, on_page=_on_page(on_progress))
        with self.engine.database.session() as connection:
            sync_logs.note_pages(connection, self.run.log_id, pages=extracted.pages, landing=self.landing.location)
        return extracted

    def compare(self) -> Reconciliation:
        """Compare what landed with ties and rows, and write the report. Done already: only the report.

        Killed, it begins anew from the landed pages. Raises ConfigError when they are not all there.
        """
        if self.landing.extracted() is None:
            raise ConfigError(
                f"The pages of this reconciliation are not all in {self.landing.location}: the extract did not finish, "
                "or they were cleaned up. Clear the extract task: it fetches what is missing."
            )
        with self.engine.database.session() as connection:
            subject = self._subject(connection)
            done = sync_logs.start_chunks(connection, self.run.log_id, version=subject.mapping.version)
            if done < COMPARED:
                self._compare(connection, subject)
            self._report(connection)
            return reconciliations.get(connection, self.run.log_id)

    def repair(self) -> Reconciliation:
        """Repair the kinds of findings that were asked for, and write the report anew.

        Raises DeletesNeedApproval when all is repaired but what would delete too much to do it unasked.
        """
        with self.engine.database.session() as connection:
            subject, wanted = self._subject(connection), reconciliations.get(connection, self.run.log_id)
            done = sync_logs.chunks_applied(connection, self.run.log_id)
        if done < COMPARED:
            raise ConfigError("Both sides have not been compared yet, or with another mapping. Clear the compare task.")
        if wanted.repairs and done < REPAIRED:
            repairer = Repairer(self.engine, subject, FindingsLanding(self.landing), frozenset(wanted.repairs))
            self._note_repaired(repairer)
        with self.engine.database.session() as connection:
            self._report(connection)
            return reconciliations.get(connection, self.run.log_id)

    def run_whole(self, vendor: Connector, *, on_progress: OnProgress = _silent) -> Reconciliation:
        """Extract, compare and repair. Raises as `repair` does."""
        self.extract(vendor, on_progress=on_progress)
        self.compare()
        return self.repair()

    # -- steps ---------------------------------------------------------------------------------------------------

    def _subject(self, connection: Connection) -> Subject:
        return Subject.of(connection, self.run, self.connector, self.engine.mappings)

    def _settle_open(self) -> None:
        """Settle what a killed push left open, in a log of its own: what it created would come as a stranger."""
        run, database = self.run, self.engine.database
        if run.config_direction is Direction.PULL:
            return
        with database.session() as connection:
            if not attempts.unsettled(connection, run.config_id, limit=1):
                return
            request = OpenRequest(
                kind="records",
                window=Window(),
                direction=Direction.PUSH,
                attempt_key=f"reconcile/{run.log_id}/settle",
                triggered_by=f"reconcile:{run.log_id}",
            )
            log_id = sync_logs.open_log(connection, run.config_id, request)
        self.engine.push_job(log_id).settle_open()
        with database.session() as connection:
            sync_logs.finish_push(connection, log_id, steps=0, to=None)
        finish(database, log_id)

    def _compare(self, connection: Connection, subject: Subject) -> None:
        comparer = subject.comparer(connection, started=self.run.started_at)
        comparison = Comparison(subject, connection, comparer, self._raw_of)
        comparison.add(self.landing.pages())
        policy = replace(subject.policy, has_strangers=comparison.strangers > 0)
        with connection.transaction():
            if sync_logs.claim_chunk(connection, self.run.log_id) >= COMPARED:
                return  # another worker was given the same task, and was faster
            comparer.find_duplicates()
            reconciliations.forget_findings(connection, self.run.log_id)
            found = self._keep(connection, comparer, replace(subject, policy=policy))
            reconciliations.note_compared(connection, self.run.log_id, found)
            counts, reasons = comparison.counts()
            sync_logs.set_counts(connection, self.run.log_id, step=COMPARED, counts=counts, reasons=reasons)
            repairs = reconciliations.get(connection, self.run.log_id).repairs
            sync_logs.note_total(connection, self.run.log_id, chunks=REPAIRED if repairs else COMPARED)
        log.info("compared", sync_log=self.run.log_id, read=counts.read, **{k.value: n for k, n in found.items()})

    def _keep(self, connection: Connection, comparer: Comparer, subject: Subject) -> Counter[FindingKind]:
        """Keep all findings in the landing area, the first of them in the table; how many of each kind."""
        found: Counter[FindingKind] = Counter()
        first: list[Finding] = []
        all_of_them = (finding(n, each, subject.policy) for n, each in enumerate(comparer.findings(), start=1))
        for each in FindingsLanding(self.landing).keep(all_of_them):
            found[each.kind] += 1
            if each.number <= KEPT:
                first.append(each)
            if len(first) == BATCH:
                reconciliations.keep_findings(connection, self.run.log_id, [one.kept() for one in first])
                first.clear()
        reconciliations.keep_findings(connection, self.run.log_id, [one.kept() for one in first])
        return found

    def _note_repaired(self, repairer: Repairer) -> None:
        repaired = repairer.repair()
        with self.engine.database.session() as connection, connection.transaction():
            reconciliations.note_repaired(connection, self.run.log_id, repaired)
            sync_logs.note_step(connection, self.run.log_id, REPAIRED)

    def _report(self, connection: Connection) -> None:
        from erpflow.sync.report import write_report  # pandas costs more than a small reconciliation

        reconciliations.note_report(connection, self.run.log_id, write_report(self.landing))

    def _raw_of(self, page: int, position: int) -> tuple[bytes, str]:
        landed = self.landing.page(page)
        return bytes(self.connector.split(self.run.entity, landed.raw)[position]), landed.zone


def _on_page(on_progress: OnProgress) -> OnPage:
    def landed(pages: int, records: int) -> None:
        on_progress(Progress(pages, records))

    return landed
