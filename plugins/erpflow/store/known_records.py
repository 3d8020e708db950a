"""Which records of a vendor are known here, and by which rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import psycopg

from erpflow.vocabulary import LocalId, SyncConfigId

_KNOWN: Final = """
SELECT remote_id, local_id FROM erpflow.erp_entity_sync_records
WHERE sync_config_id = %s AND remote_id = ANY (%s) AND status <> 'deleted'
"""


def rows_of(
    connection: psycopg.Connection[Any], config_id: SyncConfigId, remote_ids: Sequence[str]
) -> dict[str, LocalId]:
    """The row of each of these records that has been synced; the others are left out."""
    rows = connection.execute(_KNOWN, (config_id, list(remote_ids)))
    return {remote_id: LocalId(local_id) for remote_id, local_id in rows}
