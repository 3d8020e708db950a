"""Workers sync both ways at once with an ERPNext site that fails, and are killed with kill -9 at any moment.

Some runs go on, some are left behind, some are started three times. Once it is quiet again a history checker finds
every write that was acknowledged, once; both ends agree, and the counts of every sync log add up (invariants 1 to 7).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from random import Random

import pytest

from erpflow.sync import plan as planning
from erpflow.sync.plan import RunRequest
from erpflow.sync.pull import finish
from erpflow.vocabulary import Direction, SyncLogId
from tests.chaos import worker
from tests.chaos.conftest import WRITES, Site
from tests.chaos.people import People
from tests.chaos.scale import SCALE
from tests.integration.conftest import Installation

WORKERS = 3
LIVES_S = ((0.2, 2.0), (0.2, 2.0), (2.0, 8.0))
"""For how long a worker lives: most die young; some get far."""
QUIET_ROUNDS = 6

FAULTS = (
    ("after_commit", {"method": "POST|PUT|DELETE", "path": WRITES, "probability": 0.04}),
    ("reset_after_commit", {"method": "POST|PUT|DELETE", "path": WRITES, "probability": 0.04}),
    ("reset", {"path": "^/erpnext/api/", "probability": 0.02}),
    ("status", {"path": "^/erpnext/api/", "probability": 0.02, "status": 503}),
    ("truncate", {"method": "GET", "path": "^/erpnext/api/resource", "probability": 0.02}),
    ("latency", {"path": "^/erpnext/api/", "probability": 0.3, "seconds": 0.1}),
    ("latency", {"method": "POST", "path": WRITES, "probability": 0.1, "seconds": 2}),
)

LOGS = """
SELECT id::text, read_count - (created_count + updated_count + unchanged_count + deleted_count + conflict_count
       + rejected_count + ignored_count)
FROM erpflow.erp_sync_logs
"""
OPEN = "SELECT count(*) FROM erpflow.erp_push_attempts WHERE state IN ('planned', 'sent', 'unknown')"
RETRIED = """
SELECT local_id, remote_id, state, idempotency_key, log_id::text, fencing_token, sent_at::text, settled_at::text
FROM erpflow.erp_push_attempts a
WHERE operation = 'create' AND 1 < (
    SELECT count(*) FROM erpflow.erp_push_attempts b
    WHERE b.operation = 'create' AND b.sync_config_id = a.sync_config_id AND b.local_id = a.local_id)
ORDER BY local_id, sent_at
"""
"""Creates that were attempted more than once: where a record is there twice, one of them was taken for not sent."""
WAITING = "SELECT kind, remote_id, local_id, reason FROM erpflow.erp_conflicts WHERE status = 'open'"
REJECTS = "SELECT direction, remote_id, local_id, problems FROM erpflow.erp_rejects WHERE status = 'open'"


@dataclass
class Crew:
    """Workers and what is to become of them."""

    installation: Installation
    workers: ForkServerContext
    dice: Random
    said: Path
    alive: list[tuple[ForkServerProcess, SyncLogId, float]] = field(default_factory=list)
    left: list[SyncLogId] = field(default_factory=list)
    ended: Counter[str] = field(default_factory=Counter)
    starts: int = 0

    def plan(self, direction: Direction, *, full: bool = False) -> SyncLogId:
        """Open the log of a run by hand."""
        request = RunRequest(kind="manual", connection="demo", direction=direction, full=full)
        with self.installation.database.session() as connection:
            (planned,) = planning.plan(connection, request, system="erpnext", entity="customer", now=datetime.now(UTC))
        return planned.log_id

    def start(self, log_id: SyncLogId, *, times: int = 1, lives_s: float | None = None) -> None:
        """Start workers at a log, to be killed after a while."""
        for _ in range(times):
            steps = self.dice.random() < 0.5
            process = worker.start(self.workers, log_id, self.installation.environment, steps=steps, said=self.said)
            lives = lives_s or self.dice.uniform(*self.dice.choice(LIVES_S))
            self.alive.append((process, log_id, time.monotonic() + lives))

    def send_out(self) -> None:
        """Somebody starts a sync: a new one, or one whose worker was killed; every sixth three times at once."""
        self.starts += 1
        if self.left and self.dice.random() < 0.6:
            log_id = self.left.pop(self.dice.randrange(len(self.left)))
        else:
            log_id = self.plan(self.dice.choice([Direction.PULL, Direction.PUSH]), full=self.dice.random() < 0.1)
        self.start(log_id, times=3 if self.starts % 6 == 2 else 1)

    def look_after(self) -> None:
        """Kill whose time has come, and note how the others ended."""
        for entry in list(self.alive):
            process, log_id, until = entry
            if process.exitcode is None and time.monotonic() >= until:
                process.kill()
            elif process.exitcode is None:
                continue
            process.join()
            status = {0: "done", worker.SURVIVED: "failed", -9: "killed"}.get(process.exitcode or 0, "broken")
            self.ended[status] += 1
            if status != "done" and log_id not in self.left:
                self.left.append(log_id)
            self.alive.remove(entry)
            process.close()

    def run(self, log_id: SyncLogId) -> None:
        """Run a log in peace, as often as it asks for."""
        for _ in range(QUIET_ROUNDS):
            self.start(log_id, lives_s=120)
            process = self.alive[-1][0]
            process.join()
            succeeded = process.exitcode == 0
            self.look_after()
            if succeeded:
                return
        raise AssertionError(f"the sync {log_id} does not come to its end")


@pytest.fixture
def crew(both_ways: Installation, tmp_path: Path) -> Iterator[Crew]:
    found = Crew(both_ways, worker.context(), Random(SCALE.seed), tmp_path / "said.txt")
    yield found
    for process, _, _ in found.alive:
        process.kill()
        process.join()
        process.close()


@pytest.mark.timeout(SCALE.timeout_s)
def test_whoever_is_killed_every_write_is_found_once_and_both_ends_agree(
    both_ways: Installation, site: Site, crew: Crew
) -> None:
    people = People(both_ways.database, site, Random(SCALE.seed + 1))
    for _ in range(40):
        people.work()
    site.heal(seed=SCALE.seed)
    for kind, more in FAULTS:
        site.fault(kind, **more)

    until = time.monotonic() + SCALE.seconds
    while time.monotonic() < until:
        crew.look_after()
        while len(crew.alive) < WORKERS:
            crew.send_out()
        people.work()
        time.sleep(0.05)
    while crew.alive:
        crew.look_after()
        time.sleep(0.02)
    faults = site.heal(seed=SCALE.seed)

    for log_id in crew.left:  # those nobody goes on with are closed, as the end of a DAG run does
        finish(both_ways.database, log_id)
    for _ in range(QUIET_ROUNDS):
        crew.run(crew.plan(Direction.PUSH, full=True))
        crew.run(crew.plan(Direction.PULL, full=True))
        if not people.complaints():
            break

    assert not crew.said.exists(), crew.said.read_text()
    assert both_ways.rows(REJECTS) == []
    assert both_ways.rows(WAITING) == []
    assert people.complaints() == [], both_ways.rows(RETRIED)
    assert both_ways.rows(OPEN) == [(0,)]
    assert {difference for _, difference in both_ways.rows(LOGS)} == {0}
    assert crew.ended["killed"] > 0
    SCALE.tell(
        f"{people.made} customers and {people.written} notes, {faults} faults; workers: {dict(crew.ended)}; "
        f"{len(both_ways.rows(LOGS))} sync logs add up"
    )
