"""How a tenant's syncs are doing, in few statements, none of which reads the records themselves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import psycopg
from psycopg.rows import class_row

from erpflow.vocabulary import SyncConfigId, SyncLogId, TenantId

Connection = psycopg.Connection[Any]

_CONNECTIONS: Final = """
SELECT n.system, n.status, count(*) AS connections
FROM erpflow.erp_connections n WHERE n.tenant_id = erpflow.current_tenant()
GROUP BY n.system, n.status ORDER BY n.system, n.status
"""

# Dry runs write nothing, and say nothing of the sync. A backfill and a run of single records are runs like others, but
# leave a sync as fresh as it was. What a two-way sync pushed says nothing of how fresh our rows are.
_SYNCS: Final = """
WITH ran AS (
    SELECT l.sync_config_id AS id,
           count(*) FILTER (WHERE day AND l.status = 'completed') AS completed_day,
           count(*) FILTER (WHERE day AND l.status = 'partial') AS partial_day,
           count(*) FILTER (WHERE day AND l.status = 'failed') AS failed_day,
           count(*) FILTER (WHERE day AND l.status = 'running') AS running_day,
           count(*) FILTER (WHERE l.status = 'completed') AS completed_week,
           count(*) FILTER (WHERE l.status = 'partial') AS partial_week,
           count(*) FILTER (WHERE l.status = 'failed') AS failed_week,
           count(*) FILTER (WHERE l.status = 'running') AS running_week,
           coalesce(sum(l.read_count) FILTER (WHERE day), 0)::bigint AS read_day,
           coalesce(sum(l.created_count + l.updated_count + l.deleted_count) FILTER (WHERE day), 0)::bigint
               AS changed_day
    FROM (SELECT *, started_at > now() - interval '1 day' AS day FROM erpflow.erp_sync_logs) l
    WHERE l.tenant_id = erpflow.current_tenant() AND l.started_at > now() - interval '7 days' AND NOT l.dry_run
    GROUP BY l.sync_config_id
), refused AS (
    SELECT r.sync_config_id AS id, count(*) AS open FROM erpflow.erp_rejects r
    WHERE r.tenant_id = erpflow.current_tenant() AND r.status = 'open' GROUP BY r.sync_config_id
), disputed AS (
    SELECT f.sync_config_id AS id, count(*) AS open FROM erpflow.erp_conflicts f
    WHERE f.tenant_id = erpflow.current_tenant() AND f.status = 'open' GROUP BY f.sync_config_id
)
SELECT c.id::text AS sync_config_id, n.name AS connection, n.system, c.entity, c.direction,
       c.enabled AND n.status <> 'disabled' AS active, extract(epoch FROM c.every)::float8 AS every_s,
       good.started_at AS fresh_as_of, extract(epoch FROM now() - good.started_at)::float8 AS lag_s,
       last.id::text AS last_log_id, last.status AS last_status, last.finished_at AS last_finished_at,
       last.read_count AS last_read, last.seconds AS last_seconds,
       coalesce(refused.open, 0) AS open_rejects, coalesce(disputed.open, 0) AS open_conflicts,
       coalesce(completed_day, 0) AS completed_day, coalesce(partial_day, 0) AS partial_day,
       coalesce(failed_day, 0) AS failed_day, coalesce(running_day, 0) AS running_day,
       coalesce(completed_week, 0) AS completed_week, coalesce(partial_week, 0) AS partial_week,
       coalesce(failed_week, 0) AS failed_week, coalesce(running_week, 0) AS running_week,
       coalesce(read_day, 0) AS read_day, coalesce(changed_day, 0) AS changed_day
FROM erpflow.erp_sync_configs c
JOIN erpflow.erp_connections n ON n.id = c.connection_id
LEFT JOIN LATERAL (
    SELECT l.started_at FROM erpflow.erp_sync_logs l
    WHERE l.sync_config_id = c.id AND l.status IN ('completed', 'partial') AND NOT l.dry_run
      AND l.kind IN ('incremental', 'full') AND (l.direction <> 'push' OR c.direction = 'push')
    ORDER BY l.started_at DESC LIMIT 1) good ON true
LEFT JOIN LATERAL (
    SELECT l.id, l.status, l.finished_at, l.read_count,
           extract(epoch FROM l.finished_at - l.started_at)::float8 AS seconds
    FROM erpflow.erp_sync_logs l
    WHERE l.sync_config_id = c.id AND l.status <> 'running' AND NOT l.dry_run
    ORDER BY l.started_at DESC LIMIT 1) last ON true
LEFT JOIN ran ON ran.id = c.id
LEFT JOIN refused ON refused.id = c.id
LEFT JOIN disputed ON disputed.id = c.id
WHERE c.tenant_id = erpflow.current_tenant()
ORDER BY n.name, c.entity
"""

# Only what waits is looked at, in an index that holds nothing else.
_WEBHOOKS: Final = """
WITH waiting AS (
    SELECT e.webhook_id, count(*) AS events, min(e.received_at) AS since FROM erpflow.erp_webhook_events e
    WHERE e.state = 'received' AND e.tenant_id = erpflow.current_tenant() GROUP BY e.webhook_id
)
SELECT n.name AS connection, n.system, count(*) FILTER (WHERE w.active) AS active,
       coalesce(sum(waiting.events), 0)::bigint AS waiting,
       extract(epoch FROM now() - min(waiting.since))::float8 AS lag_s
