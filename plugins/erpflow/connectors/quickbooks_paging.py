"""Reading an entity in order of time while others write to it.

`MetaData.LastUpdatedTime` has whole seconds, so many records share one, and a page may end between them. A position is
a second and how many of its records were read. The next page begins with the last record once more: when another one
stands there, the second's records have moved, and all of it is read again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import msgspec

from erpflow.connectors.base import Page, PageToken
from erpflow.connectors.quickbooks_company import Company, Kind
from erpflow.connectors.quickbooks_query import (
    LAST_UPDATED,
    MOST,
    ORDER,
    checked,
    second_above,
    time_of,
    to_instant,
)
from erpflow.connectors.quickbooks_wire import GONE, Head, head_of, page_bytes
from erpflow.errors import ConfigError, ProtocolError
from erpflow.vocabulary import Window

LOOK_BACK: Final = timedelta(days=30)
"""How far back change data capture tells."""
_PATIENCE: Final = 20
_MARGIN: Final = timedelta(hours=1)  # between our clock and the vendor's, and for a run that takes its time


class Position(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Where the next request starts; as JSON it is the page token.

    `at`: the second the last page ended in, `read`: how many of its records were read, `last`: the id of the last one,
    `again`: how often the second was begun anew because its records had moved.
    """

    at: str | None = None
    read: int = 0
    last: str | None = None
    again: int = 0

    def token(self) -> PageToken:
        return PageToken(msgspec.json.encode(self).decode())

    @property
    def moment(self) -> datetime | None:
        return to_instant(self.at) if self.at is not None else None


@dataclass(frozen=True, slots=True)
class Bounds:
    """A window in UTC: `since` inclusive, `until` exclusive."""

    since: datetime | None
    until: datetime | None

    @classmethod
    def of(cls, window: Window) -> Bounds:
        return cls(checked(window.since), checked(window.until))

    def holds(self, moment: datetime) -> bool:
        return (self.since is None or moment >= self.since) and (self.until is None or moment < self.until)


@dataclass(frozen=True, slots=True)
class Dated:
    """A record as it came, its head, and its time in UTC."""

    row: bytes
    head: Head
    moment: datetime


def position_of(token: PageToken | None) -> Position:
    """The position a page token stands for. Raises ConfigError when it is not one of ours."""
    if token is None:
        return Position()
    try:
        position = msgspec.json.decode(token, type=Position)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ConfigError(f"{token[:80]!r} is not a page token of QuickBooks: {error}. Start the read again.") from None
    if position.at is not None and position.moment is None:
        raise ConfigError(f"The page token holds the time {position.at!r}, which is none. Start the read again.")
    return position


def dated(row: bytes) -> Dated:
    """Raises ProtocolError for a record without a time."""
    head = head_of(row)
    moment = to_instant(head.MetaData.LastUpdatedTime)
    if moment is None:
        raise ProtocolError(f"QuickBooks dates {head.Id} with {head.MetaData.LastUpdatedTime!r}, which is no time.")
    return Dated(row, head, moment)


def pages(company: Company, kind: Kind, window: Window, position: Position, *, limit: int) -> Iterator[Page]:
    """The pages of a window: of an increment what change data capture brings, if a page holds it; else by queries."""
    bounds = Bounds.of(window)
    if position == Position() and (page := _captured(company, kind, bounds, limit=limit)) is not None:
        yield page
        return
    yield from _queried(lambda at: _page(company, kind, bounds, at, limit=limit), position)


def _queried(fetch: Callable[[Position], tuple[Page, Position | None]], position: Position) -> Iterator[Page]:
    while True:
        page, following = fetch(position)
        if page.count or following is None:
            yield page
        if following is None:
            return
        position = following


