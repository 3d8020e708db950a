"""`erpflow db` and `erpflow connection`: what they do, what they say, and how they end."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

import pytest

from erpflow.connectors.erpnext import ErpNext
from erpflow.connectors.tally import Tally
from erpflow.store.database import Database
from erpflow.store.migrate import steps
from erpflow.store.rate_limits import PostgresLimiter
from erpflow.store.vault import Credentials, Vault
from erpflow.vocabulary import ConnectionId
from tests.integration.conftest import API_KEY, API_SECRET, Installation, Sandbox


def test_the_schema_is_made_once(installation: Installation, new_database_url: Callable[[], str]) -> None:
    url = new_database_url()
    first = installation.run("db", "upgrade", "--with-demo-tables", ERPFLOW_DATABASE_URL=url)
    assert (first.status, first.err) == (0, "")
    every_step = ", ".join((*steps(), *steps("demo")))
    assert f"applied {every_step}." in first.out
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
        ("customer", "bidirectional", "00:30:00"),
        ("order", "pull", "00:30:00"),
        ("product", "pull", "01:00:00"),
    ]


def test_the_secret_is_nowhere_but_encrypted_in_airflows_table(connected: Installation) -> None:
    tested = connected.run("connection", "test", "demo")
    ran = connected.run("sync", "run", "demo", "customer")
    listed = connected.run("connection", "list")
    tables = connected.rows("SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = 'erpflow'")
    kept = [connected.rows(f"SELECT t::text FROM {name} t") for (name,) in tables]
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


TALLY = ("--system", "tally", "--url", "http://127.0.0.1:1", "--no-password")


def extra_of(installation: Installation, conn_id: str) -> dict[str, object]:
    known = installation.environment
    metadata = Database(known["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])
    vault = Vault(metadata, fernet_keys=known["AIRFLOW__CORE__FERNET_KEY"])
    return dict(vault.read(conn_id).extra)


@pytest.fixture
def with_a_pin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tally, if it had a setting that is a secret."""
    settings = {**Tally.spec.settings, "pin": "What opens the company."}
    monkeypatch.setattr(Tally, "spec", replace(Tally.spec, settings=settings, secret_settings=frozenset({"pin"})))


def test_settings_given_with_a_connection_are_in_its_extra(installation: Installation) -> None:
    company = "A & B = Sons - (from 1-Apr-25)"
    words = ("--set", f"company={company}", "--set", "company_guid=")
    ended = installation.run("connection", "add", "books", *TALLY, *words)
    assert (ended.status, ended.err) == (0, "")
    assert extra_of(installation, "books") == {"company": company}


def test_one_setting_is_changed_and_another_taken_away_while_the_rest_stays(installation: Installation) -> None:
    given = ("--system", "sap_b1", "--url", "https://b1.example.com", "--login", "manager", "--password-stdin")
    settings = ("--set", "company_db=SBODEMOUS", "--set", "time_zone=Europe/Berlin", "--set", "version=v1")
    assert installation.run("connection", "add", "b1", *given, *settings, given="CANARY\n").status == 0
    ended = installation.run("connection", "set", "b1", "time_zone=Asia/Kolkata", "version=")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.startswith("Changed b1: time_zone, version.\n")
    assert extra_of(installation, "b1") == {"company_db": "SBODEMOUS", "time_zone": "Asia/Kolkata"}
    listed = installation.run("connection", "list")
    assert "CANARY" not in listed.out + ended.out


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("compny=A", 'Tally has no setting "compny" (did you mean "company"?)'),
        ("company", "The setting company has no value"),
        ("=A", 'Tally has no setting ""'),
    ],
)
def test_a_setting_that_cannot_be_leaves_everything_as_it_was(
    setting: str, message: str, installation: Installation
) -> None:
    ended = installation.run("connection", "add", "books", *TALLY, "--set", setting)
    assert ended.status == 1
    assert message in ended.err
    assert installation.rows("SELECT count(*) FROM erpflow.erp_connections") == [(0,)]
    assert installation.run("connection", "add", "books", *TALLY, "--set", "company=A").status == 0
    ended = installation.run("connection", "set", "books", "company=B", setting)
    assert ended.status == 1
    assert extra_of(installation, "books") == {"company": "A"}


