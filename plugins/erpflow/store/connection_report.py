"""Connections as the API shows them: the row, with what it syncs."""

from __future__ import annotations

from typing import Any, Final

import psycopg
from psycopg.rows import dict_row

from erpflow.store.listing import Listing, Row

_SELECT: Final = """
SELECT c.id::text, c.name, c.system, c.airflow_conn_id, c.status, c.status_message, c.account, c.options,
       c.last_checked_at, c.created_at, c.updated_at,
       ARRAY(SELECT s.entity FROM erpflow.erp_sync_configs s WHERE s.connection_id = c.id ORDER BY s.entity) AS entities
FROM erpflow.erp_connections c WHERE c.tenant_id = erpflow.current_tenant()
"""
LISTING: Final = Listing(
    select=_SELECT,
    order=(("c.created_at", "timestamptz"), ("c.id", "uuid")),
    filters={"system": "c.system = %(system)s", "status": "c.status = %(status)s"},
)


def get(connection: psycopg.Connection[Any], connection_id: str) -> Row | None:
    """One connection; None when the tenant has no such connection."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_SELECT + " AND c.id = %s", (connection_id,)).fetchone()
