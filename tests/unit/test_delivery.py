"""What the errors of a vendor's requests mean for the changes of one write."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
import structlog
import structlog.testing

from erpflow.connectors.base import Change, Outcome, WriteResult
from erpflow.connectors.delivery import Delivery, RecordBusy
from erpflow.errors import (
    AuthFailed,
    ConfigError,
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

PROBLEM = FieldProblem("tax_id", "pattern", "tax_id is no tax id")
DONE, NOT_SENT, UNKNOWN = Outcome.DONE, Outcome.NOT_SENT, Outcome.UNKNOWN


def change(name: str) -> Change:
    return Change(Operation.UPDATE, f"key-{name}", RemoteId(name), {})


class Vendor:
    """Does what it is asked, except for the changes it has an error for; remembers what it was asked."""

    def __init__(self, **errors: ErpflowError) -> None:
        self.errors = errors
        self.asked: list[str] = []

    def send(self, changes: Sequence[Change]) -> list[WriteResult]:
        names = [str(change.remote_id) for change in changes]
        self.asked.append("".join(names))
        for name in names:
            if name in self.errors:
                raise self.errors[name]
        return [WriteResult(DONE, RemoteId(name)) for name in names]


def deliver(vendor: Vendor, *batches: str) -> list[WriteResult]:
    """Sends the changes named by the letters, batch by batch."""
    delivery = Delivery([change(name) for name in "".join(batches)])
    place = 0
    for batch in batches:
        delivery.attempt(range(place, place + len(batch)), vendor.send)
        place += len(batch)
    return delivery.results()


def outcomes(vendor: Vendor, *batches: str) -> list[Outcome]:
    return [result.outcome for result in deliver(vendor, *batches)]


def test_what_was_done_is_reported_in_order() -> None:
    assert [str(result.remote_id) for result in deliver(Vendor(), "ab", "c")] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (RecordRejected([PROBLEM]), Outcome.REJECTED),
        (StaleVersion("changed"), Outcome.STALE),
        (RecordBusy("locked"), NOT_SENT),
        (PermissionDenied("not yours"), Outcome.REJECTED),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_of_one_record_is_its_own_result(error: ErpflowError, outcome: Outcome) -> None:
    vendor = Vendor(b=error)
    assert outcomes(vendor, "a", "b", "c") == [DONE, outcome, DONE]
    assert vendor.asked == ["a", "b", "c"]


def test_a_rejected_record_keeps_its_problems_and_a_forbidden_one_says_why() -> None:
    results = deliver(Vendor(a=RecordRejected([PROBLEM]), b=PermissionDenied("Give it a role")), "a", "b", "c")
    assert results[0].problems == (PROBLEM,)
    assert [(problem.rule, problem.message) for problem in results[1].problems] == [("permission", "Give it a role")]


@pytest.mark.parametrize(
    "error",
    [
        AuthFailed("expired"),
        RateLimited("later", retry_after=900.0),
        VendorUnavailable("down", maybe_done=False),
        ProtocolError("redirects"),
        ConfigError("no such certificate"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_before_anything_was_done_is_raised_and_after_that_the_rest_was_not_sent(error: ErpflowError) -> None:
    vendor = Vendor(b=error)
    assert outcomes(vendor, "a", "b", "c") == [DONE, NOT_SENT, NOT_SENT]
    assert vendor.asked == ["a", "b"]
    with pytest.raises(type(error)):
        deliver(Vendor(a=error), "a", "b")


@pytest.mark.parametrize(
    "error",
    [VendorUnavailable("timed out"), ProtocolError("half a page", maybe_done=True)],
    ids=lambda e: type(e).__name__,
)
def test_what_was_under_way_when_the_vendor_went_away_is_unknown_even_at_the_first_request(error: ErpflowError) -> None:
    assert outcomes(Vendor(a=error), "a", "b") == [UNKNOWN, NOT_SENT]
    assert outcomes(Vendor(d=error), "a", "bcde", "f") == [DONE, *[UNKNOWN] * 4, NOT_SENT]


def test_a_rejection_is_an_answer_so_that_what_follows_is_reported_and_not_raised() -> None:
    vendor = Vendor(a=RecordRejected([PROBLEM]), b=AuthFailed("expired"))
    assert outcomes(vendor, "a", "b", "c") == [Outcome.REJECTED, NOT_SENT, NOT_SENT]


@pytest.mark.parametrize(
    "error",
    [RecordRejected([PROBLEM]), StaleVersion("changed"), PermissionDenied("not yours")],
    ids=lambda error: type(error).__name__,
)
def test_several_that_are_refused_together_are_to_be_sent_in_parts(error: ErpflowError) -> None:
    delivery = Delivery([change(name) for name in "abc"])
    assert not delivery.attempt([0, 1, 2], Vendor(b=error).send)
    assert delivery.attempt([0], Vendor().send)
    assert [result.outcome for result in delivery.results()] == [DONE, NOT_SENT, NOT_SENT]


def test_when_nothing_is_permitted_that_is_said_after_three_records() -> None:
    vendor = Vendor(**{name: PermissionDenied("no role") for name in "abcdef"})
    with pytest.raises(PermissionDenied, match="no role"):
        deliver(vendor, *"abcdef")
    assert vendor.asked == ["a", "b", "c"]


def test_many_forbidden_records_among_permitted_ones_stop_nothing() -> None:
    vendor = Vendor(**{name: PermissionDenied("not yours") for name in "bcdef"})
    assert outcomes(vendor, *"abcdefg") == [DONE, *[Outcome.REJECTED] * 5, DONE]


def test_one_forbidden_record_alone_is_raised() -> None:
    with pytest.raises(PermissionDenied):
        deliver(Vendor(a=PermissionDenied("no role")), "a")


def test_a_busy_record_alone_is_raised_and_the_error_that_stopped_all_comes_first() -> None:
    with pytest.raises(RecordBusy) as raised:
        deliver(Vendor(a=RecordBusy("locked")), "a")
    assert not raised.value.maybe_done
    with pytest.raises(AuthFailed):
        deliver(Vendor(a=RecordBusy("locked"), b=AuthFailed("expired")), "a", "b")


def test_nothing_to_write_is_nothing() -> None:
    assert deliver(Vendor()) == []


@pytest.fixture
def log_of_its_own(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A log that can be captured: whoever configured logging first (Airflow, the command line) keeps its loggers."""
    before = structlog.get_config()
    structlog.reset_defaults()
    monkeypatch.setattr("erpflow.connectors.delivery.log", structlog.get_logger())
    yield
    structlog.configure(**before)


@pytest.mark.usefixtures("log_of_its_own")
def test_the_log_says_how_much_is_open_and_nothing_of_what_it_was() -> None:
    with structlog.testing.capture_logs() as events:
        deliver(Vendor(b=VendorUnavailable("secret-body")), "a", "bc", "d")
    assert events == [
        {"event": "writing_stopped", "log_level": "warning", "error": "VendorUnavailable", "unknown": 2, "not_sent": 1}
    ]
