"""The times of a declared system: as it writes them, and as it wants them in a filter."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Final
from zoneinfo import ZoneInfo

ISO: Final = "iso"
UNIX: Final = {"unix": 1, "unix_ms": 1000}


def instant_of(text: str, *, pattern: str, zone: str) -> datetime | None:
    """A time stamp as aware UTC; `zone` is that of times without one. None when it is no time."""
    try:
        if pattern in UNIX:
            return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=_micros(text, UNIX[pattern]))
        at = datetime.fromisoformat(text) if pattern == ISO else datetime.strptime(text, pattern)  # noqa: DTZ007
        return (at.replace(tzinfo=ZoneInfo(zone)) if at.tzinfo is None else at).astimezone(UTC)
    except (ValueError, OverflowError, InvalidOperation, TypeError):
        return None


def written(at: datetime, *, pattern: str, zone: str) -> str | int:
    """A time as a filter wants it, never later than it is."""
    if pattern in UNIX:
        micros = (at - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1)
        return micros * UNIX[pattern] // 1_000_000
    local = at.astimezone(ZoneInfo(zone))
    if pattern != ISO:
        return local.strftime(pattern)
    return local.isoformat().replace("+00:00", "Z")


def _micros(text: str, per_second: int) -> int:
    if len(text) > 30:
        raise ValueError("no time has so many digits")
    return int(Decimal(text) * 1_000_000 / per_second)