FROM erpflow.erp_webhooks w
JOIN erpflow.erp_connections n ON n.id = w.connection_id
LEFT JOIN waiting ON waiting.webhook_id = w.id
WHERE w.tenant_id = erpflow.current_tenant()
GROUP BY n.name, n.system ORDER BY n.name
"""

# An account belongs to no tenant, so this is asked as the owner; what others use of it is not told.
_LIMITERS: Final = """
SELECT n.name AS connection, n.system, CASE WHEN a.paused_until > clock_timestamp() THEN a.paused_until END
           AS paused_until,
       CASE WHEN a.paused_until > clock_timestamp()
            THEN extract(epoch FROM a.paused_until - clock_timestamp())::float8 ELSE 0 END AS pause_s,
       CASE WHEN a.last_at > clock_timestamp()
            THEN extract(epoch FROM a.last_at - clock_timestamp())::float8 ELSE 0 END AS wait_s,
       CASE WHEN NOT a.is_shared THEN a.granted END AS requests
FROM erpflow.erp_rate_limits l
JOIN erpflow.erp_connections n ON n.id = l.connection_id
JOIN erpflow.erp_rate_accounts a ON a.account = l.account
WHERE l.tenant_id = %s ORDER BY n.name
"""


@dataclass(frozen=True, slots=True)
class ConnectionCount:
    """How many connections of a system have a status."""

    system: str
    status: str
    connections: int


@dataclass(frozen=True, slots=True)
class SyncState:
    """How one sync config is doing. `…_day`, `…_week`: runs that began in the last 24 hours, 7 days, by status.

    `fresh_as_of`: the vendor was read as of that moment by a run that did not fail, `lag_s` seconds ago. `last_…`: the
    newest run that has ended. `read_day`, `changed_day`: records that the runs of the last 24 hours read, and changed.
    """

    sync_config_id: SyncConfigId
    connection: str
    system: str
    entity: str
    direction: str
    active: bool
    every_s: float
    fresh_as_of: datetime | None
    lag_s: float | None
    last_log_id: SyncLogId | None
    last_status: str | None
    last_finished_at: datetime | None
    last_read: int | None
    last_seconds: float | None
    open_rejects: int
    open_conflicts: int
    completed_day: int
    partial_day: int
    failed_day: int
    running_day: int
    completed_week: int
    partial_week: int
    failed_week: int
    running_week: int
    read_day: int
    changed_day: int

    @property
    def last_rows_per_s(self) -> float | None:
        """How many records a second the newest run read, from its plan to its end."""
        return self.last_read / self.last_seconds if self.last_read is not None and self.last_seconds else None


@dataclass(frozen=True, slots=True)
class WebhookState:
    """The webhooks of one connection: how many are active, how many events wait, and since how long the oldest does."""

    connection: str
    system: str
    active: int
    waiting: int
    lag_s: float | None


@dataclass(frozen=True, slots=True)
class LimiterState:
    """What holds a connection's requests back, in seconds from now: a pause that the vendor asked for, and the last
    slot that was given away. `requests`: let through on its account so far; None where tenants share it.
    """

    connection: str
    system: str
    paused_until: datetime | None
    pause_s: float
    wait_s: float
    requests: int | None


def connection_counts(connection: Connection) -> list[ConnectionCount]:
    """The connections of the session's tenant, by system and status."""
    with connection.cursor(row_factory=class_row(ConnectionCount)) as cursor:
        return cursor.execute(_CONNECTIONS).fetchall()


def sync_states(connection: Connection) -> list[SyncState]:
    """Every sync config of the session's tenant, by connection and entity."""
    with connection.cursor(row_factory=class_row(SyncState)) as cursor:
        return cursor.execute(_SYNCS).fetchall()


def webhook_states(connection: Connection) -> list[WebhookState]:
    """The webhooks of the session's tenant, by connection; a connection without any is not there."""
    with connection.cursor(row_factory=class_row(WebhookState)) as cursor:
        return cursor.execute(_WEBHOOKS).fetchall()


def limiter_states(owner: Connection, tenant_id: TenantId) -> list[LimiterState]:
    """The connections of a tenant that have asked their vendor yet. Needs the owner of the tables."""
    with owner.cursor(row_factory=class_row(LimiterState)) as cursor:
        return cursor.execute(_LIMITERS, (tenant_id,)).fetchall()


def success_ratio(*, completed: int, partial: int, failed: int) -> float | None:
    """Which part of the runs that ended did not fail; None when none ended. A partial run did its work."""
    ended = completed + partial + failed
    return (completed + partial) / ended if ended else None
