"""What Tally says of an import, and what that means. HTTP says 200 to all of it.

ERRORS 0 alone means nothing: a refusal may come with all counters zero, or only as an exception without a word. Done is
what its own counter says was done, without an error, an exception or a line of error beside it.
Source: vendor sheet "Import response" and "Error catalogue".
"""

from __future__ import annotations

import re
from typing import Final

from erpflow.connectors.tally_gateway import NOT_OPEN, UNKNOWN_REQUEST
from erpflow.connectors.tally_stream import Told
from erpflow.errors import AuthFailed, FieldProblem, ProtocolError, RecordRejected
from erpflow.vocabulary import Operation

DONE_BY: Final = {Operation.CREATE: "CREATED", Operation.UPDATE: "ALTERED", Operation.DELETE: "DELETED"}
_GONE: Final = ("Voucher does not exist!", "Item does not exist!")
_TAKEN: Final = re.compile(r"(?i)already exists|duplicate")
_REFERENCE: Final = re.compile(r"(?i)'.*' does not exist!?\s*$", re.DOTALL)
_TOTALS: Final = "Voucher Totals do not match!"


class Gone(Exception):
    """What was to be changed or deleted is not there any more."""


def judge_import(told: Told, operation: Operation) -> int:
    """The number Tally gave the voucher it wrote (0 for a master), when it did what was asked.

    Raises Gone, RecordRejected with Tally's words, AuthFailed when the company is not open, and ProtocolError when it
    did something else, or nobody can tell.
    """
    if told.root == "RESPONSE" and UNKNOWN_REQUEST in told.text:
        raise RecordRejected([FieldProblem("", "malformed", f"Tally says: {UNKNOWN_REQUEST}. Nothing was written.")])
    if any(NOT_OPEN in line for line in told.errors):
        raise AuthFailed(f"Tally says: {told.errors[0]} Have somebody open the company there. Nothing was written.")
    done = told.counters.get(DONE_BY[operation], 0)
    complaints = bool(told.errors) or told.counters.get("ERRORS", 0) > 0 or told.counters.get("EXCEPTIONS", 0) > 0
    others = sum(told.counters.get(name, 0) for name in ("CREATED", "ALTERED", "DELETED", "COMBINED", "CANCELLED"))
    if done == 1 and others == 1 and not complaints:
        return told.counters.get("LASTVCHID", 0)
    if others:
        raise ProtocolError(
            f"Tally was asked to {operation.value} one object and says {_counted(told)}. Look at it in Tally before "
            "anything is sent again.",
            maybe_done=True,
        )
    if not told.counters and not told.errors:
        raise ProtocolError(
            f"Tally's answer to an import holds no counters: {told.text[:200] or told.root!r}.", maybe_done=True
        )
    _refused(told, operation)
    return 0


def _refused(told: Told, operation: Operation) -> None:
    if operation is not Operation.CREATE and any(line.strip() in _GONE for line in told.errors):
        raise Gone
    if told.errors:
        raise RecordRejected([FieldProblem("", _rule_of(line), line[:500]) for line in told.errors])
    raise RecordRejected(
        [
            FieldProblem(
                "",
                "exception",
                f"Tally refused it and does not say why ({_counted(told)}). Its Exceptions report of imports may tell; "
                "often a voucher number is taken, or an entry lacks what its ledger asks for.",
            )
        ]
    )


def _rule_of(line: str) -> str:
    if _TAKEN.search(line):
        return "duplicate"
    if _TOTALS in line:
        return "totals"
    return "lookup" if _REFERENCE.search(line) else "refused"


def _counted(told: Told) -> str:
    said = [f"{name} {count}" for name, count in told.counters.items() if count and name != "LASTVCHID"]
    return ", ".join(said) or "nothing was done"
