"""What ERPNext is asked, and what becomes of its answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
import requests

from erpflow.connectors.base import PageToken
from erpflow.connectors.erpnext import ErpNext
from erpflow.connectors.limiter import Unlimited
from erpflow.connectors.signing import TokenAuth
from erpflow.connectors.transport import Transport
from erpflow.errors import AuthFailed, ConfigError, ProtocolError, RateLimited, VendorUnavailable
from erpflow.testing.server import Asked, Reply, ScriptedServer
from erpflow.vocabulary import RemoteId, Window

ZONE = Reply.json({"message": {"time_zone": "Asia/Kolkata"}})
DATE = {"Date": "Sat, 21 Nov 2026 01:48:43 GMT"}
ALL = Window()


class NotedPauses(Unlimited):
    def __init__(self) -> None:
        self.pauses: list[float] = []

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)


class Site:
    """One connector on one scripted server; `answer` gets everything but the question for the zone."""

    def __init__(self, server: ScriptedServer, session: requests.Session, page_size: int | None) -> None:
        self.server = server
        self.limiter = NotedPauses()
        transport = Transport(session, base_url=server.url, limiter=self.limiter, sleep=lambda _: None)
        self.connector = ErpNext(transport, page_size=page_size)

    @property
    def asked(self) -> list[Asked]:
        return [asked for asked in self.server.asked if not asked.path.endswith("get_time_zone")]


@contextmanager
def site(answer: Callable[[Asked], Reply] | Reply, *, page_size: int | None = None) -> Iterator[Site]:
    def serve(asked: Asked) -> Reply:
        if asked.path.endswith("get_time_zone"):
            return ZONE
        return answer(asked) if callable(answer) else answer

    with ScriptedServer(serve) as server, requests.Session() as session:
        session.trust_env = False
        session.auth = TokenAuth("key1", "secret1")
        yield Site(server, session, page_size)


def item(name: str, second: int = 0, **more: Any) -> dict[str, Any]:
    return {"name": name, "modified": f"2026-11-21 07:15:{second:02}.000000", **more}


def test_a_list_is_asked_for_whole_rows_in_a_stable_order() -> None:
    window = Window(since=datetime(2026, 11, 21, tzinfo=UTC), until=datetime(2026, 11, 22, tzinfo=UTC))
    with site(Reply.json({"data": []})) as erpnext:
        list(erpnext.connector.read("product", window))
    (asked,) = erpnext.asked
    assert (asked.method, asked.path) == ("GET", "/api/resource/Item")
    assert json.loads(asked.query["fields"]) == ["*"]
    assert asked.query["order_by"] == "modified asc, name asc"
    assert asked.query["limit_page_length"] == "500"
    assert json.loads(asked.query["filters"]) == [
        ["modified", ">=", "2026-11-21 05:30:00.000000"],
        ["modified", "<", "2026-11-22 05:30:00.000000"],
    ]


def test_a_page_without_children_lands_byte_for_byte_as_it_was_answered() -> None:
    body = b'{ "data" : [ {"name":"A","modified":"2026-11-21 07:15:00.000001","rate":1.10} ] }'
    with site(Reply(body=body, headers=DATE)) as erpnext:
        (page,) = erpnext.connector.read("product", ALL)
    assert (page.raw, page.count, page.next, page.zone) == (body, 1, None, "Asia/Kolkata")
    assert page.server_time == datetime(2026, 11, 21, 1, 48, 43, tzinfo=UTC)


def test_an_empty_window_is_one_empty_page() -> None:
    with site(Reply.json({"data": []}, headers=DATE)) as erpnext:
        (page,) = erpnext.connector.read("order", ALL)
    assert page.count == 0 and page.next is None and page.server_time is not None
    assert ErpNext.split("order", page.raw) == []


def test_the_zone_is_asked_once_a_read() -> None:
    def answer(asked: Asked) -> Reply:
        filters = json.loads(asked.query["filters"])
        return Reply.json({"data": [item("B", 2), item("C", 3)] if filters else [item("A", 1), item("B", 2)]})

    with site(answer, page_size=2) as erpnext:
        pages = erpnext.connector.read("product", ALL)
        assert [next(pages).count, next(pages).count] == [2, 1]
        assert sum(asked.path.endswith("get_time_zone") for asked in erpnext.server.asked) == 1


# -- child tables -------------------------------------------------------------------------------------------------


def _orders(asked: Asked) -> Reply:
    if asked.method == "GET":
        return Reply(
            body=json.dumps({"data": [item("SO-1", 1), item("so-ü", 2), item("SO-3", 3)]}, ensure_ascii=False).encode()
        )
    rows = [
        {"parent": "SO-1", "idx": 1, "rate": 100.10},
        {"parent": "SO-1", "idx": 2, "rate": 5},
        {"parent": "SO-Ü", "idx": 1, "rate": 7, "note": '"]}, {"'},
    ]
    return _utf8({"message": rows})


def _utf8(value: object) -> Reply:
    return Reply(body=json.dumps(value, ensure_ascii=False).encode())


def test_child_rows_are_fetched_for_a_whole_page_at_once_and_merged() -> None:
    with site(_orders) as erpnext:
        (page,) = erpnext.connector.read("order", ALL)
    documents = json.loads(page.raw)["data"]
    assert [(doc["name"], [row["rate"] for row in doc["items"]]) for doc in documents] == [
        ("SO-1", [100.10, 5]),
        ("so-ü", [7]),  # the site compares names without case
        ("SO-3", []),
    ]
    _, posted = erpnext.asked
    assert json.loads(posted.body) == {
        "doctype": "Sales Order Item",
        "parent": "Sales Order",
        "fields": ["*"],
        "filters": [
            ["parent", "in", ["SO-1", "so-ü", "SO-3"]],
            ["parenttype", "=", "Sales Order"],
            ["parentfield", "=", "items"],
        ],
        "order_by": "parent asc, idx asc",
        "limit_start": 0,
        "limit_page_length": 0,
    }


def test_merged_documents_keep_their_bytes() -> None:
    with site(_orders) as erpnext:
        (page,) = erpnext.connector.read("order", ALL)
    first = bytes(ErpNext.split("order", page.raw)[0])
    assert first.startswith(b'{"name": "SO-1", "modified"')
    assert b'"items":[{"parent": "SO-1", "idx": 1, "rate": 100.1},' in first


def test_an_empty_page_asks_for_no_children() -> None:
    with site(Reply.json({"data": []})) as erpnext:
        list(erpnext.connector.read("order", ALL))
    assert len(erpnext.asked) == 1


def test_a_child_row_of_a_stranger_is_a_protocol_error() -> None:
    def answer(asked: Asked) -> Reply:
        return Reply.json({"data": [item("A")]} if asked.method == "GET" else {"message": [{"parent": "B"}]})

    with site(answer) as erpnext, pytest.raises(ProtocolError, match="'B', which was not asked for"):
        list(erpnext.connector.read("customer", ALL))


# -- long URLs ----------------------------------------------------------------------------------------------------


def test_a_filter_too_long_for_a_url_goes_by_post() -> None:
    name = "é🎈" * 400
    token = json.dumps({"at": "2026-11-21 07:15:00.000000", "after": name})

    def answer(asked: Asked) -> Reply:
        if asked.method == "GET":
            return Reply.json({"data": []})
        return Reply.json({"message": [item("é🎈z")]})

    with site(answer) as erpnext:
        pages = list(erpnext.connector.read("product", ALL, resume=PageToken(token)))
    posted = erpnext.asked[0]
    assert (posted.method, posted.path) == ("POST", "/api/method/frappe.client.get_list")
    assert json.loads(posted.body)["filters"][1] == ["name", ">", name]
    assert [record["name"] for record in json.loads(pages[0].raw)["data"]] == ["é🎈z"]


# -- answers that are none ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'{"data":[{"name":"A","modi',
        b"<html>Sign in</html>",
        b'{"message":[]}',
        b'{"data":null}',
        b'{"data":[5]}',
        b"[]",
    ],
    ids=["empty", "truncated", "html", "wrong key", "null", "number", "list"],
)
def test_an_answer_that_is_no_page_is_a_protocol_error_with_an_excerpt(body: bytes) -> None:
    with site(Reply(body=body)) as erpnext, pytest.raises(ProtocolError) as raised:
        list(erpnext.connector.read("product", ALL))
    assert body.decode() in str(raised.value)
    assert len(erpnext.asked) == 1


def test_bottomless_nesting_is_a_protocol_error() -> None:
    body = b'{"data":[{"name":' + b"[" * 100_000
    with site(Reply(body=body)) as erpnext, pytest.raises(ProtocolError):
        list(erpnext.connector.read("product", ALL))


@pytest.mark.parametrize(
    "raw", [b"", b"{", b'{"data":{}}', b"<html>", b'{"message":[]}', b'{"data":[' + b"[" * 100_000]
)
def test_splitting_what_is_no_landed_page_is_a_protocol_error(raw: bytes) -> None:
    with pytest.raises(ProtocolError, match="landed page of customer"):
        ErpNext.split("customer", raw)


def test_splitting_gives_every_record_undecoded() -> None:
    records = ErpNext.split("customer", b'{"data":[{"name":"A", "x":1.10},{"name":"B"}]}')
    assert [bytes(record) for record in records] == [b'{"name":"A", "x":1.10}', b'{"name":"B"}']
    assert all(isinstance(record, msgspec.Raw) for record in records)


# -- entities, tokens ---------------------------------------------------------------------------------------------


def test_an_unknown_entity_is_named_with_the_nearest() -> None:
    with site(Reply.json({})) as erpnext, pytest.raises(ConfigError, match='did you mean "customer"'):
        erpnext.connector.read("custmer", ALL)
    assert erpnext.server.asked == []


def test_a_foreign_token_is_refused_before_anything_is_asked() -> None:
    with site(Reply.json({})) as erpnext, pytest.raises(ConfigError, match="token"):
        erpnext.connector.read("customer", ALL, resume=PageToken("page=2"))
    assert erpnext.server.asked == []


# -- one record ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("Acme Widgets", "/api/resource/Customer/Acme%20Widgets"),
        ("A/B?C#D%E&F", "/api/resource/Customer/A%2FB%3FC%23D%25E%26F"),
        ("Żółć 🎈", "/api/resource/Customer/%C5%BB%C3%B3%C5%82%C4%87%20%F0%9F%8E%88"),
    ],
)
def test_one_record_is_read_by_its_name_whatever_is_in_it(name: str, path: str) -> None:
    with site(Reply(body=b'{"data":{"name":"x","credit_limit":10.10,"n":3}}')) as erpnext:
        record = erpnext.connector.read_one("customer", RemoteId(name))
    assert record == {"name": "x", "credit_limit": Decimal("10.10"), "n": 3}
    assert erpnext.asked[0].path == path


def test_a_missing_record_is_none() -> None:
    missing = Reply.json({"exc_type": "DoesNotExistError", "_server_messages": "[]"}, status=404)
    with site(missing) as erpnext:
        assert erpnext.connector.read_one("customer", RemoteId("nobody")) is None


def test_a_proxys_404_is_no_missing_record() -> None:
    with site(Reply(404, b"<html>no such site</html>")) as erpnext, pytest.raises(ProtocolError):
        erpnext.connector.read_one("customer", RemoteId("nobody"))


def test_no_name_is_no_record_and_no_request() -> None:
    with site(Reply.json({"data": []})) as erpnext:
        assert erpnext.connector.read_one("customer", RemoteId("")) is None
    assert erpnext.server.asked == []


# -- check --------------------------------------------------------------------------------------------------------


def test_a_check_tells_the_account_and_how_long_it_took() -> None:
    with site(Reply.json({"message": "api@example.com"})) as erpnext:
        result = erpnext.connector.check()
    assert (result.success, result.account) == (True, "api@example.com")
    assert result.latency > 0
    assert erpnext.asked[0].path == "/api/method/frappe.auth.get_logged_user"


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply.json({"exc_type": "AuthenticationError"}, status=401), "API key or secret is wrong"),
        (Reply.json({"message": "Guest"}), "takes us for a guest"),
        (Reply(503, b"<html>down</html>"), "503"),
        (Reply(body=b"<html>a router's login page</html>"), "not what its API promises"),
    ],
)
def test_a_check_that_fails_is_an_answer_and_not_an_exception(reply: Reply, said: str) -> None:
    with site(reply) as erpnext:
        result = erpnext.connector.check()
    assert not result.success and said in result.message and result.account is None
    assert len(erpnext.asked) == 1, "somebody waits for it: it is not tried again"


# -- limits and outages -------------------------------------------------------------------------------------------


def test_a_used_up_budget_pauses_the_connection_until_its_reset() -> None:
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "2503", "X-RateLimit-Limit": "600000000"}
    with site(Reply.json({"data": []}, headers=headers)) as erpnext:
        list(erpnext.connector.read("product", ALL))
    assert erpnext.limiter.pauses == [2503.0]


@pytest.mark.parametrize(
    "headers",
    [
        {"X-RateLimit-Remaining": "600000000", "X-RateLimit-Reset": "2503"},
        {"X-RateLimit-Remaining": "0"},
        {"X-RateLimit-Remaining": "soon", "X-RateLimit-Reset": "2503"},
        {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "nan"},
        {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1e300"},
    ],
)
def test_a_budget_that_is_left_or_nonsense_pauses_nothing(headers: dict[str, str]) -> None:
    with site(Reply.json({"data": []}, headers=headers)) as erpnext:
        list(erpnext.connector.read("product", ALL))
    assert erpnext.limiter.pauses == []


def test_a_refusal_over_the_limit_says_when_to_come_back() -> None:
    refused = Reply.json({"exc_type": "TooManyRequestsError"}, status=429, headers={"Retry-After": "2502"})
    with site(refused) as erpnext, pytest.raises(RateLimited) as raised:
        list(erpnext.connector.read("product", ALL))
    assert raised.value.retry_after == 2502.0


def test_a_deadlock_is_tried_again_in_place() -> None:
    replies = [Reply.json({"exc_type": "QueryDeadlockError"}, status=500), Reply.json({"data": []})]
    with site(lambda asked: replies.pop(0)) as erpnext:
        (page,) = erpnext.connector.read("product", ALL)
    assert page.count == 0 and len(erpnext.asked) == 2


def test_maintenance_is_an_outage() -> None:
    with site(Reply.json({"exc_type": "SessionStopped"}, status=503)) as erpnext, pytest.raises(VendorUnavailable):
        list(erpnext.connector.read("product", ALL))


def test_refused_credentials_stop_at_once() -> None:
    refused = Reply.json({"exc_type": "AuthenticationError"}, status=401)
    with site(refused) as erpnext, pytest.raises(AuthFailed):
        list(erpnext.connector.read("product", ALL))
    assert len(erpnext.asked) == 1


@pytest.mark.parametrize(("zone", "said"), [("Mars/Olympus", "Mars/Olympus"), (None, "no time zone"), ("", "no time")])
def test_a_zone_nobody_knows_stops_the_read_before_it_moves_any_time(zone: str | None, said: str) -> None:
    def serve(asked: Asked) -> Reply:
        return Reply.json({"message": {"time_zone": zone}})

    with ScriptedServer(serve) as server, requests.Session() as session:
        connector = ErpNext(Transport(session, base_url=server.url))
        with pytest.raises(ProtocolError, match=said):
            list(connector.read("product", ALL))
