"""After a push: ties brought up to date with what was sent, and with what the vendor now has."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
import psycopg
from psycopg import sql
from psycopg.types.json import Json

from erpflow.store import merge_sql, pull_sql
from erpflow.store.pull import Applied, Batch, ChunkWriter
from erpflow.store.pull_sql import PullTarget
from erpflow.store.tracked import Tracked
from erpflow.vocabulary import RunRef, SyncConfigId

Connection = psycopg.Connection[Any]
Texts = Mapping[str, str | None]

# What was sent is with its attempt, and what the vendor has now is staged, so that no value passes through here again:
# ties and history are made of them in one go.
# Of a record that was seen and not understood nothing is agreed on at the vendor; one that was not seen counts as sent.
TIE: Final = sql.SQL(
    """
    WITH a AS MATERIALIZED (
        SELECT p.*, x.*
        FROM json_to_recordset(%(pushed)s::json) AS p
            (idempotency_key text, remote_id text, remote_version text, remote_modified_at timestamptz, seen boolean,
             agreed_remote jsonb)
        CROSS JOIN LATERAL (
            SELECT x.local_id, x.operation, x.agreed_local::jsonb AS sent, x.local_hash, x.before
            FROM erpflow.erp_push_attempts x
            WHERE x.sync_config_id = %(config)s AND x.idempotency_key = p.idempotency_key LIMIT 1
        ) x
    ), noted AS (
        INSERT INTO erpflow.erp_record_history
            (sync_config_id, tenant_id, log_id, remote_id, local_id, direction, change, before, after)
        SELECT %(config)s, %(tenant)s, %(log)s, a.remote_id, a.local_id, 'push', 'updated', a.before::jsonb,
               coalesce((SELECT jsonb_object_agg(k, a.sent -> k) FROM json_object_keys(a.before) k), '{{}}')
        FROM a WHERE a.operation = 'update'
    ), tied AS (
        INSERT INTO erpflow.erp_entity_sync_records AS r
            (sync_config_id, remote_id, tenant_id, local_id, raw_hash, remote_version, remote_modified_at, log_id,
             first_log_id, agreed_local, agreed_remote, local_hash, status, last_direction)
        SELECT %(config)s, a.remote_id, %(tenant)s, a.local_id, 0, a.remote_version, a.remote_modified_at, %(log)s,
               %(log)s, a.sent, coalesce(a.agreed_remote, {agreed_remote}), a.local_hash, 'synced', 'push'
        FROM a
        {stage}
        ON CONFLICT (sync_config_id, remote_id) DO UPDATE
        SET local_id = excluded.local_id, raw_hash = 0, remote_version = excluded.remote_version,
            remote_modified_at = excluded.remote_modified_at, log_id = excluded.log_id,
            agreed_local = excluded.agreed_local,
            agreed_remote = coalesce(r.agreed_remote, '{{}}') || excluded.agreed_remote,
            local_hash = excluded.local_hash, status = 'synced', last_direction = 'push',
            synced_at = clock_timestamp(), deleted_at = NULL
        RETURNING remote_id, first_log_id
    )
    SELECT remote_id FROM tied WHERE first_log_id IS DISTINCT FROM %(log)s
    """
)
NOT_STAGED: Final = sql.SQL(
    """
    CASE WHEN a.seen THEN '{}' WHEN a.operation = 'create' THEN a.sent
         ELSE (SELECT jsonb_object_agg(k, a.sent -> k) FROM json_object_keys(a.before) k) END
    """
)
STAGED_OR_NOT: Final = sql.SQL("CASE WHEN s.remote_id IS NOT NULL THEN {staged} ELSE {besides} END")
BESIDE_STAGE: Final = sql.SQL("LEFT JOIN erpflow_stage s ON s.remote_id = a.remote_id")

BURY: Final = """
UPDATE erpflow.erp_entity_sync_records r
SET status = 'deleted', deleted_at = clock_timestamp(), synced_at = clock_timestamp(), last_direction = 'push',
    log_id = %(log)s
