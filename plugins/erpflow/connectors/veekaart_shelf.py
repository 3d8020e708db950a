"""Looking rows up without a request for each: the store has single reads and lists, and nothing in between.

A store allows 120 requests a minute and takes 500 rows in one post. What it holds of each of them has to be known
first, because a post replaces whole rows. So a table is read once and kept, and every later look reads only what
changed since: one request instead of five hundred. A few rows are asked for one by one, and so are many of a store so
large that reading all of it would cost more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from erpflow.connectors.veekaart_reading import times_of
from erpflow.connectors.veekaart_wire import LARGEST_PAGE, Store

FEW: Final = 2
_NO_PATH: Final = frozenset({".", ".."})  # a path cannot end in these: every client on the way would resolve them


class Shelf:
    """The rows of one table by SKU, brought up to date before each look. For one thread."""

    def __init__(self, store: Store, table: str) -> None:
        self._store = store
        self._table = table
        self._rows: dict[str, bytes] = {}
        self._since: datetime | None = None
        self._cursor: str | None = None

    def rows(self, skus: Sequence[str]) -> dict[str, bytes]:
        """The rows of these SKUs as they are now; those that do not exist are left out."""
        wanted = list(dict.fromkeys(filter(None, skus)))
        has_odd = not _NO_PATH.isdisjoint(wanted)
        if has_odd or (len(wanted) > FEW and self._read_on(most=len(wanted))):
            known: Mapping[str, bytes] = self.every() if has_odd else self._rows
            return {sku: known[sku] for sku in wanted if sku in known}
        single = {sku: self._store.row(self._table, sku) for sku in wanted}
        return {sku: row for sku, row in single.items() if row is not None}

    def every(self) -> Mapping[str, bytes]:
        """Every row as it is now."""
        self._read_on()
        return self._rows

    def _read_on(self, *, most: int | None = None) -> bool:
        """Read on from where the last look ended, at most so many pages; whether that is all there is by now."""
        pages = 0
        while most is None or pages < most:
            listing = self._store.listing(self._table, limit=LARGEST_PAGE, since=self._since, cursor=self._cursor)
            times = times_of(listing, self._table, since=self._since, last=None)
            for head, row in zip(listing.heads, listing.rows, strict=True):
                self._rows[head.sku] = bytes(row)
            pages += 1
            self._cursor = listing.cursor
            if listing.cursor is None:
                self._since = times[-1] if times else self._since
                return True
        return False
