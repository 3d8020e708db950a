"""Look at the state tables, write down what is wrong, and tell those who have not been told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from erpflow.errors import NotificationFailed
from erpflow.services.notifications.causes import causes_of
from erpflow.services.notifications.messages import Message, Saying, compose
from erpflow.services.notifications.rotation import rotation_causes
from erpflow.services.notifications.settings import NotificationSettings
from erpflow.services.notifications.waiting import waiting_causes
from erpflow.store import credentials
from erpflow.store import health as states
from erpflow.store import notifications as store
from erpflow.store.database import Database
from erpflow.store.health import SyncHealth
from erpflow.store.notifications import Cause, Connection, Notification
from erpflow.store.waiting import read_waiting
from erpflow.vocabulary import SyncConfigId

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Channel:
    """A way to reach people. `send` raises NotificationFailed when the message was not taken."""

    name: str
    send: Callable[[Message], None]


ChannelsOf = Callable[[str], Sequence[Channel]]
"""The channels of a tenant, by its slug; asked only when there is something to tell."""


@dataclass(slots=True)
class Telling:
    """What a look came to: causes that are open, messages that were taken, those nobody was there for, failures."""

    open: int = 0
    sent: int = 0
    unheard: int = 0
    failed: list[str] = field(default_factory=list)


def due(notification: Notification, channel: str, *, now: datetime, remind_after: timedelta) -> Saying | None:
    """What a channel is to be told about a cause at `now`, if anything.

    A cause is told once; again when it still lasts after `remind_after`; and its end, to whoever was told of it.
    """
    told = notification.told.get(channel)
    if notification.resolved_at is not None:
        return Saying.RESOLVED if told is not None and told < notification.resolved_at else None
    if told is None:
        return Saying.NEW
    return Saying.REMINDER if told <= now - remind_after else None


def look_and_tell(
    database: Database,
    *,
    settings: NotificationSettings,
    channels: ChannelsOf,
    base_url: str | None,
    only: Sequence[SyncConfigId] | None = None,
    looking: str | None = None,
    now: datetime | None = None,
) -> Telling:
    """Find every cause set-based, or those of the sync configs `only`, and tell what is due.

    `looking` is the DAG that looks. `now` is Postgres's own clock when it is not given. A channel that fails holds up
    no other.
    """
    with database.session() as connection:
        now = now or store.moment(connection)
        healths = states.read_health(connection, now=now, only=only)
        causes = causes_of(healths, now=now, settings=settings)
        if only is None:  # a run says nothing of what is no sync's
            causes += rotation_causes(credentials.kept_secrets(connection, now=now), now=now, settings=settings)
            causes += waiting_causes(read_waiting(connection, now=now))
        store.observe(connection, causes, now=now, only=only, looking=looking)
        by_config = {health.config_id: health for health in healths}
        teller = _Teller(connection, settings, channels, base_url, now, by_config)
        return teller.tell(store.unsettled(connection, only=only))


def tell_one(
    database: Database, cause: Cause, *, settings: NotificationSettings, channels: ChannelsOf, base_url: str | None
) -> Telling:
    """Write down one cause that was seen now, and tell it if that is due."""
    with database.session() as connection:
        now = store.moment(connection)
        store.note(connection, cause, now=now)
        found = [one for one in store.unsettled(connection) if one.cause == cause.key]
        return _Teller(connection, settings, channels, base_url, now, {}).tell(found)


@dataclass(slots=True)
class _Teller:
    connection: Connection
    settings: NotificationSettings
    channels: ChannelsOf
    base_url: str | None
    now: datetime
    healths: Mapping[SyncConfigId, SyncHealth]
    result: Telling = field(default_factory=Telling)
    by_tenant: dict[str, Sequence[Channel]] = field(default_factory=dict)

    def tell(self, found: Sequence[Notification]) -> Telling:
        for notification in found:
            self.result.open += notification.resolved_at is None
            self._tell(notification)
        return self.result

    def _tell(self, notification: Notification) -> None:
        channels = self._channels(notification.tenant)
        if not channels:
            self.result.unheard += notification.resolved_at is None
            return
        if not any(self._due(notification, channel) for channel in channels):
            return
        claimed = store.claim(self.connection, notification.id)
        if claimed is None:  # somebody else is telling it
            return
        try:
            for channel in channels:
                self._send(claimed, channel)
        finally:
            store.release(self.connection, notification.id)

    def _send(self, notification: Notification, channel: Channel) -> None:
        saying = self._due(notification, channel)
        if saying is None:
            return
        health = self.healths.get(notification.config_id) if notification.config_id else None
        message = compose(notification, saying, health=health, base_url=self.base_url, now=self.now)
        try:
            channel.send(message)
        except NotificationFailed as error:
            self.result.failed.append(f"{channel.name}: {error}")
            log.warning("message_not_taken", channel=channel.name, cause=notification.cause, why=str(error))
            return
        store.mark_told(self.connection, notification.id, channel=channel.name, at=self.now)
        self.result.sent += 1
        log.info("told", channel=channel.name, cause=notification.cause, saying=saying.value)

    def _due(self, notification: Notification, channel: Channel) -> Saying | None:
        return due(notification, channel.name, now=self.now, remind_after=self.settings.remind_after)

    def _channels(self, tenant: str) -> Sequence[Channel]:
        if tenant not in self.by_tenant:
            self.by_tenant[tenant] = self.channels(tenant)
        return self.by_tenant[tenant]
