"""Transform: landed pages into chunks. What has not changed is dropped unparsed; what cannot be mapped is a reject.

A record's fingerprint is the xxh3 of its bytes, seeded with the version of the mapping: the same bytes under another
mapping are not the same. The fingerprints of a whole chunk are compared with the sync records in one statement, and
only records that differ are parsed at all. Reading again what has not changed is therefore several times cheaper than
the first load.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import msgspec
import xxhash

from erpflow.connectors.base import Connector, RawRecord
from erpflow.errors import FieldProblem, RecordRejected
from erpflow.mapping.compile import MappedRecord, PullProgram
from erpflow.store import pull as store
from erpflow.store import rejects
from erpflow.store.sync_logs import SyncRun
from erpflow.sync.chunk import CHUNK_BYTES, CHUNK_RECORDS, Chunk, ChunkReject, copy_lines, copy_text
from erpflow.sync.counted import reached_by
from erpflow.sync.landing import LandedPage, RetriedRecord, Seen

OnSeen = Callable[[int, Seen], None]

SIGN = 1 << 63
RANGE = 1 << 64

RETRIED = 0
"""The number of the page, before all of the vendor's, that rejects come from which are tried again."""


@dataclass(slots=True)
class _Batch:
    """The records of a chunk so far, as parallel lists: a record is a position in them, not an object of its own.

    `latest` holds the position of each key; a key that comes twice keeps the later version.
    """

    keys: list[str] = field(default_factory=list)
    fingerprints: list[int] = field(default_factory=list)
    modified: list[str | None] = field(default_factory=list)
    raws: list[RawRecord] = field(default_factory=list)
    origins: list[tuple[int, int]] = field(default_factory=list)
    zones: list[str] = field(default_factory=list)
    latest: dict[str, int] = field(default_factory=dict)
    rejects: list[ChunkReject] = field(default_factory=list)
    read: int = 0
    bytes: int = 0
    retried: int = 0

    def is_full(self) -> bool:
        return self.read >= CHUNK_RECORDS or self.bytes >= CHUNK_BYTES

    def reject(self, position: int, problems: Iterable[FieldProblem]) -> None:
        """Keep the record at a position as one that the mapping refuses."""
        kept = ChunkReject(self.keys[position], bytes(self.raws[position]), list(problems), self.zones[position])
        self.rejects.append(kept)

    def needless_retries(self) -> int:
        """Rejects whose record the vendor sends anyway: it was read once, and not twice."""
        return sum(self.latest[self.keys[place]] >= self.retried for place in range(self.retried))


@dataclass(slots=True)
class _Made:
    """What a chunk becomes: positions that are rows, the rows and lines as COPY text, and why others were dropped."""

    kept: list[int] = field(default_factory=list)
    rows: bytes = b""
    children: list[list[tuple[str | None, ...]]] = field(default_factory=list)
    dropped: dict[int, str] = field(default_factory=dict)

    def keep(self, position: int, lines: Sequence[Sequence[tuple[str | None, ...]]]) -> None:
        """Number a record behind those that are kept already, and its lines with it."""
        self.kept.append(position)
        if self.children:
            number = str(len(self.kept))
            for child, rows in zip(self.children, lines, strict=True):
                child.extend([(number, *row) for row in rows])


