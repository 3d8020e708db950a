"""Pull: one run from the vendor to the tables. Stage by stage for Airflow's tasks, or all at once in one process.

In one process the stages overlap: pages are fetched in one thread while the main thread fingerprints and maps, and
Postgres applies the chunk before in a third. Every queue is short, so memory does not grow with the number of records.
"""

from __future__ import annotations

import gc
import json
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any, Final

from erpflow.connectors.base import Connector, Deletion, SupportsDeletedFeed
from erpflow.errors import ConfigError
from erpflow.mapping.compile import PullProgram, compile_pull
from erpflow.mapping.model import Mapping
from erpflow.mapping.templates import templates_used
from erpflow.store import locks, planning, reject_retries, sync_logs, templates
from erpflow.store.database import Database
from erpflow.store.pull_sql import PullTarget
from erpflow.store.sync_logs import RunSummary, SyncRun
from erpflow.store.tracked import Tracked
from erpflow.sync.chunk import Chunk
from erpflow.sync.counted import reached_by, unjudgeable
from erpflow.sync.extract import OnPage, deletes_reader, deletes_since, extract, reader, stream_pages
from erpflow.sync.finding_deletes import Finding, finding_of, whole_reads
from erpflow.sync.in_force import mapping_in_force
from erpflow.sync.landing import Extracted, Folder, LandedPage, Landing, RetriedRecord
from erpflow.sync.load import Loader
from erpflow.sync.merge import rules_of
from erpflow.sync.pipeline import ahead
from erpflow.sync.planned import PlannedChange
from erpflow.sync.pull_deletes import Found, PullDeletes
from erpflow.sync.target import pull_target, tracked
from erpflow.sync.transform import RETRIED, Transformer
from erpflow.vocabulary import Counts, Deletes, FieldConflict, RemoteId, SyncLogId

PAGES_AHEAD = 8
CHUNKS_AHEAD = 1
SWITCH_INTERVAL_S = 0.0005


@dataclass(slots=True)
class Progress:
    """How far a run has come: pages and records landed, and what became of those applied."""

    pages: int = 0
    records: int = 0
    counts: Counts = field(default_factory=Counts)


OnProgress = Callable[[Progress], None]


def _silent(_progress: Progress) -> None:
    return None


