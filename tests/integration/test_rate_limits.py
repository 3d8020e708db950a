"""A connection's limits hold for all workers together."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import pytest

from bench import sink
from erpflow.errors import ConfigError, DatabaseUnavailable
from erpflow.store.connections import add_connection
from erpflow.store.database import Database
from erpflow.store.rate_limits import HORIZON_S, PostgresLimiter
from erpflow.vocabulary import ConnectionId, TenantId


@dataclass(frozen=True)
class Limits:
    per_second: float | None = None
    per_minute: float | None = None
    per_hour: float | None = None
    per_day: float | None = None
    concurrent: int | None = None


class Waited(Exception):
    """The limiter would sleep; `seconds` long."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


def limiter_of(database: Database, connection_id: ConnectionId, limits: Limits, **more: Any) -> PostgresLimiter:
    """A limiter that tells how long it would sleep instead of sleeping."""

    def sleep(seconds: float) -> None:
        raise Waited(seconds)

    return PostgresLimiter(database, connection_id, limits, sleep=sleep, **more)


@pytest.fixture
def connection_id(database: Database, request: pytest.FixtureRequest) -> ConnectionId:
    with database.transaction() as connection:
        return add_connection(connection, request.node.name, system="erpnext").id


# Rates are slow and pauses long here: a busy machine may stall for seconds without making a test wrong.


@pytest.mark.parametrize(
    ("limits", "free", "shortest", "longest"),
    [
        (Limits(per_second=0.01), 1, 50, 106),  # evenly spaced, a little wider than allowed
        (Limits(per_minute=0.5), 1, 60, 122),
        (Limits(per_hour=5), 5, 3000, 3720),  # an hour may be used up at once
        (Limits(per_day=7), 7, 80_000, 90_000),
        (Limits(per_second=1000, per_hour=3, per_day=1000), 3, 3000, 3720),
    ],
)
def test_a_limit_lets_through_what_it_allows_and_tells_when_it_opens(
    database: Database, connection_id: ConnectionId, limits: Limits, free: int, shortest: float, longest: float
) -> None:
    with closing(limiter_of(database, connection_id, limits)) as limiter:
        assert all(limiter.acquire() < 0.5 for _ in range(free))
        assert all(shortest < limiter.acquire() <= longest for _ in range(5))


def test_a_request_counts_as_much_as_the_vendor_counts_it(database: Database, connection_id: ConnectionId) -> None:
    with closing(limiter_of(database, connection_id, Limits(per_hour=100))) as limiter:
        assert limiter.acquire(60) == 0
        assert limiter.acquire(41) > 3000
        assert limiter.acquire(40) == 0
        assert limiter.acquire(0.5) > 3000


def test_what_costs_more_than_is_ever_allowed_has_the_hour_to_itself(
    database: Database, connection_id: ConnectionId
) -> None:
    with closing(limiter_of(database, connection_id, Limits(per_hour=100))) as limiter:
        assert limiter.acquire(500) == 0
        assert limiter.acquire() > 3000


def test_an_hour_later_there_is_room_again_and_not_before(database: Database, connection_id: ConnectionId) -> None:
    def later(minutes: int) -> None:
        with database.transaction() as connection:
            connection.execute(
                "UPDATE erpflow.erp_rate_accounts SET hour_newest = hour_newest - %s"
                " WHERE account = (SELECT account FROM erpflow.erp_rate_limits WHERE connection_id = %s)",
                [minutes, connection_id],
            )

    with closing(limiter_of(database, connection_id, Limits(per_hour=3))) as limiter:
        assert [limiter.acquire() for _ in range(3)] == [0, 0, 0]
        later(minutes=60)
        assert 0 < limiter.acquire() <= 120
        later(minutes=2)
        assert [limiter.acquire() for _ in range(3)] == [0, 0, 0]
        assert limiter.acquire() > 3000


def test_an_idle_connection_saves_nothing_up(database: Database, connection_id: ConnectionId) -> None:
    with closing(limiter_of(database, connection_id, Limits(per_second=0.01))) as limiter:
        limiter.acquire()
        with database.transaction() as connection:
            connection.execute(
                "UPDATE erpflow.erp_rate_accounts SET last_at = now() - interval '1 day', second_newest = 0"
            )
        assert limiter.acquire() == 0
        assert limiter.acquire() > 50


def test_a_wait_within_the_patience_is_slept_and_the_request_goes(
    database: Database, connection_id: ConnectionId
) -> None:
    slept: list[float] = []
    limiter = PostgresLimiter(
        database,
        connection_id,
        Limits(per_second=1),
        sleep=lambda seconds: (slept.append(seconds), time.sleep(seconds)),
    )
    with closing(limiter):
        waits = [limiter.acquire() for _ in range(3)]
    assert all(wait <= HORIZON_S for wait in waits)
    assert sum(slept) > 0.5


