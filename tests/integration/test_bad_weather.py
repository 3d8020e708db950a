"""What goes wrong on the way: the database goes away, the vendor sends rubbish, a page is cut. Nothing is lost."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from erpflow.connectors.base import Page, PageToken
from erpflow.errors import ConfigError, DatabaseUnavailable, ProtocolError, VendorUnavailable
from erpflow.store import pull
from erpflow.store.database import Database
from erpflow.sync.pull import finish, note_failure
from erpflow.vocabulary import Counts, Window
from tests.engine import Shop, ShopConnector, customer

RECORDS = [customer(n) for n in range(5_000)]


@pytest.fixture
def shop(fresh_database: Database, tmp_path: Path) -> Shop:
    return Shop(fresh_database, tmp_path)


@pytest.mark.parametrize("chunk", [1, 2, 3])
def test_a_database_that_goes_away_mid_load_is_retried_and_nothing_is_lost(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    log_id = shop.plan()
    monkeypatch.setattr("erpflow.sync.transform.CHUNK_RECORDS", 2_000)
    shop.job(log_id).extract(ShopConnector(RECORDS))
    shop.job(log_id).transform()

    original, applied = pull.ChunkWriter.apply, 0

    def lose_the_server(writer: pull.ChunkWriter, *arguments: Any, **options: Any) -> pull.Applied:
        nonlocal applied
        applied += 1
        if applied == chunk:
            with psycopg.connect(shop.database.url, autocommit=True) as admin:
                admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
        return original(writer, *arguments, **options)

    monkeypatch.setattr(pull.ChunkWriter, "apply", lose_the_server)
    with pytest.raises(DatabaseUnavailable, match="rolled back, so nothing is half done"):
        shop.job(log_id).load()
    assert shop.rows("SELECT count(*) FROM app.customers") == [((chunk - 1) * 2_000,)]

    shop.job(log_id).load()

    assert finish(shop.database, log_id).counts == Counts(read=5_000, created=5_000)
    assert shop.rows("SELECT count(*) FROM app.customers") == [(5_000,)]


def test_a_vendor_that_goes_away_mid_read_is_asked_again_from_the_page_after_the_last(shop: Shop) -> None:
    class Weak(ShopConnector):
        def read(self, entity: str, window: Window, *, resume: PageToken | None = None) -> Iterator[Page]:
            for number, page in enumerate(super().read(entity, window, resume=resume), start=1):
                if number == 20:
                    raise VendorUnavailable("Shop does not answer")
                yield page

    log_id = shop.plan()
    for _ in range(2):
        with pytest.raises(VendorUnavailable):
            shop.job(log_id).extract(Weak(RECORDS))
    again = ShopConnector(RECORDS)
    shop.job(log_id).extract(again)
    assert again.pages_served == 50 - 2 * 19
    shop.job(log_id).transform()
    assert shop.job(log_id).load() == Counts(read=5_000, created=5_000)


def test_what_landed_before_a_page_that_is_no_page_is_kept_and_the_log_says_why(shop: Shop) -> None:
    class Odd(ShopConnector):
        def read(self, entity: str, window: Window, *, resume: PageToken | None = None) -> Iterator[Page]:
            pages = super().read(entity, window, resume=resume)
            yield next(pages)
            raise ProtocolError("The answer of Shop is not JSON. It begins: <html>")

    log_id = shop.plan()
    with pytest.raises(ProtocolError) as caught:
        shop.job(log_id).extract(Odd(RECORDS))
    note_failure(shop.database, log_id, caught.value)

    summary = finish(shop.database, log_id)

    assert (summary.status, summary.error) == ("failed", "The answer of Shop is not JSON. It begins: <html>")
    assert shop.rows("SELECT cursor_at FROM erpflow.erp_sync_configs WHERE entity = 'customer'") == [(None,)]
    assert shop.job(log_id).landing.resume_point()[0] == 1


def test_a_key_that_is_changed_by_the_mapping_version_alone_maps_everything_again(shop: Shop) -> None:
    """The fingerprint is seeded with the mapping's version: the same bytes under another mapping are not the same."""
    shop.sync(RECORDS[:10])
    [(before,)] = shop.rows("SELECT sum(raw_hash)::text FROM erpflow.erp_entity_sync_records")
    mapping = (shop.folder / "mappings" / "shop" / "customer.yaml").read_text()
    shop.write_mapping("customer", mapping.replace("max_length: 200", "max_length: 100"))
    assert shop.sync(RECORDS[:10], full=True).counts == Counts(read=10, unchanged=10)
    assert shop.rows("SELECT sum(raw_hash)::text FROM erpflow.erp_entity_sync_records") != [(before,)]


def test_keys_that_hold_any_character_are_told_apart(shop: Shop) -> None:
    odd = ["a\x1fb", "a", "b", "é", "日本", "with space", "quote'\"", "back\\slash", "tab\tkey", "%s", "{}"]
    records = [customer(n, id=key) for n, key in enumerate(odd)]
    assert shop.sync(records).counts == Counts(read=len(odd), created=len(odd))
    assert shop.sync(records, full=True).counts == Counts(read=len(odd), unchanged=len(odd))
    assert {key for (key,) in shop.rows("SELECT remote_id FROM erpflow.erp_entity_sync_records")} == set(odd)


def test_an_extract_that_is_cleared_fetches_a_damaged_page_again_and_all_behind_it(shop: Shop) -> None:
    log_id = shop.plan()
    records = [customer(n) for n in range(300)]
    shop.job(log_id).extract(ShopConnector(records))
    shop.job(log_id).transform()
    shop.job(log_id).load()
    next(shop.folder.rglob("page-000002.json")).write_bytes(b"cut")
    with pytest.raises(ConfigError, match="Clear the extract task to fetch it again"):
        shop.job(log_id).transform()

    vendor = ShopConnector(records)
    shop.job(log_id).extract(vendor)
    shop.job(log_id).transform()

    assert vendor.pages_served == 2
    assert shop.job(log_id).load() == Counts(read=300, unchanged=300)
    assert finish(shop.database, log_id).status == "completed"


def test_an_extract_that_did_not_finish_is_not_taken_for_an_empty_one(shop: Shop) -> None:
    log_id = shop.plan()
    with pytest.raises(ConfigError, match="the extract did not finish"):
        shop.job(log_id).transform()


def test_refused_records_do_not_keep_their_chunk_in_memory(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cyclic collector rests during a run, so an exception that is kept would keep the payload of its chunk."""
    monkeypatch.setattr("erpflow.sync.transform.CHUNK_RECORDS", 100)
    shop.do("ALTER TABLE app.customers ALTER COLUMN city TYPE varchar(10)")
    bad = {"address": {"city": "a city with a long name"}}
    log_id = shop.plan()
    gc.collect()
    gc.disable()
    try:
        shop.job(log_id).run_whole(ShopConnector([customer(n, **(bad if n % 100 == 5 else {})) for n in range(500)]))
        # By type: isinstance would ask the lazy proxies of other libraries what they stand for, and load it.
        kept = [found for found in gc.get_objects() if issubclass(type(found), psycopg.Error)]
    finally:
        gc.enable()
    assert finish(shop.database, log_id).counts == Counts(read=500, created=495, rejected=5)
    assert kept == []


def test_a_load_that_goes_on_after_a_kill_tells_of_the_whole_run(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("erpflow.sync.transform.CHUNK_RECORDS", 2_000)
    log_id = shop.plan()
    shop.job(log_id).extract(ShopConnector(RECORDS))
    shop.job(log_id).transform()
    shop.job(log_id).load()
    assert shop.job(log_id).load() == Counts(read=5_000, created=5_000)
