"""What changed here since both sides agreed, found set by set: new rows, rows with another hash, rows that are gone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import starmap
from typing import Any, Final

import msgspec
import psycopg
from psycopg import sql
from psycopg.abc import Buffer
from psycopg.adapt import Loader

from erpflow.store.pull_sql import LookupTarget
from erpflow.store.tracked import Tracked
from erpflow.vocabulary import SyncConfigId

Connection = psycopg.Connection[Any]

FETCH: Final = 2_000
"""Rows fetched at once from the server's cursor."""

# A transaction that is still open began before it: what it commits later carries an older time.
HORIZON: Final = """
SELECT least(now(), (SELECT min(xact_start) FROM pg_stat_activity
                     WHERE datname = current_database() AND backend_xid IS NOT NULL))
"""

# A row that could not be sent is tried again when the mapping is another one, and when what it refers to may be known
# to the vendor by now.
WORTH_A_TRY: Final = sql.SQL(
    """
    (j.mapping_version IS DISTINCT FROM %(version)s
     OR j.problems @> '[{{"rule": "lookup"}}]' AND EXISTS (
         SELECT 1 FROM erpflow.erp_sync_logs l
         JOIN erpflow.erp_sync_configs o ON o.id = l.sync_config_id
         JOIN erpflow.erp_sync_configs c ON c.connection_id = o.connection_id AND c.id <> o.id
         WHERE c.id = %(config)s AND l.created_count > 0
           AND (l.finished_at IS NULL OR l.finished_at > j.last_seen_at)))
    """
)

MODIFIED: Final = sql.SQL(
    """
    WITH candidates AS (
        SELECT x.{key} AS key FROM {table} x WHERE x.{modified} >= {since}
        UNION
        SELECT k.local_id::{kind} FROM erpflow.erp_entity_sync_records k
        WHERE k.sync_config_id = %(config)s AND k.status = 'pending'
        UNION
        SELECT j.local_id::{kind} FROM erpflow.erp_rejects j
        WHERE j.sync_config_id = %(config)s AND j.direction = 'push' AND j.status = 'open' AND {worth_a_try}
    )
    """
)

# What is in the parentheses runs by itself (OFFSET 0): the rows that have not changed, which are most, meet no reject.
CHANGED_ROWS: Final = sql.SQL(
    """
    {candidates}
    SELECT f.local_id, f.remote_id, f.remote_version, f.agreed_local, f.agreed, f.agreed_remote, f.hash, f.values
    FROM (
        SELECT t.{key} AS key, t.{key}::text AS local_id, r.remote_id, r.remote_version, r.agreed_local,
               r.agreed_remote IS NOT NULL AS agreed,
               CASE WHEN %(whole)s OR r.remote_version IS NULL THEN r.agreed_remote END AS agreed_remote,
               h.hash, {values} AS values
        FROM {source}
        LEFT JOIN erpflow.erp_entity_sync_records r
            ON r.sync_config_id = %(config)s AND r.local_id = t.{key}::text AND r.status <> 'deleted'
        CROSS JOIN LATERAL (SELECT {hash} AS hash) h
        WHERE NOT {is_deleted}
          AND (r.remote_id IS NULL OR r.status = 'pending'
               OR r.status = 'synced' AND r.agreed_local IS NOT NULL AND r.local_hash IS DISTINCT FROM h.hash)
          AND (%(ids)s::text[] IS NULL OR t.{key}::text = ANY (%(ids)s))
        OFFSET 0
    ) f
    WHERE NOT EXISTS (
          SELECT 1 FROM erpflow.erp_rejects j
          WHERE j.sync_config_id = %(config)s AND j.direction = 'push' AND j.status = 'open'
            AND j.local_id = f.local_id AND j.local_hash = f.hash AND NOT {worth_a_try})
      AND NOT EXISTS (
          SELECT 1 FROM erpflow.erp_conflicts c
          WHERE c.sync_config_id = %(config)s AND c.status = 'open' AND c.kind = 'unique_collision'
            AND c.local_id = f.local_id)
    ORDER BY f.key
    """
)

