"""The side door of the account: the messages it took with what their reports would say, and its switches."""

from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.control import body_of, refusing
from sandbox.msg91.account import Account, Switches

SWITCHES = tuple(asdict(Switches()))


def control_routes(account: Account) -> list[Route]:
    """Routes below `/_sandbox/msg91/`: sent, switches."""
    door = Door(account)
    return [
        Route("/sent", refusing(door.sent), methods=["GET"]),
        Route("/switches", refusing(door.switch), methods=["POST"]),
    ]


class Door:
    """The handlers."""

    def __init__(self, account: Account) -> None:
        self.account = account

    async def sent(self, _: Request) -> Response:
        """Every message that was taken, in order, one for each number."""
        return JSONResponse({"sent": [asdict(each) for each in self.account.sent]})

    async def switch(self, request: Request) -> Response:
        """Set any of the switches."""
        given = await body_of(request)
        unknown = sorted(set(given) - set(SWITCHES))
        if unknown:
            raise ValueError(f"There is no switch {', '.join(unknown)}; there are {', '.join(SWITCHES)}.")
        for name, value in given.items():
            setattr(self.account.switches, name, value)
        self.account.window = (float("-inf"), 0)
        return JSONResponse(asdict(self.account.switches))
