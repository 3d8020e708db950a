"""Generated GST returns, and how far each came at the portal. Read and written as the tenant they belong to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Json, Jsonb

from erpflow.errors import AlreadyRunning
from erpflow.vocabulary import ConnectionId, GstReturnState, TenantId

Connection = psycopg.Connection[Any]

CLAIM: Final = timedelta(minutes=5)
"""For how long one worker has a return to itself: longer than a request may take, so that a killed one is succeeded."""

_COLUMNS: Final = """
id::text, tenant_id::text, connection_id::text, gstin, period, payload::text, payload_digest, totals, problems,
is_blocked, state, progress, row_errors, differences, summary, message, arn, filing_by, filing_at, filed_at, fence,
created_by, created_at, updated_at
"""
_ADD: Final = f"""
INSERT INTO erpflow.erp_gst_returns
    (tenant_id, connection_id, gstin, period, payload, payload_digest, totals, problems, is_blocked, created_by)
VALUES (%(tenant)s, %(connection)s, %(gstin)s, %(period)s, %(payload)s, %(digest)s, %(totals)s, %(problems)s,
        %(is_blocked)s, %(by)s)
RETURNING {_COLUMNS}
"""  # noqa: S608
_GET: Final = f"""
SELECT {_COLUMNS} FROM erpflow.erp_gst_returns WHERE tenant_id = erpflow.current_tenant() AND id = %s
"""  # noqa: S608
_CLAIM: Final = f"""
UPDATE erpflow.erp_gst_returns SET fence = fence + 1, claimed_until = now() + %(span)s
WHERE tenant_id = erpflow.current_tenant() AND id = %(id)s AND (claimed_until IS NULL OR claimed_until < now())
RETURNING {_COLUMNS}
"""  # noqa: S608
_RELEASE: Final = """
UPDATE erpflow.erp_gst_returns SET claimed_until = NULL
WHERE tenant_id = erpflow.current_tenant() AND id = %(id)s AND fence = %(fence)s
"""
_WRITE: Final = f"""
UPDATE erpflow.erp_gst_returns
SET connection_id = %(connection_id)s, state = %(state)s, progress = %(progress)s, row_errors = %(row_errors)s,
    differences = %(differences)s, summary = %(summary)s, message = %(message)s, arn = %(arn)s,
    filing_by = %(filing_by)s, filing_at = %(filing_at)s, filed_at = %(filed_at)s, updated_at = now()
WHERE tenant_id = erpflow.current_tenant() AND id = %(id)s AND fence = %(fence)s
RETURNING {_COLUMNS}
"""  # noqa: S608
_FILED: Final = """
SELECT id::text FROM erpflow.erp_gst_returns
WHERE tenant_id = erpflow.current_tenant() AND gstin = %(gstin)s AND period = %(period)s AND id <> %(id)s
  AND state IN ('filed', 'unknown') LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class GstReturn:
    """A row of `erp_gst_returns`. `payload` and `summary` byte for byte; `progress` is the submission's own notes."""

    id: str
    tenant_id: TenantId
    connection_id: ConnectionId | None
    gstin: str
    period: str
    payload: str = field(repr=False)
    payload_digest: str
    totals: dict[str, Any]
    problems: list[dict[str, Any]]
    is_blocked: bool
    state: GstReturnState
    progress: dict[str, Any]
    row_errors: list[dict[str, Any]]
    differences: list[dict[str, Any]]
    summary: str | None = field(repr=False)
    message: str | None
    arn: str | None
    filing_by: str | None
    filing_at: datetime | None
    filed_at: datetime | None
    fence: int
    created_by: str
    created_at: datetime
    updated_at: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", GstReturnState(self.state))


def add(
    connection: Connection,
    tenant_id: TenantId,
    *,
    gstin: str,
    period: str,
    payload: bytes,
    digest: str,
    totals: Mapping[str, Any],
    problems: Sequence[Mapping[str, Any]],
    is_blocked: bool,
    by: str,
    connection_id: str | None,
) -> GstReturn:
    """Keep a return that was generated."""
    values = {
        "tenant": tenant_id, "connection": connection_id, "gstin": gstin, "period": period,
        "payload": Json(payload, dumps=bytes), "digest": digest, "totals": Jsonb(totals), "problems": Jsonb(problems),
        "is_blocked": is_blocked, "by": by,
    }  # fmt: skip
    return _one(connection, _ADD, values)


def get(connection: Connection, return_id: str) -> GstReturn | None:
    """One return of the session's tenant."""
    with connection.cursor(row_factory=class_row(GstReturn)) as cursor:
        return cursor.execute(_GET, (return_id,)).fetchone()


def claim(connection: Connection, return_id: str) -> GstReturn:
    """Have a return to oneself for a while. Raises AlreadyRunning when somebody else has it."""
    with connection.cursor(row_factory=class_row(GstReturn)) as cursor:
        row = cursor.execute(_CLAIM, {"id": return_id, "span": CLAIM}).fetchone()
    if row is None:
        raise AlreadyRunning(f"The return {return_id} is being submitted at this moment. Ask again shortly.")
    return row


def release(connection: Connection, row: GstReturn) -> None:
    """Let go of a return, if it is still one's own."""
    connection.execute(_RELEASE, {"id": row.id, "fence": row.fence})


def write(connection: Connection, row: GstReturn) -> GstReturn:
    """Keep how far a return came. Raises AlreadyRunning when somebody else has it, or files the period, by now."""
    values = {
        "id": row.id, "fence": row.fence, "connection_id": row.connection_id, "state": row.state.value,
        "progress": Jsonb(row.progress), "row_errors": Jsonb(row.row_errors), "differences": Jsonb(row.differences),
        "summary": row.summary, "message": row.message, "arn": row.arn, "filing_by": row.filing_by,
        "filing_at": row.filing_at, "filed_at": row.filed_at,
    }  # fmt: skip
    try:
        return _one(connection, _WRITE, values)
    except psycopg.errors.UniqueViolation:
        raise AlreadyRunning(
            f"Another return of {row.gstin} for {row.period} is being filed, or was. Nothing was sent for this one."
        ) from None


def other_filing(connection: Connection, row: GstReturn) -> str | None:
    """Another return of the same GSTIN and period that was filed, or may have been; None when there is none."""
    found = connection.execute(_FILED, {"gstin": row.gstin, "period": row.period, "id": row.id}).fetchone()
    return None if found is None else str(found[0])


def _one(connection: Connection, statement: str, values: Mapping[str, Any]) -> GstReturn:
    with connection.cursor(row_factory=class_row(GstReturn)) as cursor:
        row = cursor.execute(statement, values).fetchone()
    if row is None:
        raise AlreadyRunning("Somebody else went on with this return meanwhile. Ask where it stands.")
    return row
