"""Transform: landed pages into chunks. What has not changed is dropped unparsed; what cannot be mapped is a reject.

A record's fingerprint is the xxh3 of its bytes, seeded with the version of the mapping: the same bytes under another
mapping are not the same. The fingerprints of a whole chunk are compared with the sync records in one statement, and
only records that differ are parsed at all. Reading again what has not changed is therefore several times cheaper than
the first load.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

import xxhash

from erpflow.connectors.base import Connector, RawRecord
from erpflow.errors import RecordRejected
from erpflow.mapping.compile import PullProgram
from erpflow.store import pull as store
from erpflow.store import rejects
from erpflow.store.sync_logs import SyncRun
from erpflow.sync.chunk import CHUNK_BYTES, CHUNK_RECORDS, Chunk, ChunkReject, copy_line
from erpflow.sync.landing import LandedPage

SIGN = 1 << 63
RANGE = 1 << 64


@dataclass(slots=True)
class _Record:
    """One identified record of a chunk: where it landed, its bytes, its key and its fingerprint."""

    page: int
    position: int
    raw: RawRecord
    key: str
    modified: str | None
    fingerprint: int
    zone: str


@dataclass(slots=True)
class _Batch:
    """The records of a chunk so far; a key that comes twice keeps the later version."""

    records: dict[str, _Record] = field(default_factory=dict)
    rejects: list[ChunkReject] = field(default_factory=list)
    read: int = 0
    bytes: int = 0

    def is_full(self) -> bool:
        return self.read >= CHUNK_RECORDS or self.bytes >= CHUNK_BYTES


class Transformer:
    """Turns the pages of one run into chunks.

    `connection` is used to compare fingerprints; `until` bounds the cursor: vendors hold records dated in the year
    9999, and a cursor that followed one would never read anything again.
    """

    def __init__(
        self,
        run: SyncRun,
        connector: type[Connector],
        program: PullProgram,
        connection: store.Connection,
        *,
        until: datetime,
    ) -> None:
        self._run = run
        self._connector = connector
        self._program = program
        self._programs: dict[str, PullProgram] = {}
        self._connection = connection
        self._until = until
        self._ordered = connector.spec.entities[run.entity].ordered
        self._first_load = not store.knows_any_record(connection, run.config_id)
        self._open_rejects = frozenset(rejects.open_ids(connection, run.config_id))
        self._modified_to: datetime | None = None

    def chunks(self, pages: Iterable[LandedPage]) -> Iterator[Chunk]:
        """Chunks in order, the last one marked; at least one, which may be empty."""
        batch, number = _Batch(), 0
        pending: Chunk | None = None
        for page in pages:
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
        identify, seed, records = self._program.identify, self._program.seed, batch.records
        digest = xxhash.xxh3_64_intdigest
        raws = self._connector.split(self._run.entity, page.raw)
        for position, raw in enumerate(raws):
            try:
                key, modified = identify(raw)
            except RecordRejected as rejected:
                batch.rejects.append(ChunkReject(None, bytes(raw), list(rejected.problems)))
                continue
            unsigned = digest(raw, seed)
            fingerprint = unsigned - RANGE if unsigned >= SIGN else unsigned
            record = _Record(page.number, position, raw, key, modified, fingerprint, page.zone)
            records[key] = record
        batch.read += len(raws)
        batch.bytes += len(page.raw)

    def _follow(self, batch: _Batch) -> None:
        """Let the cursor follow the newest believable time stamp of a batch.

        In an ordered read that is the last record's, or, behind records dated in the future, one of those before it.
        """
        for record in reversed(batch.records.values()):
            instant = self._connector.instant(record.modified, zone=record.zone) if record.modified else None
            if instant is None or instant >= self._until:
                continue
            if self._modified_to is None or instant > self._modified_to:
                self._modified_to = instant
            if self._ordered:
                return

    def _chunk(self, batch: _Batch, number: int, *, last: bool) -> Chunk:
        unidentified = len(batch.rejects)
        self._follow(batch)
        changed = self._changed(list(batch.records.values()))
        rows: list[str] = []
        children: list[list[str]] = [[] for _ in self._program.children]
        retried: list[str] = []
        refused = batch.rejects
        instant = self._connector.instant
        for record in changed:
            try:
                values, lines = self._in_zone(record.zone).map_record(record.raw)
            except RecordRejected as rejected:
                refused.append(ChunkReject(record.key, bytes(record.raw), list(rejected.problems)))
                continue
            n = str(len(rows) + 1)
            when = instant(record.modified, zone=record.zone) if record.modified is not None else None
            fixed = (
                n,
                str(record.page),
                str(record.position),
                record.key,
                str(record.fingerprint),
                record.modified,
                when.isoformat() if when is not None else None,
            )
            rows.append(copy_line(fixed + values))
            for child, child_rows in zip(children, lines, strict=True):
                child.extend([copy_line((n, *line)) for line in child_rows])
            if record.key in self._open_rejects:
                retried.append(record.key)
        unmapped = len(refused) - unidentified
        return Chunk(
            number=number,
            read=batch.read,
            count=len(rows),
            unchanged=len(batch.records) - len(rows) - unmapped,
            superseded=batch.read - len(batch.records) - unidentified,
            rows="".join(rows).encode(),
            children=["".join(child).encode() for child in children],
            rejects=refused,
            retried=retried,
            modified_to=self._modified_to if last or self._ordered else None,
            last=last,
        )

    def _in_zone(self, zone: str) -> PullProgram:
        """The program for pages whose naive times are in `zone`; compiled once for each zone."""
        program = self._programs.get(zone)
        if program is None:
            program = self._programs[zone] = self._program.with_zone(zone)
        return program

    def _changed(self, records: list[_Record]) -> list[_Record]:
        """The records that are new or have other bytes than what was applied; in one round trip."""
        if self._first_load or not records:
            return records
        positions = store.changed_positions(
            self._connection,
            self._run.config_id,
            keys=[record.key for record in records],
            hashes=[record.fingerprint for record in records],
            rejected=[record.key for record in records if record.key in self._open_rejects],
        )
        return [records[position] for position in sorted(positions)]
