"""Applies the events of the inbox: lane by lane, each as one pull of the records that its events name.

An event says that a record changed, and the record is read again at the vendor: so the order in which events come, how
often and how late does not matter, and a record that is gone is deleted as the mapping says. What becomes of the events
is written in the transaction that holds them; a drain that is killed leaves them as they were, and they are applied
again.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import structlog

from erpflow.errors import DeletesNeedApproval, ErpflowError, ProtocolError, RateLimited
from erpflow.store import sync_logs, webhook_lanes
from erpflow.store.sync_logs import Connection, OpenRequest
from erpflow.store.webhook_lanes import DRAIN, Due, Lane, Settled, Subject
from erpflow.sync.engine import Engine, Stopped
from erpflow.sync.pull import finish, note_failure
from erpflow.vocabulary import Direction, SyncConfigId, SyncLogId, WebhookEventState, Window

log = structlog.get_logger(__name__)

MOST_EVENTS: Final = 500
"""Events of one pass: the records of a page or two, so that a lane is never held for long."""
MOST_TRIES: Final = 10
LANES_AT_ONCE: Final = 4
FIRST_DELAY_S: Final = 10.0
LONGEST_DELAY_S: Final = 3600.0
STAY_S: Final = 55.0
LONGEST_S: Final = 900.0
"""Somebody else takes over from a drain that has been busy for so long: nothing lives for ever."""

_POLL_S: Final = 1.0
_POLL_BUSY_S: Final = 0.1
_ELSEWHERE_S: Final = 1.0

_NOT_HERE: Final = {
    "never_here": "The vendor does not have the record (any more), and it was never here.",
    "was_deleted": "The record was deleted before, and the vendor has nothing newer.",
}


@dataclass(frozen=True, slots=True)
class Drained:
    """What a drain has done: events by what became of them, and pulls."""

    events: int = 0
    runs: int = 0
    states: Counter[WebhookEventState] = field(default_factory=Counter)

    def __add__(self, other: Drained) -> Drained:
        return Drained(self.events + other.events, self.runs + other.runs, self.states + other.states)


@dataclass(frozen=True, slots=True)
class Drain:
    """Takes events out of the inbox. `dag_id` and `dag_run_id`: whose logs the pulls are.

    `clock` counts seconds; `jitter` is a number from 0 to 1.
    """

    engine: Engine
    dag_id: str | None = None
    dag_run_id: str | None = None
    most_events: int = MOST_EVENTS
    clock: Callable[[], float] = time.monotonic
    jitter: Callable[[], float] = random.random

    def run(self, *, stay_s: float = 0.0, longest_s: float = LONGEST_S) -> Drained:
        """Apply what is due, and what comes until nothing has come for `stay_s`; `longest_s` in all.

        Lanes are drained side by side: a vendor that does not answer holds up its own. Raises what stopped a lane,
        after the others are done.
        """
        with self.engine.database.session() as ears, _Lanes(self) as lanes:
            began = quiet_since = self.clock()
            with _listening(ears):
                while True:
                    if lanes.step(ears):
                        quiet_since = self.clock()
                    now = self.clock()
                    if now - began >= longest_s or (lanes.are_idle and now - quiet_since >= stay_s):
                        break
                    webhook_lanes.wait(ears, timeout_s=_POLL_S if lanes.are_idle else _POLL_BUSY_S)
            if self.clock() - began < longest_s:
                # What came while somebody thought that we hear it.
                while lanes.step(ears):
                    webhook_lanes.wait(ears, timeout_s=_POLL_BUSY_S)
            return lanes.ended()

    # -- one lane ------------------------------------------------------------------------------------------------

    def drain_lane(self, lane: Lane) -> tuple[Drained, bool]:
        """Apply everything that is due in a lane; False as well when another drain is in it."""
        total = Drained()
        while True:
            with self.engine.database.transaction() as connection:
                if not webhook_lanes.enter(connection, lane):
                    return total, False
                due = webhook_lanes.claim(connection, lane, most=self.most_events)
                if not due:
                    return total, True
                settled = self._settled(connection, lane, due)
                webhook_lanes.settle(connection, settled)
            runs = len({each.log_id for each in settled if each.log_id is not None})
            total += Drained(len(settled), runs, Counter(each.state for each in settled))

    def _settled(self, connection: Connection, lane: Lane, due: Sequence[Due]) -> list[Settled]:
        subject = webhook_lanes.subject_of(connection, lane)
        reason = _why_not(lane, subject)
        if reason is not None or subject is None or subject.config_id is None:
            return [Settled(each.event_id, WebhookEventState.IGNORED, error=reason) for each in due]
        self._close_left_behind(subject.config_id)
        nameless = [each for each in due if each.remote_id is None]
        parked = [
            Settled(each.event_id, WebhookEventState.PARKED, error="The event names no record.") for each in nameless
        ]
        named = [each for each in due if each.remote_id is not None]
        return [*parked, *(self._pulled(subject.config_id, named) if named else [])]

    def _pulled(self, config_id: SyncConfigId, due: Sequence[Due]) -> list[Settled]:
        """Read the records of events again, apply them, and say what became of each."""
        ids = tuple(dict.fromkeys(each.remote_id for each in due if each.remote_id is not None))
        log_id = self._open(config_id, ids)
        try:
            self.engine.run(log_id)
        except DeletesNeedApproval as error:
            return [self._outcome(each, log_id, found, waiting=str(error)) for each, found in
                    self._outcomes(config_id, log_id, due)]  # fmt: skip
        except ProtocolError as error:
            if len(ids) == 1:
                return self._later(due, log_id, error)
            # One record that the vendor cannot answer for must not hold up the others.
            middle = set(ids[: len(ids) // 2])
            parts = ([each for each in due if (each.remote_id in middle) is first] for first in (True, False))
            return [settled for part in parts for settled in self._pulled(config_id, part)]
        except Exception as error:  # noqa: BLE001  (a defect in one lane must not stop the others)
            return self._later(due, log_id, error)
        return [self._outcome(each, log_id, found) for each, found in self._outcomes(config_id, log_id, due)]

    def _open(self, config_id: SyncConfigId, ids: tuple[str, ...]) -> SyncLogId:
        """A log of its own for each pull, of exactly this config: names of connections may be another tenant's too."""
        request = OpenRequest(
            kind="records",
            window=Window(None, None),
            dag_id=self.dag_id,
            dag_run_id=self.dag_run_id,
            triggered_by=DRAIN,
            direction=Direction.PULL,
            record_ids=ids,
        )
        with self.engine.database.session() as connection:
            return sync_logs.open_log(connection, config_id, request)

    def _outcomes(self, config_id: SyncConfigId, log_id: SyncLogId, due: Sequence[Due]) -> Iterator[tuple[Due, str]]:
        ids = [each.remote_id for each in due if each.remote_id is not None]
        with self.engine.database.session() as connection:
            found = webhook_lanes.outcomes(connection, config_id, log_id, ids)
        for each in due:
            yield each, found[each.remote_id or ""]

    def _outcome(self, due: Due, log_id: SyncLogId, found: str, *, waiting: str | None = None) -> Settled:
        if waiting is not None and found == "unchanged":
            return Settled(due.event_id, WebhookEventState.PARKED, error=_plain(waiting), log_id=log_id)
        if found in _NOT_HERE:
            return Settled(due.event_id, WebhookEventState.IGNORED, "ignored", _NOT_HERE[found], log_id)
        return Settled(due.event_id, WebhookEventState.APPLIED, found, log_id=log_id)

    def _later(self, due: Sequence[Due], log_id: SyncLogId, error: Exception) -> list[Settled]:
        """Try events again, each time later; a person looks at those that were tried often enough."""
        if isinstance(error, ErpflowError):
            reason = _plain(str(error))
            log.warning("webhook_events_put_off", sync_log=log_id, events=len(due), why=reason)
        else:
            reason = f"A defect ({type(error).__name__}); the log of the task has the traceback."
            log.exception("webhook_events_failed", sync_log=log_id, events=len(due))
        return [self._put_off(each, log_id, reason, error) for each in due]

    def _put_off(self, due: Due, log_id: SyncLogId, reason: str, error: Exception) -> Settled:
        if due.attempts + 1 >= MOST_TRIES:
            last = f"Tried {due.attempts + 1} times, the last time: {reason} Mend that, then replay the event."
            return Settled(due.event_id, WebhookEventState.PARKED, error=last, log_id=log_id)
        delay = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2**due.attempts) * (0.5 + self.jitter() / 2)
        if isinstance(error, RateLimited):
            delay = max(delay, error.retry_after)
        return Settled(due.event_id, WebhookEventState.RECEIVED, error=reason, log_id=log_id, retry_in=delay)

    def _close_left_behind(self, config_id: SyncConfigId) -> None:
        """End the logs of a drain that was killed in this lane; its events are due again, and get another log."""
        with self.engine.database.session() as connection:
            killed = webhook_lanes.left_behind(connection, config_id)
        for log_id in killed:
            reason = Stopped("The drain was killed while it applied webhook events. A later sync log has them.")
            note_failure(self.engine.database, log_id, reason)
            finish(self.engine.database, log_id)


