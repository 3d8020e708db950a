"""The advisory lock of a sync config: while one run applies a chunk, every other waits (invariant 4)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from erpflow.errors import AlreadyRunning
from erpflow.vocabulary import SyncConfigId, SyncLogId

LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('erpflow.sync_config', 0) # hashtextextended(%s, 0))"

LOCK_WAIT = "60s"
"""How long a chunk waits for another run's: chunks take well under a second, so a longer wait means a stuck session."""


SHARE = """
WITH patience AS MATERIALIZED (SELECT set_config('lock_timeout', %s, true))
SELECT pg_advisory_lock_shared(hashtextextended('erpflow.sync_config', 0) # hashtextextended(%s, 0)) FROM patience
"""
UNSHARE = "SELECT pg_advisory_unlock_shared(hashtextextended('erpflow.sync_config', 0) # hashtextextended(%s, 0))"
TRY_PUSH = "SELECT pg_try_advisory_lock(hashtextextended('erpflow.push', 0) # hashtextextended(%s, 0))"
TRY_NO_PUSH = "SELECT pg_try_advisory_xact_lock_shared(hashtextextended('erpflow.push', 0) # hashtextextended(%s, 0))"
STEP = "SELECT pg_advisory_lock(hashtextextended('erpflow.step', 0) # hashtextextended(%s, 0))"


@contextmanager
def shared(connection: psycopg.Connection[Any], config_id: SyncConfigId) -> Iterator[None]:
    """While a call is under way, no chunk of the config is applied: its records would come as strangers.

    Calls share the lock with each other. Outside of a transaction. Raises AlreadyRunning after a minute.
    """
    try:
        connection.execute(SHARE, (LOCK_WAIT, config_id))
    except psycopg.errors.LockNotAvailable as error:
        raise AlreadyRunning(
            f"Another run has been applying a chunk for sync config {config_id} for over {LOCK_WAIT}. "
            "Nothing was sent; this run tries again."
        ) from error
    try:
        yield
    finally:
        if not connection.broken:
            connection.execute(UNSHARE, (config_id,))


def hold_push(connection: psycopg.Connection[Any], config_id: SyncConfigId) -> None:
    """Be the only push of a config until the connection ends. Raises AlreadyRunning when another one is."""
    if not try_push(connection, config_id):
        raise AlreadyRunning(
            f"Another run is pushing for sync config {config_id}. Nothing was sent; this run tries again."
        )


def try_push(connection: psycopg.Connection[Any], config_id: SyncConfigId) -> bool:
    """Be the only push of a config until the connection ends; False when another one is."""
    row = connection.execute(TRY_PUSH, (config_id,)).fetchone()
    return row is not None and bool(row[0])


def is_pushing(connection: psycopg.Connection[Any], config_id: SyncConfigId) -> bool:
    """Whether a push of a config is alive. If not, none begins before the transaction at hand ends."""
    row = connection.execute(TRY_NO_PUSH, (config_id,)).fetchone()
    return row is None or not row[0]


@contextmanager
def alone(connection: psycopg.Connection[Any], log_id: SyncLogId) -> Iterator[None]:
    """Be the only one to run a step of a log: two that land their files at once would mix what they read.

    Until the connection ends. Raises AlreadyRunning after a minute.
    """
    with _patient(
        connection,
        f"Another worker has been at this step of sync log {log_id} for over {LOCK_WAIT}. This one tries again.",
    ):
        connection.execute(STEP, (log_id,))
    yield
    connection.execute("SELECT 1")  # a connection that was lost has lost the lock too: then the step is tried again


@contextmanager
def _patient(connection: psycopg.Connection[Any], message: str) -> Iterator[None]:
    """Waits for a lock, outside of a transaction, for `LOCK_WAIT` at most. Raises AlreadyRunning after that."""
    connection.execute("SELECT set_config('lock_timeout', %s, false)", (LOCK_WAIT,))
    try:
        yield
    except psycopg.errors.LockNotAvailable as error:
        raise AlreadyRunning(message) from error
    finally:
        if not connection.broken:
            connection.execute("SET lock_timeout = DEFAULT")


def hold(connection: psycopg.Connection[Any], config_id: SyncConfigId, *, wait: str = LOCK_WAIT) -> None:
    """Hold the config's lock until the transaction ends. Raises AlreadyRunning when it is not free after `wait`."""
    connection.execute("SELECT set_config('lock_timeout', %s, true)", (wait,))
    try:
        connection.execute(LOCK, (config_id,))
    except psycopg.errors.LockNotAvailable as error:
        raise AlreadyRunning(
            f"Another run has been applying a chunk for sync config {config_id} for over {wait}. "
            "This run tries again; nothing was lost. If it stays so, look for an idle transaction in pg_stat_activity."
        ) from error
    connection.execute("SET LOCAL lock_timeout = DEFAULT")
