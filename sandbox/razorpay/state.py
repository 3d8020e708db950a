"""The state of an account: two books that never see each other, and the keys that open them."""

import random
import string
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

SIGNS = string.ascii_letters + string.digits
ID_LENGTH = 14


def real_time() -> int:
    return int(datetime.now(UTC).timestamp())


@dataclass(frozen=True, slots=True)
class Key:
    """A key of this account. `subscribes`: the account was given subscriptions."""

    id: str
    secret: str
    subscribes: bool = True

    @property
    def mode(self) -> str:
        return "live" if self.id.startswith("rzp_live_") else "test"


KEYS = (
    Key("rzp_test_SandboxKey0001", "sandbox-razorpay-test-secret"),
    Key("rzp_live_SandboxKey0001", "sandbox-razorpay-live-secret"),
    Key("rzp_test_SandboxNoSubs1", "sandbox-razorpay-plain-secret", subscribes=False),
)
"""Values of tests: they open nothing but this sandbox."""


@dataclass
class Book:
    """The plans and subscriptions of one mode, in the order in which they were made."""

    plans: dict[str, dict[str, Any]] = field(default_factory=dict)
    subscriptions: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass
class Account:
    """One Razorpay account. `skew`: how far its clock is ahead of the real one, in seconds."""

    seed: int = 7
    now: Callable[[], int] = real_time
    keys: dict[str, Key] = field(default_factory=lambda: {key.id: key for key in KEYS})
    books: dict[str, Book] = field(default_factory=lambda: {"test": Book(), "live": Book()})
    skew: int = 0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._taken: set[str] = set()

    def time(self) -> int:
        """The account's clock, in Unix seconds."""
        return self.now() + self.skew

    def new_id(self, prefix: str) -> str:
        """A prefix and 14 letters and digits, never the same twice."""
        while True:
            found = f"{prefix}_{''.join(self._random.choices(SIGNS, k=ID_LENGTH))}"
            if found not in self._taken:
                self._taken.add(found)
                return found
