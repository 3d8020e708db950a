"""Keys of programs: made here, shown once, kept as a digest."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import psycopg
from psycopg.rows import dict_row

from erpflow.store.listing import Listing
from erpflow.vocabulary import TenantId

MARK: Final = "erp_"
"""What every key begins with, so that it is told from a login's token, and found by scanners of leaked secrets."""

_PREFIX_LENGTH: Final = len(MARK) + 8
_SECRET_BYTES: Final = 32

_COLUMNS: Final = "id::text, name, prefix, scopes, created_by, created_at, last_used_at, expires_at, revoked_at"
LISTING: Final = Listing(
    select=f"SELECT {_COLUMNS} FROM erpflow.erp_api_keys WHERE tenant_id = erpflow.current_tenant()",  # noqa: S608
    order=(("created_at", "timestamptz"), ("id", "uuid")),
)
_INSERT: Final = f"""
INSERT INTO erpflow.erp_api_keys (tenant_id, name, prefix, key_digest, scopes, created_by)
VALUES (%(tenant)s, %(name)s, %(prefix)s, %(digest)s, %(scopes)s, %(by)s) RETURNING {_COLUMNS}
"""  # noqa: S608
_RETIRE: Final = """
UPDATE erpflow.erp_api_keys SET expires_at = least(expires_at, now() + %(grace)s)
WHERE tenant_id = %(tenant)s AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
  AND (%(id)s::uuid IS NULL OR id = %(id)s)
RETURNING name, scopes
"""
_REVOKE: Final = """
UPDATE erpflow.erp_api_keys SET revoked_at = coalesce(revoked_at, now()) WHERE id = %s RETURNING id
"""
_REVOKE_BY_PREFIX: Final = """
UPDATE erpflow.erp_api_keys SET revoked_at = now()
WHERE tenant_id = %s AND prefix = %s AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
RETURNING id
"""
_OF_TENANT: Final = f"""
SELECT {_COLUMNS}, coalesce(expires_at <= now(), false) AS ended
FROM erpflow.erp_api_keys WHERE tenant_id = %s ORDER BY created_at DESC, id
"""  # noqa: S608
# One write a minute at most: a busy program does not make its key a hot row.
_USE: Final = """
WITH found AS (
    SELECT id, tenant_id, prefix, name, scopes, last_used_at FROM erpflow.erp_api_keys
    WHERE key_digest = %s AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
), used AS (
    UPDATE erpflow.erp_api_keys k SET last_used_at = now() FROM found f
    WHERE k.id = f.id AND (f.last_used_at IS NULL OR f.last_used_at < now() - interval '1 minute')
)
SELECT tenant_id::text, prefix, name, scopes FROM found
"""


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """The program behind a key."""

    tenant_id: TenantId
    prefix: str
    name: str
    scopes: tuple[str, ...]


def make(
    connection: psycopg.Connection[Any], tenant_id: TenantId, *, name: str, scopes: Sequence[str], by: str
) -> tuple[str, dict[str, Any]]:
    """A new key and its row. The key itself is nowhere afterwards: show it now."""
    key = f"{MARK}{secrets.token_hex(4)}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    values = {
        "tenant": tenant_id, "name": name, "prefix": key[:_PREFIX_LENGTH], "digest": _digest(key),
        "scopes": list(scopes), "by": by,
    }  # fmt: skip
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(_INSERT, values).fetchone()
    assert row is not None  # noqa: S101  (INSERT … RETURNING gives a row or raises)
    return key, row


def retire(
    connection: psycopg.Connection[Any], tenant_id: TenantId, *, grace: timedelta, key_id: str | None = None
) -> list[tuple[str, list[str]]]:
    """Let the tenant's keys (or one of them) end after `grace`: the name and scopes of each."""
    values = {"tenant": tenant_id, "grace": grace, "id": key_id}
    return [(name, scopes) for name, scopes in connection.execute(_RETIRE, values)]


def revoke(connection: psycopg.Connection[Any], key_id: str) -> bool:
    """End a key at once; whether there is such a key."""
    return connection.execute(_REVOKE, (key_id,)).fetchone() is not None


def revoke_by_prefix(connection: psycopg.Connection[Any], tenant_id: TenantId, prefix: str) -> bool:
    """End a tenant's key that begins so; whether there is one that still counted."""
    return connection.execute(_REVOKE_BY_PREFIX, (tenant_id, prefix)).fetchone() is not None


def of_tenant(connection: psycopg.Connection[Any], tenant_id: TenantId) -> list[dict[str, Any]]:
    """A tenant's keys, the newest first; `ended`: its time is over."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_OF_TENANT, (tenant_id,)).fetchall()


def holder(connection: psycopg.Connection[Any], key: str) -> KeyHolder | None:
    """Whose key this is, if it is one that still counts; notes that it was used.

    It is looked up by its digest: 256 bits of chance leave nothing to learn from how long that takes.
    """
    row = connection.execute(_USE, (_digest(key),)).fetchone()
    return KeyHolder(TenantId(row[0]), row[1], row[2], tuple(row[3])) if row else None


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
