"""The access tokens of a connection, encrypted, and renewed once for all workers.

Workers queue for a renewal, and it happens under the lock of the connection's row: who waited finds the new token and
asks nobody. What a vendor gives is stored before it is used: the refresh token it replaces may be dead by then.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, Protocol

import psycopg
from psycopg.types.json import Jsonb

from erpflow.errors import (
    AuthFailed,
    ConfigError,
    DatabaseUnavailable,
    ErpflowError,
    ProtocolError,
    RateLimited,
    VendorUnavailable,
)
from erpflow.store.cipher import Cipher
from erpflow.store.connections import ConnectionStatus, set_status
from erpflow.store.database import Database
from erpflow.vocabulary import AccessToken, ConnectionId

EARLY_S: Final = 120.0
"""A token is renewed so long before it ends: a request that is signed now may be read by the vendor a minute later."""

RENEWALS: Final = (9, 600.0)
"""No more renewals than this in so many seconds. Zoho gives ten tokens in ten minutes; nobody needs as many."""

LOCK_WAIT: Final = "90s"
"""How long a worker waits for another's renewal, which takes a minute at most (`oauth.TOTAL_S`)."""

OUTAGE_S: Final = 15.0
"""A token server that did not answer one worker is not asked by the others for so long."""

MISTAKE_S: Final = 20.0
"""What a person has to correct is tried again after so long: the correction may be elsewhere."""

_QUEUE: Final = "SELECT pg_advisory_lock(hashtextextended('erpflow.tokens', 0) # hashtextextended(%s, 0))"
_READ: Final = """
SELECT t.access_token, t.refresh_token, t.expires_at, t.refresh_expires_at, t.version, t.facts, t.began_at,
       t.renewing_since, t.trouble, t.trouble_kind, t.trouble_until, c.name
FROM erpflow.erp_oauth_tokens t JOIN erpflow.erp_connections c ON c.id = t.connection_id WHERE t.connection_id = %s
"""
_LOCK: Final = f"{_READ} FOR UPDATE OF t"
_NAME: Final = "SELECT name FROM erpflow.erp_connections WHERE id = %s"
_FACTS: Final = "SELECT facts FROM erpflow.erp_oauth_tokens WHERE connection_id = %s"
_MAKE: Final = """
INSERT INTO erpflow.erp_oauth_tokens (connection_id, tenant_id)
SELECT id, tenant_id FROM erpflow.erp_connections WHERE id = %s ON CONFLICT DO NOTHING
"""
_ANNOUNCE: Final = """
UPDATE erpflow.erp_oauth_tokens SET renewing_since = %(now)s, began_at = (%(now)s || began_at)[1:20]
WHERE connection_id = %(connection)s
"""
# `anew`: a person consented again, and nothing of the consent before counts any more.
_STORE: Final = """
INSERT INTO erpflow.erp_oauth_tokens AS t (
    connection_id, tenant_id, access_token, refresh_token, scope, expires_at, refresh_expires_at, facts, version,
    refreshed_at)
SELECT id, tenant_id, %(access)s, %(refresh)s, %(scope)s, %(expires)s, %(refresh_expires)s, %(facts)s, 1, now()
FROM erpflow.erp_connections WHERE id = %(connection)s
ON CONFLICT (connection_id) DO UPDATE SET
    access_token = excluded.access_token, expires_at = excluded.expires_at,
    refresh_token = coalesce(excluded.refresh_token, CASE WHEN NOT %(anew)s THEN t.refresh_token END),
    refresh_expires_at = coalesce(excluded.refresh_expires_at, CASE WHEN NOT %(anew)s THEN t.refresh_expires_at END),
    scope = coalesce(excluded.scope, CASE WHEN NOT %(anew)s THEN t.scope END),
    facts = CASE WHEN %(anew)s THEN '{}' ELSE t.facts END || excluded.facts,
    version = t.version + 1, refreshed_at = now(), renewing_since = NULL,
    trouble = NULL, trouble_kind = NULL, trouble_until = NULL
RETURNING version, facts
"""
_TROUBLE: Final = """
UPDATE erpflow.erp_oauth_tokens
SET trouble = %(trouble)s, trouble_kind = %(kind)s, trouble_until = %(until)s, renewing_since = NULL
WHERE connection_id = %(connection)s
"""

