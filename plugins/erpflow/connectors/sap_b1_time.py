"""The clock of a Service Layer: dates and times in separate fields, in the local time of the server, without a zone.

`UpdateDate` is a day (v2 writes midnight with a Z that means nothing), `UpdateTime` a time of day to the second; older
patches know only minutes (UNVERIFIED). Together they are a stamp, `2026-11-25T14:03:11`, or the day alone where there
is no time. Source: SAP, "Working with SAP Business One Service Layer", p. 33.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from erpflow.errors import ConfigError
from erpflow.vocabulary import Window

MIDNIGHT: Final = "00:00:00"
MIDNIGHT_WITH_ZONE: Final = "T00:00:00Z"
_DURATION = re.compile(r"PT(?:(\d{1,2})H)?(?:(\d{1,2})M)?(?:(\d{1,2})(?:\.\d+)?S)?$")  # strict v3 tools (UNVERIFIED)
_DAY_LENGTH: Final = 10
_OLDEST_YEAR: Final = 1753  # SQL Server's first


@dataclass(frozen=True, slots=True)
class Bounds:
    """A window as the server writes time: stamps, `lower` inclusive, `upper` exclusive."""

    lower: str | None = None
    upper: str | None = None


def day_of(text: object) -> str | None:
    """The day of a date in any of the forms the vendor writes; None when it is none."""
    if not isinstance(text, str) or len(text) < _DAY_LENGTH:
        return None
    day = text[:_DAY_LENGTH]
    try:
        date.fromisoformat(day)
    except ValueError:
        return None
    return day


def time_of(text: object) -> str | None:
    """A time of day as HH:MM:SS; None when it is none."""
    if not isinstance(text, str) or not text:
        return None
    if duration := _DURATION.match(text):
        hour, minute, second = (int(part or 0) for part in duration.groups())
        text = f"{hour:02}:{minute:02}:{second:02}"
    try:
        return time.fromisoformat(text).replace(microsecond=0, tzinfo=None).isoformat()
    except ValueError:
        return None


def stamp_of(day: object, clock: object) -> str | None:
    """A stamp; the day alone when there is no time of day, None when there is no day."""
    found = day_of(day)
    if found is None:
        return None
    at = time_of(clock)
    return f"{found}T{at}" if at else found


def parts_of(stamp: str) -> tuple[str, str | None]:
    """The day and the time of day of a stamp."""
    day, separator, at = stamp.partition("T")
    return day, at if separator else None


def is_stamp(text: str) -> bool:
    """Whether a text is a stamp as `stamp_of` writes it."""
    return stamp_of(*parts_of(text)) == text


def to_instant(text: str, *, zone: str) -> datetime | None:
    """A stamp (what follows behind a space is not looked at) as aware UTC; None when it is none.

    Of an hour that runs twice it is the earlier one.
    """
    stamp = text.partition(" ")[0]
    if not stamp or not is_stamp(stamp):
        return None
    try:
        return datetime.fromisoformat(stamp).replace(tzinfo=_zone(zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def bounds_of(window: Window, *, zone: str) -> Bounds:
    """The window in the server's time, to whole seconds, and widened where the local clock runs an hour twice."""
    place = _zone(zone)
    return Bounds(_local(window.since, place, is_lower=True), _local(window.until, place, is_lower=False))


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def _local(instant: datetime | None, zone: ZoneInfo, *, is_lower: bool) -> str | None:
    if instant is None:
        return None
    if instant.tzinfo is None:
        raise ConfigError(f"The window's bound {instant.isoformat()} has no time zone. Write it with an offset, or Z.")
    try:
        local = instant.astimezone(zone)
        wall = local.replace(tzinfo=None, fold=0)
        twice = _repeated(local)
        # In the first run of a repeated hour, later records may carry earlier times; in the second, earlier ones later.
        if is_lower and local.fold == 0:
            wall -= twice
        elif not is_lower and local.fold == 1:
            wall += twice
        if wall.microsecond:  # a stamp has none: it is at or behind a bound when it is at or behind the next second
            wall = wall.replace(microsecond=0) + timedelta(seconds=1)
    except OverflowError:
        return None
    return None if is_lower and wall.year < _OLDEST_YEAR else wall.isoformat(timespec="seconds")


def _repeated(local: datetime) -> timedelta:
    """How much of local time runs twice at this moment: zero except in the hour the clocks go back."""
    early, late = local.replace(fold=0).utcoffset(), local.replace(fold=1).utcoffset()
    return early - late if early and late and early > late else timedelta(0)
