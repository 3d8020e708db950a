"""Subscriptions: which program is told of what, and the secrets that sign its messages, encrypted."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import psycopg
from psycopg import sql

from erpflow.errors import ConfigError
from erpflow.store.cipher import Cipher
from erpflow.store.vault import Secret
from erpflow.vocabulary import EventType, SubscriptionId, TenantId

Connection = psycopg.Connection[Any]

DISABLED_BY_PERSON: Final = "A person disabled it."

_COLUMNS: Final = sql.SQL("""
id::text, tenant_id::text, url, description, events, active, disabled_reason, failing_since, last_delivered_at,
previous_until, created_at, updated_at
""")
_INSERT: Final = sql.SQL("""
INSERT INTO erpflow.erp_subscriptions (tenant_id, url, description, events, secret)
VALUES (%(tenant)s, %(url)s, %(description)s, %(events)s, %(secret)s) RETURNING {columns}
""").format(columns=_COLUMNS)
_LIST: Final = sql.SQL("""
SELECT {columns} FROM erpflow.erp_subscriptions WHERE tenant_id = %s ORDER BY created_at, id
""").format(columns=_COLUMNS)
_GET: Final = sql.SQL("""
SELECT {columns} FROM erpflow.erp_subscriptions WHERE tenant_id = %(tenant)s AND id::text = %(id)s
""").format(columns=_COLUMNS)
_CHANGE: Final = sql.SQL("""
UPDATE erpflow.erp_subscriptions
SET events = coalesce(%(events)s::text[], events), description = coalesce(%(description)s, description),
    updated_at = now()
WHERE tenant_id = %(tenant)s AND id::text = %(id)s RETURNING {columns}
""").format(columns=_COLUMNS)
_DELETE: Final = "DELETE FROM erpflow.erp_subscriptions WHERE tenant_id = %s AND id::text = %s"
_ENABLE: Final = """
UPDATE erpflow.erp_subscriptions
SET active = true, disabled_reason = NULL, failing_since = NULL, updated_at = now()
WHERE tenant_id = %s AND id::text = %s
"""

# What waits for a subscription that is told nothing any more would wait for ever: it is dead, and can be replayed.
DISABLE: Final = """
WITH disabled AS (
    UPDATE erpflow.erp_subscriptions SET active = false, disabled_reason = %(reason)s, updated_at = now()
    WHERE id::text = %(id)s AND active RETURNING id
)
UPDATE erpflow.erp_deliveries d
SET state = 'dead', settled_at = now(), gathers = NULL,
    last_error = coalesce(last_error || ' ', '') || 'The subscription was disabled: ' || %(reason)s
FROM disabled WHERE d.subscription_id = disabled.id AND d.state = 'pending'
"""

_ROTATE: Final = """
UPDATE erpflow.erp_subscriptions
SET secret = %(secret)s, previous_secret = secret, previous_until = now() + %(keep)s, updated_at = now()
WHERE tenant_id = %(tenant)s AND id::text = %(id)s
"""


@dataclass(frozen=True, slots=True)
class Subscription:
    """A row of `erp_subscriptions` but for its secrets.

    `failing_since`: nothing could be delivered from then on. `previous_until`: the secret before the last rotation
    signs until then. Times in UTC.
    """

    id: SubscriptionId
    tenant_id: TenantId
    url: str
    description: str
    events: tuple[EventType, ...]
    active: bool
    disabled_reason: str | None
    failing_since: datetime | None
    last_delivered_at: datetime | None
    previous_until: datetime | None
    created_at: datetime
    updated_at: datetime


def add_subscription(
    connection: Connection,
    url: str,
    *,
    events: Collection[EventType],
    secret: Secret,
    cipher: Cipher,
    tenant_id: TenantId,
    description: str = "",
) -> Subscription:
    """A new subscription. Raises ConfigError when the address has one already, or there is no key to encrypt with.

    It takes what it is given: services/outgoing/subscribing.py checks the address and makes the secret.
    """
    values = {
        "tenant": tenant_id,
        "url": url,
        "description": description,
        "events": _in_order(events),
        "secret": cipher.encrypt(secret.reveal()),
    }
    try:
        with connection.transaction():
            row = connection.execute(_INSERT, values).fetchone()
    except psycopg.errors.UniqueViolation:
        raise ConfigError(
            f"There is a subscription for {url} already. Change its events, or remove it first: "
            "erpflow subscription list"
        ) from None
    return _subscription(row)


def list_subscriptions(connection: Connection, *, tenant_id: TenantId) -> list[Subscription]:
    """A tenant's subscriptions, the oldest first."""
    return [_subscription(row) for row in connection.execute(_LIST, (tenant_id,))]


