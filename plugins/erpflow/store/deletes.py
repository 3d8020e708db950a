"""Deletes that come from the vendor: found set by set, applied row by row only where the table refuses.

`erpflow_gone` holds what the vendor deleted (`deleted_at` NULL: it does not say when); what of it concerns us is what
is tied, and was not changed at the vendor after it was deleted, nor met by this run.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import psycopg
from psycopg import sql

from erpflow.errors import FieldProblem
from erpflow.store.pull import REFUSALS, problem_of
from erpflow.store.tracked import Tracked

Connection = psycopg.Connection[Any]
Texts = Mapping[str, str | None]

CREATE: Final = """
CREATE TEMPORARY TABLE IF NOT EXISTS erpflow_gone (remote_id text COLLATE "C", deleted_at timestamptz);
CREATE TEMPORARY TABLE IF NOT EXISTS erpflow_seen (remote_id text COLLATE "C");
TRUNCATE erpflow_gone, erpflow_seen
"""

UNSEEN: Final = """
INSERT INTO erpflow_gone
SELECT r.remote_id, NULL FROM erpflow.erp_entity_sync_records r
WHERE r.sync_config_id = %(config)s AND r.status <> 'deleted' AND r.synced_at < %(started)s
  AND NOT EXISTS (SELECT 1 FROM erpflow_seen s WHERE s.remote_id = r.remote_id)
"""

CONCERNS = sql.SQL(
    """
    FROM (SELECT remote_id, max(deleted_at) AS deleted_at FROM erpflow_gone GROUP BY remote_id) g
    JOIN erpflow.erp_entity_sync_records r ON r.sync_config_id = %(config)s AND r.remote_id = g.remote_id
    WHERE r.status <> 'deleted'
      -- Where one of the two dates says nothing (none, or the year 9999), what was read last counts.
      AND CASE WHEN g.deleted_at IS NULL OR r.remote_modified_at > r.synced_at + interval '1 day'
               THEN r.synced_at < %(started)s
               ELSE r.remote_modified_at IS NULL OR g.deleted_at >= r.remote_modified_at END
      -- What this run has settled already, before it was killed: it waits for a person, or the table refused it.
      AND NOT (r.status = 'frozen' AND r.deleted_at IS NOT NULL AND r.log_id = %(log)s)
      AND NOT EXISTS (
          SELECT 1 FROM erpflow.erp_rejects j
          WHERE j.sync_config_id = r.sync_config_id AND j.remote_id = r.remote_id AND j.status = 'open'
            AND j.direction = 'pull' AND j.stage = 'delete' AND j.log_id = %(log)s)
    """
)

EXTENT = sql.SQL(
    """
    SELECT count(*), (SELECT count(*) FROM erpflow.erp_entity_sync_records k
                      WHERE k.sync_config_id = %(config)s AND k.status <> 'deleted'),
           (array_agg(r.remote_id ORDER BY r.remote_id))[:10]
    {concerns}
    """
).format(concerns=CONCERNS)

SIDES = sql.SQL(
    """
    WITH concerned AS (SELECT r.*, g.deleted_at AS gone_at {concerns} ORDER BY r.remote_id LIMIT %(most)s)
    SELECT r.remote_id, r.local_id, r.status, r.gone_at, r.agreed_local, r.agreed_remote, t.{key} IS NOT NULL,
           {is_deleted}, {modified}, {pushed}, {pulled}
    FROM concerned r
    LEFT JOIN LATERAL (SELECT * FROM {table} x WHERE x.{key} = r.local_id::{kind} LIMIT 1) t ON true
    ORDER BY r.remote_id
    """
)

LOCK = sql.SQL(
    """
    SELECT 1 FROM {table} t
    WHERE t.{key} IN (SELECT r.local_id::{kind} {concerns} ORDER BY r.remote_id LIMIT %(most)s)
    ORDER BY t.{key} FOR UPDATE
    """
)

SETTLE: Final = """
UPDATE erpflow.erp_entity_sync_records r
SET status = m.status, deleted_at = coalesce(m.gone_at, now()), synced_at = clock_timestamp(), log_id = %(log)s,
    last_direction = 'pull'
