"""What happens, as it happens: nothing is missed and nobody is held up, whoever is slow and whatever breaks."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise

import psycopg
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from erpflow.api import event_stream
from erpflow.api.app import create_app
from erpflow.api.event_hub import EventHub
from erpflow.api.rights import Right
from erpflow.errors import DatabaseUnavailable
from erpflow.store import events
from erpflow.store.events import Place
from erpflow.vocabulary import DEFAULT_TENANT, TenantId
from tests.calling import Api
from tests.integration.conftest import Installation
from tests.streams import Frame, Stream, listening

TELL = "INSERT INTO erpflow.erp_events (tenant_id, kind, payload) VALUES (%s, 'records_changed', %s)"
SETTINGS = settings(
    max_examples=5,
    phases=[Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@dataclass
class Stage:
    """The API on a port, and a hand that writes events."""

    api: Api
    port: int
    hub: EventHub
    key: str

    def stream(self, query: str = "", *, last: str = "", key: str = "") -> Stream:
        return Stream(self.port, key or self.key, query, last)

    def tell(self, *numbers: int, tenant_id: TenantId = DEFAULT_TENANT, filler: str = "") -> None:
        """Write events, each in a transaction of its own."""
        with self.api.database.session() as connection:
            for number in numbers:
                connection.execute(TELL, (tenant_id, Jsonb({"number": number, "filler": filler})))

    def settle(self) -> None:
        """Wait for every transaction that is older than now, whoever's: only then is what was told behind us."""
        older = "SELECT pg_snapshot_xmin(pg_current_snapshot()) < %s::text::xid8"
        with self.api.database.session() as connection:
            row = connection.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text").fetchone()
            while connection.execute(older, row).fetchone() == (True,):
                time.sleep(0.01)

    def told(self) -> list[int]:
        """The numbers of all events, in the order in which they are to be read."""
        with self.api.database.session() as connection:
            rows = connection.execute("SELECT payload ->> 'number' FROM erpflow.erp_events ORDER BY xid, id")
            return [int(row[0]) for row in rows]


@contextmanager
def staged(api: Api) -> Iterator[Stage]:
    app, root = create_app(api.surroundings), FastAPI()
    app.state.events = EventHub(lambda: api.database, size=60)
    root.mount("/api/erp", app)
    with listening(root) as port:
        yield Stage(api, port, app.state.events, api.key(Right.LOOK))


@pytest.fixture(scope="module")
def stage(shared_api: Api) -> Iterator[Stage]:
    """One for all tests of this module: each begins to follow where the one before ended."""
    with staged(shared_api) as stage:
        yield stage


@pytest.fixture(autouse=True)
def _nothing_of_before(stage: Stage) -> None:
    """A stream begins where the oldest running transaction does: what was told before it must be over."""
    stage.settle()


def numbers(frames: list[Frame]) -> list[int]:
    return [frame.data["payload"]["number"] for frame in frames if frame.event == "records_changed"]


def test_what_happens_arrives_with_an_id_a_kind_and_the_facts(stage: Stage) -> None:
    with stage.stream().began() as stream:
        stage.tell(1)
        [frame] = stream.events(1)
    assert frame.event == frame.data["kind"] == "records_changed"
    assert set(frame.data) == {"kind", "at", "sync_config_id", "log_id", "payload"}
    assert Place.read(frame.id).id > 0


@SETTINGS
@given(cuts=st.lists(st.integers(0, 40), min_size=3, max_size=8), sizes=st.lists(st.integers(1, 30), min_size=3))
def test_whoever_is_cut_off_again_and_again_misses_nothing_and_gets_nothing_twice(
    stage: Stage, cuts: list[int], sizes: list[int]
) -> None:
    before = len(stage.told())
    with stage.stream().began() as stream:
        last = stream.last

    def write(first: int) -> None:
        """Transactions of several events, every other one begun before its neighbour and ended after it."""
        with (
            psycopg.connect(stage.api.database.url) as long,
            psycopg.connect(stage.api.database.url, autocommit=True) as short,
        ):
            for number, size in enumerate(sizes):
                for one in range(size):
                    connection = long if (number + one) % 3 == 0 else short
                    connection.execute(TELL, (DEFAULT_TENANT, Jsonb({"number": first + number * 100 + one})))
                if number % 2:
                    long.commit()

    writer = threading.Thread(target=write, args=(before * 100,))
    writer.start()
    got: list[int] = []
    for cut in cuts:
        with stage.stream(last=last) as stream:
            got += numbers(stream.events(min(cut, sum(sizes) - len(got))))
            last = stream.last or last
    writer.join()
    with stage.stream(last=last) as stream:
        got += numbers(stream.events(sum(sizes) - len(got)))
    assert got == stage.told()[before:]


