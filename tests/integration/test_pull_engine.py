"""The pull engine against a real Postgres: what lands, what is counted, what stays untouched."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from erpflow.errors import ConfigError
from erpflow.store.database import Database
from erpflow.sync.pull import finish
from erpflow.vocabulary import Counts, SyncStatus
from tests.engine import CUSTOMER, START, Shop, ShopConnector, customer, order


@pytest.fixture
def shop(fresh_database: Database, tmp_path: Path) -> Shop:
    return Shop(fresh_database, tmp_path)


def test_a_first_load_creates_a_row_and_a_sync_record_for_every_record(shop: Shop) -> None:
    summary = shop.sync([customer(n) for n in range(250)])

    assert summary.status is SyncStatus.COMPLETED
    assert summary.counts == Counts(read=250, created=250)
    assert shop.rows("SELECT count(*) FROM app.customers") == [(250,)]
    assert shop.rows(
        "SELECT name, email, phone, city, credit_limit::text FROM app.customers WHERE name = 'Customer 7'"
    ) == [("Customer 7", "customer7@example.com", None, "Ljubljana", "7.50")]
    assert shop.rows(
        "SELECT r.remote_id, r.remote_version FROM erpflow.erp_entity_sync_records r"
        " JOIN app.customers c ON c.id::text = r.local_id WHERE c.name = 'Customer 7'"
    ) == [("C000007", (START + timedelta(seconds=7)).isoformat())]


def test_a_sync_of_what_has_not_changed_writes_no_business_row(shop: Shop) -> None:
    records = [customer(n) for n in range(250)]
    shop.sync(records)
    before = shop.rows("SELECT id, xmin::text, updated_at FROM app.customers ORDER BY id")

    summary = shop.sync(records, full=True)

    assert summary.counts == Counts(read=250, unchanged=250)
    assert shop.rows("SELECT id, xmin::text, updated_at FROM app.customers ORDER BY id") == before


def test_only_the_rows_that_differ_are_written(shop: Shop) -> None:
    shop.sync([customer(n) for n in range(100)])
    untouched = shop.rows("SELECT xmin::text FROM app.customers WHERE name = 'Customer 50'")
    changed = customer(7, name="Renamed", modified=(START + timedelta(hours=1)).isoformat())

    summary = shop.sync([*(customer(n) for n in range(100) if n != 7), changed], full=True)

    assert summary.counts == Counts(read=100, updated=1, unchanged=99)
    assert shop.rows("SELECT name FROM app.customers WHERE email = 'customer7@example.com'") == [("Renamed",)]
    assert shop.rows("SELECT xmin::text FROM app.customers WHERE name = 'Customer 50'") == untouched


def test_a_change_of_something_unmapped_is_unchanged_and_not_looked_at_twice(shop: Shop) -> None:
    shop.sync([customer(1)])
    before = shop.rows("SELECT xmin::text FROM app.customers")
    touched = customer(1, color="red", modified=(START + timedelta(hours=1)).isoformat())

    assert shop.sync([touched], full=True).counts == Counts(read=1, unchanged=1)
    assert shop.rows("SELECT xmin::text FROM app.customers") == before
    assert shop.rows("SELECT remote_version FROM erpflow.erp_entity_sync_records") == [(touched["modified"],)]


def test_a_version_older_than_the_applied_one_is_ignored_and_counted(shop: Shop) -> None:
    newer = customer(1, name="Newer", modified=(START + timedelta(hours=2)).isoformat())
    shop.sync([newer])

    summary = shop.sync([customer(1, name="Older")], full=True)

    assert summary.counts == Counts(read=1, ignored=1)
    assert shop.rows("SELECT name FROM app.customers") == [("Newer",)]
    assert shop.rows("SELECT ignored_reasons FROM erpflow.erp_sync_logs WHERE ignored_count > 0") == [
        ({"older than what is applied": 1},)
    ]


def test_the_cursor_stays_before_the_start_of_a_read_however_long_that_takes(shop: Shop) -> None:
    """A row that is committed late, behind a page that was read, carries a time of then: the next run asks for it."""
    log_id = shop.plan()
    records = [customer(1), customer(2, modified=datetime.now(UTC).isoformat())]
    shop.job(log_id).run_whole(ShopConnector(records))
    assert finish(shop.database, log_id).counts == Counts(read=2, created=2)
    assert shop.rows("SELECT cursor_at FROM erpflow.erp_sync_configs WHERE entity = 'customer'") == [
        (START + timedelta(seconds=1),)
    ]


def test_a_record_dated_in_the_year_9999_does_not_keep_its_own_correction_out(shop: Shop) -> None:
    shop.sync([customer(1, modified="9999-12-31T00:00:00+00:00")])
    assert shop.sync([customer(1, name="Corrected")], full=True).counts == Counts(read=1, updated=1)
    assert shop.rows("SELECT name FROM app.customers") == [("Corrected",)]


def test_a_record_that_comes_twice_in_one_read_is_applied_once(shop: Shop) -> None:
    later = customer(1, name="Later", modified=(START + timedelta(hours=1)).isoformat())
    summary = shop.sync([customer(1), customer(2), later])
    assert summary.counts == Counts(read=3, created=2, ignored=1)
    assert shop.rows("SELECT name FROM app.customers ORDER BY name") == [("Customer 2",), ("Later",)]


def test_the_cursor_moves_to_the_newest_record_and_the_next_run_reads_from_there(shop: Shop) -> None:
    shop.sync([customer(n) for n in range(1000)])
    assert shop.rows("SELECT cursor_at FROM erpflow.erp_sync_configs WHERE entity = 'customer'") == [
        (START + timedelta(seconds=999),)
    ]

    summary = shop.sync([customer(n) for n in range(1010)])

    assert summary.kind == "incremental"
    assert summary.counts == Counts(read=311, created=10, unchanged=301)  # five minutes of overlap, then what is new


def test_a_record_dated_in_the_future_does_not_drag_the_cursor_along(shop: Shop) -> None:
    summary = shop.sync([customer(1), customer(2, modified="9999-12-31T23:59:59+00:00"), customer(3)])
    assert summary.counts == Counts(read=3, created=3)
    assert shop.rows("SELECT cursor_at FROM erpflow.erp_sync_configs WHERE entity = 'customer'") == [
        (START + timedelta(seconds=3),)
    ]


def test_a_read_without_order_leaves_the_cursor_before_its_start(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record behind it may have changed while it went on: only what changed before it began is surely read."""
    entities = {name: replace(entity, ordered=False) for name, entity in ShopConnector.spec.entities.items()}
    monkeypatch.setattr(ShopConnector, "spec", replace(ShopConnector.spec, entities=entities))
    log_id = shop.plan()
    during = customer(2, modified=datetime.now(UTC).isoformat())
    shop.job(log_id).run_whole(ShopConnector([customer(1), during]))
    assert shop.rows("SELECT cursor_at FROM erpflow.erp_sync_configs WHERE entity = 'customer'") == [
        (START + timedelta(seconds=1),)
    ]


