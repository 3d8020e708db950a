"""The inbox of webhooks: every event once, kept before the vendor has its answer; read in pages, and replayed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from erpflow.store.listing import Listing
from erpflow.vocabulary import SyncLogId, TenantId, WebhookEventId, WebhookEventState, WebhookId

Connection = psycopg.Connection[Any]

CHANNEL: Final = "erpflow_inbox"
"""Where Postgres tells drains that something is due."""

# One statement, so that all events of a request are there or none is. An event that a request holds twice is one.
# In the order of their keys: two requests that bring the same events the other way round would wait for each other.
# `known` does not see what another request has inserted since this one began: `ids_of` looks again.
_INSERT: Final = sql.SQL("""
WITH given AS (
    SELECT * FROM unnest(%(keys)s::text[], %(types)s::text[], %(entities)s::text[], %(ids)s::text[],
                         %(states)s::text[], %(errors)s::text[], %(bodies)s::bytea[], %(times)s::timestamptz[])
        WITH ORDINALITY AS g (dedupe_key, event_type, entity, remote_id, state, error, body, occurred_at, n)
), fresh AS (
    INSERT INTO erpflow.erp_webhook_events
        (tenant_id, webhook_id, dedupe_key, event_type, entity, remote_id, state, error, headers, body, occurred_at,
         processed_at)
    SELECT w.tenant_id, w.id, g.dedupe_key, g.event_type, g.entity, g.remote_id, g.state, g.error, %(headers)s, g.body,
           g.occurred_at, CASE WHEN g.state <> 'received' THEN now() END
    FROM (SELECT DISTINCT ON (dedupe_key) * FROM given ORDER BY dedupe_key, n) g
    JOIN erpflow.erp_webhooks w ON w.id = %(webhook)s
    ORDER BY g.dedupe_key COLLATE "C"
    ON CONFLICT (webhook_id, dedupe_key) DO NOTHING
    RETURNING id, dedupe_key, state
), told AS (
    SELECT pg_notify({channel}, '') FROM fresh WHERE state = 'received' LIMIT 1
), noted AS (
    UPDATE erpflow.erp_webhooks SET last_received_at = now()
    WHERE id = %(webhook)s AND (last_received_at IS NULL OR last_received_at < now() - interval '10 seconds')
)
SELECT g.dedupe_key, coalesce(f.id, k.id)::text, f.id IS NOT NULL, (SELECT count(*) FROM told)
FROM given g
LEFT JOIN fresh f USING (dedupe_key)
LEFT JOIN erpflow.erp_webhook_events k ON k.webhook_id = %(webhook)s AND k.dedupe_key = g.dedupe_key
ORDER BY g.n
""").format(channel=sql.Literal(CHANNEL))

_IDS: Final = """
SELECT dedupe_key, id::text FROM erpflow.erp_webhook_events WHERE webhook_id = %s AND dedupe_key = ANY (%s)
"""

_COLUMNS: Final = """
e.id::text AS id, e.webhook_id::text AS webhook_id, e.event_type, e.entity, e.remote_id, e.state, e.attempts,
e.next_attempt_at, e.action, e.log_id::text AS log_id, e.error, e.occurred_at, e.received_at, e.processed_at
"""

_OF_TENANT: Final = f"""
SELECT {_COLUMNS} FROM erpflow.erp_webhook_events e WHERE e.tenant_id = erpflow.current_tenant()
"""  # noqa: S608  (our own constant)
LISTING: Final = Listing(
    select=_OF_TENANT,
    order=(("e.received_at", "timestamptz"), ("e.id", "uuid")),
    filters={
        "state": "e.state = %(state)s",
        "webhook_id": "e.webhook_id = %(webhook_id)s",
        "system": """e.webhook_id IN (
            SELECT w.id FROM erpflow.erp_webhooks w JOIN erpflow.erp_connections n ON n.id = w.connection_id
            WHERE n.system = %(system)s)""",
        "entity": "e.entity = %(entity)s",
        "event_type": "e.event_type = %(event_type)s",
    },
)

_ONE: Final = f"""
SELECT {_COLUMNS}, e.headers, e.body FROM erpflow.erp_webhook_events e
WHERE e.id = %(id)s::uuid AND e.tenant_id = %(tenant)s
"""  # noqa: S608  (our own constant)

_REPLAY: Final = sql.SQL("""
WITH free AS (
    SELECT id FROM erpflow.erp_webhook_events
    WHERE id = ANY (%(ids)s::uuid[]) AND tenant_id = %(tenant)s FOR UPDATE SKIP LOCKED
), again AS (
    UPDATE erpflow.erp_webhook_events e
    SET state = 'received', attempts = 0, next_attempt_at = now(), action = NULL, log_id = NULL, error = NULL,
        processed_at = NULL
    FROM free WHERE e.id = free.id RETURNING e.id
), told AS (
    SELECT pg_notify({channel}, '') FROM again LIMIT 1
)
SELECT id::text, (SELECT count(*) FROM told) FROM again
""").format(channel=sql.Literal(CHANNEL))


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event to keep. `key`: of two events with the same one, the second is the first that came again.

    `state` is `received`, or what it ends as at once for the reason `error`. `body`: its part of the request.
    """

    key: str
    event_type: str | None
    entity: str | None
    remote_id: str | None
    body: bytes
    occurred_at: datetime | None = None
    state: WebhookEventState = WebhookEventState.RECEIVED
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """An event as it is in the inbox now; `is_new`: it was not there before."""

    event_id: WebhookEventId
    is_new: bool


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as people see it. `action`: what became of its record; `error`: why it is where it is."""

    id: WebhookEventId
    webhook_id: WebhookId
    event_type: str | None
    entity: str | None
    remote_id: str | None
    state: WebhookEventState
    attempts: int
    next_attempt_at: datetime
    action: str | None
    log_id: SyncLogId | None
    error: str | None
    occurred_at: datetime | None
    received_at: datetime
    processed_at: datetime | None


def insert(
    connection: Connection, webhook_id: WebhookId, events: Sequence[NewEvent], *, headers: Mapping[str, str]
) -> list[Kept]:
    """Keep the events of one request, in one statement; for each of them where it is, and whether it is new.

    Drains hear of it. A webhook that was deleted meanwhile keeps nothing, and the list is empty.
    """
    if not events:
        return []
    parameters = {
        "webhook": webhook_id,
        "headers": Jsonb(dict(headers)),
        "keys": [event.key for event in events],
        "types": [event.event_type for event in events],
        "entities": [event.entity for event in events],
        "ids": [event.remote_id for event in events],
        "states": [event.state.value for event in events],
        "errors": [event.error for event in events],
        "bodies": [event.body for event in events],
        "times": [event.occurred_at for event in events],
    }
    rows = connection.execute(_INSERT, parameters).fetchall()
    met = [key for key, event_id, _, _ in rows if event_id is None]
    known = dict(connection.execute(_IDS, (webhook_id, met)).fetchall()) if met else {}
    kept: list[Kept] = []
    seen: set[str] = set()
    for key, event_id, is_new, _ in rows:
        found = event_id or known.get(key)
        if found is not None:
            kept.append(Kept(WebhookEventId(found), is_new and key not in seen))
        seen.add(key)
    return kept


def get_event(
    connection: Connection, event_id: str, *, tenant_id: TenantId
) -> tuple[StoredEvent, Mapping[str, str], bytes] | None:
    """A tenant's event with its headers and body; None when there is none of that id."""
    row = connection.execute(_ONE, {"id": event_id, "tenant": tenant_id}).fetchone()
    return (_event(row[:-2]), row[-2], row[-1]) if row else None


def replay(connection: Connection, event_ids: Sequence[str], *, tenant_id: TenantId) -> list[WebhookEventId]:
    """Have a tenant's events applied again, as if they had just come; those that there are.

    One that a drain is applying this very moment is left out: its record is being read again anyway.
    """
    rows = connection.execute(_REPLAY, {"ids": list(event_ids), "tenant": tenant_id})
    return [WebhookEventId(row[0]) for row in rows]


def _event(row: Sequence[Any]) -> StoredEvent:
    id_, webhook, event_type, entity, remote_id, state, *rest = row
    return StoredEvent(id_, webhook, event_type, entity, remote_id, WebhookEventState(state), *rest)
