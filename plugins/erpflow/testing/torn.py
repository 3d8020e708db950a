"""The contract about writes that go wrong on the way: what nobody knows is said to be unknown, nothing comes twice."""

# ruff: noqa: S101  (a suite of tests, shipped to be subclassed)

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from erpflow.connectors.base import Change, Connector, Outcome, WriteResult
from erpflow.connectors.transport import ONE_ATTEMPT, Timeouts
from erpflow.errors import AuthFailed, ErpflowError, RateLimited, VendorUnavailable
from erpflow.testing.base import Connect, ContractBase
from erpflow.testing.changes import (
    creation,
    deletion,
    newcomers,
    update,
    write,
    write_all,
    write_or_nothing,
    writer,
)
from erpflow.testing.vendor import Fault, FaultKind, RecordingLimiter, WritableVendor
from erpflow.vocabulary import RemoteId

DONE, UNKNOWN, NOT_SENT = Outcome.DONE, Outcome.UNKNOWN, Outcome.NOT_SENT
NEW = "written by the contract"
LOST: tuple[FaultKind, ...] = ("after_commit", "reset_after_commit", "truncated")
"""The vendor did what it was asked, and its answer is lost."""


class TornWritesContract(ContractBase):
    """Torn answers, outages, refusals and expired credentials, at the first request of a write and in the middle."""

    # -- the answer is lost ----------------------------------------------------------------------------------------

    @pytest.mark.parametrize("lost", LOST)
    def test_a_create_whose_answer_is_lost_is_made_once_and_can_be_found(
        self, connect: Connect, vendor: WritableVendor, creatable: str, lost: FaultKind
    ) -> None:
        connector, values = connect(), vendor.values_for(creatable)
        new = newcomers(vendor, creatable)
        vendor.fail(Fault(lost, writes=True))
        (result,) = write(connector, creatable, [creation(values)])
        assert result.outcome in (DONE, UNKNOWN)
        assert len(new(values)) == 1
        key = vendor.fields(creatable).key
        assert writer(connector).find(creatable, [{key: values[key]}])[0] == new(values)

    @pytest.mark.parametrize("lost", LOST)
    def test_creates_of_which_an_answer_is_lost_are_each_told_truly(
        self, connect: Connect, vendor: WritableVendor, creatable: str, lost: FaultKind
    ) -> None:
        connector, sent = connect(), [vendor.values_for(creatable) for _ in range(3)]
        new, key = newcomers(vendor, creatable), vendor.fields(creatable).key
        vendor.fail(Fault(lost, writes=True))
        results = write(connector, creatable, [creation(values) for values in sent])
        assert UNKNOWN in [result.outcome for result in results] or all(r.outcome is DONE for r in results)
        for values, result in zip(sent, results, strict=True):
            assert len(new(values)) == (result.outcome is not NOT_SENT)
            assert writer(connector).find(creatable, [{key: values[key]}])[0] == new(values), "this settles it"

    @pytest.mark.parametrize("lost", LOST)
    def test_a_create_sent_again_with_its_key_makes_no_second_record(
        self, connect: Connect, vendor: WritableVendor, repeatable: str, lost: FaultKind
    ) -> None:
        values = vendor.values_for(repeatable)
        change, new = creation(values), newcomers(vendor, repeatable)
        vendor.fail(Fault(lost, writes=True))
        write(connect(), repeatable, [change])
        assert write_all(connect(), repeatable, [change]) == new(values)
        assert len(new(values)) == 1

    @pytest.mark.parametrize("lost", LOST)
    def test_an_update_whose_answer_is_lost_is_not_called_a_failure(
        self, connect: Connect, vendor: WritableVendor, updatable: str, lost: FaultKind
    ) -> None:
        (name,) = vendor.create(updatable, 1)
        field = vendor.fields(updatable).text
        vendor.fail(Fault(lost, writes=True))
        (result,) = write(connect(), updatable, [update(name, {field: NEW})])
        assert result.outcome in (DONE, UNKNOWN)
        assert (vendor.stored(updatable, name) or {})[field] == NEW

    @pytest.mark.parametrize("lost", LOST)
    def test_a_delete_whose_answer_is_lost_is_not_called_a_failure(
        self, connect: Connect, vendor: WritableVendor, deletable: str, lost: FaultKind
    ) -> None:
        gone, kept = vendor.create(deletable, 2)
        vendor.fail(Fault(lost, writes=True))
        results = write(connect(), deletable, [deletion(gone), deletion(kept)])
        assert results[0].outcome in (DONE, UNKNOWN, Outcome.MISSING)
        assert vendor.stored(deletable, gone) is None
        if results[1].outcome is NOT_SENT:
            assert vendor.stored(deletable, kept) is not None

    def test_a_refused_batch_whose_parts_are_torn_comes_once(
        self, connect: Connect, vendor: WritableVendor, creatable: str
    ) -> None:
        sent = [vendor.values_for(creatable) for _ in range(4)]
        changes = [creation(values) for values in (*sent[:2], vendor.bad_values(creatable), *sent[2:])]
        new = newcomers(vendor, creatable)
        vendor.fail(Fault("after_commit", writes=True, skip=1))
        results = write(connect(), creatable, changes)
        told = [result for change, result in zip(changes, results, strict=True) if change.values in sent]
        for values, result in zip(sent, told, strict=True):
            assert len(new(values)) <= 1
            assert (result.outcome is DONE) <= (len(new(values)) == 1)
            assert (result.outcome is NOT_SENT) <= (len(new(values)) == 0)

    # -- no answer, or none of the vendor's ------------------------------------------------------------------------

    def test_a_write_to_a_vendor_that_is_not_there_was_never_sent(
        self, connect: Connect, vendor: WritableVendor, creatable: str
    ) -> None:
        nobody = connect(base_url="http://127.0.0.1:9")
        with pytest.raises(VendorUnavailable) as raised:
            write(nobody, creatable, [creation(vendor.values_for(creatable)) for _ in range(3)])
        assert not raised.value.maybe_done

    @pytest.mark.parametrize("status", [502, 503])
    def test_a_write_that_a_gateway_turns_away_is_not_called_done(
        self, connect: Connect, vendor: WritableVendor, creatable: str, status: int
    ) -> None:
        before = set(vendor.modified(creatable))
        vendor.fail(Fault("status", status=status, times=100, writes=True))
        changes = [creation(vendor.values_for(creatable)) for _ in range(3)]
        results = write_or_nothing(connect(), creatable, changes)
        assert {result.outcome for result in results} <= {UNKNOWN, NOT_SENT}
        assert set(vendor.modified(creatable)) == before

    def test_a_page_for_people_in_answer_to_a_write_leaves_it_unknown(
        self, connect: Connect, vendor: WritableVendor, creatable: str
    ) -> None:
        vendor.fail(Fault("html", times=100, writes=True))
        (result,) = write(connect(), creatable, [creation(vendor.values_for(creatable))])
        assert result.outcome is UNKNOWN

    def test_a_write_that_is_not_answered_in_time_is_unknown(
        self, connect: Connect, vendor: WritableVendor, creatable: str
    ) -> None:
        values, new = vendor.values_for(creatable), newcomers(vendor, creatable)
        connector = connect(timeouts=Timeouts(read=0.2, total=0.4), retries=ONE_ATTEMPT)
        vendor.fail(Fault("latency", seconds=0.8, writes=True))
        (result,) = write(connector, creatable, [creation(values)])
        assert result.outcome is UNKNOWN
        until = time.monotonic() + 2.0
        while not new(values) and time.monotonic() < until:  # a vendor goes on with what it was asked
            time.sleep(0.05)
        assert len(new(values)) <= 1

    # -- in the middle ---------------------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        "fault",
        [
            Fault("unauthorized", writes=True, skip=1),
            Fault("status", status=429, retry_after=900, writes=True, skip=1),
            Fault("status", status=503, writes=True, skip=1),
            Fault("after_commit", writes=True, skip=1),
            Fault("reset_after_commit", writes=True, skip=1),
            Fault("reset", writes=True, skip=1),
        ],
        ids=lambda fault: f"{fault.kind} {fault.status}" if fault.kind == "status" else fault.kind,
    )
    def test_what_stops_a_write_in_the_middle_is_told_truly_and_the_rest_can_be_sent_again(
        self, connect: Connect, vendor: WritableVendor, updatable: str, fault: Fault
    ) -> None:
        work = _Updates.of(vendor, updatable)
        vendor.fail(fault)
        work.sent(connect())
        work.sent(connect())
        assert set(work.sent(connect())) == {DONE}, "the fault is over, and nothing is in the way"

    def test_a_short_refusal_in_the_middle_is_waited_out(
        self, connect: Connect, vendor: WritableVendor, creatable: str, limiter: RecordingLimiter, slept: list[float]
    ) -> None:
        sent = [vendor.values_for(creatable) for _ in range(2)]
        new = newcomers(vendor, creatable)
        vendor.fail(Fault("status", status=429, retry_after=3, writes=True))
        write_all(connect(), creatable, [creation(values) for values in sent])
        assert [len(new(values)) for values in sent] == [1, 1]
        assert slept == [3.0] and 3.0 in limiter.pauses

    def test_a_long_refusal_frees_the_worker_and_pauses_the_connection(
        self, connect: Connect, vendor: WritableVendor, creatable: str, limiter: RecordingLimiter, slept: list[float]
    ) -> None:
        before = set(vendor.modified(creatable))
        vendor.fail(Fault("status", status=429, retry_after=900, times=100, writes=True))
        with pytest.raises(RateLimited) as raised:
            write(connect(), creatable, [creation(vendor.values_for(creatable)) for _ in range(2)])
        assert raised.value.retry_after == 900.0 and 900.0 in limiter.pauses and slept == []
        assert set(vendor.modified(creatable)) == before

    def test_nothing_is_sent_after_a_long_refusal(
        self, connect: Connect, vendor: WritableVendor, updatable: str
    ) -> None:
        field, names = vendor.fields(updatable).text, vendor.create(updatable, 3)
        vendor.fail(Fault("status", status=429, retry_after=900, writes=True))
        with pytest.raises(RateLimited):
            write(connect(), updatable, [update(name, {field: NEW}) for name in names])
        assert NEW not in [(vendor.stored(updatable, name) or {}).get(field) for name in names]

    def test_a_write_with_refused_credentials_does_nothing_until_they_are_renewed(
        self, connect: Connect, vendor: WritableVendor, creatable: str
    ) -> None:
        values, new = vendor.values_for(creatable), newcomers(vendor, creatable)
        connector = connect()
        vendor.expire()
        with pytest.raises(AuthFailed):
            write(connector, creatable, [creation(values)])
        vendor.renew()
        assert write_all(connect(), creatable, [creation(values)]) == new(values)

    # -- limits and secrets ----------------------------------------------------------------------------------------

    @pytest.mark.parametrize("allowed", [0, 1])
    def test_no_request_of_a_write_passes_by_the_limiter(
        self, connect: Connect, vendor: WritableVendor, updatable: str, allowed: int
    ) -> None:
        work = _Updates.of(vendor, updatable)
        left = work.sent(connect(limiter=_ClosingLimiter(allowed)))
        if allowed == 0:
            assert set(left) == {NOT_SENT}
        assert UNKNOWN not in left, "what waits for its turn was not sent"

    @pytest.mark.parametrize(
        "fault",
        [
            None,
            Fault("unauthorized", writes=True),
            Fault("status", status=429, retry_after=900, writes=True),
            Fault("status", status=429, retry_after=1, writes=True),
            Fault("status", status=503, times=100, writes=True),
            Fault("reset_after_commit", writes=True),
            Fault("html", writes=True),
            Fault("truncated", writes=True),
        ],
        ids=lambda fault: "none" if fault is None else f"{fault.kind} {fault.status if fault.kind == 'status' else ''}",
    )
    def test_secrets_are_in_no_log_result_or_exception_of_a_write(
        self,
        connect: Connect,
        vendor: WritableVendor,
        caplog: pytest.LogCaptureFixture,
        events: list[MutableMapping[str, Any]],
        written: str,
        fault: Fault | None,
    ) -> None:
        caplog.set_level(logging.DEBUG)
        field = vendor.fields(written).text
        (name,) = vendor.create(written, 1)
        if fault:
            vendor.fail(fault)
        said: list[str] = []
        for credentials in (vendor.good(), vendor.bad()):
            try:
                said.append(repr(writer(connect(credentials)).write(written, [update(name, {field: NEW})])))
            except ErpflowError as error:
                said += [repr(error), *traceback.format_exception(error)]
        assert events, "a request leaves an event"
        told = "\n".join([*said, caplog.text, repr(events)])
        secrets = (vendor.good().password, vendor.bad().password)
        assert not [secret for secret in secrets if secret and secret in told]
        assert NEW not in caplog.text + repr(events), "a log holds no payload"


