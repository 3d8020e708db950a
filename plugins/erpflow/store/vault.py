"""The secret side of a connection: Airflow's own connections, read and written without importing Airflow (5 seconds).

Looked for where Airflow looks: the variable AIRFLOW_CONN_<ID> first, then the table `connection` of its metadata
database, encrypted with its Fernet keys. Configured by the variables Airflow itself reads,
AIRFLOW__DATABASE__SQL_ALCHEMY_CONN and AIRFLOW__CORE__FERNET_KEY, or by their lines in the state folder's file `env`.
Secrets backends such as AWS Secrets Manager are Airflow's to ask; the command line does not see them, and says how the
secret is handed to it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from psycopg import errors

from erpflow.errors import ConfigError, suggestion
from erpflow.store.cipher import FERNET_VARIABLE, Cipher
from erpflow.store.database import Database, setting, translate_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psycopg import Connection

METADATA_VARIABLE: Final = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
BACKEND_VARIABLE: Final = "AIRFLOW__SECRETS__BACKEND"
BACKEND_OPTIONS_VARIABLE: Final = "AIRFLOW__SECRETS__BACKEND_KWARGS"

_ID: Final = re.compile(r"[\w#!()\-.:/\\]{1,250}")
"""What Airflow allows in a connection id. Source: airflow.models.connection, RE_SANITIZE_CONN_ID."""

_READ: Final = """
SELECT conn_type, host, schema, login, port, password, is_encrypted, extra, is_extra_encrypted
FROM connection WHERE conn_id = %s
"""
_READ_MANY: Final = """
SELECT conn_id, conn_type, host, schema, login, port, password, is_encrypted, extra, is_extra_encrypted
FROM connection WHERE conn_id = ANY(%s)
"""
_KNOWN: Final = "SELECT conn_id FROM connection"
_EXISTS: Final = "SELECT FROM connection WHERE conn_id = %s"
_DELETE: Final = "DELETE FROM connection WHERE conn_id = %s"
_WRITE: Final = """
INSERT INTO connection
    (conn_id, conn_type, host, schema, login, port, password, is_encrypted, extra, is_extra_encrypted)
VALUES (%(id)s, %(type)s, %(host)s, %(schema)s, %(login)s, %(port)s, %(password)s, %(password)s::text IS NOT NULL,
        %(extra)s, %(extra)s::text IS NOT NULL)
ON CONFLICT (conn_id) DO UPDATE SET
    conn_type = excluded.conn_type, host = excluded.host, schema = excluded.schema, login = excluded.login,
    port = excluded.port, password = excluded.password, is_encrypted = excluded.is_encrypted,
    extra = excluded.extra, is_extra_encrypted = excluded.is_extra_encrypted
