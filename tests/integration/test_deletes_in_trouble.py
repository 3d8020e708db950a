"""Deletes that meet more than a row: records that come back, both sides at once, rows that cannot go, dry runs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from erpflow.store import sync_logs
from erpflow.store.database import Database
from erpflow.store.deletes import DeleteWriter
from erpflow.store.sync_logs import RunSummary
from erpflow.sync import pull_deletes
from erpflow.sync.pull import finish
from erpflow.vocabulary import Counts, SyncLogId, SyncStatus
from tests.deletes import ROWS, TIES, ask, fill, policy, read_changes
from tests.two_way import TwoWayConnector, TwoWayShop


@pytest.fixture
def shop(fresh_database: Database, tmp_path: Path) -> TwoWayShop:
    """A shop that syncs both ways and deletes for real."""
    return TwoWayShop(fresh_database, tmp_path)


# Tombstones


def test_a_page_that_was_read_before_the_delete_does_not_bring_the_record_back(shop: TwoWayShop) -> None:
    gone, _ = fill(shop, 2)
    late = shop.logs("customer", direction="pull", full=True)["pull"]
    job = shop.pull_job(late)
    shop.vendor.put(gone, phone="2")
    job.extract(TwoWayConnector(shop.vendor))
    shop.vendor.drop(gone)
    shop.pull()
    assert len(shop.rows(ROWS)) == 1

    job.transform()
    job.load()

    assert finish(shop.database, late).counts == Counts(read=2, unchanged=1, ignored=1)
    assert shop.rows(ROWS) == [("Customer 001",)]


def test_a_page_that_was_read_before_the_delete_is_replayed_without_bringing_the_record_back(shop: TwoWayShop) -> None:
    gone, _ = fill(shop, 2)
    landed = shop.pull(full=True).log_id
    shop.vendor.drop(gone)
    shop.pull()

    assert shop.pull(replay=landed).counts == Counts(read=2, unchanged=1, ignored=1)
    assert shop.rows(ROWS) == [("Customer 001",)]


def test_a_record_that_is_listed_again_later_comes_back(shop: TwoWayShop, finding: str) -> None:
    gone, _ = fill(shop, 2)
    kept = dict(shop.vendor.records[gone])
    shop.vendor.drop(gone)
    read_changes(shop)
    shop.vendor.put(gone, **{name: value for name, value in kept.items() if name not in ("id", "modified")})
    assert read_changes(shop).counts == Counts(read=2, created=1, unchanged=1)
    assert shop.rows(ROWS) == [("Customer 000",), ("Customer 001",)]
    assert shop.push().counts == Counts()
    assert len(shop.vendor.records) == 2


def test_a_record_that_was_only_marked_here_loses_its_mark_when_it_is_listed_again(
    shop: TwoWayShop, finding: str
) -> None:
    policy(shop, "{pull: soft, push: hard}", mark="deleted_at")
    gone, _ = fill(shop, 2)
    row = shop.rows("SELECT id FROM app.customers WHERE name = 'Customer 000'")
    shop.vendor.drop(gone)
    read_changes(shop)
    shop.vendor.put(gone, name="Customer 000", email="0@x.y", phone="9")
    read_changes(shop)
    assert shop.rows("SELECT id FROM app.customers WHERE phone = '9' AND deleted_at IS NULL") == row
    assert shop.push().counts == Counts()


def test_a_record_deleted_and_made_again_with_its_id_between_two_runs_stays(shop: TwoWayShop, finding: str) -> None:
    again, _ = fill(shop, 2)
    shop.vendor.drop(again)
    shop.vendor.put(again, name="Customer 000", email="0@x.y", phone="2")
    shop.cycle(full=True)
    shop.cycle(full=True)
    assert shop.rows("SELECT name, phone FROM app.customers ORDER BY name") == [
        ("Customer 000", "2"),
        ("Customer 001", "1"),
    ]
    assert len(shop.vendor.records) == 2


def test_a_record_made_again_stays_also_where_the_vendor_does_not_date_its_deletes(
    shop: TwoWayShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list says that it was deleted; the pages of the same run, read later, that it is there."""
    split = TwoWayConnector.split_deleted.__func__  # type: ignore[attr-defined]

    def undated(cls: type, entity: str, raw: bytes, *, zone: str) -> list[Any]:
        return [replace(deletion, deleted_at=None) for deletion in split(cls, entity, raw, zone=zone)]

    monkeypatch.setattr(TwoWayConnector, "split_deleted", classmethod(undated))
    again, gone, _ = fill(shop, 3)
    shop.vendor.drop(again)
    shop.vendor.put(again, name="Customer 000", email="0@x.y", phone="2")
    shop.vendor.drop(gone)
    assert shop.pull().counts.deleted == 1
    assert shop.rows(ROWS) == [("Customer 000",), ("Customer 002",)]


