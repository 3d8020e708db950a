"""The race: every contestant loads the same data into a database of its own, in turns, and proves that it did."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from bench import database, measure, source
from bench.contestants import FLOOR, Contestant
from bench.job import Job
from stack.postgres import Server

LOADS: Final = {"first": "initial", "reload": "changed"}
"""The loads of one repetition, in order, and the state of the source that each reads."""


class WrongContent(Exception):
    """A contestant's table is not what the source holds."""


@dataclass(frozen=True, slots=True)
class Result:
    """One measured load."""

    contestant: str
    records: int
    load: str
    repetition: int
    measured: measure.Measured


@dataclass(frozen=True, slots=True)
class Figures:
    """The medians of one contestant's loads of one kind; seconds, MiB. `seconds` is the job, imports not counted."""

    seconds: float
    process_seconds: float
    peak_mib: float
    repetitions: int


Tell = Callable[[str], None]


class Race:
    """All contestants at one number of records, over one Postgres server and one source."""

    def __init__(self, server: Server, base_url: str, *, records: int, tell: Tell) -> None:
        self._server = server
        self._base_url = base_url
        self._records = records
        self._tell = tell
        self._expected: dict[str, tuple[int, str]] = {}

    def run(self, contestants: Sequence[tuple[Contestant, int]]) -> Iterator[Result]:
        """Every contestant so many times, interleaved. The floor is first: its table is the reference.

        Raises ContestantFailed or WrongContent.
        """
        for repetition in range(1, max(times for _, times in contestants) + 1):
            for contestant, times in contestants:
                if repetition <= times:
                    yield from self._repetition(contestant, repetition)

    def _repetition(self, contestant: Contestant, repetition: int) -> Iterator[Result]:
        with (
            tempfile.TemporaryDirectory(prefix="erpflow-bench-") as folder,
            database.fresh_database(self._server, f"erpflow_bench_{contestant.name}") as url,
        ):
            contestant.prepare(url)
            for load, state in LOADS.items():
                database.settle(url)
                measured = self._load(contestant, url, folder=Path(folder), state=state)
                self._check(contestant, url, state)
                self._tell(
                    f"{self._records:>9,} {contestant.title:<24} {load:<6} "
                    f"{measured.seconds:8.2f} s {measured.peak_mib:6.0f} MiB"
                )
                yield Result(contestant.name, self._records, load, repetition, measured)

    def _load(self, contestant: Contestant, url: str, *, folder: Path, state: str) -> measure.Measured:
        job = Job(
            url=self._base_url + source.path(records=self._records, state=state),
            database_url=url,
            schema=contestant.schema,
            folder=str(folder),
            records=self._records,
        )
        # In a folder of its own a contestant finds no configuration file by chance.
        return measure.run(contestant.command(), job, cwd=folder, env=contestant.environment(folder))

    def _check(self, contestant: Contestant, url: str, state: str) -> None:
        found = database.content(url, contestant.schema, address_prefix=contestant.address_prefix)
        if contestant is FLOOR:
            self._expected[state] = found
        expected = self._expected[state]
        if found != expected or found[0] != self._records:
            raise WrongContent(
                f"{contestant.title} wrote {found[0]:,} rows (checksum {found[1]}) from the {state} state; the source "
                f"holds {self._records:,} (checksum {expected[1]}). Its figures would mean nothing."
            )


def figures(results: Sequence[Result]) -> dict[tuple[str, int, str], Figures]:
    """Medians by contestant, number of records and load."""
    grouped: dict[tuple[str, int, str], list[measure.Measured]] = {}
    for result in results:
        grouped.setdefault((result.contestant, result.records, result.load), []).append(result.measured)
    return {
        key: Figures(
            seconds=median(each.seconds for each in group),
            process_seconds=median(each.process_seconds for each in group),
            peak_mib=median(each.peak_mib for each in group),
            repetitions=len(group),
        )
        for key, group in grouped.items()
    }
