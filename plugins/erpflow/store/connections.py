"""Connections: one tenant's account on one system, everything but its secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from erpflow.errors import ConfigError, suggestion
from erpflow.vocabulary import DEFAULT_TENANT, ConnectionId, TenantId


class ConnectionStatus(StrEnum):
    """What the last check of a connection said; `disabled` is a person's decision."""

    UNKNOWN = "unknown"
    ACTIVE = "active"
    EXPIRED = "expired"
    ERROR = "error"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class ErpConnection:
    """A row of `erp_connections`. Its secret is in the Airflow connection `airflow_conn_id`."""

    id: ConnectionId
    tenant_id: TenantId
    name: str
    system: str
    airflow_conn_id: str
    status: ConnectionStatus
    status_message: str | None
    account: str | None
    options: Mapping[str, Any]
    last_checked_at: datetime | None
    created_at: datetime
    updated_at: datetime


_COLUMNS: Final = sql.SQL("""
id::text, tenant_id::text, name, system, airflow_conn_id, status, status_message, account, options, last_checked_at,
created_at, updated_at
""")
_LIST: Final = sql.SQL("""
SELECT {columns} FROM erpflow.erp_connections
WHERE tenant_id = %(tenant)s AND (%(system)s::text IS NULL OR system = %(system)s) ORDER BY name
""").format(columns=_COLUMNS)
_GET: Final = sql.SQL(
    "SELECT {columns} FROM erpflow.erp_connections WHERE tenant_id = %(tenant)s AND name = %(name)s"
).format(columns=_COLUMNS)
_BY_ID: Final = sql.SQL("SELECT {columns} FROM erpflow.erp_connections WHERE id = %s").format(columns=_COLUMNS)
_SYSTEM: Final = "SELECT system FROM erpflow.erp_connections WHERE id = %s AND tenant_id = erpflow.current_tenant()"
_NAMES: Final = "SELECT name FROM erpflow.erp_connections WHERE tenant_id = %s"
_INSERT: Final = sql.SQL("""
INSERT INTO erpflow.erp_connections (tenant_id, name, system, airflow_conn_id, options)
VALUES (%(tenant)s, %(name)s, %(system)s, %(airflow_conn_id)s, %(options)s) RETURNING {columns}
""").format(columns=_COLUMNS)
_ENSURE: Final = sql.SQL("""
INSERT INTO erpflow.erp_connections (tenant_id, name, system, airflow_conn_id, options)
VALUES (%(tenant)s, %(name)s, %(system)s, %(airflow_conn_id)s, %(options)s)
ON CONFLICT (tenant_id, name) DO UPDATE SET
    airflow_conn_id = excluded.airflow_conn_id, options = excluded.options, updated_at = now()
WHERE erp_connections.system = excluded.system
RETURNING {columns}
""").format(columns=_COLUMNS)
# A person who disabled a connection is not overruled by a check that succeeds.
_SET_STATUS: Final = """
UPDATE erpflow.erp_connections
SET status = CASE WHEN status = 'disabled' AND NOT %(by_person)s THEN status ELSE %(status)s END,
    status_message = %(message)s, account = coalesce(%(account)s, account),
    last_checked_at = CASE WHEN %(by_person)s THEN last_checked_at ELSE now() END, updated_at = now()
WHERE id = %(id)s
"""
# What changed may be right now: what the last check said of it counts no more.
_CHANGE: Final = """
UPDATE erpflow.erp_connections
SET name = coalesce(%(name)s, name), options = coalesce(%(options)s, options),
    status = CASE WHEN %(disabled)s THEN 'disabled'
                  WHEN NOT %(disabled)s AND status = 'disabled' OR %(anew)s AND status <> 'disabled' THEN 'unknown'
                  ELSE status END,
    status_message = CASE WHEN %(anew)s THEN NULL ELSE status_message END, updated_at = now()
WHERE id = %(id)s
"""
_LOCK: Final = sql.SQL("SELECT {columns} FROM erpflow.erp_connections WHERE id = %s FOR UPDATE").format(
    columns=_COLUMNS
)
_DELETE: Final = "DELETE FROM erpflow.erp_connections WHERE id = %s"

Connection = psycopg.Connection[Any]


def list_connections(
    connection: Connection, *, tenant_id: TenantId = DEFAULT_TENANT, system: str | None = None
) -> list[ErpConnection]:
    """A tenant's connections by name; only those of `system` when it is given."""
    return [_connection(row) for row in connection.execute(_LIST, {"tenant": tenant_id, "system": system})]


def get_connection(connection: Connection, name: str, *, tenant_id: TenantId = DEFAULT_TENANT) -> ErpConnection:
    """The connection called `name`. Raises ConfigError with the nearest name when there is none."""
    row = connection.execute(_GET, {"tenant": tenant_id, "name": name}).fetchone()
    if row is None:
        known = [str(found[0]) for found in connection.execute(_NAMES, (tenant_id,))]
        raise ConfigError(f'There is no connection "{name}"{suggestion(name, known)}. Add one: erpflow connection add')
    return _connection(row)


