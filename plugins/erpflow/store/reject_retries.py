"""Rejects that are worth another try, and those that a person has done with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg

from erpflow.vocabulary import SyncConfigId, TenantId

Connection = psycopg.Connection[Any]

# Another try makes sense when the mapping is another one, when records that were missing may have come since, and now
# and then for a delete that other rows stood in the way of.
WORTH_A_TRY: Final = """
SELECT r.id::text, r.remote_id, r.payload, r.stage, r.zone
FROM erpflow.erp_rejects r JOIN erpflow.erp_sync_configs c ON c.id = r.sync_config_id
WHERE r.sync_config_id = %(config)s AND r.direction = 'pull' AND r.status = 'open'
  AND (%(ids)s::uuid[] IS NOT NULL AND r.id = ANY (%(ids)s)
       OR %(ids)s::uuid[] IS NULL
          AND (r.mapping_version IS DISTINCT FROM %(version)s
               OR r.stage = 'delete' AND r.last_seen_at < now() - interval '1 hour'
               OR r.problems @> '[{"rule": "lookup"}]' AND EXISTS (
                   SELECT 1 FROM erpflow.erp_sync_logs l JOIN erpflow.erp_sync_configs o ON o.id = l.sync_config_id
                   WHERE o.connection_id = c.connection_id AND o.id <> c.id AND l.finished_at > r.last_seen_at
                     AND l.created_count > 0)))
ORDER BY r.first_seen_at, r.id LIMIT %(most)s
"""

RESOLVE_IDS: Final = """
UPDATE erpflow.erp_rejects SET status = 'resolved', resolved_at = now() WHERE id = ANY (%s::uuid[]) AND status = 'open'
"""

RESOLVE_REPLACED: Final = """
UPDATE erpflow.erp_rejects r SET status = 'resolved', resolved_at = now()
WHERE r.id = ANY (%s::uuid[]) AND r.status = 'open' AND EXISTS (
    SELECT 1 FROM erpflow.erp_rejects o
    WHERE o.sync_config_id = r.sync_config_id AND o.id <> r.id AND o.payload = r.payload AND o.status = 'open')
"""

RESOLVE_DELETES: Final = """
UPDATE erpflow.erp_rejects r SET status = 'resolved', resolved_at = now()
FROM erpflow.erp_entity_sync_records k
WHERE r.sync_config_id = %s AND r.stage = 'delete' AND r.status = 'open' AND k.sync_config_id = r.sync_config_id
  AND k.remote_id = r.remote_id AND k.status = 'deleted'
"""

OPEN_OF_CONFIG: Final = """
SELECT id::text FROM erpflow.erp_rejects
WHERE sync_config_id = %s AND status = 'open' AND direction = 'pull' AND id::text = ANY (%s) ORDER BY first_seen_at, id
"""

# Without a mapping version, nothing holds a row back that is as it was when the vendor refused it.
RELEASE: Final = """
UPDATE erpflow.erp_rejects SET mapping_version = NULL
WHERE sync_config_id = %s AND status = 'open' AND direction = 'push' AND id::text = ANY (%s)
RETURNING local_id
"""

DISCARD: Final = """
UPDATE erpflow.erp_rejects SET status = 'discarded', resolved_at = now()
WHERE tenant_id = %s AND id::text = ANY (%s) AND status = 'open' RETURNING id::text
"""


@dataclass(frozen=True, slots=True)
class Retriable:
    """A reject of a pull: its id, the record's id, its bytes, the stage that refused it, and the zone of its times."""

    id: str
    remote_id: str | None
    payload: bytes
    stage: str
    zone: str


def worth_a_try(
    connection: Connection,
    config_id: SyncConfigId,
    *,
    version: str,
    ids: Sequence[str] | None = None,
    most: int = 10_000,
) -> list[Retriable]:
    """Open rejects of a pull that a run of this mapping `version` tries again: `ids`, or those that may work now."""
    parameters = {"config": config_id, "version": version, "ids": list(ids) if ids is not None else None, "most": most}
    return [Retriable(*row) for row in connection.execute(WORTH_A_TRY, parameters)]


def open_pulls(connection: Connection, config_id: SyncConfigId, ids: Sequence[str]) -> list[str]:
    """Those of `ids` that are open rejects of this config's pulls, the oldest first."""
    return [row[0] for row in connection.execute(OPEN_OF_CONFIG, (config_id, list(ids)))]


def release_pushes(connection: Connection, config_id: SyncConfigId, ids: Sequence[str]) -> list[str]:
    """Let rows of this config be sent again although neither they nor the mapping have changed; their keys."""
    return sorted(row[0] for row in connection.execute(RELEASE, (config_id, list(ids))))


def resolve_ids(connection: Connection, ids: Sequence[str]) -> None:
    """Close rejects that were applied, by their own ids."""
    if ids:
        connection.execute(RESOLVE_IDS, (list(ids),))


def resolve_replaced(connection: Connection, ids: Sequence[str]) -> None:
    """Close rejects that came again under another name: a record that has a key now."""
    if ids:
        connection.execute(RESOLVE_REPLACED, (list(ids),))


def resolve_deletes(connection: Connection, config_id: SyncConfigId) -> None:
    """Close the rejects of deletes that are done."""
    connection.execute(RESOLVE_DELETES, (config_id,))


def discard(connection: Connection, tenant_id: TenantId, ids: Sequence[str]) -> list[str]:
    """Give open rejects up: they are kept, and not tried again. The ids of those that were open."""
    return [row[0] for row in connection.execute(DISCARD, (tenant_id, list(ids)))]
