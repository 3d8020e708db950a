"""The limits of a vendor's account, kept by all workers together (invariant 10): one row, one statement per request."""

from __future__ import annotations

import hashlib
import math
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
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

LONGEST_PAUSE_S: Final = 24 * 3600.0
"""Whatever a vendor asks for, an account is tried again after a day."""

BUSY_S: Final = 30.0
"""When to come back if the account was busy with others for all the patience there was."""

_RESERVE: Final = """
SELECT wait, lease, verdict FROM erpflow.reserve_request(
    %(connection)s, %(account)s, %(sheet)s::float8[], %(cost)s, %(patience)s, %(horizon)s, %(held)s::int[], %(keeps)s)
"""
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


@dataclass(frozen=True, slots=True)
class _Reserved:
    """What Postgres said: see `erpflow.reserve_request`."""

    wait: float
    lease: int | None
    verdict: str


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
        self._sheet = [None if limit is None else float(limit) for limit in _in_order(limits)]
        self._patience = patience
        self._clock, self._sleep = clock, sleep
        self._lock = threading.Lock()
        self._connection: psycopg.Connection[TupleRow] | None = None
        self._leases: dict[int, int] = {}  # by thread
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
            if reserved.verdict != "again":
                return reserved.wait
            if reserved.wait > left:
                return self._patience + BUSY_S
            self._sleep(reserved.wait)

    def done(self) -> None:
        """What this thread acquired last is over: somebody else may take its place."""
        # What cannot be given back for want of a connection was given back by its end.
        with self._lock, suppress(DatabaseUnavailable), translate_errors(self._database):
            lease = self._leases.pop(threading.get_ident(), None)
            if lease is not None and self._connection is not None and self._owner == os.getpid():
                self._connection.execute(_RELEASE, (self._account, lease))

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

        def parameters() -> dict[str, Any]:
            return {
                "connection": self._connection_id,
                "account": self._account,
                "sheet": self._sheet,
                "cost": cost,
                "patience": max(0.0, patience),
                "horizon": min(HORIZON_S, max(0.0, patience)),
                "held": [lease for owner, lease in self._leases.items() if owner != thread],
                "keeps": self._leases.get(thread),
            }

        with self._lock:
            row = self._run(_RESERVE, parameters)
            if row is None or row[2] is None:
                raise ConfigError(f"The connection {self._connection_id} does not exist any more. Nothing was sent.")
            reserved = _Reserved(*row)
            if reserved.lease is not None:
                self._leases[thread] = reserved.lease
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
