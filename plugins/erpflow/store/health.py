"""How each sync config is doing, read from the state tables in one statement, whatever the number of configs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import psycopg

from erpflow.vocabulary import SyncConfigId, SyncLogId, SyncStatus, TenantId

Connection = psycopg.Connection[Any]

SAMPLED_REJECTS: Final = 1_000
"""The newest open rejects of a config whose reasons are counted: enough to name the usual ones."""

# A backfill and a run of single records say nothing of the sync as a whole, and a dry run writes nothing.
_HEALTH: Final = """
WITH configs AS (
    SELECT c.id, c.tenant_id, t.slug, n.name, n.system, c.entity, c.every, c.updated_at,
           c.enabled AND n.status <> 'disabled' AS active
    FROM erpflow.erp_sync_configs c
    JOIN erpflow.erp_connections n ON n.id = c.connection_id
    JOIN erpflow.erp_tenants t ON t.id = c.tenant_id
    WHERE %(only)s::uuid[] IS NULL OR c.id = ANY (%(only)s::uuid[])
), last AS (
    SELECT c.id, l.*
    FROM configs c CROSS JOIN LATERAL (
        SELECT l.id AS log_id, l.status, l.error, l.error_kind, l.dag_id, l.dag_run_id, l.read_count, l.rejected_count,
               coalesce(l.finished_at, l.started_at) AS finished_at
        FROM erpflow.erp_sync_logs l
        WHERE l.sync_config_id = c.id AND l.status <> 'running' AND NOT l.dry_run
          AND l.kind IN ('incremental', 'full')
        ORDER BY l.started_at DESC LIMIT 1) l
), good AS (
    SELECT c.id, l.started_at, l.finished_at
    FROM configs c CROSS JOIN LATERAL (
        SELECT l.started_at, coalesce(l.finished_at, l.started_at) AS finished_at FROM erpflow.erp_sync_logs l
        WHERE l.sync_config_id = c.id AND l.status IN ('completed', 'partial') AND NOT l.dry_run
          AND l.kind IN ('incremental', 'full')
        ORDER BY l.started_at DESC LIMIT 1) l
), failures AS (
    SELECT l.sync_config_id AS id, count(*) AS failures, min(coalesce(l.finished_at, l.started_at)) AS since
    FROM last JOIN erpflow.erp_sync_logs l ON l.sync_config_id = last.id
    LEFT JOIN good ON good.id = last.id
    WHERE last.status = 'failed' AND l.status = 'failed' AND NOT l.dry_run AND l.kind IN ('incremental', 'full')
      AND (good.started_at IS NULL OR l.started_at > good.started_at)
    GROUP BY l.sync_config_id
), rejects AS (
    SELECT r.sync_config_id AS id, count(*) AS open, min(r.first_seen_at) AS since,
           count(*) FILTER (WHERE r.first_seen_at > %(now)s - interval '1 day') AS fresh
    FROM erpflow.erp_rejects r
    WHERE r.status = 'open' AND r.sync_config_id IN (SELECT id FROM configs)
    GROUP BY r.sync_config_id
), reasons AS (
    SELECT id, field, rule, count(*) AS records
    FROM (
        SELECT DISTINCT newest.reject_id, rejects.id, p ->> 'rule' AS rule,
               regexp_replace(coalesce(p ->> 'field', ''), '\\[\\d+\\]', '[]', 'g') AS field
        FROM rejects CROSS JOIN LATERAL (
            SELECT r.id AS reject_id, r.problems FROM erpflow.erp_rejects r
            WHERE r.sync_config_id = rejects.id AND r.status = 'open'
            ORDER BY r.last_seen_at DESC LIMIT %(sampled)s) newest
        CROSS JOIN LATERAL jsonb_array_elements(newest.problems) p
    ) problem
    GROUP BY id, field, rule
), usual AS (
    SELECT id, array_agg(ARRAY[field, rule, records::text] ORDER BY place) AS reasons
    FROM (
        SELECT *, row_number() OVER (PARTITION BY id ORDER BY records DESC, field, rule) AS place FROM reasons
    ) ranked
    WHERE place <= 3
    GROUP BY id
), conflicts AS (
    SELECT id, sum(open)::bigint AS open, min(since) AS since, jsonb_object_agg(kind, open) AS kinds
    FROM (
        SELECT f.sync_config_id AS id, f.kind, count(*) AS open, min(f.detected_at) AS since
        FROM erpflow.erp_conflicts f
        WHERE f.status = 'open' AND f.sync_config_id IN (SELECT id FROM configs)
        GROUP BY f.sync_config_id, f.kind
    ) per_kind
    GROUP BY id
), deletes AS (
    SELECT c.id, l.*
    FROM configs c CROSS JOIN LATERAL (
        SELECT l.deletes_waiting, l.started_at, l.id AS log_id, l.dag_id, l.dag_run_id FROM erpflow.erp_sync_logs l
        WHERE l.sync_config_id = c.id AND l.deletes_waiting > 0
        ORDER BY l.started_at DESC LIMIT 1) l
)
SELECT c.id::text, c.tenant_id::text, c.slug, c.name, c.system, c.entity, c.active, c.every, c.updated_at,
       good.finished_at, last.log_id::text, last.status, last.error, last.error_kind, last.dag_id, last.dag_run_id,
       last.finished_at, last.read_count, last.rejected_count, failures.failures, failures.since,
       rejects.open, rejects.fresh, rejects.since, usual.reasons, conflicts.open, conflicts.since, conflicts.kinds,
       deletes.deletes_waiting, deletes.started_at, deletes.log_id::text, deletes.dag_id, deletes.dag_run_id