"""


@dataclass(frozen=True, slots=True)
class Secret:
    """A text nobody reads by accident: printed, logged or quoted it is `***`."""

    _text: str = field(repr=False)

    def reveal(self) -> str:
        """The text itself, for the one place that needs it."""
        return self._text

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """An Airflow connection as its hooks see it. The login may be half of the secret (an API key), so it hides too."""

    conn_id: str
    conn_type: str
    host: str | None = None
    schema: str | None = None
    port: int | None = None
    login: str | None = field(default=None, repr=False)
    password: Secret | None = None
    extra: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}), repr=False)


@dataclass(frozen=True, slots=True)
class Backend:
    """A secrets backend that Airflow asks before its own table: the path of its class, and its options as JSON."""

    name: str
    options: str = field(default="{}", repr=False)

    def hidden(self, conn_id: str) -> str:
        """The message about a secret that may be there, where only Airflow looks: how to hand it over."""
        variable, kind = _variable(conn_id), self.name.rpartition(".")[2]
        how = f"put what it holds, a URI or JSON, into {variable} for this command"
        if kind == "SecretsManagerBackend":
            how = (
                f'{variable}="$(aws secretsmanager get-secret-value --secret-id {self._secret_id(conn_id)} '
                f'--query SecretString --output text)" erpflow …'
            )
        return (
            f'The secret of "{conn_id}" is neither in {variable} nor among Airflow\'s own Connections, and {kind} is '
            f"asked by Airflow alone, not by this command. If it is kept there, hand it over: {how}"
        )

    def _secret_id(self, conn_id: str) -> str:
        """Source: the Amazon provider, SecretsManagerBackend: `connections_prefix` and `sep`."""
        try:
            options = dict(json.loads(self.options))
        except ValueError:
            options = {}
        prefix, sep = options.get("connections_prefix", "airflow/connections"), options.get("sep", "/")
        return f"{str(prefix).rstrip(sep)}{sep}{conn_id}" if prefix else conn_id


class Vault:
    """Reads and writes Airflow's connections."""

    def __init__(self, metadata: Database | None, *, fernet_keys: str = "", backend: Backend | None = None) -> None:
        """`fernet_keys` as Airflow has them: comma-separated, the first one encrypts.

        `backend`: whom Airflow asks before its own table, if anybody. Raises ConfigError for what is no Fernet key.
        """
        self._metadata = metadata
        self._cipher = Cipher(fernet_keys)
        self._backend = backend

    @classmethod
    def from_environment(cls, home: Path | None = None) -> Vault:
        """The vault of this installation; `home` is the state folder."""
        url = setting(METADATA_VARIABLE, home=home)
        if url and not url.startswith("postgres"):
            raise ConfigError(
                f"{METADATA_VARIABLE} is not a Postgres database. erpflow reads connections from Postgres only; give "
                f"the secret in AIRFLOW_CONN_<ID> instead."
            )
        metadata = Database(url, application_name="erpflow vault") if url else None
        name = setting(BACKEND_VARIABLE, home=home)
        backend = Backend(name, setting(BACKEND_OPTIONS_VARIABLE, home=home) or "{}") if name else None
        return cls(metadata, fernet_keys=setting(FERNET_VARIABLE, home=home) or "", backend=backend)

    def read(self, conn_id: str) -> Credentials:
        """The connection called `conn_id`.

        Raises ConfigError when there is none (with the nearest), when it cannot be decrypted or is malformed.
        """
        if text := os.environ.get(_variable(conn_id)):
            return _parsed(conn_id, text.strip())
        if self._metadata is None:
            if self._backend is not None:
                raise ConfigError(self._backend.hidden(conn_id))
            raise ConfigError(
                f'The secret of "{conn_id}" was not found: {_variable(conn_id)} is not set, and neither is '
                f"{METADATA_VARIABLE}, which says where Airflow keeps its connections. Set one of them."
            )
        with _airflows_own(self._metadata) as connection:
            row = connection.execute(_READ, (conn_id,)).fetchone()
            known = [] if row else [str(found[0]) for found in connection.execute(_KNOWN)]
        if row is None and self._backend is not None:
            raise ConfigError(self._backend.hidden(conn_id))
        # A tenant's ids begin with its name: nobody is told those of another one.
        known = [other for other in known if other.rpartition("__")[0] == conn_id.rpartition("__")[0]]
        if row is None:
            raise ConfigError(
                f'There is no Airflow connection "{conn_id}"{suggestion(conn_id, known)}. Add it in Airflow under '
                f"Admin → Connections, or: erpflow connection add"
            )
        return self._credentials(conn_id, *row)

    def read_many(self, conn_ids: Sequence[str]) -> dict[str, Credentials | ConfigError]:
        """Several connections at once: of each what it holds, or why that cannot be read."""
        found: dict[str, Credentials | ConfigError] = {}
        rows: dict[str, tuple[Any, ...]] = {}
        if self._metadata is not None and any(_variable(conn_id) not in os.environ for conn_id in conn_ids):
            with _airflows_own(self._metadata) as connection:
                rows = {row[0]: row[1:] for row in connection.execute(_READ_MANY, (list(conn_ids),))}
        for conn_id in conn_ids:
            try:
                kept = conn_id in rows and not os.environ.get(_variable(conn_id))
                found[conn_id] = self._credentials(conn_id, *rows[conn_id]) if kept else self.read(conn_id)
            except ConfigError as error:
                found[conn_id] = error
        return found

    def knows(self, conn_id: str) -> bool:
        """Whether Airflow has a connection of that id."""
        if _variable(conn_id) in os.environ:
            return True
        if self._metadata is None:
            return False
        with _airflows_own(self._metadata) as connection:
            return connection.execute(_EXISTS, (conn_id,)).fetchone() is not None

    def delete(self, conn_id: str) -> None:
        """Take the connection out of Airflow's metadata database, if it is there."""
        if self._metadata is not None:
            with _airflows_own(self._metadata) as connection:
                connection.execute(_DELETE, (conn_id,))

    def _credentials(
        self,
        conn_id: str,
        conn_type: str,
        host: str | None,
        schema: str | None,
        login: str | None,
        port: int | None,
        password: str | None,
        is_encrypted: bool,  # noqa: FBT001  (columns in their order)
        extra: str | None,
        is_extra_encrypted: bool,  # noqa: FBT001
    ) -> Credentials:
        password = self._decrypted(conn_id, password) if password and is_encrypted else password
        extra = self._decrypted(conn_id, extra) if extra and is_extra_encrypted else extra
        return Credentials(
            conn_id=conn_id,
            conn_type=conn_type,
            host=host,
            schema=schema,
            port=port,
            login=login,
            password=Secret(password) if password else None,
            extra=_extra(conn_id, extra),
        )

    def write(self, credentials: Credentials) -> None:
        """Create the connection in Airflow's metadata database, or replace it; encrypted, or not at all.

        Raises ConfigError when there is no key or no database, and when a variable would hide what was written.
        """
        if not _ID.fullmatch(credentials.conn_id):
            raise ConfigError(
                f'"{credentials.conn_id}" cannot be the id of an Airflow connection: use letters, digits, _ - . and :.'
            )
        if _variable(credentials.conn_id) in os.environ:
            raise ConfigError(
                f"{_variable(credentials.conn_id)} is set, and Airflow reads it before its own table: what is written "
                f"there would never be seen. Change the variable, or unset it."
            )
        if self._metadata is None or not self._cipher.has_key:
            missing = METADATA_VARIABLE if self._metadata is None else FERNET_VARIABLE
            raise ConfigError(
                f"The secret cannot be kept: {missing} is not set. Set it as Airflow has it, or put the secret in "
                f"{_variable(credentials.conn_id)}."
            )
        encrypt = self._cipher.encrypt
        password, extra = credentials.password, dict(credentials.extra)
        values = {
            "id": credentials.conn_id,
            "type": credentials.conn_type,
            "host": credentials.host,
            "schema": credentials.schema,
            "login": credentials.login,
            "port": credentials.port,
            "password": encrypt(password.reveal()) if password and password.reveal() else None,
            "extra": encrypt(json.dumps(extra)) if extra else None,
        }
        with _airflows_own(self._metadata) as connection:
            connection.execute(_WRITE, values)

    def _decrypted(self, conn_id: str, text: str) -> str:
        return self._cipher.decrypt(text, what=f'The secret of "{conn_id}"', otherwise="enter the secret again")


