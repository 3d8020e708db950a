"""What the Service Layer means by its error answers.

The body has two forms: v1 gives the code as a number and the message with its language, v2 both as text. The text comes
in the language of the login; the code tells. Codes other than 301, -2028, -2035, -2039, -5006 and 804 are single
observations (UNVERIFIED), so every other code keeps its raw text. Source: docs/systems/sap_b1.md, "Errors".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import msgspec

from erpflow.connectors.answer import EXCERPT_CHARACTERS, Answer, excerpt, judge_by_status
from erpflow.errors import (
    AuthFailed,
    ConfigError,
    ErpflowError,
    PermissionDenied,
    ProtocolError,
    RateLimited,
    StaleVersion,
    VendorUnavailable,
)

NO_SESSION: Final = 301
NOT_FOUND: Final = -2028
EXISTS: Final = -2035
STALE: Final = -2039
NOT_ALLOWED: Final = -5006
NOT_AUTHORISED: Final = 804
TOO_MANY_SESSIONS: Final = -1101  # UNVERIFIED
LOCKED: Final = frozenset({-1116, -2038})  # another transaction holds it

_LOCKED_TEXT = re.compile(r"(?i)another (?:transaction|user) (?:holds|is|has)|lock(?:ed)? (?:by|request)|deadlock")
_SESSIONS_TEXT = re.compile(r"(?i)exceed\w* .{0,40}(?:session|licen[cs]e|user)|(?:session|licen[cs]e).{0,40}exceed")
_UNKNOWN_PROPERTY = re.compile(r"Property '([^']+)' of '([^']+)' is invalid")
_WAIT_FOR_A_SESSION: Final = 300.0  # seconds


class _Text(msgspec.Struct):
    value: str | None = None


class _Error(msgspec.Struct):
    code: int | str | None = None
    message: str | _Text | None = None


class _Body(msgspec.Struct):
    error: _Error


@dataclass(frozen=True, slots=True)
class Fault:
    """An error as the Service Layer wrote it down: `code` None when it gives none that is a number."""

    code: int | None
    text: str

    @property
    def is_locked(self) -> bool:
        """Whether somebody else holds the record at the moment: nothing was done, and it passes."""
        return self.code in LOCKED or bool(_LOCKED_TEXT.search(self.text))

    @property
    def unknown_property(self) -> tuple[str, str] | None:
        """The property and the type that does not have it, when that is the error."""
        found = _UNKNOWN_PROPERTY.search(self.text)
        return (found[1], found[2]) if found else None

    @property
    def is_about_sessions(self) -> bool:
        """Whether no more sessions are to be had at the moment."""
        return self.code == TOO_MANY_SESSIONS or bool(_SESSIONS_TEXT.search(self.text))


def fault_of(body: bytes) -> Fault | None:
    """The error in a body of either version; None when it is a proxy's page, or no error at all."""
    try:
        error = msgspec.json.decode(body, type=_Body).error
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    message = error.message.value if isinstance(error.message, _Text) else error.message
    text = " ".join((message or "").split())
    return Fault(_number(error.code), text if len(text) <= EXCERPT_CHARACTERS else f"{text[: EXCERPT_CHARACTERS - 1]}…")


def judge(answer: Answer) -> ErpflowError | None:
    """What an answer to a question means; None when it is not an error."""
    if 200 <= answer.status < 300:
        return None
    fault = fault_of(answer.body)
    if fault is None:
        return _judge_foreign(answer)
    said = f"SAP Business One answered {answer.method} {answer.path} with HTTP {answer.status}, code {fault.code}"
    said = f"{said}: {fault.text}" if fault.text else said
    if answer.status == 401 or fault.code == NO_SESSION:
        return AuthFailed(f"{said}. The session is over, and the user of the connection is not let in again.")
    if answer.status == 403 or fault.code == NOT_AUTHORISED:
        return PermissionDenied(
            f"{said}. Give the user of the connection the authorisation for it (Administration, System "
            "Initialization, Authorizations), or leave this entity out."
        )
    if answer.status == 412 or fault.code == STALE:
        return StaleVersion(said)
    if fault.is_locked:
        return VendorUnavailable(f"{said}. It passes; the run can be repeated.", maybe_done=False)
    return _judge_by_status(answer, fault, said)


def judge_login(answer: Answer) -> ErpflowError | None:
    """What the answer to a login means. Codes and texts differ between patches (UNVERIFIED): a 4xx is a refusal."""
    error = judge(answer)
    fault = fault_of(answer.body)
    if error is None or fault is None or not 400 <= answer.status < 500 or answer.status == 429:
        return error
    if fault.is_about_sessions:
        return RateLimited(
            f"SAP Business One opens no more sessions now ({fault.text}). Close some, or wait until they end.",
            retry_after=_WAIT_FOR_A_SESSION,
        )
    return AuthFailed(
        f"SAP Business One refuses the login (code {fault.code}: {fault.text or 'no reason given'}). Check the user, "
        "the password and the company database of the connection, and that the user is not locked."
    )


def _judge_by_status(answer: Answer, fault: Fault, said: str) -> ErpflowError:
    by_status = judge_by_status(answer)
    if isinstance(by_status, RateLimited):
        by_status.args = (f"{said}.",)
        return by_status
    if answer.status >= 500:
        return VendorUnavailable(f"{said}.")
    if unknown := fault.unknown_property:
        return ConfigError(
            f"This company's {unknown[1]} has no field {unknown[0]!r}. Correct `fields` in the connection's extra, or "
            "restart the Service Layer if the field was added just now."
        )
    return ProtocolError(f"{said}. The answer begins: {excerpt(answer.body)}")


def _judge_foreign(answer: Answer) -> ErpflowError | None:
    """An answer the Service Layer did not write: Apache's own page, when a node is down. A plain 500 of it passes."""
    if answer.status == 500:
        return VendorUnavailable(
            f"{answer.method} {answer.path} was answered with HTTP 500 and no word of the Service Layer's. "
            f"{excerpt(answer.body)}"
        )
    return judge_by_status(answer)


def _number(code: int | str | None) -> int | None:
    if isinstance(code, int):
        return code
    text = (code or "").strip()
    return int(text) if text.removeprefix("-").isdigit() and len(text) < 20 else None
