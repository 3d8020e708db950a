"""Answers as Razorpay writes them. Source: the sheet, §1, §3 and §10."""

import json
from typing import Any

from starlette.responses import Response

NO_SUCH_ID = "The id provided does not exist"
NO_SUCH_URL = "The requested URL was not found on the server."
NOT_AUTHENTICATED = "Authentication failed"


class Refusal(Exception):
    """A request that is refused. `said`: source, step and reason, where they are not those of a wrong input."""

    def __init__(
        self, description: str, *, status: int = 400, field: str | None = None, said: tuple[str, str, str] | None = None
    ) -> None:
        super().__init__(description)
        self.description = description
        self.status = status
        self.field = field
        self.said = said or ("business", "payment_initiation", "input_validation_failed")


def not_authenticated() -> Refusal:
    return Refusal(NOT_AUTHENTICATED, status=401, said=("NA", "NA", "NA"))


def refused(refusal: Refusal) -> Response:
    source, step, reason = refusal.said
    error: dict[str, Any] = {
        "code": "BAD_REQUEST_ERROR",
        "description": refusal.description,
        "source": source,
        "step": step,
        "reason": reason,
        "metadata": {},
    }
    if refusal.field is not None:
        error["field"] = refusal.field
    return reply({"error": error}, status=refusal.status)


def collection(items: list[dict[str, Any]]) -> dict[str, Any]:
    """A page: `count` is its own size, and nothing tells whether there are more."""
    return {"entity": "collection", "count": len(items), "items": items}


def reply(value: Any, *, status: int = 200) -> Response:
    return Response(json.dumps(value), status_code=status, media_type="application/json")
