"""Lists for the API: newest first, page by page, filtered. What is listed is data; how, is here."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, LiteralString

import msgspec
import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from erpflow.errors import ConfigError

Row = dict[str, Any]
_BROKEN: Final = "`after` is not what an earlier page gave as `next`. Pass that on unchanged, or leave it out."


@dataclass(frozen=True, slots=True)
class Listing:
    """A list of one kind of thing.

    `select`: the statement up to its conditions, which end in `WHERE true` or more. `order`: the columns that sort it,
    each with its type, all descending (`descending`) or all ascending; together they are unique. `filters`: the
    conditions a caller may add by name, with `%(name)s` for the value.
    """

    select: LiteralString
    order: tuple[tuple[LiteralString, LiteralString], ...]
    filters: Mapping[str, LiteralString] = field(default_factory=dict)
    descending: bool = True

    def statement(self, wanted: Mapping[str, Any], *, goes_on: bool) -> sql.Composed:
        """The statement of one page."""
        columns = sql.SQL(", ").join(sql.SQL(name) for name, _ in self.order)
        way = sql.SQL(" DESC" if self.descending else "")
        conditions: list[sql.Composable] = [sql.SQL(self.filters[name]) for name in wanted]
        if goes_on:
            behind = sql.SQL(", ").join(
                sql.Placeholder(f"after_{number}") + sql.SQL("::") + sql.SQL(kind)
                for number, (_, kind) in enumerate(self.order)
            )
            sign = sql.SQL(" < " if self.descending else " > ")
            conditions.append(sql.SQL("({})").format(columns) + sign + sql.SQL("({})").format(behind))
        marks = sql.SQL(", ").join(
            sql.SQL("({})::text AS {}").format(sql.SQL(name), sql.Identifier(f"after_{number}"))
            for number, (name, _) in enumerate(self.order)
        )
        return sql.SQL("SELECT {marks}, {select}{conditions} ORDER BY {order} LIMIT %(limit)s").format(
            marks=marks,
            select=sql.SQL(self.select.lstrip().removeprefix("SELECT").lstrip()),
            conditions=sql.SQL("").join(sql.SQL(" AND ({})").format(each) for each in conditions),
            order=sql.SQL(", ").join(sql.SQL(name) + way for name, _ in self.order),
        )


def page(
    connection: psycopg.Connection[Any], listing: Listing, *, limit: int, after: str | None = None, **filters: Any
) -> tuple[list[Row], str | None]:
    """Up to `limit` rows behind `after`, and what to pass as `after` for the next page; None when this was the last.

    Filters that are None are left out. Raises ConfigError when `after` is not from an earlier page.
    """
    wanted = {name: value for name, value in filters.items() if value is not None}
    marks = _read(after, len(listing.order)) if after else []
    values = {**wanted, "limit": limit + 1, **{f"after_{n}": mark for n, mark in enumerate(marks)}}
    with connection.cursor(row_factory=dict_row) as cursor:
        try:
            rows = cursor.execute(listing.statement(wanted, goes_on=bool(marks)), values).fetchall()
        except psycopg.DataError:
            if not marks:
                raise
            raise ConfigError(_BROKEN) from None
    found = [[str(row.pop(f"after_{n}")) for n in range(len(listing.order))] for row in rows]
    return rows[:limit], _written(found[limit - 1]) if len(rows) > limit else None


def _written(marks: list[str]) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(marks)).decode().rstrip("=")


def _read(after: str, count: int) -> list[str]:
    try:
        marks = msgspec.json.decode(base64.urlsafe_b64decode(after + "=" * (-len(after) % 4)), type=list[str])
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        raise ConfigError(_BROKEN) from None
    if len(marks) != count or any("\0" in mark for mark in marks):
        raise ConfigError(_BROKEN)
    return marks
