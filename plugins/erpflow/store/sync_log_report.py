"""Sync logs as the API shows them."""

from __future__ import annotations

from typing import Any, Final

import psycopg
from psycopg.rows import dict_row

from erpflow.store.listing import Listing

_SELECT: Final = """
SELECT l.id::text, l.sync_config_id::text, n.id::text AS connection_id, n.name AS connection, n.system, c.entity,
       l.direction, l.kind, l.status, l.dry_run, l.triggered_by, l.dag_id, l.dag_run_id, l.window_since, l.window_until,
       l.pages, l.chunks_applied, l.chunks_total, l.read_count, l.created_count, l.updated_count, l.unchanged_count,
       l.deleted_count, l.conflict_count, l.rejected_count, l.ignored_count, l.ignored_reasons, l.error, l.error_kind,
       l.deletes_waiting, l.started_at, l.finished_at
FROM erpflow.erp_sync_logs l
JOIN erpflow.erp_sync_configs c ON c.id = l.sync_config_id
JOIN erpflow.erp_connections n ON n.id = c.connection_id
WHERE l.tenant_id = erpflow.current_tenant()
"""
LISTING: Final = Listing(
    select=_SELECT,
    order=(("l.started_at", "timestamptz"), ("l.id", "uuid")),
    filters={
        "sync_config_id": "l.sync_config_id = %(sync_config_id)s",
        "connection_id": "c.connection_id = %(connection_id)s",
        "entity": "c.entity = %(entity)s",
        "status": "l.status = %(status)s",
        "direction": "l.direction = %(direction)s",
        "dag_run_id": "l.dag_run_id = %(dag_run_id)s",
        "since": "l.started_at >= %(since)s",
        "until": "l.started_at < %(until)s",
    },
)
_ONE: Final = _SELECT + " AND l.id = %s"


def get(connection: psycopg.Connection[Any], log_id: str) -> dict[str, Any] | None:
    """One log of the session's tenant, as the list shows it."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_ONE, (log_id,)).fetchone()
