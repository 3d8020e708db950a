"""Which sync configs a run is about, and when each last started."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg

from erpflow.vocabulary import Direction, SyncConfigId

CANDIDATES = """
SELECT c.id::text, n.name, n.status, c.entity, c.direction, c.enabled, c.every, c.overlap, c.cursor_at,
       c.last_started_at, c.local_cursor_at, c.agreed_since
FROM erpflow.erp_sync_configs c JOIN erpflow.erp_connections n ON n.id = c.connection_id
WHERE n.system = %(system)s AND c.entity = %(entity)s
  AND (%(connection)s::text IS NULL OR n.name = %(connection)s)
  AND (%(config)s::uuid IS NULL OR c.id = %(config)s)
ORDER BY n.name, c.id
"""

CONNECTIONS = "SELECT name FROM erpflow.erp_connections WHERE system = %s ORDER BY name"

STARTED = "UPDATE erpflow.erp_sync_configs SET last_started_at = %s WHERE id = %s"

FINISHED = """
UPDATE erpflow.erp_sync_configs c SET last_finished_at = now() FROM erpflow.erp_sync_logs l
WHERE l.id = %s AND c.id = l.sync_config_id
"""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sync config that a run may be about."""

    config_id: SyncConfigId
    connection: str
    connection_status: str
    entity: str
    direction: Direction
    enabled: bool
    every: timedelta
    overlap: timedelta
    cursor_at: datetime | None
    last_started_at: datetime | None
    local_cursor_at: datetime | None
    agreed_since: datetime | None

    @property
    def is_active(self) -> bool:
        """Whether it runs at all: switched on, and its connection too."""
        return self.enabled and self.connection_status != "disabled"


def candidates(
    connection: psycopg.Connection[Any],
    *,
    system: str,
    entity: str,
    name: str | None,
    config_id: SyncConfigId | None = None,
) -> list[Candidate]:
    """The sync configs of a system's entity; only those of the connection called `name`, or that one, if given."""
    values = {"system": system, "entity": entity, "connection": name, "config": config_id}
    rows = connection.execute(CANDIDATES, values).fetchall()
    return [
        Candidate(config, connection_name, status, entity, Direction(direction), *rest)
        for config, connection_name, status, entity, direction, *rest in rows
    ]


def connection_names(connection: psycopg.Connection[Any], system: str) -> list[str]:
    """The connections of a system, for a message about one that is not there."""
    return [row[0] for row in connection.execute(CONNECTIONS, (system,))]


def note_started(connection: psycopg.Connection[Any], config_id: SyncConfigId, at: datetime) -> None:
    """A run that reads on from the cursor starts: the config is due again `every` later."""
    connection.execute(STARTED, (at, config_id))


def note_finished(connection: psycopg.Connection[Any], log_id: str) -> None:
    """A run of the config of this log has finished."""
    connection.execute(FINISHED, (log_id,))
