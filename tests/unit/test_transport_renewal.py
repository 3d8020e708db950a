"""Credentials that run out while a run goes on: renewed once, and the request that was refused is sent again."""

from __future__ import annotations

import pytest
import requests
from requests.auth import AuthBase

from erpflow.errors import AuthFailed, PermissionDenied, VendorUnavailable
from erpflow.testing.server import Asked, Reply
from tests.wire import serving


class Pass(AuthBase):
    """Signs with the number of its pass; a new one is made as often as `supply` allows."""

    def __init__(self, supply: int = 9, error: Exception | None = None) -> None:
        self.number, self.supply, self.error, self.renewals = 1, supply, error, 0

    def renew(self) -> bool:
        if self.error is not None:
            raise self.error
        self.renewals += 1
        if self.renewals > self.supply:
            return False
        self.number += 1
        return True

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Pass {self.number}"
        return request


def wants(number: int) -> object:
    def answer(asked: Asked) -> Reply:
        return Reply.json({}) if asked.headers["Authorization"] == f"Pass {number}" else Reply(401, b"expired")

    return answer


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_refused_request_is_sent_again_with_new_credentials_a_write_too(method: str) -> None:
    with serving(wants(2)) as bench:  # type: ignore[arg-type]
        bench.session.auth = Pass()
        assert bench.transport().request(method, "/x", body=b"{}").status == 200
    assert [asked.headers["Authorization"] for asked in bench.server.asked] == ["Pass 1", "Pass 2"]
    assert (bench.limiter.asked, bench.limiter.under_way) == (2, 0)


def test_what_the_vendor_refuses_twice_is_refused() -> None:
    with serving(wants(9)) as bench, pytest.raises(AuthFailed):  # type: ignore[arg-type]
        bench.session.auth = Pass()
        bench.transport().request("GET", "/x")
    assert len(bench.server.asked) == 2


def test_without_new_credentials_nothing_is_sent_again() -> None:
    with serving(wants(2)) as bench, pytest.raises(AuthFailed):  # type: ignore[arg-type]
        bench.session.auth = Pass(supply=0)
        bench.transport().request("GET", "/x")
    assert len(bench.server.asked) == 1


def test_a_renewal_that_fails_says_why() -> None:
    with serving(wants(2)) as bench, pytest.raises(VendorUnavailable, match="the token server is down"):  # type: ignore[arg-type]
        bench.session.auth = Pass(error=VendorUnavailable("the token server is down"))
        bench.transport().request("GET", "/x")


def test_a_missing_permission_is_no_reason_to_renew() -> None:
    with serving(Reply(403)) as bench, pytest.raises(PermissionDenied):
        bench.session.auth = Pass()
        bench.transport().request("GET", "/x")
    assert len(bench.server.asked) == 1


def test_nothing_is_sent_while_there_is_nothing_to_sign_with() -> None:
    class Unsigned(AuthBase):
        def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
            raise AuthFailed("Reconnect.")

    with serving(Reply.json({})) as bench, pytest.raises(AuthFailed, match=r"Reconnect\."):
        bench.session.auth = Unsigned()
        bench.transport().request("GET", "/x")
    assert bench.server.asked == []
    assert bench.limiter.under_way == 0


def test_what_a_request_costs_reaches_the_limiter() -> None:
    with serving(Reply.json({})) as bench:
        bench.transport().request("GET", "/x", cost=50)
    assert bench.limiter.costs == [50]