def test_a_window_that_would_leave_a_gap_does_not_move_the_cursor(shop: Shop) -> None:
    shop.sync([customer(n) for n in range(10)])
    shop.sync([customer(n) for n in range(5000)], since=START + timedelta(seconds=4000))
    assert shop.rows("SELECT cursor_at FROM erpflow.erp_sync_configs WHERE entity = 'customer'") == [
        (START + timedelta(seconds=9),)
    ]


def test_a_backfill_reads_exactly_its_interval_and_leaves_the_cursor(shop: Shop) -> None:
    interval = (START + timedelta(seconds=10), START + timedelta(seconds=20))
    summary = shop.sync([customer(n) for n in range(100)], kind="backfill", interval=interval)
    assert summary.counts == Counts(read=10, created=10)
    assert shop.rows("SELECT cursor_at FROM erpflow.erp_sync_configs WHERE entity = 'customer'") == [(None,)]


def test_a_dry_run_counts_and_writes_nothing(shop: Shop) -> None:
    summary = shop.sync([customer(1), customer(2, name=None)], dry_run=True)
    assert summary.counts == Counts(read=2, created=1, rejected=1)
    assert shop.rows("SELECT count(*) FROM app.customers") == [(0,)]
    assert shop.rows("SELECT count(*) FROM erpflow.erp_entity_sync_records") == [(0,)]
    assert shop.rows("SELECT count(*) FROM erpflow.erp_rejects") == [(0,)]
    assert shop.rows("SELECT cursor_at FROM erpflow.erp_sync_configs WHERE entity = 'customer'") == [(None,)]


