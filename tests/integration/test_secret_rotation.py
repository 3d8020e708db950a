"""How old secrets are: noted when they change, told when they are too old, over when they were changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet

from erpflow.errors import ConfigError
from erpflow.services.notifications.settings import NotificationSettings
from erpflow.store import credentials
from erpflow.store.connections import ErpConnection, add_connection
from erpflow.store.credentials import Holder, kept_secrets, write_secret
from erpflow.store.database import Database
from erpflow.store.migrate import steps, upgrade
from erpflow.store.vault import Credentials, Secret, Vault
from tests.integration.conftest import CONNECTION_TABLE, Installation
from tests.integration.test_notifications import DAY, NOW, Office, office

__all__ = ["office"]  # a fixture: pytest finds it here

OLD = datetime(2020, 1, 1, tzinfo=UTC)
CANARY = "canary-6d0e"


def connection(office: Office, name: str, *, system: str, days: int, **columns: Any) -> str:
    """A connection whose secret is so many days old when the clock of the test begins."""
    names = "".join(f", {column}" for column in columns)
    holes = "".join(f", %({column})s" for column in columns)
    [(id_,)] = office.shop.rows_of(
        f"INSERT INTO erpflow.erp_connections (tenant_id, name, system, airflow_conn_id, secret_rotated_at{names})"
        f" SELECT id, %(name)s, %(system)s, %(name)s, %(at)s{holes} FROM erpflow.erp_tenants RETURNING id::text",
        {"name": name, "system": system, "at": NOW - days * DAY, **columns},
    )
    return str(id_)


def api_key(office: Office, prefix: str, *, days: int, ended: str | None = None) -> None:
    office.shop.rows_of(
        "INSERT INTO erpflow.erp_api_keys (tenant_id, name, prefix, key_digest, created_at, revoked_at, expires_at)"
        " SELECT id, 'warehouse', %(prefix)s, gen_random_uuid()::text::bytea, %(at)s, %(revoked)s, %(expires)s"
        " FROM erpflow.erp_tenants RETURNING id",
        {
            "prefix": prefix,
            "at": NOW - days * DAY,
            "revoked": NOW if ended == "revoked" else None,
            "expires": NOW if ended == "expired" else None,
        },
    )


def told(office: Office) -> list[str]:
    return [message.subject for message in office.inboxes[0].got]


def test_an_old_secret_is_told_once_and_its_change_ends_it(office: Office) -> None:
    id_ = connection(office, "erpnext_main", system="erpnext", days=91)
    office.look()
    office.look()
    [message] = office.inboxes[0].got
    assert message.subject == "[erpflow] erpnext_main: its secret is 91 days old"
    assert (message.connection, message.system, message.counts) == ("erpnext_main", "erpnext", {"days_old": 91})
    assert message.what.startswith("The secret of the connection erpnext_main (erpnext) has been the same since")
    assert "It should be changed every 90 days." in message.what
    assert "erpflow connection rotate erpnext_main" in message.next_step
    assert message.since == NOW - DAY
    with office.shop.database.session() as store:
        credentials.note_rotated(store, id_)  # type: ignore[arg-type]  # the text of an id
    office.look()
    office.look()
    assert office.inboxes[0].said() == [("new", "rotation"), ("resolved", "rotation")]
    assert office.inboxes[0].got[-1].what == "The secret was changed, or is not used any more."


def test_the_key_of_a_program_is_told_by_its_prefix(office: Office) -> None:
    api_key(office, "erp_1a2b3c4d", days=200)
    office.look()
    [message] = office.inboxes[0].got
    assert message.subject == "[erpflow] API key erp_1a2b3c4d… (warehouse): its secret is 200 days old"
    assert "POST /api/erp/api-keys" in message.next_step
    assert message.connection is None


@pytest.mark.parametrize("ended", ["revoked", "expired"])
def test_a_key_that_opens_nothing_any_more_troubles_nobody(office: Office, ended: str) -> None:
    api_key(office, "erp_1a2b3c4d", days=200, ended=ended)
    office.look()
    assert told(office) == []


def test_a_connection_that_is_switched_off_or_has_no_secret_troubles_nobody(office: Office) -> None:
    connection(office, "old_site", system="erpnext", days=1000, status="disabled")
    connection(office, "shop_floor", system="tally", days=1000)
    office.look()
    assert told(office) == []


def test_api_keys_may_be_half_as_old_as_the_secrets_of_apps(office: Office) -> None:
    ages = {"erpnext": 90, "veekaart": 90, "metakocka": 90, "zoho_crm": 180, "quickbooks": 180}
    for system, days in ages.items():
        connection(office, f"young_{system}", system=system, days=days - 1)
        connection(office, f"old_{system}", system=system, days=days + 1)
    office.look()
    assert sorted(told(office)) == sorted(
        f"[erpflow] old_{system}: its secret is {days + 1} days old" for system, days in ages.items()
    )


def test_how_old_is_too_old_is_a_setting_also_of_one_system_or_connection(office: Office) -> None:
    office.settings = NotificationSettings(
        api_keys_days=30, access_keys_days=None, rotate_after_days={"sap_b1": 365, "never": None, "strict": 7}
    )
    connection(office, "usual", system="erpnext", days=31)
    connection(office, "books", system="quickbooks", days=4000)
    connection(office, "b1", system="sap_b1", days=360)
    connection(office, "never", system="erpnext", days=4000)
    connection(office, "strict", system="sap_b1", days=8)
    office.look()
    assert sorted(told(office)) == [
        "[erpflow] strict: its secret is 8 days old",
        "[erpflow] usual: its secret is 31 days old",
    ]


def test_a_look_at_single_syncs_neither_begins_nor_ends_it(office: Office) -> None:
    connection(office, "erpnext_main", system="erpnext", days=91)
    office.look(only=[office.config()])
    assert office.rows() == []
    office.look()
    office.look(only=[office.config()])
    assert office.inboxes[0].said() == [("new", "rotation")]


def test_what_is_gone_is_over(office: Office) -> None:
    connection(office, "erpnext_main", system="erpnext", days=91)
    office.look()
    office.shop.do("DELETE FROM erpflow.erp_connections WHERE name = 'erpnext_main'")
    office.look()
    assert office.inboxes[0].said() == [("new", "rotation"), ("resolved", "rotation")]


def test_a_connection_from_before_is_as_old_as_its_row(empty_database: Database) -> None:
    upgrade(empty_database, to=steps()[steps().index("s013") - 1])
    with empty_database.transaction() as store:
        store.execute(
            "INSERT INTO erpflow.erp_connections (tenant_id, name, system, airflow_conn_id, created_at)"
            " SELECT id, 'shop', 'erpnext', 'shop', %s FROM erpflow.erp_tenants",
            [OLD],
        )
    upgrade(empty_database)
    with empty_database.transaction() as store:
        [secret] = kept_secrets(store, now=NOW)
    assert (secret.holder, secret.name, secret.rotated_at) == (Holder.CONNECTION, "shop", OLD)


# What counts as another secret.


@pytest.fixture
def vault(new_database: Database) -> Vault:
    """A vault in an Airflow of its own."""
    with new_database.transaction() as store:
        store.execute(CONNECTION_TABLE)
    return Vault(new_database, fernet_keys=Fernet.generate_key().decode())


@pytest.fixture
def new_database(new_database_url: Any) -> Database:
    return Database(new_database_url())


KNOWN = Credentials(
    conn_id="shop",
    conn_type="erpnext",
    host="https://erp.example.com",
    login="key",
    password=Secret(CANARY),
    extra={"company": "Acme", "pin": "1234"},
)


@pytest.fixture
def row(fresh_database: Database, vault: Vault) -> ErpConnection:
    """A connection whose secret has been the same for years."""
    vault.write(KNOWN)
    with fresh_database.transaction() as store:
        found = add_connection(store, "shop", system="erpnext")
        store.execute("UPDATE erpflow.erp_connections SET secret_rotated_at = %s", [OLD])
    return found


def rotated_by(change: Credentials, row: ErpConnection, vault: Vault, database: Database) -> bool:
    """Whether this change counts as another secret: by what is answered, and by the age that is kept."""
    with database.transaction() as store:
        answered = write_secret(store, vault, row.id, change, secret_settings=frozenset({"pin"}))
        [secret] = kept_secrets(store, now=NOW)
    noted = secret.rotated_at > datetime.now(UTC) - timedelta(minutes=5)
    assert answered == noted
    assert vault.read("shop") == change
    return answered


@pytest.mark.parametrize(
    ("changes", "is_another"),
    [
        ({"password": Secret("next")}, True),
        ({"login": "other"}, True),
        ({"password": None}, True),
        ({"extra": {"company": "Acme", "pin": "9999"}}, True),
        ({"extra": {"company": "Other", "pin": "1234"}}, False),
        ({"host": "https://new.example.com"}, False),
        ({}, False),
    ],
)
def test_an_address_or_a_setting_may_change_and_the_secret_is_as_old_as_before(
    changes: dict[str, Any], is_another: bool, row: ErpConnection, vault: Vault, fresh_database: Database
) -> None:
    assert rotated_by(replace(KNOWN, **changes), row, vault, fresh_database) is is_another


def test_a_secret_that_nobody_can_read_any_more_is_another_one(
    row: ErpConnection, new_database: Database, fresh_database: Database
) -> None:
    other = Vault(new_database, fernet_keys=Fernet.generate_key().decode())
    assert rotated_by(KNOWN, row, other, fresh_database)


def test_what_could_not_be_kept_is_not_noted(
    row: ErpConnection, vault: Vault, fresh_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", "erpnext://elsewhere")
    with fresh_database.session() as store:
        with pytest.raises(ConfigError, match="AIRFLOW_CONN_SHOP is set"):
            write_secret(store, vault, row.id, replace(KNOWN, password=Secret("next")))
        [secret] = kept_secrets(store, now=NOW)
    assert secret.rotated_at == OLD


# From the command line.


@pytest.fixture
def site(installation: Installation) -> Installation:
    """A connection that was added here years ago, so to speak."""
    words = ("connection", "add", "site", "--system", "erpnext", "--url", "https://erp.example.com", "--login", "key")
    ended = installation.run(*words, "--password-stdin", given="first\n")
    assert (ended.status, ended.err) == (0, "")
    assert age(installation) < timedelta(minutes=5)
    with installation.database.session() as store:
        store.execute("UPDATE erpflow.erp_connections SET secret_rotated_at = %s", [OLD])
    return installation


def age(installation: Installation) -> timedelta:
    [(rotated_at,)] = installation.rows("SELECT secret_rotated_at FROM erpflow.erp_connections")
    return datetime.now(UTC) - rotated_at


def password_of(installation: Installation) -> str | None:
    environment = installation.environment
    vault = Vault(
        Database(environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]),
        fernet_keys=environment["AIRFLOW__CORE__FERNET_KEY"],
    )
    found = vault.read("site").password
    return found.reveal() if found else None


def test_a_secret_is_rotated_from_the_command_line(site: Installation) -> None:
    ended = site.run("connection", "rotate", "site", "--password-stdin", given=f"{CANARY}\n")
    assert (ended.status, ended.err) == (0, "")
    assert CANARY not in ended.out
    assert password_of(site) == CANARY
    assert age(site) < timedelta(minutes=5)


def test_one_that_was_rotated_elsewhere_is_only_noted(site: Installation) -> None:
    ended = site.run("connection", "rotate", "site", "--elsewhere")
    assert (ended.status, ended.err) == (0, "")
    assert password_of(site) == "first"
    assert age(site) < timedelta(minutes=5)
    both = site.run("connection", "rotate", "site", "--elsewhere", "--login", "other")
    assert both.status == 1
    assert "leave --login and --password-stdin out" in both.err


@pytest.mark.parametrize(("given", "said"), [("first\n", "has already"), ("\n", "Nothing was changed")])
def test_the_same_secret_or_none_is_no_rotation(site: Installation, given: str, said: str) -> None:
    ended = site.run("connection", "rotate", "site", "--password-stdin", given=given)
    assert ended.status == 1
    assert said in ended.err
    assert age(site) > timedelta(days=365)
    assert password_of(site) == "first"


def test_a_setting_that_is_no_secret_leaves_the_age_alone(installation: Installation) -> None:
    words = ("connection", "add", "b1", "--system", "sap_b1", "--url", "https://b1.example.com:50000", "--login", "u")
    more = ("--set", "company_db=SBO", "--set", "time_zone=Europe/Berlin", "--password-stdin")
    assert installation.run(*words, *more, given="first\n").status == 0
    with installation.database.session() as store:
        store.execute("UPDATE erpflow.erp_connections SET secret_rotated_at = %s", [OLD])
    assert installation.run("connection", "set", "b1", "company_db=OTHER").status == 0
    assert age(installation) > timedelta(days=365)