@contextmanager
def _airflows_own(metadata: Database) -> Iterator[Connection[Any]]:
    """A connection to the metadata database for one statement; each is a transaction of its own."""
    with translate_errors(metadata), metadata.connect(autocommit=True) as connection:
        try:
            yield connection
        except errors.UndefinedTable:
            raise ConfigError(
                f"{metadata.place} is not Airflow's metadata database, or a new one: it has no table of connections. "
                f"Correct {METADATA_VARIABLE}, or run: airflow db migrate"
            ) from None


def _variable(conn_id: str) -> str:
    return f"AIRFLOW_CONN_{conn_id.upper()}"


def _parsed(conn_id: str, text: str) -> Credentials:
    """A connection as AIRFLOW_CONN_<ID> writes it: JSON, or a URI. Messages never quote it."""
    try:
        return _from_json(conn_id, text) if text.startswith("{") else _from_uri(conn_id, text)
    except (ValueError, TypeError, AttributeError):
        raise ConfigError(
            f"{_variable(conn_id)} is neither a connection URI nor JSON. Write it as "
            f'{{"conn_type": "erpnext", "host": "https://…", "login": "…", "password": "…"}}'
        ) from None


def _from_json(conn_id: str, text: str) -> Credentials:
    found = json.loads(text)
    port, password, extra = found.get("port"), found.get("password"), found.get("extra")
    return Credentials(
        conn_id=conn_id,
        conn_type=_normal_type(found.get("conn_type") or ""),
        host=found.get("host"),
        schema=found.get("schema"),
        port=int(port) if port else None,
        login=found.get("login"),
        password=Secret(str(password)) if password else None,
        extra=_extra(conn_id, extra if isinstance(extra, str) else json.dumps(extra or {})),
    )


def _from_uri(conn_id: str, text: str) -> Credentials:
    """Airflow's own dialect: `type://login:password@host:port/schema?extra`, where the host may bring its protocol.

    Source: airflow.sdk.Connection.from_uri; a test holds the two against each other.
    """
    scheme, separator, rest = text.partition("://")
    if not separator or text.count("://") > 2:
        raise ValueError
    protocol, with_protocol, authority = rest.partition("://")
    if with_protocol and ("@" in protocol or ":" in protocol):
        raise ValueError
    parts = urlsplit(f"//{authority if with_protocol else rest}")
    host = _host(parts)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    return Credentials(
        conn_id=conn_id,
        conn_type=_normal_type(scheme.lower()),
        host=f"{protocol.lower()}://{host}" if with_protocol and host else host,
        schema=unquote(parts.path[1:]),
        port=parts.port,
        login=unquote(parts.username) if parts.username else parts.username,
        password=Secret(unquote(parts.password)) if parts.password else None,
        extra=_extra(conn_id, query["__extra__"]) if "__extra__" in query else query,
    )


def _host(parts: SplitResult) -> str:
    """The host of a URI, which may be a quoted path (then its case counts)."""
    host = unquote(parts.hostname or "")
    return unquote(parts.netloc.rsplit("@", 1)[-1].split(":", 1)[0]) if "/" in host else host


def _normal_type(conn_type: str) -> str:
    return "postgres" if conn_type == "postgresql" else conn_type.replace("-", "_")


def _extra(conn_id: str, text: str | None) -> Mapping[str, Any]:
    try:
        found = json.loads(text) if text else {}
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ConfigError(f'The extra of the Airflow connection "{conn_id}" is not a JSON object. Correct it there.')
    return MappingProxyType(found)