_SAVING_S: Final = (0.0, 1.0, 3.0, 6.0, 10.0)
"""Seconds before each try to save what the vendor gave, when the database went away meanwhile."""

Connection = psycopg.Connection[Any]


class Granted(Protocol):
    """What a vendor gives for a consent or a refresh token. Times in UTC."""

    @property
    def access_token(self) -> str: ...

    @property
    def refresh_token(self) -> str | None: ...

    @property
    def expires_at(self) -> datetime: ...

    @property
    def refresh_expires_at(self) -> datetime | None: ...

    @property
    def scope(self) -> str | None: ...

    @property
    def facts(self) -> Mapping[str, str]: ...


class TokenServer(Protocol):
    """Who gives new tokens. `needs_consent`: a person's, once; without it the app's own id and secret do."""

    @property
    def needs_consent(self) -> bool: ...

    def renew(self, refresh_token: str | None) -> Granted:
        """New tokens. Raises AuthFailed when a person has to consent again, or another error of our family."""
        ...


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of `erp_oauth_tokens`, its tokens still encrypted, with the name of its connection."""

    access_token: str | None = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_at: datetime | None
    refresh_expires_at: datetime | None
    version: int
    facts: Mapping[str, str]
    began_at: list[datetime]
    renewing_since: datetime | None
    trouble: str | None
    trouble_kind: str | None
    trouble_until: datetime | None
    name: str


class PostgresTokens:
    """The access tokens of one connection, shared by all workers. Safe for threads; holds no database connection."""

    def __init__(
        self,
        database: Database,
        connection_id: ConnectionId,
        server: TokenServer,
        *,
        cipher: Cipher,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        on_secret: Callable[[str], None] = lambda _: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`on_secret` is told every token before it is used, so that a log can mask it."""
        self._database = database
        self._connection_id = connection_id
        self._server = server
        self._cipher = cipher
        self._now = now
        self._on_secret = on_secret
        self._sleep = sleep
        self._lock = threading.Lock()
        self._known: tuple[AccessToken, datetime] | None = None

    def current(self) -> AccessToken:
        """The token to sign with, renewed if it is about to expire.

        Raises AuthFailed when a person has to reconnect; VendorUnavailable, RateLimited, ProtocolError or ConfigError
        when the token server says so, to whichever worker.
        """
        with self._lock:
            if self._known is not None and self._is_good(self._known[1]):
                return self._known[0]
            return self._shared(newer_than=-1)

    def renewed(self, version: int) -> AccessToken:
        """A token newer than `version`, which the vendor has refused. Raises as `current` does."""
        with self._lock:
            if self._known is not None and self._known[0].version > version and self._is_good(self._known[1]):
                return self._known[0]
            return self._shared(newer_than=version)

    def _is_good(self, expires_at: datetime | None) -> bool:
        return expires_at is not None and expires_at - timedelta(seconds=EARLY_S) > self._now()

    def _shared(self, *, newer_than: int) -> AccessToken:
        """What another worker has stored, else what the vendor gives now."""
        with self._database.session() as connection:
            row = self._row(connection) or self._first(connection)
            if self._serves(row, newer_than):
                return self._opened(row)
            self._queue(connection, row.name)
            row = self._row(connection) or self._first(connection)
            if self._serves(row, newer_than):
                return self._opened(row)
            self._refuse_to_ask(connection, row)
            # Committed before the vendor is asked: it counts, even if we die in the middle.
            connection.execute(_ANNOUNCE, {"connection": self._connection_id, "now": self._now()})
            return self._renewed_alone(connection, row, newer_than)

    def _row(self, connection: Connection, *, lock: bool = False) -> _Row | None:
        row = connection.execute(_LOCK if lock else _READ, (self._connection_id,)).fetchone()
        return None if row is None else _Row(*row)

    def _serves(self, row: _Row, newer_than: int) -> bool:
        return row.access_token is not None and row.version > newer_than and self._is_good(row.expires_at)

    def _first(self, connection: Connection) -> _Row:
        """The row of a connection that has none: made where no consent is needed, a reason to ask for one elsewhere."""
        found = connection.execute(_NAME, (self._connection_id,)).fetchone()
        if found is not None and self._server.needs_consent:
            raise AuthFailed(f'The connection "{found[0]}" has not been connected yet. Run: erpflow connect {found[0]}')
        connection.execute(_MAKE, (self._connection_id,))
        row = self._row(connection)
        if row is None:
            raise ConfigError(f"The connection {self._connection_id} does not exist any more. Nothing was sent.")
        return row

    def _queue(self, connection: Connection, name: str) -> None:
        """Wait until nobody else renews; until the end of the session."""
        connection.execute("SELECT set_config('lock_timeout', %s, false)", (LOCK_WAIT,))
        try:
            connection.execute(_QUEUE, (self._connection_id,))
        except psycopg.errors.LockNotAvailable:
            raise VendorUnavailable(
                f'Another worker has been renewing the access token of "{name}" for over {LOCK_WAIT}. '
                "Nothing was sent; the run can be repeated.",
                maybe_done=False,
            ) from None

    def _refuse_to_ask(self, connection: Connection, row: _Row) -> None:
        """Raises what another worker was told a moment ago, or what the vendor would say anyhow."""
        now = self._now()
        if row.trouble is not None and (row.trouble_until is None or row.trouble_until > now):
            raise _known(row.trouble_kind, row.trouble, row.trouble_until, now)
        most, span = RENEWALS
        recent = [moment for moment in row.began_at if moment > now - timedelta(seconds=span)]
        if len(recent) >= most:
            raise RateLimited(
                f'The access token of "{row.name}" was renewed {len(recent)} times in {span / 60:.0f} minutes, and is '
                "refused all the same. See what the connection may do at the vendor, and whether something else uses "
                "its app.",
                retry_after=span - (now - min(recent[:most])).total_seconds(),
            )
        if not self._server.needs_consent:
            return
        if row.refresh_token is None or (row.refresh_expires_at is not None and row.refresh_expires_at <= now):
            why = "has come to its end" if row.refresh_token else "was not for longer"
            raise self._noted(connection, row, AuthFailed(f"The consent {why}."))

    def _renewed_alone(self, connection: Connection, before: _Row, newer_than: int) -> AccessToken:
        """Ask the vendor under the lock of the row, and store what it gives before anybody uses it."""
        outcome: Granted | ErpflowError | None = None
        try:
            with connection.transaction():
                row = self._row(connection, lock=True)
                if row is None or row.version != before.version:  # deleted, or a person connected again
                    return self._latest(row, newer_than)
                outcome = self._asked(before)
                if isinstance(outcome, ErpflowError):
                    outcome = self._noted(connection, before, outcome)
                else:
                    token, expires_at = self._stored(connection, outcome), outcome.expires_at
        except BaseException as error:  # also a signal that ends this worker: what was given must not go with it
            if outcome is None or isinstance(outcome, ErpflowError):
                raise
            saved = self._saved(outcome, before)
            if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
                return saved
            raise
        if not isinstance(outcome, ErpflowError):
            return self._remembered(token, expires_at)
        if isinstance(outcome, AuthFailed):  # a person may have connected again while we were refused
            row = self._row(connection)
            if row is not None and row.trouble is None:
                return self._latest(row, newer_than)
        raise outcome

    def _asked(self, row: _Row) -> Granted | ErpflowError:
        refresh_token = self._decrypted(row, row.refresh_token)
        try:
            return self._server.renew(refresh_token)
        except ErpflowError as error:
            return error

    def _latest(self, row: _Row | None, newer_than: int) -> AccessToken:
        """The token of a row that somebody else has changed."""
        if row is not None and self._serves(row, newer_than):
            return self._opened(row)
        raise VendorUnavailable(
            f"The connection {self._connection_id} was changed or deleted during a renewal of its access token. "
            "Nothing was sent; the run can be repeated.",
            maybe_done=False,
        )

    def _stored(self, connection: Connection, grant: Granted) -> AccessToken:
        self._on_secret(grant.access_token)
        if grant.refresh_token:
            self._on_secret(grant.refresh_token)
        return _store(connection, self._connection_id, grant, self._cipher)

    def _saved(self, grant: Granted, before: _Row) -> AccessToken:
        """Store what the vendor gave although the database went away meanwhile: what it replaces may be dead.

        Raises DatabaseUnavailable when it does not come back in time.
        """
        for wait in _SAVING_S:
            self._sleep(wait)
            try:
                with self._database.transaction() as connection:
                    row = self._row(connection, lock=True)
                    if row is not None and row.version != before.version:  # ours after all, or another worker's
                        return self._opened(row)
                    token = self._stored(connection, grant)
                return self._remembered(token, grant.expires_at)
            except DatabaseUnavailable as error:
                away = error
        raise away

    def _remembered(self, token: AccessToken, expires_at: datetime) -> AccessToken:
        self._known = (token, expires_at)
        return token

    def _noted(self, connection: Connection, row: _Row, error: ErpflowError) -> ErpflowError:
        """Note why the vendor gave nothing, so that the others need not ask. What to raise for it."""
        now = self._now()
        if isinstance(error, AuthFailed):
            lost = "Nothing was lost."
            if row.renewing_since is not None:
                lost = (
                    f"A worker was killed in a renewal at {row.renewing_since:%Y-%m-%d %H:%M}Z: what the vendor gave "
                    "it was lost with it."
                )
            error = AuthFailed(f"{error} {lost} Reconnect it: erpflow connect {row.name}")
            set_status(connection, self._connection_id, ConnectionStatus.EXPIRED, message=str(error))
        kind, until = _trouble(error, now)
        connection.execute(
            _TROUBLE, {"connection": self._connection_id, "trouble": str(error), "kind": kind, "until": until}
        )
        return error

    def _opened(self, row: _Row) -> AccessToken:
        value = self._decrypted(row, row.access_token)
        if value is None or row.expires_at is None:
            raise AuthFailed(f'The connection "{row.name}" has not been connected yet. Run: erpflow connect {row.name}')
        self._on_secret(value)
        return self._remembered(AccessToken(value, row.version, MappingProxyType(dict(row.facts))), row.expires_at)

    def _decrypted(self, row: _Row, text: str | None) -> str | None:
        if text is None:
            return None
        what = f'The access to the vendor of "{row.name}"'
        return self._cipher.decrypt(text, what=what, otherwise=f"connect again: erpflow connect {row.name}")


