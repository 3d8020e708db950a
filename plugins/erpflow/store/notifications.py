"""What people are told about: one row per cause, from the moment it is seen until it is over, and who was told when.

A cause is written before anybody is told of it, and a channel is marked after it took the message: a kill in between
tells twice, never not at all. Two who look at the same time do not undo each other: each says at which moment of
Postgres's clock it looked, and an older look changes nothing that a newer one has seen.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final, NewType

import msgspec
import psycopg

from erpflow.vocabulary import CauseKind, SyncConfigId, TenantId

Connection = psycopg.Connection[Any]
NotificationId = NewType("NotificationId", str)

LEASE: Final = "5 minutes"
"""How long a claim holds: one message takes seconds, so an older claim is that of a process that died."""

_MOMENT: Final = "SELECT clock_timestamp()"

# What a channel was told of an earlier occurrence is forgotten, unless it still believes that occurrence to go on.
_OBSERVE: Final = """
INSERT INTO erpflow.erp_notifications AS n
    (tenant_id, sync_config_id, cause, kind, subject, details, first_at, last_at)
SELECT u.tenant_id, u.sync_config_id, u.cause, u.kind, u.subject, u.details::jsonb, least(u.since, %(now)s), %(now)s
FROM unnest(%(tenants)s::uuid[], %(configs)s::uuid[], %(causes)s::text[], %(kinds)s::text[], %(subjects)s::text[],
            %(details)s::text[], %(sinces)s::timestamptz[])
    AS u (tenant_id, sync_config_id, cause, kind, subject, details, since)
WHERE u.sync_config_id IS NULL OR EXISTS (SELECT 1 FROM erpflow.erp_sync_configs c WHERE c.id = u.sync_config_id)
ORDER BY u.cause
ON CONFLICT (cause) DO UPDATE SET
    subject = excluded.subject, details = excluded.details, last_at = excluded.last_at, resolved_at = NULL,
    first_at = CASE WHEN n.resolved_at IS NULL THEN n.first_at ELSE excluded.first_at END,
    times = CASE WHEN n.resolved_at IS NULL THEN n.times ELSE 0 END,
    told = CASE WHEN n.resolved_at IS NULL THEN n.told ELSE (
        SELECT coalesce(jsonb_object_agg(t.key, t.value), '{}') FROM jsonb_each_text(n.told) t
        WHERE t.value::timestamptz < n.resolved_at) END
WHERE n.last_at <= excluded.last_at AND (n.resolved_at IS NULL OR n.resolved_at < excluded.last_at)
"""

# `late` is about a DAG, not a config: a sync of that DAG which has ended since ends it, or that it is the one looking.
_RESOLVE: Final = """
UPDATE erpflow.erp_notifications n SET resolved_at = %(now)s
WHERE n.resolved_at IS NULL AND n.last_at < %(now)s AND n.cause <> ALL (%(causes)s::text[])
  AND CASE WHEN n.kind = 'late' THEN %(only)s::uuid[] IS NULL AND (
               n.details ->> 'dag_id' = %(looking)s OR EXISTS (
                   SELECT 1 FROM erpflow.erp_sync_logs l
                   WHERE l.dag_id = n.details ->> 'dag_id' AND l.finished_at > n.last_at))
           ELSE %(only)s::uuid[] IS NULL OR n.sync_config_id = ANY (%(only)s::uuid[]) END
"""

_COLUMNS: Final = """
n.id::text, n.tenant_id::text, t.slug, n.sync_config_id::text, n.cause, n.kind, n.subject, n.details, n.first_at,
n.last_at, n.told, n.times, n.resolved_at
"""

_UNSETTLED: Final = f"""
SELECT {_COLUMNS} FROM erpflow.erp_notifications n JOIN erpflow.erp_tenants t ON t.id = n.tenant_id
WHERE (n.resolved_at IS NULL
       OR EXISTS (SELECT 1 FROM jsonb_each_text(n.told) e WHERE e.value::timestamptz < n.resolved_at))
  AND (%(only)s::uuid[] IS NULL OR n.sync_config_id = ANY (%(only)s::uuid[]))
ORDER BY t.slug, n.first_at, n.cause
"""  # noqa: S608  (our own constant)

_CLAIM: Final = f"""
UPDATE erpflow.erp_notifications n SET claimed_at = clock_timestamp()
FROM erpflow.erp_tenants t
WHERE n.id = %(id)s AND t.id = n.tenant_id
  AND (n.claimed_at IS NULL OR n.claimed_at < clock_timestamp() - %(lease)s::interval)
