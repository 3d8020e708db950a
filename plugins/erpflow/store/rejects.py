"""Dead letters: records that could not be applied, kept whole with the reason until they are mended or discarded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import psycopg

from erpflow.errors import FieldProblem
from erpflow.vocabulary import RunRef, SyncConfigId, SyncLogId

RECORD = """
WITH found AS (
    SELECT * FROM unnest(%(ids)s::text[], %(payloads)s::bytea[], %(problems)s::text[], %(zones)s::text[])
        AS u (remote_id, payload, problems, zone)
), seen_again AS (
    UPDATE erpflow.erp_rejects r
    SET log_id = %(log)s, problems = u.problems::jsonb, stage = %(stage)s, attempts = r.attempts + 1,
        last_seen_at = now(), mapping_version = %(version)s
    FROM found u
    WHERE u.remote_id IS NULL AND r.remote_id IS NULL AND r.payload = u.payload AND r.direction = 'pull'
      AND r.sync_config_id = %(config)s AND r.status = 'open'
    RETURNING r.payload
)
INSERT INTO erpflow.erp_rejects
    (tenant_id, sync_config_id, log_id, remote_id, payload, problems, stage, zone, mapping_version)
SELECT %(tenant)s, %(config)s, %(log)s, u.remote_id, u.payload, u.problems::jsonb, %(stage)s, u.zone, %(version)s
FROM found u
WHERE u.remote_id IS NOT NULL OR NOT EXISTS (SELECT 1 FROM seen_again a WHERE a.payload = u.payload)
ON CONFLICT (sync_config_id, remote_id) WHERE status = 'open' AND direction = 'pull' DO UPDATE
SET log_id = excluded.log_id, payload = excluded.payload, problems = excluded.problems, stage = excluded.stage,
    zone = excluded.zone, mapping_version = excluded.mapping_version, attempts = erp_rejects.attempts + 1,
    last_seen_at = now()
"""

RESOLVE = """
UPDATE erpflow.erp_rejects r SET status = 'resolved', resolved_at = now()
FROM erpflow.erp_entity_sync_records k
WHERE r.sync_config_id = %(config)s AND r.status = 'open' AND r.direction = 'pull'
  AND k.sync_config_id = r.sync_config_id AND k.remote_id = r.remote_id AND r.remote_id = ANY (%(ids)s::text[])
"""

RESOLVE_OVERTAKEN = """
UPDATE erpflow.erp_rejects r SET status = 'resolved', resolved_at = now()
FROM erpflow.erp_entity_sync_records k
WHERE r.log_id = %(log)s AND r.status = 'open' AND k.sync_config_id = r.sync_config_id
  AND k.remote_id = r.remote_id AND k.synced_at > r.last_seen_at
"""

LONGEST_ID = 2_000
"""Bytes of a remote id that the index of open rejects surely takes; a longer one is only in the payload."""

OPEN_IDS = """
SELECT remote_id FROM erpflow.erp_rejects
WHERE sync_config_id = %s AND status = 'open' AND direction = 'pull' AND remote_id IS NOT NULL
"""

OF_LOG = """
SELECT remote_id, stage, status, attempts, problems FROM erpflow.erp_rejects
WHERE log_id = %s ORDER BY last_seen_at DESC, remote_id LIMIT %s
"""


@dataclass(frozen=True, slots=True)
class Reject:
    """A refused record: its id if it has one, its bytes as the vendor sent them, and every problem it has.

    `zone` is that of naive times in it.
    """

    remote_id: str | None
    payload: bytes
    problems: tuple[FieldProblem, ...]
    zone: str = "UTC"


def record(
    connection: psycopg.Connection[Any],
    rejects: Sequence[Reject],
    run: RunRef,
    *,
    stage: str,
    mapping_version: str,
) -> None:
    """Keep rejects; one that is open already for the same record is brought up to date, its attempts counted."""
    if not rejects:
        return
    connection.execute(
        RECORD,
        {
            "tenant": run.tenant_id,
            "config": run.config_id,
            "log": run.log_id,
            "stage": stage,
            "version": mapping_version,
            "zones": [reject.zone for reject in rejects],
            "ids": [_indexable(reject.remote_id) for reject in rejects],
            "payloads": [reject.payload for reject in rejects],
            "problems": [json.dumps([asdict(problem) for problem in reject.problems]) for reject in rejects],
        },
    )


@dataclass(frozen=True, slots=True)
class RejectNote:
    """A reject as people see it: which record, and why; its bytes stay in the table."""

    remote_id: str | None
    stage: str
    status: str
    attempts: int
    problems: list[dict[str, Any]]


def of_log(connection: psycopg.Connection[Any], log_id: SyncLogId, *, limit: int) -> list[RejectNote]:
    """The rejects that a run left or met again, newest first, `limit` at most."""
    return [RejectNote(*row) for row in connection.execute(OF_LOG, (log_id, limit))]


def open_ids(connection: psycopg.Connection[Any], config_id: SyncConfigId) -> list[str]:
    """The remote ids that have an open reject."""
    return [row[0] for row in connection.execute(OPEN_IDS, (config_id,))]


def resolve(connection: psycopg.Connection[Any], config_id: SyncConfigId, remote_ids: Sequence[str]) -> None:
    """Close the open rejects of records that have been applied after all."""
    if remote_ids:
        connection.execute(RESOLVE, {"config": config_id, "ids": list(remote_ids)})


def resolve_overtaken(connection: psycopg.Connection[Any], log_id: SyncLogId) -> None:
    """Close the rejects of a run whose record came again, later in the same read, and was applied."""
    connection.execute(RESOLVE_OVERTAKEN, {"log": log_id})


RECORD_PUSH = """
INSERT INTO erpflow.erp_rejects
    (tenant_id, sync_config_id, log_id, direction, local_id, remote_id, payload, problems, stage, local_hash,
     mapping_version)
