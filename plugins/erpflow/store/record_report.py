"""Sync records as the API shows them: the tie of a row here to a record there, and everything that happened to it."""

from __future__ import annotations

from typing import Any, Final

import psycopg
from psycopg.rows import dict_row

from erpflow.store.listing import Listing

Row = dict[str, Any]

_SELECT: Final = """
SELECT r.sync_config_id::text, n.name AS connection, n.system, c.entity, r.remote_id, r.local_id, r.remote_version,
       r.remote_modified_at, r.status, r.last_direction, r.synced_at, r.deleted_at, r.log_id::text,
       r.first_log_id::text
FROM erpflow.erp_entity_sync_records r
JOIN erpflow.erp_sync_configs c ON c.id = r.sync_config_id
JOIN erpflow.erp_connections n ON n.id = c.connection_id
WHERE r.tenant_id = erpflow.current_tenant()
"""
LISTING: Final = Listing(
    select=_SELECT,
    # The order of the primary key: a page is a range of it, however many records there are.
    order=(("r.sync_config_id", "uuid"), ("r.remote_id", "text")),
    filters={
        "sync_config_id": "r.sync_config_id = %(sync_config_id)s",
        "status": "r.status = %(status)s",
        "remote_id": "r.remote_id = %(remote_id)s",
        "local_id": "r.local_id = %(local_id)s",
    },
    descending=False,
)
_ONE: Final = _SELECT + " AND r.sync_config_id = %s AND r.remote_id = %s"

# The first creation has no entry of its own: the sync record names the run (store/history.py).
HISTORY: Final = Listing(
    select="""
SELECT x.at, x.direction, x.change, x.remote_id, x.local_id, x.before, x.after, x.log_id::text, l.kind, l.dag_id,
       l.dag_run_id, l.triggered_by
FROM (
    SELECT h.id, h.changed_at AS at, h.sync_config_id, h.tenant_id, h.remote_id, h.local_id, h.direction, h.change,
           h.before, h.after, h.log_id
    FROM erpflow.erp_record_history h
    UNION ALL
    SELECT 0, f.started_at, r.sync_config_id, r.tenant_id, r.remote_id, r.local_id, f.direction, 'created', NULL, NULL,
           f.id
    FROM erpflow.erp_entity_sync_records r JOIN erpflow.erp_sync_logs f ON f.id = r.first_log_id
) x
LEFT JOIN erpflow.erp_sync_logs l ON l.id = x.log_id
WHERE x.tenant_id = erpflow.current_tenant()
""",
    order=(("x.at", "timestamptz"), ("x.id", "bigint")),
    filters={
        "sync_config_id": "x.sync_config_id = %(sync_config_id)s",
        "remote_id": "x.remote_id = %(remote_id)s OR x.local_id = %(local_id)s",
        "local_id": "true",
    },
)
_HAS_HISTORY: Final = """
SELECT 1 FROM erpflow.erp_record_history
WHERE tenant_id = erpflow.current_tenant() AND sync_config_id = %s AND remote_id = %s LIMIT 1
"""


def get(connection: psycopg.Connection[Any], config_id: str, remote_id: str) -> Row | None:
    """One sync record of the session's tenant, as the list shows it."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_ONE, (config_id, remote_id)).fetchone()


def has_history(connection: psycopg.Connection[Any], config_id: str, remote_id: str) -> bool:
    """Whether something is kept of a record that is not tied any more."""
    return connection.execute(_HAS_HISTORY, (config_id, remote_id)).fetchone() is not None
