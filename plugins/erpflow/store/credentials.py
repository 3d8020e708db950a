"""The secrets of connections and programs, as far as anybody is told of them: whose they are, and how old.

The secret of a connection is in Airflow, which does not say when it was changed. So every change that goes through
erpflow is noted, and a person notes one that did not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import psycopg

from erpflow.errors import ConfigError
from erpflow.store.vault import Credentials, Vault
from erpflow.vocabulary import ConnectionId, TenantId

Connection = psycopg.Connection[Any]

# What is switched off, revoked or has run out opens nothing, so nobody has to change it.
_KEPT: Final = """
SELECT tenant_id::text, 'connection', id::text, name, system, secret_rotated_at
FROM erpflow.erp_connections WHERE status <> 'disabled'
UNION ALL
SELECT tenant_id::text, 'api_key', id::text, name, prefix, created_at
FROM erpflow.erp_api_keys WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > %(now)s)
ORDER BY 1, 2, 4, 3
"""
_ROTATED: Final = "UPDATE erpflow.erp_connections SET secret_rotated_at = now(), updated_at = now() WHERE id = %s"


class Holder(StrEnum):
    """Whose a secret is: a connection's (we sign in with it), or a program's (it signs in here with it)."""

    CONNECTION = "connection"
    API_KEY = "api_key"


@dataclass(frozen=True, slots=True)
class KeptSecret:
    """A secret that is in use, and since when it is the same. `told_by`: the system of a connection, a key's prefix."""

    tenant_id: TenantId
    holder: Holder
    id: str
    name: str
    told_by: str
    rotated_at: datetime


def kept_secrets(connection: Connection, *, now: datetime) -> list[KeptSecret]:
    """Every secret that is in use at `now`, of all tenants."""
    return [
        KeptSecret(TenantId(tenant), Holder(holder), id_, name, told_by, rotated_at)
        for tenant, holder, id_, name, told_by, rotated_at in connection.execute(_KEPT, {"now": now})
    ]


def write_secret(
    connection: Connection,
    vault: Vault,
    connection_id: ConnectionId,
    credentials: Credentials,
    *,
    secret_settings: frozenset[str] = frozenset(),
) -> bool:
    """Keep what a connection signs in with; whether its secret is another one now, which is then noted.

    The secret is the login, the password and those `secret_settings` that the extra holds; an address or another
    setting may change without it. Raises what `Vault.write` does, and nothing is noted then.
    """
    try:
        known: Credentials | None = vault.read(credentials.conn_id)
    except ConfigError:  # there is none, or nobody can read it any more
        known = None
    vault.write(credentials)
    if known is not None and _secret(known, secret_settings) == _secret(credentials, secret_settings):
        return False
    note_rotated(connection, connection_id)
    return True


def note_rotated(connection: Connection, connection_id: ConnectionId) -> None:
    """The secret of a connection was changed just now, here or elsewhere."""
    connection.execute(_ROTATED, (connection_id,))


def _secret(credentials: Credentials, settings: frozenset[str]) -> tuple[str | None, str | None, Mapping[str, Any]]:
    password = credentials.password.reveal() if credentials.password else None
    extra = {name: value for name, value in credentials.extra.items() if name in settings}
    return credentials.login or None, password or None, extra
