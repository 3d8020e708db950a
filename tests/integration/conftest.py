"""What integration tests share: the ERPNext sandbox, an installation of erpflow beside it, and its command."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
import structlog
from cryptography.fernet import Fernet

from erpflow.cli import main
from erpflow.store.database import Database
from tests.deletes import sweeps

PROJECT = Path(__file__).parents[2]
API_KEY, API_SECRET = "sandbox-connector-key", "sandbox-connector-secret"

# Airflow's table of connections, as its migrations make it; tests/airflow holds the vault against Airflow itself.
CONNECTION_TABLE = """
CREATE TABLE connection (
    id serial PRIMARY KEY, conn_id varchar(250) NOT NULL UNIQUE, conn_type varchar(500) NOT NULL, description text,
    host varchar(500), schema varchar(500), login text, password text, port int,
    is_encrypted boolean NOT NULL, is_extra_encrypted boolean NOT NULL, team_name varchar(50), extra text
)
"""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str


@dataclass(frozen=True)
class Sandbox:
    """The vendors' double; its side door sets faults."""

    url: str

    @property
    def erpnext(self) -> str:
        return f"{self.url}/erpnext"

    def fault(self, **fault: object) -> None:
        requests.post(f"{self.url}/_sandbox/faults", json=fault, timeout=10).raise_for_status()

    def heal(self) -> None:
        requests.delete(f"{self.url}/_sandbox/faults", timeout=10).raise_for_status()


@pytest.fixture(scope="session")
def sandbox_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    ready = tmp_path_factory.mktemp("sandbox") / "ready"
    command = [sys.executable, "-c", "from erpflow.cli import main; main()", "sandbox", "--ready-file", str(ready)]
    process = subprocess.Popen([*command, "--customers", "60", "--items", "20", "--orders", "30"], cwd=PROJECT)
    try:
        deadline = time.monotonic() + 60
        while not ready.exists():
            assert process.poll() is None, "the sandbox ended before it was ready"
            assert time.monotonic() < deadline, "the sandbox was not ready within a minute"
            time.sleep(0.05)
        yield ready.read_text().strip()
    finally:
        process.terminate()
        process.wait(timeout=15)


@pytest.fixture(scope="module")
def seeded_vendors(sandbox_process: str) -> str:
    """The sandbox's address, every company as it was seeded: what another module's tests did to it is gone."""
    requests.post(f"{sandbox_process}/_sandbox/reset", json={}, timeout=30).raise_for_status()
    return sandbox_process


@pytest.fixture
def sandbox(seeded_vendors: str) -> Iterator[Sandbox]:
    """The ERPNext sandbox with a small company, without faults."""
    found = Sandbox(seeded_vendors)
    yield found
    found.heal()


@dataclass(frozen=True)
class Installation:
    """One installation of erpflow: its database, its folders, and the environment that names them."""

    database: Database
    home: Path
    mappings: Path
    environment: dict[str, str]

    def run(self, *words: str, given: str = "", **more: str) -> Ended:
        """Run `erpflow …` to its end, as a shell would, in this process; `given` is its standard input."""
        out, err = io.StringIO(), io.StringIO()
        with (
            pytest.MonkeyPatch.context() as patch,
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            for name in set(os.environ) - set(self.environment):
                patch.delenv(name)
            for name, value in {**self.environment, **more}.items():
                patch.setenv(name, value)
            patch.chdir(self.home)
            patch.setattr(sys, "stdin", io.StringIO(given))
            try:
                main(list(words))
            except SystemExit as ended:
                status = int(ended.code or 0)
            finally:
                structlog.reset_defaults()
        return Ended(status, out.getvalue(), err.getvalue())

    def start(self, *words: str, code: str = "from erpflow.cli import main; main()") -> subprocess.Popen[str]:
        """Start `erpflow …`, or other code in its place, and leave it running."""
        return subprocess.Popen(
            [sys.executable, "-c", code, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
            cwd=self.home,
        )

    def rows(self, statement: str) -> list[tuple[object, ...]]:
        with self.database.transaction() as connection:
            return connection.execute(statement.encode()).fetchall()


@pytest.fixture
def installation(fresh_database: Database, new_database_url: Callable[[], str], tmp_path: Path) -> Installation:
    """A migrated database, Airflow's table of connections, and the project's own mappings in a folder of the test."""
    metadata = Database(new_database_url())
    with metadata.transaction() as connection:
        connection.execute(CONNECTION_TABLE)
    shutil.copytree(PROJECT / "include", tmp_path / "include")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "ERPFLOW"))}
    return Installation(
        database=fresh_database,
        home=tmp_path,
        mappings=tmp_path / "include" / "mappings",
        environment={
            **kept,
            "ERPFLOW_DATABASE_URL": fresh_database.url,
            "ERPFLOW_HOME": str(tmp_path / "state"),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": metadata.url,
            "AIRFLOW__CORE__FERNET_KEY": Fernet.generate_key().decode(),
            "COLUMNS": "200",
        },
    )


@pytest.fixture
def connected(installation: Installation, sandbox: Sandbox) -> Installation:
    """An installation with the connection `demo` to the sandbox."""
    words = ("connection", "add", "demo", "--system", "erpnext", "--url", sandbox.erpnext, "--login", API_KEY)
    ended = installation.run(*words, "--password-stdin", given=f"{API_SECRET}\n")
    assert (ended.status, ended.err) == (0, "")
    return installation


@pytest.fixture(params=["feed", "sweep"])
def finding(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to find what a vendor deleted: its list of deletes, or what a full read misses."""
    if request.param == "sweep":
        sweeps(monkeypatch)
    return str(request.param)
