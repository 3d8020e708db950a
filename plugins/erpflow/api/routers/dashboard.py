"""How everything is doing, at a glance."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from fastapi import APIRouter, Request

from erpflow.api.bodies import Answer
from erpflow.api.callers import Looking
from erpflow.api.idempotency import IdempotentRoute
from erpflow.api.routers.sync_logs import SyncLog
from erpflow.api.surroundings import surroundings_of
from erpflow.store import dashboard as store
from erpflow.store import listing, sync_log_report
from erpflow.vocabulary import SyncStatus

router = APIRouter(tags=["dashboard"], route_class=IdempotentRoute)

RECENT = 10


class ConnectionCount(Answer):
    """How many connections of a system have a status."""

    system: str
    status: str
    connections: int


class Totals(Answer):
    """Sums over the tenant. `records_read_24h`, `records_changed_24h`: of the runs that began in the last 24 hours; how
    many records there are in all is not counted, since that would read every one of them.
    """

    connections: int
    sync_configs: int
    sync_configs_active: int
    running: int
    open_rejects: int
    open_conflicts: int
    active_webhooks: int
    waiting_webhook_events: int
    records_read_24h: int
    records_changed_24h: int


class Runs(Answer):
    """Real runs by status. `success_ratio`: which part of those that ended did not fail; null: none ended."""

    completed: int
    partial: int
    failed: int
    running: int
    success_ratio: float | None


class Freshness(Answer):
    """How old the picture is that one sync config has. `lag_s`: seconds since the vendor was last read (or written to,
    by one that only pushes) by a run that did not fail; null: never. `every_s`: how often it is due.
    """

    sync_config_id: str
    connection: str
    system: str
    entity: str
    active: bool
    every_s: float
    fresh_as_of: datetime | None
    lag_s: float | None
    last_status: SyncStatus | None
    open_rejects: int
    open_conflicts: int


class Pause(Answer):
    """A connection whose vendor is not asked at the moment, because it said so."""

    connection: str
    system: str
    paused_until: datetime


class Dashboard(Answer):
    """The tenant's syncs at a glance."""

    connections: list[ConnectionCount]
    totals: Totals
    runs_24h: Runs
    runs_7d: Runs
    freshness: list[Freshness]
    recent: list[SyncLog]
    pauses: list[Pause]


@router.get("/dashboard")
def get_dashboard(request: Request, caller: Looking) -> Dashboard:
    """Connections, how fresh each sync is, how runs ended, what waits for a person, and what holds requests back."""
    around = surroundings_of(request)
    with around.database.session(caller.tenant_id) as connection:
        counts = store.connection_counts(connection)
        syncs = store.sync_states(connection)
        webhooks = store.webhook_states(connection)
        rows, _ = listing.page(connection, sync_log_report.LISTING, limit=RECENT)
    with around.database.owner() as owner:
        limiters = store.limiter_states(owner, caller.tenant_id)
    link = around.orchestrator.run_link
    linked = [row | {"run_link": link(row["dag_id"], row["dag_run_id"]) if row["dag_run_id"] else None} for row in rows]
    return Dashboard(
        connections=[ConnectionCount.model_validate(one, from_attributes=True) for one in counts],
        totals=Totals(
            connections=sum(one.connections for one in counts),
            sync_configs=len(syncs),
            sync_configs_active=sum(one.active for one in syncs),
            running=sum(one.running_week for one in syncs),
            open_rejects=sum(one.open_rejects for one in syncs),
            open_conflicts=sum(one.open_conflicts for one in syncs),
            active_webhooks=sum(one.active for one in webhooks),
            waiting_webhook_events=sum(one.waiting for one in webhooks),
            records_read_24h=sum(one.read_day for one in syncs),
            records_changed_24h=sum(one.changed_day for one in syncs),
        ),
        runs_24h=_runs([(one.completed_day, one.partial_day, one.failed_day, one.running_day) for one in syncs]),
        runs_7d=_runs([(one.completed_week, one.partial_week, one.failed_week, one.running_week) for one in syncs]),
        freshness=[Freshness.model_validate(one, from_attributes=True) for one in syncs],
        recent=[SyncLog.model_validate(row) for row in linked],
        pauses=[
            Pause(connection=one.connection, system=one.system, paused_until=one.paused_until)
            for one in limiters
            if one.paused_until is not None
        ],
    )


def _runs(of_syncs: Sequence[tuple[int, int, int, int]]) -> Runs:
    completed, partial, failed, running = (sum(numbers) for numbers in zip((0, 0, 0, 0), *of_syncs, strict=True))
    ratio = store.success_ratio(completed=completed, partial=partial, failed=failed)
    return Runs(completed=completed, partial=partial, failed=failed, running=running, success_ratio=ratio)
