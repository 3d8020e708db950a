"""What the jobs that go to a vendor have to reach, and whether they do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from bench.push_race import RATES
from bench.race import Result
from bench.targets import PEAK_MIB_AT_MOST, Verdict

COST_US_AT_MOST: Final = 100.0
"""erpflow's own time per pushed record in microseconds, without the vendor's."""
SHARE_OF_RATE_AT_LEAST: Final = 0.95
CYCLE_AT_MOST: Final = 2.0
"""A two-way cycle without changes against a pull of the same."""


@dataclass(frozen=True, slots=True)
class Pushing:
    """The medians of the repetitions of one load; seconds, microseconds, MiB.

    `cpu_seconds`: what erpflow computed, `database_cpu_seconds`: what Postgres did. `cost_us`: per record and without
    the vendor's time; None for a cycle. `share`: of the allowed rate, with `refused` requests beyond it; None where
    every rate is allowed.
    """

    load: str
    records: int
    seconds: float
    cpu_seconds: float
    database_cpu_seconds: float
    peak_mib: float
    cost_us: float | None
    share: float | None
    refused: int


def medians(results: Sequence[Result]) -> list[Pushing]:
    """One for each load, in the order of the first repetition."""
    grouped: dict[str, list[Result]] = {}
    for result in results:
        grouped.setdefault(result.load, []).append(result)
    return [_median(load, group) for load, group in grouped.items()]


def judge_pushes(found: Sequence[Pushing]) -> list[Verdict]:
    """Every target that the figures can answer."""
    loads = {each.load: each for each in found}
    return [*_costs(loads), *_rates(loads), *_cycles(loads)]


def _median(load: str, group: Sequence[Result]) -> Pushing:
    notes = [result.measured.notes for result in group]
    met_vendor = "busy_seconds" in notes[0]
    is_rate = load.startswith("rate ")
    return Pushing(
        load=load,
        records=group[0].records,
        seconds=median(result.measured.seconds for result in group),
        cpu_seconds=median(note["cpu_seconds"] for note in notes),
        database_cpu_seconds=median(note["database_cpu_seconds"] for note in notes),
        peak_mib=median(result.measured.peak_mib for result in group),
        cost_us=median(map(_cost_us, group)) if met_vendor and not is_rate else None,
        share=median(_rate(note) for note in notes) / float(load.removeprefix("rate ")) if is_rate else None,
        refused=max(note.get("refused", 0) for note in notes),
    )


def _cost_us(result: Result) -> float:
    vendor_seconds = float(result.measured.notes["busy_seconds"])
    return (result.measured.seconds - vendor_seconds) / result.records * 1e6


def _rate(note: dict[str, Any]) -> float:
    """Requests per second that the vendor took, from the first one to the last."""
    return float((note["requests"] - note["refused"] - 1) / note["seconds"])


def _costs(loads: dict[str, Pushing]) -> Iterator[Verdict]:
    for load in ("creates", "updates"):
        found = loads.get(load)
        if found is None or found.cost_us is None:
            continue
        what = f"{found.records:,} {load} pushed"
        cost, peak = found.cost_us, found.peak_mib
        yield Verdict(
            f"{what}: own time per record", f"≤ {COST_US_AT_MOST:g} µs", f"{cost:.0f} µs", cost <= COST_US_AT_MOST
        )
        yield Verdict(
            f"{what}: peak memory", f"≤ {PEAK_MIB_AT_MOST:g} MiB", f"{peak:.0f} MiB", peak <= PEAK_MIB_AT_MOST
        )


def _rates(loads: dict[str, Pushing]) -> Iterator[Verdict]:
    for rate in RATES:
        found = loads.get(f"rate {rate}")
        if found is not None and found.share is not None:
            yield Verdict(
                f"push at {rate}/s: share of the allowed rate",
                f"≥ {SHARE_OF_RATE_AT_LEAST:.0%}",
                f"{found.share:.1%}",
                found.share >= SHARE_OF_RATE_AT_LEAST,
            )


def _cycles(loads: dict[str, Pushing]) -> Iterator[Verdict]:
    for load in ("full cycle", "cycle"):
        pull, both = loads.get(f"{load}, pull only"), loads.get(f"{load}, both ways")
        if pull is not None and both is not None:
            ratio = both.seconds / pull.seconds
            yield Verdict(
                f"{both.records:,} {load} without changes: both ways against a pull",
                f"≤ {CYCLE_AT_MOST:g}",
                f"{ratio:.2f}",
                ratio <= CYCLE_AT_MOST,
            )
