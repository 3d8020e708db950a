"""Reading what changed, in the order of AlterIDs, whatever others alter meanwhile.

Tally pages nothing: a filter scans the whole book, and one answer may hold all of it. So a read asks first how far
Tally has counted (one small question, and often the only one), then for the AlterIDs alone when they are many, and then
for ranges of them. An object that is altered meanwhile leaves its range and comes with a higher number: once the ranges
are through, what was counted on is read too. See docs/adr/0016-a-cursor-that-counts.md.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Any, Final

import msgspec

from erpflow.connectors.base import Page, PageToken, RawRecord
from erpflow.connectors.counting import first_from, last_before
from erpflow.connectors.tally_facts import with_facts
from erpflow.connectors.tally_gateway import Company, Gateway, number
from erpflow.connectors.tally_names import Kind, Names, belongs
from erpflow.connectors.tally_records import encoded_record
from erpflow.connectors.tally_requests import altered, any_name, both
from erpflow.connectors.tally_stream import Gathered
from erpflow.errors import ConfigError, ProtocolError
from erpflow.vocabulary import Window

ROUNDS: Final = 3
"""How often a read goes after what was altered while it read. The next run begins where the last round ended."""
PAGE_BYTES: Final = 8 * 1024 * 1024
_IN_MEMORY: Final = 8 * 1024 * 1024


class Position(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a read stands: everything up to AlterID `after` was read; this round goes to `upto`."""

    after: int
    upto: int
    round: int = 1

    def token(self) -> PageToken:
        return PageToken(msgspec.json.encode(self).decode())


def position_of(token: PageToken) -> Position:
    """The position a page token stands for. Raises ConfigError when it is none of ours."""
    try:
        found = msgspec.json.decode(token, type=Position)
        if found.after >= -1 and 1 <= found.round <= ROUNDS:
            return found
    except (msgspec.DecodeError, RecursionError):
        pass
    raise ConfigError(f"{token[:80]!r} is not a page token of Tally. Start the read again.")


def read_pages(gateway: Gateway, kind: Kind, window: Window, *, resume: PageToken | None, size: int) -> Iterator[Page]:
    """The pages of a window. See `Connector.read`."""
    company = gateway.open()
    first = 0 if window.since is None else first_from(window.since)
    last = None if window.until is None else last_before(window.until)
    mark = company.mark(kind.tally)
    position = position_of(resume) if resume else Position(first - 1, _least(mark, last))
    if resume and mark < position.upto and last is None:
        raise ProtocolError(
            f'The company "{company.name}" at Tally has counted to {mark}, and this read had come to {position.upto}: '
            "it was restored from a backup meanwhile. Start the run again."
        )
    yield from _Reading(gateway, company, kind, size, last=last).pages(position, resumed=resume is not None)


@dataclass(frozen=True, slots=True)
class Span:
    """AlterIDs from `low` to `high`, both of them among them."""

    low: int
    high: int


@dataclass(slots=True)
class Batch:
    """Records of one page, and the AlterID of the last of them."""

    high: int
    records: list[bytes]

    @property
    def raw(self) -> bytes:
        return b'{"data":[' + b",".join(self.records) + b"]}"


