"""Deletes of either side under every policy: how they are found, when a person is asked, and what remains."""

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
from erpflow.store import sync_logs
from erpflow.store.database import Database
from erpflow.store.deletes import DeleteWriter
from erpflow.store.sync_logs import RunSummary
from erpflow.sync import pull_deletes
from erpflow.sync.pull import finish
from erpflow.vocabulary import Counts, SyncLogId, SyncStatus, Window
from tests.engine import START
from tests.two_way import TwoWayConnector, TwoWayShop

ROWS = "SELECT name FROM app.customers ORDER BY name"
TIES = "SELECT remote_id, status, last_direction FROM erpflow.erp_entity_sync_records ORDER BY remote_id"
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def shop(fresh_database: Database, tmp_path: Path) -> TwoWayShop:
    """A shop that syncs both ways and deletes for real."""
    return TwoWayShop(fresh_database, tmp_path)


def policy(shop: TwoWayShop, deletes: str, *, mark: str | None = None, flag: str | None = None) -> None:
    """Another policy: `deletes` as the mapping writes it; `mark` a column here, `flag` a field there."""
    text = shop.mappings["customer"].replace("deletes: {pull: hard, push: hard}", f"deletes: {deletes}")
    if mark:
        kind = "boolean" if mark.startswith("is_") else "timestamptz"
        shop.do(f"ALTER TABLE app.customers ADD COLUMN IF NOT EXISTS {mark} {kind}")
        text = text.replace("modified: updated_at,", f"modified: updated_at, deleted: {mark},")
    if flag:
        text = text.replace("external_id: origin", f"external_id: origin, deleted: {{path: {flag}, value: 1}}")
    shop.use(text)


def sweeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The vendor has no list of what it deleted."""
    entities = {name: replace(spec, deleted_feed=False) for name, spec in TwoWayConnector.spec.entities.items()}
    monkeypatch.setattr(TwoWayConnector, "spec", replace(TwoWayConnector.spec, entities=entities))


def fill(shop: TwoWayShop, count: int) -> list[str]:
    """Records on both sides, agreed on."""
    made = [shop.vendor.put(name=f"Customer {n:03}", email=f"{n}@x.y", phone="1") for n in range(count)]
    shop.cycle(full=True)
    return made


def read_changes(shop: TwoWayShop, *, full: bool = True) -> RunSummary:
    return shop.pull(full=full)


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


@pytest.fixture(params=["feed", "sweep"])
def finding(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "sweep":
        sweeps(monkeypatch)
    return str(request.param)


def ask(shop: TwoWayShop) -> SyncLogId:
    """A full pull that asks before it deletes; its log."""
    log_id = shop.logs("customer", direction="pull", full=True)["pull"]
    with pytest.raises(DeletesNeedApproval):
        shop.pull_job(log_id).run_whole(TwoWayConnector(shop.vendor))
    return log_id


def answer(shop: TwoWayShop, log_id: SyncLogId, *, delete: bool) -> RunSummary:
    shop.pull_job(log_id).answered(delete).run_whole(TwoWayConnector(shop.vendor))
    return finish(shop.database, log_id)


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