FROM jsonb_to_recordset(%(settled)s::jsonb) AS m (remote_id text, status text, gone_at timestamptz)
WHERE r.sync_config_id = %(config)s AND r.remote_id = m.remote_id
"""

# A record that was rejected and is gone by now would come into being when its reject is tried again.
CLOSE: Final = sql.SQL(
    """
    UPDATE erpflow.erp_rejects r SET status = 'resolved', resolved_at = now()
    WHERE r.sync_config_id = %(config)s AND r.status = 'open' AND r.direction = 'pull' AND r.stage <> 'delete'
      AND r.remote_id IS NOT NULL AND {is_gone}
    """
)
CLOSE_SETTLED: Final = CLOSE.format(
    is_gone=sql.SQL(
        """
        EXISTS (SELECT 1 FROM jsonb_to_recordset(%(settled)s::jsonb) AS m (remote_id text, gone_at timestamptz)
                WHERE m.remote_id = r.remote_id AND (m.gone_at IS NULL OR m.gone_at >= r.last_seen_at))
        """
    )
)
CLOSE_LISTED: Final = CLOSE.format(
    is_gone=sql.SQL(
        "EXISTS (SELECT 1 FROM erpflow_gone g WHERE g.remote_id = r.remote_id AND g.deleted_at >= r.last_seen_at)"
    )
)
CLOSE_UNSEEN: Final = CLOSE.format(
    is_gone=sql.SQL(
        """
        r.last_seen_at < %(started)s AND NOT EXISTS (SELECT 1 FROM erpflow_seen s WHERE s.remote_id = r.remote_id)
        """
    )
)

FORGET: Final = "DELETE FROM erpflow_gone WHERE remote_id = ANY (%s)"

CURSOR: Final = """
UPDATE erpflow.erp_sync_configs SET deletes_cursor_at = greatest(deletes_cursor_at, %(to)s) WHERE id = %(config)s
"""


@dataclass(frozen=True, slots=True)
class Extent:
    """How much would be deleted: how many of how many records, and the first ten of them."""

    count: int
    total: int
    sample: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Gone:
    """A record that the vendor deleted, and our side of it.

    `gone_at` by the vendor's clock, None if it does not say.
    """

    remote_id: str
    local_id: str
    status: str
    gone_at: datetime | None
    agreed_local: Texts | None
    agreed_remote: Texts | None
    is_deleted: bool
    local_modified_at: datetime | None
    pushed: Texts | None
    pulled: Texts | None


class DeleteWriter:
    """Finds and applies the vendor's deletes for one run, over one connection."""

    def __init__(self, connection: Connection, tracked: Tracked, *, parameters: Mapping[str, Any]) -> None:
        """`parameters`: tenant, config, log and started, as in `ChunkWriter`."""
        self._connection = connection
        self._tracked = tracked
        self._parameters = parameters
        self._swept = False
        connection.execute(CREATE)

    def add(self, deletions: Iterable[tuple[str, datetime | None]]) -> None:
        """Note what the vendor says it deleted."""
        with self._connection.cursor().copy("COPY erpflow_gone FROM STDIN") as copy:
            for remote_id, deleted_at in deletions:
                copy.write_row((remote_id, deleted_at))

    def add_unseen(self, seen: Iterable[Sequence[str]]) -> None:
        """Note every tied record that is not among `seen`, the ids of a full read; batches of ids."""
        with self._connection.cursor().copy("COPY erpflow_seen FROM STDIN") as copy:
            for ids in seen:
                for remote_id in ids:
                    copy.write_row((remote_id,))
        self._connection.execute("CREATE INDEX IF NOT EXISTS erpflow_seen_ids ON erpflow_seen (remote_id)")
        self._connection.execute("ANALYZE erpflow_seen")
        self._connection.execute(UNSEEN, self._parameters)
        self._swept = True

    def extent(self) -> Extent:
        """How much of it concerns us."""
        row = self._connection.execute(EXTENT, self._parameters).fetchone()
        count, total, sample = row or (0, 0, None)
        return Extent(count, total, tuple(sample or ()))

    def take(self, most: int) -> list[Gone]:
        """The next records to settle, `most` at a time; their rows stay locked until the transaction ends."""
        parts = self._parts()
        parameters = {**self._parameters, "most": most}
        self._connection.execute(LOCK.format(**parts), parameters)
        rows = self._connection.execute(
            SIDES.format(
                **parts,
                is_deleted=self._tracked.is_deleted("t"),
                modified=self._tracked.modified_at("t"),
                pushed=self._tracked.row_values("t", self._tracked.pushed, lines="pushed"),
                pulled=self._tracked.row_values("t", self._tracked.pulled, lines="pulled"),
            ),
            parameters,
        )
        return [_gone(row) for row in rows]

    def remove(self, local_ids: Sequence[str], *, mark: bool) -> dict[str, FieldProblem]:
        """Delete rows with their lines, or mark them as deleted; those that the table refuses, and why."""
        refused: dict[str, FieldProblem] = {}
        ranges = [list(local_ids)] if local_ids else []
        while ranges:
            ids = ranges.pop()
            try:
                with self._connection.transaction():
                    for statement in self._mark() if mark else self._delete():
                        self._connection.execute(statement, (ids,))
                    self._connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
            except REFUSALS as error:
                if len(ids) == 1:
                    refused[ids[0]] = problem_of(error, self._tracked.table.name)
                else:
                    middle = len(ids) // 2
                    ranges += [ids[middle:], ids[:middle]]
        return refused

    def settle(self, settled: Sequence[tuple[str, str, datetime | None]]) -> None:
        """Give ties the state `deleted` or `frozen`; (remote id, state, when) each."""
        records = [
            {"remote_id": remote_id, "status": status, "gone_at": at.isoformat() if at else None}
            for remote_id, status, at in settled
        ]
        self._connection.execute(SETTLE, {**self._parameters, "settled": json.dumps(records)})
        gone = [record for record in records if record["status"] == "deleted"]
        self._connection.execute(CLOSE_SETTLED, {**self._parameters, "settled": json.dumps(gone)})

    def close_rejects(self) -> None:
        """Close the rejects of records that never came to be here and are gone there."""
        self._connection.execute(CLOSE_UNSEEN if self._swept else CLOSE_LISTED, self._parameters)

    def forget(self, remote_ids: Sequence[str]) -> None:
        """These are settled, or rejected: they are not taken again."""
        self._connection.execute(FORGET, (list(remote_ids),))

    def move_cursor(self, to: datetime) -> None:
        """What the vendor deleted before `to` is applied; in the transaction that applies the last of it."""
        self._connection.execute(CURSOR, {**self._parameters, "to": to})

    def _parts(self) -> dict[str, sql.Composable]:
        tracked = self._tracked
        return {
            "concerns": CONCERNS,
            "table": tracked.table.identifier,
            "key": sql.Identifier(tracked.key),
            "kind": tracked.key_type,
        }

    def _delete(self) -> list[sql.Composed]:
        parts = self._parts()
        statements = [
            sql.SQL("DELETE FROM {lines} WHERE {parent} = ANY (%s::{kind}[])").format(
                lines=child.table.identifier, parent=sql.Identifier(child.parent), kind=parts["kind"]
            )
            for child in self._tracked.lines
        ]
        return [*statements, sql.SQL("DELETE FROM {table} WHERE {key} = ANY (%s::{kind}[])").format(**parts)]

    def _mark(self) -> list[sql.Composed]:
        name = self._tracked.deleted or ""
        is_flag = self._tracked.table.columns[name].type == "boolean"
        assignments = [sql.SQL("{} = {}").format(sql.Identifier(name), sql.SQL("true" if is_flag else "now()"))]
        if self._tracked.modified and self._tracked.modified != name:
            assignments.append(sql.SQL("{} = now()").format(sql.Identifier(self._tracked.modified)))
        return [
            sql.SQL("UPDATE {table} SET {assignments} WHERE {key} = ANY (%s::{kind}[])").format(
                assignments=sql.SQL(", ").join(assignments), **self._parts()
            )
        ]


def _gone(row: Sequence[Any]) -> Gone:
    remote_id, local_id, status, gone_at, agreed_local, agreed_remote, exists, is_deleted, modified, *values = row
    pushed, pulled = values if exists else (None, None)
    return Gone(remote_id, local_id, status, gone_at, agreed_local, agreed_remote, is_deleted, modified, pushed, pulled)
