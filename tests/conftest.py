"""Fixtures for every test: one Postgres server a session, and databases copied from one migrated template."""

from __future__ import annotations

import os
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import settings
from psycopg import sql
from xdist.scheduler import LoadScopeScheduling

from erpflow.store.database import Database
from erpflow.store.migrate import upgrade
from stack.postgres import EmbeddedPostgres, ExistingPostgres, Server
from tests.demos import demo, places, start_demo

__all__ = ["demo", "places", "start_demo"]  # fixtures: pytest finds them here

# Property tests look for new cases at a desk; a build looks at the same ones each time, so that red means a change.
settings.register_profile("desk", deadline=None)
settings.register_profile("build", deadline=None, derandomize=True)
settings.load_profile("build" if os.environ.get("CI") == "true" else "desk")

# A cluster that is thrown away need not survive a power cut; and nobody tends it, whose transactions would be older
# than those of a test now and then.
THROWAWAY = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "128MB",
    "autovacuum": "off",
}

# A developer's settings must not leak into the tests, nor the tests into a developer's database.
for name in ("ERPFLOW_DATABASE_URL", "ERPFLOW_HOME", "ERPFLOW_MAPPINGS", "ERPFLOW_LANDING_URI"):
    os.environ.pop(name, None)


NEED_THE_DEMO = frozenset({"airflow", "browser"})


class ByModule(LoadScopeScheduling):
    """Modules run side by side; those that need the demo stay together, since every process would make its own."""

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        return "demo" if module.split("/")[1] in NEED_THE_DEMO else module


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByModule:
    return ByModule(config, log)


@contextmanager
def _temporary_server() -> Iterator[Server]:
    """A server that goes with us, even when we are killed: its guard sees the end of our pipe and clears up."""
    with tempfile.TemporaryDirectory(prefix="erpflow-tests-") as folder:
        Path(folder).chmod(0o711)  # the unprivileged user that runs the server for root must get in
        postgres = EmbeddedPostgres(Path(folder) / "postgres", settings=THROWAWAY, tell=lambda _: None)
        server = postgres.start()
        pid = postgres.pid()
        guard = subprocess.Popen(
            ["sh", "-c", 'read _ && exit; kill -QUIT "$1"; sleep 2; rm -rf "$2"', "sh", str(pid), folder],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            yield server
        finally:
            postgres.stop()
            guard.communicate(b"done\n")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """The server of this session: embedded, or the one ERPFLOW_POSTGRES_URL names."""
    if url := os.environ.get("ERPFLOW_POSTGRES_URL"):
        yield ExistingPostgres(url).start()
        return
    with _temporary_server() as server:
        yield server


@contextmanager
def _database(server: Server, *, template: str) -> Iterator[str]:
    """The URL of a new database, dropped at the end whoever still uses it."""
    name = f"erpflow_test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        )
    try:
        yield server.url_for(name)
    finally:
        # A test may have stopped the server on purpose; then there is nothing left to drop.
        with suppress(psycopg.OperationalError), psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def migrated_template(postgres: Server) -> Iterator[str]:
    """The name of a database with the state and the demo's tables, to be copied."""
    with _database(postgres, template="template0") as url:
        upgrade(Database(url), demo_tables=True)
        yield url.rpartition("/")[2]


@pytest.fixture(scope="module")
def database_url(postgres: Server, migrated_template: str) -> Iterator[str]:
    """The URL of a migrated database that the tests of one module share."""
    with _database(postgres, template=migrated_template) as url:
        yield url


@pytest.fixture(scope="module")
def database(database_url: str) -> Database:
    """The migrated database that the tests of one module share."""
    return Database(database_url)


@pytest.fixture(scope="module")
def make_database(postgres: Server, migrated_template: str) -> Iterator[Callable[[], Database]]:
    """Makes migrated databases for the tests of one module."""
    with ExitStack() as stack:
        yield lambda: Database(stack.enter_context(_database(postgres, template=migrated_template)))


@pytest.fixture
def fresh_database_url(postgres: Server, migrated_template: str) -> Iterator[str]:
    """The URL of a migrated database of this test alone."""
    with _database(postgres, template=migrated_template) as url:
        yield url


@pytest.fixture
def fresh_database(fresh_database_url: str) -> Database:
    """A migrated database of this test alone."""
    return Database(fresh_database_url)


@pytest.fixture
def empty_database(postgres: Server) -> Iterator[Database]:
    """A database of this test alone without any table."""
    with _database(postgres, template="template0") as url:
        yield Database(url)


@pytest.fixture
def new_database_url(postgres: Server) -> Iterator[Callable[[], str]]:
    """Makes empty databases, for tests that need several."""
    made: list[str] = []

    def make() -> str:
        name = f"erpflow_test_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        made.append(name)
        return postgres.url_for(name)

    yield make
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        for name in made:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
