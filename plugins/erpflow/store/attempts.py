"""Attempts: every write to a vendor, recorded before it is sent, so that none is made twice (invariant 5).

An attempt is `sent` until its outcome is recorded. A worker that dies leaves it so: whoever pushes next looks up at the
vendor what came of it before anything is sent again. The fencing token grows with every push of a config, and a result
that comes in under an older token is refused: whoever holds the new one has looked it up meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec
import psycopg
from psycopg.types.json import Json

from erpflow.errors import FieldProblem
from erpflow.vocabulary import Operation, RunRef, SyncConfigId, SyncLogId

Connection = psycopg.Connection[Any]
Texts = Mapping[str, str | None]

# Money stays a Decimal and keeps its digits, in the table too.
_encode = msgspec.json.Encoder(decimal_format="number").encode
_decode = msgspec.json.Decoder(float_hook=Decimal).decode

NEW_FENCE: Final = """
UPDATE erpflow.erp_sync_configs SET fencing_token = fencing_token + 1 WHERE id = %s RETURNING fencing_token
"""

# An attempt that a crash of the server forgets would be made again: it is on disk before it is sent, also where the
# database itself does not wait for the disk. What waits for more than that, a replica, keeps doing so.
RECORD: Final = """
WITH durable AS MATERIALIZED (
    SELECT CASE current_setting('synchronous_commit')
           WHEN 'off' THEN set_config('synchronous_commit', 'on', true) END
)
INSERT INTO erpflow.erp_push_attempts
    (tenant_id, sync_config_id, log_id, local_id, remote_id, operation, state, idempotency_key, request_hash, request,
     fencing_token, sent_at, agreed_local, local_hash, before)
SELECT %(tenant)s, %(config)s, %(log)s, a.local_id, a.remote_id, a.operation, 'sent', a.idempotency_key,
       hashtextextended(coalesce(a.request::text, ''), 0), a.request, %(token)s, now(), a.agreed_local, a.local_hash,
       a.before
FROM durable CROSS JOIN json_to_recordset(%(attempts)s::json) AS a
    (local_id text, remote_id text, operation text, idempotency_key text, request json, agreed_local json,
     local_hash bigint, before json)
WHERE (SELECT fencing_token FROM erpflow.erp_sync_configs WHERE id = %(config)s) = %(token)s
"""

UNSETTLED: Final = """
SELECT log_id::text, local_id, remote_id, operation, idempotency_key, request::text, agreed_local::text, local_hash,
       before
FROM erpflow.erp_push_attempts
WHERE sync_config_id = %s AND state IN ('planned', 'sent', 'unknown') ORDER BY sent_at, idempotency_key LIMIT %s
"""

# A settled attempt is a line in the ledger: what was sent is needed to settle it, and no longer. That a crash of the
# server may forget the outcome does no harm, for then it is looked up: nobody waits for the disk. Attempts are found by
# their keys: statistics say that hardly any is open, and an index of those alone would be read from end to end.
SETTLE: Final = """
WITH hasty AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true)),
m AS MATERIALIZED (
    SELECT * FROM json_to_recordset(%(settled)s::json)
        AS m (idempotency_key text, state text, remote_id text, error text, error_kind text)
)
UPDATE erpflow.erp_push_attempts a
SET state = m.state, remote_id = coalesce(m.remote_id, a.remote_id), error = m.error, error_kind = m.error_kind,
    settled_at = CASE WHEN m.state = 'unknown' THEN NULL ELSE now() END,
    request = CASE WHEN m.state = 'unknown' THEN a.request END,
    agreed_local = CASE WHEN m.state = 'unknown' THEN a.agreed_local END,
    before = CASE WHEN m.state = 'unknown' THEN a.before END
FROM hasty CROSS JOIN m
WHERE a.sync_config_id = %(config)s AND a.idempotency_key = ANY (ARRAY(SELECT idempotency_key FROM m))
  AND a.idempotency_key = m.idempotency_key
  AND (a.state || '') IN ('planned', 'sent', 'unknown')
  AND (%(token)s::bigint IS NULL
       OR a.fencing_token = %(token)s
          AND (SELECT fencing_token FROM erpflow.erp_sync_configs WHERE id = %(config)s) = %(token)s)
