"""How much the vendor lets through: requests and batches of the last minute, and requests under way."""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sandbox.quickbooks.faults import throttled

if TYPE_CHECKING:
    from sandbox.quickbooks.company import Switches

SPAN_S = 60.0


@dataclass(slots=True)
class Limits:
    """The requests of the last minute, by when they came, and how many are being worked on."""

    requests: deque[float] = field(default_factory=deque)
    batches: deque[float] = field(default_factory=deque)
    under_way: int = 0

    @contextmanager
    def counted(self, switches: "Switches", *, is_batch: bool) -> Iterator[None]:
        """Count a request while it is worked on. Raises Refused when it is one too many."""
        now = time.monotonic()
        if self.under_way >= switches.concurrent or not _takes(self.requests, now, switches.per_minute):
            raise throttled()
        if is_batch and not _takes(self.batches, now, switches.batches_per_minute):
            raise throttled()
        self.under_way += 1
        try:
            yield
        finally:
            self.under_way -= 1


def _takes(times: deque[float], now: float, most: int) -> bool:
    while times and times[0] <= now - SPAN_S:
        times.popleft()
    if len(times) >= most:
        return False
    times.append(now)
    return True
