"""A shop whose events are told to receivers of the test, at a time that the test sets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet
from standardwebhooks import Webhook

from erpflow.services.outgoing.delivering import Sweep, deliver_due
from erpflow.services.outgoing.sending import Reach
from erpflow.services.outgoing.signing import new_secret
from erpflow.store import deliveries, subscriptions
from erpflow.store.cipher import Cipher
from erpflow.store.database import Database
from erpflow.store.deliveries import Connection, Delivery
from erpflow.store.notifications import moment
from erpflow.store.vault import Secret
from erpflow.testing.server import Asked, Reply, ScriptedServer
from erpflow.vocabulary import DEFAULT_TENANT, DeliveryState, EventType, SubscriptionId, SyncLogId
from tests.engine import Shop

REACH = Reach(private_networks=True, plain_http=True, timeout_s=5)
LATER = timedelta(hours=30)
"""Longer than the longest wait of the schedule."""


@dataclass
class Receiver:
    """A program that was told; it answers with the next of its replies, and with the last one for ever."""

    server: ScriptedServer
    subscription: SubscriptionId
    secret: Secret
    replies: list[Reply]

    @property
    def asked(self) -> list[Asked]:
        return self.server.asked

    @property
    def ids(self) -> list[str]:
        return [asked.headers["webhook-id"] for asked in self.asked]

    def messages(self) -> list[dict[str, Any]]:
        """What it was told, each verified by the library of Standard Webhooks."""
        return [Webhook(self.secret.reveal()).verify(a.body, dict(a.headers)) for a in self.asked]


@dataclass
class PostOffice:
    """Where the events of a shop are brought out. `ahead`: how much later than now it is."""

    shop: Shop
    stack: ExitStack
    key: str = field(default_factory=lambda: Fernet.generate_key().decode())
    ahead: timedelta = timedelta(0)

    @property
    def database(self) -> Database:
        return self.shop.database

    def receiver(self, *replies: Reply, events: tuple[EventType, ...] = tuple(EventType)) -> Receiver:
        """A program that subscribed."""
        script, secret = list(replies) or [Reply()], new_secret()

        def answer(_: Asked) -> Reply:
            return script.pop(0) if len(script) > 1 else script[0]

        server = self.stack.enter_context(ScriptedServer(answer))
        with self.database.session() as connection:
            row = subscriptions.add_subscription(
                connection,
                f"{server.url}/hook",
                events=events,
                secret=secret,
                cipher=Cipher(self.key),
                tenant_id=DEFAULT_TENANT,
            )
        return Receiver(server, row.id, secret, script)

    def now(self, connection: Connection) -> datetime:
        return moment(connection) + self.ahead

    def deliver(self, *, reach: Reach = REACH, **more: Any) -> Sweep:
        """One sweep."""
        return deliver_due(self.database, Cipher(self.key), reach=reach, now=self.now, jitter=lambda: 0.0, **more)

    def deliver_later(self) -> Sweep:
        """One sweep, when the next message is due."""
        with self.database.session() as connection:
            due = [each.next_attempt_at for each in self.all(state=DeliveryState.PENDING)]
            self.ahead = max(self.ahead, min(due, default=moment(connection) + LATER) - moment(connection))
        return self.deliver()

    def deliver_all(self) -> Sweep:
        """Sweeps until nothing waits any more: the last of them."""
        while True:
            sweep = self.deliver_later()
            if not self.all(state=DeliveryState.PENDING):
                return sweep

    def end_run(self, entity: str = "customer", *, error: str | None = None) -> SyncLogId:
        """A run that read nothing, or failed."""
        log_id = self.shop.plan(entity)
        with self.database.session() as connection:
            connection.execute(
                "UPDATE erpflow.erp_sync_logs SET status = %s, error = %s, error_kind = %s, finished_at = now()"
                " WHERE id = %s",
                ("failed" if error else "completed", error, "VendorUnavailable" if error else None, log_id),
            )
        return log_id

    def all(self, **wanted: Any) -> list[Delivery]:
        """The deliveries of the tenant, the newest first."""
        with self.database.session() as connection:
            return deliveries.find(connection, tenant_id=DEFAULT_TENANT, limit=1000, **wanted)

    def only(self) -> Delivery:
        """The delivery, when there is one."""
        [found] = self.all()
        return found


@contextmanager
def post_office(database: Database, folder: Path) -> Iterator[PostOffice]:
    """An empty shop, and receivers that are gone at the end."""
    with ExitStack() as stack:
        yield PostOffice(Shop(database, folder), stack)


def data(asked: Asked) -> dict[str, Any]:
    """The facts of a message."""
    return dict(json.loads(asked.body)["data"])
