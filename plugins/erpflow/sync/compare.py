"""Both sides of a sync config compared: pages mapped wholly, staged, and held against ties and rows, chunk by chunk.

Nothing is filtered by its fingerprint: a row that somebody changed here has the fingerprint of what was pulled.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import structlog

from erpflow.connectors.base import Connector, SupportsWrites
from erpflow.errors import ConfigError, RecordRejected
from erpflow.mapping.compile import PullProgram, compile_pull
from erpflow.mapping.load import load_mapping
from erpflow.mapping.model import Mapping
from erpflow.store import configs, locks, templates
from erpflow.store.comparing import Comparer, Rules, why
from erpflow.store.pull import Batch, Connection
from erpflow.store.pull_sql import PullTarget
from erpflow.store.sync_logs import SyncRun
from erpflow.store.tracked import Tracked
from erpflow.sync.allowed import allowed_writes
from erpflow.sync.chunk import Chunk
from erpflow.sync.comparable import comparable
from erpflow.sync.findings import Policy
from erpflow.sync.in_force import mapping_in_force
from erpflow.sync.landing import LandedPage
from erpflow.sync.pull_merge import DELETED_HERE
from erpflow.sync.target import compared_target, tracked
from erpflow.sync.transform import Transformer
from erpflow.vocabulary import Counts, Deletes, Direction, Operation, SyncConfigId

log = structlog.get_logger(__name__)

RawOf = Callable[[int, int], tuple[bytes, str]]
"""The bytes of the record at a page and position, and the zone of its times."""

IGNORED = {
    "missing_here": "missing here",
    "different": "different",
    "duplicate_there": "duplicate there",
    "deleted_here": DELETED_HERE,
    "meanwhile": "synced meanwhile",
    "foreign": "of nobody here",
    "left_out": "left out by the mapping",
}
"""Why a record is neither equal, rejected nor in conflict, as the counts of the log say it."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A sync config as it is compared. `siblings`: other configs of its table."""

    run: SyncRun
    connector: type[Connector]
    mapping: Mapping
    program: PullProgram
    target: PullTarget
    tracked: Tracked
    policy: Policy
    siblings: tuple[SyncConfigId, ...]

    @classmethod
    def of(cls, connection: Connection, run: SyncRun, connector: type[Connector], mappings: Path) -> Subject:
        """The config of a run. Raises ConfigError for a mapping or a table that is wrong, naming file and key."""
        where = str(mappings / run.mapping_path)
        kept = templates.kept_templates(connection, tenant_id=run.tenant_id)
        whole = mapping_in_force(mappings, run.mapping_path, run.mapping_overrides, kept=kept)
        mapping = comparable(whole, run.config_direction)
        if mapping is None:
            raise ConfigError(
                f"{where}: nothing that it pushes can be read back, so there is nothing to compare. Map one field both "
                "ways (without `only: push`)."
            )
        program = compile_pull(mapping)
        is_push = run.config_direction is Direction.PUSH
        return cls(
            run=run,
            connector=connector,
            mapping=mapping,
            program=program,
            target=compared_target(connection, program, connection_id=run.connection_id, where=where),
            tracked=tracked(
                connection, mapping, Direction.BIDIRECTIONAL if is_push else run.config_direction, where=where
            ),
            policy=_policy(run, connector, whole),
            siblings=_siblings(connection, run, whole, mappings),
        )

    def comparer(self, connection: Connection, *, started: datetime) -> Comparer:
        """Compares over one session. `started`: what was synced since then is not compared."""
        policy = self.policy
        return Comparer(
            connection,
            self.target,
            self.tracked,
            rules=Rules(
                pulls=policy.pulls,
                pushes=policy.pushes,
                creates=policy.pushes and policy.creates,
                keeps_deleted=policy.there is not Deletes.HARD,
                carries_deletes=policy.carries_deletes,
            ),
            siblings=self.siblings,
            parameters={"config": self.run.config_id, "started": started},
        )


