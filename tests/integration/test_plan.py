"""Which syncs a run is about, and which window each reads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from erpflow.errors import ConfigError
from erpflow.store.database import Database
from erpflow.sync.plan import PlannedRun, RunRequest, plan
from tests.engine import Shop

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
CURSOR = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
DAY = (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC))


@pytest.fixture
def shop(fresh_database: Database, tmp_path: Path) -> Shop:
    return Shop(fresh_database, tmp_path)


def run_plan(shop: Shop, *, kind: str = "manual", now: datetime = NOW, **request: Any) -> list[PlannedRun]:
    with shop.database.session() as connection:
        return plan(connection, RunRequest(kind=kind, **request), system="shop", entity="customer", now=now)


def window(shop: Shop) -> tuple[Any, ...]:
    return shop.rows(
        "SELECT kind, window_since, window_until FROM erpflow.erp_sync_logs ORDER BY started_at DESC LIMIT 1"
    )[0]


def set_cursor(shop: Shop) -> None:
    shop.rows("UPDATE erpflow.erp_sync_configs SET cursor_at = %s RETURNING id", CURSOR)


def test_the_first_run_reads_everything(shop: Shop) -> None:
    run_plan(shop)
    assert window(shop) == ("full", None, None)


def test_a_run_by_hand_reads_from_the_cursor_less_the_overlap_to_now(shop: Shop) -> None:
    set_cursor(shop)
    run_plan(shop)
    assert window(shop) == ("incremental", CURSOR - timedelta(minutes=5), None)


def test_a_scheduled_run_reads_to_the_end_of_its_interval(shop: Shop) -> None:
    set_cursor(shop)
    end = NOW - timedelta(minutes=1)
    run_plan(shop, kind="scheduled", interval=(end - timedelta(minutes=5), end))
    assert window(shop) == ("incremental", CURSOR - timedelta(minutes=5), end)


def test_a_scheduled_run_whose_interval_is_already_read_does_nothing(shop: Shop) -> None:
    set_cursor(shop)
    assert run_plan(shop, kind="scheduled", interval=DAY) == []


def test_a_backfill_reads_exactly_its_interval(shop: Shop) -> None:
    set_cursor(shop)
    run_plan(shop, kind="backfill", interval=DAY)
    assert window(shop) == ("backfill", *DAY)


def test_a_scheduled_run_takes_only_what_is_due(shop: Shop) -> None:
    interval = (NOW - timedelta(minutes=5), NOW)
    assert len(run_plan(shop, kind="scheduled", interval=interval)) == 1
    soon, later = NOW + timedelta(minutes=50), NOW + timedelta(minutes=55)
    assert run_plan(shop, kind="scheduled", interval=interval, now=soon) == []
    assert len(run_plan(shop, kind="scheduled", interval=interval, now=later)) == 1


def test_planning_the_same_attempt_twice_opens_one_log(shop: Shop) -> None:
    first = run_plan(shop, attempt_key="erpnext__customer/manual__1/0")
    again = run_plan(shop, attempt_key="erpnext__customer/manual__1/0")
    assert first == again
    assert shop.rows("SELECT count(*) FROM erpflow.erp_sync_logs") == [(1,)]


def test_what_is_switched_off_is_not_planned(shop: Shop) -> None:
    shop.do("UPDATE erpflow.erp_sync_configs SET enabled = false")
    assert run_plan(shop) == []
    with pytest.raises(ConfigError, match="is switched off"):
        run_plan(shop, connection="shop")


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"since": NOW, "until": NOW}, "the window holds nothing"),
        ({"full": True, "since": NOW}, "does not go with since"),
        ({"connection": "shp"}, r'There is no shop connection "shp" \(did you mean "shop"\?\)'),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_in_a_sentence(
    shop: Shop, request_: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        run_plan(shop, **request_)


def test_a_plan_killed_after_it_opened_a_log_hands_that_log_on_when_it_runs_again(shop: Shop) -> None:
    interval = (NOW - timedelta(minutes=5), NOW)
    first = run_plan(shop, kind="scheduled", interval=interval, attempt_key="shop__customer/scheduled__1/0")
    again = run_plan(shop, kind="scheduled", interval=interval, attempt_key="shop__customer/scheduled__1/0")
    assert len(first) == 1
    assert again == first


def test_a_scheduled_run_that_is_cleared_runs_again_though_it_is_not_due(shop: Shop) -> None:
    interval = (NOW - timedelta(minutes=5), NOW)
    run_plan(shop, kind="scheduled", interval=interval, attempt_key="shop__customer/scheduled__1/0")
    cleared = {"attempt_key": "shop__customer/scheduled__1/1", "cleared": True}
    assert len(run_plan(shop, kind="scheduled", interval=interval, **cleared)) == 1


@pytest.mark.parametrize(
    "request_",
    [{"dry_run": True}, {"kind": "backfill", "interval": DAY}, {"since": DAY[0]}, {"until": DAY[1]}],
    ids=["dry run", "backfill", "since", "until"],
)
def test_a_run_that_does_not_read_on_to_now_does_not_put_the_schedule_off(shop: Shop, request_: dict[str, Any]) -> None:
    run_plan(shop, **request_)
    assert len(run_plan(shop, kind="scheduled", interval=(NOW - timedelta(minutes=5), NOW))) == 1
