"""Notifications: channels over which Zoho calls us when records change, for a week at most.

A channel that runs out says nothing, so it is renewed well before. What a callback holds, and how it is checked, is the
receiver's business: it carries no signature, only the channel's `token`.

Source: docs/api/v8/notifications/enable, update-details, disable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from erpflow.connectors.answer import Answer
from erpflow.connectors.transport import Transport
from erpflow.connectors.zoho_crm_errors import error_body, judge
from erpflow.connectors.zoho_crm_wire import decode, encode, is_empty, to_instant
from erpflow.errors import ConfigError, ErpflowError, ProtocolError

LONGEST: Final = timedelta(days=7)
"""A longer expiry falls back to an hour (UNVERIFIED for v8)."""
RENEW_BEFORE: Final = timedelta(days=1)
LONGEST_TOKEN: Final = 50
_PATH: Final = "/crm/v8/actions/watch"
_MARGIN: Final = timedelta(minutes=5)  # our clock and theirs
_NOT_SUBSCRIBED: Final = "NOT_SUBSCRIBED"
_JSON: Final = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel: its number (chosen by us), the modules it watches, where it calls, and until when.

    `events` such as `Accounts.all`, `Deals.edit`. `token` comes back in every callback: a secret.
    """

    number: str
    events: tuple[str, ...]
    notify_url: str = field(repr=False)
    token: str = field(repr=False)
    expires_at: datetime | None = None


class _Event(msgspec.Struct):
    channel_expiry: str | None = None


class _Details(msgspec.Struct):
    events: list[_Event] = []


class _Row(msgspec.Struct):
    status: str = ""
    code: str = ""
    message: str = ""
    details: Any = None


class _Rows(msgspec.Struct):
    watch: list[_Row]


class _Watched(msgspec.Struct):
    channel_id: str | int
    events: list[str] | None = None
    channel_expiry: str | None = None
    notify_url: str = ""
    token: str | None = None


class _Info(msgspec.Struct):
    more_records: bool = False


class _List(msgspec.Struct):
    watch: list[_Watched]
    info: _Info = msgspec.field(default_factory=_Info)


_ROWS: Final = msgspec.json.Decoder(_Rows)
_LIST: Final = msgspec.json.Decoder(_List)


class Notifications:
    """The channels of one connection."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(self, channel: Channel, *, now: datetime) -> datetime:
        """Open a channel; until when it lives. Raises ConfigError for what Zoho does not take."""
        return self._subscribed("POST", channel, now=now)

    def renew(self, channel: Channel, *, now: datetime) -> datetime:
        """Give a channel another week; until when. A channel that has run out is opened anew."""
        try:
            return self._subscribed("PUT", channel, now=now)
        except _NotSubscribed:
            return self.create(channel, now=now)

    def list(self) -> list[Channel]:
        """The channels that live, with their events and expiry."""
        found: list[Channel] = []
        page, more = 0, True
        while more:
            page += 1
            query = {"page": str(page), "per_page": "200"}
            answer = self._transport.request("GET", _PATH, query=query, judge=judge)
            if is_empty(answer):
                break
            listed = decode(answer, _LIST)
            found += [_channel_of(watched) for watched in listed.watch]
            more = listed.info.more_records and bool(listed.watch)
        return found

    def delete(self, numbers: Sequence[str]) -> None:
        """Close channels; those that are closed already do not matter."""
        if not numbers:
            return
        query = {"channel_ids": ",".join(numbers)}
        # Closing twice is closing once.
        answer = self._transport.request("DELETE", _PATH, query=query, judge=_judge, idempotent=True)
        for row in _rows(answer):
            if row.status != "success" and row.code != _NOT_SUBSCRIBED:
                raise _refused(row)

    def keep(self, channel: Channel, *, now: datetime) -> datetime:
        """See to it that a channel lives for another day at least: open it, renew it, or leave it as it is."""
        living = {found.number: found for found in self.list()}.get(channel.number)
        if living is None:
            return self.create(channel, now=now)
        is_same = set(living.events) == set(channel.events) and living.notify_url == channel.notify_url
        if is_same and living.expires_at is not None and living.expires_at - now > RENEW_BEFORE:
            return living.expires_at
        return self.renew(channel, now=now)

    def _subscribed(self, method: str, channel: Channel, *, now: datetime) -> datetime:
        if not channel.number.isdigit() or not channel.events or not 0 < len(channel.token) <= LONGEST_TOKEN:
            raise ConfigError(
                f"A channel of Zoho needs a number, an event, and a token of at most {LONGEST_TOKEN} characters."
            )
        wanted = {
            "channel_id": channel.number,
            "events": list(channel.events),
            "channel_expiry": (now + LONGEST - _MARGIN).isoformat(timespec="seconds"),
            "token": channel.token,
            "notify_url": channel.notify_url,
            "notify_on_related_action": False,  # else a contact's change tells of its account too
        }
        # A channel has its number from us: opening it twice opens one.
        answer = self._transport.request(
            method, _PATH, body=encode({"watch": [wanted]}), headers=_JSON, judge=_judge, idempotent=True
        )
        (row,) = _rows(answer)[:1] or [_Row()]
        if row.status != "success":
            raise _refused(row)
        details = msgspec.convert(row.details, _Details)
        expiries = [found for event in details.events if (found := to_instant(event.channel_expiry or ""))]
        if not expiries:
            raise ProtocolError(f"Zoho opened the channel {channel.number} and does not say until when.")
        return min(expiries)


class _NotSubscribed(ConfigError):
    """There is no such channel, or no more."""


def _judge(answer: Answer) -> ErpflowError | None:
    """An answer with a row for each channel tells more than its status."""
    return None if error_body(answer.body) is None and b'"watch"' in answer.body else judge(answer)


def _rows(answer: Answer) -> Sequence[_Row]:
    return [] if is_empty(answer) else decode(answer, _ROWS).watch


def _refused(row: _Row) -> ConfigError:
    if row.code == _NOT_SUBSCRIBED:
        return _NotSubscribed("Zoho knows no such channel.")
    about = row.details.get("api_name") if isinstance(row.details, dict) else None
    where = f" ({about})" if about else ""
    return ConfigError(
        f"Zoho does not take the channel: {row.code}{where}: {row.message}. Check its events and address."
    )


def _channel_of(watched: _Watched) -> Channel:
    return Channel(
        number=str(watched.channel_id),
        events=tuple(watched.events or ()),
        notify_url=watched.notify_url,
        token=watched.token or "",
        expires_at=to_instant(watched.channel_expiry or ""),
    )