def test_text_with_tabs_line_ends_backslashes_and_any_script_survives(shop: Shop) -> None:
    hostile = "tab\there\nline\r\\N \\. café שלום 🧾 'quoted' \"double\" <b>&amp;</b>"
    shop.sync([customer(1, name=hostile), customer(2, name="\\N")])
    assert {row[0] for row in shop.rows("SELECT name FROM app.customers")} == {hostile, "\\N"}


# Natural keys


def test_a_row_with_the_natural_key_is_linked_instead_of_created(shop: Shop) -> None:
    shop.do("INSERT INTO app.customers (name, email) VALUES ('Old name', 'customer1@example.com')")
    summary = shop.sync([customer(1), customer(2)])
    assert summary.counts == Counts(read=2, created=1, updated=1)
    assert shop.rows("SELECT name FROM app.customers ORDER BY id") == [("Customer 1",), ("Customer 2",)]


def test_two_records_with_one_natural_key_do_not_share_a_row(shop: Shop) -> None:
    shop.do("INSERT INTO app.customers (name, email) VALUES ('Shared', 'shared@example.com')")
    twins = [customer(1, email="shared@example.com"), customer(2, email="shared@example.com")]
    assert shop.sync(twins).counts == Counts(read=2, created=1, updated=1)
    assert shop.sync(twins, full=True).counts == Counts(read=2, unchanged=2)
    assert shop.rows("SELECT count(DISTINCT local_id) FROM erpflow.erp_entity_sync_records") == [(2,)]


def test_a_natural_key_of_several_rows_is_a_reject_that_says_so(shop: Shop) -> None:
    shop.do(
        "INSERT INTO app.customers (name, email) VALUES ('A', 'customer1@example.com'), ('B', 'customer1@example.com')"
    )
    assert shop.sync([customer(1)]).counts == Counts(read=1, rejected=1)
    assert (
        "More than one row of app.customers has this email"
        in shop.rows("SELECT problems FROM erpflow.erp_rejects")[0][0][0]["message"]
    )


# Rejects


def test_a_bad_record_is_a_reject_and_the_others_land(shop: Shop) -> None:
    records = [customer(1), customer(2, name=None), customer(3, limit="a lot"), {"modified": START.isoformat()}]
    summary = shop.sync(records)
    assert summary.status is SyncStatus.PARTIAL
    assert summary.counts == Counts(read=4, created=1, rejected=3)
    rejects = dict(shop.rows("SELECT coalesce(remote_id, '-'), problems -> 0 ->> 'field' FROM erpflow.erp_rejects"))
    assert rejects == {"C000002": "name", "C000003": "credit_limit", "-": "id"}


def test_a_reject_keeps_the_record_whole_and_is_resolved_once_it_lands(shop: Shop) -> None:
    bad = customer(1, name=None)
    shop.sync([bad])
    shop.sync([bad], full=True)
    assert shop.rows("SELECT attempts, status, payload::text LIKE %s FROM erpflow.erp_rejects", "%") == [
        (2, "open", True)
    ]

    shop.sync([customer(1)], full=True)

    assert shop.rows("SELECT status FROM erpflow.erp_rejects") == [("resolved",)]
    assert shop.rows("SELECT name FROM app.customers") == [("Customer 1",)]


