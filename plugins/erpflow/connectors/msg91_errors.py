"""What MSG91 means when it refuses a request: its forms differ by product, and a refusal may come with HTTP 200.

Sources and what is not sure: docs/systems/msg91.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from erpflow.connectors.answer import Answer, excerpt, judge_by_status
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
NOT_ON_THE_LIST: Final = frozenset({"418", "208"})
BAD_KEY: Final = frozenset({"201", "207", "106"})
# Insufficient balance, account expired, banned, route closed at this hour: not the message's fault.
NOT_NOW: Final = frozenset({"301", "302", "303", "306"})
FIELDS: Final[Mapping[str, str]] = {
    "211": "template_id", "101": "recipients", "202": "recipients", "103": "sender", "203": "sender",
}  # fmt: skip
_JSON: Final = msgspec.json.Decoder(dict[str, Any])


def read(body: bytes) -> dict[str, Any] | None:
    """The object of an answer; None when it is none."""
    try:
        return _JSON.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None


def judge_flow(answer: Answer) -> ErpflowError | None:
    """What the answer to an SMS means: success is a 2xx and `"type": "success"`, both."""
    return _judge(answer, lambda said: said.get("type") == "success", lambda said: said.get("type") == "error")


def judge_whatsapp(answer: Answer) -> ErpflowError | None:
    """What an answer about WhatsApp means: success is a 2xx, and says `"status": "success"` and no error."""
    return _judge(
        answer,
        lambda said: said.get("status") == "success" and not said.get("hasError"),
        lambda said: bool(said.get("hasError")) or said.get("status") in ("fail", "error"),
    )


def judge_balance(answer: Answer) -> ErpflowError | None:
    """What the answer to a question for the balance means: a plain number, and a refusal is an object (UNVERIFIED)."""
    text = answer.body.strip()
    if 200 <= answer.status < 300 and text.replace(b".", b"", 1).removeprefix(b"-").isdigit():
        return None
    return _judge(answer, lambda _: False, lambda _: True)


def _judge(answer: Answer, is_success: Any, is_refusal: Any) -> ErpflowError | None:
    said = read(answer.body)
    is_fine = 200 <= answer.status < 300
    if is_fine and said is not None and is_success(said):
        return None
    if answer.status == 429:
        return RateLimited("MSG91 takes no more requests for now.", retry_after=_UNTOLD_WAIT)
    if answer.status >= 500:
        what = f"MSG91 answered {answer.method} {answer.path} with HTTP {answer.status}. {excerpt(answer.body)}"
        return VendorUnavailable(what)
    if said is not None and (is_refusal(said) or not is_fine):
        return _refused(answer, said)
    if is_fine:
        return ProtocolError(
            f"MSG91's answer to {answer.method} {answer.path} does not say whether it was taken. It begins: "
            f"{excerpt(answer.body)}",
            maybe_done=True,
        )
    return _by_code(str(answer.status), "MSG91 refuses the request") or judge_by_status(answer)


def _refused(answer: Answer, said: Mapping[str, Any]) -> ErpflowError:
    text = text_of(said)
    words = f"MSG91 refused {answer.method} {answer.path} (HTTP {answer.status}): {text}"
    codes = [str(said[name]) for name in ("apiError", "code") if said.get(name) not in (None, "")]
    for code in (*codes, str(answer.status)):
        error = _by_code(code, words)
        if error is not None:
            return error
    if "authentication" in text.lower() or answer.status == 401:
        return AuthFailed(f"{words}. Put the auth key of the MSG91 account into the connection's password.")
    field = next((FIELDS[code] for code in codes if code in FIELDS), "template_id" if "emplate" in text else "")
    return MessageRejected([FieldProblem(field, "duplicate" if "311" in codes else "refused", text)])


def _by_code(code: str, words: str) -> ErpflowError | None:
    if code in NOT_ON_THE_LIST:
        return AuthFailed(
            f"{words}. The key only works from addresses on its list (code {code}): add this server's public IP "
            "address at MSG91 (Authkey → IP Security), or switch the list off for this key."
        )
    if code in BAD_KEY:
        return AuthFailed(
            f"{words}. Put the auth key of the MSG91 account into the connection's password (code {code})."
        )
    if code in NOT_NOW:
        return PermissionDenied(f"{words}. The account may not send now (code {code}); look at MSG91, then send again.")
    return None


def text_of(said: Mapping[str, Any]) -> str:
    """What a refusal says: `message`, or `errors` as a text or an object with a message."""
    found: Any = said.get("errors") or said.get("message") or said.get("msg") or said.get("data")
    if isinstance(found, Mapping):
        found = found.get("message") or found
    if isinstance(found, list):
        found = "; ".join(str(each) for each in found)
    return " ".join(str(found or "it does not say why").split())[:500]
