"""A connection's limits hold for all workers together."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from itertools import pairwise

import pytest

from erpflow.errors import ConfigError, DatabaseUnavailable
from erpflow.store.connections import add_connection
from erpflow.store.database import Database
from erpflow.store.rate_limits import PostgresLimiter
from erpflow.vocabulary import ConnectionId


@dataclass(frozen=True)
class Limits:
    per_second: float | None


@pytest.fixture
def connection_id(database: Database, request: pytest.FixtureRequest) -> ConnectionId:
    with database.transaction() as connection:
        return add_connection(connection, request.node.name, system="erpnext").id


def test_slots_are_as_far_apart_as_the_rate_says(database: Database, connection_id: ConnectionId) -> None:
    limiter = PostgresLimiter(database, connection_id, Limits(per_second=2))
    waits = [limiter.acquire() for _ in range(4)]
    assert waits[0] == 0
    # Each wait is half a second more than the one before, less the time that passed between the two calls.
    assert all(0 < after - before <= 0.5 for before, after in pairwise(waits))
    assert waits[3] > 1.0
    limiter.close()


def test_an_idle_connection_saves_nothing_up(database: Database, connection_id: ConnectionId) -> None:
    limiter = PostgresLimiter(database, connection_id, Limits(per_second=1000))
    limiter.acquire()
    time.sleep(0.05)
    assert limiter.acquire() == 0
    slow = PostgresLimiter(database, connection_id, Limits(per_second=1))
    assert slow.acquire() == pytest.approx(0, abs=0.001)
    assert slow.acquire() > 0.5
    limiter.close()
    slow.close()


def test_a_vendor_without_a_rate_is_limited_by_pauses_only(database: Database, connection_id: ConnectionId) -> None:
    limiter = PostgresLimiter(database, connection_id, Limits(per_second=None))
    assert [limiter.acquire() for _ in range(50)] == [0] * 50
    limiter.pause(20)
    assert 15 < limiter.acquire() <= 20
    limiter.close()


def test_a_pause_holds_for_every_worker_and_a_shorter_one_does_not_end_it(
    database: Database, connection_id: ConnectionId
) -> None:
    mine = PostgresLimiter(database, connection_id, Limits(per_second=10))
    theirs = PostgresLimiter(database, connection_id, Limits(per_second=10))
    mine.pause(20)
    theirs.pause(1)
    waits = [theirs.acquire(), mine.acquire(), theirs.acquire()]
    assert waits[0] > 15
    # What waits for the end of the pause leaves at the vendor's rate, not all at once.
    assert waits[0] < waits[1] < waits[2]
    mine.close()
    theirs.close()


def test_a_wait_beyond_the_patience_is_told_and_reserves_nothing(
    database: Database, connection_id: ConnectionId
) -> None:
    limiter = PostgresLimiter(database, connection_id, Limits(per_second=10), patience=5)
    limiter.pause(60)
    assert all(55 < limiter.acquire() <= 60 for _ in range(100))
    limiter.close()


@pytest.mark.parametrize("seconds", [float("inf"), 1e300, 1e9])
def test_an_absurd_pause_ends_after_a_day(database: Database, connection_id: ConnectionId, seconds: float) -> None:
    limiter = PostgresLimiter(database, connection_id, Limits(per_second=1))
    limiter.pause(seconds)
    assert limiter.acquire() <= 24 * 3600
    limiter.close()


@pytest.mark.parametrize("seconds", [0.0, -5.0, float("nan")])
def test_a_pause_of_no_time_changes_nothing(database: Database, connection_id: ConnectionId, seconds: float) -> None:
    limiter = PostgresLimiter(database, connection_id, Limits(per_second=1))
    limiter.pause(seconds)
    assert limiter.acquire() == 0
    limiter.close()


def test_two_connections_do_not_share_a_limit(database: Database) -> None:
    with database.transaction() as connection:
        ids = [add_connection(connection, f"apart-{n}", system="erpnext").id for n in (1, 2)]
    limiters = [PostgresLimiter(database, id_, Limits(per_second=1)) for id_ in ids]
    assert [limiter.acquire() for limiter in limiters] == [0, 0]
    for limiter in limiters:
        limiter.close()


def test_eight_threads_get_every_slot_once_and_each_its_share(database: Database, connection_id: ConnectionId) -> None:
    interval, each, workers = 0.01, 20, 8
    slots: dict[int, list[float]] = {n: [] for n in range(workers)}
    barrier = threading.Barrier(workers)

    def work(number: int) -> None:
        limiter = PostgresLimiter(database, connection_id, Limits(per_second=1 / interval))
        barrier.wait()
        for _ in range(each):
            wait = limiter.acquire()
            slots[number].append(time.monotonic() + wait)
            time.sleep(wait)
        limiter.close()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = sorted(slot for mine in slots.values() for slot in mine)
    assert len(taken) == workers * each
    # All together take at least as long as the vendor's rate allows; the noise of one reading is no excuse for more.
    assert taken[-1] - taken[0] >= (workers * each - 1) * interval - 0.1
    # Fair: nobody is done before everybody has had at least half of their turns.
    first_done = min(mine[-1] for mine in slots.values())
    assert all(sum(slot <= first_done for slot in mine) >= each // 2 for mine in slots.values())


def test_processes_share_one_limit(database: Database, connection_id: ConnectionId) -> None:
    program = (
        "import sys; from types import SimpleNamespace as N; from erpflow.store.database import Database; "
        "from erpflow.store.rate_limits import PostgresLimiter; "
        "l = PostgresLimiter(Database(sys.argv[1]), sys.argv[2], N(per_second=1), patience=1000); "
        "print(sum(l.acquire() > 0 for _ in range(10)))"
    )
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", program, database.url, connection_id], stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    waited = [int(worker.communicate(timeout=60)[0]) for worker in workers]
    # Thirty slots a second apart: only the very first is free, however the three interleave.
    assert sum(waited) == 29


def test_a_deleted_connection_is_named(database: Database) -> None:
    gone = ConnectionId("99999999-0000-0000-0000-000000000000")
    limiter = PostgresLimiter(database, gone, Limits(per_second=1))
    with pytest.raises(ConfigError, match=r"9{8}.*does not exist any more"):
        limiter.acquire()
    limiter.close()


def test_a_cut_connection_is_opened_again(database: Database, connection_id: ConnectionId) -> None:
    limiter = PostgresLimiter(database, connection_id, Limits(per_second=1000))
    limiter.acquire()
    with database.connect(autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert limiter.acquire() == pytest.approx(0, abs=0.01)
    limiter.close()


def test_an_absent_postgres_is_a_reason_to_retry(database: Database) -> None:
    away = Database(database.url.replace(database.url.rsplit(":", 1)[1].split("/")[0], "1"))
    with pytest.raises(DatabaseUnavailable, match="does not answer"):
        PostgresLimiter(away, ConnectionId("x"), Limits(per_second=1)).acquire()


def test_a_forked_worker_opens_a_connection_of_its_own(database: Database, connection_id: ConnectionId) -> None:
    limiter = PostgresLimiter(database, connection_id, Limits(per_second=None))
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
