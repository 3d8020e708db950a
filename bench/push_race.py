"""The jobs that go to a vendor: a push of rows, pushes at an allowed rate, and cycles that have nothing to do.

None of them has a peer: tools that load do not push, and those that push keep no record of what both sides agreed on.
Their measure is the vendor's own time and rate, and a pull alone.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec
import xxhash

from bench import database, erpflow_cycle, erpflow_pull, erpflow_push, measure, records, sink, source
from bench.job import Job
from bench.measure import Measured
from bench.peer_environment import ROOT
from bench.race import Result, WrongContent
from bench.sink_connector import BULK
from stack.postgres import Server

NAME: Final = "erpflow_push"
RATES: Final = {1: 40, 10: 30, 50: 20}
"""Allowed requests per second, and for how many seconds each is pushed at."""
REQUESTS_A_BATCH: Final = 2
"""A batch of creates is looked for, and then sent."""
RATE_RECORDS: Final = {rate: rate * seconds // REQUESTS_A_BATCH * BULK for rate, seconds in RATES.items()}
"""Rows for such a push."""
PACE: Final = 0.98
"""The share of what the sink allows that erpflow's data sheet of it names: two requests a second apart arrive a little
less than that apart every other time, and the sink counts strictly."""
WORKERS: Final = 4
EDITS: Final = {"updates": 1, "edits": records.CHANGED_EVERY}
"""After the creates: one row in so many is edited, and pushed again."""

Tell = Callable[[str], None]
Prepare = Callable[[str], None]


class PushRace:
    """The jobs at one number of records, over one Postgres server and one source."""

    def __init__(self, server: Server, base_url: str, pages: Path, *, records: int, tell: Tell) -> None:
        """`pages`: the folder of the source's rendered pages, the rows of a push are made of them."""
        self._server = server
        self._base_url = base_url
        self._pages = pages
        self._records = records
        self._tell = tell

    def push(self, repetition: int) -> Iterator[Result]:
        """New rows to an empty vendor, then all of them edited, then one in a hundred; one call at a time.

        One after the other, engine and vendor take turns, and the vendor's time can be taken off. Raises
        ContestantFailed or WrongContent.
        """
        options = {"workers": 1, "per_second": None, "full": False}
        with self._place(erpflow_push.prepare) as (url, folder), sink.running() as vendor:
            erpflow_push.fill(url, self._pages, count=self._records)
            yield self._pushed("creates", repetition, vendor, self._job(vendor.url, url, folder, options))
            self._check(vendor)
            for revision, (load, every) in enumerate(EDITS.items(), 1):
                edited = erpflow_push.edit(url, revision=revision, every=every)
                yield self._pushed(load, repetition, vendor, self._job(vendor.url, url, folder, options, count=edited))

    def rate(self, per_second: int, repetition: int) -> Iterator[Result]:
        """New rows to a vendor that refuses what exceeds its rate, for some seconds. Raises as `push` does."""
        count = RATE_RECORDS[per_second]
        options = {"workers": WORKERS, "per_second": per_second * PACE, "full": False}
        with self._place(erpflow_push.prepare) as (url, folder), sink.running(per_second=per_second) as vendor:
            erpflow_push.fill(url, self._pages, count=count)
            job = self._job(vendor.url, url, folder, options, count=count)
            yield self._pushed(f"rate {per_second}", repetition, vendor, job)

    def cycle(self, repetition: int) -> Iterator[Result]:
        """A cycle in which nothing has changed on either side: the pull alone, and with the push behind it.

        Each once comparing everything (`full`), and once only what may have changed. Raises as `push` does.
        """
        for both_ways, prepare in {False: erpflow_pull.prepare, True: erpflow_cycle.prepare_both_ways}.items():
            with self._place(prepare) as (url, folder):
                vendor_url = self._base_url + source.path(records=self._records, state="initial")
                options = {"both_ways": both_ways, "full": True}
                job = self._job(vendor_url, url, folder, options)
                self._run("bench.erpflow_cycle", job)
                for name, full in {"cycle": False, "full cycle": True}.items():
                    title = f"{name}, both ways" if both_ways else f"{name}, pull only"
                    yield self._idle(title, repetition, replace(job, options={**options, "full": full}))

    # -- parts -----------------------------------------------------------------------------------------------------

    @contextmanager
    def _place(self, prepare: Prepare) -> Iterator[tuple[str, Path]]:
        """A database that is ready, and a folder."""
        with (
            tempfile.TemporaryDirectory(prefix="erpflow-bench-") as folder,
            database.fresh_database(self._server, "erpflow_bench_push") as url,
        ):
            prepare(url)
            yield url, Path(folder)

    def _job(
        self, vendor_url: str, url: str, folder: Path, options: dict[str, Any], *, count: int | None = None
    ) -> Job:
        return Job(
            url=vendor_url,
            database_url=url,
            schema="bench",
            folder=str(folder),
            records=self._records if count is None else count,
            options=options,
        )

    def _pushed(self, load: str, repetition: int, vendor: sink.RunningSink, job: Job) -> Result:
        vendor.measures()
        measured = self._run("bench.erpflow_push", job)
        met = vendor.measures()
        if met.written != job.records:
            raise WrongContent(f"{job.records:,} rows were to be written, the vendor counted {met.written:,}.")
        measured = replace(measured, notes={**measured.notes, **msgspec.structs.asdict(met)})
        return self._result(load, repetition, job.records, measured)

    def _idle(self, load: str, repetition: int, job: Job) -> Result:
        before = database.versions(job.database_url, "bench")
        measured = self._run("bench.erpflow_cycle", job)
        if measured.notes["changes"]:
            raise WrongContent(f"{load}: nothing had changed, and the run counted {measured.notes['changes']} changes.")
        if database.versions(job.database_url, "bench") != before:
            raise WrongContent(f"{load}: nothing had changed, and rows of the table were written.")
        return self._result(load, repetition, job.records, measured)

    def _run(self, module: str, job: Job) -> Measured:
        database.settle(job.database_url)
        folder = Path(job.folder)
        environment = {"PYTHONPATH": f"{ROOT / 'plugins'}:{ROOT}"}
        before = database.server_cpu_seconds(job.database_url)
        measured = measure.run([sys.executable, "-m", module], job, cwd=folder, env=environment)
        computed = database.server_cpu_seconds(job.database_url) - before
        return replace(measured, notes={**measured.notes, "database_cpu_seconds": computed})

    def _result(self, load: str, repetition: int, count: int, measured: Measured) -> Result:
        self._tell(f"{count:>9,} {NAME:<24} {load:<22} {measured.seconds:8.2f} s {measured.peak_mib:6.0f} MiB")
        return Result(NAME, count, load, repetition, measured)

    def _check(self, vendor: sink.RunningSink) -> None:
        """What the vendor has is what the rows were made of. Raises WrongContent."""
        pages = records.open_pages(self._pages, state="initial").pages(self._records // records.PAGE_SIZE)
        expected = content(record for page in pages for record in msgspec.json.decode(b"[" + page + b"]"))
        found = content(vendor.records())
        if found != expected:
            raise WrongContent(
                f"The vendor has {found[0]:,} records (checksum {found[1]}) after the push, and there were "
                f"{expected[0]:,} rows (checksum {expected[1]}). The figures would mean nothing."
            )


def content(found: Iterable[dict[str, Any]]) -> tuple[int, int]:
    """How many records, and a sum over all that a push sends of them, which does not depend on their order."""
    count = total = 0
    for record in found:
        count += 1
        total += xxhash.xxh3_64_intdigest(msgspec.json.encode(_values(record), order="deterministic"))
    return count, total


def _values(record: dict[str, Any]) -> dict[str, Any]:
    """A record without what is the vendor's own, equal values written alike."""
    values = {name: value for name, value in record.items() if name not in ("id", "origin", "updated_at")}
    for name in ("credit_limit", "balance"):
        values[name] = str(Decimal(str(values[name])).normalize())
    values["created_at"] = datetime.fromisoformat(values["created_at"]).timestamp()
    return values
