"""What a repair does to the state: ties made to be looked at again, and rows that are copies taken away.

A tie that was synced since the reconciliation began is left alone: whoever synced it has settled it, an earlier try of
the same repair among them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import psycopg
from psycopg import sql

from erpflow.store.tracked import Tracked
from erpflow.vocabulary import SyncConfigId

Connection = psycopg.Connection[Any]

# As after a delete at the vendor: a record that the vendor lists again is made here again, by any pull that reads it.
RESTORE: Final = """
UPDATE erpflow.erp_entity_sync_records r
SET status = 'deleted', last_direction = 'pull', deleted_at = coalesce(deleted_at, now()), raw_hash = 0,
    remote_modified_at = NULL
WHERE r.sync_config_id = %(config)s AND r.remote_id = ANY (%(ids)s) AND r.synced_at < %(started)s
"""

# Its row is gone and another one has its natural key: the next pull ties it to that.
FORGET: Final = """
DELETE FROM erpflow.erp_entity_sync_records r
WHERE r.sync_config_id = %(config)s AND r.remote_id = ANY (%(ids)s) AND r.synced_at < %(started)s
"""

# No fingerprint and no time: the next pull takes the record for changed and for the newest. Fields that are only pulled
# have never been agreed on then, so theirs is taken.
LOOK_AGAIN: Final = """
UPDATE erpflow.erp_entity_sync_records r
SET raw_hash = 0, remote_modified_at = NULL, agreed_remote = r.agreed_remote - %(pulled_only)s::text[]
WHERE r.sync_config_id = %(config)s AND r.remote_id = ANY (%(ids)s) AND r.synced_at < %(started)s
  AND r.status IN ('synced', 'pending')
"""

# What the vendor has counts as agreed on, so that ours is a change to be pushed.
SEND_AGAIN: Final = """
UPDATE erpflow.erp_entity_sync_records r
SET agreed_local = coalesce(r.agreed_local, '{}') || m.there, local_hash = NULL, status = 'pending'
FROM jsonb_to_recordset(%(theirs)s::jsonb) AS m (remote_id text, there jsonb)
WHERE r.sync_config_id = %(config)s AND r.remote_id = m.remote_id AND r.synced_at < %(started)s
  AND r.status IN ('synced', 'pending')
"""

# Its record is gone: the row is new to the vendor.
UNTIE: Final = """
UPDATE erpflow.erp_entity_sync_records r
SET status = 'deleted', last_direction = 'pull', deleted_at = coalesce(deleted_at, now())
WHERE r.sync_config_id = %(config)s AND r.remote_id = ANY (%(ids)s) AND r.synced_at < %(started)s
"""

TIES: Final = """
SELECT r.remote_id, r.local_id, r.status FROM erpflow.erp_entity_sync_records r
WHERE r.sync_config_id = %(config)s AND r.remote_id = ANY (%(remote_ids)s)
UNION
SELECT r.remote_id, r.local_id, r.status FROM erpflow.erp_entity_sync_records r
WHERE r.sync_config_id = %(config)s AND r.local_id = ANY (%(local_ids)s) AND r.status <> 'deleted'
"""

ROWS: Final = sql.SQL(
    "SELECT t.{key}::text FROM {table} t WHERE t.{key} = ANY (%(ids)s::text[]::{kind}[]) AND NOT {is_deleted}"
)

REJECTS: Final = """
SELECT j.remote_id, j.local_id,
       (SELECT string_agg(p ->> 'message', '; ') FROM jsonb_array_elements(j.problems) p)
FROM erpflow.erp_rejects j
WHERE j.sync_config_id = %(config)s AND j.status = 'open'
  AND (j.remote_id = ANY (%(remote_ids)s) OR j.local_id = ANY (%(local_ids)s))
"""

CONFLICTS: Final = """
SELECT c.remote_id, c.local_id, c.reason FROM erpflow.erp_conflicts c
WHERE c.sync_config_id = %(config)s AND c.status = 'open'
  AND (c.remote_id = ANY (%(remote_ids)s) OR c.local_id = ANY (%(local_ids)s))
"""

FOREIGN_KEYS: Final = """
SELECT n.nspname, k.relname, c.confrelid = to_regclass(%(table)s),
       (SELECT array_agg(a.attname ORDER BY p) FROM unnest(c.conkey) WITH ORDINALITY u (num, p)
        JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = u.num),
       (SELECT array_agg(a.attname ORDER BY p) FROM unnest(c.confkey) WITH ORDINALITY u (num, p)
        JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = u.num),
       tn.nspname || '.' || t.relname
