"""How Zoho answers: JSON, empty bodies for nothing, and errors in one shape."""

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.responses import Response

ENCODER = msgspec.json.Encoder(decimal_format="number")


class ZohoError(Exception):
    """An answer that refuses the whole request."""

    def __init__(self, status: int, code: str, message: str, **details: Any) -> None:
        super().__init__(code)
        self.status = status
        self.body = error_of(code, message, **details)


def error_of(code: str, message: str, **details: Any) -> dict[str, Any]:
    """The shape of every error, of a request or of one record."""
    return {"code": code, "details": details, "message": message, "status": "error"}


def answer(body: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(
        ENCODER.encode(body), status_code=status, headers=headers, media_type="application/json;charset=UTF-8"
    )


def nothing(status: int = 204) -> Response:
    """No content: an empty body, and no content type."""
    return Response(status_code=status)


def invalid_data(message: str = "invalid data", **details: Any) -> ZohoError:
    return ZohoError(400, "INVALID_DATA", message, **details)
