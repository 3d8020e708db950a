"""A conflict that waits for a person: what is frozen, what a decision does, and what the next cycle makes of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from erpflow.errors import ConfigError
from erpflow.store import conflicts
from erpflow.store.conflicts import Conflict
from erpflow.store.database import Database
from erpflow.sync.resolve import Choice, Resolution, Resolver, Value
from erpflow.vocabulary import DEFAULT_TENANT, Counts
from tests.two_way import TwoWayShop


@pytest.fixture
def shop(fresh_database: Database, tmp_path: Path) -> TwoWayShop:
    shop = TwoWayShop(fresh_database, tmp_path)
    shop.configure(conflict="manual")
    return shop


@pytest.fixture
def remote_id(shop: TwoWayShop) -> str:
    """A record whose phone both sides have changed, and whose limit only the vendor has."""
    remote_id = shop.vendor.put(name="Acme", email="a@x.y", phone="1", limit="5.00")
    shop.cycle()
    shop.vendor.put(remote_id, phone="theirs", limit="6.00")
    shop.do("UPDATE app.customers SET phone = 'ours', city = 'Pune'")
    shop.cycle()
    return remote_id


def open_conflict(shop: TwoWayShop) -> Conflict:
    with shop.database.session() as connection:
        (conflict,) = conflicts.find(connection, tenant_id=DEFAULT_TENANT)
    return conflict


def decide(shop: TwoWayShop, choice: Choice) -> Resolution:
    return Resolver(shop.database, shop.folder / "mappings").resolve(open_conflict(shop).id, choice, by="ann")


def test_only_the_record_in_conflict_is_frozen_both_ways(shop: TwoWayShop, remote_id: str) -> None:
    other = shop.vendor.put(name="Other", email="o@x.y", phone="9")
    shop.vendor.put(remote_id, limit="7.00")
    shop.do("UPDATE app.customers SET name = 'Renamed' WHERE email = 'a@x.y'")
    shop.cycle()

    row, record = shop.row(email="a@x.y"), shop.vendor.records[remote_id]
    assert row is not None and shop.row(email="o@x.y") is not None
    assert (row["phone"], row["credit_limit"], row["city"]) == ("ours", 5, "Pune")
    assert (record["phone"], record["name"]) == ("theirs", "Acme")
    conflict = open_conflict(shop)
    assert [(f.field, f.base, f.local, f.remote) for f in conflict.fields] == [("phone", "1", "ours", "theirs")]
    assert (conflict.remote_record or {})["credit_limit"] == "7"
    assert other in shop.vendor.records


@pytest.mark.parametrize(
    ("choice", "phone", "winner"),
    [
        ("local", "ours", "local"),
        ("remote", "theirs", "remote"),
        ({"phone": "local"}, "ours", "local"),
        ({"phone": "remote"}, "theirs", "remote"),
        ({"phone": Value("both")}, "both", "merged"),
        ({"phone": Value(None)}, None, "merged"),
    ],
)
def test_a_decision_is_applied_on_both_sides_with_everything_else_that_changed(
    shop: TwoWayShop, remote_id: str, choice: Choice, phone: str | None, winner: str
) -> None:
    done = decide(shop, choice)
    shop.cycle()

    row, record = shop.row(email="a@x.y"), shop.vendor.records[remote_id]
    assert row is not None
    assert done.winner == winner
    assert (row["phone"], row["city"], row["credit_limit"]) == (phone, "Pune", 6)
    assert (record["phone"], record["address"], record["limit"]) == (phone, {"city": "Pune"}, "6.00")
    assert shop.rows("SELECT status FROM erpflow.erp_entity_sync_records") == [("synced",)]
    assert shop.rows("SELECT status, winner, resolved_by FROM erpflow.erp_conflicts") == [("resolved", winner, "ann")]
    writes = len(shop.vendor.writes)
    shop.cycle()
    assert len(shop.vendor.writes) == writes


def test_a_decision_is_in_the_history(shop: TwoWayShop, remote_id: str) -> None:
    decide(shop, "remote")
    assert shop.rows("SELECT change, before, after FROM erpflow.erp_record_history WHERE change = 'resolved'") == [
        ("resolved", {"phone": "ours", "credit_limit": "5"}, {"phone": "theirs", "credit_limit": "6"})
    ]


def test_a_row_deleted_while_it_was_frozen_still_resolves(shop: TwoWayShop, remote_id: str) -> None:
    shop.do("DELETE FROM app.customers")
    shop.cycle()
    done = decide(shop, "remote")

    assert re.fullmatch(r"Meanwhile our row was deleted\. The row is here again, as app\.customers \d+\.", done.message)
    row = shop.row(email="a@x.y")
    assert row is not None and row["phone"] == "theirs"
    shop.cycle()
    assert shop.vendor.records[remote_id]["phone"] == "theirs"


def test_keeping_our_deletion_deletes_the_record_at_the_vendor(shop: TwoWayShop, remote_id: str) -> None:
    shop.do("DELETE FROM app.customers")
    done = decide(shop, "local")
    shop.cycle()
    assert done.message == "Meanwhile our row was deleted. The next push deletes the record at the vendor too."
    assert shop.vendor.records == {}


def test_a_record_deleted_at_the_vendor_while_it_was_frozen_still_resolves(shop: TwoWayShop, remote_id: str) -> None:
    shop.vendor.drop(remote_id)
    shop.cycle()
    assert open_conflict(shop).kind == "local_updated_remote_deleted"
    done = decide(shop, "local")
    shop.cycle()
    assert done.message == "The next push makes the record at the vendor again."
    (record,) = shop.vendor.records.values()
    assert (record["phone"], record["address"]) == ("ours", {"city": "Pune"})


def test_a_change_that_was_taken_back_while_the_record_waited_is_not_decided_for(
    shop: TwoWayShop, remote_id: str
) -> None:
    """A person decides about both sides as they are now, not as they were when the conflict was found."""
    shop.vendor.put(remote_id, phone="1", limit="7.00")
    shop.cycle()
    conflict = open_conflict(shop)
    assert (conflict.fields, conflict.reason) == ((), "Nothing is in conflict any more; it still waits for a person.")

    done = decide(shop, "remote")
    shop.cycle()

    row, record = shop.row(email="a@x.y"), shop.vendor.records[remote_id]
    assert row is not None
    assert done.message == "Nothing was in conflict any more. The record is synced again."
    assert (row["phone"], row["credit_limit"], row["city"]) == ("ours", 7, "Pune")
    assert (record["phone"], record["limit"], record["address"]) == ("ours", "7.00", {"city": "Pune"})


def later(shop: TwoWayShop) -> None:
    """Pushes have looked since at everything that is older than their overlap."""
    shop.do(
        "ALTER TABLE app.customers DISABLE TRIGGER touch;"
        "UPDATE app.customers SET updated_at = updated_at - interval '1 day';"
        "ALTER TABLE app.customers ENABLE TRIGGER touch"
    )


def test_a_decision_for_our_row_is_pushed_however_long_ago_the_row_was_changed(
    shop: TwoWayShop, remote_id: str
) -> None:
    shop.vendor.drop(remote_id)
    shop.cycle()
    later(shop)
    shop.cycle()
    decide(shop, "local")
    assert shop.push().counts == Counts(read=1, created=1)


@pytest.fixture
def collided(shop: TwoWayShop) -> str:
    """A new row with a value that must be unique, and that a record of the vendor's holds already."""
    remote_id = shop.vendor.put(name="Theirs", email="theirs@x.y", phone="unique")
    shop.do("INSERT INTO app.customers (name, email, phone) VALUES ('Ours', 'ours@x.y', 'unique')")
    shop.push()
    assert shop.conflicts() == [("unique_collision", None, "open")]
    return remote_id


