"""What the Service Layer's errors mean: in the body of either version, asked or told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from erpflow.connectors.answer import Answer
from erpflow.connectors.delivery import RecordBusy
from erpflow.connectors.sap_b1_errors import Fault, fault_of, judge, judge_login
from erpflow.connectors.sap_b1_refusals import is_missing, judge_write, may_wait_for_approval
from erpflow.errors import (
    AuthFailed,
    ConfigError,
    PermissionDenied,
    ProtocolError,
    RateLimited,
    RecordRejected,
    StaleVersion,
    VendorUnavailable,
)

APACHE = b"<html><head><title>503 Service Unavailable</title></head><body>Service Unavailable</body></html>"


def body(code: int, text: str, *, version: str = "v2") -> bytes:
    if version == "v1":
        found: Any = {"error": {"code": code, "message": {"lang": "en-us", "value": text}}}
    else:
        found = {"error": {"code": str(code), "details": [{"code": "", "message": ""}], "message": text}}
    return json.dumps(found).encode()


def answer(status: int, content: bytes, *, method: str = "GET") -> Answer:
    return Answer(method, "/b1s/v2/Orders", status, {}, content, 0.1, "id", False)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_both_forms_of_an_error_say_the_same(version: str) -> None:
    assert fault_of(body(-2028, "No matching records found", version=version)) == Fault(
        -2028, "No matching records found"
    )


@pytest.mark.parametrize(
    "content", [b"", APACHE, b"[]", b'{"error": 3}', b'{"value": []}', b"\xff", b"[" * 10_000], ids=repr
)
def test_what_is_no_error_of_the_vendors_has_no_fault(content: bytes) -> None:
    assert fault_of(content[:20_000]) is None


def test_a_code_that_is_no_number_keeps_its_text() -> None:
    assert fault_of(b'{"error": {"code": "SBO-1", "message": "Odd"}}') == Fault(None, "Odd")
    assert fault_of(b'{"error": {"message": null}}') == Fault(None, "")


@pytest.mark.parametrize(
    ("status", "content", "kind"),
    [
        (401, body(301, "Invalid session or session already timeout.", version="v1"), AuthFailed),
        (401, body(301, "Invalid session or session already timeout."), AuthFailed),
        (403, body(804, "No authorization"), PermissionDenied),
        (412, body(-2039, "Another user modified data"), StaleVersion),
        (400, body(-1116, "another transaction holds it"), VendorUnavailable),
        (400, body(-1000, "Property 'U_X' of 'Item' is invalid"), ConfigError),
        (400, body(201, "Invalid filter"), ProtocolError),
        (404, body(-1, "Unrecognized resource path"), ProtocolError),
        (429, body(0, "slow down"), RateLimited),
        (500, body(-1, "Internal error"), VendorUnavailable),
        (500, APACHE, VendorUnavailable),
        (503, APACHE, VendorUnavailable),
        (404, b"<html>Not Found</html>", ProtocolError),
    ],
)
def test_an_answer_to_a_question_is_judged_by_its_code_and_status(
    status: int, content: bytes, kind: type[Exception]
) -> None:
    assert type(judge(answer(status, content))) is kind


def test_a_lock_is_known_not_to_have_done_anything() -> None:
    error = judge(answer(400, body(-2038, "locked")))
    assert isinstance(error, VendorUnavailable) and not error.maybe_done


@pytest.mark.parametrize(
    ("status", "content", "rule", "field"),
    [
        (400, body(-2035, "This entry already exists in the following tables (ODBC -2035)"), "duplicate", ""),
        (400, body(-2028, "No matching records found (ODBC -2028)"), "lookup", ""),
        (400, body(-5006, "The requested action is not supported"), "operation", ""),
        (400, body(-5002, "Invalid BP code [ORDR.CardCode] , 'P1'"), "refused", "CardCode"),
        (
            400,
            body(-1, "Item number is missing [DocumentLines.ItemCode][line: 4]"),
            "refused",
            "DocumentLines[3].ItemCode",
        ),
        (400, body(-1000, "Property 'U_X' of 'BusinessPartner' is invalid"), "unknown_field", "U_X"),
        (400, body(-10, "(1) <b>Quantity</b> falls below zero"), "refused", ""),
        (413, b"<html>Request Entity Too Large</html>", "max_length", ""),
    ],
)
def test_a_refused_write_says_why_where_and_in_plain_words(status: int, content: bytes, rule: str, field: str) -> None:
    error = judge_write(answer(status, content, method="POST"))
    assert isinstance(error, RecordRejected)
    (problem,) = error.problems
    assert (problem.rule, problem.field) == (rule, field)
    assert problem.message and "<" not in problem.message


def test_a_write_to_a_locked_record_is_of_this_record_alone() -> None:
    assert isinstance(judge_write(answer(400, body(-1116, "another transaction holds it"))), RecordBusy)


@pytest.mark.parametrize("status", [500, 503])
def test_a_write_that_the_server_broke_at_may_be_done(status: int) -> None:
    error = judge_write(answer(status, APACHE, method="POST"))
    assert isinstance(error, VendorUnavailable) and error.maybe_done


def test_the_same_code_means_a_missing_record_or_a_missing_reference_by_its_status() -> None:
    gone, dangling = answer(404, body(-2028, "No matching")), answer(400, body(-2028, "No matching"))
    assert (is_missing(gone), is_missing(dangling)) == (True, False)
    assert (may_wait_for_approval(gone), may_wait_for_approval(dangling)) == (False, True)
    assert not is_missing(answer(404, b"<html>Not Found</html>"))


@pytest.mark.parametrize(
    ("status", "content", "kind"),
    [
        (401, body(100000027, "Login failed"), AuthFailed),
        (401, body(-304, "Fail to get DB Credentials from SLD"), AuthFailed),
        (400, body(-10, "Something else"), AuthFailed),
        (400, body(-1101, "Too many"), RateLimited),
        (401, body(-1, "You have exceeded the maximum number of sessions"), RateLimited),
        (503, APACHE, VendorUnavailable),
    ],
)
def test_a_login_is_refused_waits_or_is_tried_later(status: int, content: bytes, kind: type[Exception]) -> None:
    assert type(judge_login(answer(status, content, method="POST"))) is kind
