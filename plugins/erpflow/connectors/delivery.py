"""One call of `write` on its way: what a vendor's answers, and the want of them, mean for each change.

A connector sends its requests through `Delivery.attempt`; whatever a request raises becomes the outcome of the changes
it carried, and decides whether the rest is sent at all. `results` is what `write` gives back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import structlog

from erpflow.connectors.base import Change, Outcome, WriteResult
from erpflow.errors import ErpflowError, FieldProblem, PermissionDenied, RecordRejected, StaleVersion, VendorUnavailable

log = structlog.get_logger(__name__)

T = TypeVar("T")
Send = Callable[[Sequence[Change]], Sequence[WriteResult]]
"""Sends some changes in one request, and says what became of each, in their order."""

_ONLY_FORBIDDEN: Final = 3  # records in a row; more say that it is the account, and not the records


class RecordBusy(VendorUnavailable):
    """The vendor keeps this record locked for somebody else: nothing was done to it, and other records may go on."""

    def __init__(self, message: str) -> None:
        super().__init__(message, maybe_done=False)


class Delivery:
    """The changes of one call, and what became of each so far."""

    def __init__(self, changes: Sequence[Change]) -> None:
        self._changes = changes
        self._results: list[WriteResult | None] = [None] * len(changes)
        self._forbidden: dict[int, PermissionDenied] = {}
        self._error: ErpflowError | None = None
        self._stopped = False

    def attempt(self, places: Sequence[int], send: Send) -> bool:
        """Sends the changes at these places, unless an earlier request has found the vendor gone.

        False when several were refused together: nothing of them was done, and nothing is known of each, so send them
        again in smaller parts. What a request raises is the outcome of its changes:

        `RecordRejected`, `StaleVersion`, `RecordBusy`: of this record, the others go on. `PermissionDenied` too, until
        it turns out that nothing is permitted. Any other error stops the delivery: its changes are `unknown` if they
        may be done (`maybe_done`), else they were `not_sent`, as all that follow.
        """
        if self._stopped:
            return True
        try:
            results = send([self._changes[place] for place in places])
        except (RecordRejected, StaleVersion, PermissionDenied) as error:
            if len(places) > 1:
                return False
            self._refuse(places[0], error)
        except RecordBusy as error:
            self._error = self._error or error
        except ErpflowError as error:
            self._stop(error, places)
        else:
            for place, result in zip(places, results, strict=True):
                self._results[place] = result
        return True

    def carry(self, places: Sequence[int], send: Callable[[], T]) -> T | None:
        """Sends one request for the changes at these places, whose parts of the answer are then judged by `attempt`.

        None when it raised, which is the outcome of them all, or when an earlier request has found the vendor gone.
        """
        if self._stopped:
            return None
        try:
            return send()
        except (RecordRejected, PermissionDenied) as error:
            for place in places:
                self._refuse(place, error)
        except ErpflowError as error:
            self._stop(error, places)
        return None

    def results(self) -> list[WriteResult]:
        """One result for each change, in their order.

        Raises what stopped the delivery when no change can have been done and none was answered on its own.
        """
        if not any(self._results):
            if self._error is not None:
                raise self._error
            for forbidden in self._forbidden.values():
                raise forbidden
        for place, forbidden in self._forbidden.items():
            problem = FieldProblem("", "permission", str(forbidden))
            self._results[place] = WriteResult(Outcome.REJECTED, self._changes[place].remote_id, problems=(problem,))
        return [
            result or WriteResult(Outcome.NOT_SENT, change.remote_id)
            for result, change in zip(self._results, self._changes, strict=True)
        ]

    def _refuse(self, place: int, error: RecordRejected | StaleVersion | PermissionDenied) -> None:
        remote_id = self._changes[place].remote_id
        if isinstance(error, RecordRejected):
            self._results[place] = WriteResult(Outcome.REJECTED, remote_id, problems=error.problems)
            return
        if isinstance(error, StaleVersion):
            self._results[place] = WriteResult(Outcome.STALE, remote_id)
            return
        self._forbidden[place] = error
        if len(self._forbidden) >= _ONLY_FORBIDDEN and not any(self._results):
            self._stopped = True

    def _stop(self, error: ErpflowError, places: Sequence[int]) -> None:
        self._error, self._stopped = error, True
        unknown = getattr(error, "maybe_done", False)
        if unknown:
            for place in places:
                self._results[place] = WriteResult(Outcome.UNKNOWN, self._changes[place].remote_id)
        log.warning(
            "writing_stopped",
            error=type(error).__name__,
            unknown=len(places) if unknown else 0,
            not_sent=sum(result is None for result in self._results) - len(self._forbidden),
        )
