"""Vendors that count changes instead of dating them: a count as an instant, so that it orders versions and is a cursor.

A second for each count since 1970: far in the past whatever the count, so that no clock is ever behind it, and exact
both ways. Such an instant says which of two versions is the newer one, and nothing about when it was made
(docs/adr/0016-a-cursor-that-counts.md).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

FIRST: Final = datetime(1970, 1, 1, tzinfo=UTC)
STEP: Final = timedelta(seconds=1)
MOST: Final = 1_000_000_000
"""The largest count there can be: it stands for a day in 2001."""


def instant_of(count: int) -> datetime | None:
    """The instant that stands for a count; None for what cannot be one."""
    return FIRST + count * STEP if 0 <= count <= MOST else None


def first_from(instant: datetime) -> int:
    """The smallest count whose instant is not before this one. Every day of ours lies behind the largest count."""
    return max(0, -((FIRST - instant) // STEP))


def last_before(instant: datetime) -> int:
    """The largest count whose instant is before this one; -1 when there is none."""
    return first_from(instant) - 1
