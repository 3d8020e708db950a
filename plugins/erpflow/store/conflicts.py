"""Conflicts: what both sides did to one record, kept with every value whoever won."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import psycopg

from erpflow.vocabulary import ConflictKind, RunRef, SyncConfigId, SyncLogId, TenantId

Texts = Mapping[str, str | None]

RECORD = """
INSERT INTO erpflow.erp_conflicts AS c
    (tenant_id, sync_config_id, log_id, remote_id, local_id, kind, strategy, base, local, remote, fields,
     remote_record, remote_version, remote_modified_at, raw_hash, status, winner, reason, resolved_by, resolved_at)
SELECT %(tenant)s, %(config)s, %(log)s, x.remote_id, x.local_id, x.kind, x.strategy, x.base, x.local, x.remote,
       x.fields, x.remote_record, x.remote_version, x.remote_modified_at, x.raw_hash,
       CASE WHEN x.winner IS NULL THEN 'open' ELSE 'resolved' END, x.winner, x.reason,
       CASE WHEN x.winner IS NOT NULL THEN 'strategy' END, CASE WHEN x.winner IS NOT NULL THEN now() END
FROM jsonb_to_recordset(%(conflicts)s::jsonb) AS x
    (remote_id text, local_id text, kind text, strategy text, base jsonb, local jsonb, remote jsonb, fields jsonb,
     remote_record jsonb, remote_version text, remote_modified_at timestamptz, raw_hash bigint, winner text,
     reason text)
ON CONFLICT (sync_config_id, coalesce(remote_id, ''), coalesce(local_id, '')) WHERE status = 'open' DO UPDATE
SET log_id = excluded.log_id, kind = excluded.kind, base = excluded.base, local = excluded.local,
    remote = excluded.remote, fields = excluded.fields, remote_record = excluded.remote_record,
    remote_version = excluded.remote_version, remote_modified_at = excluded.remote_modified_at,
    raw_hash = excluded.raw_hash, reason = excluded.reason, times_seen = c.times_seen + 1
"""

SELECT = """
SELECT c.id::text, c.tenant_id::text, c.sync_config_id::text, c.log_id::text, c.remote_id, c.local_id, c.kind,
       c.strategy, c.status,
       c.fields, c.base, c.local, c.remote, c.remote_record, c.remote_version, c.remote_modified_at, c.raw_hash,
       c.winner, c.reason, c.resolved_by, c.detected_at, c.resolved_at, n.name, f.entity
FROM erpflow.erp_conflicts c
JOIN erpflow.erp_sync_configs f ON f.id = c.sync_config_id
JOIN erpflow.erp_connections n ON n.id = f.connection_id
"""

GET = SELECT + "WHERE c.id = %(id)s"

LIST = (
    SELECT
    + """
WHERE c.tenant_id = %(tenant)s AND (%(config)s::uuid IS NULL OR c.sync_config_id = %(config)s)
  AND (%(status)s::text IS NULL OR c.status = %(status)s)
ORDER BY c.detected_at DESC, c.id LIMIT %(limit)s
"""
)

OF_LOG = SELECT + "WHERE c.sync_config_id = %(config)s AND c.log_id = %(log)s ORDER BY c.detected_at LIMIT %(limit)s"

SETTLE = """
UPDATE erpflow.erp_conflicts
SET status = 'resolved', winner = %(winner)s, resolution = %(resolution)s::jsonb, reason = coalesce(%(reason)s, reason),
    resolved_by = %(by)s, resolved_at = now()
WHERE id = %(id)s AND status = 'open'
"""


CLOSE_GONE = """
UPDATE erpflow.erp_conflicts
SET status = 'resolved', reason = 'Meanwhile it was deleted on both sides.', resolved_by = 'strategy',
    resolved_at = now()