@dataclass(slots=True)
class Comparison:
    """The comparison of some pages. `read`: records; `strangers`: those of them that have no key."""

    subject: Subject
    connection: Connection
    comparer: Comparer
    raw_of: RawOf
    read: int = field(default=0, init=False)
    strangers: int = field(default=0, init=False)
    _seen: dict[int, Sequence[str]] = field(default_factory=dict, init=False)

    def add(self, pages: Iterable[LandedPage]) -> None:
        """Compare the records of pages, each chunk in a transaction."""
        subject = self.subject
        transformer = Transformer(
            subject.run,
            subject.connector,
            subject.program,
            self.connection,
            until=datetime.max.replace(tzinfo=UTC),
            on_seen=lambda number, seen: self._seen.update({number: seen.ids}),
            everything=True,
        )
        for chunk in transformer.chunks(pages):
            self._compare(chunk)

    def _compare(self, chunk: Chunk) -> None:
        with self.connection.transaction():
            # What a push is making there, or a pull here, is there with its tie or not at all.
            locks.hold(self.connection, self.subject.run.config_id)
            refused = self.comparer.compare(Batch(chunk.count, chunk.heads, chunk.rows, chunk.children))
            rejected = [(reject.remote_id, why(reject.problems)) for reject in chunk.rejects]
            rejected += [(self._key(chunk, entry.number), why(entry.problems)) for entry in refused]
            seen = self._seen.pop(chunk.number)
            if chunk.dropped:
                self.comparer.leave_out(seen)
            self.comparer.reject(rejected)
        self.read += chunk.read
        self.strangers += sum(remote_id is None for remote_id, _ in rejected)
        log.info("chunk_compared", sync_log=self.subject.run.log_id, chunk=chunk.number, records=chunk.read)

    def _key(self, chunk: Chunk, number: int) -> str | None:
        raw, _ = self.raw_of(*chunk.origin(number))
        try:
            return self.subject.program.identify(raw)[0]
        except RecordRejected:
            return None

    def counts(self) -> tuple[Counts, dict[str, int]]:
        """What became of the records, and why some of them are ignored."""
        outcomes: Counter[str] = self.comparer.counts()
        reasons = {reason: outcomes[outcome] for outcome, reason in IGNORED.items()}
        reasons["superseded in the same read"] = self.read - outcomes.total()
        counts = Counts(
            read=self.read,
            unchanged=outcomes["equal"],
            conflict=outcomes["frozen"],
            rejected=outcomes["rejected"],
            ignored=sum(reasons.values()),
        )
        if counts.accounted != counts.read:  # invariant 1
            raise AssertionError(f"{counts.read} records were read and {counts.accounted} are accounted for")
        return counts, {reason: number for reason, number in reasons.items() if number}


def _policy(run: SyncRun, connector: type[Connector], mapping: Mapping) -> Policy:
    spec = connector.spec.entities.get(run.entity)
    writes = allowed_writes(mapping, spec) if spec is not None else frozenset()
    return Policy(
        pulls=run.config_direction is not Direction.PUSH,
        pushes=run.config_direction is not Direction.PULL,
        named=issubclass(connector, SupportsWrites),
        creates=Operation.CREATE in writes,
        updates=Operation.UPDATE in writes,
        deletes=Operation.DELETE in writes,
        here=mapping.deletes.pull,
        there=mapping.deletes.push,
        natural_key=" and ".join(mapping.local.match_on),
    )


def _siblings(connection: Connection, run: SyncRun, mapping: Mapping, mappings: Path) -> tuple[SyncConfigId, ...]:
    """Other configs of the table: what they have tied is no copy. One whose mapping cannot be read might be one."""
    tables: dict[str, str | None] = {}
    found = []
    for config_id, path in configs.others(connection, run.config_id):
        if path not in tables:
            try:
                tables[path] = load_mapping(mappings / path).local.table
            except ConfigError:
                tables[path] = None
        if tables[path] in (None, mapping.local.table):
            found.append(config_id)
    return tuple(found)
