"""The third step of a push: batches sent by several workers at once, each attempt recorded before it leaves.

A worker has a database connection and a vendor session of its own. While its call is under way it shares the config's
lock with the other workers, so that no pull takes the records it makes for strangers.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any

import msgspec
import structlog

from erpflow.connectors.base import Change, Connector, Outcome, SupportsWrites, WriteResult
from erpflow.errors import (
    AuthFailed,
    ConfigError,
    PermissionDenied,
    ProtocolError,
    RateLimited,
    VendorUnavailable,
)
from erpflow.mapping.model import Mapping as EntityMapping
from erpflow.mapping.paths import Path, parse_path, plant
from erpflow.store import acknowledge, attempts, locks, sync_logs
from erpflow.store import push as store
from erpflow.store.acknowledge import VendorState
from erpflow.store.attempts import Attempt, Settled
from erpflow.store.database import Database
from erpflow.store.pull import Connection
from erpflow.store.push import Tie
from erpflow.store.sync_logs import SyncRun
from erpflow.sync.natural_key import NaturalKey
from erpflow.sync.push_landing import Outgoing, RequestBatch
from erpflow.sync.push_map import decode, encode, texts_of
from erpflow.sync.push_record import DUPLICATE, PushRecorder, Settlement, taken_over
from erpflow.vocabulary import Counts, Operation, RemoteId

log = structlog.get_logger(__name__)

NOTHING_DONE = (AuthFailed, PermissionDenied, RateLimited, VendorUnavailable, ProtocolError)
"""What `SupportsWrites.write` raises when no change of the call can have been done."""

KEY_BYTES = 16

PATIENCE = 3
"""Batches in a row of which nothing comes through, before no more is sent."""

Connect = Callable[[], AbstractContextManager[Connector]]
MakeRecorder = Callable[[Connection], PushRecorder]
OnSent = Callable[[Counts], None]
Versions = Mapping[str, str | None]
Shape = dict[str, Any]
Shapes = dict[str, Shape]
"""What is sent of each row of a batch in the vendor's shape, by local id."""


def new_keys(count: int) -> list[str]:
    """Idempotency keys: they travel to the vendor, where they may become the external ids of records."""
    digits = token_hex(KEY_BYTES * count)
    return [f"erp-{digits[start : start + 2 * KEY_BYTES]}" for start in range(0, len(digits), 2 * KEY_BYTES)]


@dataclass(slots=True)
class Sent:
    """What a round of sending left.

    `reread`: rows and their records that changed at the vendor meanwhile. `unknown`: attempts nobody knows the outcome
    of. `unsent`: rows that are still to be sent. `settled`: rows that are done with.
    """

    reread: list[tuple[str, str]] = field(default_factory=list)
    unknown: int = 0
    unsent: int = 0
    settled: int = 0


class Takers:
    """Which row of a round takes which record that it met: of several rows, in whichever batches, the first."""

    def __init__(self) -> None:
        self._rows: dict[str, str] = {}
        self._lock = threading.Lock()

    def take(self, met: Mapping[str, str]) -> dict[str, str]:
        """Those of these rows, each with the record that it met, that take it. One that it does not take stays so."""
        with self._lock:
            return {row: name for row, name in met.items() if self._rows.setdefault(name, row) == row}


@dataclass(frozen=True, slots=True)
class PushSender:
    """Sends the batches of one run. `token`: the fencing token of this push."""

    run: SyncRun
    mapping: EntityMapping
    database: Database
    connect: Connect
    make_recorder: MakeRecorder
    token: int
    workers: int
    done: frozenset[tuple[str, str]] = frozenset()
    """Rows that an earlier try of the run is done with, by local id and operation."""

    def send(self, batches: Iterable[RequestBatch], *, on_sent: OnSent) -> Sent:
        """Send everything. The first error stops all workers at their next batch and is raised once they have."""
        crew = _Crew(self, on_sent)
        try:
            for batch in batches:
                if not crew.give(batch):
                    break
        finally:
            crew.finish()
        return crew.sent


