"""Conflicts as the API shows them."""

from __future__ import annotations

from typing import Any, Final

import psycopg
from psycopg.rows import dict_row

from erpflow.store.listing import Listing

_SELECT: Final = """
SELECT x.id::text, x.sync_config_id::text, n.name AS connection, n.system, c.entity, x.log_id::text, x.remote_id,
       x.local_id, x.kind, x.strategy, x.status, x.fields, x.winner, x.resolution, x.reason, x.resolved_by,
       x.times_seen, x.remote_modified_at, x.detected_at, x.resolved_at
FROM erpflow.erp_conflicts x
JOIN erpflow.erp_sync_configs c ON c.id = x.sync_config_id
JOIN erpflow.erp_connections n ON n.id = c.connection_id
WHERE x.tenant_id = erpflow.current_tenant()
"""
LISTING: Final = Listing(
    select=_SELECT,
    order=(("x.detected_at", "timestamptz"), ("x.id", "uuid")),
    filters={
        "status": "x.status = %(status)s",
        "kind": "x.kind = %(kind)s",
        "sync_config_id": "x.sync_config_id = %(sync_config_id)s",
        "entity": "c.entity = %(entity)s",
    },
)
_ONE: Final = _SELECT + " AND x.id = %s"


def get(connection: psycopg.Connection[Any], conflict_id: str) -> dict[str, Any] | None:
    """One conflict of the session's tenant, as the list shows it."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_ONE, (conflict_id,)).fetchone()