class Transformer:
    """Turns the pages of one run into chunks.

    `connection` is used to compare fingerprints; `until` bounds the cursor: vendors hold records dated in the year
    9999, and a cursor that followed one would never read anything again. `on_seen` is told the ids of each chunk.
    `everything`: also what has not changed is mapped.
    """

    def __init__(
        self,
        run: SyncRun,
        connector: type[Connector],
        program: PullProgram,
        connection: store.Connection,
        *,
        until: datetime,
        on_seen: OnSeen | None = None,
        everything: bool = False,
    ) -> None:
        self._run = run
        self._connector = connector
        self._program = program
        self._programs: dict[str, PullProgram] = {}
        self._connection = connection
        self._until = until
        self._on_seen = on_seen
        self._ordered = connector.spec.entities[run.entity].ordered
        self._windowed = connector.spec.entities[run.entity].windowed
        self._first_load = everything or not (run.dry_run or store.knows_any_record(connection, run.config_id))
        self._open_rejects = frozenset(rejects.open_ids(connection, run.config_id))
        self._modified_to: datetime | None = None
        self._reached: datetime | None = None

    def chunks(self, pages: Iterable[LandedPage], *, retried: Sequence[RetriedRecord] = ()) -> Iterator[Chunk]:
        """Chunks in order, the last one marked; at least one, which may be empty.

        `retried`: rejects that are tried again, ahead of what the vendor sends now.
        """
        batch, number = _Batch(), 0
        self._add_retried(batch, retried)
        pending: Chunk | None = None
        for page in pages:
            if page.number == 1 and page.server_time is not None:
                self._until = min(self._until, page.server_time)  # the start by the clock that dates the records
            if batch.is_full():
                if pending is not None:
                    yield pending
                number += 1
                pending, batch = self._chunk(batch, number, last=False), _Batch()
            self._add(batch, page)
        if pending is not None:
            yield pending
        yield self._chunk(batch, number + 1, last=True)

    def _add(self, batch: _Batch, page: LandedPage) -> None:
        """Identify the records of a page and take their fingerprints."""
        raws = self._connector.split(self._run.entity, page.raw)
        self._reached = reached_by(page.reached, connector=self._connector, zone=page.zone)
        batch.bytes += len(page.raw)
        self._add_records(batch, raws, range(len(raws)), number=page.number, zone=page.zone)

    def _add_retried(self, batch: _Batch, retried: Sequence[RetriedRecord]) -> None:
        for place, record in enumerate(retried):
            if not record.is_delete:
                batch.bytes += len(record.payload)
                raw = msgspec.Raw(record.payload)
                self._add_records(batch, [raw], [place], number=RETRIED, zone=record.zone)
        batch.retried = len(batch.keys)

    def _add_records(
        self, batch: _Batch, raws: Sequence[RawRecord], places: Sequence[int], *, number: int, zone: str
    ) -> None:
        identify, seed, digest = self._program.identify, self._program.seed, xxhash.xxh3_64_intdigest
        batch.read += len(raws)
        try:
            found = [identify(raw) for raw in raws]
        except RecordRejected:  # some record has no key: one by one, so that the others are not its victims
            found, kept = self._identify_each(batch, raws, zone)
            raws, places = [raws[place] for place in kept], [places[place] for place in kept]
        first = len(batch.keys)
        batch.keys += [key for key, _ in found]
        batch.modified += [modified for _, modified in found]
        batch.fingerprints += [unsigned if (unsigned := digest(raw, seed)) < SIGN else unsigned - RANGE for raw in raws]
        batch.raws += raws
        batch.origins += [(number, place) for place in places]
        batch.zones += [zone] * len(raws)
        batch.latest.update(zip(batch.keys[first:], range(first, len(batch.keys)), strict=True))

    def _identify_each(
        self, batch: _Batch, raws: Sequence[RawRecord], zone: str
    ) -> tuple[list[tuple[str, str | None]], list[int]]:
        """The identities of the records that have one, and their places; the others become rejects."""
        found, places = [], []
        for place, raw in enumerate(raws):
            try:
                found.append(self._program.identify(raw))
                places.append(place)
            except RecordRejected as rejected:
                batch.rejects.append(ChunkReject(None, bytes(raw), list(rejected.problems), zone))
        return found, places

    def _follow(self, batch: _Batch) -> None:
        """Let the cursor follow the newest believable time stamp of a batch.

        In an ordered read that is the last record's, or, behind records dated in the future, one of those before it.
        """
        for modified, zone in zip(reversed(batch.modified), reversed(batch.zones), strict=True):
            instant = self._connector.instant(modified, zone=zone) if modified else None
            if instant is None or instant >= self._until:
                continue
            if self._modified_to is None or instant > self._modified_to:
                self._modified_to = instant
            if self._ordered:
                return

    def _covered(self, *, last: bool) -> datetime | None:
        """How far the cursor may move with a chunk.

        With the last one: to the start of the read where no record says when it changed, and to where a vendor had come
        that counts its changes.
        """
        if last and self._windowed:
            return self._until
        if last and self._reached is not None:
            return max(self._reached, self._modified_to or self._reached)
        return self._modified_to if last or self._ordered else None

    def _chunk(self, batch: _Batch, number: int, *, last: bool) -> Chunk:
        unidentified = len(batch.rejects)
        self._follow(batch)
        if self._on_seen is not None:
            self._on_seen(number, Seen(list(batch.latest), whole=not unidentified))
        mapped = self._mapped if self._program.refine is None else self._refined
        made = mapped(batch, self._changed(batch))
        kept, dropped = made.kept, made.dropped
        unmapped = len(batch.rejects) - unidentified
        needless = batch.needless_retries()
        known = [batch.keys[position] for position in (*kept, *dropped)] if self._open_rejects else []
        return Chunk(
            number=number,
            read=batch.read - needless,
            count=len(kept),
            unchanged=len(batch.latest) - len(kept) - len(dropped) - unmapped,
            superseded=len(batch.keys) - len(batch.latest) - needless,
            dropped=dict(Counter(dropped.values())),
            heads=copy_text([self._head(batch, position) for position in kept]),
            rows=made.rows,
            children=[copy_text(child) for child in made.children],
            origins=[part for position in kept for part in batch.origins[position]],
            rejects=batch.rejects,
            retried=[key for key in known if key in self._open_rejects],
            retries_dropped=[place for page, place in map(batch.origins.__getitem__, dropped) if page == RETRIED],
            modified_to=self._covered(last=last),
            fresh=self._first_load,
            last=last,
        )

    def _mapped(self, batch: _Batch, positions: Iterable[int]) -> _Made:
        """The records at `positions` as rows; what cannot be mapped becomes a reject."""
        made = _Made(children=[[] for _ in self._program.children])
        lines: list[str] = []
        zone, map_line = None, self._program.map_line
        for position in positions:
            if batch.zones[position] != zone:
                zone = batch.zones[position]
                map_line = self._in_zone(zone).map_line
            try:
                line, child_lines = map_line(batch.raws[position])
            except RecordRejected as rejected:
                batch.reject(position, rejected.problems)
                continue
            made.keep(position, child_lines)
            lines.append(line)
        made.rows = self._copied(batch, made.kept, lines)
        return made

    def _refined(self, batch: _Batch, positions: Iterable[int]) -> _Made:
        """The same with batch templates, which see the rows of the chunk together and may leave some out."""
        found: dict[int, MappedRecord] = {}
        for position in positions:
            try:
                found[position] = self._in_zone(batch.zones[position]).map_record(batch.raws[position])
            except RecordRejected as rejected:
                batch.reject(position, rejected.problems)
        made = _Made(children=[[] for _ in self._program.children])
        if not found:
            return made
        # Mapped times carry their offset: the zone counts only for a naive time that a template makes.
        refine = self._in_zone(batch.zones[next(reversed(found))]).refine
        refined = refine([record.values for record in found.values()]) if refine is not None else None
        if refined is None:
            raise AssertionError("the batch templates of a mapping do not depend on a zone")
        for number, (position, record) in enumerate(found.items()):
            if number in refined.rows:
                made.keep(position, record.children)
            elif number in refined.dropped:
                made.dropped[position] = refined.dropped[number]
            else:
                batch.reject(position, refined.rejected[number])
        made.rows = copy_text(list(refined.rows.values()))
        return made

    def _copied(self, batch: _Batch, kept: Sequence[int], lines: Sequence[str]) -> bytes:
        """The rows as COPY text; the rare chunk with a value that looks like our own separators is mapped again."""
        text = copy_lines(lines, columns=len(self._program.columns))
        if text is not None:
            return text
        return copy_text([self._in_zone(batch.zones[n]).map_record(batch.raws[n]).values for n in kept])

    def _head(self, batch: _Batch, position: int) -> tuple[str | None, ...]:
        """What the sync record of a record keeps, in the order of the store's `HEAD`."""
        modified = batch.modified[position]
        when = self._connector.instant(modified, zone=batch.zones[position]) if modified is not None else None
        return (
            batch.keys[position],
            str(batch.fingerprints[position]),
            modified,
            when.isoformat() if when is not None else None,
        )

    def _in_zone(self, zone: str) -> PullProgram:
        """The program for pages whose naive times are in `zone`; compiled once for each zone."""
        program = self._programs.get(zone)
        if program is None:
            program = self._programs[zone] = self._program.with_zone(zone)
        return program

    def _changed(self, batch: _Batch) -> Iterable[int]:
        """The positions of records that are new or have other bytes than what was applied; in one round trip."""
        if self._first_load or not batch.latest:
            return batch.latest.values()
        if len(batch.latest) == len(batch.keys):
            positions: Sequence[int] = range(len(batch.keys))
            keys, fingerprints = batch.keys, batch.fingerprints
        else:
            positions = list(batch.latest.values())
            keys = list(batch.latest)
            fingerprints = [batch.fingerprints[position] for position in positions]
        changed = store.changed_positions(
            self._connection,
            self._run.config_id,
            keys=keys,
            hashes=fingerprints,
            rejected=[key for key in self._open_rejects if key in batch.latest],
            two_way=self._run.is_two_way,
        )
        return [positions[found] for found in sorted(changed)]