def test_a_transaction_that_commits_late_is_not_skipped(stage: Stage) -> None:
    with (
        stage.stream().began() as stream,
        psycopg.connect(stage.api.database.url) as early,
    ):
        early.execute(TELL, (DEFAULT_TENANT, Jsonb({"number": 1})))
        stage.tell(2)
        with stage.stream(last=stream.last).began() as resumed:
            early.commit()
            assert numbers(resumed.events(2)) == [1, 2]
        assert numbers(stream.events(2)) == [1, 2]


def test_a_tenant_sees_its_own_and_nothing_else(stage: Stage) -> None:
    acme = stage.api.tenant("acme")
    with stage.stream().began() as ours, stage.stream(key=stage.api.key(Right.LOOK, tenant_id=acme)).began() as theirs:
        begun = ours.last
        stage.tell(1, 3)
        stage.tell(2, 4, tenant_id=acme)
        stage.tell(5)
        assert numbers(ours.events(3)) == [1, 3, 5]
        assert numbers(theirs.events(2)) == [2, 4]
    with stage.stream(last=begun, key=stage.api.key(Right.LOOK, tenant_id=acme)) as resumed:
        assert numbers(resumed.events(2)) == [2, 4]


def test_only_the_kinds_that_were_asked_for_arrive_also_when_they_were_missed(stage: Stage) -> None:
    with stage.stream("?kinds=webhook_received&kinds=conflict_opened").began() as stream:
        begun = stream.last
        stage.tell(1)
        with stage.api.database.session() as connection:
            statement = "INSERT INTO erpflow.erp_events (tenant_id, kind) VALUES (%s, 'conflict_opened')"
            connection.execute(statement, (DEFAULT_TENANT,))
        assert [frame.event for frame in stream.events(1)] == ["conflict_opened"]
    with stage.stream("?kinds=conflict_opened", last=begun) as resumed:
        assert [frame.event for frame in resumed.events(1)] == ["conflict_opened"]


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("?kinds=gossip", {}, 422),
        ("", {"Last-Event-ID": "1;2"}, 422),
        ("?after=-1-1-1", {}, 422),
        ("?sync_config_id=00000000-0000-0000-0000-00000000dead", {}, 404),
    ],
)
def test_what_cannot_be_followed_is_refused_before_a_stream_begins(
    shared_api: Api, query: str, headers: dict[str, str], status: int
) -> None:
    refused = shared_api.client.get(f"/api/erp/events/stream{query}", headers=headers)
    assert refused.status_code == status
    assert refused.headers["content-type"] == "application/problem+json"


def test_nobody_follows_without_a_login(shared_api: Api) -> None:
    assert shared_api.nobody().get("/api/erp/events/stream").status_code == 401


def test_a_hundred_follow_and_one_that_takes_nothing_holds_up_none_of_them(stage: Stage) -> None:
    streams = [stage.stream() for _ in range(100)]
    deaf = stage.stream()
    got: dict[int, list[int]] = {}
    count, filler = 90, "x" * 6000

    def listen(place: int) -> None:
        got[place] = numbers(streams[place].events(count))

    with ExitStack() as stack:
        for stream in [deaf, *streams]:
            stack.enter_context(stream).began()
        threads = [threading.Thread(target=listen, args=(place,)) for place in range(len(streams))]
        for thread in threads:
            thread.start()
        deepest = 0
        for number in range(count):
            stage.tell(number, filler=filler)
            deepest = max([deepest, *(len(one) for one in stage.hub.followers)])
        for thread in threads:
            thread.join()
        assert all(got[place] == list(range(count)) for place in range(100))
        assert deepest <= 60
        heard = deaf.rest()
    assert ": behind" in heard[-1].text
    assert "retry: " in heard[-1].text
    assert len(numbers(heard)) < count
    with stage.stream(last=deaf.last) as back:
        assert numbers(heard + back.events(count - len(numbers(heard)))) == list(range(count))


