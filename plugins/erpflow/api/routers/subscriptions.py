"""Programs that are told of results: who, of what, and what became of each message."""

from __future__ import annotations

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import Field

from erpflow.api.bodies import After, Answer, Body, Limit, Page, page_of
from erpflow.api.callers import Caller, Configuring, Looking, Resolving
from erpflow.api.idempotency import IdempotentRoute
from erpflow.api.problems import not_found
from erpflow.api.surroundings import surroundings_of
from erpflow.errors import ConfigError
from erpflow.services.outgoing import subscribing
from erpflow.store import deliveries, listing, subscriptions
from erpflow.store.subscriptions import Connection
from erpflow.vocabulary import DeliveryId, DeliveryState, EventType, SubscriptionId

router = APIRouter(tags=["outgoing webhooks"], route_class=IdempotentRoute)

LONGEST_KEPT = timedelta(days=7)
Address = Annotated[str, Field(min_length=8, max_length=2_000)]
Description = Annotated[str, Field(max_length=500, pattern=r"^[^\x00]*$")]


class NewSubscription(Body):
    """Whom to tell of what. Without a `secret` (`whsec_…`) one is made; it is shown in the answer, once."""

    url: Address
    events: list[EventType] = Field(min_length=1, max_length=20)
    description: Description = ""
    secret: str | None = Field(default=None, max_length=200)


class ChangedSubscription(Body):
    """What to change; what is left out stays."""

    events: list[EventType] | None = Field(default=None, min_length=1, max_length=20)
    description: Description | None = None
    active: bool | None = None


class Rotation(Body):
    """A new secret; the one before signs too for so long."""

    keep_seconds: int = Field(default=86_400, ge=0, le=int(LONGEST_KEPT.total_seconds()))


class Subscription(Answer):
    """A program that is told, without its secret."""

    id: str
    url: str
    description: str
    events: list[EventType]
    active: bool
    disabled_reason: str | None
    failing_since: datetime | None
    last_delivered_at: datetime | None
    previous_until: datetime | None
    created_at: datetime
    updated_at: datetime


class ShownSubscription(Subscription):
    """A subscription with its secret, at the one moment it can be read."""

    secret: str


class Delivery(Answer):
    """One message to one program."""

    id: str
    subscription_id: str
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


class Resent(Answer):
    """How many messages will be sent again."""

    replayed: int


@router.get("/subscriptions")
def list_subscriptions(request: Request, caller: Looking) -> Page[Subscription]:
    """The programs that are told of the tenant's results."""
    with surroundings_of(request).database.session(caller.tenant_id) as connection:
        found = subscriptions.list_subscriptions(connection, tenant_id=caller.tenant_id)
    return Page[Subscription](items=[_shown(each) for each in found])


@router.post("/subscriptions", status_code=HTTPStatus.CREATED)
def subscribe(request: Request, caller: Configuring, body: NewSubscription) -> ShownSubscription:
    """Tell a program of results from now on. Its secret is in this answer and nowhere else."""
    around = surroundings_of(request)
    with around.database.session(caller.tenant_id) as connection:
        made, secret = subscribing.subscribe(
            connection, body.url, events=body.events, cipher=around.cipher(), tenant_id=caller.tenant_id,
            description=body.description, secret=body.secret,
        )  # fmt: skip
    return ShownSubscription(**_shown(made).model_dump(), secret=secret.reveal())


@router.put("/subscriptions/{subscription_id}")
def change_subscription(
    request: Request, caller: Configuring, subscription_id: UUID, body: ChangedSubscription
) -> Subscription:
    """Change what a program is told of, or switch it on or off."""
    with surroundings_of(request).database.session(caller.tenant_id) as connection:
        known, mine = _found(connection, caller, subscription_id), {"tenant_id": caller.tenant_id}
        if body.active is not None and body.active != known.active:
            switch = subscriptions.enable_subscription if body.active else subscriptions.disable_subscription
            switch(connection, known.id, **mine)
        subscriptions.change_subscription(
            connection, known.id, events=body.events, description=body.description, **mine
        )
        return _shown(_found(connection, caller, subscription_id))


@router.post("/subscriptions/{subscription_id}/rotate-secret")
def rotate_subscription_secret(
    request: Request, caller: Configuring, subscription_id: UUID, body: Rotation | None = None
) -> ShownSubscription:
    """Sign with a new secret, shown in this answer; the one before signs as well for a while."""
    around = surroundings_of(request)
    keep = timedelta(seconds=(body or Rotation()).keep_seconds)
    with around.database.session(caller.tenant_id) as connection:
        known = _found(connection, caller, subscription_id)
        secret = subscribing.rotate(connection, known.id, cipher=around.cipher(), tenant_id=caller.tenant_id, keep=keep)
        return ShownSubscription(
            **_shown(_found(connection, caller, subscription_id)).model_dump(), secret=secret.reveal()
        )


@router.delete("/subscriptions/{subscription_id}", status_code=HTTPStatus.NO_CONTENT)
def unsubscribe(request: Request, caller: Configuring, subscription_id: UUID) -> None:
    """Tell a program nothing any more; what was not delivered is forgotten."""
    with surroundings_of(request).database.session(caller.tenant_id) as connection:
        known = _found(connection, caller, subscription_id)
        subscriptions.remove_subscription(connection, known.id, tenant_id=caller.tenant_id)


@router.get("/deliveries")
def list_deliveries(
    request: Request,
    caller: Looking,
    limit: Limit = 50,
    after: After = None,
    state: DeliveryState | None = None,
    subscription_id: UUID | None = None,
) -> Page[Delivery]:
    """What was sent, the newest first; `state=dead` is the list of dead letters."""
    with surroundings_of(request).database.session(caller.tenant_id) as connection:
        found = listing.page(
            connection, deliveries.LISTING, limit=limit, after=after, state=state, subscription_id=subscription_id
        )
    return Page[Delivery].model_validate(page_of(found))


@router.post("/deliveries/{delivery_id}/replay", status_code=HTTPStatus.ACCEPTED)
def replay_delivery(request: Request, caller: Resolving, delivery_id: UUID) -> Resent:
    """Send one message again."""
    with surroundings_of(request).database.session(caller.tenant_id) as connection:
        try:
            deliveries.get_delivery(connection, DeliveryId(str(delivery_id)), tenant_id=caller.tenant_id)
        except ConfigError:
            raise not_found("delivery", delivery_id) from None
        deliveries.replay(connection, DeliveryId(str(delivery_id)), tenant_id=caller.tenant_id)
    return Resent(replayed=1)


@router.post("/deliveries/replay", status_code=HTTPStatus.ACCEPTED)
def replay_dead_deliveries(request: Request, caller: Resolving, subscription_id: UUID | None = None) -> Resent:
    """Send all dead letters again, or those of one subscription."""
    with surroundings_of(request).database.session(caller.tenant_id) as connection:
        chosen = _found(connection, caller, subscription_id).id if subscription_id else None
        number = deliveries.replay_dead(connection, tenant_id=caller.tenant_id, subscription_id=chosen)
    return Resent(replayed=number)


def _found(connection: Connection, caller: Caller, subscription_id: UUID) -> subscriptions.Subscription:
    try:
        return subscriptions.get_subscription(
            connection, SubscriptionId(str(subscription_id)), tenant_id=caller.tenant_id
        )
    except ConfigError:
        raise not_found("subscription", subscription_id) from None


def _shown(found: subscriptions.Subscription) -> Subscription:
    return Subscription.model_validate(found, from_attributes=True)
