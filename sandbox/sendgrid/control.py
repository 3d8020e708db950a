"""The side door of the account: the mails it took, and its switches."""

from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.control import body_of, refusing
from sandbox.sendgrid.account import Account, Switches

SWITCHES = tuple(asdict(Switches()))


def control_routes(account: Account) -> list[Route]:
    """Routes below `/_sandbox/sendgrid/`: sent, switches."""
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
        """Every mail that was taken, in order."""
        return JSONResponse({"sent": [asdict(each) for each in self.account.sent]})

    async def switch(self, request: Request) -> Response:
        """Set any of mails_per_minute (null: no limit), has_credits."""
        given = await body_of(request)
        unknown = sorted(set(given) - set(SWITCHES))
        if unknown:
            raise ValueError(f"There is no switch {', '.join(unknown)}; there are {', '.join(SWITCHES)}.")
        for name, value in given.items():
            setattr(self.account.switches, name, value)
        self.account.window = (0.0, 0)
        return JSONResponse(asdict(self.account.switches))
