"""What Frappe means when it refuses a write: whose fault it is, and whether anything can have been done.

An error that Frappe itself wrote down ended in a rollback: nothing was done. What a proxy says in its place tells
nothing about it. Source: captures of Frappe 15.55 (docs/systems/erpnext.md, "What becomes of a write").
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from erpflow.connectors.answer import Answer
from erpflow.connectors.delivery import RecordBusy
from erpflow.connectors.erpnext_errors import ErrorBody, database_code, error_body, judge
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

_LOCKED: Final = frozenset({"QueryDeadlockError", "QueryTimeoutError", "DocumentLockedError"})
_CLOSED: Final = frozenset({"SessionStopped", "InReadOnlyMode"})
_NEVER_CONNECTED: Final = frozenset({1040, 1129, 2002, 2003})  # MariaDB turned the site away before its first statement
_NOT_THE_RECORDS: Final = frozenset({"ImportError", "JSONDecodeError", "CSRFTokenError"})
_RULES: Final[Mapping[str, str]] = {
    "DuplicateEntryError": "duplicate",
    "UniqueValidationError": "duplicate",
    "MandatoryError": "required",
    "LinkValidationError": "lookup",
    "DoesNotExistError": "lookup",  # a link that leads nowhere, when it comes in answer to a create
    "CharacterLengthExceededError": "max_length",
    "DataTooLongException": "max_length",
    "InvalidEmailAddressError": "pattern",
    "NameError": "pattern",
    "LinkExistsError": "in_use",
}
_DUPLICATE_ENTRY: Final = "Duplicate entry"  # MariaDB 1062, whatever type the site wraps it in
_KEY = re.compile(r"for key '(?:[^'.]*\.)?([^']+)'")
_MISSING_FIELDS = re.compile(r"\[[^\]]*\]: ([\w, ]+)$")


def judge_write(answer: Answer) -> ErpflowError | None:
    """What the answer to a write means; None when it is not an error. Every error says whether it may be done.

    `RecordRejected`, `StaleVersion` and `RecordBusy` are of the record alone.
    """
    error = judge(answer)
    if error is None:
        return None
    body = error_body(answer.body)
    if body is None:
        return _judge_foreign(answer, error)
    kind = body.exc_type or ""
    if kind in _LOCKED:
        return RecordBusy(str(error))
    if kind in _CLOSED or (isinstance(error, VendorUnavailable) and _never_connected(body)):
        return VendorUnavailable(str(error), maybe_done=False)
    if isinstance(error, AuthFailed | PermissionDenied | RateLimited | StaleVersion | VendorUnavailable):
        return error
    if kind in _NOT_THE_RECORDS or (kind == "DoesNotExistError" and not body.message):  # no such route
        return ProtocolError(str(error))
    return rejected(body)


def rejected(body: ErrorBody) -> RecordRejected:
    """Why the site refuses a record, in its own words; `field` is the site's name of it, empty when it names none."""
    exception, kind = body.exception or "", body.exc_type or ""
    is_duplicate = _DUPLICATE_ENTRY in exception
    rule = "duplicate" if is_duplicate else _RULES.get(kind, "refused")
    message = body.message or kind
    fields = [""]
    if rule == "duplicate" and (key := _KEY.search(exception)):
        fields = ["name" if key[1] == "PRIMARY" else key[1]]
    elif rule == "required" and (missing := _MISSING_FIELDS.search(exception)):
        fields = missing[1].split(", ")
    return RecordRejected([FieldProblem(field, rule, message) for field in fields])


def _judge_foreign(answer: Answer, error: ErpflowError) -> ErpflowError:
    if answer.status == 413:
        return RecordRejected([FieldProblem("", "max_length", "The site's web server takes no request of this size.")])
    return error


def _never_connected(body: ErrorBody) -> bool:
    return database_code(body.exception or "") in _NEVER_CONNECTED
