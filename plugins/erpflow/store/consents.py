"""Consents under way, from the vendor's page being opened to the browser coming back; each answered once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import psycopg

from erpflow.errors import ConfigError
from erpflow.store.cipher import Cipher
from erpflow.vocabulary import ConnectionId, TenantId

LIFE: Final = timedelta(minutes=10)

_BEGIN: Final = """
INSERT INTO erpflow.erp_oauth_consents
    (state_digest, tenant_id, connection_id, caller, redirect_uri, verifier, expires_at)
SELECT %(digest)s, c.tenant_id, c.id, %(caller)s, %(redirect_uri)s, %(verifier)s, now() + %(life)s
FROM erpflow.erp_connections c WHERE c.id = %(connection)s
RETURNING expires_at
"""
_FORGET: Final = "DELETE FROM erpflow.erp_oauth_consents WHERE expires_at <= now()"
_TAKE: Final = """
DELETE FROM erpflow.erp_oauth_consents WHERE state_digest = %s
RETURNING tenant_id::text, connection_id::text, caller, redirect_uri, verifier, expires_at > now()
"""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A consent that was begun: for whose connection, by whom, and what its code is redeemed with."""

    tenant_id: TenantId
    connection_id: ConnectionId
    caller: str
    redirect_uri: str
    verifier: str | None = field(repr=False)


def begin(
    connection: psycopg.Connection[Any],
    connection_id: ConnectionId,
    *,
    state: str,
    verifier: str | None,
    redirect_uri: str,
    caller: str,
    cipher: Cipher,
) -> datetime:
    """Keep a consent until it is answered: when it ends otherwise. Raises ConfigError when the connection is gone."""
    connection.execute(_FORGET)
    values = {
        "digest": _digest(state), "connection": connection_id, "caller": caller, "redirect_uri": redirect_uri,
        "verifier": cipher.encrypt(verifier) if verifier else None, "life": LIFE,
    }  # fmt: skip
    row = connection.execute(_BEGIN, values).fetchone()
    if row is None:
        raise ConfigError(f"There is no connection {connection_id} any more.")
    ends: datetime = row[0]
    return ends


def take(connection: psycopg.Connection[Any], state: str, *, cipher: Cipher) -> Waiting | None:
    """The consent that a state answers, which nobody can answer again; None when there is none or it came too late.

    It is looked up by its digest: how long that takes tells nothing of a state.
    """
    row = connection.execute(_TAKE, (_digest(state),)).fetchone()
    if row is None or not row[5]:
        return None
    verifier = row[4] and cipher.decrypt(row[4], what="A consent under way", otherwise="start again")
    return Waiting(TenantId(row[0]), ConnectionId(row[1]), row[2], row[3], verifier)


def _digest(state: str) -> bytes:
    return hashlib.sha256(state.encode()).digest()