class _ClosingLimiter(RecordingLimiter):
    """Lets so many requests through, and then none for a quarter of an hour."""

    def __init__(self, allowed: int) -> None:
        super().__init__()
        self.allowed = allowed

    def acquire(self, cost: float = 1.0) -> float:
        super().acquire(cost)
        return 0.0 if self.acquired <= self.allowed else 900.0


@dataclass
class _Updates:
    """Three records to be updated, of which some may be left to do."""

    vendor: WritableVendor
    entity: str
    field: str
    left: list[RemoteId]

    @classmethod
    def of(cls, vendor: WritableVendor, entity: str) -> _Updates:
        return cls(vendor, entity, vendor.fields(entity).text, list(vendor.create(entity, 3)))

    def sent(self, connector: Connector) -> Sequence[Outcome]:
        """Sends what is left, compares what is told with what the vendor has, and keeps what is still to be done."""
        if not self.left:
            return [DONE]
        changes = [update(name, {self.field: NEW}) for name in self.left]
        results = write_or_nothing(connector, self.entity, changes)
        for change, result in zip(changes, results, strict=True):
            self._check(change, result)
        self.left = [name for name, result in zip(self.left, results, strict=True) if result.outcome is not DONE]
        return [result.outcome for result in results]

    def _check(self, change: Change, result: WriteResult) -> None:
        assert change.remote_id is not None
        is_there = (self.vendor.stored(self.entity, change.remote_id) or {}).get(self.field) == NEW
        assert result.outcome in (DONE, UNKNOWN, NOT_SENT), result
        assert result.outcome is UNKNOWN or is_there == (result.outcome is DONE), result
