"""Forgets what nobody needs any more: landed pages, history, what is settled, messages, events, old logs.

Each kind goes in bounded batches with a short transaction each, so that no sync waits for it and a kill loses nothing
but the rest of the work. Nothing is deleted that is open, running, the newest of its sync, or referred to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Final

import structlog

from erpflow.errors import ConfigError
from erpflow.store import retention as store
from erpflow.store.database import Database
from erpflow.store.notifications import moment
from erpflow.store.retention import Connection
from erpflow.sync.landing import Folder

log = structlog.get_logger(__name__)

BATCH_ROWS: Final = 5_000
LISTED_LOGS: Final = 50_000
"""Old logs found by one pass over the records: finding them costs more than deleting them."""


class Kept(StrEnum):
    """What is kept for a number of days."""

    LANDING = "landing"
    HISTORY = "history"
    ATTEMPTS = "attempts"
    REJECTS = "rejects"
    CONFLICTS = "conflicts"
    EVENTS = "events"
    DELIVERIES = "deliveries"
    MESSAGES = "messages"
    STREAM = "stream"
    LOGS = "logs"


DEFAULT_DAYS: Final = {
    Kept.LANDING: 14,
    Kept.HISTORY: 365,
    Kept.ATTEMPTS: 90,
    Kept.REJECTS: 180,
    Kept.CONFLICTS: 180,
    Kept.EVENTS: 30,
    Kept.DELIVERIES: 30,
    Kept.MESSAGES: 365,
    Kept.STREAM: 1,
    Kept.LOGS: 180,
}


@dataclass(frozen=True, slots=True)
class LandingArea:
    """Where pages land, and how a folder there is removed with everything in it, whether it exists or not."""

    root: Folder
    remove: Callable[[Folder], None]


@dataclass(frozen=True, slots=True)
class Purged:
    """What a purge removed (or would have): folders, or rows of one kind older than `before`.

    `elsewhere`: landing folders that are not below the landing area, and stay.
    """

    kind: Kept
    before: datetime
    removed: int
    elsewhere: int = 0
    dry_run: bool = False


def purge(
    database: Database,
    kind: Kept,
    *,
    days: int,
    landing: LandingArea,
    dry_run: bool = False,
    now: datetime | None = None,
    batch: int = BATCH_ROWS,
) -> Purged:
    """Remove what is older than `days`, in batches of `batch`; with `dry_run` only count it.

    `now` is Postgres's own clock when it is not given.
    """
    if days < 1:
        raise ConfigError(f"{kind.value} cannot be kept for {days} days: give a day at least, or leave it empty.")
    with database.session() as connection:
        before = (now or moment(connection)) - timedelta(days=days)
        if kind is Kept.LANDING:
            return _purge_landing(connection, landing, before=before, batch=batch, dry_run=dry_run)
        root = _path(str(landing.root))
        if dry_run:
            return Purged(kind, before, _count(connection, kind, before=before, root=root), dry_run=True)
        removed = 0
        for number in _batches(connection, kind, before=before, root=root, batch=batch):
            removed += number
            log.info("batch_purged", kind=kind.value, rows=number, in_all=removed)
        return Purged(kind, before, removed)


def _count(connection: Connection, kind: Kept, *, before: datetime, root: str) -> int:
    if kind is Kept.HISTORY:
        return store.count_history(connection, before=before)
    if kind is Kept.LOGS:
        return store.count_logs(connection, before=before, landing_root=root)
    return store.count_settled(connection, kind.value, before=before)


def _batches(connection: Connection, kind: Kept, *, before: datetime, root: str, batch: int) -> Iterator[int]:
    """Delete batch after batch; how many rows each deleted."""
    if kind is Kept.HISTORY:
        yield from _history(connection, before=before, batch=batch)
    elif kind is Kept.LOGS:
        yield from _logs(connection, before=before, root=root, batch=batch)
    else:
        while removed := store.delete_settled(connection, kind.value, before=before, limit=batch):
            yield removed


def _history(connection: Connection, *, before: datetime, batch: int) -> Iterator[int]:
    span = store.history_span(connection, before=before)
    if span is None:
        return
    first, last = span
    after: int | None = first - 1
    while after is not None:
        removed, after = store.delete_history(connection, before=before, after=after, last=last, limit=batch)
        if removed:
            yield removed


def _logs(connection: Connection, *, before: datetime, root: str, batch: int) -> Iterator[int]:
    while found := store.old_logs(connection, before=before, landing_root=root, limit=LISTED_LOGS):
        removed = 0
        for start in range(0, len(found), batch):
            number = store.delete_logs(connection, found[start : start + batch], before=before)
            removed += number
            yield number
        if len(found) < LISTED_LOGS or not removed:
            return


def _purge_landing(
    connection: Connection, landing: LandingArea, *, before: datetime, batch: int, dry_run: bool
) -> Purged:
    removed, elsewhere, after = 0, 0, store.FIRST_LOG
    while found := store.old_landings(connection, before=before, after=after, limit=batch):
        after = found[-1].log_id
        for one in found:
            folder = landing.root / one.system / one.entity / one.log_id
            if _path(str(folder)) != _path(one.location):
                elsewhere += 1
                if elsewhere == 1:
                    log.warning("landing_elsewhere", for_example=one.location, root=str(landing.root))
            elif dry_run:
                removed += 1
            else:
                remove = partial(landing.remove, folder)
                removed += store.delete_landing(connection, one.log_id, before=before, remove=remove)
        log.info("landing_purged", folders=removed, elsewhere=elsewhere, dry_run=dry_run)
    return Purged(Kept.LANDING, before, removed, elsewhere, dry_run)


def _path(location: str) -> str:
    """A place as it compares: the command line writes a path where Airflow writes a file address."""
    return location.removeprefix("file://").rstrip("/")
