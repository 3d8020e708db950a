"""Reading a Service Layer list in order of (UpdateDate, UpdateTime, key) while others write to it. Sends nothing.

The vendor's next link counts rows (`$skip=20`), and what is saved meanwhile moves rows over the edge of the page just
read. So the link only says that there is more; every page is asked for by where the last one ended. First come the rows
without an UpdateDate (never updated since an old patch made them), by their keys; then all others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from erpflow.connectors.base import Page, PageToken
from erpflow.connectors.sap_b1_records import Head
from erpflow.connectors.sap_b1_text import Key, equals, literal, same_time
from erpflow.connectors.sap_b1_time import MIDNIGHT, Bounds, is_stamp, parts_of
from erpflow.errors import ConfigError, ProtocolError

_MOST_TIES: Final = 20  # rows a token may name; above that the rows of one second are read in order of their keys
_FIRST_DAY: Final = "1753-01-01"


@dataclass(frozen=True, slots=True)
class Listed:
    """How a list is read: its key, the field of the day a row was made, and a filter that always holds (or none).

    `dated`: its rows say when they were updated; otherwise it is read in order of its keys, whole.
    """

    key: Key
    created: str
    only: str = ""
    dated: bool = True

    @property
    def order(self) -> str:
        """What `$orderby` says."""
        return f"UpdateDate,UpdateTime,{self.key.name}" if self.dated else self.key.name


class Position(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Where the next request starts; as JSON it is the page token.

    Not `dated`: among the rows without an UpdateDate, behind the key `after`. Dated: `at` is the stamp the last page
    ended with (None: before all). Then either `seen`: the versions already read of that second; or `after`: continue
    inside that second behind this key; or `past`: that second is done.
    """

    dated: bool = False
    at: str | None = None
    seen: tuple[str, ...] = ()
    after: str | None = None
    past: bool = False

    def token(self) -> PageToken:
        return PageToken(msgspec.json.encode(self).decode())


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
        raise ConfigError(
            f"{token[:80]!r} is not a page token of SAP Business One: {error}. Start the read again."
        ) from None
    if position.at is not None and not is_stamp(position.at):
        raise ConfigError(f"The page token holds the time {position.at[:80]!r}, which is none. Start the read again.")
    return position


def pages(fetch: Callable[[Position], tuple[Page, Position | None]], position: Position) -> Iterator[Page]:
    """The pages from a position to the end; one that brought nothing new is left out, unless it is the last."""
    while True:
        page, following = fetch(position)
        if page.count or following is None:
            yield page
        if following is None:
            return
        position = following


def filter_of(position: Position, bounds: Bounds, listed: Listed) -> str:
    """The `$filter` of the next request; empty for none."""
    parts = [listed.only] if listed.only else []
    if not position.dated:
        if listed.dated:
            parts.append("UpdateDate eq null")  # UNVERIFIED that every patch compares with null
            parts += [f"{listed.created} ge {literal(parts_of(bounds.lower)[0])}"] if bounds.lower else []
        parts += [_behind(listed, position.after)] if position.after is not None else []
    elif position.at is not None and position.after is not None:
        parts += [same_time(position.at), _behind(listed, position.after)]
    else:
        start = position.at or bounds.lower
        parts.append(_since(start, strictly=position.past) if start else f"UpdateDate ge {literal(_FIRST_DAY)}")
        parts += [_until(bounds.upper)] if bounds.upper else []
    return " and ".join(parts)


def step(position: Position, heads: Sequence[Head], *, more: bool, bounds: Bounds, listed: Listed) -> Step:
    """What the rows of one answer mean for the reading; `more`: the vendor says that there are further ones.

    Raises ProtocolError when they are not what was asked for: outside the bounds, out of order, or a standstill.
    """
    if more and not heads:
        raise ProtocolError("SAP Business One sent an empty page and a link to the next one: reading cannot go on.")
    if not position.dated:
        return _step_among_keys(position, heads, more=more, listed=listed)
    if position.after is not None:
        return _step_inside_a_second(position, heads, more=more, listed=listed)
    _check_order_and_bounds(position, heads, bounds=bounds)
    fresh = _fresh(position, heads)
    if not more:
        return Step(fresh, None)
    if fresh == []:
        raise ProtocolError(f"SAP Business One repeats the rows of {position.at}: it heeds no filter, or no order.")
    return Step(fresh, _next_position(heads, listed))


