"""What has been used of a vendor account's limits, who is asking it, and limits of a connection's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, get_args

import psycopg
from psycopg import sql

from erpflow.vocabulary import ConnectionId

Span = Literal["per_second", "per_minute", "per_hour", "per_day", "concurrent"]
"""What a limit is counted over; `concurrent`: requests under way at the same time."""

SPANS: Final[tuple[Span, ...]] = get_args(Span)

# What a window holds is what its counters hold, less those that have fallen out of it since the last request.
_READ: Final = """
WITH clock AS (SELECT extract(epoch FROM clock_timestamp())::float8 AS at)
SELECT l.per_second, l.per_minute, l.per_hour, l.per_day, l.concurrent,
    erpflow.window_holds(a.second_newest, a.second_used, floor(at * 80)::bigint),
    erpflow.window_holds(a.minute_newest, a.minute_used, floor(at / 5)::bigint),
    erpflow.window_holds(a.hour_newest, a.hour_used, floor(at / 60)::bigint),
    erpflow.window_holds(a.day_newest, a.day_used, floor(at / 1800)::bigint),
    CASE WHEN a.paused_until > clock_timestamp() THEN a.paused_until END, coalesce(a.granted, 0), l.account,
    ARRAY(SELECT c.name FROM erpflow.erp_rate_limits o JOIN erpflow.erp_connections c ON c.id = o.connection_id
          WHERE o.account = l.account AND o.connection_id <> l.connection_id AND o.tenant_id = l.tenant_id
          ORDER BY c.name),
    (SELECT count(*) FROM erpflow.erp_rate_limits o WHERE o.account = l.account AND o.tenant_id <> l.tenant_id)
FROM clock, erpflow.erp_rate_limits l LEFT JOIN erpflow.erp_rate_accounts a USING (account)
WHERE l.connection_id = %s
"""
# A place of a request under way is an advisory lock of its worker's session: see `erpflow.take_lease`.
_UNDER_WAY: Final = """
SELECT coalesce(host(s.client_addr), 'this machine'), s.pid, count(*), min(s.backend_start)
FROM pg_locks k JOIN pg_stat_activity s USING (pid)
WHERE k.locktype = 'advisory' AND k.objsubid = 2 AND k.granted
    AND k.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND k.classid = (hashtext(%s)::bigint & 4294967295)::oid
GROUP BY 1, 2 ORDER BY 4, 2
"""
_SET: Final = sql.SQL("""
INSERT INTO erpflow.erp_rate_limits (connection_id, tenant_id, {columns})
SELECT id, tenant_id, {values} FROM erpflow.erp_connections WHERE id = %(id)s
ON CONFLICT (connection_id) DO UPDATE SET {changes}
""")


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker with requests under way: where it is, its session's process id, how many, and since when it is there."""

    place: str
    pid: int
    requests: int
    since: datetime


@dataclass(frozen=True, slots=True)
class LimitUsage:
    """A connection's own limits, and what was let through on its account in the windows that end now.

    `used` in requests, or what the vendor counts in their place. It has no `concurrent`: `under_way` tells, where there
    is such a limit. `total`: requests of the account ever let through. `shared_with`: other
    connections of this tenant to the same account; `other_tenants` is the number of those of others.
    """

    own: Mapping[Span, float]
    used: Mapping[Span, float]
    paused_until: datetime | None
    total: int
    shared_with: tuple[str, ...]
    other_tenants: int
    under_way: tuple[Worker, ...]


_NOTHING: Final = LimitUsage({}, {}, None, 0, (), 0, ())


def limit_usage(connection: psycopg.Connection[Any], connection_id: ConnectionId) -> LimitUsage:
    """What is known of a connection's limits; nothing is when it has asked nobody yet."""
    row = connection.execute(_READ, (connection_id,)).fetchone()
    if row is None:
        return _NOTHING
    paused_until, total, account, shared_with, other_tenants = row[9:]
    workers = connection.execute(_UNDER_WAY, (account,)).fetchall() if account else []
    return LimitUsage(
        own={span: value for span, value in zip(SPANS, row[:5], strict=True) if value is not None},
        used={span: value or 0.0 for span, value in zip(SPANS, row[5:9], strict=False)},
        paused_until=paused_until,
        total=total,
        shared_with=tuple(shared_with),
        other_tenants=other_tenants,
        under_way=tuple(Worker(*found) for found in workers),
    )


def set_limits(
    connection: psycopg.Connection[Any], connection_id: ConnectionId, limits: Mapping[Span, float | None]
) -> None:
    """Give a connection limits of its own; None takes one away, and what the data sheet says holds again."""
    if not limits:
        return
    columns = [sql.Identifier(span) for span in limits]
    statement = _SET.format(
        columns=sql.SQL(", ").join(columns),
        values=sql.SQL(", ").join(sql.SQL("{}::float8").format(sql.Placeholder(span)) for span in limits),
        changes=sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(column) for column in columns),
    )
    values: dict[str, Any] = {"id": connection_id}
    values.update(limits.items())
    connection.execute(statement, values)
