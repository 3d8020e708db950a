"""Metakocka's connector against a vendor that answers as told: what is not believed, cut off, or echoed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import pytest
import requests
import structlog.testing
from urllib3.response import HTTPResponse

from erpflow.connectors.account import Account
from erpflow.connectors.base import Change, Outcome
from erpflow.connectors.metakocka import Metakocka
from erpflow.connectors.metakocka_documents import filters_of
from erpflow.connectors.session import build_session
from erpflow.connectors.transport import Transport
from erpflow.errors import ProtocolError
from erpflow.vocabulary import Operation, RemoteId, Window

KEY = "s3cr3t-key-of-a-company"
Answers = Mapping[str, Callable[[dict[str, Any]], Any]]


class Vendor(requests.adapters.BaseAdapter):
    """Answers each call with what its function makes of the request."""

    def __init__(self, answers: Answers) -> None:
        super().__init__()
        self.answers = answers
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override]
        call = str(request.path_url).rpartition("/v1/")[2]
        given = json.loads(request.body or b"{}")
        self.asked.append((call, given))
        body = json.dumps({"opr_code": "0", **self.answers[call](given)}).encode()
        response = requests.Response()
        response.status_code = 200
        response.raw = HTTPResponse(BytesIO(body), preload_content=False, status=200)
        return response

    def close(self) -> None:
        """Nothing is open."""


def connected(**answers: Callable[[dict[str, Any]], Any]) -> tuple[Metakocka, Vendor]:
    """A connector, and the vendor it asks. A call's `json/` is written `json_` here."""
    vendor = Vendor({name.replace("json_", "json/"): answer for name, answer in answers.items()})
    session = build_session(Metakocka, Account("https://mk.example", "16", KEY))
    session.trust_env = False
    session.mount("https://", vendor)
    return Metakocka(Transport(session, base_url="https://mk.example", sleep=lambda _: None)), vendor


def page(given: dict[str, Any], rows: list[Any]) -> list[Any]:
    offset, limit = int(given["offset"]), int(given["limit"])
    return rows[offset : offset + limit]


# -- what is not believed --------------------------------------------------------------------------------------------


def test_a_filter_by_id_that_is_not_heeded_leads_to_the_whole_list() -> None:
    rows = [{"mk_id": str(number), "code": f"C{number}"} for number in range(5)]
    connector, vendor = connected(json_product_list=lambda given: {"product_list": page(given, rows)})
    assert (connector.read_one("product", RemoteId("3")) or {})["code"] == "C3"
    assert connector.read_one("product", RemoteId("7")) is None
    assert {given["limit"] for _, given in vendor.asked} == {"2", "1000"}


def test_a_look_up_compares_what_it_finds() -> None:
    rows = [{"mk_id": "1", "code": "A-10"}, {"mk_id": "2", "code": "A-1"}]
    connector, _ = connected(json_product_list=lambda given: {"product_list": page(given, rows)})
    assert connector.find("product", [{"code": "A-1"}, {"code": "A"}]) == [[RemoteId("2")], []]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"mk_id": "1", "doc_type": "complaint"}, "sent a complaint"),
        ({"mk_id": "1", "doc_date": "2001-01-01+01:00"}, "does not heed the filter"),
    ],
)
def test_documents_that_were_not_asked_for_end_the_read(row: dict[str, Any], words: str) -> None:
    bill = "sales_bill_domestic"
    connector, _ = connected(search=lambda given: {"result": [row] if given["doc_type"] == bill else []})
    with pytest.raises(ProtocolError, match=words):
        list(connector.read("document", Window(since=datetime(2026, 1, 1, tzinfo=UTC))))


def test_another_document_than_the_one_asked_for_is_not_taken_for_it() -> None:
    connector, _ = connected(get_document=lambda _: {"mk_id": "2"})
    with pytest.raises(ProtocolError, match="asked for the sales_order 1 and sent 2"):
        connector.read_one("document", RemoteId("sales_order:1"))


def test_stock_of_other_products_than_were_asked_for_ends_the_read() -> None:
    connector, _ = connected(
        json_warehouse_list=lambda _: {"warehouse_list": [{"mk_id": "9", "active": "true"}]},
        json_product_list=lambda given: {"product_list": page(given, [{"mk_id": "1"}])},
        json_warehouse_stock=lambda _: {"stock_list": [{"warehouse_id": "9", "mk_id": "2", "amount": "1"}]},
    )
    with pytest.raises(ProtocolError, match="does not heed the filter"):
        list(connector.read("inventory", Window()))


# -- what is cut off -------------------------------------------------------------------------------------------------


