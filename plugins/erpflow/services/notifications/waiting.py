"""What waits for a person beside the syncs, as causes: one for each connection, return or subscription."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from erpflow.services.notifications.wording import clock, counted
from erpflow.store.notifications import Cause, Details
from erpflow.store.waiting import Waiting, WaitingKind
from erpflow.vocabulary import CauseKind


@dataclass(frozen=True, slots=True)
class _Words:
    """`noun` of one of them, what is the matter with it, and what to do about it."""

    noun: str
    matter: str
    next_step: str


_WORDS: Final[Mapping[WaitingKind, _Words]] = {
    WaitingKind.MESSAGES: _Words(
        "message",
        "may or may not have been sent: the answer to it was lost. It is not sent again by itself",
        "Look at the vendor, then say what you found: GET /api/erp/messages?state=unknown lists them, "
        "POST /api/erp/messages/{id}/settle decides one.",
    ),
    WaitingKind.PAYMENT_REQUESTS: _Words(
        "request",
        "may or may not have been done by the provider: the answer to it was lost",
        "Let the program send the same request with the same key again: it is looked up before anything is made.",
    ),
    WaitingKind.FILINGS: _Words(
        "return",
        "may or may not have been filed: the portal's answer was lost",
        "Submit it again (POST /gst/gstr1/submit): what became of it is looked up before anything is filed.",
    ),
    WaitingKind.EVENTS: _Words(
        "webhook event",
        "is parked: it could not be applied, and nothing happens to it any more",
        "GET /api/erp/webhook-events?state=parked says why. Mend it, then POST /api/erp/webhook-events/{id}/replay.",
    ),
    WaitingKind.DELIVERIES: _Words(
        "outgoing message",
        "was given up within the last day: its receiver did not take it",
        "See why: erpflow delivery list --dead. Once the receiver is up, send it again: erpflow delivery replay.",
    ),
}


def waiting_causes(found: Iterable[Waiting]) -> list[Cause]:
    """A cause for each."""
    return [_cause(waiting) for waiting in found]


def _cause(waiting: Waiting) -> Cause:
    words = _WORDS[waiting.kind]
    many = counted(waiting.count, words.noun)
    return Cause(
        key=f"{CauseKind.WAITING.value}/{waiting.kind.value}/{waiting.owner or f'{waiting.tenant_id}/{waiting.name}'}",
        tenant_id=waiting.tenant_id,
        config_id=None,
        kind=CauseKind.WAITING,
        subject=f"{waiting.name}: {many} {'waits' if waiting.count == 1 else 'wait'} for a person",
        since=waiting.since,
        details=Details(
            what=f"{many} since {clock(waiting.since)}. Each {words.matter}.",
            next_step=words.next_step,
            counts={waiting.kind.value: waiting.count},
        ),
    )
