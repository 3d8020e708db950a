"""Both sides compared whole: every missing, extra, different and duplicate record is named, and nothing is written."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from erpflow.connectors.base import Page, PageToken
from erpflow.errors import ConfigError
from erpflow.store import reconciliations
from erpflow.store.database import Database
from erpflow.sync import reconcile, transform
from erpflow.vocabulary import Counts, FindingKind, Window
from tests.engine import START
from tests.reconciling import (
    ALL_KINDS,
    COPY,
    ReconciledShop,
    both_ways,
    named,
    only_pulling,
    only_pushing,
    report_of,
    row_of,
    with_reasons,
)
from tests.two_way import CUSTOMER, TwoWayConnector, Vendor


@pytest.fixture
def shop(fresh_database: Database, tmp_path: Path) -> ReconciledShop:
    """Five customers that both sides agree on, in a config that goes both ways."""
    return both_ways(fresh_database, tmp_path)


@pytest.fixture
def reader(fresh_database: Database, tmp_path: Path) -> ReconciledShop:
    """The same in a config that only pulls."""
    return only_pulling(fresh_database, tmp_path)


@pytest.fixture
def writer(fresh_database: Database, tmp_path: Path) -> ReconciledShop:
    """The same in a config that only pushes."""
    return only_pushing(fresh_database, tmp_path)


def state_of(shop: ReconciledShop) -> list[Any]:
    """Everything that a comparison may not touch: rows and their versions, ties, cursors, rejects, history."""
    return [
        shop.rows(statement)
        for statement in (
            "SELECT xmin, c::text FROM app.customers c ORDER BY id",
            "SELECT xmin, r::text FROM erpflow.erp_entity_sync_records r ORDER BY remote_id",
            "SELECT cursor_at, local_cursor_at, deletes_cursor_at, last_started_at, last_finished_at"
            " FROM erpflow.erp_sync_configs ORDER BY entity",
            "SELECT count(*) FROM erpflow.erp_record_history",
            "SELECT count(*) FROM erpflow.erp_rejects",
            "SELECT count(*) FROM erpflow.erp_push_attempts",
        )
    ]


def test_sides_that_are_alike_are_clean(shop: ReconciledShop) -> None:
    done = shop.reconcile()

    assert (done.status, done.found) == ("clean", {})
    log = shop.log_of(done)
    assert (log["kind"], log["status"], log["read_count"], log["unchanged_count"]) == ("reconcile", "completed", 5, 5)
    assert report_of(done) == []


def test_a_comparison_writes_no_row_and_moves_no_cursor(shop: ReconciledShop) -> None:
    shop.vendor.put("R000001", phone="theirs")
    shop.vendor.put(name="New", email="n@x.y")
    shop.vendor.drop("R000002")
    shop.do("UPDATE app.customers SET phone = 'ours' WHERE email = '3@x.y'; DELETE FROM app.customers WHERE id = 4")
    before, writes = state_of(shop), list(shop.vendor.writes)

    assert shop.reconcile().status == "findings"
    assert state_of(shop) == before
    assert shop.vendor.writes == writes


def test_a_record_without_a_row_is_missing_here(shop: ReconciledShop) -> None:
    new = shop.vendor.put(name="New", email="n@x.y")
    gone = row_of(shop, "2@x.y")
    shop.do(f"DELETE FROM app.customers WHERE id = {gone}")

    done = shop.reconcile()

    assert named(shop.found(done)) == [("missing_here", "R000002", gone), ("missing_here", new, None)]
    assert [each.reason for each in shop.found(done)] == [
        "its row was deleted here, and the next push deletes it there",
        "nothing here is tied to it",
    ]
    assert shop.log_of(done)["ignored_reasons"] == {"missing here": 2}


def test_a_row_whose_record_is_gone_and_one_that_was_never_sent_are_missing_there(shop: ReconciledShop) -> None:
    shop.vendor.drop("R000003")
    shop.do("INSERT INTO app.customers (name, email) VALUES ('Mine', 'm@x.y')")

    assert [(*each[:3], reason) for each, reason in with_reasons(shop, shop.reconcile())] == [
        ("missing_there", "R000003", row_of(shop, "3@x.y"), "the vendor no longer has it"),
        ("missing_there", None, row_of(shop, "m@x.y"), "never sent"),
    ]


def test_fields_that_differ_are_named_with_both_values_and_where_the_difference_began(shop: ReconciledShop) -> None:
    shop.vendor.put("R000001", phone="theirs", limit=None)
    shop.do("UPDATE app.customers SET phone = 'ours' WHERE email = '2@x.y'")
    shop.vendor.put("R000003", phone="theirs")
    shop.do("UPDATE app.customers SET phone = 'ours' WHERE email = '3@x.y'")

    first, second, third = shop.found(shop.reconcile())

    assert (first.remote_id, first.local_id, first.reason) == ("R000001", row_of(shop, "1@x.y"), "changed there")
    assert first.fields == {
        "credit_limit": {"here": "10", "there": None},
        "phone": {"here": "1", "there": "theirs"},
    }
    assert (second.fields, second.reason) == ({"phone": {"here": "ours", "there": "2"}}, "changed here")
    assert (third.fields, third.reason) == ({"phone": {"here": "ours", "there": "theirs"}}, "changed on both sides")


def test_what_a_vendor_makes_of_our_values_is_no_difference_until_one_of_them_changes(shop: ReconciledShop) -> None:
    shop.vendor.normalise = lambda record: record | {"name": str(record["name"]).strip().upper()}
    shop.do("INSERT INTO app.customers (name, email) VALUES ('  Acme ', 'a@x.y')")
    shop.push()
    assert shop.reconcile().status == "clean"

    shop.vendor.put("R000006", name="Acme!")
    (found,) = shop.found(shop.reconcile())
    assert (found.fields, found.reason) == ({"name": {"here": "  Acme ", "there": "Acme!"}}, "changed there")

    shop.vendor.put("R000006", name="ACME")
    shop.do("UPDATE app.customers SET name = 'Acme' WHERE email = 'a@x.y'")
    (found,) = shop.found(shop.reconcile())
    assert (found.fields, found.reason) == ({"name": {"here": "Acme", "there": "ACME"}}, "changed here")


def keeping_phones(vendor: Vendor) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """What a vendor does that takes every write, and no phone: it has its own, or none."""
    return lambda record: record | {"phone": vendor.records.get(record.get("id", ""), {}).get("phone")}


def test_what_the_vendor_accepted_and_did_not_take_is_different_though_no_sync_sends_it_again(
    shop: ReconciledShop,
) -> None:
    shop.vendor.normalise = keeping_phones(shop.vendor)
    shop.do("UPDATE app.customers SET phone = 'ours', city = 'Pune' WHERE email = '1@x.y'")
    shop.do("INSERT INTO app.customers (name, email, phone) VALUES ('New', 'n@x.y', '9')")
    assert shop.push().counts == Counts(read=2, created=1, updated=1)
    shop.pull()
    assert shop.push().counts == Counts()
    writes = list(shop.vendor.writes)

    done = shop.reconcile(repair=ALL_KINDS)

    assert [(each.remote_id, each.fields, each.reason) for each in shop.found(done)] == [
        ("R000001", {"phone": {"here": "ours", "there": "1"}}, "sent, and the vendor kept its own value"),
        ("R000006", {"phone": {"here": "9", "there": None}}, "sent, and the vendor kept its own value"),
    ]
    assert {each.outcome for each in shop.found(done)} == {
        "the vendor accepts what is sent and does not take it: change it there, or map it with only: pull"
    }
    assert shop.vendor.writes == writes
    shop.vendor.put("R000001", phone="ours")
    shop.vendor.put("R000006", phone="9")
    shop.pull()
    assert shop.reconcile().status == "clean"


def test_so_is_what_is_only_pushed(writer: ReconciledShop) -> None:
    writer.vendor.normalise = keeping_phones(writer.vendor)
    writer.do("UPDATE app.customers SET phone = 'ours' WHERE id = 1")
    writer.push()
    (found,) = writer.found(writer.reconcile())
    assert (found.fields, found.reason) == (
        {"phone": {"here": "ours", "there": "1"}},
        "sent, and the vendor kept its own value",
    )


def test_a_value_of_which_the_vendor_makes_what_it_had_before_is_no_difference(shop: ReconciledShop) -> None:
    shop.vendor.normalise = lambda record: (
        record | {"limit": str(round(Decimal(record["limit"]))), "name": str(record["name"]).title()}
    )
    shop.do("UPDATE app.customers SET credit_limit = 10.4, name = 'CUSTOMER 1' WHERE email = '1@x.y'")
    assert shop.push().counts == Counts(read=1, updated=1)
    assert (shop.vendor.records["R000001"]["limit"], shop.vendor.records["R000001"]["name"]) == ("10", "Customer 1")
    assert shop.reconcile().status == "clean"


def test_what_both_sides_created_and_nobody_tied_is_different_even_where_it_is_alike(shop: ReconciledShop) -> None:
    alike = shop.vendor.put(name="Twin", email="t@x.y")
    other = shop.vendor.put(name="Other", email="o@x.y", phone="1")
    shop.do("INSERT INTO app.customers (name, email, phone) VALUES ('Twin', 't@x.y', NULL), ('Other', 'o@x.y', '2')")

    first, second = shop.found(shop.reconcile())

    assert (first.kind, first.remote_id, first.local_id) == ("different", alike, row_of(shop, "t@x.y"))
    assert (first.fields, first.reason) == ({}, "the same by its email, and not tied yet")
    assert (second.remote_id, second.fields) == (other, {"phone": {"here": "2", "there": "1"}})


def test_a_copy_of_a_row_is_a_duplicate_here_and_not_a_row_that_was_never_sent(shop: ReconciledShop) -> None:
    shop.do(COPY.format("4@x.y"))
    copy = shop.rows("SELECT max(id)::text FROM app.customers")[0][0]

    ((finding, reason),) = with_reasons(shop, shop.reconcile())

    assert finding == ("duplicate_here", "R000004", copy)
    assert reason == f"the same email as row {row_of(shop, '4@x.y')}, which is R000004 there"


def test_of_copies_of_which_none_is_tied_one_was_never_sent(shop: ReconciledShop) -> None:
    shop.do("INSERT INTO app.customers (name, email) VALUES ('A', 'a@x.y'), ('A', 'a@x.y'), ('A', 'a@x.y')")
    first, second, third = (
        row[0] for row in shop.rows("SELECT id::text FROM app.customers WHERE name = 'A' ORDER BY id")
    )

    assert named(shop.found(shop.reconcile())) == [
        ("missing_there", None, first),
        ("duplicate_here", None, second),
        ("duplicate_here", None, third),
    ]


def test_rows_without_a_natural_key_are_no_copies(shop: ReconciledShop) -> None:
    shop.configure(direction="pull")
    shop.do("INSERT INTO app.customers (name, email) VALUES ('A', NULL), ('B', NULL), ('C', ''), ('D', '')")
    assert shop.reconcile().status == "clean"


def test_a_row_that_another_connection_has_tied_is_no_copy(shop: ReconciledShop) -> None:
    shop.do(COPY.format("4@x.y"))
    ReconciledShop(shop.database, shop.folder, name="other")
    shop.do(
        "INSERT INTO erpflow.erp_entity_sync_records (sync_config_id, tenant_id, remote_id, local_id, raw_hash)"
        " SELECT c.id, c.tenant_id, 'X', (SELECT max(id) FROM app.customers), 1 FROM erpflow.erp_sync_configs c"
        " JOIN erpflow.erp_connections n ON n.id = c.connection_id WHERE n.name = 'other' AND c.entity = 'customer'"
    )

    (found,) = shop.found(shop.reconcile())
    assert (found.kind, found.reason) == ("missing_there", "never sent")


def test_records_with_one_natural_key_are_duplicates_there(shop: ReconciledShop) -> None:
    stranger = shop.vendor.put(name="Customer 1 again", email="1@x.y")
    shop.vendor.put("R000003", email="2@x.y")
    shop.pull(record_ids=("R000003",))

    assert with_reasons(shop, shop.reconcile()) == [
        (("duplicate_there", "R000003", "3"), "the same email as R000002"),
        (("duplicate_there", stranger, None), "the same email as R000001, and no row here"),
    ]


def test_what_cannot_become_a_row_is_rejected_with_every_reason(shop: ReconciledShop) -> None:
    shop.configure(direction="pull")
    nameless = shop.vendor.put(name=None, email="z@x.y")
    wide = shop.vendor.put(name="Wide", email="w@x.y", limit="12345678901234567890")
    shop.vendor.put(name="Ambiguous", email="a@x.y")
    shop.do("INSERT INTO app.customers (name, email) VALUES ('A', 'a@x.y'), ('A', 'a@x.y')")

    done = shop.reconcile()

    rejected = {each.remote_id: each.reason for each in shop.found(done) if each.kind is FindingKind.REJECTED}
    assert rejected[nameless] == "name (from name): a value is required, found null"
    assert "numeric field overflow" in rejected[wide]
    assert rejected["R000008"].startswith("More than one row of app.customers has this email")
    log = shop.log_of(done)
    assert (log["status"], log["rejected_count"], log["read_count"]) == ("partial", 3, 8)


def test_lines_and_look_ups_are_compared_as_well(shop: ReconciledShop) -> None:
    lines = [{"line": 1, "sku": "A", "qty": "1.50"}, {"line": 2, "sku": "B", "qty": "2"}]
    same = shop.vendor.put(number="O-1", customer="R000001", total="10", lines=lines)
    shop.vendor.put(number="O-2", customer="R000001", total="10", lines=lines)
    shop.vendor.put(number="O-3", customer="R000001", total="10", lines=lines)
    shop.pull("order", record_ids=(same, "R000007", "R000008"))
    shop.do(
        "UPDATE app.order_items SET quantity = 9 WHERE line_no = 2 AND order_id = 2;"
        "UPDATE app.orders SET customer_id = 2 WHERE number = 'O-3'"
    )
    stranger = shop.vendor.put(number="O-4", customer="nobody", total="1", lines=[])

    by_id = {each.remote_id: each for each in shop.found(shop.reconcile("order"))}

    assert same not in by_id
    ours, theirs = (json.loads(text or "") for text in by_id["R000007"].fields["app.order_items"].values())
    assert [line["quantity"] for line in ours] == ["1.5", "9"]
    assert [line["quantity"] for line in theirs] == ["1.5", "2"]
    assert by_id["R000008"].fields == {"customer_id": {"here": "2", "there": "1"}}
    assert by_id[stranger].kind is FindingKind.REJECTED
    assert '"nobody" is not among the records that were synced before' in by_id[stranger].reason


def test_what_waits_for_a_person_is_frozen_and_nothing_else(shop: ReconciledShop) -> None:
    shop.configure(conflict="manual")
    for number in (1, 2):
        shop.vendor.put(f"R00000{number}", phone="theirs")
        shop.do(f"UPDATE app.customers SET phone = 'ours' WHERE email = '{number}@x.y'")
    shop.pull()
    shop.vendor.drop("R000002")

    done = shop.reconcile()

    assert with_reasons(shop, done) == [
        (("frozen", "R000001", "1"), "Both sides changed phone: waits for a person."),
        (("frozen", "R000002", "2"), "Both sides changed phone: waits for a person."),
    ]
    assert shop.log_of(done)["conflict_count"] == 1


def test_a_record_that_stays_though_its_row_was_deleted_here_is_agreed_on(shop: ReconciledShop) -> None:
    shop.use(CUSTOMER.replace("deletes: {pull: hard, push: hard}", "deletes: {pull: hard, push: ignore}"))
    shop.do("DELETE FROM app.customers WHERE email = '2@x.y'")
    shop.push()

    done = shop.reconcile()

    assert done.status == "clean"
    assert shop.log_of(done)["ignored_reasons"] == {"deleted here": 1}


def test_what_was_synced_after_it_was_read_is_not_held_against_the_old_page(shop: ReconciledShop) -> None:
    log_id = shop.open_reconciliation()
    job = shop.engine.reconcile_job(log_id)
    job.extract(TwoWayConnector(shop.vendor))
    shop.vendor.put("R000001", phone="newer")
    shop.vendor.drop("R000002")
    new = shop.vendor.put(name="New", email="n@x.y")
    shop.cycle()

    job.compare()

    (done, reconciliation) = reconcile.finish_reconciliation(shop.database, log_id)
    assert reconciliation.found == {}
    assert done.counts.read == 5
    assert shop.log_of(reconciliation)["ignored_reasons"] == {"synced meanwhile": 2}
    assert new in shop.vendor.records


def test_a_record_that_a_killed_push_made_is_no_stranger(shop: ReconciledShop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("erpflow.sync.push_settle.GRACE", START - START)
    shop.do("INSERT INTO app.customers (name, email) VALUES ('Mine', 'm@x.y')")

    class Killed(BaseException):
        pass

    def kill(_change: object) -> None:
        raise Killed

    shop.vendor.after_write = kill
    with pytest.raises(Killed):
        shop.push()
    shop.vendor.after_write = lambda change: None

    assert shop.reconcile().status == "clean"
    assert shop.rows("SELECT count(*) FROM erpflow.erp_sync_logs WHERE status = 'failed'") == [(0,)]


class TwiceConnector(TwoWayConnector):
    """Lists the first record again at the end, changed meanwhile, and one without a key."""

    def read(self, entity: str, window: Window, *, resume: PageToken | None = None) -> Iterator[Page]:
        yield from super().read(entity, window, resume=resume)
        again = dict(next(iter(self.vendor.records.values())), phone="last word")
        yield Page(json.dumps({"data": [again, {"name": "keyless"}]}).encode(), 2, None)


def test_a_record_that_is_read_twice_counts_as_it_was_read_last(
    shop: ReconciledShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transform, "CHUNK_RECORDS", 3)  # so that both are in chunks of their own
    job = shop.engine.reconcile_job(shop.open_reconciliation())
    job.extract(TwiceConnector(shop.vendor))
    shop.vendor.drop("R000005")

    done = job.compare()

    different, keyless = shop.found(done)
    assert (different.remote_id, different.fields["phone"]["there"]) == ("R000001", "last word")
    assert (keyless.kind, keyless.remote_id, keyless.local_id) == (FindingKind.REJECTED, None, None)
    log = shop.log_of(done)
    assert (log["read_count"], log["unchanged_count"], log["rejected_count"]) == (7, 4, 1)
    assert log["ignored_reasons"] == {"different": 1, "superseded in the same read": 1}


def test_a_config_that_only_pulls_knows_nothing_of_rows_of_others(reader: ReconciledShop) -> None:
    reader.do("INSERT INTO app.customers (name, email) VALUES ('Of another system', 'o@x.y')")
    assert reader.reconcile().status == "clean"


def test_a_config_that_only_pulls_names_what_was_changed_here_and_what_it_missed(reader: ReconciledShop) -> None:
    reader.do(
        "UPDATE app.customers SET phone = 'ours' WHERE email = '1@x.y';DELETE FROM app.customers WHERE email = '2@x.y'"
    )
    reader.vendor.records["R000003"]["phone"] = "slipped in without a new time"
    del reader.vendor.records["R000004"]

    assert with_reasons(reader, reader.reconcile()) == [
        (("missing_here", "R000002", "2"), "its row was deleted here"),
        (("missing_there", "R000004", "4"), "the vendor no longer has it"),
        (("different", "R000001", "1"), "changed here"),
        (("different", "R000003", "3"), "changed there"),
    ]


def test_a_config_that_only_pushes_compares_what_it_sent(writer: ReconciledShop) -> None:
    writer.vendor.put(name="Of nobody here", email="s@x.y")
    first = writer.vendor.put(name="Customer 1 again", email="1@x.y")
    writer.vendor.records["R000002"]["phone"] = "theirs"
    del writer.vendor.records["R000003"]
    writer.do("DELETE FROM app.customers WHERE email = '4@x.y'")

    done = writer.reconcile()

    assert named(writer.found(done)) == [
        ("missing_here", "R000004", "4"),
        ("missing_there", "R000003", "3"),
        ("different", "R000002", "2"),
        ("duplicate_there", first, None),
    ]
    assert writer.log_of(done)["ignored_reasons"] == {
        "different": 1,
        "duplicate there": 1,
        "missing here": 1,
        "of nobody here": 1,
    }


def test_what_a_vendor_makes_of_what_is_only_pushed_is_no_difference_either(writer: ReconciledShop) -> None:
    writer.vendor.normalise = lambda record: record | {"name": str(record["name"]).upper()}
    writer.do("INSERT INTO app.customers (name, email) VALUES ('Acme', 'a@x.y')")
    writer.push()
    assert writer.reconcile().status == "clean"


def test_rows_that_a_mapping_does_not_send_are_not_missing_there(shop: ReconciledShop) -> None:
    shop.use(CUSTOMER.replace("every: 1h", "every: 1h\nwrites: [update]"))
    shop.do("INSERT INTO app.customers (name, email) VALUES ('Of another system', 'o@x.y')")
    assert shop.reconcile().status == "clean"


def test_a_row_marked_as_deleted_is_not_here(shop: ReconciledShop) -> None:
    shop.do("ALTER TABLE app.customers ADD COLUMN deleted_at timestamptz")
    shop.use(CUSTOMER.replace("modified: updated_at,", "modified: updated_at, deleted: deleted_at,"))
    shop.do("UPDATE app.customers SET deleted_at = now() WHERE email = '2@x.y'")
    assert named(shop.found(shop.reconcile())) == [("missing_here", "R000002", "2")]


LEAVES_OUT = """
from erpflow.mapping.transforms import batch_transform


