"""What ERPNext is asked about deletions, and what is left of its answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from erpflow.connectors.base import Deletion, PageToken
from erpflow.connectors.erpnext import ErpNext
from erpflow.connectors.signing import TokenAuth
from erpflow.connectors.transport import Transport
from erpflow.errors import ConfigError, PermissionDenied, ProtocolError
from erpflow.testing.server import Asked, Reply, ScriptedServer
from erpflow.vocabulary import RemoteId, Window

ALL = Window()
FORBIDDEN = Reply.json({"exc_type": "PermissionError", "_error_message": "No permission"}, status=403)


def row(name: str, deleted: str, second: int) -> dict[str, Any]:
    at = f"2026-11-21 07:18:{second:02}.000000"
    return {"name": name, "deleted_name": deleted, "creation": at, "modified": at}


@contextmanager
def site(
    trash: Callable[[Asked], Reply], *, there: list[str] | None = None, page_size: int | None = None
) -> Iterator[tuple[ErpNext, list[Asked]]]:
    """A connector, and what was asked but for the zone; `there` exists in spite of its deletion."""

    def answer(asked: Asked) -> Reply:
        if asked.path.endswith("get_time_zone"):
            return Reply.json({"message": {"time_zone": "Asia/Kolkata"}})
        if "Deleted%20Document" in asked.path:
            return trash(asked)
        return Reply.json({"data": [{"name": name} for name in there or []]})

    with ScriptedServer(answer) as server, requests.Session() as session:
        session.trust_env = False
        session.auth = TokenAuth("key1", "secret1")
        yield ErpNext(Transport(session, base_url=server.url, sleep=lambda _: None), page_size=page_size), server.asked


def test_deletions_are_asked_by_doctype_unrestored_and_in_a_stable_order() -> None:
    window = Window(since=datetime(2026, 11, 21, tzinfo=UTC), until=datetime(2026, 11, 22, tzinfo=UTC))
    with site(lambda asked: Reply.json({"data": []})) as (erpnext, asked):
        (page,) = erpnext.read_deleted("order", window)
    assert (page.count, page.next, page.zone) == (0, None, "Asia/Kolkata")
    _, question = asked
    assert json.loads(question.query["filters"]) == [
        ["deleted_doctype", "=", "Sales Order"],
        ["restored", "=", 0],
        ["modified", ">=", "2026-11-21 05:30:00.000000"],
        ["modified", "<", "2026-11-22 05:30:00.000000"],
    ]
    assert question.query["order_by"] == "modified asc, name asc"
    assert "data" not in json.loads(question.query["fields"]), "the whole deleted document is not needed"


def test_a_deletion_names_the_document_and_when_it_was_deleted() -> None:
    with site(lambda asked: Reply.json({"data": [row("h1", "Acme", 49)]})) as (erpnext, _):
        (page,) = erpnext.read_deleted("customer", ALL)
    assert ErpNext.split_deleted("customer", page.raw, zone=page.zone) == [
        Deletion(RemoteId("Acme"), datetime(2026, 11, 21, 1, 48, 49, tzinfo=UTC))
    ]


def test_what_exists_by_now_is_left_out_whatever_the_case_of_its_letters() -> None:
    rows = [row("h1", "Acme", 1), row("h2", "Müller", 2), row("h3", "Gone", 3)]
    with site(lambda asked: Reply.json({"data": rows}), there=["ACME", "Muller"]) as (erpnext, asked):
        (page,) = erpnext.read_deleted("customer", ALL)
    assert [found.remote_id for found in ErpNext.split_deleted("customer", page.raw, zone=page.zone)] == ["Gone"]
    assert page.count == 1
    assert json.loads(asked[-1].query["filters"]) == [["name", "in", ["Acme", "Müller", "Gone"]]]


def test_a_page_of_which_nothing_is_left_is_passed_over() -> None:
    pages = [[row("h1", "Back", 1), row("h2", "Back too", 2)], [row("h2", "Back too", 2), row("h3", "Gone", 3)], []]

    def trash(asked: Asked) -> Reply:
        return Reply.json({"data": pages.pop(0)})

    with site(trash, there=["Back", "Back too"], page_size=2) as (erpnext, _):
        found = list(erpnext.read_deleted("customer", ALL))
    assert [(page.count, page.next is None) for page in found] == [(1, False), (0, True)]


def test_a_document_deleted_twice_in_a_window_is_reported_twice_with_both_times() -> None:
    with site(lambda asked: Reply.json({"data": [row("h1", "Acme", 1), row("h2", "Acme", 2)]})) as (erpnext, _):
        (page,) = erpnext.read_deleted("customer", ALL)
    assert [
        found.deleted_at.second for found in ErpNext.split_deleted("customer", page.raw, zone="UTC") if found.deleted_at
    ] == [1, 2]


def test_a_delete_in_the_hour_that_runs_twice_is_never_older_than_the_change_before_it() -> None:
    """Changed at 2:50 in the first run of the hour, deleted at 2:10 in the second: local time alone says otherwise."""
    raw = b'{"data":[{"deleted_name":"ACME","creation":"2026-10-25 02:10:00.000000"}]}'
    (found,) = ErpNext.split_deleted("customer", raw, zone="Europe/Ljubljana")
    changed = ErpNext.instant("2026-10-25 02:50:00.000000", zone="Europe/Ljubljana")
    assert found.deleted_at is not None and changed is not None
    assert found.deleted_at == datetime(2026, 10, 25, 1, 10, tzinfo=UTC) > changed


def test_a_deletion_without_a_time_has_none() -> None:
    raw = b'{"data":[{"deleted_name":"Acme","creation":null},{"deleted_name":7}]}'
    assert ErpNext.split_deleted("customer", raw, zone="UTC") == [
        Deletion(RemoteId("Acme"), None),
        Deletion(RemoteId("7"), None),
    ]


def test_a_user_without_the_role_is_told_which_and_how_to_do_without() -> None:
    with site(lambda asked: FORBIDDEN) as (erpnext, _), pytest.raises(PermissionDenied) as raised:
        list(erpnext.read_deleted("customer", ALL))
    for word in ("System Manager", "deletes: {pull: ignore}", "full sync", "No permission"):
        assert word in str(raised.value)


@pytest.mark.parametrize("rows", [[{"name": "h1", "modified": "2026-11-21 07:18:01.000000"}], [5]])
def test_a_row_that_names_no_document_is_a_protocol_error(rows: list[Any]) -> None:
    with site(lambda asked: Reply.json({"data": rows})) as (erpnext, _), pytest.raises(ProtocolError):
        list(erpnext.read_deleted("customer", ALL))


def test_a_foreign_token_is_refused_before_anything_is_asked() -> None:
    with site(lambda asked: Reply.json({"data": []})) as (erpnext, asked), pytest.raises(ConfigError, match="token"):
        erpnext.read_deleted("customer", ALL, resume=PageToken("page=2"))
    assert asked == []
