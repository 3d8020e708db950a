"""The databases the contestants write to, and the proof that all of them wrote the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import psutil  # type: ignore[import-untyped]  # types-psutil is not among our pins
import psycopg
from psycopg import sql

from stack.postgres import Server

TEXT: Final = (
    "id", "name", "company_name", "email", "tax_id", "currency", "language", "status", "notes",
)  # fmt: skip
ADDRESS: Final = ("street", "street2", "city", "state", "postcode", "country")
EXPRESSIONS: Final = {
    "{}::text": (*TEXT, "is_active"),
    "trim_scale({})::text": ("credit_limit", "balance"),
    "{}::jsonb::text": ("phones", "tags"),
    "trunc(extract(epoch FROM {}) * 1000000)::text": ("created_at", "updated_at"),
}
"""How a column is written down so that equal values of different types are equal."""

CONTENT: Final = """
SELECT count(*), coalesce(sum(hashtextextended(concat_ws(E'\\x01', {values}), 0)::numeric), 0)::text FROM {table}
"""

VERSIONS: Final = (
    "SELECT count(*), coalesce(sum(hashtextextended(ctid::text || xmin::text, 0)::numeric), 0)::text FROM {}"
)


@contextmanager
def fresh_database(server: Server, name: str) -> Iterator[str]:
    """An empty database for one contestant and one repetition; gives its URL, drops it after."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        identifier = sql.Identifier(name)
        drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(identifier)
        connection.execute(drop)
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'").format(identifier))
        try:
            yield server.url_for(name)
        finally:
            connection.execute(drop)


def settle(database_url: str) -> None:
    """Between two loads: what the load before left to write and to clean up is not charged to the next one."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE)")
        connection.execute("CHECKPOINT")


def content(database_url: str, schema: str, *, address_prefix: str) -> tuple[int, str]:
    """Rows of `<schema>.customers` and a sum over all their values that does not depend on their order."""
    columns = [(form, name) for form, names in EXPRESSIONS.items() for name in names]
    columns += [("{}::text", f"{address_prefix}{name}") for name in ADDRESS]
    values = [
        sql.SQL("coalesce({}, E'\\x02')").format(sql.SQL(form).format(sql.Identifier(name))) for form, name in columns
    ]
    statement = sql.SQL(CONTENT).format(values=sql.SQL(", ").join(values), table=sql.Identifier(schema, "customers"))
    with psycopg.connect(database_url) as connection:
        row: Any = connection.execute(statement).fetchone()
    return int(row[0]), str(row[1])


def versions(database_url: str, schema: str) -> tuple[int, str]:
    """Rows of `<schema>.customers` and a sum over their physical versions: it changes with every write to the table."""
    statement = sql.SQL(VERSIONS).format(sql.Identifier(schema, "customers"))
    with psycopg.connect(database_url) as connection:
        row: Any = connection.execute(statement).fetchone()
    return int(row[0]), str(row[1])


def server_cpu_seconds(database_url: str) -> float:
    """What the server and all its sessions, also those that have ended, have computed; 0 when it runs elsewhere."""
    with psycopg.connect(database_url) as connection:
        try:
            server = psutil.Process(connection.info.backend_pid).parent()
            if server is None or not server.name().startswith("postgres"):
                return 0.0
            ended = server.cpu_times()
            alive = [each.cpu_times() for each in server.children()]
        except psutil.Error:
            return 0.0
    spent = ended.user + ended.system + ended.children_user + ended.children_system
    return float(spent + sum(each.user + each.system for each in alive))
