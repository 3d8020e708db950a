"""The limits of a connection, kept by all workers together (invariant 10): one row, one statement per request."""

from __future__ import annotations

import math
import os
import threading
from typing import TYPE_CHECKING, Any, Final, Protocol

import psycopg

from erpflow.errors import ConfigError
from erpflow.store.database import Database, translate_errors
from erpflow.vocabulary import ConnectionId

if TYPE_CHECKING:
    from psycopg.rows import TupleRow

PATIENCE_S: Final = 30.0
"""A slot further away than this is not reserved: whoever got it would not wait for it, and it would be lost."""

LONGEST_PAUSE_S: Final = 24 * 3600.0
"""Whatever a vendor asks for, a connection is tried again after a day."""

_RESERVE: Final = "SELECT erpflow.reserve_slot(%s, %s, %s)"
_PAUSE: Final = """
INSERT INTO erpflow.erp_rate_limits AS l (connection_id, tenant_id, next_at, paused_until)
SELECT id, tenant_id, clock_timestamp(), clock_timestamp() + %(seconds)s * interval '1 second'
FROM erpflow.erp_connections WHERE id = %(connection)s
ON CONFLICT (connection_id) DO UPDATE SET
    paused_until = greatest(l.paused_until, clock_timestamp() + %(seconds)s * interval '1 second'),
    updated_at = clock_timestamp()
"""


class RateLimits(Protocol):
    """What a connector's data sheet says of its vendor's limits."""

    @property
    def per_second(self) -> float | None:
        """Requests per second, or None where only pauses limit."""


class PostgresLimiter:
    """Keeps all workers of one connection together within its vendor's limits.

    Safe for threads and after a fork; holds one database connection, opened with the first request.
    """

    def __init__(
        self, database: Database, connection_id: ConnectionId, limits: RateLimits, *, patience: float = PATIENCE_S
    ) -> None:
        """`patience` in seconds: a longer wait is told and not reserved."""
        self._database = database
        self._connection_id = connection_id
        self._interval = 1.0 / limits.per_second if limits.per_second else 0.0
        self._patience = patience
        self._lock = threading.Lock()
        self._connection: psycopg.Connection[TupleRow] | None = None
        self._owner = os.getpid()

    def acquire(self, cost: float = 1.0) -> float:
        """Reserve the next request and say how many seconds to wait before sending it; 0 is now.

        `cost`: what the vendor counts it as, when that is not one. A wait longer than `patience` reserves nothing: ask
        again after it.
        Raises ConfigError when the connection was deleted, DatabaseUnavailable when Postgres is away.
        """
        row = self._run(_RESERVE, (self._connection_id, cost * self._interval, self._patience))
        if row is None or row[0] is None:
            raise ConfigError(f"The connection {self._connection_id} does not exist any more. Nothing was sent.")
        return float(row[0])

    def done(self) -> None:
        """What this thread acquired last is over."""

    def pause(self, seconds: float) -> None:
        """Nobody may send for so many seconds: the vendor said so. A shorter pause never shortens a longer one."""
        if not math.isnan(seconds) and seconds > 0:
            self._run(_PAUSE, {"connection": self._connection_id, "seconds": min(seconds, LONGEST_PAUSE_S)})

    def close(self) -> None:
        """Give the database connection back; the limiter may be used again."""
        with self._lock:
            if self._connection is not None and self._owner == os.getpid():
                self._connection.close()
            self._connection = None

    def _run(self, statement: str, parameters: Any) -> TupleRow | None:
        with self._lock, translate_errors(self._database):
            try:
                return self._execute(statement, parameters)
            except (psycopg.OperationalError, psycopg.InterfaceError):
                if self._connection is None or not self._connection.broken:
                    raise
                # An idle connection may have been cut long ago: that is no reason to fail a request.
                self._connection = None
                return self._execute(statement, parameters)

    def _execute(self, statement: str, parameters: Any) -> TupleRow | None:
        if self._connection is None or self._owner != os.getpid():
            self._connection, self._owner = self._database.connect(autocommit=True), os.getpid()
            # A slot that a crash of the server forgets does no harm; waiting for the disk with every request does.
            self._connection.execute("SET synchronous_commit = off")
        cursor = self._connection.execute(statement, parameters)
        return cursor.fetchone() if cursor.description else None