FROM configs c
LEFT JOIN last ON last.id = c.id
LEFT JOIN good ON good.id = c.id
LEFT JOIN failures ON failures.id = c.id
LEFT JOIN rejects ON rejects.id = c.id
LEFT JOIN usual ON usual.id = c.id
LEFT JOIN conflicts ON conflicts.id = c.id
LEFT JOIN deletes ON deletes.id = c.id
ORDER BY c.slug, c.name, c.entity
"""

_OF_LOGS: Final = "SELECT DISTINCT sync_config_id::text FROM erpflow.erp_sync_logs WHERE id = ANY (%s::uuid[])"


@dataclass(frozen=True, slots=True)
class LastRun:
    """The newest run of a config that has ended; backfills, dry runs and runs of single records do not count."""

    log_id: SyncLogId
    status: SyncStatus
    error: str | None
    error_kind: str | None
    dag_id: str | None
    dag_run_id: str | None
    finished_at: datetime
    read: int
    rejected: int


@dataclass(frozen=True, slots=True)
class Failures:
    """Runs that failed one after the other, up to the newest; `since` is the end of the first."""

    count: int
    since: datetime


@dataclass(frozen=True, slots=True)
class Reason:
    """Why records are refused: `field` broke `rule` in so many of them. Never the value."""

    field: str
    rule: str
    records: int


@dataclass(frozen=True, slots=True)
class OpenRejects:
    """Records that are refused: how many, how many of them since a day, since when, and the usual reasons."""

    count: int
    fresh: int
    since: datetime
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class OpenConflicts:
    """Conflicts that wait for a decision, in all and by kind."""

    count: int
    since: datetime
    kinds: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class WaitingDeletes:
    """Deletes that wait for approval, and the run that found them."""

    count: int
    since: datetime
    log_id: SyncLogId
    dag_id: str | None
    dag_run_id: str | None


@dataclass(frozen=True, slots=True)
class SyncHealth:
    """How one sync config is doing. `tenant` is the slug; `active`: it and its connection are switched on.

    `configured_at` is when a person last changed it, `synced_at` the end of the last run that was not a failure.
    """

    config_id: SyncConfigId
    tenant_id: TenantId
    tenant: str
    connection: str
    system: str
    entity: str
    active: bool
    every: timedelta
    configured_at: datetime
    synced_at: datetime | None
    last: LastRun | None = None
    failures: Failures | None = None
    rejects: OpenRejects | None = None
    conflicts: OpenConflicts | None = None
    deletes: WaitingDeletes | None = None


def read_health(
    connection: Connection, *, now: datetime, only: Sequence[SyncConfigId] | None = None
) -> list[SyncHealth]:
    """How every sync config is doing, or those of `only`, by tenant, connection and entity."""
    given = {"now": now, "only": None if only is None else list(only), "sampled": SAMPLED_REJECTS}
    return [_health(row) for row in connection.execute(_HEALTH, given)]


def configs_of(connection: Connection, log_ids: Sequence[SyncLogId]) -> list[SyncConfigId]:
    """The sync configs that these logs are about."""
    return [SyncConfigId(row[0]) for row in connection.execute(_OF_LOGS, (list(log_ids),))]


def _health(row: Sequence[Any]) -> SyncHealth:
    last, failures, rejects, conflicts, deletes = row[10:19], row[19:21], row[21:25], row[25:28], row[28:33]
    config_id, tenant_id, tenant, connection, system, entity, active, every, configured_at, synced_at = row[:10]
    return SyncHealth(
        config_id=config_id,
        tenant_id=tenant_id,
        tenant=tenant,
        connection=connection,
        system=system,
        entity=entity,
        active=active,
        every=every,
        configured_at=configured_at,
        synced_at=synced_at,
        last=_last(last) if last[0] else None,
        failures=Failures(*failures) if failures[0] else None,
        rejects=_rejects(rejects) if rejects[0] else None,
        conflicts=OpenConflicts(*conflicts) if conflicts[0] else None,
        deletes=WaitingDeletes(*deletes) if deletes[0] else None,
    )


def _last(row: Sequence[Any]) -> LastRun:
    log_id, status, *rest = row
    return LastRun(log_id, SyncStatus(status), *rest)


def _rejects(row: Sequence[Any]) -> OpenRejects:
    count, fresh, since, reasons = row
    told = tuple(Reason(field, rule or "", int(records)) for field, rule, records in reasons or ())
    return OpenRejects(count, fresh, since, told)
