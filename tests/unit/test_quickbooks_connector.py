"""The parts of QuickBooks' connector that ask nobody: faults, statements, lines, positions, webhooks, whose limits."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import pytest
import requests

from erpflow.connectors.account import AccessToken, Account
from erpflow.connectors.answer import Answer
from erpflow.connectors.base import Change, Outcome
from erpflow.connectors.quickbooks import ENTITIES, KINDS, QuickBooks
from erpflow.connectors.quickbooks_faults import faults_of, judge, judge_write, verdict
from erpflow.connectors.quickbooks_paging import position_of
from erpflow.connectors.quickbooks_query import second_above, select, text_of, time_of, to_instant
from erpflow.connectors.quickbooks_updates import changed, merged_lines
from erpflow.connectors.quickbooks_webhooks import Notice, is_signed, notices
from erpflow.connectors.quickbooks_wire import with_line_numbers
from erpflow.connectors.transport import Transport
from erpflow.errors import (
    AuthFailed,
    ConfigError,
    ErpflowError,
    PermissionDenied,
    ProtocolError,
    RateLimited,
    RecordRejected,
    StaleVersion,
    VendorUnavailable,
)
from erpflow.testing.server import Asked, Reply, ScriptedServer
from erpflow.testing.tokens import NeverConnected
from erpflow.vocabulary import Operation, RemoteId, Window

SINCE = datetime(2026, 5, 1, tzinfo=UTC)


def answer(body: bytes | Any, *, status: int = 400, authenticated: bool = True) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer("POST", "/invoice", status, {}, raw, 0.0, "c", authenticated)


def fault(code: str, *, kind: str = "ValidationFault", message: str = "Told", detail: str = "Told in detail") -> Any:
    error = {"Message": message, "Detail": detail, "code": code, "element": "Line"}
    return {"Fault": {"Error": [error], "type": kind}, "time": "2026-05-01T00:00:00.000-07:00"}


def connector(server: ScriptedServer, *, page_size: int = 3) -> QuickBooks:
    return QuickBooks(Transport(requests.Session(), base_url=server.url, sleep=lambda _: None), page_size=page_size)


# -- faults ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (fault("003200", kind="AuthenticationFault"), 401, AuthFailed),
        (b"", 401, AuthFailed),
        (fault("003100", kind="AuthorizationFault"), 403, PermissionDenied),
        (fault("003001", kind="SERVICE"), 429, RateLimited),
        (b"", 429, RateLimited),
        (fault("10000", kind="SystemFault"), 500, VendorUnavailable),
        (fault("10000", kind="SystemFault"), 503, VendorUnavailable),
        (b"oops", 500, VendorUnavailable),
        (b"<html>504</html>", 504, VendorUnavailable),
        (fault("4001"), 400, ProtocolError),
        (b"{}", 418, ProtocolError),
    ],
)
def test_what_an_error_means_for_a_question(body: Any, status: int, kind: type[ErpflowError]) -> None:
    assert type(judge(answer(body, status=status))) is kind


@pytest.mark.parametrize(
    ("code", "kind", "rule"),
    [
        ("5010", StaleVersion, None),
        ("3001", RateLimited, None),
        ("10000", VendorUnavailable, None),
        ("6240", RecordRejected, "duplicate"),
        ("6140", RecordRejected, "duplicate"),
        ("2500", RecordRejected, "lookup"),
        ("610", RecordRejected, "lookup"),
        ("2020", RecordRejected, "required"),
        ("6000", RecordRejected, "refused"),
        ("99999", RecordRejected, "refused"),
    ],
)
def test_what_a_fault_means_for_a_record(code: str, kind: type[ErpflowError], rule: str | None) -> None:
    (found,) = faults_of(json.dumps(fault(code)).encode())
    error = verdict([found])
    assert type(error) is kind
    if isinstance(error, RecordRejected):
        (problem,) = error.problems
        assert (problem.rule, problem.field) == (rule, "Line")


def test_an_error_of_http_200_is_an_error() -> None:
    assert isinstance(judge(answer(fault("3001"), status=200)), RateLimited)
    assert judge(answer({"QueryResponse": {}}, status=200)) is None


def test_a_record_that_writes_about_faults_is_none() -> None:
    assert judge(answer({"Customer": {"Notes": '{"Fault":{}}'}}, status=200)) is None


@pytest.mark.parametrize(
    "body",
    [
        {"fault": {"error": [{"message": "Told", "detail": "Told", "code": "3200"}], "type": "AUTHENTICATION"}},
        b'<?xml version="1.0"?><IntuitResponse><Fault type="AUTHENTICATION"><Error code="3200"><Message>Told</Message>'
        b"<Detail>Told</Detail></Error></Fault></IntuitResponse>",
    ],
)
def test_a_gateway_that_writes_otherwise_is_understood(body: Any) -> None:
    assert isinstance(judge(answer(body, status=401)), AuthFailed)
    (found,) = faults_of(body if isinstance(body, bytes) else json.dumps(body).encode())
    assert (found.code, found.text) == ("3200", "Told")


def test_a_refused_write_is_a_matter_of_the_record_and_an_outage_is_not() -> None:
    assert isinstance(judge_write(answer(fault("2500"))), RecordRejected)
    assert isinstance(judge_write(answer(fault("5010"))), StaleVersion)
    outage = judge_write(answer(fault("10000"), status=500))
    assert isinstance(outage, VendorUnavailable) and outage.maybe_done


def test_markup_is_not_shown_to_people() -> None:
    (found,) = faults_of(json.dumps(fault("6000", detail="Told <b>in\n detail</b>")).encode())
    assert found.text == "Told in detail"


def test_who_has_not_connected_is_told_how() -> None:
    error = judge(answer(b"", status=401, authenticated=False))
    assert isinstance(error, AuthFailed) and "erpflow connect" in str(error)


# -- statements and times ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"), [("O'Brien", r"'O\'Brien'"), ("back\\", r"'back\\'"), ("100%", "'100%'"), ("", "''")]
)
def test_a_text_cannot_leave_its_quotes(value: str, expected: str) -> None:
    assert text_of(value) == expected


def test_a_statement_is_as_the_vendor_writes_it() -> None:
    made = select("*", "Invoice", [f"TxnDate > {text_of('2026-01-01')}", "Id > '1'"], order="Id", start=4, most=100)
    assert made == (
        "select * from Invoice where TxnDate > '2026-01-01' and Id > '1' orderby Id startposition 4 maxresults 100"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-05-01T12:55:50-08:00", datetime(2024, 5, 1, 20, 55, 50, tzinfo=UTC)),
        ("2024-05-02T03:12:11.123-07:00", datetime(2024, 5, 2, 10, 12, 11, 123_000, tzinfo=UTC)),
        ("2025-09-10T21:31:25.179851517Z", datetime(2025, 9, 10, 21, 31, 25, 179_851, tzinfo=UTC)),
        ("2024-05-01T12:55:50", None),
        ("2024-05-01", None),
        ("soon", None),
    ],
)
def test_times_are_read_in_all_forms_that_say_their_offset(text: str, expected: datetime | None) -> None:
    assert to_instant(text) == expected


def test_bounds_are_whole_seconds() -> None:
    moment = SINCE + timedelta(microseconds=1)
    assert second_above(moment) == SINCE + timedelta(seconds=1)
    assert second_above(SINCE) == SINCE
    assert time_of(moment) == "'2026-05-01T00:00:00Z'"


# -- lines -------------------------------------------------------------------------------------------------------------

ITEM = {"Id": "1", "LineNum": 1, "Amount": 5.50, "DetailType": "SalesItemLineDetail"}
SUM = {"Amount": 5.50, "DetailType": "SubTotalLineDetail", "SubTotalLineDetail": {}}
DISCOUNT = {"Amount": 1, "DetailType": "DiscountLineDetail", "DiscountLineDetail": {}}


def lines_of(*lines: Any) -> list[Any]:
    found: list[Any] = json.loads(bytes(with_line_numbers(json.dumps({"Id": "1", "Line": lines}).encode())))["Line"]
    return found


def test_the_sum_is_left_out_and_a_discount_gets_a_number() -> None:
    assert lines_of(ITEM, SUM, DISCOUNT) == [ITEM, {**DISCOUNT, "LineNum": 2}]


def test_a_number_is_never_given_twice() -> None:
    assert [line["LineNum"] for line in lines_of({**ITEM, "LineNum": 7}, DISCOUNT, DISCOUNT)] == [7, 8, 9]


def test_a_record_whose_lines_have_numbers_is_not_touched() -> None:
    raw = b'{"Id": "1",  "Line": [{"LineNum": 1, "Amount": 5.50}]}'
    assert bytes(with_line_numbers(raw)) == raw


@pytest.mark.parametrize("raw", [b'{"Id":"1"}', b'{"Line":"none"}', b'{"Line":[1]}', b"[]", b"{"])
def test_lines_of_another_shape_are_left_to_the_mapping(raw: bytes) -> None:
    assert bytes(with_line_numbers(raw)) == raw


def test_amounts_keep_their_digits() -> None:
    raw = b'{"Line":[{"LineNum":1,"Amount":100.50,"DetailType":"X"},{"Amount":1,"DetailType":"SubTotalLineDetail"}]}'
    assert b'"Amount":100.50' in bytes(with_line_numbers(raw))


# -- paging ------------------------------------------------------------------------------------------------------------


def rows(*seconds: int, start: int = 1) -> list[dict[str, Any]]:
    return [
        {"Id": str(number), "MetaData": {"LastUpdatedTime": f"2026-05-01T00:00:{second:02}+00:00"}}
        for number, second in enumerate(seconds, start=start)
    ]


def queried(*found: Any) -> Reply:
    return Reply.json({"QueryResponse": {"Customer": list(found)} if found else {}})


@pytest.mark.parametrize(
    ("found", "what"),
    [
        (rows(5, 3), "did not sort"),
        (rows(1, 2, 3, 4), "heeds no limit"),
        ([{"Id": "1", "MetaData": {"LastUpdatedTime": "2025-01-01T00:00:00Z"}}], "does not heed the filter"),
        ([{"Id": "1", "MetaData": {"LastUpdatedTime": "2027-01-01T00:00:00Z"}}], "does not heed the filter"),
        ([{"Id": "1", "MetaData": {"LastUpdatedTime": "soon"}}], "which is no time"),
        ([{"Id": "1"}], "no id or no time"),
    ],
)
def test_records_that_were_not_asked_for_end_the_read(found: Any, what: str) -> None:
    with ScriptedServer(lambda _: queried(*found)) as server, pytest.raises(ProtocolError, match=what):
        list(connector(server).read("customer", Window(since=SINCE, until=SINCE + timedelta(days=1))))


def test_a_vendor_that_heeds_no_start_position_is_found_out() -> None:
    def first_rows(asked: Asked) -> Reply:
        return queried(*rows(*[1] * int(asked.body.decode().rpartition(" ")[2])))

    with ScriptedServer(first_rows) as server, pytest.raises(ProtocolError, match="heeds no start position"):
        list(connector(server).read("customer", Window()))


@pytest.mark.parametrize("token", ["", "{", "[]", '{"at": "yesterday"}', '{"strange": 1}', '{"read": "x"}'])
def test_a_token_of_another_system_is_refused(token: str) -> None:
    with pytest.raises(ConfigError, match="page token"):
        position_of(token)  # type: ignore[arg-type]


def test_a_bound_without_a_time_zone_is_refused() -> None:
    with ScriptedServer(lambda _: queried()) as server, pytest.raises(ConfigError, match="no time zone"):
        list(connector(server).read("customer", Window(since=datetime(2026, 5, 1))))  # noqa: DTZ001


# -- writing -----------------------------------------------------------------------------------------------------------


def batch_reply(*items: Any) -> Reply:
    return Reply.json({"BatchItemResponse": list(items)})


def change(number: int, **values: Any) -> Change:
    return Change(Operation.CREATE, f"erp-{number}", None, {"DisplayName": str(number), **values})


def made(number: int) -> Any:
    return {"Customer": {"Id": str(number), "SyncToken": "0", "MetaData": {"LastUpdatedTime": "2026-05-01T00:00:00Z"}}}


def test_the_answers_of_a_batch_go_by_their_names_and_not_by_their_order() -> None:
    reply = batch_reply({"bId": "1", **made(12)}, {"bId": "0", **made(11)})
    with ScriptedServer(lambda _: reply) as server:
        results = connector(server).write("customer", [change(1), change(2)])
    assert [result.remote_id for result in results] == ["11", "12"]


def test_a_batch_that_does_not_answer_an_item_leaves_all_of_them_unknown() -> None:
    with ScriptedServer(lambda _: batch_reply({"bId": "0", **made(11)})) as server:
        results = connector(server).write("customer", [change(1), change(2)])
    assert [result.outcome for result in results] == [Outcome.UNKNOWN] * 2


def test_an_item_that_was_one_too_many_is_sent_later_and_one_that_broke_is_unknown() -> None:
    throttled = {"bId": "1", **fault("3001")}
    broken = {"bId": "2", **fault("10000")}
    with ScriptedServer(lambda _: batch_reply({"bId": "0", **made(11)}, throttled, broken)) as server:
        results = connector(server).write("customer", [change(1), change(2), change(3)])
    assert [result.outcome for result in results] == [Outcome.DONE, Outcome.NOT_SENT, Outcome.UNKNOWN]


def test_what_json_cannot_carry_is_the_fault_of_its_record() -> None:
    with ScriptedServer(lambda _: Reply.json(made(11))) as server:
        results = connector(server).write("customer", [change(1, Notes="\ud800"), change(2)])
    assert [result.outcome for result in results] == [Outcome.REJECTED, Outcome.DONE]


def test_a_document_is_made_with_a_request_id_of_its_own() -> None:
    record = {"Payment": made(7)["Customer"]}
    with ScriptedServer(lambda _: Reply.json(record)) as server:
        connector(server).write("payment", [change(1), change(2)])
        assert [asked.query["requestid"] for asked in server.asked] == ["erp-1", "erp-2"]
        assert {asked.query["minorversion"] for asked in server.asked} == {"75"}


def test_an_id_that_is_none_is_asked_of_nobody() -> None:
    with ScriptedServer(lambda _: Reply(500)) as server:
        vendor = connector(server)
        assert vendor.read_one("customer", RemoteId("../companyinfo/1")) is None
        (result,) = vendor.write("customer", [Change(Operation.UPDATE, "k", RemoteId("1 or 1"), {"Notes": "x"})])
        assert result.outcome is Outcome.MISSING
        assert vendor.read_many("customer", [RemoteId("'")]).count == 0
        assert server.asked == []


# -- updates -----------------------------------------------------------------------------------------------------------

DOCUMENT = {
    "Id": "1", "SyncToken": "3", "DocNumber": "1001", "PrivateNote": "n", "BillAddr": {"Line1": "a", "City": "b"},
    "Line": [
        {"Id": "1", "LineNum": 1, "Amount": 5, "DetailType": "SalesItemLineDetail",
         "SalesItemLineDetail": {"ItemRef": {"value": "7"}, "Qty": 5, "TaxCodeRef": {"value": "NON"}}},
        {"LineNum": 2, "Amount": 1, "DetailType": "DiscountLineDetail", "DiscountLineDetail": {"PercentBased": False}},
    ],
}  # fmt: skip


def test_an_update_that_clears_nothing_is_sparse_and_sends_objects_whole() -> None:
    assert changed(DOCUMENT, {"BillAddr": {"City": "c"}}) == {"BillAddr": {"Line1": "a", "City": "c"}, "sparse": True}


def test_a_reference_to_nothing_is_cleared_with_its_name() -> None:
    record = {**DOCUMENT, "SalesTermRef": {"value": "2", "name": "Net 30"}}
    assert "SalesTermRef" not in changed(record, {"SalesTermRef": {"value": None}})


@pytest.mark.parametrize("values", [{"PrivateNote": None}, {"BillAddr": {"City": None}}])
def test_an_update_that_clears_a_field_is_full_and_keeps_all_others(values: dict[str, Any]) -> None:
    body = changed(DOCUMENT, values)
    assert "sparse" not in body and "Id" not in body
    assert body["DocNumber"] == "1001" and body["Line"] == DOCUMENT["Line"]
    assert ("PrivateNote" in body) == ("PrivateNote" not in values)
    assert body["BillAddr"] == ({"Line1": "a"} if "BillAddr" in values else DOCUMENT["BillAddr"])


def test_a_line_keeps_what_is_not_sent_of_it_and_a_discount_stays_one() -> None:
    nothing = {"ItemRef": {"value": None}, "Qty": None}
    sent = [
        {"LineNum": 1, "Amount": 6, "SalesItemLineDetail": {"Qty": 6}},
        {"LineNum": 2, "Amount": 2, "SalesItemLineDetail": nothing},
        {"LineNum": 3, "Amount": 3, "SalesItemLineDetail": {"ItemRef": {"value": "8"}, "Qty": 3}},
    ]
    first, second, third = merged_lines(DOCUMENT["Line"], sent)  # type: ignore[arg-type]
    assert (first["Id"], first["Amount"], first["SalesItemLineDetail"]["TaxCodeRef"]) == ("1", 6, {"value": "NON"})
    assert first["SalesItemLineDetail"]["Qty"] == 6
    assert (second["DetailType"], second["Amount"]) == ("DiscountLineDetail", 2)
    assert "SalesItemLineDetail" not in second
    assert third["DetailType"] == "SalesItemLineDetail"


# -- webhooks ----------------------------------------------------------------------------------------------------------

LEGACY = {
    "eventNotifications": [
        {
            "realmId": "310687",
            "dataChangeEvent": {
                "entities": [
                    {"name": "Customer", "id": "1234", "operation": "Create", "lastUpdated": "2025-09-08T20:52:31.6Z"},
                    {"name": "SalesReceipt", "id": "5", "operation": "Void", "lastUpdated": "2025-09-08T20:52:32Z"},
                    {"name": "Customer", "id": "9", "operation": "Merge", "lastUpdated": "2025-09-08T20:52:33Z",
                     "deletedId": "8"},
                    {"name": "Customer", "id": "9", "operation": "Wondered", "lastUpdated": "2025-09-08T20:52:33Z"},
                ]
            },
        }
    ]
}  # fmt: skip
CLOUD = [
    {
        "specversion": "1.0", "id": "88cd52aa", "source": "intuit.x", "type": "qbo.invoice.deleted.v1",
        "time": "2025-09-10T21:31:25.179851517Z", "intuitentityid": "1234", "intuitaccountid": "310687", "data": {},
    },
    {
        "specversion": "1.0", "id": "99cd52aa", "source": "intuit.x", "type": "qbo.customer.updated.v1",
        "time": "2025-09-10T21:31:26Z", "intuitentityid": "7", "intuitaccountid": "310688",
    },
    {"specversion": "1.0", "id": "x", "type": "qbo.payouts.wondered.v1", "intuitentityid": "1", "intuitaccountid": "1"},
]  # fmt: skip


def test_the_older_form_tells_what_changed_and_what_was_merged_away() -> None:
    found = [(each.remote, each.remote_id, each.operation) for each in notices(json.dumps(LEGACY).encode())]
    assert found == [
        ("customer", "1234", "create"),
        ("salesreceipt", "5", "update"),
        ("customer", "9", "update"),
        ("customer", "8", "delete"),
    ]


def test_the_newer_form_tells_the_same_of_several_companies() -> None:
    first, second = notices(json.dumps(CLOUD).encode())
    at = datetime(2025, 9, 10, 21, 31, 25, 179_851, tzinfo=UTC)
    assert first == Notice("310687", "invoice", "1234", "delete", at, "88cd52aa")
    assert (second.realm, second.operation) == ("310688", "update")


def test_the_same_event_has_the_same_key_and_others_have_others() -> None:
    body = json.dumps(LEGACY).encode()
    keys = [each.key for each in notices(body)]
    assert keys == [each.key for each in notices(body)]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"null", b"[1]", b'[{"type":"qbo.a.created.v1"}]', b"<html>", b"[" * 100_000, b"\xff"]
)
def test_a_body_in_neither_form_is_refused(body: bytes) -> None:
    with pytest.raises(ProtocolError, match="webhook"):
        notices(body)


def test_only_who_knows_the_token_can_sign_a_body() -> None:
    body, token = json.dumps(CLOUD).encode(), "verifier"
    signature = base64.b64encode(hmac.new(token.encode(), body, hashlib.sha256).digest()).decode()
    assert is_signed(body, signature, token)
    assert not is_signed(body + b" ", signature, token)
    assert not is_signed(body, signature, "other")
    assert not is_signed(body, "", token) and not is_signed(body, "not base64!", token)


# -- accounts ----------------------------------------------------------------------------------------------------------


class Known:
    """Tokens of a company that somebody agreed for."""

    def __init__(self, **facts: str) -> None:
        self.facts = facts

    def current(self) -> AccessToken:
        return AccessToken("eyJ", 1, MappingProxyType(self.facts))

    def renewed(self, version: int) -> AccessToken:
        return self.current()


def test_requests_go_to_the_company_that_was_agreed_for() -> None:
    account = Account("https://quickbooks.api.intuit.com", "id", "secret", tokens=Known(realmId="9341"))
    assert QuickBooks.address(account) == "https://quickbooks.api.intuit.com/v3/company/9341"


def test_connections_to_one_company_share_its_limits_and_those_to_others_do_not() -> None:
    def counted(realm: str) -> str | None:
        return QuickBooks.counted_as(Account("https://quickbooks.api.intuit.com", "id", tokens=Known(realmId=realm)))

    assert counted("9341") == counted("9341") != counted("9342")


def test_a_consent_that_names_no_company_asks_for_its_id() -> None:
    with pytest.raises(ConfigError, match="which company"):
        QuickBooks.address(Account("https://quickbooks.api.intuit.com", "id", "secret", tokens=Known()))


def test_a_connection_that_nobody_has_connected_says_so_when_it_is_asked_something() -> None:
    account = Account("https://quickbooks.api.intuit.com", "id", "secret", tokens=NeverConnected())
    assert QuickBooks.address(account).endswith("/v3/company/0")
    session = requests.Session()
    session.auth = QuickBooks.auth(account)
    result = QuickBooks(Transport(session, base_url=QuickBooks.address(account))).check()
    assert not result.success and "erpflow connect" in result.message


def test_a_company_id_that_is_no_number_is_refused_before_it_becomes_an_address() -> None:
    with pytest.raises(ConfigError, match="is no number"):
        QuickBooks.address(Account("https://quickbooks.api.intuit.com", extra={"realm_id": "1/../2"}, tokens=Known()))


@pytest.mark.parametrize("host", ["https://quickbooks.api.intuit.com", "https://sandbox-quickbooks.api.intuit.com"])
def test_production_and_sandbox_share_intuits_authorization_server(host: str) -> None:
    assert QuickBooks.oauth is not None
    assert QuickBooks.oauth.places(Account(host)).token == "https://oauth.platform.intuit.com/oauth2/v1/tokens/bearer"


def test_an_address_that_only_ends_like_intuits_is_not_intuit() -> None:
    assert QuickBooks.oauth is not None
    assert QuickBooks.oauth.places(Account("https://evilintuit.com")).token.startswith("https://evilintuit.com/")


def test_every_entity_has_its_kind_and_what_can_be_deleted_is_listed_when_it_is() -> None:
    assert ENTITIES.keys() == KINDS.keys()
    for name, spec in ENTITIES.items():
        assert spec.deleted_feed == spec.repeatable_create == (Operation.DELETE in spec.writes), name
        assert KINDS[name].is_list != spec.deleted_feed
