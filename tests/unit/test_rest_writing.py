"""What becomes of each change is what the system said of it, by the rules of its file and by HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from erpflow.connectors.base import Change, Outcome, WriteResult
from erpflow.connectors.transport import ONE_ATTEMPT
from erpflow.errors import AuthFailed, ErpflowError, PermissionDenied, ProtocolError, RateLimited
from erpflow.testing.changes import creation, deletion, update
from erpflow.testing.server import Asked, Reply
from erpflow.vocabulary import RemoteId
from tests.declared import declaration, running

DONE, REJECTED, STALE, MISSING, UNKNOWN = (
    Outcome.DONE, Outcome.REJECTED, Outcome.STALE, Outcome.MISSING, Outcome.UNKNOWN,
)  # fmt: skip
FIND = {"path": "/things", "query": {"{field}": "{value}", "n": "{limit}"}, "records": "data"}
SINGLE = {
    "find": FIND,
    "create": {"method": "POST", "path": "/things", "body": {"data": "{record}"}, "id": "data.id", "record": "data"},
    "update": {"method": "PATCH", "path": "/things/{id}", "body": "{record}"},
    "delete": {"method": "DELETE", "path": "/things/{id}"},
}
BULK = {
    **SINGLE,
    "create": {
        "method": "POST",
        "path": "/bulk",
        "body": "{records}",
        "bulk": 10,
        "results": "results",
        "id": "id",
        "errors": [
            {"when": "code == 'twice'", "means": "duplicate", "message": "text"},
            {"when": "code", "means": "rejected", "message": "text", "field": "column"},
        ],
    },
}
RULES = [
    {"status": 409, "when": "code == 'twice'", "means": "duplicate", "message": "text", "field": "column"},
    {"status": 200, "when": "error == 'who'", "means": "auth_failed", "message": "text"},
    {"status": 200, "when": "error == 'slow'", "means": "rate_limited", "wait": "seconds"},
    {"status": 200, "when": "error", "means": "broken"},
]
ONE = RemoteId("a b/1")


def write(
    folder: Path, entity: dict[str, Any], answer: Callable[[Asked], Reply], *changes: Change
) -> tuple[list[WriteResult], list[Asked]]:
    content = declaration(entity=entity, errors=RULES)
    with running(folder, content, answer, retries=ONE_ATTEMPT) as system:
        return system.connector.write("thing", changes), system.asked


def always(body: Any, *, status: int = 200) -> Callable[[Asked], Reply]:
    return lambda asked: Reply.json(body, status=status)


def test_a_create_sends_the_record_with_its_digits_and_gives_its_id(tmp_path: Path) -> None:
    values = {"name": "A", "price": Decimal("10.10"), "lines": [{"qty": 2}], "note": None}
    (result,), asked = write(tmp_path, SINGLE, always({"data": {"id": 7, "price": 10.1}}), creation(values))
    assert (result.outcome, result.remote_id, result.record) == (DONE, "7", b'{"id":7,"price":10.1}')
    assert asked[0].body == b'{"data":{"name":"A","price":10.10,"lines":[{"qty":2}],"note":null}}'


def test_an_id_is_encoded_where_it_is_part_of_a_path(tmp_path: Path) -> None:
    _, asked = write(tmp_path, SINGLE, always(None), update(ONE, {"name": "B"}), deletion(ONE))
    assert [(one.method, one.path) for one in asked] == [
        ("PATCH", "/things/a%20b%2F1"),
        ("DELETE", "/things/a%20b%2F1"),
    ]


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(200, DONE), (204, DONE), (400, REJECTED), (404, MISSING), (409, REJECTED), (410, MISSING), (412, STALE),
     (422, REJECTED), (500, UNKNOWN), (502, UNKNOWN)],
)  # fmt: skip
def test_http_says_what_became_of_an_update_where_no_rule_does(tmp_path: Path, status: int, outcome: Outcome) -> None:
    reply = Reply(status, b"" if status == 204 else b'{"message": "<b>so</b>"}')
    (result,), _ = write(tmp_path, SINGLE, lambda asked: reply, update(ONE, {"name": "B"}))
    assert result.outcome is outcome
    if outcome is REJECTED:
        assert [problem.message for problem in result.problems] == ["so"]


def test_a_rule_comes_before_what_http_says(tmp_path: Path) -> None:
    body = {"code": "twice", "text": "The name is taken", "column": "name"}
    (result,), _ = write(tmp_path, SINGLE, always(body, status=409), creation({"name": "A"}))
    assert [(problem.rule, problem.field, problem.message) for problem in result.problems] == [
        ("duplicate", "name", "The name is taken")
    ]


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ({"error": "who", "text": "No such key"}, 200, AuthFailed),
        ({}, 401, AuthFailed),
        ({}, 403, PermissionDenied),
        ({"error": "slow", "seconds": 77}, 200, RateLimited),
    ],
)
def test_what_is_about_the_account_stops_the_write(
    tmp_path: Path, body: Any, status: int, error: type[ErpflowError]
) -> None:
    with pytest.raises(error) as raised:
        write(tmp_path, SINGLE, always(body, status=status), creation({"name": "A"}))
    if isinstance(raised.value, RateLimited):
        assert raised.value.retry_after == 77.0


@pytest.mark.parametrize(
    "answer", [always({"error": "odd"}), always({"data": {}}), lambda asked: Reply(body=b"<html>")]
)
def test_an_answer_that_does_not_tell_leaves_the_write_unknown(
    tmp_path: Path, answer: Callable[[Asked], Reply]
) -> None:
    (result,), _ = write(tmp_path, SINGLE, answer, creation({"name": "A"}))
    assert result.outcome is UNKNOWN


def test_each_record_of_a_bulk_has_its_own_outcome(tmp_path: Path) -> None:
    results = [{"id": 1}, {"code": "twice", "text": "Taken"}, {"code": "odd", "text": "No", "column": "tax"}, {"id": 4}]
    changes = [creation({"name": name}) for name in "abcd"]
    told, asked = write(tmp_path, BULK, always({"results": results}), *changes)
    assert [(one.outcome, one.remote_id) for one in told] == [
        (DONE, "1"), (REJECTED, None), (REJECTED, None), (DONE, "4"),
    ]  # fmt: skip
    assert [one.problems[0].rule for one in told if one.problems] == ["duplicate", "refused"]
    assert told[2].problems[0].field == "tax"
    assert [json.loads(one.body) for one in asked] == [[{"name": name} for name in "abcd"]]


def test_a_bulk_that_does_not_tell_of_every_record_leaves_all_unknown(tmp_path: Path) -> None:
    changes = [creation({"name": name}) for name in "abc"]
    told, _ = write(tmp_path, BULK, always({"results": [{"id": 1}]}), *changes)
    assert [one.outcome for one in told] == [UNKNOWN] * 3


def test_a_bulk_that_is_refused_as_a_whole_is_sent_in_parts(tmp_path: Path) -> None:
    def answer(asked: Asked) -> Reply:
        names = [record["name"] for record in json.loads(asked.body)]
        if "bad" in names:
            return Reply.json({"message": "one of them is bad"}, status=422)
        return Reply.json({"results": [{"id": name} for name in names]})

    changes = [creation({"name": name}) for name in ("a", "b", "bad", "c")]
    told, _ = write(tmp_path, BULK, answer, *changes)
    assert [one.outcome for one in told] == [DONE, DONE, REJECTED, DONE]


# -- looking up --------------------------------------------------------------------------------------------------------


def test_a_look_up_compares_what_comes_and_asks_for_each_field(tmp_path: Path) -> None:
    rows = [{"id": 1, "name": "A", "tax": {"no": 7}}, {"id": 2, "name": "a", "tax": {"no": 7}}]
    with running(tmp_path, declaration(entity=SINGLE), always({"data": rows})) as system:
        assert system.connector.find("thing", [{"name": "A", "tax.no": "7"}]) == [["1"]]
        assert dict(system.asked[0].query) == {"name": "A", "tax.no": "7", "n": "3"}


def test_a_look_up_whose_filter_is_ignored_is_not_believed(tmp_path: Path) -> None:
    rows = [{"id": number, "name": "other"} for number in range(3)]
    with (
        running(tmp_path, declaration(entity=SINGLE), always({"data": rows})) as system,
        pytest.raises(ProtocolError, match="filter is not taken into account"),
    ):
        system.connector.find("thing", [{"name": "A"}])


def test_records_by_their_ids_must_be_those(tmp_path: Path) -> None:
    many = {"path": "/things", "query": {"ids": "{ids}"}, "records": "data"}
    with (
        running(tmp_path, declaration(entity={"many": many}), always({"data": [{"id": 9}]})) as system,
        pytest.raises(ProtocolError, match="thing 9 came where others were asked for"),
    ):
        system.connector.read_many("thing", [RemoteId("1")])
