"""The small interface each sandbox vendor offers, so that one process can host them all side by side."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute

Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]


def app_of(handle: Callable[[Request], Awaitable[Response]]) -> ASGIApp:
    """An ASGI application of one handler. Who is gone before the request was whole gets no answer."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            response = await handle(Request(scope, receive))
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    return app


@dataclass(frozen=True, slots=True)
class SeedPlan:
    """What a vendor is filled with: the same plan gives the same data, byte for byte, on any machine."""

    seed: int = 7
    sizes: Mapping[str, int] = field(default_factory=dict)  # records per entity; absent: the vendor's own default
    time_zone: str | None = None  # IANA name; None: the vendor's own default


class Vendor(Protocol):
    """A package under `sandbox/`; its URL prefix is its name."""

    name: str

    def seed(self, plan: SeedPlan) -> Any:
        """Build the vendor's state."""

    def create_app(self, state: Any) -> ASGIApp:
        """The vendor's API over that state; paths arrive without the prefix."""

    def counts(self, state: Any) -> Mapping[str, int]:
        """How many records it began with of what a client would sync, by plain words (customer, product, order …)."""

    def control_routes(self, state: Any) -> Sequence[BaseRoute]:
        """The side door for tests, mounted at `/_sandbox/<name>/`; no part of the vendor's API."""
