"""A mapped row as one text: what the bulk path carries, for a tuple per record costs more than the row itself.

The columns of a row are joined by a character that values hardly ever hold, and a null is the one character that
Postgres text cannot hold. Whoever takes the lines must look whether a value held the joint (`count` it) before the
text is split again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Row = tuple[str | None, ...]
"""A mapped row: each column in Postgres text format, None for a null."""

FIELD = "\x01"
"""Between two columns."""

NULL = "\x00"
"""A column without a value. No mapped value holds it: Postgres could not store it."""

join = FIELD.join


def line_of(values: Sequence[str | None]) -> str:
    """One row as a line."""
    return join([NULL if value is None else value for value in values])


def as_line(record: tuple[Sequence[str | None], Any]) -> tuple[str, Any]:
    """A mapped record with its row as a line."""
    values, children = record
    return line_of(values), children


def marked(rescue: Callable[..., tuple[str | None, Any]]) -> Callable[..., tuple[str, Any]]:
    """The long way of a field, for a line: no value is the mark of a null."""

    def rescue_marked(value: Any, problems: Any) -> tuple[str, Any]:
        text, noted = rescue(value, problems)
        return NULL if text is None else text, noted

    return rescue_marked
