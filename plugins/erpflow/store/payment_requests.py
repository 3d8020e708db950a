"""What payment providers were asked to make, each recorded before it is asked (invariant 5).

Whoever works on a request holds its advisory lock, and a token that grows with each of them: a result that comes in
under an older token is refused. A worker that dies leaves the request `submitting`, and its lock is gone: the next one
looks up at the provider what came of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

import msgspec
import psycopg
from psycopg.types.json import Jsonb

from erpflow.errors import AlreadyRunning
from erpflow.store.listing import Listing
from erpflow.vocabulary import ConnectionId, TenantId

Connection = psycopg.Connection[Any]

_encode = msgspec.json.Encoder(decimal_format="number").encode
_decode = msgspec.json.Decoder(float_hook=Decimal).decode

_OPEN: Final = """
INSERT INTO erpflow.erp_payment_requests
    (tenant_id, connection_id, kind, realm, business_key, body_digest, requested_by)
VALUES (%(tenant)s, %(connection)s, %(kind)s, %(realm)s, %(key)s, %(digest)s, %(by)s)
ON CONFLICT (tenant_id, kind, realm, business_key) DO NOTHING
"""
_FIND: Final = """
SELECT id::text, state, body_digest = %(digest)s, answer::text, created_at, settled_at
FROM erpflow.erp_payment_requests
WHERE tenant_id = %(tenant)s AND kind = %(kind)s AND realm = %(realm)s AND business_key = %(key)s
"""
_LOCK: Final = "SELECT pg_try_advisory_lock(hashtextextended('erpflow.payment_request', 0) # hashtextextended(%s, 0))"
_CLAIM: Final = """
UPDATE erpflow.erp_payment_requests r SET state = 'submitting', fencing_token = r.fencing_token + 1, error = NULL
FROM (SELECT id, state FROM erpflow.erp_payment_requests WHERE id = %(id)s FOR UPDATE) before
WHERE r.id = before.id AND before.state <> 'done'
RETURNING r.fencing_token, CASE WHEN before.state <> 'rejected' THEN r.sent_at END, now()
"""
# An attempt that a crash of the server forgets would be made again: it is on disk before it is sent, also where the
# database itself does not wait for the disk.
_SENDING: Final = """
WITH durable AS MATERIALIZED (
    SELECT CASE current_setting('synchronous_commit')
           WHEN 'off' THEN set_config('synchronous_commit', 'on', true) END
)
UPDATE erpflow.erp_payment_requests SET sent_at = now(), attempts = attempts + 1
FROM durable WHERE id = %(id)s AND fencing_token = %(token)s AND state = 'submitting'
RETURNING sent_at
"""
_SETTLE: Final = """
UPDATE erpflow.erp_payment_requests
SET state = %(state)s, remote_id = %(remote_id)s, answer = %(answer)s, error = %(error)s,
    settled_at = CASE WHEN %(state)s <> 'unknown' THEN now() END
WHERE id = %(id)s AND fencing_token = %(token)s AND state = 'submitting'
"""

LISTING: Final = Listing(
    select="""
SELECT r.id::text AS id, r.connection_id::text AS connection_id, r.realm AS mode, r.business_key AS key, r.state,
       r.remote_id, r.error, r.attempts, r.requested_by, r.created_at, r.sent_at, r.settled_at
FROM erpflow.erp_payment_requests r
WHERE r.tenant_id = erpflow.current_tenant() AND r.kind = 'subscription'
""",
    order=(("r.created_at", "timestamptz"), ("r.id", "uuid")),
    filters={"state": "r.state = %(state)s", "key": "r.business_key = %(key)s"},
)


class RequestState(StrEnum):
    """What is known of a request: `rejected` says that nothing was made, `unknown` that nobody knows."""

    SUBMITTING = "submitting"
    DONE = "done"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class PaymentRequest:
    """Something to be made once. `realm`: `test` or `live`; `digest` of all that it depends on."""

    connection_id: ConnectionId
    kind: str
    realm: str
    key: str
    digest: bytes
    requested_by: str


@dataclass(frozen=True, slots=True)
class Known:
    """The request of a key. `same`: it was for the same; `answer` is what the provider made, once it is done."""

    id: str
    state: RequestState
    same: bool
    answer: Mapping[str, Any] | None
    created_at: datetime
    settled_at: datetime | None


@dataclass(frozen=True, slots=True)
class Claim:
    """Who works on a request now. `sent_at`: an attempt was sent then, and its outcome is not known; `now` is ours."""

    id: str
    token: int
    sent_at: datetime | None
    now: datetime


def open_request(connection: Connection, tenant_id: TenantId, wanted: PaymentRequest) -> Known:
    """The request of a key, recorded now unless it was before."""
    given = {
        "tenant": tenant_id,
        "connection": wanted.connection_id,
        "kind": wanted.kind,
        "realm": wanted.realm,
        "key": wanted.key,
        "digest": wanted.digest,
        "by": wanted.requested_by,
    }
    connection.execute(_OPEN, given)
    row = connection.execute(_FIND, given).fetchone()
    if row is None:  # another transaction's, not to be seen yet
        raise AlreadyRunning("A request with this key has just begun. Ask again shortly.")
    id_, state, same, answer, created_at, settled_at = row
    return Known(id_, RequestState(state), same, None if answer is None else _decode(answer), created_at, settled_at)


@contextmanager
def working_on(connection: Connection, request_id: str) -> Iterator[None]:
    """Be the only one at a request until the connection ends. Raises AlreadyRunning when somebody else is.

    `connection`: one of its own, outside of a transaction.
    """
    row = connection.execute(_LOCK, (request_id,)).fetchone()
    if row is None or not row[0]:
        raise AlreadyRunning("A request with this key is being worked on. Ask again shortly: it is then answered.")
    yield


def claim(connection: Connection, request_id: str) -> Claim | None:
    """Take a request on: every older token is void from now on. None when it is done."""
    row = connection.execute(_CLAIM, {"id": request_id}).fetchone()
    return None if row is None else Claim(request_id, *row)


def note_sending(connection: Connection, claimed: Claim) -> datetime:
    """Record that the provider is asked now, before it is. Raises AlreadyRunning when another worker took over."""
    row = connection.execute(_SENDING, {"id": claimed.id, "token": claimed.token}).fetchone()
    if row is None:
        raise _taken_over()
    sent_at: datetime = row[0]
    return sent_at


def settle(
    connection: Connection,
    claimed: Claim,
    state: RequestState,
    *,
    remote_id: str | None = None,
    answer: Mapping[str, Any] | None = None,
    error: str | None = None,
) -> None:
    """Record what became of a request. Raises AlreadyRunning, and changes nothing, for a worker that is stale."""
    given = {
        "id": claimed.id,
        "token": claimed.token,
        "state": state,
        "remote_id": remote_id,
        "answer": None if answer is None else Jsonb(answer, dumps=_encode),
        "error": None if error is None else error.replace("\x00", "�")[:2_000],
    }
    if connection.execute(_SETTLE, given).rowcount == 0:
        raise _taken_over()


def _taken_over() -> AlreadyRunning:
    return AlreadyRunning("Another worker has taken this request over. Ask again shortly: it is then answered.")
