"""The limits of a vendor's account, kept by all workers together (invariant 10): one row, one statement per request."""

from __future__ import annotations

import hashlib
import math
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

import psycopg

from erpflow.errors import ConfigError, DatabaseUnavailable
from erpflow.store.database import Database, translate_errors
from erpflow.vocabulary import ConnectionId

if TYPE_CHECKING:
    from psycopg.rows import TupleRow

PATIENCE_S: Final = 30.0
"""Nobody waits longer than this in a worker: the wait is told, and nothing is reserved."""

HORIZON_S: Final = 0.5
"""How far ahead a request is given its moment: a pause that comes later does not reach it any more."""

ON_TIME_S: Final = 0.005
"""A request that leaves so much later than it was let through is on time: the spaces of a second allow for it."""

LONGEST_PAUSE_S: Final = 24 * 3600.0
"""Whatever a vendor asks for, an account is tried again after a day."""

BUSY_S: Final = 30.0
"""When to come back if the account was busy with others for all the patience there was."""

_RESERVE: Final = """
SELECT wait, lease, verdict, due, spent, quickest FROM erpflow.reserve_request(
    %(connection)s, %(account)s, %(sheet)s::float8[], %(cost)s, %(patience)s, %(horizon)s, %(held)s::int[], %(keeps)s)
"""
_LEAVE: Final = "SELECT erpflow.leave_late(%s, %s, %s)"
_ANSWERED: Final = "SELECT erpflow.answer_late(%s, %s, %s, %s)"
_RELEASE: Final = "SELECT pg_advisory_unlock(hashtext(%s), %s)"
_PAUSE: Final = "SELECT erpflow.pause_requests(%s, %s, %s)"


class RateLimits(Protocol):
    """What a connector's data sheet says of its vendor's limits: requests in any span of that length, None for none."""

    @property
    def per_second(self) -> float | None: ...

    @property
    def per_minute(self) -> float | None: ...

    @property
    def per_hour(self) -> float | None: ...

    @property
    def per_day(self) -> float | None: ...

    @property
    def concurrent(self) -> int | None:
        """Requests under way at the same time."""


def _in_order(limits: RateLimits) -> tuple[float | None, ...]:
    return limits.per_second, limits.per_minute, limits.per_hour, limits.per_day, limits.concurrent


def _as_array(numbers: Sequence[float | None]) -> str:
    """An array as Postgres reads it: the driver takes longer to write one than Postgres to answer."""
    return f"{{{','.join('NULL' if number is None else repr(number) for number in numbers)}}}"


@dataclass(frozen=True, slots=True)
class _Reserved:
    """What Postgres said: see `erpflow.reserve_request`."""

    wait: float
    lease: int | None
    verdict: str
    due: datetime | None
    spent: float | None
    quickest: float | None


@dataclass(slots=True)
class _Departure:
    """A request that was let through: where Postgres counts it, and when that is by our clock, at the earliest.

    `counted_at` is None when it came too late to leave. `quickest`: seconds the vendor takes for an answer at least.
    `left_at`: when it was sent, by our clock.
    """

    counted_at: datetime | None
    due: float
    cost: float
    quickest: float
    left_at: float | None = None

    def is_odd(self, seconds: float) -> bool:
        """Whether an answer after so many seconds came late, or sooner than any before: Postgres wants to know that."""
        return not self.quickest <= seconds <= self.quickest + ON_TIME_S


