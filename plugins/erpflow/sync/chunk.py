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


def copy_line(values: Sequence[str | None]) -> str:
    r"""One line of COPY text. Tabs, line ends and backslashes in values are escaped; None is `\N`.

    Most records need no escaping, so the line is built first and its special characters are counted: what is there
    beyond our own tabs and `\N`s came from a value. Otherwise four `str.replace` that find nothing in most values
    cost a tenth of one `str.translate`.
    """
    line = "\t".join(["\\N" if value is None else value for value in values])
    if line.count("\t") != len(values) - 1 or line.count("\\") != values.count(None) or "\n" in line or "\r" in line:
        line = "\t".join(["\\N" if value is None else _escaped(value) for value in values])
    return line + "\n"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