def connection_of(connection: Connection, connection_id: ConnectionId) -> ErpConnection:
    """The connection of that id, whoever's it is. Raises ConfigError when it was deleted."""
    row = connection.execute(_BY_ID, (connection_id,)).fetchone()
    if row is None:
        raise ConfigError(f"There is no connection {connection_id}: it was deleted.")
    return _connection(row)


def system_of(connection: Connection, connection_id: ConnectionId) -> str | None:
    """The system of a connection of the session's tenant; None when it has none of that id."""
    row = connection.execute(_SYSTEM, (connection_id,)).fetchone()
    return row[0] if row else None


def add_connection(
    connection: Connection,
    name: str,
    *,
    system: str,
    airflow_conn_id: str | None = None,
    options: Mapping[str, Any] | None = None,
    tenant_id: TenantId = DEFAULT_TENANT,
) -> ErpConnection:
    """A new connection; its Airflow connection has the same name unless told otherwise.

    Raises ConfigError when the name or the Airflow connection is taken.
    """
    conn_id = airflow_conn_id or name
    try:
        with connection.transaction():
            row = connection.execute(
                _INSERT, _values(name, system=system, conn_id=conn_id, options=options, tenant_id=tenant_id)
            ).fetchone()
    except psycopg.errors.UniqueViolation as error:
        if "airflow_conn_id" in (error.diag.constraint_name or ""):
            raise ConfigError(_taken(conn_id)) from None
        raise ConfigError(f'There is a connection "{name}" already. Choose another name, or change that one.') from None
    return _connection(row)


def ensure_connection(
    connection: Connection,
    name: str,
    *,
    system: str,
    airflow_conn_id: str | None = None,
    options: Mapping[str, Any] | None = None,
    tenant_id: TenantId = DEFAULT_TENANT,
) -> ErpConnection:
    """The connection called `name`, made or brought up to date; its status and what it synced stay.

    Raises ConfigError when that name belongs to another system, or the Airflow connection to another name.
    """
    conn_id = airflow_conn_id or name
    try:
        with connection.transaction():
            row = connection.execute(
                _ENSURE, _values(name, system=system, conn_id=conn_id, options=options, tenant_id=tenant_id)
            ).fetchone()
    except psycopg.errors.UniqueViolation:
        raise ConfigError(_taken(conn_id)) from None
    if row is None:
        raise ConfigError(
            f'The connection "{name}" belongs to another system than {system}. Choose another name: '
            f"what it synced would be lost."
        )
    return _connection(row)


def set_status(
    connection: Connection,
    connection_id: ConnectionId,
    status: ConnectionStatus,
    *,
    message: str | None = None,
    account: str | None = None,
    by_person: bool = False,
) -> None:
    """Note what a check said, or (`by_person`) what somebody decided."""
    connection.execute(
        _SET_STATUS,
        {"id": connection_id, "status": status, "message": message, "account": account, "by_person": by_person},
    )


def find_connection(connection: Connection, connection_id: ConnectionId, *, lock: bool = False) -> ErpConnection | None:
    """The connection of that id as the session sees it; None when it does not. `lock`: until the transaction ends."""
    row = connection.execute(_LOCK if lock else _BY_ID, (connection_id,)).fetchone()
    return _connection(row) if row else None


def change_connection(
    connection: Connection,
    connection_id: ConnectionId,
    *,
    name: str | None = None,
    options: Mapping[str, Any] | None = None,
    disabled: bool | None = None,
    anew: bool = False,
) -> None:
    """Change what is given. `anew`: its secret or address changed, and nothing is known of it any more.

    Raises ConfigError when the name is taken.
    """
    values = {"name": name, "options": None if options is None else Jsonb(dict(options)), "disabled": disabled}
    try:
        with connection.transaction():
            connection.execute(_CHANGE, {**values, "id": connection_id, "anew": anew})
    except psycopg.errors.UniqueViolation:
        raise ConfigError(f'There is a connection "{name}" already. Choose another name.') from None


def delete_connection(connection: Connection, connection_id: ConnectionId) -> None:
    """Delete a connection with its configs, logs, sync records and rejects; the business tables stay as they are."""
    connection.execute(_DELETE, (connection_id,))


def _values(
    name: str, *, system: str, conn_id: str, options: Mapping[str, Any] | None, tenant_id: TenantId
) -> dict[str, Any]:
    return {
        "tenant": tenant_id,
        "name": name,
        "system": system,
        "airflow_conn_id": conn_id,
        "options": Jsonb(dict(options or {})),
    }


def _taken(conn_id: str) -> str:
    return (
        f'Another connection uses the Airflow connection "{conn_id}" already; two accounts cannot share one secret. '
        f"Choose another one."
    )


def _connection(row: Any) -> ErpConnection:
    id_, tenant, name, system, conn_id, status, *rest = row
    return ErpConnection(id_, tenant, name, system, conn_id, ConnectionStatus(status), *rest)
