"""What Zoho means by its error answers: the `code` in the body decides, for an error may come with any status.

Source: status codes of API v8 and what people report (docs/systems/zoho_crm.md, "Errors").
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from erpflow.connectors.answer import Answer, excerpt, judge_by_status
from erpflow.errors import (
    AuthFailed,
    ErpflowError,
    PermissionDenied,
    ProtocolError,
    RateLimited,
    StaleVersion,
    VendorUnavailable,
)

_DEAD_TOKEN: Final = frozenset({"INVALID_TOKEN", "INVALID_OAUTHTOKEN", "AUTHENTICATION_FAILURE"})
_FORBIDDEN: Final = frozenset({"NO_PERMISSION", "AUTHORIZATION_FAILED", "PERMISSION_DENIED"})
_DOWN: Final = frozenset({"INTERNAL_ERROR", "INTERNAL_SERVER_ERROR", "SERVICE_UNAVAILABLE"})
_WORN_PAGE_TOKEN: Final = frozenset({"EXPIRED_VALUE", "TOKEN_BOUND_DATA_MISMATCH"})
_NOT_IN_BULK: Final = frozenset({"MODULE_NOT_SUPPORTED", "JOB_NOT_SUPPORTED", "NOT_SUPPORTED_FEATURE"})
_LARGEST_ERROR: Final = 8_192  # bytes; a page of records is larger, or holds no such words
_CREDITS_LEFT: Final = "X-API-CREDITS-REMAINING"
_MOMENT_S: Final = 10.0  # too many at once, or too many a minute: Zoho does not say for how long
_CREDITS_S: Final = 900.0  # the credits of a rolling day come back little by little


class PageTokenWorn(ProtocolError):
    """A page token is good no more: it is older than a day, or not of this request."""


class BulkUnavailable(ProtocolError):
    """This module cannot be read by Bulk Read."""


class ErrorBody(msgspec.Struct):
    """The body of every error."""

    code: str
    message: str = ""
    details: Any = None
    status: str = "error"

    @property
    def parameter(self) -> str:
        """The name of the parameter, header or field that is at fault; empty when it names none."""
        details = self.details if isinstance(self.details, dict) else {}
        return str(
            next((details[key] for key in ("param_name", "param", "api_name", "header_name") if key in details), "")
        )


def error_body(body: bytes) -> ErrorBody | None:
    """An error of Zoho's, or None: a page of records, or not Zoho's answer at all."""
    if len(body) > _LARGEST_ERROR or b'"code"' not in body:
        return None
    try:
        found = msgspec.json.decode(body, type=ErrorBody)
    except (msgspec.DecodeError, RecursionError):
        return None
    return found if found.status == "error" else None


def judge(answer: Answer) -> ErpflowError | None:
    """What an answer means; None when it holds what was asked for, or nothing (204, 304)."""
    if answer.status == 304:
        return None
    body = error_body(answer.body)
    if body is None:
        return _judge_foreign(answer)
    where = f" ({body.parameter})" if body.parameter else ""
    said = f"Zoho answered {answer.method} {answer.path} with {body.code}{where}: {body.message or 'no reason given'}"
    return _judge_by_code(answer, body, said)


def judge_single(answer: Answer) -> ErpflowError | None:
    """The same for the address of one record, where an unknown id may be an error (UNVERIFIED): it is no record."""
    return None if says_missing(answer) else judge(answer)


def says_missing(answer: Answer) -> bool:
    """Whether Zoho says that it knows no record of this id."""
    body = error_body(answer.body)
    return answer.status in (400, 404) and body is not None and body.code == "INVALID_DATA"


def _judge_by_code(answer: Answer, body: ErrorBody, said: str) -> ErpflowError:
    code = body.code
    if code in _DEAD_TOKEN:
        return AuthFailed(
            f"{said}. The consent was taken back, or belongs to another data centre. Run: erpflow connect NAME"
        )
    if code == "OAUTH_SCOPE_MISMATCH":
        return PermissionDenied(f"{said}. The consent does not cover this. Connect again with {_scope_for(answer)}.")
    if code in _FORBIDDEN or answer.status == 403:
        return PermissionDenied(f"{said}. Ask the organisation's administrator to let the connected user do this.")
    if code == "TOO_MANY_REQUESTS" or answer.status == 429:
        used_up = answer.headers.get(_CREDITS_LEFT, "").strip().lstrip("-") == "0"
        return RateLimited(f"{said}.", retry_after=_CREDITS_S if used_up else _MOMENT_S)
    if code in _DOWN or answer.status in (500, 502, 503, 504):
        return VendorUnavailable(f"{said}. It passes; the run can be repeated.")
    if code == "RECORD_MODIFIED":
        return StaleVersion(said)
    return _of_the_request(code, said)


def _of_the_request(code: str, said: str) -> ErpflowError:
    if code in _WORN_PAGE_TOKEN:
        return PageTokenWorn(said)
    if code in _NOT_IN_BULK:
        return BulkUnavailable(said)
    if code == "INVALID_MODULE":
        return ProtocolError(f"{said}. This edition of Zoho CRM does not have it, or the user may not see it.")
    return ProtocolError(f"{said}.")


def _judge_foreign(answer: Answer) -> ErpflowError | None:
    """An answer without Zoho's words: a good one, or that of a gateway."""
    if answer.status == 429:
        return RateLimited(f"{answer.method} {answer.path}: too many requests.", retry_after=_MOMENT_S)
    if answer.status == 500:
        return VendorUnavailable(
            f"{answer.method} {answer.path} was answered with HTTP 500 and no word of Zoho's. {excerpt(answer.body)}"
        )
    return judge_by_status(answer)


def _scope_for(answer: Answer) -> str:
    for part, scope in (
        ("/coql", "ZohoCRM.coql.READ"),
        ("/bulk/", "ZohoCRM.bulk.READ"),
        ("/settings/", "ZohoCRM.settings.READ"),
        ("/actions/watch", "ZohoCRM.notifications.ALL"),
        ("/org", "ZohoCRM.org.READ"),
        ("/users", "ZohoCRM.users.READ"),
    ):
        if part in answer.path:
            return scope
    return "ZohoCRM.modules.ALL"