def test_a_record_restored_at_the_vendor_meets_the_row_that_was_made_here_meanwhile(
    shop: TwoWayShop, finding: str
) -> None:
    gone, _ = fill(shop, 2)
    shop.vendor.drop(gone)
    read_changes(shop)
    shop.do("INSERT INTO app.customers (name, email, phone) VALUES ('Customer 000', '0@x.y', '1')")
    shop.vendor.put(gone, name="Customer 000", email="0@x.y", phone="1")
    shop.cycle(full=True)
    assert len(shop.rows(ROWS)) == len(shop.vendor.records) == 2


def test_a_row_that_is_no_longer_marked_as_deleted_is_made_at_the_vendor_again(shop: TwoWayShop) -> None:
    policy(shop, "{pull: soft, push: hard}", mark="deleted_at")
    gone, _ = fill(shop, 2)
    shop.vendor.drop(gone)
    shop.pull()
    shop.do("UPDATE app.customers SET deleted_at = NULL")
    assert shop.push().counts == Counts(read=1, created=1)
    assert len(shop.vendor.records) == 2


# Both sides


def test_a_record_deleted_on_both_sides_is_no_conflict_although_the_row_was_changed_and_only_marked(
    shop: TwoWayShop, finding: str
) -> None:
    policy(shop, "{pull: soft, push: hard}", mark="deleted_at")
    shop.configure(conflict="manual")
    gone, _ = fill(shop, 2)
    shop.vendor.drop(gone)
    shop.do("UPDATE app.customers SET phone = 'ours', deleted_at = '2026-01-02' WHERE name = 'Customer 000'")
    marked = shop.rows("SELECT xmin::text FROM app.customers WHERE deleted_at IS NOT NULL")
    assert read_changes(shop).counts.deleted == 1
    assert shop.conflicts() == []
    assert shop.rows("SELECT xmin::text FROM app.customers WHERE deleted_at = '2026-01-02'") == marked
    assert shop.push().counts == Counts()


def test_what_waited_for_a_person_is_settled_when_it_is_gone_on_both_sides(shop: TwoWayShop, finding: str) -> None:
    shop.configure(conflict="manual")
    gone, _ = fill(shop, 2)
    shop.vendor.put(gone, phone="theirs")
    shop.do("UPDATE app.customers SET phone = 'ours' WHERE name = 'Customer 000'")
    shop.pull()
    assert shop.conflicts("open") == [("both_updated", None, "open")]
    shop.do("DELETE FROM app.customers WHERE name = 'Customer 000'")
    shop.vendor.drop(gone)
    read_changes(shop)
    assert shop.conflicts("open") == []
    assert shop.rows(TIES)[0][1] == "deleted"


def test_a_delete_that_waits_for_a_person_counts_once_for_each_run_that_meets_it(
    shop: TwoWayShop, finding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pull_deletes, "BATCH", 1)
    shop.configure(conflict="manual")
    made = fill(shop, 20)
    for remote_id in made[:2]:
        shop.vendor.drop(remote_id)
    shop.do("UPDATE app.customers SET phone = 'ours' WHERE name < 'Customer 002'")
    log_id = shop.logs("customer", direction="pull", full=True)["pull"]
    kill_in_the_middle(shop, log_id, monkeypatch)

    shop.pull_job(log_id).run_whole(TwoWayConnector(shop.vendor))

    assert finish(shop.database, log_id).counts == Counts(read=20, unchanged=18, conflict=2)


