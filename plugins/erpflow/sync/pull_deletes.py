"""Deletes at the vendor, applied here by the mapping's policy; where the row was changed here, the strategy decides.

A run that would delete more than the mapping's share of all records stops and asks: an empty page of a vendor in
trouble must not empty a table.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from erpflow.connectors.base import Deletion
from erpflow.errors import DeletesNeedApproval, FieldProblem
from erpflow.mapping.model import Mapping
from erpflow.store import conflicts, history, locks, reject_retries, rejects, sync_logs
from erpflow.store.conflicts import ContestedField, NewConflict
from erpflow.store.database import Database
from erpflow.store.deletes import DeleteWriter, Extent, Gone
from erpflow.store.history import Entry
from erpflow.store.pull import Connection
from erpflow.store.sync_logs import SyncRun
from erpflow.store.tracked import Tracked
from erpflow.sync.merge import LOCAL, REMOTE, Rules, is_newer
from erpflow.sync.planned import MOST_PLANNED, PlannedChange, planned_changes
from erpflow.vocabulary import ConflictKind, ConflictStrategy, Counts, Deletes

log = structlog.get_logger(__name__)

BATCH = 5_000
"""Records settled in one transaction."""


@dataclass(frozen=True, slots=True)
class Found:
    """What tells that records are gone: the vendor's list (`deletions`), or all ids of a full read (`seen`)."""

    deletions: Iterable[Deletion] = ()
    seen: Iterable[Sequence[str]] | None = None


@dataclass(slots=True)
class _Batch:
    """What is done with the records of one transaction."""

    remove: dict[str, Gone] = field(default_factory=dict)
    settled: list[tuple[str, str, datetime | None]] = field(default_factory=list)
    conflicts: list[NewConflict] = field(default_factory=list)
    gone_on_both_sides: list[str] = field(default_factory=list)


