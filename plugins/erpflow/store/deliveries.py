"""Deliveries: every message to every subscription, from the transaction of what it tells until it is settled.

Triggers make them (migration s011). A sender claims what is due for the length of a lease, sends, and settles: killed
in between, the next one sends the same message under the same id. Who claimed too long ago settles nothing any more.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import psycopg

from erpflow.errors import ConfigError
from erpflow.store.cipher import Cipher
from erpflow.store.listing import Listing
from erpflow.store.subscriptions import DISABLE, get_subscription
from erpflow.store.vault import Secret
from erpflow.vocabulary import DeliveryId, DeliveryState, EventType, SubscriptionId, TenantId

Connection = psycopg.Connection[Any]

LEASE: Final = timedelta(minutes=2)
"""How long a claim holds: an attempt takes seconds, so an older claim is that of a process that died."""

EACH: Final = 4
"""Messages of one subscription that are claimed at once: one that has thousands waiting holds up no other."""

# The sub-query looks again at each row it locks: what another sender has claimed meanwhile is not due any more.
_CLAIM: Final = """
WITH due AS (
    SELECT d.id, s.url, s.secret, CASE WHEN s.previous_until > %(now)s THEN s.previous_secret END AS previous
    FROM erpflow.erp_subscriptions s CROSS JOIN LATERAL (
        SELECT q.id, q.next_attempt_at FROM erpflow.erp_deliveries q
        WHERE q.subscription_id = s.id AND q.state = 'pending' AND q.next_attempt_at <= %(now)s
        ORDER BY q.next_attempt_at LIMIT %(each)s FOR UPDATE SKIP LOCKED
    ) d
    WHERE s.active AND s.id::text <> ALL (%(resting)s::text[])
    ORDER BY d.next_attempt_at LIMIT %(limit)s
)
UPDATE erpflow.erp_deliveries d
SET attempts = attempts + 1, claimed_at = %(now)s, next_attempt_at = %(now)s + %(lease)s, gathers = NULL
FROM due WHERE d.id = due.id
RETURNING d.id::text, d.subscription_id::text, d.event_id, d.type, d.payload::text, d.attempts, d.claimed_at,
          due.url, due.secret, due.previous
"""

_DELIVERED: Final = """
WITH settled AS (
    UPDATE erpflow.erp_deliveries
    SET state = 'delivered', settled_at = %(now)s, last_status = %(status)s, last_error = NULL
    WHERE id = %(id)s AND state = 'pending' AND claimed_at = %(claimed_at)s RETURNING subscription_id
)
UPDATE erpflow.erp_subscriptions s SET failing_since = NULL, last_delivered_at = %(now)s
FROM settled WHERE s.id = settled.subscription_id
"""

_FAILED: Final = """
WITH settled AS (
    UPDATE erpflow.erp_deliveries
    SET state = CASE WHEN %(again_at)s::timestamptz IS NULL THEN 'dead' ELSE 'pending' END,
        settled_at = CASE WHEN %(again_at)s::timestamptz IS NULL THEN %(now)s END,
        next_attempt_at = coalesce(%(again_at)s, next_attempt_at), last_status = %(status)s, last_error = %(error)s
    WHERE id = %(id)s AND state = 'pending' AND claimed_at = %(claimed_at)s RETURNING subscription_id
)
UPDATE erpflow.erp_subscriptions s SET failing_since = coalesce(failing_since, %(now)s)
FROM settled WHERE s.id = settled.subscription_id
RETURNING s.failing_since
"""

_FIND: Final = """
SELECT d.id::text, d.subscription_id::text, s.url, d.event_id, d.type, d.payload, d.state, d.attempts,
       d.next_attempt_at, d.last_status, d.last_error, d.created_at, d.settled_at
FROM erpflow.erp_deliveries d JOIN erpflow.erp_subscriptions s ON s.id = d.subscription_id
WHERE d.tenant_id = %(tenant)s
  AND (%(state)s::text IS NULL OR d.state = %(state)s)
  AND (%(subscription)s::uuid IS NULL OR d.subscription_id = %(subscription)s)
  AND (%(ids)s::uuid[] IS NULL OR d.id = ANY (%(ids)s))
ORDER BY d.created_at DESC, d.id LIMIT %(limit)s
"""

LISTING: Final = Listing(
    select="""
SELECT d.id::text AS id, d.subscription_id::text AS subscription_id, s.url, d.event_id, d.type, d.payload, d.state,
       d.attempts, d.next_attempt_at, d.last_status, d.last_error, d.created_at, d.settled_at