def test_the_stream_goes_on_without_a_gap_when_its_database_connection_is_cut(stage: Stage) -> None:
    cut = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE application_name = 'erpflow-events' AND datname = current_database()
    """
    with stage.stream().began() as stream:
        for first in range(0, 30, 10):
            stage.tell(*range(first, first + 5))
            with stage.api.database.session() as connection:
                row = connection.execute(cut).fetchone()
            stage.tell(*range(first + 5, first + 10))
            assert numbers(stream.events(10)) == list(range(first, first + 10))
            assert row == (1,)


def test_a_quiet_stream_shows_that_it_lives_and_moves_its_place_on(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "HEARTBEAT_S", 0.05)
    quiet = stage.api.tenant("quiet")
    with stage.stream().began() as stream:
        begun = Place.read(stream.last)
        stage.tell(1, tenant_id=quiet)
        while Place.read(stream.last).xid == begun.xid:
            frame = stream.next()
            assert frame is not None
            assert (frame.event, frame.text.splitlines()[0]) == ("", ": alive")
    places = [Place.read(frame.id) for frame in stream.seen if frame.id]
    assert all(one <= other for one, other in pairwise(places))


@pytest.mark.parametrize("kind", ["too old", "of another database"])
def test_who_cannot_resume_is_told_to_read_everything_anew(stage: Stage, kind: str) -> None:
    with stage.stream().began() as stream:
        now = Place.read(stream.last)
    stage.tell(1)
    stage.settle()
    place = Place(now.xid, 0, now.at - 2 * 86_400) if kind == "too old" else Place(now.xid + 10**9, 0, now.at)
    with stage.stream(last=str(place)) as stream:
        assert stream.events(1)[0].event == "reset"
        stream.began()
        stage.tell(2)
        assert numbers(stream.events(1)) == [2]


def test_a_database_that_goes_away_in_between_ends_the_stream_and_not_the_server(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object, **__: object) -> None:
        raise DatabaseUnavailable("The database is away.")

    with stage.stream().began() as stream:
        last = stream.last
        stage.tell(1)
        stream.events(1)
    with monkeypatch.context() as patch:
        patch.setattr(events, "missed", gone)
        with stage.stream(last=last) as stream:
            assert numbers(stream.rest()) == []
    with stage.stream(last=last) as stream:
        assert numbers(stream.events(1)) == [1]


def test_a_server_that_leaves_lets_its_followers_go(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    with stage.stream().began() as stream:
        monkeypatch.setattr(stage.hub, "_leaving", lambda: True)
        assert ": leaving" in stream.rest()[-1].text


def test_a_stream_ends_after_its_time_and_is_asked_for_again(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "LIFE_S", 0.0)
    with stage.stream() as stream:
        assert ": renew" in stream.rest()[-1].text


def test_a_sync_tells_that_it_opens_progresses_and_closes(erpnext_api: Api, connected: Installation) -> None:
    with staged(erpnext_api) as stage, stage.stream().began() as stream:
        connected.run("sync", "run", "demo", "customer", "--full")
        frames = stream.events(1)
        while frames[-1].event != "sync_closed":
            frames += stream.events(1)
    syncs = [frame for frame in frames if frame.event.startswith("sync_")]
    assert [syncs[0].event, syncs[1].event, syncs[-1].event] == ["sync_opened", "sync_progress", "sync_closed"]
    pages = [frame.data["payload"]["pages"] for frame in syncs]
    assert pages == sorted(pages)
    assert {frame.data["log_id"] for frame in syncs} == {frames[0].data["log_id"]}
    closed = syncs[-1].data
    log = erpnext_api.client.get(f"/api/erp/sync-logs/{closed['log_id']}").json()
    assert closed["payload"]["status"] == log["status"]
    assert closed["payload"]["rejected"] == log["rejected_count"] > 0
    assert closed["payload"]["read"] == log["read_count"] == 60
    assert closed["payload"]["share"] == 1