def _step_among_keys(position: Position, heads: Sequence[Head], *, more: bool, listed: Listed) -> Step:
    stray = next((head for head in heads if listed.dated and head.stamp is not None), None)
    if stray is not None:
        raise ProtocolError(
            f"SAP Business One was asked for rows without an UpdateDate and sent one of {stray.stamp}: it does not "
            "heed the filter."
        )
    if not more:
        return Step(None, Position(dated=True) if listed.dated else None)
    return Step(None, Position(after=_advanced(position, heads, listed)))


def _step_inside_a_second(position: Position, heads: Sequence[Head], *, more: bool, listed: Listed) -> Step:
    stray = next((head for head in heads if head.stamp != position.at), None)
    if stray is not None:
        raise ProtocolError(
            f"SAP Business One was asked for rows updated at {position.at} and sent one of {stray.stamp}: it does not "
            "heed the filter."
        )
    if not more:
        return Step(None, Position(dated=True, at=position.at, past=True))
    return Step(None, Position(dated=True, at=position.at, after=_advanced(position, heads, listed)))


def _advanced(position: Position, heads: Sequence[Head], listed: Listed) -> str:
    last = listed.key.of(heads[-1])
    if last == position.after:
        raise ProtocolError(f"SAP Business One repeats the row {last!r}: it does not heed the filter on the key.")
    return last


def _check_order_and_bounds(position: Position, heads: Sequence[Head], *, bounds: Bounds) -> None:
    stamps = [head.stamp or "" for head in heads]
    if not stamps:
        return
    if stamps != sorted(stamps):
        raise ProtocolError("SAP Business One did not sort its answer by UpdateDate, UpdateTime: rows would be lost.")
    lower, upper = position.at or bounds.lower or "", bounds.upper
    early = stamps[0] < lower or (position.past and stamps[0] == position.at)
    if early or (upper is not None and stamps[-1] >= upper):
        raise ProtocolError(
            f"SAP Business One sent a row of {stamps[0] if early else stamps[-1]}, which is outside the window asked "
            f"for ({lower or 'the beginning'} to {upper or 'now'}, server time): it does not heed the filter."
        )


def _fresh(position: Position, heads: Sequence[Head]) -> list[int] | None:
    if not position.seen:
        return None
    seen = set(position.seen)
    fresh = [place for place, head in enumerate(heads) if head.stamp != position.at or head.version not in seen]
    return None if len(fresh) == len(heads) else fresh


def _next_position(heads: Sequence[Head], listed: Listed) -> Position:
    last = heads[-1].stamp or MIDNIGHT
    ties = [head.version for head in heads if head.stamp == last]
    if len(ties) > min(_MOST_TIES, len(heads) - 1):
        return Position(dated=True, at=last, after=listed.key.of(heads[-1]))
    return Position(dated=True, at=last, seen=tuple(ties))


def _behind(listed: Listed, key: str) -> str:
    return f"{listed.key.name} gt {listed.key.literal(key)}"


def _since(stamp: str, *, strictly: bool) -> str:
    day, at = parts_of(stamp)
    if at is None:
        return f"UpdateDate ge {literal(day)}"
    later = f"UpdateTime {'gt' if strictly else 'ge'} {literal(at)}"
    return f"(UpdateDate gt {literal(day)} or ({equals('UpdateDate', day)} and {later}))"


def _until(stamp: str) -> str:
    day, at = parts_of(stamp)
    return (
        f"(UpdateDate lt {literal(day)} or ({equals('UpdateDate', day)} and UpdateTime lt {literal(at or MIDNIGHT)}))"
    )