FROM erpflow.erp_deliveries d JOIN erpflow.erp_subscriptions s ON s.id = d.subscription_id
WHERE d.tenant_id = erpflow.current_tenant()
""",
    order=(("d.created_at", "timestamptz"), ("d.id", "uuid")),
    filters={"state": "d.state = %(state)s", "subscription_id": "d.subscription_id = %(subscription_id)s"},
)

_REPLAY: Final = """
UPDATE erpflow.erp_deliveries d
SET state = 'pending', attempts = 0, settled_at = NULL, claimed_at = NULL, next_attempt_at = now()
FROM erpflow.erp_subscriptions s
WHERE d.tenant_id = %(tenant)s AND d.state = ANY (%(states)s) AND s.id = d.subscription_id AND s.active
  AND (%(subscription)s::uuid IS NULL OR d.subscription_id = %(subscription)s)
  AND (%(ids)s::uuid[] IS NULL OR d.id = ANY (%(ids)s))
"""

_WAITING: Final = "SELECT count(*) FROM erpflow.erp_deliveries WHERE tenant_id = %s AND state = %s"


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message that this sender, and no other, sends now. `body` is what is signed: the same at each attempt.

    `attempt` counts from 1.
    """

    id: DeliveryId
    subscription_id: SubscriptionId
    event_id: str
    type: EventType
    body: bytes = field(repr=False)
    attempt: int
    claimed_at: datetime
    url: str = field(repr=False)
    _encrypted: tuple[str, ...] = field(repr=False)

    def secrets(self, cipher: Cipher) -> tuple[Secret, ...]:
        """What signs it: the subscription's secret, and the one before while a rotation lasts.

        Raises ConfigError when one cannot be decrypted.
        """
        what = f"The secret of the subscription {self.subscription_id}"
        otherwise = f"give it another one: erpflow subscription rotate {self.subscription_id}"
        return tuple(Secret(cipher.decrypt(token, what=what, otherwise=otherwise)) for token in self._encrypted)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A row of `erp_deliveries`. `next_attempt_at` only means something while it is pending. Times in UTC."""

    id: DeliveryId
    subscription_id: SubscriptionId
    url: str
    event_id: str
    type: EventType
    payload: dict[str, Any]
    state: DeliveryState
    attempts: int
    next_attempt_at: datetime
    last_status: int | None
    last_error: str | None
    created_at: datetime
    settled_at: datetime | None


def claim_due(
    connection: Connection, *, now: datetime, limit: int, resting: Collection[SubscriptionId] = ()
) -> list[Claimed]:
    """Take at most `limit` messages that are due, a few of each subscription, but none of those that are `resting`."""
    given = {"now": now, "limit": limit, "each": EACH, "lease": LEASE, "resting": list(resting)}
    return [_claimed(row) for row in connection.execute(_CLAIM, given)]


def settle_delivered(connection: Connection, claimed: Claimed, *, status: int, now: datetime) -> None:
    """The receiver took it. Changes nothing when another sender has claimed it since."""
    given = {"id": claimed.id, "claimed_at": claimed.claimed_at, "status": status, "now": now}
    connection.execute(_DELIVERED, given)


def settle_failed(
    connection: Connection,
    claimed: Claimed,
    *,
    status: int | None,
    error: str,
    again_at: datetime | None,
    now: datetime,
) -> datetime | None:
    """The receiver did not take it: it is due at `again_at`, or (None) dead.

    Since when nothing could be delivered to its subscription; None when another sender has claimed it since.
    """
    given = {
        "id": claimed.id,
        "claimed_at": claimed.claimed_at,
        "status": status,
        "error": error.replace("\x00", "�"),  # Postgres takes no text with a NUL in it
        "again_at": again_at,
        "now": now,
    }
    row = connection.execute(_FAILED, given).fetchone()
    return row[0] if row else None


def disable_receiver(connection: Connection, claimed: Claimed, *, reason: str) -> None:
    """Tell the subscription of a message nothing any more; what waits for it becomes dead."""
    connection.execute(DISABLE, {"id": claimed.subscription_id, "reason": reason})


def find(
    connection: Connection,
    *,
    tenant_id: TenantId,
    state: DeliveryState | None = None,
    subscription_id: SubscriptionId | None = None,
    limit: int,
) -> list[Delivery]:
    """A tenant's deliveries, the newest first; with `state` dead, the dead letters."""
    return _find(connection, tenant_id, state=state, subscription_id=subscription_id, limit=limit)