# Which rows are gone is told by the index of their keys alone; the ties themselves, with all that was agreed on, are
# only read of those.
GONE_ROWS: Final = sql.SQL(
    """
    WITH gone AS MATERIALIZED (
        SELECT k.local_id FROM erpflow.erp_entity_sync_records k
        LEFT JOIN {table} t ON t.{key} = k.local_id::{kind}
        WHERE k.sync_config_id = %(config)s AND k.status <> 'deleted' AND (t.{key} IS NULL OR {is_deleted})
          AND (%(ids)s::text[] IS NULL OR k.local_id = ANY (%(ids)s))
    )
    SELECT r.local_id, r.remote_id, r.remote_version, r.agreed_local, r.agreed_remote IS NOT NULL,
           CASE WHEN r.remote_version IS NULL THEN r.agreed_remote END, NULL::bigint, NULL::jsonb
    FROM gone g
    JOIN erpflow.erp_entity_sync_records r
        ON r.sync_config_id = %(config)s AND r.local_id = g.local_id AND r.status <> 'deleted'
    WHERE r.status IN ('synced', 'pending') AND r.agreed_local IS NOT NULL
      AND NOT EXISTS (
          SELECT 1 FROM erpflow.erp_rejects j
          WHERE j.sync_config_id = %(config)s AND j.direction = 'push' AND j.status = 'open'
            AND j.local_id = r.local_id AND j.local_hash IS NULL AND j.mapping_version = %(version)s)
    ORDER BY r.local_id
    """
)

TIED: Final = """
SELECT count(*) FROM erpflow.erp_entity_sync_records WHERE sync_config_id = %s AND status <> 'deleted'
"""

# Keys travel as one text: the driver takes many times as long to write them as an array.
TIES: Final = """
SELECT local_id, remote_id, remote_version, status FROM erpflow.erp_entity_sync_records
WHERE sync_config_id = %s AND status <> 'deleted' AND local_id = ANY (ARRAY(SELECT json_array_elements_text(%s::json)))
"""

BY_ENTITY: Final = """
SELECT local_id, remote_id FROM erpflow.erp_entity_sync_records
WHERE sync_config_id = %(config)s AND status <> 'deleted' AND local_id = ANY (%(ids)s)
"""

BY_TABLE: Final = sql.SQL(
    "SELECT k.{take}::text, k.{match}::text FROM {table} k WHERE k.{take} = ANY (%(ids)s::text[]::{kind}[])"
)


class LocalRow(msgspec.Struct, frozen=True):
    """A row that is new or may differ from what was agreed on; its columns as texts, as a push reads them.

    `values` and what was agreed on are JSON objects as Postgres writes them: most of it is only carried on. `agreed`:
    something was agreed on at the vendor; `agreed_remote`: what, if it was asked for or no version stands for it.
    `remote_id` None: it is not tied to a record yet. `values` None: the row is gone, or marked as deleted.
    """

    local_id: str
    remote_id: str | None
    version: str | None
    agreed_local: bytes | None
    agreed: bool
    agreed_remote: bytes | None
    hash: int | None
    values: bytes | None


class _AsWritten(Loader):
    """Gives JSON as Postgres writes it, not decoded."""

    def load(self, data: Buffer) -> bytes:
        return bytes(data)


class Tie(msgspec.Struct, frozen=True):
    """What a row is tied to, and the version of the record that was last agreed on."""

    remote_id: str
    version: str | None
    status: str


