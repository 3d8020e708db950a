"""What a contestant is asked and what it answers. Standard library only: the peers' environment runs it too.

A contestant is a module with a `main`; the benchmark starts it as a fresh process with one `Job` as its argument, and
it prints one `Answer` as the last line of its output.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, Final

_MARK: Final = "BENCH-ANSWER "


@dataclass(frozen=True, slots=True)
class Job:
    """One load: read `url` page by page to its end and merge it into schema `schema` of the database, or send it there.

    `folder` is the contestant's own and stays between its first load and its reload. `options`: what else a job says.
    """

    url: str
    database_url: str
    schema: str
    folder: str
    records: int
    options: dict[str, Any] = field(default_factory=dict)

    def argument(self) -> str:
        """The job as the one argument of a contestant's command line."""
        return json.dumps(asdict(self))


@dataclass(frozen=True, slots=True)
class Answer:
    """What a contestant measured of itself: seconds of the job without interpreter start and imports, peak MiB."""

    seconds: float
    peak_mib: float
    notes: dict[str, Any]


def asked() -> Job:
    """The job on the command line."""
    return Job(**json.loads(sys.argv[1]))


def answer(work: Callable[[Job], dict[str, Any]]) -> None:
    """Runs `work` on the job of the command line and prints the answer; `work` returns notes for the results file."""
    job = asked()
    started = perf_counter()
    notes = work(job)
    give(seconds=perf_counter() - started, notes=notes)


def give(*, seconds: float, notes: dict[str, Any]) -> None:
    """Prints the answer of this process."""
    print(_MARK + json.dumps(asdict(Answer(seconds, own_peak_mib(), notes)), default=str), flush=True)


def parse(output: str) -> Answer | None:
    """The answer in a contestant's output, or None when it printed none."""
    for line in reversed(output.splitlines()):
        if line.startswith(_MARK):
            return Answer(**json.loads(line.removeprefix(_MARK)))
    return None


def own_peak_mib() -> float:
    """The most memory this process ever had resident, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)
