"""What every route that vendors call has in common: verified, kept, answered; then a drain is woken."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from threading import Lock

import structlog
from fastapi import BackgroundTasks, Request
from pydantic import ConfigDict

from erpflow.api.bodies import Answer
from erpflow.api.problems import ApiError, not_found
from erpflow.api.surroundings import Surroundings, surroundings_of
from erpflow.errors import ErpflowError, SignatureInvalid
from erpflow.store import webhooks
from erpflow.store.vault import Secret
from erpflow.store.webhook_events import Kept
from erpflow.store.webhooks import Webhook
from erpflow.webhooks.receive import receive
from erpflow.webhooks.systems import answer_to
from erpflow.webhooks.wake import CONF, DAG_ID, needs_waking, wake_run_id

log = structlog.get_logger(__name__)

WAKE_PAUSE_S = 1.0
"""A drain that was woken needs so long to be heard of; waking more of them would only queue runs."""


class Receipt(Answer):
    """What was received: kept before this answer, applied after it. Some vendors want to hear more than that."""

    model_config = ConfigDict(extra="allow")

    event_id: str | None
    status: str
    event_ids: list[str]
    new: int


@dataclass(frozen=True, slots=True)
class Delivered:
    """A request as it came."""

    headers: list[tuple[str, str]]
    body: bytes
    at: datetime


async def delivered(request: Request) -> Delivered:
    """The raw bytes of a request and its headers, each as often as it came."""
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw]
    return Delivered(headers, await request.body(), datetime.now(UTC))


def take_in(request: Request, webhook_id: str, came: Delivered, later: BackgroundTasks) -> Receipt:
    """Keep what came for one webhook.

    Raises 404 for a webhook that is not there, 410 for one that is switched off, 401 without the vendor's signature.
    """
    around = surroundings_of(request)
    with around.database.owner() as connection:
        found = webhooks.webhook_for_receipt(connection, webhook_id, cipher=around.cipher())
        if found is None:
            raise not_found("webhook", webhook_id)
        kept = _kept(connection, *found, came)
    return _answered(around, found[0].system, kept, later)


def take_in_for(request: Request, system: str, came: Delivered, later: BackgroundTasks) -> Receipt:
    """Keep what came to an address that all tenants share: the webhook is the one whose secret was proved.

    Raises 401 when it is nobody's.
    """
    around = surroundings_of(request)
    with around.database.owner() as connection:
        for found in webhooks.webhooks_for_receipt(connection, system, cipher=around.cipher()):
            try:
                kept = _kept(connection, *found, came)
            except SignatureInvalid:
                continue
            return _answered(around, system, kept, later)
    raise ApiError(
        HTTPStatus.UNAUTHORIZED, "signature_invalid", f"No active webhook of {system} has the secret of this signature."
    )


def _kept(
    connection: webhooks.Connection, webhook: Webhook, secrets: tuple[Secret, ...], came: Delivered
) -> list[Kept]:
    if not webhook.active:
        raise ApiError(HTTPStatus.GONE, "inactive", "This webhook is switched off.")
    return receive(connection, webhook, secrets=secrets, headers=came.headers, body=came.body, now=came.at)


def _answered(around: Surroundings, system: str, kept: list[Kept], later: BackgroundTasks) -> Receipt:
    new = sum(each.is_new for each in kept)
    if new:
        later.add_task(wake, around)
    ids = [each.event_id for each in kept]
    told = {"event_id": ids[0] if ids else None, "status": "received", "event_ids": ids, "new": new}
    return Receipt.model_validate(told | dict(answer_to(system) or {}))


class _Waking:
    """When this server last woke a drain."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._at = -WAKE_PAUSE_S

    def begins(self) -> bool:
        """Whether it is time again; then somebody else has to wait."""
        with self._lock:
            now = time.monotonic()
            if now - self._at < WAKE_PAUSE_S:
                return False
            self._at = now
            return True


_waking = _Waking()


def wake(around: Surroundings) -> None:
    """Start a drain unless one listens. What cannot be started now is swept within a minute: nothing is lost."""
    try:
        with around.database.owner_session() as connection:
            if not needs_waking(connection) or not _waking.begins():
                return
        around.orchestrator.trigger(DAG_ID, conf=dict(CONF), run_id=wake_run_id(datetime.now(UTC)), by="webhook")
    except ErpflowError as error:
        log.warning("drain_not_woken", error=str(error))
