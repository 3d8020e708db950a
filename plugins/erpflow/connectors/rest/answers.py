"""What the answers of a declared system mean: its own rules first, then what HTTP says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from erpflow.connectors.answer import Answer, Judge, excerpt, judge_by_status
from erpflow.connectors.rest.expressions import decoded, search, text_at
from erpflow.connectors.rest.model import Meaning, Rule
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

_USUAL_PLACES: Final = (
    "error.message", "message", "error_description", "error", "detail", "title", "errors[0].message",
    "errors[0].detail", "errors[0]",
)  # fmt: skip
"""Where APIs put their sentence, when the declaration does not say."""

_MARKUP: Final = re.compile(r"<[^<>]{0,200}>")
_LONGEST: Final = 300
_UNTOLD_WAIT: Final = 60.0  # seconds, when a vendor refuses without saying for how long
_NO_JSON: Final = object()
_HTTP_ALONE: Final = frozenset({429, 502, 503, 504})
"""What gateways say, in bodies of their own: only a rule that names the status has a say."""


class RecordMissing(ErpflowError):
    """There is no such record at the vendor (any more); nothing was done."""


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a request was for: `writes` changes something, `of_record` names one record, which may be gone."""

    writes: bool = False
    of_record: bool = False


READING: Final = Purpose()
READING_ONE: Final = Purpose(of_record=True)


def judge(rules: Sequence[Rule], purpose: Purpose) -> Judge:
    """Says what an answer means, by the declaration's rules."""

    def judged(answer: Answer) -> ErpflowError | None:
        data: Any = _NO_JSON
        if not 200 <= answer.status < 300 or any(rule.when is not None for rule in rules):
            data = _data(answer.body)
        for rule in rules:
            if _fits(rule, answer.status, data):
                what = f"{answer.method} {answer.path} was answered with HTTP {answer.status}"
                return _meaning(rule, None if data is _NO_JSON else data, what, purpose)
        return _by_status(answer, data, purpose)

    return judged


def judge_item(rules: Sequence[Rule], item: Any) -> ErpflowError | None:
    """What one result of a bulk means; None: it was done."""
    for rule in rules:
        if rule.when is not None and search(rule.when, item):
            return _meaning(rule, item, "The record was answered", Purpose(writes=True, of_record=True))
    return None


def plain_words(text: str) -> str:
    """A vendor's sentence without its markup, on one line."""
    words = " ".join(_MARKUP.sub("", text).split())
    return words if len(words) <= _LONGEST else words[: _LONGEST - 1] + "…"


def _fits(rule: Rule, status: int, data: Any) -> bool:
    if status not in rule.status if rule.status else status in _HTTP_ALONE:
        return False
    return rule.when is None or (data is not _NO_JSON and bool(search(rule.when, data)))


def _meaning(rule: Rule, data: Any, what: str, purpose: Purpose) -> ErpflowError:
    """The error that a rule names; of a request that changes nothing, what is about a record is a surprise."""
    said = _said(rule.message, data) or what
    if rule.means is Meaning.MISSING:
        return RecordMissing(said) if purpose.of_record else ProtocolError(f"{what}: {said}", maybe_done=purpose.writes)
    if rule.means in (Meaning.REJECTED, Meaning.DUPLICATE, Meaning.STALE):
        return _about_record(rule, data, said, what, purpose)
    errors: dict[Meaning, ErpflowError] = {
        Meaning.AUTH_FAILED: AuthFailed(f"{what}: {said}. Check the connection's login and secret."),
        Meaning.PERMISSION_DENIED: PermissionDenied(
            f"{what}: {said}. Ask the vendor's administrator for the permission."
        ),
        Meaning.RATE_LIMITED: RateLimited(f"{what}: {said}", retry_after=_wait(rule, data)),
        Meaning.UNAVAILABLE: VendorUnavailable(f"{what}: {said}", maybe_done=purpose.writes),
        Meaning.BROKEN: ProtocolError(f"{what}: {said}", maybe_done=purpose.writes),
    }
    return errors[rule.means]


def _about_record(rule: Rule, data: Any, said: str, what: str, purpose: Purpose) -> ErpflowError:
    if not purpose.writes:
        return ProtocolError(f"{what}: {said}")
    if rule.means is Meaning.STALE:
        return StaleVersion(said)
    field = text_at(rule.field, data) if rule.field else None
    name = "duplicate" if rule.means is Meaning.DUPLICATE else "refused"
    return RecordRejected([FieldProblem(field or "", name, said)])


def _by_status(answer: Answer, data: Any, purpose: Purpose) -> ErpflowError | None:
    if 200 <= answer.status < 300:
        return None
    what = f"{answer.method} {answer.path} was answered with HTTP {answer.status}"
    said = _said(None, data) if data is not _NO_JSON else None
    if answer.status in (404, 410) and purpose.of_record:
        return RecordMissing(said or what)
    if answer.status == 412 and purpose.writes:
        return StaleVersion(said or what)
    if answer.status in (400, 409, 422) and purpose.writes:
        words = said or plain_words(excerpt(answer.body).translate(_NO_BRACES)) or what
        return RecordRejected([FieldProblem("", "refused", words)])
    return judge_by_status(answer)


_NO_BRACES: Final = str.maketrans("", "", '{}"')


def _said(place: str | None, data: Any) -> str | None:
    for expression in (place,) if place else _USUAL_PLACES:
        if found := text_at(expression, data):
            return plain_words(found)
    return None


def _wait(rule: Rule, data: Any) -> float:
    try:
        return min(max(float(text_at(rule.wait, data) or _UNTOLD_WAIT), 0.0), 86_400.0) if rule.wait else _UNTOLD_WAIT
    except ValueError:
        return _UNTOLD_WAIT


def _data(body: bytes) -> Any:
    try:
        return decoded(body)
    except msgspec.DecodeError:
        return _NO_JSON
