"""The advisory lock of a sync config: while one run applies a chunk, every other waits (invariant 4)."""

from __future__ import annotations

from typing import Any

import psycopg

from erpflow.errors import AlreadyRunning
from erpflow.vocabulary import SyncConfigId

LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('erpflow.sync_config', 0) # hashtextextended(%s, 0))"

LOCK_WAIT = "60s"
"""How long a chunk waits for another run's: chunks take well under a second, so a longer wait means a stuck session."""


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
