"""Rows and ties as a person's decision on a conflict needs them: read and written one record at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import psycopg
from psycopg import sql

from erpflow.store.tracked import Tracked, csv
from erpflow.vocabulary import SyncConfigId

Connection = psycopg.Connection[Any]
Texts = Mapping[str, str | None]

SIDES: Final = sql.SQL(
    """
    SELECT r.remote_id, r.local_id, r.status, r.agreed_local, r.agreed_remote, {modified}, t.{key} IS NOT NULL,
           {pushed}, {pulled}
    FROM erpflow.erp_entity_sync_records r
    LEFT JOIN {table} t ON t.{key} = r.local_id::{kind}
    WHERE r.sync_config_id = %(config)s
      AND (r.remote_id = %(remote)s OR %(remote)s::text IS NULL AND r.local_id = %(local)s)
    ORDER BY r.status = 'deleted' LIMIT 1 FOR UPDATE OF r
    """
)

LOCK_ROW: Final = sql.SQL("SELECT 1 FROM {table} t WHERE t.{key} = %s::text::{kind} FOR UPDATE")

TIE: Final = """
UPDATE erpflow.erp_entity_sync_records
SET status = %(status)s, agreed_local = %(agreed_local)s::jsonb, agreed_remote = %(agreed_remote)s::jsonb,
    local_hash = NULL, raw_hash = coalesce(%(raw_hash)s, raw_hash),
    remote_version = coalesce(%(version)s, remote_version),
    remote_modified_at = coalesce(%(modified)s, remote_modified_at), synced_at = clock_timestamp(), local_id = %(local)s
WHERE sync_config_id = %(config)s AND remote_id = %(remote)s
"""

BURY: Final = """
UPDATE erpflow.erp_entity_sync_records
SET status = 'deleted', deleted_at = clock_timestamp(), synced_at = clock_timestamp(), last_direction = %(direction)s
WHERE sync_config_id = %(config)s AND remote_id = %(remote)s
"""

LINK: Final = """
INSERT INTO erpflow.erp_entity_sync_records AS r
    (sync_config_id, remote_id, tenant_id, local_id, raw_hash, log_id, first_log_id, status)
SELECT id, %(remote)s, tenant_id, %(local)s, 0, NULL, NULL, 'pending'
FROM erpflow.erp_sync_configs WHERE id = %(config)s
ON CONFLICT (sync_config_id, remote_id) DO UPDATE
SET local_id = excluded.local_id, status = 'pending', raw_hash = 0, remote_version = NULL, remote_modified_at = NULL,
    agreed_local = NULL, agreed_remote = NULL, local_hash = NULL, deleted_at = NULL, synced_at = clock_timestamp()
WHERE r.status = 'deleted'
"""


@dataclass(frozen=True, slots=True)
class FrozenRecord:
    """A record that waits for a person: its tie, and the row as it is now (`pushed` and `pulled` None: it is gone)."""

    remote_id: str
    local_id: str
    status: str
    agreed_local: Texts | None
    agreed_remote: Texts | None
    local_modified_at: datetime | None
    pushed: Texts | None
    pulled: Texts | None


def read(
    connection: Connection, tracked: Tracked, config_id: SyncConfigId, *, remote_id: str | None, local_id: str | None
) -> FrozenRecord | None:
    """The tie of a record and its row, both locked until the transaction ends; None when there is no tie."""
    parts = _parts(tracked)
    if local_id is not None:
        connection.execute(LOCK_ROW.format(**parts), (local_id,))
    row = connection.execute(
        SIDES.format(
            **parts,
            modified=tracked.modified_at("t"),
            pushed=tracked.row_values("t", tracked.pushed, lines="pushed"),
            pulled=tracked.row_values("t", tracked.pulled, lines="pulled"),
        ),
        {"config": config_id, "remote": remote_id, "local": local_id},
    ).fetchone()
    if row is None:
        return None
    remote, local, status, agreed_local, agreed_remote, modified, exists, pushed, pulled = row
    return FrozenRecord(
        remote,
        local,
        status,
        agreed_local,
        agreed_remote,
        modified,
        pushed if exists else None,
        pulled if exists else None,
    )


def write_row(connection: Connection, tracked: Tracked, local_id: str, values: Texts) -> None:
    """Write columns of a row as texts, as Postgres reads them; lines replace all lines of their table."""
    columns = {name: value for name, value in values.items() if name in tracked.table.columns and name != tracked.key}
    lines = {child.name: child for child in tracked.lines}
    assignments = [
        sql.SQL("{} = {}::{}").format(sql.Identifier(name), sql.Placeholder(), _type(tracked, name)) for name in columns
    ]
    if tracked.modified and tracked.modified not in columns:
        assignments.append(sql.SQL("{} = now()").format(sql.Identifier(tracked.modified)))
    if assignments:
        statement = sql.SQL("UPDATE {table} SET {assignments} WHERE {key} = %s::text::{kind}").format(
            assignments=csv(assignments), **_parts(tracked)
        )
        connection.execute(statement, [*columns.values(), local_id])
    for name in set(values) & set(lines):
        _replace_lines(connection, tracked, name, local_id, values[name])


def insert_row(connection: Connection, tracked: Tracked, values: Texts) -> str:
    """Make a row of texts, with a key of the table's own unless it is among them; its key as text."""
    columns = [name for name in values if name in tracked.table.columns]
    statement = sql.SQL("INSERT INTO {table} ({names}) VALUES ({values}) RETURNING {key}::text").format(
        names=csv(map(sql.Identifier, columns)),
        values=csv(sql.SQL("{}::{}").format(sql.Placeholder(), _type(tracked, name)) for name in columns),
        **_parts(tracked),
    )
    row = connection.execute(statement, [values[name] for name in columns]).fetchone()
    local_id = str(row[0]) if row else ""
    for child in tracked.lines:
        if child.name in values:
            _replace_lines(connection, tracked, child.name, local_id, values[child.name])
    return local_id