@contextmanager
def snapshot(connection: Connection) -> Iterator[None]:
    """A transaction that only reads, and sees one moment all along."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


def horizon(connection: Connection) -> datetime:
    """Rows modified before it are all visible now; later scans begin there."""
    row = connection.execute(HORIZON).fetchone()
    moment: datetime = row[0]  # type: ignore[index]  # the aggregate has a row
    return moment


def changed_rows(
    connection: Connection,
    tracked: Tracked,
    config_id: SyncConfigId,
    *,
    since: datetime | None,
    ids: Sequence[str] | None,
    version: str,
    whole: bool,
) -> Iterator[LocalRow]:
    """Rows that are new, or whose hash is not the agreed one. Within a transaction; streams.

    `whole`: with what was agreed on at the vendor.

    `since`: only rows modified at or after, where the table says when; `ids`: only these. Rows with an open reject are
    left out until they or the mapping (`version`) change; so are rows that wait for a person.
    """
    parts = _parts(tracked)
    by_time = since is not None and tracked.modified is not None and ids is None
    statement = CHANGED_ROWS.format(
        **parts,
        candidates=_candidates(tracked, parts) if by_time else sql.SQL(""),
        source=sql.SQL("candidates JOIN {table} t ON t.{key} = candidates.key").format(**parts)
        if by_time
        else sql.SQL("{table} t").format(**parts),
        values=tracked.row_values("t", tracked.pushed, lines="pushed"),
        hash=tracked.row_hash("t"),
    )
    parameters = {
        "config": config_id,
        "since": since,
        "ids": list(ids) if ids is not None else None,
        "version": version,
        "whole": whole,
    }
    with connection.cursor(name="erpflow_changed") as cursor:
        cursor.adapters.register_loader("jsonb", _AsWritten)
        cursor.execute(statement, parameters)
        while rows := cursor.fetchmany(FETCH):
            yield from starmap(LocalRow, rows)


def gone_rows(
    connection: Connection, tracked: Tracked, config_id: SyncConfigId, *, ids: Sequence[str] | None, version: str
) -> Iterator[LocalRow]:
    """Tied rows that were deleted, or marked so. Within a transaction; streams."""
    parameters = {"config": config_id, "ids": list(ids) if ids is not None else None, "version": version}
    with connection.cursor(name="erpflow_gone_rows") as cursor:
        cursor.adapters.register_loader("jsonb", _AsWritten)
        cursor.execute(GONE_ROWS.format(**_parts(tracked)), parameters)
        while rows := cursor.fetchmany(FETCH):
            yield from starmap(LocalRow, rows)


def ties(connection: Connection, config_id: SyncConfigId, local_ids: Sequence[str]) -> dict[str, Tie]:
    """The ties of these rows as they are now."""
    rows = connection.execute(TIES, (config_id, msgspec.json.encode(local_ids).decode()))
    return {local_id: Tie(remote_id, version, status) for local_id, remote_id, version, status in rows}


def tied_count(connection: Connection, config_id: SyncConfigId) -> int:
    """How many records are tied."""
    row = connection.execute(TIED, (config_id,)).fetchone()
    return int(row[0]) if row else 0


def remote_names(connection: Connection, lookup: LookupTarget, local_values: Sequence[str]) -> dict[str, str]:
    """What the vendor calls what a look-up column refers to: the way back of a pull's look-up, in one statement."""
    if lookup.config_id is not None:
        rows = connection.execute(BY_ENTITY, {"config": lookup.config_id, "ids": list(local_values)})
    else:
        statement = BY_TABLE.format(
            take=sql.Identifier(lookup.take or ""),
            match=sql.Identifier(lookup.match or ""),
            table=sql.Identifier(*(lookup.table or "").split(".", 1)),
            kind=sql.SQL(lookup.take_type),
        )
        rows = connection.execute(statement, {"ids": list(local_values)})
    return {local: remote for local, remote in rows if remote is not None}


def _parts(tracked: Tracked) -> dict[str, sql.Composable]:
    return {
        "table": tracked.table.identifier,
        "key": sql.Identifier(tracked.key),
        "kind": tracked.key_type,
        "is_deleted": tracked.is_deleted("t"),
        "worth_a_try": WORTH_A_TRY.format(),
    }


def _candidates(tracked: Tracked, parts: Mapping[str, sql.Composable]) -> sql.Composed:
    name = tracked.modified or ""
    has_zone = tracked.table.columns[name].type.endswith("with time zone")
    since = sql.SQL("%(since)s::timestamptz" if has_zone else "(%(since)s::timestamptz AT TIME ZONE 'UTC')")
    return MODIFIED.format(**parts, modified=sql.Identifier(name), since=since)
