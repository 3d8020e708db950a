"""Both directions against a real Postgres and a vendor held in memory: what goes where, and what stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from erpflow.store.database import Database
from erpflow.vocabulary import Counts
from tests.two_way import TwoWayShop


@pytest.fixture
def shop(fresh_database: Database, tmp_path: Path) -> TwoWayShop:
    return TwoWayShop(fresh_database, tmp_path)


def test_a_new_row_is_created_at_the_vendor_and_does_not_come_back(shop: TwoWayShop) -> None:
    shop.do("INSERT INTO app.customers (name, email, city, credit_limit) VALUES ('Acme', 'a@x.y', 'Pune', 12.50)")

    pulled, pushed = shop.pull(), shop.push()

    assert pulled.counts == Counts()
    assert pushed.counts == Counts(read=1, created=1)
    (record,) = shop.vendor.records.values()
    assert (record["name"], record["address"], record["limit"]) == ("Acme", {"city": "Pune"}, "12.50")
    assert shop.pull().counts == Counts(read=1, unchanged=1)
    assert shop.push().counts == Counts()
    assert len(shop.vendor.writes) == 1


def test_a_changed_row_sends_only_what_changed(shop: TwoWayShop) -> None:
    remote_id = shop.vendor.put(
        name="Acme", email="a@x.y", phone="1", address={"city": "Pune", "zip": "411"}, limit="1"
    )
    shop.cycle()
    shop.do("UPDATE app.customers SET city = 'Delhi'")
    sent = []
    shop.vendor.before_write = lambda change: sent.append(dict(change.values))

    assert shop.push().counts == Counts(read=1, updated=1)
    assert sent == [{"address": {"city": "Delhi"}}]
    assert shop.vendor.records[remote_id]["address"] == {"city": "Delhi", "zip": "411"}


def test_a_deleted_row_is_deleted_at_the_vendor(shop: TwoWayShop) -> None:
    shop.vendor.put(name="Acme", email="a@x.y")
    shop.cycle()
    shop.do("DELETE FROM app.customers")

    assert shop.push().counts == Counts(read=1, deleted=1)
    assert shop.vendor.records == {}
    assert shop.pull().counts == Counts()
    assert shop.push().counts == Counts()


def test_changes_of_different_fields_both_survive(shop: TwoWayShop) -> None:
    remote_id = shop.vendor.put(name="Acme", email="a@x.y", phone="1", limit="5")
    shop.cycle()
    shop.vendor.put(remote_id, phone="2")
    shop.do("UPDATE app.customers SET credit_limit = 9")

    shop.cycle()

    row, record = shop.row(email="a@x.y"), shop.vendor.records[remote_id]
    assert row is not None
    assert (row["phone"], row["credit_limit"]) == ("2", 9)
    assert (record["phone"], record["limit"]) == ("2", "9.00")
    assert shop.conflicts() == []


def test_the_newer_side_wins_a_field_that_both_changed_and_the_conflict_is_kept(shop: TwoWayShop) -> None:
    remote_id = shop.vendor.put(name="Acme", email="a@x.y", phone="1")
    shop.cycle()
    shop.vendor.put(remote_id, phone="theirs")
    shop.do("UPDATE app.customers SET phone = 'ours'")  # now, years after the vendor's clock

    pulled = shop.pull()
    shop.push()

    assert pulled.counts == Counts(read=1, conflict=1)
    assert shop.vendor.records[remote_id]["phone"] == "ours"
    assert shop.conflicts() == [("both_updated", "local", "resolved")]
    assert shop.rows("SELECT base, local, remote FROM erpflow.erp_conflicts") == [
        ({"phone": "1"}, {"phone": "ours"}, {"phone": "theirs"})
    ]


def test_a_push_that_comes_first_merges_what_it_would_have_overwritten(shop: TwoWayShop) -> None:
    remote_id = shop.vendor.put(name="Acme", email="a@x.y", phone="1", limit="5")
    shop.cycle()
    shop.vendor.put(remote_id, phone="2")
    shop.do("UPDATE app.customers SET credit_limit = 9")

    pushed = shop.push()

    assert pushed.counts == Counts(read=1, updated=1)
    row, record = shop.row(email="a@x.y"), shop.vendor.records[remote_id]
    assert row is not None
    assert (row["phone"], record["phone"], record["limit"]) == ("2", "2", "9.00")


def test_a_vendor_who_trims_and_rounds_is_no_reason_to_send_again(shop: TwoWayShop) -> None:
    shop.vendor.normalise = lambda record: (
        record
        | {
            "name": str(record["name"]).strip().upper(),
            "limit": str(round(float(record.get("limit") or 0))),
            "tier": "standard",
        }
    )
    shop.do("INSERT INTO app.customers (name, email, credit_limit) VALUES ('  Acme  ', 'a@x.y', 12.49)")
    for _ in range(4):
        shop.cycle()

    assert len(shop.vendor.writes) == 1
    row = shop.row(email="a@x.y")
    assert row is not None
    assert (row["name"], row["credit_limit"]) == ("  Acme  ", 12.49)


def test_a_rejected_row_is_kept_and_not_sent_again_before_it_changes(shop: TwoWayShop) -> None:
    shop.do("INSERT INTO app.customers (name, email, credit_limit) VALUES ('Bad', 'b@x.y', -1), ('Good', 'g@x.y', 1)")

    assert shop.push().counts == Counts(read=2, created=1, rejected=1)
    assert shop.push().counts == Counts()
    assert shop.rows("SELECT direction, stage, status, problems -> 0 ->> 'message' FROM erpflow.erp_rejects") == [
        ("push", "vendor", "open", "limit must not be negative")
    ]

    shop.do("UPDATE app.customers SET credit_limit = 2 WHERE name = 'Bad'")
    assert shop.push().counts == Counts(read=1, created=1)
    assert shop.rows("SELECT status FROM erpflow.erp_rejects") == [("resolved",)]


def test_lines_and_references_go_both_ways(shop: TwoWayShop) -> None:
    buyer = shop.vendor.put(name="Acme", email="a@x.y")
    shop.cycle()
    shop.vendor.records.clear()
    shop.vendor.deleted.clear()
    shop.do(
        "INSERT INTO app.orders (number, customer_id, grand_total) SELECT 'O-1', id, 30 FROM app.customers;"
        "INSERT INTO app.order_items (order_id, line_no, sku, quantity)"
        " SELECT id, n, 'SKU-' || n, n * 1.5 FROM app.orders, generate_series(1, 2) n"
    )

    assert shop.push("order").counts == Counts(read=1, created=1)
    (record,) = shop.vendor.records.values()
    assert record["customer"] == buyer
    assert record["lines"] == [{"line": 1, "sku": "SKU-1", "qty": "1.5"}, {"line": 2, "sku": "SKU-2", "qty": 3}]

    shop.vendor.put(record["id"], lines=[{"line": 1, "sku": "SKU-1", "qty": "7"}])
    assert shop.pull("order").counts == Counts(read=1, updated=1)
    assert shop.rows("SELECT line_no, quantity::text FROM app.order_items") == [(1, "7.000000")]
    assert shop.push("order").counts == Counts()


def test_a_config_that_only_pushes_makes_a_record_again_that_is_gone(shop: TwoWayShop) -> None:
    shop.configure(direction="push")
    shop.do("INSERT INTO app.customers (name, email) VALUES ('Acme', 'a@x.y')")
    shop.push()
    shop.vendor.records.clear()
    shop.do("UPDATE app.customers SET phone = '2'")

    assert shop.push().counts == Counts(read=1, created=1)
    (record,) = shop.vendor.records.values()
    assert (record["name"], record["phone"]) == ("Acme", "2")
    assert shop.push().counts == Counts()


def test_a_config_that_only_pushes_keeps_the_vendors_words_beside_ours(shop: TwoWayShop) -> None:
    shop.configure(direction="push")
    shop.vendor.normalise = lambda record: record | {"name": str(record["name"]).strip()}
    shop.do("INSERT INTO app.customers (name, email) VALUES (' Acme ', 'a@x.y')")
    shop.push()
    agreed = "SELECT agreed_local ->> 'name', agreed_remote ->> 'name' FROM erpflow.erp_entity_sync_records"
    assert shop.rows(agreed) == [(" Acme ", "Acme")]


def test_of_two_rows_with_one_natural_key_the_first_takes_over_the_record_that_is_there(shop: TwoWayShop) -> None:
    shop.configure(direction="push")
    theirs = shop.vendor.put(name="Acme", email="a@x.y")
    shop.do("INSERT INTO app.customers (name, email) VALUES ('First', 'a@x.y'), ('Second', 'a@x.y')")

    assert shop.push().counts == Counts(read=2, created=1, updated=1)
    assert sorted(record["name"] for record in shop.vendor.records.values()) == ["First", "Second"]
    assert shop.vendor.records[theirs]["name"] == "First"
    assert shop.push().counts == Counts()
