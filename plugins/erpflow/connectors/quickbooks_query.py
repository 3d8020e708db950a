"""QuickBooks' query language: statements about one entity, its texts and its times. No request is sent from here.

Source: the vendor sheet, "Read"; the escape of a backslash is UNVERIFIED.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from erpflow.errors import ConfigError

LAST_UPDATED: Final = "MetaData.LastUpdatedTime"
ORDER: Final = f"{LAST_UPDATED}, Id"
MOST: Final = 1000
"""Records of one answer, at most."""

_FRACTION = re.compile(r"(\.\d{6})\d+")
_SECOND: Final = timedelta(seconds=1)


def text_of(value: str) -> str:
    """A value in quotes."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def time_of(moment: datetime) -> str:
    """A moment in quotes, in whole seconds: `MetaData` has no more."""
    return f"'{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}Z'"


def one_of(field: str, values: Iterable[str]) -> str:
    return f"{field} in ({','.join(text_of(value) for value in values)})"


def select(
    columns: str,
    remote: str,
    conditions: Sequence[str],
    *,
    order: str | None = None,
    start: int = 1,
    most: int | None = None,
) -> str:
    """A statement. `start` counts from 1."""
    parts = ["select", columns, "from", remote]
    if conditions:
        parts.append(f"where {' and '.join(conditions)}")
    if order:
        parts.append(f"orderby {order}")
    if most is not None:
        parts.append(f"startposition {start} maxresults {most}")
    return " ".join(parts)


def to_instant(text: str) -> datetime | None:
    """A time of the vendor's as aware UTC; None when it is none, or has no offset.

    Answers have seconds or milliseconds, CloudEvents nanoseconds, of which Python reads six digits.
    """
    try:
        at = datetime.fromisoformat(_FRACTION.sub(r"\1", text))
        return at.astimezone(UTC) if at.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def checked(moment: datetime | None) -> datetime | None:
    """A bound of a window in UTC. Raises ConfigError for one without a time zone."""
    if moment is not None and moment.tzinfo is None:
        raise ConfigError(f"The window's bound {moment.isoformat()} has no time zone. Write it with an offset, or Z.")
    return moment.astimezone(UTC) if moment is not None else None


def second_above(moment: datetime) -> datetime:
    """The first whole second that is not before a moment: of times in whole seconds, those before it are the same."""
    whole = moment.replace(microsecond=0)
    try:
        return whole if whole == moment else whole + _SECOND
    except OverflowError:
        return whole
