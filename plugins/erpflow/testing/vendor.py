"""What the contract asks of a vendor: an account it may fill, change, and break on purpose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from erpflow.connectors.account import Tokens
from erpflow.vocabulary import RemoteId, VendorRecord

FaultKind = Literal[
    "status", "reset", "truncated", "html", "latency", "unauthorized", "after_commit", "reset_after_commit"
]


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to the next `times` requests for data (not to the vendor's housekeeping calls).

    `status`: this HTTP status with the vendor's own kind of body, and Retry-After if `retry_after` (seconds) is given.
    `reset`: the connection breaks. `truncated`: half of a good body, correctly framed. `html`: a page for people, with
    status 200. `latency`: the answer comes `seconds` late. `unauthorized`: the vendor's own answer to credentials that
    have expired. `after_commit`, `reset_after_commit`: the vendor does what it was asked, and then a gateway answers
    504, or the connection breaks.

    `writes`: only requests that write are struck. `skip`: so many of them pass first.
    """

    kind: FaultKind
    status: int = 503
    retry_after: int | None = None
    seconds: float = 0.0
    times: int = 1
    writes: bool = False
    skip: int = 0


@dataclass(frozen=True, slots=True)
class Credentials:
    """What goes into a connection's login, password and extra; `tokens` of a system with OAuth."""

    login: str | None
    password: str | None = field(repr=False)
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)
    tokens: Tokens | None = field(default=None, repr=False)


class VendorDouble(Protocol):
    """An account at the vendor (a sandbox, a local double, a real test account) in the hands of the contract.

    Every test gets its own, or one put back to its first state. `entity` is erpflow's word for it.
    """

    base_url: str

    def good(self) -> Credentials:
        """Credentials that may read everything the contract reads."""

    def bad(self) -> Credentials:
        """Credentials of the right shape that the vendor refuses."""

    def expire(self) -> None:
        """From now on the vendor refuses the good credentials, as when a secret was generated anew."""

    def renew(self) -> None:
        """The good credentials are good again."""

    def create(self, entity: str, count: int) -> list[RemoteId]:
        """Makes so many records, one after the other, and says what they are called."""

    def update(self, entity: str, remote_id: RemoteId) -> None:
        """Changes a record as a person would: its time of modification moves on."""

    def share_one_instant(self, entity: str, remote_ids: Sequence[RemoteId]) -> None:
        """Gives all these records one and the same time of modification."""

    def write_text(self, entity: str, text: str) -> tuple[RemoteId, str]:
        """Makes a record with this text in some field, and says its name and the field."""

    def modified(self, entity: str) -> Mapping[RemoteId, datetime]:
        """Every record there is, with its time of modification in UTC: the truth."""

    def fail(self, fault: Fault) -> None:
        """Arranges a fault for the next requests."""


@dataclass(frozen=True, slots=True)
class Fields:
    """Which fields of an entity the contract writes to, by their names in the vendor's shape.

    `text`: free text of at least 100 characters that may be empty. `key`: text that several records may share, though
    `values_for` gives each its own; `find` finds a record by it. `money`: the path to an amount with at least two
    decimals, such as `("items", 0, "rate")`; None when the entity has no amount that may be written.
    """

    text: str
    key: str
    money: tuple[str | int, ...] | None = None


class WritableVendor(VendorDouble, Protocol):
    """An account that the contract may also write to through the connector, and compare with what it wrote.

    Values are in the vendor's shape, as `Change.values` is. The methods act as a person would in the vendor's own
    screens, never through the connector.
    """

    def fields(self, entity: str) -> Fields:
        """The fields the contract writes to."""

    def values_for(self, entity: str) -> VendorRecord:
        """A valid new record that no other resembles, with all its `fields` filled and every value in the form in
        which the vendor gives it back: the contract compares them. Amounts are Decimals.
        """

    def bad_values(self, entity: str) -> VendorRecord:
        """A record that the vendor refuses, and not for a value that must be unique."""

    def stored(self, entity: str, remote_id: RemoteId) -> VendorRecord | None:
        """The record as the vendor has it, with its lines; numbers with a point as Decimal. None: it is not there."""

    def change(self, entity: str, remote_id: RemoteId, values: VendorRecord) -> None:
        """Changes these fields: the time of modification moves on."""

    def delete(self, entity: str, remote_ids: Sequence[RemoteId]) -> None:
        """Deletes records that nothing refers to."""

    def bring_back(self, entity: str, remote_id: RemoteId) -> bool:
        """Makes a record with the id of a deleted one (restored, or made anew); False when the vendor never does."""


class RecordingLimiter:
    """Lets everything through, and remembers how often it was asked and which pauses it was told."""

    def __init__(self) -> None:
        self.acquired = 0
        self.pauses: list[float] = []

    def acquire(self, cost: float = 1.0) -> float:
        self.acquired += 1
        return 0.0

    def leave(self) -> float:
        return 0.0

    def done(self) -> None:
        """Nothing to give back."""

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
