"""What the figures have to reach, and whether they do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from bench.race import Figures

AllFigures = Mapping[tuple[str, int, str], Figures]
"""Figures by contestant, number of records and load (`first` or `reload`)."""

AT_LEAST: Final = {
    ("first", "dlt_rest_api"): 8.0,
    ("first", "dlt_arrow_csv"): 2.0,
    ("reload", "dlt_rest_api"): 15.0,
    ("reload", "dlt_arrow_csv"): 5.0,
}
"""How many times faster than a peer the same load has to be."""
GOALS: Final = {("first", "dlt_arrow"): 2.0, ("reload", "dlt_arrow"): 5.0}
"""The same against the strongest peer we know, dlt's ADBC driver: where we want to be, not yet where we are."""
FLOOR_AT_MOST: Final = 5.0
PEAK_MIB_AT_MOST: Final = 160.0
PEAK_GROWTH_AT_MOST: Final = 1.15
TIME_GROWTH_AT_MOST: Final = 1.15
"""Largest job against smallest: memory, and time per record."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One target: what was asked, what came out, and whether that is good enough."""

    what: str
    target: str
    found: str
    passed: bool
    is_goal: bool = False


def judge(figures: AllFigures) -> list[Verdict]:
    """Every target that the figures can answer."""
    sizes = sorted({records for name, records, _ in figures if name == "erpflow"})
    verdicts = [verdict for records in sizes for verdict in _at(figures, records)]
    if len(sizes) > 1:
        verdicts += _growth(figures, sizes[0], sizes[-1])
    return verdicts


def _at(figures: AllFigures, records: int) -> Iterator[Verdict]:
    for (load, peer), target in (AT_LEAST | GOALS).items():
        ours, theirs = figures.get(("erpflow", records, load)), figures.get((peer, records, load))
        if ours and theirs:
            ratio = theirs.seconds / ours.seconds
            what, is_goal = f"{records:,} {load}: times {peer}", (load, peer) in GOALS
            yield Verdict(what, f"≥ {target:g}", f"{ratio:.1f}", ratio >= target, is_goal)
    ours, floor = figures.get(("erpflow", records, "first")), figures.get(("floor", records, "first"))
    if ours and floor:
        ratio = ours.seconds / floor.seconds
        yield Verdict(
            f"{records:,} first: against the floor", f"≤ {FLOOR_AT_MOST:g}", f"{ratio:.1f}", ratio <= FLOOR_AT_MOST
        )
    peaks = [found.peak_mib for (name, size, _), found in figures.items() if (name, size) == ("erpflow", records)]
    if peaks:
        peak = max(peaks)
        yield Verdict(
            f"{records:,}: peak memory", f"≤ {PEAK_MIB_AT_MOST:g} MiB", f"{peak:.0f} MiB", peak <= PEAK_MIB_AT_MOST
        )


def _growth(figures: AllFigures, small: int, large: int) -> Iterator[Verdict]:
    for load in ("first", "reload"):
        one, other = figures.get(("erpflow", small, load)), figures.get(("erpflow", large, load))
        if one is None or other is None:
            continue
        growth = (other.seconds / large) / (one.seconds / small)
        yield Verdict(
            f"{load}: time per record, {large:,} against {small:,}",
            f"≤ {TIME_GROWTH_AT_MOST:g}",
            f"{growth:.2f}",
            growth <= TIME_GROWTH_AT_MOST,
        )
        growth = other.peak_mib / one.peak_mib
        yield Verdict(
            f"{load}: peak memory, {large:,} against {small:,}",
            f"≤ {PEAK_GROWTH_AT_MOST:g}",
            f"{growth:.2f}",
            growth <= PEAK_GROWTH_AT_MOST,
        )