def save_grant(connection: Connection, connection_id: ConnectionId, grant: Granted, *, cipher: Cipher) -> None:
    """Store what a person's consent brought; whatever was before it counts no more.

    Waits for a renewal that is under way. Raises ConfigError without a key to encrypt with.
    """
    _store(connection, connection_id, grant, cipher, anew=True)
    set_status(connection, connection_id, ConnectionStatus.UNKNOWN)


def kept_facts(connection: Connection, connection_id: ConnectionId) -> Mapping[str, str]:
    """What the vendor said of the account at the last consent; nothing before the first."""
    row = connection.execute(_FACTS, (connection_id,)).fetchone()
    return {} if row is None else dict(row[0])


def _store(
    connection: Connection, connection_id: ConnectionId, grant: Granted, cipher: Cipher, *, anew: bool = False
) -> AccessToken:
    row = connection.execute(
        _STORE,
        {
            "connection": connection_id,
            "access": cipher.encrypt(grant.access_token),
            "refresh": cipher.encrypt(grant.refresh_token) if grant.refresh_token else None,
            "scope": grant.scope,
            "expires": grant.expires_at,
            "refresh_expires": grant.refresh_expires_at,
            "facts": Jsonb(dict(grant.facts)),
            "anew": anew,
        },
    ).fetchone()
    if row is None:
        raise ConfigError(f"The connection {connection_id} does not exist any more.")
    return AccessToken(grant.access_token, row[0], MappingProxyType(row[1]))


def _trouble(error: ErpflowError, now: datetime) -> tuple[str, datetime | None]:
    """The kind of an error as it is noted, and until when nobody else need try; None until a person did something."""
    if isinstance(error, AuthFailed):
        return "AuthFailed", None
    if isinstance(error, RateLimited):
        return "RateLimited", now + timedelta(seconds=error.retry_after)
    if isinstance(error, VendorUnavailable):
        return "VendorUnavailable", now + timedelta(seconds=OUTAGE_S)
    return type(error).__name__, now + timedelta(seconds=MISTAKE_S)


def _known(kind: str | None, sentence: str, until: datetime | None, now: datetime) -> ErpflowError:
    """A noted trouble as the error it was."""
    if kind == "RateLimited":
        return RateLimited(sentence, retry_after=((until or now) - now).total_seconds())
    if kind == "VendorUnavailable":
        return VendorUnavailable(sentence, maybe_done=False)
    if kind == "AuthFailed":
        return AuthFailed(sentence)
    return ProtocolError(sentence) if kind == "ProtocolError" else ConfigError(sentence)
