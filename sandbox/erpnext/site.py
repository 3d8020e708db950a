"""The state of one ERPNext site: documents, users, clock, number series and the operator's switches."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sandbox.erpnext.clock import SiteClock
from sandbox.erpnext.doctype import load_doctypes
from sandbox.erpnext.errors import Message
from sandbox.erpnext.table import Doc, Table
from sandbox.erpnext.users import User, default_users

if TYPE_CHECKING:
    from sandbox.erpnext.controller import Controller

HASH_ALPHABET = "0123456789abcdefghijklmnopqrstuv"
SYSTEM_USER = "Administrator"
DEFAULT_ZONE = "Asia/Kolkata"


@dataclass(slots=True)
class Switches:
    """What an operator of the site can turn on, and what can break it."""

    maintenance: bool = False
    read_only: bool = False
    database_down: bool = False
    rate_limit: tuple[float, int] | None = None  # seconds of server time per window, seconds of the window
    lock_wait_s: float = 50.0  # innodb_lock_wait_timeout
    locked: set[tuple[str, str]] = field(default_factory=set)  # rows another transaction holds
    request_line_limit: int = 4094  # bytes; gunicorn's default


@dataclass(slots=True)
class Meter:
    """Server time used in the current window of the rate limiter, in microseconds."""

    window: int = -1
    used_us: int = 0


class Site:
    """One ERPNext site; everything is in memory and belongs to the event loop's thread."""

    def __init__(
        self, *, seed: int = 7, zone: str = DEFAULT_ZONE, now: Callable[[], datetime] | None = None, company: str = ""
    ) -> None:
        self.controllers: dict[str, Controller] = {}
        self.doctypes = load_doctypes()
        self.tables = {name: Table(meta) for name, meta in self.doctypes.items()}
        self.clock = SiteClock(zone, now=now)
        self.installed = {name: self.clock.stamp() for name in self.doctypes}
        self.random = random.Random(seed)
        self.users: dict[str, User] = {user.email: user for user in default_users()}
        self.sessions: dict[str, str] = {}
        self.series: dict[str, int] = {}
        self.secrets: dict[tuple[str, str, str], str] = {}  # Password fields, shown as asterisks
        self.files: dict[str, bytes] = {}
        self.switches = Switches()
        self.meter = Meter()
        self.company = company
        self._undo: list[Callable[[], None]] | None = None

    @property
    def zone(self) -> str:
        return self.clock.zone.key

    def hash_name(self) -> str:
        """A name of ten random characters, as child rows and unnamed documents get."""
        number = self.random.getrandbits(50)
        return "".join(HASH_ALPHABET[(number >> shift) & 31] for shift in range(0, 50, 5))

    def new_doc(self, doctype: str) -> Doc:
        meta = self.doctypes[doctype]
        return Doc(meta, meta.blank.copy())

    def find(self, doctype: str, name: Any) -> Doc | None:
        table = self.tables.get(doctype)
        return table.get(str(name)) if table is not None and name not in (None, "") else None

    def value(self, doctype: str, name: Any, column: str) -> Any:
        doc = self.find(doctype, name)
        return None if doc is None else doc.get(column)

    def store(self, doc: Doc) -> None:
        """Write the document; inside `transaction` the previous state can come back."""
        table = self.tables[doc.meta.name]
        if self._undo is not None:
            self._remember(table, doc.name)
        table.put(doc)

    def drop(self, doc: Doc) -> None:
        table = self.tables[doc.meta.name]
        if self._undo is not None:
            self._remember(table, doc.name)
        table.remove(doc.name)

    def _remember(self, table: Table, name: str) -> None:
        before = table.get(name)

        def undo() -> None:
            if table.get(name) is not None:
                table.remove(name)
            if before is not None:
                table.put(before)

        assert self._undo is not None  # noqa: S101 - the caller has looked
        self._undo.append(undo)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing: an exception takes back every document and number the block wrote; may be nested."""
        outermost = self._undo is None
        if self._undo is None:
            self._undo = []
        mark, series = len(self._undo), self.series.copy()
        try:
            yield
        except BaseException:
            while len(self._undo) > mark:
                self._undo.pop()()
            self.series = series
            raise
        finally:
            if outermost:
                self._undo = None

    def next_number(self, prefix: str) -> int:
        self.series[prefix] = self.series.get(prefix, 0) + 1
        return self.series[prefix]


@dataclass(slots=True)
class Call:
    """One request to the site: who asks, and which messages go with the answer."""

    site: Site
    user: str
    method: str = "GET"
    version: int = 1
    messages: list[Message] = field(default_factory=list)
    sid: str | None = None
    full_name: str = "Guest"

    def may(self, action: str, doctype: str) -> bool:
        if self.user == SYSTEM_USER:
            return True
        user = self.site.users.get(self.user)
        return user is not None and user.may(action, doctype)
