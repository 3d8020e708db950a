"""Who may sign in, and who is: `B1SESSION`, which ends after half an hour of silence."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sandbox.sap_b1.errors import ServiceError, no_session

COMPANY = "SBODEMOEU"
MINUTE = 60.0
NODE = ".node1"


@dataclass(slots=True)
class User:
    """A user of the company. `hidden`: entity sets this one may not see, `read_only`: those this one may not change."""

    password: str
    hidden: frozenset[str] = frozenset()
    read_only: frozenset[str] = frozenset()


@dataclass(slots=True)
class Session:
    user: User
    seen: float


def users() -> dict[str, User]:
    return {
        "manager": User("sandbox-manager-password"),
        "sales": User(
            "sandbox-sales-password",
            hidden=frozenset({"IncomingPayments"}),
            read_only=frozenset({"Items", "Invoices", "IncomingPayments"}),
        ),
    }


@dataclass(slots=True)
class Sessions:
    """The sessions of a Service Layer. `timeout` in minutes, `most` at a time."""

    timeout: float = 30
    most: int = 200
    users: dict[str, User] = field(default_factory=users)
    clock: Callable[[], float] = time.monotonic
    logins: int = 0
    open: dict[str, Session] = field(default_factory=dict)

    def log_in(self, given: Any) -> str:
        """A new session for good credentials. Raises ServiceError."""
        if not isinstance(given, dict) or not all(isinstance(value, str | int) for value in given.values()):
            raise ServiceError(400, 201, "Invalid JSON: CompanyDB, UserName and Password were expected.")
        user = self.users.get(str(given.get("UserName")))
        if given.get("CompanyDB") != COMPANY:
            raise ServiceError(401, -304, "Fail to get DB Credentials from SLD")
        if user is None or user.password != given.get("Password"):
            raise ServiceError(401, 100000027, "Login failed: the user name or the password is wrong")
        self.end_silent()
        if len(self.open) >= self.most:
            raise ServiceError(400, -1101, "You have exceeded the maximum number of sessions")
        self.logins += 1
        number = UUID(int=(self.logins * 0x9E3779B97F4A7C15F39CC0605CEDC835) % 2**128, version=4)
        self.open[str(number)] = Session(user, self.clock())
        return str(number)

    def user_of(self, cookie: str) -> User:
        """Who sends this Cookie header. Raises ServiceError when nobody known does."""
        self.end_silent()
        session = self.open.get(number_of(cookie))
        if session is None:
            raise no_session()
        session.seen = self.clock()
        return session.user

    def log_out(self, cookie: str) -> None:
        if self.open.pop(number_of(cookie), None) is None:
            raise no_session()

    def end_silent(self) -> None:
        latest = self.clock() - self.timeout * MINUTE
        for number in [number for number, session in self.open.items() if session.seen < latest]:
            del self.open[number]


def number_of(cookie: str) -> str:
    parts = (part.strip().partition("=") for part in cookie.split(";"))
    return next((value for name, _, value in parts if name == "B1SESSION"), "")
