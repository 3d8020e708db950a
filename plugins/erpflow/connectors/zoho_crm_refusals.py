"""What Zoho means when it refuses a write: of one record in its row of the answer, or of the whole request.

Source: real answers of upserts for SUCCESS and INVALID_DATA; the details of other codes are UNVERIFIED.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from erpflow.connectors.answer import Answer
from erpflow.connectors.base import Change, Outcome, WriteResult
from erpflow.connectors.zoho_crm_errors import error_body, judge
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
from erpflow.vocabulary import Operation, RemoteId

_RULES: Final[Mapping[str, str]] = {
    "MANDATORY_NOT_FOUND": "required",
    "DEPENDENT_FIELD_MISSING": "required",
    "EXPECTED_FIELD_MISSING": "required",
    "REQUIRED_PARAM_MISSING": "required",
    "DUPLICATE_DATA": "duplicate",
    "ALREADY_USED": "duplicate",
    "LIMIT_EXCEEDED": "max_length",
    "NO_PERMISSION": "permission",
    "AUTHORIZATION_FAILED": "permission",
    "CANNOT_DELETE": "in_use",
    "RECORD_IN_BLUEPRINT": "in_use",
}
_BUSY: Final = frozenset({"RECORD_LOCKED", "LOCKED_RECORD"})
_DOWN: Final = frozenset({"INTERNAL_ERROR", "INTERNAL_SERVER_ERROR"})
_OF_THE_ID: Final = "the id given seems to be invalid"


class Row(msgspec.Struct):
    """What became of one record, in the order of the request."""

    status: str
    code: str = ""
    message: str = ""
    details: Any = None
    action: str | None = None

    @property
    def about(self) -> Mapping[str, Any]:
        return self.details if isinstance(self.details, dict) else {}


class Rows(msgspec.Struct):
    """The answer to a write."""

    data: list[Row]


ROWS: Final = msgspec.json.Decoder(Rows)


def judge_write(answer: Answer) -> ErpflowError | None:
    """What the answer to a write means; None when it tells of each record, whatever its status.

    Every error says whether it may be done.
    """
    if error_body(answer.body) is None and b'"data"' in answer.body and answer.status < 500:
        return None
    error = judge(answer)
    if error is None:
        return None
    if isinstance(error, AuthFailed | PermissionDenied | RateLimited | StaleVersion | VendorUnavailable):
        return error
    if answer.status == 413:
        return RecordRejected([FieldProblem("", "max_length", "Zoho takes no request of this size.")])
    body = error_body(answer.body)
    if body is not None and body.code != "INVALID_MODULE" and 400 <= answer.status < 500:
        return RecordRejected([_problem(body.code, body.message, body.details)])
    return ProtocolError(str(error), maybe_done=answer.status >= 500 or answer.status < 300)


def result_of(change: Change, row: Row) -> WriteResult:
    """The outcome of one change. Raises ProtocolError for a success that names no record."""
    if row.status == "success":
        name = row.about.get("id") or change.remote_id
        if not name:
            raise ProtocolError("Zoho says that a record was written, and does not name it.", maybe_done=True)
        return WriteResult(Outcome.DONE, RemoteId(str(name)))
    if row.code == "RECORD_MODIFIED":
        return WriteResult(Outcome.STALE, change.remote_id)
    if row.code in _BUSY:
        return WriteResult(Outcome.NOT_SENT, change.remote_id)
    if row.code in _DOWN:
        return WriteResult(Outcome.UNKNOWN, change.remote_id)
    if change.operation is not Operation.CREATE and _is_missing(row):
        return WriteResult(Outcome.MISSING, change.remote_id)
    return WriteResult(Outcome.REJECTED, change.remote_id, problems=(_problem(row.code, row.message, row.details),))


def _is_missing(row: Row) -> bool:
    """Whether it is the record itself that is not there, and not one that it refers to."""
    if row.code != "INVALID_DATA":
        return False
    path = str(row.about.get("json_path", ""))
    of_the_record = path.count(".") == 2 and path.endswith(".id")
    return of_the_record or (not path and row.message == _OF_THE_ID)


def _problem(code: str, message: str, details: Any) -> FieldProblem:
    about: Mapping[str, Any] = details if isinstance(details, dict) else {}
    field = str(about.get("api_name") or "")
    rule = _RULES.get(code, "refused")
    said = message or code
    if code == "INVALID_DATA":
        rule, said = _invalid(about, message)
    return FieldProblem(field, rule, f"{field}: {said}" if field else said)


def _invalid(about: Mapping[str, Any], message: str) -> tuple[str, str]:
    if "maximum_length" in about:
        return "max_length", f"{message}, at most {about['maximum_length']} characters"
    if message == _OF_THE_ID:
        return "lookup", "there is no such record"
    if "expected_data_type" in about:
        return "type", f"{message}, expected {about['expected_data_type']}"
    return "refused", message or "invalid data"
