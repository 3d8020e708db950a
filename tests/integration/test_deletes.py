"""Deletes of either side under every policy: how they are found, what they do, and when a person is asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from erpflow.connectors.base import Page, PageToken
from erpflow.errors import ConfigError, DeletesNeedApproval
from erpflow.store.database import Database
from erpflow.sync.pull import finish
from erpflow.vocabulary import Counts, SyncStatus, Window
from tests.deletes import ROWS, TIES, answer, ask, fill, policy, read_changes, sweeps
from tests.engine import START
from tests.two_way import TwoWayConnector, TwoWayShop


@pytest.fixture
def shop(fresh_database: Database, tmp_path: Path) -> TwoWayShop:
    """A shop that syncs both ways and deletes for real."""
    return TwoWayShop(fresh_database, tmp_path)


# What a delete at the vendor does here


@pytest.mark.parametrize("direction", ["pull", "bidirectional"])
@pytest.mark.parametrize("found", ["feed", "sweep"])
@pytest.mark.parametrize(
    ("pull", "mark"), [("hard", None), ("soft", "deleted_at"), ("soft", "is_deleted"), ("ignore", None)]
)
def test_a_delete_at_the_vendor_does_what_the_mapping_says(
    shop: TwoWayShop, monkeypatch: pytest.MonkeyPatch, pull: str, mark: str | None, found: str, direction: str
) -> None:
    if found == "sweep":
        sweeps(monkeypatch)
    policy(shop, f"{{pull: {pull}, push: ignore}}", mark=mark)
    shop.configure(direction=direction)
    gone, _ = [shop.vendor.put(name=f"Customer {n}", email=f"{n}@x.y") for n in range(2)]
    shop.pull(full=True)
    shop.vendor.drop(gone)

    summary = read_changes(shop)

    kept = pull != "hard"
    assert summary.counts == Counts(read=1 if pull == "ignore" else 2, unchanged=1, deleted=int(pull != "ignore"))
    assert shop.rows(ROWS) == [("Customer 0",), ("Customer 1",)] if kept else [("Customer 1",)]
    assert [status for _, status, _ in shop.rows(TIES)] == ["synced" if pull == "ignore" else "deleted", "synced"]
    if mark:
        is_marked = f"{mark} IS NOT NULL" if mark == "deleted_at" else mark
        assert shop.rows(f"SELECT name FROM app.customers WHERE {is_marked}") == [("Customer 0",)]
    before = shop.rows("SELECT xmin::text FROM app.customers ORDER BY id")
    assert read_changes(shop).counts.deleted == 0
    assert shop.rows("SELECT xmin::text FROM app.customers ORDER BY id") == before


def test_lines_go_with_their_order(shop: TwoWayShop) -> None:
    buyer = shop.vendor.put(name="Acme", email="a@x.y")
    shop.cycle()
    shop.vendor.records.pop(buyer)
    lines = [{"line": 1, "sku": "A", "qty": "1"}]
    orders = [shop.vendor.put(number=f"O-{n}", customer=buyer, total="1", lines=lines) for n in range(2)]
    shop.pull("order")
    shop.vendor.drop(orders[0])
    assert shop.pull("order").counts == Counts(read=2, unchanged=1, deleted=1)
    assert shop.rows("SELECT count(*) FROM app.order_items") == [(1,)]


# What a delete here does at the vendor


@pytest.mark.parametrize(
    ("push", "flag", "counts", "there"),
    [
        ("hard", None, Counts(read=1, deleted=1), None),
        ("soft", "disabled", Counts(read=1, deleted=1), 1),
        ("ignore", None, Counts(read=1, ignored=1), 0),
    ],
)
@pytest.mark.parametrize("mark", [None, "deleted_at", "is_deleted"])
def test_a_delete_here_does_what_the_mapping_says(
    shop: TwoWayShop, push: str, flag: str | None, counts: Counts, there: int | None, mark: str | None
) -> None:
    policy(shop, f"{{pull: ignore, push: {push}}}", mark=mark, flag=flag)
    remote_id, _ = fill(shop, 2)
    marking = {"deleted_at": "deleted_at = now()", "is_deleted": "is_deleted = true"}.get(mark or "")
    where = "WHERE name = 'Customer 000'"
    shop.do(f"UPDATE app.customers SET {marking} {where}" if marking else f"DELETE FROM app.customers {where}")

    assert shop.push().counts == counts
    record = shop.vendor.records.get(remote_id)
    assert (record.get("disabled", 0) if record else None) == there
    # The vendor still lists what was not deleted for real; it stays deleted here.
    assert shop.push().counts == Counts()
    shop.pull(full=True)
    alive = (
        f"WHERE {'NOT coalesce(is_deleted, false)' if mark == 'is_deleted' else 'deleted_at IS NULL'}" if mark else ""
    )
    assert shop.rows(f"SELECT name FROM app.customers {alive}") == [("Customer 001",)]
    assert shop.push().counts == Counts()


def test_a_row_made_again_with_the_same_natural_key_meets_its_record(shop: TwoWayShop) -> None:
    policy(shop, "{pull: ignore, push: ignore}")
    (remote_id,) = fill(shop, 1)
    shop.do("DELETE FROM app.customers")
    shop.push()
    shop.do("INSERT INTO app.customers (name, email, phone) VALUES ('Customer 000', '0@x.y', '2')")

    for _ in range(3):
        shop.cycle(push_first=True)

    assert list(shop.vendor.records) == [remote_id]
    assert shop.rows("SELECT phone FROM app.customers") == [("2",)]
    assert shop.vendor.records[remote_id]["phone"] == "2"
    assert [(tied, status) for tied, status, _ in shop.rows(TIES)] == [(remote_id, "synced")]


# How deletes are found


def test_only_a_full_read_tells_what_is_missing(shop: TwoWayShop, monkeypatch: pytest.MonkeyPatch) -> None:
    sweeps(monkeypatch)
    gone, *_ = fill(shop, 3)
    shop.vendor.drop(gone)
    assert read_changes(shop, full=False).counts.deleted == 0
    assert shop.pull(since=START).counts.deleted == 0
    assert read_changes(shop).counts.deleted == 1


def test_a_record_that_is_asked_for_by_name_and_does_not_come_is_gone(shop: TwoWayShop) -> None:
    gone, kept, _ = fill(shop, 3)
    shop.vendor.drop(gone)
    assert shop.pull(record_ids=(gone, kept)).counts == Counts(read=2, unchanged=1, deleted=1)
    assert shop.rows(ROWS) == [("Customer 001",), ("Customer 002",)]


def test_a_record_without_a_key_makes_a_sweep_refuse(shop: TwoWayShop, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be the very one that is missing."""
    sweeps(monkeypatch)
    gone, *_ = fill(shop, 3)
    shop.vendor.drop(gone)
    shop.vendor.records["nameless"] = {"modified": shop.vendor.tick().isoformat(), "name": "No key"}
    with pytest.raises(ConfigError, match="what the vendor deleted cannot be told from what is missing"):
        read_changes(shop)
    assert len(shop.rows(ROWS)) == 3


