"""From how a sync is doing to what a person should know: at most one cause of each kind for one sync config."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

from erpflow.services.notifications.settings import NotificationSettings
from erpflow.services.notifications.wording import advice, clock, counted, quote, span
from erpflow.store.health import LastRun, Reason, SyncHealth
from erpflow.store.notifications import Cause, Details
from erpflow.vocabulary import DEFAULT_TENANT, CauseKind, SyncStatus


def causes_of(healths: Iterable[SyncHealth], *, now: datetime, settings: NotificationSettings) -> list[Cause]:
    """Everything that is wrong. A sync that is switched off, by itself or with its connection, troubles nobody."""
    return [cause for health in healths if health.active for rule in RULES for cause in rule(health, now, settings)]


def late_run(*, dag_id: str, dag_run_id: str, queued_at: datetime, within: timedelta, now: datetime) -> Cause:
    """A run of a sync DAG that has not ended in time: the workers are stuck, full, or the vendor is very slow.

    It is about a DAG, which serves every tenant, so it goes to those who run the installation.
    """
    return Cause(
        key=f"late/{dag_id}",
        tenant_id=DEFAULT_TENANT,
        config_id=None,
        kind=CauseKind.LATE,
        subject=f"{dag_id}: a run is late",
        since=queued_at + within,
        details=Details(
            what=f"The run was queued {span(now - queued_at)} ago, at {clock(queued_at)}, and has not ended. "
            f"It should end within {span(within)}.",
            next_step="See in the run's grid which task waits or runs, and whether its pool has free slots.",
            dag_id=dag_id,
            dag_run_id=dag_run_id,
        ),
    )


def _failed(health: SyncHealth, _now: datetime, _settings: NotificationSettings) -> Iterator[Cause]:
    last, failures = health.last, health.failures
    if last is None or last.status is not SyncStatus.FAILED or failures is None:
        return
    kind = last.error_kind or "an unknown error"
    again = f" It has failed {failures.count:,} times in a row." if failures.count > 1 else ""
    yield _cause(
        health,
        CauseKind.FAILED,
        key=kind,
        headline=f"failed: {kind}",
        since=failures.since,
        what=f"The last sync ended {clock(last.finished_at)} with {kind}.{again} The cursor has not moved past "
        "anything that was not applied.",
        next_step=advice(last.error_kind),
        counts={"failures": failures.count},
        reasons=quote(last.error_kind, last.error),
        run=_run(last),
    )


def _partial(health: SyncHealth, _now: datetime, _settings: NotificationSettings) -> Iterator[Cause]:
    """It lasts while any record is refused: a run that happens to read none of them does not end it."""
    last, rejects = health.last, health.rejects
    counts: dict[str, int] = {}
    reasons: tuple[str, ...] = ()
    if last is not None and last.status is SyncStatus.PARTIAL:
        refused, since = last.rejected, last.finished_at
        counts = {"read_by_the_last_sync": last.read, "refused_by_the_last_sync": last.rejected}
    elif rejects is None:
        return
    if rejects is not None:
        refused, since, reasons = rejects.count, rejects.since, _reasons(rejects.reasons)
    yield _cause(
        health,
        CauseKind.PARTIAL,
        headline=f"{counted(refused, 'record')} refused",
        since=since,
        what=f"{counted(refused, 'record')} cannot be applied; everything else is. Each is kept whole, with why.",
        next_step="Mend them at the vendor or mend the mapping; the next sync that reads them closes them.",
        counts={"refused": refused} | counts,
        reasons=reasons,
        run=_run(last),
    )


def _stale(health: SyncHealth, now: datetime, settings: NotificationSettings) -> Iterator[Cause]:
    allowed = settings.allowed_age(health.every)
    since = max(health.synced_at or health.configured_at, health.configured_at)
    if now - since <= allowed:
        return
    worked = (
        f"The last sync that worked ended {clock(health.synced_at)}, {span(now - health.synced_at)} ago."
        if health.synced_at
        else f"No sync has worked since it was configured, {clock(health.configured_at)}."
    )
    dag_id = f"{health.system}__{health.entity}"
    yield _cause(
        health,
        CauseKind.STALE,
        headline=f"is stale: nothing for {span(now - since)}",
        since=since + allowed,
        what=f"{worked} It is due every {span(health.every)}.",
        next_step=f"See whether the DAG {dag_id} is paused, and whether its runs wait, fail or hang.",
        counts={"minutes_without_a_sync": int((now - since).total_seconds() // 60)},
        run=_run(health.last) or (None, dag_id, None),
    )


def _conflicts(health: SyncHealth, _now: datetime, _settings: NotificationSettings) -> Iterator[Cause]:
    conflicts = health.conflicts
    if conflicts is None:
        return
    waits = "waits" if conflicts.count == 1 else "wait"
    yield _cause(
        health,
        CauseKind.CONFLICTS,
        headline=f"{counted(conflicts.count, 'conflict')} {waits} for a decision",
        since=conflicts.since,
        what=f"Both sides changed {counted(conflicts.count, 'record')} in ways that exclude each other. Both values "
        "are kept.",
        next_step="Decide each conflict: which side wins, or what the merged value is.",
        counts={"conflicts": conflicts.count},
        reasons=tuple(
            f"{kind.replace('_', ' ')}: {counted(number, 'record')}" for kind, number in sorted(conflicts.kinds.items())
        ),
    )


def _rejects(health: SyncHealth, now: datetime, settings: NotificationSettings) -> Iterator[Cause]:
    """Many records newly refused within a day: a change at the vendor or in the mapping, not a few bad records."""
    rejects = health.rejects
    if rejects is None or rejects.fresh < settings.rejects_a_day:
        return
    yield _cause(
        health,
        CauseKind.REJECTS,
        headline=f"{counted(rejects.fresh, 'record')} newly refused within a day",
        since=max(rejects.since, now - timedelta(days=1)),
        what=f"Refused records grow: {counted(rejects.fresh, 'record')} within 24 hours, "
        f"{counted(rejects.count, 'record')} in all.",
        next_step="Look for a change at the vendor or in the mapping: so many records are seldom wrong one by one.",
        counts={"newly_refused": rejects.fresh, "refused": rejects.count},
        reasons=_reasons(rejects.reasons),
        run=_run(health.last),
    )


def _deletes(health: SyncHealth, _now: datetime, _settings: NotificationSettings) -> Iterator[Cause]:
    deletes = health.deletes
    if deletes is None:
        return
    waits = "waits" if deletes.count == 1 else "wait"
    yield _cause(
        health,
        CauseKind.DELETES,
        headline=f"{counted(deletes.count, 'delete')} {waits} for approval",
        since=deletes.since,
        what=f"A run found {counted(deletes.count, 'record')} gone from the other side. Nothing is deleted before a "
        "person approves it.",
        next_step="Approve or reject them in the Airflow run.",
        counts={"deletes": deletes.count},
        run=(deletes.log_id, deletes.dag_id, deletes.dag_run_id),
    )


Rule = Callable[[SyncHealth, datetime, NotificationSettings], Iterator[Cause]]

RULES: Final[tuple[Rule, ...]] = (_failed, _stale, _partial, _rejects, _conflicts, _deletes)


def _reasons(reasons: Iterable[Reason]) -> tuple[str, ...]:
    """Which field broke which rule how often; the values stay in the table of rejects."""
    return tuple(
        f"{f'{reason.field}: ' if reason.field else ''}{reason.rule} ({counted(reason.records, 'record')})"
        for reason in reasons
    )


def _run(last: LastRun | None) -> tuple[str | None, str | None, str | None] | None:
    return (last.log_id, last.dag_id, last.dag_run_id) if last else None


def _cause(
    health: SyncHealth,
    kind: CauseKind,
    *,
    headline: str,
    since: datetime,
    what: str,
    next_step: str,
    counts: dict[str, int],
    reasons: tuple[str, ...] = (),
    run: tuple[str | None, str | None, str | None] | None = None,
    key: str | None = None,
) -> Cause:
    """A cause about a sync config. `run` is the sync log, the DAG and the DAG run to look at."""
    log_id, dag_id, dag_run_id = run or (None, None, None)
    separator = " " if kind in (CauseKind.FAILED, CauseKind.STALE) else ": "
    return Cause(
        key="/".join(filter(None, (kind.value, health.config_id, key))),
        tenant_id=health.tenant_id,
        config_id=health.config_id,
        kind=kind,
        subject=f"{health.connection} {health.entity}{separator}{headline}",
        since=since,
        details=Details(
            what=what,
            next_step=next_step,
            connection=health.connection,
            system=health.system,
            entity=health.entity,
            counts=counts,
            reasons=reasons,
            log_id=log_id,
            dag_id=dag_id,
            dag_run_id=dag_run_id,
        ),
    )
