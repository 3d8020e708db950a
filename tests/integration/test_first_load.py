"""A first load goes straight into the table; whatever that way cannot do well, the usual one does, with one result."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from erpflow.store import sync_logs
from erpflow.store.database import Database
from erpflow.store.pull import Batch
from erpflow.store.pull_direct import DirectCopy
from erpflow.vocabulary import Counts, SyncStatus
from tests.engine import CUSTOMER, START, Shop, customer

TIES = """
SELECT c.name, r.remote_id FROM app.customers c
JOIN erpflow.erp_entity_sync_records r ON r.local_id = c.id::text ORDER BY r.remote_id
"""
CONTENT = """
SELECT c.name, c.email, c.phone, c.city, c.credit_limit::text, r.remote_id, r.raw_hash, r.remote_version,
       r.remote_modified_at, r.last_direction, r.status
FROM app.customers c JOIN erpflow.erp_entity_sync_records r ON r.local_id = c.id::text ORDER BY r.remote_id
"""


@pytest.fixture
def shop(fresh_database: Database, tmp_path: Path) -> Shop:
    return Shop(fresh_database, tmp_path)


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each chunk whether it went straight into the table."""
    taken: list[bool] = []
    original = DirectCopy.apply

    def apply(self: DirectCopy, batch: Batch) -> bool:
        taken.append(original(self, batch))
        return taken[-1]

    monkeypatch.setattr(DirectCopy, "apply", apply)
    return taken


def odd_customers(count: int) -> list[dict[str, Any]]:
    texts = ["plain", "tab\there", "line\nend", "back\\slash \\N", "\x01 and \x02", "שלום", "", 'it\'s "quoted"']
    return [customer(n, name=texts[n % len(texts)] or "-", phone=texts[n % 5]) for n in range(count)]


