"""The contract about credentials: who is let in, and what is said when not."""

# ruff: noqa: S101  (a suite of tests, shipped to be subclassed)

from __future__ import annotations

import logging
import traceback
from collections.abc import MutableMapping
from typing import Any

import pytest

from erpflow.errors import AuthFailed, ErpflowError
from erpflow.testing.base import Connect, ContractBase
from erpflow.testing.reading import Reading, read_all
from erpflow.testing.vendor import Credentials, Fault, VendorDouble
from erpflow.vocabulary import Window


class CredentialsContract(ContractBase):
    """Refused, missing and expired credentials are told apart from everything else, and never shown."""

    def test_good_credentials_are_welcome(self, connect: Connect) -> None:
        result = connect().check()
        assert result.success, result.message
        assert result.account and result.latency > 0

    def test_bad_credentials_are_refused_at_once(
        self, connect: Connect, vendor: VendorDouble, some_entity: str, slept: list[float]
    ) -> None:
        connector = connect(vendor.bad())
        result = connector.check()
        assert not result.success and result.message
        with pytest.raises(AuthFailed):
            read_all(connector, some_entity)
        assert slept == [], "asking again does not make a password right"

    def test_missing_credentials_are_said_to_be_missing_and_not_a_want_of_permission(
        self, connect: Connect, some_entity: str
    ) -> None:
        connector = connect(Credentials(None, None))
        assert not connector.check().success
        with pytest.raises(AuthFailed):
            read_all(connector, some_entity)

    def test_credentials_that_expire_while_reading_stop_it_and_it_goes_on_once_renewed(
        self, connect: Connect, vendor: VendorDouble, some_entity: str
    ) -> None:
        vendor.create(some_entity, 3 * self.page_size)
        connector = connect()
        pages = connector.read(some_entity, Window())
        first = next(pages)
        vendor.expire()
        with pytest.raises(AuthFailed):
            next(pages)
        vendor.renew()
        rest = read_all(connector, some_entity, resume=first.next)
        read = {*Reading(connector, some_entity, [first]).ids, *rest.ids}
        assert read == set(vendor.modified(some_entity))

    def test_a_check_of_a_vendor_that_is_down_is_an_answer(self, connect: Connect) -> None:
        with_nobody_there = connect(base_url="http://127.0.0.1:9")
        result = with_nobody_there.check()
        assert not result.success and result.message

    @pytest.mark.parametrize(
        "fault",
        [
            None,
            Fault("status", status=429, retry_after=900),
            Fault("status", status=503, times=100),
            Fault("reset", times=100),
            Fault("html", times=100),
            Fault("truncated", times=100),
        ],
        ids=lambda fault: "none" if fault is None else f"{fault.kind} {fault.status if fault.kind == 'status' else ''}",
    )
    def test_secrets_are_in_no_page_log_or_exception(
        self,
        connect: Connect,
        vendor: VendorDouble,
        caplog: pytest.LogCaptureFixture,
        events: list[MutableMapping[str, Any]],
        some_entity: str,
        fault: Fault | None,
    ) -> None:
        caplog.set_level(logging.DEBUG)
        vendor.create(some_entity, 1)
        if fault:
            vendor.fail(fault)
        said: list[str] = []
        for credentials in (vendor.good(), vendor.bad()):
            connector = connect(credentials)
            said += [repr(connector.check()), repr(vars(connector))]
            try:
                said += [repr(page) for page in read_all(connector, some_entity).pages]
            except ErpflowError as error:
                said += [repr(error), *traceback.format_exception(error)]
        assert events, "a request leaves an event"
        told = "\n".join([*said, caplog.text, repr(events)])
        secrets = (vendor.good().password, vendor.bad().password)
        assert not [secret for secret in secrets if secret and secret in told]