WHERE sync_config_id = %s AND remote_id = ANY (%s) AND status = 'open'
"""


@dataclass(frozen=True, slots=True)
class ContestedField:
    """A field that both sides changed: the value last agreed on, both new ones, and who won (None: nobody yet)."""

    field: str
    base: str | None
    local: str | None
    remote: str | None
    strategy: str
    winner: str | None


@dataclass(frozen=True, slots=True)
class NewConflict:
    """A conflict as it is found. `remote_record`: everything the vendor holds, for a merge without asking it again."""

    kind: ConflictKind
    strategy: str
    remote_id: str | None
    local_id: str | None
    fields: tuple[ContestedField, ...]
    winner: str | None
    reason: str
    remote_record: Texts | None = None
    remote_version: str | None = None
    remote_modified_at: datetime | None = None
    raw_hash: int | None = None

    def stored(self) -> dict[str, Any]:
        """As the statement takes it."""
        sides = {side: {f.field: getattr(f, side) for f in self.fields} for side in ("base", "local", "remote")}
        at = self.remote_modified_at
        plain = {name: getattr(self, name) for name in self.__slots__ if name not in ("fields", "remote_modified_at")}
        return {
            **plain,
            **sides,
            "fields": [asdict(f) for f in self.fields],
            "remote_modified_at": at.isoformat() if at else None,
        }


@dataclass(frozen=True, slots=True)
class Conflict:
    """A conflict as it is kept."""

    id: str
    tenant_id: TenantId
    config_id: SyncConfigId
    log_id: str | None
    remote_id: str | None
    local_id: str | None
    kind: ConflictKind
    strategy: str
    status: str
    fields: tuple[ContestedField, ...]
    base: Texts | None
    local: Texts | None
    remote: Texts | None
    remote_record: Texts | None
    remote_version: str | None
    remote_modified_at: datetime | None
    raw_hash: int | None
    winner: str | None
    reason: str | None
    resolved_by: str | None
    detected_at: datetime
    resolved_at: datetime | None
    connection: str = field(default="")
    entity: str = field(default="")


def record(
    connection: psycopg.Connection[Any],
    conflicts: Sequence[NewConflict],
    run: RunRef,
) -> None:
    """Keep conflicts; one that is open already for the same record is brought up to date."""
    if conflicts:
        connection.execute(
            RECORD,
            {
                "tenant": run.tenant_id,
                "config": run.config_id,
                "log": run.log_id,
                "conflicts": json.dumps([conflict.stored() for conflict in conflicts]),
            },
        )


def get(connection: psycopg.Connection[Any], conflict_id: str) -> Conflict | None:
    """The conflict of that id."""
    row = connection.execute(GET, {"id": conflict_id}).fetchone()
    return _conflict(row) if row else None


def find(
    connection: psycopg.Connection[Any],
    *,
    tenant_id: TenantId,
    config_id: SyncConfigId | None = None,
    status: str | None = "open",
    limit: int = 100,
) -> list[Conflict]:
    """A tenant's conflicts, the newest first."""
    rows = connection.execute(LIST, {"tenant": tenant_id, "config": config_id, "status": status, "limit": limit})
    return [_conflict(row) for row in rows]


def of_log(
    connection: psycopg.Connection[Any], config_id: SyncConfigId, log_id: SyncLogId, *, limit: int
) -> list[Conflict]:
    """The conflicts that one run found."""
    rows = connection.execute(OF_LOG, {"config": config_id, "log": log_id, "limit": limit})
    return [_conflict(row) for row in rows]


def settle(
    connection: psycopg.Connection[Any],
    conflict_id: str,
    *,
    winner: str,
    by: str,
    resolution: Mapping[str, Any],
    reason: str | None = None,
) -> bool:
    """Close an open conflict; False when somebody else has closed it meanwhile."""
    cursor = connection.execute(
        SETTLE,
        {"id": conflict_id, "winner": winner, "by": by, "resolution": json.dumps(dict(resolution)), "reason": reason},
    )
    return cursor.rowcount == 1


def close_gone(connection: psycopg.Connection[Any], config_id: SyncConfigId, remote_ids: Sequence[str]) -> None:
    """Close what waits for a person about records that are gone on both sides: there is nothing left to decide."""
    if remote_ids:
        connection.execute(CLOSE_GONE, (config_id, list(remote_ids)))


def _conflict(row: Any) -> Conflict:
    values = list(row)
    values[6] = ConflictKind(values[6])
    values[9] = tuple(ContestedField(**f) for f in values[9])
    return Conflict(*values)