def test_both_ways_leave_the_same_rows_and_ties(shop: Shop, ways: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    records = [*odd_customers(300), customer(301, limit="not a number")]
    straight = shop.sync(records)
    assert ways == [True]
    found = shop.rows(CONTENT)
    shop.do("TRUNCATE app.customers RESTART IDENTITY CASCADE; TRUNCATE erpflow.erp_entity_sync_records")

    monkeypatch.setattr(DirectCopy, "apply", lambda *_: False)
    usual = shop.sync(records, full=True)

    assert straight.counts == usual.counts == Counts(read=301, created=300, rejected=1)
    assert shop.rows(CONTENT) == found


def test_a_reload_does_not_take_the_straight_way(shop: Shop, ways: list[bool]) -> None:
    shop.sync([customer(n) for n in range(20)])
    shop.sync([customer(n, name="New") for n in range(30)], full=True)
    assert ways == [True, False]


def test_a_row_of_the_user_with_the_same_natural_key_is_tied_and_not_doubled(shop: Shop, ways: list[bool]) -> None:
    shop.do("INSERT INTO app.customers (name, email) VALUES ('Ours', 'customer3@example.com'), ('Other', 'o@x.y')")

    summary = shop.sync([customer(n) for n in range(5)])

    assert ways == [False]
    assert summary.counts == Counts(read=5, created=4, updated=1)
    assert shop.rows("SELECT count(*) FROM app.customers WHERE email = 'customer3@example.com'") == [(1,)]


def test_records_that_share_a_natural_key_are_two_rows(shop: Shop, ways: list[bool]) -> None:
    summary = shop.sync([customer(1, email="info@x.y"), customer(2, email="info@x.y")])
    assert ways == [True]
    assert summary.counts == Counts(read=2, created=2)


def test_without_an_index_on_the_natural_key_the_usual_way_is_taken(shop: Shop, ways: list[bool]) -> None:
    shop.do("DROP INDEX app.customers_by_email")
    assert shop.sync([customer(1)]).counts == Counts(read=1, created=1)
    assert ways == [False]


def test_one_refused_row_is_one_reject(shop: Shop, ways: list[bool]) -> None:
    shop.do("ALTER TABLE app.customers ADD CHECK (credit_limit < 100)")
    summary = shop.sync([customer(1), customer(2, limit="500"), customer(3)])
    assert ways == [False]
    assert summary.counts == Counts(read=3, created=2, rejected=1)


def test_a_deferred_constraint_refuses_a_record_and_not_the_chunk(shop: Shop, ways: list[bool]) -> None:
    shop.do("ALTER TABLE app.customers ADD UNIQUE (phone) DEFERRABLE INITIALLY DEFERRED")
    summary = shop.sync([customer(1, phone="1"), customer(2, phone="1"), customer(3, phone="3")])
    assert ways == [False]
    assert summary.counts == Counts(read=3, created=2, rejected=1)


def test_a_record_that_changes_while_the_first_load_reads_is_applied_twice(
    shop: Shop, ways: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("erpflow.sync.transform.CHUNK_RECORDS", 100)
    again = customer(5, name="Changed", modified=(START + timedelta(hours=1)).isoformat())

    summary = shop.sync([*(customer(n) for n in range(150)), again])

    assert ways == [True, False]
    assert summary.counts == Counts(read=151, created=150, updated=1)
    assert shop.rows("SELECT name FROM app.customers WHERE email = 'customer5@example.com'") == [("Changed",)]


def test_a_trigger_that_keeps_rows_out_is_noticed(shop: Shop, ways: list[bool]) -> None:
    shop.do(
        "CREATE FUNCTION app.nobody() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN IF NEW.name = 'Nobody' THEN RETURN NULL; END IF; RETURN NEW; END $$;"
        " CREATE TRIGGER nobody BEFORE INSERT ON app.customers FOR EACH ROW EXECUTE FUNCTION app.nobody()"
    )
    shop.sync([customer(1, name="Nobody"), customer(2)])
    assert ways == [False]
    assert shop.rows("SELECT name FROM app.customers") == [("Customer 2",)]


def test_a_view_is_written_through_its_trigger(shop: Shop, ways: list[bool]) -> None:
    shop.do("CREATE VIEW app.clients AS SELECT * FROM app.customers; ALTER VIEW app.clients ALTER id SET DEFAULT 7")
    shop.write_mapping("customer", CUSTOMER.replace("app.customers", "app.clients").replace(", match_on: [email]", ""))
    assert shop.sync([customer(1)]).counts == Counts(read=1, created=1)
    assert ways == [False]
    assert shop.rows("SELECT id, name FROM app.customers") == [(7, "Customer 1")]


@pytest.mark.parametrize("kind", ["text", "varchar(40)", "char(40)", "uuid"])
def test_a_mapped_key_is_the_local_id(shop: Shop, ways: list[bool], kind: str) -> None:
    shop.do(f"CREATE TABLE app.things (key {kind} PRIMARY KEY, name text, updated_at timestamptz)")
    shop.write_mapping(
        "customer",
        """
system: shop
entity: customer
remote: {object: customers, key: id, modified: modified}
local: {table: app.things, key: key, modified: updated_at}
fields:
  - {local: key, remote: code, required: true}
  - {local: name, remote: name}
""",
    )
    codes = ["2F1C6A3E-0000-4000-8000-000000000001", "2f1c6a3e-0000-4000-8000-000000000002"]
    if kind == "text":
        codes[1] = "back\\slash\tand tab"

    summary = shop.sync([customer(n, code=code) for n, code in enumerate(codes)])

    assert summary.counts == Counts(read=2, created=2)
    assert ways == [kind in ("text", "varchar(40)")]
    joined = shop.rows(
        "SELECT count(*), count(updated_at) FROM app.things t"
        " JOIN erpflow.erp_entity_sync_records r ON r.local_id = t.key::text"
    )
    assert joined == [(2, 2)]


def test_a_dry_run_says_what_it_would_create_and_writes_nothing(shop: Shop, ways: list[bool]) -> None:
    summary = shop.sync([customer(n) for n in range(5)], dry_run=True)
    assert ways == [False]
    assert (summary.counts, summary.status) == (Counts(read=5, created=5), SyncStatus.COMPLETED)
    assert shop.rows("SELECT count(*) FROM app.customers") == [(0,)]
    assert shop.rows(TIES) == []
    with shop.database.session() as connection:
        planned = sync_logs.plan_of(connection, summary.log_id)
    assert [(change["change"], change["remote_id"], change["after"]["name"]) for change in planned] == [
        ("created", f"C{n:06d}", f"Customer {n}") for n in range(5)
    ]
