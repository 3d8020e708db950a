"""The wire: one request at a time, HTTP 200 to everything, and whatever a dialogue on the screen keeps waiting."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from sandbox.faults import FaultMiddleware
from sandbox.tally.company import Office
from sandbox.tally.envelope import read_request
from sandbox.tally.exports import export
from sandbox.tally.formula import ErrorBox
from sandbox.tally.imports import import_objects
from sandbox.tally.wire import answer, is_wide, text_of
from sandbox.vendor import ASGIApp, Event, Receive, Scope, Send

ALIVE = "<RESPONSE>TallyPrime Server is Running</RESPONSE>"
UNKNOWN = "<RESPONSE>Unknown Request, cannot be processed</RESPONSE>"
_POLL_S = 0.02
_CLOSED = b"Bearer expired"  # how the fault `unauthorized` marks a request: here the company was closed before it


class Tally:
    """The gateway of one machine."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.turn = asyncio.Lock()
        self.faulty = FaultMiddleware(self.serve, office.faults, exempt="/never")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Paths mean nothing to Tally: faults see what is asked for in their place."""
        request = Request(scope, receive)
        body = await request.body()
        about = "/alive"
        if body and request.method == "POST":
            text = text_of(body, wide=is_wide(request))
            asked = read_request(text) if text is not None else None
            about = f"/{asked.verb}" if asked else "/unknown"
            if asked and "COMPANY" in [one.type.upper() for one in asked.collections.values()]:
                about = "/companies"
        await self.faulty({**scope, "path": about, "query_string": b""}, _replayed(body, receive), send)

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = await request.body()
        async with self.turn:
            if self.office.switches.latency_s:
                await asyncio.sleep(self.office.switches.latency_s)
            await self._dismissed()
            try:
                response = self.answered(request, body)
            except ErrorBox:
                self.office.switches.modal = True
                await self._dismissed()
                response = answer(UNKNOWN, wide=is_wide(request))
        await response(scope, receive, send)

    async def _dismissed(self) -> None:
        """Wait until nobody's click is missing."""
        while self.office.switches.modal:
            await asyncio.sleep(_POLL_S)

    def answered(self, request: Request, body: bytes) -> Response:
        wide = is_wide(request)
        if not body or request.method != "POST":
            return answer(ALIVE, wide=False)
        text = text_of(body, wide=wide)
        asked = read_request(text) if text is not None else None
        if asked is None:
            return answer(UNKNOWN, wide=wide and text is not None)
        closed = request.headers.get("authorization", "").encode() == _CLOSED
        is_import = asked.verb == "import"
        told = (import_objects if is_import else export)(self.office, asked, closed=closed)
        return answer(self._cut(told, is_import=is_import), wide=wide)

    def _cut(self, told: str, *, is_import: bool) -> str:
        """Half an answer, framed as if it were whole, while the switch says so."""
        switches = self.office.switches
        name = "cut_imports" if is_import else "cut_exports"
        left = getattr(switches, name)
        if left <= 0:
            return told
        setattr(switches, name, left - 1)
        return told[: len(told) // 2]


def create_app(state: Office) -> ASGIApp:
    """The gateway over the companies of a machine."""
    return Tally(state)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """The request's body once more, and then what the server says."""
    events: list[Event] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Event:
        return events.pop(0) if events else await receive()

    return again
