"""Runs of one config that meet: pushes that looked at once, killed ones that others clear up behind, pulls in between.

What was found is checked again when it is sent, and what is not known yet is looked up before it is taken for news.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from erpflow.connectors.base import Change
from erpflow.errors import UnsettledWrites, VendorUnavailable
from erpflow.store import locks
from erpflow.store import push as store
from erpflow.store.database import Database
from erpflow.sync import push_settle
from erpflow.sync.engine import Engine
from erpflow.sync.pull import finish
from erpflow.vocabulary import Counts, SyncLogId, SyncStatus
from tests.two_way import TwoWayConnector, TwoWayShop

MANY = "INSERT INTO app.customers (name, email) SELECT 'Customer ' || n, n || '@x.y' FROM generate_series(1, {}) n"
OPEN = "SELECT count(*) FROM erpflow.erp_push_attempts WHERE state IN ('planned', 'sent', 'unknown')"


class Killed(BaseException):
    """The worker is gone: nothing of it runs any more."""


@pytest.fixture
def shop(fresh_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TwoWayShop:
    monkeypatch.setattr(push_settle, "GRACE", push_settle.GRACE * 0)
    return TwoWayShop(fresh_database, tmp_path)


def healthy(_change: Change) -> None:
    return None


def by_email(shop: TwoWayShop) -> Counter[str]:
    return Counter(str(record["email"]) for record in shop.vendor.records.values())


def kill_a_push(shop: TwoWayShop) -> None:
    """A push whose worker dies between the vendor's commit and ours."""

    def kill(_change: Change) -> None:
        raise Killed

    shop.vendor.after_write = kill
    with pytest.raises(Killed):
        shop.push_job(push_log(shop)).run_whole()
    shop.vendor.after_write = healthy


def push_log(shop: TwoWayShop) -> SyncLogId:
    return shop.logs("customer", direction="push")["push"]


def without_natural_key(shop: TwoWayShop) -> None:
    shop.use(shop.mappings["customer"].replace(", match_on: [email]", ""))


def engine(shop: TwoWayShop) -> Engine:
    return Engine(
        database=shop.database,
        connector_class=lambda _: TwoWayConnector,
        connect=lambda _run: shop.connected(),
        landing_root=shop.folder / "landing",
        mappings=shop.folder / "mappings",
    )


# Pushes


@pytest.mark.parametrize("natural_key", [True, False])
def test_what_a_killed_push_had_created_is_not_created_again_by_the_next(shop: TwoWayShop, natural_key: bool) -> None:
    if not natural_key:
        without_natural_key(shop)
    shop.do(MANY.format(3))
    kill_a_push(shop)

    assert shop.push().counts == Counts()
    assert by_email(shop) == {"1@x.y": 1, "2@x.y": 1, "3@x.y": 1}
    # What was created counts for the run that recorded it, also what it was killed before it could send.
    assert shop.rows(
        "SELECT read_count, created_count FROM erpflow.erp_sync_logs WHERE direction = 'push' ORDER BY started_at"
    ) == [(3, 3), (0, 0)]


def test_two_pushes_that_looked_at_once_send_every_row_once(shop: TwoWayShop) -> None:
    without_natural_key(shop)
    shop.do(MANY.format(3))
    logs = [push_log(shop), push_log(shop)]
    for log_id in logs:
        shop.push_job(log_id).extract()
        shop.push_job(log_id).transform()
    for log_id in logs:
        shop.push_job(log_id).load()

    assert [finish(shop.database, log_id).counts for log_id in logs] == [Counts(read=3, created=3), Counts()]
    assert by_email(shop) == {"1@x.y": 1, "2@x.y": 1, "3@x.y": 1}


def test_a_push_that_was_overtaken_does_not_send_an_older_row(shop: TwoWayShop) -> None:
    remote_id = shop.vendor.put(name="Acme", email="a@x.y", phone="1")
    shop.cycle()
    shop.configure(direction="push")  # no version is checked at the vendor
    shop.do("UPDATE app.customers SET phone = '2'")
    late = push_log(shop)
    shop.push_job(late).extract()
    shop.push_job(late).transform()
    shop.do("UPDATE app.customers SET phone = '3'")
    shop.push()

    shop.push_job(late).load()

    assert shop.vendor.records[remote_id]["phone"] == "3"
    assert [kind for kind, _ in shop.vendor.writes] == ["update"]
    assert shop.push().counts == Counts()


