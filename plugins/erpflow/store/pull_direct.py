"""The first load of a sync config: chunks that are all new go straight into the table, by COPY, without a stage.

Nothing is decided here. A chunk is written as if every record in it were new, within a savepoint; a record that is
known, a row that the table refuses, or a row of the user's that a record should have been tied to undoes all of it,
and the chunk takes the usual way (`pull.py`), which decides record by record. Half of a first load's work in Postgres
is the stage, the decision and the join back to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import psycopg
from psycopg import sql

from erpflow.store.pull_sql import HEAD

if TYPE_CHECKING:
    from erpflow.store.pull import Batch
    from erpflow.store.pull_sql import PullTarget

Connection = psycopg.Connection[Any]

PLAIN_TEXT: Final = ("text", "character varying")
"""Types of a mapped key whose COPY text is the text of the value itself."""

RECORD_COLUMNS: Final = (
    *HEAD, "local_id", "sync_config_id", "tenant_id", "log_id", "first_log_id",
)  # fmt: skip

UNDONE: Final = (
    psycopg.errors.DataError,
    psycopg.errors.IntegrityError,
    psycopg.errors.RaiseException,
    psycopg.errors.ProgramLimitExceeded,
    psycopg.errors.NotSupportedError,  # a table with row-level security takes no COPY
    psycopg.errors.WrongObjectType,  # nor does a view
)

INDEXED: Final = """
SELECT EXISTS (
    SELECT 1 FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
    WHERE i.indrelid = to_regclass(%s) AND i.indpred IS NULL AND a.attname = ANY (%s)
)
"""


class DirectCopy:
    """Writes whole chunks of new records for one sync log over one connection."""

    def __init__(self, connection: Connection, target: PullTarget, *, parameters: Mapping[str, str]) -> None:
        self._connection = connection
        self._target = target
        self._parameters = parameters
        self._is_possible = _is_plain(connection, target)
        self._key_at = target.staged.columns.index(target.key) if target.key in target.staged.columns else None
        self._tail = b"\tnow\n" if target.modified and target.modified not in target.staged.columns else b"\n"
        constants = [parameters[name] for name in ("config", "tenant", "log", "log")]
        self._record_tail = "".join(f"\t{value}" for value in constants).encode() + b"\n"

    def apply(self, batch: Batch) -> bool:
        """Write all of a chunk; False when nothing was written and the chunk has to take the usual way."""
        if not (self._is_possible and batch.fresh):
            return False
        try:
            with self._connection.transaction() as savepoint:
                if not self._write(batch):
                    raise psycopg.Rollback(savepoint)
                return True
        except (psycopg.errors.NotSupportedError, psycopg.errors.WrongObjectType):
            self._is_possible = False
        except UNDONE:
            pass
        return False

    def _write(self, batch: Batch) -> bool:
        rows = batch.rows.split(b"\n")[:-1]
        keys = self._new_keys(len(rows)) if self._key_at is None else _column(rows, self._key_at)
        if keys is None:
            return False
        columns = list(self._target.staged.columns)
        payload = batch.rows
        if self._key_at is None:
            columns.insert(0, self._target.key)
            payload = b"".join([b"%b\t%b%b" % (key, row, self._tail) for key, row in zip(keys, rows, strict=True)])
        elif self._tail != b"\n":
            payload = b"".join([row + self._tail for row in rows])
        if self._tail != b"\n":
            columns.append(self._target.modified or "")
        heads = batch.heads.split(b"\n")
        tail = self._record_tail
        records = b"".join([b"%b\t%b%b" % (head, key, tail) for head, key in zip(heads, keys, strict=False)])
        written = self._copy(self._target.staged.table.identifier, columns, payload)
        tied = self._copy(sql.Identifier("erpflow", "erp_entity_sync_records"), RECORD_COLUMNS, records)
        self._connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
        return written == tied == batch.count and not self._meets_an_untied_row(keys)

    def _copy(self, table: sql.Identifier, columns: list[str] | tuple[str, ...], payload: bytes) -> int:
        """COPY a payload and say how many rows came to be: a trigger may have kept some out."""
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        statement = sql.SQL("COPY {} ({}) FROM STDIN").format(table, names)
        with self._connection.cursor() as cursor:
            with cursor.copy(statement) as copy:
                copy.write(payload)
            return cursor.rowcount

    def _new_keys(self, count: int) -> list[bytes] | None:
        """Keys as the table's own default gives them; None when one of them would have to be escaped."""
        statement = sql.SQL("SELECT string_agg(({})::text, E'\\n') FROM generate_series(1, {})").format(
            sql.SQL(self._target.key_column.default or "NULL"), sql.Literal(count)
        )
        row = self._connection.execute(statement).fetchone()
        text = str(row[0] or "").encode() if row else b""
        keys = text.split(b"\n")
        return None if len(keys) != count or b"\\" in text or b"\t" in text else keys

    def _meets_an_untied_row(self, keys: list[bytes]) -> bool:
        """Whether the user has a row with the natural key of one of these that belongs to no record yet."""
        if not self._target.match_on:
            return False
        joined = b"\n".join(keys)
        if b"\\" in joined:
            return True
        row = self._connection.execute(
            _untied(self._target), {"keys": joined.decode(), "config": self._parameters["config"]}
        ).fetchone()
        return bool(row and row[0])


def _is_plain(connection: Connection, target: PullTarget) -> bool:
    """Whether the lines of a chunk are rows of the table as they are, and its natural key can be looked up fast."""
    if target.staged.lookups or target.children:
        return False
    if target.key in target.staged.columns and not target.key_column.type.startswith(PLAIN_TEXT):
        return False
    if not target.match_on:
        return True
    name = target.staged.table.identifier.as_string(connection)
    row = connection.execute(INDEXED, (name, list(target.match_on))).fetchone()
    return bool(row and row[0])


def _column(rows: list[bytes], position: int) -> list[bytes] | None:
    """One column of COPY lines; None when it has no value somewhere."""
    values = [row.split(b"\t", position + 1)[position] for row in rows]
    return None if b"\\N" in values else values


def _untied(target: PullTarget) -> sql.Composed:
    same = [sql.SQL("o.{0} = t.{0}").format(sql.Identifier(name)) for name in target.match_on]
    return sql.SQL(
        """
        SELECT EXISTS (
            SELECT 1
            FROM unnest(string_to_array(%(keys)s, E'\\n')::{kind}[]) u (key)
            JOIN {table} t ON t.{key} = u.key
            JOIN {table} o ON {same} AND o.{key} <> t.{key}
            WHERE NOT EXISTS (SELECT 1 FROM erpflow.erp_entity_sync_records k
                              WHERE k.sync_config_id = %(config)s AND k.local_id = o.{key}::text
                                AND k.status <> 'deleted')
        )
        """
    ).format(
        kind=target.staged.type_of(target.key),
        table=target.staged.table.identifier,
        key=sql.Identifier(target.key),
        same=sql.SQL(" AND ").join(same),
    )
