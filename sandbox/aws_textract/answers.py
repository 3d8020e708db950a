"""Answers in AWS JSON 1.1: errors carry their name in `__type`."""

import json
from typing import Any

from starlette.responses import Response

MEDIA_TYPE = "application/x-amz-json-1.1"


class Refusal(Exception):
    """A request that is refused."""

    def __init__(self, kind: str, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.status = status


def refused(refusal: Refusal) -> Response:
    return reply({"__type": refusal.kind, "Message": refusal.message}, status=refusal.status)


def reply(value: Any, *, status: int = 200) -> Response:
    return Response(json.dumps(value), status_code=status, media_type=MEDIA_TYPE)
