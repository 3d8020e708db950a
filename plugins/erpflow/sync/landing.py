"""The landing area: what the vendor answered, page by page, so that a killed run resumes and a new mapping replays.

A folder per sync log below an fsspec URI or a plain path. A page is two files: the bytes, then a small JSON note with
their length and fingerprint. The note is written last, so a page that was half written when its task was killed has
no valid note and does not exist; this needs no atomic rename, which object stores do not have.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, Self, TypeVar

import msgspec
import xxhash

from erpflow.connectors.base import Page, PageToken
from erpflow.errors import ConfigError

_Note = TypeVar("_Note")


class Folder(Protocol):
    """What `pathlib.Path` and Airflow's `ObjectStoragePath` have in common."""

    def __truediv__(self, name: str, /) -> Self: ...
    def mkdir(self, *, parents: bool = ..., exist_ok: bool = ...) -> Any: ...
    def read_bytes(self) -> bytes: ...
    def write_bytes(self, data: bytes, /) -> Any: ...
    def open(self, mode: str, /) -> Any: ...


def _fingerprint(raw: bytes) -> int:
    return xxhash.xxh3_64_intdigest(raw) >> 1  # JSON integers end at 63 bits for most readers


class PageNote(msgspec.Struct, frozen=True):
    """What is known of a landed page besides its bytes."""

    length: int
    fingerprint: int
    count: int
    next: str | None
    zone: str
    server_time: datetime | None
    reached: str | None = None


class Seen(msgspec.Struct, frozen=True):
    """The ids of the records of one chunk; `whole` is False when some record had none, so that they are not all."""

    ids: list[str]
    whole: bool


class Extracted(msgspec.Struct, frozen=True):
    """The end of an extract: how many pages and records landed, in all."""

    pages: int
    records: int


@dataclass(frozen=True, slots=True)
class LandedPage:
    """One landed page: its number (from 1), its bytes, the zone of naive times in it, and the vendor's clock then.

    `reached`: how far the vendor had counted, of one that counts its changes.
    """

    number: int
    raw: bytes
    zone: str
    server_time: datetime | None
    reached: str | None = None


class RetriedRecord(msgspec.Struct, frozen=True):
    """A reject that is tried again: its id, its bytes, the zone of its times, and whether it is a delete."""

    id: str
    payload: bytes
    zone: str
    is_delete: bool