def test_a_mapping_that_asks_for_a_list_the_vendor_does_not_have_is_told(
    shop: TwoWayShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweeps(monkeypatch)
    policy(shop, "{pull: hard, push: hard, find: feed}")
    with pytest.raises(ConfigError, match=r"has no list of deleted customer records\. Use sweep"):
        shop.pull()


def test_a_vendor_with_a_list_may_be_swept_all_the_same(shop: TwoWayShop) -> None:
    policy(shop, "{pull: hard, push: hard, find: sweep}")
    gone, *_ = fill(shop, 3)
    del shop.vendor.records[gone]  # and the list says nothing
    assert read_changes(shop).counts == Counts(read=3, unchanged=2, deleted=1)


def tells_the_time(monkeypatch: pytest.MonkeyPatch, clock: Callable[[], datetime]) -> None:
    """The vendor says with its list of deletes what time it has."""
    read_deleted = TwoWayConnector.read_deleted

    def dated(connector: TwoWayConnector, *arguments: Any, **options: Any) -> Iterator[Page]:
        for page in read_deleted(connector, *arguments, **options):
            yield replace(page, server_time=clock())

    monkeypatch.setattr(TwoWayConnector, "read_deleted", dated)


@pytest.mark.parametrize("skew", [timedelta(minutes=-20), timedelta(minutes=20)])
def test_a_delete_is_found_whatever_the_vendors_clock_says(
    shop: TwoWayShop, monkeypatch: pytest.MonkeyPatch, skew: timedelta
) -> None:
    """Deletes are dated by the vendor, so how far they are read is told by the vendor's clock too."""
    monkeypatch.setattr(shop.vendor, "tick", lambda: datetime.now(UTC) + skew)
    tells_the_time(monkeypatch, shop.vendor.tick)
    shop.do("UPDATE erpflow.erp_sync_configs SET overlap = '0'")
    made = fill(shop, 3)
    for remote_id in made:
        shop.vendor.drop(remote_id)
        assert shop.pull().counts.deleted == 1


def test_a_scheduled_run_that_comes_late_leaves_no_gap_between_its_interval_and_its_start(
    shop: TwoWayShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    tells_the_time(monkeypatch, lambda: datetime.now(UTC))
    gone, *_ = fill(shop, 3)
    now = datetime.now(UTC)
    shop.do(f"UPDATE erpflow.erp_sync_configs SET cursor_at = '{now - timedelta(hours=3)}', deletes_cursor_at = NULL")
    del shop.vendor.records[gone]
    shop.vendor.deleted = [(gone, now - timedelta(hours=1))]
    late = (now - timedelta(hours=3), now - timedelta(hours=2))
    log_id = shop.logs("customer", kind="scheduled", interval=late, cleared=True)["pull"]
    assert shop.pull_log(log_id).counts.deleted == 0
    assert shop.pull().counts.deleted == 1


def test_what_was_deleted_while_nobody_answered_is_asked_again(shop: TwoWayShop) -> None:
    """The cursor of the records goes on; that of the deletes stays until they are applied or come again."""
    made = fill(shop, 20)
    for remote_id in made[:5]:
        shop.vendor.drop(remote_id)
    shop.do("UPDATE erpflow.erp_sync_configs SET deletes_cursor_at = NULL")
    with pytest.raises(DeletesNeedApproval):
        shop.pull()
    shop.vendor.clock += timedelta(days=1)
    shop.vendor.put(name="New", email="new@x.y")
    with pytest.raises(DeletesNeedApproval):
        shop.pull()
    shop.vendor.clock += timedelta(days=1)
    assert shop.pull(allow_deletes=True).counts.deleted == 5


# When a person is asked


def test_more_deletes_than_the_mapping_allows_are_asked_about_and_all_else_is_applied(
    shop: TwoWayShop, finding: str
) -> None:
    made = fill(shop, 20)
    for remote_id in made[:3]:
        shop.vendor.drop(remote_id)
    shop.vendor.put(made[10], phone="2")
    log_id = shop.logs("customer", direction="pull", full=True)["pull"]

    with pytest.raises(DeletesNeedApproval, match="no longer has 3 of 20 records") as question:
        shop.pull_job(log_id).run_whole(TwoWayConnector(shop.vendor))

    assert (question.value.count, question.value.total, question.value.sample) == (3, 20, tuple(made[:3]))
    assert len(shop.rows(ROWS)) == 20
    assert shop.row(name="Customer 010", phone="2") is not None
    assert shop.rows("SELECT deletes_asked FROM erpflow.erp_sync_logs WHERE deletes_asked IS NOT NULL") == [
        ({"count": 3, "total": 20, "sample": made[:3]},)
    ]


def test_yes_deletes_them(shop: TwoWayShop, finding: str) -> None:
    made = fill(shop, 20)
    for remote_id in made[:3]:
        shop.vendor.drop(remote_id)
    summary = answer(shop, ask(shop), delete=True)
    assert (summary.status, summary.counts) == (SyncStatus.COMPLETED, Counts(read=20, unchanged=17, deleted=3))
    assert len(shop.rows(ROWS)) == 17


def test_no_keeps_them_and_the_next_run_asks_again(shop: TwoWayShop, finding: str) -> None:
    made = fill(shop, 20)
    for remote_id in made[:3]:
        shop.vendor.drop(remote_id)
    log_id = ask(shop)
    summary = answer(shop, log_id, delete=False)
    assert (summary.status, summary.counts) == (SyncStatus.COMPLETED, Counts(read=20, unchanged=17, ignored=3))
    assert answer(shop, log_id, delete=False).counts == summary.counts
    assert len(shop.rows(ROWS)) == 20
    ask(shop)


def test_one_delete_is_never_asked_about(shop: TwoWayShop, finding: str) -> None:
    made = fill(shop, 2)
    shop.vendor.drop(made[0])
    assert read_changes(shop).counts == Counts(read=2, unchanged=1, deleted=1)


def test_as_many_deletes_as_the_mapping_allows_are_not_asked_about(shop: TwoWayShop, finding: str) -> None:
    policy(shop, "{pull: hard, push: hard, at_most: 50%}")
    made = fill(shop, 10)
    for remote_id in made[:5]:
        shop.vendor.drop(remote_id)
    assert read_changes(shop).counts.deleted == 5
    for remote_id in made[5:8]:
        shop.vendor.drop(remote_id)
    ask(shop)


def test_an_empty_page_of_a_vendor_in_trouble_empties_no_table(
    shop: TwoWayShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweeps(monkeypatch)
    fill(shop, 20)

    def nothing(_self: object, _entity: str, _window: Window, *, resume: PageToken | None = None) -> Iterator[Page]:
        yield Page(json.dumps({"data": []}).encode(), 0, None)

    with pytest.MonkeyPatch.context() as trouble:
        trouble.setattr(TwoWayConnector, "read", nothing)
        trouble.setattr(TwoWayConnector, "read_many", lambda *_: Page(json.dumps({"data": []}).encode(), 0, None))
        log_id = ask(shop)
        assert answer(shop, log_id, delete=False).counts == Counts(read=20, ignored=20)
    assert read_changes(shop).counts == Counts(read=20, unchanged=20)


def test_more_deletes_here_than_the_mapping_allows_are_asked_about_too(shop: TwoWayShop) -> None:
    fill(shop, 20)
    shop.do("DELETE FROM app.customers WHERE name < 'Customer 003'")
    shop.do("UPDATE app.customers SET phone = '2' WHERE name = 'Customer 010'")
    log_id = shop.logs("customer", direction="push")["push"]
    with pytest.raises(DeletesNeedApproval, match="3 of 20 rows are gone here"):
        shop.push_job(log_id).run_whole()
    assert [kind for kind, _ in shop.vendor.writes] == ["update"]

    shop.push_job(log_id).answered(False).load()
    assert finish(shop.database, log_id).counts == Counts(read=4, updated=1, ignored=3)
    assert len(shop.vendor.records) == 20

    log_id = shop.logs("customer", direction="push")["push"]
    with pytest.raises(DeletesNeedApproval):
        shop.push_job(log_id).run_whole()
    shop.push_job(log_id).answered(True).load()
    assert finish(shop.database, log_id).counts == Counts(read=3, deleted=3)
    assert len(shop.vendor.records) == 17


def test_one_delete_here_is_never_asked_about(shop: TwoWayShop) -> None:
    fill(shop, 2)
    shop.do("DELETE FROM app.customers WHERE name = 'Customer 000'")
    assert shop.push().counts == Counts(read=1, deleted=1)
