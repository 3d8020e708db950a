"""A transport with a scripted server behind it, a clock that only sleeping moves, and a limiter that takes notes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import requests

from erpflow.connectors.signing import TokenAuth
from erpflow.connectors.transport import Transport
from erpflow.testing.server import Asked, Reply, ScriptedServer

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@dataclass
class Time:
    """A clock that only sleeping moves."""

    seconds: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds


@dataclass
class NotedLimiter:
    """Lets everything through after `waits`, and `late` when it leaves, and keeps what it was told."""

    waits: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    asked: int = 0
    under_way: int = 0
    costs: list[float] = field(default_factory=list)
    paused: list[float] = field(default_factory=list)

    def acquire(self, cost: float = 1.0) -> float:
        self.asked += 1
        self.under_way += 1
        self.costs.append(cost)
        return self.waits.pop(0) if self.waits else 0.0

    def leave(self) -> float:
        return self.late.pop(0) if self.late else 0.0

    def done(self) -> None:
        self.under_way -= 1

    def pause(self, seconds: float) -> None:
        self.paused.append(seconds)


@dataclass
class Bench:
    server: ScriptedServer
    time: Time
    limiter: NotedLimiter
    session: requests.Session

    def transport(self, **options: Any) -> Transport:
        given: dict[str, Any] = {
            "base_url": self.server.url,
            "limiter": self.limiter,
            "clock": self.time,
            "now": lambda: NOON,
            "sleep": self.time.sleep,
            "jitter": lambda: 1.0,
        }
        return Transport(self.session, **{**given, **options})


@contextmanager
def serving(*replies: Reply | Callable[[Asked], Reply]) -> Iterator[Bench]:
    """A server that gives the replies in order, the last one for ever."""
    script = list(replies)

    def answer(asked: Asked) -> Reply:
        reply = script.pop(0) if len(script) > 1 else script[0]
        return reply(asked) if callable(reply) else reply

    with ScriptedServer(answer) as server, requests.Session() as session:
        session.trust_env = False
        session.auth = TokenAuth("the-api-key", "the-api-secret")
        yield Bench(server, Time(), NotedLimiter(), session)
