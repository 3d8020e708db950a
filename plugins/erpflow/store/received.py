"""Rows that a posted document refers to, or has become: found one at a time, in the transaction that takes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import psycopg
from psycopg import sql

from erpflow.store.tables import Table
from erpflow.vocabulary import LocalId, RemoteId, SyncConfigId

Connection = psycopg.Connection[Any]

_ROW: Final = """
SELECT local_id FROM erpflow.erp_entity_sync_records
WHERE sync_config_id = %s AND remote_id = %s AND status <> 'deleted'
"""
_HOLD: Final = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"
_FIND: Final = sql.SQL("SELECT {key}::text FROM {table} WHERE {column} = %s ORDER BY {key} LIMIT 1")
_VALUES: Final = sql.SQL("SELECT {columns} FROM {table} WHERE {key} = %s::{kind} FOR UPDATE")
_COUNT: Final = sql.SQL("SELECT count(*) FROM {table} WHERE {parent}::text = %s")


def local_id_of(connection: Connection, config_id: SyncConfigId, remote_id: RemoteId) -> LocalId | None:
    """The row that a record of the vendor has become; None when it has not come yet."""
    row = connection.execute(_ROW, (config_id, remote_id)).fetchone()
    return LocalId(row[0]) if row else None


def find_row(
    connection: Connection, table: Table, *, key: str, column: str, value: str, any_case: bool = False
) -> LocalId | None:
    """The first row that has the value; until the transaction ends, nobody else looks for that value in that column.

    `any_case`: letters may be small or capital; `value` is in small ones.
    """
    connection.execute(_HOLD, (f"{table.name}.{column} {value}",))
    name: sql.Composable = sql.Identifier(column)
    statement = _FIND.format(
        key=sql.Identifier(key),
        table=table.identifier,
        column=sql.SQL("lower({})").format(name) if any_case else sql.SQL("{}::text").format(name),
    )
    row = connection.execute(statement, (value,)).fetchone()
    return LocalId(row[0]) if row else None


def values_of(
    connection: Connection, table: Table, local_id: LocalId, *, key: str, columns: Sequence[str]
) -> dict[str, Any] | None:
    """Some columns of a row, which stays as it is until the transaction ends; None when it is gone."""
    statement = _VALUES.format(
        columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
        table=table.identifier,
        key=sql.Identifier(key),
        kind=sql.SQL(table.columns[key].type),
    )
    row = connection.execute(statement, (local_id,)).fetchone()
    return dict(zip(columns, row, strict=True)) if row else None


def lines_of(connection: Connection, table: Table, parent_id: LocalId, *, parent: str) -> int:
    """How many lines a document has."""
    statement = _COUNT.format(table=table.identifier, parent=sql.Identifier(parent))
    row = connection.execute(statement, (parent_id,)).fetchone()
    return int(row[0]) if row else 0
