"""Vendors that count their changes: a count as an instant, the window of a run, and what nobody can ask of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from erpflow.connectors.base import ConnectorSpec, EntitySpec, Page, PageToken
from erpflow.connectors.counting import MOST, STEP, first_from, instant_of, last_before
from erpflow.errors import ConfigError
from erpflow.mapping.load import parse_mapping
from erpflow.store.sync_logs import SyncRun
from erpflow.sync.counted import read_counted, unjudgeable
from erpflow.vocabulary import DEFAULT_TENANT, ConnectionId, SyncConfigId, SyncLogId, Window
from tests.engine import ShopConnector

NOW = datetime(2026, 11, 25, tzinfo=UTC)
COUNTS = st.integers(0, MOST)
COUNTED = EntitySpec(remote="customers", key="id", modified="count", page_size=10, counted=True)


class CountingShop(ShopConnector):
    """A shop that has counted to `reached`, and remembers which window it was asked for."""

    spec: ClassVar[ConnectorSpec] = ConnectorSpec(
        system="shop", title="Shop", auth=("none",), entities={"customer": COUNTED}
    )

    def __init__(self, reached: int) -> None:
        super().__init__([])
        self.reached = reached
        self.asked: list[Window] = []

    def read(self, entity: str, window: Window, *, resume: PageToken | None = None) -> Iterator[Page]:
        self.asked.append(window)
        yield Page(b'{"data":[]}', 0, None, reached=str(self.reached))

    @classmethod
    def instant(cls, text: str, *, zone: str) -> datetime | None:
        return instant_of(int(text))


def run_of(**changes: Any) -> SyncRun:
    cursor = instant_of(500)
    assert cursor is not None
    overlap = timedelta(minutes=5)
    run = SyncRun(
        log_id=SyncLogId("log"),
        tenant_id=DEFAULT_TENANT,
        config_id=SyncConfigId("config"),
        connection_id=ConnectionId("connection"),
        connection="books",
        airflow_conn_id="books",
        system="shop",
        entity="customer",
        mapping_path="shop/customer.yaml",
        kind="incremental",
        dry_run=False,
        window=Window(cursor - overlap, NOW),
        cursor_before=cursor,
        started_at=NOW,
        as_of=NOW,
        overlap=overlap,
    )
    return replace(run, **changes)


# -- a count as an instant ---------------------------------------------------------------------------------------------


@given(COUNTS)
def test_a_count_is_exact_both_ways(count: int) -> None:
    instant = instant_of(count)
    assert instant is not None
    assert first_from(instant) == count
    assert last_before(instant) == count - 1
    assert first_from(instant + timedelta(microseconds=1)) == last_before(instant + STEP) + 1 == count + 1


@given(COUNTS, COUNTS)
def test_instants_are_in_the_order_of_their_counts(first: int, second: int) -> None:
    left, right = instant_of(first), instant_of(second)
    assert left is not None and right is not None
    assert (left < right) == (first < second)


def test_no_clock_is_ever_behind_a_count() -> None:
    latest = instant_of(MOST)
    assert latest is not None and latest < datetime(2002, 1, 1, tzinfo=UTC)
    assert first_from(NOW) > MOST


@pytest.mark.parametrize("count", [-1, MOST + 1, 10**30])
def test_what_cannot_be_a_count_is_no_instant(count: int) -> None:
    assert instant_of(count) is None


def test_before_the_first_count_there_is_nothing() -> None:
    before = datetime(1960, 1, 1, tzinfo=UTC)
    assert (first_from(before), last_before(before)) == (0, -1)


# -- the window of a run -----------------------------------------------------------------------------------------------


def test_a_run_reads_behind_the_count_it_had_reached_without_an_overlap() -> None:
    shop = CountingShop(reached=500)
    assert len(list(read_counted(run_of(), shop, None))) == 1
    assert shop.asked == [Window(instant_of(501), None)]


def test_a_first_run_reads_everything() -> None:
    shop = CountingShop(reached=7)
    list(read_counted(run_of(kind="full", window=Window(None, NOW), cursor_before=None), shop, None))
    assert shop.asked == [Window(None, None)]


@pytest.mark.parametrize(
    "window", [Window(datetime(2026, 1, 1, tzinfo=UTC), NOW), Window(datetime(2026, 1, 1, tzinfo=UTC), None)]
)
def test_no_span_of_time_can_be_asked(window: Window) -> None:
    with pytest.raises(ConfigError, match="does not say when they were made"):
        list(read_counted(run_of(window=window), CountingShop(reached=900), None))


def test_a_comparison_of_both_sides_reads_everything() -> None:
    shop = CountingShop(reached=500)
    list(read_counted(run_of(kind="reconcile", window=Window(None, None)), shop, None))
    assert shop.asked == [Window(None, None)]


def test_a_backfill_cannot_be_asked_either() -> None:
    with pytest.raises(ConfigError, match="no span of time"):
        list(read_counted(run_of(kind="backfill"), CountingShop(reached=900), None))


def test_a_vendor_that_has_counted_back_was_restored_and_nothing_of_it_is_taken() -> None:
    with pytest.raises(ConfigError, match=r"counted to 499.*restored from a backup"):
        next(read_counted(run_of(), CountingShop(reached=499), None))


# -- who is newer ------------------------------------------------------------------------------------------------------

MAPPING = """
system: shop
entity: customer
remote: {{object: customers, key: id, modified: count}}
local: {{table: app.customers}}
direction: {direction}
conflict: {conflict}
fields:
  - {{local: name, remote: name{field}}}
"""


def problem(*, direction: str = "bidirectional", conflict: str, field: str = "", spec: EntitySpec = COUNTED) -> str:
    text = MAPPING.format(direction=direction, conflict=conflict, field=field)
    mapping = parse_mapping(yaml.safe_load(text), name="test.yaml")
    return unjudgeable(mapping, spec) or ""


def test_the_newest_cannot_win_where_nobody_knows_when() -> None:
    told = problem(conflict="newest_wins")
    assert told.startswith("conflict is newest_wins") and "remote_wins, local_wins, or manual" in told


def test_nor_can_it_for_one_field() -> None:
    told = problem(conflict="remote_wins", field=", conflict: newest_wins")
    assert told.startswith("conflict of the field name is newest_wins")


@pytest.mark.parametrize("conflict", ["remote_wins", "local_wins", "manual"])
def test_all_other_strategies_go_without_a_clock(conflict: str) -> None:
    assert problem(conflict=conflict) == ""


def test_a_pull_alone_has_no_conflicts_and_a_vendor_with_times_judges_them() -> None:
    assert problem(direction="pull", conflict="newest_wins") == ""
    assert problem(conflict="newest_wins", spec=replace(COUNTED, counted=False)) == ""
