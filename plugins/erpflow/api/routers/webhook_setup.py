"""Webhooks at their vendors: set up, looked at, and tried out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request

from erpflow.api.bodies import Answer
from erpflow.api.callers import Caller, Configuring, Looking
from erpflow.api.idempotency import IdempotentRoute
from erpflow.api.problems import not_found
from erpflow.api.surroundings import Surroundings, surroundings_of
from erpflow.connectors.webhook_setup import WebhookState
from erpflow.store import webhooks
from erpflow.store.webhooks import Webhook
from erpflow.webhooks import vendor_side

router = APIRouter(tags=["webhooks"], route_class=IdempotentRoute)


class VendorPart(Answer):
    """One thing that has to be at the vendor, such as a channel for a module or a document for an event."""

    name: str
    exists: bool
    works: bool
    message: str


class VendorSide(Answer):
    """How a webhook is at its vendor.

    `url`: where the vendor sends to. `works`: null where only a person can see it; then `steps` says what they do.
    `expires_at`: when the vendor forgets it unless it is renewed, which a DAG does.
    """

    webhook_id: str
    system: str
    url: str
    works: bool | None
    parts: list[VendorPart]
    steps: list[str]
    vendor_reference: str | None
    expires_at: datetime | None
    last_received_at: datetime | None


class TestDelivery(Answer):
    """What our own receiver said to a request signed like the vendor's. `latency` in seconds."""

    delivered: bool
    status: int | None
    message: str
    latency: float


@router.post("/webhooks/{webhook_id}/setup")
def set_up_webhook(request: Request, caller: Configuring, webhook_id: UUID) -> VendorSide:
    """Have the webhook at its vendor: made, mended or renewed. Done twice it is there once.

    Where a vendor has no API for it, nothing is changed and `steps` says what a person does there.
    """
    around = surroundings_of(request)
    return set_up(around, _webhook(around, caller, webhook_id))


@router.get("/webhooks/{webhook_id}/status")
def get_webhook_status(request: Request, caller: Looking, webhook_id: UUID) -> VendorSide:
    """Ask the vendor how the webhook is there. Changes nothing."""
    around = surroundings_of(request)
    return status_of(around, _webhook(around, caller, webhook_id))


@router.post("/webhooks/{webhook_id}/test")
def test_webhook(request: Request, caller: Configuring, webhook_id: UUID) -> TestDelivery:
    """Send the webhook's own URL a signed request about nothing, by the way that the vendor's requests take."""
    around = surroundings_of(request)
    webhook = _webhook(around, caller, webhook_id)
    url = vendor_side.receive_url(around.public_url, webhook.id)
    done = vendor_side.deliver_test(webhook, cipher=around.cipher(), url=url)
    return TestDelivery(delivered=done.delivered, status=done.status, message=done.message, latency=done.latency)


def set_up(around: Surroundings, webhook: Webhook) -> VendorSide:
    """Set a webhook up, and say how it is now."""
    url = vendor_side.receive_url(around.public_url, webhook.id)
    return side_of(webhook, vendor_side.set_up(**_asking(around, webhook, url)), url=url)


def status_of(around: Surroundings, webhook: Webhook) -> VendorSide:
    """How a webhook is at its vendor."""
    url = vendor_side.receive_url(around.public_url, webhook.id)
    return side_of(webhook, vendor_side.state_of(**_asking(around, webhook, url)), url=url)


def side_of(webhook: Webhook, state: WebhookState, *, url: str) -> VendorSide:
    """The answer about a webhook."""
    return VendorSide(
        webhook_id=webhook.id,
        system=webhook.system,
        url=url,
        works=state.works,
        parts=[
            VendorPart(name=part.name, exists=part.exists, works=part.works, message=part.message)
            for part in state.parts
        ],
        steps=list(state.steps),
        vendor_reference=state.reference or webhook.vendor_reference,
        expires_at=state.expires_at,
        last_received_at=webhook.last_received_at,
    )


def _asking(around: Surroundings, webhook: Webhook, url: str) -> dict[str, Any]:
    return {
        "database": around.database.database,
        "webhook": webhook,
        "connect": around.connect,
        "cipher": around.cipher(),
        "url": url,
        "now": datetime.now(UTC),
    }


def _webhook(around: Surroundings, caller: Caller, webhook_id: UUID) -> Webhook:
    with around.database.session(caller.tenant_id) as connection:
        found = webhooks.get_webhook(connection, str(webhook_id), tenant_id=caller.tenant_id)
    if found is None:
        raise not_found("webhook", webhook_id)
    return found
