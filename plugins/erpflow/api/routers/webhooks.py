"""Webhooks: registered by people, called by vendors; what came is kept, shown and replayed."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, BackgroundTasks, Depends, Query, Request
from pydantic import Field

from erpflow.api.bodies import After, Answer, Body, Limit, Name, Page, page_of
from erpflow.api.callers import Configuring, Looking, Resolving
from erpflow.api.idempotency import IdempotentRoute
from erpflow.api.problems import not_found
from erpflow.api.receiving import Delivered, Receipt, delivered, take_in, wake
from erpflow.api.surroundings import Surroundings, surroundings_of
from erpflow.store import connections, listing, webhook_events, webhooks
from erpflow.store.webhooks import Webhook as Kept
from erpflow.vocabulary import ConnectionId, TenantId, WebhookEventState
from erpflow.webhooks.registration import checked_facts, new_secret
from erpflow.webhooks.systems import usual_verification
from erpflow.webhooks.verification import verification_of

router = APIRouter(tags=["webhooks"], route_class=IdempotentRoute)
receiver = APIRouter(tags=["webhooks"])
"""For vendors: an Idempotency-Key of theirs is no business of ours, every event is kept once anyway."""

LONGEST_GRACE = timedelta(days=7)
Secret = Annotated[str, Field(min_length=8, max_length=500, pattern=r"^[\x20-\x7e]+$")]
Words = Annotated[list[Name], Field(max_length=100)]


class NewWebhook(Body):
    """Where a vendor will report changes of one connection.

    Without a `secret` one is made; it is shown in the answer, once. Without a `verification` the vendor's own way.
    """

    connection_id: UUID
    name: Name
    events: Words = Field(default=[])
    entities: Words = Field(default=[])
    secret: Secret | None = None
    verification: dict[str, Any] | None = None
    payload: dict[str, Any] | None = None
    vendor_reference: Name | None = None
    active: bool = True


class ChangedWebhook(Body):
    """What to change; what is left out stays. A new `secret` replaces the old one, now or after `grace_seconds`."""

    name: Name | None = None
    events: Words | None = None
    entities: Words | None = None
    secret: Secret | None = None
    grace_seconds: int = Field(default=0, ge=0, le=int(LONGEST_GRACE.total_seconds()))
    verification: dict[str, Any] | None = None
    payload: dict[str, Any] | None = None
    vendor_reference: Name | None = None
    active: bool | None = None


class Webhook(Answer):
    """A webhook, without its secret. `url` is where the vendor must send to."""

    id: str
    connection_id: str
    system: str
    name: str
    url: str
    events: list[str]
    entities: list[str]
    has_secret: bool
    verification: dict[str, Any]
    payload: dict[str, Any]
    vendor_reference: str | None
    active: bool
    expires_at: datetime | None
    last_received_at: datetime | None
    created_at: datetime
    updated_at: datetime


class NewlyRegistered(Webhook):
    """A webhook with the token that verifies it, at the one moment it can be read."""

    verification_token: str | None


class WebhookEvent(Answer):
    """An event of the inbox. `action`: what became of its record; `error`: why it is where it is."""

    id: str
    webhook_id: str
    event_type: str | None
    entity: str | None
    remote_id: str | None
    state: WebhookEventState
    attempts: int
    next_attempt_at: datetime
    action: str | None
    log_id: str | None
    error: str | None
    occurred_at: datetime | None
    received_at: datetime
    processed_at: datetime | None


class WebhookEventInFull(WebhookEvent):
    """An event as it came. `body` is text; what is no UTF-8 is in `body_base64`."""

    headers: dict[str, str]
    body: str | None
    body_base64: str | None


class Replayed(Answer):
    """The event that will be applied again."""

    event_id: str
    status: str


@router.get("/webhooks")
def list_webhooks(
    request: Request, caller: Looking, limit: Limit = 50, after: After = None, connection_id: UUID | None = None
) -> Page[Webhook]:
    """The tenant's webhooks, the newest first."""
    around = surroundings_of(request)
    with around.database.session(caller.tenant_id) as connection:
        rows, onward = listing.page(connection, webhooks.LISTING, limit=limit, after=after, connection_id=connection_id)
    return Page[Webhook].model_validate(page_of(([row | {"url": _url(request, row["id"])} for row in rows], onward)))


