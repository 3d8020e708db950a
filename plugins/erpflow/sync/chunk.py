"""A chunk: a bounded number of records on their way from the landing area to one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from erpflow.errors import FieldProblem
from erpflow.mapping.lines import FIELD, NULL, line_of
from erpflow.store.rejects import Reject

CHUNK_RECORDS = 10_000
"""Records a chunk holds at most, but for the rest of its last page."""

CHUNK_BYTES = 16 * 2**20
"""Bytes of raw records a chunk holds at most, but for the rest of its last page."""


class ChunkReject(msgspec.Struct, frozen=True):
    """A record that the mapping refused, as it travels between tasks."""

    remote_id: str | None
    payload: bytes
    problems: list[FieldProblem]
    zone: str

    def stored(self) -> Reject:
        """As the store keeps it."""
        return Reject(self.remote_id, self.payload, tuple(self.problems), self.zone)


class Chunk(msgspec.Struct, frozen=True):
    """Records as COPY text, numbered from 1, with everything the transaction that applies them must know.

    `heads` holds a line for each record with what its sync record keeps, `rows` one with its columns,
    `children` the lines of the child tables behind the number of their record. `origins`: page and position of each
    record, flat. `read` = `count` + `unchanged` + `superseded` + `dropped` + rejects. `dropped`: how many records were
    left out, by reason. `modified_to`: how far the cursor may move when it is applied (None: it says nothing).
    `retried`: ids among what was mapped that have an open reject. `retries_dropped`: positions, among the rejects that
    the run tries again, of those that were left out. `fresh`: no record of this config was known when the run began.
    `last`: no chunk follows.
    """

    number: int
    read: int
    count: int
    unchanged: int
    superseded: int
    dropped: dict[str, int]
    heads: bytes
    rows: bytes
    children: list[bytes]
    origins: list[int]
    rejects: list[ChunkReject]
    retried: list[str]
    retries_dropped: list[int]
    modified_to: datetime | None
    fresh: bool
    last: bool

    @property
    def mapped(self) -> int:
        """How many of its records went through the mapping."""
        return self.count + sum(self.dropped.values()) + len(self.rejects)

    def origin(self, number: int) -> tuple[int, int]:
        """Page and position in the landing area of record `number`."""
        return self.origins[2 * number - 2], self.origins[2 * number - 1]

    def encode(self) -> bytes:
        """As bytes for the landing area."""
        return msgspec.msgpack.encode(self)

    @classmethod
    def decode(cls, data: bytes) -> Chunk:
        """Back from `encode`."""
        return msgspec.msgpack.decode(data, type=cls)


def copy_text(rows: Sequence[Sequence[str | None]]) -> bytes:
    r"""Rows as COPY text: fields by tabs, lines by line ends, None as `\N`, special characters in values escaped."""
    text = copy_lines([line_of(row) for row in rows], columns=len(rows[0])) if rows else b""
    return b"".join(map(_careful_line, rows)) if text is None else text


def copy_lines(lines: Sequence[str], *, columns: int) -> bytes | None:
    r"""Rows of `columns` columns, each as one line of the mapping (`lines.py`), as COPY text.

    The whole chunk is joined with characters that values hardly ever hold, escaped as bytes in one go, and then given
    its tabs and line ends: per value, that would cost several times as much. None when some value holds one of our
    separators: then the values themselves are needed, see `copy_text`.
    """
    if not lines:
        return b""
    text = LINE.join(lines).encode()
    if text.count(_FIELD) != len(lines) * (columns - 1) or text.count(_LINE) != len(lines) - 1:
        return None
    for special, escaped in ESCAPES.items():
        text = text.replace(special.encode(), escaped.encode())
    return text.translate(SEPARATORS).replace(_NULL, b"\\N") + b"\n"


def _careful_line(row: Sequence[str | None]) -> bytes:
    """One line, value by value: for a chunk in which some value holds one of our separators."""
    values = ["\\N" if value is None else value.translate(_TABLE) for value in row]
    return ("\t".join(values) + "\n").encode()


LINE = "\x02"
_FIELD, _LINE, _NULL = FIELD.encode(), LINE.encode(), NULL.encode()
SEPARATORS = bytes.maketrans(_FIELD + _LINE, b"\t\n")
ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
_TABLE = str.maketrans(ESCAPES)
