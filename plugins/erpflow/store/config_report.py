"""Sync configs as the API shows and changes them; the tenant is the session's."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

import psycopg
from psycopg.rows import dict_row

from erpflow.store.listing import Listing
from erpflow.vocabulary import ConflictStrategy, ConnectionId, Direction

Connection = psycopg.Connection[Any]
Row = dict[str, Any]

_SELECT: Final = """
SELECT c.id::text, c.connection_id::text, n.name AS connection, n.system, n.status AS connection_status, c.entity,
       c.direction, c.conflict, c.every, c.enabled, c.mapping_path, c.mapping_overrides, c.cursor_at, c.local_cursor_at,
       c.last_started_at, c.last_finished_at, c.created_at, c.updated_at, last.runs AS last_runs
FROM erpflow.erp_sync_configs c
JOIN erpflow.erp_connections n ON n.id = c.connection_id
CROSS JOIN LATERAL (
    SELECT coalesce(jsonb_agg(to_jsonb(one) ORDER BY one.started_at DESC), '[]') AS runs FROM (
        SELECT DISTINCT ON (l.direction) l.id, l.direction, l.kind, l.status, l.dry_run, l.error, l.started_at,
               l.finished_at
        FROM erpflow.erp_sync_logs l WHERE l.sync_config_id = c.id ORDER BY l.direction, l.started_at DESC
    ) one
) last
WHERE c.tenant_id = erpflow.current_tenant()
"""
LISTING: Final = Listing(
    select=_SELECT,
    order=(("c.created_at", "timestamptz"), ("c.id", "uuid")),
    filters={
        "connection_id": "c.connection_id = %(connection_id)s",
        "system": "n.system = %(system)s",
        "entity": "c.entity = %(entity)s",
        "enabled": "c.enabled = %(enabled)s",
    },
)
_ONE: Final = _SELECT + " AND c.id = %s"
_INSERT: Final = """
INSERT INTO erpflow.erp_sync_configs
    (tenant_id, connection_id, entity, direction, conflict, every, enabled, mapping_path, mapping_overrides)
SELECT n.tenant_id, n.id, %(entity)s, %(direction)s, %(conflict)s, %(every)s, %(enabled)s, %(path)s,
       %(overrides)s::jsonb
FROM erpflow.erp_connections n WHERE n.id = %(connection)s
ON CONFLICT (connection_id, entity) DO NOTHING
RETURNING id::text
"""
_UPDATE: Final = """
UPDATE erpflow.erp_sync_configs c
SET agreed_since = CASE WHEN c.direction = %(direction)s THEN c.agreed_since END,
    direction = %(direction)s, conflict = %(conflict)s, every = %(every)s, enabled = %(enabled)s,
    mapping_overrides = %(overrides)s::jsonb, updated_at = now()
WHERE c.id = %(id)s AND c.tenant_id = erpflow.current_tenant()
"""
_DELETE: Final = "DELETE FROM erpflow.erp_sync_configs WHERE id = %s AND tenant_id = erpflow.current_tenant()"
_KEEP: Final = """
INSERT INTO erpflow.erp_field_mappings (tenant_id, sync_config_id, position, definition, mapping_version)
SELECT c.tenant_id, c.id, f.position - 1, f.definition, %(version)s
FROM erpflow.erp_sync_configs c
CROSS JOIN jsonb_array_elements(%(fields)s::jsonb) WITH ORDINALITY AS f (definition, position)
WHERE c.id = %(id)s
ON CONFLICT (sync_config_id, mapping_version, position) DO NOTHING
"""
_VERSIONS: Final = """
SELECT mapping_version AS version, min(created_at) AS accepted_at, count(*) AS fields
FROM erpflow.erp_field_mappings WHERE sync_config_id = %s AND tenant_id = erpflow.current_tenant()
GROUP BY mapping_version ORDER BY min(created_at) DESC LIMIT 50
"""
_OVERRIDDEN: Final = """
SELECT n.name || ' ' || c.entity, c.mapping_path, c.mapping_overrides
FROM erpflow.erp_sync_configs c JOIN erpflow.erp_connections n ON n.id = c.connection_id
WHERE c.tenant_id = erpflow.current_tenant() AND c.mapping_overrides <> '{}' ORDER BY 1
"""


def get(connection: Connection, config_id: str) -> Row | None:
    """One config of the session's tenant, as the list shows it."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_ONE, (config_id,)).fetchone()


def insert(
    connection: Connection,
    connection_id: ConnectionId,
    entity: str,
    *,
    direction: Direction,
    conflict: ConflictStrategy,
    every: timedelta,
    enabled: bool,
    path: str,
    overrides: Mapping[str, Any],
) -> str | None:
    """A new config; its id, None when the connection syncs this entity already."""
    row = connection.execute(
        _INSERT,
        {
            "connection": connection_id,
            "entity": entity,
            "direction": direction,
            "conflict": conflict,
            "every": every,
            "enabled": enabled,
            "path": path,
            "overrides": json.dumps(dict(overrides)),
        },
    ).fetchone()
    return row[0] if row else None


def update(
    connection: Connection,
    config_id: str,
    *,
    direction: Direction,
    conflict: ConflictStrategy,
    every: timedelta,
    enabled: bool,
    overrides: Mapping[str, Any],
) -> bool:
    """Change a config; its cursor stays. False when there is none."""
    values = {
        "id": config_id,
        "direction": direction,
        "conflict": conflict,
        "every": every,
        "enabled": enabled,
        "overrides": json.dumps(dict(overrides)),
    }
    return connection.execute(_UPDATE, values).rowcount == 1


def delete(connection: Connection, config_id: str) -> bool:
    """Delete a config with its logs, sync records, conflicts and rejects; the business table stays as it is."""
    return connection.execute(_DELETE, (config_id,)).rowcount == 1


def keep_version(connection: Connection, config_id: str, fields: Sequence[Mapping[str, Any]], *, version: str) -> None:
    """Keep the fields of a mapping that was accepted; a version that is kept already stays as it is."""
    connection.execute(_KEEP, {"id": config_id, "fields": json.dumps(list(fields)), "version": version})


def versions(connection: Connection, config_id: str) -> list[Row]:
    """The versions of a config's mapping that were accepted here, the newest first."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_VERSIONS, (config_id,)).fetchall()


def overridden(connection: psycopg.Connection[Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """The tenant's configs that say something in place of their files: as people call them, mapping path, overrides."""
    return connection.execute(_OVERRIDDEN).fetchall()
