"""Plan: which sync configs a run is about, and which window of the vendor's time each of them reads.

Scheduled, or by hand without dates: from the config's cursor, less its overlap, to the end of the data interval or now,
so that a pause or a failed day leaves no gap. A backfill: exactly its data interval, for every active config, and the
cursor stays. `since`, `until`, `full` and named records override. A retry tries rejects again, and a replay runs the
pages that another pull landed through today's mapping: neither asks the vendor for records.

A config that goes both ways gets two logs: one for its pull and one for its push, which runs behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import structlog

from erpflow.errors import ConfigError, suggestion
from erpflow.store import planning, reject_retries, sync_logs
from erpflow.store.planning import Candidate
from erpflow.store.pull import Connection
from erpflow.store.sync_logs import OpenRequest
from erpflow.vocabulary import Direction, SyncConfigId, SyncLogId, Window

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What somebody asked for. `kind` is "scheduled", "manual" or "backfill"; times are UTC.

    `interval` is the data interval of a scheduled run or a backfill. `attempt_key` names this attempt, so that planning
    it twice opens its logs once. `cleared`: a person wants this run again, so `every` does not hold it back.
    `connection` and `config_id` say which configs it is about; without them, all of the system's entity.
    `reject_ids`: try just these rejects again. `replay`: run the pages of that sync log again.
    """

    kind: str
    connection: str | None = None
    config_id: SyncConfigId | None = None
    full: bool = False
    since: datetime | None = None
    until: datetime | None = None
    dry_run: bool = False
    interval: tuple[datetime, datetime] | None = None
    dag_id: str | None = None
    dag_run_id: str | None = None
    attempt_key: str | None = None
    triggered_by: str | None = None
    cleared: bool = False
    direction: Direction | None = None
    record_ids: tuple[str, ...] = ()
    allow_deletes: bool = False
    reject_ids: tuple[str, ...] = ()
    replay: SyncLogId | None = None

    @property
    def has_window(self) -> bool:
        """Whether it says itself what it reads."""
        has_dates = self.since is not None or self.until is not None
        return has_dates or bool(self.record_ids or self.reject_ids or self.replay)

    @property
    def reads_on(self) -> bool:
        """Whether it reads on from the cursor to now, as a scheduled run does, so that the next one can wait."""
        return self.kind != "backfill" and not self.dry_run and not self.has_window

    def directions(self, config: Direction) -> list[Direction]:
        """The directions this request runs a config in: those of both, pull first. A span of time is only pulled."""
        wanted = (
            {Direction.PULL, Direction.PUSH} if self.direction in (None, Direction.BIDIRECTIONAL) else {self.direction}
        )
        able = {Direction.PULL, Direction.PUSH} if config is Direction.BIDIRECTIONAL else {config}
        if self.kind == "backfill" or self.since is not None or self.until is not None or self.replay:
            able -= {Direction.PUSH}
        if self.record_ids and self.direction in (None, Direction.BIDIRECTIONAL):
            able -= {Direction.PUSH}  # the ids are the vendor's
        return [direction for direction in (Direction.PULL, Direction.PUSH) if direction in wanted & able]


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One sync to run: the id of its log, a label that people recognise, its direction, and its config."""

    log_id: SyncLogId
    label: str
    direction: str
    config_id: SyncConfigId


def plan(connection: Connection, request: RunRequest, *, system: str, entity: str, now: datetime) -> list[PlannedRun]:
    """Open a sync log for every config the request is about; none may be due.

    Raises ConfigError when the request names a connection that does not exist or is switched off, rejects or a log of
    another entity, or dates that contradict each other.
    """
    check_request(request)
    found = named_candidates(connection, request, system=system, entity=entity)
    planned: list[PlannedRun] = []
    for candidate in found:
        directions = request.directions(candidate.direction)
        opened = {direction: _opened(connection, request, candidate, direction) for direction in directions}
        was_killed = any(opened.values())  # this task was killed after it had opened a log
        due = was_killed or request.kind != "scheduled" or request.cleared or _is_due(candidate, now)
        for direction, log_id in opened.items():
            if log_id is None and candidate.is_active and due:
                log_id = _open(connection, request, candidate, direction)
                if log_id is not None and request.reads_on:
                    planning.note_started(connection, candidate.config_id, now)
            if log_id is not None:
                label = f"{candidate.connection} {entity}"
                planned.append(PlannedRun(log_id, label, direction.value, candidate.config_id))
    if not planned and request.direction is None and (request.reject_ids or request.replay):
        what = f"The sync log {request.replay} is not" if request.replay else "None of these rejects is an open one"
        raise ConfigError(f"{what} of an active sync of {system} {entity}. Nothing was done.")
    return planned


def _opened(
    connection: Connection, request: RunRequest, candidate: Candidate, direction: Direction
) -> SyncLogId | None:
    """The log that an earlier try of this task has opened."""
    if request.attempt_key is None:
        return None
    return sync_logs.opened_by(connection, request.attempt_key, direction).get(candidate.config_id)


def _open(connection: Connection, request: RunRequest, candidate: Candidate, direction: Direction) -> SyncLogId | None:
    """Open the log of one direction of one config; None when its window holds nothing."""
    window, kind = _window(candidate, request) if direction is Direction.PULL else _scan(candidate, request)
    named = _named(connection, request, candidate, direction)
    if named is None:
        return None
    if window.since is not None and window.until is not None and window.since >= window.until:
        log.info("nothing_to_read", connection=candidate.connection, since=window.since, until=window.until)
        return None
    with connection.transaction():
        log_id = sync_logs.open_log(
            connection,
            candidate.config_id,
            OpenRequest(
                kind=kind,
                window=window,
                dry_run=request.dry_run,
                dag_id=request.dag_id,
                dag_run_id=request.dag_run_id,
                attempt_key=request.attempt_key,
                triggered_by=request.triggered_by,
                direction=direction,
                record_ids=named,
                allow_deletes=request.allow_deletes,
            ),
        )
    log.info("sync_planned", sync_log=log_id, direction=direction, kind=kind, since=window.since, until=window.until)
    return log_id


def _named(
    connection: Connection, request: RunRequest, candidate: Candidate, direction: Direction
) -> tuple[str, ...] | None:
    """What the log names: records, rejects, or the log to replay; None when nothing of it is this config's."""
    if request.replay is not None:
        return (request.replay,) if sync_logs.config_of(connection, request.replay) == candidate.config_id else None
    if not request.reject_ids:
        return request.record_ids
    find = reject_retries.open_pulls if direction is Direction.PULL else reject_retries.release_pushes
    return tuple(find(connection, candidate.config_id, request.reject_ids)) or None


