"""The state of one organisation: records, trash, tokens, jobs, channels, limits and the switches of its operator."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sandbox.zoho_crm.accounts import Accounts
from sandbox.zoho_crm.clock import OrgClock
from sandbox.zoho_crm.limits import Credits
from sandbox.zoho_crm.schema import NAMES, SCHEMA
from sandbox.zoho_crm.tables import Record, Table

ORG_PREFIX = "554023"
DEFAULT_ZONE = "Europe/Ljubljana"


@dataclass(slots=True)
class Deleted:
    """One row of the list of deleted records. `kind`: recycle or permanent."""

    id: str
    module: str
    name: str
    kind: str
    at: int
    by: str
    record: Record


@dataclass(slots=True)
class Switches:
    """What an operator decides, and what the documentation leaves open."""

    since_is_inclusive: bool = False  # whether If-Modified-Since means "at or after"; UNVERIFIED at Zoho
    lines_by_ids: bool = True  # whether a list by ids holds lines when asked for; UNVERIFIED at Zoho
    bulk_polls: int = 2  # how often a job says that it is under way
    bulk_rows: int = 200_000  # rows of a page of a job; UNVERIFIED at Zoho
    batch_412: bool = True  # whether one outdated record refuses its whole request; UNVERIFIED at Zoho
    restored_stay_listed: bool = False  # whether a restored record stays among the deleted; UNVERIFIED at Zoho
    unknown_id_is_400: bool = False  # whether reading an unknown id is an error and not empty; UNVERIFIED at Zoho
    no_bulk: bool = False  # whether Bulk Read takes no module at all
    refused_modules: set[str] = field(default_factory=set)  # modules this edition does not have
    locked: set[str] = field(default_factory=set)  # ids of records that are locked
    latency_s: float = 0.0  # how long a request is under way


@dataclass(slots=True)
class PageToken:
    """What a page token stands for: the request it is bound to, and how far it has come."""

    bound_to: tuple[str, ...]
    offset: int
    expires: int


@dataclass(slots=True)
class Job:
    """A Bulk Read job: its query, and how often it was asked about."""

    id: str
    module: str
    query: dict[str, Any]
    created: int
    page: int
    token_offset: int
    polls: int = 0
    failed: bool = False


class Org:
    """Everything is in memory and belongs to the event loop's thread."""

    def __init__(self, *, zone: str = DEFAULT_ZONE, now: Callable[[], float] = time.time) -> None:
        self.clock = OrgClock(zone, now=now)
        self.tables: dict[str, Table] = {name: Table(module) for name, module in SCHEMA.items()}
        self.users: dict[str, dict[str, str]] = {}
        self.trash: list[Deleted] = []
        self.accounts = Accounts(self.clock)
        self.credits = Credits(self.clock)
        self.switches = Switches()
        self.page_tokens: dict[str, PageToken] = {}
        self.jobs: dict[str, Job] = {}
        self.channels: dict[str, dict[str, Any]] = {}
        self.callbacks: list[dict[str, Any]] = []
        self.expected: dict[str, dict[str, int]] = {}
        self._last_id = 0
        self._numbers: dict[str, int] = {}

    def new_id(self) -> str:
        """A record's id: 18 digits, as text."""
        self._last_id += 1
        return f"{ORG_PREFIX}{self._last_id:012}"

    def next_number(self, module: str) -> str:
        self._numbers[module] = self._numbers.get(module, 0) + 1
        return f"{'SO' if module == 'Sales_Orders' else 'INV'}-{self._numbers[module]:06}"

    def name_of(self, module: str, record_id: str | None) -> str | None:
        """What a look-up shows of a record."""
        record = self.tables[module].get(record_id or "")
        return None if record is None else record.get(NAMES[module])

    @property
    def owner(self) -> str:
        """The user that the API acts as."""
        return next(iter(self.users))
