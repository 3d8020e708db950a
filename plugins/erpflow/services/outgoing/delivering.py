"""Brings out what is due: claims, sends side by side, settles, for as long as there is something and it has time."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import structlog

from erpflow.errors import ConfigError
from erpflow.services.outgoing.schedule import GIVEN_UP_AFTER, next_attempt
from erpflow.services.outgoing.sending import Outcome, Reach, post
from erpflow.services.outgoing.signing import signed_headers
from erpflow.services.outgoing.subscribing import http_allowed, private_allowed
from erpflow.store import deliveries
from erpflow.store.cipher import FERNET_VARIABLE, Cipher
from erpflow.store.database import Database
from erpflow.store.deliveries import Claimed, Connection
from erpflow.store.notifications import moment
from erpflow.vocabulary import SubscriptionId

log = structlog.get_logger(__name__)

AT_ONCE: Final = 16
"""Messages that are under way at the same time; of one subscription at most `deliveries.EACH` of them."""
SWEEP_S: Final = 45.0
"""How long a sweep claims more; the next one begins a minute after it."""


@dataclass(slots=True)
class Sweep:
    """What one sweep did, in messages; `disabled` counts subscriptions."""

    delivered: int = 0
    failed: int = 0
    dead: int = 0
    disabled: int = 0
    resting: set[SubscriptionId] = field(default_factory=set)
    """Receivers that failed: each costs a sweep one time-out, and not one for each message that waits for it."""

    @property
    def counts(self) -> dict[str, int]:
        """What it did, for a log and an XCom."""
        return {name: getattr(self, name) for name in ("delivered", "failed", "dead", "disabled")}


def deliver_due(
    database: Database,
    cipher: Cipher,
    *,
    reach: Reach | None = None,
    on_secret: Callable[[str], None] = lambda _: None,
    now: Callable[[Connection], datetime] = moment,
    clock: Callable[[], float] = time.monotonic,
    jitter: Callable[[], float] = random.random,
) -> Sweep:
    """Send every message that is due, once each, and settle it. What receivers do wrong is counted, never raised.

    `reach` is what the environment allows when it is not given. `on_secret` is told every secret before it is used, so
    that a log can mask it. `now` is Postgres's clock. Raises ConfigError without a key to decrypt secrets with.
    """
    if not cipher.has_key:
        raise ConfigError(
            f"The secrets of subscriptions cannot be decrypted: {FERNET_VARIABLE} is not set. Set it as Airflow has it."
        )
    sender = _Sender(cipher, reach or Reach(private_allowed(), http_allowed()), on_secret)
    sweep, until = Sweep(), clock() + SWEEP_S
    under_way: dict[Future[Outcome], Claimed] = {}
    with database.session() as connection, ThreadPoolExecutor(AT_ONCE, thread_name_prefix="outgoing") as pool:
        while True:
            free = AT_ONCE - len(under_way)
            if free and clock() < until:
                busy = sweep.resting | {message.subscription_id for message in under_way.values()}
                for message in deliveries.claim_due(connection, now=now(connection), limit=free, resting=busy):
                    under_way[pool.submit(sender.send, message)] = message
            if not under_way:
                return sweep
            for done in wait(under_way, return_when=FIRST_COMPLETED).done:
                _settle(connection, under_way.pop(done), done.result(), sweep, now=now(connection), jitter=jitter())


@dataclass(frozen=True, slots=True)
class _Sender:
    cipher: Cipher
    reach: Reach
    on_secret: Callable[[str], None]

    def send(self, message: Claimed) -> Outcome:
        at = datetime.now(UTC)  # what the receiver compares with its own clock
        try:
            secrets = message.secrets(self.cipher)
            for secret in secrets:
                self.on_secret(secret.reveal())
            headers = signed_headers(message.event_id, message.body, at=at, secrets=secrets)
        except ConfigError as error:
            return Outcome(None, str(error))
        return post(message.url, message.body, headers=headers, now=at, reach=self.reach)


def _settle(
    connection: Connection, message: Claimed, outcome: Outcome, sweep: Sweep, *, now: datetime, jitter: float
) -> None:
    known = log.bind(
        delivery=message.id, subscription=message.subscription_id, type=message.type.value, attempt=message.attempt
    )
    if outcome.error is None:
        deliveries.settle_delivered(connection, message, status=outcome.status or 0, now=now)
        sweep.delivered += 1
        known.info("message_delivered", status=outcome.status)
        return
    again_at = None
    if not outcome.gone:
        again_at = next_attempt(message.attempt, now=now, jitter=jitter, retry_after=outcome.retry_after)
    failing_since = deliveries.settle_failed(
        connection, message, status=outcome.status, error=outcome.error, again_at=again_at, now=now
    )
    sweep.resting.add(message.subscription_id)
    sweep.failed += 1
    sweep.dead += again_at is None
    known.warning("message_not_taken", status=outcome.status, again_at=again_at)
    if failing_since is None:
        return
    # Only with a message that has had all its attempts: days on which nobody sent anything are not the receiver's.
    if again_at is None and (reason := _why_given_up(outcome, failing_since, now)):
        deliveries.disable_receiver(connection, message, reason=reason)
        sweep.disabled += 1
        known.warning("subscription_disabled", reason=reason)


def _why_given_up(outcome: Outcome, failing_since: datetime, now: datetime) -> str | None:
    if outcome.gone:
        return "The receiver answered 410 Gone: it wants nothing any more."
    if now - failing_since >= GIVEN_UP_AFTER:
        return (
            f"Nothing could be delivered to it for {GIVEN_UP_AFTER.days} days, since {failing_since:%Y-%m-%d %H:%M}Z."
        )
    return None
