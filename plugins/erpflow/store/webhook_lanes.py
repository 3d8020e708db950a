"""What drains of the inbox share: which events are due, whose turn it is, and what became of each event.

The events of one entity of one connection are a lane. One drain is in a lane at a time, until its transaction ends:
a drain that is killed leaves its events as they were, and the lane to the next one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import sql

from erpflow.store.webhook_events import CHANNEL
from erpflow.vocabulary import (
    ConnectionId,
    Direction,
    SyncConfigId,
    SyncLogId,
    WebhookEventId,
    WebhookEventState,
)

Connection = psycopg.Connection[Any]

DRAIN: Final = "webhook"
"""What the sync logs of a drain say of who asked for them."""

_DUE: Final = """
SELECT w.connection_id::text, e.entity
FROM erpflow.erp_webhook_events e JOIN erpflow.erp_webhooks w ON w.id = e.webhook_id
WHERE e.state = 'received' AND e.next_attempt_at <= now()
GROUP BY w.connection_id, e.entity ORDER BY min(e.next_attempt_at)
"""
_ENTER: Final = """
SELECT pg_try_advisory_xact_lock(hashtextextended('erpflow.webhooks', 0)
                                 # hashtextextended(%(connection)s || '/' || coalesce(%(entity)s::text, ''), 0))
"""
_CLAIM: Final = """
SELECT e.id::text, e.remote_id, e.attempts
FROM erpflow.erp_webhook_events e JOIN erpflow.erp_webhooks w ON w.id = e.webhook_id
WHERE w.connection_id = %(connection)s AND e.entity IS NOT DISTINCT FROM %(entity)s::text
  AND e.state = 'received' AND e.next_attempt_at <= now()
ORDER BY e.received_at, e.id LIMIT %(most)s FOR UPDATE OF e SKIP LOCKED
"""
_SUBJECT: Final = """
SELECT n.name, n.system, n.status <> 'disabled', c.id::text, c.direction, c.enabled
FROM erpflow.erp_connections n
LEFT JOIN erpflow.erp_sync_configs c ON c.connection_id = n.id AND c.entity = %(entity)s::text
WHERE n.id = %(connection)s
"""
_LEFT_BEHIND: Final = """
SELECT id::text FROM erpflow.erp_sync_logs
WHERE sync_config_id = %s AND triggered_by = %s AND kind = 'records' AND status = 'running'
"""
# The first of these that is true of a record is what became of it.
_OUTCOMES: Final = """
SELECT m.remote_id, CASE
    WHEN EXISTS (SELECT 1 FROM erpflow.erp_rejects j
                 WHERE j.sync_config_id = %(config)s AND j.remote_id = m.remote_id AND j.log_id = %(log)s
                   AND j.status = 'open') THEN 'rejected'
    WHEN EXISTS (SELECT 1 FROM erpflow.erp_conflicts f
                 WHERE f.sync_config_id = %(config)s AND f.remote_id = m.remote_id AND f.log_id = %(log)s)
        THEN 'conflict'
    WHEN h.change IS NOT NULL THEN h.change
    WHEN r.first_log_id = %(log)s THEN 'created'
    WHEN r.status = 'deleted' AND r.log_id = %(log)s THEN 'deleted'
    WHEN r.status = 'deleted' THEN 'was_deleted'
    WHEN r.remote_id IS NOT NULL THEN 'unchanged'
    ELSE 'never_here' END
FROM unnest(%(ids)s::text[]) AS m (remote_id)
LEFT JOIN erpflow.erp_entity_sync_records r ON r.sync_config_id = %(config)s AND r.remote_id = m.remote_id
LEFT JOIN LATERAL (
    SELECT h.change FROM erpflow.erp_record_history h
    WHERE h.sync_config_id = %(config)s AND h.remote_id = m.remote_id AND h.log_id = %(log)s AND h.direction = 'pull'
    ORDER BY h.id DESC LIMIT 1
) h ON true
"""
_SETTLE: Final = """
UPDATE erpflow.erp_webhook_events e
SET state = m.state, action = m.action, error = m.error, log_id = coalesce(m.log_id, e.log_id),
    attempts = e.attempts + 1, next_attempt_at = clock_timestamp() + make_interval(secs => m.retry_in),
    processed_at = CASE WHEN m.state <> 'received' THEN clock_timestamp() END
FROM jsonb_to_recordset(%s::jsonb)
     AS m (id uuid, state text, action text, error text, log_id uuid, retry_in float8)
WHERE e.id = m.id
"""
_LISTENING: Final = "hashtextextended('erpflow.webhooks.listening', 0)"
_LISTEN: Final = f"SELECT pg_advisory_lock_shared({_LISTENING})"
_UNLISTEN: Final = f"SELECT pg_advisory_unlock_shared({_LISTENING})"
_NOBODY: Final = f"SELECT pg_try_advisory_xact_lock({_LISTENING})"


@dataclass(frozen=True, slots=True)
class Lane:
    """The events of one entity of one connection."""

    connection_id: ConnectionId
    entity: str | None


@dataclass(frozen=True, slots=True)
class Due:
    """An event whose turn it is. `attempts`: how often it was tried before."""

    event_id: WebhookEventId
    remote_id: str | None
    attempts: int


@dataclass(frozen=True, slots=True)
class Subject:
    """What a lane is about; `config_id` is None where the connection does not sync the entity."""

    connection: str
    system: str
    connection_enabled: bool
    config_id: SyncConfigId | None
    direction: Direction | None
    config_enabled: bool


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of an event. `retry_in` seconds it is due again, while its state is `received`."""

    event_id: WebhookEventId
    state: WebhookEventState
    action: str | None = None
    error: str | None = None
    log_id: SyncLogId | None = None
    retry_in: float = 0.0


def due_lanes(connection: Connection) -> list[Lane]:
    """The lanes with events that are due, the one that waits longest first."""
    return [Lane(ConnectionId(connection_id), entity) for connection_id, entity in connection.execute(_DUE)]


def enter(connection: Connection, lane: Lane) -> bool:
    """Be the only drain in a lane until the transaction ends; False when another one is."""
    row = connection.execute(_ENTER, {"connection": lane.connection_id, "entity": lane.entity}).fetchone()
    return row is not None and bool(row[0])


def claim(connection: Connection, lane: Lane, *, most: int) -> list[Due]:
    """The next events of a lane, the oldest first; nobody else has them until the transaction ends."""
    given = {"connection": lane.connection_id, "entity": lane.entity, "most": most}
    return [Due(WebhookEventId(event), remote_id, attempts) for event, remote_id, attempts in
            connection.execute(_CLAIM, given)]  # fmt: skip


def subject_of(connection: Connection, lane: Lane) -> Subject | None:
    """What a lane is about; None when its connection was deleted."""
    row = connection.execute(_SUBJECT, {"connection": lane.connection_id, "entity": lane.entity}).fetchone()
    if row is None:
        return None
    name, system, connection_enabled, config_id, direction, config_enabled = row
    way = Direction(direction) if direction else None
    return Subject(name, system, connection_enabled, config_id, way, bool(config_enabled))


def left_behind(connection: Connection, config_id: SyncConfigId) -> list[SyncLogId]:
    """The logs that drains began and did not live to end; asked by whoever is in the lane."""
    return [SyncLogId(row[0]) for row in connection.execute(_LEFT_BEHIND, (config_id, DRAIN))]


def outcomes(
    connection: Connection, config_id: SyncConfigId, log_id: SyncLogId, remote_ids: Sequence[str]
) -> dict[str, str]:
    """What a run did with each of its records: created, updated, unchanged, deleted, conflict or rejected.

    `was_deleted`: it is a tombstone since an earlier run; `never_here`: neither side has it.
    """
    given = {"config": config_id, "log": log_id, "ids": list(remote_ids)}
    return dict(connection.execute(_OUTCOMES, given).fetchall())


def settle(connection: Connection, settled: Sequence[Settled]) -> None:
    """Write back what became of events; in the transaction that claimed them."""
    rows = [
        {
            "id": each.event_id,
            "state": each.state,
            "action": each.action,
            "error": each.error,
            "log_id": each.log_id,
            "retry_in": each.retry_in,
        }
        for each in settled
    ]
    connection.execute(_SETTLE, (json.dumps(rows),))


def listen(connection: Connection) -> None:
    """Hear of new events from now on, and let those know who would wake a drain otherwise. Outside of a transaction."""
    connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(CHANNEL)))
    connection.execute(_LISTEN)


def stop_listening(connection: Connection) -> None:
    """What comes from now on wakes another drain; what came before must be looked for once more."""
    if not connection.broken:
        connection.execute(_UNLISTEN)
        connection.execute(sql.SQL("UNLISTEN {}").format(sql.Identifier(CHANNEL)))


def wait(connection: Connection, *, timeout_s: float) -> bool:
    """Wait for news at most so long; whether there was any."""
    with suppress(StopIteration):
        next(connection.notifies(timeout=timeout_s, stop_after=1))
        return True
    return False


def has_listener(connection: Connection) -> bool:
    """Whether a drain hears of new events by itself.

    Asked after they are committed: who stops listening looks once more behind that. Somebody else who asks this very
    moment counts as one; he wakes a drain then, which finds our events too.
    """
    with connection.transaction():
        row = connection.execute(_NOBODY).fetchone()
    return row is None or not row[0]
