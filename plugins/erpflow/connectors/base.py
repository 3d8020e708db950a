"""What a connector is: one class that speaks one system's API, and nothing else.

A connector knows no SQL, no Airflow and no mapping. It gets a `Transport` (time-outs, limits, retries, redaction)
and turns the vendor's wire protocol into pages of raw records.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import wraps
from time import monotonic
from typing import TYPE_CHECKING, ClassVar, Final, NewType, Protocol, TypeVar, runtime_checkable

import msgspec

from erpflow.errors import ErpflowError, FieldProblem
from erpflow.vocabulary import Operation, RemoteId, VendorRecord, Window

if TYPE_CHECKING:
    from requests.auth import AuthBase

    from erpflow.connectors.account import Account
    from erpflow.connectors.oauth import OAuthSpec
    from erpflow.connectors.transport import Timeouts, Transport

Client = TypeVar("Client")

PageToken = NewType("PageToken", str)
"""Where the next page starts, as the connector wrote it (JSON); opaque to everybody else, survives a restart."""

RawRecord = msgspec.Raw
"""The bytes of one record as JSON, not parsed: most of them are unchanged and never need to be."""


LOGIN_AND_PASSWORD: Final = frozenset({"login", "password"})


@dataclass(frozen=True, slots=True)
class EntitySpec:
    """One entity of a system, as data.

    `remote` is the vendor's name for it, `key` and `modified` the record fields that identify and date it (`modified`
    may be a path with dots), `page_size` and `bulk_size` in records. `ordered`: pages come in ascending order of
    `modified`, so the cursor may move with every chunk; otherwise it moves only with the last one. `windowed`:
    records do not say when they changed (`modified` is None), and yet `read` finds what is new in a window, and of
    what changed what the vendor tells; the cursor then moves to where the read began. `counted`: `modified` is no
    time but a number that the vendor counts up with every change; `instant` makes of it what `counting` says.

    `writes`: what the vendor lets us do to it, nothing for an entity that is only read. `checks_version`: an update or
    a delete that names an outdated `modified` is refused by the vendor itself (`Outcome.STALE`); without it the engine
    reads before it writes. `repeatable_create`: a create sent twice with one idempotency key makes one record.
    `deleted_feed`: the vendor lists what was deleted (`SupportsDeletedFeed`); otherwise a full read tells.
    `replaces`: an update replaces the whole record, so all that a mapping has of it goes along.
    """

    remote: str
    key: str
    modified: str | None
    page_size: int
    bulk_size: int = 1
    ordered: bool = False
    windowed: bool = False
    counted: bool = False
    writes: frozenset[Operation] = frozenset()
    checks_version: bool = False
    repeatable_create: bool = False
    deleted_feed: bool = False
    replaces: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """How fast and how many at once: the vendor's published limits, or polite ones of ours where it has none.

    Requests, or what the vendor counts in their place, in any span of that length; `concurrent` at the same time. All
    of them hold for one account of the vendor, whoever asks.
    """

    per_second: float | None = None
    per_minute: float | None = None
    per_hour: float | None = None
    per_day: float | None = None
    concurrent: int = 4


@dataclass(frozen=True, slots=True)
class ConnectorSpec:
    """A system, as data: its name in the code, the title people read, and its entities by name.

    `settings`: what a connection's extra may hold besides the options of the session, each with the sentence its form
    shows; `secret_settings`: those of them that nobody may see, `required_settings`: those it cannot do without.
    `credentials`: which of login and password it cannot do without; `secret_login`: the login is half of the secret,
    an API key. `timeouts`: how long to wait for it, where that is not the usual.
    """

    system: str
    title: str
    auth: tuple[str, ...]
    entities: Mapping[str, EntitySpec]
    limits: Limits = field(default_factory=Limits)
    settings: Mapping[str, str] = field(default_factory=dict)
    secret_settings: frozenset[str] = frozenset()
    required_settings: frozenset[str] = frozenset()
    credentials: frozenset[str] = frozenset()
    secret_login: bool = False
    timeouts: Timeouts | None = None


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The outcome of one cheap authenticated call: `account` as the vendor names it, `latency` in seconds.

    `reported` fills in how long all took that was asked.
    """

    success: bool
    message: str
    account: str | None = None
    latency: float = 0.0


def reported(check: Callable[[Client], CheckResult]) -> Callable[[Client], CheckResult]:
    """A `check` that never raises: an error of the family is its result."""

    @wraps(check)
    def timed(client: Client) -> CheckResult:
        started = monotonic()
        try:
            result = check(client)
        except ErpflowError as error:
            result = CheckResult(success=False, message=str(error))
        return replace(result, latency=monotonic() - started)

    return timed


@dataclass(frozen=True, slots=True)
class Page:
    """One page as it lands.

    `raw` holds what the vendor answered; `Connector.split` gives back its records without asking the vendor.
    `next` is None on the last page and only there: a window that holds nothing is one empty page. `zone` is the time
    zone of naive times in it, `server_time` the vendor's own clock when it answered. `reached`, of a counted
    entity: how far the vendor had counted, as it writes `modified`; on the last page all changes up to it were read.
    """

    raw: bytes
    count: int
    next: PageToken | None
    zone: str = "UTC"
    server_time: datetime | None = None
    reached: str | None = None


class Change(msgspec.Struct, frozen=True):
    """One write to a vendor.

    `values` in the vendor's shape: the whole record of a create, only what changed of an update, nothing of a delete.
    Numbers in it are Decimal or int. `version`: the vendor's `modified` of the record it is based on, as the vendor
    wrote it; None when it is not known. `idempotency_key` is the same whenever the same change is sent again.
    """

    operation: Operation
    idempotency_key: str
    remote_id: RemoteId | None
    values: VendorRecord
    version: str | None = None


