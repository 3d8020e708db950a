"""Sync logs: one row for each run of a sync config, from `plan` to `finish`, with counts that add up."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

import psycopg

from erpflow.errors import ConfigError
from erpflow.vocabulary import (
    ConflictStrategy,
    ConnectionId,
    Counts,
    Direction,
    RunRef,
    SyncConfigId,
    SyncLogId,
    SyncStatus,
    TenantId,
    Window,
)

Connection = psycopg.Connection[Any]

OPEN = """
INSERT INTO erpflow.erp_sync_logs
    (tenant_id, sync_config_id, direction, kind, status, dry_run, window_since, window_until, cursor_before,
     dag_id, dag_run_id, attempt_key, triggered_by, started_at, record_ids, deletes_allowed)
SELECT c.tenant_id, c.id, %(direction)s, %(kind)s, 'running', %(dry_run)s, %(since)s, %(until)s, c.cursor_at,
       %(dag_id)s, %(dag_run_id)s, %(attempt_key)s, %(triggered_by)s, now(), %(record_ids)s, %(allow_deletes)s
FROM erpflow.erp_sync_configs c WHERE c.id = %(config)s
ON CONFLICT (attempt_key, sync_config_id, direction) WHERE attempt_key IS NOT NULL
    DO UPDATE SET attempt_key = excluded.attempt_key  -- only to give its id: the run may have come to its end
RETURNING id::text
"""

OPENED = """
SELECT sync_config_id::text, id::text FROM erpflow.erp_sync_logs WHERE attempt_key = %s AND direction = %s
"""

SELECT_RUN = """
SELECT l.id::text, l.tenant_id::text, l.sync_config_id::text, c.connection_id::text, n.name, n.airflow_conn_id,
       n.system, c.entity, c.mapping_path, l.kind, l.dry_run, l.window_since, l.window_until, l.cursor_before,
       l.started_at, l.direction, c.direction, c.conflict, l.deletes_allowed, coalesce(l.record_ids, '{}'),
       c.overlap, c.local_cursor_at, c.deletes_cursor_at, coalesce(o.started_at, l.started_at), c.mapping_overrides
FROM erpflow.erp_sync_logs l
LEFT JOIN erpflow.erp_sync_logs o ON l.kind = 'replay' AND o.id::text = l.record_ids[1]
JOIN erpflow.erp_sync_configs c ON c.id = l.sync_config_id
JOIN erpflow.erp_connections n ON n.id = c.connection_id
WHERE l.id = %s
"""

OVERTAKEN = """
SELECT 1 FROM erpflow.erp_sync_logs l JOIN erpflow.erp_sync_logs o
    ON o.sync_config_id = l.sync_config_id AND o.started_at > l.started_at
WHERE l.id = %s AND o.direction = 'pull' AND NOT o.dry_run AND o.kind NOT IN ('retry', 'replay') AND o.read_count > 0
LIMIT 1
"""

CLAIM = """
SELECT chunks_applied, mapping_version FROM erpflow.erp_sync_logs WHERE id = %s FOR UPDATE
"""

START_CHUNKS = """
UPDATE erpflow.erp_sync_logs
SET mapping_version = %(version)s, chunks_applied = 0, read_count = 0, created_count = 0, updated_count = 0,
    unchanged_count = 0, deleted_count = 0, conflict_count = 0, rejected_count = 0, ignored_count = 0,
    ignored_reasons = '{}'
WHERE id = %(log)s AND mapping_version IS DISTINCT FROM %(version)s
"""

ADD = """
UPDATE erpflow.erp_sync_logs
SET chunks_applied = %(chunk)s, read_count = read_count + %(read)s, created_count = created_count + %(created)s,
    updated_count = updated_count + %(updated)s, unchanged_count = unchanged_count + %(unchanged)s,
    deleted_count = deleted_count + %(deleted)s, conflict_count = conflict_count + %(conflict)s,
    rejected_count = rejected_count + %(rejected)s, ignored_count = ignored_count + %(ignored)s,
    ignored_reasons = (
        SELECT coalesce(jsonb_object_agg(key, total), '{}') FROM (
            SELECT key, sum(value::bigint) AS total
            FROM (SELECT * FROM jsonb_each_text(ignored_reasons) UNION ALL SELECT * FROM jsonb_each_text(%(reasons)s)) u
            GROUP BY key) g)
