"""Reconciliations and their findings as the API shows them."""

from __future__ import annotations

from typing import Any, Final

import psycopg
from psycopg.rows import dict_row

from erpflow.store.listing import Listing

_SELECT: Final = """
SELECT r.id::text, r.sync_config_id::text, r.log_id::text, n.name AS connection, n.system, c.entity, r.status,
       r.repairs, r.found, r.repaired, r.report, r.started_at, r.compared_at, r.repaired_at, r.finished_at,
       l.read_count, l.error, l.triggered_by, l.dag_id, l.dag_run_id
FROM erpflow.erp_reconciliations r
JOIN erpflow.erp_sync_logs l ON l.id = r.log_id
JOIN erpflow.erp_sync_configs c ON c.id = r.sync_config_id
JOIN erpflow.erp_connections n ON n.id = c.connection_id
WHERE r.tenant_id = erpflow.current_tenant()
"""
LISTING: Final = Listing(
    select=_SELECT,
    order=(("r.started_at", "timestamptz"), ("r.id", "uuid")),
    filters={
        "sync_config_id": "r.sync_config_id = %(sync_config_id)s",
        "status": "r.status = %(status)s",
        "log_id": "r.log_id = %(log_id)s",
    },
)
_ONE: Final = _SELECT + " AND r.id = %s"
FINDINGS: Final = Listing(
    select="""
SELECT f.number, f.kind, f.remote_id, f.local_id, f.fields, f.reason, f.repaired, f.outcome
FROM erpflow.erp_reconciliation_findings f
WHERE f.tenant_id = erpflow.current_tenant()
""",
    order=(("f.number", "integer"),),
    filters={"reconciliation_id": "f.reconciliation_id = %(reconciliation_id)s", "kind": "f.kind = %(kind)s"},
    descending=False,
)


def get(connection: psycopg.Connection[Any], reconciliation_id: str) -> dict[str, Any] | None:
    """One reconciliation of the session's tenant, as the list shows it."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_ONE, (reconciliation_id,)).fetchone()
