"""Push: one run from the tables to the vendor. Step by step for Airflow's tasks, or all at once in one process.

What is still unknown of earlier pushes is settled first. A record that changed at the vendor since it was read is read
again and merged, as a pull does it, and what then remains to be sent is sent in another round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path

import structlog

from erpflow.connectors.base import Connector, SupportsWrites
from erpflow.errors import ConfigError, DeletesNeedApproval, VendorUnavailable
from erpflow.mapping.compile import PushProgram, compile_identity, compile_pull, compile_push
from erpflow.mapping.model import Mapping
from erpflow.store import acknowledge, attempts, locks, sync_logs, templates
from erpflow.store import push as store
from erpflow.store.database import Database
from erpflow.store.pull import Connection
from erpflow.store.sync_logs import OpenRequest, SyncRun
from erpflow.store.tracked import Tracked
from erpflow.sync.allowed import allowed_writes
from erpflow.sync.comparable import comparable
from erpflow.sync.counted import unjudgeable
from erpflow.sync.in_force import mapping_in_force
from erpflow.sync.landing import Folder
from erpflow.sync.merge import rules_of
from erpflow.sync.planned import MOST_PLANNED, PlannedChange
from erpflow.sync.pull import PullJob, hot_loop
from erpflow.sync.pull import finish as finish_run
from erpflow.sync.push_landing import Outgoing, PushLanding, RequestBatch, Scanned
from erpflow.sync.push_map import PushMapper, texts_of
from erpflow.sync.push_record import PushRecorder
from erpflow.sync.push_scan import scan
from erpflow.sync.push_send import PushSender
from erpflow.sync.push_settle import Settler, cannot_settle
from erpflow.sync.target import compared_target, push_lookups, tracked
from erpflow.vocabulary import (
    Counts,
    Deletes,
    Direction,
    FieldConflict,
    Operation,
    SyncLogId,
    Window,
)

log = structlog.get_logger(__name__)

STALLS = 3
"""How often a round of sending may bring nothing through before the vendor counts as down."""

ROUNDS = 3
"""How often a row is merged and sent again because its record changed at the vendor in between."""

ROUND_NUMBERS = 100_000_000
"""Numbers of batches that each round has for itself."""

UNSETTLED = "gone at the vendor, or changed there again and again"
"""Why a row is left as it is after `ROUNDS`; the next push looks at it again."""

Connect = Callable[[], AbstractContextManager[Connector]]
OnProgress = Callable[[Counts], None]
Batches = Callable[[], Iterator[RequestBatch]]


def _silent(_counts: Counts) -> None:
    return None


@dataclass(frozen=True)
class PushJob:
    """Everything one push needs, read back from the id of its log: any task, on any worker, can build it.

    `connect` gives a vendor session; each worker opens its own.
    """

    database: Database
    run: SyncRun
    connector: type[Connector]
    connect: Connect
    folder: Folder
    mappings: Path
    connector_class: Callable[[str], type[Connector]] = field(repr=False)
    landing_root: Folder = field(repr=False)

    @classmethod
    def open(
        cls,
        database: Database,
        log_id: SyncLogId,
        *,
        connector_class: Callable[[str], type[Connector]],
        connect: Callable[[SyncRun], AbstractContextManager[Connector]],
        landing_root: Folder,
        mappings: Path,
    ) -> PushJob:
        """Read the run back. A failure that an earlier try left in the log is cleared."""
        with database.session() as connection:
            sync_logs.reopen(connection, log_id)
            run = sync_logs.load_run(connection, log_id)
            folder = landing_root / run.system / run.entity / run.log_id
            folder.mkdir(parents=True, exist_ok=True)
            sync_logs.note_pages(connection, log_id, pages=0, landing=str(folder))
        return cls(
            database=database,
            run=run,
            connector=connector_class(run.system),
            connect=lambda: connect(run),
            folder=folder,
            mappings=mappings,
            connector_class=connector_class,
            landing_root=landing_root,
        )

    def answered(self, deletes: bool | None) -> PushJob:  # noqa: FBT001  (three answers: yes, no, not asked)
        """The same job after a person has said whether the deletes it asked about are right; None: nobody was asked."""
        if deletes is None:
            return self
        with self.database.session() as connection:
            sync_logs.answer_deletes(connection, self.run.log_id, allowed=deletes)
            return replace(self, run=sync_logs.load_run(connection, self.run.log_id))

    def is_idle(self, scanned: Scanned) -> bool:
        """Whether there is nothing to send, and nothing to settle; the local cursor has moved then."""
        with self.database.session() as connection:
            if scanned.changes or attempts.unsettled(connection, self.run.config_id, limit=1):
                return False
            moves = not (self.run.dry_run or self.run.record_ids)
            sync_logs.finish_push(connection, self.run.log_id, steps=0, to=scanned.horizon if moves else None)
        return True

    @cached_property
    def mapping(self) -> Mapping:
        """The mapping of this run, read once. Raises ConfigError naming file, line and key."""
        with self.database.session() as connection:
            kept = templates.kept_templates(connection, tenant_id=self.run.tenant_id)
        return mapping_in_force(self.mappings, self.run.mapping_path, self.run.mapping_overrides, kept=kept)

    @cached_property
    def program(self) -> PushProgram:
        """The mapping of this run, compiled. Raises ConfigError."""
        return compile_push(self.mapping)

    def check(self) -> None:
        """Fail now, before anything is looked for, if the mapping, a table or the vendor does not allow a push."""
        mapping = self.program.mapping
        spec = self.connector.spec.entities.get(self.run.entity)
        if spec is None or not spec.writes:
            raise ConfigError(
                f"{self.connector.spec.title} takes no {self.run.entity} records from outside. "
                f"Set direction: pull in {self._where()}."
            )
        if Operation.CREATE in spec.writes & mapping.writes and (problem := cannot_settle(mapping, spec)):
            raise ConfigError(f"{self._where()}: {problem}")
        if problem := unjudgeable(mapping, spec):
            raise ConfigError(f"{self._where()}: {problem}")
        with self.database.session() as connection:
            self._tracked(connection, mapping)

    # -- steps ---------------------------------------------------------------------------------------------------

    def extract(self) -> Scanned:
        """Find what changed here, and land it; the same run looks once."""
        with self._alone():
            return self._scan(PushLanding(self.folder))

    def transform(self) -> int:
        """What changed in the vendor's shape, in batches; how many there are."""
        with self._alone():
            return self._map(PushLanding(self.folder))

    def load(self, *, on_progress: OnProgress = _silent) -> Counts:
        """Send what is not sent yet; what became of all, earlier tries included.

        Raises VendorUnavailable or RateLimited when some rows are not sent yet or their outcome is not known: the next
        try goes on. Raises DeletesNeedApproval when everything but the deletes is sent.
        """
        if self.run.dry_run:
            return self._plan()
        with hot_loop(), self.database.session() as guard:
            locks.hold_push(guard, self.run.config_id)
            token = attempts.next_token(guard, self.run.config_id)
            self._settle(guard, on_progress)
            self._send_rounds(guard, token, on_progress)
            scanned = PushLanding(self.folder).scanned()
            sync_logs.finish_push(
                guard, self.run.log_id, steps=1, to=scanned.horizon if scanned and not self.run.record_ids else None
            )
        with self.database.session() as connection:
            return sync_logs.summary(connection, self.run.log_id).counts

    def run_whole(self, *, on_progress: OnProgress = _silent) -> Counts:
        """Extract, then map and send at once. Raises as `load` does."""
        with hot_loop():
            self.extract()
            return self.load(on_progress=on_progress)

    def settle_open(self) -> bool:
        """Settle what earlier pushes left open, before a pull takes their records for strangers.

        False when another push is at it: that one settles them itself. A dry run leaves them: what is not found would
        be sent again.
        """
        if self.run.dry_run:
            return True
        with self.database.session() as guard:
            if not attempts.unsettled(guard, self.run.config_id, limit=1):
                return True
            if not locks.try_push(guard, self.run.config_id):
                return False
            attempts.next_token(guard, self.run.config_id)
            self._settle(guard, _silent)
        return True

    # -- sending -------------------------------------------------------------------------------------------------

    def _send_rounds(self, guard: Connection, token: int, on_progress: OnProgress) -> None:
        """Send; merge what changed at the vendor meanwhile; send what then remains."""
        landing, ids = PushLanding(self.folder), None
        for number in range(1, ROUNDS + 1):
            if number > 1:
                landing = PushLanding(self.folder / f"round-{number}")
                self._scan(landing, ids=ids)
                self._map(landing, first=number * ROUND_NUMBERS + 1)
            reread = self._send(guard, landing, token, on_progress)
            if not reread:
                return
            ids = [local_id for local_id, _ in reread]
            remote_ids = [remote_id for _, remote_id in reread if remote_id]
            if self.run.is_two_way:
                self._merge(remote_ids)
            else:
                self._bury_missing(guard, remote_ids)
        with guard.transaction():
            counts = Counts(read=len(ids or ()), ignored=len(ids or ()))
            sync_logs.add_ignored(guard, self.run.log_id, counts, reason=UNSETTLED)

    def _send(
        self, guard: Connection, landing: PushLanding, token: int, on_progress: OnProgress
    ) -> list[tuple[str, str]]:
        """Send what a landing holds; rows and records that changed at the vendor meanwhile.

        Batches are read as they are sent, so that memory does not grow with their number.
        """
        found = self._found(landing)
        writes = partial(self._batches, landing, deletes=False)
        deletes = partial(self._batches, landing, deletes=True)
        reread = self._send_all(guard, writes, found.creates + found.updates, token, on_progress)
        if found.deletes and self.run.deletes_allowed is False:
            self._keep(guard, deletes())
        elif found.deletes:
            self._approve(guard, found.deletes)
            if self.mapping.deletes.push is Deletes.IGNORE:
                self._let_go(guard, deletes())
            else:
                reread += self._send_all(guard, deletes, found.deletes, token, on_progress)
        return reread

    def _send_all(
        self, guard: Connection, batches: Batches, rows: int, token: int, on_progress: OnProgress
    ) -> list[tuple[str, str]]:
        """Send batches of `rows` rows; as long as the vendor takes some, settle what is unclear and send the rest."""
        reread: dict[tuple[str, str], None] = {}
        stalled = 0
        calls = -(-rows // self.connector.spec.entities[self.run.entity].bulk_size)
        while rows:
            sender = PushSender(
                run=self.run,
                mapping=self.mapping,
                database=self.database,
                connect=self.connect,
                make_recorder=self._recorder,
                token=token,
                workers=max(1, min(self.connector.spec.limits.concurrent, calls)),
                done=frozenset(attempts.settled_in(guard, self.run.log_id)),
            )
            sent = sender.send(batches(), on_sent=on_progress)
            reread |= dict.fromkeys(sent.reread)
            if not (sent.unknown or sent.unsent):
                break
            stalled = 0 if self._settle(guard, on_progress) + sent.settled else stalled + 1
            if stalled >= STALLS:
                raise VendorUnavailable(
                    f"{self.run.connection} {self.run.entity}: the vendor went away in the middle of a push; "
                    f"{sent.unknown + sent.unsent} rows are not sent. The next try goes on with them."
                )
        return list(reread)

    def _approve(self, guard: Connection, count: int) -> None:
        mapping, total = self.mapping, store.tied_count(guard, self.run.config_id)
        share = mapping.deletes.at_most
        is_few = count <= 1 or count <= share * total
        if self.run.deletes_allowed or mapping.deletes.push is Deletes.IGNORE or is_few:
            return
        sync_logs.ask_deletes(guard, self.run.log_id, count=count, total=total, sample=[])
        raise DeletesNeedApproval(
            f"{self.run.connection} {self.run.entity}: {count:,} of {total:,} rows are gone here, more than the "
            f"{share:.0%} of deletes.at_most. Nothing was deleted at the vendor. If that is right, approve it in "
            "Airflow, or run: erpflow sync run … --allow-deletes",
            count=count,
            total=total,
            sample=(),
        )

    def _keep(self, guard: Connection, deletes: Iterable[RequestBatch]) -> None:
        """A person has said no: the vendor's records stay, and the next run asks again."""
        for batch in deletes:
            counts = Counts(read=len(batch.requests), ignored=len(batch.requests))
            with guard.transaction():
                if sync_logs.note_batch(guard, self.run.log_id, batch.number):
                    sync_logs.add_ignored(guard, self.run.log_id, counts, reason="a person kept them")

    def _let_go(self, guard: Connection, deletes: Iterable[RequestBatch]) -> None:
        """Rows that were deleted here, and whose records stay: only a tombstone remains."""
        for batch in deletes:
            ids = [each.remote_id or "" for each in batch.requests]
            with guard.transaction():
                if sync_logs.note_batch(guard, self.run.log_id, batch.number):
                    acknowledge.bury(guard, ids, self.run.ref)
                    counts = Counts(read=len(ids), ignored=len(ids))
                    sync_logs.add_ignored(guard, self.run.log_id, counts, reason="deleted here only")

    def _settle(self, guard: Connection, on_progress: OnProgress) -> int:
        """Settle what is open; how many rows that is the end of."""
        if not attempts.unsettled(guard, self.run.config_id, limit=1):
            return 0
        with self.database.session() as connection, self.connect() as vendor:
            if not isinstance(vendor, SupportsWrites):
                raise ConfigError(f"{vendor.spec.title} cannot be written to.")
            spec = vendor.spec.entities[self.run.entity]
            recorder = self._recorder(connection)
            settlement = Settler(self.run, self.mapping, spec, connection, vendor, recorder).settle_all()
            on_progress(settlement.counts)
            if settlement.unknown:
                raise VendorUnavailable(
                    f"{self.run.connection} {self.run.entity}: it is still not known whether {settlement.unknown} "
                    "writes arrived. They are looked up again before anything is sent."
                )
        return settlement.counts.read

    def _merge(self, remote_ids: Sequence[str]) -> None:
        """Read records again and merge them, as a pull of just these."""
        if not remote_ids:
            return
        with self.database.session() as connection:
            request = OpenRequest(
                kind="records",
                window=Window(),
                direction=Direction.PULL,
                record_ids=tuple(dict.fromkeys(remote_ids)),
                triggered_by=f"push:{self.run.log_id}",
                allow_deletes=True,
            )
            log_id = sync_logs.open_log(connection, self.run.config_id, request)
        job = PullJob.open(
            self.database,
            log_id,
            connector_class=self.connector_class,
            landing_root=self.landing_root,
            mappings=self.mappings,
        )
        with self.connect() as vendor:
            job.run_whole(vendor)
        finish_run(self.database, log_id)

    def _bury_missing(self, guard: Connection, remote_ids: Sequence[str]) -> None:
        """What only goes to the vendor is made again when it is gone there, if the mapping lets us create."""
        if not remote_ids or Operation.CREATE not in self._writes():
            return
        with self.database.session() as connection, self.connect() as vendor:
            if not isinstance(vendor, SupportsWrites):
                raise ConfigError(f"{vendor.spec.title} cannot be written to.")
            recorder = self._recorder(connection)
            there = {recorder.identify(raw)[0] for raw, _ in recorder.read(remote_ids, vendor)}
        acknowledge.bury(guard, [name for name in remote_ids if name not in there], self.run.ref)

    # -- parts ---------------------------------------------------------------------------------------------------

    def _scan(self, landing: PushLanding, *, ids: Sequence[str] | None = None) -> Scanned:
        mapping = self.mapping
        with self.database.session() as connection:
            table = self._tracked(connection, mapping)
        rules = rules_of(mapping, FieldConflict(self.run.conflict))
        return scan(
            self.run,
            table,
            self.database,
            landing,
            version=mapping.version,
            writes=self._writes(),
            counters=any(rule.strategy is FieldConflict.DELTA for rule in rules.values()),
            ids=ids,
        )

    def _writes(self) -> frozenset[Operation]:
        return allowed_writes(self.mapping, self.connector.spec.entities[self.run.entity])

    def _map(self, landing: PushLanding, *, first: int = 1) -> int:
        return sum(1 for _ in self._mapped(landing, first=first))

    def _mapped(self, landing: PushLanding, *, first: int = 1) -> Iterator[RequestBatch]:
        """What the mapping makes of the changes, batch by batch; all of a scanned batch land before the first is given.

        Batches are numbered from `first`: a number stands for one batch in the whole run.
        """
        self._found(landing)
        program, version, count = self.program, self.mapping.version, 0
        with self.database.session() as connection:
            mapper = PushMapper(
                program,
                rules_of(program.mapping, FieldConflict(self.run.conflict)),
                push_lookups(connection, program.mapping, connection_id=self.run.connection_id, where=self._where()),
                connection,
                bulk_size=self.connector.spec.entities[self.run.entity].bulk_size,
                replaces=self.connector.spec.entities[self.run.entity].replaces,
            )
            for made in mapper.batches((changed.changes for changed in landing.changes()), first=first):
                count += 1
                landing.put_requests(version, count, made)
                yield from made
            landing.finish_requests(version, count)
            sync_logs.note_total(connection, self.run.log_id, chunks=1)

    def _found(self, landing: PushLanding) -> Scanned:
        """What a scan has found. Raises ConfigError when it has not finished."""
        found = landing.scanned()
        if found is None:
            raise ConfigError(
                "What changed here has not been looked for to the end, or was cleaned up. Clear the task push.extract."
            )
        return found

    def _batches(self, landing: PushLanding, *, deletes: bool | None = None) -> Iterator[RequestBatch]:
        """What is to be sent: all of it, or only the deletes, or only the rest. Mapped on the way if it is not yet."""
        version = self.mapping.version
        for batch in landing.requests(version) if landing.is_mapped(version) else self._mapped_alone(landing):
            if deletes is None or _is_delete(batch) is deletes:
                yield batch

    def _mapped_alone(self, landing: PushLanding) -> Iterator[RequestBatch]:
        with self._alone():
            yield from self._mapped(landing)

    def _plan(self) -> Counts:
        """What would be sent; nothing is, and nothing is recorded but the plan."""
        landing, counts, plan = PushLanding(self.folder), Counts(), list[PlannedChange]()
        for batch in self._batches(landing):
            made = [_COUNTED[each.operation] for each in batch.requests]
            counts += Counts(
                read=len(made) + len(batch.refused) + len(batch.unchanged),
                created=made.count("created"),
                updated=made.count("updated"),
                deleted=made.count("deleted"),
                rejected=len(batch.refused),
                unchanged=len(batch.unchanged),
            )
            plan += [_planned(each) for each in batch.requests[: MOST_PLANNED - len(plan)]]
        with self.database.session() as connection, connection.transaction():
            sync_logs.set_pushed(connection, self.run.log_id, counts)
            sync_logs.add_to_plan(connection, self.run.log_id, [change.as_json() for change in plan])
            sync_logs.finish_push(connection, self.run.log_id, steps=1, to=None)
        return counts

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with self.database.session() as connection, locks.alone(connection, self.run.log_id):
            yield

    def _recorder(self, connection: Connection) -> PushRecorder:
        """Records what was sent, and in our columns what the vendor makes of it, also where nothing is pulled."""
        acknowledge.prepare(connection)
        mapping = self.mapping
        readable = comparable(mapping, self.run.config_direction)
        program = compile_pull(readable) if readable is not None else None
        reader = None
        if program is not None:
            where = self._where()
            target = compared_target(connection, program, connection_id=self.run.connection_id, where=where)
            table = tracked(connection, program.mapping, Direction.BIDIRECTIONAL, where=where)
            reader = acknowledge.reader(connection, target, table)
        return PushRecorder(
            self.run,
            self.connector,
            connection,
            identify=program.identify if program else compile_identity(mapping),
            program=program,
            reader=reader,
            mapping_version=mapping.version,
        )

    def _tracked(self, connection: Connection, mapping: Mapping) -> Tracked:
        return tracked(connection, mapping, self.run.config_direction, where=self._where())

    def _where(self) -> str:
        return str(self.mappings / self.run.mapping_path)


_COUNTED = {Operation.CREATE: "created", Operation.UPDATE: "updated", Operation.DELETE: "deleted"}


def _is_delete(batch: RequestBatch) -> bool:
    return bool(batch.requests) and batch.requests[0].operation is Operation.DELETE


def _planned(each: Outgoing) -> PlannedChange:
    return PlannedChange(
        "push",
        _COUNTED[each.operation],
        each.remote_id,
        each.local_id,
        dict(each.before) or None,
        (dict(each.after) or (texts_of(each.values) if each.values is not None else {})) or None,
    )
