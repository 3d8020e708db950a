"""What happened, in the order in which it can be read without missing what commits late.

The table is the truth; NOTIFY only says that there is more to read.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import psycopg

from erpflow.errors import ConfigError
from erpflow.store.database import Database, translate_errors
from erpflow.vocabulary import EventKind, SyncConfigId, SyncLogId, TenantId

CHANNEL: Final = "erpflow_events"
LISTEN: Final = f"LISTEN {CHANNEL}"
NAME: Final = "SET application_name = 'erpflow-events'"

QUIET_S: Final = 5.0
"""How long nothing is read when nothing is told: a NOTIFY that was lost costs no more than that."""

WAITING_S: Final = 0.2
"""The same while events wait for the end of an older transaction: an end is told only where it wrote events too."""

_COLUMNS: Final = """
e.xid::text::bigint, e.id, e.at, e.tenant_id::text, e.kind, e.sync_config_id::text, e.log_id::text, e.payload
"""

# Below `settled` every transaction has ended: what is there stays, and nothing is added. `waiting`: there are events
# of transactions that have ended, while an older one still runs.
_READ: Final = f"""
WITH settled AS MATERIALIZED (SELECT pg_snapshot_xmin(pg_current_snapshot()) AS xid)
SELECT settled.xid::text::bigint, now(),
       EXISTS (SELECT FROM erpflow.erp_events w WHERE w.xid >= settled.xid) AS waiting, {_COLUMNS}
FROM settled LEFT JOIN LATERAL (
    SELECT * FROM erpflow.erp_events e
    WHERE (e.xid, e.id) > (%(xid)s::text::xid8, %(id)s) AND e.xid < settled.xid
    ORDER BY e.xid, e.id LIMIT %(limit)s) e ON true
ORDER BY e.xid, e.id
"""  # noqa: S608  (our own constant)

_KNOWN: Final = "SELECT %s::text::xid8 <= pg_snapshot_xmax(pg_current_snapshot())"

_HAS_SYNC: Final = """
SELECT EXISTS (SELECT FROM erpflow.erp_sync_configs c WHERE c.id = %s AND c.tenant_id = erpflow.current_tenant())
"""

_NOW: Final = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint, now()"

_MISSED: Final = f"""
SELECT {_COLUMNS} FROM erpflow.erp_events e
WHERE e.tenant_id = erpflow.current_tenant()
  AND (e.xid, e.id) > (%(xid)s::text::xid8, %(id)s) AND (e.xid, e.id) <= (%(to_xid)s::text::xid8, %(to_id)s)
  AND (%(kinds)s::text[] IS NULL OR e.kind = ANY (%(kinds)s::text[]))
  AND (%(config)s::uuid IS NULL OR e.sync_config_id = %(config)s::uuid)
ORDER BY e.xid, e.id LIMIT %(limit)s
"""  # noqa: S608  (our own constant)


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """How far somebody has read: every event of a lower (xid, id) that will ever be there. `at` is when, in seconds
    since 1970 by Postgres's clock.
    """

    xid: int
    id: int
    at: int

    def __str__(self) -> str:
        return f"{self.xid}-{self.id}-{self.at}"

    @classmethod
    def read(cls, text: str) -> Place:
        """The place that an earlier event had as its id. Raises ConfigError for anything else."""
        parts = text.split("-")
        if len(parts) != 3 or not all(part.isascii() and part.isdigit() and len(part) < 19 for part in parts):
            raise ConfigError("Last-Event-ID is not the id of an event of this stream. Pass the last one on unchanged.")
        return cls(*map(int, parts))


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. `kind`: an EventKind, or what a newer release tells.

    `sync_config_id` is None for a webhook, which may concern several syncs.
    """

    place: Place
    at: datetime
    tenant_id: TenantId
    kind: str
    sync_config_id: SyncConfigId | None
    log_id: SyncLogId | None
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Read:
    """Events in order, and the place behind them. `more` can be read at once; `waiting` is for a transaction to end."""

    events: list[Event]
    place: Place
    more: bool
    waiting: bool


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events of one tenant somebody follows: all of them without `kinds`, of all syncs without a config."""

    tenant_id: TenantId
    kinds: frozenset[EventKind] = frozenset()
    sync_config_id: SyncConfigId | None = None

    def includes(self, event: Event) -> bool:
        """Whether an event is one of these."""
        return (
            event.tenant_id == self.tenant_id
            and (not self.kinds or event.kind in self.kinds)
            and self.sync_config_id in (None, event.sync_config_id)
        )


async def follow(database: Database, after: Place | None, *, limit: int) -> AsyncGenerator[Read, None]:
    """Whatever happens behind a place (None: from now on), as it happens, on a connection of its own; never ends.

    `limit`: events that are read at a time.

    Gives a Read without events too: its place is news. Raises DatabaseUnavailable when the connection is lost; called
    again with the last place, it goes on without a gap.
    """
    with translate_errors(database):
        async with await database.connect_async() as connection:
            await connection.execute(NAME)
            await connection.execute(LISTEN)
            place = after or await _present(connection)
            while True:
                read = await read_on(connection, place, limit=limit)
                place = read.place
                yield read
                if not read.more:
                    patience = WAITING_S if read.waiting else QUIET_S
                    async for _ in connection.notifies(timeout=patience, stop_after=1):
                        pass


async def read_on(connection: psycopg.AsyncConnection[Any], after: Place, *, limit: int) -> Read:
    """The next events of all tenants behind a place, without those that an older transaction still holds up."""
    cursor = await connection.execute(_READ, {"xid": str(after.xid), "id": after.id, "limit": limit})
    rows = await cursor.fetchall()
    settled, now, waiting = rows[0][:3]
    events = [_event(row[3:]) for row in rows if row[3] is not None]
    more = len(events) == limit
    place = events[-1].place if more else Place(settled, 0, int(now.timestamp()))
    return Read(events, place, more, waiting)


def missed(
    connection: psycopg.Connection[Any], wanted: Wanted, *, after: Place, until: Place, limit: int
) -> list[Event]:
    """At most `limit` events of the session's tenant between two places; all of them when there are fewer."""
    given = {
        "xid": str(after.xid), "id": after.id, "to_xid": str(until.xid), "to_id": until.id, "limit": limit,
        "kinds": sorted(wanted.kinds) or None, "config": wanted.sync_config_id,
    }  # fmt: skip
    return [_event(row) for row in connection.execute(_MISSED, given)]


def is_known(connection: psycopg.Connection[Any], place: Place) -> bool:
    """Whether a place can be one of this database: one that was restored elsewhere counts its transactions anew."""
    row = connection.execute(_KNOWN, (str(place.xid),)).fetchone()
    return bool(row and row[0])


def has_sync(connection: psycopg.Connection[Any], config_id: SyncConfigId) -> bool:
    """Whether the session's tenant has such a sync config."""
    row = connection.execute(_HAS_SYNC, (config_id,)).fetchone()
    return bool(row and row[0])


async def _present(connection: psycopg.AsyncConnection[Any]) -> Place:
    row = await (await connection.execute(_NOW)).fetchone()
    assert row is not None  # noqa: S101  (a SELECT without FROM gives a row)
    return Place(row[0], 0, int(row[1].timestamp()))


def _event(row: Sequence[Any]) -> Event:
    xid, id_, at, tenant, kind, config, log, payload = row
    place = Place(xid, id_, int(at.timestamp()))
    return Event(place, at, tenant, kind, config, log, payload)