class _Lanes:
    """The lanes that are being drained, each in a thread."""

    def __init__(self, drain: Drain) -> None:
        self._drain = drain
        self._pool = ThreadPoolExecutor(max_workers=LANES_AT_ONCE, thread_name_prefix="erpflow-webhooks")
        self._working: dict[Lane, Future[tuple[Drained, bool]]] = {}
        self._elsewhere: dict[Lane, float] = {}
        self._broken: dict[Lane, Exception] = {}
        self._total = Drained()

    def __enter__(self) -> _Lanes:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    @property
    def are_idle(self) -> bool:
        """Whether no lane is being drained."""
        return not self._working

    def step(self, connection: Connection) -> bool:
        """See which lanes are through, and begin those that are due; whether there is anything to do at all."""
        self._reap()
        now = self._drain.clock()
        due = [
            lane
            for lane in webhook_lanes.due_lanes(connection)
            if lane not in self._broken and self._elsewhere.get(lane, now) <= now
        ]
        for lane in due:
            if lane not in self._working:
                self._working[lane] = self._pool.submit(self._drain.drain_lane, lane)
        return bool(due) or bool(self._working)

    def ended(self) -> Drained:
        """What all lanes have done, when they are through. Raises what stopped one."""
        self._pool.shutdown(wait=True)
        self._reap()
        for error in self._broken.values():
            raise error
        return self._total

    def _reap(self) -> None:
        for lane, future in list(self._working.items()):
            if not future.done():
                continue
            del self._working[lane]
            try:
                drained, is_through = future.result()
            except Exception as error:  # noqa: BLE001  (raised at the end: the other lanes come first)
                self._broken[lane] = error
                why = str(error) if isinstance(error, ErpflowError) else type(error).__name__
                log.warning("webhook_lane_stopped", connection=lane.connection_id, entity=lane.entity, why=why)
                continue
            self._total += drained
            if not is_through:
                self._elsewhere[lane] = self._drain.clock() + _ELSEWHERE_S


@contextmanager
def _listening(ears: Connection) -> Iterator[None]:
    webhook_lanes.listen(ears)
    try:
        yield
    finally:
        webhook_lanes.stop_listening(ears)


def _why_not(lane: Lane, subject: Subject | None) -> str | None:
    """Why the events of a lane are not applied at all."""
    if subject is None:
        return "The connection was deleted."
    if subject.config_id is None:
        return f'The connection "{subject.connection}" does not sync the entity "{lane.entity}". Add a sync config.'
    if not (subject.config_enabled and subject.connection_enabled):
        return f'Syncing "{lane.entity}" with "{subject.connection}" is switched off.'
    if subject.direction is Direction.PUSH:
        return f'"{lane.entity}" of "{subject.connection}" is only pushed: what the vendor says of it is not applied.'
    return None


def _plain(text: str) -> str:
    """A message as Postgres can keep it: it may quote a vendor."""
    return text[:2_000].replace("\x00", "�").encode("utf-8", "replace").decode()