# Rows that cannot go


def refer_to(shop: TwoWayShop, name: str) -> None:
    shop.do(
        f"INSERT INTO app.orders (number, customer_id) SELECT 'O-{name}', id FROM app.customers WHERE name = '{name}'"
    )


def test_a_row_that_others_refer_to_is_a_reject_and_goes_once_they_are_gone(shop: TwoWayShop, finding: str) -> None:
    made = fill(shop, 20)
    refer_to(shop, "Customer 000")
    for remote_id in made[:2]:
        shop.vendor.drop(remote_id)

    summary = read_changes(shop)

    assert (summary.status, summary.counts) == (
        SyncStatus.PARTIAL,
        Counts(read=20, unchanged=18, deleted=1, rejected=1),
    )
    assert shop.rows("SELECT remote_id, stage, status, problems -> 0 ->> 'rule' FROM erpflow.erp_rejects") == [
        (made[0], "delete", "open", "orders_customer_id_fkey")
    ]
    assert shop.rows(TIES)[:2] == [(made[0], "synced", "pull"), (made[1], "deleted", "pull")]

    shop.do("DELETE FROM app.orders; UPDATE erpflow.erp_rejects SET last_seen_at = now() - interval '2 hours'")
    assert shop.pull(full=finding == "sweep").counts.deleted == 1
    assert shop.rows("SELECT status FROM erpflow.erp_rejects") == [("resolved",)]
    assert len(shop.rows(ROWS)) == 18


def test_a_delete_that_wins_over_a_change_here_and_cannot_be_done_is_one_reject(shop: TwoWayShop, finding: str) -> None:
    shop.configure(conflict="remote_wins")
    gone, _ = fill(shop, 2)
    refer_to(shop, "Customer 000")
    shop.do("UPDATE app.customers SET phone = 'ours' WHERE name = 'Customer 000'")
    shop.vendor.drop(gone)
    assert read_changes(shop).counts == Counts(read=2, unchanged=1, rejected=1)
    assert shop.conflicts() == []
    shop.do("DELETE FROM app.orders; UPDATE erpflow.erp_rejects SET last_seen_at = now() - interval '2 hours'")
    assert shop.pull(full=finding == "sweep").counts.conflict == 1
    assert shop.conflicts() == [("local_updated_remote_deleted", "remote", "resolved")]


def test_refused_deletes_count_once_although_the_step_was_killed_between_two_batches(
    shop: TwoWayShop, finding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pull_deletes, "BATCH", 1)
    made = fill(shop, 20)
    refer_to(shop, "Customer 000")
    for remote_id in made[:2]:
        shop.vendor.drop(remote_id)
    log_id = shop.logs("customer", direction="pull", full=True)["pull"]
    kill_in_the_middle(shop, log_id, monkeypatch)

    shop.pull_job(log_id).run_whole(TwoWayConnector(shop.vendor))

    assert finish(shop.database, log_id).counts == Counts(read=20, unchanged=18, deleted=1, rejected=1)


def test_a_refused_delete_is_not_tried_again_once_the_mapping_ignores_deletes(shop: TwoWayShop) -> None:
    made = fill(shop, 20)
    refer_to(shop, "Customer 000")
    shop.vendor.drop(made[0])
    shop.pull()
    shop.do("DELETE FROM app.orders; UPDATE erpflow.erp_rejects SET last_seen_at = now() - interval '2 hours'")
    policy(shop, "{pull: ignore, push: ignore}")
    assert shop.pull().counts.deleted == 0
    assert len(shop.rows(ROWS)) == 20


