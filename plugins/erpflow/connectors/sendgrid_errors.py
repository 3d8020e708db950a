"""What SendGrid means when it refuses a request.

Source: Twilio's OpenAPI of mail/send (`{"errors":[{message,field,help}]}`), "Rate limits".
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

import msgspec

from erpflow.connectors.answer import LONGEST_WAIT, Answer, judge_by_status
from erpflow.connectors.messaging import MessageRejected
from erpflow.errors import (
    AuthFailed,
    ErpflowError,
    FieldProblem,
    PermissionDenied,
    ProtocolError,
    RateLimited,
    VendorUnavailable,
)

_UNTOLD_WAIT: Final = 60.0  # seconds
_NO_FIELD: Final = frozenset({"", "null"})  # the samples of the OpenAPI have the word, real answers have the JSON null
_OURS: Final = {"dynamic_template_data": "dynamic_data"}
_PLACE: Final = re.compile(r"^personalizations(\.\d+|\[\d+\])?\.?")
_UNREADABLE: Final = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)


class _Error(msgspec.Struct):
    message: str = ""
    field: str | None = None


class _Refusal(msgspec.Struct):
    errors: list[_Error]


_REFUSAL: Final = msgspec.json.Decoder(_Refusal)


def judge(answer: Answer) -> ErpflowError | None:
    """What an answer means; None when it is not an error. The errors say whether a mail may be on its way."""
    if 200 <= answer.status < 300:
        return None
    if answer.status == 429:
        return RateLimited("SendGrid takes no more requests for now.", retry_after=_until_reset(answer))
    found = problems_of(answer.body)
    if not found:
        return judge_by_status(answer)
    said = "; ".join(each.message for each in found)
    said = f"SendGrid answered {answer.method} {answer.path} with HTTP {answer.status}: {said}"
    if answer.status == 401:
        return AuthFailed(
            f"{said}. Put an API key of SendGrid into the connection; keys of EU subusers need the EU host."
        )
    if answer.status == 403:
        return PermissionDenied(
            f"{said}. The API key needs the scope mail.send, and the sender must be verified (Settings → Sender "
            "Authentication)."
        )
    if answer.status >= 500:
        return VendorUnavailable(said)
    if answer.status in (400, 413) or any(each.field for each in found):
        return MessageRejected(found)
    return ProtocolError(f"{said}. Check the connection's host.")


def problems_of(body: bytes) -> list[FieldProblem]:
    """Why SendGrid refuses a mail, its fields by the names of our request; nothing when SendGrid did not write it."""
    try:
        errors = _REFUSAL.decode(body).errors
    except _UNREADABLE:
        return []
    return [FieldProblem(_field(each.field), "refused", " ".join(each.message.split())) for each in errors]


def _field(path: str | None) -> str:
    if path is None or path in _NO_FIELD:
        return ""
    inner = _PLACE.sub("", path) or "to"
    head, _, rest = inner.partition(".")
    return ".".join(part for part in (_OURS.get(head, head), rest) if part)


def _until_reset(answer: Answer) -> float:
    """Seconds until `X-RateLimit-Reset` (Unix seconds), by the vendor's own clock where it says its time."""
    text = answer.headers.get("X-RateLimit-Reset", "").strip()
    if not (text.isascii() and text.isdigit()) or len(text) > 12:
        return _UNTOLD_WAIT
    now = answer.server_time or datetime.now(UTC)
    return min(max(1.0, float(text) - now.timestamp()), LONGEST_WAIT)
