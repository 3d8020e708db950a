"""Invariant 3: any task may be killed at any instruction and run again; the result is as if it had run once.

Each case kills a real process with SIGKILL in the middle of a sync of 20,000 records, runs the same step again, then
the rest, and compares everything a user or an accountant could look at with a run that nobody disturbed.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from erpflow.store.database import Database
from erpflow.sync.pull import finish
from erpflow.vocabulary import Counts, SyncLogId
from tests import crash
from tests.engine import Shop, ShopConnector

STEPS = ("extract", "transform", "load")
EXPECTED = Counts(read=20_000, created=19_980, rejected=20)

STATE = {
    "customers": "SELECT md5(string_agg(concat_ws('|', name, email, phone, city, credit_limit), E'\\n' ORDER BY email))"
    " FROM app.customers",
    "rows": "SELECT count(*) FROM app.customers",
    "sync records": "SELECT md5(string_agg(concat(remote_id, raw_hash, remote_version), ';' ORDER BY remote_id))"
    " FROM erpflow.erp_entity_sync_records",
    "ties": "SELECT count(*) FROM erpflow.erp_entity_sync_records r JOIN app.customers c ON c.id::text = r.local_id",
    "rejects": "SELECT remote_id, attempts, md5(payload) FROM erpflow.erp_rejects ORDER BY remote_id",
    "cursor": "SELECT cursor_at FROM erpflow.erp_sync_configs WHERE entity = 'customer'",
}


def state_of(shop: Shop) -> dict[str, Any]:
    return {name: shop.rows(statement) for name, statement in STATE.items()}


@pytest.fixture(scope="module")
def undisturbed(database: Database, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The state that a run without any kill ends in."""
    shop = Shop(database, tmp_path_factory.mktemp("undisturbed"))
    log_id = shop.plan()
    for step in STEPS:
        crash.run_step(shop, log_id, step)
    assert finish(database, log_id).counts == EXPECTED
    return state_of(shop)


def run_child(shop: Shop, log_id: SyncLogId, step: str, *point: str) -> int:
    arguments = [shop.database.url, str(shop.folder), log_id, step, *point]
    return subprocess.run([sys.executable, "-m", "tests.crash", *arguments], check=False).returncode


ONCE = {"before the extract is finished", "after the extract is finished", "before the chunks are counted"}
CASES = [(point, number) for point in crash.POINTS for number in ((1,) if point in ONCE else (1, 4))]


@pytest.mark.parametrize(("point", "number"), CASES)
def test_a_step_killed_anywhere_ends_as_if_it_had_run_once(
    point: str, number: int, fresh_database: Database, tmp_path: Path, undisturbed: dict[str, Any]
) -> None:
    shop = Shop(fresh_database, tmp_path)
    log_id = shop.plan()
    killed_step = crash.POINTS[point][0]
    for step in STEPS:
        if step == killed_step:
            assert run_child(shop, log_id, step, point, str(number)) == -9
        crash.run_step(shop, log_id, step)

    assert finish(fresh_database, log_id).counts == EXPECTED
    assert state_of(shop) == undisturbed


def test_a_resumed_extract_asks_only_for_the_pages_that_did_not_land(fresh_database: Database, tmp_path: Path) -> None:
    shop = Shop(fresh_database, tmp_path)
    log_id = shop.plan()
    assert run_child(shop, log_id, "extract", "before a page lands", "31") == -9
    vendor = ShopConnector(crash.records(), page_size=crash.PAGE)
    shop.job(log_id).extract(vendor)
    assert vendor.pages_served == 10


def test_a_run_that_is_never_resumed_is_closed_as_failed_with_the_way_out(
    fresh_database: Database, tmp_path: Path
) -> None:
    shop = Shop(fresh_database, tmp_path)
    log_id = shop.plan()
    crash.run_step(shop, log_id, "extract")
    crash.run_step(shop, log_id, "transform")
    assert run_child(shop, log_id, "load", "between two chunks", "4") == -9
    summary = finish(fresh_database, log_id)
    assert summary.status.value == "failed"
    assert summary.error is not None
    assert "Clear it in Airflow: it resumes" in summary.error


def test_two_runs_of_one_config_at_once_end_as_one(
    fresh_database: Database, tmp_path: Path, undisturbed: dict[str, Any]
) -> None:
    shop = Shop(fresh_database, tmp_path)
    logs = [shop.plan(full=True), shop.plan(full=True)]
    for log_id in logs:
        crash.run_step(shop, log_id, "extract")
        crash.run_step(shop, log_id, "transform")

    threads = [threading.Thread(target=crash.run_step, args=(shop, log_id, "load")) for log_id in logs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    counts = [finish(fresh_database, log_id).counts for log_id in logs]
    assert [one.accounted for one in counts] == [20_000, 20_000]
    assert sum(one.created for one in counts) == 19_980
    assert sum(one.unchanged for one in counts) == 19_980
    state = state_of(shop)
    assert [attempts for _, attempts, _ in state.pop("rejects")] == [2] * 20
    assert state == {name: value for name, value in undisturbed.items() if name != "rejects"}


def test_the_same_load_started_three_times_at_once_applies_everything_once(
    fresh_database: Database, tmp_path: Path, undisturbed: dict[str, Any]
) -> None:
    shop = Shop(fresh_database, tmp_path)
    log_id = shop.plan()
    crash.run_step(shop, log_id, "extract")
    crash.run_step(shop, log_id, "transform")
    children = [
        subprocess.Popen([sys.executable, "-m", "tests.crash", shop.database.url, str(tmp_path), log_id, "load"])
        for _ in range(3)
    ]
    assert [child.wait() for child in children] == [0, 0, 0]
    assert finish(fresh_database, log_id).counts == EXPECTED
    assert state_of(shop) == undisturbed
