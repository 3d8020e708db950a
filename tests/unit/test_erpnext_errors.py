"""What ERPNext's recorded error answers mean: by their type first, since their status misleads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from erpflow.connectors.answer import Answer
from erpflow.connectors.erpnext_errors import judge, plain, server_messages
from erpflow.errors import (
    AuthFailed,
    ErpflowError,
    PermissionDenied,
    ProtocolError,
    RateLimited,
    StaleVersion,
    VendorUnavailable,
)

CAPTURES = Path(__file__).parents[1] / "fixtures" / "erpnext_captures"


def captured(name: str) -> Answer:
    exchange = json.loads((CAPTURES / f"{name}.json").read_text())
    response = exchange["response"]
    text = response.get("body_text") or json.dumps(response["body"])
    return answer(
        response["status"],
        text,
        headers=dict(response["headers"]),
        authenticated=any(header == "Authorization" for header, _ in exchange["request"]["headers"]),
    )


def answer(status: int, body: Any, *, headers: dict[str, str] | None = None, authenticated: bool = True) -> Answer:
    raw = (body if isinstance(body, str) else json.dumps(body)).encode()
    return Answer("GET", "/api/resource/Customer", status, headers or {}, raw, 0.1, "id", authenticated)


@pytest.mark.parametrize(
    ("capture", "kind"),
    [
        ("auth/bad_key", AuthFailed),
        ("auth/bad_secret", AuthFailed),
        ("auth/token_malformed_no_colon", AuthFailed),
        ("auth/bearer_bad", AuthFailed),
        ("auth/resource_list_bad_secret", AuthFailed),
        ("auth/missing", AuthFailed),  # 403, and not for want of a role
        ("auth/resource_list_no_auth", AuthFailed),
        ("auth/forbidden_doctype_list", PermissionDenied),
        ("auth/forbidden_method", PermissionDenied),
        ("auth/method_not_whitelisted", PermissionDenied),
        ("sales_order/child_doctype_list_noparent", PermissionDenied),
        ("auth/method_unknown", ProtocolError),
        ("auth/unknown_api_path", ProtocolError),
        ("list/unknown_doctype", ProtocolError),
        ("list/fields_unknown", ProtocolError),
        ("list/filters_unknown_op", ProtocolError),
        ("list/url_too_long", ProtocolError),
        ("ratelimit/rejected", RateLimited),
        ("outage/database_down", VendorUnavailable),
        ("outage/row_locked_put", VendorUnavailable),
        ("outage/maintenance_mode", VendorUnavailable),
        ("outage/read_only_post", VendorUnavailable),
        ("customer/put_stale_modified", StaleVersion),
    ],
)
def test_a_recorded_error_is_understood(capture: str, kind: type[ErpflowError]) -> None:
    assert type(judge(captured(capture))) is kind


@pytest.mark.parametrize(
    "capture",
    [
        "list/order_by_unknown",  # OperationalError, but 1054: no such column
        "list/doctype_wrong_case",  # ProgrammingError
        "list/fields_not_json",  # JSONDecodeError
        "list/filters_bad_json",
        "customer/get_missing_doctype",  # ImportError
        "customer/create_bad_json",
        "sales_order/create_no_items",  # TypeError
    ],
)
def test_our_own_mistakes_that_look_like_server_errors_are_not_outages(capture: str) -> None:
    given = captured(capture)
    assert given.status == 500
    assert type(judge(given)) is ProtocolError


@pytest.mark.parametrize("capture", ["list/fields_star", "auth/token_ok", "delete/ok", "ratelimit/ok_headers"])
def test_an_answer_that_is_no_error_passes(capture: str) -> None:
    assert judge(captured(capture)) is None


def test_every_recorded_answer_has_a_meaning() -> None:
    seen = 0
    for path in sorted(CAPTURES.rglob("*.json")):
        if "response" in json.loads(path.read_text()):
            given = captured(str(path.relative_to(CAPTURES)).removesuffix(".json"))
            assert (judge(given) is None) == (given.status < 300), path
            seen += 1
    assert seen > 200


@pytest.mark.parametrize(
    "exception",
    [
        "pymysql.err.OperationalError: (2006, 'MySQL server has gone away')",
        "pymysql.err.OperationalError: (2013, 'Lost connection to MySQL server during query')",
        "pymysql.err.OperationalError: (1040, 'Too many connections')",
        "psycopg2.OperationalError: server closed the connection unexpectedly",
    ],
)
def test_a_lost_database_passes(exception: str) -> None:
    assert isinstance(judge(answer(500, {"exc_type": "OperationalError", "exception": exception})), VendorUnavailable)


@pytest.mark.parametrize("kind", ["QueryDeadlockError", "QueryTimeoutError"])
def test_a_deadlock_passes(kind: str) -> None:
    assert isinstance(judge(answer(500, {"exc_type": kind})), VendorUnavailable)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_proxys_error_page_is_an_outage(status: int) -> None:
    error = judge(answer(status, "<html><head><title>nginx</title></head><body>Bad <b>Gateway</b></body></html>"))
    assert isinstance(error, VendorUnavailable)
    assert "Bad" in str(error)


def test_an_unknown_type_with_status_500_is_not_retried() -> None:
    error = judge(answer(500, {"exc_type": "SomebodysAppError", "exception": "apps.SomebodysAppError: boom"}))
    assert type(error) is ProtocolError
    assert "SomebodysAppError" in str(error) and "boom" in str(error)


def test_the_sites_own_words_are_told_without_html() -> None:
    error = judge(captured("auth/forbidden_doctype_list"))
    assert "User limited@example.com does not have doctype access" in str(error)
    assert "<" not in str(error)


def test_two_messages_are_both_told() -> None:
    text = str(judge(captured("delete/customer_linked")))
    assert "is linked with Sales Order" in text and "You can disable this Customer" in text


@pytest.mark.parametrize(
    "text", ["", "not json", "[1]", '["x"]', '["{}"]', "null", "[" * 5000, '["{\\"message\\": 5}"]']
)
def test_server_messages_of_any_shape_do_no_harm(text: str) -> None:
    assert all(isinstance(message, str) for message in server_messages(text))
    assert judge(answer(417, {"exc_type": "ValidationError", "_server_messages": text})) is not None


@pytest.mark.parametrize(
    "body",
    ["", "null", "[]", "{}", '{"exc_type": 5}', '{"exc_type": null, "exception": null}', "\x00", "{" * 5000, "<html>"],
)
@pytest.mark.parametrize("status", [300, 400, 401, 403, 404, 417, 429, 500, 503])
def test_an_error_body_of_any_shape_has_a_meaning(status: int, body: str) -> None:
    assert isinstance(judge(answer(status, body)), ErpflowError)


def test_a_long_message_is_cut() -> None:
    assert len(plain("<p>" + "word " * 1000)) == 300
