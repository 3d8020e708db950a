"""`python -m bench`: the pull job on erpflow, on dlt in two ways and on bare COPY, side by side in one run.

Then what has no peer: a push, pushes at an allowed rate, and two-way cycles in which nothing has changed.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Final

from bench import records, report, source
from bench.contestants import CONTESTANTS, FLOOR, Contestant
from bench.measure import ContestantFailed
from bench.push_race import RATE_RECORDS, PushRace
from bench.push_targets import judge_pushes, medians
from bench.race import Race, Result, WrongContent, figures
from bench.targets import judge
from erpflow.errors import ErpflowError
from stack.postgres import Server, postgres_for

RESULTS: Final = Path(__file__).with_name("results")
LARGE: Final = 500_000
"""From so many records on the peers run once: a load takes minutes."""
JOBS: Final = ("pull", "push", "rate", "cycle")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the race and prints it. 0: every target is reached; 1: one is missed; 2: it could not be measured."""
    options = _options(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ended from outside: tidy up as after Ctrl-C
    home = Path(os.environ.get("ERPFLOW_HOME") or ".erpflow").absolute() / "bench"
    results: list[Result] = []
    pushed: list[Result] = []
    stopped = False
    postgres = postgres_for(home, tell=_tell)
    try:
        _render(home / "source", max(*options.records, *RATE_RECORDS.values()))
        server = postgres.start()
        with source.serving(home / "source") as base_url:
            for size in options.records if "pull" in options.jobs else ():
                race = Race(server, base_url, records=size, tell=_tell)
                results.extend(race.run(_line_up(options, size)))
            pushed.extend(_pushes(options, server, base_url, home / "source"))
    except (ErpflowError, ContestantFailed, WrongContent) as error:
        print(f"The benchmark stopped: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped. What was measured so far:", file=sys.stderr)
        stopped = True
    finally:
        postgres.stop()
    found = figures(results)
    towards = medians(pushed)
    verdicts = [*judge(found), *judge_pushes(towards)]
    report.show(found, towards, verdicts)
    if results or pushed:
        _tell(f"Every load: {report.write(RESULTS, [*results, *pushed], verdicts)}")
    if stopped:
        return 2
    return 0 if all(verdict.passed or verdict.is_goal for verdict in verdicts) else 1


def _pushes(options: argparse.Namespace, server: Server, base_url: str, pages: Path) -> Iterator[Result]:
    """The jobs that go to a vendor, at the smallest size. A rate is kept or not: it is measured once."""
    race = PushRace(server, base_url, pages, records=min(options.records), tell=_tell)
    for repetition in range(1, options.repeat + 1):
        if "push" in options.jobs:
            yield from race.push(repetition)
        if "cycle" in options.jobs:
            yield from race.cycle(repetition)
    for per_second in RATE_RECORDS if "rate" in options.jobs else ():
        yield from race.rate(per_second, 1)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--records",
        type=_sizes,
        default=[100_000, 1_000_000],
        metavar="N,…",
        help="sizes of the job, multiples of 1,000 (default: 100000,1000000)",
    )
    parser.add_argument(
        "--peers-at",
        type=_sizes,
        default=None,
        metavar="N,…",
        help="sizes the peers take part at, or `none` (default: all; dlt rest_api needs minutes at 1000000)",
    )
    parser.add_argument("--repeat", type=int, default=3, metavar="TIMES", help="repetitions of each (default: 3)")
    parser.add_argument(
        "--only", type=_names, default=list(CONTESTANTS), metavar="NAME,…", help=f"of {', '.join(CONTESTANTS)}"
    )
    parser.add_argument(
        "--jobs", type=_jobs, default=list(JOBS), metavar="JOB,…", help=f"of {', '.join(JOBS)} (default: all)"
    )
    parser.add_argument("--quick", action="store_true", help="100,000 records, each once")
    options = parser.parse_args(arguments)
    if options.quick:
        options.records, options.repeat = [100_000], 1
    if options.repeat < 1:
        parser.error("--repeat must be at least 1")
    return options


def _line_up(options: argparse.Namespace, size: int) -> list[tuple[Contestant, int]]:
    """Who runs at this size, and how often. The floor always does: it makes the reference."""
    peers_too = options.peers_at is None or size in options.peers_at
    line_up: list[tuple[Contestant, int]] = []
    for name, contestant in CONTESTANTS.items():
        if contestant is not FLOOR and (name not in options.only or (contestant.peer and not peers_too)):
            continue
        once = contestant.peer and size >= LARGE
        line_up.append((contestant, 1 if once else options.repeat))
    return line_up


def _sizes(text: str) -> list[int]:
    if text == "none":
        return []
    try:
        sizes = [int(part.replace("_", "")) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of numbers such as 100000,1000000") from None
    for size in sizes:
        if size <= 0 or size % records.PAGE_SIZE:
            raise argparse.ArgumentTypeError(f"{size} is not a multiple of {records.PAGE_SIZE}")
    return sizes


def _names(text: str) -> list[str]:
    return _known(text, CONTESTANTS)


def _jobs(text: str) -> list[str]:
    return _known(text, JOBS)


def _known(text: str, known: Collection[str]) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in known:
            raise argparse.ArgumentTypeError(f"{name!r} is unknown. Known: {', '.join(known)}")
    return names


def _render(folder: Path, size: int) -> None:
    _tell(f"Source data for {size:,} records (made once, in {folder}) …")
    records.render(folder, records=size)


def _tell(sentence: str) -> None:
    print(sentence, flush=True)


if __name__ == "__main__":
    sys.exit(main())
