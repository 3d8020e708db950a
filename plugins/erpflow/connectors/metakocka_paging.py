"""Reading lists that can only be counted through (`limit`, `offset`) while others insert, delete and change.

A row that leaves the list moves all behind it one place forward, over the edge of the page just read; one that comes in
moves them back. So every page begins with the last rows of the page before: where they are found says where to go on,
and when none of them is there, earlier pages are asked for again. No request is sent from here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from erpflow.connectors.base import PageToken
from erpflow.errors import ConfigError, ProtocolError

_OVERLAP: Final = 3  # rows of the page before
_STALLS: Final = 20  # full pages without anything new, until the vendor is said not to heed the offset


class Position(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Where to go on: in which list, how many of its rows are behind us, and the ids of the last of them."""

    part: str = ""
    offset: int = 0
    seen: tuple[str, ...] = ()

    def token(self) -> PageToken:
        return PageToken(msgspec.json.encode(self).decode())


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a list as it came, and its id."""

    id: str
    raw: bytes


Fetch = Callable[[int, int], Sequence[Row]]
"""Asks for so many rows (second) behind an offset (first)."""


def position_of(token: PageToken | None, *, parts: Sequence[str]) -> Position:
    """The position a page token stands for; the first list without one. Raises ConfigError for one of others."""
    if token is None:
        return Position(parts[0])
    try:
        position = msgspec.json.decode(token, type=Position)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ConfigError(f"{token[:80]!r} is not a page token of Metakocka: {error}. Start the read again.") from None
    if position.part not in parts or position.offset < 0:
        raise ConfigError(f"{token[:80]!r} is not a page token of this read of Metakocka. Start the read again.")
    return position


def walk(fetch: Fetch, position: Position, *, limit: int) -> Iterator[tuple[Sequence[Row], Position | None]]:
    """The rows of one list from a position to its end, and where each page ends; None behind the last.

    Raises ProtocolError when the vendor heeds neither limit nor offset.
    """
    overlap, stalled = min(_OVERLAP, limit - 1), 0
    here: Position | None = position
    while here is not None:
        start = here.offset - min(len(here.seen), here.offset)
        rows = fetch(start, limit)
        if len(rows) > limit:
            raise ProtocolError(f"Metakocka was asked for {limit} rows and sent {len(rows)}: it heeds no limit.")
        found = _fresh(here, rows)
        if found is None and start > 0:
            here = Position(here.part, max(0, start - limit + overlap), here.seen)  # rows before it have gone
            continue
        found = rows if found is None else found
        stalled = 0 if found or len(rows) < limit else stalled + 1
        if stalled > _STALLS:
            raise ProtocolError("Metakocka repeats its rows: it does not heed the offset.")
        here = _next(here, rows, start, overlap) if len(rows) == limit else None
        yield found, here


def _fresh(here: Position, rows: Sequence[Row]) -> Sequence[Row] | None:
    """The rows behind the first of those seen last; None when none of these is there.

    Behind the first, and not behind the last: one that somebody renames may move on in the list, over unread ones.
    """
    if not here.seen:
        return rows
    places = [place for place, row in enumerate(rows) if row.id in here.seen]
    return [row for row in rows[places[0] :] if row.id not in here.seen] if places else None


def _next(here: Position, rows: Sequence[Row], start: int, overlap: int) -> Position:
    last = tuple(row.id for row in rows[len(rows) - overlap :] if row.id) if overlap else ()
    return Position(here.part, start + len(rows), last)