WHERE id = %(log)s
"""

ADD_PUSHED = """
UPDATE erpflow.erp_sync_logs
SET read_count = read_count + %(read)s, created_count = created_count + %(created)s,
    updated_count = updated_count + %(updated)s, unchanged_count = unchanged_count + %(unchanged)s,
    deleted_count = deleted_count + %(deleted)s, conflict_count = conflict_count + %(conflict)s,
    rejected_count = rejected_count + %(rejected)s, ignored_count = ignored_count + %(ignored)s
WHERE id = %(log)s
"""

ADD_REASON = """
UPDATE erpflow.erp_sync_logs
SET ignored_reasons = ignored_reasons
    || jsonb_build_object(%(reason)s::text,
                          coalesce((ignored_reasons ->> %(reason)s::text)::bigint, 0) + %(number)s::bigint)
WHERE id = %(log)s
"""

CLEAR_COUNTS = """
UPDATE erpflow.erp_sync_logs
SET read_count = 0, created_count = 0, updated_count = 0, unchanged_count = 0, deleted_count = 0, conflict_count = 0,
    rejected_count = 0, ignored_count = 0, ignored_reasons = '{}', plan = NULL
WHERE id = %s
"""

NOTE_BATCH = """
UPDATE erpflow.erp_sync_logs SET noted_batches = noted_batches || %(number)s::int
WHERE id = %(log)s AND NOT %(number)s::int = ANY (noted_batches)
"""

FINISH_PUSH = """
WITH finished AS (
    UPDATE erpflow.erp_sync_logs SET chunks_applied = %(steps)s, chunks_total = %(steps)s WHERE id = %(log)s
    RETURNING sync_config_id
)
UPDATE erpflow.erp_sync_configs c SET local_cursor_at = greatest(local_cursor_at, %(to)s)
FROM finished f WHERE c.id = f.sync_config_id AND %(to)s::timestamptz IS NOT NULL
"""

ADVANCE_CURSOR = """
WITH moved AS (
    UPDATE erpflow.erp_sync_configs SET cursor_at = greatest(cursor_at, %(to)s), cursor_log_id = %(log)s
    WHERE id = %(config)s AND (cursor_at IS NULL OR cursor_at < %(to)s)
    RETURNING cursor_at
)
UPDATE erpflow.erp_sync_logs SET cursor_after = greatest(cursor_after, %(to)s) WHERE id = %(log)s
"""

PAGES = "UPDATE erpflow.erp_sync_logs SET pages = greatest(pages, %s), landing = %s WHERE id = %s"

TOTAL = "UPDATE erpflow.erp_sync_logs SET chunks_total = %s WHERE id = %s"

FORGET_CHUNKS = "UPDATE erpflow.erp_sync_logs SET mapping_version = NULL, chunks_total = NULL WHERE id = %s"

FAIL = """
UPDATE erpflow.erp_sync_logs SET error = %(error)s, error_kind = %(kind)s WHERE id = %(log)s
"""

REOPEN = """
UPDATE erpflow.erp_sync_logs SET status = 'running', error = NULL, error_kind = NULL, finished_at = NULL WHERE id = %s
"""

ASK_DELETES = "UPDATE erpflow.erp_sync_logs SET deletes_asked = %s::jsonb, deletes_waiting = %s WHERE id = %s"

ANSWER_DELETES = "UPDATE erpflow.erp_sync_logs SET deletes_allowed = %s, deletes_waiting = 0 WHERE id = %s"

CLOSE = """
UPDATE erpflow.erp_sync_logs
SET finished_at = now(),
    error = coalesce(error, CASE WHEN chunks_total IS DISTINCT FROM chunks_applied THEN %(unfinished)s END),
    error_kind = coalesce(error_kind, CASE WHEN chunks_total IS DISTINCT FROM chunks_applied THEN 'Unfinished' END),
    status = CASE WHEN error IS NOT NULL OR chunks_total IS DISTINCT FROM chunks_applied THEN 'failed'
                  WHEN rejected_count > 0 THEN 'partial' ELSE 'completed' END
