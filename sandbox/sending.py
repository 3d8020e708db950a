"""The side door of vendors that send messages: what they took, and their switches."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.control import body_of, refusing

NEVER = float("-inf")


class Sender(Protocol):
    """An account that sends. `window`: when its current minute began, and how much it has seen; `switches`, `sent`:
    dataclasses."""

    @property
    def sent(self) -> Sequence[Any]: ...

    @property
    def switches(self) -> Any: ...

    window: tuple[float, int]


def control_routes(account: Sender) -> list[Route]:
    """Routes below the vendor's side door: sent, switches."""
    door = Door(account)
    return [
        Route("/sent", refusing(door.sent), methods=["GET"]),
        Route("/switches", refusing(door.switch), methods=["POST"]),
    ]


class Door:
    """The handlers."""

    def __init__(self, account: Sender) -> None:
        self.account = account

    async def sent(self, _: Request) -> Response:
        """Every message that was taken, in order."""
        return JSONResponse({"sent": [asdict(each) for each in self.account.sent]})

    async def switch(self, request: Request) -> Response:
        """Set any of the account's switches; the limit's minute begins anew."""
        given, known = await body_of(request), asdict(self.account.switches)
        unknown = sorted(set(given) - set(known))
        if unknown:
            raise ValueError(f"There is no switch {', '.join(unknown)}; there are {', '.join(known)}.")
        for name, value in given.items():
            setattr(self.account.switches, name, value)
        self.account.window = (NEVER, 0)
        return JSONResponse(asdict(self.account.switches))
