"""Errors as the programs expect them that call us at paths of their own: `{success, error, details}`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any, Literal

import structlog
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from erpflow.api.idempotency import IdempotentRoute
from erpflow.api.problems import ApiError, refusals, status_of
from erpflow.errors import ErpflowError, RecordRejected

log = structlog.get_logger(__name__)

NO_HEADER = "Missing or invalid Authorization header"
NO_SUCH_KEY = "Invalid API key"
FAILED = "Internal server error"

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class PlainlyWorded(IdempotentRoute):
    """A route that answers every error as `{"success": false, "error": …}`, with `code` and `details` where known."""

    def get_route_handler(self) -> Handler:
        """The handler of the route, with its errors put into words."""
        handle = super().get_route_handler()

        async def worded(request: Request) -> Response:
            try:
                return await handle(request)
            except (ApiError, ErpflowError, RequestValidationError, HTTPException) as error:
                return _answer(request, error)
            except Exception:
                log.exception("request_failed", path=request.url.path)
                return refusal(HTTPStatus.INTERNAL_SERVER_ERROR, FAILED)

        return worded


class Refusal(BaseModel):
    """An error of these routes: a sentence, and where known a code that programs compare and what is to blame."""

    success: Literal[False]
    error: str
    code: str | None = None
    details: Any = None


RESPONSES = refusals(Refusal.__name__, "application/json")
"""What these routes may answer besides success."""


def refusal(
    status: int,
    error: str,
    *,
    details: object = None,
    code: str | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """An error of these routes."""
    body = {"success": False, "error": error, "code": code, "details": details}
    said = {name: value for name, value in body.items() if value is not None}
    return JSONResponse(said, status_code=status, headers=headers)


def refuse_body(status: HTTPStatus, why: str, headers: dict[str, str]) -> Response:
    """The answer to a body that is too large, too slow or packed. See `bounds.Refuse`."""
    return refusal(status, why, headers=headers)


def _answer(request: Request, error: Exception) -> Response:
    if isinstance(error, ApiError):
        if error.status == HTTPStatus.UNAUTHORIZED:
            scheme, _, token = request.headers.get("authorization", "").partition(" ")
            is_given = scheme.lower() == "bearer" and token.strip()
            return refusal(error.status, NO_SUCH_KEY if is_given else NO_HEADER)
        return refusal(error.status, error.detail, code=error.code)
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:])
        return refusal(HTTPStatus.BAD_REQUEST, f"{where}: {first['msg']}" if where else str(first["msg"]))
    if isinstance(error, HTTPException):
        return refusal(error.status_code, str(error.detail))
    if isinstance(error, RecordRejected):
        problems = [{"field": each.field, "code": each.rule, "message": each.message} for each in error.problems]
        return refusal(HTTPStatus.UNPROCESSABLE_ENTITY, str(error), code=error.problems[0].rule, details=problems)
    assert isinstance(error, ErpflowError)  # noqa: S101  (the last of what is caught above)
    return refusal(status_of(error), str(error))
