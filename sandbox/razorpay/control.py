"""The side door of the account: its clock, what a customer does, and what it has."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.control import body_of, refusing
from sandbox.razorpay.state import Account

STATES = (
    "created", "authenticated", "active", "pending", "halted", "paused", "cancelled", "completed", "expired",
)  # fmt: skip


def control_routes(account: Account) -> list[Route]:
    """Routes below `/_sandbox/razorpay/`: rows, status, clock."""
    door = Door(account)
    return [
        Route("/rows", refusing(door.rows), methods=["GET"]),
        Route("/status", refusing(door.set_status), methods=["POST"]),
        Route("/clock", refusing(door.set_clock), methods=["POST"]),
    ]


class Door:
    """The handlers. None of them checks what the API would refuse."""

    def __init__(self, account: Account) -> None:
        self.account = account

    async def rows(self, request: Request) -> Response:
        """Everything of a mode, the oldest first: ?mode=test."""
        book = self.account.books[self._mode(request.query_params.get("mode", "test"))]
        return JSONResponse({"plans": list(book.plans.values()), "subscriptions": list(book.subscriptions.values())})

    async def set_status(self, request: Request) -> Response:
        """What the customer and the bank bring about: {id, status}; a cycle begins with `active`."""
        given = await body_of(request)
        found = next((b.subscriptions[given["id"]] for b in self._books() if given.get("id") in b.subscriptions), None)
        if found is None or given.get("status") not in STATES:
            raise ValueError(f"There is no such subscription, or no such status; there are {', '.join(STATES)}.")
        found["status"] = given["status"]
        if given["status"] == "active":
            now = self.account.time()
            paid = found["paid_count"] + 1
            found |= {"paid_count": paid, "remaining_count": found["total_count"] - paid, "current_start": now}
            found |= {"current_end": now + 30 * 86_400, "customer_id": found["customer_id"] or "cust_SandboxPayer01"}
        return JSONResponse(found)

    async def set_clock(self, request: Request) -> Response:
        """Let the account's clock be so many seconds ahead of the real one: {skew}."""
        skew = (await body_of(request)).get("skew")
        if not isinstance(skew, int) or isinstance(skew, bool):
            raise ValueError("skew is a whole number of seconds.")
        self.account.skew = skew
        return JSONResponse({"now": self.account.time()})

    def _books(self) -> Any:
        return self.account.books.values()

    def _mode(self, mode: str) -> str:
        if mode not in self.account.books:
            raise ValueError(f"There is no mode {mode!r}; there are {', '.join(self.account.books)}.")
        return mode
