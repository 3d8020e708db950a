"""What the sandbox has been asked: requests per path and status, how many at once, how fast."""

import re
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from sandbox.vendor import ASGIApp, Event, Receive, Scope, Send

RECENT_S = 10
SERVERS_SEND = "sandbox.send"  # the server's own `send`, which leads to the socket


@dataclass(slots=True)
class Traffic:
    """Counters since the start or the last reset."""

    requests: Counter[str] = field(default_factory=Counter)  # "GET /erpnext/api/resource/Customer" -> number
    statuses: Counter[int] = field(default_factory=Counter)
    bytes_sent: int = 0
    current: int = 0
    most_at_once: int = 0
    started: float = field(default_factory=time.monotonic)
    seconds: Counter[int] = field(default_factory=Counter)  # whole second -> requests in it

    def reset(self) -> None:
        current = self.current
        self.__init__()  # type: ignore[misc]
        self.current = self.most_at_once = current

    def shown(self) -> dict[str, Any]:
        now = time.monotonic()
        elapsed = max(now - self.started, 0.001)
        total = sum(self.requests.values())
        recent = sum(count for second, count in self.seconds.items() if second > now - RECENT_S)
        return {
            "requests": total,
            "by_path": dict(self.requests.most_common()),
            "by_status": {str(status): count for status, count in sorted(self.statuses.items())},
            "bytes_sent": self.bytes_sent,
            "at_once": self.current,
            "most_at_once": self.most_at_once,
            "per_second": round(total / elapsed, 3),
            "per_second_lately": round(recent / min(elapsed, RECENT_S), 3),
            "busiest_second": max(self.seconds.values(), default=0),
        }


class TrafficMiddleware:
    """The outermost application: counts each request, those that a fault takes over too; not the side door."""

    def __init__(self, app: ASGIApp, traffic: Traffic, *, exempt: str) -> None:
        self.app = app
        self.traffic = traffic
        self.exempt = exempt

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(self.exempt):
            await self.app(scope, receive, send)
            return
        traffic = self.traffic
        traffic.requests[f"{scope['method']} {grouped(scope['path'])}"] += 1
        traffic.seconds[int(time.monotonic())] += 1
        traffic.current += 1
        traffic.most_at_once = max(traffic.most_at_once, traffic.current)

        async def count(event: Event) -> None:
            if event["type"] == "http.response.start":
                traffic.statuses[event["status"]] += 1
            elif event["type"] == "http.response.body":
                traffic.bytes_sent += len(event.get("body", b""))
            await send(event)

        try:
            await self.app({**scope, SERVERS_SEND: send}, receive, count)
        finally:
            traffic.current -= 1


def grouped(path: str) -> str:
    """The path without the name of a single document, so that reads one by one count together."""
    return re.sub(r"(/api/(?:v1/)?resource/[^/]+|/api/v2/document/[^/]+)/.+", r"\1/<name>", path)
