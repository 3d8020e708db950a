"""From a request to rows of the inbox: verified, read, and kept before the vendor has its answer.

What is the vendor's is kept, whatever it holds: a body that nobody can read is parked with the reason.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

import structlog

from erpflow.connectors.change_notice import ChangeNotice, object_of, part_of
from erpflow.errors import PayloadInvalid
from erpflow.store import webhook_events
from erpflow.store.vault import Secret
from erpflow.store.webhook_events import Connection, Kept, NewEvent
from erpflow.store.webhooks import Webhook
from erpflow.vocabulary import WebhookEventState
from erpflow.webhooks.payload import payload_of
from erpflow.webhooks.systems import entities_of, reader_of
from erpflow.webhooks.verification import BearerToken, ChannelToken, Headers, Request, verification_of, verify

log = structlog.get_logger(__name__)

LARGEST_BODY: Final = 2 * 1024 * 1024
"""Bytes of a body; vendors send a thousandth of it."""
MOST_EVENTS: Final = 5_000
"""Events of one request."""
LONGEST_ID: Final = 500
LONGEST_WORD: Final = 200
SAME_WITHIN_S: Final = 300
"""Where nothing tells an event from a later one in the same words, it is the same for so long: vendors that try again
do so within seconds. A later one is read again, which does no harm."""

_SECRET_HEADERS: Final = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key"})
_MOST_HEADERS: Final = 64
_NOTHING: Final = ChangeNotice()

Named = Callable[[str], str | None]
"""Our name of a vendor's entity."""


def receive(
    connection: Connection,
    webhook: Webhook,
    *,
    secrets: Sequence[Secret],
    headers: Headers,
    body: bytes,
    now: datetime,
) -> list[Kept]:
    """Verify a request, read it and keep its events, in this order; the answer may go out behind it.

    An empty list: the webhook was deleted meanwhile. Raises SignatureInvalid, or PayloadInvalid for a body that
    cannot even be verified.
    """
    events = events_of(webhook, secrets=secrets, headers=headers, body=body, now=now)
    kept = webhook_events.insert(connection, webhook.id, events, headers=_kept_headers(webhook, headers))
    log.info("webhook_received", webhook=webhook.id, events=len(kept), new=sum(each.is_new for each in kept))
    return kept


def events_of(
    webhook: Webhook, *, secrets: Sequence[Secret], headers: Headers, body: bytes, now: datetime
) -> list[NewEvent]:
    """The events of a request, at least one. Pure. Raises as `receive` does."""
    where = f'the webhook "{webhook.name}"'
    if len(body) > LARGEST_BODY:
        raise PayloadInvalid(f"The body has {len(body):,} bytes; at most {LARGEST_BODY:,} are taken.")
    verification = verification_of(webhook.verification, where=where)
    verify(verification, Request(headers, body, now=now), secrets=secrets)
    stored = _without_token(body, verification) if isinstance(verification, ChannelToken) else body
    bucket = f"{int(now.timestamp()) // SAME_WITHIN_S:x}"
    named = entities_of(webhook.system)
    notices = _notices(webhook, headers, body, where=where)
    return [_event(webhook, notice, stored, named=named, bucket=bucket) for notice in notices]


def _notices(webhook: Webhook, headers: Headers, body: bytes, *, where: str) -> list[ChangeNotice]:
    read = payload_of(webhook.payload, where=where).notices if webhook.payload else reader_of(webhook.system)
    try:
        found = read(body, dict(_single(headers)))
    except PayloadInvalid as error:
        return [ChangeNotice(problem=str(error))]
    if len(found) > MOST_EVENTS:
        return [ChangeNotice(problem=f"The body tells of {len(found):,} events; at most {MOST_EVENTS:,} are taken.")]
    return found or [_NOTHING]


def _event(webhook: Webhook, notice: ChangeNotice, body: bytes, *, named: Named, bucket: str) -> NewEvent:
    part = notice.part if notice.part is not None else body
    entity, state, error = _judged(webhook, notice, named=named)
    return NewEvent(
        key=_key(notice, part, bucket),
        event_type=_plain(notice.event_type, LONGEST_WORD),
        entity=entity,
        remote_id=notice.remote_id if _fits(notice.remote_id, LONGEST_ID) else None,
        body=part,
        occurred_at=notice.at,
        state=state,
        error=error,
    )