def test_refused_rows_of_a_second_round_are_kept_too(shop: TwoWayShop) -> None:
    """Batches are numbered anew in each round; what of them is not sent is noted once for each batch."""
    remote_id = shop.vendor.put(name="Acme", email="a@x.y", phone="1")
    shop.cycle()
    shop.do("INSERT INTO app.customers (name, email) VALUES (repeat('x', 201), 'b@x.y')")
    shop.do("UPDATE app.customers SET phone = '2' WHERE email = 'a@x.y'")

    def change_both(_change: Change) -> None:
        shop.vendor.before_write = healthy
        shop.vendor.put(remote_id, city="Pune")
        shop.do("UPDATE app.customers SET name = repeat('y', 201) WHERE email = 'a@x.y'")

    shop.vendor.before_write = change_both
    summary = shop.push()

    assert summary.counts == Counts(read=2, rejected=2)
    assert shop.rows("SELECT count(*) FROM erpflow.erp_rejects WHERE status = 'open'") == [(2,)]


# A config that only pushes


def test_an_update_that_never_arrived_is_sent_again_by_a_config_that_only_pushes(shop: TwoWayShop) -> None:
    """It reads nothing, so nothing can be compared: what may not have arrived is sent once more."""
    remote_id = shop.vendor.put(name="Acme", email="a@x.y", phone="1")
    shop.cycle()
    shop.configure(direction="push")
    shop.do("UPDATE app.customers SET phone = '2'")
    failures = iter([VendorUnavailable("504")])

    def lose(_change: Change) -> None:
        if (error := next(failures, None)) is not None:
            raise error

    shop.vendor.before_write = lose
    assert shop.push().counts == Counts(read=1, updated=1)
    assert shop.vendor.records[remote_id]["phone"] == "2"


def test_a_field_that_is_only_pushed_and_never_arrived_is_sent_again(shop: TwoWayShop) -> None:
    shop.use(
        shop.mappings["customer"].replace("{local: phone, remote: phone,", "{local: phone, remote: phone, only: push,")
    )
    remote_id = shop.vendor.put(name="Acme", email="a@x.y")
    shop.cycle()
    shop.do("UPDATE app.customers SET phone = '2'")
    failures = iter([VendorUnavailable("504")])

    def lose(_change: Change) -> None:
        if (error := next(failures, None)) is not None:
            raise error

    shop.vendor.before_write = lose
    shop.push()
    assert shop.vendor.records[remote_id]["phone"] == "2"


def test_a_record_that_is_gone_is_made_again_by_a_config_that_only_pushes(shop: TwoWayShop) -> None:
    remote_id = shop.vendor.put(name="Acme", email="a@x.y", phone="1")
    shop.cycle()
    shop.configure(direction="push")
    shop.vendor.drop(remote_id)
    shop.do("UPDATE app.customers SET phone = '2'")

    assert shop.push().counts == Counts(read=1, created=1)
    (record,) = shop.vendor.records.values()
    assert (record["email"], record["phone"]) == ("a@x.y", "2")
    assert shop.push().counts == Counts()


def test_a_record_that_is_gone_is_left_alone_where_nothing_may_be_created(shop: TwoWayShop) -> None:
    remote_id = shop.vendor.put(name="Acme", email="a@x.y", phone="1")
    shop.cycle()
    shop.configure(direction="push")
    shop.use(shop.mappings["customer"] + "writes: [update]\n")
    shop.vendor.drop(remote_id)
    shop.do("UPDATE app.customers SET phone = '2'")

    assert shop.push().counts == Counts(read=1, ignored=1)
    assert shop.vendor.records == {}
    assert shop.rows("SELECT ignored_reasons FROM erpflow.erp_sync_logs WHERE ignored_count > 0") == [
        ({"gone at the vendor, or changed there again and again": 1},)
    ]


# Pulls beside pushes


def test_a_pull_beside_a_push_that_is_alive_does_not_settle_its_writes(shop: TwoWayShop) -> None:
    shop.do(MANY.format(1))
    kill_a_push(shop)
    log_id = push_log(shop)
    with shop.database.session() as alive:
        locks.hold_push(alive, shop.run_of(log_id).config_id)
        assert shop.push_job(log_id).settle_open() is False
        assert shop.rows(OPEN) == [(1,)]
    assert shop.push_job(log_id).settle_open() is True
    assert shop.rows(OPEN) == [(0,)]


