"""When a message that was not taken is sent again, and when its receiver is given up.

Source: Standard Webhooks, "Deliverability and reliability": the retry schedule.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

WAITS: Final = (
    timedelta(seconds=5), timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2), timedelta(hours=5),
    timedelta(hours=10), timedelta(hours=14), timedelta(hours=20), timedelta(hours=24),
)  # fmt: skip
"""What is waited after each attempt but the last: ten attempts in a little more than three days."""

JITTER: Final = 0.2
"""A wait is up to so much longer: messages that failed together do not come back together."""

LONGEST_WAIT: Final = timedelta(hours=24)
"""A receiver that asks for more patience than this is not given it."""

GIVEN_UP_AFTER: Final = timedelta(days=5)
"""A subscription to which nothing could be delivered for so long is disabled with the next message that is dead."""


def next_attempt(
    attempt: int, *, now: datetime, jitter: float, retry_after: timedelta | None = None
) -> datetime | None:
    """When to send again after the `attempt`th one failed (counted from 1); None when that was the last.

    `jitter` from 0 to 1. `retry_after`: what the receiver asked for; it is never sent to earlier than that.
    """
    if attempt > len(WAITS):
        return None
    wait = WAITS[attempt - 1] * (1 + JITTER * jitter)
    return now + max(wait, min(retry_after or timedelta(0), LONGEST_WAIT))
