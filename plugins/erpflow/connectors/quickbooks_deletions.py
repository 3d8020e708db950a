"""What was deleted, from change data capture: stubs of transactions, for 30 days. Names are never deleted.

An answer holds at most 1,000 changes, records and stubs together, and says nothing of what it leaves out; whether the
newest or the oldest is UNVERIFIED. So a full answer is compared with a count of the records there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec
import structlog

from erpflow.connectors.base import Deletion, Page, PageToken
from erpflow.connectors.quickbooks_company import Company, Kind
from erpflow.connectors.quickbooks_paging import LOOK_BACK, Bounds, Dated, dated
from erpflow.connectors.quickbooks_query import LAST_UPDATED, MOST, second_above, time_of, to_instant
from erpflow.connectors.quickbooks_wire import GONE, head_of, page_bytes, rows_of_page
from erpflow.errors import ConfigError, ProtocolError
from erpflow.vocabulary import RemoteId, Window

log = structlog.get_logger(__name__)

_SLACK: Final = timedelta(minutes=5)  # between our clock and the vendor's: a request for more than 30 days is refused
_AHEAD: Final = timedelta(days=1)  # nothing is deleted later than that, whoever's clock is wrong
_SECOND: Final = timedelta(seconds=1)


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The last deletion that was read: its time and its id. As JSON it is the page token."""

    at: str
    id: int

    @property
    def order(self) -> tuple[datetime | None, int]:
        return to_instant(self.at), self.id


def read_deleted(
    company: Company, kind: Kind, window: Window, *, resume: PageToken | None, limit: int
) -> Iterator[Page]:
    """The deletions of a window, oldest first. Raises ProtocolError when the vendor leaves some of them out."""
    return _pages(company, kind, Bounds.of(window), _place_of(resume), limit)


def split_deleted(entity: str, remote: str, raw: bytes) -> list[Deletion]:
    """The deletions of a landed page. Raises ProtocolError when it is none."""
    heads = [head_of(row) for row in rows_of_page(entity, remote, raw)]
    return [Deletion(RemoteId(head.Id), to_instant(head.MetaData.LastUpdatedTime)) for head in heads]


def _pages(company: Company, kind: Kind, bounds: Bounds, place: Place | None, limit: int) -> Iterator[Page]:
    """Ids are never given out again, so what was deleted stays where it is in the order of time and id."""
    start = place.order[0] if place is not None else bounds.since
    gone = sorted(_gone(company, kind, _reachable(company, kind, start)), key=_order)
    left = [each for each in gone if bounds.holds(each.moment) and (place is None or _order(each) > place.order)]
    while True:
        page, left = left[:limit], left[limit:]
        token = _token(page[-1]) if left else None
        yield Page(page_bytes(kind.remote, [each.row for each in page]), len(page), token)
        if not left:
            return


def _reachable(company: Company, kind: Kind, since: datetime | None) -> datetime:
    """From when on deletions can be had."""
    earliest = company.now() - LOOK_BACK + _SLACK
    if since is not None and since < earliest - 2 * _SLACK:
        log.warning(
            "deletions_out_of_reach", entity=kind.remote, since=since.isoformat(), known_since=earliest.isoformat()
        )
    return earliest if since is None else max(since - _SECOND, earliest)


def _gone(company: Company, kind: Kind, since: datetime) -> list[Dated]:
    """Everything that was deleted since a moment: by several requests where one answer does not hold all changes."""
    found: dict[str, Dated] = {}
    seen: set[tuple[str, datetime]] = set()
    while since <= company.now() + _AHEAD:
        _, rows = company.changes(kind, since)
        changed = [dated(row) for row in rows]
        found |= {each.head.Id: each for each in changed if each.head.status == GONE}
        here = {(each.head.Id, each.moment) for each in changed}
        if seen and here <= seen:  # nothing was left out behind the full answer before: so it was in front of it
            raise _left_out(kind, since)
        if len(changed) < MOST:
            break
        newest = max(each.moment for each in changed)
        if newest <= since or not _is_complete(company, kind, changed, since, newest):
            raise _left_out(kind, since)
        seen, since = here, newest
    return list(found.values())


def _left_out(kind: Kind, since: datetime) -> ProtocolError:
    return ProtocolError(
        f"{MOST} or more {kind.remote} changed since {since:%Y-%m-%d %H:%M}Z, and QuickBooks does not say which of "
        "them were deleted. Nothing was deleted here. Write `deletes: {find: sweep}` into the mapping, and run a full "
        "sync: it finds what is gone."
    )


def _is_complete(company: Company, kind: Kind, changed: Sequence[Dated], since: datetime, newest: datetime) -> bool:
    """Whether a full answer holds everything up to its newest change: then only later changes were left out.

    Its last second may be cut, and is read again.
    """
    held = sum(each.head.status != GONE and second_above(since) <= each.moment < newest for each in changed)
    between = [f"{LAST_UPDATED} >= {time_of(second_above(since))}", f"{LAST_UPDATED} < {time_of(newest)}"]
    # A record that changed meanwhile has left the span: the answer may hold more than there are now, never fewer.
    return company.count(kind, between) <= held


def _place_of(token: PageToken | None) -> Place | None:
    if token is None:
        return None
    try:
        place = msgspec.json.decode(token, type=Place)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ConfigError(f"{token[:80]!r} is not a page token of QuickBooks: {error}. Start the read again.") from None
    if place.order[0] is None:
        raise ConfigError(f"The page token holds the time {place.at!r}, which is none. Start the read again.")
    return place


def _order(each: Dated) -> tuple[datetime, int]:
    return each.moment, int(each.head.Id)


def _token(each: Dated) -> PageToken:
    place = Place(each.moment.isoformat(), int(each.head.Id))
    return PageToken(msgspec.json.encode(place).decode())
