"""The contract about limits and outages: what is waited for, what is given back, what is never believed."""

# ruff: noqa: S101  (a suite of tests, shipped to be subclassed)

from __future__ import annotations

import pytest

from erpflow.connectors.transport import Timeouts
from erpflow.errors import ProtocolError, RateLimited, VendorUnavailable
from erpflow.testing.base import Connect, ContractBase
from erpflow.testing.reading import read_all
from erpflow.testing.vendor import Fault, RecordingLimiter, VendorDouble


class OutageContract(ContractBase):
    """A vendor's limits are ours, and a broken answer is no answer."""

    def test_a_short_refusal_is_waited_out_by_everybody(
        self, connect: Connect, vendor: VendorDouble, limiter: RecordingLimiter, slept: list[float], some_entity: str
    ) -> None:
        vendor.create(some_entity, 1)
        vendor.fail(Fault("status", status=429, retry_after=3))
        reading = read_all(connect(), some_entity)
        assert sorted(reading.ids) == sorted(vendor.modified(some_entity))
        assert slept == [3.0] and 3.0 in limiter.pauses

    def test_a_long_refusal_frees_the_worker_and_says_when_to_come_back(
        self, connect: Connect, vendor: VendorDouble, limiter: RecordingLimiter, slept: list[float], some_entity: str
    ) -> None:
        vendor.fail(Fault("status", status=429, retry_after=900))
        with pytest.raises(RateLimited) as raised:
            read_all(connect(), some_entity)
        assert raised.value.retry_after == 900.0
        assert slept == [] and 900.0 in limiter.pauses

    def test_every_request_passes_the_limiter(
        self, connect: Connect, vendor: VendorDouble, limiter: RecordingLimiter, some_entity: str
    ) -> None:
        vendor.create(some_entity, 3 * self.page_size)
        pages = read_all(connect(), some_entity).pages
        assert limiter.acquired >= len(pages)

    @pytest.mark.parametrize("status", [502, 503, 504])
    def test_a_passing_outage_is_waited_out(
        self, connect: Connect, vendor: VendorDouble, some_entity: str, slept: list[float], status: int
    ) -> None:
        vendor.create(some_entity, 1)
        vendor.fail(Fault("status", status=status, times=2))
        reading = read_all(connect(), some_entity)
        assert sorted(reading.ids) == sorted(vendor.modified(some_entity))
        assert len(slept) == 2

    def test_a_lasting_outage_is_reported_as_one(
        self, connect: Connect, vendor: VendorDouble, some_entity: str
    ) -> None:
        vendor.fail(Fault("status", status=503, times=100))
        with pytest.raises(VendorUnavailable):
            read_all(connect(), some_entity)

    def test_a_broken_connection_is_tried_again(self, connect: Connect, vendor: VendorDouble, some_entity: str) -> None:
        vendor.create(some_entity, 1)
        vendor.fail(Fault("reset"))
        reading = read_all(connect(), some_entity)
        assert sorted(reading.ids) == sorted(vendor.modified(some_entity))

    def test_an_answer_that_takes_too_long_is_an_outage(
        self, connect: Connect, vendor: VendorDouble, some_entity: str
    ) -> None:
        vendor.fail(Fault("latency", seconds=2.0, times=100))
        with pytest.raises(VendorUnavailable):
            read_all(connect(timeouts=Timeouts(read=0.2, total=0.5)), some_entity)

    def test_half_an_answer_is_never_taken_for_a_page(
        self, connect: Connect, vendor: VendorDouble, some_entity: str
    ) -> None:
        vendor.create(some_entity, 2 * self.page_size)
        vendor.fail(Fault("truncated", times=100))
        with pytest.raises((ProtocolError, VendorUnavailable)):
            read_all(connect(), some_entity)

    def test_a_page_for_people_is_a_protocol_error_that_shows_it(
        self, connect: Connect, vendor: VendorDouble, some_entity: str
    ) -> None:
        vendor.fail(Fault("html", times=100))
        with pytest.raises(ProtocolError, match=r"(?i)html"):
            read_all(connect(), some_entity)