@router.post("/webhooks", status_code=HTTPStatus.CREATED)
def register_webhook(request: Request, caller: Configuring, body: NewWebhook) -> NewlyRegistered:
    """Register a webhook: the answer says where the vendor must send to, and the token that both sides sign with."""
    around = surroundings_of(request)
    with around.database.session(caller.tenant_id) as connection:
        system = connections.system_of(connection, ConnectionId(str(body.connection_id)))
        if system is None:
            raise not_found("connection", body.connection_id)
        secret = body.secret or _made_secret(system, body)
        facts = checked_facts(
            system, body.name, secret=secret, verification=body.verification, payload=body.payload,
            events=body.events, entities=body.entities, vendor_reference=body.vendor_reference, active=body.active,
        )  # fmt: skip
        made = webhooks.add_webhook(
            connection, ConnectionId(str(body.connection_id)), facts, tenant_id=caller.tenant_id, secret=secret,
            cipher=around.cipher(),
        )  # fmt: skip
    return NewlyRegistered(**_shown(request, made), verification_token=secret)


@router.get("/webhooks/{webhook_id}")
def get_webhook(request: Request, caller: Looking, webhook_id: UUID) -> Webhook:
    """One webhook."""
    with surroundings_of(request).database.session(caller.tenant_id) as connection:
        return Webhook(**_shown(request, _found(connection, webhook_id, caller.tenant_id)))


@router.put("/webhooks/{webhook_id}")
def change_webhook(request: Request, caller: Configuring, webhook_id: UUID, body: ChangedWebhook) -> Webhook:
    """Change a webhook; what the body leaves out stays as it is."""
    around = surroundings_of(request)
    with around.database.session(caller.tenant_id) as connection:
        known = _found(connection, webhook_id, caller.tenant_id)
        facts = checked_facts(
            known.system, body.name or known.name,
            # The scheme is checked against a secret that stays as one it was made for.
            secret=body.secret or _standing_secret(around, connection, known),
            verification=body.verification or known.verification,
            payload=known.payload if body.payload is None else body.payload,
            events=known.events if body.events is None else body.events,
            entities=known.entities if body.entities is None else body.entities,
            vendor_reference=body.vendor_reference or known.vendor_reference,
            active=known.active if body.active is None else body.active,
            expires_at=known.expires_at,
        )  # fmt: skip
        changed = webhooks.change_webhook(connection, str(webhook_id), facts, tenant_id=caller.tenant_id)
        if changed is None:
            raise not_found("webhook", webhook_id)
        if body.secret:
            webhooks.set_secret(
                connection, str(webhook_id), body.secret, tenant_id=caller.tenant_id, cipher=around.cipher(),
                grace=timedelta(seconds=body.grace_seconds),
            )  # fmt: skip
    return Webhook(**_shown(request, changed))


@router.delete("/webhooks/{webhook_id}", status_code=HTTPStatus.NO_CONTENT)
def delete_webhook(request: Request, caller: Configuring, webhook_id: UUID) -> None:
    """Remove a webhook with everything it received. The vendor goes on sending: switch it off there too."""
    with surroundings_of(request).database.session(caller.tenant_id) as connection:
        if not webhooks.delete_webhook(connection, str(webhook_id), tenant_id=caller.tenant_id):
            raise not_found("webhook", webhook_id)


