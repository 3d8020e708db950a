"""Record history: every change of every record, only the fields that changed.

The first creation of a record needs no entry: its sync record names the run (`first_log_id`), and the values then are
today's with the later changes taken back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import msgspec
import psycopg
from psycopg import sql

from erpflow.store.merge_sql import staged_values
from erpflow.store.pull_sql import PullTarget
from erpflow.store.tracked import Tracked
from erpflow.vocabulary import RunRef, SyncConfigId, SyncLogId

Texts = Mapping[str, str | None]
What = Literal["created", "updated", "deleted", "resolved"]

INSERT = """
INSERT INTO erpflow.erp_record_history
    (sync_config_id, tenant_id, log_id, remote_id, local_id, direction, change, before, after)
SELECT %(config)s, %(tenant)s, %(log)s, h.remote_id, h.local_id, h.direction, h.change, h.before, h.after
FROM jsonb_to_recordset(%(entries)s::jsonb)
     AS h (remote_id text, local_id text, direction text, change text, before jsonb, after jsonb)
"""

PULLED = sql.SQL(
    """
    INSERT INTO erpflow.erp_record_history
        (sync_config_id, tenant_id, log_id, remote_id, local_id, direction, change, before, after)
    SELECT %(config)s, %(tenant)s, %(log)s, s.remote_id, d.local_id::text, 'pull', d.outcome, c.before, c.after
    FROM erpflow_decided d JOIN erpflow_stage s USING (n)
    LEFT JOIN {table} t ON t.{key} = d.local_id
    CROSS JOIN LATERAL (SELECT {new} AS new, CASE WHEN t.{key} IS NOT NULL THEN {old} END AS old) v
    CROSS JOIN LATERAL (
        SELECT jsonb_object_agg(e.key, v.old -> e.key) FILTER (WHERE v.old IS NOT NULL) AS before,
               jsonb_object_agg(e.key, e.value) AS after
        FROM jsonb_each(v.new) e WHERE v.old IS NULL OR v.old -> e.key IS DISTINCT FROM e.value
    ) c
    WHERE {which} AND c.after IS NOT NULL
    """
)
CHANGES = sql.SQL("(d.outcome = 'updated' OR d.outcome = 'created' AND d.known)")
FIRSTS = sql.SQL("(d.outcome = 'created' AND NOT d.known)")
EVERYTHING = sql.SQL("d.outcome IN ('created', 'updated')")

OF_LOG = """
SELECT h.remote_id, h.local_id, h.direction, h.change, h.before, h.after
FROM erpflow.erp_record_history h WHERE h.sync_config_id = %s AND h.log_id = %s ORDER BY h.id LIMIT %s
"""

OF_RECORD = """
SELECT h.changed_at, h.log_id::text, h.direction, h.change, h.before, h.after
FROM erpflow.erp_record_history h
WHERE h.sync_config_id = %(config)s AND (h.remote_id = %(remote)s OR h.local_id = %(local)s)
UNION ALL
SELECT l.started_at, l.id::text, l.direction, 'created', NULL, NULL
FROM erpflow.erp_entity_sync_records r JOIN erpflow.erp_sync_logs l ON l.id = r.first_log_id
WHERE r.sync_config_id = %(config)s AND (r.remote_id = %(remote)s OR r.local_id = %(local)s)
ORDER BY 1 DESC LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One change of one record: the fields that changed, before and after (None: there was, or is, no record)."""

    remote_id: str | None
    local_id: str | None
    direction: Literal["pull", "push"]
    change: What
    before: Texts | None
    after: Texts | None


@dataclass(frozen=True, slots=True)
class PastChange:
    """An entry as people see it: when, in which run, which way, and what changed."""

    at: datetime
    log_id: str | None
    direction: str
    change: str
    before: Texts | None
    after: Texts | None


def record(
    connection: psycopg.Connection[Any],
    entries: Sequence[Entry],
    run: RunRef,
) -> None:
    """Keep entries, in the transaction that makes the changes."""
    if entries:
        connection.execute(
            INSERT,
            {
                "tenant": run.tenant_id,
                "config": run.config_id,
                "log": run.log_id,
                "entries": msgspec.json.encode(entries).decode(),
            },
        )


def of_record(
    connection: psycopg.Connection[Any],
    config_id: SyncConfigId,
    *,
    remote_id: str | None,
    local_id: str | None,
    limit: int,
) -> list[PastChange]:
    """What happened to one record, the newest first; its creation is the oldest."""
    rows = connection.execute(OF_RECORD, {"config": config_id, "remote": remote_id, "local": local_id, "limit": limit})
    return [PastChange(*row) for row in rows]


def of_log(
    connection: psycopg.Connection[Any], config_id: SyncConfigId, log_id: SyncLogId, *, limit: int
) -> list[Entry]:
    """What one run changed, in order."""
    return [Entry(*row) for row in connection.execute(OF_LOG, (config_id, log_id, limit))]


def pulled(tracked: Tracked, target: PullTarget, *, which: sql.SQL) -> sql.Composed:
    """The entries of a chunk, for `which` of its records; run before the rows are written.

    Parameters: config, tenant, log.
    """
    return PULLED.format(
        which=which,
        table=tracked.table.identifier,
        key=sql.Identifier(tracked.key),
        new=staged_values(tracked, target),
        old=tracked.row_values("t", tracked.pulled, lines="pulled"),
    )
