"""What Metakocka's answers mean: it says HTTP 200 to everything, and `opr_code` tells what became of it.

Source: dev.metakocka.si/eshop (table of error codes); metakocka/metakocka_api_base, docs/documents_concept.md.
"""

from __future__ import annotations

import html
import re
from typing import Any, Final

import msgspec

from erpflow.connectors.answer import EXCERPT_CHARACTERS, Answer, excerpt, judge_by_status
from erpflow.errors import (
    AuthFailed,
    ErpflowError,
    FieldProblem,
    ProtocolError,
    RateLimited,
    RecordRejected,
    VendorUnavailable,
)

DONE: Final = "0"
FAILED: Final = "1"
BAD_PARAMETER: Final = "2"
"""Also "not found": of a partner, a document, a product on a line."""
UNKNOWN_KEY: Final = "3"
UNKNOWN_ADDRESS: Final = "4"
QUOTA: Final = "5"
BUSINESS_RULE: Final = "6"

QUOTA_WAIT_S: Final = 60.0
"""The period of the quota is not published (UNVERIFIED)."""

_TAG = re.compile(r"<[^>]*>")
_REQUIRED = re.compile(r"'(\w+)' is required")
_INVALID = re.compile(r"'(\w+)' has invalid value")


class Head(msgspec.Struct):
    """What every answer may begin with. A success may leave all of it out (get_partner, add_partner)."""

    opr_code: Any = None
    opr_desc: Any = None
    error_desc: Any = None
    opr_desc_app: Any = None
    product_not_found_list: Any = None

    @property
    def words(self) -> str:
        """What Metakocka says, as plain text on one line."""
        for text in (self.opr_desc, self.error_desc, self.opr_desc_app):
            if isinstance(text, str) and text.strip():
                return plain(text)
        return "no reason given"


class Refused(ProtocolError):
    """A question that Metakocka would not answer: `code` is its opr_code."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


_HEAD: Final = msgspec.json.Decoder(Head)


def judge(answer: Answer) -> ErpflowError | None:
    """What the answer to a question means; None when it is what was asked for."""
    head = _head_of(answer)
    if isinstance(head, ErpflowError):
        return head
    code = _code(head)
    if code == DONE:
        return None
    said = f"Metakocka answered {_call(answer)} with opr_code {code}: {head.words}"
    return _judge_the_account(code, said) or Refused(
        f"{said}. Nothing was changed; the same question would be refused again.", code=code
    )


def judge_write(answer: Answer) -> ErpflowError | None:
    """What the answer to a write means; None when it is done. Every error says whether it may be done.

    An opr_code of 2 or 6 ends in nothing being saved; an internal error (1) tells nothing of it.
    """
    head = _head_of(answer)
    if isinstance(head, ProtocolError | VendorUnavailable):
        head.maybe_done = True
    if isinstance(head, ErpflowError):
        return head
    code = _code(head)
    if code == DONE:
        return None
    said = f"Metakocka answered {_call(answer)} with opr_code {code}: {head.words}"
    if code in (BAD_PARAMETER, BUSINESS_RULE):
        return _rejected(head)
    return _judge_the_account(code, said) or ProtocolError(f"{said}. This code is not in its table.", maybe_done=True)


def plain(text: str) -> str:
    """Text of the vendor's without markup, on one line, at most 300 characters."""
    flat = " ".join(html.unescape(_TAG.sub(" ", text)).replace("<", " ").replace("{", "(").replace("}", ")").split())
    return flat if len(flat) <= EXCERPT_CHARACTERS else f"{flat[: EXCERPT_CHARACTERS - 1]}…"


def _head_of(answer: Answer) -> Head | ErpflowError:
    """The head of an answer, or what is wrong with an answer that has none."""
    if answer.status != 200:
        return _judge_status(answer)
    try:
        return _HEAD.decode(answer.body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return ProtocolError(
            f"{_call(answer)} was answered with something other than Metakocka's JSON: a page for people, or half an "
            f"answer. Check the connection's host. It begins: {excerpt(answer.body)}"
        )


def _judge_status(answer: Answer) -> ErpflowError:
    """Metakocka itself uses no other status than 200: this is its web server, or a proxy before it."""
    if answer.status >= 500:
        return VendorUnavailable(
            f"{_call(answer)} was answered with HTTP {answer.status}: Metakocka is being upgraded, or is down. "
            f"{plain(excerpt(answer.body))}"
        )
    if answer.status in (404, 405):
        return ProtocolError(
            f"{_call(answer)} was answered with HTTP {answer.status}: there is no such call at this address. The "
            "connection's host is https://main.metakocka.si, or your own server's, without a path."
        )
    return judge_by_status(answer) or ProtocolError(f"{_call(answer)} was answered with HTTP {answer.status}.")


def _judge_the_account(code: str, said: str) -> ErpflowError | None:
    if code == UNKNOWN_KEY:
        return AuthFailed(
            f"{said}. Copy the company ID and the secret key from Metakocka (Settings, API) into the connection again."
        )
    if code == UNKNOWN_ADDRESS:
        return AuthFailed(f"{said}. Add this machine's public address to the addresses Metakocka allows for the API.")
    if code == QUOTA:
        return RateLimited(f"{said}. The company's quota of calls is used up.", retry_after=QUOTA_WAIT_S)
    return VendorUnavailable(f"{said}. It may pass; the run can be repeated.") if code == FAILED else None


def _rejected(head: Head) -> RecordRejected:
    if head.product_not_found_list:
        return RecordRejected([FieldProblem("product_list", "lookup", head.words)])
    required, invalid = _REQUIRED.search(head.words), _INVALID.search(head.words)
    if required is not None:
        return RecordRejected([FieldProblem(required[1], "required", head.words)])
    if invalid is not None:
        return RecordRejected([FieldProblem(invalid[1], "picklist", head.words)])
    return RecordRejected([FieldProblem("", "refused", head.words)])


def _code(head: Head) -> str:
    return DONE if head.opr_code in (None, "") else str(head.opr_code)


def _call(answer: Answer) -> str:
    return answer.path.rpartition("/v1/")[2] or answer.path
