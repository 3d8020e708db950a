"""A run in each of its directions, one after the other; and what a dry one would change on both sides."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from erpflow.store import sync_logs
from erpflow.store.database import Database
from erpflow.store.sync_logs import RunSummary
from erpflow.sync.engine import Engine
from erpflow.sync.plan import PlannedRun, RunRequest, plan
from erpflow.sync.planned import MOST_PLANNED, without_overruled
from erpflow.sync.pull import Progress
from erpflow.vocabulary import Direction


@dataclass(frozen=True, slots=True)
class DryRun:
    """What a sync would do. `is_cut`: there are more changes than these; the counts are of all."""

    summaries: list[RunSummary]
    changes: list[dict[str, Any]]
    is_cut: bool


def in_turn(
    database: Database, request: RunRequest, *, system: str, entity: str, direction: Direction
) -> Iterator[list[PlannedRun]]:
    """The runs of each direction that a config of this `direction` goes, planned when the ones before have ended."""
    for way in request.directions(direction):
        with database.session() as connection:
            planned = plan(
                connection, replace(request, direction=way), system=system, entity=entity, now=datetime.now(UTC)
            )
        yield planned


def dry_run(
    engine: Engine,
    request: RunRequest,
    *,
    system: str,
    entity: str,
    direction: Direction,
    on_progress: Callable[[Progress], None],
) -> DryRun:
    """Run a request of one config without writing on either side. `on_progress` may raise when it takes too long."""
    asked = replace(request, dry_run=True)
    runs = in_turn(engine.database, asked, system=system, entity=entity, direction=direction)
    summaries = [engine.run(run.log_id, on_progress=on_progress) for planned in runs for run in planned]
    return would_change(engine.database, summaries)


def would_change(database: Database, summaries: Iterable[RunSummary]) -> DryRun:
    """What dry runs that have ended would have changed, as one."""
    ended = list(summaries)
    with database.session() as connection:
        of_each = [sync_logs.plan_of(connection, summary.log_id) for summary in ended]
    changes = without_overruled([change for changes in of_each for change in changes])
    return DryRun(ended, changes, is_cut=any(len(changes) >= MOST_PLANNED for changes in of_each))
