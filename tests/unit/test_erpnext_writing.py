"""What ERPNext is sent when documents are written, and what becomes of its answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
import requests

from erpflow.connectors.base import Change, Outcome, SupportsDeletedFeed, SupportsWrites, WriteResult
from erpflow.connectors.erpnext import ErpNext
from erpflow.connectors.limiter import Unlimited
from erpflow.connectors.signing import TokenAuth
from erpflow.connectors.transport import Transport
from erpflow.errors import ConfigError, PermissionDenied, ProtocolError, VendorUnavailable
from erpflow.testing.server import Asked, Reply, ScriptedServer, reset
from erpflow.vocabulary import Operation, RemoteId, VendorRecord

TIME_ZONE = "frappe.client.get_time_zone"
INSERT_MANY = "/api/method/frappe.client.insert_many"
REFUSED = Reply.json({"exc_type": "ValidationError", "exception": "frappe.exceptions.ValidationError: No"}, status=417)
NOT_FOUND = Reply.json({"exc_type": "DoesNotExistError", "_server_messages": "[]"}, status=404)
DEADLOCK = Reply.json({"exc_type": "QueryDeadlockError"}, status=500)
DONE, REJECTED, UNKNOWN, NOT_SENT = Outcome.DONE, Outcome.REJECTED, Outcome.UNKNOWN, Outcome.NOT_SENT
VERSION = "2026-11-21 07:16:56.013583"

Answering = Callable[[Asked], Reply]


class Site:
    """A connector on a server that answers as told; what it asks about the time zone is not counted."""

    def __init__(self, server: ScriptedServer, session: requests.Session) -> None:
        self._server = server
        self.slept: list[float] = []
        self.connector = ErpNext(
            Transport(session, base_url=server.url, limiter=Unlimited(), sleep=self.slept.append, jitter=lambda: 1.0)
        )

    @property
    def asked(self) -> list[Asked]:
        return [asked for asked in self._server.asked if not asked.path.endswith(TIME_ZONE)]

    @property
    def zone_asked(self) -> int:
        return len(self._server.asked) - len(self.asked)

    def write(self, *changes: Change, entity: str = "customer") -> list[WriteResult]:
        return self.connector.write(entity, changes)

    @property
    def lines(self) -> list[str]:
        return [f"{asked.method} {asked.path}" for asked in self.asked]

    def bodies(self) -> list[Any]:
        return [json.loads(asked.body) for asked in self.asked if asked.body]


@contextmanager
def site(*replies: Reply | Answering) -> Iterator[Site]:
    """A site that gives the replies in order, the last one for ever."""
    script = list(replies)

    def answer(asked: Asked) -> Reply:
        if asked.path.endswith(TIME_ZONE):
            return Reply.json({"message": {"time_zone": "Asia/Kolkata"}})
        reply = script.pop(0) if len(script) > 1 else script[0]
        return reply(asked) if callable(reply) else reply

    with ScriptedServer(answer) as server, requests.Session() as session:
        session.trust_env = False
        session.auth = TokenAuth("key1", "secret1")
        yield Site(server, session)


def create(**values: Any) -> Change:
    return Change(Operation.CREATE, "key", None, values)


def update(name: str, values: VendorRecord, version: str | None = None) -> Change:
    return Change(Operation.UPDATE, "key", RemoteId(name), values, version)


def delete(name: str, version: str | None = None) -> Change:
    return Change(Operation.DELETE, "key", RemoteId(name), {}, version)


def saved(name: str = "A", **values: Any) -> Reply:
    return Reply.json({"data": {"name": name, "modified": VERSION, **values}})


def listed(*rows: dict[str, Any]) -> Reply:
    return Reply.json({"data": list(rows)})


def insert_many(asked: Asked) -> Reply:
    """Takes any batch."""
    return Reply.json({"message": [doc["customer_name"] for doc in json.loads(asked.body)["docs"]]})


def refusing(bad: str) -> Answering:
    """A site that refuses what holds the bad name: a batch as a whole."""

    def answer(asked: Asked) -> Reply:
        if bad in asked.body.decode():
            return REFUSED
        return insert_many(asked) if asked.path == INSERT_MANY else saved(json.loads(asked.body)["customer_name"])

    return answer


def outcomes(results: list[WriteResult]) -> list[Outcome]:
    return [result.outcome for result in results]


def test_the_connector_has_both_capabilities_for_every_entity() -> None:
    with site(Reply()) as erpnext:
        assert isinstance(erpnext.connector, SupportsWrites) and isinstance(erpnext.connector, SupportsDeletedFeed)
    for spec in ErpNext.spec.entities.values():
        assert spec.writes == set(Operation) and spec.checks_version and spec.deleted_feed
        assert not spec.repeatable_create, "ERPNext knows no idempotency key"
        assert spec.bulk_size <= 200


# -- creates ------------------------------------------------------------------------------------------------------


def test_one_new_document_is_posted_and_the_answer_is_its_record() -> None:
    body = b'{"data":{"name":"Acme", "rate":10.10}}'
    with site(Reply(body=body)) as erpnext:
        (result,) = erpnext.write(create(customer_name="Acme", credit_limit=Decimal("10.10")))
    assert erpnext.lines == ["POST /api/resource/Customer"]
    assert erpnext.asked[0].body == b'{"customer_name":"Acme","credit_limit":10.10,"doctype":"Customer"}'
    assert erpnext.asked[0].headers["Content-Type"] == "application/json"
    assert result == WriteResult(DONE, RemoteId("Acme"), record=b'{"name":"Acme", "rate":10.10}', zone="Asia/Kolkata")


def test_several_new_documents_go_in_one_request_and_are_named_in_their_order() -> None:
    with site(insert_many) as erpnext:
        results = erpnext.write(create(customer_name="B"), create(customer_name="A"), create(customer_name="C"))
    assert erpnext.lines == [f"POST {INSERT_MANY}"]
    assert erpnext.bodies()[0]["docs"][0] == {"customer_name": "B", "doctype": "Customer"}
    assert results == [WriteResult(DONE, RemoteId(name)) for name in "BAC"]


def test_a_batch_holds_no_more_than_the_site_takes() -> None:
    with site(insert_many) as erpnext:
        results = erpnext.write(*[create(customer_name=f"C{n}") for n in range(401)])
    assert [len(body.get("docs", "1")) for body in erpnext.bodies()] == [200, 200, 1]
    assert len({result.remote_id for result in results}) == 401


def test_a_refused_batch_is_halved_until_the_bad_one_stands_alone_and_nothing_is_sent_twice() -> None:
    with site(refusing("bad")) as erpnext:
        results = erpnext.write(*[create(customer_name=name) for name in ("a", "b", "c", "bad", "e", "f", "g", "h")])
    assert outcomes(results) == [DONE, DONE, DONE, REJECTED, DONE, DONE, DONE, DONE]
    taken = [
        doc["customer_name"]
        for asked in erpnext.asked
        if b"bad" not in asked.body
        for doc in json.loads(asked.body).get("docs", [json.loads(asked.body)])
    ]
    assert taken == ["a", "b", "c", "e", "f", "g", "h"], "each once, in their order"
    assert len(erpnext.asked) == 7


def test_a_batch_of_bad_ones_is_refused_one_by_one() -> None:
    with site(REFUSED) as erpnext:
        results = erpnext.write(*[create(customer_name=str(n)) for n in range(3)])
    assert outcomes(results) == [REJECTED] * 3
    assert [result.problems[0].message for result in results] == ["No"] * 3


def test_a_document_that_is_submitted_at_once_goes_alone() -> None:
    with site(saved()) as erpnext:
        erpnext.write(create(customer="A", docstatus=1), create(customer="B", docstatus=1), entity="order")
    assert erpnext.lines == ["POST /api/resource/Sales%20Order"] * 2


def test_changes_are_sent_in_their_order() -> None:
    def answer(asked: Asked) -> Reply:
        if asked.path == INSERT_MANY:
            return insert_many(asked)
        return Reply.json({"data": "ok"}, status=202) if asked.method == "DELETE" else saved()

    with site(answer) as erpnext:
        results = erpnext.write(
            create(customer_name="a"),
            create(customer_name="b"),
            delete("x"),
            create(customer_name="c"),
            update("y", {"tax_id": "1"}),
        )
    assert erpnext.lines == [
        f"POST {INSERT_MANY}",
        "DELETE /api/resource/Customer/x",
        "POST /api/resource/Customer",
        "PUT /api/resource/Customer/y",
    ]
    assert outcomes(results) == [DONE] * 5


def test_what_the_site_sets_itself_is_not_sent() -> None:
    own = {"doctype": "Item", "owner": "me", "creation": "x", "modified": "y", "modified_by": "z", "docname": "n"}
    with site(saved()) as erpnext:
        erpnext.write(create(customer_name="A", **own), update("A", {"tax_id": "1", **own}))
    assert erpnext.bodies() == [{"customer_name": "A", "doctype": "Customer"}, {"tax_id": "1"}]


@pytest.mark.parametrize("value", ["half a pair \ud83d", object()])
def test_a_value_that_no_json_can_carry_rejects_its_record_and_no_other(value: object) -> None:
    with site(lambda asked: insert_many(asked) if asked.path == INSERT_MANY else saved()) as erpnext:
        results = erpnext.write(
            create(customer_name="a"), create(customer_name="b", tax_id=value), update("c", {"tax_id": value})
        )
    assert outcomes(results) == [DONE, REJECTED, REJECTED]
    assert results[1].problems[0].rule == "type"


# -- updates ------------------------------------------------------------------------------------------------------


def test_an_update_puts_what_changed_with_the_version_it_is_based_on() -> None:
    with site(saved("Acme & Co/1")) as erpnext:
        (result,) = erpnext.write(update("Acme & Co/1", {"tax_id": None, "items": []}, VERSION))
    assert erpnext.lines == ["PUT /api/resource/Customer/Acme%20%26%20Co%2F1"]
    assert erpnext.bodies() == [{"tax_id": None, "items": [], "modified": VERSION}]
    assert (result.outcome, result.remote_id) == (DONE, "Acme & Co/1")
    assert json.loads(result.record or b"") == {"name": "Acme & Co/1", "modified": VERSION}


def test_an_update_without_a_version_locks_nothing() -> None:
    with site(saved()) as erpnext:
        erpnext.write(update("A", {"tax_id": "1"}))
    assert erpnext.bodies() == [{"tax_id": "1"}]


def test_a_name_among_the_values_never_chooses_another_document() -> None:
    with site(saved()) as erpnext:
        results = erpnext.write(update("A", {"name": "A", "tax_id": "1"}), update("A", {"name": "B", "tax_id": "2"}))
    assert outcomes(results) == [DONE, REJECTED]
    assert results[1].problems[0].field == "name" and "rename A in ERPNext" in results[1].problems[0].message
    assert erpnext.bodies() == [{"tax_id": "1"}]


def test_an_update_of_nothing_is_not_sent_because_it_would_move_the_time() -> None:
    with site(saved()) as erpnext:
        results = erpnext.write(update("A", {}), update("A", {"name": "A", "modified": "x"}, VERSION))
    assert erpnext.asked == [] and outcomes(results) == [DONE, DONE]


def test_a_change_without_an_id_reaches_no_list() -> None:
    with site(saved()) as erpnext:
        results = erpnext.write(update("", {"tax_id": "1"}), delete(""), Change(Operation.DELETE, "key", None, {}))
    assert erpnext.asked == [] and outcomes(results) == [Outcome.MISSING] * 3


def test_a_missing_document_is_told_from_a_missing_link() -> None:
    linked = Reply.json(
        {"exc_type": "DoesNotExistError", "_server_messages": '["{\\"message\\": \\"Item X not found\\"}"]'}, status=404
    )
    with site(NOT_FOUND, listed(), linked, listed({"name": "B", "modified": VERSION})) as erpnext:
        results = erpnext.write(update("A", {"tax_id": "1"}), update("B", {"tax_id": "1"}))
    assert outcomes(results) == [Outcome.MISSING, REJECTED]
    assert results[1].problems[0].message == "Item X not found"
    assert json.loads(erpnext.asked[1].query["filters"]) == [["name", "=", "A"]]


def test_a_wrong_address_is_not_taken_for_missing_documents() -> None:
    with site(Reply.json({"exc_type": "DoesNotExistError"}, status=404)) as erpnext, pytest.raises(ProtocolError):
        erpnext.write(update("A", {"tax_id": "1"}))


def test_an_outage_while_looking_for_a_document_has_written_nothing() -> None:
    with site(NOT_FOUND, Reply(503)) as erpnext, pytest.raises(VendorUnavailable) as raised:
        erpnext.write(update("A", {"tax_id": "1"}))
    assert not raised.value.maybe_done


# -- deletes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [{"data": "ok"}, {"message": "ok"}], ids=["v15", "older"])
def test_a_delete_is_done_when_the_site_says_so(body: dict[str, str]) -> None:
    with site(Reply.json(body, status=202)) as erpnext:
        assert erpnext.write(delete("A")) == [WriteResult(DONE, RemoteId("A"))]
    assert erpnext.lines == ["DELETE /api/resource/Customer/A"]


@pytest.mark.parametrize("body", [b"{}", b'{"data":"later"}', b"<html>Sign in</html>", b"", b'{"data":["ok"]}'])
def test_a_delete_that_is_answered_with_anything_else_is_unknown(body: bytes) -> None:
    with site(Reply(body=body)) as erpnext:
        assert outcomes(erpnext.write(delete("A"))) == [UNKNOWN]


@pytest.mark.parametrize(
    ("rows", "outcome"),
    [
        ([{"name": "A", "modified": VERSION}], DONE),
        ([{"name": "A", "modified": "2026-11-21 07:16:56.013584"}], Outcome.STALE),
        ([], Outcome.MISSING),
    ],
    ids=["current", "changed", "gone"],
)
def test_a_delete_looks_at_the_version_first(rows: list[dict[str, Any]], outcome: Outcome) -> None:
    def answer(asked: Asked) -> Reply:
        return listed(*rows) if asked.method == "GET" else Reply.json({"data": "ok"}, status=202)

    with site(answer) as erpnext:
        assert outcomes(erpnext.write(delete("A", VERSION))) == [outcome]
    assert ("DELETE /api/resource/Customer/A" in erpnext.lines) is (outcome is DONE)


def test_a_time_on_the_full_second_is_one_version_in_both_spellings() -> None:
    def answer(asked: Asked) -> Reply:
        row = {"name": "A", "modified": "2026-11-21 07:16:56"}
        return listed(row) if asked.method == "GET" else Reply.json({"data": "ok"}, status=202)

    with site(answer) as erpnext:
        assert outcomes(erpnext.write(delete("A", "2026-11-21 07:16:56.000000"))) == [DONE]


# -- answers that are none ----------------------------------------------------------------------------------------

TORN = [
    pytest.param(Reply(wire=reset), id="reset"),
    pytest.param(Reply(502, b"<html>bad gateway</html>"), id="502"),
    pytest.param(Reply(504, b""), id="504"),
    pytest.param(Reply(500, b"Internal Server Error"), id="crash"),
    pytest.param(Reply(body=b'{"data":{"name":"A","modi'), id="half"),
    pytest.param(Reply(body=b"<html>Sign in</html>"), id="html"),
    pytest.param(Reply(body=b""), id="empty"),
    pytest.param(Reply.json({"data": {"modified": VERSION}}), id="no name"),
    pytest.param(Reply.json({"message": ["A"]}), id="another shape"),
]


@pytest.mark.parametrize("reply", TORN)
@pytest.mark.parametrize("change", [create(customer_name="A"), update("A", {"tax_id": "1"})], ids=["create", "update"])
def test_an_answer_that_does_not_tell_leaves_the_write_unknown_and_the_rest_unsent(
    change: Change, reply: Reply
) -> None:
    with site(reply) as erpnext:
        results = erpnext.write(change, update("B", {"tax_id": "2"}), delete("C"))
    assert outcomes(results) == [UNKNOWN, NOT_SENT, NOT_SENT]
    assert len(erpnext.asked) == 1, "it is not sent again"


@pytest.mark.parametrize(
    "reply", [Reply(wire=reset), Reply(504), Reply(body=b"<html>"), Reply.json({"message": ["A"]})]
)
def test_every_document_of_a_torn_batch_is_unknown(reply: Reply) -> None:
    with site(reply) as erpnext:
        results = erpnext.write(create(customer_name="a"), create(customer_name="b"), delete("C"))
    assert outcomes(results) == [UNKNOWN, UNKNOWN, NOT_SENT]
    assert len(erpnext.asked) == 1


def test_a_batch_torn_in_its_second_half_keeps_what_the_first_half_told() -> None:
    with site(REFUSED, insert_many, Reply(504)) as erpnext:
        results = erpnext.write(*[create(customer_name=name) for name in "abcd"])
    assert outcomes(results) == [DONE, DONE, UNKNOWN, UNKNOWN]


def test_a_deadlock_took_everything_back_so_the_write_is_sent_again() -> None:
    with site(DEADLOCK, DEADLOCK, saved()) as erpnext:
        assert outcomes(erpnext.write(update("A", {"tax_id": "1"}))) == [DONE]
    assert erpnext.lines == ["PUT /api/resource/Customer/A"] * 3 and erpnext.slept == [0.5, 1.0]


def test_a_batch_in_a_deadlock_is_sent_again_as_it_was() -> None:
    with site(DEADLOCK, insert_many) as erpnext:
        assert outcomes(erpnext.write(create(customer_name="a"), create(customer_name="b"))) == [DONE, DONE]
    assert erpnext.asked[0].body == erpnext.asked[1].body


def test_a_document_that_stays_locked_keeps_no_other_waiting() -> None:
    locked = Reply.json({"exc_type": "DocumentLockedError"}, status=417)
    with site(lambda asked: locked if asked.path.endswith("B") else saved()) as erpnext:
        results = erpnext.write(*[update(name, {"tax_id": "1"}) for name in "ABC"])
    assert outcomes(results) == [DONE, NOT_SENT, DONE]


# -- looking up ---------------------------------------------------------------------------------------------------


def test_a_record_is_found_by_all_its_values_at_once() -> None:
    row = {"name": "A", "email_id": "a@x.example", "credit_limit": 10.1}
    with site(listed(row)) as erpnext:
        key = {"email_id": "a@x.example", "credit_limit": Decimal("10.10"), "tax_id": None}
        assert erpnext.connector.find("customer", [key])[0] == ["A"]
    (asked,) = erpnext.asked
    assert (
        asked.query["filters"]
        == '[["email_id","=","a@x.example"],["credit_limit","=",10.10],["tax_id","is","not set"]]'
    )
    assert asked.query["limit_page_length"] == "2"


def test_a_record_is_found_by_its_own_name() -> None:
    with site(listed({"name": "A"})) as erpnext:
        assert erpnext.connector.find("product", [{"name": "A"}])[0] == ["A"]
    assert json.loads(erpnext.asked[0].query["fields"]) == ["name"]


@pytest.mark.parametrize("key", [{}, {"items.0.item_code": "X"}])
def test_what_cannot_be_a_filter_is_said_before_it_is_asked(key: VendorRecord) -> None:
    with site(listed()) as erpnext, pytest.raises(ConfigError, match="match_on"):
        erpnext.connector.find("order", [key])[0]
    assert erpnext.asked == []


def test_a_date_the_site_cannot_read_finds_nobody() -> None:
    rows = [{"name": "A", "transaction_date": "2026-01-01"}, {"name": "B", "transaction_date": "2026-01-02"}]
    with site(listed(*rows)) as erpnext, pytest.raises(ProtocolError, match="does not heed the filter"):
        erpnext.connector.find("order", [{"transaction_date": "31/12/2026"}])[0]


def test_many_names_go_by_post_and_come_back_with_their_lines() -> None:
    names = [RemoteId(f"SAL-ORD-2026-{n:05} é") for n in range(200)]

    def answer(asked: Asked) -> Reply:
        body = json.loads(asked.body) if asked.body else {}
        if body.get("doctype") == "Sales Order":
            return Reply.json({"message": [{"name": name, "modified": VERSION} for name in names[:2]]})
        if body.get("doctype") == "Sales Order Item":
            return Reply.json({"message": [{"parent": names[1], "idx": 1}]})
        return Reply.json({"message": {"time_zone": "Asia/Kolkata"}})

    with site(answer) as erpnext:
        page = erpnext.connector.read_many("order", names)
    documents = [json.loads(bytes(raw)) for raw in ErpNext.split("order", page.raw)]
    assert [(doc["name"], len(doc["items"])) for doc in documents] == [(names[0], 0), (names[1], 1)]
    assert (page.count, page.next, page.zone) == (2, None, "Asia/Kolkata")
    assert json.loads(erpnext.asked[0].body)["filters"] == [["name", "in", names]]


def test_more_documents_than_were_asked_for_are_a_protocol_error() -> None:
    with site(listed(*[{"name": name} for name in "ABC"])) as erpnext, pytest.raises(ProtocolError, match="no filter"):
        erpnext.connector.read_many("product", [RemoteId("A"), RemoteId("A"), RemoteId("B")])


def test_the_zone_is_asked_once_for_many_reads_by_name() -> None:
    with site(listed({"name": "A"})) as erpnext:
        for _ in range(3):
            erpnext.connector.read_many("product", [RemoteId("A")])
    assert (erpnext.zone_asked, len(erpnext.asked)) == (1, 3)


def test_a_forbidden_update_is_raised_with_the_role_that_is_missing() -> None:
    with site(Reply.json({"exc_type": "PermissionError"}, status=403)) as erpnext, pytest.raises(PermissionDenied):
        erpnext.write(update("A", {"tax_id": "1"}))