class Outcome(StrEnum):
    """What became of one change.

    `done`; `rejected`: the vendor refuses this record; `stale`: it changed since we read it, nothing was done;
    `missing`: there is no such record any more; `unknown`: it was sent, and nobody knows; `not_sent`: it never left.
    """

    DONE = "done"
    REJECTED = "rejected"
    STALE = "stale"
    MISSING = "missing"
    UNKNOWN = "unknown"
    NOT_SENT = "not_sent"


class WriteResult(msgspec.Struct, frozen=True):
    """The outcome of one change.

    `remote_id` of what was written. `record`: the record as the vendor has it now, in the form of a `split` page, when
    the vendor says so; None otherwise, and then the engine reads it. `zone` is that of naive times in it. `problems`:
    why it was rejected, `field` being the vendor's name of it (empty when it names none). The rule `duplicate` means
    that another record holds a value that must be unique, `permission` that the account may not do this to this record.
    """

    outcome: Outcome
    remote_id: RemoteId | None = None
    record: bytes | None = None
    problems: tuple[FieldProblem, ...] = ()
    zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Deletion:
    """One record that the vendor deleted, and when (UTC; None when it does not say)."""

    remote_id: RemoteId
    deleted_at: datetime | None


@runtime_checkable
class SupportsWrites(Protocol):
    """A connector that writes. Which operations of which entity: `EntitySpec.writes`."""

    def write(self, entity: str, changes: Sequence[Change]) -> list[WriteResult]:
        """Send at most `bulk_size` changes; one result for each, in their order.

        One bad record is its own result, never an exception; so is one that the account may not touch, while others
        are done. When the vendor goes away in the middle, what was answered is reported, what was under way is
        `unknown` and the rest `not_sent`. Raises AuthFailed, PermissionDenied, RateLimited, VendorUnavailable or
        ProtocolError only when no change of the call can have been done. `delivery.Delivery` keeps these rules.
        """
        ...

    def find(self, entity: str, keys: Sequence[VendorRecord]) -> list[list[RemoteId]]:
        """For each key the records whose fields (by remote path) hold its values; at most two, which means "not one".

        Asked for a whole batch before it is created: in one request where the vendor can.
        """
        ...

    def read_many(self, entity: str, remote_ids: Sequence[RemoteId]) -> Page:
        """These records as one page, as `read` would land it; those that do not exist are left out."""
        ...


@runtime_checkable
class SupportsDeletedFeed(Protocol):
    """A connector whose vendor lists what was deleted."""

    def read_deleted(self, entity: str, window: Window, *, resume: PageToken | None = None) -> Iterator[Page]:
        """The deletions of a window, like `read`. Raises the same."""
        ...

    @classmethod
    def split_deleted(cls, entity: str, raw: bytes, *, zone: str) -> list[Deletion]:
        """The deletions of a landed page. Pure. Raises ProtocolError."""
        ...


class Connector(ABC):
    """Reads one system. `spec` is its data sheet; the methods are what the vendor does its own way.

    `page_size` in records, instead of the data sheet's. `oauth`: how access tokens are had, of a system with OAuth.
    `private_networks`: its accounts may be inside our own network, as an ERP's usually is. `own_address`: each account
    has one, so that the address tells whose data it is.
    """

    spec: ClassVar[ConnectorSpec]
    oauth: ClassVar[OAuthSpec | None] = None
    private_networks: ClassVar[bool] = True
    own_address: ClassVar[bool] = True

    def __init__(self, transport: Transport, *, page_size: int | None = None) -> None:
        self._transport = transport
        self._page_size = page_size

    @classmethod
    def auth(cls, account: Account) -> AuthBase:
        """What signs every request of this account; nothing does unless a vendor says so.

        Raises ConfigError for what no request can carry.
        """
        from erpflow.connectors.signing import Unsigned

        return Unsigned()

    @classmethod
    def address(cls, account: Account) -> str:
        """Where the requests of this account go: the connection's own address, or what the vendor says it is."""
        return account.address

    @classmethod
    def may_reach_private(cls, account: Account) -> bool:
        """Whether this account's requests may go to private addresses. Raises ConfigError for a setting that is odd."""
        return cls.private_networks

    @classmethod
    def counted_as(cls, account: Account) -> str | None:
        """What the vendor's limits count together: whoever asks in this name shares them. None: this connection alone.

        Unless a vendor says otherwise a login at an address; with OAuth the login is the app, and says nothing of it.
        """
        if cls.oauth is not None or not account.login:
            return None
        return f"{account.address} {account.login}"

    @abstractmethod
    def check(self) -> CheckResult:
        """One cheap authenticated call. A refused or absent vendor is its answer, and raises nothing: `@reported`."""

    @abstractmethod
    def read(self, entity: str, window: Window, *, resume: PageToken | None = None) -> Iterator[Page]:
        """The pages of a window, each record at least once; `resume` continues after the page that gave the token.

        Raises AuthFailed, PermissionDenied, RateLimited, VendorUnavailable or ProtocolError.
        """

    @abstractmethod
    def read_one(self, entity: str, remote_id: RemoteId) -> VendorRecord | None:
        """One whole record, or None if the vendor has no such record."""

    @classmethod
    @abstractmethod
    def split(cls, entity: str, raw: bytes) -> list[RawRecord]:
        """The records of a landed page, undecoded. Pure: a replay calls it without a vendor.

        Raises ProtocolError when the page is not what `read` landed.
        """

    @classmethod
    @abstractmethod
    def instant(cls, text: str, *, zone: str) -> datetime | None:
        """A vendor time stamp as an aware UTC datetime; None when it is not a time at all."""
