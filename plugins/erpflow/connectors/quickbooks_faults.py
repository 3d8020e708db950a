"""What QuickBooks means by its error answers: the code decides, as its status says little (almost all are 400).

Source: Intuit's error codes as python-quickbooks and the vendor sheet have them (docs/systems/quickbooks.md, "Errors").
That faults of the gateway come in lower case or as XML is UNVERIFIED: all three are read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from erpflow.connectors.answer import EXCERPT_CHARACTERS, Answer, judge_by_status
from erpflow.errors import (
    AuthFailed,
    ErpflowError,
    FieldProblem,
    PermissionDenied,
    ProtocolError,
    RateLimited,
    RecordRejected,
    StaleVersion,
    VendorUnavailable,
)

NOT_FOUND: Final = "610"
STALE: Final = "5010"
THROTTLED: Final = "3001"
_NOT_SIGNED_IN: Final = "3200"
_WRONG_COMPANY: Final = "3100"
_BROKEN: Final = "10000"
_WAIT_S: Final = 60.0  # the limits count minutes; no Retry-After is documented (UNVERIFIED)
_RULES: Final[Mapping[str, str]] = {
    "610": "lookup",  # of a write: what it refers to is gone, or inactive
    "2010": "unsupported",
    "2020": "required",
    "2500": "lookup",
    "6140": "duplicate",
    "6240": "duplicate",
}
_XML_ERROR = re.compile(
    rb'<Error code="(\d+)"[^>]*>\s*<Message>(.*?)</Message>(?:\s*<Detail>(.*?)</Detail>)?', re.DOTALL
)
_XML_HEAD: Final = b"<IntuitResponse"
_TAG = re.compile(r"<[^>]*>")


class Fault(msgspec.Struct, frozen=True):
    """One error: the code without leading zeros, the vendor's words on one line, the field it is about."""

    code: str
    text: str
    element: str = ""

    @property
    def rule(self) -> str:
        """Our word for why a record is refused."""
        return _RULES.get(self.code, "refused")


def faults_of(body: bytes) -> list[Fault]:
    """The errors of an answer: JSON in either spelling, or XML. Empty when it holds none."""
    if _XML_HEAD in body[:400]:
        return [_xml_fault(*found.groups()) for found in _XML_ERROR.finditer(body)]
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return []
    fault = _either(found, "Fault") if isinstance(found, dict) else None
    return faults_in(fault) if isinstance(fault, dict) else []


def faults_in(fault: Mapping[str, Any]) -> list[Fault]:
    """The errors under `Fault`, of an answer or of one item of a batch."""
    errors = _either(fault, "Error")
    return [_json_fault(error) for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []


def judge(answer: Answer) -> ErpflowError | None:
    """What an answer means; None when it is none of an error. A fault in an answer of HTTP 200 is one too."""
    ok = 200 <= answer.status < 300
    if ok and not _looks_like_fault(answer.body):
        return None
    found = faults_of(answer.body)
    if not found:
        return None if ok else _unspoken(answer)
    said = f"QuickBooks answered {answer.method} {answer.path} with {_told(found)} (HTTP {answer.status})"
    return _judge_by_code(answer, found, said=said)


def judge_write(answer: Answer) -> ErpflowError | None:
    """The same for a write: what the vendor refuses is a matter of the record."""
    error = judge(answer)
    found = faults_of(answer.body) if isinstance(error, ProtocolError) else []
    if found and answer.status < 500:
        return verdict(found)
    return error


def verdict(found: Sequence[Fault], *, reference_is_ours: bool = True) -> ErpflowError:
    """What the errors of one written record mean for it.

    `RecordRejected` and `StaleVersion` are of the record alone, `RateLimited` is of the connection: nothing was done.
    After `VendorUnavailable` nobody knows what was done.
    """
    codes = {fault.code for fault in found}
    if STALE in codes:
        return StaleVersion(_told(found))
    if THROTTLED in codes:
        return RateLimited(f"QuickBooks lets no more through: {_told(found)}.", retry_after=_WAIT_S)
    if _BROKEN in codes:
        return VendorUnavailable(f"QuickBooks failed on its side: {_told(found)}.")
    return RecordRejected([FieldProblem(fault.element, fault.rule, fault.text) for fault in found])


def _judge_by_code(answer: Answer, found: Sequence[Fault], *, said: str) -> ErpflowError:
    codes = {fault.code for fault in found}
    if _NOT_SIGNED_IN in codes or answer.status == 401:
        return _refused(answer, said)
    if _WRONG_COMPANY in codes or answer.status == 403:
        return PermissionDenied(
            f"{said}. The consent is not for this company, or was taken back there. Run: erpflow connect NAME, and "
            "choose the company the connection is for; or correct the connection's company ID."
        )
    if THROTTLED in codes or answer.status == 429:
        return RateLimited(f"{said}. The company's limit is used up, by us or by other apps.", retry_after=_WAIT_S)
    if answer.status >= 500 or _BROKEN in codes:
        return VendorUnavailable(f"{said}. It passes; the run can be repeated.")
    return ProtocolError(f"{said}. This is a mistake of the request, and would repeat itself.")


def _unspoken(answer: Answer) -> ErpflowError | None:
    """An error without a word of QuickBooks': a gateway's, or a plain status."""
    if answer.status == 401:
        return _refused(answer, f"{answer.method} {answer.path} was answered with HTTP 401")
    if answer.status == 429:
        return RateLimited(f"{answer.method} {answer.path} was answered with HTTP 429.", retry_after=_WAIT_S)
    if answer.status == 500:
        return VendorUnavailable(
            f"{answer.method} {answer.path} was answered with HTTP 500 and no word of QuickBooks'."
        )
    return judge_by_status(answer)


def _refused(answer: Answer, said: str) -> AuthFailed:
    if not answer.authenticated:
        return AuthFailed(f"{said}. It came without a token: nobody has connected it yet. Run: erpflow connect NAME")
    return AuthFailed(f"{said}. The access token is not accepted. If it stays so, run: erpflow connect NAME")


def _looks_like_fault(body: bytes) -> bool:
    head = body[:400]
    return head[:16].lower().lstrip().startswith((b'{"fault"', b'{ "fault"')) or b"<Fault" in head


def _told(found: Sequence[Fault]) -> str:
    return "; ".join(f"{fault.code} {fault.text}" for fault in found)


def _json_fault(error: Mapping[str, Any]) -> Fault:
    message, detail = (str(_either(error, name) or "") for name in ("Message", "Detail"))
    return Fault(_code(str(_either(error, "code") or "")), _text(message, detail), str(error.get("element") or ""))


def _xml_fault(code: bytes, message: bytes, detail: bytes | None) -> Fault:
    return Fault(
        _code(code.decode()), _text(message.decode("utf-8", "replace"), (detail or b"").decode("utf-8", "replace"))
    )


def _text(message: str, detail: str) -> str:
    """Both texts on one line, without markup; the detail alone where it begins with the message."""
    told = detail if detail.startswith(message) and detail else ": ".join(filter(None, (message, detail)))
    flat = " ".join(_TAG.sub(" ", told).split())
    return flat if len(flat) <= EXCERPT_CHARACTERS else f"{flat[: EXCERPT_CHARACTERS - 1]}…"


def _code(text: str) -> str:
    return text.lstrip("0") or text


def _either(found: Mapping[str, Any], name: str) -> Any:
    return found.get(name, found.get(name.lower()))
