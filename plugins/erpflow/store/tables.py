"""What the catalogue knows about a user's tables: asked before a run, so that a wrong name fails at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from erpflow.errors import ConfigError, suggestion

COLUMNS = """
WITH RECURSIVE made_of AS (
    SELECT t.oid AS column_type, t.* FROM pg_type t
    WHERE t.oid IN (SELECT atttypid FROM pg_attribute WHERE attrelid = to_regclass(%(table)s))
    UNION ALL
    SELECT m.column_type, t.* FROM made_of m JOIN pg_type t
    ON t.oid = CASE WHEN m.typtype = 'd' THEN m.typbasetype WHEN m.typcategory = 'A' THEN m.typelem END
)
SELECT a.attname, format_type(a.atttypid, a.atttypmod),
       CASE WHEN a.attidentity <> '' THEN format('nextval(%%L::regclass)', pg_get_serial_sequence(%(table)s, a.attname))
            ELSE pg_get_expr(d.adbin, d.adrelid) END,
       a.attgenerated <> '',
       EXISTS (SELECT FROM made_of m WHERE m.column_type = a.atttypid AND m.typname = ANY (%(loose)s))
       OR EXISTS (SELECT FROM pg_collation c WHERE c.oid = a.attcollation AND NOT c.collisdeterministic)
FROM pg_attribute a
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = to_regclass(%(table)s) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
"""

LOOSE_TYPES = ["json", "xml", "citext", "point", "line", "lseg", "box", "path", "polygon", "circle"]
"""Types, also inside domains and arrays, whose = does not exist or finds different values alike: it ignores case
(citext) or compares areas (box). Source: PostgreSQL, "Geometric Functions and Operators"."""

TABLES = """
SELECT format('%I.%I', table_schema, table_name) FROM information_schema.tables
WHERE table_schema NOT IN ('pg_catalog', 'information_schema')
"""


@dataclass(frozen=True, slots=True)
class Column:
    """A column as the catalogue describes it: `type` as SQL writes it, `default` as an expression or None.

    `generated`: Postgres computes it, nobody can write it. `compared_as_text`: its own = does not see every change.
    """

    name: str
    type: str
    default: str | None
    generated: bool = False
    compared_as_text: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A user's table: `name` as the mapping writes it (`schema.table`) and its columns by name."""

    name: str
    columns: dict[str, Column]

    @property
    def identifier(self) -> sql.Identifier:
        """The quoted name for use in a statement."""
        return sql.Identifier(*self.name.split(".", 1))

    def column(self, name: str, *, where: str) -> Column:
        """The column called `name`; ConfigError with the nearest one when there is none. `where`: what asked for it."""
        try:
            return self.columns[name]
        except KeyError:
            raise ConfigError(
                f'{where}: table {self.name} has no column "{name}"{suggestion(name, self.columns)}. '
                "Correct the mapping or add the column."
            ) from None


def describe(connection: psycopg.Connection[Any], name: str, *, where: str) -> Table:
    """The table called `name` (`schema.table`). Raises ConfigError with the nearest table when there is none."""
    schema, _, table = name.partition(".")
    quoted = sql.Identifier(schema, table).as_string(connection)
    rows = connection.execute(COLUMNS, {"table": quoted, "loose": LOOSE_TYPES}).fetchall()
    if not rows:
        known = [row[0] for row in connection.execute(TABLES)]
        raise ConfigError(
            f'{where}: there is no table "{name}"{suggestion(name, known)}. '
            "Correct the mapping, or create the table first (for the demo's: erpflow db upgrade --with-demo-tables)."
        )
    return Table(name=name, columns={row[0]: Column(*row) for row in rows})
