"""What Razorpay's refusals mean, and after which of them a write may be done all the same."""

from __future__ import annotations

import json

import pytest

from erpflow.connectors.answer import Answer
from erpflow.connectors.razorpay_errors import Refused, judge
from erpflow.errors import (
    AuthFailed,
    ErpflowError,
    PermissionDenied,
    ProtocolError,
    RateLimited,
    VendorUnavailable,
)


def answered(status: int, description: str | None = None, *, body: bytes = b"<html>", **more: str) -> Answer:
    if description is not None:
        body = json.dumps({"error": {"code": "BAD_REQUEST_ERROR", "description": description, **more}}).encode()
    return Answer("POST", "/v1/subscriptions", status, {}, body, 0.1, "id", True)


@pytest.mark.parametrize(
    ("answer", "kind", "maybe_done"),
    [
        (answered(401, "Authentication failed"), AuthFailed, False),
        (answered(403, "Access Denied"), PermissionDenied, False),
        (answered(400, "The requested URL was not found on the server."), PermissionDenied, False),
        (answered(404, "The requested URL was not found on the server."), PermissionDenied, False),
        (answered(400, "The id provided does not exist"), Refused, False),
        (answered(429, "Too many requests"), RateLimited, False),
        (answered(429), RateLimited, False),
        (answered(409, "Another request is still in progress"), VendorUnavailable, True),
        (answered(500, "We are facing some trouble"), VendorUnavailable, True),
        (answered(502), VendorUnavailable, True),
        (answered(504), VendorUnavailable, True),
        (answered(500), ProtocolError, True),
        (answered(408), ProtocolError, True),
        (answered(404), ProtocolError, False),
        (answered(400), ProtocolError, True),  # a gateway's page tells nothing of what lies behind it
    ],
)
def test_each_refusal_says_what_to_do_and_whether_it_may_be_done(
    answer: Answer, kind: type[ErpflowError], maybe_done: bool
) -> None:
    error = judge(answer)
    assert type(error) is kind
    assert getattr(error, "maybe_done", False) is maybe_done


def test_what_was_refused_is_told_in_razorpays_words_with_the_field() -> None:
    error = judge(answered(400, "The plan id field is required.", field="plan_id", reason="input_validation_failed"))
    assert isinstance(error, Refused)
    [problem] = error.problems
    assert (problem.field, problem.rule) == ("plan_id", "input_validation_failed")
    assert problem.message == "The plan id field is required."


def test_what_was_asked_for_is_no_error() -> None:
    assert judge(answered(200)) is None
