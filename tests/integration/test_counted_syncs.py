"""A vendor that counts its changes, through the engine in steps as Airflow runs them and whole as the command does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from erpflow.connectors.base import ConnectorSpec, EntitySpec, Page, PageToken
from erpflow.connectors.counting import first_from, instant_of
from erpflow.errors import ConfigError
from erpflow.store.database import Database
from erpflow.sync.pull import PullJob, finish
from erpflow.vocabulary import SyncLogId, Window
from tests.engine import Shop, ShopConnector

MAPPING = """
system: shop
entity: customer
remote: {object: customers, key: id, modified: count}
local: {table: app.customers, match_on: [email]}
direction: pull
conflict: remote_wins
fields:
  - {local: name, remote: name, required: true}
  - {local: email, remote: email}
"""
CURSOR = "SELECT extract(epoch FROM cursor_at)::int FROM erpflow.erp_sync_configs WHERE entity = 'customer'"


class CountingShop(ShopConnector):
    """Records with the count of their last change; the vendor has counted to `reached`, for other things too."""

    spec: ClassVar[ConnectorSpec] = ConnectorSpec(
        system="shop",
        title="Shop",
        auth=("none",),
        entities={
            "customer": EntitySpec(
                remote="customers", key="id", modified="count", page_size=2, ordered=True, counted=True
            )
        },
    )

    def __init__(self, counts: list[int], *, reached: int) -> None:
        super().__init__([])
        self.counts, self.reached = sorted(counts), reached

    def read(self, entity: str, window: Window, *, resume: PageToken | None = None) -> Iterator[Page]:
        first = int(resume) if resume else (first_from(window.since) if window.since else 0)
        found = [count for count in self.counts if count >= first]
        for start in range(0, max(len(found), 1), 2):
            rows = [
                {"id": f"C{n}", "count": str(n), "name": f"Name {n}", "email": f"{n}@x"}
                for n in found[start : start + 2]
            ]
            more = start + 2 < len(found)
            token = PageToken(str(found[start + 2])) if more else None
            yield Page(json.dumps({"data": rows}).encode(), len(rows), token, reached=str(self.reached))

    @classmethod
    def instant(cls, text: str, *, zone: str) -> object:  # type: ignore[override]
        return instant_of(int(text)) if text.isdigit() else None


@pytest.fixture
def shop(fresh_database: Database, tmp_path: Path) -> Shop:
    return Shop(fresh_database, tmp_path, mappings={"customer": MAPPING})


@pytest.fixture(params=["in steps", "whole"])
def run(shop: Shop, request: pytest.FixtureRequest) -> Run:
    return Run(shop, in_steps=request.param == "in steps")


class Run:
    """Syncs either way; what was read, and the cursor behind it."""

    def __init__(self, shop: Shop, *, in_steps: bool) -> None:
        self.shop = shop
        self.in_steps = in_steps

    def __call__(self, vendor: CountingShop) -> tuple[int, int | None]:
        log_id = self.shop.plan()
        if self.in_steps:
            extracted = self.job(log_id).extract(vendor)
            if not self.job(log_id).is_empty(extracted):
                self.job(log_id).transform()
                self.job(log_id).load()
        else:
            self.job(log_id).run_whole(vendor)
        return finish(self.shop.database, log_id).counts.read, self.shop.rows(CURSOR)[0][0]

    def job(self, log_id: SyncLogId) -> PullJob:
        folder = self.shop.folder
        return PullJob.open(
            self.shop.database,
            log_id,
            connector_class=lambda _: CountingShop,
            landing_root=folder / "landing",
            mappings=folder / "mappings",
        )


def test_the_cursor_is_what_the_vendor_had_counted_and_not_its_newest_record(run: Run) -> None:
    assert run(CountingShop([3, 4, 7], reached=20)) == (3, 20)
    assert run(CountingShop([3, 4, 7], reached=20)) == (0, 20)


def test_only_what_was_counted_since_is_read(run: Run) -> None:
    run(CountingShop([3, 4, 7], reached=7))
    assert run(CountingShop([4, 7, 8, 9, 10], reached=12)) == (3, 12)


def test_a_run_without_a_change_moves_the_cursor_past_what_others_counted(run: Run) -> None:
    run(CountingShop([3], reached=5))
    assert run(CountingShop([3], reached=900)) == (0, 900)


def test_a_vendor_that_has_counted_back_changes_nothing(run: Run) -> None:
    run(CountingShop([3], reached=5))
    with pytest.raises(ConfigError, match="restored from a backup"):
        run(CountingShop([1, 2], reached=2))
    assert run.shop.rows("SELECT count(*) FROM app.customers") == [(1,)]
    assert run.shop.rows(CURSOR) == [(5,)]


def test_a_read_that_was_killed_between_pages_goes_on_and_ends_where_it_would_have(shop: Shop) -> None:
    run = Run(shop, in_steps=True)

    class Dies(CountingShop):
        def read(self, entity: str, window: Window, *, resume: PageToken | None = None) -> Iterator[Page]:
            yield next(super().read(entity, window, resume=resume))
            raise KeyboardInterrupt

    log_id = shop.plan()
    with pytest.raises(KeyboardInterrupt):
        run.job(log_id).extract(Dies([1, 2, 3, 4, 5], reached=9))
    run.job(log_id).extract(CountingShop([1, 2, 3, 4, 5], reached=9))
    run.job(log_id).transform()
    run.job(log_id).load()
    assert finish(shop.database, log_id).counts.created == 5
    assert shop.rows(CURSOR) == [(9,)]
