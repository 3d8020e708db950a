"""Webhooks: where a vendor reports changes, and how its requests prove that they are the vendor's.

Secrets are encrypted with Airflow's Fernet keys; nothing here reveals one but to verify a request.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from erpflow.errors import ConfigError
from erpflow.store.cipher import Cipher
from erpflow.store.listing import Listing
from erpflow.store.vault import Secret
from erpflow.vocabulary import ConnectionId, TenantId, WebhookId

Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class Webhook:
    """A row of `erp_webhooks`. `secret` is encrypted; None: it has none yet.

    `events`, `entities`: only these are applied (empty: all). `verification`: the scheme of its signatures, and
    `payload`: where in a body what is (empty: as the system's own are), both as data. `vendor_reference`: the account
    or channel it is for, in the vendor's words.
    """

    id: WebhookId
    tenant_id: TenantId
    connection_id: ConnectionId
    system: str
    name: str
    events: tuple[str, ...]
    entities: tuple[str, ...]
    secret: str | None = field(repr=False)
    verification: Mapping[str, Any]
    payload: Mapping[str, Any]
    vendor_reference: str | None
    active: bool
    expires_at: datetime | None
    last_received_at: datetime | None
    created_at: datetime
    updated_at: datetime

    @property
    def has_secret(self) -> bool:
        """Whether its requests can be verified by a secret."""
        return self.secret is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookFacts:
    """What a person decides about a webhook."""

    name: str
    events: Sequence[str] = ()
    entities: Sequence[str] = ()
    verification: Mapping[str, Any]
    payload: Mapping[str, Any]
    vendor_reference: str | None = None
    active: bool = True
    expires_at: datetime | None = None


_COLUMNS: Final = sql.SQL("""
w.id::text, w.tenant_id::text, w.connection_id::text, n.system, w.name, w.events, w.entities, w.secret, w.verification,
w.payload, w.vendor_reference, w.active, w.expires_at, w.last_received_at, w.created_at, w.updated_at
""")
_FROM: Final = sql.SQL("erpflow.erp_webhooks w JOIN erpflow.erp_connections n ON n.id = w.connection_id")
LISTING: Final = Listing(
    select="""
SELECT w.id::text, w.connection_id::text, n.system, w.name, w.events, w.entities, w.secret IS NOT NULL AS has_secret,
       w.verification, w.payload, w.vendor_reference, w.active, w.expires_at, w.last_received_at, w.created_at,
       w.updated_at
FROM erpflow.erp_webhooks w JOIN erpflow.erp_connections n ON n.id = w.connection_id
WHERE w.tenant_id = erpflow.current_tenant()
""",
    order=(("w.created_at", "timestamptz"), ("w.id", "uuid")),
    filters={"connection_id": "w.connection_id = %(connection_id)s"},
)
_GET: Final = sql.SQL("""
SELECT {columns} FROM {tables} WHERE w.id::text = %(id)s AND w.tenant_id = %(tenant)s
""").format(columns=_COLUMNS, tables=_FROM)
# Whoever sends to a webhook knows its id and nothing else: the tenant is the webhook's.
_FOR_RECEIPT: Final = sql.SQL("""
SELECT w.secret, CASE WHEN w.previous_secret_until > now() THEN w.previous_secret END, {columns}
FROM {tables} WHERE w.id::text = %s
""").format(columns=_COLUMNS, tables=_FROM)
# Where all tenants share an address, the signature tells whose it is.
_OF_SYSTEM: Final = sql.SQL("""
SELECT w.secret, CASE WHEN w.previous_secret_until > now() THEN w.previous_secret END, {columns}
FROM {tables} WHERE n.system = %s AND w.active ORDER BY w.created_at, w.id
""").format(columns=_COLUMNS, tables=_FROM)
_INSERT: Final = sql.SQL("""
WITH w AS (
    INSERT INTO erpflow.erp_webhooks (tenant_id, connection_id, name, events, entities, secret, verification, payload,
                                      vendor_reference, active, expires_at)
    SELECT c.tenant_id, c.id, %(name)s, %(events)s, %(entities)s, %(secret)s, %(verification)s, %(payload)s,
           %(reference)s, %(active)s, %(expires)s
    FROM erpflow.erp_connections c WHERE c.id::text = %(connection)s AND c.tenant_id = %(tenant)s
    RETURNING *
)
SELECT {columns} FROM w JOIN erpflow.erp_connections n ON n.id = w.connection_id
""").format(columns=_COLUMNS)
_CHANGE: Final = sql.SQL("""
WITH w AS (
    UPDATE erpflow.erp_webhooks
    SET name = %(name)s, events = %(events)s, entities = %(entities)s, verification = %(verification)s,
        payload = %(payload)s, vendor_reference = %(reference)s, active = %(active)s, expires_at = %(expires)s,
        updated_at = now()
    WHERE id::text = %(id)s AND tenant_id = %(tenant)s RETURNING *
)
SELECT {columns} FROM w JOIN erpflow.erp_connections n ON n.id = w.connection_id
""").format(columns=_COLUMNS)
_RENEW: Final = """
UPDATE erpflow.erp_webhooks
SET previous_secret = CASE WHEN %(grace)s > interval '0' THEN secret END,
    previous_secret_until = CASE WHEN %(grace)s > interval '0' THEN now() + %(grace)s END,
    secret = %(secret)s, updated_at = now()
WHERE id::text = %(id)s AND tenant_id = %(tenant)s
"""
_DELETE: Final = "DELETE FROM erpflow.erp_webhooks WHERE id::text = %(id)s AND tenant_id = %(tenant)s"
_EXPIRING: Final = sql.SQL("""
SELECT {columns} FROM {tables}
WHERE w.active AND w.expires_at < %s AND n.status <> 'disabled' ORDER BY w.expires_at, w.id
""").format(columns=_COLUMNS, tables=_FROM)
_NAMED: Final = sql.SQL("SELECT {columns} FROM {tables} WHERE w.connection_id = %s AND w.name = %s").format(
    columns=_COLUMNS, tables=_FROM
)
_ENSURE: Final = """
INSERT INTO erpflow.erp_webhooks (tenant_id, connection_id, name, entities, verification)
SELECT c.tenant_id, c.id, %(name)s, %(entities)s, %(verification)s
FROM erpflow.erp_connections c WHERE c.id = %(connection)s
ON CONFLICT (connection_id, name) DO UPDATE SET entities = excluded.entities, updated_at = now()
"""
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


def get_webhook(connection: Connection, webhook_id: str, *, tenant_id: TenantId) -> Webhook | None:
    """A tenant's webhook; None when it has none of that id."""
    row = connection.execute(_GET, {"id": webhook_id, "tenant": tenant_id}).fetchone()
    return _webhook(row) if row else None


def webhook_named(connection: Connection, connection_id: ConnectionId, name: str) -> Webhook | None:
    """A connection's webhook of that name; None when there is none."""
    row = connection.execute(_NAMED, (connection_id, name)).fetchone()
    return _webhook(row) if row else None


def webhook_for_receipt(
    connection: Connection, webhook_id: str, *, cipher: Cipher
) -> tuple[Webhook, tuple[Secret, ...]] | None:
    """The webhook that a request is sent to, and the secrets that are good for it now; None when there is none.

    Raises ConfigError when a secret cannot be decrypted.
    """
    row = connection.execute(_FOR_RECEIPT, (webhook_id,)).fetchone()
    return _with_secrets(row, cipher) if row else None


def webhooks_for_receipt(
    connection: Connection, system: str, *, cipher: Cipher
) -> list[tuple[Webhook, tuple[Secret, ...]]]:
    """The active webhooks of a system, of all tenants, with their secrets. Raises as `webhook_for_receipt` does."""
    return [_with_secrets(row, cipher) for row in connection.execute(_OF_SYSTEM, (system,)).fetchall()]


def _with_secrets(row: Sequence[Any], cipher: Cipher) -> tuple[Webhook, tuple[Secret, ...]]:
    current, previous, *columns = row
    webhook = _webhook(columns)
    what = f'The secret of the webhook "{webhook.name}"'
    tokens = [token for token in (current, previous) if token]
    return webhook, tuple(Secret(cipher.decrypt(token, what=what, otherwise="set it again")) for token in tokens)


def add_webhook(
    connection: Connection,
    connection_id: ConnectionId,
    facts: WebhookFacts,
    *,
    tenant_id: TenantId,
    secret: str | None,
    cipher: Cipher,
) -> Webhook:
    """A new webhook of a tenant's connection.

    Raises ConfigError when the connection is not the tenant's, its name is taken, or nothing can be encrypted.
    """
    values = _values(facts) | {"connection": connection_id, "tenant": tenant_id}
    values["secret"] = cipher.encrypt(secret) if secret else None
    try:
        with connection.transaction():
            row = connection.execute(_INSERT, values).fetchone()
    except psycopg.errors.UniqueViolation:
        raise ConfigError(_taken(facts.name)) from None
    if row is None:
        raise ConfigError(f"There is no connection {connection_id}: it was deleted, or never yours.")
    return _webhook(row)


def ensure_webhook(
    connection: Connection,
    connection_id: ConnectionId,
    name: str,
    *,
    entities: Sequence[str],
    verification: Mapping[str, Any],
) -> Webhook | None:
    """A connection's webhook of that name, made where there is none; None when the connection is gone."""
    values = {
        "connection": connection_id,
        "name": name,
        "entities": list(entities),
        "verification": Jsonb(dict(verification)),
    }
    connection.execute(_ENSURE, values)
    return webhook_named(connection, connection_id, name)


def change_webhook(
    connection: Connection, webhook_id: str, facts: WebhookFacts, *, tenant_id: TenantId
) -> Webhook | None:
    """The webhook with other facts and the same secret; None when the tenant has none of that id.

    Raises ConfigError when the name is taken.
    """
    try:
        with connection.transaction():
            row = connection.execute(_CHANGE, _values(facts) | {"id": webhook_id, "tenant": tenant_id}).fetchone()
    except psycopg.errors.UniqueViolation:
        raise ConfigError(_taken(facts.name)) from None
    return _webhook(row) if row else None


def set_secret(
    connection: Connection,
    webhook_id: str,
    secret: str,
    *,
    tenant_id: TenantId,
    cipher: Cipher,
    grace: timedelta = timedelta(0),
) -> bool:
    """Another secret; the one before stays good for as long as `grace`. False when there is no such webhook."""
    given = {"id": webhook_id, "tenant": tenant_id, "secret": cipher.encrypt(secret), "grace": grace}
    return connection.execute(_RENEW, given).rowcount == 1


def ensure_secret(connection: Connection, webhook_id: WebhookId, encrypted: str) -> str:
    """The webhook's secret, encrypted: the one it has, or else this one from now on."""
    row = connection.execute(_DECIDE, {"id": webhook_id, "secret": encrypted}).fetchone()
    return str(row[0]) if row else encrypted


def note_vendor_side(
    connection: Connection, webhook_id: WebhookId, *, reference: str | None, expires_at: datetime | None
) -> None:
    """What the vendor said: its word for the webhook, and until when it lives."""
    connection.execute(_NOTE, {"id": webhook_id, "reference": reference, "expires": expires_at})


def delete_webhook(connection: Connection, webhook_id: str, *, tenant_id: TenantId) -> bool:
    """Remove a webhook with everything it received; False when the tenant has none of that id."""
    return connection.execute(_DELETE, {"id": webhook_id, "tenant": tenant_id}).rowcount == 1


def expiring(connection: Connection, *, before: datetime) -> list[Webhook]:
    """The active webhooks of all tenants that their vendors forget before that moment, the first to go first.

    Those of connections that are switched off are none of them.
    """
    return [_webhook(row) for row in connection.execute(_EXPIRING, (before,))]


def _values(facts: WebhookFacts) -> dict[str, Any]:
    return {
        "name": facts.name,
        "events": list(facts.events),
        "entities": list(facts.entities),
        "verification": Jsonb(dict(facts.verification)),
        "payload": Jsonb(dict(facts.payload)),
        "reference": facts.vendor_reference,
        "active": facts.active,
        "expires": facts.expires_at,
    }


def _taken(name: str) -> str:
    return f'The connection has a webhook "{name}" already. Choose another name, or change that one.'


def _webhook(row: Sequence[Any]) -> Webhook:
    id_, tenant, connection_id, system, name, events, entities, *rest = row
    return Webhook(id_, tenant, connection_id, system, name, tuple(events), tuple(entities), *rest)