WHERE id = %(log)s AND status = 'running'
"""

SUMMARIES = """
SELECT l.started_at, l.id::text, n.name, c.entity, l.direction, l.kind, l.status, l.dry_run, l.read_count,
       l.created_count, l.updated_count, l.unchanged_count, l.deleted_count, l.conflict_count, l.rejected_count,
       l.ignored_count, l.pages, l.error,
       extract(epoch FROM coalesce(l.finished_at, now()) - l.started_at)::float8
FROM erpflow.erp_sync_logs l
JOIN erpflow.erp_sync_configs c ON c.id = l.sync_config_id
JOIN erpflow.erp_connections n ON n.id = c.connection_id
"""

SUMMARY = SUMMARIES + "WHERE l.id = %s"

RECENT = (
    SUMMARIES
    + """
WHERE (%(connection)s::text IS NULL OR n.name = %(connection)s) AND (%(entity)s::text IS NULL OR c.entity = %(entity)s)
ORDER BY l.started_at DESC, l.id LIMIT %(limit)s
"""
)


@dataclass(frozen=True, slots=True)
class SyncRun:
    """What one run of one sync config does: read back by every task from the id of its log.

    `as_of`: its pages were read after that moment; those of a replay by the run that it replays.
    """

    log_id: SyncLogId
    tenant_id: TenantId
    config_id: SyncConfigId
    connection_id: ConnectionId
    connection: str
    airflow_conn_id: str
    system: str
    entity: str
    mapping_path: str
    kind: str
    dry_run: bool
    window: Window
    cursor_before: datetime | None
    started_at: datetime
    as_of: datetime
    direction: Direction = Direction.PULL
    config_direction: Direction = Direction.PULL
    conflict: ConflictStrategy = ConflictStrategy.NEWEST_WINS
    deletes_allowed: bool | None = None
    record_ids: tuple[str, ...] = ()
    overlap: timedelta = timedelta(0)
    local_cursor_at: datetime | None = None
    deletes_cursor_at: datetime | None = None
    mapping_overrides: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ref(self) -> RunRef:
        """Whose the rows are that this run writes."""
        return RunRef(self.tenant_id, self.config_id, self.log_id)

    @property
    def is_two_way(self) -> bool:
        """Whether its config also pushes, so that what changed here counts."""
        return self.config_direction is Direction.BIDIRECTIONAL

    @property
    def reads_on(self) -> bool:
        """Whether it reads on from where the last run stopped (a dry run would), and leaves no gap."""
        since = self.window.since
        leaves_no_gap = since is None or (self.cursor_before is not None and since <= self.cursor_before)
        return leaves_no_gap and self.kind in ("incremental", "full")

    @property
    def moves_cursor(self) -> bool:
        """Whether what this run applies may move the cursor: it must leave no gap behind it (invariant 2).

        A backfill and a dry run never do; a window that begins after the cursor would skip what lies between.
        """
        return self.reads_on and not self.dry_run


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A sync log as people see it; `seconds` from plan to finish."""

    log_id: SyncLogId
    connection: str
    entity: str
    direction: str
    kind: str
    status: SyncStatus
    dry_run: bool
    counts: Counts
    pages: int
    error: str | None
    seconds: float


@dataclass(frozen=True, slots=True)
class OpenRequest:
    """What a new sync log says of itself: the kind of run, its window, and the Airflow run it belongs to."""

    kind: str
    window: Window
    dry_run: bool = False
    dag_id: str | None = None
    dag_run_id: str | None = None
    attempt_key: str | None = None
    triggered_by: str | None = None
    direction: Direction = Direction.PULL
    record_ids: tuple[str, ...] = ()
    allow_deletes: bool = False