def test_settings_are_added_to_a_secret_that_is_there_already(installation: Installation) -> None:
    known = installation.environment
    vault = Vault(
        Database(known["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]), fernet_keys=known["AIRFLOW__CORE__FERNET_KEY"]
    )
    vault.write(Credentials(conn_id="books", conn_type="tally", host="http://h", extra={"verify": False}))
    ended = installation.run("connection", "add", "books", "--system", "tally", "--set", "company=A")
    assert (ended.status, ended.err) == (0, "")
    assert extra_of(installation, "books") == {"verify": False, "company": "A"}


@pytest.mark.usefixtures("with_a_pin")
def test_a_secret_setting_comes_from_standard_input_and_never_from_the_command_line(installation: Installation) -> None:
    refused = installation.run("connection", "add", "books", *TALLY, "--set", "pin=CANARY")
    assert refused.status == 1
    assert "The setting pin holds a secret" in refused.err
    assert "CANARY" not in refused.err + refused.out
    words = ("--system", "tally", "--url", "http://127.0.0.1:1", "--password-stdin", "--set", "pin")
    added = installation.run("connection", "add", "books", *words, given="the password\nCANARY\n")
    assert (added.status, added.err) == (0, "")
    assert extra_of(installation, "books") == {"pin": "CANARY"}
    with Database(installation.environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]).transaction() as airflow:
        assert "CANARY" not in str(airflow.execute("SELECT c::text FROM connection c").fetchall())
    nothing = installation.run("connection", "set", "books", "pin", given="")
    assert nothing.status == 1
    assert "nothing came" in nothing.err


def limits_of(shown: str) -> dict[str, list[str]]:
    """The table's figures by span: allowed, of its own, used."""
    lines = [line.rsplit(maxsplit=3) for line in shown.splitlines()[1:6]]
    return {name: figures for name, *figures in lines}


def test_the_limits_of_an_account_are_shown_with_what_was_used_of_them(connected: Installation) -> None:
    fresh = limits_of(connected.run("connection", "limits", "demo").out)
    assert fresh["second"] == ["50", "-", "0"]
    assert fresh["at once"] == ["4", "-", "0"]
    assert connected.run("connection", "test", "demo").status == 0
    asked = connected.run("connection", "limits", "demo")
    assert (asked.status, asked.err) == (0, "")
    used = limits_of(asked.out)
    assert int(used["hour"][2]) == int(used["day"][2]) >= 1
    assert asked.out.endswith(f"{used['day'][2]} requests were let through in all.\n")


def test_what_left_a_window_is_not_shown_as_used(connected: Installation) -> None:
    assert connected.run("connection", "test", "demo").status == 0
    with connected.database.transaction() as connection:
        connection.execute("UPDATE erpflow.erp_rate_accounts SET minute_newest = minute_newest - 13, second_newest = 0")
    used = limits_of(connected.run("connection", "limits", "demo").out)
    assert (used["second"][2], used["minute"][2]) == ("0", "0")
    assert int(used["hour"][2]) >= 1


def test_who_is_under_way_and_a_pause_are_shown(connected: Installation) -> None:
    (connection_id,) = (str(row[0]) for row in connected.rows("SELECT id FROM erpflow.erp_connections"))
    limits = ErpNext.spec.limits
    with closing(PostgresLimiter(connected.database, ConnectionId(connection_id), limits)) as limiter:
        limiter.acquire()
        limiter.pause(1000)
        shown = connected.run("connection", "limits", "demo").out
        assert limits_of(shown)["at once"] == ["4", "-", "1"]
        assert "Under way: 1 request of a worker on" in shown
        assert "Paused until 20" in shown
        limiter.done()
        assert "Under way" not in connected.run("connection", "limits", "demo").out


def test_a_connection_keeps_lower_limits_of_its_own_until_they_are_taken_back(connected: Installation) -> None:
    words = ("connection", "limits", "demo")
    ended = connected.run(*words, "--per-minute", "0.5", "--concurrent", "2", "--per-second", "10")
    assert (ended.status, ended.err) == (0, "")
    shown = limits_of(ended.out)
    assert (shown["minute"][:2], shown["at once"][:2]) == (["-", "0.5"], ["4", "2"])
    assert connected.run("connection", "test", "demo").status == 0
    again = connected.run("connection", "test", "demo")
    assert again.status == 1
    assert "has to wait" in again.err
    assert connected.run(*words, "--per-minute", "default").status == 0
    own = connected.rows("SELECT per_second, per_minute, concurrent FROM erpflow.erp_rate_limits")
    assert own == [(10.0, None, 2.0)]


@pytest.mark.parametrize(
    ("option", "number", "message"),
    [
        ("--per-second", "51", "the system's data sheet allows 50"),
        ("--concurrent", "2.5", "a whole number from 1 on"),
        ("--per-day", "0", "a number above 0"),
        ("--per-day", "nan", "a number above 0"),
        ("--per-hour", "many", "a number above 0"),
    ],
)
def test_a_limit_that_cannot_be_is_refused(option: str, number: str, message: str, connected: Installation) -> None:
    ended = connected.run("connection", "limits", "demo", "--per-minute", "5", option, number)
    assert ended.status == 1
    assert message in ended.err
    assert connected.rows("SELECT count(*) FROM erpflow.erp_rate_limits") == [(0,)]