@batch_transform
def real_ones(frame):
    return frame[frame["city"] != "Test"]
"""


def test_a_record_that_the_mapping_leaves_out_is_not_missing_here(reader: ReconciledShop) -> None:
    templates, transforms = reader.folder / "mappings" / "templates", reader.folder / "transforms"
    templates.mkdir()
    transforms.mkdir()
    (templates / "real_ones.yaml").write_text("{level: batch, description: No tests., function: real_ones}")
    (transforms / "shop.py").write_text(LEAVES_OUT)
    reader.use(reader.mappings["customer"] + "batch: [real_ones]\n")
    reader.vendor.put(name="Test", email="t@x.y", address={"city": "Test"})
    reader.vendor.put("R000001", address={"city": "Test"})  # its row stays, as a pull leaves it

    done = reader.reconcile()

    assert done.status == "clean"
    log = reader.log_of(done)
    assert (log["read_count"], log["unchanged_count"]) == (6, 4)
    assert log["ignored_reasons"] == {"left out by the mapping": 2}


def test_a_table_that_sees_no_difference_in_json_has_none(reader: ReconciledShop) -> None:
    reader.do("ALTER TABLE app.customers ADD COLUMN extra jsonb")
    reader.use(reader.mappings["customer"] + "  - {local: extra, remote: extra, type: json}\n")
    remote_id = reader.vendor.put(name="J", email="j@x.y", extra={"rate": 1})
    reader.pull()
    reader.do("UPDATE app.customers SET extra = '{\"rate\": 1.0}' WHERE email = 'j@x.y'")
    assert reader.reconcile().status == "clean"

    reader.do("UPDATE app.customers SET extra = '{\"rate\": 1.5}' WHERE email = 'j@x.y'")
    assert named(reader.found(reader.reconcile())) == [("different", remote_id, "6")]


def test_the_report_is_safe_to_open_in_a_spreadsheet_and_has_a_row_for_each_field(shop: ReconciledShop) -> None:
    shop.vendor.put("R000001", name='=HYPERLINK("http://evil.example","x")', phone="+1")
    shop.do("UPDATE app.customers SET phone = '-1', city = '\t@x', name = E'two\\nlines, \"quoted\"' WHERE id = 2")
    shop.vendor.put(name="New", email="n@x.y")

    rows = report_of(shop.reconcile())

    assert [tuple(row.values()) for row in rows] == [
        ("missing_here", "R000006", "", "", "", "", "nothing here is tied to it"),
        ("different", "R000001", "1", "name", "Customer 1", '\'=HYPERLINK("http://evil.example","x")', "changed there"),
        ("different", "R000001", "1", "phone", "1", "'+1", "changed there"),
        ("different", "R000002", "2", "city", "'\t@x", "∅", "changed here"),
        ("different", "R000002", "2", "name", 'two\nlines, "quoted"', "Customer 2", "changed here"),
        ("different", "R000002", "2", "phone", "'-1", "2", "changed here"),
    ]
    assert list(rows[0]) == ["kind", "remote_id", "local_id", "field", "here", "there", "reason"]


def test_the_table_keeps_the_first_findings_and_the_report_has_all(
    shop: ReconciledShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "KEPT", 2)
    monkeypatch.setattr("erpflow.sync.findings.PART", 2)
    for number in range(7):
        shop.vendor.put(name="New", email=f"new{number}@x.y")

    done = shop.reconcile()

    assert done.found == {FindingKind.MISSING_HERE: 7}
    assert [each.number for each in shop.found(done)] == [1, 2]
    assert len(report_of(done)) == 7


def test_a_comparison_that_failed_is_made_again_from_the_landed_pages(
    shop: ReconciledShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.vendor.put(name="New", email="n@x.y")
    log_id = shop.open_reconciliation()

    def broken(*_arguments: object, **_options: object) -> None:
        raise RuntimeError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(reconciliations, "note_compared", broken)
        with pytest.raises(RuntimeError, match="no space left"):
            shop.engine.reconcile(log_id)
    with shop.database.session() as connection:
        failed = reconciliations.get(connection, log_id)
    assert (failed.status, failed.found) == ("failed", {})
    assert shop.found(failed) == []

    shop.vendor.records.clear()  # nobody asks the vendor again
    done = shop.engine.reconcile(log_id)
    assert done.found == {FindingKind.MISSING_HERE: 1}
    assert shop.log_of(done)["error"] is None


def test_a_mapping_that_changed_since_is_compared_anew(shop: ReconciledShop) -> None:
    log_id = shop.open_reconciliation()
    job = shop.engine.reconcile_job(log_id)
    job.extract(TwoWayConnector(shop.vendor))
    assert job.compare().found == {}
    shop.use(CUSTOMER.replace("remote: phone,", "remote: telephone,"))
    assert job.compare().found == {FindingKind.DIFFERENT: 5}


def test_compare_without_its_pages_says_what_to_do(shop: ReconciledShop) -> None:
    job = shop.engine.reconcile_job(shop.open_reconciliation())
    with pytest.raises(ConfigError, match="Clear the extract task"):
        job.compare()
    with pytest.raises(ConfigError, match="Clear the compare task"):
        job.repair()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda shop: shop.do("ALTER TABLE app.customers DROP COLUMN phone"), 'has no column "phone"'),
        (lambda shop: shop.do("UPDATE erpflow.erp_sync_configs SET enabled = false"), "is switched off"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_read(
    shop: ReconciledShop, change: Callable[[ReconciledShop], None], message: str
) -> None:
    change(shop)
    with pytest.raises(ConfigError, match=message):
        shop.reconcile()


def test_what_is_only_sent_and_never_read_cannot_be_compared(writer: ReconciledShop) -> None:
    text = writer.mappings["customer"].replace(", match_on: [email]", "")
    writer.use(text.replace("type: text", "type: text, only: push").replace("scale: 2", "scale: 2, only: push"))
    with pytest.raises(ConfigError, match="nothing that it pushes can be read back"):
        writer.reconcile()