def test_a_pull_does_not_take_for_strangers_what_a_push_that_was_killed_meanwhile_had_created(shop: TwoWayShop) -> None:
    """Without a natural key nothing would tell that the record is the row's."""
    without_natural_key(shop)
    shop.do(MANY.format(2))
    log_id = shop.logs("customer", direction="pull")["pull"]
    job = shop.pull_job(log_id)
    kill_a_push(shop)
    with pytest.raises(UnsettledWrites, match="looked up at the vendor before anything is applied"):
        job.run_whole(TwoWayConnector(shop.vendor))

    summary = engine(shop).run(log_id)

    assert summary.counts == Counts(read=1, unchanged=1)
    assert shop.rows("SELECT count(*) FROM app.customers") == [(2,)]
    assert shop.push().counts == Counts()
    assert len(shop.vendor.records) == 2


def test_a_chunk_waits_until_a_push_knows_what_became_of_its_writes(
    shop: TwoWayShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_natural_key(shop)
    shop.do(MANY.format(1))
    pushing, settled = threading.Event(), threading.Event()

    def lose_the_answer(_change: Change) -> None:
        raise VendorUnavailable("504")

    shop.vendor.after_write = lose_the_answer
    settle_all = push_settle.Settler.settle_all

    def settle_late(settler: push_settle.Settler) -> Any:
        pushing.set()
        settled.wait(20)
        return settle_all(settler)

    monkeypatch.setattr(push_settle.Settler, "settle_all", settle_late)
    push = threading.Thread(target=shop.push)
    push.start()
    assert pushing.wait(20)
    assert shop.rows(OPEN) == [(1,)]
    threading.Timer(0.5, settled.set).start()

    assert shop.pull().counts == Counts(read=1, unchanged=1)

    push.join(20)
    assert shop.rows("SELECT count(*) FROM app.customers") == [(1,)]


def test_a_record_that_was_written_and_could_not_be_read_is_read_before_the_push_ends(shop: TwoWayShop) -> None:
    """What the vendor makes of our values is its word for them, and no change of its own."""
    shop.vendor.answers_with_record = False
    shop.vendor.normalise = lambda record: record | {"name": str(record["name"]).upper()}
    shop.do(MANY.format(3))
    failures = iter([VendorUnavailable("504")])
    read_many = TwoWayConnector.read_many

    def unreadable(connector: TwoWayConnector, entity: str, remote_ids: Any) -> Any:
        if (error := next(failures, None)) is not None:
            raise error
        return read_many(connector, entity, remote_ids)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TwoWayConnector, "read_many", unreadable)
        assert shop.push().counts == Counts(read=3, created=3)
    assert shop.pull().counts == Counts(read=3, unchanged=3)
    assert shop.rows("SELECT name FROM app.customers ORDER BY id LIMIT 1") == [("Customer 1",)]
    assert len(shop.vendor.records) == 3


# One step of one log


def test_pages_of_one_log_are_read_by_one_worker_however_many_are_started(
    shop: TwoWayShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two at once would mix what they read: the page behind one's third is not the page behind the other's."""
    for n in range(250):
        shop.vendor.put(name=f"Theirs {n}", email=f"theirs{n}@x.y")
    log_id = shop.logs("customer", direction="pull")["pull"]
    read, reads = TwoWayConnector.read, []

    def counted(connector: TwoWayConnector, *arguments: Any, **options: Any) -> Any:
        reads.append(arguments)
        return read(connector, *arguments, **options)

    monkeypatch.setattr(TwoWayConnector, "read", counted)
    three_times(lambda: shop.pull_job(log_id).run_whole(TwoWayConnector(shop.vendor)))

    assert len(reads) == 1
    summary = finish(shop.database, log_id)
    assert (summary.status, summary.counts) == (SyncStatus.COMPLETED, Counts(read=250, created=250))


def test_rows_of_one_log_are_looked_at_by_one_worker_however_many_are_started(
    shop: TwoWayShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.do(MANY.format(250))
    log_id = push_log(shop)
    changed_rows, looks = store.changed_rows, []

    def counted(*arguments: Any, **options: Any) -> Any:
        looks.append(arguments)
        return changed_rows(*arguments, **options)

    monkeypatch.setattr(store, "changed_rows", counted)
    three_times(lambda: shop.push_job(log_id).extract())
    three_times(lambda: shop.push_job(log_id).transform())

    assert len(looks) == 1
    assert shop.push_job(log_id).load() == Counts(read=250, created=250)
    assert len(shop.vendor.records) == 250


def three_times(step: Callable[[], object]) -> None:
    """Run a step in three threads at once. Raises what one of them raised."""
    with ThreadPoolExecutor(3) as workers:
        for done in [workers.submit(step) for _ in range(3)]:
            done.result()
