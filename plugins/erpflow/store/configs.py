"""Sync configs: connection × entity, with direction, frequency, conflict strategy and mapping."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import psycopg
from psycopg import sql

from erpflow.errors import ConfigError, suggestion
from erpflow.vocabulary import ConflictStrategy, ConnectionId, Direction, SyncConfigId, TenantId

Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class SyncConfig:
    """A row of `erp_sync_configs`. `cursor_at` is how far it has read; `overlap` is read again before it."""

    id: SyncConfigId
    tenant_id: TenantId
    connection_id: ConnectionId
    entity: str
    direction: Direction
    conflict: ConflictStrategy
    every: timedelta
    enabled: bool
    mapping_path: str
    mapping_overrides: Mapping[str, Any]
    overlap: timedelta
    cursor_at: datetime | None
    last_started_at: datetime | None
    last_finished_at: datetime | None


_COLUMNS: Final = sql.SQL("""
c.id::text, c.tenant_id::text, c.connection_id::text, c.entity, c.direction, c.conflict, c.every, c.enabled,
c.mapping_path, c.mapping_overrides, c.overlap, c.cursor_at, c.last_started_at, c.last_finished_at
""")
_LIST: Final = sql.SQL(
    "SELECT {columns} FROM erpflow.erp_sync_configs c WHERE c.connection_id = %s ORDER BY c.entity"
).format(columns=_COLUMNS)
_ENTITIES: Final = "SELECT entity, id::text FROM erpflow.erp_sync_configs WHERE connection_id = %s"
# The tenant is the connection's: nobody can pass a wrong one. What was set for this config alone outlives the file's.
_UPSERT: Final = sql.SQL("""
INSERT INTO erpflow.erp_sync_configs AS c (tenant_id, connection_id, entity, direction, conflict, every, mapping_path)
SELECT n.tenant_id, n.id, %(entity)s, %(direction)s, %(conflict)s, %(every)s, %(mapping_path)s
FROM erpflow.erp_connections n WHERE n.id = %(connection)s
ON CONFLICT (connection_id, entity) DO UPDATE SET
    agreed_since = CASE
        WHEN c.direction = coalesce(c.mapping_overrides ->> 'direction', excluded.direction) THEN c.agreed_since END,
    direction = coalesce(c.mapping_overrides ->> 'direction', excluded.direction),
    conflict = coalesce(c.mapping_overrides ->> 'conflict', excluded.conflict), every = excluded.every,
    mapping_path = excluded.mapping_path, updated_at = now()
RETURNING {columns}
""").format(columns=_COLUMNS)
_OTHERS: Final = "SELECT id::text, mapping_path FROM erpflow.erp_sync_configs WHERE id <> %s ORDER BY id"
_SET_ENABLED: Final = "UPDATE erpflow.erp_sync_configs SET enabled = %s, updated_at = now() WHERE id = %s"


def list_configs(connection: Connection, connection_id: ConnectionId) -> list[SyncConfig]:
    """The sync configs of a connection, by entity."""
    return [_config(row) for row in connection.execute(_LIST, (connection_id,))]


def get_config(connection: Connection, connection_id: ConnectionId, entity: str) -> SyncConfig:
    """The config of an entity. Raises ConfigError with the nearest entity when the connection does not sync it."""
    found = {config.entity: config for config in list_configs(connection, connection_id)}
    try:
        return found[entity]
    except KeyError:
        raise ConfigError(f'The connection does not sync the entity "{entity}"{suggestion(entity, found)}') from None


def entities(connection: Connection, connection_id: ConnectionId) -> dict[str, SyncConfigId]:
    """What a connection syncs: the id of the sync config by entity."""
    return {entity: SyncConfigId(config_id) for entity, config_id in connection.execute(_ENTITIES, (connection_id,))}


def others(connection: Connection, config_id: SyncConfigId) -> list[tuple[SyncConfigId, str]]:
    """Every other sync config of the installation, with its mapping's path."""
    return [(SyncConfigId(other), path) for other, path in connection.execute(_OTHERS, (config_id,))]


def upsert_config(
    connection: Connection,
    connection_id: ConnectionId,
    entity: str,
    *,
    direction: Direction,
    conflict: ConflictStrategy,
    every: timedelta,
    mapping_path: str,
) -> SyncConfig:
    """The sync config of an entity, made or brought up to date from a mapping's values; its cursor stays.

    `mapping_path` is relative to the folder of mappings. Raises ConfigError when the connection is gone.
    """
    row = connection.execute(
        _UPSERT,
        {
            "connection": connection_id,
            "entity": entity,
            "direction": direction,
            "conflict": conflict,
            "every": every,
            "mapping_path": mapping_path,
        },
    ).fetchone()
    if row is None:
        raise ConfigError(f"There is no connection {connection_id}: it was deleted.")
    return _config(row)


def set_enabled(connection: Connection, config_id: SyncConfigId, *, enabled: bool) -> None:
    """Switch a sync config on or off; switched on again, it goes on from its cursor."""
    connection.execute(_SET_ENABLED, (enabled, config_id))


def _config(row: Any) -> SyncConfig:
    id_, tenant, connection_id, entity, direction, conflict, *rest = row
    return SyncConfig(id_, tenant, connection_id, entity, Direction(direction), ConflictStrategy(conflict), *rest)