def check_request(request: RunRequest) -> None:
    """Raises ConfigError for a request that contradicts itself."""
    if request.since is not None and request.until is not None and request.since >= request.until:
        raise ConfigError(
            f"since ({request.since.isoformat()}) is not before until ({request.until.isoformat()}): "
            "the window holds nothing. Swap them, or leave one out."
        )
    if request.full and request.has_window:
        raise ConfigError("full reads everything; it does not go with since, until or records. Leave one of them out.")
    has_dates = request.since is not None or request.until is not None
    asked = ("records", request.record_ids), ("rejects", request.reject_ids), ("replay", request.replay)
    named = [name for name, value in asked if value]
    if len(named) > 1 or (named and has_dates):
        among = [*named, "since and until"] if has_dates else named
        raise ConfigError(f"{' and '.join(among)} say each for itself what to sync. Leave all but one out.")


def named_candidates(connection: Connection, request: RunRequest, *, system: str, entity: str) -> list[Candidate]:
    """The sync configs a request is about: the one it names, those of the connection it names, or all of the entity.

    Raises ConfigError when the one it names is not there, or is switched off.
    """
    found = planning.candidates(
        connection, system=system, entity=entity, name=request.connection, config_id=request.config_id
    )
    if request.config_id is not None:
        if not any(candidate.is_active for candidate in found):
            raise ConfigError(
                f"There is no active sync config {request.config_id} of {system} {entity}: it was deleted, or it or "
                f"its connection is switched off."
            )
    elif request.connection is not None:
        _check_named(connection, request.connection, found, system=system, entity=entity)
    return found


def _check_named(connection: Connection, name: str, found: list[Candidate], *, system: str, entity: str) -> None:
    """Raises ConfigError when a request names a connection that is not among those `found`, or is switched off."""
    known = planning.connection_names(connection, system)
    if name not in known:
        raise ConfigError(f'There is no {system} connection "{name}"{suggestion(name, known)}')
    if not found:
        raise ConfigError(
            f'The connection "{name}" does not sync the entity "{entity}". Add a sync config for it first.'
        )
    if not found[0].is_active:
        raise ConfigError(
            f'Syncing "{entity}" with "{name}" is switched off. Enable the sync config or the connection first.'
        )


def _is_due(candidate: Candidate, now: datetime) -> bool:
    """Whether `every` has passed since the last start, a tenth of it early at most: ticks are never quite on time."""
    last = candidate.last_started_at
    return last is None or last + candidate.every * 0.9 <= now


def _window(candidate: Candidate, request: RunRequest) -> tuple[Window, str]:
    if request.kind == "backfill" and request.interval is not None:
        return Window(*request.interval), "backfill"
    if request.replay or request.reject_ids:
        return Window(None, None), "replay" if request.replay else "retry"
    if request.record_ids:
        return Window(None, None), "records"
    if request.full:
        return Window(None, None), "full"
    until = request.until
    if until is None and request.kind == "scheduled" and request.interval is not None:
        until = request.interval[1]
    if request.since is not None:
        return Window(request.since, until), "incremental"
    never_agreed = candidate.direction is Direction.BIDIRECTIONAL and candidate.agreed_since is None
    if candidate.cursor_at is None or (never_agreed and request.until is None):
        return Window(None, until), "full"
    return Window(candidate.cursor_at - candidate.overlap, until), "incremental"


def _scan(candidate: Candidate, request: RunRequest) -> tuple[Window, str]:
    """Which local rows a push looks at: those modified since the last one, or all."""
    if request.record_ids or request.reject_ids:
        return Window(None, None), "records"
    if request.full or candidate.local_cursor_at is None:
        return Window(None, None), "full"
    return Window(candidate.local_cursor_at - candidate.overlap, None), "incremental"
