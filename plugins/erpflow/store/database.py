"""Connections to the application's Postgres, and what its errors mean for a run."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.json import set_json_loads

from erpflow.errors import ConfigError, DatabaseUnavailable, ErpflowError, suggestion

if TYPE_CHECKING:
    from psycopg.rows import TupleRow

URL_VARIABLE: Final = "ERPFLOW_DATABASE_URL"
CONNECT_TIMEOUT_S: Final = 10

_KEEP_ALIVE: Final[dict[str, Any]] = {
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,  # milliseconds: a server that vanished is noticed within a minute, also mid-write
}
_SESSION: Final = (
    "-c timezone=UTC -c datestyle=ISO -c intervalstyle=postgres -c idle_in_transaction_session_timeout=15min "
    # The server notices a worker whose machine vanished as fast as we notice it: its locks hold others up.
    "-c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3"
)

_KNOWN_TABLES: Final = """
SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')
"""
_KNOWN_COLUMNS: Final = """
SELECT DISTINCT attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
WHERE c.relname = %(table)s AND a.attnum > 0 AND NOT a.attisdropped
"""


class Database:
    """The application's database: where it is and how we connect. Opening one costs nothing; it holds no connection.

    `repr` and every error name host and database, never the password.
    """

    def __init__(self, url: str, *, application_name: str = "erpflow") -> None:
        """`url` as `postgresql://user:password@host:5432/name`, SQLAlchemy's driver suffixes allowed.

        Raises ConfigError when it is not a Postgres URL.
        """
        self.url = _libpq_url(url)
        try:
            parts = conninfo_to_dict(self.url)
        except psycopg.Error:
            parts = {}
        self.name = str(parts.get("dbname") or parts.get("user") or "")
        if not self.name or any(sign in f"{self.name}{parts.get('host')}" for sign in "@/"):
            # psycopg's own reason quotes the URL, and a / in a password moves half of it into the name.
            raise ConfigError(
                f"The database URL cannot be read. Write it as {_EXAMPLE}, with %40 for an @ in the password, "
                f"%2F for a /, %3A for a : and %25 for a %."
            )
        self.host, self.port = str(parts.get("host") or "localhost"), str(parts.get("port") or 5432)
        self.place = f"{self.name} on {self.host}:{self.port}"
        self._parameters: dict[str, Any] = {
            "connect_timeout": CONNECT_TIMEOUT_S,
            **_KEEP_ALIVE,
            "application_name": application_name,
            "options": f"{_SESSION} {parts.get('options') or ''}".strip(),
        }

    def __repr__(self) -> str:
        return f"Database({self.place})"

    def connect(self, *, autocommit: bool = False) -> psycopg.Connection[TupleRow]:
        """A new connection, closed by `with`. Raises DatabaseUnavailable, or ConfigError when the server refuses us."""
        try:
            connection = psycopg.connect(self.url, autocommit=autocommit, **self._parameters)
        except psycopg.OperationalError as error:
            raise self._refusal(error) from None
        set_json_loads(msgspec.json.decode, connection)  # four times as fast as the standard library's
        return connection

    async def connect_async(self) -> psycopg.AsyncConnection[TupleRow]:
        """A new connection for one task of an event loop, each statement its own transaction. Raises as `connect`."""
        try:
            connection = await psycopg.AsyncConnection.connect(self.url, autocommit=True, **self._parameters)
        except psycopg.OperationalError as error:
            raise self._refusal(error) from None
        set_json_loads(msgspec.json.decode, connection)
        return connection

    @contextmanager
    def session(self) -> Iterator[psycopg.Connection[TupleRow]]:
        """One connection in which every statement commits unless a transaction is opened; errors translated."""
        with translate_errors(self), self.connect(autocommit=True) as connection:
            yield connection

    @contextmanager
    def transaction(self) -> Iterator[psycopg.Connection[TupleRow]]:
        """One connection and one transaction: commits at the end, rolls back on any exception, errors translated."""
        # An explicit block: without one, the first `connection.transaction()` inside would commit on its own.
        with translate_errors(self), self.connect(autocommit=True) as connection, connection.transaction():
            yield connection

    def _refusal(self, error: psycopg.OperationalError) -> ErpflowError:
        reason = _first_line(error)
        if "does not exist" in reason and "database" in reason:
            return ConfigError(
                f"There is no database {self.place}. Create it (CREATE DATABASE {self.name}) or correct {URL_VARIABLE}."
            )
        if "authentication failed" in reason or "does not exist" in reason or "no password supplied" in reason:
            return ConfigError(f"Postgres refuses the login to the database {self.place}. Correct {URL_VARIABLE}.")
        return DatabaseUnavailable(f"The database {self.place} does not answer: {reason}")


_EXAMPLE: Final = "postgresql://user:password@host:5432/erpflow"


def from_environment(home: Path | None = None) -> Database:
    """The database that ERPFLOW_DATABASE_URL names, else the one the state folder `home` remembers (file `env`).

    Raises ConfigError when neither does.
    """
    url = setting(URL_VARIABLE, home=home)
    if not url:
        raise ConfigError(f"No database is set. Set {URL_VARIABLE}={_EXAMPLE}, or start the demo first: make demo")
    return Database(url)


def setting(name: str, *, home: Path | None = None) -> str | None:
    """An environment variable, else its line in the file `env` of the state folder (`NAME=value`), else None."""
    if value := os.environ.get(name, "").strip():
        return value
    folder = home or Path(os.environ.get("ERPFLOW_HOME") or ".erpflow")
    try:
        lines = (folder / "env").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    for line in lines:
        key, separator, value = line.removeprefix("export ").partition("=")
        if separator and key.strip() == name:
            return value.strip().strip("'\"") or None
    return None


@contextmanager
def translate_errors(database: Database) -> Iterator[None]:
    """Turn what psycopg raises inside into what a run does about it.

    The server is gone, overloaded or gave us up (deadlock, time-out): DatabaseUnavailable, so the task is retried.
    A table or column that is not there, or a right we lack: ConfigError, with the nearest name.
    """
    try:
        yield
    except errors.UndefinedTable as error:
        raise _undefined(database, error, kind="table") from error
    except errors.UndefinedColumn as error:
        raise _undefined(database, error, kind="column") from error
    except errors.InsufficientPrivilege as error:
        raise ConfigError(
            f"The database user may not do this in {database.place}: {_first_line(error)}. Grant it the right."
        ) from error
    except errors.DatatypeMismatch as error:
        raise ConfigError(
            f"In the database {database.place}, {_first_line(error)}. Correct the mapping, or the type of the column."
        ) from error
    except errors.ObjectNotInPrerequisiteState as error:
        raise ConfigError(
            f"The database {database.place} will never do this: {_first_line(error)}. "
            "Name a table that can be written in the mapping, or make this one so."
        ) from error
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise DatabaseUnavailable(
            f"The database {database.place} broke off: {_first_line(error)}. "
            f"The transaction was rolled back, so nothing is half done; the run can be repeated."
        ) from error


def _undefined(database: Database, error: psycopg.Error, *, kind: Literal["table", "column"]) -> ConfigError:
    """The sentence for an unknown name. It asks on a new connection: the old one is in a failed transaction."""
    reason = _first_line(error)
    found = re.search(r'"([^"]+)"', reason) or re.search(r"(\S+) does not exist", reason)
    name = found.group(1) if found else ""
    owner = re.search(r'of relation "([^"]+)"', reason)
    hint = ""
    try:
        with database.connect(autocommit=True) as connection:
            if kind == "table":
                hint = suggestion(name, [row[0] for row in connection.execute(_KNOWN_TABLES)])
            elif owner:
                rows = connection.execute(_KNOWN_COLUMNS, {"table": owner.group(1)})
                hint = suggestion(name, [row[0] for row in rows])
    except (ErpflowError, psycopg.Error):
        hint = ""
    advice = "Run: erpflow db upgrade" if name.startswith("erpflow.") else "Correct the mapping, or add it."
    return ConfigError(f"In the database {database.place}, {reason}{hint}. {advice}")


def _libpq_url(url: str) -> str:
    scheme, separator, rest = url.strip().partition("://")
    base = scheme.partition("+")[0]
    if not separator or base not in {"postgres", "postgresql"}:
        raise ConfigError(f"The database URL does not start with postgresql://. Write it as {_EXAMPLE}")
    return f"postgresql://{rest}"


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