WHERE r.sync_config_id = %(config)s AND r.remote_id = ANY (%(ids)s)
"""

TIED_TO: Final = """
SELECT remote_id, local_id FROM erpflow.erp_entity_sync_records
WHERE sync_config_id = %s AND remote_id = ANY (ARRAY(SELECT json_array_elements_text(%s::json))) AND status <> 'deleted'
"""

REFRESH: Final = """
UPDATE erpflow.erp_entity_sync_records r
SET local_hash = m.local_hash, status = 'synced'
FROM jsonb_to_recordset(%(rows)s::jsonb) AS m (local_id text, local_hash bigint)
WHERE r.sync_config_id = %(config)s AND r.local_id = m.local_id AND r.status IN ('synced', 'pending')
"""

PLANNER: Final = pull_sql.PLANNER.replace("SET LOCAL", "SET")

STAGED: Final = sql.SQL("SELECT s.remote_id, s.remote_version, s.remote_modified_at, {values} FROM erpflow_stage s")


class Pushed(msgspec.Struct, frozen=True):
    """A write that the vendor has done: the key of its attempt, and the record's id and version now.

    `seen`: the vendor has shown the record as it is now. `agreed_remote`: what is agreed on there, where that is less
    than what it has now.
    """

    idempotency_key: str
    remote_id: str
    remote_version: str | None
    remote_modified_at: datetime | None
    seen: bool
    agreed_remote: Texts | None = None


@dataclass(frozen=True, slots=True)
class VendorState:
    """A record as the vendor has it, in our columns."""

    remote_id: str
    version: str | None
    modified_at: datetime | None
    values: Texts


class Reader(ChunkWriter):
    """Takes mapped records through the columns of the user's table, so that values compare; writes nothing there.

    Not careful until it is asked to be: that is two round trips less for each call, and columns hardly ever refuse.
    """

    is_careful = False

    @contextmanager
    def with_care(self) -> Iterator[None]:
        """A record whose value a column refuses is left out alone meanwhile."""
        self.is_careful = True
        try:
            yield
        finally:
            self.is_careful = False

    def _prepare(self) -> None:
        self._connection.execute(pull_sql.create_stages(self._target))
        staged = merge_sql.staged_values(self._tracked, self._target)
        agreed = merge_sql.agreed_values(self._tracked, self._target, local_id=sql.SQL("a.local_id"))
        self._staged, self._tie = self._render(
            [
                STAGED.format(values=staged),
                TIE.format(agreed_remote=STAGED_OR_NOT.format(staged=agreed, besides=NOT_STAGED), stage=BESIDE_STAGE),
            ]
        )

    def read(self, batch: Batch) -> list[VendorState]:
        """Each record of a batch in our columns; one that the columns do not take is left out. Once a transaction."""
        self._put(batch)
        return [VendorState(*row) for row in self._connection.execute(self._staged)]

    def tie(self, pushed: Sequence[Pushed], run: RunRef, batch: Batch | None = None) -> set[str]:
        """`tie`, agreeing on what the vendor has now: the records of a batch, or those that `read` was given.

        Once a transaction.
        """
        if batch is not None:
            self._put(batch)
        return _tie(self._connection, self._tie, pushed, run)

    def _put(self, batch: Batch) -> None:
        self._count = batch.count
        if batch.count:
            self._stage(batch, Applied())


def prepare(connection: Connection) -> None:
    """Make a session ready to record what becomes of a push: its statements look up keys, whatever the statistics."""
    connection.execute(PLANNER)


def reader(connection: Connection, target: PullTarget, tracked: Tracked) -> Reader:
    """A reader over one connection; its temporary tables are made once."""
    return Reader(connection, target, tracked, parameters={})


def tie(connection: Connection, pushed: Sequence[Pushed], run: RunRef) -> set[str]:
    """Tie rows to the records that were made of them, or bring their ties up to date; which of those were known before.

    What updates changed goes into the history. To be done before the attempts are settled: they hold what was sent.
    """
    return _tie(connection, TIE.format(agreed_remote=NOT_STAGED, stage=sql.SQL("")), pushed, run)


def _tie(connection: Connection, statement: bytes | sql.Composed, pushed: Sequence[Pushed], run: RunRef) -> set[str]:
    parameters = {
        "tenant": run.tenant_id,
        "config": run.config_id,
        "log": run.log_id,
        "pushed": Json(pushed, dumps=msgspec.json.encode),
    }
    return {remote_id for (remote_id,) in connection.execute(statement, parameters)}


def tied_to(connection: Connection, remote_ids: Sequence[str], config_id: SyncConfigId) -> dict[str, str]:
    """Which rows these records are tied to already."""
    return dict(connection.execute(TIED_TO, (config_id, json.dumps(list(remote_ids)))).fetchall())


def bury(connection: Connection, remote_ids: Sequence[str], run: RunRef) -> None:
    """Records that were deleted because their rows are gone: what remains is a tombstone."""
    if remote_ids:
        connection.execute(BURY, {"config": run.config_id, "log": run.log_id, "ids": list(remote_ids)})


def refresh(connection: Connection, rows: Sequence[tuple[str, int | None]], run: RunRef) -> None:
    """Rows that look changed and are not, in nothing that is pushed: (local id, hash) each."""
    if rows:
        stored = json.dumps([{"local_id": local_id, "local_hash": hash_} for local_id, hash_ in rows])
        connection.execute(REFRESH, {"config": run.config_id, "rows": stored})