@dataclass(frozen=True, slots=True)
class PullJob:
    """Everything one run needs, read back from the id of its log: any task, on any worker, can build it.

    `mappings` is the folder that the config's mapping path is relative to, `landing_root` where landing folders go.
    The mapping is read once: it is asked for a dozen times, and reading it takes longer than to pull one record.
    """

    database: Database
    run: SyncRun
    connector: type[Connector]
    landing: Landing
    mappings: Path
    _read: dict[str, Any] = field(default_factory=dict, init=False, compare=False, repr=False)

    @classmethod
    def open(
        cls,
        database: Database,
        log_id: SyncLogId,
        *,
        connector_class: Callable[[str], type[Connector]],
        landing_root: Folder,
        mappings: Path,
    ) -> PullJob:
        """Read the run back and open its landing folder. A failure that an earlier try left in the log is cleared."""
        with database.session() as connection:
            sync_logs.reopen(connection, log_id)
            run = sync_logs.load_run(connection, log_id)
            source = run.record_ids[0] if run.kind == "replay" else run.log_id
            folder = landing_root / run.system / run.entity / source
            sync_logs.note_pages(connection, log_id, pages=0, landing=str(folder))
        return cls(database, run, connector_class(run.system), Landing(folder).open(), mappings)

    def answered(self, deletes: bool | None) -> PullJob:  # noqa: FBT001  (three answers: yes, no, not asked)
        """The same job after a person has said whether the deletes it asked about are right; None: nobody was asked."""
        return self if deletes is None else replace(self, run=_answered(self.database, self.run, deletes=deletes))

    def mapping(self) -> Mapping:
        """The mapping of this run. Raises ConfigError naming file, line and key."""
        found: Mapping | None = self._read.get("mapping")
        if found is None:
            with self.database.session() as connection:
                kept = templates.kept_templates(connection, tenant_id=self.run.tenant_id)
            found = self._read["mapping"] = mapping_in_force(
                self.mappings, self.run.mapping_path, self.run.mapping_overrides, kept=kept
            )
        return found

    def program(self) -> PullProgram:
        """The mapping of this run, compiled. Raises ConfigError naming file, line and key."""
        found: PullProgram | None = self._read.get("program")
        if found is None:
            found = self._read["program"] = compile_pull(self.mapping())
        return found

    def check(self) -> None:
        """Fail now, before anything is read, if the mapping or a table it names is wrong."""
        spec = self.connector.spec.entities.get(self.run.entity)
        if spec is not None and (problem := unjudgeable(self.mapping(), spec)):
            raise ConfigError(f"{self._where()}: {problem}")
        with self.database.session() as connection:
            self._target(connection, self.program())
            self._tracked(connection, self.mapping())

    def extract(self, connector: Connector, *, on_progress: OnProgress = _silent) -> Extracted:
        """Land the vendor's deletes and every page; how many of both there are.

        Run again after it had finished, it fetches anew from the first page that was damaged.
        """
        with self._alone():
            return self._extract(connector, on_progress)

    def _extract(self, connector: Connector, on_progress: OnProgress) -> Extracted:
        self._check_replay()
        damaged = self.landing.first_damaged()
        if damaged is not None:
            with self.database.session() as connection:
                sync_logs.forget_chunks(connection, self.run.log_id)
            self.landing.forget_from(damaged)
        others = self._extract_deletes(connector) + len(self._retried())
        read, on_page = reader(self.run, connector), self._on_page(Progress(), on_progress)
        extracted = extract(read, self.landing, log_id=self.run.log_id, on_page=on_page)
        self._extract_times_of_missing(connector)
        total = Extracted(extracted.pages, extracted.records + others)
        with self.database.session() as connection:
            self._note_pages(connection, extracted.pages)
            if self.is_empty(total):
                sync_logs.note_total(connection, self.run.log_id, chunks=0)
                self._move_past_nothing(connection, extracted.pages)
        return total

    def _move_past_nothing(self, connection: sync_logs.Connection, pages: int) -> None:
        """A counting vendor had come so far without a change of this entity: there is nothing to look for before it."""
        note = self.landing.note(pages) if self.run.moves_cursor else None
        reached = reached_by(note.reached, connector=self.connector, zone=note.zone) if note else None
        if reached is not None:
            sync_logs.advance_cursor(connection, self.run, reached)

    def is_empty(self, extracted: Extracted) -> bool:
        """Whether there is nothing to do behind an extract: nothing came, and that nothing came says nothing."""
        return extracted.records == 0 and self._finds_deletes() not in (Finding.SWEEP, Finding.NAMED)

    def transform(self) -> int:
        """Write the chunks of every landed page to the landing area; how many steps there are to load.

        Raises ConfigError when the extract has not finished: its pages would be taken for all there are.
        """
        with self._alone():
            return self._transform()

    def _transform(self) -> int:
        if self.landing.extracted() is None:
            raise ConfigError(
                f"The pages of this run are not all in {self.landing.location}: the extract did not finish, or they "
                "were cleaned up. Clear the extract task: it fetches what is missing."
            )
        program = self.program()
        version, number = program.mapping.version, 0
        with self.database.session() as connection:
            transformer = self._transformer(program, connection)
            for chunk in transformer.chunks(self.landing.pages(), retried=self._retried()):
                self.landing.put_chunk(version, chunk.number, chunk.encode())
                number = chunk.number
            steps = number + self._steps_behind()
            sync_logs.note_total(connection, self.run.log_id, chunks=steps)
        return steps

    def load(self, *, on_progress: OnProgress = _silent) -> Counts:
        """Apply the chunks that are not applied yet, then the deletes; what became of all, earlier tries included.

        Raises DeletesNeedApproval when everything but the deletes is applied, and a person must say yes to those.
        """
        program = self.program()
        chunks = self._chunks_total() - self._steps_behind()
        self._load(program, lambda applied: self._landed_chunks(program, applied, chunks), Progress(), on_progress)
        self._apply_deletes(program.mapping, chunks)
        with self.database.session() as connection:
            return sync_logs.summary(connection, self.run.log_id).counts

    def run_whole(self, connector: Connector, *, on_progress: OnProgress = _silent) -> Counts:
        """Extract, transform and load at once, overlapping; then the deletes. Raises as `load` does."""
        with self._alone():
            return self._run_whole(connector, on_progress)

    def _run_whole(self, connector: Connector, on_progress: OnProgress) -> Counts:
        program, progress = self.program(), Progress()
        on_page = self._on_page(progress, on_progress)
        self._check_replay()
        last = 0
        self._extract_deletes(connector)
        retried = self._retried()
        read = reader(self.run, connector)

        def chunks(applied: int) -> Iterator[Chunk]:
            nonlocal last
            with self.database.session() as connection:
                transformer = self._transformer(program, connection)
                pages = stream_pages(read, self.landing, log_id=self.run.log_id, on_page=on_page)
                for chunk in transformer.chunks(ahead(pages, depth=PAGES_AHEAD), retried=retried):
                    last = chunk.number
                    if chunk.number > applied:
                        yield chunk
                self._note_pages(connection, progress.pages)

        with hot_loop():
            self._load(program, lambda applied: ahead(chunks(applied), depth=CHUNKS_AHEAD), progress, on_progress)
        self._extract_times_of_missing(connector)
        progress.counts += self._apply_deletes(program.mapping, last)
        on_progress(progress)
        return progress.counts

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with self.database.session() as connection, locks.alone(connection, self.run.log_id):
            yield

    # -- what has landed before ----------------------------------------------------------------------------------

    def _check_replay(self) -> None:
        """Refuse to replay pages that are not all there: they are not this run's, and it fetches none."""
        if self.run.kind != "replay":
            return
        source = self.run.record_ids[0]
        if self.landing.extracted() is None:
            raise ConfigError(
                f"The pages of sync log {source} are not in {self.landing.location}: its extract did not finish, or "
                "the retention has removed them. Sync from the vendor instead: with full, or with since and until."
            )
        damaged = self.landing.first_damaged()
        if damaged is not None:
            raise ConfigError(
                f"Page {damaged} of sync log {source} in {self.landing.location} is damaged. Sync from the vendor "
                "instead: with full, or with since and until."
            )
        if self.mapping().remote.modified is None:
            with self.database.session() as connection:
                overtaken = sync_logs.is_overtaken(connection, SyncLogId(source))
            if overtaken:
                raise ConfigError(
                    f"Later pulls have been applied since sync log {source}, and without remote.modified nothing tells "
                    "which of its records are out of date. Sync from the vendor instead, with full."
                )

    # -- rejects -------------------------------------------------------------------------------------------------

    def _retried(self) -> list[RetriedRecord]:
        """The rejects that this run tries again; they are looked for once, and land with its pages."""
        if self.run.kind not in ("incremental", "full", "retry"):
            return []
        landing = self.landing.beside("retried").open()
        found = landing.retried()
        if found is None:
            ids = self.run.record_ids if self.run.kind == "retry" else None
            with self.database.session() as connection:
                worth = reject_retries.worth_a_try(
                    connection, self.run.config_id, version=self.mapping().version, ids=ids
                )
            found = [RetriedRecord(each.id, each.payload, each.zone, each.stage == "delete") for each in worth]
            landing.put_retried(found)
        return found

    def _retried_deletes(self) -> list[Deletion]:
        """Deletes among them; none for a mapping that ignores the vendor's by now."""
        if self.mapping().deletes.pull is Deletes.IGNORE:
            return []
        return [_deletion(each) for each in self._retried() if each.is_delete]

    # -- deletes -------------------------------------------------------------------------------------------------

    def _finds_deletes(self) -> Finding:
        """How this run finds out what the vendor deleted."""
        return finding_of(self.run, self.mapping(), self.connector)

    def _deletes_landing(self) -> Landing:
        return self.landing.beside("deletes").open()

    def _extract_deletes(self, connector: Connector) -> int:
        """Land the vendor's list of deletes; how many there are. What it deletes later is found by the next run."""
        if self._finds_deletes() is not Finding.FEED or not isinstance(connector, SupportsDeletedFeed):
            return 0
        landing = self._deletes_landing()
        records = extract(deletes_reader(self.run, connector), landing, log_id=self.run.log_id).records
        if self.run.moves_cursor:
            until = self._deletes_until()
            with self.database.session() as connection:
                if records and self.run.cursor_before is not None:
                    sync_logs.note_deletes_read(connection, self.run.config_id, since=deletes_since(self.run))
                elif not records and until is not None:
                    sync_logs.note_no_deletes(connection, self.run.config_id, until=until)
        return records

    def _deletes_until(self) -> datetime | None:
        """What the vendor deleted before is among what this run has read; None where that cannot be told.

        By the vendor's clock, which dates the deletes: as it answered, or else the newest of them.
        """
        landing = self._deletes_landing()
        first = landing.note(1)
        newest = first.server_time if first else None
        if newest is None:
            dates = (deletion.deleted_at for deletion in self._landed_deletions())
            newest = max((date for date in dates if date is not None), default=None)
        bounds = (self.run.started_at, self.run.window.until)
        return min(newest, *(bound for bound in bounds if bound is not None)) if newest is not None else None

    def _extract_times_of_missing(self, connector: Connector) -> None:
        """When some of the records that were asked for by name are gone: the vendor's list says since when."""
        extracted = self.landing.extracted()
        if self._finds_deletes() is not Finding.NAMED or extracted is None or not self._lists_deletes():
            return
        if extracted.records < len(self.run.record_ids) and isinstance(connector, SupportsDeletedFeed):
            extract(deletes_reader(self.run, connector), self._deletes_landing(), log_id=self.run.log_id)

    def _lists_deletes(self) -> bool:
        return self.connector.spec.entities[self.run.entity].deleted_feed

    def _steps_behind(self) -> int:
        """Steps behind the last chunk: the deletes are one, where there are or may be any."""
        finding = self._finds_deletes()
        if self._retried_deletes():
            return 1
        if finding is Finding.FEED:
            extracted = self._deletes_landing().extracted()
            return 1 if extracted is not None and extracted.records else 0
        return 0 if finding is Finding.NOT else 1

    def _apply_deletes(self, mapping: Mapping, chunks: int) -> Counts:
        if not self._steps_behind():
            return Counts()
        with self.database.session() as connection:
            tracked = self._tracked(connection, mapping)
        rules = rules_of(mapping, FieldConflict(self.run.conflict))
        deletes = PullDeletes(self.run, mapping, tracked, rules, self.database)
        counts = deletes.apply(self._found(chunks), chunk=chunks + 1, until=self._deletes_until())
        if deletes.plan:
            self._keep_plan(deletes.plan)
        return counts

    def _found(self, chunks: int) -> Found:
        finding, retried = self._finds_deletes(), self._retried_deletes()
        if finding in (Finding.FEED, Finding.NOT):
            landed = self._landed_deletions() if finding is Finding.FEED else ()
            return Found(deletions=chain(retried, landed))
        seen = self.landing.seen(chunks)
        if finding is Finding.NAMED:
            met = {remote_id for batch in seen for remote_id in batch.ids}
            missing = [RemoteId(name) for name in self.run.record_ids if name not in met]
            times = (
                {deletion.remote_id: deletion.deleted_at for deletion in self._landed_deletions()} if missing else {}
            )
            return Found(deletions=[Deletion(remote_id, times.get(remote_id)) for remote_id in missing])
        return Found(deletions=retried, seen=whole_reads(seen))

    def _landed_deletions(self) -> Iterator[Deletion]:
        connector: Any = self.connector
        for page in self._deletes_landing().pages():
            yield from connector.split_deleted(self.run.entity, page.raw, zone=page.zone)

    # -- steps ---------------------------------------------------------------------------------------------------

    def _load(
        self,
        program: PullProgram,
        source: Callable[[int], Iterable[Chunk]],
        progress: Progress,
        on_progress: OnProgress,
    ) -> None:
        with self.database.session() as connection:
            target = self._target(connection, program)
            tracked = self._tracked(connection, program.mapping)

        def on_chunk(counts: Counts) -> None:
            progress.counts += counts
            on_progress(progress)

        loader = Loader(
            self.run,
            program,
            target,
            tracked,
            self.database,
            raw_of=self._raw_of,
            steps_behind=self._steps_behind(),
            retried=self._retried(),
        )
        loader.load(source, on_chunk=on_chunk)
        if self.run.dry_run:
            self._keep_plan(loader.plan)
        else:
            self._count_templates(program.mapping, loader.mapped)

    def _count_templates(self, mapping: Mapping, rows: int) -> None:
        """Count what went through templates; in a transaction of its own, for other runs count the same ones."""
        used = templates_used(mapping)
        if used and rows:
            with self.database.session() as connection:
                templates.count_usage(connection, used, rows=rows, tenant_id=self.run.tenant_id)

    def _keep_plan(self, plan: list[PlannedChange]) -> None:
        with self.database.session() as connection:
            sync_logs.add_to_plan(connection, self.run.log_id, [change.as_json() for change in plan])

    def _landed_chunks(self, program: PullProgram, applied: int, chunks: int) -> Iterator[Chunk]:
        for number in range(applied + 1, chunks + 1):
            data = self.landing.chunk(program.mapping.version, number)
            if data is None:
                raise ConfigError(
                    f"Chunk {number} of {self.landing.location} is missing, or was made with another version of "
                    f"{self.run.mapping_path}. Clear the transform task: it is made again from the landed pages."
                )
            yield Chunk.decode(data)

    def _chunks_total(self) -> int:
        with self.database.session() as connection:
            return sync_logs.chunks_total(connection, self.run.log_id)

    def _raw_of(self, page: int, position: int) -> tuple[bytes, str]:
        if page == RETRIED:
            record = self._retried()[position]
            return record.payload, record.zone
        landed: LandedPage = self.landing.page(page)
        return bytes(self.connector.split(self.run.entity, landed.raw)[position]), landed.zone

    def _transformer(self, program: PullProgram, connection: sync_logs.Connection) -> Transformer:
        # What changes, or is committed late, behind a page that was read is not met again: the cursor stays before the
        # start, however long the reading takes, and the next run begins there, less the overlap.
        started = self.run.started_at
        until = min(started, self.run.window.until or started)
        needs_ids = self._finds_deletes() in (Finding.SWEEP, Finding.NAMED)
        on_seen = self.landing.put_seen if needs_ids else None
        return Transformer(self.run, self.connector, program, connection, until=until, on_seen=on_seen)

    def _target(self, connection: sync_logs.Connection, program: PullProgram) -> PullTarget:
        return pull_target(connection, program, connection_id=self.run.connection_id, where=self._where())

    def _tracked(self, connection: sync_logs.Connection, mapping: Mapping) -> Tracked:
        return tracked(connection, mapping, self.run.config_direction, where=self._where())

    def _where(self) -> str:
        return str(self.mappings / self.run.mapping_path)

    def _note_pages(self, connection: sync_logs.Connection, pages: int) -> None:
        sync_logs.note_pages(connection, self.run.log_id, pages=pages, landing=self.landing.location)

    @staticmethod
    def _on_page(progress: Progress, on_progress: OnProgress) -> OnPage:
        def landed(pages: int, records: int) -> None:
            progress.pages, progress.records = pages, records
            on_progress(progress)

        return landed