"""

SETTLED_IN: Final = """
SELECT local_id, operation FROM erpflow.erp_push_attempts WHERE log_id = %s AND state IN ('succeeded', 'failed')
"""


class Attempt(msgspec.Struct, frozen=True, omit_defaults=True):
    """A write that is about to be sent, or whose outcome is not known.

    `request`: what is sent, in the vendor's shape. `agreed_local`: the row as it is sent, agreed on once it succeeds;
    `local_hash` is its hash. Both are JSON, and only carried on. `before`: the fields that change, as they were agreed
    on before.
    """

    local_id: str
    remote_id: str | None
    operation: Operation
    idempotency_key: str
    request: msgspec.Raw
    agreed_local: msgspec.Raw | None
    local_hash: int | None
    before: Texts | None
    log_id: SyncLogId | None = None

    @property
    def sent(self) -> dict[str, Any]:
        """What is sent, in the vendor's shape."""
        found: dict[str, Any] = _decode(self.request)
        return found

    @property
    def ours(self) -> Texts:
        """The row as it is sent, as texts by column; empty of a delete."""
        return msgspec.json.decode(self.agreed_local) if self.agreed_local is not None else {}


class Settled(msgspec.Struct, frozen=True):
    """What became of an attempt: succeeded, failed (the vendor refused), superseded (nothing was done) or unknown.

    `error`: why the vendor refused it; `error_kind`: the rule that was broken.
    """

    idempotency_key: str
    state: str
    remote_id: str | None = None
    error: str | None = None
    error_kind: str | None = None

    @classmethod
    def of(
        cls, idempotency_key: str, state: str, remote_id: str | None, problems: Sequence[FieldProblem] = ()
    ) -> Settled:
        """The outcome with what the vendor said."""
        if not problems:
            return cls(idempotency_key, state, remote_id)
        error = "; ".join(problem.message for problem in problems) or None
        return cls(idempotency_key, state, remote_id, error, problems[0].rule)


def next_token(connection: Connection, config_id: SyncConfigId) -> int:
    """The fencing token of a push that begins: every older one is void from now on."""
    row = connection.execute(NEW_FENCE, (config_id,)).fetchone()
    return int(row[0]) if row else 0


def record(connection: Connection, attempts: Sequence[Attempt], run: RunRef, *, token: int) -> bool:
    """Record attempts as sent; False, and nothing recorded, when another push has begun since `token` was given out."""
    cursor = connection.execute(
        RECORD,
        {
            "tenant": run.tenant_id,
            "config": run.config_id,
            "log": run.log_id,
            "token": token,
            "attempts": Json(attempts, dumps=_encode),
        },
    )
    return cursor.rowcount == len(attempts)


def unsettled(connection: Connection, config_id: SyncConfigId, *, limit: int) -> list[Attempt]:
    """Attempts whose outcome is not known, the oldest first."""
    return [_attempt(row) for row in connection.execute(UNSETTLED, (config_id, limit))]


def settle(connection: Connection, config_id: SyncConfigId, settled: Sequence[Settled], *, token: int | None) -> int:
    """Record outcomes; how many were taken. Those of another token are refused; None settles whatever the token."""
    if not settled:
        return 0
    return connection.execute(SETTLE, parameters_of(config_id, settled, token=token)).rowcount


def parameters_of(config_id: SyncConfigId, settled: Sequence[Settled], *, token: int | None) -> dict[str, Any]:
    """Outcomes as the statement takes them."""
    return {"config": config_id, "token": token, "settled": Json(settled, dumps=_encode)}


def settled_in(connection: Connection, log_id: SyncLogId) -> set[tuple[str, str]]:
    """Which rows a run is done with, by local id and operation: a try that begins again leaves them out."""
    return {(local_id, operation) for local_id, operation in connection.execute(SETTLED_IN, (log_id,))}


def _attempt(row: Sequence[Any]) -> Attempt:
    log_id, local_id, remote_id, operation, key, request, agreed_local, local_hash, before = row
    return Attempt(
        local_id=local_id,
        remote_id=remote_id,
        operation=Operation(operation),
        idempotency_key=key,
        request=msgspec.Raw(request or "{}"),
        agreed_local=msgspec.Raw(agreed_local) if agreed_local is not None else None,
        local_hash=local_hash,
        before=before,
        log_id=log_id,
    )
