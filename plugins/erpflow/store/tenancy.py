"""The application's database as one tenant sees it: behind row-level security, whatever the statement says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Final

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

from erpflow.errors import ConfigError, DatabaseUnavailable
from erpflow.store.database import Database, translate_errors
from erpflow.vocabulary import TenantId

POOL_SIZE: Final = 8
PATIENCE_S: Final = 5.0
"""How long a request waits for a free connection before it is told to come back."""

# Both hold until the transaction ends, whichever way: a pooled connection cannot carry a tenant to the next request.
_BECOME: Final = "SELECT set_config('role', 'erpflow_tenant', true), set_config('erpflow.tenant', %s, true)"


class TenantDatabase:
    """Pooled connections to one database. Making it costs nothing; the first request asks where it is, and connects."""

    def __init__(self, database: Callable[[], Database], *, size: int = POOL_SIZE) -> None:
        """`size`: connections at most."""
        self._find = database
        # Opened by hand: a server that is away must be told in our words, not by a thread's warning.
        self._pool = ConnectionPool(
            connection_class=_Connected, min_size=0, max_size=size, open=False, timeout=PATIENCE_S, max_idle=60.0,
            kwargs={"found": lambda: self.database}, check=ConnectionPool.check_connection, name="erpflow-api",
        )  # fmt: skip

    @cached_property
    def database(self) -> Database:
        """The database itself. Raises ConfigError when none is set."""
        return self._find()

    @contextmanager
    def session(self, tenant_id: TenantId) -> Iterator[psycopg.Connection[Any]]:
        """One transaction as the tenant: rows of others are not there. Errors are translated.

        Raises DatabaseUnavailable when there is no connection to be had, ConfigError for a value Postgres cannot hold.
        """
        with self._connection() as connection, connection.transaction():
            connection.execute(_BECOME, (tenant_id,))
            yield connection

    @contextmanager
    def owner(self) -> Iterator[psycopg.Connection[Any]]:
        """One transaction for all tenants: for whoever has to find out first which one it is about."""
        with self._connection() as connection, connection.transaction():
            yield connection

    @contextmanager
    def owner_session(self) -> Iterator[psycopg.Connection[Any]]:
        """A connection for all tenants in which every statement commits by itself."""
        with self._connection() as connection:
            yield connection

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection[Any]]:
        self._pool.open()
        try:
            with translate_errors(self.database), self._pool.connection() as connection:
                yield connection
        except psycopg.DataError as error:
            # A text with a NUL, a number too large: nothing a statement of ours brings about by itself.
            raise ConfigError(f"A value cannot be kept as it is: {str(error).splitlines()[0]}.") from None
        except PoolTimeout:
            raise DatabaseUnavailable(
                f"The database {self.database.place} has no connection to spare. Try again in a moment."
            ) from None

    def check(self) -> None:
        """Ask the database anything. Raises DatabaseUnavailable when it does not answer."""
        with self._connection() as connection:
            connection.execute("SELECT 1")

    def close(self) -> None:
        """Let go of every connection."""
        self._pool.close()


class _Connected(psycopg.Connection[Any]):
    """Connects as everything else does, in our words."""

    @classmethod
    def connect(cls, conninfo: str = "", *, found: Callable[[], Database], **_more: Any) -> _Connected:  # type: ignore[override]
        return found().connect(autocommit=True)  # type: ignore[return-value]