@receiver.post("/webhooks/{webhook_id}/receive", status_code=HTTPStatus.ACCEPTED)
def receive_webhook(
    request: Request, webhook_id: UUID, came: Annotated[Delivered, Depends(delivered)], later: BackgroundTasks
) -> Receipt:
    """For the vendor: verified, kept, then answered. A request that comes twice is kept once."""
    return take_in(request, str(webhook_id), came, later)


@router.get("/webhook-events")
def list_webhook_events(
    request: Request,
    caller: Looking,
    limit: Limit = 50,
    after: After = None,
    state: WebhookEventState | None = None,
    webhook_id: UUID | None = None,
    entity: Annotated[str | None, Query(max_length=200)] = None,
    event_type: Annotated[str | None, Query(max_length=200)] = None,
) -> Page[WebhookEvent]:
    """What vendors sent, the newest first."""
    with surroundings_of(request).database.session(caller.tenant_id) as connection:
        found = listing.page(
            connection, webhook_events.LISTING, limit=limit, after=after, state=state, webhook_id=webhook_id,
            entity=entity, event_type=event_type,
        )  # fmt: skip
    return Page[WebhookEvent].model_validate(page_of(found))


@router.get("/webhook-events/{event_id}")
def get_webhook_event(request: Request, caller: Looking, event_id: UUID) -> WebhookEventInFull:
    """One event with its headers and its body. What was secret in them was not kept."""
    with surroundings_of(request).database.session(caller.tenant_id) as connection:
        found = webhook_events.get_event(connection, str(event_id), tenant_id=caller.tenant_id)
    if found is None:
        raise not_found("webhook event", event_id)
    event, headers, body = found
    return WebhookEventInFull(**asdict(event), headers=dict(headers), **_readable(body))


@router.post("/webhook-events/{event_id}/replay", status_code=HTTPStatus.ACCEPTED)
def replay_webhook_event(request: Request, caller: Resolving, event_id: UUID, later: BackgroundTasks) -> Replayed:
    """Apply an event again, as if it had just come: its record is read at the vendor."""
    around = surroundings_of(request)
    with around.database.session(caller.tenant_id) as connection:
        if not webhook_events.replay(connection, [str(event_id)], tenant_id=caller.tenant_id):
            raise not_found("webhook event", event_id)
    later.add_task(wake, around)
    return Replayed(event_id=str(event_id), status="received")


def _made_secret(system: str, body: NewWebhook) -> str | None:
    """A secret for a scheme that needs one; None where the check of the facts has more to say about it."""
    where = f'the webhook "{body.name}"'
    scheme = verification_of(body.verification, where=where) if body.verification else usual_verification(system)
    return new_secret(scheme) if scheme is not None and scheme.needs_secret else None


def _standing_secret(around: Surroundings, connection: webhooks.Connection, known: Kept) -> str | None:
    found = webhooks.webhook_for_receipt(connection, known.id, cipher=around.cipher())
    return found[1][0].reveal() if found and found[1] else None


def _found(connection: webhooks.Connection, webhook_id: UUID, tenant_id: TenantId) -> Kept:
    found = webhooks.get_webhook(connection, str(webhook_id), tenant_id=tenant_id)
    if found is None:
        raise not_found("webhook", webhook_id)
    return found


def _shown(request: Request, webhook: Kept) -> dict[str, Any]:
    shown = {name: value for name, value in asdict(webhook).items() if name not in ("tenant_id", "secret")}
    return shown | {"has_secret": webhook.has_secret, "url": _url(request, webhook.id)}


def _url(request: Request, webhook_id: str) -> str:
    base = surroundings_of(request).public_url or str(request.base_url).split("/api/erp")[0].rstrip("/")
    return f"{base}/api/erp/webhooks/{webhook_id}/receive"


def _readable(body: bytes) -> Mapping[str, str | None]:
    try:
        return {"body": body.decode(), "body_base64": None}
    except UnicodeDecodeError:
        return {"body": None, "body_base64": base64.b64encode(body).decode()}