RETURNING {_COLUMNS}
"""  # noqa: S608  (our own constant)

_MARK: Final = """
UPDATE erpflow.erp_notifications
SET told = told || jsonb_build_object(%(channel)s::text, %(at)s::timestamptz), told_at = %(at)s, times = times + 1
WHERE id = %(id)s
"""

_RELEASE: Final = "UPDATE erpflow.erp_notifications SET claimed_at = NULL WHERE id = %s"


@dataclass(frozen=True, slots=True)
class Details:
    """What a message about a cause says besides its subject: no secret, no value of a record.

    `what` happened and what to do next are sentences. `counts` are records unless the key says otherwise.
    """

    what: str = ""
    next_step: str = ""
    connection: str | None = None
    system: str | None = None
    entity: str | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    log_id: str | None = None
    dag_id: str | None = None
    dag_run_id: str | None = None


@dataclass(frozen=True, slots=True)
class Cause:
    """Something a person should know. The same `key` is the same cause, however often it is seen."""

    key: str
    tenant_id: TenantId
    config_id: SyncConfigId | None
    kind: CauseKind
    subject: str
    since: datetime
    details: Details


@dataclass(frozen=True, slots=True)
class Notification:
    """A row of `erp_notifications`. `told`: when each channel last took a message about this occurrence."""

    id: NotificationId
    tenant_id: TenantId
    tenant: str
    config_id: SyncConfigId | None
    cause: str
    kind: CauseKind
    subject: str
    details: Details
    first_at: datetime
    last_at: datetime
    told: Mapping[str, datetime]
    times: int
    resolved_at: datetime | None


def moment(connection: Connection) -> datetime:
    """What Postgres's clock says: the one clock that all workers share."""
    row = connection.execute(_MOMENT).fetchone()
    assert row is not None  # noqa: S101  (a SELECT without FROM gives a row)
    found: datetime = row[0]
    return found


def observe(
    connection: Connection,
    causes: Sequence[Cause],
    *,
    now: datetime,
    only: Sequence[SyncConfigId] | None = None,
    looking: str | None = None,
) -> None:
    """Write down what was seen at `now`: these causes hold, and every other one that was looked for is over.

    `only`: nothing but these sync configs was looked at. `looking` is the DAG that looks, so it surely runs.
    """
    given = {
        "now": now,
        "causes": [cause.key for cause in causes],
        "only": None if only is None else list(only),
        "looking": looking,
    }
    with connection.transaction():
        _write(connection, causes, now=now)
        connection.execute(_RESOLVE, given)


def note(connection: Connection, cause: Cause, *, now: datetime) -> None:
    """Write down one cause that was seen at `now`, whatever else there is."""
    with connection.transaction():
        _write(connection, [cause], now=now)


def unsettled(connection: Connection, *, only: Sequence[SyncConfigId] | None = None) -> list[Notification]:
    """What somebody may have to be told about: open causes, and those whose end not every channel has heard of."""
    rows = connection.execute(_UNSETTLED, {"only": None if only is None else list(only)})
    return [_notification(row) for row in rows]


def claim(connection: Connection, notification_id: NotificationId) -> Notification | None:
    """The row as it is now, ours to tell until it is released; None when somebody else is telling it or it is gone."""
    row = connection.execute(_CLAIM, {"id": notification_id, "lease": LEASE}).fetchone()
    return _notification(row) if row else None


def mark_told(connection: Connection, notification_id: NotificationId, *, channel: str, at: datetime) -> None:
    """A channel took the message that was composed from what was seen at `at`."""
    connection.execute(_MARK, {"id": notification_id, "channel": channel, "at": at})


def release(connection: Connection, notification_id: NotificationId) -> None:
    """Give a claim back."""
    connection.execute(_RELEASE, (notification_id,))


def _write(connection: Connection, causes: Sequence[Cause], *, now: datetime) -> None:
    connection.execute(
        _OBSERVE,
        {
            "now": now,
            "tenants": [cause.tenant_id for cause in causes],
            "configs": [cause.config_id for cause in causes],
            "causes": [cause.key for cause in causes],
            "kinds": [cause.kind for cause in causes],
            "subjects": [cause.subject for cause in causes],
            "details": [json.dumps(asdict(cause.details)) for cause in causes],
            "sinces": [cause.since for cause in causes],
        },
    )


def _notification(row: Sequence[Any]) -> Notification:
    id_, tenant_id, tenant, config_id, cause, kind, subject, details, first_at, last_at, told, times, resolved_at = row
    return Notification(
        id=id_,
        tenant_id=tenant_id,
        tenant=tenant,
        config_id=config_id,
        cause=cause,
        kind=CauseKind(kind),
        subject=subject,
        details=msgspec.convert(details, Details),
        first_at=first_at,
        last_at=last_at,
        told={channel: datetime.fromisoformat(at) for channel, at in told.items()},
        times=times,
        resolved_at=resolved_at,
    )
