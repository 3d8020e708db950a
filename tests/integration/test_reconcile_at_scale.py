"""A hundred thousand records: what was hidden, altered or copied is named, and memory does not grow with them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from erpflow.connectors.base import Page, PageToken
from erpflow.store.database import Database
from erpflow.vocabulary import FindingKind, SyncLogId, Window
from tests.engine import START, ShopConnector
from tests.reconciling import ALL_KINDS, COPY, ReconciledShop, named
from tests.two_way import TwoWayConnector

MANY, FEW = 100_000, 20_000
PAGE = 1_000
MEGABYTE = 2**20


@pytest.fixture(autouse=True)
def large_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """The vendor gives thousands of records at once."""

    def read(self: TwoWayConnector, entity: str, window: Window, *, resume: PageToken | None = None) -> Iterator[Page]:
        records = self.vendor.records.values()
        yield from ShopConnector(records, page_size=PAGE).read(entity, window, resume=resume)

    monkeypatch.setattr(TwoWayConnector, "read", read)


def fill(shop: ReconciledShop, number: int) -> None:
    moment = START.isoformat()
    for n in range(number):
        name = f"R{n:06d}"
        shop.vendor.records[name] = {
            "id": name,
            "modified": moment,
            "name": f"Customer {n}",
            "email": f"{n}@x.y",
            "phone": str(n),
            "address": {"city": "Ljubljana"},
            "limit": "10.00",
        }
    shop.pull()


def test_of_a_hundred_thousand_records_the_six_that_are_wrong_are_named_and_repaired(
    fresh_database: Database, tmp_path: Path
) -> None:
    shop = ReconciledShop(fresh_database, tmp_path)
    shop.configure(direction="pull")
    fill(shop, MANY)
    row = {number: str(number + 1) for number in (11, 22, 33, 44, 55, 66)}
    # hidden: two rows here, one record there
    shop.do("DELETE FROM app.customers WHERE email IN ('11@x.y', '99999@x.y')")
    del shop.vendor.records["R000022"]
    # altered: a row here, a record there without a new time
    shop.do("UPDATE app.customers SET phone = 'ours' WHERE email = '33@x.y'")
    shop.vendor.records["R000044"]["address"] = {"city": "Maribor"}
    # copied
    shop.do(COPY.format("55@x.y"))
    [(copy,)] = shop.rows("SELECT max(id)::text FROM app.customers")

    done = shop.reconcile(repair=ALL_KINDS)

    assert named(shop.found(done)) == [
        ("missing_here", "R000011", row[11]),
        ("missing_here", "R099999", "100000"),
        ("missing_there", "R000022", row[22]),
        ("different", "R000033", row[33]),
        ("different", "R000044", row[44]),
        ("duplicate_here", "R000055", copy),
    ]
    assert done.found == done.repaired
    log = shop.log_of(done)
    assert (log["read_count"], log["unchanged_count"]) == (MANY - 1, MANY - 5)
    again = shop.reconcile()
    assert (again.status, again.found) == ("clean", {})
    assert shop.log_of(again)["unchanged_count"] == MANY - 1


def landed(shop: ReconciledShop) -> SyncLogId:
    """A reconciliation whose pages have landed."""
    log_id = shop.open_reconciliation()
    shop.engine.reconcile_job(log_id).extract(TwoWayConnector(shop.vendor))
    return log_id


def compare(shop: ReconciledShop, log_id: SyncLogId, *more: str) -> tuple[int, str]:
    """Compare in a process of its own; its status, and what it printed."""
    command = [sys.executable, "-m", "tests.reconcile_child", shop.database.url, str(shop.folder), log_id, *more]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    return done.returncode, done.stdout


@pytest.fixture(scope="module")
def filled(make_database: Any, tmp_path_factory: pytest.TempPathFactory) -> ReconciledShop:
    """Many records there, of which few are here: nearly all of them are findings."""
    shop = ReconciledShop(make_database(), tmp_path_factory.mktemp("many"))
    shop.configure(direction="pull")
    fill(shop, 10)
    return shop


def test_memory_does_not_grow_with_records_nor_with_findings(filled: ReconciledShop) -> None:
    peaks = {}
    for number in (FEW, MANY):
        for n in range(number):
            name = f"R{n:06d}"
            filled.vendor.records[name] = {"id": name, "modified": START.isoformat(), "name": "C" * 50, "email": name}
        log_id = landed(filled)
        status, printed = compare(filled, log_id)
        assert status == 0
        peaks[number] = int(printed)
        assert filled.rows("SELECT found FROM erpflow.erp_reconciliations WHERE log_id = %s", log_id) == [
            ({"missing_here": number - 10, "different": 10},)
        ]
    assert peaks[MANY] - peaks[FEW] < 8 * MEGABYTE


def test_a_comparison_that_is_killed_ends_as_if_it_had_run_once(fresh_database: Database, tmp_path: Path) -> None:
    shop = ReconciledShop(fresh_database, tmp_path)
    fill(shop, 30_000)
    shop.do("UPDATE app.customers SET phone = 'ours' WHERE id IN (1, 30000)")
    log_id = landed(shop)
    assert compare(shop, log_id, "9")[0] == -9
    assert shop.rows("SELECT found, compared_at FROM erpflow.erp_reconciliations") == [({}, None)]

    shop.vendor.records.clear()  # nobody is asked again
    assert compare(shop, log_id)[0] == 0

    assert shop.rows("SELECT found FROM erpflow.erp_reconciliations") == [({FindingKind.DIFFERENT: 2},)]
    assert shop.rows("SELECT remote_id FROM erpflow.erp_reconciliation_findings ORDER BY number") == [
        ("R000000",),
        ("R029999",),
    ]
    assert shop.rows("SELECT read_count, unchanged_count FROM erpflow.erp_sync_logs WHERE id = %s", log_id) == [
        (30_000, 29_998)
    ]