class _Reading:
    """One read of one entity, in one process."""

    def __init__(self, gateway: Gateway, company: Company, kind: Kind, size: int, *, last: int | None) -> None:
        self._gateway = gateway
        self._company = company
        self._kind = kind
        self._size = size
        self._last = last
        self._names = Names(gateway, company)

    def pages(self, at: Position, *, resumed: bool) -> Iterator[Page]:
        spans = self._spans(at.after, at.upto)
        if not spans and not resumed:
            yield self._page(None, at, None)
            return
        while True:
            batch: Batch | None = None
            span = spans.pop(0) if spans else None
            for found in self._batches(span) if span else ():
                if batch is not None:
                    yield self._page(batch, at, Position(batch.high, at.upto, at.round))
                batch = found
            if spans:
                if batch is not None and span is not None:
                    yield self._page(batch, at, Position(span.high, at.upto, at.round))
                continue
            following, spans = self._onward(at)
            yield self._page(batch, following, following if spans else None)
            if not spans:
                return
            at = following

    def _page(self, batch: Batch | None, at: Position, following: Position | None) -> Page:
        held = batch or Batch(0, [])
        token = following.token() if following else None
        return Page(held.raw, len(held.records), token, reached=str(max(at.upto, 0)))

    def _onward(self, at: Position) -> tuple[Position, list[Span]]:
        """What was counted on while a round went on. Without a span there is nothing more to read."""
        if self._last is not None or at.round >= ROUNDS:
            return at, []
        mark = self._gateway.open().mark(self._kind.tally)
        if mark <= at.upto:
            return at, []
        following = Position(at.upto, mark, at.round + 1)
        return following, self._spans(following.after, following.upto)

    def _spans(self, after: int, upto: int) -> list[Span]:
        """Ranges with about a page of the entity's objects each; none where there is nothing."""
        if upto <= after:
            return []
        if upto - after <= self._size:
            return [Span(after + 1, upto)]
        counts = Gathered(self._count)
        fetch = ("GUID", "ALTERID", *((self._kind.by,) if self._kind.by else ()))
        where = self._where(Span(after + 1, upto))
        self._gateway.rows(self._kind.tally, self._company, fetch=fetch, where=where, into=counts)
        return _cut([count for count in counts.found if after < count <= upto], size=self._size)

    def _count(self, record: dict[str, Any]) -> int | None:
        if not belongs(self._kind, record, self._names.members(self._kind)):
            return None
        return number(record.get("ALTERID"))

    def _where(self, span: Span) -> str:
        members = any_name(self._kind.by, self._names.spelled(self._kind)) if self._kind.by else ""
        return both(altered(span.low, span.high), members)

    def _batches(self, span: Span) -> Iterator[Batch]:
        """The objects of a range, asked for at once and kept aside until the answer is known to be whole."""
        self._names.load(self._kind)
        where = self._where(span)
        with Spool(self._kind, self._names, span) as spool:
            self._gateway.rows(self._kind.tally, self._company, fetch=self._kind.fetch, where=where, into=spool)
            yield from spool.batches(self._size)


@dataclass(slots=True)
class Spool:
    """Records of one answer, on disk when they are many; given back in the order of their AlterIDs."""

    kind: Kind
    names: Names
    span: Span
    _places: list[tuple[int, str, int, int]] = field(default_factory=list)
    _file: IO[bytes] = field(default_factory=lambda: _temporary())

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def begin(self) -> None:
        self._places = []
        self._file.seek(0)
        self._file.truncate()

    def take(self, record: dict[str, Any]) -> None:
        """Keeps an object of the entity. Raises ProtocolError for one that was not asked for."""
        count = number(record.get("ALTERID"))
        if not self.span.low <= count <= self.span.high:
            raise ProtocolError(
                f"Tally was asked for {self.kind.tally} objects with AlterIDs from {self.span.low} to "
                f"{self.span.high}, and lists one with {record.get('ALTERID')!r}: it ignores the filter. Nothing was "
                "taken."
            )
        if not belongs(self.kind, record, self.names.members(self.kind)):
            return
        raw = encoded_record(with_facts(self.kind, record, self.names))
        self._places.append((count, str(record.get("GUID") or ""), self._file.tell(), len(raw)))
        self._file.write(raw)

    def batches(self, size: int) -> Iterator[Batch]:
        """Pages of about so many records; never does one end between two of the same AlterID."""
        records: list[bytes] = []
        held, previous = 0, -1
        for count, _, start, length in sorted(self._places):
            if records and count != previous and (len(records) >= size or held >= PAGE_BYTES):
                yield Batch(previous, records)
                records, held = [], 0
            self._file.seek(start)
            records.append(self._file.read(length))
            held, previous = held + length, count
        if records:
            yield Batch(previous, records)


def _temporary() -> IO[bytes]:
    return tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)


class _Data(msgspec.Struct):
    data: list[msgspec.Raw]


_DATA: Final = msgspec.json.Decoder(_Data)


def records_of_page(raw: bytes, *, entity: str) -> list[RawRecord]:
    """The records of a landed page. Raises ProtocolError when it is not what a read landed."""
    try:
        return _DATA.decode(raw).data
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ProtocolError(f"A landed page of {entity} is not one that a read of Tally wrote.") from None


def page_of(records: list[bytes]) -> Page:
    """Records as one page."""
    return Page(Batch(0, records).raw, len(records), None)


def _cut(counts: list[int], *, size: int) -> list[Span]:
    spans: list[Span] = []
    ordered = sorted(counts)
    start = 0
    for place in range(1, len(ordered) + 1):
        full = place - start >= size and (place == len(ordered) or ordered[place] != ordered[place - 1])
        if full or (place == len(ordered) and start < place):
            spans.append(Span(ordered[start], ordered[place - 1]))
            start = place
    return spans


def _least(mark: int, last: int | None) -> int:
    return mark if last is None else min(mark, last)
