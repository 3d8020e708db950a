"""Which errors are tried again, and when: the error family of erpflow, in Airflow's terms."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow.sdk.definitions.retry_policy import RetryDecision, RetryPolicy

from erpflow.errors import (
    AlreadyRunning,
    AuthFailed,
    ConfigError,
    DatabaseUnavailable,
    DeletesNeedApproval,
    PermissionDenied,
    ProtocolError,
    RateLimited,
    SyncsFailed,
    VendorUnavailable,
)

if TYPE_CHECKING:
    from airflow.sdk.definitions.context import Context

ASK_A_PERSON = (ConfigError, AuthFailed, PermissionDenied, ProtocolError, DeletesNeedApproval, SyncsFailed)
LATER = (VendorUnavailable, DatabaseUnavailable)

FIRST_DELAY_S = 5.0
LONGEST_DELAY_S = 600.0
ALREADY_RUNNING_DELAY_S = 30.0


class ErrorKindPolicy(RetryPolicy):
    """Fail at once what only a person can mend; wait as long as the vendor asks; back off from what is down.

    An error that is not of the family is a defect: Airflow's own settings decide.
    """

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """The decision for one failure; `try_number` counts from 1."""
        if isinstance(exception, ASK_A_PERSON):
            return RetryDecision.fail(f"{type(exception).__name__}: trying again cannot help")
        if isinstance(exception, RateLimited):
            return RetryDecision.retry(timedelta(seconds=exception.retry_after), "the vendor said when to come back")
        if isinstance(exception, AlreadyRunning):
            return RetryDecision.retry(timedelta(seconds=ALREADY_RUNNING_DELAY_S), "another run is applying")
        if isinstance(exception, LATER):
            return RetryDecision.retry(backoff(try_number), "not available now")
        return RetryDecision.default()


def backoff(try_number: int) -> timedelta:
    """Twice as long each time, with jitter of half: workers that failed together do not come back together."""
    ceiling = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2 ** (try_number - 1))
    return timedelta(seconds=ceiling * random.uniform(0.5, 1.0))  # noqa: S311  # spreading load, not a secret
