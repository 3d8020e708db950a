"""What Razorpay means when it refuses a request, and whether what was asked for may be done all the same.

Source: razorpay/markdown-docs, errors.md, errors/common.md; `{"error": {code, description, field, reason, …}}`.
"""

from __future__ import annotations

from typing import Final

import msgspec

from erpflow.connectors.answer import Answer, excerpt, judge_by_status
from erpflow.errors import (
    AuthFailed,
    ErpflowError,
    FieldProblem,
    PermissionDenied,
    ProtocolError,
    RateLimited,
    RecordRejected,
    VendorUnavailable,
)

UNREADABLE: Final = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
NO_SUCH_ID: Final = "The id provided does not exist"
NO_SUCH_URL: Final = "The requested URL was not found on the server."
"""What an account hears that has not been given the feature, by the documentation of subscriptions."""

_UNTOLD_WAIT: Final = 1.0  # seconds: no number is published, the transport's own back-off does the rest
# Whoever answers these, Razorpay or a proxy in front of it: the request was not carried out.
_NOT_DONE: Final = frozenset({401, 403, 404, 405, 413, 429})


class _Error(msgspec.Struct):
    code: str | None = None
    description: str | None = None
    field: str | None = None
    reason: str | None = None


class _Refusal(msgspec.Struct):
    error: _Error


_REFUSAL: Final = msgspec.json.Decoder(_Refusal)


class Refused(RecordRejected):
    """Razorpay refused what it was asked, in its own words."""


def judge(answer: Answer) -> ErpflowError | None:
    """What an answer means; None when it is not an error. The errors say whether a write may be done."""
    if 200 <= answer.status < 300:
        return None
    found = _error_of(answer.body)
    if found is None or not found.description:
        return _judged_unsaid(answer)
    text = " ".join(found.description.split())
    said = f"Razorpay answered {answer.method} {answer.path} with HTTP {answer.status}: {text}"
    if answer.status == 401:
        return AuthFailed(f"{said}. Put the key id and the key secret of one key into the connection.")
    if answer.status == 429:
        return RateLimited(f"{said}.", retry_after=_UNTOLD_WAIT)
    if answer.status == 409 or answer.status >= 500:
        return VendorUnavailable(f"{said}.")
    if answer.status == 403:
        return PermissionDenied(f"{said}. Let this address in: Account & Settings, API keys, in Razorpay's dashboard.")
    if text == NO_SUCH_URL:
        return PermissionDenied(f"{said} Ask Razorpay to switch this feature on for the account.")
    if answer.status == 400:
        return Refused([FieldProblem(found.field or "", found.reason or found.code or "refused", text)])
    return ProtocolError(f"{said}, which is not expected.", maybe_done=answer.status not in _NOT_DONE)


def _judged_unsaid(answer: Answer) -> ErpflowError | None:
    """Not in Razorpay's words: a gateway's or a proxy's page."""
    if answer.status == 429:
        return RateLimited(f"{answer.method} {answer.path}: too many requests.", retry_after=_UNTOLD_WAIT)
    error = judge_by_status(answer)
    if isinstance(error, ProtocolError):
        error.maybe_done = answer.status not in _NOT_DONE
    return error


def _error_of(body: bytes) -> _Error | None:
    try:
        return _REFUSAL.decode(body).error
    except UNREADABLE:
        return None


def unreadable(answer: Answer, error: Exception) -> ProtocolError:
    """What is said of an answer that is not what the API promises: what was asked for may be done."""
    why = "nested too deep" if isinstance(error, RecursionError) else str(error)
    return ProtocolError(
        f"Razorpay's answer to {answer.method} {answer.path} is not what its API promises ({why}). "
        f"It begins: {excerpt(answer.body)}",
        maybe_done=True,
    )