def open_log(connection: Connection, config_id: SyncConfigId, request: OpenRequest) -> SyncLogId:
    """Open a sync log; the same attempt opens it once, however often its task runs (invariant 3)."""
    row = connection.execute(
        OPEN,
        {
            "config": config_id,
            "kind": request.kind,
            "since": request.window.since,
            "until": request.window.until,
            "dry_run": request.dry_run,
            "dag_id": request.dag_id,
            "dag_run_id": request.dag_run_id,
            "attempt_key": request.attempt_key,
            "triggered_by": request.triggered_by,
            "direction": request.direction,
            "record_ids": list(request.record_ids) or None,
            "allow_deletes": request.allow_deletes or None,
        },
    ).fetchone()
    if row is None:
        raise ConfigError(f"There is no sync config {config_id}: it was deleted. Nothing was read.")
    return SyncLogId(row[0])


def opened_by(connection: Connection, attempt_key: str, direction: Direction) -> dict[SyncConfigId, SyncLogId]:
    """The logs that an attempt has opened already for one direction, by sync config."""
    rows = connection.execute(OPENED, (attempt_key, direction))
    return {SyncConfigId(config): SyncLogId(log) for config, log in rows}


def config_of(connection: Connection, log_id: SyncLogId) -> SyncConfigId:
    """The config of a log. Raises ConfigError when there is no such log of a pull."""
    row = connection.execute(
        "SELECT sync_config_id::text FROM erpflow.erp_sync_logs WHERE id::text = %s AND direction = 'pull'", (log_id,)
    ).fetchone()
    if row is None:
        raise ConfigError(f"There is no sync log {log_id} of a pull: it is misspelt, or was removed by the retention.")
    return SyncConfigId(row[0])


def is_overtaken(connection: Connection, log_id: SyncLogId) -> bool:
    """Whether a later pull of the same config has read records from the vendor."""
    return connection.execute(OVERTAKEN, (log_id,)).fetchone() is not None


def config_facts(connection: Connection, config_id: SyncConfigId) -> tuple[str, Mapping[str, Any], Direction]:
    """The mapping path, the overrides and the direction of a config. Raises ConfigError when it is gone."""
    row = connection.execute(
        "SELECT mapping_path, mapping_overrides, direction FROM erpflow.erp_sync_configs WHERE id = %s", (config_id,)
    ).fetchone()
    if row is None:
        raise ConfigError(f"There is no sync config {config_id}: it was deleted.")
    return row[0], row[1], Direction(row[2])


def load_run(connection: Connection, log_id: SyncLogId) -> SyncRun:
    """The run that a sync log describes. Raises ConfigError when the log is gone (its connection was deleted)."""
    row = connection.execute(SELECT_RUN, (log_id,)).fetchone()
    if row is None:
        raise ConfigError(f"There is no sync log {log_id}: its connection was deleted while the run was waiting.")
    log, tenant, config, connection_id, name, conn_id, system, entity, path, kind, dry_run, *moments = row
    since, until, cursor, started_at, direction, config_direction, conflict, allow, ids, *more = moments
    overlap, local_cursor, deletes_cursor, as_of, overrides = more
    return SyncRun(
        log_id=log,
        tenant_id=tenant,
        config_id=config,
        connection_id=connection_id,
        connection=name,
        airflow_conn_id=conn_id,
        system=system,
        entity=entity,
        mapping_path=path,
        kind=kind,
        dry_run=dry_run,
        window=Window(since, until),
        cursor_before=cursor,
        started_at=started_at,
        direction=Direction(direction),
        config_direction=Direction(config_direction),
        conflict=ConflictStrategy(conflict),
        deletes_allowed=allow,
        record_ids=tuple(ids),
        overlap=overlap,
        local_cursor_at=local_cursor,
        deletes_cursor_at=deletes_cursor,
        as_of=as_of,
        mapping_overrides=overrides,
    )


def start_chunks(connection: Connection, log_id: SyncLogId, *, version: str) -> int:
    """How many chunks of this mapping version are applied already; another version's start from nothing."""
    connection.execute(START_CHUNKS, {"log": log_id, "version": version})
    return claim_chunk(connection, log_id)


def claim_chunk(connection: Connection, log_id: SyncLogId) -> int:
    """Lock the log for the transaction, and say how many chunks are applied."""
    row = connection.execute(CLAIM, (log_id,)).fetchone()
    if row is None:
        raise ConfigError(f"There is no sync log {log_id}: its connection was deleted during the run.")
    return int(row[0])


