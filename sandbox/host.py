"""One application that hosts all vendors: each under its name, the side door beside them."""

import gc
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, cast

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse

import sandbox
from sandbox.control import PREFIX, create_control
from sandbox.faults import FaultMiddleware, FaultPlan
from sandbox.traffic import Traffic, TrafficMiddleware
from sandbox.vendor import ASGIApp, Receive, Scope, SeedPlan, Send, Vendor

# Every package beside this module is a vendor.
VENDORS: dict[str, Vendor] = {
    found.name: cast(Vendor, import_module(f"sandbox.{found.name}"))
    for found in iter_modules(sandbox.__path__)
    if found.ispkg
}


class Host:
    """The vendors' states and applications, with what is common to them: faults and traffic."""

    def __init__(self, plan: SeedPlan | None = None, *, vendors: Sequence[str] | None = None) -> None:
        self.plan = plan or SeedPlan()
        self.vendors = {name: VENDORS[name] for name in (vendors or VENDORS)}
        self.faults = FaultPlan(seed=self.plan.seed)
        self.traffic = Traffic()
        self.states: dict[str, Any] = {}
        self.seconds_to_seed: dict[str, float] = {}
        self._apps: dict[str, ASGIApp] = {}
        self._doors: dict[str, Starlette] = {}
        self._control = create_control(self)
        for name in self.vendors:
            self.fill(name, self.plan)

    def fill(self, name: str, plan: SeedPlan) -> None:
        """Seed the vendor anew; what was there is gone."""
        started = time.perf_counter()
        with collection_paused():
            state = self.vendors[name].seed(plan)
        self.use(name, state)
        self.seconds_to_seed[name] = round(time.perf_counter() - started, 3)

    def use(self, name: str, state: Any) -> None:
        """Serve this state under the vendor's name."""
        vendor = self.vendors[name]
        self.states[name] = state
        self._apps[name] = vendor.create_app(state)
        self._doors[name] = Starlette(routes=list(vendor.control_routes(state)))

    def reset(self, *, vendor: Any = None, seed: Any = None, sizes: Any = None) -> None:
        """Back to the seeded state, with another seed or other sizes if wanted; faults and counters go too.

        Raises ValueError with a sentence for anything that makes no sense.
        """
        if vendor is not None and vendor not in self.vendors:
            raise ValueError(f"There is no vendor {vendor!r} here; there are {', '.join(self.vendors)}.")
        if seed is not None and (not isinstance(seed, int) or isinstance(seed, bool)):
            raise ValueError(f"seed is a whole number, not {seed!r}.")
        if sizes is not None and not (isinstance(sizes, dict) and all(isinstance(n, int) for n in sizes.values())):
            raise ValueError("sizes is an object of whole numbers per entity.")
        plan = replace(self.plan, seed=self.plan.seed if seed is None else seed)
        plan = replace(plan, sizes=plan.sizes if sizes is None else {**plan.sizes, **sizes})
        for name in [vendor] if vendor else list(self.vendors):
            self.fill(name, plan)
        self.faults.clear()
        self.faults.reseed(plan.seed)
        self.traffic.reset()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        first, inner = below(scope)
        if first == PREFIX.strip("/"):
            await self._control(inner, receive, send)
        elif first in self._apps:
            await self._apps[first](inner, receive, send)
        else:
            page = f"No vendor here. There are: {', '.join('/' + name for name in self.vendors)}.\n"
            await PlainTextResponse(page, status_code=404)(scope, receive, send)

    async def vendor_control(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The part of the side door below a vendor's name."""
        first, inner = below(scope)
        if first not in self._doors:
            known = ", ".join(("counts", "faults", "stats", "reset", "health", *self.vendors))
            await PlainTextResponse(f"The side door has: {known}.\n", status_code=404)(scope, receive, send)
            return
        await self._doors[first](inner, receive, send)


@contextmanager
def collection_paused() -> Iterator[None]:
    """No garbage collection while hundreds of thousands of rows are made, none of which is garbage."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def below(scope: Scope) -> tuple[str, Scope]:
    """The first part of the path, and the request as it looks below it."""
    root = scope.get("root_path", "")
    path = scope["path"].removeprefix(root)
    first, _, rest = path.strip("/").partition("/") if path.count("/") < 2 else path[1:].partition("/")
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    _, _, raw_rest = raw[1:].partition(b"/")
    return first, {**scope, "root_path": "", "path": "/" + rest, "raw_path": b"/" + raw_rest}


async def lifespan(receive: Receive, send: Send) -> None:
    while True:
        event = await receive()
        await send({"type": f"{event['type']}.complete"})
        if event["type"] == "lifespan.shutdown":
            return


def create_app(plan: SeedPlan | None = None, *, vendors: Sequence[str] | None = None) -> ASGIApp:
    """All vendors (or those named), seeded by the plan, behind the fault and traffic middleware."""
    return wrap(Host(plan, vendors=vendors))


def wrap(host: Host) -> ASGIApp:
    failing = FaultMiddleware(host, host.faults, exempt=PREFIX)
    return TrafficMiddleware(failing, host.traffic, exempt=PREFIX)
