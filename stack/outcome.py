"""What a sync of the demo did, read back from its sync log and the tables, and whether it is what it should be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg
from psycopg import sql
from rich.table import Table

from erpflow.mapping.model import Mapping
from erpflow.store import sync_logs
from erpflow.store.sync_logs import RunSummary
from erpflow.vocabulary import Counts, Direction, SyncLogId, SyncStatus
from stack.airflow_api import DagRun
from stack.demo_systems import Sync

LOGS_OF_RUN: Final = """
SELECT l.id::text FROM erpflow.erp_sync_logs l
JOIN erpflow.erp_sync_configs c ON c.id = l.sync_config_id
JOIN erpflow.erp_connections n ON n.id = c.connection_id
WHERE l.dag_id = %(dag)s AND l.dag_run_id = %(run)s AND n.name = %(connection)s
ORDER BY l.direction
"""
LINKED: Final = """
SELECT count(*) FROM {table} t
JOIN erpflow.erp_entity_sync_records r ON r.local_id = t.{key}::text
JOIN erpflow.erp_sync_logs l ON l.sync_config_id = r.sync_config_id
WHERE l.id = %s
"""
# An earlier run of the same mapping that read everything: after it nothing is left to change.
EARLIER: Final = """
SELECT EXISTS (
    SELECT FROM erpflow.erp_sync_logs l JOIN erpflow.erp_sync_logs now ON now.id = %s
    WHERE l.sync_config_id = now.sync_config_id AND l.started_at < now.started_at AND NOT l.dry_run
      AND l.kind = 'full' AND l.window_until IS NULL AND l.status IN ('completed', 'partial')
      AND l.mapping_version IS NOT DISTINCT FROM now.mapping_version)
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one run.

    `log`: of what it read at the vendor, or here if it only pushes. `sent`: what it wrote there besides. `linked`: how
    many rows of the mapping's table are tied to a record of this connection.
    """

    sync: Sync
    mapping: Mapping
    state: str
    log: RunSummary | None
    linked: int
    repeated: bool
    sent: Counts = field(default_factory=Counts)

    @property
    def counts(self) -> Counts:
        return self.log.counts if self.log else Counts()

    @property
    def changed(self) -> int:
        """Rows this run wrote, and records it wrote at the vendor."""
        return sum(counts.created + counts.updated + counts.deleted for counts in (self.counts, self.sent))


def logs_of(connection: psycopg.Connection[Any], run: DagRun, *, name: str) -> list[RunSummary]:
    """The sync logs a DAG run opened for the connection `name`, the pull first; none until its plan has run."""
    rows = connection.execute(LOGS_OF_RUN, {"dag": run.dag_id, "run": run.run_id, "connection": name}).fetchall()
    return [sync_logs.summary(connection, SyncLogId(log_id)) for (log_id,) in rows]


def outcome_of(connection: psycopg.Connection[Any], sync: Sync, mapping: Mapping, run: DagRun) -> Outcome:
    """What a finished run did."""
    linked = sql.SQL(LINKED).format(
        table=sql.Identifier(*mapping.local.table.split(".")), key=sql.Identifier(mapping.local.key)
    )
    log, push = (*logs_of(connection, run, name=sync.connection), None, None)[:2]
    return Outcome(
        sync=sync,
        mapping=mapping,
        state=run.state,
        log=log,
        linked=_number(connection, linked, log.log_id) if log else 0,
        repeated=bool(_number(connection, EARLIER, log.log_id)) if log else False,
        sent=push.counts if push else Counts(),
    )


def complaints(outcome: Outcome, *, seeded: int) -> Iterator[str]:
    """One sentence for each count that is not what the sandbox's `seeded` records must give.

    A sync that only pushes reads our rows, of which the sandbox knows nothing.
    """
    dag, counts = outcome.sync.dag_id, outcome.counts
    if outcome.log is None:
        yield f"{dag} ended as {outcome.state} and opened no sync log: its task plan says why."
        return
    if outcome.state != "success" or outcome.log.status is SyncStatus.FAILED:
        yield f"{dag} ended as {outcome.state}: {outcome.log.error or 'its tasks say why'}"
    if counts.read != seeded and outcome.mapping.direction is not Direction.PUSH:
        yield f"{dag} read {counts.read:,} records; the sandbox has {seeded:,}."
    if counts.accounted != counts.read:
        yield f"{dag} read {counts.read:,} records and can say of {counts.accounted:,} what became of them."
    kept = counts.read - counts.rejected - counts.ignored - counts.deleted
    # Ignored is also a version older than what is applied: what was pushed to the sandbox is gone when it starts anew.
    # A push looks only at rows that changed; the others are tied already.
    most = outcome.linked if outcome.mapping.direction is Direction.PUSH else kept + counts.ignored
    if not kept <= outcome.linked <= most:
        table = outcome.mapping.local.table
        yield f"{dag} accepted {kept:,} records; {outcome.linked:,} rows of {table} are tied to one."
    if outcome.repeated and outcome.changed:
        yield f"{dag} read the same data again and changed {outcome.changed:,} rows; it should change none."


def table_of(outcomes: list[Outcome]) -> Table:
    """The outcomes as people read them."""
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="bold")
    table.add_column("DAG", no_wrap=True)
    names = ["read", "created", "updated", "unchanged", "rejected"]
    names += [name for name in ("deleted", "conflict", "ignored") if any(getattr(o.counts, name) for o in outcomes)]
    for name in (*names, "seconds"):
        table.add_column(name, justify="right")
    for outcome in outcomes:
        numbers = [f"{getattr(outcome.counts, name):,}" for name in names]
        table.add_row(outcome.sync.dag_id, *numbers, f"{outcome.log.seconds:.1f}" if outcome.log else "–")
    return table


def _number(connection: psycopg.Connection[Any], statement: Any, *parameters: str) -> int:
    row = connection.execute(statement, parameters).fetchone()
    return int(row[0]) if row else 0
