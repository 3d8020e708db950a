"""Rejects get another try, and landed pages run through today's mapping: the vendor is asked for nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from erpflow.connectors.base import Page, PageToken
from erpflow.errors import ConfigError
from erpflow.store.database import Database
from erpflow.store.sync_logs import RunSummary
from erpflow.sync.pull import finish
from erpflow.vocabulary import Counts, SyncLogId, SyncStatus, Window
from tests.engine import CUSTOMER, Shop, ShopConnector, customer, order
from tests.two_way import TwoWayShop

OPEN = "SELECT remote_id FROM erpflow.erp_rejects WHERE status = 'open' ORDER BY remote_id"
ID_OF = "SELECT id::text FROM erpflow.erp_rejects WHERE coalesce(remote_id, local_id) = %s"
LOOSE = CUSTOMER.replace("required: true, max_length: 200", "default: Nameless")


@pytest.fixture
def shop(fresh_database: Database, tmp_path: Path) -> Shop:
    return Shop(fresh_database, tmp_path)


@pytest.fixture
def both_ways(fresh_database: Database, tmp_path: Path) -> TwoWayShop:
    return TwoWayShop(fresh_database, tmp_path)


class Silent(ShopConnector):
    """A vendor that must not be asked for records."""

    def read(self, entity: str, window: Window, *, resume: PageToken | None = None) -> Iterator[Page]:
        raise AssertionError("the vendor was asked")


def again(shop: Shop, *, by_stages: bool = False, **request: Any) -> RunSummary:
    """One run that finds everything in the landing area or among the rejects."""
    log_id = shop.plan(**request)
    job, vendor = shop.job(log_id), Silent([])
    if by_stages:
        job.extract(vendor)
        job.transform()
        job.load()
    else:
        job.run_whole(vendor)
    return finish(shop.database, log_id)


def reject_id(shop: Shop, name: str) -> str:
    return str(shop.rows(ID_OF, name)[0][0])


def cursor(shop: Shop) -> Any:
    return shop.rows("SELECT cursor_at FROM erpflow.erp_sync_configs WHERE entity = 'customer'")[0][0]


# -- rejects of a pull ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_stages", [False, True])
def test_just_the_named_rejects_are_tried_and_the_cursor_stays(shop: Shop, *, by_stages: bool) -> None:
    shop.sync([customer(1, name=None), customer(2, name=None), customer(3)])
    before = cursor(shop)
    shop.write_mapping("customer", LOOSE)
    ended = again(shop, by_stages=by_stages, reject_ids=(reject_id(shop, "C000002"),))
    assert (ended.kind, ended.status) == ("retry", SyncStatus.COMPLETED)
    assert ended.counts == Counts(read=1, created=1)
    assert shop.rows(OPEN) == [("C000001",)]
    assert cursor(shop) == before
    assert shop.rows("SELECT name FROM app.customers ORDER BY id DESC LIMIT 1") == [("Nameless",)]


def test_a_reject_that_is_still_wrong_stays_open_and_keeps_what_was_wrong_before(shop: Shop) -> None:
    shop.sync([customer(1, name=None)])
    shop.write_mapping("customer", LOOSE.replace("scale: 2", "scale: 2, min: 1000"))
    ended = again(shop, reject_ids=(reject_id(shop, "C000001"),))
    assert (ended.status, ended.counts) == (SyncStatus.PARTIAL, Counts(read=1, rejected=1))
    assert shop.rows("SELECT problems -> 0 ->> 'rule', attempts, status FROM erpflow.erp_rejects") == [
        ("min", 2, "open")
    ]
    assert shop.rows("SELECT problems -> 0 ->> 'rule' FROM erpflow.erp_reject_payloads") == [("required",)]


def test_a_changed_mapping_tries_all_rejects_with_the_next_run_and_once(shop: Shop) -> None:
    shop.sync([customer(1, name=None), customer(2, name=None), customer(3)])
    assert shop.sync([]).counts == Counts()
    shop.write_mapping("customer", LOOSE)
    assert shop.sync([]).counts == Counts(read=2, created=2)
    assert shop.rows(OPEN) == []
    assert shop.sync([]).counts == Counts()


def test_a_reject_whose_record_comes_anyway_is_read_once_and_as_it_is_now(shop: Shop) -> None:
    shop.sync([customer(1, name=None)])
    shop.write_mapping("customer", LOOSE)
    newer = customer(1, name="Mended", modified="2026-01-02T00:00:00+00:00")
    assert shop.sync([newer]).counts == Counts(read=1, created=1)
    assert shop.rows("SELECT name FROM app.customers") == [("Mended",)]
    assert shop.rows(OPEN) == []


def test_a_reject_without_a_key_is_closed_once_the_mapping_finds_one(shop: Shop) -> None:
    shop.sync([customer(1, id=None, code="K1")])
    shop.write_mapping("customer", CUSTOMER.replace("key: id, modified: modified}", "key: code, modified: modified}"))
    assert shop.sync([]).counts == Counts(read=1, created=1)
    assert shop.rows("SELECT status FROM erpflow.erp_rejects") == [("resolved",)]


def test_an_order_is_tried_again_once_customers_have_come(shop: Shop) -> None:
    shop.sync([order(1, buyer=1)], "order")
    assert shop.rows(OPEN) == [("O000001",)]
    assert shop.sync([], "order").counts == Counts()
    shop.sync([customer(1)])
    assert shop.sync([], "order").counts == Counts(read=1, created=1)
    assert shop.rows(OPEN) == []


def test_a_dry_run_tries_rejects_and_leaves_them(shop: Shop) -> None:
    shop.sync([customer(1, name=None)])
    shop.write_mapping("customer", LOOSE)
    assert again(shop, reject_ids=(reject_id(shop, "C000001"),), dry_run=True).counts == Counts(read=1, created=1)
    assert shop.rows("SELECT count(*) FROM app.customers") == [(0,)]
    assert shop.rows(OPEN) == [("C000001",)]


def test_rejects_of_others_and_closed_ones_are_no_reason_to_run(shop: Shop) -> None:
    shop.sync([customer(1, name=None)])
    shop.do("UPDATE erpflow.erp_rejects SET status = 'discarded', resolved_at = now()")
    with pytest.raises(ConfigError, match="None of these rejects is an open one of an active sync of shop customer"):
        shop.plan(reject_ids=(reject_id(shop, "C000001"),))


@pytest.mark.parametrize(
    "request_", [{"reject_ids": ("a",), "record_ids": ("b",)}, {"replay": SyncLogId("a"), "reject_ids": ("b",)}]
)
def test_a_request_names_one_thing(shop: Shop, request_: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="Leave all but one out"):
        shop.plan(**request_)


# -- rejects of a push ---------------------------------------------------------------------------------------------


def test_a_row_that_the_vendor_refused_is_sent_again_when_a_person_says_so(both_ways: TwoWayShop) -> None:
    shop = both_ways
    shop.vendor.put("R0", name="First", email="first@x.y", phone="unique")
    shop.cycle()
    shop.do("INSERT INTO app.customers (name, email, credit_limit) VALUES ('Acme', 'a@x.y', -1)")
    assert shop.push().counts == Counts(read=1, rejected=1)
    assert shop.push().counts == Counts()
    (key,) = shop.rows("SELECT local_id FROM erpflow.erp_rejects")[0]

    logs = shop.logs("customer", reject_ids=(reject_id(shop, key),))
    assert list(logs) == ["push"]
    shop.push_job(logs["push"]).run_whole()
    assert finish(shop.database, logs["push"]).counts == Counts(read=1, rejected=1)
    assert shop.rows("SELECT attempts, status FROM erpflow.erp_rejects") == [(2, "open")]


def test_a_changed_mapping_sends_refused_rows_again_however_long_they_have_not_changed(both_ways: TwoWayShop) -> None:
    shop = both_ways
    shop.cycle()
    shop.do("INSERT INTO app.customers (name, email, credit_limit) VALUES ('Acme', 'a@x.y', -1)")
    assert shop.push().counts == Counts(read=1, rejected=1)
    shop.do("UPDATE erpflow.erp_sync_configs SET local_cursor_at = now() + interval '1 hour'")
    assert shop.push().counts == Counts()
    shop.use(shop.mappings["customer"].replace("type: number, scale: 2}", "type: number, scale: 2, only: pull}"))
    assert shop.push().counts == Counts(read=1, created=1)
    assert shop.rows(OPEN) == []


def test_an_order_is_sent_once_its_customer_is_known_to_the_vendor(both_ways: TwoWayShop) -> None:
    shop = both_ways
    shop.cycle()
    shop.cycle("order")
    shop.do("INSERT INTO app.customers (name, email) VALUES ('Acme', 'a@x.y')")
    shop.do("INSERT INTO app.orders (number, customer_id, grand_total) SELECT 'O-1', id, 5 FROM app.customers")
    assert shop.push("order").counts == Counts(read=1, rejected=1)
    assert shop.push("order").counts == Counts()
    shop.do("UPDATE erpflow.erp_sync_configs SET local_cursor_at = now() + interval '1 hour' WHERE entity = 'order'")
    assert shop.push("customer").counts == Counts(read=1, created=1)
    assert shop.push("order").counts == Counts(read=1, created=1)
    assert shop.rows("SELECT status FROM erpflow.erp_rejects") == [("resolved",)]


# -- landed pages --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_stages", [False, True])
def test_landed_pages_run_through_todays_mapping(shop: Shop, *, by_stages: bool) -> None:
    landed = shop.sync([customer(n) for n in range(1, 251)]).log_id
    before = cursor(shop)
    shop.write_mapping("customer", CUSTOMER.replace("remote: name, type: text", "remote: name, transform: upper"))
    ended = again(shop, by_stages=by_stages, replay=landed)
    assert (ended.kind, ended.status, ended.counts) == ("replay", SyncStatus.COMPLETED, Counts(read=250, updated=250))
    assert shop.rows("SELECT count(*) FROM app.customers WHERE name LIKE 'CUSTOMER %%'") == [(250,)]
    assert cursor(shop) == before
    assert again(shop, replay=landed).counts == Counts(read=250, unchanged=250)


def test_what_is_newer_here_than_a_landed_record_stays(shop: Shop) -> None:
    landed = shop.sync([customer(1), customer(2)]).log_id
    shop.sync([customer(1, name="Newer", modified="2026-01-02T00:00:00+00:00")])
    shop.write_mapping("customer", CUSTOMER.replace("remote: name, type: text", "remote: name, transform: upper"))
    assert again(shop, replay=landed).counts == Counts(read=2, updated=1, ignored=1)
    assert shop.rows("SELECT name FROM app.customers ORDER BY id") == [("Newer",), ("CUSTOMER 2",)]


def test_clearing_the_transform_runs_the_same_pages_through_the_changed_mapping(shop: Shop) -> None:
    log_id = shop.plan()
    job = shop.job(log_id)
    job.extract(ShopConnector([customer(n) for n in range(1, 11)]))
    job.transform()
    job.load()
    assert finish(shop.database, log_id).counts == Counts(read=10, created=10)
    shop.write_mapping("customer", CUSTOMER.replace("remote: name, type: text", "remote: name, transform: upper"))
    cleared = shop.job(log_id)
    cleared.transform()
    cleared.load()
    assert finish(shop.database, log_id).counts == Counts(read=10, updated=10)


def test_a_dry_replay_says_what_would_change_and_writes_nothing(shop: Shop) -> None:
    landed = shop.sync([customer(1)]).log_id
    shop.write_mapping("customer", CUSTOMER.replace("remote: name, type: text", "remote: name, transform: upper"))
    assert again(shop, replay=landed, dry_run=True).counts == Counts(read=1, updated=1)
    assert shop.rows("SELECT name FROM app.customers") == [("Customer 1",)]


def test_pages_that_are_not_all_there_are_not_replayed_and_not_touched(shop: Shop) -> None:
    landed = shop.sync([customer(n) for n in range(1, 251)]).log_id
    folder = shop.folder / "landing" / "shop" / "customer" / landed
    whole = (folder / "page-000002.json").read_bytes()
    (folder / "page-000002.json").write_bytes(whole[:-20])
    with pytest.raises(ConfigError, match=r"Page 2 of sync log .* is damaged"):
        again(shop, replay=landed)
    (folder / "page-000002.json").write_bytes(whole)
    assert again(shop, replay=landed).counts == Counts(read=250, unchanged=250)
    (folder / "extracted.json").unlink()
    with pytest.raises(ConfigError, match="its extract did not finish, or the retention has removed them"):
        again(shop, replay=landed)
    assert not (folder / "extracted.json").exists()


def test_a_log_that_is_not_there_is_named(shop: Shop) -> None:
    with pytest.raises(ConfigError, match="There is no sync log nonsense of a pull"):
        shop.plan(replay=SyncLogId("nonsense"))


def test_without_modification_times_a_replay_that_later_pulls_have_overtaken_is_refused(shop: Shop) -> None:
    timeless = CUSTOMER.replace("key: id, modified: modified}", "key: id}")
    shop.write_mapping("customer", timeless)
    landed = shop.sync([customer(1)]).log_id
    assert again(shop, replay=landed).counts == Counts(read=1, unchanged=1)
    shop.sync([customer(1, name="Newer")])
    with pytest.raises(ConfigError, match="Later pulls have been applied"):
        again(shop, replay=landed)
    assert shop.rows("SELECT name FROM app.customers") == [("Newer",)]


def test_the_payload_of_a_reject_is_kept_in_each_version(shop: Shop) -> None:
    shop.sync([customer(1, name=None)])
    shop.sync([customer(1, name=None, phone="+91 1", modified="2026-01-02T00:00:00+00:00")])
    kept = shop.rows(
        "SELECT payload FROM erpflow.erp_reject_payloads UNION ALL SELECT payload FROM erpflow.erp_rejects"
    )
    assert [json.loads(payload)["phone"] for (payload,) in kept] == [None, "+91 1"]
