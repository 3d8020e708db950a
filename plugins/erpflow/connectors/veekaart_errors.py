"""What a VeeKaart store means when it refuses a request, in the words of the contract and in those that were observed.

Source: the interchange contract, "Errors" (`{"success":false,"error":{code,message,field},"request_id"}`) and "Observed
calls" (`{"error","details"}`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from erpflow.connectors.answer import Answer, judge_by_status
from erpflow.errors import (
    AuthFailed,
    ErpflowError,
    FieldProblem,
    ProtocolError,
    RateLimited,
    RecordRejected,
    VendorUnavailable,
)

UNREADABLE: Final = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
_UNTOLD_WAIT: Final = 60.0  # seconds: the limit is one of requests in a minute
_RULES: Final[Mapping[str, str]] = {
    "sku_not_found": "lookup",  # a product that has not been sent yet may still come
    "duplicate_in_batch": "duplicate",
}
_PASSING: Final = frozenset({"server_error"})
_TAGS: Final = re.compile(r"<[^<>]*>")


class _Error(msgspec.Struct):
    code: str = ""
    message: str = ""
    field: str | None = None


class _Refusal(msgspec.Struct):
    error: _Error | str
    request_id: str | None = None


_REFUSAL: Final = msgspec.json.Decoder(_Refusal)


@dataclass(frozen=True, slots=True)
class Refused:
    """What the store says; `code` is empty in the observed form, which has none."""

    code: str
    message: str
    request_id: str | None


def refusal(body: bytes) -> Refused | None:
    """The refusal of an answer in either form; None when a store has not written it."""
    try:
        found = _REFUSAL.decode(body)
    except UNREADABLE:
        return None
    if isinstance(found.error, str):
        return Refused("", plain(found.error), found.request_id)
    return Refused(found.error.code, plain(found.error.message), found.request_id)


def judge(answer: Answer) -> ErpflowError | None:
    """What an answer means; None when it is not an error. The errors say whether a write may be done."""
    if 200 <= answer.status < 300:
        return None
    found = refusal(answer.body)
    if answer.status == 413 or (found is not None and found.code == "batch_too_large"):
        return RecordRejected([FieldProblem("", "max_length", "The store takes no request of this size.")])
    if found is None:
        return judge_by_status(answer)
    return _judged(answer, found)


def _judged(answer: Answer, found: Refused) -> ErpflowError:
    said = f"VeeKaart answered {answer.method} {answer.path} with HTTP {answer.status} {found.code}: {found.message}"
    said = " ".join(said.split()) + (f" (request {found.request_id})." if found.request_id else ".")
    if answer.status == 401:
        return AuthFailed(f"{said} Put the API key of this store into the connection; the cursor stays where it is.")
    if answer.status == 403:  # the key is disabled, or another store's: nothing that it asks for is allowed
        return AuthFailed(f"{said} Enable the API key in VeeKaart, or put another one into the connection.")
    if answer.status == 429:
        return RateLimited(said, retry_after=_UNTOLD_WAIT)
    if found.code == "idempotency_in_progress":  # this one did nothing; asking again tells what the first one did
        return VendorUnavailable(said, maybe_done=False)
    if answer.status >= 500:
        return VendorUnavailable(said)
    if answer.status in (404, 405):
        return ProtocolError(f"{said} Check the connection's store URL and path prefix.")
    return ProtocolError(said)


def problem_of(error: Mapping[str, Any]) -> FieldProblem:
    """Why the store refuses one row, in its own words and without their markup."""
    code, field = str(error.get("code") or ""), error.get("field")
    message = plain(str(error.get("message") or "")) or f"The store refuses the row ({code or 'it does not say why'})."
    return FieldProblem(str(field or ""), _RULES.get(code, code or "refused"), message)


def is_passing(error: Mapping[str, Any]) -> bool:
    """Whether the row itself is not to blame: the store failed at it, and may take it another time (UNVERIFIED)."""
    return error.get("code") in _PASSING


def plain(text: str) -> str:
    """A sentence without markup, on one line."""
    return " ".join(_TAGS.sub(" ", text).replace("<", " ").split())
