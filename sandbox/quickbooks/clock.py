"""The company's clock: whole seconds, written in Pacific time. Records that are saved in one second share it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

PACIFIC = ZoneInfo("America/Los_Angeles")


def wire_time(moment: datetime) -> str:
    """A moment as `MetaData` has it: `2024-05-01T12:55:50-07:00`."""
    return moment.astimezone(PACIFIC).isoformat(timespec="seconds")


def answer_time(moment: datetime) -> str:
    """A moment as an answer's `time` has it, with milliseconds."""
    return moment.astimezone(PACIFIC).isoformat(timespec="milliseconds")


class CompanyClock:
    """The wall clock, and what the side door added to it."""

    def __init__(self, now: Callable[[], datetime] | None = None) -> None:
        self._now = now or (lambda: datetime.now(UTC))
        self._ahead = timedelta()

    def now(self) -> datetime:
        return self._now() + self._ahead

    def second(self) -> datetime:
        """The moment a save is dated with."""
        return self.now().replace(microsecond=0)

    def skip(self, seconds: float) -> None:
        self._ahead += timedelta(seconds=seconds)
