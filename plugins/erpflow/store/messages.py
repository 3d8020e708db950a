"""The outbox: what was handed to a vendor to be sent, recorded before it was, and what became of it.

All of it as the session's tenant. `attempts` fences: whoever settles says which attempt it was, and an older one, or
one that a person has decided meanwhile, is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import psycopg
from psycopg.rows import dict_row

from erpflow.store.listing import Listing
from erpflow.vocabulary import Channel, ConnectionId, MessageId, MessageState

LEASE: Final = timedelta(minutes=10)
"""How long an attempt may take; one that takes longer has died with its worker. A vendor's time-outs are far below."""

LOST: Final = "The worker that sent it ended before it heard the answer."

Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class Message:
    """A row of `erp_messages`. `may_try_again`: it was rejected for what may have changed since, not for its content.

    `remote_id`: the vendor's name of it. `error_field`: the field of the request that is to blame.
    """

    id: MessageId
    connection_id: ConnectionId | None
    system: str
    channel: Channel
    key: str | None
    content_digest: bytes
    recipients: list[str]
    template: str | None
    state: MessageState
    may_try_again: bool
    remote_id: str | None
    error: str | None
    error_field: str | None
    attempts: int
    requested_by: str | None
    settled_by: str | None
    created_at: datetime
    submitted_at: datetime
    settled_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMessage:
    """What is recorded before anything is sent. Without a key every request is another message."""

    connection_id: ConnectionId
    system: str
    channel: Channel
    key: str | None
    content_digest: bytes
    recipients: Sequence[str]
    template: str | None
    requested_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What became of an attempt."""

    state: MessageState
    may_try_again: bool = False
    remote_id: str | None = None
    error: str | None = None
    error_field: str | None = None


_COLUMNS: Final = """
m.id::text, m.connection_id::text, m.system, m.channel, m.key, m.content_digest, m.recipients, m.template, m.state,
m.may_try_again, m.remote_id, m.error, m.error_field, m.attempts, m.requested_by, m.settled_by, m.created_at,
m.submitted_at, m.settled_at
"""
_GIVE_UP: Final = """
UPDATE erpflow.erp_messages SET state = 'unknown', error = %(error)s, settled_at = now()
WHERE tenant_id = erpflow.current_tenant() AND state = 'submitting' AND submitted_at < now() - %(lease)s::interval
"""
_INSERT: Final = f"""
INSERT INTO erpflow.erp_messages AS m (
    tenant_id, connection_id, system, channel, key, content_digest, recipients, template, requested_by)
VALUES (erpflow.current_tenant(), %(connection_id)s, %(system)s, %(channel)s, %(key)s, %(digest)s, %(recipients)s,
        %(template)s, %(by)s)
ON CONFLICT (tenant_id, channel, key) DO NOTHING
RETURNING {_COLUMNS}
"""  # noqa: S608  (our own constant)
_BY_KEY: Final = f"""
SELECT {_COLUMNS} FROM erpflow.erp_messages m
WHERE m.tenant_id = erpflow.current_tenant() AND m.channel = %(channel)s AND m.key = %(key)s
"""  # noqa: S608  (our own constant)
_AGAIN: Final = f"""
UPDATE erpflow.erp_messages m
SET state = 'submitting', may_try_again = false, attempts = m.attempts + 1, error = NULL, error_field = NULL,
    remote_id = NULL, settled_at = NULL, settled_by = NULL, submitted_at = now(), requested_by = %(by)s
WHERE m.id = %(id)s AND m.tenant_id = erpflow.current_tenant() AND m.state = 'rejected' AND m.may_try_again
  AND m.attempts = %(attempt)s
RETURNING {_COLUMNS}
"""  # noqa: S608  (our own constant)
# An attempt that was given up and answers after all is still the newest one: what it says is the truth.
_SETTLE: Final = f"""
UPDATE erpflow.erp_messages m
SET state = %(state)s, may_try_again = %(may_try_again)s, remote_id = %(remote_id)s, error = %(error)s,
    error_field = %(error_field)s, settled_at = now()
