"""The session of a connection at the GST portal, encrypted: opened by a person's OTP, good for some hours."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import psycopg

from erpflow.store.cipher import Cipher
from erpflow.vocabulary import ConnectionId

Connection = psycopg.Connection[Any]

_GET: Final = """
SELECT session, expires_at, pending, asked_at FROM erpflow.erp_gst_sessions
WHERE tenant_id = erpflow.current_tenant() AND connection_id = %s
"""
_ASKED: Final = """
INSERT INTO erpflow.erp_gst_sessions (connection_id, tenant_id, pending, asked_at)
SELECT id, tenant_id, %(pending)s, %(at)s FROM erpflow.erp_connections
WHERE tenant_id = erpflow.current_tenant() AND id = %(connection)s
ON CONFLICT (connection_id) DO UPDATE SET
    pending = excluded.pending, asked_at = excluded.asked_at, session = NULL, expires_at = NULL, updated_at = now()
"""
_OPENED: Final = """
UPDATE erpflow.erp_gst_sessions
SET session = %(session)s, expires_at = %(expires_at)s, pending = NULL, asked_at = NULL, updated_at = now()
WHERE tenant_id = erpflow.current_tenant() AND connection_id = %(connection)s
"""
_ENDED: Final = """
UPDATE erpflow.erp_gst_sessions SET session = NULL, expires_at = NULL, updated_at = now()
WHERE tenant_id = erpflow.current_tenant() AND connection_id = %s
"""


@dataclass(frozen=True, slots=True)
class KeptSession:
    """`session` as it was given to `opened`; `pending` as given to `asked`, until an OTP is answered. Times in UTC."""

    session: str | None = field(default=None, repr=False)
    expires_at: datetime | None = None
    pending: str | None = field(default=None, repr=False)
    asked_at: datetime | None = None


def get(connection: Connection, connection_id: ConnectionId, *, cipher: Cipher) -> KeptSession:
    """What is known of a connection's session; nothing when it never had one."""
    row = connection.execute(_GET, (connection_id,)).fetchone()
    if row is None:
        return KeptSession()
    session, expires_at, pending, asked_at = row
    return KeptSession(_opened(session, cipher), expires_at, _opened(pending, cipher), asked_at)


def asked(connection: Connection, connection_id: ConnectionId, pending: str, *, at: datetime, cipher: Cipher) -> None:
    """An OTP was asked for: what its answer is read with. There is no session any more."""
    connection.execute(_ASKED, {"connection": connection_id, "pending": cipher.encrypt(pending), "at": at})


def opened(
    connection: Connection, connection_id: ConnectionId, session: str, *, expires_at: datetime, cipher: Cipher
) -> None:
    """A session was opened or renewed."""
    values = {"connection": connection_id, "session": cipher.encrypt(session), "expires_at": expires_at}
    connection.execute(_OPENED, values)


def ended(connection: Connection, connection_id: ConnectionId) -> None:
    """The portal does not know the session any more."""
    connection.execute(_ENDED, (connection_id,))


def _opened(text: str | None, cipher: Cipher) -> str | None:
    if text is None:
        return None
    return cipher.decrypt(text, what="The session at the GST portal", otherwise="ask for a new OTP")