def test_a_reject_that_is_mended_while_it_is_read_is_resolved(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("erpflow.sync.transform.CHUNK_RECORDS", 100)
    mended = customer(1, modified=(START + timedelta(hours=1)).isoformat())
    summary = shop.sync([customer(1, name=None), *(customer(n) for n in range(2, 300)), mended])
    assert summary.counts == Counts(read=300, created=299, rejected=1)
    assert shop.rows("SELECT status FROM erpflow.erp_rejects") == [("resolved",)]


def test_a_record_without_a_key_is_not_kept_again_by_every_run(shop: Shop) -> None:
    keyless = {"modified": START.isoformat(), "name": "No key"}
    for _ in range(3):
        summary = shop.sync([keyless], full=True)
    assert shop.rows("SELECT attempts, log_id::text FROM erpflow.erp_rejects") == [(3, summary.log_id)]


def test_a_value_too_long_for_the_column_rejects_that_record_only(shop: Shop) -> None:
    shop.do("ALTER TABLE app.customers ALTER COLUMN city TYPE varchar(10)")
    records = [customer(n) for n in range(1200)]
    records[700]["address"] = {"city": "a city with a long name"}
    records[3]["address"] = {"city": "another city with a long name"}
    summary = shop.sync(records)
    assert summary.counts == Counts(read=1200, created=1198, rejected=2)
    assert shop.rows(
        "SELECT remote_id, problems -> 0 ->> 'field', payload::text <> '' FROM erpflow.erp_rejects ORDER BY 1"
    ) == [
        ("C000003", "city", True),
        ("C000700", "city", True),
    ]
    message = shop.rows("SELECT problems -> 0 ->> 'message' FROM erpflow.erp_rejects LIMIT 1")[0][0]
    assert message == "app.customers.city refuses the value: value too long for type character varying(10)"


def test_a_row_that_a_constraint_refuses_rejects_that_record_only(shop: Shop) -> None:
    shop.do("ALTER TABLE app.customers ADD CONSTRAINT modest CHECK (credit_limit < 500)")
    summary = shop.sync([customer(n) for n in range(600)])
    assert summary.counts == Counts(read=600, created=500, rejected=100)
    assert shop.rows("SELECT DISTINCT problems -> 0 ->> 'rule' FROM erpflow.erp_rejects") == [("modest",)]


# Children and look-ups


def test_lines_follow_their_order(shop: Shop) -> None:
    shop.sync([customer(n) for n in range(5)])
    assert shop.sync([order(n, buyer=n, lines=3) for n in range(5)], "order").counts == Counts(read=5, created=5)
    assert shop.rows("SELECT count(*), sum(quantity)::int FROM app.order_items") == [(15, 30)]


def test_lines_are_added_changed_and_removed_with_their_order(shop: Shop) -> None:
    shop.sync([customer(1)])
    shop.sync([order(1, buyer=1, lines=3)], "order")
    kept = shop.rows("SELECT id FROM app.order_items WHERE line_no = 1")
    later = (START + timedelta(hours=1)).isoformat()
    lines = [
        {"line": 1, "sku": "SKU-1", "qty": 1},
        {"line": 2, "sku": "SKU-2", "qty": 9},
        {"line": 4, "sku": "NEW", "qty": 4},
    ]

    assert shop.sync([order(1, buyer=1, modified=later) | {"lines": lines}], "order", full=True).counts == Counts(
        read=1, updated=1
    )

    assert shop.rows("SELECT line_no, sku, quantity::int FROM app.order_items ORDER BY line_no") == [
        (1, "SKU-1", 1),
        (2, "SKU-2", 9),
        (4, "NEW", 4),
    ]
    assert shop.rows("SELECT id FROM app.order_items WHERE line_no = 1") == kept


def test_an_order_whose_lines_and_fields_are_the_same_is_unchanged(shop: Shop) -> None:
    shop.sync([customer(1)])
    shop.sync([order(1, buyer=1)], "order")
    before = shop.rows("SELECT xmin::text FROM app.order_items ORDER BY id")
    later = (START + timedelta(hours=1)).isoformat()
    assert shop.sync([order(1, buyer=1, modified=later)], "order", full=True).counts == Counts(read=1, unchanged=1)
    assert shop.rows("SELECT xmin::text FROM app.order_items ORDER BY id") == before


def test_an_order_of_an_unknown_customer_is_a_reject_until_the_customer_comes(shop: Shop) -> None:
    shop.sync([customer(1)])
    orders = [order(1, buyer=1), order(2, buyer=2)]
    assert shop.sync(orders, "order").counts == Counts(read=2, created=1, rejected=1)
    assert shop.rows("SELECT problems -> 0 ->> 'field', problems -> 0 ->> 'value' FROM erpflow.erp_rejects") == [
        ("customer_id", "C000002")
    ]
    shop.sync([customer(2)], full=True)
    assert shop.sync(orders, "order", full=True).counts == Counts(read=2, created=1, unchanged=1)
    assert shop.rows("SELECT status FROM erpflow.erp_rejects") == [("resolved",)]


def test_a_line_that_its_table_refuses_rejects_the_whole_order(shop: Shop) -> None:
    shop.sync([customer(1)])
    bad = order(2, buyer=1) | {"lines": [{"line": 1, "sku": "X", "qty": "1e30"}]}
    assert shop.sync([order(1, buyer=1), bad], "order").counts == Counts(read=2, created=1, rejected=1)
    assert shop.rows("SELECT count(*) FROM app.order_items") == [(2,)]


# Bad configuration


def test_a_table_that_does_not_exist_is_named_before_anything_is_read(shop: Shop) -> None:
    shop.write_mapping("customer", CUSTOMER.replace("app.customers", "app.custmers"))
    with pytest.raises(ConfigError, match=r'there is no table "app.custmers" \(did you mean "app.customers"\?\)'):
        shop.sync([customer(1)])
    assert shop.rows("SELECT count(*) FROM erpflow.erp_entity_sync_records") == [(0,)]


def test_a_column_that_does_not_exist_is_named_with_the_nearest(shop: Shop) -> None:
    shop.write_mapping("customer", CUSTOMER.replace("local: city", "local: citty"))
    with pytest.raises(
        ConfigError, match=r'customer.yaml: table app.customers has no column "citty" \(did you mean "city"\?\)'
    ):
        shop.sync([customer(1)])


def test_an_unknown_connection_is_named_with_the_nearest(shop: Shop) -> None:
    with pytest.raises(ConfigError, match=r'There is no shop connection "shopp" \(did you mean "shop"\?\)'):
        shop.plan(connection="shopp")


def test_a_changed_mapping_reads_everything_again(shop: Shop) -> None:
    records = [customer(n) for n in range(10)]
    shop.sync(records)
    shop.write_mapping(
        "customer",
        CUSTOMER.replace(
            "{local: city, remote: address.city, type: text}", "{local: state, remote: address.city, type: text}"
        ),
    )
    assert shop.sync(records, full=True).counts == Counts(read=10, updated=10)
    assert shop.rows("SELECT DISTINCT state FROM app.customers") == [("Ljubljana",)]


def test_stage_by_stage_and_all_at_once_end_alike(fresh_database: Database, tmp_path: Path) -> None:
    from erpflow.sync.pull import finish

    records = [customer(n, name=None if n % 50 == 0 else f"Customer {n}") for n in range(500)]
    whole, staged = (
        Shop(
            fresh_database,
            tmp_path / name,
            name=name,
            mappings={"customer": CUSTOMER.replace(", match_on: [email]", "")},
        )
        for name in ("whole", "staged")
    )
    one = whole.sync(records)
    log_id = staged.plan()
    staged.job(log_id).extract(ShopConnector(records))
    staged.job(log_id).transform()
    staged.job(log_id).load()
    other = finish(fresh_database, log_id)
    assert replace(one.counts) == other.counts == Counts(read=500, created=490, rejected=10)
