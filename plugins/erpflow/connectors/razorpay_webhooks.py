"""What a webhook of Razorpay says: one event, named in a header, with the entities it is about.

Source: razorpay/markdown-docs, webhooks/*.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from erpflow.connectors.change_notice import ChangeNotice, instant_of, mapping_of, object_of, rows_of, text_of

SIGNATURE_HEADER: Final = "X-Razorpay-Signature"
EVENT_HEADER: Final = "x-razorpay-event-id"


def notices(body: bytes, headers: Mapping[str, str]) -> list[ChangeNotice]:
    """The entity an event is named after: `subscription.charged` is about a subscription, though it holds a payment.

    Raises PayloadInvalid for a body that is no object.
    """
    found = object_of(body)
    event, payload = text_of(found.get("event")), mapping_of(found.get("payload"))
    remote = _subject(event, found, payload)
    remote_id = text_of(mapping_of(mapping_of(payload.get(remote or "")).get("entity")).get("id"))
    # One documented sample has the time inside the payload.
    at = instant_of(found.get("created_at")) or instant_of(payload.get("created_at"))
    return [
        ChangeNotice(
            remote=remote,
            remote_id=remote_id,
            event_type=event,
            at=at,
            key=headers.get(EVENT_HEADER) or None,
            account=text_of(found.get("account_id")),
            problem=None if remote_id else "The event names no entity with an id.",
        )
    ]


def _subject(event: str | None, found: Mapping[str, Any], payload: Mapping[str, Any]) -> str | None:
    first = (event or "").partition(".")[0]
    named = [text_of(name) for name in rows_of(found.get("contains"))]
    return next((name for name in (first, *named, *payload) if name in payload), None)
