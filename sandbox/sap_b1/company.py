"""A company's state: rows by entity set and key, numbers given out, the clock, sessions, the operator's switches."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.sap_b1.errors import not_found
from sandbox.sap_b1.schema import EntitySet, schema
from sandbox.sap_b1.sessions import Sessions
from sandbox.sap_b1.values import whole

Values = dict[str, Any]


@dataclass(slots=True)
class Row:
    """One record: the values that were ever set, and how often it was saved."""

    values: Values
    saved: int = 1


@dataclass(slots=True)
class Switches:
    """What an operator can do to the server."""

    approval: bool = False  # an approval procedure turns every new document into a draft
    ignore_case: bool = False  # as on SQL Server with its usual collation
    etags: bool = True  # False: a patch before 10.0 FP 2102
    largest_page: int = 0  # 0: as large as the client asks for


@dataclass(slots=True)
class Company:
    """One company database."""

    zone: ZoneInfo
    seed: int = 7
    tables: dict[str, dict[Any, Row]] = field(default_factory=lambda: {name: {} for name in schema().sets})
    last: dict[str, int] = field(default_factory=dict)
    sessions: Sessions = field(default_factory=Sessions)
    switches: Switches = field(default_factory=Switches)
    locked: set[tuple[str, Any]] = field(default_factory=set)
    expected: dict[str, Any] = field(default_factory=dict)
    _undo: list[tuple[str, Any, Row | None]] | None = None

    def now(self) -> tuple[str, str]:
        """The server's day and time of day: local, to the second, without a zone."""
        local = datetime.now(UTC).astimezone(self.zone)
        return local.strftime("%Y-%m-%d"), local.strftime("%H:%M:%S")

    def next(self, name: str) -> int:
        """The next number of a series."""
        self.last[name] = self.last.get(name, 0) + 1
        return self.last[name]

    def get(self, name: str, key: Any) -> Row:
        """A record. Raises ServiceError when there is none."""
        row = self.find(name, key)
        if row is None:
            raise not_found()
        return row

    def find(self, name: str, key: Any) -> Row | None:
        """A record by its key as a path or a field has it; keys of documents may come as text."""
        if schema().sets[name].key == "DocEntry":
            key = whole(key)
        return self.tables[name].get(key)

    def put(self, name: str, key: Any, values: Values, *, saved: int = 1) -> Row:
        """Store a record, as it is."""
        if self._undo is not None:
            self._undo.append((name, key, self.tables[name].get(key)))
        self.tables[name][key] = Row(values, saved)
        return self.tables[name][key]

    def save(self, name: str, key: Any, values: Values) -> Row:
        """Store a record as of now."""
        day, time = self.now()
        dated = {"UpdateDate": day, "UpdateTime": time} if "UpdateDate" in schema().sets[name].type.properties else {}
        before = self.tables[name].get(key)
        return self.put(name, key, {**values, **dated}, saved=before.saved + 1 if before else 1)

    def drop(self, name: str, key: Any) -> None:
        if self._undo is not None:
            self._undo.append((name, key, self.tables[name].get(key)))
        del self.tables[name][key]

    def etag(self, entity_set: EntitySet, row: Row) -> str | None:
        """The weak ETag of a record; None where there are none."""
        if not (entity_set.tagged and self.switches.etags):
            return None
        text = f"{entity_set.name}/{row.values[entity_set.key]}/{row.saved}"
        return f'W/"{hashlib.sha1(text.encode()).hexdigest().upper()}"'  # noqa: S324  (no secret in it)

    @contextmanager
    def apart(self) -> Iterator[None]:
        """What is done inside stays, whatever becomes of the transaction around it."""
        undo, self._undo = self._undo, None
        try:
            yield
        finally:
            self._undo = undo

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing: what fails inside leaves no trace but numbers that were given out. One inside another is
        part of it.
        """
        if self._undo is not None:
            yield
            return
        undo: list[tuple[str, Any, Row | None]] = []
        self._undo = undo
        try:
            yield
        except Exception:
            for name, key, row in reversed(undo):
                if row is None:
                    self.tables[name].pop(key, None)
                else:
                    self.tables[name][key] = row
            raise
        finally:
            self._undo = None