def test_a_rejected_record_that_is_gone_at_the_vendor_is_not_tried_again(shop: TwoWayShop, finding: str) -> None:
    """With a mapping that takes it, it would come into being here although it is not there any more."""
    shop.vendor.clock = datetime.now(UTC)
    bad, rejected_later, _ = (shop.vendor.put(name=name, email=f"{name}@x.y") for name in (None, "B", "C"))
    shop.pull(full=True)
    shop.vendor.put(rejected_later, name=None)
    shop.pull(full=True)
    assert shop.rows("SELECT count(*) FROM erpflow.erp_rejects WHERE status = 'open'") == [(2,)]
    shop.vendor.clock += timedelta(hours=1)
    shop.vendor.drop(bad)
    shop.vendor.drop(rejected_later)
    shop.pull(full=True, allow_deletes=True)

    assert shop.rows("SELECT status FROM erpflow.erp_rejects") == [("resolved",)] * 2
    shop.use(shop.mappings["customer"].replace("required: true, ", "default: nameless, "))
    shop.cycle()
    assert shop.rows(ROWS) == [("C",)]


def test_a_record_that_was_made_again_and_rejected_stays_a_reject(shop: TwoWayShop) -> None:
    """The delete in the list is of its predecessor, which goes here too; the new one is kept until it is mended."""
    shop.vendor.clock = datetime.now(UTC) - timedelta(hours=1)
    again, _ = fill(shop, 2)
    shop.vendor.drop(again)
    shop.vendor.put(again, name=None, email="0@x.y")
    shop.pull()
    shop.pull()
    assert shop.rows("SELECT remote_id, status FROM erpflow.erp_rejects") == [(again, "open")]
    shop.vendor.put(again, name="Again")
    shop.pull()
    assert shop.rows(ROWS) == [("Again",), ("Customer 001",)]


class Killed(BaseException):
    """The worker is gone."""


def kill_in_the_middle(shop: TwoWayShop, log_id: SyncLogId, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a pull whose worker dies when the first batch of deletes is committed."""
    take, batches = DeleteWriter.take, iter(range(1))

    def take_once(writer: DeleteWriter, most: int) -> Any:
        if next(batches, None) is None:
            raise Killed
        return take(writer, most)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(DeleteWriter, "take", take_once)
        shop.pull_job(log_id).run_whole(TwoWayConnector(shop.vendor))


# Dry runs


def test_a_dry_run_says_what_would_be_deleted_asks_nothing_and_deletes_nothing(shop: TwoWayShop, finding: str) -> None:
    made = fill(shop, 4)
    for remote_id in made[:2]:
        shop.vendor.drop(remote_id)
    summary = shop.pull(full=True, dry_run=True)
    assert (summary.status, summary.counts) == (SyncStatus.COMPLETED, Counts(read=4, unchanged=2, deleted=2))
    assert len(shop.rows(ROWS)) == 4
    assert planned(shop, summary) == [("pull", "deleted", made[0]), ("pull", "deleted", made[1])]
    assert shop.rows("SELECT count(*) FROM erpflow.erp_sync_logs WHERE deletes_asked IS NOT NULL") == [(0,)]
    assert [status for _, status, _ in shop.rows(TIES)] == ["synced"] * 4
    ask(shop)


def test_a_dry_push_says_what_would_be_deleted_and_deletes_nothing(shop: TwoWayShop) -> None:
    made = fill(shop, 4)
    shop.do("DELETE FROM app.customers WHERE name < 'Customer 002'")
    summary = shop.push(dry_run=True)
    assert summary.counts == Counts(read=2, deleted=2)
    assert planned(shop, summary) == [("push", "deleted", made[0]), ("push", "deleted", made[1])]
    assert len(shop.vendor.records) == 4


def planned(shop: TwoWayShop, summary: RunSummary) -> list[tuple[str, str, str]]:
    with shop.database.session() as connection:
        plan = sync_logs.plan_of(connection, summary.log_id)
    return [(change["direction"], change["change"], change["remote_id"]) for change in plan]