def _judged(
    webhook: Webhook, notice: ChangeNotice, *, named: Named
) -> tuple[str | None, WebhookEventState, str | None]:
    """The entity of an event, and whether it waits for a drain: if not, why."""
    remote = notice.remote or (webhook.entities[0] if len(webhook.entities) == 1 else None)
    entity = named(remote) if remote and _fits(remote, LONGEST_WORD) else None
    ignored = _why_ignored(webhook, notice, remote, entity)
    if ignored is not None:
        return entity, WebhookEventState.IGNORED, ignored
    problem = notice.problem
    if problem is None and not _fits(notice.remote_id, LONGEST_ID):
        problem = f"The id of its record is longer than {LONGEST_ID} characters, or no text that can be kept."
    if problem is None and entity is None:
        problem = "It does not say which entity it is about. Name one entity in the webhook, or give its payload paths."
    if problem is not None:
        return entity, WebhookEventState.PARKED, _plain(problem, 2_000)
    return entity, WebhookEventState.RECEIVED, None


def _why_ignored(webhook: Webhook, notice: ChangeNotice, remote: str | None, entity: str | None) -> str | None:
    """Why an event is none of this webhook's business."""
    if notice is _NOTHING:
        return "It tells of no record."
    if webhook.vendor_reference and notice.account and notice.account != webhook.vendor_reference:
        return _plain(
            f"It is about {notice.account[:LONGEST_WORD]}; this webhook is for {webhook.vendor_reference}.", 900
        )
    if webhook.events and notice.event_type and notice.event_type not in webhook.events:
        return _plain(f'The webhook does not want the event "{notice.event_type[:LONGEST_WORD]}".', 900)
    if remote and entity is None and notice.problem is None:
        return _plain(f'{webhook.system} has no entity here for "{remote[:LONGEST_WORD]}".', 900)
    if webhook.entities and entity is not None and not {entity, remote} & set(webhook.entities):
        return f'The webhook does not want the entity "{entity}".'
    return None


def _key(notice: ChangeNotice, part: bytes, bucket: str) -> str:
    """What tells an event from others: the vendor's word, or a digest of what it says, for a while."""
    if notice.key and _fits(notice.key, LONGEST_ID):
        return notice.key
    if notice.key:
        return f"sha256:{hashlib.sha256(notice.key.encode('utf-8', 'surrogatepass')).hexdigest()}"
    return f"sha256:{hashlib.sha256(part).hexdigest()}/{bucket}"


def _fits(text: str | None, longest: int) -> bool:
    """Whether Postgres can keep a text as it is: not too long, without NUL and without half characters."""
    return text is not None and len(text) <= longest and _plain(text, longest) == text


def _plain(text: str | None, longest: int) -> str | None:
    """A text as Postgres can keep it."""
    return text[:longest].replace("\x00", "�").encode("utf-8", "replace").decode() if text is not None else None


def _without_token(body: bytes, verification: ChannelToken) -> bytes:
    """A verified body without the secret that proved it."""
    return part_of({**object_of(body), verification.field: "***"})


def _single(headers: Headers) -> Iterator[tuple[str, str]]:
    """The headers that came exactly once, by their small names."""
    names = [name.lower() for name, _ in headers]
    yield from ((name.lower(), value) for name, value in headers if names.count(name.lower()) == 1)


def _kept_headers(webhook: Webhook, headers: Headers) -> Mapping[str, str]:
    """The headers as they are kept: without those that hold a secret. A signature is none."""
    is_token = webhook.verification.get("scheme") == BearerToken.model_fields["scheme"].default
    hidden = _SECRET_HEADERS | ({str(webhook.verification.get("header", "")).lower()} if is_token else set())
    return {
        _plain(name.lower(), LONGEST_WORD) or "": _plain(value, 2_000) or ""
        for name, value in headers[:_MOST_HEADERS]
        if name.lower() not in hidden
    }
