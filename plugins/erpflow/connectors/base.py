"""What a connector is: one class that speaks one system's API, and nothing else.

A connector knows no SQL, no Airflow and no mapping. It gets a `Transport` (time-outs, limits, retries, redaction)
and turns the vendor's wire protocol into pages of raw records.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, NewType

import msgspec

from erpflow.vocabulary import RemoteId, VendorRecord, Window

if TYPE_CHECKING:
    from requests.auth import AuthBase

    from erpflow.connectors.transport import Transport

PageToken = NewType("PageToken", str)
"""Where the next page starts, as the connector wrote it (JSON); opaque to everybody else, survives a restart."""

RawRecord = msgspec.Raw
"""The bytes of one record as JSON, not parsed: most of them are unchanged and never need to be."""


@dataclass(frozen=True, slots=True)
class EntitySpec:
    """One entity of a system, as data.

    `remote` is the vendor's name for it, `key` and `modified` the record fields that identify and date it,
    `page_size` and `bulk_size` in records. `ordered`: pages come in ascending order of `modified`, so the cursor
    may move with every chunk; otherwise it moves only with the last one.
    """

    remote: str
    key: str
    modified: str | None
    page_size: int
    bulk_size: int = 1
    ordered: bool = False
    writable: bool = False
    deletable: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """How fast and how many at once: the vendor's published limits, or polite ones of ours where it has none."""

    per_second: float | None = None
    concurrent: int = 4


@dataclass(frozen=True, slots=True)
class ConnectorSpec:
    """A system, as data: its name in the code, the title people read, and its entities by name."""

    system: str
    title: str
    auth: tuple[str, ...]
    entities: Mapping[str, EntitySpec]
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The outcome of one cheap authenticated call: `latency` in seconds, `account` as the vendor names it."""

    success: bool
    message: str
    latency: float
    account: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One page as it lands.

    `raw` holds what the vendor answered; `Connector.split` gives back its records without asking the vendor.
    `next` is None on the last page and only there: a window that holds nothing is one empty page. `zone` is the time
    zone of naive times in it, `server_time` the vendor's own clock when it answered.
    """

    raw: bytes
    count: int
    next: PageToken | None
    zone: str = "UTC"
    server_time: datetime | None = None


class Connector(ABC):
    """Reads one system. `spec` is its data sheet; the methods are what the vendor does its own way.

    `auth(login, secret)` signs every request of a session; it may be called without arguments. `page_size` in records,
    instead of the data sheet's.
    """

    spec: ClassVar[ConnectorSpec]
    auth: ClassVar[Callable[..., AuthBase]]

    def __init__(self, transport: Transport, *, page_size: int | None = None) -> None:
        self._transport = transport
        self._page_size = page_size

    @abstractmethod
    def check(self) -> CheckResult:
        """One cheap authenticated call. Never raises for a refused or absent vendor: that is its answer."""

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
