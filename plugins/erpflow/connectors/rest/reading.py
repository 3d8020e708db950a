"""Pages of a declared system, complete whatever happens while they are read.

By keyset the read moves along the time of modification, and what changes meanwhile comes again at the end. By any
other paging the vendor's own order is read to its end, and then once more what has changed since the read began, until
nothing new comes or one request holds it all: a record that is changed behind our back is met there. Where the vendor
has no filter by time there is only the one way through.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from erpflow.connectors.answer import Answer
from erpflow.connectors.base import Page, PageToken, RawRecord
from erpflow.connectors.rest.asking import Asking
from erpflow.connectors.rest.expressions import decoded
from erpflow.connectors.rest.fill import placeholders
from erpflow.connectors.rest.model import Listing, PagingKind
from erpflow.connectors.rest.times import instant_of, written
from erpflow.connectors.rest.turning import next_place, page_values
from erpflow.errors import ConfigError, ProtocolError
from erpflow.vocabulary import Window

_CLOCKS_DIFFER: Final = timedelta(seconds=5)
"""How far a vendor's clock may be ahead of its stamps when it says what time it is."""


class Position(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Where the next page begins; as JSON it is the page token.

    `place` of the vendor's own paging. `at`, `seen`: the moment a keyset has come to, and the ids read of it. `mark`:
    what changed from then on is read once more, in round 1 and later; `fresh` are the records of that time which were
    read already, `grew` whether this round has brought others.
    """

    round: int = 0
    place: str | None = None
    at: str | None = None
    seen: list[str] = []
    mark: str | None = None
    fresh: list[tuple[str, str]] = []
    grew: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One record as it came, and what paging needs of it; `modified` as the vendor wrote it."""

    raw: RawRecord
    id: str
    modified: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Tried:
    """One page for a person to look at: without secrets. `following`: where the next page would be."""

    answer: Answer
    rows: Sequence[Row]
    asked: int
    first: Mapping[str, Any]
    following: str | None


class Reader:
    """Reads one list of one entity. `key` and `modified` are the fields that identify and date its records."""

    def __init__(
        self, asking: Asking, listing: Listing, *, entity: str, key: str, modified: str | None, page_size: int
    ) -> None:
        self._asking = asking
        self._listing = listing
        self._entity = entity
        self._key, self._modified = key, modified
        self._page_size = page_size
        self._times = asking.declaration.times
        self._used = {name for _, template in listing.templates() for name in placeholders(template)}

    def pages(self, window: Window, resume: PageToken | None) -> Iterator[Page]:
        """The pages of a window, each a JSON list of records as they came."""
        position = self._resumed(resume)
        while True:
            answer, rows, asked = self.fetch(window, position)
            if position.mark is None:
                position.mark = self._mark(answer, window)
            if self._listing.paging.kind is PagingKind.KEYSET:
                kept, following = self._along(window, position, rows, asked)
            else:
                kept, following = self._onward(window, position, rows, answer)
            yield Page(
                raw=b"[" + b",".join(bytes(row.raw) for row in kept) + b"]",
                count=len(kept),
                next=None if following is None else PageToken(msgspec.json.encode(following).decode()),
                zone=self._times.zone,
                server_time=answer.server_time,
            )
            if following is None:
                return
            position = following

    def tried(self) -> Tried:
        """The first page of everything, and no more. Raises as `pages` does."""
        window, position = Window(), Position()
        answer, rows, asked = self.fetch(window, position)
        position.mark = self._mark(answer, window)
        if self._listing.paging.kind is PagingKind.KEYSET:
            _, following = self._along(window, position, rows, asked)
            told = f"from {following.at} on, without the {len(following.seen)} read of it" if following else None
        else:
            place = next_place(self._listing.paging, None, len(rows), answer, self._asking)
            told = f"{self._listing.paging.kind} {self._asking.transport.redact(place)}" if place else None
        first = decoded(bytes(rows[0].raw)) if rows else {}
        return Tried(answer, rows, asked, first, told)

    def fetch(self, window: Window, position: Position) -> tuple[Answer, list[Row], int]:
        """One request: its answer, the records in it, and how many were asked for."""
        paging, limit = self._listing.paging, self._page_size
        if paging.kind is PagingKind.KEYSET and "seen" not in self._used:
            limit = min(limit + len(position.seen), paging.most or limit)
        values: dict[str, Any] = {"limit": limit, **page_values(paging, position.place)}
        if self._modified is not None:
            values |= self._bounds(window, position)
        path = position.place if paging.kind in (PagingKind.LINK, PagingKind.ODATA) else None
        answer = self._asking.ask(self._listing, values, path=path)
        return answer, [self._row(raw) for raw in self._asking.rows(answer, self._listing.records)], limit

    def _bounds(self, window: Window, position: Position) -> dict[str, Any]:
        since = self._since(window, position)
        pattern, zone = self._times.format, self._times.zone
        values: dict[str, Any] = {}
        if since is not None:
            values["since"] = written(since - timedelta(seconds=self._times.slack), pattern=pattern, zone=zone)
        if window.until is not None:
            rounded = window.until + timedelta(seconds=1) if pattern != "iso" else window.until
            values["until"] = written(rounded, pattern=pattern, zone=zone)
        if position.at is not None:
            values |= {"since": position.at, "seen": position.seen or None}
        return values

    def _since(self, window: Window, position: Position) -> datetime | None:
        if position.round == 0 or position.mark is None:
            return window.since
        return datetime.fromisoformat(position.mark)

    # -- by keyset -------------------------------------------------------------------------------------------------

    def _along(
        self, window: Window, position: Position, rows: Sequence[Row], asked: int
    ) -> tuple[list[Row], Position | None]:
        """The new records, and the moment the list has come to."""
        self._check_order(rows, position)
        seen = {(identity, position.at) for identity in position.seen}
        new = [row for row in rows if (row.id, row.modified) not in seen]
        kept = [row for row in new if _within(row, window)]
        if not new:
            if len(rows) >= asked and "seen" not in self._used:
                raise ProtocolError(
                    f"More than {asked} records of {self._entity} share the moment {position.at}, and no page holds "
                    "them. Raise `page_size` and `most` of the paging in the connector's file, or give its request "
                    "{seen}."
                )
            return [], None
        last = new[-1]
        ended = window.until is not None and last.at is not None and last.at >= window.until
        if ended:
            return kept, None
        earlier = position.seen if last.modified == position.at else []
        there = [row.id for row in new if row.modified == last.modified]
        return kept, Position(at=last.modified, seen=[*earlier, *there], mark=position.mark)

    def _check_order(self, rows: Sequence[Row], position: Position) -> None:
        before = self._instant(position.at) if position.at else None
        for row in rows:
            if row.at is None:
                raise ProtocolError(
                    f"{self._entity} {row.id} has no time of modification ({row.modified or 'nothing'}), and the "
                    "list is read by it. Correct `modified`, `times` or the request in the connector's file."
                )
            if before is not None and row.at < before:
                raise ProtocolError(
                    f"The list of {self._entity} is not sorted by {self._modified}: {row.id} ({row.modified}) comes "
                    "after a later one, or its filter is not taken into account. Correct the request, or choose "
                    "another paging."
                )
            before = row.at

    # -- by the vendor's own pages ---------------------------------------------------------------------------------

    def _onward(
        self, window: Window, position: Position, rows: Sequence[Row], answer: Answer
    ) -> tuple[list[Row], Position | None]:
        """The records that belong here, and the page behind them; behind the last one what changed meanwhile."""
        since = self._since(window, position)
        self._check_filter(rows, since)
        fresh = {tuple(pair) for pair in position.fresh}
        kept, mark = [], datetime.fromisoformat(position.mark or "")
        for row in rows:
            stamp = (row.id, row.modified)
            if (since is not None and row.at is not None and row.at < since) or not _within(row, window):
                continue
            if row.at is not None and row.at >= mark:
                if stamp in fresh:
                    continue
                fresh.add(stamp)
            kept.append(row)
        following = Position(
            round=position.round,
            place=next_place(self._listing.paging, position.place, len(rows), answer, self._asking),
            mark=position.mark,
            fresh=sorted((str(identity), str(modified)) for identity, modified in fresh),
            grew=position.grew or bool(kept),
        )
        if following.place is not None:
            return kept, following
        in_one_request = position.place is None
        if in_one_request or not self._once_more(window, following, mark):
            return kept, None
        following.round, following.grew = following.round + 1, False
        return kept, following

    def _once_more(self, window: Window, ended: Position, mark: datetime) -> bool:
        """Whether what changed while this round went on is still to be read."""
        if self._modified is None or "since" not in self._used or (window.until is not None and window.until <= mark):
            return False
        return ended.round == 0 or ended.grew

    def _check_filter(self, rows: Sequence[Row], since: datetime | None) -> None:
        """Raises ProtocolError for records that were not asked for: a filter that is ignored reads everything,
        always."""
        if since is None or "since" not in self._used:
            return
        earliest = since - timedelta(seconds=self._times.slack + 1)
        for row in rows:
            if row.at is not None and row.at < earliest:
                raise ProtocolError(
                    f"{self._entity} {row.id}, changed {row.modified}, came where only those from "
                    f"{since:%Y-%m-%d %H:%M:%S}Z on were asked for: the filter is not taken into account. "
                    "Correct {since} in the connector's file."
                )

    # -- what both need --------------------------------------------------------------------------------------------

    def _row(self, raw: RawRecord) -> Row:
        try:
            record = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
        except (msgspec.DecodeError, RecursionError) as error:
            raise ProtocolError(f"A record of {self._entity} cannot be read: {error}.") from None
        identity = scalar(record.get(self._key))
        if not identity:
            raise ProtocolError(
                f"A record of {self._entity} has no {self._key}, which identifies it. Correct `key` or `records` in "
                "the connector's file."
            )
        modified = scalar(record.get(self._modified)) if self._modified else ""
        return Row(raw, identity, modified, self._instant(modified) if modified else None)

    def _instant(self, text: str) -> datetime | None:
        return instant_of(text, pattern=self._times.format, zone=self._times.zone)

    def _mark(self, answer: Answer, window: Window) -> str:
        began = (answer.server_time or datetime.now(UTC)) - _CLOCKS_DIFFER
        return max(began, window.since or began).isoformat()

    def _resumed(self, token: PageToken | None) -> Position:
        if token is None:
            return Position()
        try:
            return msgspec.json.decode(token, type=Position)
        except msgspec.DecodeError:
            raise ConfigError(
                f"{token[:80]!r} is not a page token of {self._asking.declaration.title}. Start the read again."
            ) from None


def scalar(raw: msgspec.Raw | None) -> str:
    """An id or a time as text; empty for null and for what is no scalar."""
    if raw is None:
        return ""
    text = bytes(raw).strip()
    if text.startswith(b'"'):
        return str(msgspec.json.decode(text))
    return "" if text in (b"null", b"true", b"false") or text[:1] in (b"{", b"[") else text.decode()


def _within(row: Row, window: Window) -> bool:
    if row.at is None:
        return True
    return not ((window.since and row.at < window.since) or (window.until and row.at >= window.until))
