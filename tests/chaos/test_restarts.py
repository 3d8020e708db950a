"""Postgres is shut down at once (`pg_ctl -m immediate`) in the middle of COPY and of commits, and comes back.

Nothing is lost, nothing is applied or sent twice, the error says what to do, and the very same run goes on when it is
tried again. The server is one of these tests' own, and as durable as one that serves people.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from threading import Event, Lock, Thread
from typing import Any

import psycopg
import pytest

from erpflow.errors import DatabaseUnavailable
from erpflow.store import attempts, sync_logs
from erpflow.store.database import Database
from erpflow.store.migrate import upgrade
from erpflow.sync import push_settle, transform
from erpflow.sync.pull import finish
from erpflow.vocabulary import SyncLogId
from stack.postgres import EmbeddedPostgres
from tests.chaos.scale import SCALE
from tests.two_way import TwoWayConnector, TwoWayShop

CUSTOMERS = 120
CHUNK = 40

TIMES = 2
"""So often each moment comes at least, also on the first day."""

SIDES = "SELECT email, name, phone FROM app.customers"
OPEN = "SELECT count(*) FROM erpflow.erp_push_attempts WHERE state IN ('planned', 'sent', 'unknown')"
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"


class Cluster:
    """A server that can be cut off at the moment that a test chooses."""

    def __init__(self, folder: Path) -> None:
        # Its own processes go, not the machine: what was handed to the kernel is kept, so fsync is not what is tested.
        settings = {"fsync": "off", "shared_buffers": "32MB", "max_connections": "40"}
        self._postgres = EmbeddedPostgres(folder / "postgres", settings=settings, tell=lambda _: None)
        self.url = self._postgres.start().url
        self.restarts = 0
        self._watcher: Thread | None = None

    def cut_off(self) -> None:
        """Shut down without a word to anybody, and start again: the server recovers from what it had written."""
        cluster = self._postgres._cluster()
        done = cluster.run("pg_ctl", "-D", str(cluster.data), "-m", "immediate", "-w", "stop")
        assert done.returncode == 0, done.stdout
        (cluster.data / "postgresql.auto.conf").write_text("")  # nobody is waited for any more
        self._postgres.start()
        self.restarts += 1

    def cut_off_in_commit(self) -> None:
        """Cut off once somebody is within a commit: it is on disk by then, but whoever asked for it never hears so."""
        with psycopg.connect(self.url, autocommit=True) as admin:
            admin.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
            admin.execute("SELECT pg_reload_conf()")
            self._wait_with_a_commit(admin)
        self._watcher = Thread(target=self._cut_off_once_somebody_waits)
        self._watcher.start()

    def _wait_with_a_commit(self, admin: psycopg.Connection[Any]) -> None:
        """The server heeds its settings when it comes to it: it has once a commit of ours has had to wait."""
        has_waited, deadline = Event(), time.monotonic() + 30

        def commit() -> None:
            while not has_waited.is_set():
                own.execute("SELECT pg_logical_emit_message(true, 'restarts', '')")

        with psycopg.connect(self.url, autocommit=True) as own:
            committing = Thread(target=commit)
            committing.start()
            while admin.execute(WAITING).fetchone() == (0,):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            has_waited.set()
            admin.execute("SELECT pg_cancel_backend(%s)", (own.info.backend_pid,))
            committing.join()

    def _cut_off_once_somebody_waits(self) -> None:
        deadline = time.monotonic() + 30
        with psycopg.connect(self.url, autocommit=True) as admin:
            while admin.execute(WAITING).fetchone() == (0,) and time.monotonic() < deadline:
                time.sleep(0.01)
        self.cut_off()

    def is_back(self) -> bool:
        """Wait for the restart that is under way; whether the server answers again."""
        if self._watcher is not None:
            self._watcher.join()
        return self._postgres.pid() is not None

    def discard(self) -> None:
        self._postgres.discard()


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with tempfile.TemporaryDirectory(prefix="erpflow-restarts-") as folder:
        Path(folder).chmod(0o711)  # the unprivileged user that runs the server for root must get in
        found = Cluster(Path(folder))
        try:
            yield found
        finally:
            found.discard()


def _half_a_copy(cluster: Cluster, call: Callable[..., Any], copy: psycopg.Copy[Any], payload: bytes) -> None:
    call(copy, payload[: len(payload) // 2])
    cluster.cut_off()
    call(copy, payload[len(payload) // 2 :])


def _before_the_commit(cluster: Cluster, call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    done = call(*arguments, **options)
    cluster.cut_off()
    return done


def _within_the_commit(cluster: Cluster, call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    done = call(*arguments, **options)
    cluster.cut_off_in_commit()
    return done


# the direction, owner of the last function that is called before, its name, and what happens when it is called
MOMENTS: dict[str, tuple[str, Any, str, Callable[..., Any]]] = {
    "in the middle of COPY": ("pull", psycopg.Copy, "write", _half_a_copy),
    "before a chunk is committed": ("pull", sync_logs, "add_counts", _before_the_commit),
    "while a chunk is committed": ("pull", sync_logs, "add_counts", _within_the_commit),
    "before attempts are committed": ("push", attempts, "record", _before_the_commit),
    "while attempts are committed": ("push", attempts, "record", _within_the_commit),
    "before outcomes are committed": ("push", sync_logs, "add_pushed", _before_the_commit),
    "while outcomes are committed": ("push", sync_logs, "add_pushed", _within_the_commit),
}


@contextmanager
def cutting_off(cluster: Cluster, moment: str, *, number: int) -> Iterator[None]:
    """Cut the server off at a moment, the `number`th time it comes."""
    _, owner, name, act = MOMENTS[moment]
    original, lock, calls = getattr(owner, name), Lock(), 0

    def guarded(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        with lock:  # several workers push
            calls += 1
            is_it = calls == number
        return act(cluster, original, *arguments, **options) if is_it else original(*arguments, **options)

    setattr(owner, name, guarded)
    try:
        yield
    finally:
        setattr(owner, name, original)


class Company:
    """People on both sides, each with fields of their own: what one side writes is never the other's to undo."""

    def __init__(self, shop: TwoWayShop, dice: Random) -> None:
        self.shop = shop
        self.dice = dice
        self.made = 0

    def work(self) -> Counter[str]:
        """A day's work; how many records were made on each side."""
        vendor, made = self.shop.vendor, Counter[str]()
        for remote_id in self.dice.sample(sorted(vendor.records), len(vendor.records) // 2):
            vendor.put(remote_id, phone=self._new("phone"))
        for _ in range(CUSTOMERS):
            vendor.put(name=self._new("name"), email=self._new("remote"), phone=self._new("phone"))
            made["pull"] += 1
        self.shop.do(f"UPDATE app.customers SET name = name || '+' WHERE id % 5 = {self.dice.randrange(5)}")
        self.shop.do(
            "INSERT INTO app.customers (name, email) SELECT 'Customer ' || n, n || '@local' FROM"
            f" generate_series({self.made + 1}, {self.made + CUSTOMERS}) n"
        )
        self.made += CUSTOMERS
        made["push"] += CUSTOMERS
        return made

    def _new(self, what: str) -> str:
        self.made += 1
        return f"{what} {self.made}"


def run(shop: TwoWayShop, log_id: SyncLogId, direction: str) -> None:
    """What a task does, and does again when it is tried again."""
    if direction == "pull":
        shop.pull_job(log_id).run_whole(TwoWayConnector(shop.vendor))
    else:
        shop.push_job(log_id).run_whole()


@pytest.mark.timeout(SCALE.timeout_s)
def test_a_server_that_is_cut_off_in_copy_and_in_commits_loses_nothing_and_applies_nothing_twice(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transform, "CHUNK_RECORDS", CHUNK)
    monkeypatch.setattr(push_settle, "GRACE", push_settle.GRACE * 0)
    upgrade(Database(cluster.url), demo_tables=True)
    shop, dice = TwoWayShop(Database(cluster.url), tmp_path), Random(SCALE.seed)
    company, moments = Company(shop, dice), list(MOMENTS)
    for round_number in range(SCALE.restarts):
        if round_number % len(moments) == 0:
            dice.shuffle(moments)
        moment = moments[round_number % len(moments)]
        made = company.work()
        for direction in ("pull", "push"):
            log_id = shop.logs("customer", direction=direction)[direction]
            if direction == MOMENTS[moment][0]:
                with (
                    cutting_off(cluster, moment, number=dice.randint(1, TIMES)),
                    pytest.raises(DatabaseUnavailable, match=r"nothing is half done|does not answer"),
                ):
                    run(shop, log_id, direction)
                assert cluster.is_back()
            run(shop, log_id, direction)
            summary = finish(shop.database, log_id)
            assert (summary.status, summary.error) == ("completed", None), moment
            assert summary.counts.read == summary.counts.accounted, moment
            assert summary.counts.created == made[direction], moment
        there = Counter((row["email"], row["name"], row.get("phone")) for row in shop.vendor.records.values())
        assert Counter(shop.rows(SIDES)) == there, moment
        assert set(there.values()) == {1}, moment
        assert shop.rows(OPEN) == [(0,)], moment
    assert cluster.restarts == SCALE.restarts
    SCALE.tell(f"Postgres cut off {cluster.restarts} times: {there.total():,} records on both sides, each once")
