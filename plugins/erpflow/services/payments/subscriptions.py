"""Subscriptions at Razorpay, each made once.

Razorpay has no idempotency key for them. So a request is recorded before it is sent, its own id goes along in the
notes, and where nobody knows what came of it, the subscriptions made about then are looked through for that id before
anything is sent again. No transaction is open while Razorpay is asked.
Source: razorpay.md §8 and §12.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
import structlog

from erpflow.connectors.razorpay import Razorpay, Subscription
from erpflow.connectors.transport import ONE_ATTEMPT, Retries
from erpflow.errors import ConfigError, ErpflowError, VendorUnavailable
from erpflow.store import payment_requests
from erpflow.store.payment_requests import Claim, PaymentRequest, RequestState
from erpflow.store.tenancy import TenantDatabase
from erpflow.vocabulary import ConnectionId, TenantId, VendorRecord

log = structlog.get_logger(__name__)

KIND: Final = "subscription"
NOTE: Final = "erpflow_request"
"""The note that carries the id of our request."""

AROUND: Final = timedelta(minutes=15)
"""How far Razorpay's clock may be from ours, and how long it may have taken over a request."""

QUIET: Final = timedelta(minutes=1)
"""After an attempt that nobody knows the outcome of, so long nothing is sent: Razorpay may still be working on it."""

_ordered = msgspec.json.Encoder(order="sorted").encode


class KeyReused(ConfigError):
    """The key came with another request before."""


class OutcomeUnknown(VendorUnavailable):
    """Razorpay was asked, and nobody knows whether it did it."""


@dataclass(frozen=True, slots=True)
class Subscribed:
    """A subscription as it was when it was made. `repeated`: an earlier request made it."""

    key: str
    mode: str
    repeated: bool
    subscription: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Desk:
    """Takes requests for one connection of one tenant. `by`: who asks."""

    database: TenantDatabase
    razorpay: Razorpay
    tenant_id: TenantId
    connection_id: ConnectionId
    by: str

    def subscribe(self, values: VendorRecord, *, key: str) -> Subscribed:
        """Make a subscription, or answer with the one that was made for this key.

        `values` as Razorpay calls them: amounts in the smallest unit, times in Unix seconds. Raises KeyReused for a key
        that came with other values, AlreadyRunning while it is being worked on, OutcomeUnknown when nobody knows,
        Refused in Razorpay's words, and what else asking raises: then nothing was made.
        """
        mode = self.razorpay.mode
        wanted = PaymentRequest(
            connection_id=self.connection_id,
            kind=KIND,
            realm=mode,
            key=key,
            digest=digest_of(values, connection_id=self.connection_id),
            requested_by=self.by,
        )
        with self.database.session(self.tenant_id) as store:
            known = payment_requests.open_request(store, self.tenant_id, wanted)
        if not known.same:
            raise KeyReused(
                f'The key "{key}" came with another request on {known.created_at:%Y-%m-%d %H:%M}Z. Send what it came '
                "with, or take another key."
            )
        if known.answer is not None:
            return Subscribed(key, mode, repeated=True, subscription=known.answer)
        # A connection of its own: its lock lasts as long as the work, and is gone with whoever is killed.
        with self.database.database.session() as lock, payment_requests.working_on(lock, known.id):
            with self.database.session(self.tenant_id) as store:
                claimed = payment_requests.claim(store, known.id)
            if claimed is None:  # done since it was looked at
                return self.subscribe(values, key=key)
            found, repeated = self._made_before(claimed, key), True
            if found is None:
                found, repeated = self._make(claimed, values, key=key), False
        return Subscribed(key, mode, repeated=repeated, subscription=found.record)

    def _made_before(self, claimed: Claim, key: str) -> Subscription | None:
        """What an attempt made whose outcome was not known. Raises OutcomeUnknown while it may still be under way."""
        if claimed.sent_at is None:
            return None
        try:
            found = self._look_up(claimed.id, claimed.sent_at)
        except ErpflowError as error:
            self._settle(claimed, RequestState.UNKNOWN, error=str(error))
            raise
        if found is not None:
            self._done(claimed, found)
            return found
        quiet_until = claimed.sent_at + QUIET
        if claimed.now >= quiet_until:
            return None
        raise self._unknown(claimed, f"Razorpay has no such subscription yet, at {claimed.now:%H:%M:%S}Z.", key=key)

    def _make(self, claimed: Claim, values: VendorRecord, *, key: str) -> Subscription:
        with self.database.session(self.tenant_id) as store:
            sent_at = payment_requests.note_sending(store, claimed)
        try:
            made = self.razorpay.create_subscription({**values, "notes": noted(values, claimed.id)})
        except ErpflowError as error:
            if not getattr(error, "maybe_done", False):
                self._settle(claimed, RequestState.REJECTED, error=str(error))
                raise
            log.warning("subscription_outcome_unknown", request=claimed.id, error=type(error).__name__)
            found = self._glance(claimed, sent_at)
            if found is None:
                raise self._unknown(claimed, str(error), key=key) from None
            made = found
        self._done(claimed, made)
        return made

    def _glance(self, claimed: Claim, sent_at: datetime) -> Subscription | None:
        """Look once, at once: the answer alone may be lost. What goes wrong now is left to the next request."""
        try:
            return self._look_up(claimed.id, sent_at, retries=ONE_ATTEMPT)
        except ErpflowError:
            return None

    def _look_up(self, request_id: str, sent_at: datetime, *, retries: Retries | None = None) -> Subscription | None:
        made = self.razorpay.subscriptions_made(sent_at - AROUND, sent_at + AROUND, retries=retries)
        return next((each for each in made if each.own_notes.get(NOTE) == request_id), None)

    def _unknown(self, claimed: Claim, why: str, *, key: str) -> OutcomeUnknown:
        error = OutcomeUnknown(
            f"Whether the subscription was made is not known: {why} Nothing is sent again by itself. Send the same "
            f'request with the key "{key}" after {QUIET.seconds} seconds: it is looked for at Razorpay first.'
        )
        self._settle(claimed, RequestState.UNKNOWN, error=str(error))
        return error

    def _done(self, claimed: Claim, made: Subscription) -> None:
        log.info("subscription_made", request=claimed.id, subscription=made.id)
        with self.database.session(self.tenant_id) as store:
            payment_requests.settle(store, claimed, RequestState.DONE, remote_id=made.id, answer=made.record)

    def _settle(self, claimed: Claim, state: RequestState, *, error: str) -> None:
        with self.database.session(self.tenant_id) as store:
            payment_requests.settle(store, claimed, state, error=error)


def digest_of(values: VendorRecord, *, connection_id: ConnectionId) -> bytes:
    """What tells two requests apart: everything that is sent, and from which account."""
    return hashlib.sha256(_ordered([connection_id, values])).digest()


def noted(values: VendorRecord, request_id: str) -> dict[str, str]:
    """The notes of a subscription, ours among them."""
    return {**values.get("notes", {}), NOTE: request_id}