def add_counts(
    connection: Connection, log_id: SyncLogId, *, chunk: int, counts: Counts, reasons: Mapping[str, int]
) -> None:
    """Add a chunk's counts; in the transaction that applies it."""
    connection.execute(
        ADD,
        {
            "log": log_id,
            "chunk": chunk,
            "reasons": json.dumps(reasons),
            **asdict(counts),
        },
    )


def add_pushed(connection: Connection, log_id: SyncLogId, counts: Counts) -> None:
    """Add what became of some rows of a push; in the transaction that records it."""
    connection.execute(ADD_PUSHED, {"log": log_id, **asdict(counts)})


def add_ignored(connection: Connection, log_id: SyncLogId, counts: Counts, *, reason: str) -> None:
    """Add rows that are left as they are, and why."""
    add_pushed(connection, log_id, counts)
    connection.execute(ADD_REASON, {"log": log_id, "reason": reason, "number": counts.ignored})


def set_pushed(connection: Connection, log_id: SyncLogId, counts: Counts) -> None:
    """The counts of a plan, whatever an earlier try had counted and planned."""
    connection.execute(CLEAR_COUNTS, (log_id,))
    add_pushed(connection, log_id, counts)


def set_counts(
    connection: Connection, log_id: SyncLogId, *, step: int, counts: Counts, reasons: Mapping[str, int]
) -> None:
    """The counts of a run after its `step`, whatever an earlier try had counted."""
    connection.execute(CLEAR_COUNTS, (log_id,))
    add_counts(connection, log_id, chunk=step, counts=counts, reasons=reasons)


def note_step(connection: Connection, log_id: SyncLogId, step: int) -> None:
    """Say that everything up to `step` is done, in the transaction that does the last of it."""
    connection.execute("UPDATE erpflow.erp_sync_logs SET chunks_applied = %s WHERE id = %s", (step, log_id))


def note_batch(connection: Connection, log_id: SyncLogId, number: int) -> bool:
    """Note that what is not sent of a batch is accounted for; False when an earlier try has done so."""
    return connection.execute(NOTE_BATCH, {"log": log_id, "number": number}).rowcount == 1


def finish_push(connection: Connection, log_id: SyncLogId, *, steps: int, to: datetime | None) -> None:
    """Every row that a push found has been settled: the local cursor may move to `to`."""
    connection.execute(FINISH_PUSH, {"log": log_id, "steps": steps, "to": to})


def advance_cursor(connection: Connection, run: SyncRun, to: datetime) -> None:
    """Move the config's cursor forward, never back; in the transaction that applies the data (invariant 2)."""
    connection.execute(ADVANCE_CURSOR, {"config": run.config_id, "log": run.log_id, "to": to})


READ_DELETES = """
UPDATE erpflow.erp_sync_configs
SET deletes_cursor_at = CASE WHEN %(all)s THEN greatest(deletes_cursor_at, %(to)s) ELSE %(to)s END
WHERE id = %(config)s AND (deletes_cursor_at IS NULL OR %(all)s)
"""


def note_deletes_read(connection: Connection, config_id: SyncConfigId, *, since: datetime) -> None:
    """A config begins to follow the vendor's list of deletes: whatever becomes of this run, the next reads from there
    too, until it is applied."""
    connection.execute(READ_DELETES, {"config": config_id, "to": since, "all": False})


def note_no_deletes(connection: Connection, config_id: SyncConfigId, *, until: datetime) -> None:
    """The vendor has deleted nothing before `until` that is not applied."""
    connection.execute(READ_DELETES, {"config": config_id, "to": until, "all": True})


AGREED = "UPDATE erpflow.erp_sync_configs SET agreed_since = coalesce(agreed_since, now()) WHERE id = %s"


def note_agreed(connection: Connection, config_id: SyncConfigId) -> None:
    """A two-way run has read everything: of every record it is known what both sides agree on."""
    connection.execute(AGREED, (config_id,))


def note_pages(connection: Connection, log_id: SyncLogId, *, pages: int, landing: str) -> None:
    """Say how many pages have landed, and where."""
    connection.execute(PAGES, (pages, landing, log_id))