class Landing:
    """The landing folder of one sync log."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder

    @property
    def location(self) -> str:
        """Where it is, as a path or URI."""
        return str(self._folder)

    def open(self) -> Self:
        """Make the folder if it is not there."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"The landing area {self._folder} cannot be written: {error}. "
                "Set ERPFLOW_LANDING_URI to a place that can."
            ) from error
        return self

    def land(self, number: int, page: Page) -> None:
        """Keep page `number`; the note goes last."""
        note = PageNote(
            length=len(page.raw),
            fingerprint=_fingerprint(page.raw),
            count=page.count,
            next=page.next,
            zone=page.zone,
            server_time=page.server_time,
            reached=page.reached,
        )
        (self._folder / f"page-{number:06d}.json").write_bytes(page.raw)
        (self._folder / f"page-{number:06d}.note").write_bytes(msgspec.json.encode(note))

    def note(self, number: int) -> PageNote | None:
        """The note of page `number`; None when that page did not land whole."""
        return self._read(f"page-{number:06d}.note", PageNote)

    def resume_point(self) -> tuple[int, int, PageToken | None]:
        """How far an earlier try came: pages landed, records in them, and the token of the page after them."""
        pages, records, token = 0, 0, None
        while (note := self.note(pages + 1)) is not None:
            pages, records, token = pages + 1, records + note.count, note.next
        return pages, records, PageToken(token) if token is not None else None

    def page(self, number: int) -> LandedPage:
        """Page `number` with its bytes. Raises ConfigError when it is gone or altered."""
        note = self.note(number)
        raw = self._bytes(f"page-{number:06d}.json")
        if note is None or raw is None or (len(raw), _fingerprint(raw)) != (note.length, note.fingerprint):
            raise ConfigError(
                f"Page {number} in {self._folder} is missing or was altered. Clear the extract task to fetch it again."
            )
        return LandedPage(number, raw, note.zone, note.server_time, note.reached)

    def pages(self, *, after: int = 0) -> Iterator[LandedPage]:
        """Every page of a finished extract in order, skipping the first `after`."""
        extracted = self.extracted()
        for number in range(after + 1, (extracted.pages if extracted else 0) + 1):
            yield self.page(number)

    def finish(self, extracted: Extracted) -> None:
        """Say that every page has landed."""
        (self._folder / "extracted.json").write_bytes(msgspec.json.encode(extracted))

    def extracted(self) -> Extracted | None:
        """The totals, or None while the extract has not finished."""
        return self._read("extracted.json", Extracted)

    def first_damaged(self) -> int | None:
        """The first page of a finished extract that is missing or altered; None when all are whole."""
        extracted = self.extracted()
        for number in range(1, (extracted.pages if extracted else 0) + 1):
            try:
                self.page(number)
            except ConfigError:
                return number
        return None

    def forget_from(self, number: int) -> None:
        """Make page `number` and all behind it count as not landed, so that the extract goes on from there."""
        extracted = self.extracted()
        for page in range(number, (extracted.pages if extracted else 0) + 1):
            (self._folder / f"page-{page:06d}.note").write_bytes(b"")
        (self._folder / "extracted.json").write_bytes(b"")

    def beside(self, name: str) -> Landing:
        """The landing of something else that belongs to this run, such as the vendor's deletes."""
        return Landing(self._folder / name)

    def put_retried(self, records: list[RetriedRecord]) -> None:
        """Keep the rejects that this run tries again."""
        (self._folder / "retried.msgpack").write_bytes(msgspec.msgpack.encode(records))

    def retried(self) -> list[RetriedRecord] | None:
        """The rejects that this run tries again; None before they were looked for."""
        data = self._bytes("retried.msgpack")
        try:
            return None if data is None else msgspec.msgpack.decode(data, type=list[RetriedRecord])
        except msgspec.DecodeError:  # torn by a kill: it was never there
            return None

    def put_seen(self, number: int, seen: Seen) -> None:
        """Keep which records chunk `number` was made of."""
        folder = self._folder / "seen"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number:06d}.msgpack").write_bytes(msgspec.msgpack.encode(seen))

    def seen(self, chunks: int) -> Iterator[Seen]:
        """The ids of the first `chunks` chunks. Raises ConfigError when some are not there."""
        for number in range(1, chunks + 1):
            data = self._bytes(f"seen/{number:06d}.msgpack")
            if data is None:
                raise ConfigError(
                    f"The ids of chunk {number} are missing in {self._folder}. Clear the transform task: it makes them "
                    "again from the landed pages."
                )
            yield msgspec.msgpack.decode(data, type=Seen)

    def put_chunk(self, version: str, number: int, payload: bytes) -> None:
        """Keep a transformed chunk of the mapping `version`."""
        self.put(version, f"chunk-{number:06d}.msgpack", payload)

    def chunk(self, version: str, number: int) -> bytes | None:
        """A transformed chunk, or None when it was not written whole."""
        return self.get(version, f"chunk-{number:06d}.msgpack")

    def put(self, place: str, name: str, payload: bytes) -> None:
        """Keep a file in the folder `place`; its fingerprint goes first, in eight bytes."""
        folder = self._folder / place
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(xxhash.xxh3_64_digest(payload) + payload)

    def get(self, place: str, name: str) -> bytes | None:
        """What `put` kept, or None when it was not written whole."""
        data = self._bytes(f"{place}/{name}")
        if data is None or xxhash.xxh3_64_digest(data[8:]) != data[:8]:
            return None
        return data[8:]

    def file(self, name: str) -> Folder:
        """A file for people, such as a report, to be opened by whoever writes or reads it."""
        return self._folder / name

    def _bytes(self, name: str) -> bytes | None:
        try:
            return (self._folder / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _read(self, name: str, kind: type[_Note]) -> _Note | None:
        data = self._bytes(name)
        if data is None:
            return None
        try:
            return msgspec.json.decode(data, type=kind)
        except msgspec.DecodeError:  # torn by a kill: it was never there
            return None
