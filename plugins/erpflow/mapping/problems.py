"""The problems of one record, collected while it is mapped."""

from __future__ import annotations

from erpflow.errors import FieldProblem
from erpflow.mapping.values import Refused
from erpflow.yaml_files.complaints import excerpt

MAX_PROBLEMS = 100
"""Problems kept per record: a list of ten thousand bad lines says no more than its first hundred."""

WIDEST = 200
"""Characters shown of the values a template could not work on."""

Problems = list[FieldProblem] | None
"""None until there is one: most records have none, and a list for each would cost more than the look."""


def note(problems: Problems, problem: FieldProblem) -> list[FieldProblem]:
    """The problems with one more."""
    noted = problems if problems is not None else []
    if len(noted) < MAX_PROBLEMS:
        noted.append(problem)
    return noted


def problem_of(column: str, remote: str, refused: Refused) -> FieldProblem:
    """A refused value as a problem of its column."""
    message = f"{column} (from {remote}): {refused.message}"
    return FieldProblem(field=column, rule=refused.rule, message=message, value=excerpt(refused.value))


def problem_of_template(name: str, refused: Refused) -> FieldProblem:
    """What a template could not do, as a problem of the record as a whole."""
    found = refused.value
    shown = None if found is None else found[:WIDEST] if isinstance(found, str) else excerpt(found)
    return FieldProblem(field="", rule=refused.rule, message=f"the template {name} {refused.message}", value=shown)


class BrokenPromise(Exception):
    """A user's function returned something else than it promised; the message says what."""


def reason_of(error: Exception) -> str:
    """Why a user's function was of no use, as the end of a sentence about its template."""
    return str(error) if isinstance(error, BrokenPromise) else f"failed: {told(error)}"


def kind_of(value: object) -> str:
    """What a value is, for a sentence about what a function returned."""
    return "None" if value is None else f"a value of type {type(value).__name__}"


def told(error: BaseException) -> str:
    """What a user's function raised, in words."""
    kind = type(error).__name__
    try:
        words = str(error)
    except Exception:  # noqa: BLE001 - an error that cannot say what it is must not become one of ours
        return kind
    if words and isinstance(error, ValueError | Refused):
        return words
    return f"{kind}: {words}" if words else kind
