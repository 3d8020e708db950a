"""After a push: ties brought up to date with what was sent, and with what the vendor now has."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import psycopg
from psycopg import sql

from erpflow.store import merge_sql, pull_sql
from erpflow.store.pull import Applied, Batch, ChunkWriter
from erpflow.store.pull_sql import PullTarget
from erpflow.store.tracked import Tracked
from erpflow.vocabulary import RunRef, SyncConfigId

Connection = psycopg.Connection[Any]
Texts = Mapping[str, str | None]

UPSERT: Final = """
INSERT INTO erpflow.erp_entity_sync_records AS r
    (sync_config_id, remote_id, tenant_id, local_id, raw_hash, remote_version, remote_modified_at, log_id, first_log_id,
     agreed_local, agreed_remote, local_hash, status, last_direction)
SELECT %(config)s, p.remote_id, %(tenant)s, p.local_id, 0, p.remote_version, p.remote_modified_at, %(log)s, %(log)s,
       p.agreed_local, p.agreed_remote, p.local_hash, 'synced', 'push'
FROM jsonb_to_recordset(%(pushed)s::jsonb) AS p
    (local_id text, remote_id text, remote_version text, remote_modified_at timestamptz, agreed_local jsonb,
     agreed_remote jsonb, local_hash bigint)
ON CONFLICT (sync_config_id, remote_id) DO UPDATE
SET local_id = excluded.local_id, raw_hash = 0, remote_version = excluded.remote_version,
    remote_modified_at = excluded.remote_modified_at, log_id = excluded.log_id,
    agreed_local = excluded.agreed_local, agreed_remote = coalesce(r.agreed_remote, '{}') || excluded.agreed_remote,
    local_hash = excluded.local_hash, status = 'synced', last_direction = 'push', synced_at = clock_timestamp(),
    deleted_at = NULL
"""

BURY: Final = """
UPDATE erpflow.erp_entity_sync_records r
SET status = 'deleted', deleted_at = clock_timestamp(), synced_at = clock_timestamp(), last_direction = 'push',
    log_id = %(log)s
WHERE r.sync_config_id = %(config)s AND r.remote_id = ANY (%(ids)s)
"""

TIED_TO: Final = """
SELECT remote_id, local_id FROM erpflow.erp_entity_sync_records
WHERE sync_config_id = %s AND remote_id = ANY (%s) AND status <> 'deleted'
"""

REFRESH: Final = """
UPDATE erpflow.erp_entity_sync_records r
SET local_hash = m.local_hash, status = 'synced'
FROM jsonb_to_recordset(%(rows)s::jsonb) AS m (local_id text, local_hash bigint)
WHERE r.sync_config_id = %(config)s AND r.local_id = m.local_id AND r.status IN ('synced', 'pending')
"""

STAGED: Final = sql.SQL("SELECT s.remote_id, s.remote_version, s.remote_modified_at, {values} FROM erpflow_stage s")


@dataclass(frozen=True, slots=True)
class Pushed:
    """A row that the vendor took: what was sent, and what it has now (`agreed_remote`: by column, as texts)."""

    local_id: str
    remote_id: str
    remote_version: str | None
    remote_modified_at: datetime | None
    agreed_local: Texts
    agreed_remote: Texts
    local_hash: int | None

    def stored(self) -> dict[str, Any]:
        """As the statement takes it."""
        at = self.remote_modified_at
        return {
            "local_id": self.local_id,
            "remote_id": self.remote_id,
            "remote_version": self.remote_version,
            "remote_modified_at": at.isoformat() if at else None,
            "agreed_local": dict(self.agreed_local),
            "agreed_remote": dict(self.agreed_remote),
            "local_hash": self.local_hash,
        }


@dataclass(frozen=True, slots=True)
class VendorState:
    """A record as the vendor has it, in our columns."""

    remote_id: str
    version: str | None
    modified_at: datetime | None
    values: Texts


class Reader(ChunkWriter):
    """Reads mapped records through the columns of the user's table, so that values compare; writes nothing."""

    def _prepare(self) -> None:
        self._connection.execute(pull_sql.create_stages(self._target))

    def read(self, batch: Batch) -> list[VendorState]:
        """Each record of a batch in our columns; one that the columns do not take is left out. Once a transaction."""
        self._count = batch.count
        self._connection.execute(pull_sql.PLANNER)
        self._stage(batch, Applied())
        statement = STAGED.format(values=merge_sql.staged_values(self._tracked, self._target))
        return [VendorState(*row) for row in self._connection.execute(statement)]


def reader(connection: Connection, target: PullTarget, tracked: Tracked) -> Reader:
    """A reader over one connection; its temporary tables are made once."""
    return Reader(connection, target, tracked, parameters={})


def tie(connection: Connection, pushed: Sequence[Pushed], run: RunRef) -> None:
    """Tie rows to the records that were made of them, or bring their ties up to date."""
    if pushed:
        rows = json.dumps([entry.stored() for entry in pushed])
        connection.execute(
            UPSERT, {"tenant": run.tenant_id, "config": run.config_id, "log": run.log_id, "pushed": rows}
        )


def tied_to(connection: Connection, remote_ids: Sequence[str], config_id: SyncConfigId) -> dict[str, str]:
    """Which rows these records are tied to already."""
    return dict(connection.execute(TIED_TO, (config_id, list(remote_ids))).fetchall())


def bury(connection: Connection, remote_ids: Sequence[str], run: RunRef) -> None:
    """Records that were deleted because their rows are gone: what remains is a tombstone."""
    if remote_ids:
        connection.execute(BURY, {"config": run.config_id, "log": run.log_id, "ids": list(remote_ids)})


def refresh(connection: Connection, rows: Sequence[tuple[str, int | None]], run: RunRef) -> None:
    """Rows that look changed and are not, in nothing that is pushed: (local id, hash) each."""
    if rows:
        stored = json.dumps([{"local_id": local_id, "local_hash": hash_} for local_id, hash_ in rows])
        connection.execute(REFRESH, {"config": run.config_id, "rows": stored})
