"""Answers to POSTs that carry an idempotency key: a repetition gets the first answer, and does nothing.

Some answers show a new key or secret for the only time: all are kept encrypted.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final

import psycopg

from erpflow.store.cipher import Cipher

# A claim whose request died is worth another try after a while; a settled one is kept for a day.
_CLAIM: Final = """
INSERT INTO erpflow.erp_idempotency_keys AS k (tenant_id, key, request_digest)
VALUES (%(tenant)s, %(key)s, %(digest)s)
ON CONFLICT (tenant_id, key) DO UPDATE
    SET created_at = now(), request_digest = excluded.request_digest, status = NULL, body = NULL
    WHERE (k.status IS NULL AND k.created_at < now() - interval '2 minutes' AND k.request_digest = %(digest)s)
       OR k.created_at < now() - interval '24 hours'
RETURNING true
"""
_FOUND: Final = (
    "SELECT request_digest, status, body FROM erpflow.erp_idempotency_keys WHERE tenant_id = %s AND key = %s"
)
_SETTLE: Final = "UPDATE erpflow.erp_idempotency_keys SET status = %s, body = %s WHERE tenant_id = %s AND key = %s"
_RELEASE: Final = "DELETE FROM erpflow.erp_idempotency_keys WHERE tenant_id = %s AND key = %s AND status IS NULL"


@dataclass(frozen=True, slots=True)
class Earlier:
    """An earlier request with this key. `same`: it asked for the same; `status` is None while it is worked on."""

    same: bool
    status: int | None
    body: bytes | None


def claim(
    connection: psycopg.Connection[Any], tenant_id: str, key: str, request: bytes, *, cipher: Cipher
) -> Earlier | None:
    """Claim a key for a request (method, path and body); what an earlier one left there, if there was one.

    Raises ConfigError, with nothing claimed, when the answer could not be kept or cannot be read.
    """
    cipher.encrypt("")  # without a key it says so: better now than after the request was done
    digest = hashlib.sha256(request).digest()
    if connection.execute(_CLAIM, {"tenant": tenant_id, "key": key, "digest": digest}).fetchone():
        return None
    row = connection.execute(_FOUND, (tenant_id, key)).fetchone()
    if row is None:
        return Earlier(same=True, status=None, body=None)
    same, body = bytes(row[0]) == digest, None
    if same and row[2] is not None:
        what = "The answer to the earlier request with this Idempotency-Key"
        body = cipher.decrypt(bytes(row[2]).decode(), what=what, otherwise="look whether it was done").encode()
    return Earlier(same, row[1], body)


def settle(
    connection: psycopg.Connection[Any], tenant_id: str, key: str, *, status: int, body: bytes, cipher: Cipher
) -> None:
    """Keep the answer, a JSON text."""
    connection.execute(_SETTLE, (status, cipher.encrypt(body.decode()).encode(), tenant_id, key))


def release(connection: psycopg.Connection[Any], tenant_id: str, key: str) -> None:
    """Let the key be used again: the request failed before it did anything."""
    connection.execute(_RELEASE, (tenant_id, key))
