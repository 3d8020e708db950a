"""What ERPNext's recorded refusals of writes mean: whose fault it is, and whether anything can have been done."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from erpflow.connectors.answer import Answer
from erpflow.connectors.delivery import RecordBusy
from erpflow.connectors.erpnext_refusals import judge_write
from erpflow.errors import (
    AuthFailed,
    ErpflowError,
    PermissionDenied,
    ProtocolError,
    RateLimited,
    RecordRejected,
    StaleVersion,
    VendorUnavailable,
)

CAPTURES = Path(__file__).parents[1] / "fixtures" / "erpnext_captures"


def captured(name: str) -> Answer:
    exchange = json.loads((CAPTURES / f"{name}.json").read_text())
    response = exchange["response"]
    text = response.get("body_text") or json.dumps(response["body"])
    return answer(response["status"], text, method=exchange["request"]["method"], headers=dict(response["headers"]))


def answer(status: int, body: Any, *, method: str = "PUT", headers: dict[str, str] | None = None) -> Answer:
    raw = (body if isinstance(body, str) else json.dumps(body)).encode()
    return Answer(method, "/api/resource/Customer/x", status, headers or {}, raw, 0.1, "id", authenticated=True)


def told(given: Answer) -> list[tuple[str, str]]:
    """Field and rule of every problem of a rejected record."""
    error = judge_write(given)
    assert isinstance(error, RecordRejected), error
    return [(problem.field, problem.rule) for problem in error.problems]


@pytest.mark.parametrize(
    ("capture", "problems"),
    [
        ("item/create_duplicate", [("name", "duplicate")]),
        ("customfield/customer_dup", [("custom_external_id", "duplicate")]),
        ("customer/create_missing_mandatory", [("customer_name", "required")]),
        ("customer/put_mandatory_null", [("customer_name", "required")]),
        ("address/create_missing", [("address_line1", "required"), ("city", "required")]),
        ("customer/create_bad_link", [("", "lookup")]),
        ("customer/put_bad_link", [("", "lookup")]),
        ("sales_order/create_bad_item", [("", "lookup")]),  # a 404 that is not about the order
        ("customer/create_too_long", [("", "max_length")]),
        ("customer/create_html", [("", "pattern")]),  # a 409, and no duplicate
        ("contact/create_bad_email", [("", "pattern")]),
        ("delete/customer_linked", [("", "in_use")]),
        ("sales_order/delete_submitted", [("", "refused")]),
        ("sales_order/put_after_submit", [("", "refused")]),
        ("sales_order/cancel_draft", [("", "refused")]),
        ("sales_order/create_no_items", [("", "refused")]),  # 500 TypeError: the site stumbles over this record
        ("bulk/insert_many_one_bad", [("", "lookup")]),
        ("bulk/insert_many_201", [("", "refused")]),
    ],
)
def test_a_recorded_refusal_is_of_the_record(capture: str, problems: list[tuple[str, str]]) -> None:
    assert told(captured(capture)) == problems


@pytest.mark.parametrize(
    ("capture", "kind"),
    [
        ("customer/put_stale_modified", StaleVersion),
        ("customer/put_modified_truncated", StaleVersion),
        ("outage/row_locked_put", RecordBusy),
        ("auth/bad_key", AuthFailed),
        ("auth/missing", PermissionDenied),  # the answer alone: its request carried credentials here
        ("auth/forbidden_create", PermissionDenied),
        ("auth/limited_delete", PermissionDenied),
        ("ratelimit/rejected", RateLimited),
        ("customer/create_bad_json", ProtocolError),
        ("customer/get_missing_doctype", ProtocolError),
        ("auth/unknown_api_path", ProtocolError),
    ],
)
def test_a_recorded_error_that_is_not_the_records_fault(capture: str, kind: type[ErpflowError]) -> None:
    error = judge_write(captured(capture))
    assert type(error) is kind
    assert not getattr(error, "maybe_done", False)


@pytest.mark.parametrize("capture", ["outage/maintenance_mode", "outage/read_only_post", "outage/database_down"])
def test_a_site_that_is_closed_has_done_nothing(capture: str) -> None:
    error = judge_write(captured(capture))
    assert isinstance(error, VendorUnavailable) and not error.maybe_done


@pytest.mark.parametrize("kind", ["QueryDeadlockError", "QueryTimeoutError", "DocumentLockedError"])
@pytest.mark.parametrize("status", [417, 500])
def test_a_lock_is_of_the_record_and_nothing_was_done(kind: str, status: int) -> None:
    error = judge_write(answer(status, {"exc_type": kind}))
    assert isinstance(error, RecordBusy) and not error.maybe_done


@pytest.mark.parametrize(
    "body",
    [
        {"exc_type": "OperationalError", "exception": "pymysql.err.OperationalError: (2013, 'Lost connection')"},
        {"exc_type": "OperationalError", "exception": "pymysql.err.OperationalError: (2006, 'gone away')"},
        {"exc_type": "ConnectionError", "exception": "redis.exceptions.ConnectionError: refused"},
        "<html>Bad gateway</html>",
        "Internal Server Error",
        "",
    ],
)
def test_what_a_site_that_broke_down_has_done_is_not_known(body: Any) -> None:
    error = judge_write(answer(500, body))
    assert isinstance(error, VendorUnavailable) and error.maybe_done


@pytest.mark.parametrize("status", [400, 404, 409])
def test_a_proxys_refusal_is_not_the_records_fault_and_nothing_was_done(status: int) -> None:
    error = judge_write(answer(status, "<html>nothing here</html>"))
    assert isinstance(error, ProtocolError) and not error.maybe_done


def test_a_record_that_is_too_large_for_the_web_server_is_rejected() -> None:
    assert told(answer(413, "<html>Request Entity Too Large</html>")) == [("", "max_length")]


def test_an_unknown_type_of_error_is_a_refusal_in_the_sites_words() -> None:
    body = {"exc_type": "CreditLimitError", "exception": "apps.CreditLimitError: over <b>limit</b>"}
    error = judge_write(answer(417, body))
    assert isinstance(error, RecordRejected)
    assert [(problem.rule, problem.message) for problem in error.problems] == [("refused", "over limit")]


def test_a_refusal_without_a_word_names_its_type() -> None:
    error = judge_write(answer(417, {"exc_type": "StrangeError"}))
    assert isinstance(error, RecordRejected) and str(error) == "StrangeError"


def test_a_duplicate_entry_is_one_whatever_the_site_calls_it() -> None:
    text = "frappe.exceptions.ValidationError: (1062, \"Duplicate entry 'A-1' for key 'tabItem.custom_sku'\")"
    assert told(answer(417, {"exc_type": "ValidationError", "exception": text})) == [("custom_sku", "duplicate")]


def test_a_missing_permission_names_what_was_tried() -> None:
    for method, doing in (("POST", "create"), ("PUT", "change"), ("DELETE", "delete")):
        error = judge_write(answer(403, {"exc_type": "PermissionError"}, method=method))
        assert f"a role that may {doing} it" in str(error)


def test_every_recorded_answer_to_a_write_has_a_meaning() -> None:
    seen = 0
    for path in sorted(CAPTURES.rglob("*.json")):
        exchange = json.loads(path.read_text())
        if "response" in exchange and exchange["request"]["method"] in ("POST", "PUT", "DELETE"):
            given = captured(str(path.relative_to(CAPTURES)).removesuffix(".json"))
            assert (judge_write(given) is None) == (given.status < 300), path
            seen += 1
    assert seen > 80
