"""Rejects as people see them: which records were refused, and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import psycopg
from psycopg.rows import dict_row

from erpflow.store.listing import Listing
from erpflow.vocabulary import SyncLogId, TenantId

_NEWEST: Final = """
SELECT r.remote_id, r.stage,
       (SELECT string_agg(p ->> 'message', '; ' ORDER BY n)
        FROM jsonb_array_elements(r.problems) WITH ORDINALITY AS e (p, n))
FROM erpflow.erp_rejects r WHERE r.log_id = %s ORDER BY r.last_seen_at DESC, r.remote_id LIMIT %s
"""

_FIND: Final = """
SELECT r.id::text, n.name, n.system, c.entity, r.direction, r.remote_id, r.local_id, r.stage, r.status, r.attempts,
       r.first_seen_at, r.last_seen_at, r.problems
FROM erpflow.erp_rejects r
JOIN erpflow.erp_sync_configs c ON c.id = r.sync_config_id
JOIN erpflow.erp_connections n ON n.id = c.connection_id
WHERE r.tenant_id = %(tenant)s
  AND (%(status)s::text IS NULL OR r.status = %(status)s)
  AND (%(ids)s::text[] IS NULL OR r.id::text = ANY (%(ids)s))
  AND (%(connection)s::text IS NULL OR n.name = %(connection)s)
  AND (%(entity)s::text IS NULL OR c.entity = %(entity)s)
  AND (%(rule)s::text IS NULL OR r.problems @> jsonb_build_array(jsonb_build_object('rule', %(rule)s::text)))
  AND (%(field)s::text IS NULL OR r.problems @> jsonb_build_array(jsonb_build_object('field', %(field)s::text)))
ORDER BY r.last_seen_at DESC, r.id LIMIT %(limit)s
"""

_PAYLOADS: Final = """
SELECT v.until, v.payload, v.problems FROM (
    SELECT NULL::bigint AS id, NULL::timestamptz AS until, r.payload, r.problems FROM erpflow.erp_rejects r
    WHERE r.id::text = %(id)s AND r.tenant_id = %(tenant)s
    UNION ALL
    SELECT p.id, p.seen_at, p.payload, p.problems FROM erpflow.erp_reject_payloads p
    WHERE p.reject_id::text = %(id)s AND p.tenant_id = %(tenant)s
) v ORDER BY v.id DESC NULLS FIRST
"""

_FILTERS: Final = {
    "status": "r.status = %(status)s",
    "direction": "r.direction = %(direction)s",
    "stage": "r.stage = %(stage)s",
    "sync_config_id": "r.sync_config_id = %(sync_config_id)s",
    "connection_name": "n.name = %(connection_name)s",
    "entity": "c.entity = %(entity)s",
    "remote_id": "r.remote_id = %(remote_id)s",
    "local_id": "r.local_id = %(local_id)s",
    "rule": "r.problems @> jsonb_build_array(jsonb_build_object('rule', %(rule)s::text))",
    "field": "r.problems @> jsonb_build_array(jsonb_build_object('field', %(field)s::text))",
    "ids": "r.id = ANY (%(ids)s::uuid[])",
}
# A list has the first 64 KiB of each payload; `versions` has all of it.
LISTING: Final = Listing(
    select="""
SELECT r.id::text, r.sync_config_id::text, n.name AS connection, n.system, c.entity, r.log_id::text, r.direction,
       r.remote_id, r.local_id, r.stage, r.status, r.attempts, r.mapping_version, r.problems,
       substring(r.payload FROM 1 FOR 65536) AS payload, octet_length(r.payload) AS payload_bytes, r.first_seen_at,
       r.last_seen_at, r.resolved_at
FROM erpflow.erp_rejects r
JOIN erpflow.erp_sync_configs c ON c.id = r.sync_config_id
JOIN erpflow.erp_connections n ON n.id = c.connection_id
WHERE r.tenant_id = erpflow.current_tenant()
""",
    order=(("r.last_seen_at", "timestamptz"), ("r.id", "uuid")),
    filters=_FILTERS,
)
OPEN: Final = Listing(
    select="""
SELECT r.id::text, r.sync_config_id::text
FROM erpflow.erp_rejects r
JOIN erpflow.erp_sync_configs c ON c.id = r.sync_config_id
JOIN erpflow.erp_connections n ON n.id = c.connection_id
WHERE r.tenant_id = erpflow.current_tenant() AND r.status = 'open'
""",
    order=(("r.last_seen_at", "timestamptz"), ("r.id", "uuid")),
    filters=_FILTERS,
)
_ONE: Final = LISTING.select + " AND r.id = %s"


@dataclass(frozen=True, slots=True)
class RejectedRecord:
    """A refused record: its id if it has one, the stage that refused it, and every reason in one text."""

    remote_id: str | None
    stage: str
    why: str


@dataclass(frozen=True, slots=True)
class RejectFilter:
    """Which rejects are meant; None: whatever they have. `rule` and `field` of any of their problems."""

    ids: tuple[str, ...] | None = None
    connection: str | None = None
    entity: str | None = None
    rule: str | None = None
    field: str | None = None
    status: str | None = "open"


@dataclass(frozen=True, slots=True)
class KeptReject:
    """A reject with what a person needs to mend it; its bytes stay in the table.

    `problems` are those of `FieldProblem`. `attempts` counts how often it was refused.
    """

    id: str
    connection: str
    system: str
    entity: str
    direction: str
    remote_id: str | None
    local_id: str | None
    stage: str
    status: str
    attempts: int
    first_seen_at: datetime
    last_seen_at: datetime
    problems: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class RejectedVersion:
    """One version of a refused record: its bytes and what was wrong with it. `until` None: the latest."""

    until: datetime | None
    payload: bytes
    problems: list[dict[str, Any]]


def newest_rejects(connection: psycopg.Connection[Any], log_id: SyncLogId, *, limit: int) -> list[RejectedRecord]:
    """The records a run refused, the newest first, at most `limit`."""
    rows = connection.execute(_NEWEST, (log_id, limit))
    return [RejectedRecord(remote_id, stage, why or "no reason was kept") for remote_id, stage, why in rows]


def find(
    connection: psycopg.Connection[Any], wanted: RejectFilter, *, tenant_id: TenantId, limit: int
) -> list[KeptReject]:
    """The rejects a filter names, the latest first, at most `limit`."""
    parameters = {
        "tenant": tenant_id,
        "status": wanted.status,
        "ids": list(wanted.ids) if wanted.ids is not None else None,
        "connection": wanted.connection,
        "entity": wanted.entity,
        "rule": wanted.rule,
        "field": wanted.field,
        "limit": limit,
    }
    return [KeptReject(*row) for row in connection.execute(_FIND, parameters)]


def versions(connection: psycopg.Connection[Any], reject_id: str, *, tenant_id: TenantId) -> list[RejectedVersion]:
    """A refused record as it is kept, and before that as it was whenever it had changed; the latest first."""
    rows = connection.execute(_PAYLOADS, {"id": reject_id, "tenant": tenant_id})
    return [RejectedVersion(*row) for row in rows]


def get(connection: psycopg.Connection[Any], reject_id: str) -> dict[str, Any] | None:
    """One reject of the session's tenant, as the list shows it."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_ONE, (reject_id,)).fetchone()
