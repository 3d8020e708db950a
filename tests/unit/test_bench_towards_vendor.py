"""What the benchmark makes of the figures of pushes, rates and idle cycles."""

from __future__ import annotations

from typing import Any

from bench.measure import Measured
from bench.push_race import content
from bench.push_targets import judge_pushes, medians
from bench.race import Result
from bench.sink import busiest


def measured(load: str, *, took: float, records: int = 100_000, **notes: Any) -> Result:
    return Result(
        "erpflow_push",
        records,
        load,
        1,
        Measured(took, took, 90.0, {"cpu_seconds": 1.0, "database_cpu_seconds": 1.0, **notes}),
    )


def passed(*results: Result) -> dict[str, bool]:
    return {verdict.what: verdict.passed for verdict in judge_pushes(medians(results))}


def test_the_vendors_time_is_not_ours() -> None:
    mine = measured("creates", took=12.0, busy_seconds=3.0)
    assert passed(mine)["100,000 creates pushed: own time per record"]
    slow = measured("creates", took=12.0, busy_seconds=1.0)
    assert not passed(slow)["100,000 creates pushed: own time per record"]


def test_requests_that_the_vendor_refuses_do_not_count_towards_its_rate() -> None:
    what = "push at 10/s: share of the allowed rate"
    kept = measured("rate 10", took=31, busy_seconds=1.0, requests=301, refused=0, seconds=30.0)
    assert passed(kept) == {what: True}
    kept.measured.notes["refused"] = 30
    assert passed(kept) == {what: False}


def test_an_idle_cycle_is_held_against_the_pull_alone() -> None:
    pull = measured("full cycle, pull only", took=1.0)
    assert all(passed(pull, measured("full cycle, both ways", took=1.9)).values())
    assert not any(passed(pull, measured("full cycle, both ways", took=2.1)).values())
    assert passed(pull) == {}, "one half alone says nothing"


def test_the_end_of_a_window_does_not_belong_to_it() -> None:
    assert busiest([0.0, 0.25, 0.5, 0.75, 1.0]) == 4
    assert busiest([0.0, 0.25, 0.5, 0.75, 0.99]) == 5
    assert busiest([]) == 0


def test_what_arrived_is_compared_by_value_and_without_what_the_vendor_adds() -> None:
    row = {
        "id": "CUS-1",
        "balance": "120.50",
        "credit_limit": "7.00",
        "created_at": "2026-01-01T00:00:00Z",
        "notes": "a",
    }
    record = {
        **{"id": "S1", "origin": "erp-1", "updated_at": "2026-02-01T00:00:00Z", "notes": "a"},
        **{"balance": 120.5, "credit_limit": 7, "created_at": "2026-01-01T05:30:00+05:30"},
    }
    assert content([record]) == content([row])
    assert content([{**record, "notes": "b"}]) != content([row])
    assert content([record, record])[0] == 2