def get_delivery(connection: Connection, delivery_id: DeliveryId, *, tenant_id: TenantId) -> Delivery:
    """One delivery of a tenant. Raises ConfigError when it has none of that id."""
    found = _find(connection, tenant_id, ids=[delivery_id], limit=1)
    if not found:
        raise ConfigError(
            f"There is no delivery {delivery_id}: it is misspelt, or was removed by the retention. List them: "
            "erpflow delivery list"
        )
    return found[0]


def count(connection: Connection, *, tenant_id: TenantId, state: DeliveryState) -> int:
    """How many deliveries of a tenant are in a state."""
    row = connection.execute(_WAITING, (tenant_id, state)).fetchone()
    return int(row[0]) if row else 0


def replay(connection: Connection, delivery_id: DeliveryId, *, tenant_id: TenantId) -> None:
    """Send a dead or delivered message once more, with all its attempts, under the same id.

    Raises ConfigError when there is none of that id, when it waits anyway, or when its subscription is disabled.
    """
    found = get_delivery(connection, delivery_id, tenant_id=tenant_id)
    if found.state is DeliveryState.PENDING:
        raise ConfigError(
            f"The delivery {delivery_id} waits already: its next attempt is at {found.next_attempt_at:%Y-%m-%d %H:%M}Z."
        )
    _refuse_disabled(connection, found.subscription_id, tenant_id)
    settled = [DeliveryState.DEAD, DeliveryState.DELIVERED]
    _replay(connection, tenant_id, states=settled, ids=[delivery_id])


def replay_dead(connection: Connection, *, tenant_id: TenantId, subscription_id: SubscriptionId | None = None) -> int:
    """Send every dead letter once more, or those of one subscription; how many. Those of disabled ones stay dead.

    Raises ConfigError when the one subscription is not there or disabled.
    """
    if subscription_id is not None:
        _refuse_disabled(connection, subscription_id, tenant_id)
    return _replay(connection, tenant_id, states=[DeliveryState.DEAD], subscription_id=subscription_id)


def _refuse_disabled(connection: Connection, subscription_id: SubscriptionId, tenant_id: TenantId) -> None:
    subscription = get_subscription(connection, subscription_id, tenant_id=tenant_id)
    if not subscription.active:
        raise ConfigError(
            f"The subscription {subscription_id} is disabled: {subscription.disabled_reason} Enable it first: "
            f"erpflow subscription enable {subscription_id}"
        )


def _find(
    connection: Connection,
    tenant_id: TenantId,
    *,
    state: DeliveryState | None = None,
    subscription_id: SubscriptionId | None = None,
    ids: list[DeliveryId] | None = None,
    limit: int,
) -> list[Delivery]:
    given = {"tenant": tenant_id, "state": state, **_chosen(subscription_id, ids), "limit": limit}
    return [_delivery(row) for row in connection.execute(_FIND, given)]


def _replay(
    connection: Connection,
    tenant_id: TenantId,
    *,
    states: list[DeliveryState],
    subscription_id: SubscriptionId | None = None,
    ids: list[DeliveryId] | None = None,
) -> int:
    given = {"tenant": tenant_id, "states": [*map(str, states)], **_chosen(subscription_id, ids)}
    return connection.execute(_REPLAY, given).rowcount


def _chosen(subscription_id: SubscriptionId | None, ids: list[DeliveryId] | None) -> dict[str, Any]:
    return {
        "subscription": None if subscription_id is None else _key(subscription_id),
        "ids": None if ids is None else [_key(each) for each in ids],
    }


def _key(text: str) -> UUID:
    """An id that somebody typed; one that cannot be an id is nobody's."""
    try:
        return UUID(text)
    except ValueError:
        return UUID(int=0)


def _claimed(row: Any) -> Claimed:
    id_, subscription, event_id, kind, body, attempt, claimed_at, url, secret, previous = row
    encrypted = (secret, previous) if previous else (secret,)
    return Claimed(id_, subscription, event_id, EventType(kind), body.encode(), attempt, claimed_at, url, encrypted)


def _delivery(row: Any) -> Delivery:
    id_, subscription, url, event_id, kind, payload, state, *rest = row
    return Delivery(id_, subscription, url, event_id, EventType(kind), payload, DeliveryState(state), *rest)