def note_total(connection: Connection, log_id: SyncLogId, *, chunks: int) -> None:
    """Say how many chunks there are to apply: a log with fewer applied did not finish."""
    connection.execute(TOTAL, (chunks, log_id))


def forget_chunks(connection: Connection, log_id: SyncLogId) -> None:
    """The pages are read anew: chunks will hold other records, so those that were applied count no more."""
    connection.execute(FORGET_CHUNKS, (log_id,))


def chunks_applied(connection: Connection, log_id: SyncLogId) -> int:
    """How many chunks are applied, without a lock."""
    row = connection.execute("SELECT chunks_applied FROM erpflow.erp_sync_logs WHERE id = %s", (log_id,)).fetchone()
    return int(row[0]) if row else 0


def ask_deletes(connection: Connection, log_id: SyncLogId, *, count: int, total: int, sample: list[str]) -> None:
    """Keep what a person is asked about."""
    asked = json.dumps({"count": count, "total": total, "sample": sample})
    connection.execute(ASK_DELETES, (asked, count, log_id))


def add_to_plan(connection: Connection, log_id: SyncLogId, plan: list[dict[str, Any]]) -> None:
    """Keep what a dry run would have done."""
    connection.execute(
        "UPDATE erpflow.erp_sync_logs SET plan = coalesce(plan, '[]') || %s::jsonb WHERE id = %s",
        (json.dumps(plan), log_id),
    )


def plan_of(connection: Connection, log_id: SyncLogId) -> list[dict[str, Any]]:
    """What a dry run would have done, the first changes of it."""
    row = connection.execute("SELECT plan FROM erpflow.erp_sync_logs WHERE id = %s", (log_id,)).fetchone()
    return list(row[0]) if row and row[0] else []


def answer_deletes(connection: Connection, log_id: SyncLogId, *, allowed: bool) -> None:
    """A person has said whether the deletes of this run are right."""
    connection.execute(ANSWER_DELETES, (allowed, log_id))


def chunks_total(connection: Connection, log_id: SyncLogId) -> int:
    """How many chunks there are to apply; 0 before the transform has finished."""
    row = connection.execute("SELECT chunks_total FROM erpflow.erp_sync_logs WHERE id = %s", (log_id,)).fetchone()
    return int(row[0] or 0) if row else 0


def reopen(connection: Connection, log_id: SyncLogId) -> None:
    """A task of this log runs (again): whatever an earlier try said of it is history."""
    connection.execute(REOPEN, (log_id,))


def note_failure(connection: Connection, log_id: SyncLogId, error: BaseException) -> None:
    """Keep why a task of this log failed; a later try clears it."""
    connection.execute(FAIL, {"log": log_id, "error": str(error), "kind": type(error).__name__})


def close(connection: Connection, log_id: SyncLogId) -> RunSummary:
    """Close a log: failed (an error, or chunks missing), partial (rejects) or completed."""
    unfinished = "A task of this run was killed or lost before it could finish. Clear it in Airflow: it resumes."
    connection.execute(CLOSE, {"log": log_id, "unfinished": unfinished})
    return summary(connection, log_id)


def summary(connection: Connection, log_id: SyncLogId) -> RunSummary:
    """A sync log as people see it."""
    row = connection.execute(SUMMARY, (log_id,)).fetchone()
    if row is None:
        raise ConfigError(f"There is no sync log {log_id}.")
    return _summary(row)


def recent(
    connection: Connection, *, connection_name: str | None, entity: str | None, limit: int
) -> list[tuple[datetime, RunSummary]]:
    """The last sync logs with when each began, the newest first."""
    rows = connection.execute(RECENT, {"connection": connection_name, "entity": entity, "limit": limit})
    return [(row[0], _summary(row)) for row in rows]


def _summary(row: Sequence[Any]) -> RunSummary:
    _, log, name, entity, direction, kind, status, dry_run, *numbers, pages, error, seconds = row
    return RunSummary(
        log_id=log,
        connection=name,
        entity=entity,
        direction=direction,
        kind=kind,
        status=SyncStatus(status),
        dry_run=dry_run,
        counts=Counts(*numbers),
        pages=pages,
        error=error,
        seconds=seconds,
    )