def test_a_vendor_without_a_rate_is_limited_by_pauses_only(database: Database, connection_id: ConnectionId) -> None:
    with closing(limiter_of(database, connection_id, Limits())) as limiter:
        assert [limiter.acquire() for _ in range(50)] == [0] * 50
        limiter.pause(1000)
        assert 500 < limiter.acquire() <= 1000


def test_a_pause_holds_for_every_worker_and_a_shorter_one_does_not_end_it(
    database: Database, connection_id: ConnectionId
) -> None:
    mine, theirs = (limiter_of(database, connection_id, Limits(per_second=10)) for _ in range(2))
    with closing(mine), closing(theirs):
        mine.pause(1000)
        theirs.pause(1)
        assert all(500 < limiter.acquire() <= 1000 for limiter in (theirs, mine) * 20)


@pytest.mark.parametrize("seconds", [float("inf"), 1e300, 1e9])
def test_an_absurd_pause_ends_after_a_day(database: Database, connection_id: ConnectionId, seconds: float) -> None:
    with closing(limiter_of(database, connection_id, Limits(per_second=1))) as limiter:
        limiter.pause(seconds)
        assert limiter.acquire() <= 24 * 3600


@pytest.mark.parametrize("seconds", [0.0, -5.0, float("nan")])
def test_a_pause_of_no_time_changes_nothing(database: Database, connection_id: ConnectionId, seconds: float) -> None:
    with closing(limiter_of(database, connection_id, Limits(per_second=1))) as limiter:
        limiter.pause(seconds)
        assert limiter.acquire() == 0


def test_no_more_requests_are_under_way_than_allowed(database: Database, connection_id: ConnectionId) -> None:
    mine, theirs = (limiter_of(database, connection_id, Limits(concurrent=3)) for _ in range(2))
    with closing(mine), closing(theirs), ThreadPoolExecutor(1) as other_thread:
        assert mine.acquire() == theirs.acquire() == other_thread.submit(mine.acquire).result() == 0
        with ThreadPoolExecutor(1) as fourth, pytest.raises(Waited):
            fourth.submit(theirs.acquire).result()
        other_thread.submit(mine.done).result()
        with ThreadPoolExecutor(1) as fourth:
            assert fourth.submit(theirs.acquire).result() == 0


def test_who_never_gets_a_turn_is_told_to_come_back(database: Database, connection_id: ConnectionId) -> None:
    mine = limiter_of(database, connection_id, Limits(concurrent=1))
    theirs = PostgresLimiter(database, connection_id, Limits(concurrent=1), patience=0.2)
    with closing(mine), closing(theirs):
        mine.acquire()
        assert theirs.acquire() > 0.2
        mine.done()
        assert theirs.acquire() == 0


def test_who_has_waited_through_its_patience_is_not_let_through_for_it(
    database: Database, connection_id: ConnectionId
) -> None:
    """A wait that was within its patience at first is told as too long at last: nothing is reserved."""
    slept: list[float] = []
    mine = PostgresLimiter(
        database,
        connection_id,
        Limits(per_second=0.1),
        clock=lambda: 29.9 if slept else 0.0,
        sleep=slept.append,
    )
    with closing(mine), closing(limiter_of(database, connection_id, Limits(per_second=0.1))) as other:
        other.acquire()
        assert mine.acquire() > 30
    assert len(slept) == 1


def test_a_killed_worker_gives_back_what_it_had_under_way(database: Database, connection_id: ConnectionId) -> None:
    program = (
        "import sys, time; from types import SimpleNamespace as N; from erpflow.store.database import Database; "
        "from erpflow.store.rate_limits import PostgresLimiter; "
        "l = PostgresLimiter(Database(sys.argv[1]), sys.argv[2], N(per_second=None, per_minute=None, per_hour=None, "
        "per_day=None, concurrent=1)); l.acquire(); print('mine', flush=True); time.sleep(60)"
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", program, database.url, connection_id], stdout=subprocess.PIPE, text=True
    )
    assert worker.stdout
    assert worker.stdout.readline() == "mine\n"
    limiter = PostgresLimiter(database, connection_id, Limits(concurrent=1))
    with closing(limiter), closing(limiter_of(database, connection_id, Limits(concurrent=1))) as refused:
        with pytest.raises(Waited):
            refused.acquire()
        worker.kill()
        worker.communicate()
        assert limiter.acquire() == 0


def test_two_connections_do_not_share_a_limit(database: Database) -> None:
    with database.transaction() as connection:
        ids = [add_connection(connection, f"apart-{n}", system="erpnext").id for n in (1, 2)]
    for id_ in ids:
        with closing(limiter_of(database, id_, Limits(per_second=0.01))) as limiter:
            assert limiter.acquire() == 0


