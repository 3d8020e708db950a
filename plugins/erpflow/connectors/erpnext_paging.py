"""Reading a DocType in order of (modified, name) while others write to it. No request is sent from here.

`limit_start` counts rows, and an update moves a row to the end of the order: every row behind it slides one place
forward, over the edge of the page just read. A keyset has no such edge (docs/adr/0004-keyset-paging-for-erpnext.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from erpflow.connectors.base import Page, PageToken
from erpflow.errors import ConfigError, ProtocolError
from erpflow.vocabulary import Window

Filter = list[Any]
"""`[field, operator, value]`, as Frappe's lists take it."""

ORDER: Final = "modified asc, name asc"
_MOST_TIES: Final = 20  # names a token may hold; above that the rows of one time stamp are read in order of name
_FIRST_TIME: Final = "1000-01-01 00:00:00.000000"  # MariaDB's earliest; Frappe takes earlier ones for "no date"
_TIME_LENGTH: Final = len(_FIRST_TIME)
_OLDEST_YEAR: Final = 1900


class Head(msgspec.Struct, gc=False):
    """What paging needs of a record; the rest of it is skipped over, not decoded."""

    name: str | int | None = None
    modified: Any = None


class Position(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Where the next request starts; as JSON it is the page token.

    `at` is the site-local time stamp the last page ended with (None: before all, or rows that have none). Then either
    `seen`: the names already read at that time; or `after`: continue inside that time behind this name; or `past`:
    that time is done.
    """

    at: str | None = None
    seen: tuple[str, ...] = ()
    after: str | None = None
    past: bool = False

    @property
    def inside_a_tie(self) -> bool:
        return self.after is not None

    def token(self) -> PageToken:
        return PageToken(msgspec.json.encode(self).decode())


@dataclass(frozen=True, slots=True)
class Bounds:
    """A window as the site writes time: naive, local, microseconds. `lower` inclusive, `upper` exclusive."""

    lower: str | None
    upper: str | None


@dataclass(frozen=True, slots=True)
class Step:
    """What a page brought: which of its rows are new (None: all), and where to go on (None: that was the end)."""

    fresh: list[int] | None
    next: Position | None


def position_of(token: PageToken | None) -> Position:
    """The position a page token stands for. Raises ConfigError when it is not one of ours."""
    if token is None:
        return Position()
    try:
        position = msgspec.json.decode(token, type=Position)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ConfigError(f"{token[:80]!r} is not a page token of ERPNext: {error}. Start the read again.") from None
    # The vendor answers a time it cannot read with every row there is, so ours are checked before they are sent.
    if position.at is not None and canonical(position.at) != position.at:
        raise ConfigError(f"The page token holds the time {position.at!r}, which is none. Start the read again.")
    return position


def bounds_of(window: Window, *, zone: ZoneInfo) -> Bounds:
    """The window in site-local time, widened where the local clock runs an hour twice: nothing in it is missed."""
    return Bounds(
        lower=_local_text(window.since, zone=zone, is_lower=True),
        upper=_local_text(window.until, zone=zone, is_lower=False),
    )


def pages(fetch: Callable[[Position], tuple[Page, Position | None]], position: Position) -> Iterator[Page]:
    """The pages from a position to the end; one that brought nothing new is left out, unless it is the last."""
    while True:
        page, following = fetch(position)
        if page.count or following is None:
            yield page
        if following is None:
            return
        position = following


def filters_of(position: Position, bounds: Bounds) -> list[Filter]:
    """The filters of the next request."""
    upper: list[Filter] = [["modified", "<", bounds.upper]] if bounds.upper else []
    if position.after is not None:
        same: Filter = ["modified", "=", position.at] if position.at else ["modified", "is", "not set"]
        return [same, ["name", ">", position.after]]
    if position.past:
        return [["modified", ">", position.at] if position.at else ["modified", ">=", _FIRST_TIME], *upper]
    start = position.at or bounds.lower
    return [["modified", ">=", start], *upper] if start else upper


def step(position: Position, rows: Sequence[Head], *, bounds: Bounds, limit: int) -> Step:
    """What the rows of one answer mean for the reading.

    Raises ProtocolError when they are not what was asked for: outside the bounds, out of order, or a standstill.
    """
    times = [canonical(row.modified) for row in rows]
    full = len(rows) >= limit
    if position.inside_a_tie:
        return _step_inside_a_tie(position, rows, times, full=full)
    _check_order_and_bounds(position, rows, times, bounds=bounds)
    fresh = _fresh(position, rows, times)
    if not full:
        return Step(fresh=fresh, next=None)
    if fresh == []:
        raise ProtocolError(f"ERPNext repeats the rows of {position.at}: it heeds no filter, or no page length.")
    return Step(fresh=fresh, next=_next_position(rows, times, limit=limit))


def canonical(text: object) -> str:
    """A site-local time stamp with all its microseconds, so that text compares as time does; "" when it is no time."""
    if not isinstance(text, str):
        return ""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return ""
    if len(text) == _TIME_LENGTH and text[10] == " ":
        return text
    # Frappe writes Python's str(): no fraction at all on a full second.
    return at.replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")


def to_instant(text: str, *, zone: str, fold: int = 0) -> datetime | None:
    """A naive site-local time as aware UTC; None when it is no time.

    `fold`: of an hour that ran twice the first run (0) or the second (1).
    """
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is None:
            if text[13:14] == ":" and (offset := _offset_in_hour(zone, text[:13])) is not None:
                return at.replace(tzinfo=UTC) - offset
            at = at.replace(tzinfo=zone_of(zone), fold=fold)
        return at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


@lru_cache(maxsize=64)
def zone_of(name: str) -> ZoneInfo:
    """A time zone by its IANA name. Raises ProtocolError: a guess would move every time stamp."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ProtocolError(
            f"ERPNext says its time zone is {name!r}, which is not in the IANA database. Correct it in System Settings."
        ) from None


