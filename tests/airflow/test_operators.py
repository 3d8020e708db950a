"""What the steps of a sync tell Airflow, without a running Airflow."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from erpflow.airflow import operators
from erpflow.vocabulary import Counts


def announced(monkeypatch: pytest.MonkeyPatch, *, dry_run: bool) -> int:
    """How many asset events a load announces that created a row."""
    job = SimpleNamespace(run=SimpleNamespace(dry_run=dry_run), load=lambda **_: Counts(read=1, created=1))
    job.answered = lambda _deletes: job

    @contextmanager
    def opened(_run: object) -> Iterator[object]:
        yield job

    monkeypatch.setattr(operators, "pull_job", opened)
    events: Any = defaultdict(Mock)
    load = operators.LoadOperator(task_id="load", run={"pull": "1"}, table="app.customers")
    load.execute({"outlet_events": events})  # type: ignore[typeddict-item]  # what a load looks at
    return sum(event.add.call_count for event in events.values())


def test_a_load_that_wrote_is_announced_and_a_dry_run_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert announced(monkeypatch, dry_run=False) == 1
    assert announced(monkeypatch, dry_run=True) == 0


@pytest.mark.parametrize("clear_number", [0, 1])
def test_a_cleared_run_is_an_attempt_of_its_own_that_is_due(clear_number: int) -> None:
    run = SimpleNamespace(dag_id="d", run_id="r", run_type="scheduled", clear_number=clear_number)
    context: Any = {"params": {}, "dag_run": run, "ti": SimpleNamespace(task_id="plan")}
    request = operators.run_request(context)
    assert (request.attempt_key, request.cleared) == (f"d/r/{clear_number}", clear_number == 1)