def test_two_connections_to_one_account_share_its_limits_and_its_pauses(database: Database) -> None:
    with database.transaction() as connection:
        ids = [add_connection(connection, f"together-{n}", system="erpnext").id for n in (1, 2)]
    mine, theirs = (limiter_of(database, id_, Limits(per_hour=2, concurrent=2), account="k 9f3c") for id_ in ids)
    with closing(mine), closing(theirs):
        assert mine.acquire() == theirs.acquire() == 0
        mine.done()
        theirs.done()
        assert mine.acquire() > 3000
        assert theirs.acquire() > 3000
    with database.transaction() as connection:
        kept = connection.execute("SELECT a::text FROM erpflow.erp_rate_accounts a").fetchall()
    assert "9f3c" not in str(kept)


def test_an_account_goes_with_the_last_connection_that_asks_it(fresh_database: Database) -> None:
    with fresh_database.transaction() as connection:
        ids = [add_connection(connection, f"c-{n}", system="erpnext").id for n in (1, 2)]
    for id_ in ids:
        with closing(limiter_of(fresh_database, id_, Limits(), account="one")) as limiter:
            limiter.acquire()
    left = []
    for id_ in ids:
        with fresh_database.transaction() as connection:
            connection.execute("DELETE FROM erpflow.erp_connections WHERE id = %s", [id_])
            left.append(connection.execute("SELECT count(*) FROM erpflow.erp_rate_accounts").fetchone())
    assert left == [(1,), (0,)]


def test_a_connection_may_have_limits_of_its_own(database: Database, connection_id: ConnectionId) -> None:
    with closing(limiter_of(database, connection_id, Limits(per_hour=1000))) as limiter:
        limiter.acquire()
        with database.transaction() as connection:
            connection.execute(
                "UPDATE erpflow.erp_rate_limits SET per_hour = 2 WHERE connection_id = %s", [connection_id]
            )
        assert limiter.acquire() == 0
        assert limiter.acquire() > 3000


def test_a_tenant_with_many_workers_leaves_the_other_its_half(fresh_database: Database) -> None:
    with fresh_database.transaction() as connection:
        other = connection.execute(
            "INSERT INTO erpflow.erp_tenants (name, slug) VALUES ('Other', 'other') RETURNING id::text"
        ).fetchone()
        assert other
        big = add_connection(connection, "big", system="erpnext").id
        small = add_connection(connection, "small", system="erpnext", tenant_id=TenantId(str(other[0]))).id
    turns: list[ConnectionId] = []
    end = time.monotonic() + 4

    def work(id_: ConnectionId) -> None:
        with closing(PostgresLimiter(fresh_database, id_, Limits(per_second=15), account="one")) as limiter:
            while time.monotonic() < end:
                time.sleep(limiter.acquire())
                turns.append(id_)

    with ThreadPoolExecutor(7) as pool:
        for done in [pool.submit(work, id_) for id_ in (*[big] * 6, small)]:
            done.result()
    assert turns.count(small) > len(turns) / 4


KEEP_SLOTS = """
CREATE TABLE public.slots (moment double precision);
CREATE FUNCTION public.keep_slot() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.slots VALUES (extract(epoch FROM NEW.last_at));
    RETURN NULL;
END $$;
CREATE TRIGGER keep_slot AFTER UPDATE OF last_at ON erpflow.erp_rate_accounts
    FOR EACH ROW EXECUTE FUNCTION public.keep_slot()
"""


@pytest.mark.parametrize("per_hour", [None, 60])
def test_sixteen_processes_never_get_more_than_allowed_in_any_span(
    fresh_database: Database, per_hour: float | None
) -> None:
    with fresh_database.transaction() as connection:
        connection_id = add_connection(connection, "raced", system="erpnext").id
        connection.execute(KEEP_SLOTS)
    limits = {"per_second": 50.0, "per_hour": per_hour, "concurrent": 5}
    words = ["-m", "tests.limiting", fresh_database.url, connection_id, "16", "3", json.dumps(limits)]
    ended = subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=120, check=True)
    assert ended.stderr == ""
    under_way = [tuple(map(float, line.split())) for line in ended.stdout.splitlines()]
    with fresh_database.transaction() as connection:
        rows = connection.execute("SELECT moment FROM public.slots ORDER BY moment").fetchall()
    slots = [row[0] for row in rows]  # by the clock of Postgres, all processes together

    assert len(slots) == len(under_way) > 20
    assert all(slots[n + 50] - slots[n] >= 1.0 for n in range(len(slots) - 50))
    edges = sorted([(began, 1) for began, _ in under_way] + [(ended, -1) for _, ended in under_way])
    assert max(accumulate(step for _, step in edges)) <= 5
    if per_hour is not None:
        assert len(slots) == per_hour


