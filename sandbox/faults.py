"""Faults on demand: an ASGI middleware that makes the network and the server fail in the ways they do."""

import asyncio
import json
import random
import re
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, get_args

from sandbox.traffic import SERVERS_SEND
from sandbox.vendor import ASGIApp, Event, Receive, Scope, Send

Kind = Literal["latency", "status", "reset", "truncate", "html", "unauthorized", "after_commit", "reset_after_commit"]
KINDS: tuple[str, ...] = get_args(Kind)

UNAUTHORIZED = "sandbox.unauthorized"  # in the scope, for vendors whose credentials are in no header

GATEWAY_PAGE = (
    b"<html>\r\n<head><title>504 Gateway Time-out</title></head>\r\n<body>\r\n"
    b"<center><h1>504 Gateway Time-out</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)
LOGIN_PAGE = b"<!DOCTYPE html>\n<html><head><title>Login</title></head><body><h1>Please sign in</h1></body></html>\n"


@dataclass(slots=True)
class Fault:
    """What to do to which requests; it is spent after `times` hits (None: never)."""

    kind: Kind
    path: str = ""  # regular expression, searched in the path with its query
    method: str | None = None  # several with bars between them
    body: str | None = None  # regular expression, searched in the request's body
    times: int | None = None
    skip: int = 0  # matching requests to let pass first
    probability: float = 1.0
    seconds: float = 0.0  # latency before the answer
    status: int = 503
    retry_after: int | None = None  # seconds, as a header
    hits: int = 0
    id: int = 0
    FIELDS: ClassVar[Mapping[str, tuple[type, ...]]] = {
        "kind": (str,),
        "path": (str,),
        "method": (str, type(None)),
        "body": (str, type(None)),
        "times": (int, type(None)),
        "skip": (int,),
        "probability": (int, float),
        "seconds": (int, float),
        "status": (int,),
        "retry_after": (int, type(None)),
    }

    def matches(self, scope: Scope, target: str, body: str) -> bool:
        if self.times is not None and self.hits >= self.times:
            return False
        if self.method is not None and scope["method"] not in self.method.upper().split("|"):
            return False
        if self.body is not None and re.search(self.body, body) is None:
            return False
        return re.search(self.path, target) is not None

    def shown(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in (*self.FIELDS, "hits", "id")}


def read_fault(given: Any) -> Fault:
    """A fault from the JSON of the side door.

    Raises ValueError with a sentence that names what is wrong and what is allowed.
    """
    if not isinstance(given, dict):
        raise ValueError(f"A fault is a JSON object, not {type(given).__name__}.")
    unknown = sorted(set(given) - set(Fault.FIELDS))
    if unknown:
        raise ValueError(f"A fault has no {', '.join(unknown)}; it has {', '.join(Fault.FIELDS)}.")
    for name, value in given.items():
        if not isinstance(value, Fault.FIELDS[name]) or isinstance(value, bool):
            allowed = " or ".join("null" if kind is type(None) else kind.__name__ for kind in Fault.FIELDS[name])
            raise ValueError(f"{name} of a fault is {allowed}, not {value!r}.")
    if given.get("kind") not in KINDS:
        raise ValueError(f"kind of a fault is {given.get('kind')!r}; it may be {', '.join(KINDS)}.")
    for name in ("path", "body"):
        try:
            re.compile(given.get(name) or "")
        except re.error as problem:
            raise ValueError(f"{name} of a fault is no regular expression: {problem}.") from None
    return Fault(**given)


@dataclass(slots=True)
class FaultPlan:
    """The faults that are armed, in the order they were added; the first that matches strikes (latencies add up)."""

    seed: int = 7
    faults: list[Fault] = field(default_factory=list)
    _random: random.Random = field(default_factory=random.Random)
    _last_id: int = 0

    def __post_init__(self) -> None:
        self._random.seed(self.seed)

    def add(self, fault: Fault) -> Fault:
        self._last_id += 1
        fault.id = self._last_id
        self.faults.append(fault)
        return fault

    def clear(self, fault_id: int | None = None) -> None:
        self.faults = [] if fault_id is None else [fault for fault in self.faults if fault.id != fault_id]

    def reseed(self, seed: int) -> None:
        self.seed = seed
        self._random.seed(seed)

    @property
    def reads_bodies(self) -> bool:
        """Whether an armed fault looks into the requests' bodies."""
        return any(fault.body is not None for fault in self.faults)

    def strike(self, scope: Scope, target: str, body: str = "") -> tuple[float, Fault | None]:
        """Seconds to wait, and the fault that takes the request over."""
        wait = 0.0
        for fault in self.faults:
            if not fault.matches(scope, target, body):
                continue
            if fault.skip > 0:
                fault.skip -= 1
                continue
            if fault.probability < 1 and self._random.random() >= fault.probability:
                continue
            fault.hits += 1
            wait += fault.seconds
            if fault.kind != "latency":
                return wait, fault
        return wait, None


class FaultMiddleware:
    """Decides for each request of a vendor whether and how it fails."""

    def __init__(self, app: ASGIApp, plan: FaultPlan, *, exempt: str) -> None:
        self.app = app
        self.plan = plan
        self.exempt = exempt  # paths that start with this never fail: the side door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self.plan.faults or scope["path"].startswith(self.exempt):
            await self.app(scope, receive, send)
            return
        query = scope["query_string"].decode("latin-1")
        target = scope["path"] + (f"?{query}" if query else "")
        body = ""
        if self.plan.reads_bodies:
            events, receive = await whole(receive)
            body = b"".join(event.get("body", b"") for event in events).decode("utf-8", "replace")
        wait, fault = self.plan.strike(scope, target, body)
        if wait:
            receive = await received(receive)
            await asyncio.sleep(wait)
        if fault is None:
            await self.app(scope, receive, send)
            return
        await self.fail(fault, scope, receive, send)

    async def fail(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        if fault.kind == "reset":
            await abort(scope, receive, send)
        elif fault.kind == "reset_after_commit":
            await captured(self.app, scope, receive)
            await abort(scope, receive, send)
        elif fault.kind == "truncate":
            status, headers, body = await captured(self.app, scope, receive)
            await send_truncated(scope, status, headers, body, receive, send)
        elif fault.kind == "after_commit":
            await captured(self.app, scope, receive)
            await send_whole(504, {"content-type": "text/html"}, GATEWAY_PAGE, send)
        elif fault.kind == "html":
            await send_whole(200, {"content-type": "text/html; charset=utf-8"}, LOGIN_PAGE, send)
        elif fault.kind == "unauthorized":
            await self.app({**scope, "headers": with_bad_token(scope), UNAUTHORIZED: True}, receive, send)
        else:
            extra = {} if fault.retry_after is None else {"retry-after": str(fault.retry_after)}
            body = status_body(fault.status)
            await send_whole(fault.status, {"content-type": "application/json", **extra}, body, send)


async def received(receive: Receive) -> Receive:
    """The whole request, read now: a server that is slow has it already when the client gives up."""
    return (await whole(receive))[1]


async def whole(receive: Receive) -> tuple[list[Event], Receive]:
    """The events of a request, read now, and what gives them again."""
    events: list[Event] = []
    while not events or events[-1].get("more_body"):
        events.append(await receive())
    left = list(events)

    async def again() -> Event:
        return left.pop(0) if left else await receive()

    return events, again


def status_body(status: int) -> bytes:
    """A body any client can do without: proxies in front of a vendor do not speak the vendor's language."""
    return json.dumps({"error": f"HTTP {status}, a fault of the sandbox"}).encode()


def with_bad_token(scope: Scope) -> list[tuple[bytes, bytes]]:
    """The request's headers with credentials that have expired, so that the vendor answers in its own words."""
    kept = [(name, value) for name, value in scope["headers"] if name not in (b"authorization", b"cookie")]
    return [*kept, (b"authorization", b"Bearer expired")]


async def captured(app: ASGIApp, scope: Scope, receive: Receive) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Run the request to its end and keep the answer."""
    status = 500
    headers: list[tuple[bytes, bytes]] = []
    body = b""

    async def keep(event: Event) -> None:
        nonlocal status, headers, body
        if event["type"] == "http.response.start":
            status, headers = event["status"], list(event.get("headers", []))
        elif event["type"] == "http.response.body":
            body += event.get("body", b"")

    await app(scope, receive, keep)
    return status, headers, body


async def send_whole(status: int, headers: Mapping[str, str], body: bytes, send: Send) -> None:
    pairs = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    pairs.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})


async def send_truncated(
    scope: Scope, status: int, headers: list[tuple[bytes, bytes]], body: bytes, receive: Receive, send: Send
) -> None:
    """Promise the whole body, send half of it, and hang up."""
    kept = [(name, value) for name, value in headers if name.lower() != b"content-length"]
    kept.append((b"content-length", str(max(len(body), 2)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": kept})
    await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
    transport_of(scope, send).close()
    await disconnected(receive)


async def abort(scope: Scope, receive: Receive, send: Send) -> None:
    """Reset the connection: the client sees ECONNRESET, not an end of file."""
    transport = transport_of(scope, send)
    raw = transport.get_extra_info("socket")
    if raw is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    await disconnected(receive)


def transport_of(scope: Scope, send: Send) -> asyncio.Transport:
    """The connection below the server's `send`.

    Raises ConnectionResetError where there is none, as under an in-process test client.
    """
    transport = getattr(getattr(scope.get(SERVERS_SEND, send), "__self__", None), "transport", None)
    if transport is None:
        raise ConnectionResetError("The sandbox hung up, as a fault told it to.")
    found: asyncio.Transport = transport
    return found


async def disconnected(receive: Receive) -> None:
    """Wait until the server has noticed, so that it does not complain about the missing rest."""
    while (await receive())["type"] != "http.disconnect":
        pass