def test_a_row_that_collided_is_sent_again_however_long_ago_it_was_changed(shop: TwoWayShop, collided: str) -> None:
    later(shop)
    assert shop.push().counts == Counts()
    shop.vendor.put(collided, phone="another")
    decide(shop, "local")
    assert shop.push().counts == Counts(read=1, created=1)


def test_a_row_that_collided_and_is_tied_to_the_record_is_merged_by_the_next_push(
    shop: TwoWayShop, collided: str
) -> None:
    with shop.database.session() as connection:
        connection.execute("UPDATE erpflow.erp_conflicts SET remote_id = %s", (collided,))
    done = decide(shop, "remote")
    assert done.message == f"The row is tied to {collided}; the next push merges the two."
    later(shop)
    shop.push()
    assert shop.conflicts("open") == [("both_created", None, "open")]
    decide(shop, "remote")
    shop.cycle()
    row = shop.row(phone="unique")
    assert row is not None and (row["name"], row["email"]) == ("Theirs", "theirs@x.y")
    assert list(shop.vendor.records) == [collided]


def test_many_are_decided_alike_and_one_that_cannot_be_does_not_stop_the_others(
    shop: TwoWayShop, remote_id: str
) -> None:
    ids = [open_conflict(shop).id, "00000000-0000-0000-0000-000000000009"]
    done = Resolver(shop.database, shop.folder / "mappings").resolve_all(ids, "local", by="ann")
    assert isinstance(done[0], Resolution)
    assert isinstance(done[1], ConfigError)


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        ("locl", '"locl" is no decision (did you mean "local"?)'),
        ({"fone": "local"}, '"fone" is not in conflict (did you mean "phone"?)'),
        ({}, "Say who wins phone too."),
        ({"phone": "ours"}, '"ours" is no decision for phone'),
    ],
)
def test_a_decision_that_makes_no_sense_is_refused_with_a_sentence(
    shop: TwoWayShop, remote_id: str, choice: Choice, sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence.replace("(", r"\(").replace(")", r"\)").replace("?", r"\?")):
        decide(shop, choice)
    assert open_conflict(shop).status == "open"


