"""Every kind of paging is read to its end, and what a system does with a request is never taken for granted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from erpflow.errors import ConfigError, ProtocolError
from erpflow.testing.reading import read_all
from erpflow.testing.server import Asked, Reply
from erpflow.vocabulary import Window
from tests.declared import declaration, running, thing

THINGS = [thing(number, f"2026-01-{number:02}T00:00:00Z") for number in range(1, 8)]
SINCE = Window(since=datetime(2026, 1, 5, tzinfo=UTC))


def listed(paging: dict[str, Any], **query: str) -> dict[str, Any]:
    request = {"path": "/things", "query": query, "records": "data", "paging": paging}
    return declaration(entity={"list": request})


def sliced(start: int, count: int = 3, **more: Any) -> Reply:
    return Reply.json({"data": THINGS[start : start + count], **more})


def by_page(asked: Asked) -> Reply:
    return sliced((int(asked.query["p"]) - 1) * 3)


def by_offset(asked: Asked) -> Reply:
    return sliced(int(asked.query["o"]))


def by_cursor(asked: Asked) -> Reply:
    start = int(asked.query.get("c", "0"))
    return sliced(start, meta={"next": str(start + 3) if start + 3 < 7 else None})


def by_link(asked: Asked) -> Reply:
    start = int(asked.query.get("from", "0"))
    reply = sliced(start)
    links = f'</things?from=0>; rel="first", </things?from={start + 3}&x=a%20b>; rel="next"'
    headers = {"Link": links} if start + 3 < 7 else {}
    return Reply(body=reply.body, headers=headers)


def by_odata(asked: Asked) -> Reply:
    start = int(asked.query.get("$skiptoken", "0"))
    more = {"@odata.nextLink": f"things?$skiptoken={start + 3}"} if start + 3 < 7 else {}
    return sliced(start, **more)


@pytest.mark.parametrize(
    ("paging", "query", "answer"),
    [
        ({"kind": "page"}, {"p": "{page}"}, by_page),
        ({"kind": "offset"}, {"o": "{offset}"}, by_offset),
        ({"kind": "cursor", "next": "meta.next"}, {"c": "{cursor}"}, by_cursor),
        ({"kind": "link"}, {}, by_link),
        ({"kind": "odata"}, {}, by_odata),
    ],
    ids=["page", "offset", "cursor", "link", "odata"],
)
def test_each_kind_of_paging_brings_every_record_once_and_resumes_behind_every_page(
    tmp_path: Path, paging: dict[str, Any], query: dict[str, str], answer: Callable[[Asked], Reply]
) -> None:
    with running(tmp_path, listed(paging, **query), answer) as system:
        whole = read_all(system.connector, "thing")
        assert whole.ids == [str(number) for number in range(1, 8)]
        read = 0
        for page in whole.pages[:-1]:
            read += page.count
            rest = read_all(system.connector, "thing", resume=page.next)
            assert [*whole.ids[:read], *rest.ids] == whole.ids


def test_a_list_without_paging_is_one_page(tmp_path: Path) -> None:
    with running(tmp_path, listed({"kind": "none"}), lambda asked: sliced(0, 7)) as system:
        assert [page.count for page in read_all(system.connector, "thing").pages] == [7]


def test_a_record_lands_as_the_bytes_that_came(tmp_path: Path) -> None:
    body = b'{"data": [ {"id":1, "changed" : "2026-01-01T00:00:00Z","price":12345678901234567890.10} ]}'
    with running(tmp_path, listed({"kind": "none"}), lambda asked: Reply(body=body)) as system:
        (page,) = read_all(system.connector, "thing").pages
    assert page.raw == b'[{"id":1, "changed" : "2026-01-01T00:00:00Z","price":12345678901234567890.10}]'


def test_an_expression_that_reshapes_records_keeps_their_digits(tmp_path: Path) -> None:
    content = listed({"kind": "none"})
    content["entities"]["thing"]["list"]["records"] = "data[].merge(@, {changed: meta.at})"
    body = b'{"data": [{"id": 1, "meta": {"at": "2026-01-01T00:00:00Z"}, "price": 12345678901234567890.10}]}'
    with running(tmp_path, content, lambda asked: Reply(body=body)) as system:
        (page,) = read_all(system.connector, "thing").pages
    assert b'"price":12345678901234567890.10' in page.raw and b'"changed":"2026-01-01T00:00:00Z"' in page.raw


# -- by keyset ---------------------------------------------------------------------------------------------------------


def keyset(*, most: int = 6) -> dict[str, Any]:
    return listed({"kind": "keyset", "most": most}, s="{since}", n="{limit}")


def by_time(things: list[dict[str, Any]]) -> Callable[[Asked], Reply]:
    def answer(asked: Asked) -> Reply:
        fitting = [one for one in things if one["changed"] >= asked.query.get("s", "")]
        return Reply.json({"data": fitting[: int(asked.query["n"])]})

    return answer


def test_a_page_grows_while_many_records_share_one_moment(tmp_path: Path) -> None:
    things = [
        thing(1),
        *(thing(number, "2026-01-02T00:00:00Z") for number in range(2, 7)),
        thing(7, "2026-01-03T00:00:00Z"),
    ]
    with running(tmp_path, keyset(), by_time(things)) as system:
        assert read_all(system.connector, "thing").ids == [str(number) for number in range(1, 8)]
        assert {asked.query["n"] for asked in system.asked} >= {"3", "5"}


def test_more_records_of_one_moment_than_a_page_may_hold_stop_the_read(tmp_path: Path) -> None:
    things = [thing(number) for number in range(1, 20)]
    with running(tmp_path, keyset(), by_time(things)) as system, pytest.raises(ProtocolError, match="share the moment"):
        read_all(system.connector, "thing")


def test_a_list_that_is_not_sorted_stops_the_read(tmp_path: Path) -> None:
    things = [thing(2, "2026-01-02T00:00:00Z"), thing(1)]
    with running(tmp_path, keyset(), by_time(things)) as system, pytest.raises(ProtocolError, match="not sorted"):
        read_all(system.connector, "thing")


# -- what is not believed ----------------------------------------------------------------------------------------------


def test_a_filter_that_is_ignored_stops_the_read(tmp_path: Path) -> None:
    content = listed({"kind": "none"}, since="{since}")
    with (
        running(tmp_path, content, lambda asked: sliced(0, 7)) as system,
        pytest.raises(ProtocolError, match="came where"),
    ):
        read_all(system.connector, "thing", SINCE)


def test_without_a_filter_what_is_outside_of_the_window_is_dropped_here(tmp_path: Path) -> None:
    with running(tmp_path, listed({"kind": "none"}), lambda asked: sliced(0, 7)) as system:
        assert read_all(system.connector, "thing", SINCE).ids == ["5", "6", "7"]


def test_slack_asks_earlier_and_drops_what_is_too_early(tmp_path: Path) -> None:
    content = listed({"kind": "none"}, since="{since}") | {"times": {"slack": 86400}}
    with running(tmp_path, content, lambda asked: sliced(3, 4)) as system:
        assert read_all(system.connector, "thing", SINCE).ids == ["5", "6", "7"]
        assert system.asked[0].query["since"] == "2026-01-04T00:00:00Z"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("https://evil.example/things?from=3", "not below the connection's address"),
        ("/things", "circle"),
    ],
)
def test_the_next_page_is_followed_nowhere_else_and_not_in_a_circle(tmp_path: Path, address: str, said: str) -> None:
    def answer(asked: Asked) -> Reply:
        return sliced(0, **{"@odata.nextLink": address})

    with running(tmp_path, listed({"kind": "odata"}), answer) as system, pytest.raises(ProtocolError, match=said):
        read_all(system.connector, "thing")
    assert len(system.asked) <= 3


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"items": []}, "no list of records at `data`"),
        ({"data": {"id": 1}}, "no list of records at `data`"),
        ({"data": ["text"]}, "no list of records at `data`"),
        ({"data": [{"name": "x"}]}, "has no id"),
    ],
)
def test_an_answer_of_another_shape_says_what_is_wrong_in_the_file(tmp_path: Path, body: Any, said: str) -> None:
    with (
        running(tmp_path, listed({"kind": "none"}), lambda asked: Reply.json(body)) as system,
        pytest.raises(ProtocolError, match=said),
    ):
        read_all(system.connector, "thing")


@pytest.mark.parametrize("token", ["", "{}x", '{"round": "one"}', '{"unknown": 1}'])
def test_a_token_that_is_none_is_refused(tmp_path: Path, token: str) -> None:
    with (
        running(tmp_path, listed({"kind": "none"}), lambda asked: sliced(0)) as system,
        pytest.raises(ConfigError, match="not a page token"),
    ):
        read_all(system.connector, "thing", resume=token)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("form", "wanted", "stamp"),
    [
        ("unix", "1767571200", 1767571200),
        ("unix_ms", "1767571200000", 1767571200000),
        ("%d.%m.%Y %H:%M", "05.01.2026 01:00", "05.01.2026 01:00"),
    ],
)
def test_times_are_written_and_read_as_the_system_does(tmp_path: Path, form: str, wanted: str, stamp: Any) -> None:
    content = listed({"kind": "none"}, since="{since}") | {"times": {"format": form, "zone": "Europe/Berlin"}}
    with running(tmp_path, content, lambda asked: Reply.json({"data": [{"id": 1, "changed": stamp}]})) as system:
        reading = read_all(system.connector, "thing", SINCE)
        assert reading.instants() == {"1": datetime(2026, 1, 5, tzinfo=UTC)}
        assert system.asked[0].query["since"] == wanted


def test_what_changed_while_pages_were_read_is_read_once_more(tmp_path: Path) -> None:
    now = datetime.now(UTC).isoformat()
    content = listed({"kind": "page"}, p="{page}", s="{since}")

    def answer(asked: Asked) -> Reply:
        if "s" in asked.query:
            return Reply.json({"data": [thing(1, now, name="again")] if asked.query["p"] == "1" else []})
        return by_page(asked)

    with running(tmp_path, content, answer) as system:
        reading = read_all(system.connector, "thing")
    assert reading.ids == [*(str(number) for number in range(1, 8)), "1"]
    assert reading.records[-1]["name"] == "again"
