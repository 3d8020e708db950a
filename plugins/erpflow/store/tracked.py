"""What is compared of a user's row: its columns as texts that are the same for the same value, and its lines as one.

A two-way sync remembers what both sides agreed on, column by column. Texts are compared and kept, because they survive
a change of a column's type and are what a person reads in a conflict. The lines of a child table are one value: the
JSON text of all of them in the order of their key.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from psycopg import sql

from erpflow.store.tables import Table


@dataclass(frozen=True, slots=True)
class Lines:
    """A child table: `parent` names the row, `key` tells lines apart.

    `pulled` and `pushed`: the columns that a pull writes and a push reads.
    """

    table: Table
    parent: str
    key: str
    pulled: tuple[str, ...]
    pushed: tuple[str, ...]

    @property
    def name(self) -> str:
        """Under which all lines together are one value."""
        return self.table.name


@dataclass(frozen=True, slots=True)
class Tracked:
    """A table as a two-way sync sees it: key, times, and the columns that a pull writes and a push reads."""

    table: Table
    key: str
    modified: str | None
    deleted: str | None
    pulled: tuple[str, ...]
    pushed: tuple[str, ...]
    lines: tuple[Lines, ...] = ()

    @property
    def key_type(self) -> sql.SQL:
        """The SQL type of the key."""
        return sql.SQL(self.table.columns[self.key].type)

    def row_values(self, alias: str, columns: Sequence[str], *, lines: str) -> sql.Composed:
        """The columns of a row `alias` as a jsonb object of texts; its lines as `pulled` or `pushed` sees them."""
        names: list[sql.Composable] = [sql.Literal(name) for name in columns]
        texts = [canonical(self.table, name, column(alias, name)) for name in columns]
        for child in self.lines:
            if chosen := getattr(child, lines):
                names.append(sql.Literal(child.name))
                texts.append(lines_text(child, chosen, parent=column(alias, self.key)))
        return as_object(names, texts)

    def row_hash(self, alias: str) -> sql.Composed:
        """A hash of what a push reads of row `alias`: equal for equal rows, all but surely another for others."""
        values: list[sql.Composable] = [
            canonical(self.table, name, column(alias, name))
            if self.table.columns[name].compared_as_text
            else column(alias, name)
            for name in self.pushed
        ]
        values += [
            lines_text(child, child.pushed, parent=column(alias, self.key)) for child in self.lines if child.pushed
        ]
        return sql.SQL("hash_record_extended(ROW({}), 0)").format(csv(values))

    def is_deleted(self, alias: str) -> sql.Composable:
        """Whether row `alias` is marked as deleted; false for a table without such a mark."""
        if self.deleted is None:
            return sql.SQL("false")
        mark = column(alias, self.deleted)
        if self.table.columns[self.deleted].type == "boolean":
            return sql.SQL("coalesce({}, false)").format(mark)
        return sql.SQL("({} IS NOT NULL)").format(mark)

    def modified_at(self, alias: str) -> sql.Composable:
        """When row `alias` was changed, by its own clock; NULL for a table that does not say."""
        if self.modified is None:
            return sql.SQL("NULL::timestamptz")
        return as_instant(self.table, self.modified, column(alias, self.modified))


def column(alias: str, name: str) -> sql.Composed:
    """A quoted column of an alias."""
    return sql.SQL("{}.{}").format(sql.Identifier(alias), sql.Identifier(name))


def csv(parts: Iterable[sql.Composable]) -> sql.Composed:
    """Expressions between commas."""
    return sql.SQL(", ").join(parts)


def as_object(names: Sequence[sql.Composable], texts: Sequence[sql.Composable]) -> sql.Composed:
    """A jsonb object of texts; `jsonb_object`, for `jsonb_build_object` ends at fifty columns."""
    return sql.SQL("jsonb_object(ARRAY[{}]::text[], ARRAY[{}]::text[])").format(csv(names), csv(texts))


def canonical(table: Table, name: str, value: sql.Composable) -> sql.Composed:
    """A value of a column as the text that is the same for the same value: 7 is 7.00, and a time is UTC."""
    kind = table.columns[name].type
    if kind.startswith("numeric"):
        return sql.SQL("trim_scale({})::text").format(value)
    if kind in ("json", "jsonb"):
        return sql.SQL("{}::jsonb::text").format(value)
    if kind.startswith("timestamp"):
        return sql.SQL("{}::text").format(as_instant(table, name, value))
    return sql.SQL("{}::text").format(value)


def as_instant(table: Table, name: str, value: sql.Composable) -> sql.Composable:
    """A time column as timestamptz; one without a zone is UTC, as a pull writes it."""
    if table.columns[name].type.endswith("with time zone"):
        return value
    return sql.SQL("({} AT TIME ZONE 'UTC')").format(value)


def lines_text(lines: Lines, columns: Sequence[str], *, parent: sql.Composable) -> sql.Composed:
    """All lines of a row as JSON text, in the order of their key."""
    rows = sql.SQL("{} x WHERE x.{} = {}").format(lines.table.identifier, sql.Identifier(lines.parent), parent)
    texts = [canonical(lines.table, name, column("x", name)) for name in columns]
    return _aggregated(columns, texts, order=column("x", lines.key), rows=rows)


def staged_lines_text(
    lines: Lines, values: Sequence[sql.Composable], *, order: sql.Composable, stage: sql.Identifier, number: sql.SQL
) -> sql.Composed:
    """The same of the lines in a stage: `values` are its expressions for the pulled columns over alias `c`."""
    texts = [canonical(lines.table, name, value) for name, value in zip(lines.pulled, values, strict=True)]
    return _aggregated(lines.pulled, texts, order=order, rows=sql.SQL("{} c WHERE c.n = {}").format(stage, number))


def _aggregated(
    columns: Sequence[str], texts: Sequence[sql.Composable], *, order: sql.Composable, rows: sql.Composable
) -> sql.Composed:
    names = [sql.Literal(name) for name in columns]
    return sql.SQL("(SELECT coalesce(jsonb_agg({} ORDER BY {}), '[]')::text FROM {})").format(
        as_object(names, texts), order, rows
    )
