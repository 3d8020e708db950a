"""What services that carry messages have in common: what they say of one they took, and how its fields are checked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from erpflow.connectors.transport import Retries, Timeouts
from erpflow.errors import FieldProblem, RecordRejected

WHILE_SOMEBODY_WAITS: Final = Retries(attempts=3, patience=5.0)
"""A caller waits for the answer: a longer wait that a vendor asks for is passed on to them."""

PATIENCE: Final = Timeouts(connect=5.0, read=30.0, total=60.0)


@dataclass(frozen=True, slots=True)
class Taken:
    """A service took a message over; delivered is another matter. `message_id`: its own name of it, if it gives one."""

    message_id: str | None


class MessageRejected(RecordRejected):
    """A message that cannot be sent as it is: by our own look at it, or in the vendor's words."""

    @property
    def field(self) -> str | None:
        """The first field that is to blame, by its name in the request; None when none is named."""
        return next((problem.field for problem in self.problems if problem.field), None)


def refuse_if(problems: Iterable[FieldProblem]) -> None:
    """Raises MessageRejected when there is any problem."""
    found = list(problems)
    if found:
        raise MessageRejected(found)


def problem(field: str, rule: str, message: str, *, value: str | None = None) -> FieldProblem:
    """A problem whose sentence begins with the field."""
    return FieldProblem(field, rule, f"{field}: {message}", value)


def too_long(field: str, text: str | None, most: int) -> Iterator[FieldProblem]:
    """The problem of a text that is longer than `most` characters."""
    if text is not None and len(text) > most:
        yield problem(field, "max_length", f"{most:,} characters at most, and it has {len(text):,}.")
