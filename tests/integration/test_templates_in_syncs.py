"""Templates at work in a sync: of a batch on the way in, of a record both ways, and how often they were used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from erpflow.store.database import Database
from tests.engine import CUSTOMER, Shop, customer
from tests.two_way import CUSTOMER as BOTH_WAYS
from tests.two_way import TwoWayShop

FUNCTIONS = """
from erpflow.mapping.transforms import batch_transform, record_transform


@batch_transform
def real_ones(frame):
    if (frame["name"] == "Poison").any():
        raise ValueError("cannot stand poison")
    frame = frame[frame["city"] != "Test"].copy()
    frame["phone"] = frame["phone"].where(frame["phone"].notna(), "none")
    return frame


def joined(values):
    return {"whole": f"{values['first']} {values['last']}"}


@record_transform(reverse=joined)
def parted(values):
    first, _, last = values["whole"].partition(" ")
    return {"first": first, "last": last}
"""
REAL_ONES = "{level: batch, description: Leaves tests out., function: real_ones}"
PARTED = "{level: record, description: A name in two., function: parted, reads: [whole], gives: [first, last]}"
DROPPED = "dropped by real_ones"
REASONS = "SELECT ignored_reasons FROM erpflow.erp_sync_logs ORDER BY started_at DESC LIMIT 1"

Install = Callable[[Path], None]


@pytest.fixture
def install() -> Install:
    def put(folder: Path) -> None:
        for name, text in (("real_ones", REAL_ONES), ("parted", PARTED)):
            path = folder / "mappings" / "templates" / f"{name}.yaml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (folder / "transforms").mkdir(exist_ok=True)
        (folder / "transforms" / "shop.py").write_text(FUNCTIONS)

    return put


@pytest.fixture
def shop(fresh_database: Database, tmp_path: Path, install: Install) -> Shop:
    install(tmp_path)
    made = Shop(fresh_database, tmp_path)
    made.write_mapping("customer", CUSTOMER + "batch: [real_ones]\n")
    return made


def test_what_a_batch_template_leaves_out_is_ignored_with_its_name_and_what_it_changes_is_kept(shop: Shop) -> None:
    records = [customer(n, address={"city": "Test" if n % 3 == 0 else "Pune"}) for n in range(1, 10)]
    counts = shop.sync(records).counts
    assert (counts.read, counts.created, counts.ignored) == (9, 6, 3)
    assert shop.rows(REASONS) == [({DROPPED: 3},)]
    assert shop.rows("SELECT count(*), min(phone), max(phone) FROM app.customers") == [(6, "none", "none")]


def test_a_record_that_is_dropped_later_stays_as_it_was(shop: Shop) -> None:
    shop.sync([customer(1)])
    counts = shop.sync([customer(1, address={"city": "Test"}, modified="2026-02-01T00:00:00+00:00")]).counts
    assert (counts.read, counts.ignored) == (1, 1)
    assert shop.rows("SELECT city FROM app.customers") == [("Ljubljana",)]


def test_a_batch_template_that_fails_makes_rejects_of_what_it_was_given_and_they_come_in_once_it_works(
    shop: Shop,
) -> None:
    records = [customer(1), customer(2, name=None), customer(3, name="Poison"), customer(4, address={"city": "Test"})]
    counts = shop.sync(records).counts
    assert (counts.read, counts.rejected) == (4, 4)
    problems = shop.rows("SELECT remote_id, problems -> 0 ->> 'rule' FROM erpflow.erp_rejects ORDER BY remote_id")
    assert problems == [
        ("C000001", "template"), ("C000002", "required"), ("C000003", "template"), ("C000004", "template"),
    ]  # fmt: skip
    path = shop.folder / "transforms" / "shop.py"
    path.write_text(FUNCTIONS.replace('== "Poison"', '== "Venom"'))
    counts = shop.sync([]).counts
    assert (counts.read, counts.created, counts.rejected, counts.ignored) == (4, 2, 1, 1)
    assert shop.rows("SELECT remote_id FROM erpflow.erp_rejects WHERE status = 'open'") == [("C000002",)]


def test_the_rows_of_each_run_are_counted_and_unchanged_ones_are_none(shop: Shop) -> None:
    used = "SELECT name, usage_count FROM erpflow.erp_transform_templates"
    records = [customer(n) for n in range(1, 6)]
    shop.sync(records)
    assert shop.rows(used) == [("real_ones", 5)]
    shop.sync([*records, customer(6, name=None)], kind="full")
    assert shop.rows(used) == [("real_ones", 6)]
    shop.sync([customer(7)], dry_run=True)
    assert shop.rows(used) == [("real_ones", 6)]


@pytest.fixture
def both_ways(fresh_database: Database, tmp_path: Path, install: Install) -> TwoWayShop:
    install(tmp_path)
    shop = TwoWayShop(fresh_database, tmp_path)
    text = BOTH_WAYS.replace("{local: name, remote: name, type: text, required: true, max_length: 200}", (
        "{local: name, remote: first, type: text, required: true}\n  - {local: phone, remote: last, type: text}"
    )).replace("  - {local: phone, remote: phone, type: text}\n", "")  # fmt: skip
    shop.use(text + "record: [{parted: {reads: {whole: name}}}]\n")
    return shop


def test_a_column_is_sent_with_those_that_its_record_template_needs_and_history_tells_what_changed(
    both_ways: TwoWayShop,
) -> None:
    shop = both_ways
    name = shop.vendor.put(name="Asha Rao", email="asha@example.com")
    shop.cycle()
    shop.do("UPDATE app.customers SET phone = 'Nair', updated_at = now()")
    shop.cycle()
    assert shop.vendor.records[name]["name"] == "Asha Nair"
    assert shop.vendor.writes == [("update", name)]
    (before, after) = shop.rows("SELECT before, after FROM erpflow.erp_record_history WHERE direction = 'push'")[0]
    assert (before, after) == ({"phone": "Rao"}, {"phone": "Nair"})


def test_parts_of_one_name_that_change_on_both_sides_are_merged(both_ways: TwoWayShop) -> None:
    shop = both_ways
    name = shop.vendor.put(name="Asha Rao", email="asha@example.com")
    shop.cycle()
    shop.do("UPDATE app.customers SET phone = 'Nair', updated_at = now()")
    shop.vendor.put(name, name="Usha Rao")
    shop.cycle(push_first=True)
    shop.cycle()
    assert shop.vendor.records[name]["name"] == "Usha Nair"
    assert shop.rows("SELECT name, phone FROM app.customers") == [("Usha", "Nair")]
