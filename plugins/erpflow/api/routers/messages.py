"""What became of messages: mail, SMS and WhatsApp that were handed to a vendor."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import Field

from erpflow.api.bodies import After, Answer, Body, Limit, Page, page_of
from erpflow.api.callers import Looking, Resolving
from erpflow.api.idempotency import IdempotentRoute
from erpflow.api.problems import ApiError, not_found
from erpflow.api.surroundings import surroundings_of
from erpflow.store import listing, messages
from erpflow.vocabulary import Channel, MessageState

router = APIRouter(tags=["messages"], route_class=IdempotentRoute)


class KeptMessage(Answer):
    """What is kept of a message: whom it went to, by which template, and what became of it; never its content.

    `may_try_again`: it was rejected for what may have changed since, so the same request sends it.
    """

    id: str
    connection_id: str | None
    system: str
    channel: Channel
    status: MessageState = Field(validation_alias="state")
    message_id: str | None = Field(validation_alias="remote_id")
    key: str | None
    recipients: list[str]
    template: str | None
    may_try_again: bool
    error: str | None
    error_field: str | None
    attempts: int
    requested_by: str | None
    settled_by: str | None
    created_at: datetime
    submitted_at: datetime
    settled_at: datetime | None


class Found(Body):
    """What a person found out about a message that nobody knew about."""

    arrived: bool = Field(description="true: it was sent. false: it was not, and the same request may send it")


@router.get("/messages")
def list_messages(
    request: Request,
    caller: Looking,
    limit: Limit = 50,
    after: After = None,
    channel: Channel | None = None,
    state: MessageState | None = None,
    key: Annotated[str | None, Query(max_length=300)] = None,
) -> Page[KeptMessage]:
    """The tenant's messages by all channels, the newest first."""
    with surroundings_of(request).database.session(caller.tenant_id) as connection:
        messages.give_up_lost(connection)
        found = listing.page(
            connection, messages.LISTING, limit=limit, after=after, channel=channel, state=state, key=key
        )
    return Page[KeptMessage].model_validate(page_of(found))


@router.get("/messages/{message_id}")
def get_message(request: Request, caller: Looking, message_id: UUID) -> KeptMessage:
    """One message, and what became of it."""
    with surroundings_of(request).database.session(caller.tenant_id) as connection:
        messages.give_up_lost(connection)
        found = messages.get(connection, str(message_id))
    if found is None:
        raise not_found("message", message_id)
    return KeptMessage.model_validate(found, from_attributes=True)


@router.post("/messages/{message_id}/settle")
def settle_message(request: Request, caller: Resolving, message_id: UUID, body: Found) -> KeptMessage:
    """Say what became of a message that nobody knew about. One that did not arrive is sent by the same request."""
    with surroundings_of(request).database.session(caller.tenant_id) as connection:
        messages.give_up_lost(connection)
        settled = messages.decide(connection, str(message_id), arrived=body.arrived, by=caller.name)
        found = settled or messages.get(connection, str(message_id))
    if found is None:
        raise not_found("message", message_id)
    if settled is None:
        raise ApiError(
            HTTPStatus.CONFLICT, "not_unknown", f"This message is {found.state}: there is nothing to decide about it."
        )
    return KeptMessage.model_validate(settled, from_attributes=True)
