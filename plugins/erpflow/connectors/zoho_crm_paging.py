"""Paging through a module by the time of modification, so that people may insert and save while we read.

A page begins where the last one ended: its last time goes into `If-Modified-Since`, and what was read of that second
is remembered. Pages by number would slip when somebody saves what was read: everything behind it moves up.

Only where one second fills more than a page (an import) do pages go on by `page`, and behind the 2,000th row by
`page_token`. The token is bound to all parameters and to the header, so nothing of the request changes meanwhile. At
the end of such a second a COQL query tells what has slipped through.

Source: docs/api/v8/get-records.html. Whether `If-Modified-Since` means "after" or "at or after" is UNVERIFIED: we ask
for a second more, and leave out what we have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import msgspec

from erpflow.connectors.answer import Answer
from erpflow.connectors.zoho_crm_errors import PageTokenWorn
from erpflow.connectors.zoho_crm_modules import Module
from erpflow.connectors.zoho_crm_org import API, Organisation
from erpflow.connectors.zoho_crm_wire import HEADS, Head, decode, instant_of, is_empty, rows_of
from erpflow.errors import ProtocolError
from erpflow.vocabulary import Window

BY_NUMBER: Final = 2_000  # rows that `page` reaches
_SECOND: Final = timedelta(seconds=1)
_LARGEST_PAGE: Final = 200
_MOST_RESTARTS: Final = 2


class Position(msgspec.Struct, frozen=True):
    """How far a read has come: everything before `at`, and of that second the records `seen`.

    `page` or `page_token`: where in a second that fills several pages; `restarts`: how often it was begun anew.
    """

    at: datetime | None = None
    seen: list[str] = []
    page: int = 1
    page_token: str | None = None
    restarts: int = 0

    @property
    def is_inside_a_second(self) -> bool:
        return self.page > 1 or self.page_token is not None


@dataclass(frozen=True, slots=True)
class Listing:
    """One list: the answer, its records' heads and times, and whether there are more."""

    answer: Answer
    heads: Sequence[Head]
    times: Sequence[datetime]
    more: bool
    next_page_token: str | None


@dataclass(frozen=True, slots=True)
class Step:
    """What of a list is new, by its places; ids that had slipped through; and where to go on (None: the end)."""

    fresh: Sequence[int]
    slipped: Sequence[str]
    next: Position | None


class Pager:
    """Reads one module, page by page. `fields` of the list; `size` in records."""

    def __init__(self, org: Organisation, module: Module, window: Window, *, fields: Sequence[str], size: int) -> None:
        self._org = org
        self._module = module
        self._window = window
        self._fields = ",".join(fields)
        self._size = min(size, _LARGEST_PAGE)

    def step(self, position: Position) -> tuple[Listing, Step]:
        """The next page, and what is new of it. Raises what the vendor raises, and ProtocolError for a list that
        does not keep what its parameters say.
        """
        try:
            listing = self._list(position)
        except PageTokenWorn:
            if position.restarts >= _MOST_RESTARTS:
                raise
            # That second once more, without what was seen of it.
            position = Position(position.at, position.seen, restarts=position.restarts + 1)
            listing = self._list(position)
        fresh = self._fresh(listing, position)
        read_on = self._following(listing, position, fresh)
        is_past = read_on is None or read_on.at != position.at
        slipped = self._slipped(listing, position) if position.is_inside_a_second and is_past else []
        return listing, Step(fresh, slipped, read_on)

    def _list(self, position: Position) -> Listing:
        query = {
            "fields": self._fields,
            "per_page": str(self._size),
            "sort_by": "Modified_Time",
            "sort_order": "asc",
            **self._module.query,
        }
        where = {"page_token": position.page_token} if position.page_token else {"page": str(position.page)}
        since = position.at or self._window.since
        headers = {} if since is None else {"If-Modified-Since": (since - _SECOND).isoformat(timespec="seconds")}
        answer = self._org.ask(f"{API}/{self._module.name}", {**query, **where}, headers=headers)
        if is_empty(answer):
            return Listing(answer, [], [], more=False, next_page_token=None)
        found = decode(answer, HEADS)
        times = [instant_of(head, self._module.name) for head in found.data]
        self._check(times, since)
        return Listing(answer, found.data, times, found.info.more_records, found.info.next_page_token)

    def _check(self, times: Sequence[datetime], since: datetime | None) -> None:
        """A parameter that is not heeded would lose records, or read all of them with every run."""
        if list(times) != sorted(times):
            raise ProtocolError(f"Zoho's list of {self._module.name} is not in the order of Modified_Time.")
        if since is not None and times and times[0] < since.replace(microsecond=0) - _SECOND:
            raise ProtocolError(
                f"Zoho was asked for {self._module.name} modified since {since:%Y-%m-%d %H:%M:%S}Z and sent one of "
                f"{times[0]:%Y-%m-%d %H:%M:%S}Z: it does not heed If-Modified-Since."
            )

    def _fresh(self, listing: Listing, position: Position) -> list[int]:
        """The places of records that are in the window and were not read yet."""
        at, seen = position.at or self._window.since, set(position.seen)
        return [
            place
            for place, (head, time) in enumerate(zip(listing.heads, listing.times, strict=True))
            if (at is None or time > at or (time == at and head.id not in seen)) and self._is_before_end(time)
        ]

    def _is_before_end(self, time: datetime) -> bool:
        return self._window.until is None or time < self._window.until

    def _following(self, listing: Listing, position: Position, fresh: Sequence[int]) -> Position | None:
        if not listing.more or not listing.times or not self._is_before_end(listing.times[-1]):
            return None
        last = listing.times[-1]
        if position.at is None or last > position.at:
            seen = [head.id for head, time in zip(listing.heads, listing.times, strict=True) if time == last]
            return Position(last, seen)
        known = set(position.seen)
        seen = [*position.seen, *(listing.heads[place].id for place in fresh if listing.heads[place].id not in known)]
        if position.page_token is None and (position.page + 1) * self._size <= BY_NUMBER:
            return Position(position.at, seen, page=position.page + 1, restarts=position.restarts)
        if listing.next_page_token is None:
            raise ProtocolError(f"Zoho says that there are more {self._module.name}, and gives no page token for them.")
        return Position(position.at, seen, page_token=listing.next_page_token, restarts=position.restarts)

    def _slipped(self, listing: Listing, position: Position) -> list[str]:
        """Records of the second that is now behind us which no page held."""
        if position.at is None or not self._is_before_end(position.at):
            return []
        read = {*position.seen, *(head.id for head in listing.heads)}
        moment = position.at.isoformat(timespec="seconds")
        return [one for one in self._org.ids_modified_at(self._module, moment) if one not in read]


def records_at(listing: Listing, places: Sequence[int]) -> list[bytes]:
    """The records at these places of a list."""
    rows = rows_of(listing.answer)
    return [rows[place] for place in places]
