"""A channel of Zoho's as a webhook of ours: its number is made of our id, and it lives for a week unless renewed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

from erpflow.connectors.base import EntitySpec
from erpflow.connectors.webhook_setup import VendorWebhook, WebhookPart, WebhookState
from erpflow.connectors.zoho_crm_notifications import Channel, Notifications
from erpflow.errors import ConfigError, suggestion

_NUMBERS: Final = 10**18  # a channel's number is a long


def channel_of(wanted: VendorWebhook, entities: Mapping[str, EntitySpec]) -> Channel:
    """The channel that watches these entities. Raises ConfigError for an entity that Zoho does not have here."""
    names = list(dict.fromkeys(wanted.entities or entities))
    for name in names:
        if name not in entities:
            raise ConfigError(f"Zoho CRM has no entity {name!r} here{suggestion(name, entities)}")
    return Channel(
        number=str(UUID(wanted.id).int % _NUMBERS or 1),
        events=tuple(f"{entities[name].remote}.all" for name in names),
        notify_url=wanted.url,
        token=wanted.secret,
    )


def set_up(notifications: Notifications, channel: Channel, *, now: datetime) -> WebhookState:
    """Open the channel, or renew it if it runs out within a day."""
    return _state(replace(channel, expires_at=notifications.keep(channel, now=now)), channel, now=now)


def state(notifications: Notifications, channel: Channel, *, now: datetime) -> WebhookState:
    """How the channel is at Zoho; one that has run out is not there any more."""
    there = next((found for found in notifications.list() if found.number == channel.number), None)
    return _state(there, channel, now=now)


def _state(there: Channel | None, wanted: Channel, *, now: datetime) -> WebhookState:
    parts = tuple(_part(event, there, wanted, now=now) for event in wanted.events)
    return WebhookState(parts, reference=wanted.number, expires_at=there.expires_at if there else None)


def _part(event: str, there: Channel | None, wanted: Channel, *, now: datetime) -> WebhookPart:
    if there is None or event not in there.events:
        return WebhookPart(event, exists=False, works=False, message="The channel is not open for it. Set it up.")
    if there.notify_url != wanted.notify_url:
        return WebhookPart(event, exists=True, works=False, message="It calls another address. Set it up again.")
    if there.expires_at is None or there.expires_at <= now:
        return WebhookPart(event, exists=True, works=False, message="It has run out. Set it up again.")
    return WebhookPart(event, exists=True, works=True, message=f"It is open until {there.expires_at:%Y-%m-%d %H:%M}Z.")
