"""`erpflow db` and `erpflow connection`: what they do, what they say, and how they end."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from erpflow.store.database import Database
from erpflow.store.migrate import steps
from tests.integration.conftest import API_KEY, API_SECRET, Installation, Sandbox


def test_the_schema_is_made_once(installation: Installation, new_database_url: Callable[[], str]) -> None:
    url = new_database_url()
    first = installation.run("db", "upgrade", "--with-demo-tables", ERPFLOW_DATABASE_URL=url)
    assert (first.status, first.err) == (0, "")
    assert f"applied {', '.join([*steps(), *steps('demo')])}." in first.out
    second = installation.run("db", "upgrade", ERPFLOW_DATABASE_URL=url)
    assert (second.status, second.err) == (0, "")
    assert "nothing to do, the schema is current" in second.out


def test_a_database_that_is_not_there_is_said_in_one_sentence(installation: Installation) -> None:
    url = f"{installation.database.url}_gone"
    ended = installation.run("db", "upgrade", ERPFLOW_DATABASE_URL=url)
    assert ended.status == 1
    assert ended.err.startswith(f"There is no database {Database(url).place}.")
    assert ended.err.count("\n") == 1


def test_airflows_own_database_is_refused(installation: Installation) -> None:
    with Database(installation.environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]).transaction() as connection:
        connection.execute("CREATE TABLE dag_run (id int)")
    airflows = installation.environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    ended = installation.run("db", "upgrade", ERPFLOW_DATABASE_URL=airflows)
    assert ended.status == 1
    assert "is Airflow's metadata database" in ended.err


def test_without_a_database_the_variable_is_named(installation: Installation) -> None:
    ended = installation.run("connection", "list", ERPFLOW_DATABASE_URL="")
    assert ended.status == 1
    assert "Set ERPFLOW_DATABASE_URL=postgresql://" in ended.err


def test_an_added_connection_syncs_what_there_are_mappings_for(connected: Installation) -> None:
    listed = connected.run("connection", "list")
    heading, line = listed.out.splitlines()
    assert heading.split() == ["NAME", "SYSTEM", "STATUS", "CHECKED", "ACCOUNT", "SYNCS"]
    assert line.split(maxsplit=5) == ["demo", "erpnext", "unknown", "never", "-", "customer, order, product"]
    assert connected.rows("SELECT entity, direction, every::text FROM erpflow.erp_sync_configs ORDER BY 1") == [
        ("customer", "pull", "00:30:00"),
        ("order", "pull", "00:30:00"),
        ("product", "pull", "01:00:00"),
    ]


def test_the_secret_is_nowhere_but_encrypted_in_airflows_table(connected: Installation) -> None:
    tested = connected.run("connection", "test", "demo")
    ran = connected.run("sync", "run", "demo", "customer")
    listed = connected.run("connection", "list")
    tables = connected.rows("SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = 'erpflow'")
    kept = [connected.rows(f"SELECT t::text FROM {name} t") for (name,) in tables]  # noqa: S608
    files = [path.read_bytes() for path in connected.home.rglob("*") if path.is_file()]
    with Database(connected.environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]).transaction() as airflow:
        rows = airflow.execute("SELECT c::text FROM connection c").fetchall()
    assert len(rows) == 1
    for place in (tested, ran, listed, kept, files, rows):
        assert API_SECRET not in str(place)


def test_a_good_connection_says_who_we_are_and_is_noted(connected: Installation) -> None:
    ended = connected.run("connection", "test", "demo")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.startswith("demo: connected to erpnext as connector@example.com in ")
    assert connected.rows("SELECT status, account, last_checked_at IS NOT NULL FROM erpflow.erp_connections") == [
        ("active", "connector@example.com", True)
    ]


def test_a_wrong_secret_is_said_and_noted(connected: Installation, sandbox: Sandbox) -> None:
    words = ("connection", "add", "wrong", "--system", "erpnext", "--url", sandbox.erpnext, "--login", API_KEY)
    assert connected.run(*words, "--password-stdin", given="CANARY\n").status == 0
    ended = connected.run("connection", "test", "wrong")
    assert ended.status == 1
    assert ended.err.startswith("wrong: ")
    assert "CANARY" not in ended.err
    assert "Traceback" not in ended.err
    found = connected.rows("SELECT status, status_message FROM erpflow.erp_connections WHERE name = 'wrong'")
    assert found[0][0] == "error"
    assert str(found[0][1]) in ended.err


def test_a_dead_host_is_said_and_noted(installation: Installation) -> None:
    words = ("connection", "add", "dead", "--system", "erpnext", "--url", "http://127.0.0.1:1", "--login", "k")
    assert installation.run(*words, "--password-stdin", given="s\n").status == 0
    ended = installation.run("connection", "test", "dead")
    assert ended.status == 1
    assert "127.0.0.1:1" in ended.err
    assert installation.rows("SELECT status FROM erpflow.erp_connections") == [("error",)]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--system", "erpnxt", "--url", "https://h"), 'did you mean "erpnext"'),
        (("--system", "erpnext", "--url", "https://"), "is not an address"),
        (("--system", "erpnext", "--url", "https://user:CANARY@h"), ""),
        (("--system", "erpnext"), 'no Airflow connection "shop"'),
        (("--system", "erpnext", "--url", "https://h", "--airflow-conn-id", "a b"), "cannot be the id"),
    ],
)
def test_a_connection_that_cannot_be_is_not_half_added(
    words: tuple[str, ...], message: str, installation: Installation
) -> None:
    ended = installation.run("connection", "add", "shop", *words, "--password-stdin", given="secret\n")
    assert ended.status == 1
    assert message in ended.err
    assert "CANARY" not in ended.err + ended.out
    assert "Traceback" not in ended.err
    assert installation.rows("SELECT count(*) FROM erpflow.erp_connections") == [(0,)]


def test_a_secret_that_is_there_already_is_enough(installation: Installation, sandbox: Sandbox) -> None:
    variable = {"AIRFLOW_CONN_SHOP": f'{{"conn_type": "erpnext", "host": "{sandbox.erpnext}", "login": "{API_KEY}", "password": "{API_SECRET}"}}'}  # noqa: E501  # fmt: skip
    assert installation.run("connection", "add", "shop", "--system", "erpnext", **variable).status == 0
    assert installation.run("connection", "test", "shop", **variable).status == 0
    ended = installation.run("connection", "test", "shop")
    assert ended.status == 1
    assert 'no Airflow connection "shop"' in ended.err


def test_an_unknown_connection_is_answered_with_the_nearest(connected: Installation) -> None:
    ended = connected.run("connection", "test", "demoo")
    assert ended.status == 1
    assert 'did you mean "demo"?' in ended.err


def test_a_broken_mapping_keeps_a_connection_from_being_added(installation: Installation, sandbox: Sandbox) -> None:
    (installation.mappings / "erpnext" / "customer.yaml").write_text("system: erpnext\nentity: 5\n")
    words = ("connection", "add", "demo", "--system", "erpnext", "--url", sandbox.erpnext, "--no-password")
    ended = installation.run(*words)
    assert ended.status == 1
    assert "customer.yaml:2: entity: found 5" in ended.err
    assert installation.rows("SELECT count(*) FROM erpflow.erp_connections") == [(0,)]
