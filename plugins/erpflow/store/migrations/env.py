"""Alembic's entry point: runs on the connection that `erpflow.store.migrate` opened, and on no other."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

VERSION_TABLE = "erp_schema_version"
VERSION_SCHEMA = "erpflow"


def run(connection: Connection) -> None:
    """Apply the wanted steps, each in a transaction of its own: a killed upgrade goes on where it stood."""
    context.configure(
        connection=connection,
        version_table=VERSION_TABLE,
        version_table_schema=VERSION_SCHEMA,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


run(context.config.attributes["connection"])