FROM pg_constraint c
JOIN pg_class k ON k.oid = c.conrelid JOIN pg_namespace n ON n.oid = k.relnamespace
JOIN pg_class t ON t.oid = c.confrelid JOIN pg_namespace tn ON tn.oid = t.relnamespace
WHERE c.contype = 'f' AND c.conparentid = 0
  AND c.confrelid = ANY (SELECT to_regclass(name) FROM unnest(%(tables)s::text[]) AS u (name))
ORDER BY 1, 2
"""

COPIES: Final = sql.SQL(
    """
    SELECT t.{key}::text, {same_pulled} AND {same_pushed}, {values}, ARRAY[{references}]::text[]
    FROM jsonb_to_recordset(%(pairs)s::jsonb) AS m (local_id text, twin text)
    JOIN {table} t ON t.{key} = m.local_id::{kind}
    JOIN {table} o ON o.{key} = m.twin::{kind} AND NOT {twin_is_deleted}
    WHERE NOT {is_deleted}
      AND EXISTS (SELECT 1 FROM erpflow.erp_entity_sync_records r
                  WHERE r.sync_config_id = %(config)s AND r.local_id = m.twin AND r.status <> 'deleted')
      AND NOT EXISTS (SELECT 1 FROM erpflow.erp_entity_sync_records r
                      WHERE r.sync_config_id = ANY (%(configs)s::uuid[]) AND r.local_id = m.local_id
                        AND r.status <> 'deleted')
    ORDER BY t.{key} FOR UPDATE OF t
    """
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is so now. `ties`: row and state by record; `records`: record by row, live ties only; `rows`: rows there.

    `problems`: open rejects and conflicts as sentences, by record and by row.
    """

    ties: dict[str, tuple[str, str]] = field(default_factory=dict)
    records: dict[str, str] = field(default_factory=dict)
    rows: frozenset[str] = frozenset()
    problems: dict[str, str] = field(default_factory=dict)
    row_problems: dict[str, str] = field(default_factory=dict)

    def is_tied(self, remote_id: str) -> bool:
        """Whether a record has a live tie."""
        return self.ties.get(remote_id, ("", "deleted"))[1] != "deleted"


@dataclass(frozen=True, slots=True)
class Copy:
    """A row with the natural key of another one: whether both are equal in all that is mapped, and what refers to it.

    `values`: what it holds, by column.
    """

    local_id: str
    is_equal: bool
    values: Mapping[str, str | None]
    referrers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TieReset:
    """Makes ties of one config be looked at again, if they were not synced since `started`."""

    connection: Connection
    config_id: SyncConfigId
    started: datetime

    def restore(self, remote_ids: Sequence[str]) -> None:
        """Records whose rows are to be made here again."""
        self._run(RESTORE, ids=list(remote_ids))

    def forget(self, remote_ids: Sequence[str]) -> None:
        """Records whose rows are gone, and that are to be tied to others."""
        self._run(FORGET, ids=list(remote_ids))

    def look_again(self, remote_ids: Sequence[str], *, pulled_only: Sequence[str]) -> None:
        """Records that are to be pulled and merged again. `pulled_only`: fields that only the vendor decides."""
        self._run(LOOK_AGAIN, ids=list(remote_ids), pulled_only=list(pulled_only))

    def send_again(self, theirs: Mapping[str, Mapping[str, str | None]]) -> None:
        """Rows that are to be sent again: what the vendor has now of the fields that differ, by record."""
        rows = [{"remote_id": remote_id, "there": dict(values)} for remote_id, values in theirs.items()]
        self._run(SEND_AGAIN, theirs=json.dumps(rows))

    def untie(self, remote_ids: Sequence[str]) -> None:
        """Records that are gone, whose rows are to be made at the vendor again."""
        self._run(UNTIE, ids=list(remote_ids))

    def _run(self, statement: str, **parameters: Any) -> None:
        self.connection.execute(statement, {"config": self.config_id, "started": self.started, **parameters})


