"""Sends a message at most once: recorded before its vendor is asked, and never sent again while nobody knows.

No vendor of messages has an idempotency key of its own, and what is sent twice is read twice (and paid twice). So an
outcome that nobody knows stays `unknown` until a person has looked (ADR 24).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final

import msgspec
import structlog

from erpflow.connectors.answer import NOTHING_LOST
from erpflow.connectors.messaging import MessageRejected, Taken
from erpflow.errors import ErpflowError, RecordRejected
from erpflow.store import messages
from erpflow.store.connections import ErpConnection
from erpflow.store.messages import Message, NewMessage, Settlement
from erpflow.store.tenancy import TenantDatabase
from erpflow.vocabulary import Channel, MessageId, MessageState, TenantId

log = structlog.get_logger(__name__)

_NOT_SAID: Final = "It does not say why."


class KeyReused(ErpflowError):
    """Another message was sent under this key: nothing was sent now."""

    def __init__(self, message: Message) -> None:
        super().__init__(
            f'The key "{message.key}" was used for another message by {message.channel} ({message.id}, '
            f"{message.created_at.astimezone(UTC):%Y-%m-%d %H:%M}Z). Nothing was sent now. Send the first content "
            "again to hear what became of it, or take another key."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A message that somebody wants sent. `content`: the whole of it, to tell a repetition from another message."""

    connection: ErpConnection
    channel: Channel
    key: str | None
    content: Any
    recipients: tuple[str, ...]
    template: str | None
    by: str


def send(
    database: TenantDatabase, tenant_id: TenantId, wanted: Wanted, deliver: Callable[[MessageId], Taken]
) -> Message:
    """Send a message, unless one of its key was: what became of it, now or then.

    `deliver` asks the vendor; it is called outside of any transaction, at most once. Raises KeyReused; and what
    `deliver` raises when nothing was taken for a reason that may pass: then the same request may be sent again. A
    message whose content is refused is returned as rejected, one that nobody knows about as unknown.
    """
    message, is_ours = _claimed(database, tenant_id, wanted)
    if not is_ours:
        return message
    try:
        taken = deliver(message.id)
    except ErpflowError as error:
        settled = _settle(database, tenant_id, message, outcome_of(error))
        if settled.state is MessageState.REJECTED and settled.may_try_again:
            raise
        return settled
    except Exception as error:
        # Nobody knows how far it came; the error itself goes on to whoever reads the logs.
        why = f"An error here ({type(error).__name__})."
        _settle(database, tenant_id, message, Settlement(state=MessageState.UNKNOWN, error=why))
        raise
    done = Settlement(state=MessageState.ACCEPTED, remote_id=taken.message_id)
    return _settle(database, tenant_id, message, done)


def outcome_of(error: ErpflowError) -> Settlement:
    """What an error says of the message: refused for its content, not taken for now, or not known."""
    text = str(error).removesuffix(NOTHING_LOST) or _NOT_SAID
    if isinstance(error, RecordRejected):
        field = error.field if isinstance(error, MessageRejected) else None
        return Settlement(state=MessageState.REJECTED, error=text, error_field=field)
    if getattr(error, "maybe_done", False):
        return Settlement(state=MessageState.UNKNOWN, error=text)
    return Settlement(state=MessageState.REJECTED, may_try_again=True, error=text)


def digest(wanted: Wanted) -> bytes:
    """A digest of all that is sent and by which account: the same for the same message, whatever its spelling."""
    said = (wanted.connection.id, wanted.channel, wanted.content)
    return hashlib.sha256(msgspec.json.encode(said, order="deterministic")).digest()


def _claimed(database: TenantDatabase, tenant_id: TenantId, wanted: Wanted) -> tuple[Message, bool]:
    """The message's row, and whether it is ours to send."""
    new = NewMessage(
        connection_id=wanted.connection.id,
        system=wanted.connection.system,
        channel=wanted.channel,
        key=wanted.key,
        content_digest=digest(wanted),
        recipients=wanted.recipients,
        template=wanted.template,
        requested_by=wanted.by,
    )
    with database.session(tenant_id) as store:
        messages.give_up_lost(store)
        message, is_new = messages.record(store, new)
        if is_new:
            return message, True
        if message.content_digest != new.content_digest:
            raise KeyReused(message)
        if message.state is not MessageState.REJECTED or not message.may_try_again:
            return message, False
        again = messages.take_up_again(store, message, by=wanted.by)
        return (again, True) if again is not None else (messages.get(store, message.id) or message, False)


def _settle(database: TenantDatabase, tenant_id: TenantId, message: Message, outcome: Settlement) -> Message:
    try:
        with database.session(tenant_id) as store:
            settled = messages.settle(store, message, outcome)
            current = settled or messages.get(store, message.id)
    except ErpflowError:
        # It will be unknown, and whoever looks finds here what we heard.
        log.error("outcome_not_kept", message=message.id, state=outcome.state, remote_id=outcome.remote_id)
        raise
    if settled is None:
        log.warning("stale_result_refused", message=message.id, attempt=message.attempts, result=outcome.state)
    else:
        log.info("message_settled", message=message.id, channel=message.channel, state=settled.state)
    return current or message
