"""Webhooks at their vendors: set up, looked at, tried out, and renewed before the vendor forgets them."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import requests
import structlog

from erpflow.connectors.base import Connector
from erpflow.connectors.registry import connector_class
from erpflow.connectors.webhook_setup import VendorWebhook, WebhookState
from erpflow.errors import ConfigError, ErpflowError, SyncsFailed
from erpflow.store import connections, webhooks
from erpflow.store.cipher import Cipher
from erpflow.store.connections import ErpConnection
from erpflow.store.database import Database
from erpflow.store.webhooks import Webhook
from erpflow.webhooks.verification import verification_of

log = structlog.get_logger(__name__)

Connect = Callable[[ErpConnection], AbstractContextManager[Connector]]

RENEW_WITHIN: Final = timedelta(days=1)
"""What the vendor forgets so soon is renewed: with a run every six hours, three may fail."""

TEST_TIMEOUT_S: Final = 10.0
_SECRET_BYTES: Final = 32
_NOWHERE: Final = "erpflow test"
"""An entity that no vendor has: what is told of it is put aside."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of a test delivery: the receiver's status, and how long it took, in seconds."""

    delivered: bool
    status: int | None
    message: str
    latency: float


def receive_url(public_url: str | None, webhook_id: str) -> str:
    """Where a vendor sends to. Raises ConfigError when nobody has said how the outside reaches us."""
    if not public_url:
        raise ConfigError(
            "A vendor has to be told an address that it can reach, and none is set: put it into base_url of Airflow's "
            "[api] section (AIRFLOW__API__BASE_URL), such as https://erp.example.com."
        )
    return f"{public_url.rstrip('/')}/api/erp/webhooks/{webhook_id}/receive"


def check_can_set_up(system: str) -> None:
    """Raises ConfigError for a system whose webhooks a person makes by what its own pages say."""
    if not hasattr(connector_class(system), "set_up_webhook"):
        raise ConfigError(
            f"How webhooks of {system} are set up is not known here. Give the vendor its URL and secret by hand."
        )


def set_up(
    database: Database, webhook: Webhook, *, connect: Connect, cipher: Cipher, url: str, now: datetime
) -> WebhookState:
    """Have a webhook at its vendor as it is here, and note what the vendor says of it.

    No transaction is open meanwhile. A webhook without a secret gets one first. Raises ConfigError for what the vendor
    does not take, and what asking a vendor raises.
    """
    check_can_set_up(webhook.system)
    wanted = _wanted(database, webhook, cipher=cipher, url=url)
    with _asking(database, webhook, connect) as vendor:
        state: WebhookState = vendor.set_up_webhook(wanted, now=now)
    with database.session() as connection:
        webhooks.note_vendor_side(connection, webhook.id, reference=state.reference, expires_at=state.expires_at)
    log.info("webhook_set_up", webhook=webhook.id, system=webhook.system, expires=state.expires_at)
    return state


def state_of(
    database: Database, webhook: Webhook, *, connect: Connect, cipher: Cipher, url: str, now: datetime
) -> WebhookState:
    """How a webhook is at its vendor. Changes nothing; raises as `set_up` does."""
    check_can_set_up(webhook.system)
    secret = _revealed(webhook.secret, cipher, webhook.name) if webhook.secret else ""
    with _asking(database, webhook, connect) as vendor:
        state: WebhookState = vendor.webhook_state(VendorWebhook(webhook.id, url, webhook.entities, secret), now=now)
    return state


def renew_expiring(
    database: Database, *, connect: Connect, cipher: Cipher, public_url: str | None, now: datetime
) -> dict[str, int]:
    """Renew every webhook that runs out within a day; how many were.

    One that cannot be renewed holds up no other. Raises SyncsFailed, naming each of those, at the end.
    """
    with database.session() as connection:
        due = webhooks.expiring(connection, before=now + RENEW_WITHIN)
    failed: list[str] = []
    for webhook in due:
        try:
            url = receive_url(public_url, webhook.id)
            set_up(database, webhook, connect=connect, cipher=cipher, url=url, now=now)
        except ErpflowError as error:
            log.warning("webhook_not_renewed", webhook=webhook.id, expires=webhook.expires_at, why=str(error))
            failed.append(f'"{webhook.name}" ({webhook.system}, until {webhook.expires_at:%Y-%m-%d %H:%M}Z): {error}')
    if failed:
        raise SyncsFailed(
            f"{len(failed)} of {len(due)} webhooks were not renewed; the next run tries again. What a vendor does not "
            f"tell until then comes with the next sync. {'; '.join(failed)}"
        )
    return {"due": len(due), "renewed": len(due)}


def deliver_test(webhook: Webhook, *, cipher: Cipher, url: str, timeout_s: float = TEST_TIMEOUT_S) -> Delivered:
    """Send our own receiver a request that is signed as the vendor's are, about nothing.

    Raises ConfigError for a webhook without a secret, or whose scheme is none.
    """
    if not webhook.secret:
        raise ConfigError(f'The webhook "{webhook.name}" has no secret yet. Set it up first, or set its secret.')
    secret = _revealed(webhook.secret, cipher, webhook.name)
    body, headers = _test_request(webhook, secret, now=datetime.now(UTC))
    began = time.monotonic()
    try:
        with requests.post(
            url, data=body, headers=headers, timeout=timeout_s, allow_redirects=False, stream=True
        ) as answer:
            status = answer.status_code
    except requests.RequestException as error:
        why = f"{url} cannot be reached from here ({type(error).__name__})."
        return Delivered(delivered=False, status=None, message=why, latency=time.monotonic() - began)
    fine = 200 <= status < 300
    message = "The receiver took it." if fine else f"The receiver answered {status}: compare the secret, and the URL."
    return Delivered(delivered=fine, status=status, message=message, latency=time.monotonic() - began)


def _test_request(webhook: Webhook, secret: str, *, now: datetime) -> tuple[bytes, dict[str, str]]:
    """A body about nothing and its headers, as the webhook's scheme wants them."""
    told: dict[str, Any] = {"doctype": _NOWHERE, "name": "test", "modified": "", "event": "test"}
    if webhook.system == "quickbooks":
        told = {"eventNotifications": []}
    if webhook.system == "zoho_crm":
        told = {
            "module": _NOWHERE, "operation": "insert", "ids": ["test"], "server_time": 0,
            "channel_id": webhook.vendor_reference,
        }  # fmt: skip
    scheme = verification_of(webhook.verification, where=f'the webhook "{webhook.name}"')
    body, proof = scheme.signed(told, secret, now=now)
    return body, {"Content-Type": "application/json", **proof}


def _wanted(database: Database, webhook: Webhook, *, cipher: Cipher, url: str) -> VendorWebhook:
    kept = webhook.secret
    if kept is None:
        made = cipher.encrypt(secrets.token_urlsafe(_SECRET_BYTES))
        with database.session() as connection:
            kept = webhooks.ensure_secret(connection, webhook.id, made)
    return VendorWebhook(webhook.id, url, webhook.entities, _revealed(kept, cipher, webhook.name))


def _revealed(token: str, cipher: Cipher, name: str) -> str:
    return cipher.decrypt(token, what=f'The secret of the webhook "{name}"', otherwise="set it again")


def _asking(database: Database, webhook: Webhook, connect: Connect) -> AbstractContextManager[Any]:
    with database.session() as connection:
        row = connections.connection_of(connection, webhook.connection_id)
    return connect(row)
