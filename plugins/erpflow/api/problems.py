"""Errors as problem details. Source: RFC 9457."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from starlette.applications import Starlette
from starlette.exceptions import HTTPException

from erpflow import errors

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"

STATUS: dict[type[errors.ErpflowError], HTTPStatus] = {
    errors.ConfigError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.DagPaused: HTTPStatus.CONFLICT,
    errors.RecordRejected: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.SignatureInvalid: HTTPStatus.UNAUTHORIZED,
    errors.PayloadInvalid: HTTPStatus.BAD_REQUEST,
    errors.DeletesNeedApproval: HTTPStatus.CONFLICT,
    errors.AlreadyRunning: HTTPStatus.CONFLICT,
    errors.StaleVersion: HTTPStatus.CONFLICT,
    errors.AuthFailed: HTTPStatus.BAD_GATEWAY,
    errors.PermissionDenied: HTTPStatus.BAD_GATEWAY,
    errors.ProtocolError: HTTPStatus.BAD_GATEWAY,
    errors.VendorUnavailable: HTTPStatus.BAD_GATEWAY,
    errors.RateLimited: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.DatabaseUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""What each error of the family is to a program; a class that is not here counts as its parent."""


class Problem(BaseModel):
    """Problem details: `code` for programs, `detail` for people, `field` where one value is to blame."""

    title: str
    status: int
    code: str
    detail: str
    field: str | None = None
    errors: list[dict[str, Any]] | None = Field(default=None, description="Every value that was refused")


class ApiError(Exception):
    """An answer other than success: its status, a code that programs compare, a sentence for people.

    `errors`: every value that was refused, each with `field`, `code` and `detail`.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        field: str | None = None,
        errors: list[dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.field = field
        self.errors = errors


def not_found(what: str, id_: object) -> ApiError:
    """The answer for what is not there, and for what is another tenant's: nobody can tell which."""
    return ApiError(HTTPStatus.NOT_FOUND, "not_found", f"There is no {what} {id_}.")


def answer(status: int, code: str, detail: str, *, headers: dict[str, str] | None = None, **more: Any) -> Response:
    """A problem as a response. `more`: `field`, `errors`."""
    body = {"title": HTTPStatus(status).phrase, "status": status, "code": code, "detail": detail}
    body |= {name: value for name, value in more.items() if value is not None}
    return JSONResponse(body, status_code=status, media_type=MEDIA_TYPE, headers=headers)


def add_problems(app: Starlette) -> None:
    """Let an app answer every error as a problem, and say so in its OpenAPI."""
    app.add_exception_handler(ApiError, _of_api)
    app.add_exception_handler(errors.ErpflowError, _of_family)
    app.add_exception_handler(RequestValidationError, _of_request)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(Exception, _of_bug)


def _of_api(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)  # noqa: S101  (it is registered for this class)
    return answer(error.status, error.code, error.detail, field=error.field, errors=error.errors)


def status_of(error: Exception) -> HTTPStatus:
    """What an error of the family is to a program."""
    kind = _kind(error)
    return STATUS[kind] if kind is not None else HTTPStatus.INTERNAL_SERVER_ERROR


def _kind(error: Exception) -> type[errors.ErpflowError] | None:
    return next((kind for kind in type(error).__mro__ if kind in STATUS), None)


def _of_family(_request: Request, error: Exception) -> Response:
    status = status_of(error)
    headers = {}
    if isinstance(error, errors.RateLimited):
        headers["Retry-After"] = str(max(1, round(error.retry_after)))
    elif status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = "5"
    problems = None
    if isinstance(error, errors.RecordRejected):
        problems = [{"field": p.field, "code": p.rule, "detail": p.message} for p in error.problems]
    # A class that is one module's own counts as the member of the family that it is.
    kind_of_code = type(error) if type(error).__module__ == errors.__name__ else _kind(error) or type(error)
    named = getattr(error, "field", None)
    return answer(status, _code(kind_of_code.__name__), str(error), headers=headers, errors=problems, field=named)


def _of_request(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101  (it is registered for this class)
    found = [
        {"field": ".".join(map(str, one["loc"][1:] or one["loc"])), "code": one["type"], "detail": one["msg"]}
        for one in error.errors()
    ]
    first = found[0]
    where = f"{first['field']}: " if first["field"] else ""
    return answer(
        HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", f"{where}{first['detail']}", field=first["field"], errors=found
    )


def _of_http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  (it is registered for this class)
    headers = dict(error.headers or {})
    code = HTTPStatus(error.status_code).name.lower()
    return answer(error.status_code, code, str(error.detail), headers=headers)


def _of_bug(_request: Request, _error: Exception) -> Response:
    """What nobody foresaw. Starlette raises it on after this answer, and the server logs it with its traceback."""
    moment = datetime.now(UTC).isoformat(timespec="seconds")
    detail = f"Something failed here that should not have. The log of the API server says what, at {moment}."
    return answer(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_server_error", detail)


def _code(name: str) -> str:
    """`ConfigError` is `config_error`."""
    return "".join(f"_{sign.lower()}" if sign.isupper() else sign for sign in name).lstrip("_")


def refusals(model: str, media_type: str) -> dict[int | str, dict[str, Any]]:
    """What an endpoint may answer besides success, for its OpenAPI: the name of the schema, and its media type."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {media_type: {"schema": {"$ref": f"#/components/schemas/{model}"}}},
        }
        for status in (400, 401, 403, 404, 408, 409, 410, 413, 415, 422, 500, 502, 503, 504)
    }


RESPONSES = refusals(Problem.__name__, MEDIA_TYPE)
"""What every endpoint may answer besides success, unless its callers expect other words."""
