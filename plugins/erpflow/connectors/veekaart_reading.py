"""Pages of a VeeKaart table: by the time of change, behind the store's own cursor.

A list comes in the order of `updated_at`, and a cursor goes on behind the last row it gave, so that a row that changes
meanwhile comes once more at the end. The store knows `updated_since`, and no end: rows behind the window are cut off.
Source: the interchange contract, "Reads". The order, and that `updated_since` includes its moment, is UNVERIFIED; a
page that breaks either ends the read.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

import msgspec

from erpflow.connectors.base import Page, PageToken
from erpflow.connectors.veekaart_errors import UNREADABLE
from erpflow.connectors.veekaart_wire import Listing, Store, page_bytes, to_instant
from erpflow.errors import ConfigError, ProtocolError
from erpflow.vocabulary import Window


class _Token(msgspec.Struct, forbid_unknown_fields=True):
    cursor: str


_TOKEN: Final = msgspec.json.Decoder(_Token)


def cursor_of(resume: PageToken | None) -> str | None:
    """The store's cursor in a page token. Raises ConfigError for a token that is none of ours."""
    if resume is None:
        return None
    try:
        return _TOKEN.decode(resume.encode()).cursor
    except UNREADABLE:
        raise ConfigError(f"{resume[:80]!r} is no page token of VeeKaart. Start the read anew.") from None


def pages(store: Store, table: str, window: Window, *, cursor: str | None, limit: int) -> Iterator[Page]:
    """The pages of a window from a cursor on."""
    last: datetime | None = None
    while True:
        listing = store.listing(table, limit=limit, since=window.since, cursor=cursor)
        times = times_of(listing, table, since=window.since, last=last)
        kept = sum(window.until is None or time < window.until for time in times)
        is_cut = kept < len(times)
        if listing.cursor is not None and listing.cursor == cursor:
            raise ProtocolError(f"VeeKaart sent the same page of {table} twice: its cursor does not move on.")
        is_last = is_cut or listing.cursor is None
        cursor, last = listing.cursor, times[-1] if times else last
        token = None if is_last else PageToken(msgspec.json.encode(_Token(cursor or "")).decode())
        raw = page_bytes(listing.rows[:kept]) if is_cut else listing.answer.body
        yield Page(raw, kept, token, server_time=listing.answer.server_time)
        if is_last:
            return


def times_of(listing: Listing, table: str, *, since: datetime | None, last: datetime | None) -> list[datetime]:
    """The time of every row of a page that follows `last`.

    Raises ProtocolError for rows that were not asked for, or out of their order: something would be missed.
    """
    times = []
    for head in listing.heads:
        at = to_instant(head.updated_at)
        if at is None:
            raise ProtocolError(f"VeeKaart says of {head.sku!r} in {table} that it changed at {head.updated_at!r}.")
        if since is not None and at < since:
            raise ProtocolError(f"VeeKaart sent {head.sku!r} of {table}, changed before {since}: it heeds no filter.")
        if last is not None and at < last:
            raise ProtocolError(f"VeeKaart's list of {table} is not in the order of updated_at at {head.sku!r}.")
        last = at
        times.append(at)
    return times
