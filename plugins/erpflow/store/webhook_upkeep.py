"""What setting a webhook up at its vendor reads and notes: its encrypted secret, and until when it lives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import psycopg
from psycopg.types.json import Jsonb

from erpflow.vocabulary import ConnectionId, TenantId

Connection = psycopg.Connection[Any]

_COLUMNS: Final = """
w.id::text, w.tenant_id::text, w.connection_id::text, n.system, w.name, w.entities, w.secret, w.verification,
w.vendor_reference, w.active, w.expires_at, w.last_received_at
"""
_FROM: Final = "erpflow.erp_webhooks w JOIN erpflow.erp_connections n ON n.id = w.connection_id"
_GET: Final = f"SELECT {_COLUMNS} FROM {_FROM} WHERE w.id = %s AND w.tenant_id = %s"  # noqa: S608
_NAMED: Final = f"SELECT {_COLUMNS} FROM {_FROM} WHERE w.connection_id = %s AND w.name = %s"  # noqa: S608
_ADD: Final = """
INSERT INTO erpflow.erp_webhooks (tenant_id, connection_id, name, entities, verification)
SELECT c.tenant_id, c.id, %(name)s, %(entities)s, %(verification)s
FROM erpflow.erp_connections c WHERE c.id = %(connection)s
ON CONFLICT (connection_id, name) DO UPDATE SET entities = excluded.entities, updated_at = now()
"""
_EXPIRING: Final = f"""
SELECT {_COLUMNS} FROM {_FROM}
WHERE w.active AND w.expires_at < %s AND n.status <> 'disabled' ORDER BY w.expires_at, w.id
"""  # noqa: S608
# Whoever sets a webhook up first decides its secret: two at once must not tell the vendor two.
_DECIDE: Final = """
UPDATE erpflow.erp_webhooks SET secret = coalesce(secret, %(secret)s), updated_at = now() WHERE id = %(id)s
RETURNING secret
"""
_NOTE: Final = """
UPDATE erpflow.erp_webhooks
SET vendor_reference = coalesce(%(reference)s, vendor_reference), expires_at = %(expires)s, updated_at = now()
WHERE id = %(id)s
"""


@dataclass(frozen=True, slots=True)
class KeptWebhook:
    """A row of `erp_webhooks`. `secret` is encrypted; None: it has none yet."""

    id: str
    tenant_id: TenantId
    connection_id: ConnectionId
    system: str
    name: str
    entities: tuple[str, ...]
    secret: str | None = field(repr=False)
    verification: Mapping[str, Any]
    vendor_reference: str | None
    active: bool
    expires_at: datetime | None
    last_received_at: datetime | None


def get(connection: Connection, webhook_id: str, *, tenant_id: TenantId) -> KeptWebhook | None:
    """A tenant's webhook; None when it has none of that id."""
    row = connection.execute(_GET, (webhook_id, tenant_id)).fetchone()
    return _webhook(row) if row else None


def named(connection: Connection, connection_id: ConnectionId, name: str) -> KeptWebhook | None:
    """A connection's webhook of that name; None when there is none."""
    row = connection.execute(_NAMED, (connection_id, name)).fetchone()
    return _webhook(row) if row else None


def ensure(
    connection: Connection,
    connection_id: ConnectionId,
    name: str,
    *,
    entities: list[str],
    verification: Mapping[str, Any],
) -> KeptWebhook | None:
    """A connection's webhook of that name, made where there is none; None when the connection is gone."""
    values = {
        "connection": connection_id,
        "name": name,
        "entities": entities,
        "verification": Jsonb(dict(verification)),
    }
    connection.execute(_ADD, values)
    return named(connection, connection_id, name)


def keep_secret(connection: Connection, webhook_id: str, secret: str) -> str:
    """The webhook's secret, encrypted: the one it has, or else this one from now on."""
    row = connection.execute(_DECIDE, {"id": webhook_id, "secret": secret}).fetchone()
    return str(row[0]) if row else secret


def note(connection: Connection, webhook_id: str, *, reference: str | None, expires_at: datetime | None) -> None:
    """What the vendor said: its word for the webhook, and until when it lives."""
    connection.execute(_NOTE, {"id": webhook_id, "reference": reference, "expires": expires_at})


def expiring(connection: Connection, *, before: datetime) -> list[KeptWebhook]:
    """The active webhooks of all tenants that their vendors forget before that moment, the first to go first."""
    return [_webhook(row) for row in connection.execute(_EXPIRING, (before,))]


def _webhook(row: Any) -> KeptWebhook:
    id_, tenant, connection_id, system, name, entities, *rest = row
    return KeptWebhook(id_, TenantId(tenant), ConnectionId(connection_id), system, name, tuple(entities), *rest)
