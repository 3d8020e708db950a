"""The site's clock: naive local time with microseconds, never the same twice, never backwards."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

TICK = timedelta(microseconds=1)


def wire_time(moment: datetime) -> str:
    """A naive local moment as Frappe writes it: `2026-11-21 07:16:50.777679`."""
    return moment.isoformat(sep=" ", timespec="microseconds")


class SiteClock:
    """Site-local time, strictly increasing: two documents saved in a row differ at least by a microsecond."""

    def __init__(self, zone: str, *, now: Callable[[], datetime] | None = None) -> None:
        self.zone = ZoneInfo(zone)
        self._now = now or (lambda: datetime.now(UTC))
        self._last = datetime.min  # noqa: DTZ901 - the vendor's times are naive

    def local(self) -> datetime:
        """The naive local time, without moving the clock."""
        return self._now().astimezone(self.zone).replace(tzinfo=None)

    def not_before(self, moment: datetime) -> None:
        """Let the next stamp be later than this naive local moment."""
        self._last = max(self._last, moment)

    def stamp(self) -> str:
        """The next time for a `creation` or `modified` column."""
        self._last = max(self.local(), self._last + TICK)
        return wire_time(self._last)

    def today(self) -> str:
        return self.local().date().isoformat()
