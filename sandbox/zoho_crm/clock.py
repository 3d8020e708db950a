"""The organisation's clock: whole seconds, in its own time zone."""

import time
from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo


class OrgClock:
    """Times are seconds since 1970. `apart`: so many seconds at least lie between two writes (0: as it comes)."""

    def __init__(self, zone: str, *, now: Callable[[], float] = time.time) -> None:
        self.zone = ZoneInfo(zone)
        self.ahead = 0
        self.apart = 0
        self._now = now
        self._last = 0

    def now(self) -> int:
        return int(self._now()) + self.ahead

    def stamp(self) -> int:
        """The time of a write."""
        self._last = max(self.now(), self._last + self.apart)
        return self._last

    def text(self, seconds: int) -> str:
        """As Zoho writes it: `2024-05-02T10:11:12+02:00`."""
        return datetime.fromtimestamp(seconds, self.zone).isoformat(timespec="seconds")


def instant_of(text: str) -> int | None:
    """Seconds since 1970 of a time with an offset; None when it is none."""
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return int(found.timestamp()) if found.tzinfo is not None else None