def _answered(database: Database, run: SyncRun, *, deletes: bool) -> SyncRun:
    with database.session() as connection:
        sync_logs.answer_deletes(connection, run.log_id, allowed=deletes)
        return sync_logs.load_run(connection, run.log_id)


def _deletion(record: RetriedRecord) -> Deletion:
    """A delete that was refused, out of its reject."""
    kept = json.loads(record.payload)
    at = datetime.fromisoformat(kept["deleted_at"]) if kept["deleted_at"] else None
    return Deletion(RemoteId(kept["deleted"]), at)


def finish(database: Database, log_id: SyncLogId) -> RunSummary:
    """Close the log of a run: completed, partial or failed, with counts that add up."""
    with database.session() as connection, connection.transaction():
        summary = sync_logs.close(connection, log_id)
        planning.note_finished(connection, log_id)
    return summary


def note_failure(database: Database, log_id: SyncLogId, error: BaseException) -> None:
    """Keep in the log why a task failed."""
    with database.session() as connection:
        sync_logs.note_failure(connection, log_id, error)


class _HotLoops:
    """Counts the loops of this process that are hot: the first one sets the interpreter, the last one sets it back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._before = (True, 0.0)

    def enter(self) -> None:
        with self._lock:
            self._count += 1
            if self._count == 1:
                self._before = gc.isenabled(), sys.getswitchinterval()
                gc.freeze()
                gc.disable()
                sys.setswitchinterval(SWITCH_INTERVAL_S)

    def leave(self) -> None:
        with self._lock:
            self._count -= 1
            if self._count:
                return
            was_enabled, interval = self._before
            sys.setswitchinterval(interval)
            if was_enabled:
                gc.enable()
            gc.unfreeze()


_HOT_LOOPS: Final = _HotLoops()


@contextmanager
def hot_loop() -> Iterator[None]:
    """Settings of the interpreter for three threads that hand each other work.

    The cyclic collector rests: the loop makes no cycles, and it costs a tenth of the run time. A thread that waits for
    Postgres or the vendor gets the interpreter back after half a millisecond instead of five.
    """
    _HOT_LOOPS.enter()
    try:
        yield
    finally:
        _HOT_LOOPS.leave()
