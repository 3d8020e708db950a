"""Every error erpflow raises on purpose, grouped by what to do next. The retry policy of every task reads this family.

Ask a person: `ConfigError`, `DagPaused`, `AuthFailed`, `PermissionDenied`, `ProtocolError`, `DeletesNeedApproval`,
`SyncsFailed`.
Retry later: `RateLimited` (when it says), `VendorUnavailable`, `DatabaseUnavailable`, `AlreadyRunning`,
`NotificationFailed`.
Refuse whoever calls us: `SignatureInvalid`, `PayloadInvalid`.
Quarantine this record: `RecordRejected`. Read it again and merge again: `StaleVersion`.

A message says what happened, to which thing, why, and what to do next; it never holds a secret.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches


class ErpflowError(Exception):
    """The family. Its message is written for the person who reads the task log."""


class ConfigError(ErpflowError):
    """A mapping, connection or option is wrong: fail at once, naming file, line and key where there is one."""


class DagPaused(ConfigError):
    """A DAG is paused in Airflow: a run of it would wait for as long as that is so. Nothing was started."""


class AuthFailed(ErpflowError):
    """The vendor refuses the credentials: fail at once, the connection needs a person."""


class PermissionDenied(ErpflowError):
    """The credentials are good and the account may not do this: fail at once."""


class ProtocolError(ErpflowError):
    """The vendor's answer is not what its API promises: fail at once, with the excerpt that surprised us.

    `maybe_done`: the request was carried out or not, and its answer does not tell; False when it cannot have been.
    """

    def __init__(self, message: str, *, maybe_done: bool = False) -> None:
        super().__init__(message)
        self.maybe_done = maybe_done


class SyncsFailed(ErpflowError):
    """At least one sync of a DAG run failed: the run ends failed, so that it is seen. Each sync had its own retries."""


class DeletesNeedApproval(ErpflowError):
    """A run would delete more records than the mapping allows without asking; nothing was deleted.

    `count` of `total` records; `sample`: the ids of the first few.
    """

    def __init__(self, message: str, *, count: int, total: int, sample: Sequence[str]) -> None:
        super().__init__(message)
        self.count = count
        self.total = total
        self.sample = tuple(sample)


class RateLimited(ErpflowError):
    """The vendor (or our own limit on its behalf) asks us to wait `retry_after` seconds: retry then."""

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class VendorUnavailable(ErpflowError):
    """The vendor does not answer, or answers that it is down: retry with exponential backoff and jitter.

    `maybe_done`: the request may have reached the vendor, so what it asked for may be done; False when it never left.
    """

    def __init__(self, message: str, *, maybe_done: bool = True) -> None:
        super().__init__(message)
        self.maybe_done = maybe_done


class DatabaseUnavailable(ErpflowError):
    """Our own Postgres went away; the transaction was rolled back by it: retry."""


class AlreadyRunning(ErpflowError):
    """Another run is applying changes for this sync config: retry shortly (invariant 4)."""


class UnsettledWrites(AlreadyRunning):
    """A push was killed and left writes whose outcome is not known: they are looked up before anything is applied."""


class NotificationFailed(ErpflowError):
    """A message did not reach a channel: it stays untold, and the next look at the causes sends it again."""


class SignatureInvalid(ErpflowError):
    """A webhook's request does not prove that it is the vendor's: refuse it (401), keep nothing of it.

    The message never says what would have been right.
    """


class PayloadInvalid(ErpflowError):
    """The body of a webhook's request cannot be read: refuse it (400), or park it when it is surely the vendor's."""


class StaleVersion(ErpflowError):
    """The vendor's record changed since we read it: read it again, merge again."""


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """Why one value was refused.

    `field` is the local column (or `child[2].column`), `rule` the name of the rule (`required`, `max_length`,
    `type`, `picklist`, …), `value` an excerpt of what was found, `message` the sentence a person reads.
    """

    field: str
    rule: str
    message: str
    value: str | None = None


class RecordRejected(ErpflowError):
    """One record cannot be applied; it is kept whole among the rejects, with every problem it has."""

    def __init__(self, problems: Sequence[FieldProblem]) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = tuple(problems)


def suggestion(found: str, known: Iterable[str]) -> str:
    """The tail of a message about an unknown name: the nearest known one, then all of them."""
    names = sorted(known)
    near = get_close_matches(found, names, n=1, cutoff=0.6)
    hint = f' (did you mean "{near[0]}"?)' if near else ""
    return f"{hint}. Known: {', '.join(names) or 'none'}"