def counted_at(database: Database) -> float:
    """Where the one request of the one account is counted, in seconds since 1970: the end of that span."""
    with database.transaction() as connection:
        row = connection.execute(
            "SELECT (second_newest - cardinality(second_used) + place + 1) / 80.0 FROM erpflow.erp_rate_accounts,"
            " unnest(second_used) WITH ORDINALITY AS spans (used, place) WHERE used > 0"
        ).fetchone()
    assert row
    return float(row[0])


def now_of(database: Database) -> float:
    with database.transaction() as connection:
        row = connection.execute("SELECT extract(epoch FROM clock_timestamp())::float8").fetchone()
    assert row
    return float(row[0])


@pytest.fixture
def alone(fresh_database: Database) -> ConnectionId:
    with fresh_database.transaction() as connection:
        return add_connection(connection, "alone", system="erpnext").id


def test_a_request_that_leaves_late_is_counted_when_it_leaves(fresh_database: Database, alone: ConnectionId) -> None:
    with closing(limiter_of(fresh_database, alone, Limits(per_second=10))) as limiter:
        limiter.acquire()
        time.sleep(0.1)
        before = now_of(fresh_database)
        assert limiter.leave() == 0
        assert before < counted_at(fresh_database)


def test_a_request_that_leaves_much_too_late_has_to_wait_for_another_turn(
    fresh_database: Database, alone: ConnectionId
) -> None:
    with closing(limiter_of(fresh_database, alone, Limits(per_second=0.1), patience=1.0)) as limiter:
        assert limiter.acquire() == 0
        time.sleep(0.6)
        assert limiter.leave() > 1


def test_a_request_that_was_answered_late_may_have_come_late(fresh_database: Database, alone: ConnectionId) -> None:
    with closing(limiter_of(fresh_database, alone, Limits(per_second=10))) as limiter:
        limiter.acquire()
        limiter.leave()
        time.sleep(0.1)
        before = now_of(fresh_database)
        limiter.done()
        assert before < counted_at(fresh_database)


def test_the_time_that_a_vendor_always_takes_is_not_lateness(fresh_database: Database, alone: ConnectionId) -> None:
    with closing(limiter_of(fresh_database, alone, Limits(per_second=10))) as limiter:
        limiter.acquire()
        with fresh_database.transaction() as connection:
            connection.execute("UPDATE erpflow.erp_rate_accounts SET quickest = 0.3")
        limiter.leave()
        left = now_of(fresh_database)
        time.sleep(0.3)
        limiter.done()
        assert counted_at(fresh_database) < left + 0.2


def test_a_vendor_that_counts_strictly_never_meets_more_than_it_allows(
    fresh_database: Database, alone: ConnectionId
) -> None:
    """Ten requests a second from sixteen processes, for ten seconds, while this machine does other things."""
    limits = json.dumps({"per_second": 10.0})
    with sink.running(per_second=10) as vendor:
        words = ["-m", "tests.limiting", fresh_database.url, alone, "16", "10", limits, "--send", vendor.url]
        ended = subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=120, check=True)
        met = vendor.measures()
    assert (ended.stdout, ended.stderr) == ("", "")
    assert met.busiest <= 10
    assert met.refused <= 0.005 * met.requests
    assert (met.requests - 1) / met.seconds > 0.8 * 10


def test_a_deleted_connection_is_named(database: Database) -> None:
    gone = ConnectionId("99999999-0000-0000-0000-000000000000")
    limiter = PostgresLimiter(database, gone, Limits(per_second=1))
    with pytest.raises(ConfigError, match=r"9{8}.*does not exist any more"):
        limiter.acquire()
    limiter.close()


def test_a_cut_connection_is_opened_again(database: Database, connection_id: ConnectionId) -> None:
    limiter = PostgresLimiter(database, connection_id, Limits(per_second=1000, concurrent=1))
    limiter.acquire()
    with database.connect(autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    limiter.done()
    assert limiter.acquire() < 1
    limiter.close()


def test_an_absent_postgres_is_a_reason_to_retry(database: Database) -> None:
    away = Database(database.url.replace(database.url.rsplit(":", 1)[1].split("/")[0], "1"))
    limiter = PostgresLimiter(away, ConnectionId("x"), Limits(per_second=1))
    with pytest.raises(DatabaseUnavailable, match="does not answer"):
        limiter.acquire()
    limiter.done()


def test_a_forked_worker_opens_a_connection_of_its_own(database: Database, connection_id: ConnectionId) -> None:
    limiter = PostgresLimiter(database, connection_id, Limits())
    limiter.acquire()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if limiter.acquire() == 0 else 2
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    # The parent's connection was not disturbed by the child's end.
    assert limiter.acquire() == 0
    limiter.close()
