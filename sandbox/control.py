"""The side door `/_sandbox/`: faults, traffic, reset. No vendor has it; tests and the demo do."""

from collections.abc import Awaitable, Callable
from json import JSONDecodeError
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from sandbox.faults import read_fault

if TYPE_CHECKING:
    from sandbox.host import Host

PREFIX = "/_sandbox"

Handler = Callable[[Request], Awaitable[Response]]


async def body_of(request: Request) -> Any:
    """The request's JSON, or an empty object for an empty body.

    Raises ValueError with a sentence.
    """
    raw = await request.body()
    if not raw:
        return {}
    try:
        return await request.json()
    except (JSONDecodeError, UnicodeDecodeError) as problem:
        raise ValueError(f"The body is not JSON: {problem}.") from None


def refusing(handler: Handler) -> Handler:
    """The handler, answering 400 with the sentence of a ValueError."""

    async def guarded(request: Request) -> Response:
        try:
            return await handler(request)
        except ValueError as problem:
            return JSONResponse({"error": str(problem)}, status_code=400)

    return guarded


class Door:
    """The handlers of what is common to all vendors."""

    def __init__(self, host: "Host") -> None:
        self.host = host

    async def health(self, _: Request) -> Response:
        return JSONResponse({"vendors": list(self.host.vendors), "seconds_to_seed": self.host.seconds_to_seed})

    async def counts(self, _: Request) -> Response:
        return JSONResponse({name: self.host.vendors[name].counts(state) for name, state in self.host.states.items()})

    async def list_faults(self, _: Request) -> Response:
        return JSONResponse(self.armed())

    async def add_faults(self, request: Request) -> Response:
        """Arm one fault, or a list of them."""
        given = await body_of(request)
        faults = [read_fault(item) for item in (given if isinstance(given, list) else [given])]
        return JSONResponse({"faults": [self.host.faults.add(fault).shown() for fault in faults]}, status_code=201)

    async def clear_faults(self, request: Request) -> Response:
        """Disarm all faults, or `?id=`; `?seed=` starts the dice of the probabilities anew."""
        wanted, seed = (request.query_params.get(name) for name in ("id", "seed"))
        self.host.faults.clear(int(wanted) if wanted else None)
        if seed:
            self.host.faults.reseed(int(seed))
        return JSONResponse(self.armed())

    def armed(self) -> dict[str, Any]:
        plan = self.host.faults
        return {"faults": [fault.shown() for fault in plan.faults], "seed": plan.seed}

    async def show_traffic(self, _: Request) -> Response:
        return JSONResponse(self.host.traffic.shown())

    async def reset_traffic(self, _: Request) -> Response:
        self.host.traffic.reset()
        return JSONResponse(self.host.traffic.shown())

    async def reset(self, request: Request) -> Response:
        """Seed anew: {vendor, seed, sizes}, all optional."""
        given = await body_of(request)
        if not isinstance(given, dict):
            raise ValueError("A reset takes a JSON object: vendor, seed and sizes, all optional.")
        self.host.reset(vendor=given.get("vendor"), seed=given.get("seed"), sizes=given.get("sizes"))
        return JSONResponse({"reset": given.get("vendor") or list(self.host.vendors)})


def create_control(host: "Host") -> Starlette:
    """The side door of a host, with each vendor's own routes below its name."""
    door = Door(host)

    async def vendors(scope: Any, receive: Any, send: Any) -> None:
        await host.vendor_control(scope, receive, send)

    routes = [
        Route("/health", door.health),
        Route("/counts", door.counts),
        Route("/faults", door.list_faults, methods=["GET"]),
        Route("/faults", refusing(door.add_faults), methods=["POST"]),
        Route("/faults", refusing(door.clear_faults), methods=["DELETE"]),
        Route("/stats", door.show_traffic, methods=["GET"]),
        Route("/stats", door.reset_traffic, methods=["DELETE"]),
        Route("/reset", refusing(door.reset), methods=["POST"]),
        Mount("/", vendors),
    ]
    return Starlette(routes=routes)