def touch_row(connection: Connection, tracked: Tracked, local_id: str) -> None:
    """Give a row a new time, so that the next push looks at it however long ago it was changed."""
    write_row(connection, tracked, local_id, {})


def delete_row(connection: Connection, tracked: Tracked, local_id: str) -> None:
    """Delete a row with its lines."""
    for child in tracked.lines:
        connection.execute(
            sql.SQL("DELETE FROM {lines} WHERE {parent} = %s::text::{kind}").format(
                lines=child.table.identifier, parent=sql.Identifier(child.parent), kind=tracked.key_type
            ),
            (local_id,),
        )
    connection.execute(
        sql.SQL("DELETE FROM {table} WHERE {key} = %s::text::{kind}").format(**_parts(tracked)), (local_id,)
    )


def mark_row(connection: Connection, tracked: Tracked, local_id: str) -> None:
    """Mark a row as deleted, by the column that the mapping names."""
    name = tracked.deleted or ""
    mark = "true" if tracked.table.columns[name].type == "boolean" else "now()"
    statement = sql.SQL("UPDATE {table} SET {name} = {mark} WHERE {key} = %s::text::{kind}").format(
        name=sql.Identifier(name), mark=sql.SQL(mark), **_parts(tracked)
    )
    connection.execute(statement, (local_id,))


def tie(
    connection: Connection,
    config_id: SyncConfigId,
    remote_id: str,
    *,
    local_id: str,
    status: str,
    agreed_local: Texts,
    agreed_remote: Texts,
    raw_hash: int | None = None,
    version: str | None = None,
    modified_at: datetime | None = None,
) -> None:
    """Bring a tie up to date after a decision: what is agreed on from now on."""
    connection.execute(
        TIE,
        {
            "config": config_id,
            "remote": remote_id,
            "local": local_id,
            "status": status,
            "agreed_local": json.dumps(dict(agreed_local)),
            "agreed_remote": json.dumps(dict(agreed_remote)),
            "raw_hash": raw_hash,
            "version": version,
            "modified": modified_at,
        },
    )


def bury(connection: Connection, config_id: SyncConfigId, remote_id: str, *, direction: str) -> None:
    """The record is gone, on the side that `direction` says: what remains is a tombstone."""
    connection.execute(BURY, {"config": config_id, "remote": remote_id, "direction": direction})


def link(connection: Connection, config_id: SyncConfigId, *, remote_id: str, local_id: str) -> None:
    """Tie a row to a record that it was never tied to. Nothing is agreed on: the next push or pull merges the two."""
    connection.execute(LINK, {"config": config_id, "remote": remote_id, "local": local_id})


def _replace_lines(connection: Connection, tracked: Tracked, name: str, local_id: str, text: str | None) -> None:
    child = next(child for child in tracked.lines if child.name == name)
    kind = tracked.key_type
    connection.execute(
        sql.SQL("DELETE FROM {lines} WHERE {parent} = %s::text::{kind}").format(
            lines=child.table.identifier, parent=sql.Identifier(child.parent), kind=kind
        ),
        (local_id,),
    )
    columns = list(child.pulled or child.pushed)
    statement = sql.SQL(
        "INSERT INTO {lines} ({parent}, {names})"
        " SELECT %(local)s::text::{kind}, {values} FROM jsonb_array_elements(%(text)s::jsonb) e"
    ).format(
        lines=child.table.identifier,
        parent=sql.Identifier(child.parent),
        names=csv(map(sql.Identifier, columns)),
        kind=kind,
        values=csv(
            sql.SQL("(e ->> {})::{}").format(sql.Literal(column), sql.SQL(child.table.columns[column].type))
            for column in columns
        ),
    )
    connection.execute(statement, {"local": local_id, "text": text or "[]"})


def _type(tracked: Tracked, name: str) -> sql.Composable:
    """What a text is cast to; texts of times carry their offset, so that a column without a zone gets UTC."""
    kind = tracked.table.columns[name].type
    if kind.startswith("timestamp") and not kind.endswith("with time zone"):
        return sql.SQL("timestamptz::{}").format(sql.SQL(kind))
    return sql.SQL(kind)


def _parts(tracked: Tracked) -> dict[str, sql.Composable]:
    return {"table": tracked.table.identifier, "key": sql.Identifier(tracked.key), "kind": tracked.key_type}
