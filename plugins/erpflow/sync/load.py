"""Load: chunks into the user's tables, each in one transaction with its counts, its rejects and the cursor.

A chunk that an earlier try applied is skipped: the log says how many are. So a load that was killed anywhere, and runs
again, ends as if it had run once (invariant 3).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any, Protocol

import structlog

from erpflow.errors import AlreadyRunning, RecordRejected, UnsettledWrites
from erpflow.mapping.compile import PullProgram
from erpflow.store import attempts, locks, reject_retries, rejects, sync_logs
from erpflow.store.database import Database
from erpflow.store.pull import Applied, Batch, ChunkWriter, Connection, Refused
from erpflow.store.pull_sql import PullTarget
from erpflow.store.sync_logs import SyncRun
from erpflow.store.tracked import Tracked
from erpflow.store.two_way import TwoWayWriter
from erpflow.sync.chunk import Chunk
from erpflow.sync.landing import RetriedRecord
from erpflow.sync.merge import rules_of
from erpflow.sync.planned import MOST_PLANNED, PlannedChange, planned_changes
from erpflow.sync.pull_merge import DELETED_HERE, PullMerge
from erpflow.sync.transform import RETRIED
from erpflow.vocabulary import Counts, FieldConflict

log = structlog.get_logger(__name__)

RawOf = Callable[[int, int], tuple[bytes, str]]
"""The bytes of the record at a page and position of the landing area, and the zone of its times."""

OnChunk = Callable[[Counts], None]
"""Told after each chunk: what became of its records."""

PATIENCE = 60
"""Seconds that a chunk waits for a push that is alive to settle what became of its writes."""


class Source(Protocol):
    """Where the chunks of a run come from."""

    def __call__(self, applied: int, /) -> Iterable[Chunk]:
        """The chunks after the first `applied`."""
        ...


class Loader:
    """Applies the chunks of one run. `steps_behind`: what is still to do behind the last chunk, in steps.

    `retried`: the rejects that the run tries again, by position.

    `plan` collects what a dry run would have changed, `MOST_PLANNED` changes at most. `mapped` counts the records of
    the applied chunks that went through the mapping.
    """

    def __init__(
        self,
        run: SyncRun,
        program: PullProgram,
        target: PullTarget,
        tracked: Tracked,
        database: Database,
        *,
        raw_of: RawOf,
        steps_behind: int = 0,
        retried: Sequence[RetriedRecord] = (),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._run = run
        self._program = program
        self._target = target
        self._tracked = tracked
        self._database = database
        self._raw_of = raw_of
        self._steps_behind = steps_behind
        self._retried = retried
        self._sleep = sleep
        self.plan: list[PlannedChange] = []
        self.mapped = 0

    def load(self, source: Source, *, on_chunk: OnChunk) -> None:
        """Apply what is not applied yet.

        Raises DatabaseUnavailable when Postgres goes away, UnsettledWrites when a killed push left writes behind, and
        AlreadyRunning when other runs are in the way too long; nothing is lost then.
        """
        with self._database.session() as connection:
            self.load_over(connection, source, on_chunk=on_chunk)

    def load_over(self, connection: Connection, source: Source, *, on_chunk: OnChunk) -> None:
        """The same over a connection of the caller's; within a transaction of theirs, all of it is done or nothing."""
        with connection.transaction():
            applied = sync_logs.start_chunks(connection, self._run.log_id, version=self._program.mapping.version)
        writer = self._writer(connection)
        for chunk in source(applied):
            counts = self._apply(connection, writer, chunk)
            self.mapped += chunk.mapped
            on_chunk(counts)
        writer.close()

    def _writer(self, connection: Connection) -> ChunkWriter:
        run = self._run
        parameters = parameters_of(run)
        if not run.is_two_way:
            return ChunkWriter(connection, self._target, self._tracked, parameters=parameters)
        mapping = self._program.mapping
        rules = rules_of(mapping, FieldConflict(run.conflict))
        merge = PullMerge(rules, run.conflict, mapping.deletes.push)
        return TwoWayWriter(connection, self._target, self._tracked, merge=merge, parameters=parameters)

    def _apply(self, connection: Connection, writer: ChunkWriter, chunk: Chunk) -> Counts:
        for _ in range(PATIENCE):
            with connection.transaction():
                locks.hold(connection, self._run.config_id)
                if sync_logs.claim_chunk(connection, self._run.log_id) >= chunk.number:
                    return Counts()
                if not self._must_wait(connection):
                    return self._apply_here(connection, writer, chunk)
            self._sleep(1)
        raise AlreadyRunning(
            f"{self._run.connection} {self._run.entity}: for over {PATIENCE} s a push has not known what became of its "
            "writes. Nothing was lost; this run tries again."
        )

    def _must_wait(self, connection: Connection) -> bool:
        """Whether a push has writes whose outcome is not known: what they made would be taken for strangers (6)."""
        run = self._run
        if run.dry_run or not run.is_two_way or not attempts.unsettled(connection, run.config_id, limit=1):
            return False
        if not locks.is_pushing(connection, run.config_id):
            raise UnsettledWrites(
                f"{run.connection} {run.entity}: a push that was killed left writes whose outcome is not known. They "
                "are looked up at the vendor before anything is applied; this run tries again."
            )
        return True

    def _apply_here(self, connection: Connection, writer: ChunkWriter, chunk: Chunk) -> Counts:
        run = self._run
        with connection.transaction():
            with connection.transaction(force_rollback=run.dry_run):
                applied = writer.apply(Batch(chunk.count, chunk.heads, chunk.rows, chunk.children, chunk.fresh))
                refused = [self._reject(chunk, entry) for entry in applied.refused]
                self._keep_rejects(connection, chunk, refused, {entry.number for entry in applied.refused})
                if run.dry_run:
                    self.plan += planned_changes(connection, run, most=MOST_PLANNED - len(self.plan))
            counts, reasons = _count(chunk, applied)
            sync_logs.add_counts(connection, run.log_id, chunk=chunk.number, counts=counts, reasons=reasons)
            if chunk.last:
                sync_logs.note_total(connection, run.log_id, chunks=chunk.number + self._steps_behind)
                if run.is_two_way and run.kind == "full" and run.moves_cursor:
                    sync_logs.note_agreed(connection, run.config_id)
            if chunk.modified_to is not None and run.moves_cursor:
                sync_logs.advance_cursor(connection, run, chunk.modified_to)
        outcomes = {name: number for name, number in asdict(counts).items() if number}
        log.info("chunk_applied", sync_log=run.log_id, chunk=chunk.number, **outcomes)
        return counts

    def _keep_rejects(
        self, connection: Connection, chunk: Chunk, refused: list[rejects.Reject], numbers: set[int]
    ) -> None:
        """Keep what was refused (at the table: records `numbers`), and close the rejects of what was applied."""
        run = self._run
        for stage, entries in (("transform", [reject.stored() for reject in chunk.rejects]), ("load", refused)):
            rejects.record(connection, entries, run.ref, stage=stage, mapping_version=self._program.mapping.version)
        still_open = {reject.remote_id for reject in refused}
        rejects.resolve(connection, run.config_id, [key for key in chunk.retried if key not in still_open])
        if self._retried:
            places = [chunk.origin(number) for number in range(1, chunk.count + 1) if number not in numbers]
            done = [place for page, place in places if page == RETRIED] + chunk.retries_dropped
            reject_retries.resolve_ids(connection, [self._retried[place].id for place in done])
        if chunk.last:
            rejects.resolve_overtaken(connection, run.log_id)
            reject_retries.resolve_replaced(connection, [record.id for record in self._retried])

    def _reject(self, chunk: Chunk, refused: Refused) -> rejects.Reject:
        raw, zone = self._raw_of(*chunk.origin(refused.number))
        try:
            remote_id: str | None = self._program.identify(raw)[0]
        except RecordRejected:
            remote_id = None
        return rejects.Reject(remote_id, raw, refused.problems, zone)