def test_stock_that_an_answer_has_no_room_for_is_asked_for_in_parts() -> None:
    products = [{"mk_id": str(number)} for number in range(1, 9)]
    stock = [
        {"warehouse_id": "9", "mk_id": each["mk_id"], "amount": "1", "lot": str(lot)}
        for each in products
        for lot in range(2500 if each["mk_id"] == "3" else 300)
    ]

    def rows_of(given: dict[str, Any]) -> Any:
        wanted = given["product_mk_id_list"].split(",")
        return {"stock_list": page(given, [row for row in stock if row["mk_id"] in wanted])}

    connector, _ = connected(
        json_warehouse_list=lambda _: {"warehouse_list": {"mk_id": "9", "active": "true"}},
        json_product_list=lambda given: {"product_list": page(given, products)},
        json_warehouse_stock=rows_of,
    )
    (landed,) = connector.read("inventory", Window())
    amounts = [json.loads(bytes(raw)) for raw in connector.split("inventory", landed.raw)]
    assert {each["mk_id"]: each["amount"] for each in amounts} == {
        each["mk_id"]: 2500 if each["mk_id"] == "3" else 300 for each in products
    }


# -- what is asked ---------------------------------------------------------------------------------------------------


def test_a_window_is_asked_for_as_each_type_can_be() -> None:
    window = Window(datetime(2026, 7, 1, 22, 30, 15, 999_999, tzinfo=UTC), datetime(2026, 7, 2, tzinfo=UTC))
    asked = {
        name: {each["type"]: each["value"] for each in filters_of(name, window, rescan=timedelta(days=90))}
        for name in ("sales_order", "sales_bill_domestic", "sales_offer")
    }
    assert asked == {
        "sales_order": {
            "last_change_from": "2026-07-02T00:30:15+02:00",
            "last_change_to": "2026-07-02T02:00:01+02:00",
        },
        "sales_bill_domestic": {"doc_date_from": "2026-04-03+02:00"},
        "sales_offer": {},
    }


def test_a_first_read_asks_for_everything() -> None:
    for window in (Window(), Window(since=datetime(1, 1, 1, tzinfo=UTC))):
        for doc_type in ("sales_order", "sales_bill_retail", "sales_offer"):
            assert filters_of(doc_type, window, rescan=timedelta(days=90)) == []


@pytest.mark.parametrize("odd", ["", "order:1", "sales_order:", "sales_order:1 OR 1=1", "sales_order", "１"])
def test_an_id_that_is_none_is_never_sent(odd: str) -> None:
    connector, vendor = connected()
    for entity in ("document", "contact", "product", "inventory"):
        assert connector.read_one(entity, RemoteId(odd)) is None
        assert connector.read_many(entity, [RemoteId(odd)]).count == 0
    assert vendor.asked == []


# -- what is echoed --------------------------------------------------------------------------------------------------


def test_a_key_that_an_answer_repeats_does_not_land() -> None:
    connector, vendor = connected(get_document=lambda given: {**given, "mk_id": given["doc_id"]})
    landed = connector.read_many("document", [RemoteId("sales_order:1")])
    assert vendor.asked[0][1]["secret_key"] == KEY
    assert landed.count == 1 and KEY.encode() not in landed.raw and b"***" in landed.raw


@pytest.fixture
def fresh_logging() -> Iterator[None]:
    """Commands that were tested before have made the log quiet."""
    before = structlog.get_config()
    structlog.reset_defaults()
    yield
    structlog.configure(**before)


@pytest.mark.usefixtures("fresh_logging")
def test_a_document_that_went_to_another_partner_is_done_and_told() -> None:
    known = {"mk_id": "5", "customer": "Kupec"}
    connector, _ = connected(
        get_partner=lambda _: {"partner_list": [known]},
        put_document=lambda _: {"mk_id": "7", "partner": {"mk_id": "6"}},
    )
    line = {"code": "A", "amount": 1, "price": 1}
    values = {"doc_type": "sales_order", "partner": {"mk_id": "5"}, "product_list": [line]}
    with structlog.testing.capture_logs() as events:
        (result,) = connector.write("document", [Change(Operation.CREATE, "key", None, values)])
    assert (result.outcome, result.remote_id) == (Outcome.DONE, "sales_order:7")
    assert [event["chosen"] for event in events if event["event"] == "another_partner_chosen"] == ["6"]


@pytest.mark.parametrize(("entity", "call"), [("contact", "add_partner"), ("product", "json_product_add")])
def test_an_insert_that_is_answered_without_a_number_is_unknown(entity: str, call: str) -> None:
    connector, _ = connected(**{call: lambda _: {}})
    (result,) = connector.write(entity, [Change(Operation.CREATE, "key", None, {"customer": "A", "name": "A"})])
    assert result.outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("entity", ["contact", "product", "inventory", "document"])
@pytest.mark.parametrize("raw", [b"{}", b'{"documents":[{}]}', b'{"documents":5}', b"<html>", b"[]"])
def test_what_no_read_landed_is_split_into_nothing_but_an_error(entity: str, raw: bytes) -> None:
    with pytest.raises(ProtocolError):
        Metakocka.split(entity, raw)