class _Crew:
    """The workers of one `send`, and the short queue that feeds them."""

    def __init__(self, sender: PushSender, on_sent: OnSent) -> None:
        self.sent = Sent()
        self._sender = sender
        self._takers = Takers()
        self._on_sent = on_sent
        self._queue: queue.Queue[RequestBatch | None] = queue.Queue(maxsize=sender.workers)
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._failures = 0  # batches in a row of which nothing came through
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._work, name=f"erpflow-push-{number}", daemon=True)
            for number in range(sender.workers)
        ]
        for thread in self._threads:
            thread.start()

    def give(self, batch: RequestBatch) -> bool:
        """Hand a batch to whoever is free; False when the crew has stopped."""
        while not self._stop.is_set():
            try:
                self._queue.put(batch, timeout=0.05)
            except queue.Full:
                continue
            return True
        return False

    def finish(self) -> None:
        """Wait until everybody is done. Raises the first error."""
        for _ in self._threads:
            while any(thread.is_alive() for thread in self._threads):
                try:
                    self._queue.put(None, timeout=0.05)
                except queue.Full:
                    continue
                break
        for thread in self._threads:
            thread.join()
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        sender = self._sender
        try:
            with sender.database.session() as connection, sender.connect() as vendor:
                if not isinstance(vendor, SupportsWrites):
                    raise ConfigError(f"{vendor.spec.title} cannot be written to.")
                courier = Courier(sender, connection, vendor, self._takers)
                while (batch := self._queue.get()) is not None and not self._stop.is_set():
                    self._note(courier.deliver(batch))
        except BaseException as error:  # noqa: BLE001  # raised again in the thread that waits
            with self._lock:
                self._error = self._error or error
            self._stop.set()

    def _note(self, settlement: Settlement) -> None:
        counts = settlement.counts
        with self._lock:
            self.sent.reread += settlement.reread
            self.sent.unknown += settlement.unknown
            self.sent.unsent += settlement.unsent
            self.sent.settled += counts.read
            if counts.read or settlement.reread:
                self._failures = 0
            elif settlement.unknown or settlement.unsent:
                self._failures += 1
            if self._failures >= PATIENCE:
                self._stop.set()  # the vendor is down, and not only hard of hearing
            self._on_sent(counts)