class PostgresLimiter:
    """Keeps all workers that ask one account of a vendor together within its limits.

    Safe for threads and after a fork. Holds one database connection, opened with the first request: its end, however it
    comes, gives back what was under way.
    """

    def __init__(
        self,
        database: Database,
        connection_id: ConnectionId,
        limits: RateLimits,
        *,
        account: str | None = None,
        patience: float = PATIENCE_S,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`account`: what the vendor counts together; this connection alone unless it is said. It is never written down
        as it is: a login may be half of a secret.

        `patience` in seconds: a longer wait is told and not reserved.
        """
        self._database = database
        self._connection_id = connection_id
        self._account = connection_id if account is None else hashlib.sha256(account.encode()).hexdigest()[:32]
        self._sheet = _as_array([None if limit is None else float(limit) for limit in _in_order(limits)])
        self._patience = patience
        self._clock, self._sleep = clock, sleep
        self._lock = threading.Lock()
        self._connection: psycopg.Connection[TupleRow] | None = None
        self._leases: dict[int, int] = {}  # by thread
        self._departures: dict[int, _Departure] = {}  # by thread
        self._owner = os.getpid()

    def acquire(self, cost: float = 1.0) -> float:
        """Reserve the next request and say how many seconds to wait before sending it; 0 is now.

        `cost`: what the vendor counts it as, when that is not one. Waits here while the account is busy. A wait longer
        than `patience` reserves nothing: ask again after it.
        Raises ConfigError when the connection was deleted, DatabaseUnavailable when Postgres is away.
        """
        deadline = self._clock() + self._patience
        while True:
            left = deadline - self._clock()
            reserved = self._reserve(cost, left)
            if reserved.verdict == "go" or reserved.wait > self._patience:
                return reserved.wait
            if reserved.verdict == "later" or reserved.wait > left:
                return self._patience + BUSY_S  # told as too long, or it would be taken for reserved
            self._sleep(reserved.wait)

    def leave(self) -> float:
        """Say, after the wait, that what this thread acquired last is sent now: 0, or how many seconds to wait again.

        A worker that was held back counts its request from now, so that it does not meet, at the vendor, those that are
        let through a second later. Raises as `acquire` does.
        """
        with self._lock:
            departure = self._departures.get(threading.get_ident())
            if departure is None:
                return 0.0
            if self._clock() - departure.due > ON_TIME_S:
                counted = (self._account, departure.counted_at, departure.cost)
                row = self._run(_LEAVE, lambda: counted)
                departure.counted_at = row[0] if row else None
            departure.left_at = self._clock()
            if departure.counted_at is not None:
                return 0.0
        return self.acquire(departure.cost)

    def done(self) -> None:
        """What this thread acquired last is over: somebody else may take its place."""
        answered_at = self._clock()
        # What cannot be given back for want of a connection was given back by its end.
        with self._lock, suppress(DatabaseUnavailable), translate_errors(self._database):
            departure = self._departures.pop(threading.get_ident(), None)
            lease = self._leases.pop(threading.get_ident(), None)
            if self._connection is None or self._owner != os.getpid():
                return
            if lease is not None:
                self._connection.execute(_RELEASE, (self._account, lease))
            if departure is not None and departure.left_at is not None:
                took = answered_at - departure.left_at
                if departure.is_odd(took):
                    self._connection.execute(_ANSWERED, (self._account, departure.counted_at, departure.cost, took))

    def pause(self, seconds: float) -> None:
        """Nobody may send for so many seconds: the vendor said so. A shorter pause never shortens a longer one."""
        if not math.isnan(seconds) and seconds > 0:
            with self._lock:
                wanted = (self._connection_id, self._account, min(seconds, LONGEST_PAUSE_S))
                self._run(_PAUSE, lambda: wanted)

    def close(self) -> None:
        """Give the database connection back, and with it what is under way; the limiter may be used again."""
        with self._lock:
            if self._connection is not None and self._owner == os.getpid():
                self._connection.close()
            self._forget()

    def _reserve(self, cost: float, patience: float) -> _Reserved:
        thread = threading.get_ident()
        asked_at = 0.0

        def parameters() -> dict[str, Any]:
            nonlocal asked_at
            asked_at = self._clock()
            return {
                "connection": self._connection_id,
                "account": self._account,
                "sheet": self._sheet,
                "cost": cost,
                "patience": max(0.0, patience),
                "horizon": min(HORIZON_S, max(0.0, patience)),
                "held": _as_array([lease for owner, lease in self._leases.items() if owner != thread]),
                "keeps": self._leases.get(thread),
            }

        with self._lock:
            row = self._run(_RESERVE, parameters)
            if row is None or row[2] is None:
                raise ConfigError(f"The connection {self._connection_id} does not exist any more. Nothing was sent.")
            reserved = _Reserved(*row)
            if reserved.lease is not None:
                self._leases[thread] = reserved.lease
            if reserved.due is not None:
                due = asked_at + (reserved.spent or 0.0) + reserved.wait
                self._departures[thread] = _Departure(reserved.due, due, cost, reserved.quickest or 0.0)
        return reserved

    def _run(self, statement: str, parameters: Callable[[], Any]) -> TupleRow | None:
        """Run a statement; its parameters may tell what is held, so they are asked for when a connection stands."""
        with translate_errors(self._database):
            try:
                return self._execute(statement, parameters)
            except (psycopg.OperationalError, psycopg.InterfaceError):
                if self._connection is None or not self._connection.broken:
                    raise
                # An idle connection may have been cut long ago: that is no reason to fail a request.
                self._forget()
                return self._execute(statement, parameters)

    def _execute(self, statement: str, parameters: Callable[[], Any]) -> TupleRow | None:
        if self._connection is None or self._owner != os.getpid():
            self._forget()
            self._connection, self._owner = self._database.connect(autocommit=True), os.getpid()
            # A slot that a crash of the server forgets does no harm; waiting for the disk with every request does.
            self._connection.execute("SET synchronous_commit = off")
        cursor = self._connection.execute(statement, parameters())
        return cursor.fetchone() if cursor.description else None

    def _forget(self) -> None:
        self._connection = None
        self._leases.clear()
        self._departures.clear()
