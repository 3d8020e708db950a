"""What the sender of a message is told: 202 when the vendor took it, a problem in every other case."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Protocol, TypeVar
from uuid import UUID

from fastapi import Request
from pydantic import Field

from erpflow.api.bodies import Answer
from erpflow.api.callers import Caller
from erpflow.api.idempotency import HEADER
from erpflow.api.problems import ApiError
from erpflow.api.surroundings import surroundings_of
from erpflow.api.vendors.whose import own_connection
from erpflow.connectors.messaging import Taken
from erpflow.connectors.service import Service
from erpflow.services.messaging import outbox
from erpflow.services.messaging.outbox import KeyReused, Wanted
from erpflow.store.messages import Message
from erpflow.vocabulary import Channel, MessageId, MessageState

Client = TypeVar("Client", bound=Service)

BusinessKey = Annotated[
    str | None,
    Field(
        min_length=1,
        max_length=200,
        pattern=r"^[^\x00-\x1f]+$",
        description="What this message is about, such as invoice, template and recipient: sent once for each",
    ),
]


class SentMessage(Answer):
    """A message that the vendor took; delivered is another matter. `message_id`: the vendor's own, if it gives one."""

    id: str
    channel: Channel
    status: MessageState
    message_id: str | None
    key: str | None
    attempts: int
    created_at: datetime


def key_of(key: str | None, request: Request) -> str | None:
    """Under which key a message is sent once: the caller's own, or the one that the request carries."""
    header = request.headers.get(HEADER)
    return key or (f"{HEADER} {header}" if header else None)


class Content(Protocol):
    """A message in its connector's words."""

    def check(self) -> None:
        """Raises MessageRejected with everything that is known to fail."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A message that a request asks for. `key`: of its body; `connection_id`: None for the caller's only one."""

    channel: Channel
    content: Content
    recipients: tuple[str, ...]
    template: str | None
    key: str | None
    connection_id: UUID | None


def send(
    request: Request,
    caller: Caller,
    asked: Asked,
    service: type[Client],
    deliver: Callable[[Client, MessageId], Taken],
) -> SentMessage:
    """Send a message by a service, or say what became of it before.

    Raises MessageRejected before anything is recorded, and ApiError when it was not taken, or nobody knows.
    """
    asked.content.check()
    around = surroundings_of(request)
    row = own_connection(around, caller, service.spec.system, asked.connection_id)
    wanted = Wanted(
        connection=row,
        channel=asked.channel,
        key=key_of(asked.key, request),
        content=asked.content,
        recipients=asked.recipients,
        template=asked.template,
        by=caller.name,
    )

    def ask(message_id: MessageId) -> Taken:
        with around.connect(row) as client:
            assert isinstance(client, service)  # noqa: S101  (the row is of this system)
            return deliver(client, message_id)

    try:
        message = outbox.send(around.database, caller.tenant_id, wanted, ask)
    except KeyReused as error:
        raise ApiError(HTTPStatus.CONFLICT, "key_reused", str(error), field="key") from None
    if message.state is not MessageState.ACCEPTED:
        raise _problem(message)
    return SentMessage(
        id=message.id,
        channel=message.channel,
        status=message.state,
        message_id=message.remote_id,
        key=message.key,
        attempts=message.attempts,
        created_at=message.created_at,
    )


def _problem(message: Message) -> ApiError:
    error = message.error or ""
    if message.state is MessageState.SUBMITTING:
        return ApiError(
            HTTPStatus.CONFLICT, "in_progress", f"This message is being sent ({message.id}). Ask again shortly."
        )
    if message.state is MessageState.UNKNOWN:
        return ApiError(
            HTTPStatus.GATEWAY_TIMEOUT,
            "outcome_unknown",
            f"Nobody knows whether this message was taken: {error} It is kept as {message.id} and is not sent again by "
            f"itself. Look at {message.system}, then say what you found: POST /api/erp/messages/{message.id}/settle.",
        )
    return ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "message_rejected", error, field=message.error_field)
