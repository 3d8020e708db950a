"""What a reconciliation found is repaired by the engine itself, looked at once more, and the next one is clean."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from erpflow.connectors.base import Page
from erpflow.errors import DeletesNeedApproval, VendorUnavailable
from erpflow.store.database import Database
from erpflow.store.reconciliations import Reconciliation
from erpflow.sync import push_settle
from erpflow.vocabulary import FindingKind
from tests.reconciling import (
    ALL_KINDS,
    COPY,
    ReconciledShop,
    both_ways,
    named,
    only_pulling,
    only_pushing,
)
from tests.two_way import CUSTOMER, ORDER, TwoWayConnector

HISTORY = (
    "SELECT h.remote_id, h.direction, h.change, l.triggered_by FROM erpflow.erp_record_history h"
    " JOIN erpflow.erp_sync_logs l ON l.id = h.log_id ORDER BY h.id"
)
DELETES = "deletes: {pull: hard, push: hard}"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push_settle, "GRACE", push_settle.GRACE * 0)


@pytest.fixture
def shop(fresh_database: Database, tmp_path: Path) -> ReconciledShop:
    """Five customers that both sides agree on, in a config that goes both ways; half of all may be deleted."""
    shop = both_ways(fresh_database, tmp_path)
    shop.use(shop.mappings["customer"].replace(DELETES, "deletes: {pull: hard, push: hard, at_most: 50%}"))
    return shop


@pytest.fixture
def reader(fresh_database: Database, tmp_path: Path) -> ReconciledShop:
    """The same in a config that only pulls."""
    return only_pulling(fresh_database, tmp_path)


@pytest.fixture
def writer(fresh_database: Database, tmp_path: Path) -> ReconciledShop:
    """The same in a config that only pushes."""
    return only_pushing(fresh_database, tmp_path)


def repair(shop: ReconciledShop, *kinds: FindingKind, entity: str = "customer", **request: Any) -> Reconciliation:
    return shop.reconcile(entity, repair=kinds or ALL_KINDS, **request)


def outcomes_of(shop: ReconciledShop, done: Reconciliation) -> list[tuple[str, str | None, bool | None, str | None]]:
    return [(each.kind.value, each.remote_id, each.repaired, each.outcome) for each in shop.found(done)]


def is_clean(shop: ReconciledShop, entity: str = "customer") -> bool:
    return shop.reconcile(entity).status == "clean"


def cursors(shop: ReconciledShop) -> list[tuple[Any, ...]]:
    return shop.rows(
        "SELECT cursor_at, local_cursor_at, deletes_cursor_at FROM erpflow.erp_sync_configs ORDER BY entity"
    )


def test_a_config_that_only_pulls_takes_what_the_vendor_has(reader: ReconciledShop) -> None:
    reader.do(
        "UPDATE app.customers SET phone = 'ours' WHERE id = 1; DELETE FROM app.customers WHERE id = 2;"
        + COPY.format("5@x.y")
    )
    reader.vendor.records["R000003"]["phone"] = "slipped in without a new time"
    del reader.vendor.records["R000004"]
    before = cursors(reader)

    done = repair(reader, allow_deletes=True)

    assert done.status == "clean"
    assert done.found == done.repaired
    assert [row for (row,) in reader.rows("SELECT phone FROM app.customers ORDER BY email")] == [
        "1",
        "2",
        "slipped in without a new time",
        "5",
    ]
    assert is_clean(reader)
    assert cursors(reader) == before
    by = f"reconcile:{done.log_id}"
    assert reader.rows(HISTORY) == [
        ("R000002", "pull", "created", by),
        ("R000001", "pull", "updated", by),
        ("R000003", "pull", "updated", by),
        ("R000004", "pull", "deleted", by),
        (None, "pull", "deleted", None),  # the copy: by the reconciliation itself
    ]
    assert reader.pull().counts.unchanged == reader.pull().counts.read


def test_both_changes_of_different_fields_survive(shop: ReconciledShop) -> None:
    shop.vendor.put("R000001", phone="theirs")
    shop.do("UPDATE app.customers SET credit_limit = 99 WHERE id = 1")

    assert repair(shop).status == "clean"

    row = shop.row(id=1)
    assert row is not None
    assert (row["phone"], row["credit_limit"]) == ("theirs", 99)
    assert (shop.vendor.records["R000001"]["phone"], shop.vendor.records["R000001"]["limit"]) == ("theirs", "99.00")
    assert is_clean(shop)


@pytest.mark.parametrize(("strategy", "winner"), [("local_wins", "ours"), ("remote_wins", "theirs")])
def test_a_field_that_both_changed_goes_to_whom_the_strategy_says(
    shop: ReconciledShop, strategy: str, winner: str
) -> None:
    shop.configure(conflict=strategy)
    shop.vendor.put("R000001", phone="theirs")
    shop.do("UPDATE app.customers SET phone = 'ours' WHERE id = 1")

    assert repair(shop).status == "clean"

    assert (shop.rows("SELECT phone FROM app.customers WHERE id = 1"), shop.vendor.records["R000001"]["phone"]) == (
        [(winner,)],
        winner,
    )
    assert [kind for kind, _, _ in shop.conflicts()] == ["both_updated"]
    assert is_clean(shop)


def test_what_a_person_has_to_decide_is_left_and_said(shop: ReconciledShop) -> None:
    shop.configure(conflict="manual")
    shop.vendor.put("R000001", phone="theirs")
    shop.do("UPDATE app.customers SET phone = 'ours' WHERE id = 1")

    done = repair(shop)

    assert (done.status, done.repaired) == ("findings", {})
    assert outcomes_of(shop, done) == [("different", "R000001", False, "Both sides changed phone: waits for a person.")]
    assert named(shop.found(shop.reconcile())) == [("frozen", "R000001", "1")]
    assert outcomes_of(shop, repair(shop)) == [
        ("frozen", "R000001", False, "it waits for a decision: erpflow conflict list")
    ]


def test_a_field_that_only_the_vendor_decides_is_taken_back(shop: ReconciledShop) -> None:
    shop.use(shop.mappings["customer"].replace("remote: phone, type: text", "remote: phone, type: text, only: pull"))
    shop.pull(full=True)
    shop.do("UPDATE app.customers SET phone = 'ours' WHERE id = 1")

    assert repair(shop).repaired == {FindingKind.DIFFERENT: 1}
    assert shop.rows("SELECT phone FROM app.customers WHERE id = 1") == [("1",)]
    assert is_clean(shop)


def test_what_both_sides_created_is_tied_and_merged(shop: ReconciledShop) -> None:
    shop.vendor.put(name="Twin", email="t@x.y", phone="1")
    shop.do("INSERT INTO app.customers (name, email, city) VALUES ('Twin', 't@x.y', 'Pune')")

    assert repair(shop).status == "clean"

    assert shop.vendor.records["R000006"]["address"] == {"city": "Pune"}
    assert shop.rows("SELECT phone FROM app.customers WHERE email = 't@x.y'") == [("1",)]
    assert is_clean(shop)


def test_a_row_deleted_here_is_deleted_there_as_the_next_push_would(shop: ReconciledShop) -> None:
    shop.do("DELETE FROM app.customers WHERE id = 2")
    assert repair(shop).repaired == {FindingKind.MISSING_HERE: 1}
    assert "R000002" not in shop.vendor.records
    assert is_clean(shop)


@pytest.mark.parametrize(
    "change",
    [(DELETES, "deletes: {pull: hard, push: ignore}"), (DELETES, f"{DELETES}\nwrites: [create, update]")],
    ids=["deletes.push is ignore", "writes has no delete"],
)
def test_where_a_delete_here_stays_here_the_row_is_made_again(shop: ReconciledShop, change: tuple[str, str]) -> None:
    shop.use(CUSTOMER.replace(*change))
    shop.do("DELETE FROM app.customers WHERE id = 2")

    assert repair(shop).repaired == {FindingKind.MISSING_HERE: 1}

    assert shop.rows("SELECT name FROM app.customers WHERE email = '2@x.y'") == [("Customer 2",)]
    assert "R000002" in shop.vendor.records
    assert is_clean(shop)


def test_a_row_deleted_here_is_marked_there_where_deletes_are_soft(shop: ReconciledShop) -> None:
    text = CUSTOMER.replace(DELETES, "deletes: {pull: hard, push: soft}")
    shop.use(text.replace("external_id: origin", "external_id: origin, deleted: {path: gone, value: 1}"))
    shop.do("DELETE FROM app.customers WHERE id = 2")
    assert repair(shop).repaired == {FindingKind.MISSING_HERE: 1}
    assert shop.vendor.records["R000002"]["gone"] == 1
    assert is_clean(shop)


def test_lines_are_repaired_as_one(shop: ReconciledShop) -> None:
    shop.configure(conflict="newest_wins", entity="order")
    shop.vendor.records.clear()
    for number in (1, 2):
        lines = [{"line": 1, "sku": "A", "qty": "1"}, {"line": 2, "sku": "B", "qty": "2"}]
        shop.vendor.put(f"O{number}", number=f"O-{number}", customer="R000001", total="10", lines=lines)
    shop.pull("order")
    shop.vendor.records["O1"]["lines"][1]["qty"] = "9"
    shop.do(
        "DELETE FROM app.order_items WHERE line_no = 2 AND order_id = (SELECT id FROM app.orders WHERE number = 'O-2')"
    )

    assert repair(shop, entity="order").repaired == {FindingKind.DIFFERENT: 2}

    quantities = (
        "SELECT o.number, i.quantity::int FROM app.orders o JOIN app.order_items i ON i.order_id = o.id ORDER BY 1, 2"
    )
    assert shop.rows(quantities) == [("O-1", 1), ("O-1", 9), ("O-2", 1)]
    assert [line["sku"] for line in shop.vendor.records["O2"]["lines"]] == ["A"]
    assert is_clean(shop, "order")


def test_a_row_that_was_only_marked_loses_its_mark(reader: ReconciledShop) -> None:
    reader.do("ALTER TABLE app.customers ADD COLUMN deleted_at timestamptz")
    reader.use(
        reader.mappings["customer"].replace("modified: updated_at,", "modified: updated_at, deleted: deleted_at,")
    )
    reader.do("UPDATE app.customers SET deleted_at = now() WHERE id = 2")
    assert repair(reader).status == "clean"
    assert reader.rows("SELECT id FROM app.customers WHERE deleted_at IS NOT NULL") == []


def test_rows_that_were_never_sent_are_sent_and_what_is_refused_says_why(shop: ReconciledShop) -> None:
    shop.do("INSERT INTO app.customers (name, email, credit_limit) VALUES ('Good', 'g@x.y', 1), ('Bad', 'b@x.y', -1)")

    done = repair(shop)

    assert outcomes_of(shop, done) == [
        ("missing_there", None, True, None),
        ("missing_there", None, False, "limit must not be negative"),
    ]
    assert [record["name"] for record in shop.vendor.records.values()][5:] == ["Good"]
    (again,) = shop.found(shop.reconcile())
    assert again.reason == "never sent; the last push was refused: limit must not be negative"
    assert outcomes_of(shop, repair(shop))[0][3] == "a push was refused: limit must not be negative"


def test_rows_whose_record_is_gone_go_as_the_mapping_says(shop: ReconciledShop) -> None:
    shop.vendor.drop("R000003")
    assert repair(shop).repaired == {FindingKind.MISSING_THERE: 1}
    assert shop.rows("SELECT id FROM app.customers ORDER BY id") == [(1,), (2,), (4,), (5,)]
    assert is_clean(shop)


def test_rows_stay_where_the_mapping_ignores_deletes_and_that_is_said(shop: ReconciledShop) -> None:
    shop.use(CUSTOMER.replace(DELETES, "deletes: {pull: ignore, push: hard}"))
    shop.vendor.drop("R000003")
    done = repair(shop)
    assert outcomes_of(shop, done) == [
        ("missing_there", "R000003", False, "deletes.pull of the mapping is ignore: the row stays")
    ]
    assert shop.rows("SELECT count(*) FROM app.customers") == [(5,)]


def test_a_row_that_others_refer_to_is_not_deleted_and_that_is_said(shop: ReconciledShop) -> None:
    shop.vendor.drop("R000003")
    shop.do("INSERT INTO app.orders (number, customer_id) VALUES ('O-1', 3)")
    ((_, _, repaired, outcome),) = outcomes_of(shop, repair(shop, FindingKind.MISSING_THERE))
    assert not repaired
    assert outcome is not None
    assert "violates foreign key constraint" in outcome


def test_deletes_of_too_much_wait_for_a_yes_and_everything_else_is_repaired(shop: ReconciledShop) -> None:
    shop.use(CUSTOMER)
    shop.vendor.drop("R000001")
    shop.do("DELETE FROM app.customers WHERE id = 2; UPDATE app.customers SET phone = 'ours' WHERE id = 3")
    log_id = shop.open_reconciliation(repair=ALL_KINDS)

    with pytest.raises(
        DeletesNeedApproval, match=r"would delete 2 of 5 rows or records \(40%, more than the 10%"
    ) as asked:
        shop.engine.reconcile(log_id)

    assert (asked.value.count, asked.value.total) == (2, 5)
    assert shop.vendor.records["R000003"]["phone"] == "ours"
    assert "R000002" in shop.vendor.records
    assert shop.rows("SELECT count(*) FROM app.customers WHERE id = 1") == [(1,)]
    assert shop.rows("SELECT deletes_waiting FROM erpflow.erp_sync_logs WHERE id = %s", log_id) == [(2,)]

    done = shop.engine.reconcile_job(log_id).answered(True).repair()
    assert sum(done.repaired.values()) == 3
    assert "R000002" not in shop.vendor.records
    assert shop.rows("SELECT count(*) FROM app.customers WHERE id = 1") == [(0,)]
    assert is_clean(shop)


def test_a_no_keeps_what_would_have_been_deleted(shop: ReconciledShop) -> None:
    shop.use(CUSTOMER)
    shop.vendor.drop("R000001")
    shop.do("DELETE FROM app.customers WHERE id = 2")
    log_id = shop.open_reconciliation(repair=ALL_KINDS)
    with pytest.raises(DeletesNeedApproval):
        shop.engine.reconcile(log_id)

    done = shop.engine.reconcile_job(log_id).answered(False).repair()

    assert outcomes_of(shop, done) == [
        ("missing_here", "R000002", False, "a person kept what it would have deleted"),
        ("missing_there", "R000001", False, "a person kept what it would have deleted"),
    ]
    assert shop.rows("SELECT count(*) FROM app.customers") == [(4,)]


def test_only_the_kinds_that_were_asked_for_are_repaired(shop: ReconciledShop) -> None:
    shop.vendor.put("R000001", phone="theirs")
    shop.vendor.put(name="New", email="n@x.y")
    shop.do(COPY.format("4@x.y"))

    done = repair(shop, FindingKind.DIFFERENT)

    assert done.repaired == {FindingKind.DIFFERENT: 1}
    assert [repaired for _, _, repaired, _ in outcomes_of(shop, done)] == [None, True, None]
    assert named(shop.found(shop.reconcile())) == [
        ("missing_here", "R000006", None),
        ("duplicate_here", "R000004", "6"),
    ]


# -- copies ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (
            "UPDATE app.customers SET phone = 'other' WHERE id = 6",
            "it differs from that row in something that is mapped",
        ),
        ("INSERT INTO app.orders (number, customer_id) VALUES ('O-1', 6)", "app.orders refers to it"),
        ("INSERT INTO app.addresses (customer_id) VALUES (6)", "app.addresses refers to it"),  # would cascade
    ],
)
def test_a_copy_that_is_none_or_is_in_use_stays_and_that_is_said(shop: ReconciledShop, change: str, why: str) -> None:
    shop.do(COPY.format("4@x.y"))
    shop.do(change)

    assert outcomes_of(shop, repair(shop)) == [("duplicate_here", "R000004", False, why)]
    assert shop.rows("SELECT count(*) FROM app.customers") == [(6,)]


def test_a_copy_goes_and_its_history_stays(shop: ReconciledShop) -> None:
    shop.do(COPY.format("4@x.y"))
    shop.do("UPDATE app.customers SET currency = 'INR' WHERE id = 6")  # not mapped: nobody's business

    assert repair(shop).repaired == {FindingKind.DUPLICATE_HERE: 1}

    assert shop.rows("SELECT id FROM app.customers ORDER BY id") == [(1,), (2,), (3,), (4,), (5,)]
    assert shop.rows("SELECT local_id, change, before ->> 'email', after FROM erpflow.erp_record_history") == [
        ("6", "deleted", "4@x.y", None)
    ]
    assert is_clean(shop)


def test_a_copy_with_the_same_lines_goes_with_them_and_one_with_others_stays(shop: ReconciledShop) -> None:
    shop.vendor.records.clear()
    shop.do("ALTER TABLE app.orders DROP CONSTRAINT orders_number_key")
    shop.use(ORDER.replace("modified: updated_at}", "modified: updated_at, match_on: [number]}"), entity="order")
    shop.do(
        "INSERT INTO app.orders (number, customer_id, grand_total) VALUES ('O-1', 1, 10);"
        "INSERT INTO app.order_items (order_id, line_no, sku, quantity) VALUES (1, 1, 'A', 1)"
    )
    shop.push("order")
    shop.do(
        "INSERT INTO app.orders (number, customer_id, grand_total) VALUES ('O-1', 1, 10), ('O-1', 1, 10);"
        "INSERT INTO app.order_items (order_id, line_no, sku, quantity) VALUES (2, 1, 'A', 1), (3, 1, 'A', 2)"
    )

    done = repair(shop, entity="order", allow_deletes=True)

    assert [(repaired, outcome) for _, _, repaired, outcome in outcomes_of(shop, done)] == [
        (True, None),
        (False, "it differs from that row in something that is mapped"),
    ]
    assert shop.rows("SELECT order_id FROM app.order_items ORDER BY 1") == [(1,), (3,)]


def test_of_copies_of_which_none_is_tied_none_goes(reader: ReconciledShop) -> None:
    reader.do("INSERT INTO app.customers (name, email) VALUES ('A', 'a@x.y'), ('A', 'a@x.y')")
    ((_, _, repaired, outcome),) = outcomes_of(reader, repair(reader))
    assert not repaired
    assert outcome == "neither is tied to a record, so which one is the copy cannot be told"


# -- a config that only pushes ---------------------------------------------------------------------------------------


def test_a_config_that_only_pushes_sends_what_the_vendor_lacks(writer: ReconciledShop) -> None:
    writer.vendor.records["R000001"] |= {"phone": "theirs", "limit": None}
    writer.do("UPDATE app.customers SET city = NULL WHERE id = 1")
    writer.vendor.records["R000001"]["address"] = {"city": "Pune"}
    del writer.vendor.records["R000003"]
    writer.do("DELETE FROM app.customers WHERE id = 4")

    done = repair(writer, allow_deletes=True)

    assert (
        done.found
        == done.repaired
        == {
            FindingKind.MISSING_HERE: 1,
            FindingKind.MISSING_THERE: 1,
            FindingKind.DIFFERENT: 1,
        }
    )
    record = writer.vendor.records["R000001"]
    assert (record["phone"], record["limit"], record["address"]) == ("1", "10.00", {"city": None})
    assert [found["phone"] for found in writer.vendor.records.values() if found["email"] == "3@x.y"] == ["3"]
    assert "R000004" not in writer.vendor.records
    assert is_clean(writer)


def test_what_a_vendor_makes_of_what_is_sent_again_is_agreed_on(writer: ReconciledShop) -> None:
    writer.vendor.normalise = lambda record: record | {"name": str(record["name"]).upper()}
    writer.vendor.records["R000001"]["name"] = "CUSTOMER 1"  # from before its words were kept
    assert repair(writer).repaired == {FindingKind.DIFFERENT: 1}
    assert is_clean(writer)
    assert writer.push().counts.read == 0


# -- when things go wrong --------------------------------------------------------------------------------------------


def test_a_value_that_the_table_alters_is_not_said_to_be_repaired(reader: ReconciledShop) -> None:
    reader.do(
        "CREATE FUNCTION app.alter_phone() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN NEW.phone := '+' || NEW.phone; RETURN NEW; END $$;"
        "CREATE TRIGGER alter_phone BEFORE UPDATE ON app.customers FOR EACH ROW EXECUTE FUNCTION app.alter_phone();"
        "UPDATE app.customers SET phone = 'ours' WHERE id = 1"
    )
    ((_, _, repaired, outcome),) = outcomes_of(reader, repair(reader))
    assert not repaired
    assert outcome is not None
    assert "what is written is altered on its way" in outcome


class Silent(TwoWayConnector):
    """Answers every question for single records with nothing, as a vendor in trouble may."""

    def read_many(self, entity: str, remote_ids: Sequence[str]) -> Page:
        return Page(b'{"data": []}', 0, None)


def test_a_vendor_that_suddenly_knows_nothing_empties_no_table(
    reader: ReconciledShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader.do("UPDATE app.customers SET phone = 'ours'")
    job = reader.engine.reconcile_job(reader.open_reconciliation(repair=ALL_KINDS))
    job.extract(TwoWayConnector(reader.vendor))
    job.compare()
    monkeypatch.setattr("tests.two_way.TwoWayConnector.read_many", Silent.read_many)

    done = job.repair()

    assert done.repaired == {}
    assert {outcome for _, _, _, outcome in outcomes_of(reader, done)} == {"the vendor no longer has it"}
    assert reader.rows("SELECT count(*) FROM app.customers") == [(5,)]


def test_a_record_without_a_key_leaves_what_is_missing_there_alone(shop: ReconciledShop) -> None:
    shop.vendor.drop("R000003")
    shop.vendor.records[""] = {"name": "Keyless", "modified": shop.vendor.tick().isoformat()}

    ((_, _, repaired, outcome), rejected) = outcomes_of(shop, repair(shop))

    assert (repaired, outcome) == (False, "a record without a key was read, which may be this one")
    assert rejected[0] == "rejected"
    assert shop.rows("SELECT count(*) FROM app.customers") == [(5,)]


def test_a_vendor_that_goes_away_fails_the_repair_and_the_next_try_goes_on(shop: ReconciledShop) -> None:
    shop.do("INSERT INTO app.customers (name, email) VALUES ('Mine', 'm@x.y')")

    def down(_change: object) -> None:
        raise VendorUnavailable("503", maybe_done=False)

    shop.vendor.before_write = down
    log_id = shop.open_reconciliation(repair=ALL_KINDS)
    with pytest.raises(VendorUnavailable):
        shop.engine.reconcile(log_id)
    shop.vendor.before_write = lambda change: None

    assert shop.engine.reconcile(log_id).repaired == {FindingKind.MISSING_THERE: 1}
    assert shop.rows("SELECT DISTINCT status FROM erpflow.erp_sync_logs") == [("completed",)]
