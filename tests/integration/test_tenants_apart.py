"""Invariant 9, from below: Postgres keeps tenants apart even where a statement does not."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import psycopg
import pytest

from erpflow.errors import ConfigError
from erpflow.store import connections, tenants
from erpflow.store.database import Database
from erpflow.store.tenancy import TenantDatabase
from erpflow.vocabulary import DEFAULT_TENANT, TenantId

# Shared by all tenants by their nature: what a vendor counts together, and the migrations' own table.
SHARED = {"erp_rate_accounts", "erp_schema_version"}
TABLES = """
SELECT c.relname, c.relrowsecurity, EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid),
       has_table_privilege('erpflow_tenant', c.oid, 'SELECT'), c.relname IN (
           SELECT k.relname FROM pg_class k JOIN pg_attribute a ON a.attrelid = k.oid WHERE a.attname = 'tenant_id')
FROM pg_class c WHERE c.relnamespace = 'erpflow'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')
"""

EVERYTHING = """
SELECT t.name, c.name, c.status FROM erpflow.erp_tenants t JOIN erpflow.erp_connections c ON c.tenant_id = t.id
WHERE t.id = %s
"""


@pytest.fixture
def tenanted(fresh_database: Database) -> Iterator[TenantDatabase]:
    found = TenantDatabase(lambda: fresh_database)
    yield found
    found.close()


@pytest.fixture
def other(fresh_database: Database) -> TenantId:
    """Another company, with a connection of its own; the default one has one, too."""
    with fresh_database.transaction() as connection:
        tenant_id = tenants.add_tenant(connection, "acme", name="Acme").id
        connections.add_connection(connection, "ours", system="erpnext")
        connections.add_connection(connection, "theirs", system="erpnext", tenant_id=tenant_id)
    return tenant_id


def test_every_table_of_state_is_behind_a_policy_or_closed(fresh_database: Database) -> None:
    with fresh_database.transaction() as connection:
        found = connection.execute(TABLES).fetchall()
    assert len(found) > 20
    for table, secured, has_policy, readable, has_tenant in found:
        if has_tenant or table == "erp_tenants":
            assert (table, secured, has_policy) == (table, True, True)
        else:
            assert (table, readable) == (table, False)
            assert table in SHARED


def test_a_statement_without_a_condition_sees_one_tenant(tenanted: TenantDatabase, other: TenantId) -> None:
    for tenant_id, name in ((DEFAULT_TENANT, "ours"), (other, "theirs")):
        with tenanted.session(tenant_id) as connection:
            assert connection.execute("SELECT name FROM erpflow.erp_connections").fetchall() == [(name,)]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE erpflow.erp_connections SET status = 'disabled'",
        "DELETE FROM erpflow.erp_connections",
        "UPDATE erpflow.erp_tenants SET name = 'taken over'",
    ],
)
def test_a_write_without_a_condition_touches_one_tenant(
    statement: str, tenanted: TenantDatabase, other: TenantId
) -> None:
    with tenanted.owner() as connection:
        before = connection.execute(EVERYTHING, (other,)).fetchall()
    with tenanted.session(DEFAULT_TENANT) as connection:
        assert connection.execute(statement.encode()).rowcount == 1
    with tenanted.owner() as connection:
        assert connection.execute(EVERYTHING, (other,)).fetchall() == before != []


def test_nobody_writes_a_row_for_another_tenant(tenanted: TenantDatabase, other: TenantId) -> None:
    with (
        pytest.raises(ConfigError, match="row-level security"),
        tenanted.session(DEFAULT_TENANT) as connection,
    ):
        connections.add_connection(connection, "smuggled", system="erpnext", tenant_id=other)


def test_a_pooled_connection_carries_no_tenant_to_the_next_request(tenanted: TenantDatabase, other: TenantId) -> None:
    for number in count():
        with tenanted.session(other) as connection:
            backend = connection.info.backend_pid
            if number == 3:
                break
    with pytest.raises(RuntimeError), tenanted.session(other) as connection:
        raise RuntimeError
    with tenanted.owner() as connection:
        assert connection.info.backend_pid == backend
        assert connection.execute(
            "SELECT current_user = session_user, current_setting('erpflow.tenant')"
        ).fetchone() == (True, "")


def test_the_role_without_a_tenant_sees_nothing(tenanted: TenantDatabase, other: TenantId) -> None:
    with tenanted.owner() as connection:
        connection.execute("SET LOCAL ROLE erpflow_tenant")
        assert connection.execute("SELECT count(*) FROM erpflow.erp_connections").fetchone() == (0,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
            connection.execute("SELECT * FROM erpflow.erp_rate_accounts")