def facts(
    connection: Connection,
    tracked: Tracked,
    config_id: SyncConfigId,
    *,
    remote_ids: Sequence[str],
    local_ids: Sequence[str],
) -> Facts:
    """How records and rows stand now."""
    asked = {"config": config_id, "remote_ids": list(remote_ids), "local_ids": list(local_ids)}
    ties, records = {}, {}
    for remote_id, local_id, status in connection.execute(TIES, asked):
        ties[remote_id] = (local_id, status)
        if status != "deleted":
            records[local_id] = remote_id
    wanted = {*local_ids, *(local_id for local_id, _ in ties.values())}
    statement = ROWS.format(
        key=sql.Identifier(tracked.key),
        table=tracked.table.identifier,
        kind=tracked.key_type,
        is_deleted=tracked.is_deleted("t"),
    )
    problems: dict[str, str] = {}
    row_problems: dict[str, str] = {}
    for query in (REJECTS, CONFLICTS):
        for remote_id, local_id, reason in connection.execute(query, asked):
            if remote_id is not None:
                problems[remote_id] = reason or ""
            if local_id is not None:
                row_problems[local_id] = reason or ""
    rows = frozenset(row[0] for row in connection.execute(statement, {"ids": sorted(wanted)}))
    return Facts(ties, records, rows, problems, row_problems)


def copies(
    connection: Connection,
    tracked: Tracked,
    pairs: Mapping[str, str],
    *,
    config_id: SyncConfigId,
    siblings: Sequence[SyncConfigId],
) -> list[Copy]:
    """Which of these rows, each with the row that it is a copy of, are there still and tied to nothing; locked.

    The other row is tied by the config. `siblings`: other configs of the same table.
    """
    columns = [name for name in tracked.pulled if name != tracked.key]
    statement = COPIES.format(
        key=sql.Identifier(tracked.key),
        kind=tracked.key_type,
        table=tracked.table.identifier,
        is_deleted=tracked.is_deleted("t"),
        twin_is_deleted=tracked.is_deleted("o"),
        same_pulled=_same(tracked, columns, "pulled"),
        same_pushed=_same(tracked, [name for name in tracked.pushed if name != tracked.key], "pushed"),
        values=tracked.row_values("t", tracked.pulled, lines="pulled"),
        references=sql.SQL(", ").join(_references(connection, tracked)),
    )
    asked = [{"local_id": local_id, "twin": twin} for local_id, twin in pairs.items()]
    parameters = {"pairs": json.dumps(asked), "config": config_id, "configs": [config_id, *siblings]}
    rows = connection.execute(statement, parameters)
    return [
        Copy(local_id, is_equal, values, tuple(name for name in referrers if name is not None))
        for local_id, is_equal, values, referrers in rows
    ]


def _same(tracked: Tracked, columns: Sequence[str], lines: str) -> sql.Composed:
    """Whether rows `t` and `o` hold the same in these columns, and have the same lines."""
    return sql.SQL("{} = {}").format(
        tracked.row_values("t", columns, lines=lines), tracked.row_values("o", columns, lines=lines)
    )


def _references(connection: Connection, tracked: Tracked) -> list[sql.Composed]:
    """For each foreign key to the table or to its lines: its table's name where it refers to row `t`, else NULL."""
    lines = {child.table.name: child for child in tracked.lines}
    names = {name: _quoted(connection, name) for name in (tracked.table.name, *lines)}
    parameters = {"table": names[tracked.table.name], "tables": list(names.values())}
    cases = []
    for schema, table, is_ours, columns, keys, target in connection.execute(FOREIGN_KEYS, parameters).fetchall():
        name = f"{schema}.{table}"
        if is_ours and name in lines:
            continue  # the lines of a row go with it
        to_row = [
            sql.SQL("x.{} = {}.{}").format(sql.Identifier(c), sql.SQL("t" if is_ours else "l"), sql.Identifier(k))
            for c, k in zip(columns, keys, strict=True)
        ]
        source = sql.SQL("{} x").format(sql.Identifier(schema, table))
        if not is_ours:
            child = lines[target]
            source += sql.SQL(", {} l").format(child.table.identifier)
            to_row.append(sql.SQL("l.{} = t.{}").format(sql.Identifier(child.parent), sql.Identifier(tracked.key)))
        cases.append(
            sql.SQL("CASE WHEN EXISTS (SELECT 1 FROM {} WHERE {}) THEN {} END").format(
                source, sql.SQL(" AND ").join(to_row), sql.Literal(name)
            )
        )
    return cases


def _quoted(connection: Connection, name: str) -> str:
    return sql.Identifier(*name.split(".", 1)).as_string(connection)
