"""The work of the demo: connect the sandbox, run the syncs through Airflow, and watch their sync logs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from erpflow.errors import ErpflowError
from erpflow.mapping.load import load_mapping
from erpflow.mapping.model import Mapping as EntityMapping
from erpflow.store.connections import ensure_connection
from erpflow.store.planning import note_started
from erpflow.sync.configure import configure
from stack.airflow_api import DagRun
from stack.bring_up import Stack
from stack.demo_consent import consent
from stack.demo_systems import Sync, System, waves
from stack.outcome import Outcome, logs_of, outcome_of

POOL_SLOTS: Final = 4

POLL_S: Final = 0.25
DAGS_WITHIN_S: Final = 90.0
RUN_WITHIN_S: Final = 900.0

Mappings = Mapping[Sync, EntityMapping]


class SyncDidNotRun(ErpflowError):
    """A DAG is not there, or its run does not end."""


def load_mappings(folder: Path, systems: Sequence[System]) -> Mappings:
    """The mappings of the demo. ConfigError for one that is wrong, before anything has been started."""
    return {sync: load_mapping(folder / sync.mapping) for system in systems for sync in system.syncs}


def connect(stack: Stack, systems: Sequence[System], mappings: Mappings) -> None:
    """Register the sandbox: the secrets as Airflow Connections, the rest in our own tables."""
    for system in systems:
        stack.api.ensure_pool(
            system.pool, slots=POOL_SLOTS, description=f"Tasks that ask {system.title} at the same time"
        )
        stack.api.ensure_connection(
            system.connection,
            kind=system.name,
            host=f"{stack.sandbox.url}{system.path}",
            login=system.login,
            password=system.password,
            extra=system.extra,
            description=f"The {system.title} sandbox of make demo",
        )
        with stack.database.transaction() as database:
            connection = ensure_connection(database, system.connection, system=system.name)
            for sync in system.syncs:
                config = configure(database, connection.id, mappings[sync], path=str(sync.mapping))
                # We start each sync ourselves: the scheduled run of the interval that has just ended has nothing due.
                note_started(database, config.id, datetime.now(UTC))
        consent(stack, system, connection.id)


def run_all(stack: Stack, systems: Sequence[System], mappings: Mappings) -> Iterator[Outcome]:
    """Run the syncs wave by wave, each reading everything; their outcomes."""
    seeded = stack.sandbox.seeded()
    for wave in waves(systems):
        runs = {}
        for sync in wave:
            stack.progress.begin(sync.dag_id)
            runs[sync] = _trigger(stack, sync)
        yield from _watch(stack, runs, mappings, seeded=seeded)


def pause_all(stack: Stack, systems: Sequence[System]) -> None:
    """Pause the DAGs, so that the next start does not begin with what was missed in between."""
    for system in systems:
        for sync in system.syncs:
            stack.api.set_paused(sync.dag_id, "paused")


def _trigger(stack: Stack, sync: Sync) -> DagRun:
    deadline = time.monotonic() + DAGS_WITHIN_S
    while not stack.api.has_dag(sync.dag_id):
        stack.processes.check()
        stack.progress.tell(sync.dag_id, "waiting for Airflow to read the DAG")
        broken = stack.api.import_errors()
        if broken or time.monotonic() > deadline:
            stack.progress.failed(sync.dag_id)
            reasons = [f"{file}: {reason}" for file, reason in broken.items()]
            raise SyncDidNotRun(
                f"Airflow has no DAG {sync.dag_id}. "
                + ("\n".join(reasons) or f"The log {stack.machine.logs / 'dag-processor.log'} says why.")
            )
        time.sleep(POLL_S)
    run = stack.api.trigger(
        sync.dag_id, conf={"connection": sync.connection, "full": True}, note="Started by make demo: reads everything"
    )
    stack.api.set_paused(sync.dag_id, "unpaused")
    return run


def _watch(
    stack: Stack, runs: dict[Sync, DagRun], mappings: Mappings, *, seeded: dict[str, dict[str, int]]
) -> Iterator[Outcome]:
    outcomes: dict[Sync, Outcome] = {}
    deadline = time.monotonic() + RUN_WITHIN_S
    with stack.database.connect(autocommit=True) as database:
        while len(outcomes) < len(runs):
            stack.processes.check()
            for sync, run in runs.items():
                if sync in outcomes:
                    continue
                now = stack.api.run(run)
                if now.ended:
                    outcomes[sync] = outcome_of(database, sync, mappings[sync], now)
                    _show_end(stack, outcomes[sync])
                elif logs := logs_of(database, run, name=sync.connection):
                    done, total = logs[0].counts.accounted, seeded[sync.system].get(sync.entity)
                    stack.progress.tell(sync.dag_id, f"{done:,}{f' of {total:,}' if total else ''} records")
                else:
                    stack.progress.tell(sync.dag_id, now.state)
            if time.monotonic() > deadline:
                raise SyncDidNotRun(
                    f"{', '.join(s.dag_id for s in runs if s not in outcomes)} did not end within {RUN_WITHIN_S:.0f} "
                    f"seconds. Look at the run in {stack.machine.url} (login below), or at the logs in "
                    f"{stack.machine.logs}."
                )
            time.sleep(POLL_S)
    yield from (outcomes[sync] for sync in runs)


def _show_end(stack: Stack, outcome: Outcome) -> None:
    if outcome.state != "success":
        stack.progress.failed(outcome.sync.dag_id)
    else:
        said = f"{outcome.counts.read:,} records read, {outcome.changed:,} rows written"
        stack.progress.done(outcome.sync.dag_id, said)
