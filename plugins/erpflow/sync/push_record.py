"""What is recorded of a push: outcomes, ties, history, rejects, conflicts and counts, in one transaction."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from erpflow.connectors.base import Connector, Outcome, Page, SupportsWrites, WriteResult
from erpflow.errors import AlreadyRunning, ErpflowError, FieldProblem, RecordRejected
from erpflow.mapping.compile import PullProgram, RawBytes
from erpflow.mapping.paths import parse_path, plant
from erpflow.store import acknowledge, attempts, conflicts, history, rejects, sync_logs
from erpflow.store.acknowledge import Pushed, Reader, VendorState
from erpflow.store.attempts import Attempt, Settled
from erpflow.store.conflicts import NewConflict
from erpflow.store.history import Entry
from erpflow.store.pull import Batch, Connection
from erpflow.store.sync_logs import SyncRun
from erpflow.sync.chunk import copy_text
from erpflow.sync.push_landing import Outgoing, RefusedRow
from erpflow.sync.push_map import decode
from erpflow.vocabulary import ConflictKind, Counts, Operation, RemoteId, SyncLogId

log = structlog.get_logger(__name__)

STATES = {
    Outcome.DONE: "succeeded",
    Outcome.REJECTED: "failed",
    Outcome.STALE: "superseded",
    Outcome.MISSING: "superseded",
    Outcome.UNKNOWN: "unknown",
    Outcome.NOT_SENT: "superseded",
}
DUPLICATE = "duplicate"

Identify = Callable[[RawBytes], tuple[str, str | None]]


@dataclass(slots=True)
class Settlement:
    """What the attempts of one call came to, before it is recorded.

    `reread`: records that changed at the vendor, or vanished, while we wrote them. `counted`: what became of rows, for
    the log of the run that sent them. `unknown` and `unsent`: how many attempts are still to be settled, or to be sent.
    """

    settled: list[Settled] = field(default_factory=list)
    pushed: list[Pushed] = field(default_factory=list)
    buried: list[str] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    refused: list[tuple[Attempt, tuple[FieldProblem, ...]]] = field(default_factory=list)
    conflicts: list[NewConflict] = field(default_factory=list)
    reread: list[tuple[str, str]] = field(default_factory=list)
    counted: dict[SyncLogId, Counts] = field(default_factory=dict)
    unknown: int = 0
    unsent: int = 0

    @property
    def counts(self) -> Counts:
        """What became of rows, whichever run sent them."""
        return sum(self.counted.values(), Counts())

    def count(self, counts: Counts, log_id: SyncLogId) -> None:
        """Add what became of a row that the run of `log_id` sent."""
        self.counted[log_id] = self.counted.get(log_id, Counts()) + counts


class PushRecorder:
    """Records outcomes for one run over one connection. Not for several threads."""

    def __init__(
        self,
        run: SyncRun,
        connector: type[Connector],
        connection: Connection,
        *,
        identify: Identify,
        program: PullProgram | None,
        reader: Reader | None,
        mapping_version: str,
        zone: str = "UTC",
    ) -> None:
        """`program` and `reader` are those of the pull; None for a config that only pushes."""
        self._run = run
        self._connector = connector
        self._connection = connection
        self.identify = identify
        self._program = program
        self._reader = reader
        self._version = mapping_version

    def settle(self, made: Sequence[Attempt], results: Sequence[WriteResult], vendor: SupportsWrites) -> Settlement:
        """What the results of a call mean for each attempt. Asks the vendor for records that it did not answer with.

        While it does not answer that, the outcome counts as unknown: what the vendor made of our values would come
        back as its change.
        """
        settlement = Settlement()
        try:
            pages = self._records(made, results, vendor)
        except ErpflowError as error:
            log.warning("written_not_read", sync_log=self._run.log_id, records=len(results), reason=str(error))
            results = [_unread(attempt, result) for attempt, result in zip(made, results, strict=True)]
            pages = self._records(made, results, vendor)
        states = self.states(pages)
        for attempt, result in zip(made, results, strict=True):
            problems = result.problems
            settlement.count(self._one(attempt, result, states, settlement), attempt.log_id or self._run.log_id)
            settlement.settled.append(
                Settled(attempt.idempotency_key, STATES[result.outcome], result.remote_id, problems)
            )
        return settlement

    def record(self, settlement: Settlement, *, token: int | None) -> None:
        """Record a settlement, in the transaction at hand. Raises AlreadyRunning when another push has taken over."""
        run, connection = self._run, self._connection
        taken = attempts.settle(connection, run.config_id, settlement.settled, token=token)
        if taken != len(settlement.settled):
            raise taken_over(run)
        acknowledge.tie(connection, settlement.pushed, run.ref)
        acknowledge.bury(connection, settlement.buried, run.ref)
        history.record(connection, settlement.entries, run.ref)
        conflicts.record(connection, settlement.conflicts, run.ref)
        self._keep_refused(settlement)
        done = [entry.local_id for entry in settlement.entries if entry.local_id is not None]
        rejects.resolve_pushed(connection, run.config_id, done)
        for log_id, counts in settlement.counted.items():
            sync_logs.add_pushed(connection, log_id, counts)

    def refuse(self, refused: Sequence[RefusedRow]) -> None:
        """Keep rows that the mapping cannot send."""
        if not refused:
            return
        rejects.record_push(
            self._connection,
            [
                rejects.PushReject(row.local_id, row.remote_id, _payload(row.values), row.hash, tuple(row.problems))
                for row in refused
            ],
            self._run.ref,
            stage="transform",
            mapping_version=self._version,
        )
        sync_logs.add_pushed(self._connection, self._run.log_id, Counts(read=len(refused), rejected=len(refused)))

    def refresh(self, unchanged: Sequence[tuple[str, int | None]]) -> None:
        """Note that rows are as they were agreed on, in all that is pushed."""
        if unchanged:
            acknowledge.refresh(self._connection, unchanged, self._run.ref)
            sync_logs.add_pushed(
                self._connection, self._run.log_id, Counts(read=len(unchanged), unchanged=len(unchanged))
            )

    # -- one attempt ---------------------------------------------------------------------------------------------

    def _one(
        self, attempt: Attempt, result: WriteResult, states: Mapping[str, VendorState], settlement: Settlement
    ) -> Counts:
        outcome = result.outcome
        if outcome is Outcome.REJECTED:
            return self._rejected(attempt, result, settlement)
        if attempt.operation is Operation.DELETE and outcome in (Outcome.DONE, Outcome.MISSING):
            return self._deleted(attempt, settlement)
        if outcome is Outcome.DONE:
            return self._written(attempt, result, states, settlement)
        if outcome in (Outcome.STALE, Outcome.MISSING):
            settlement.reread.append((attempt.local_id, result.remote_id or attempt.remote_id or ""))
        settlement.unknown += outcome is Outcome.UNKNOWN
        settlement.unsent += outcome is Outcome.NOT_SENT
        return Counts()

    def _written(
        self, attempt: Attempt, result: WriteResult, states: Mapping[str, VendorState], settlement: Settlement
    ) -> Counts:
        remote_id = result.remote_id or attempt.remote_id or ""
        state = states.get(remote_id)
        ours = attempt.agreed_local or {}
        is_new = attempt.operation is Operation.CREATE
        changed = list(ours) if is_new else list(attempt.before or {})
        settlement.pushed.append(
            Pushed(
                local_id=attempt.local_id,
                remote_id=remote_id,
                remote_version=state.version if state else None,
                remote_modified_at=state.modified_at if state else None,
                agreed_local=ours,
                agreed_remote=state.values if state else {name: ours.get(name) for name in changed},
                local_hash=attempt.local_hash,
            )
        )
        settlement.entries.append(
            Entry(
                remote_id=remote_id,
                local_id=attempt.local_id,
                direction="push",
                change="created" if is_new else "updated",
                before=None if is_new else attempt.before,
                after={name: ours.get(name) for name in changed},
            )
        )
        return Counts(read=1, created=int(is_new), updated=int(not is_new))

    def _deleted(self, attempt: Attempt, settlement: Settlement) -> Counts:
        settlement.buried.append(attempt.remote_id or "")
        settlement.entries.append(
            Entry(attempt.remote_id, attempt.local_id, "push", "deleted", before=attempt.before, after=None)
        )
        return Counts(read=1, deleted=1)

    def _rejected(self, attempt: Attempt, result: WriteResult, settlement: Settlement) -> Counts:
        is_duplicate = attempt.operation is Operation.CREATE and any(p.rule == DUPLICATE for p in result.problems)
        if is_duplicate:
            settlement.conflicts.append(self._collision(attempt, result))
            return Counts(read=1, conflict=1)
        settlement.refused.append((attempt, result.problems))
        return Counts(read=1, rejected=1)

    def _collision(self, attempt: Attempt, result: WriteResult) -> NewConflict:
        why = "; ".join(problem.message for problem in result.problems)
        return NewConflict(
            kind=ConflictKind.UNIQUE_COLLISION,
            strategy=self._run.conflict.value,
            remote_id=result.remote_id,
            local_id=attempt.local_id,
            fields=(),
            winner=None,
            reason=f"The vendor has another record with a value that must be unique: {why}",
        )

    def _keep_refused(self, settlement: Settlement) -> None:
        rejects.record_push(
            self._connection,
            [
                rejects.PushReject(
                    attempt.local_id,
                    attempt.remote_id,
                    _payload(attempt.request),
                    attempt.local_hash,
                    problems or (FieldProblem("", "vendor", "The vendor refuses the record and does not say why."),),
                )
                for attempt, problems in settlement.refused
            ],
            self._run.ref,
            stage="vendor",
            mapping_version=self._version,
        )

    # -- what the vendor has now ---------------------------------------------------------------------------------

    def _records(
        self, made: Sequence[Attempt], results: Sequence[WriteResult], vendor: SupportsWrites
    ) -> list[tuple[bytes, str]]:
        """The records that were written, as the vendor has them now, each with the zone of its times.

        Raises what `read_many` raises.
        """
        written = [
            result
            for attempt, result in zip(made, results, strict=True)
            if result.outcome is Outcome.DONE and attempt.operation is not Operation.DELETE
        ]
        answered = [(result.record, result.zone) for result in written if result.record is not None]
        missing = [result.remote_id for result in written if result.record is None and result.remote_id is not None]
        return answered + self.read(missing, vendor) if missing else answered

    def read(self, remote_ids: Sequence[str], vendor: SupportsWrites) -> list[tuple[bytes, str]]:
        """Records as the vendor has them now, each with the zone of its times. Raises what `read_many` raises."""
        return self._split(vendor.read_many(self._run.entity, [RemoteId(name) for name in remote_ids]))

    def _split(self, page: Page) -> list[tuple[bytes, str]]:
        return [(bytes(raw), page.zone) for raw in self._connector.split(self._run.entity, page.raw)]

    def states(self, records: Sequence[tuple[bytes, str]]) -> dict[str, VendorState]:
        """The records in our columns, by id; one that the mapping does not take is only identified."""
        found: dict[str, VendorState] = {}
        heads: list[tuple[str | None, ...]] = []
        rows: list[tuple[str | None, ...]] = []
        children: list[list[tuple[str | None, ...]]] = [[] for _ in self._program.children] if self._program else []
        for raw, zone in records:
            remote_id, version = self.identify(raw)
            when = self._connector.instant(version, zone=zone) if version else None
            found[remote_id] = VendorState(remote_id, version, when, {})
            if self._program is None or self._reader is None:
                continue
            try:
                values, lines = self._program.with_zone(zone).map_record(raw)
            except RecordRejected:
                continue
            heads.append((remote_id, "0", version, when.isoformat() if when else None))
            rows.append(values)
            for child, child_rows in zip(children, lines, strict=True):
                child.extend([(str(len(heads)), *line) for line in child_rows])
        if heads and self._reader is not None:
            batch = Batch(len(heads), copy_text(heads), copy_text(rows), [copy_text(child) for child in children])
            with self._connection.transaction():
                found |= {state.remote_id: state for state in self._reader.read(batch)}
        return found


def _unread(attempt: Attempt, result: WriteResult) -> WriteResult:
    """The outcome of a write that was done, before it is known what the vendor made of it."""
    if result.outcome is not Outcome.DONE or result.record is not None or attempt.operation is Operation.DELETE:
        return result
    return replace(result, outcome=Outcome.UNKNOWN)


def taken_over(run: SyncRun) -> AlreadyRunning:
    """The error of a push that another one has followed: its results are not its business any more."""
    return AlreadyRunning(
        f"Another push of {run.connection} {run.entity} has begun since this one did; it looks up what became of this "
        "one's writes. Nothing is sent or recorded twice."
    )


def _payload(value: Any) -> bytes:
    """A row or a request as it is kept with its reject."""
    return json.dumps(value, default=str, ensure_ascii=False).encode()


def attempt_of(outgoing: Outgoing, *, key: str, external_id: str | None) -> Attempt:
    """An attempt at what is to be sent. `external_id`: the path of the field that will tell who made the record."""
    request: dict[str, Any] = decode(outgoing.request)
    if external_id is not None and outgoing.operation is Operation.CREATE:
        plant(request, parse_path(external_id), key)
    return Attempt(
        local_id=outgoing.local_id,
        remote_id=outgoing.remote_id,
        operation=outgoing.operation,
        idempotency_key=key,
        request=request,
        agreed_local=outgoing.values,
        local_hash=outgoing.hash,
        before=outgoing.before,
    )
