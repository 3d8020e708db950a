"""Finds and deletes what is settled and old: by kind, in bounded batches, each its own short transaction.

Every deletion asks again for what its candidates were chosen by: a log that a person has just cleared is not old.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import psycopg
from psycopg import sql

from erpflow.vocabulary import SyncLogId

Connection = psycopg.Connection[Any]

# What is gone for good and since when, in the words of the partial indexes that find it.
_SETTLED: Final = {
    "attempts": ("erp_push_attempts", "state IN ('succeeded', 'failed', 'superseded') AND settled_at < %(before)s"),
    "rejects": ("erp_rejects", "status IN ('resolved', 'discarded') AND resolved_at < %(before)s"),
    "conflicts": ("erp_conflicts", "status = 'resolved' AND resolved_at < %(before)s"),
    "deliveries": ("erp_deliveries", "state IN ('delivered', 'dead') AND settled_at < %(before)s"),
    "events": ("erp_webhook_events", "state IN ('applied', 'ignored') AND processed_at < %(before)s"),
    "messages": ("erp_messages", "state IN ('accepted', 'rejected') AND settled_at < %(before)s"),
    "stream": ("erp_events", "at < %(before)s"),
}

_DELETE_SETTLED: Final = """
WITH old AS MATERIALIZED (SELECT ctid FROM erpflow.{table} WHERE {settled} LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
DELETE FROM erpflow.{table} t USING old WHERE t.ctid = old.ctid
"""

_COUNT_SETTLED: Final = "SELECT count(*) FROM erpflow.{table} WHERE {settled}"

# By slices of the key: a slice is read once, and what was deleted before it is not met again. OFFSET 0 keeps the
# planner from walking the key backwards through everything that is new; the old end is found by the BRIN index.
_HISTORY_SPAN: Final = """
SELECT min(id), max(id)
FROM (SELECT id FROM erpflow.erp_record_history WHERE changed_at < %(before)s OFFSET 0) old
"""

_DELETE_HISTORY: Final = """
WITH slice AS (
    SELECT id FROM erpflow.erp_record_history
    WHERE id > %(after)s AND id <= %(last)s ORDER BY id LIMIT %(limit)s
), gone AS (
    DELETE FROM erpflow.erp_record_history h USING slice s
    WHERE h.id = s.id AND h.changed_at < %(before)s RETURNING 1
)
SELECT (SELECT count(*) FROM gone), (SELECT max(id) FROM slice)
"""

_COUNT_HISTORY: Final = "SELECT count(*) FROM erpflow.erp_record_history WHERE changed_at < %(before)s"

# Old, ended, and not the newest of its config.
_OLD_LOG: Final = """
l.status <> 'running' AND coalesce(l.finished_at, l.started_at) < %(before)s
AND EXISTS (SELECT 1 FROM erpflow.erp_sync_logs n
            WHERE n.sync_config_id = l.sync_config_id AND (n.started_at, n.id) > (l.started_at, l.id))
"""

_OLD_LANDINGS: Final = f"""
SELECT l.id::text, n.system, c.entity, l.landing
FROM erpflow.erp_sync_logs l
JOIN erpflow.erp_sync_configs c ON c.id = l.sync_config_id
JOIN erpflow.erp_connections n ON n.id = c.connection_id
WHERE l.landing IS NOT NULL AND {_OLD_LOG} AND l.id > %(after)s::uuid
ORDER BY l.id LIMIT %(limit)s
"""  # noqa: S608  (our own constant)

_HOLD_LANDING: Final = f"""
SELECT 1 FROM erpflow.erp_sync_logs l
WHERE l.id = %(log)s AND l.landing IS NOT NULL AND {_OLD_LOG} FOR UPDATE OF l SKIP LOCKED
"""  # noqa: S608  (our own constant)

_LANDING_GONE: Final = "UPDATE erpflow.erp_sync_logs SET landing = NULL WHERE id = %s"

# A log that a record, a reject, a conflict, an attempt, a change, an event or a cursor names stays, or the link from
# there to its page would lead nowhere; so does one whose pages are still in the landing area, or whose deletes wait
# for a person. Pages elsewhere (of the command line on a machine of its own) are not ours to count or to remove.
_UNREFERRED: Final = """
(l.landing IS NULL OR NOT starts_with(replace(l.landing, 'file://', ''), %(root)s || '/')) AND l.deletes_waiting = 0
AND NOT EXISTS (SELECT 1 FROM erpflow.erp_sync_configs r WHERE r.cursor_log_id = l.id)
AND NOT EXISTS (SELECT 1 FROM erpflow.erp_entity_sync_records r WHERE r.log_id = l.id)
AND NOT EXISTS (SELECT 1 FROM erpflow.erp_record_history r WHERE r.log_id = l.id)
AND NOT EXISTS (SELECT 1 FROM erpflow.erp_rejects r WHERE r.log_id = l.id)
AND NOT EXISTS (SELECT 1 FROM erpflow.erp_reject_payloads r WHERE r.log_id = l.id)
AND NOT EXISTS (SELECT 1 FROM erpflow.erp_conflicts r WHERE r.log_id = l.id)
AND NOT EXISTS (SELECT 1 FROM erpflow.erp_push_attempts r WHERE r.log_id = l.id)
AND NOT EXISTS (SELECT 1 FROM erpflow.erp_webhook_events r WHERE r.log_id = l.id)
"""

_OLD_LOGS: Final = f"""
SELECT l.id::text FROM erpflow.erp_sync_logs l WHERE {_OLD_LOG} AND {_UNREFERRED} LIMIT %(limit)s
"""  # noqa: S608  (our own constant)

_COUNT_LOGS: Final = f"""
SELECT count(*) FROM erpflow.erp_sync_logs l WHERE {_OLD_LOG} AND {_UNREFERRED}
"""  # noqa: S608  (our own constant)

_DELETE_LOGS: Final = f"""
DELETE FROM erpflow.erp_sync_logs l WHERE l.id = ANY (%(ids)s::uuid[]) AND {_OLD_LOG}
"""  # noqa: S608  (our own constant)

FIRST_LOG: Final = SyncLogId("00000000-0000-0000-0000-000000000000")
"""Sorts before every other: where a walk through the landing folders begins."""


@dataclass(frozen=True, slots=True)
class OldLanding:
    """The pages of a log that are old enough to go. `location` is where the log says they are."""

    log_id: SyncLogId
    system: str
    entity: str
    location: str


def settled_kinds() -> tuple[str, ...]:
    """The kinds that are deleted row by row, without a second thought: `attempts`, `rejects`, …"""
    return tuple(_SETTLED)


def delete_settled(connection: Connection, kind: str, *, before: datetime, limit: int) -> int:
    """Delete at most `limit` settled rows of a kind; how many. A reject takes the payloads it had before along."""
    statement = _settled(_DELETE_SETTLED, kind)
    return connection.execute(statement, {"before": before, "limit": limit}).rowcount


def count_settled(connection: Connection, kind: str, *, before: datetime) -> int:
    """How many settled rows of a kind there are to delete."""
    return _number(connection, _settled(_COUNT_SETTLED, kind), before)


def history_span(connection: Connection, *, before: datetime) -> tuple[int, int] | None:
    """The first and last id among the old changes; None when there are none."""
    row = connection.execute(_HISTORY_SPAN, {"before": before}).fetchone()
    return (row[0], row[1]) if row and row[0] is not None else None


def delete_history(
    connection: Connection, *, before: datetime, after: int, last: int, limit: int
) -> tuple[int, int | None]:
    """Delete the old ones among the next `limit` changes behind the id `after`, up to `last`.

    How many, and the last id that was looked at; None when there was none left to look at.
    """
    given = {"before": before, "after": after, "last": last, "limit": limit}
    row = connection.execute(_DELETE_HISTORY, given).fetchone()
    assert row is not None  # noqa: S101  (a SELECT without FROM gives a row)
    return row[0], row[1]


def count_history(connection: Connection, *, before: datetime) -> int:
    """How many old changes there are to delete."""
    return _number(connection, _COUNT_HISTORY, before)


def old_landings(
    connection: Connection, *, before: datetime, after: SyncLogId = FIRST_LOG, limit: int
) -> list[OldLanding]:
    """The next `limit` logs behind `after` whose pages are old; never a running log's or a config's newest."""
    rows = connection.execute(_OLD_LANDINGS, {"before": before, "after": after, "limit": limit})
    return [OldLanding(*row) for row in rows]


def delete_landing(connection: Connection, log_id: SyncLogId, *, before: datetime, remove: Callable[[], None]) -> bool:
    """Remove the pages of a log and note that they are gone, while nobody can start the log again.

    False when it is not old any more: a task of it was cleared, or runs. Killed in between, it is done again.
    """
    with connection.transaction():
        if connection.execute(_HOLD_LANDING, {"log": log_id, "before": before}).fetchone() is None:
            return False
        remove()
        connection.execute(_LANDING_GONE, (log_id,))
    return True


def old_logs(connection: Connection, *, before: datetime, landing_root: str, limit: int) -> list[SyncLogId]:
    """At most `limit` old logs that nothing refers to; one pass over the records and their history.

    `landing_root` is the path of the landing area, without `file://`.
    """
    given = {"before": before, "root": landing_root, "limit": limit}
    return [SyncLogId(row[0]) for row in connection.execute(_OLD_LOGS, given)]


def delete_logs(connection: Connection, log_ids: list[SyncLogId], *, before: datetime) -> int:
    """Delete those of the logs that are still old and ended; how many."""
    return connection.execute(_DELETE_LOGS, {"ids": log_ids, "before": before}).rowcount


def count_logs(connection: Connection, *, before: datetime, landing_root: str) -> int:
    """How many old logs there are to delete."""
    return _number(connection, _COUNT_LOGS, before, root=landing_root)


def _settled(template: str, kind: str) -> sql.Composed:
    table, settled = _SETTLED[kind]
    return sql.SQL(template).format(table=sql.Identifier(table), settled=sql.SQL(settled))


def _number(connection: Connection, statement: str | sql.Composed, before: datetime, **more: str) -> int:
    row = connection.execute(statement, {"before": before, **more}).fetchone()
    return int(row[0]) if row else 0