class Courier:
    """Delivers one batch after the other over one connection and one vendor session."""

    def __init__(self, sender: PushSender, connection: Connection, vendor: SupportsWrites, takers: Takers) -> None:
        self._run = sender.run
        self._takers = takers
        self._mapping = sender.mapping
        self._key_of = NaturalKey(sender.mapping)
        self._done = sender.done
        self._token = sender.token
        self._connection = connection
        self._vendor = vendor
        self._recorder = sender.make_recorder(connection)
        connector: Connector = vendor  # type: ignore[assignment]  # a protocol beside the class
        self._spec = connector.spec.entities[sender.run.entity]
        external_id = sender.mapping.remote.external_id
        self._external_id = parse_path(external_id) if external_id is not None else None

    def deliver(self, batch: RequestBatch) -> Settlement:
        """Record, send, record. Raises what the vendor's connector raises; nothing is sent twice for it."""
        connection, run = self._connection, self._run
        with locks.shared(connection, run.config_id):
            if batch.refused or batch.unchanged:
                with connection.transaction():
                    if sync_logs.note_batch(connection, run.log_id, batch.number):
                        self._recorder.refuse(batch.refused)
                        self._recorder.refresh(batch.unchanged)
            requests = [each for each in batch.requests if (each.local_id, each.operation) not in self._done]
            if not requests:
                return Settlement()
            moved, standing = self._standing(requests)
            stale, fresh = self._sort_out(standing)
            shapes = {each.local_id: decode(each.request) for each in fresh}
            met, strangers = self._meet(fresh, shapes)
            settlement = self._send(strangers, shapes) if strangers else Settlement()
            settlement.reread += moved + [(each.local_id, each.remote_id or "") for each in stale] + met
            return settlement

    def _standing(self, requests: Sequence[Outgoing]) -> tuple[list[tuple[str, str]], list[Outgoing]]:
        """Which rows are tied otherwise by now than when they were looked at, and those that are not.

        Another push may have sent them, or what became of a killed one was settled meanwhile: such a row is looked at
        again before anything is sent (invariant 5). So is one whose sides never agreed on anything: it is merged first.
        """
        ties = store.ties(self._connection, self._run.config_id, [each.local_id for each in requests])
        moved, standing = [], []
        for each in requests:
            tie = ties.get(each.local_id)
            if self._stands(each, tie):
                standing.append(each)
            else:
                moved.append((each.local_id, tie.remote_id if tie else ""))
        return moved, standing

    def _stands(self, each: Outgoing, tie: Tie | None) -> bool:
        if each.operation is Operation.CREATE or tie is None:
            return each.operation is Operation.CREATE and tie is None
        never_agreed = self._run.is_two_way and not each.agreed
        is_same = (tie.remote_id, tie.version) == (each.remote_id, each.version)
        return is_same and tie.status in ("synced", "pending") and not never_agreed

    def _send(self, requests: Sequence[Outgoing], shapes: Shapes) -> Settlement:
        connection, run = self._connection, self._run
        made = [
            self._attempt(each, shapes[each.local_id], key)
            for each, key in zip(requests, new_keys(len(requests)), strict=True)
        ]
        if not attempts.record(connection, made, run.ref, token=self._token):
            raise taken_over(run)
        changes = [
            self._change(each, shapes[each.local_id], attempt) for each, attempt in zip(requests, made, strict=True)
        ]
        try:
            results = self._vendor.write(run.entity, changes)
        except NOTHING_DONE:
            undone = [Settled(attempt.idempotency_key, "superseded") for attempt in made]
            with connection.transaction():
                attempts.settle(connection, run.config_id, undone, token=self._token)
            raise
        results = self._linked(made, results)
        settlement = self._recorder.settle(made, results, self._vendor)
        self._recorder.record(settlement, token=self._token)
        return settlement

    def _attempt(self, outgoing: Outgoing, shape: Shape, key: str) -> Attempt:
        """An attempt at what is to be sent. A new record carries its key, where the mapping says, in the shape too."""
        request = outgoing.request
        if self._external_id is not None and outgoing.operation is Operation.CREATE:
            request = _with_key(request, shape, self._external_id, key)
        return Attempt(
            outgoing.local_id,
            outgoing.remote_id,
            outgoing.operation,
            key,
            msgspec.Raw(request),
            msgspec.Raw(outgoing.values) if outgoing.values is not None else None,
            outgoing.hash,
            outgoing.before,
        )

    def _change(self, outgoing: Outgoing, shape: Shape, attempt: Attempt) -> Change:
        operation = outgoing.operation
        if operation is Operation.DELETE and shape:
            operation = Operation.UPDATE  # a soft delete: the vendor's record is marked
        return Change(
            operation,
            attempt.idempotency_key,
            RemoteId(outgoing.remote_id) if outgoing.remote_id is not None else None,
            shape,
            outgoing.version if self._run.is_two_way else None,
        )

    def _sort_out(self, requests: Sequence[Outgoing]) -> tuple[list[Outgoing], list[Outgoing]]:
        """Which of these changed at the vendor since they were read, where the vendor does not check that itself."""
        known = [each for each in requests if each.remote_id is not None]
        if not known or self._spec.checks_version or not self._run.is_two_way:
            return [], list(requests)
        records = self._recorder.read([each.remote_id or "" for each in known], self._vendor)
        versions = self._recorder.versions(records)
        states: dict[str, VendorState] = {}
        if any(each.version is None for each in known):
            states = self._recorder.states(records)
        stale: list[Outgoing] = []
        fresh: list[Outgoing] = []
        for each in requests:
            moved = each.remote_id is not None and self._has_moved(each, versions, states)
            (stale if moved else fresh).append(each)
        return stale, fresh

    @staticmethod
    def _has_moved(each: Outgoing, versions: Versions, states: Mapping[str, VendorState]) -> bool:
        """Whether a record is not what it was when its row was looked at, by its version, or else by its values."""
        name = each.remote_id or ""
        if name not in versions:
            return each.operation is not Operation.DELETE
        if each.version is not None:
            return versions[name] != each.version
        return dict(states[name].values) != (texts_of(each.agreed_remote) if each.agreed_remote is not None else None)

    def _meet(self, requests: Sequence[Outgoing], shapes: Shapes) -> tuple[list[tuple[str, str]], list[Outgoing]]:
        """Rows whose record is at the vendor already, by natural key, and belongs to nobody here: they are merged.

        A config that only pushes has nothing to merge: it updates the record. Of several rows that meet one record the
        first takes it, also of those that other couriers deliver at this moment. Who is met is looked up for the batch.
        """
        creates = [each.local_id for each in requests if each.operation is Operation.CREATE]
        keys = {local_id: key for local_id in creates if (key := self._key_of(shapes[local_id]))}
        if not keys:
            return [], list(requests)
        found = dict(zip(keys, self._vendor.find(self._run.entity, list(keys.values())), strict=True))
        single = {local_id: names[0] for local_id, names in found.items() if len(names) == 1}
        tied = acknowledge.tied_to(self._connection, list(single.values()), self._run.config_id) if single else {}
        met = {local_id: name for local_id, name in single.items() if name not in tied}
        if self._run.is_two_way:
            return list(met.items()), [each for each in requests if each.local_id not in met]
        taken = self._takers.take(met)
        return [], [_as_update(each, taken[each.local_id]) if each.local_id in taken else each for each in requests]

    def _linked(self, made: Sequence[Attempt], results: Sequence[WriteResult]) -> list[WriteResult]:
        """Creates that the vendor refuses as duplicates: the record that is there already, if it is nobody's yet.

        It is read and merged then, as if both sides had created it. Which it is, is looked up for the whole call.
        """
        linked = list(results)
        if not any(result.problems for result in results):
            return linked
        keys = {
            place: key
            for place, (attempt, result) in enumerate(zip(made, results, strict=True))
            if _is_duplicate(attempt, result) and (key := self._key_of(attempt.sent))
        }
        if not keys:
            return linked
        found = dict(zip(keys, self._vendor.find(self._run.entity, list(keys.values())), strict=True))
        single = {place: names[0] for place, names in found.items() if len(names) == 1}
        tied = acknowledge.tied_to(self._connection, list(single.values()), self._run.config_id) if single else {}
        for place, name in single.items():
            linked[place] = (
                WriteResult(Outcome.REJECTED, name, problems=results[place].problems)
                if name in tied
                else WriteResult(Outcome.STALE, name)
            )
        return linked


def _with_key(request: bytes, shape: Shape, path: Path, key: str) -> bytes:
    """What is sent with the key in its place, as JSON; `shape` is the same, and gets it too."""
    if len(path) > 1 or path[0] in shape or not shape:
        plant(shape, path, key)
        return encode(shape)
    shape[path[0]] = key  # type: ignore[index]  # a record is an object: the first step is a name
    return b'%b,%b:"%b"}' % (request[:-1], encode(path[0]), key.encode())


def _is_duplicate(attempt: Attempt, result: WriteResult) -> bool:
    """Whether the vendor refused to make a record because it has one like it."""
    if result.outcome is not Outcome.REJECTED or attempt.operation is not Operation.CREATE:
        return False
    return any(problem.rule == DUPLICATE for problem in result.problems)


def _as_update(outgoing: Outgoing, remote_id: str) -> Outgoing:
    """A create as the update of a record that was met."""
    values = texts_of(outgoing.values) if outgoing.values is not None else {}
    return msgspec.structs.replace(
        outgoing, operation=Operation.UPDATE, remote_id=remote_id, before=values, after=values
    )