def test_a_value_that_the_table_refuses_leaves_the_conflict_open(shop: TwoWayShop, remote_id: str) -> None:
    shop.do("ALTER TABLE app.customers ADD CHECK (phone <> 'bad')")
    with pytest.raises(ConfigError, match="violates check constraint"):
        decide(shop, {"phone": Value("bad")})
    assert open_conflict(shop).status == "open"
    assert decide(shop, {"phone": Value("good")}).winner == "merged"


def test_a_resolved_conflict_is_not_resolved_again(shop: TwoWayShop, remote_id: str) -> None:
    conflict_id = open_conflict(shop).id
    resolver = Resolver(shop.database, shop.folder / "mappings")
    resolver.resolve(conflict_id, "local", by="ann")
    with pytest.raises(ConfigError, match="resolved already, by ann"):
        resolver.resolve(conflict_id, "remote", by="bob")


def test_one_field_of_a_record_may_wait_for_a_person_by_its_own_rule(fresh_database: Database, tmp_path: Path) -> None:
    shop = TwoWayShop(fresh_database, tmp_path)
    text = shop.mappings["customer"].replace("remote: phone, type: text", "remote: phone, type: text, conflict: manual")
    shop.use(text)
    remote_id = shop.vendor.put(name="Acme", email="a@x.y", phone="1", limit="5.00")
    shop.cycle()
    shop.vendor.put(remote_id, limit="6.00")
    shop.do("UPDATE app.customers SET credit_limit = 7")
    shop.cycle()
    assert shop.conflicts() == [("both_updated", "local", "resolved")]
    shop.vendor.put(remote_id, phone="theirs")
    shop.do("UPDATE app.customers SET phone = 'ours'")
    shop.cycle()
    assert shop.conflicts() == [("both_updated", "local", "resolved"), ("both_updated", None, "open")]


def test_both_changes_of_a_counter_are_added_up(fresh_database: Database, tmp_path: Path) -> None:
    shop = TwoWayShop(fresh_database, tmp_path)
    counter = "remote: limit, type: number, scale: 2, conflict: delta"
    shop.use(shop.mappings["customer"].replace("remote: limit, type: number, scale: 2", counter))
    remote_id = shop.vendor.put(name="Acme", email="a@x.y", limit="100.00")
    shop.cycle()
    shop.vendor.put(remote_id, limit="90.00")
    shop.do("UPDATE app.customers SET credit_limit = credit_limit + 25")

    assert shop.pull().counts == Counts(read=1, updated=1)
    shop.push()
    row = shop.row(email="a@x.y")
    assert row is not None
    assert (row["credit_limit"], shop.vendor.records[remote_id]["limit"]) == (115, "115.00")
    assert shop.conflicts() == []
    shop.cycle()
    assert (shop.row(email="a@x.y") or {})["credit_limit"] == 115
