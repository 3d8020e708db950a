"""The schema of a database and how it gets there."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from enum import StrEnum

import psycopg
import pytest

from erpflow.errors import ConfigError
from erpflow.store.database import Database
from erpflow.store.migrate import steps, upgrade
from erpflow.vocabulary import (
    DEFAULT_TENANT,
    CauseKind,
    ConflictStrategy,
    DeliveryState,
    Direction,
    EventType,
    FindingKind,
    GstReturnState,
    SyncStatus,
)

STATE_TABLES = {
    "erp_api_keys",
    "erp_conflicts",
    "erp_connections",
    "erp_deliveries",
    "erp_entity_sync_records",
    "erp_events",
    "erp_field_mappings",
    "erp_gst_returns",
    "erp_gst_sessions",
    "erp_messages",
    "erp_notifications",
    "erp_oauth_consents",
    "erp_oauth_tokens",
    "erp_payment_requests",
    "erp_push_attempts",
    "erp_rate_accounts",
    "erp_rate_limits",
    "erp_reconciliation_findings",
    "erp_reconciliations",
    "erp_record_history",
    "erp_reject_payloads",
    "erp_rejects",
    "erp_schema_version",
    "erp_subscriptions",
    "erp_sync_configs",
    "erp_sync_logs",
    "erp_tenants",
    "erp_tenant_members",
    "erp_idempotency_keys",
    "erp_transform_templates",
    "erp_webhook_events",
    "erp_webhooks",
}
DEMO_TABLES = {
    "addresses",
    "contacts",
    "customers",
    "deals",
    "invoice_items",
    "invoices",
    "order_items",
    "orders",
    "payments",
    "prices",
    "products",
    "stock",
    "tax_rates",
}


def tables(database: Database, schema: str) -> set[str]:
    with database.transaction() as connection:
        return {row[0] for row in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", [schema])}


def schema_of(database: Database) -> list[tuple[object, ...]]:
    """Every column and constraint of our schemas, comparable between databases."""
    with database.transaction() as connection:
        return connection.execute(
            """
            SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
                   pg_get_expr(d.adbin, d.adrelid)
            FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
            LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
            WHERE n.nspname IN ('erpflow', 'app') AND a.attnum > 0
            UNION ALL
            SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), convalidated, NULL
            FROM pg_constraint WHERE connamespace::regnamespace::text IN ('erpflow', 'app')
            ORDER BY 1, 2, 3
            """
        ).fetchall()


def test_an_empty_database_gets_the_state_and_no_business_tables(empty_database: Database) -> None:
    done = upgrade(empty_database)
    assert done.applied == steps()
    assert tables(empty_database, "erpflow") == STATE_TABLES
    assert tables(empty_database, "app") == set()
    assert tables(empty_database, "public") == set()


def test_the_demo_tables_come_on_request_also_later(empty_database: Database) -> None:
    upgrade(empty_database)
    done = upgrade(empty_database, demo_tables=True)
    assert done.applied == steps("demo")
    assert tables(empty_database, "app") == DEMO_TABLES


@pytest.mark.parametrize("step", steps("demo"))
def test_each_step_of_the_demo_starts_from_the_one_before(
    step: str, empty_database: Database, fresh_database: Database
) -> None:
    upgrade(empty_database)
    position = steps("demo").index(step)
    if position:
        upgrade(empty_database, to=steps("demo")[position - 1])
    assert upgrade(empty_database, to=step).applied == (step,)
    upgrade(empty_database, demo_tables=True)
    assert schema_of(empty_database) == schema_of(fresh_database)


def test_a_second_upgrade_changes_nothing(empty_database: Database) -> None:
    first = upgrade(empty_database, demo_tables=True)
    before = schema_of(empty_database)
    second = upgrade(empty_database, demo_tables=True)
    assert second.applied == ()
    assert second.revisions == first.revisions
    assert schema_of(empty_database) == before


def test_two_upgrades_at_once_do_the_work_once(empty_database: Database) -> None:
    program = (
        "import sys; from erpflow.store.database import Database; from erpflow.store.migrate import upgrade; "
        "print(len(upgrade(Database(sys.argv[1]), demo_tables=True).applied))"
    )
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", program, empty_database.url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    outcomes = [(racer.communicate(timeout=60), racer.returncode) for racer in racers]
    assert [code for _, code in outcomes] == [0, 0, 0], outcomes
    every_step = len(steps()) + len(steps("demo"))
    assert sorted(int(printed) for (printed, _), _ in outcomes) == [0, 0, every_step]
    assert tables(empty_database, "erpflow") == STATE_TABLES


@pytest.mark.parametrize("step", steps())
def test_each_step_starts_from_the_one_before_and_ends_where_all_at_once_ends(
    step: str, empty_database: Database, fresh_database: Database
) -> None:
    position = steps().index(step)
    if position:
        upgrade(empty_database, to=steps()[position - 1])
    done = upgrade(empty_database, to=step)
    assert done.applied == (step,)
    upgrade(empty_database, demo_tables=True)
    assert schema_of(empty_database) == schema_of(fresh_database)


def test_an_upgrade_killed_between_two_steps_goes_on_where_it_stood(empty_database: Database) -> None:
    upgrade(empty_database, to="s001")
    assert "erp_sync_logs" not in tables(empty_database, "erpflow")
    assert upgrade(empty_database).applied == steps()[1:]


def test_data_survives_an_upgrade(empty_database: Database) -> None:
    upgrade(empty_database, to="s001")
    with empty_database.transaction() as connection:
        connection.execute("INSERT INTO erpflow.erp_tenants (name, slug) VALUES ('Ours', 'ours')")
    upgrade(empty_database, demo_tables=True)
    with empty_database.transaction() as connection:
        rows = connection.execute("SELECT slug FROM erpflow.erp_tenants ORDER BY slug").fetchall()
    assert rows == [("default",), ("ours",)]


def test_the_default_tenant_exists(database: Database) -> None:
    with database.transaction() as connection:
        row = connection.execute("SELECT slug FROM erpflow.erp_tenants WHERE id = %s", [DEFAULT_TENANT]).fetchone()
    assert row == ("default",)


def test_airflows_metadata_database_is_refused(new_database_url: Callable[[], str]) -> None:
    database = Database(new_database_url())
    with database.transaction() as connection:
        connection.execute("CREATE TABLE dag_run (id int)")
    with pytest.raises(ConfigError, match=r"is Airflow's metadata database.*ERPFLOW_DATABASE_URL"):
        upgrade(database)
    assert tables(database, "erpflow") == set()


def test_a_database_that_is_not_there_is_named(empty_database: Database) -> None:
    missing = Database(empty_database.url + "_gone")
    with pytest.raises(ConfigError, match=r"There is no database erpflow_test_\w+_gone on .*CREATE DATABASE"):
        upgrade(missing)


def test_a_schema_of_a_newer_erpflow_is_left_alone(empty_database: Database) -> None:
    upgrade(empty_database)
    with empty_database.transaction() as connection:
        connection.execute("UPDATE erpflow.erp_schema_version SET version_num = 's999'")
    with pytest.raises(ConfigError, match=r"newer erpflow .step s999 is unknown"):
        upgrade(empty_database)


@pytest.mark.parametrize(
    ("table", "column", "words"),
    [
        ("erp_sync_configs", "direction", Direction),
        ("erp_sync_configs", "conflict", ConflictStrategy),
        ("erp_conflicts", "strategy", ConflictStrategy),
        ("erp_sync_logs", "direction", Direction),
        ("erp_sync_logs", "status", SyncStatus),
        ("erp_reconciliation_findings", "kind", FindingKind),
        ("erp_notifications", "kind", CauseKind),
        ("erp_deliveries", "type", EventType),
        ("erp_deliveries", "state", DeliveryState),
        ("erp_gst_returns", "state", GstReturnState),
        ("erp_subscriptions", "events", EventType),
    ],
)
def test_a_column_takes_exactly_the_words_of_the_vocabulary(
    database: Database, table: str, column: str, words: type[StrEnum]
) -> None:
    with database.transaction() as connection:
        definitions = connection.execute(
            """
            SELECT pg_get_constraintdef(c.oid) FROM pg_constraint c
            JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey)
            WHERE c.contype = 'c' AND c.conrelid = %s::regclass AND a.attname = %s AND cardinality(c.conkey) = 1
            """,
            [f"erpflow.{table}", column],
        ).fetchall()
    allowed = set(re.findall(r"'([a-z_.]+)'::text", definitions[0][0]))
    assert allowed == {word.value for word in words}


def test_every_table_of_the_state_belongs_to_a_tenant(database: Database) -> None:
    with database.transaction() as connection:
        rows = connection.execute(
            """
            SELECT table_name FROM information_schema.columns
            WHERE table_schema = 'erpflow' AND column_name = 'tenant_id' AND is_nullable = 'NO' AND data_type = 'uuid'
            """
        ).fetchall()
    # A vendor's account may be asked by several tenants.
    assert {row[0] for row in rows} == STATE_TABLES - {"erp_tenants", "erp_schema_version", "erp_rate_accounts"}


def test_every_foreign_key_has_an_index_to_follow_it(database: Database) -> None:
    with database.transaction() as connection:
        bare = connection.execute(
            """
            SELECT c.conrelid::regclass::text, a.attname
            FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
            WHERE c.contype = 'f' AND a.attname <> 'tenant_id'
              AND c.connamespace::regnamespace::text IN ('erpflow', 'app')
              AND NOT EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = c.conrelid AND i.indkey[0] = a.attnum)
            """
        ).fetchall()
    assert bare == []


def a_config(connection: psycopg.Connection[tuple[object, ...]]) -> object:
    name = f"c{connection.info.backend_pid}"
    row = connection.execute(
        """
        WITH made AS (
            INSERT INTO erpflow.erp_connections (tenant_id, name, system, airflow_conn_id)
            VALUES (%(tenant)s, %(name)s, 'erpnext', %(name)s) RETURNING id
        )
        INSERT INTO erpflow.erp_sync_configs (tenant_id, connection_id, entity, mapping_path)
        SELECT %(tenant)s, id, 'customer', 'm.yaml' FROM made RETURNING id
        """,
        {"tenant": DEFAULT_TENANT, "name": name},
    ).fetchone()
    assert row is not None
    return row[0]


def test_a_deleted_connection_takes_its_configs_logs_and_sync_records_along(fresh_database: Database) -> None:
    with fresh_database.transaction() as connection:
        config = a_config(connection)
        connection.execute(
            "INSERT INTO erpflow.erp_sync_logs (tenant_id, sync_config_id) VALUES (%s, %s)", [DEFAULT_TENANT, config]
        )
        connection.execute(
            "INSERT INTO erpflow.erp_entity_sync_records (sync_config_id, tenant_id, remote_id, local_id, raw_hash)"
            " VALUES (%s, %s, 'r', 'l', 1)",
            [config, DEFAULT_TENANT],
        )
        connection.execute("DELETE FROM erpflow.erp_connections")
        for table in ("erp_sync_configs", "erp_sync_logs", "erp_entity_sync_records"):
            assert connection.execute(f"SELECT count(*) FROM erpflow.{table}").fetchone() == (0,), table


def test_a_finished_run_whose_counts_do_not_add_up_is_refused(fresh_database: Database) -> None:
    insert = (
        "INSERT INTO erpflow.erp_sync_logs (tenant_id, sync_config_id, status, read_count, created_count)"
        " VALUES (%s, %s, %s, 3, %s)"
    )
    with fresh_database.connect(autocommit=True) as connection:
        config = a_config(connection)
        connection.execute(insert, [DEFAULT_TENANT, config, "running", 2])
        connection.execute(insert, [DEFAULT_TENANT, config, "failed", 2])
        connection.execute(insert, [DEFAULT_TENANT, config, "completed", 3])
        with pytest.raises(psycopg.errors.CheckViolation, match="counts_add_up"):
            connection.execute(insert, [DEFAULT_TENANT, config, "completed", 2])


def test_a_reject_seen_again_keeps_what_it_looked_like_before(fresh_database: Database) -> None:
    first, second = b'{"name": "\xff\x00"}', b'{"name": ""}'
    with fresh_database.transaction() as connection:
        config = a_config(connection)
        connection.execute(
            "INSERT INTO erpflow.erp_rejects (tenant_id, sync_config_id, remote_id, payload, problems, stage)"
            " VALUES (%s, %s, 'r', %s, '[]', 'transform')",
            [DEFAULT_TENANT, config, first],
        )
        connection.execute("UPDATE erpflow.erp_rejects SET attempts = attempts + 1")
        connection.execute("UPDATE erpflow.erp_rejects SET payload = %s, attempts = attempts + 1", [second])
        now = connection.execute("SELECT payload, attempts FROM erpflow.erp_rejects").fetchall()
        kept = connection.execute("SELECT payload FROM erpflow.erp_reject_payloads").fetchall()
    assert now == [(second, 3)]
    assert kept == [(first,)]


def test_a_record_has_one_open_reject_and_any_number_of_closed_ones(fresh_database: Database) -> None:
    insert = (
        "INSERT INTO erpflow.erp_rejects (tenant_id, sync_config_id, remote_id, payload, problems, stage, status,"
        " resolved_at) VALUES (%s, %s, 'r', '', '[]', 'load', %s, %s)"
    )
    with fresh_database.connect(autocommit=True) as connection:
        config = a_config(connection)
        for _ in range(2):
            connection.execute(insert, [DEFAULT_TENANT, config, "resolved", "2026-01-01T00:00Z"])
        connection.execute(insert, [DEFAULT_TENANT, config, "open", None])
        with pytest.raises(psycopg.errors.UniqueViolation, match="erp_rejects_open"):
            connection.execute(insert, [DEFAULT_TENANT, config, "open", None])


def test_a_local_change_moves_updated_at_and_the_engines_own_value_stays(fresh_database: Database) -> None:
    with fresh_database.connect(autocommit=True) as connection:
        connection.execute("INSERT INTO app.customers (name, updated_at) VALUES ('A', '2020-01-01T00:00Z')")
        connection.execute("UPDATE app.customers SET city = 'Ljubljana', updated_at = '2021-01-01T00:00Z'")
        engine = connection.execute("SELECT extract(year FROM updated_at)::int FROM app.customers").fetchone()
        connection.execute("UPDATE app.customers SET city = 'Maribor'")
        local = connection.execute("SELECT updated_at = now() OR updated_at > '2022-01-01' FROM app.customers")
        assert engine == (2021,)
        assert local.fetchone() == (True,)


def test_sync_logs_from_before_deletes_were_held_back_hold_none_back(empty_database: Database) -> None:
    upgrade(empty_database, to="s003")
    with empty_database.transaction() as connection:
        connection.execute(
            "INSERT INTO erpflow.erp_sync_logs (tenant_id, sync_config_id) VALUES (%s, %s)",
            [DEFAULT_TENANT, a_config(connection)],
        )
    upgrade(empty_database, to="s004")
    with empty_database.transaction() as connection:
        assert connection.execute("SELECT deletes_waiting FROM erpflow.erp_sync_logs").fetchall() == [(0,)]


def test_what_ended_before_programs_could_subscribe_is_not_told_afterwards(empty_database: Database) -> None:
    upgrade(empty_database, to=steps()[steps().index("s011") - 1])
    with empty_database.transaction() as connection:
        config = a_config(connection)
        for status in ("running", "failed"):
            connection.execute(
                "INSERT INTO erpflow.erp_sync_logs (tenant_id, sync_config_id, status) VALUES (%s, %s, %s)",
                [DEFAULT_TENANT, config, status],
            )
    upgrade(empty_database, to="s011")
    with empty_database.transaction() as connection:
        connection.execute(
            "INSERT INTO erpflow.erp_subscriptions (tenant_id, url, events, secret)"
            " VALUES (%s, 'https://example.com', '{sync.completed,sync.failed}', '')",
            [DEFAULT_TENANT],
        )
        connection.execute("UPDATE erpflow.erp_sync_logs SET status = 'completed' WHERE status = 'running'")
        told = connection.execute("SELECT type FROM erpflow.erp_deliveries").fetchall()
    assert told == [("sync.completed",)]
