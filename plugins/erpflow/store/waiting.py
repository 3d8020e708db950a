"""What waits for a person beside the syncs: outcomes that nobody knows, events that were parked, messages given up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

import psycopg

from erpflow.store.messages import LEASE
from erpflow.vocabulary import TenantId

Connection = psycopg.Connection[Any]

FRESH: Final = timedelta(days=1)
"""For how long a message that was given up is told: it may stay so for good, and nobody need send it again."""

# Who works on a request to a payment provider is done within the lease, as with a message.
_WAITING: Final = """
SELECT m.tenant_id::text, 'messages', m.connection_id::text, coalesce(c.name, m.system), count(*),
       min(coalesce(m.settled_at, m.submitted_at + %(lease)s::interval))
FROM erpflow.erp_messages m LEFT JOIN erpflow.erp_connections c ON c.id = m.connection_id
WHERE m.state = 'unknown' OR m.state = 'submitting' AND m.submitted_at < %(now)s - %(lease)s::interval
GROUP BY 1, 2, 3, 4
UNION ALL
SELECT p.tenant_id::text, 'payment_requests', p.connection_id::text, coalesce(c.name, 'payments'), count(*),
       min(p.sent_at + %(lease)s::interval)
FROM erpflow.erp_payment_requests p LEFT JOIN erpflow.erp_connections c ON c.id = p.connection_id
WHERE p.state IN ('submitting', 'unknown') AND p.sent_at < %(now)s - %(lease)s::interval
GROUP BY 1, 2, 3, 4
UNION ALL
SELECT tenant_id::text, 'filings', id::text, gstin || ' ' || period, 1, filing_at
FROM erpflow.erp_gst_returns WHERE state = 'unknown'
UNION ALL
SELECT e.tenant_id::text, 'events', w.connection_id::text, c.name, count(*),
       min(coalesce(e.processed_at, e.received_at))
FROM erpflow.erp_webhook_events e
JOIN erpflow.erp_webhooks w ON w.id = e.webhook_id
JOIN erpflow.erp_connections c ON c.id = w.connection_id
WHERE e.state = 'parked'
GROUP BY 1, 2, 3, 4
UNION ALL
SELECT d.tenant_id::text, 'deliveries', s.id::text, coalesce(nullif(s.description, ''), 'subscription ' || s.id),
       count(*), min(d.settled_at)
FROM erpflow.erp_deliveries d JOIN erpflow.erp_subscriptions s ON s.id = d.subscription_id
WHERE d.state = 'dead' AND d.settled_at > %(now)s - %(fresh)s::interval
GROUP BY 1, 2, 3, 4
ORDER BY 1, 2, 4, 3
"""


class WaitingKind(StrEnum):
    """What waits: outcomes of messages, of requests to payment providers, of filings; parked events; dead letters."""

    MESSAGES = "messages"
    PAYMENT_REQUESTS = "payment_requests"
    FILINGS = "filings"
    EVENTS = "events"
    DELIVERIES = "deliveries"


@dataclass(frozen=True, slots=True)
class Waiting:
    """So many things of one kind wait since then. `owner`: a connection, a return or a subscription, called `name`."""

    tenant_id: TenantId
    kind: WaitingKind
    owner: str | None
    name: str
    count: int
    since: datetime


def read_waiting(connection: Connection, *, now: datetime) -> list[Waiting]:
    """Everything that waits at `now`, of all tenants."""
    rows = connection.execute(_WAITING, {"now": now, "lease": LEASE, "fresh": FRESH})
    return [Waiting(TenantId(tenant), WaitingKind(kind), *rest) for tenant, kind, *rest in rows]