SELECT %(tenant)s, %(config)s, %(log)s, 'push', u.local_id, u.remote_id, u.payload, u.problems::jsonb, %(stage)s,
       u.local_hash, %(version)s
FROM unnest(%(local_ids)s::text[], %(remote_ids)s::text[], %(payloads)s::bytea[], %(problems)s::text[],
            %(hashes)s::bigint[]) AS u (local_id, remote_id, payload, problems, local_hash)
ON CONFLICT (sync_config_id, local_id) WHERE status = 'open' AND direction = 'push' DO UPDATE
SET log_id = excluded.log_id, remote_id = excluded.remote_id, payload = excluded.payload,
    problems = excluded.problems, stage = excluded.stage, local_hash = excluded.local_hash,
    mapping_version = excluded.mapping_version, attempts = erp_rejects.attempts + 1, last_seen_at = now()
"""

ANY_PUSHED = """
SELECT EXISTS (
    SELECT 1 FROM erpflow.erp_rejects WHERE sync_config_id = %s AND direction = 'push' AND status = 'open'
)
"""

RESOLVE_PUSHED = """
UPDATE erpflow.erp_rejects SET status = 'resolved', resolved_at = now()
WHERE sync_config_id = %s AND direction = 'push' AND status = 'open'
  AND local_id = ANY (ARRAY(SELECT json_array_elements_text(%s::json)))
"""


@dataclass(frozen=True, slots=True)
class PushReject:
    """A local row that cannot be sent: its key, what was to be sent, its hash (None: it was to be deleted), and why."""

    local_id: str
    remote_id: str | None
    payload: bytes
    local_hash: int | None
    problems: tuple[FieldProblem, ...]


def record_push(
    connection: psycopg.Connection[Any],
    rejects: Sequence[PushReject],
    run: RunRef,
    *,
    stage: str,
    mapping_version: str,
) -> None:
    """Keep rows that cannot be sent; they are left alone until they or the mapping are others."""
    if not rejects:
        return
    connection.execute(
        RECORD_PUSH,
        {
            "tenant": run.tenant_id,
            "config": run.config_id,
            "log": run.log_id,
            "stage": stage,
            "version": mapping_version,
            "local_ids": [reject.local_id for reject in rejects],
            "remote_ids": [reject.remote_id for reject in rejects],
            "payloads": [reject.payload for reject in rejects],
            "problems": [json.dumps([asdict(problem) for problem in reject.problems]) for reject in rejects],
            "hashes": [reject.local_hash for reject in rejects],
        },
    )


def has_open_pushed(connection: psycopg.Connection[Any], config_id: SyncConfigId) -> bool:
    """Whether any row of a config waits because it could not be sent."""
    row = connection.execute(ANY_PUSHED, (config_id,)).fetchone()
    return row is not None and bool(row[0])


def resolve_pushed(connection: psycopg.Connection[Any], config_id: SyncConfigId, local_ids: Sequence[str]) -> None:
    """Close the open rejects of rows that the vendor has taken after all."""
    if local_ids:
        connection.execute(RESOLVE_PUSHED, (config_id, json.dumps(list(local_ids))))


def _indexable(remote_id: str | None) -> str | None:
    return remote_id if remote_id is not None and len(remote_id.encode()) <= LONGEST_ID else None
