"""A chunk: a bounded number of records on their way from the landing area to one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from erpflow.errors import FieldProblem
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

    def stored(self) -> Reject:
        """As the store keeps it."""
        return Reject(self.remote_id, self.payload, tuple(self.problems))


class Chunk(msgspec.Struct, frozen=True):
    """Records as COPY text, numbered from 1, with everything the transaction that applies them must know.

    `read` = `count` + `unchanged` + `superseded` + rejects. `modified_to`: how far the cursor may move when it is
    applied (None: it says nothing). `retried`: ids among the rows that have an open reject. `last`: no chunk follows.
    """

    number: int
    read: int
    count: int
    unchanged: int
    superseded: int
    rows: bytes
    children: list[bytes]
    rejects: list[ChunkReject]
    retried: list[str]
    modified_to: datetime | None
    last: bool

    def encode(self) -> bytes:
        """As bytes for the landing area."""
        return msgspec.msgpack.encode(self)

    @classmethod
    def decode(cls, data: bytes) -> Chunk:
        """Back from `encode`."""
        return msgspec.msgpack.decode(data, type=cls)


def copy_text(rows: Sequence[Sequence[str | None]]) -> bytes:
    r"""Rows as COPY text: fields by tabs, lines by line ends, None as `\N`, special characters in values escaped.

    The whole chunk is joined with characters that values hardly ever hold, escaped as bytes in one go, and then given
    its tabs and line ends: per value, that would cost several times as much. Only NUL can stand for None without a
    doubt: Postgres text cannot hold it, so no mapped value has it.
    """
    if not rows:
        return b""
    text = LINE.join([FIELD.join([NULL if value is None else value for value in row]) for row in rows]).encode()
    if text.count(FIELD.encode()) != sum(map(len, rows)) - len(rows) or text.count(LINE.encode()) != len(rows) - 1:
        return b"".join([_careful_line(row) for row in rows])
    for special, escaped in ESCAPES.items():
        text = text.replace(special.encode(), escaped.encode())
    return text.translate(SEPARATORS).replace(NULL.encode(), b"\\N") + b"\n"


def _careful_line(row: Sequence[str | None]) -> bytes:
    """One line, value by value: for a chunk in which some value holds one of our separators."""
    values = ["\\N" if value is None else value.translate(_TABLE) for value in row]
    return ("\t".join(values) + "\n").encode()


FIELD, LINE, NULL = "\x01", "\x02", "\x00"
SEPARATORS = bytes.maketrans(b"\x01\x02", b"\t\n")
ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
_TABLE = str.maketrans(ESCAPES)
