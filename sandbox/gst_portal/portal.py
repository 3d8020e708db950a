"""The state of the portal: who may sign in, open sessions, returns with their rows, and what is being worked on."""

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sandbox.gst_portal.refusal import Refusal

CLIENTS = {"sandbox-gsp-client": "sandbox-gsp-secret"}
OTP = "575757"
EVC_OTP = "121212"
PANS = {"AABCV1234M": "29AABCV1234M1Z5", "AAECE5678K": "27AAECE5678K1Z3"}

Rows = dict[str, Any]


def real_time() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class Switches:
    """What an operator may turn.

    `polls`: how often RETSTATUS says IP before it is done. `session_minutes` of a new session. `small`: the taxpayers'
    turnover is at most five crore. `lose_filing`: file the next return and break its answer. `extra`: rupees that the
    summary's taxable value is off.
    """

    polls: int = 1
    session_minutes: int = 360
    small: bool = False
    lose_filing: bool = False
    extra: int = 0


@dataclass(slots=True)
class Session:
    """One open session. `key`: of 32 bytes, None in plain mode."""

    gstin: str
    key: bytes | None
    until: datetime


@dataclass(slots=True)
class Job:
    """Something that is worked on: it answers IP `polls` times, then what came of it."""

    gstin: str
    period: str
    action: str
    polls: int
    status: str
    report: Any = None


@dataclass(slots=True)
class Filing:
    """One return of one period. `sections`: rows by section, then by their key."""

    sections: dict[str, dict[Any, Rows]] = field(default_factory=dict)
    is_ready: bool = False
    arn: str | None = None
    filed_at: datetime | None = None


@dataclass
class Portal:
    """All of it. `now` is its clock."""

    seed: int = 7
    now: Callable[[], datetime] = real_time
    switches: Switches = field(default_factory=Switches)
    sessions: dict[str, Session] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    returns: dict[tuple[str, str], Filing] = field(default_factory=dict)
    app_keys: dict[str, bytes | None] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)  # operations by their action, for tests
    evc_asked: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.lots = random.Random(self.seed)
        self.taxpayers = {"sandbox.karnataka": "29AABCV1234M1Z5", "sandbox.maharashtra": "27AAECE5678K1Z3"}

    def count(self, action: str) -> None:
        self.asked[action] = self.asked.get(action, 0) + 1

    def today(self) -> date:
        return (self.now() + timedelta(hours=5, minutes=30)).date()

    def open(self, gstin: str, key: bytes | None) -> str:
        """A new session; the one of before ends."""
        self.sessions = {token: each for token, each in self.sessions.items() if each.gstin != gstin}
        token = f"{self.lots.getrandbits(128):032x}"
        self.sessions[token] = Session(gstin, key, self.now() + timedelta(minutes=self.switches.session_minutes))
        return token

    def session(self, token: str | None, gstin: str) -> Session:
        found = self.sessions.get(token or "")
        if found is None or found.gstin != gstin or found.until <= self.now():
            raise Refusal("AUTH4033", "Invalid Session")
        return found

    def filing(self, gstin: str, period: str) -> Filing:
        return self.returns.setdefault((gstin, period), Filing())

    def work(self, gstin: str, period: str, action: str, status: str, report: Any = None) -> str:
        """A reference to ask after."""
        text = f"{self.lots.getrandbits(128):032x}"
        reference = "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
        self.jobs[reference] = Job(gstin, period, action, self.switches.polls, status, report)
        return reference

    def file(self, gstin: str, period: str) -> str:
        """File what is ready: its ARN. The form of an ARN is UNVERIFIED."""
        filing = self.filing(gstin, period)
        number = sum(1 for each in self.returns.values() if each.arn) + 1
        filing.arn = f"AA{gstin[:2]}{period[:2]}{period[4:]}{number:06}{self.lots.choice('ABCDEFGHJK')}"
        filing.filed_at = self.now()
        return filing.arn


def checksum(value: bytes) -> str:
    return hashlib.sha256(value).hexdigest()
