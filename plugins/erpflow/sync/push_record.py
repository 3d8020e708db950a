"""What is recorded of a push: outcomes, ties, history, rejects, conflicts and counts, in one transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

import msgspec
import structlog

from erpflow.connectors.base import Connector, Outcome, Page, SupportsWrites, WriteResult
from erpflow.errors import AlreadyRunning, ErpflowError, FieldProblem, RecordRejected
from erpflow.mapping.compile import PullProgram, RawBytes
from erpflow.store import acknowledge, attempts, conflicts, history, rejects, sync_logs
from erpflow.store.acknowledge import Pushed, Reader, VendorState
from erpflow.store.attempts import Attempt, Settled
from erpflow.store.conflicts import NewConflict
from erpflow.store.history import Entry
from erpflow.store.pull import REFUSALS, Batch, Connection
from erpflow.store.sync_logs import SyncRun
from erpflow.sync.chunk import copy_lines, copy_text
from erpflow.sync.echo import Texts, agreed_when_read
from erpflow.sync.push_landing import RefusedRow
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

Result = TypeVar("Result")
Identify = Callable[[RawBytes], tuple[str, str | None]]
Versions = dict[str, tuple[str | None, datetime | None]]
"""The version of each record as the vendor writes it, and as a moment."""


@dataclass(slots=True)
class Settlement:
    """What the attempts of one call came to, before it is recorded.

    `written`: the records that were written, as the vendor has them now. `done`: the rows that the vendor has taken.
    `created`: the attempts that made a record, by its id. `read_later`: those whose record was not in the vendor's
    answer and was read some time after, by its id. `reread`: records that changed at the vendor,
    or vanished, while we wrote them. `outcomes`: how many rows became what, for the log of the run that sent them.
    `unknown` and `unsent`: how many attempts are still to be settled, or to be sent.
    """

    settled: list[Settled] = field(default_factory=list)
    pushed: list[Pushed] = field(default_factory=list)
    written: Batch | None = None
    buried: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    created: dict[str, Attempt] = field(default_factory=dict)
    read_later: dict[str, Attempt] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    refused: list[tuple[Attempt, tuple[FieldProblem, ...]]] = field(default_factory=list)
    conflicts: list[NewConflict] = field(default_factory=list)
    reread: list[tuple[str, str]] = field(default_factory=list)
    outcomes: dict[SyncLogId, Counter[str]] = field(default_factory=dict)
    unknown: int = 0
    unsent: int = 0

    @property
    def counts(self) -> Counts:
        """What became of rows, whichever run sent them."""
        return sum(self.counted.values(), Counts())

    @property
    def counted(self) -> dict[SyncLogId, Counts]:
        """What became of rows, for the log of the run that sent them."""
        return {log_id: Counts(read=made.total(), **made) for log_id, made in self.outcomes.items()}

    def count(self, made: Counter[str], log_id: SyncLogId) -> None:
        """Add what became of rows that the run of `log_id` sent."""
        self.outcomes.setdefault(log_id, Counter()).update(made)


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
        """`program` and `reader` read records back into our columns; None where nothing that is pushed can be."""
        self._run = run
        self._connector = connector
        self._connection = connection
        self.identify = identify
        self._program = program
        self._programs: dict[str, PullProgram] = {}
        self._reader = reader
        self._version = mapping_version
        # One push of a config is alive at a time, and what it refuses it does not send: no reject of a row that is sent
        # comes later.
        self._has_rejects = rejects.has_open_pushed(connection, run.config_id)

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
        versions, settlement.written = self._understood(pages)
        became: list[tuple[SyncLogId, str]] = []
        for attempt, result in zip(made, results, strict=True):
            if (what := self._one(attempt, result, versions, settlement)) is not None:
                became.append((attempt.log_id or self._run.log_id, what))
            state = STATES[result.outcome]
            settlement.settled.append(
                Settled.of(attempt.idempotency_key, state, result.remote_id, result.problems)
                if result.problems
                else Settled(attempt.idempotency_key, state, result.remote_id)
            )
        for (log_id, what), number in Counter(became).items():
            settlement.count(Counter({what: number}), log_id)
        return settlement

    def record(self, settlement: Settlement, *, token: int | None) -> None:
        """Record a settlement, in a transaction. Raises AlreadyRunning when another push has taken over."""
        self._carefully(lambda: self._record(settlement, token))

    def _carefully(self, work: Callable[[], Result]) -> Result:
        """What `work` gives, in a transaction; in another one, with care, when a column refuses what the vendor has."""
        try:
            with self._connection.transaction():
                return work()
        except REFUSALS:
            if self._reader is None:
                raise
        with self._reader.with_care(), self._connection.transaction():
            return work()

    def _record(self, settlement: Settlement, token: int | None) -> None:
        run, connection = self._run, self._connection
        known = self._tie(settlement)
        taken = attempts.settle(connection, run.config_id, settlement.settled, token=token)
        if taken != len(settlement.settled):
            raise taken_over(run)
        acknowledge.bury(connection, settlement.buried, run.ref)
        # The first creation of a record needs no entry: its tie names the run.
        again = [_created(remote_id, settlement.created[remote_id]) for remote_id in known & settlement.created.keys()]
        history.record(connection, settlement.entries + again, run.ref)
        conflicts.record(connection, settlement.conflicts, run.ref)
        self._keep_refused(settlement)
        if self._has_rejects:
            rejects.resolve_pushed(connection, run.config_id, settlement.done)
        for log_id, counts in settlement.counted.items():
            sync_logs.add_pushed(connection, log_id, counts)

    def _tie(self, settlement: Settlement) -> set[str]:
        """Tie what was written; which of the records had been known before."""
        if not settlement.pushed:
            return set()
        if self._reader is None or settlement.written is None:
            return acknowledge.tie(self._connection, settlement.pushed, self._run.ref)
        if not settlement.read_later:
            return self._reader.tie(settlement.pushed, self._run.ref, settlement.written)
        agreed = {
            state.remote_id: _agreed_later(settlement.read_later[state.remote_id], state)
            for state in self._reader.read(settlement.written)
            if state.remote_id in settlement.read_later
        }
        pushed = [msgspec.structs.replace(one, agreed_remote=agreed.get(one.remote_id)) for one in settlement.pushed]
        return self._reader.tie(pushed, self._run.ref)

    def refuse(self, refused: Sequence[RefusedRow]) -> None:
        """Keep rows that the mapping cannot send."""
        if not refused:
            return
        rejects.record_push(
            self._connection,
            [
                rejects.PushReject(
                    row.local_id, row.remote_id, msgspec.json.encode(row.values), row.hash, tuple(row.problems)
                )
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

    def _one(self, attempt: Attempt, result: WriteResult, versions: Versions, settlement: Settlement) -> str | None:
        """What became of the row: one of the outcomes in Counts; None while that is open."""
        outcome = result.outcome
        if outcome is Outcome.REJECTED:
            return self._rejected(attempt, result, settlement)
        if attempt.operation is Operation.DELETE and outcome in (Outcome.DONE, Outcome.MISSING):
            return self._deleted(attempt, settlement)
        if outcome is Outcome.DONE:
            return self._written(attempt, result, versions, settlement)
        if outcome in (Outcome.STALE, Outcome.MISSING):
            settlement.reread.append((attempt.local_id, result.remote_id or attempt.remote_id or ""))
        settlement.unknown += outcome is Outcome.UNKNOWN
        settlement.unsent += outcome is Outcome.NOT_SENT
        return None

    def _written(self, attempt: Attempt, result: WriteResult, versions: Versions, settlement: Settlement) -> str:
        remote_id = result.remote_id or attempt.remote_id or ""
        version, when = versions.get(remote_id, (None, None))
        settlement.pushed.append(Pushed(attempt.idempotency_key, remote_id, version, when, remote_id in versions))
        settlement.done.append(attempt.local_id)
        if result.record is None and remote_id in versions:
            settlement.read_later[remote_id] = attempt
        if attempt.operation is Operation.CREATE:
            settlement.created[remote_id] = attempt
            return "created"
        return "updated"

    def _deleted(self, attempt: Attempt, settlement: Settlement) -> str:
        settlement.buried.append(attempt.remote_id or "")
        settlement.entries.append(
            Entry(attempt.remote_id, attempt.local_id, "push", "deleted", before=attempt.before, after=None)
        )
        settlement.done.append(attempt.local_id)
        return "deleted"

    def _rejected(self, attempt: Attempt, result: WriteResult, settlement: Settlement) -> str:
        is_duplicate = attempt.operation is Operation.CREATE and any(p.rule == DUPLICATE for p in result.problems)
        if is_duplicate:
            settlement.conflicts.append(self._collision(attempt, result))
            return "conflict"
        settlement.refused.append((attempt, result.problems))
        return "rejected"

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
                    bytes(attempt.request),
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
        versions, batch = self._understood(records)
        found = {name: VendorState(name, version, when, {}) for name, (version, when) in versions.items()}
        if batch is not None and batch.count and self._reader is not None:
            reader = self._reader
            found |= {state.remote_id: state for state in self._carefully(lambda: reader.read(batch))}
        return found

    def versions(self, records: Sequence[tuple[bytes, str]]) -> dict[str, str | None]:
        """The version of each record by its id, and nothing else of it."""
        return dict(self.identify(raw) for raw, _ in records)

    def _understood(self, records: Sequence[tuple[bytes, str]]) -> tuple[Versions, Batch | None]:
        """The version of each record, and those that the mapping takes as they are staged (None: nothing is pulled)."""
        versions: Versions = {}
        taken: list[tuple[bytes, str]] = []
        heads: list[tuple[str | None, ...]] = []
        lines: list[str] = []
        children: list[list[tuple[str | None, ...]]] = [[] for _ in self._program.children] if self._program else []
        identify, instant, programs = self.identify, self._connector.instant, self._programs
        for raw, zone in records:
            remote_id, version = identify(raw)
            when = instant(version, zone=zone) if version else None
            is_new = remote_id not in versions
            versions[remote_id] = (version, when)
            if self._program is None or not is_new:
                continue
            program = programs.get(zone) or self._in_zone(self._program, zone)
            try:
                line, child_lines = program.map_line(raw)
            except RecordRejected:
                continue
            taken.append((raw, zone))
            heads.append((remote_id, "0", version, when.isoformat() if when else None))
            lines.append(line)
            for child, child_rows in zip(children, child_lines, strict=True):
                child.extend([(str(len(lines)), *row) for row in child_rows])
        if self._program is None:
            return versions, None
        text = copy_lines(lines, columns=len(self._program.columns))
        if text is None:  # some value looks like our own separators
            text = copy_text([self._in_zone(self._program, zone).map_record(raw).values for raw, zone in taken])
        return versions, Batch(len(lines), copy_text(heads), text, [copy_text(child) for child in children])

    def _in_zone(self, program: PullProgram, zone: str) -> PullProgram:
        """The program for records whose naive times are in `zone`; compiled once for each zone."""
        if zone not in self._programs:
            self._programs[zone] = program.with_zone(zone)
        return self._programs[zone]


def _agreed_later(attempt: Attempt, state: VendorState) -> Texts:
    """What the vendor made of our values, as far as a record tells that somebody may have changed since the write."""
    ours, is_new = attempt.ours, attempt.operation is Operation.CREATE
    return agreed_when_read(ours, state.values, ours if is_new else attempt.before or {})


def _unread(attempt: Attempt, result: WriteResult) -> WriteResult:
    """The outcome of a write that was done, before it is known what the vendor made of it."""
    if result.outcome is not Outcome.DONE or result.record is not None or attempt.operation is Operation.DELETE:
        return result
    return msgspec.structs.replace(result, outcome=Outcome.UNKNOWN)


def taken_over(run: SyncRun) -> AlreadyRunning:
    """The error of a push that another one has followed: its results are not its business any more."""
    return AlreadyRunning(
        f"Another push of {run.connection} {run.entity} has begun since this one did; it looks up what became of this "
        "one's writes. Nothing is sent or recorded twice."
    )


def _created(remote_id: str, attempt: Attempt) -> Entry:
    return Entry(remote_id, attempt.local_id, "push", "created", before=None, after=attempt.ours)