def get_subscription(connection: Connection, subscription_id: SubscriptionId, *, tenant_id: TenantId) -> Subscription:
    """One subscription of a tenant. Raises ConfigError when it has none of that id."""
    row = connection.execute(_GET, {"tenant": tenant_id, "id": subscription_id}).fetchone()
    if row is None:
        raise _unknown(subscription_id)
    return _subscription(row)


def change_subscription(
    connection: Connection,
    subscription_id: SubscriptionId,
    *,
    tenant_id: TenantId,
    events: Collection[EventType] | None = None,
    description: str | None = None,
) -> Subscription:
    """Other events or another description; None leaves it as it is. Raises ConfigError when there is none of that id.

    Another address is another subscription: its receiver has not been given the secret.
    """
    chosen = None if events is None else _in_order(events)
    values = {"tenant": tenant_id, "id": subscription_id, "events": chosen, "description": description}
    row = connection.execute(_CHANGE, values).fetchone()
    if row is None:
        raise _unknown(subscription_id)
    return _subscription(row)


def remove_subscription(connection: Connection, subscription_id: SubscriptionId, *, tenant_id: TenantId) -> None:
    """Delete a subscription with all its deliveries. Raises ConfigError when there is none of that id."""
    if connection.execute(_DELETE, (tenant_id, subscription_id)).rowcount != 1:
        raise _unknown(subscription_id)


def enable_subscription(connection: Connection, subscription_id: SubscriptionId, *, tenant_id: TenantId) -> None:
    """Tell it again of what happens from now on; what it missed is replayed on request (deliveries.replay_dead)."""
    if connection.execute(_ENABLE, (tenant_id, subscription_id)).rowcount != 1:
        raise _unknown(subscription_id)


def disable_subscription(
    connection: Connection,
    subscription_id: SubscriptionId,
    *,
    tenant_id: TenantId,
    reason: str = DISABLED_BY_PERSON,
) -> None:
    """Tell it nothing any more; what waits for it becomes dead. One that is disabled already keeps its reason."""
    get_subscription(connection, subscription_id, tenant_id=tenant_id)
    connection.execute(DISABLE, {"id": subscription_id, "reason": reason})


def rotate_secret(
    connection: Connection,
    subscription_id: SubscriptionId,
    *,
    secret: Secret,
    cipher: Cipher,
    keep: timedelta,
    tenant_id: TenantId,
) -> None:
    """Sign with another secret; the one before signs too for as long as `keep`. An older one than that ends now.

    Raises ConfigError when there is no such subscription, or no key to encrypt with.
    """
    values = {"tenant": tenant_id, "id": subscription_id, "secret": cipher.encrypt(secret.reveal()), "keep": keep}
    if connection.execute(_ROTATE, values).rowcount != 1:
        raise _unknown(subscription_id)


def _in_order(events: Collection[EventType]) -> list[str]:
    return [event.value for event in EventType if event in events]


def _unknown(subscription_id: SubscriptionId) -> ConfigError:
    return ConfigError(
        f"There is no subscription {subscription_id}: it is misspelt, or was removed. List them: "
        "erpflow subscription list"
    )


def _subscription(row: Any) -> Subscription:
    id_, tenant, url, description, events, *rest = row
    return Subscription(id_, tenant, url, description, tuple(map(EventType, events)), *rest)