WHERE m.id = %(id)s AND m.tenant_id = erpflow.current_tenant() AND m.attempts = %(attempt)s
  AND m.state IN ('submitting', 'unknown')
RETURNING {_COLUMNS}
"""  # noqa: S608  (our own constant)
_DECIDE: Final = f"""
UPDATE erpflow.erp_messages m
SET state = CASE WHEN %(arrived)s THEN 'accepted' ELSE 'rejected' END, may_try_again = NOT %(arrived)s,
    error = CASE WHEN %(arrived)s THEN NULL ELSE m.error END, settled_by = %(by)s, settled_at = now()
WHERE m.id = %(id)s AND m.tenant_id = erpflow.current_tenant() AND m.state = 'unknown'
RETURNING {_COLUMNS}
"""  # noqa: S608  (our own constant)
_GET: Final = f"""
SELECT {_COLUMNS} FROM erpflow.erp_messages m WHERE m.tenant_id = erpflow.current_tenant() AND m.id = %s
"""  # noqa: S608  (our own constant)

LISTING: Final = Listing(
    select=f"SELECT {_COLUMNS} FROM erpflow.erp_messages m WHERE m.tenant_id = erpflow.current_tenant()",  # noqa: S608
    order=(("m.created_at", "timestamptz"), ("m.id", "uuid")),
    filters={"channel": "m.channel = %(channel)s", "state": "m.state = %(state)s", "key": "m.key = %(key)s"},
)


def give_up_lost(connection: Connection) -> None:
    """Attempts whose worker is gone become unknown."""
    connection.execute(_GIVE_UP, {"error": LOST, "lease": LEASE})


def record(connection: Connection, new: NewMessage) -> tuple[Message, bool]:
    """Record a message that is about to be sent; the row, and whether it is new. One of the same key is not."""
    given = {
        "connection_id": new.connection_id,
        "system": new.system,
        "channel": new.channel,
        "key": new.key,
        "digest": new.content_digest,
        "recipients": list(new.recipients),
        "template": new.template,
        "by": new.requested_by,
    }
    while True:
        made = _one(connection, _INSERT, given)
        if made is not None:
            return made, True
        found = _one(connection, _BY_KEY, given)
        if found is not None:  # or it was old, and has just been forgotten
            return found, False


def take_up_again(connection: Connection, message: Message, *, by: str) -> Message | None:
    """Another attempt at a message that was certainly not taken; None when somebody else has taken it up."""
    return _one(connection, _AGAIN, {"id": message.id, "attempt": message.attempts, "by": by})


def settle(connection: Connection, message: Message, settlement: Settlement) -> Message | None:
    """Keep what became of an attempt; None, and nothing kept, when it is not the newest or a person has decided."""
    given = {
        "id": message.id,
        "attempt": message.attempts,
        "state": settlement.state,
        "may_try_again": settlement.may_try_again,
        "remote_id": settlement.remote_id,
        "error": settlement.error,
        "error_field": settlement.error_field,
    }
    return _one(connection, _SETTLE, given)


def decide(connection: Connection, message_id: str, *, arrived: bool, by: str) -> Message | None:
    """What a person says of an unknown one; None when it is not unknown, or not there."""
    return _one(connection, _DECIDE, {"id": message_id, "arrived": arrived, "by": by})


def get(connection: Connection, message_id: str) -> Message | None:
    """One message of the session's tenant."""
    return _one(connection, _GET, (message_id,))


def _one(connection: Connection, statement: str, given: Any) -> Message | None:
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(statement.encode(), given).fetchone()
    if row is None:
        return None
    typed = {"channel": Channel(row["channel"]), "state": MessageState(row["state"])}
    return Message(**{**row, **typed, "content_digest": bytes(row["content_digest"])})
