"""A cursor loses nothing, however hostile the vendor: rows that share a time across a page, are committed late, slide
while they are read, go and come back, with clocks and zones of their own (invariant 2).

Once the vendor is quiet, two more incremental runs end in its very records. `make chaos` tries a thousand seeds; one
that fails is named, and tried again with `make chaos ARGS="cursors --seed N --cursors 1"`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import psycopg
import pytest

from erpflow.errors import VendorUnavailable
from erpflow.mapping.load import load_mapping
from erpflow.mapping.model import Mapping
from erpflow.store.database import Database, translate_errors
from erpflow.sync import in_force, transform
from erpflow.sync import plan as planning
from erpflow.sync.plan import RunRequest
from erpflow.sync.pull import PullJob, finish
from erpflow.vocabulary import SyncLogId
from tests.chaos.hostile_vendor import HostileConnector, HostileVendor, OrderedConnector, UnorderedConnector, hostile
from tests.chaos.scale import SCALE
from tests.engine import Shop

MAPPING = """
system: shop
entity: customer
remote: {object: customers, key: name, modified: modified}
local: {table: app.customers, key: id, modified: updated_at}
direction: pull
deletes: {pull: hard, push: ignore, at_most: 100%}
every: 1h
fields:
  - {local: name, remote: title, type: text, required: true}
"""

HELD = """
SELECT r.remote_id, c.name FROM app.customers c
JOIN erpflow.erp_entity_sync_records r ON r.local_id = c.id::text AND r.status <> 'deleted'
JOIN erpflow.erp_sync_configs f ON f.id = r.sync_config_id
JOIN erpflow.erp_connections n ON n.id = f.connection_id
WHERE n.name = %s
"""

RUNS = 4
"""How often is read while everything happens."""

STATE = """
SELECT pg_column_size(f.*) FROM erpflow.erp_sync_configs f JOIN erpflow.erp_connections n ON n.id = f.connection_id
WHERE n.name = %s
"""


class Reader:
    """The runs of one config against one vendor."""

    def __init__(self, shop: Shop, vendor: HostileVendor, kind: type[HostileConnector]) -> None:
        self.shop = shop
        self.vendor = vendor
        self.kind = kind
        self.longest_token = 0
        self.largest_state = 0

    def run(self, *, until: datetime | None = None, dies: bool = False, resumes: bool = True) -> None:
        """One run: by hand, or scheduled with an end; its worker may die on the way, and be followed by another."""
        dice = self.vendor.dice
        interval = (until - timedelta(hours=1), until) if until is not None else None
        request = RunRequest(
            kind="scheduled" if until is not None else "manual",
            connection=self.shop.name,
            interval=interval,
            cleared=True,
        )
        with self.shop.database.session() as connection:
            planned = planning.plan(connection, request, system="shop", entity="customer", now=datetime.now(UTC))
        for run in planned:
            if dies:
                with suppress(VendorUnavailable):
                    self._read(run.log_id, dies_after=dice.randrange(4))
            if not dies or resumes:
                self._read(run.log_id, dies_after=None)

    def _read(self, log_id: SyncLogId, *, dies_after: int | None) -> None:
        job = PullJob.open(
            self.shop.database,
            log_id,
            connector_class=lambda _: self.kind,
            landing_root=self.shop.folder / "landing",
            mappings=self.shop.folder / "mappings",
        )
        vendor = self.kind(self.vendor, dies_after=dies_after)
        if self.vendor.dice.random() < 0.5:
            job.run_whole(vendor)
        else:
            job.extract(vendor)
            job.transform()
            job.load()
        summary = finish(self.shop.database, log_id)
        assert summary.counts.read == summary.counts.accounted
        self.longest_token = max(self.longest_token, vendor.longest_token)
        self.largest_state = max(self.largest_state, self.shop.rows(STATE, self.shop.name)[0][0])

    def held(self) -> dict[str, str]:
        """What we hold by now."""
        return dict(self.shop.rows(HELD, self.shop.name))


class LendingDatabase(Database):
    """Lends its connections again, as clean as new ones: to open them would take most of the time of these runs."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.idle: list[psycopg.Connection[Any]] = []

    @contextmanager
    def session(self) -> Iterator[psycopg.Connection[Any]]:
        connection = self.idle.pop() if self.idle else self.connect(autocommit=True)
        try:
            with translate_errors(self):
                yield connection
                connection.execute("SELECT pg_advisory_unlock_all(); DISCARD TEMP; RESET ALL")
        except BaseException:
            connection.close()
            raise
        self.idle.append(connection)


@pytest.fixture(scope="module")
def shops(
    make_database: Callable[[], Database], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Shop]]:
    """Makes a config of its own for each seed, all in one database."""
    database, folder = LendingDatabase(make_database().url), tmp_path_factory.mktemp("cursors")
    yield lambda name: Shop(database, folder, name=name, mappings={"customer": MAPPING})
    for connection in database.idle:
        connection.close()


def read_once() -> Callable[..., Mapping]:
    """Reads each mapping file once: it does not change, and says everything itself."""
    read = cache(load_mapping)
    return lambda path, **_of_the_config: read(path)


@pytest.mark.timeout(SCALE.timeout_s)
@pytest.mark.parametrize("kind", [OrderedConnector, UnorderedConnector])
def test_once_a_hostile_vendor_is_quiet_two_runs_end_in_its_very_records(
    shops: Callable[[str], Shop], kind: type[HostileConnector], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transform, "CHUNK_RECORDS", 8)  # a few pages: the cursor moves many times in a run
    monkeypatch.setattr(in_force, "load_mapping", read_once())
    seeds = range(SCALE.seed, SCALE.seed + SCALE.cursors)
    readers = [Reader(shops(f"{kind.__name__}-{seed}"), hostile(seed), kind) for seed in seeds]
    with ThreadPoolExecutor(4) as workers:
        differing = dict(zip(seeds, workers.map(play, readers), strict=True))
    lost = {seed: records for seed, records in differing.items() if records}
    assert not lost, f"seeds with records that differ, as (there, here): {lost}"
    # What is remembered of the edge of a window does not grow with what happens there.
    assert max(reader.longest_token for reader in readers) < 2_000
    assert max(reader.largest_state for reader in readers) < 1_000
    SCALE.tell(f"{SCALE.cursors} vendors read by {kind.__name__}: nothing lost")


def play(reader: Reader) -> dict[str, tuple[str | None, str | None]]:
    """A few runs while everything happens, then quiet, then two more runs; what differs then, as (there, here)."""
    vendor, dice = reader.vendor, reader.vendor.dice
    skew = vendor.now - datetime.now(UTC)
    vendor.happen(dice.randrange(20, 80))
    vendor.misdate("past")  # what is written so later is not to be found by its date
    for _ in range(RUNS):
        vendor.happen(dice.randrange(6))
        vendor.pass_time(timedelta(minutes=dice.choice([1, 10, 40])))
        ours = vendor.now - skew if abs(skew) < timedelta(hours=1) else vendor.now
        scheduled = dice.random() < 0.4
        reader.run(until=ours if scheduled else None, dies=dice.random() < 0.3, resumes=dice.random() < 0.5)
    vendor.quieten()
    for _ in range(2):
        vendor.pass_time(timedelta(minutes=10))
        reader.run()
    there, here = vendor.titles(), reader.held()
    return {
        key: (there.get(key), here.get(key)) for key in there.keys() | here.keys() if there.get(key) != here.get(key)
    }