def _captured(company: Company, kind: Kind, bounds: Bounds, *, limit: int) -> Page | None:
    """All changes of a window that reaches from the last 30 days to now, as one page; None where they are too many.

    The answer is cut at 1,000 without a word, and cannot be continued: then queries read the window.
    """
    if not kind.comes_whole:
        return None
    now = company.now()
    since, until = bounds.since, bounds.until
    if since is None or not now - LOOK_BACK + _MARGIN <= since <= now or (until is not None and until < now - _MARGIN):
        return None
    # Whether the first second is among the changes is UNVERIFIED: a second more is asked for.
    answer, rows = company.changes(kind, since - timedelta(seconds=1))
    if len(rows) >= MOST:
        return None
    found = [each for each in map(dated, rows) if each.head.status != GONE and bounds.holds(each.moment)]
    if len(found) > limit:
        return None
    found.sort(key=lambda each: each.moment)
    raw = page_bytes(kind.remote, [each.row for each in found])
    return Page(raw, len(found), None, server_time=answer.server_time)


def _page(
    company: Company, kind: Kind, bounds: Bounds, position: Position, *, limit: int
) -> tuple[Page, Position | None]:
    overlaps = position.read > 0
    start = max(position.read, 1)
    most = min(limit + overlaps, MOST)
    answer, rows = company.query(kind, _conditions(bounds, position), order=ORDER, start=start, most=most)
    found = [dated(row) for row in rows]
    _check(found, bounds, position, most=most)
    if overlaps and not _continues(found, position):
        anew = _anew(position)
        return Page(page_bytes(kind.remote, []), 0, anew.token()), anew
    fresh = found[1:] if overlaps else found
    kept = [each for each in fresh if bounds.holds(each.moment)]
    following = _following(found, position, start=start) if len(found) == most else None
    raw = answer.body if len(kept) == len(rows) else page_bytes(kind.remote, [each.row for each in kept])
    token = following.token() if following else None
    return Page(raw, len(kept), token, server_time=answer.server_time), following


def _conditions(bounds: Bounds, position: Position) -> list[str]:
    """Whole seconds only: what else the vendor keeps of a time, it does not show."""
    lower = position.moment or bounds.since
    conditions = [f"{LAST_UPDATED} >= {time_of(lower)}"] if lower is not None else []
    if bounds.until is not None:
        conditions.append(f"{LAST_UPDATED} < {time_of(second_above(bounds.until))}")
    return conditions


def _continues(found: Sequence[Dated], position: Position) -> bool:
    """Whether the record that was read last still stands where it stood."""
    return bool(found) and found[0].head.Id == position.last and found[0].moment == position.moment


def _anew(position: Position) -> Position:
    """The beginning of a second whose records have moved. Raises ProtocolError when they never stand still."""
    if position.again >= _PATIENCE:
        raise ProtocolError(
            f"The records of {position.at} stand elsewhere whenever QuickBooks is asked for the next of them: "
            "it heeds no start position, or somebody is changing them all the time. Nothing was lost; run it again."
        )
    return Position(at=position.at, again=position.again + 1)


def _following(found: Sequence[Dated], position: Position, *, start: int) -> Position:
    last = found[-1]
    if last.moment == position.moment:  # still the same second: its first record is the first of the whole answer
        read = start - 1 + len(found)
        return Position(at=position.at, read=read, last=last.head.Id, again=position.again)
    read = sum(each.moment == last.moment for each in found)
    return Position(at=last.moment.isoformat(), read=read, last=last.head.Id)


def _check(found: Sequence[Dated], bounds: Bounds, position: Position, *, most: int) -> None:
    """Raises ProtocolError when the records are not those asked for: a filter, order or limit was not heeded."""
    if len(found) > most:
        raise ProtocolError(f"QuickBooks was asked for {most} records and sent {len(found)}: it heeds no limit.")
    moments = [each.moment for each in found]
    if moments != sorted(moments):
        raise ProtocolError(f"QuickBooks did not sort its answer by {ORDER!r}; reading on would lose records.")
    lower = position.moment or bounds.since
    early = bool(moments) and lower is not None and moments[0] < lower.replace(microsecond=0)
    late = bool(moments) and bounds.until is not None and moments[-1] >= second_above(bounds.until)
    if early or late:
        stray = found[0 if early else -1]
        raise ProtocolError(
            f"QuickBooks sent {stray.head.Id!r}, updated {stray.head.MetaData.LastUpdatedTime}, which is outside the "
            f"window asked for ({lower or 'the beginning'} to {bounds.until or 'now'}): it does not heed the filter."
        )
