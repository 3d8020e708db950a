"""How Metakocka writes things: numbers in two notations, days, lists of one, a key in the body, errors that say 200."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
import requests

from erpflow.connectors.answer import Answer
from erpflow.connectors.metakocka_errors import Refused, judge, judge_write
from erpflow.connectors.metakocka_signing import CompanyAuth
from erpflow.connectors.metakocka_wire import (
    ZONE,
    as_list,
    members_of,
    rows_of,
    text_of,
    to_date,
    to_instant,
    to_number,
    whole_number,
    wire_date,
    wire_value,
)
from erpflow.connectors.redaction import redact, without_secrets
from erpflow.errors import (
    AuthFailed,
    ConfigError,
    ErpflowError,
    PermissionDenied,
    ProtocolError,
    RateLimited,
    RecordRejected,
    VendorUnavailable,
)

KEY = "s3cr3t-key-of-a-company"


# -- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("24.8", "24.8"), ("7,3", "7.3"), ("863,75", "863.75"), ("1.895,01", "1895.01"), ("1,895.01", "1895.01"),
        ("-0,5", "-0.5"), ("+3", "3"), (" 1 895,01 ", "1895.01"), ("12345678.91", "12345678.91"), ("0", "0"), (7, "7"),
    ],
)  # fmt: skip
def test_a_number_is_read_in_either_notation(written: Any, meant: str) -> None:
    assert to_number(written) == Decimal(meant)


@pytest.mark.parametrize(
    ("written", "meant"), [("1.895", "1895"), ("1.895,01", "1895.01"), ("53", "53"), ("2,5", "2.5")]
)
def test_a_lone_point_in_a_payment_groups_thousands(written: str, meant: str) -> None:
    assert to_number(written, dots_group=True) == Decimal(meant)


@pytest.mark.parametrize("odd", ["", "22;23", "1e5", "NaN", "12 kosov", True, None, ["1"], {"a": 1}])
def test_what_is_no_number_stays_as_it_is(odd: Any) -> None:
    assert to_number(odd) == odd


@pytest.mark.parametrize(
    ("written", "day"),
    [
        ("2015-05-07+02:00", "2015-05-07"), ("2015-05-07", "2015-05-07"), ("07.05.2015", "2015-05-07"),
        ("7. 5. 2015", "2015-05-07"), ("9999-12-31+01:00", "9999-12-31"), ("31.02.2015", "31.02.2015"),
        ("yesterday", "yesterday"), (None, None),
    ],
)  # fmt: skip
def test_a_day_is_read_in_either_notation_and_what_is_none_stays(written: Any, day: Any) -> None:
    assert to_date(written) == day


@pytest.mark.parametrize(
    ("day", "sent"),
    [("2024-01-17", "2024-01-17+01:00"), ("2024-07-17", "2024-07-17+02:00"), ("2024-07-17+01:00", "2024-07-17+01:00")],
)
def test_a_day_is_sent_with_the_offset_of_its_season(day: str, sent: str) -> None:
    assert wire_date(day) == sent


def test_a_time_without_an_offset_is_ljubljanas() -> None:
    found = to_instant("2024-07-17T14:28:54", zone=ZONE)
    assert found is not None and found.isoformat() == "2024-07-17T12:28:54+00:00"


def test_values_are_sent_as_text_with_exactly_their_digits() -> None:
    sent = {"price": Decimal("1E+2"), "sales": True, "lines": [{"amount": 2, "name": "Žeblji & co"}], "none": None}
    assert wire_value(sent) == {
        "price": "100",
        "sales": "true",
        "lines": [{"amount": "2", "name": "Žeblji & co"}],
        "none": None,
    }


def test_a_list_is_a_list_however_long_it_is_at_the_vendor() -> None:
    members = members_of(b'{"one":{"a":1},"two":[{"a":1},{"b":2}],"none":"","n":"12","t":5}', what="it")
    assert rows_of(members, "one") == [b'{"a":1}']
    assert rows_of(members, "two") == [b'{"a":1}', b'{"b":2}']
    assert rows_of(members, "none") == rows_of(members, "absent") == []
    assert (whole_number(members, "n"), whole_number(members, "one"), text_of(members, "t")) == (12, None, "5")
    assert (as_list(None), as_list(""), as_list("a"), as_list(["a"])) == ([], [], ["a"], ["a"])


# -- the key in the body ---------------------------------------------------------------------------------------------


def prepared(auth: CompanyAuth, body: Any) -> requests.PreparedRequest:
    return requests.Session().prepare_request(requests.Request("POST", "https://h.example/x", data=body, auth=auth))


@pytest.mark.parametrize("body", [b"{}", b'{"limit":"5"}', None])
def test_a_request_is_signed_in_its_body_and_says_how_long_it_is(body: bytes | None) -> None:
    sent = prepared(CompanyAuth("16", f" {KEY}\n"), body)
    more = {"limit": "5"} if body and b"limit" in body else {}
    assert json.loads(sent.body or b"") == {"secret_key": KEY, "company_id": "16", **more}
    assert sent.headers["Content-Length"] == str(len(sent.body or b""))


@pytest.mark.parametrize(("login", "password", "missing"), [(None, KEY, "company ID"), ("16", None, "secret key")])
def test_a_missing_key_is_said_before_anything_is_sent(login: str | None, password: str | None, missing: str) -> None:
    with pytest.raises(AuthFailed, match=f"has no {missing}.*Settings, API"):
        prepared(CompanyAuth(login, password), b"{}")


def test_what_is_no_object_is_never_signed() -> None:
    with pytest.raises(ConfigError, match="JSON object"):
        prepared(CompanyAuth("16", KEY), b"[]")


def test_the_key_is_in_no_repr_and_told_to_the_transport() -> None:
    auth = CompanyAuth("16", KEY)
    assert KEY not in repr(auth) and auth.secrets == (KEY,)
    assert auth == CompanyAuth("16", KEY) != CompanyAuth("16", "other")


def test_a_secret_key_in_a_body_is_masked_whoever_shows_it() -> None:
    assert redact('{"secret_key":"8899xyz","company_id":"16"}') == '{"secret_key":"***","company_id":"16"}'


def test_an_echoed_key_does_not_land_and_a_short_one_is_left_in_numbers() -> None:
    body = b'{"secret_key":"s3cr3t-key-of-a-company","price":"8899"}'
    assert without_secrets(body, secrets=(KEY, "8899")) == b'{"secret_key":"***","price":"8899"}'


# -- what an answer means --------------------------------------------------------------------------------------------


def answer(body: Any, *, status: int = 200) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer("POST", "/rest/eshop/v1/search", status, {}, raw, 0.1, "id", authenticated=False)


@pytest.mark.parametrize("judged", [judge, judge_write])
@pytest.mark.parametrize("body", [{"opr_code": "0"}, {"opr_code": 0}, {"partner_list_count": "1"}])
def test_a_zero_or_no_code_at_all_is_a_success(judged: Any, body: Any) -> None:
    assert judged(answer(body)) is None


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        ("1", VendorUnavailable, "It may pass"), ("2", Refused, "Unknown document type"), ("3", AuthFailed, "secret"),
        ("4", AuthFailed, "public address"), ("5", RateLimited, "quota"), ("6", Refused, "foo"), ("7", Refused, "7"),
    ],
)  # fmt: skip
def test_the_code_of_a_question_says_what_to_do_next(code: str, kind: type[ErpflowError], words: str) -> None:
    found = judge(answer({"opr_code": code, "opr_desc": "Unknown document type : foo"}))
    assert isinstance(found, kind) and words in str(found)


@pytest.mark.parametrize(
    ("code", "kind", "maybe_done"),
    [
        ("1", VendorUnavailable, True), ("2", RecordRejected, None), ("3", AuthFailed, None), ("5", RateLimited, None),
        ("6", RecordRejected, None), ("77", ProtocolError, True),
    ],
)  # fmt: skip
def test_the_code_of_a_write_says_whether_it_may_be_done(
    code: str, kind: type[ErpflowError], maybe_done: bool | None
) -> None:
    found = judge_write(answer({"opr_code": code, "opr_desc": "no"}))
    assert isinstance(found, kind)
    assert getattr(found, "maybe_done", None) is maybe_done


@pytest.mark.parametrize(
    ("words", "field", "rule"),
    [
        ("Paramether 'unit' is required paramether", "unit", "required"),
        ("Paramether 'status_code' has invalid value : XXX. Valid values : a,b", "status_code", "picklist"),
        ("<b>Anything</b> else", "", "refused"),
    ],
)
def test_a_refusal_names_the_field_it_is_about(words: str, field: str, rule: str) -> None:
    found = judge_write(answer({"opr_code": "2", "opr_desc": words}))
    assert isinstance(found, RecordRejected)
    (problem,) = found.problems
    assert (problem.field, problem.rule) == (field, rule) and "<" not in problem.message


def test_unknown_products_are_a_look_up_that_failed_and_newer_calls_have_other_words() -> None:
    found = judge_write(
        answer({"opr_code": "2", "error_desc": "art400 not found", "product_not_found_list": {"code": "a"}})
    )
    assert isinstance(found, RecordRejected)
    assert (found.problems[0].rule, found.problems[0].message) == ("lookup", "art400 not found")


@pytest.mark.parametrize(
    ("status", "kind"),
    [(404, ProtocolError), (405, ProtocolError), (500, VendorUnavailable), (503, VendorUnavailable), (429, RateLimited),
     (403, PermissionDenied), (204, ProtocolError)],
)  # fmt: skip
def test_another_status_than_200_comes_from_what_stands_before_metakocka(status: int, kind: type[ErpflowError]) -> None:
    found = judge(answer(b"<html><h1>Vzdrzevanje</h1></html>", status=status))
    assert isinstance(found, kind) and "opr_code" not in str(found)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b"[" * 100_000, b'{"opr_code":"0"', b"\xff"])
def test_what_is_not_metakockas_json_is_never_a_success(body: bytes) -> None:
    assert isinstance(judge(answer(body)), ProtocolError)
    found = judge_write(answer(body))
    assert isinstance(found, ProtocolError) and found.maybe_done
