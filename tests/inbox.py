"""A webhook of a connection under test: requests are delivered to it, drained, and looked up."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.fernet import Fernet

from erpflow.store import webhook_events, webhooks
from erpflow.store.cipher import Cipher
from erpflow.store.database import Database
from erpflow.store.webhook_events import Kept
from erpflow.store.webhooks import Webhook, WebhookFacts
from erpflow.sync.engine import Engine
from erpflow.vocabulary import DEFAULT_TENANT, ConnectionId
from erpflow.webhooks.drain import Drain, Drained
from erpflow.webhooks.receive import receive
from tests.two_way import TwoWayConnector, TwoWayShop

SECRET = "a secret of the vendor's and ours"
SIGNED = {"scheme": "hmac", "header": "X-Frappe-Webhook-Signature", "encoding": "base64"}
CIPHER = Cipher(Fernet.generate_key().decode())

Headers = list[tuple[str, str]]


def signed(body: bytes, *, secret: str = SECRET) -> Headers:
    """The header of a request that ERPNext, or whoever signs as it does, has signed."""
    digest = hmac.new(secret.encode(), body, hashlib.sha256).digest()
    return [("X-Frappe-Webhook-Signature", base64.b64encode(digest).decode())]


def event(entity: str, remote_id: str, **facts: Any) -> bytes:
    """A body that says that a record changed; `event_id` tells it from others."""
    return json.dumps({"entity": entity, "remote_id": remote_id, **facts}).encode()


@dataclass
class Inbox:
    """A webhook of the connection called `name`."""

    database: Database
    engine: Engine
    name: str = "shop"
    payload: dict[str, Any] = field(default_factory=lambda: {"event_id": "event_id"})
    more: dict[str, Any] = field(default_factory=dict)
    numbers: int = 0

    def __post_init__(self) -> None:
        with self.database.session() as connection:
            (row,) = connection.execute(
                "SELECT id::text FROM erpflow.erp_connections WHERE name = %s", (self.name,)
            ).fetchall()
            facts = WebhookFacts(name="events", verification=SIGNED, payload=self.payload, **self.more)
            self.webhook: Webhook = webhooks.add_webhook(
                connection, ConnectionId(row[0]), facts, tenant_id=DEFAULT_TENANT, secret=SECRET, cipher=CIPHER
            )

    def deliver(self, *bodies: bytes, now: datetime | None = None) -> list[Kept]:
        """Requests as the vendor sends them, one after the other."""
        kept: list[Kept] = []
        with self.database.session() as connection:
            found = webhooks.webhook_for_receipt(connection, self.webhook.id, cipher=CIPHER)
            assert found is not None
            for body in bodies:
                headers, at = signed(body), now or datetime.now(UTC)
                kept += receive(connection, found[0], secrets=found[1], headers=headers, body=body, now=at)
        return kept

    def tell(self, *remote_ids: str, entity: str = "customer") -> list[Kept]:
        """A new event for each of these records."""
        bodies = []
        for remote_id in remote_ids:
            self.numbers += 1
            bodies.append(event(entity, remote_id, event_id=f"e{self.numbers}"))
        return self.deliver(*bodies)

    def drain(self, **options: Any) -> Drained:
        """One drain of what is due."""
        return Drain(self.engine, **options).run()

    def states(self) -> list[tuple[Any, ...]]:
        """State, action and reason of every event, in the order they came."""
        return self.mine(
            "SELECT state, action, error FROM erpflow.erp_webhook_events {} ORDER BY received_at, dedupe_key"
        )

    def actions(self) -> list[str]:
        """What became of every event, in the order they came."""
        return [action for _, action, _ in self.states()]

    def make_due(self) -> None:
        """Time passes."""
        self.mine("UPDATE erpflow.erp_webhook_events SET next_attempt_at = now() - interval '1 second' {} RETURNING 1")

    def replay(self, event_ids: Sequence[str]) -> list[Any]:
        """Have events applied again."""
        with self.database.session() as connection:
            return list(webhook_events.replay(connection, event_ids, tenant_id=DEFAULT_TENANT))

    def mine(self, statement: str) -> list[tuple[Any, ...]]:
        """What the database answers to a statement about the events of this webhook, {} being its condition."""
        return self.rows(statement.format(f"WHERE webhook_id = '{self.webhook.id}'"))

    def rows(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """What the database answers."""
        with self.database.session() as connection:
            return connection.execute(statement.encode(), parameters or None).fetchall()


def engine_of(shop: TwoWayShop) -> Engine:
    """The engine of a shop that is held in memory."""
    return Engine(
        database=shop.database,
        connector_class=lambda _: TwoWayConnector,
        connect=lambda _run: shop.connected(),
        landing_root=shop.folder / "landing",
        mappings=shop.folder / "mappings",
    )


LATER = timedelta(minutes=10)
