"""The landing area of a push: what was found here, and what will be sent, so that a killed step goes on.

Two kinds of files below the folder of the sync log: `changes/` holds the rows that a scan found, `requests/<version>/`
what the mapping makes of them. A file is its fingerprint and its bytes, so half a file is none.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, TypeVar

import msgspec
import xxhash

from erpflow.errors import ConfigError, FieldProblem
from erpflow.sync.landing import Folder
from erpflow.vocabulary import Operation

Texts = dict[str, str | None]
Kind = TypeVar("Kind")


class LocalChange(msgspec.Struct, frozen=True, array_like=True):
    """A row that was found to be new, changed or gone: what it is now, and what was agreed on before.

    Both are JSON objects of texts as the database wrote them. `agreed`: something was agreed on at the vendor;
    `agreed_remote` says what, where somebody needs to know.
    """

    operation: Operation
    local_id: str
    remote_id: str | None
    version: str | None
    agreed_local: bytes | None
    agreed: bool
    agreed_remote: bytes | None
    hash: int | None
    values: bytes | None


class Outgoing(msgspec.Struct, frozen=True, array_like=True):
    """A change in the vendor's shape. `request`: JSON of what is sent.

    `agreed`: both sides have agreed on something. `agreed_remote`: on what at the vendor, where no version stands for
    it. `values`: the whole row, which is agreed on once it is sent. `before` and `after`: the fields an update changes.
    """

    operation: Operation
    local_id: str
    remote_id: str | None
    version: str | None
    agreed: bool
    agreed_remote: bytes | None
    request: bytes
    before: Texts
    after: Texts
    values: bytes | None
    hash: int | None


class RefusedRow(msgspec.Struct, frozen=True):
    """A row that the mapping cannot send: its values and every problem."""

    operation: Operation
    local_id: str
    remote_id: str | None
    values: Texts | None
    hash: int | None
    problems: list[FieldProblem]


class ChangeBatch(msgspec.Struct, frozen=True):
    """Rows of one kind as they were scanned."""

    changes: list[LocalChange]


class RequestBatch(msgspec.Struct, frozen=True):
    """What is sent in one call at most, and what is not sent at all. `number` is its own in the whole run.

    `unchanged`: rows that only looked changed, with the hash that says so from now on.
    """

    number: int
    requests: list[Outgoing]
    refused: list[RefusedRow]
    unchanged: list[tuple[str, int | None]]


class RequestFile(msgspec.Struct, frozen=True):
    """What a mapping makes of one batch of changes: to make a file costs more than to map what is sent in one call."""

    batches: list[RequestBatch]


class MappedRequests(msgspec.Struct, frozen=True):
    """The end of a transform: how many files of requests there are."""

    files: int


class Scanned(msgspec.Struct, frozen=True):
    """The end of a scan: batches of changes, changes by operation, and how far the local cursor may move."""

    batches: int
    creates: int
    updates: int
    deletes: int
    horizon: datetime

    @property
    def changes(self) -> int:
        """All of them."""
        return self.creates + self.updates + self.deletes


class PushLanding:
    """The landing folder of one push."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._made: dict[str, Folder] = {}

    def put_changes(self, number: int, batch: ChangeBatch) -> None:
        """Keep batch `number` (from 1) of a scan."""
        self._put("changes", f"{number:06d}", batch)

    def changes(self) -> Iterator[ChangeBatch]:
        """Every batch of a finished scan. Raises ConfigError when one is gone."""
        scanned = self.scanned()
        for number in range(1, (scanned.batches if scanned else 0) + 1):
            yield self._get("changes", f"{number:06d}", ChangeBatch, step="push.extract")

    def finish_scan(self, scanned: Scanned) -> None:
        """Say that everything was looked at."""
        self._put("changes", "scanned", scanned)

    def scanned(self) -> Scanned | None:
        """The end of the scan, None while it has not finished."""
        return self._find("changes", "scanned", Scanned)

    def put_requests(self, version: str, number: int, batches: list[RequestBatch]) -> None:
        """Keep file `number` (from 1) of what the mapping of this version makes of the changes."""
        self._put(f"requests/{version}", f"{number:06d}", RequestFile(batches))

    def finish_requests(self, version: str, files: int) -> None:
        """Say how many files there are."""
        self._put(f"requests/{version}", "mapped", MappedRequests(files))

    def is_mapped(self, version: str) -> bool:
        """Whether all that the mapping of this version makes of the changes has landed."""
        return self._find(f"requests/{version}", "mapped", MappedRequests) is not None

    def requests(self, version: str) -> Iterator[RequestBatch]:
        """Every batch. Raises ConfigError when one is gone, or was made with another mapping."""
        mapped = self._get(f"requests/{version}", "mapped", MappedRequests, step="push.transform")
        for number in range(1, mapped.files + 1):
            yield from self._get(f"requests/{version}", f"{number:06d}", RequestFile, step="push.transform").batches

    def _put(self, place: str, name: str, value: Any) -> None:
        payload = msgspec.msgpack.encode(value)
        with (self._place(place) / f"{name}.msgpack").open("wb") as file:
            file.write(xxhash.xxh3_64_digest(payload))
            file.write(payload)

    def _place(self, place: str) -> Folder:
        """The folder of one kind of files; it is made once."""
        if place not in self._made:
            folder = self._folder
            for part in place.split("/"):
                folder = folder / part
            folder.mkdir(parents=True, exist_ok=True)
            self._made[place] = folder
        return self._made[place]

    def _get(self, place: str, name: str, kind: type[Kind], *, step: str) -> Kind:
        found = self._find(place, name, kind)
        if found is None:
            raise ConfigError(
                f"Batch {name} of {place} in {self._folder} is missing, was altered, or was made with another version "
                f"of the mapping. Clear the task {step}: it is made again."
            )
        return found

    def _find(self, place: str, name: str, kind: type[Kind]) -> Kind | None:
        try:
            data = (self._folder / f"{place}/{name}.msgpack").read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        payload = memoryview(data)[8:]
        if xxhash.xxh3_64_digest(payload) != data[:8]:
            return None
        try:
            return msgspec.msgpack.decode(payload, type=kind)
        except msgspec.ValidationError:
            return None  # another version of erpflow wrote it