@lru_cache(maxsize=8192)
def _offset_in_hour(zone: str, hour: str) -> timedelta | None:
    """The zone's offset if it is one and the same all through a local hour: records come in bursts of the same hour."""
    first = datetime.fromisoformat(f"{hour}:00").replace(tzinfo=zone_of(zone))
    last = first.replace(minute=59, second=59, microsecond=999_999)
    offsets = {moment.replace(fold=fold).utcoffset() for moment in (first, last) for fold in (0, 1)}
    return offsets.pop() if len(offsets) == 1 else None


def _local_text(instant: datetime | None, *, zone: ZoneInfo, is_lower: bool) -> str | None:
    if instant is None:
        return None
    if instant.tzinfo is None:
        raise ConfigError(f"The window's bound {instant.isoformat()} has no time zone. Write it with an offset, or Z.")
    try:
        local = instant.astimezone(zone)
        wall = local.replace(tzinfo=None)
        twice = _repeated(local)
        # In the first run of a repeated hour, later records may carry earlier times; in the second, earlier ones later.
        if is_lower and twice and local.fold == 0:
            wall -= twice
        elif not is_lower and twice and local.fold == 1:
            wall += twice
    except OverflowError:
        return None
    if is_lower and wall.year < _OLDEST_YEAR:
        return None
    return wall.isoformat(sep=" ", timespec="microseconds")


def _repeated(local: datetime) -> timedelta:
    """How much of local time runs twice at this moment: zero except in the hour the clocks go back."""
    early, late = local.replace(fold=0).utcoffset(), local.replace(fold=1).utcoffset()
    return early - late if early and late and early > late else timedelta(0)


def _step_inside_a_tie(position: Position, rows: Sequence[Head], times: list[str], *, full: bool) -> Step:
    strangers = [row for row, time in zip(rows, times, strict=True) if time != (position.at or "")]
    if strangers:
        raise ProtocolError(
            f"ERPNext was asked for records modified at {position.at} and sent one of {strangers[0].modified!r}: "
            "it does not heed the filter."
        )
    if not full:
        return Step(fresh=None, next=Position(at=position.at, past=True))
    last = _name(rows[-1])
    if last == position.after:
        raise ProtocolError(f"ERPNext repeats the record {last!r}: it does not heed the filter on the name.")
    return Step(fresh=None, next=Position(at=position.at, after=last))


def _check_order_and_bounds(position: Position, rows: Sequence[Head], times: list[str], *, bounds: Bounds) -> None:
    dated = [time for time in times if time]
    if not dated:
        return
    if dated != sorted(dated):
        raise ProtocolError(f"ERPNext did not sort its answer by {ORDER!r}; reading on would lose records.")
    lower, upper = position.at or bounds.lower, bounds.upper
    early = lower is not None and (dated[0] < lower or (position.past and position.at == dated[0]))
    if early or (upper is not None and dated[-1] >= upper):
        stray = rows[times.index(dated[0] if early else dated[-1])]
        raise ProtocolError(
            f"ERPNext sent {stray.name!r}, modified {stray.modified!r}, which is outside the window asked for "
            f"({lower or 'the beginning'} to {upper or 'now'}, site time): it does not heed the filter."
        )


def _fresh(position: Position, rows: Sequence[Head], times: list[str]) -> list[int] | None:
    if not position.seen:
        return None
    seen = set(position.seen)
    fresh = [i for i, row in enumerate(rows) if times[i] != position.at or row.name not in seen]
    return None if len(fresh) == len(rows) else fresh


def _next_position(rows: Sequence[Head], times: list[str], *, limit: int) -> Position:
    last_time = next((time for time in reversed(times) if time), None)
    if last_time is None:  # a whole page without any time: rows written past Frappe's own saving
        return Position(at=None, after=_name(rows[-1]))
    ties = [_name(row) for row, time in zip(rows, times, strict=True) if time == last_time]
    if len(ties) > min(_MOST_TIES, limit - 1):
        return Position(at=last_time, after=_name(rows[-1]))
    return Position(at=last_time, seen=tuple(ties))


def _name(row: Head) -> str:
    if row.name is None or row.name == "":
        raise ProtocolError("ERPNext ended a page with a record that has no name; reading cannot go on behind it.")
    return str(row.name)
