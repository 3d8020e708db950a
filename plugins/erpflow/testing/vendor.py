"""What the contract asks of a vendor: an account it may fill, change, and break on purpose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from erpflow.vocabulary import RemoteId

FaultKind = Literal["status", "reset", "truncated", "html", "latency"]


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to the next `times` requests for data (not to the vendor's housekeeping calls).

    `status`: this HTTP status with the vendor's own kind of body, and Retry-After if `retry_after` (seconds) is given.
    `reset`: the connection breaks. `truncated`: half of a good body, correctly framed. `html`: a page for people, with
    status 200. `latency`: the answer comes `seconds` late.
    """

    kind: FaultKind
    status: int = 503
    retry_after: int | None = None
    seconds: float = 0.0
    times: int = 1


@dataclass(frozen=True, slots=True)
class Credentials:
    """What goes into a connection's login and password."""

    login: str | None
    password: str | None = field(repr=False)


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


class RecordingLimiter:
    """Lets everything through, and remembers how often it was asked and which pauses it was told."""

    def __init__(self) -> None:
        self.acquired = 0
        self.pauses: list[float] = []

    def acquire(self) -> float:
        self.acquired += 1
        return 0.0

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
