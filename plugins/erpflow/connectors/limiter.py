"""How a transport is kept within a vendor's limits (invariant 10): the protocol, and the limiters of one process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

from erpflow.connectors.base import Limits


class Limiter(Protocol):
    """What every request passes before it is sent."""

    def acquire(self, cost: float = 1.0) -> float:
        """Reserves the next request and says how many seconds to wait before sending it; 0 is now.

        `cost`: what the vendor counts it as, when that is not one.
        """

    def leave(self) -> float:
        """Says, after the wait, that what this thread acquired last is sent now.

        Gives 0, or how many seconds to wait before asking again.
        """

    def done(self) -> None:
        """What this thread acquired last is over: answered, broken, or never sent."""

    def pause(self, seconds: float) -> None:
        """Nobody may send for so many seconds: the vendor said so. A shorter pause never shortens a longer one."""


class Unlimited:
    """Lets everything through: for tests, and for vendors that keep their own queue."""

    def acquire(self, cost: float = 1.0) -> float:
        return 0.0

    def leave(self) -> float:
        return 0.0

    def done(self) -> None:
        """Nobody counts."""

    def pause(self, seconds: float) -> None:
        """Nothing to remember: the transport itself sleeps through the wait it was told."""


class LocalLimiter:
    """A token bucket in this process, for the command line and for tests: other workers do not see it."""

    def __init__(self, limits: Limits, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval = 1.0 / limits.per_second if limits.per_second else 0.0
        self._burst = max(limits.per_second or 0.0, 1.0) * self._interval
        self._clock = clock
        self._next = clock() - self._burst
        self._paused_until = self._next
        self._lock = threading.Lock()

    def acquire(self, cost: float = 1.0) -> float:
        with self._lock:
            now = self._clock()
            # A pause does not spend the bucket: what waits for its end leaves at the vendor's rate, not all at once.
            slot = max(self._next, now - self._burst, self._paused_until)
            self._next = slot + cost * self._interval
            return max(0.0, slot - now)

    def leave(self) -> float:
        return 0.0

    def done(self) -> None:
        """One process asks one request after the other."""

    def pause(self, seconds: float) -> None:
        with self._lock:
            self._paused_until = max(self._paused_until, self._clock() + seconds)