class PullDeletes:
    """Applies the vendor's deletes of one run."""

    def __init__(self, run: SyncRun, mapping: Mapping, tracked: Tracked, rules: Rules, database: Database) -> None:
        self._run = run
        self._mapping = mapping
        self._tracked = tracked
        self._rules = rules
        self._database = database
        self.plan: list[PlannedChange] = []

    def apply(self, found: Found, *, chunk: int, until: datetime | None) -> Counts:
        """Settle everything that is gone. `chunk`: the number this step has among the run's chunks.

        `until`: what the vendor deleted before is covered now (None: it cannot be told). Raises DeletesNeedApproval
        before anything is written.
        """
        run, total = self._run, Counts()
        parameters = {"tenant": run.tenant_id, "config": run.config_id, "log": run.log_id, "started": run.started_at}
        with self._database.session() as connection:
            if sync_logs.chunks_applied(connection, run.log_id) >= chunk:
                return total
            writer = DeleteWriter(connection, self._tracked, parameters=parameters)
            writer.add((deletion.remote_id, deletion.deleted_at) for deletion in found.deletions)
            if found.seen is not None:
                writer.add_unseen(found.seen)
            extent = writer.extent()
            if run.deletes_allowed is False:
                return self._keep(connection, extent, chunk)
            self._guard(connection, extent)
            done = False
            while not done:
                with connection.transaction():
                    counts, done = self._settle_batch(connection, writer, chunk, until)
                total += counts
        log.info("deletes_applied", sync_log=run.log_id, deleted=total.deleted, of=extent.total)
        return total

    def _guard(self, connection: Connection, extent: Extent) -> None:
        share = self._mapping.deletes.at_most
        if self._run.dry_run or self._run.deletes_allowed or extent.count <= 1 or extent.count <= share * extent.total:
            return
        sync_logs.ask_deletes(
            connection, self._run.log_id, count=extent.count, total=extent.total, sample=list(extent.sample)
        )
        raise DeletesNeedApproval(
            f"{self._run.connection} {self._run.entity}: the vendor no longer has {extent.count:,} of "
            f"{extent.total:,} records ({extent.count / extent.total:.0%}, more than the {share:.0%} of "
            f"deletes.at_most), such as {', '.join(extent.sample[:3])}. Nothing was deleted. If that is right, approve "
            "it in Airflow, or run: erpflow sync run … --allow-deletes",
            count=extent.count,
            total=extent.total,
            sample=extent.sample,
        )

    def _keep(self, connection: Connection, extent: Extent, chunk: int) -> Counts:
        """A person has said no: nothing is deleted, and the next run asks again."""
        counts = Counts(read=extent.count, ignored=extent.count)
        with connection.transaction():
            if sync_logs.claim_chunk(connection, self._run.log_id) >= chunk:
                return Counts()
            reasons = {"a person kept them": extent.count}
            sync_logs.add_counts(connection, self._run.log_id, chunk=chunk, counts=counts, reasons=reasons)
        return counts

    def _settle_batch(
        self, connection: Connection, writer: DeleteWriter, chunk: int, until: datetime | None
    ) -> tuple[Counts, bool]:
        run = self._run
        locks.hold(connection, run.config_id)
        if sync_logs.claim_chunk(connection, run.log_id) >= chunk:
            return Counts(), True
        with connection.transaction(force_rollback=run.dry_run):
            taken = writer.take(BATCH)
            counts = self._settle(connection, writer, taken)
            done = len(taken) < BATCH
            if done:
                writer.close_rejects()
            if run.dry_run:
                self.plan += planned_changes(connection, run, most=MOST_PLANNED - len(self.plan))
        writer.forget([gone.remote_id for gone in taken])
        if done and not run.dry_run:
            reject_retries.resolve_deletes(connection, run.config_id)
        sync_logs.add_counts(connection, run.log_id, chunk=chunk if done else chunk - 1, counts=counts, reasons={})
        if done and until is not None and run.moves_cursor:
            writer.move_cursor(until)
        return counts, done

    def _settle(self, connection: Connection, writer: DeleteWriter, taken: Sequence[Gone]) -> Counts:
        batch = _Batch()
        for gone in taken:
            self._decide(gone, batch)
        refused = writer.remove(list(batch.remove), mark=self._mapping.deletes.pull is Deletes.SOFT)
        removed = [gone for local_id, gone in batch.remove.items() if local_id not in refused]
        writer.settle([*batch.settled, *((gone.remote_id, "deleted", gone.gone_at) for gone in removed)])
        kept = {batch.remove[local_id].remote_id for local_id in refused}
        contested = [conflict for conflict in batch.conflicts if conflict.remote_id not in kept]
        conflicts.record(connection, contested, self._run.ref)
        conflicts.close_gone(connection, self._run.config_id, batch.gone_on_both_sides)
        history.record(connection, [_entry(gone) for gone in removed], self._run.ref)
        rejects.record(
            connection,
            [_reject(batch.remove[local_id], problem) for local_id, problem in refused.items()],
            self._run.ref,
            stage="delete",
            mapping_version=self._mapping.version,
        )
        return Counts(
            read=len(taken),
            deleted=len(taken) - len(contested) - len(refused),
            conflict=len(contested),
            rejected=len(refused),
        )

    def _decide(self, gone: Gone, batch: _Batch) -> None:
        """Delete our row too, unless it was changed here and the strategy says otherwise."""
        changed = self._changed_here(gone)
        if gone.pushed is None or gone.is_deleted:
            batch.settled.append((gone.remote_id, "deleted", gone.gone_at))
            batch.gone_on_both_sides.append(gone.remote_id)
        elif not changed and gone.status != "frozen":
            batch.remove[gone.local_id] = gone
        elif gone.status == "frozen" or self._run.conflict is ConflictStrategy.MANUAL:
            batch.settled.append((gone.remote_id, "frozen", gone.gone_at))
            batch.conflicts.append(self._conflict(gone, changed, winner=None))
        elif self._local_wins(gone):
            batch.settled.append((gone.remote_id, "deleted", gone.gone_at))
            batch.conflicts.append(self._conflict(gone, changed, winner=LOCAL))
        else:
            batch.remove[gone.local_id] = gone
            batch.conflicts.append(self._conflict(gone, changed, winner=REMOTE))

    def _changed_here(self, gone: Gone) -> list[str]:
        """What of a row is to be pushed; nothing where nothing is, also if it was before the config only pulled."""
        if not self._run.is_two_way or gone.agreed_local is None or gone.pushed is None:
            return []
        return [
            name
            for name, rule in self._rules.items()
            if rule.pushes and name in gone.agreed_local and gone.pushed.get(name) != gone.agreed_local[name]
        ]

    def _local_wins(self, gone: Gone) -> bool:
        if self._run.conflict is ConflictStrategy.NEWEST_WINS:
            return is_newer(gone.local_modified_at, gone.gone_at)
        return self._run.conflict is ConflictStrategy.LOCAL_WINS

    def _conflict(self, gone: Gone, changed: Sequence[str], *, winner: str | None) -> NewConflict:
        ours, agreed = gone.pushed or {}, gone.agreed_local or {}
        strategy = self._run.conflict.value
        how = {None: "waits for a person", LOCAL: "local won, it is made there again", REMOTE: "remote won"}[winner]
        return NewConflict(
            kind=ConflictKind.LOCAL_UPDATED_REMOTE_DELETED,
            strategy=strategy,
            remote_id=gone.remote_id,
            local_id=gone.local_id,
            fields=tuple(
                ContestedField(name, agreed.get(name), ours.get(name), None, strategy, winner) for name in changed
            ),
            winner=winner,
            reason=f"Deleted there, {', '.join(changed) or 'in conflict'} changed here: {how}.",
            remote_modified_at=gone.gone_at,
        )


def _entry(gone: Gone) -> Entry:
    return Entry(gone.remote_id, gone.local_id, "pull", "deleted", before=gone.pulled, after=None)


def _reject(gone: Gone, problem: FieldProblem) -> rejects.Reject:
    """A delete that the table refuses (other rows refer to it): tried again like any reject."""
    at = gone.gone_at.isoformat() if gone.gone_at else None
    payload = json.dumps({"deleted": gone.remote_id, "deleted_at": at}).encode()
    return rejects.Reject(gone.remote_id, payload, (problem,))
