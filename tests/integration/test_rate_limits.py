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


# Rates are slow and pauses long here: a busy machine may stall for seconds without making a test wrong.


def test_slots_are_as_far_apart_as_the_rate_says(database: Database, connection_id: ConnectionId) -> None:
    limiter = PostgresLimiter(database, connection_id, Limits(per_second=0.01), patience=1000)
    waits = [limiter.acquire() for _ in range(4)]
    assert waits[0] == 0
    # Each wait is a hundred seconds more than the one before, less the time that passed between the two calls.
    assert all(50 < after - before <= 100 for before, after in pairwise(waits))
    limiter.close()


def test_an_idle_connection_saves_nothing_up(database: Database, connection_id: ConnectionId) -> None:
    limiter = PostgresLimiter(database, connection_id, Limits(per_second=0.01), patience=1000)
    limiter.acquire()
    with database.transaction() as connection:
        connection.execute("UPDATE erpflow.erp_rate_limits SET next_at = now() - interval '1 day'")
    assert limiter.acquire() == 0
    assert limiter.acquire() > 50
    limiter.close()


def test_a_vendor_without_a_rate_is_limited_by_pauses_only(database: Database, connection_id: ConnectionId) -> None:
    limiter = PostgresLimiter(database, connection_id, Limits(per_second=None))
    assert [limiter.acquire() for _ in range(50)] == [0] * 50
    limiter.pause(1000)
    assert 500 < limiter.acquire() <= 1000
    limiter.close()


def test_a_pause_holds_for_every_worker_and_a_shorter_one_does_not_end_it(
    database: Database, connection_id: ConnectionId
) -> None:
    mine, theirs = (PostgresLimiter(database, connection_id, Limits(per_second=0.01), patience=5000) for _ in range(2))
    mine.pause(1000)
    theirs.pause(1)
    waits = [theirs.acquire(), mine.acquire(), theirs.acquire()]
    assert waits[0] > 500
    # What waits for the end of the pause leaves at the vendor's rate, not all at once.
    assert all(50 < after - before <= 100 for before, after in pairwise(waits))
    mine.close()
    theirs.close()


def test_a_wait_beyond_the_patience_is_told_and_reserves_nothing(
    database: Database, connection_id: ConnectionId
) -> None:
    limiter = PostgresLimiter(database, connection_id, Limits(per_second=0.01), patience=5)
    limiter.pause(1000)
    assert all(500 < limiter.acquire() <= 1000 for _ in range(100))
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
    turns: list[int] = []
    barrier = threading.Barrier(workers)
    with database.transaction() as connection:
        began = connection.execute("SELECT clock_timestamp()").fetchone()
    assert began

    def work(number: int) -> None:
        limiter = PostgresLimiter(database, connection_id, Limits(per_second=1 / interval))
        barrier.wait()
        for _ in range(each):
            time.sleep(limiter.acquire())
            turns.append(number)
        limiter.close()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.transaction() as connection:
        row = connection.execute(
            "SELECT granted, extract(epoch FROM next_at - %s)::float8 FROM erpflow.erp_rate_limits"
            " WHERE connection_id = %s",
            [began[0], connection_id],
        ).fetchone()
    assert row
    assert row[0] == workers * each
    # By the clock of Postgres, all slots together take what the vendor's rate says, or longer.
    assert row[1] >= workers * each * interval
    # Fair: when the first is done, everybody has had a fair part of their turns.
    first_done = next(n for n in range(len(turns)) if turns[: n + 1].count(turns[n]) == each)
    assert all(turns[: first_done + 1].count(number) >= each // 4 for number in range(workers))


def test_processes_share_one_limit(database: Database, connection_id: ConnectionId) -> None:
    program = (
        "import sys; from types import SimpleNamespace as N; from erpflow.store.database import Database; "
        "from erpflow.store.rate_limits import PostgresLimiter; "
        "l = PostgresLimiter(Database(sys.argv[1]), sys.argv[2], N(per_second=0.01), patience=100000); "
        "print(sum(l.acquire() > 0 for _ in range(10)))"
    )
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", program, database.url, connection_id], stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    waited = [int(worker.communicate(timeout=60)[0]) for worker in workers]
    # Thirty slots far apart: only the very first is free, however the three interleave.
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
    assert limiter.acquire() < 1
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
