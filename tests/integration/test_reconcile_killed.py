"""A repair that is killed anywhere goes on when it is run again, and ends as if it had run once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from erpflow.store import reconciliations, repairs
from erpflow.store.database import Database
from erpflow.sync import findings, push_settle
from erpflow.sync.engine import Engine
from tests.reconciling import ALL_KINDS, COPY, ReconciledShop, both_ways, report_of, row_of
from tests.two_way import TwoWayConnector


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push_settle, "GRACE", push_settle.GRACE * 0)


class Killed(BaseException):
    """Nothing after it runs, as after SIGKILL."""


POINTS: dict[str, tuple[Any, str]] = {
    "ties are reset": (repairs.TieReset, "look_again"),
    "ties are looked at": (repairs, "facts"),
    "the engine runs": (Engine, "run"),
    "copies are looked for": (repairs, "copies"),
    "the outcome is noted": (reconciliations, "note_outcomes"),
    "the outcome is kept": (findings.FindingsLanding, "put_outcomes"),
    "the repair is closed": (reconciliations, "note_repaired"),
}
KILLS = [(point, when, nth) for point in POINTS for when, nth in (("before", 1), ("after", 2))]
KILLS += [("the engine runs", "after", nth) for nth in (1, *range(3, 10))]


def upset(shop: ReconciledShop) -> None:
    shop.configure(conflict="local_wins")
    shop.vendor.put(name="Sixth", email="6@x.y")
    shop.pull()
    shop.vendor.drop("R000006")
    shop.vendor.put(name="Sixth, made anew", email="6@x.y")
    shop.do("UPDATE app.customers SET phone = 'ours' WHERE email = '6@x.y'")
    shop.vendor.put("R000001", phone="theirs")
    shop.do("UPDATE app.customers SET city = 'Pune' WHERE id = 2; DELETE FROM app.customers WHERE id = 3;")
    shop.vendor.drop("R000004")
    shop.vendor.put(name="New", email="n@x.y")
    shop.do("INSERT INTO app.customers (name, email) VALUES ('Mine', 'm@x.y')")
    shop.do(COPY.format("5@x.y"))


def ending(shop: ReconciledShop) -> list[Any]:
    """Both sides, and what was done to get there."""
    return [
        shop.rows("SELECT name, email, phone, city FROM app.customers ORDER BY email"),
        sorted((r["name"], r["email"], r.get("phone"), str(r.get("address"))) for r in shop.vendor.records.values()),
        sorted(shop.vendor.writes),
        sorted(shop.rows("SELECT remote_id, direction, change FROM erpflow.erp_record_history"), key=str),
        shop.rows("SELECT remote_id, status FROM erpflow.erp_entity_sync_records ORDER BY remote_id"),
        shop.rows("SELECT found, repaired, status FROM erpflow.erp_reconciliations"),
        shop.rows("SELECT kind, repaired, outcome FROM erpflow.erp_reconciliation_findings ORDER BY number"),
    ]


@pytest.fixture(scope="module")
def undisturbed(make_database: Callable[[], Database], tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    shop = both_ways(make_database(), tmp_path_factory.mktemp("undisturbed"))
    upset(shop)
    assert shop.reconcile(repair=ALL_KINDS, allow_deletes=True).status == "clean"
    return ending(shop)


@pytest.mark.parametrize(("point", "when", "nth"), KILLS)
def test_a_repair_that_is_killed_anywhere_ends_as_if_it_had_run_once(
    fresh_database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    undisturbed: list[Any],
    point: str,
    when: str,
    nth: int,
) -> None:
    shop = both_ways(fresh_database, tmp_path)
    upset(shop)
    log_id = shop.open_reconciliation(repair=ALL_KINDS, allow_deletes=True)
    owner, name = POINTS[point]
    original, calls = getattr(owner, name), 0

    def guarded(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == nth and when == "before":
            raise Killed
        result = original(*arguments, **options)
        if calls == nth:
            raise Killed
        return result

    job = shop.engine.reconcile_job(log_id)
    job.extract(TwoWayConnector(shop.vendor))
    job.compare()
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, guarded)
        try:
            job.repair()
        except Killed:
            pass
        else:
            assert calls < nth

    done = shop.engine.reconcile(log_id)

    assert done.status == "clean"
    assert ending(shop) == undisturbed
    assert all(row["reason"].endswith("; repaired") for row in report_of(done))
    assert row_of(shop, "n@x.y")