def parameters_of(run: SyncRun) -> dict[str, Any]:
    """A run as the store's statements name it."""
    return {
        "tenant": run.tenant_id,
        "config": run.config_id,
        "log": run.log_id,
        "started": run.as_of,
        "plan": run.dry_run,
    }


def _count(chunk: Chunk, applied: Applied) -> tuple[Counts, dict[str, int]]:
    """What became of a chunk's records, and why some were ignored."""
    outcomes = applied.outcomes
    reasons = {
        **chunk.dropped,
        "superseded in the same read": chunk.superseded,
        "older than what is applied": outcomes["stale"],
        DELETED_HERE: outcomes[DELETED_HERE],
    }
    counts = Counts(
        read=chunk.read,
        created=outcomes["created"],
        updated=outcomes["updated"],
        unchanged=chunk.unchanged + outcomes["same"] + outcomes["unchanged"],
        conflict=outcomes["conflict"],
        rejected=len(chunk.rejects) + len(applied.refused),
        ignored=sum(reasons.values()),
    )
    if counts.accounted != counts.read:  # invariant 1: never commit a chunk that lost a record
        raise AssertionError(f"chunk {chunk.number} read {counts.read} records and accounts for {counts.accounted}")
    return counts, {reason: number for reason, number in reasons.items() if number}
