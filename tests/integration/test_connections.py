"""Connections, sync configs and tenants as rows."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest

from erpflow.errors import AlreadyRunning, ConfigError, DatabaseUnavailable
from erpflow.store import configs, connections, locks, tenants
from erpflow.store.connections import ConnectionStatus
from erpflow.store.database import Database, from_environment, translate_errors
from erpflow.vocabulary import DEFAULT_TENANT, ConflictStrategy, Direction, SyncConfigId, TenantId

CONFIG = SyncConfigId("11111111-0000-0000-0000-000000000000")


def test_a_new_connection_has_not_been_checked(fresh_database: Database) -> None:
    with fresh_database.transaction() as connection:
        added = connections.add_connection(connection, "shop", system="erpnext", options={"page": 5})
        found = connections.get_connection(connection, "shop")
    assert found == added
    assert (found.status, found.airflow_conn_id, found.options) == (ConnectionStatus.UNKNOWN, "shop", {"page": 5})
    assert found.tenant_id == DEFAULT_TENANT
    assert found.created_at.utcoffset() == timedelta(0)


def test_an_unknown_connection_is_answered_with_the_nearest(fresh_database: Database) -> None:
    with fresh_database.transaction() as connection:
        connections.add_connection(connection, "erpnext_demo", system="erpnext")
        with pytest.raises(ConfigError, match=r'no connection "erpnext_dmo" \(did you mean "erpnext_demo"\?\)'):
            connections.get_connection(connection, "erpnext_dmo")


def test_a_name_is_taken_once_and_the_transaction_goes_on(fresh_database: Database) -> None:
    with fresh_database.transaction() as connection:
        connections.add_connection(connection, "shop", system="erpnext")
        with pytest.raises(ConfigError, match='a connection "shop" already'):
            connections.add_connection(connection, "shop", system="erpnext", airflow_conn_id="other")
        with pytest.raises(ConfigError, match='uses the Airflow connection "shop" already'):
            connections.add_connection(connection, "second", system="erpnext", airflow_conn_id="shop")
        assert [found.name for found in connections.list_connections(connection)] == ["shop"]


def test_what_follows_a_failure_in_the_same_transaction_takes_the_connection_back(fresh_database: Database) -> None:
    with pytest.raises(ConfigError, match="no key"), fresh_database.transaction() as connection:
        connections.add_connection(connection, "shop", system="erpnext")
        raise ConfigError("no key")
    with fresh_database.transaction() as connection:
        assert connections.list_connections(connection) == []


def test_ensuring_a_connection_twice_keeps_it(fresh_database: Database) -> None:
    with fresh_database.transaction() as connection:
        first = connections.ensure_connection(connection, "shop", system="erpnext")
        connections.set_status(connection, first.id, ConnectionStatus.ACTIVE, account="Administrator")
        second = connections.ensure_connection(connection, "shop", system="erpnext", options={"a": 1})
        assert (second.id, second.status, second.account) == (first.id, ConnectionStatus.ACTIVE, "Administrator")
        assert second.options == {"a": 1}
        with pytest.raises(ConfigError, match="belongs to another system than zoho_crm"):
            connections.ensure_connection(connection, "shop", system="zoho_crm")


def test_a_good_check_does_not_switch_a_disabled_connection_on(fresh_database: Database) -> None:
    with fresh_database.transaction() as connection:
        added = connections.add_connection(connection, "shop", system="erpnext")
        connections.set_status(connection, added.id, ConnectionStatus.DISABLED, by_person=True)
        connections.set_status(connection, added.id, ConnectionStatus.ACTIVE, message="fine")
        found = connections.get_connection(connection, "shop")
        assert (found.status, found.status_message) == (ConnectionStatus.DISABLED, "fine")
        connections.set_status(connection, added.id, ConnectionStatus.UNKNOWN, by_person=True)
        assert connections.get_connection(connection, "shop").status is ConnectionStatus.UNKNOWN


def test_tenants_do_not_see_each_others_connections(fresh_database: Database) -> None:
    with fresh_database.transaction() as connection:
        other = tenants.add_tenant(connection, "acme", name="Acme GmbH")
        connections.add_connection(connection, "shop", system="erpnext")
        connections.add_connection(
            connection, "shop", system="erpnext", airflow_conn_id="acme_shop", tenant_id=other.id
        )
        assert len(connections.list_connections(connection, tenant_id=other.id)) == 1
        nobody = TenantId("22222222-0000-0000-0000-000000000000")
        with pytest.raises(ConfigError, match="Known: none"):
            connections.get_connection(connection, "shop", tenant_id=nobody)


def test_a_tenant_is_found_by_its_slug_or_the_nearest_is_named(fresh_database: Database) -> None:
    with fresh_database.transaction() as connection:
        assert tenants.get_tenant(connection, "default").id == DEFAULT_TENANT
        with pytest.raises(ConfigError, match='did you mean "default"'):
            tenants.get_tenant(connection, "defualt")
    for slug, message in (("default", "already"), ("Not A Slug", "small letters")):
        with fresh_database.connect() as connection, pytest.raises(ConfigError, match=message):
            tenants.add_tenant(connection, slug, name="X")


def upsert(connection: psycopg.Connection[tuple[object, ...]], every: timedelta) -> configs.SyncConfig:
    shop = connections.ensure_connection(connection, "shop", system="erpnext")
    return configs.upsert_config(
        connection,
        shop.id,
        "customer",
        direction=Direction.PULL,
        conflict=ConflictStrategy.REMOTE_WINS,
        every=every,
        mapping_path="erpnext/customer.yaml",
    )


def test_a_changed_mapping_updates_the_config_and_keeps_its_cursor(fresh_database: Database) -> None:
    with fresh_database.transaction() as connection:
        first = upsert(connection, timedelta(minutes=30))
        connection.execute("UPDATE erpflow.erp_sync_configs SET cursor_at = now()")
        second = upsert(connection, timedelta(days=40, hours=1))
        assert second.id == first.id
        assert (second.every, second.overlap) == (timedelta(days=40, hours=1), timedelta(minutes=5))
        assert second.cursor_at is not None
        assert configs.entities(connection, first.connection_id) == {"customer": first.id}
        configs.set_enabled(connection, first.id, enabled=False)
        assert not configs.get_config(connection, first.connection_id, "customer").enabled
        with pytest.raises(ConfigError, match='did you mean "customer"'):
            configs.get_config(connection, first.connection_id, "customers")


def test_one_run_at_a_time_is_the_writer_of_a_config(database: Database) -> None:
    with database.connect() as mine, database.connect() as theirs:
        locks.hold(mine, CONFIG)
        locks.hold(theirs, SyncConfigId("33333333-0000-0000-0000-000000000000"))
        with pytest.raises(AlreadyRunning, match="nothing was lost"):
            locks.hold(theirs, CONFIG, wait="50ms")
        theirs.rollback()
        mine.rollback()
        locks.hold(theirs, CONFIG, wait="50ms")


def test_a_writer_that_is_gone_leaves_no_lock_behind(database: Database) -> None:
    mine = database.connect()
    locks.hold(mine, CONFIG)
    mine.close()
    with database.connect() as theirs:
        locks.hold(theirs, CONFIG, wait="5s")


def test_a_lost_server_is_a_reason_to_retry_and_nothing_is_half_done(fresh_database: Database) -> None:
    with (
        pytest.raises(DatabaseUnavailable, match="rolled back"),
        fresh_database.transaction() as connection,
        fresh_database.connect(autocommit=True) as other,
    ):
        connection.execute("INSERT INTO app.customers (name) VALUES ('half')")
        other.execute("SELECT pg_terminate_backend(%s)", [connection.info.backend_pid])
        connection.execute("SELECT 1")
    with fresh_database.transaction() as connection:
        assert connection.execute("SELECT count(*) FROM app.customers").fetchone() == (0,)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("SELECT * FROM app.custmers", r'"app.custmers" does not exist.*did you mean "app.customers"'),
        ("INSERT INTO app.customers (nme) VALUES ('x')", r'"nme".*did you mean "name"'),
        ("SELECT c.nme FROM app.customers c", "nme does not exist"),
        ("SELECT * FROM erpflow.erp_tings", "erpflow db upgrade"),
    ],
)
def test_a_name_that_does_not_exist_is_answered_with_the_nearest(
    database: Database, statement: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message), database.transaction() as connection:
        connection.execute(statement.encode())


def test_errors_of_the_data_are_left_to_who_knows_the_record(database: Database) -> None:
    with (
        pytest.raises(psycopg.errors.NotNullViolation),
        translate_errors(database),
        database.connect() as connection,
    ):
        connection.execute("INSERT INTO app.customers (name) VALUES (NULL)")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://erpflow:CANARY/x@host:5432/erpflow",
        "postgresql://erpflow:CANARY@x@host:port/erpflow",
        "postgresql://erpflow:CANARY%zz@host/erpflow",
        "mysql://erpflow:CANARY@host/erpflow",
        "CANARY",
        "postgresql://erpflow:CANARY@127.0.0.1:1/erpflow",
    ],
)
def test_no_message_about_a_database_holds_its_password(url: str) -> None:
    with pytest.raises((ConfigError, DatabaseUnavailable)) as raised:
        Database(url).connect()
    assert "CANARY" not in f"{raised.value!r} {raised.value.__cause__!r}"
    assert raised.value.__suppress_context__ or raised.value.__context__ is None


def test_a_refused_password_needs_a_person(database: Database) -> None:
    user = database.url.split("://")[1].split(":")[0]
    wrong = database.url.replace(f"{user}:", f"{user}:CANARY", 1)
    with pytest.raises(ConfigError, match="refuses the login") as raised:
        Database(wrong).connect()
    assert "CANARY" not in str(raised.value)
    assert "CANARY" not in repr(Database(wrong))


def test_every_session_speaks_utc(database: Database) -> None:
    with database.transaction() as connection:
        row = connection.execute("SELECT current_setting('timezone'), now(), interval '40 days 1 hour'").fetchone()
    assert row is not None
    assert row[0] == "UTC"
    assert row[1].utcoffset() == timedelta(0)
    assert row[2] == timedelta(days=40, hours=1)


def test_the_database_is_named_by_the_environment_or_by_the_state_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pytest.TempPathFactory
) -> None:
    monkeypatch.setenv("ERPFLOW_HOME", str(tmp_path))
    with pytest.raises(ConfigError, match="ERPFLOW_DATABASE_URL=postgresql://"):
        from_environment()
    env = tmp_path / "env"  # type: ignore[operator]
    env.write_text("# written by the demo\nexport ERPFLOW_DATABASE_URL='postgresql://u:p@kept/one'\n")
    assert from_environment().place == "one on kept:5432"
    monkeypatch.setenv("ERPFLOW_DATABASE_URL", "postgresql://u:p@set/two")
    assert from_environment().place == "two on set:5432"
