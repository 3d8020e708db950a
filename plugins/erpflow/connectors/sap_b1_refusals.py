"""What the Service Layer means when it refuses a write: whose fault it is, and whether anything can have been done.

An error that the Service Layer itself wrote down ended in a rollback. Its text is in the language of the login and says
where: `Item number is missing [DocumentLines.ItemCode][line: 4]`. Source: docs/systems/sap_b1.md, "What becomes of a
write".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from erpflow.connectors.answer import Answer
from erpflow.connectors.delivery import RecordBusy
from erpflow.connectors.sap_b1_errors import (
    EXISTS,
    NOT_ALLOWED,
    NOT_FOUND,
    Fault,
    fault_of,
    judge,
)
from erpflow.errors import (
    AuthFailed,
    ErpflowError,
    FieldProblem,
    PermissionDenied,
    RateLimited,
    RecordRejected,
    StaleVersion,
)

_RULES: Final[Mapping[int, str]] = {EXISTS: "duplicate", NOT_ALLOWED: "operation", NOT_FOUND: "lookup"}
_PLACE = re.compile(r"\[(?:[A-Z0-9]{3,5}|(\w+))\.(\w+)\](?:\s*\[line:\s*(\d+)\])?")
_MARKUP = re.compile(r"<[^>]*>")


def judge_write(answer: Answer) -> ErpflowError | None:
    """What the answer to one write means; None when it is not an error. Every error says whether it may be done.

    `RecordRejected`, `StaleVersion` and `RecordBusy` are of the record alone.
    """
    error = judge(answer)
    fault = fault_of(answer.body)
    if error is None:
        return None
    if answer.status == 413:
        return RecordRejected([FieldProblem("", "max_length", "The server takes no request of this size.")])
    if fault is None or isinstance(error, AuthFailed | PermissionDenied | RateLimited | StaleVersion):
        return error
    if fault.is_locked:
        return RecordBusy(str(error))
    return rejected(fault) if 400 <= answer.status < 500 else error


def is_missing(answer: Answer) -> bool:
    """Whether the record of an update or a delete is not there. A 400 with that code is about what it refers to."""
    fault = fault_of(answer.body)
    return answer.status == 404 and fault is not None and fault.code == NOT_FOUND


def may_wait_for_approval(answer: Answer) -> bool:
    """Whether an approval procedure may have made a draft of a document: it answers as if something were missing."""
    fault = fault_of(answer.body)
    return answer.status == 400 and fault is not None and fault.code == NOT_FOUND


def rejected(fault: Fault) -> RecordRejected:
    """Why a record is refused, in the vendor's words; `field` where it names one."""
    text = " ".join(_MARKUP.sub(" ", fault.text).split()) or f"Refused with the code {fault.code}."
    field = ""
    if unknown := fault.unknown_property:
        field = unknown[0]
    elif place := _PLACE.search(fault.text):
        table, name, line = place.groups()
        field = f"{table}[{int(line) - 1}].{name}" if table and line and int(line) else name
    rule = "unknown_field" if fault.unknown_property else _RULES.get(fault.code or 0, "refused")
    return RecordRejected([FieldProblem(field, rule, text)])
