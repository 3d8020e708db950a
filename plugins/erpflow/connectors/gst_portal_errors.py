"""What the GST portal means when it refuses: `{"status_cd": "0", "error": {"error_cd", "message"}}`.

Source: error codes of GSTN's API as public clients handle them; what to do is in our words.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from erpflow.connectors.answer import Answer, judge_by_status
from erpflow.errors import AuthFailed, ConfigError, ErpflowError, PermissionDenied, ProtocolError, VendorUnavailable

UNREADABLE: Final = (msgspec.DecodeError, msgspec.ValidationError, RecursionError, UnicodeDecodeError)

SESSION_NEEDED: Final = frozenset({"RETOTPREQUEST", "AUTH158", "AUTH4033", "AUTH4038"})
WRONG_OTP: Final = frozenset({"AUTH4034"})
EVC_NEEDED: Final = re.compile(r"EVCREQUEST|OTP00(0[1-9]|1[01])")
NOTHING_FOUND: Final = frozenset({"RET11416", "RET11417", "RET13508", "RET13509", "RET13510"})
ALREADY_READY: Final = "RET00003"
SUMMARY_CHANGED: Final = "RET09001"
ALREADY_FILED: Final = "RET12521"
_CERTIFICATE_CHANGED: Final = "TEC4002"
_RESETTING: Final = "RET191251"
_NOT_ALLOWED: Final = "RET11402"
_CONFIG: Final = re.compile(r"AUTH1(13|17|19|41|43|50|51)|RET114(0[0-9]|1[0-9]|20)")


class SessionNeeded(AuthFailed):
    """There is no open session at the portal: a person has to enter the OTP that it sends to the taxpayer."""


class OtpRefused(AuthFailed):
    """The OTP is not the one that was sent, or came too late: ask for another."""


class PortalRefused(ProtocolError):
    """The portal says no, and why: `code` of its list. Nothing was done."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class _Error(msgspec.Struct):
    error_cd: str = ""
    message: str = ""
    error_msg: str = ""


class _Refusal(msgspec.Struct):
    status_cd: str | int
    error: _Error | None = None


_REFUSAL: Final = msgspec.json.Decoder(_Refusal)


def judge(answer: Answer) -> ErpflowError | None:
    """What an answer means; None when it is not an error. A refusal of the portal is one whatever its HTTP status."""
    try:
        said = _REFUSAL.decode(answer.body)
    except UNREADABLE:
        said = None
    if said is not None and str(said.status_cd) == "0":
        error = said.error or _Error()
        return refusal(answer, error.error_cd, error.message or error.error_msg)
    if 200 <= answer.status < 300 and (said is None or str(said.status_cd) != "1"):
        return ProtocolError(
            f"The GST portal's answer to {answer.method} {answer.path} is none of its API. Check the connection's "
            "address and paths.",
            maybe_done=answer.method != "GET",
        )
    return judge_by_status(answer)


def refusal(answer: Answer, code: str, message: str) -> ErpflowError:
    """The member of the family that a code is."""
    said = (
        f"The GST portal refused {answer.method} {answer.path}: {code} {' '.join(message.split())}".rstrip(" .") + "."
    )
    if code in SESSION_NEEDED:
        return SessionNeeded(f"{said} Ask for an OTP and enter it.")
    if code in WRONG_OTP or EVC_NEEDED.fullmatch(code):
        return OtpRefused(f"{said} Ask for a new OTP and enter it.")
    if code == _CERTIFICATE_CHANGED:
        return ConfigError(f"{said} Put the portal's new certificate into the connection (public_key).")
    if code == _RESETTING:
        return VendorUnavailable(f"{said} It is busy with a reset.", maybe_done=False)
    if code == _NOT_ALLOWED:
        return PermissionDenied(f"{said} Have the GSTIN and its user enabled for the API.")
    if code not in NOTHING_FOUND and _CONFIG.fullmatch(code):
        return AuthFailed(f"{said} Check client id, secret, user name and GSTIN of the connection.")
    return PortalRefused(said, code=code)
