"""Between a write and the look at what it made, people at the vendor go on: their changes are not taken for echoes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from erpflow.connectors.base import Change, Page
from erpflow.errors import VendorUnavailable
from erpflow.store.database import Database
from erpflow.sync import push_settle
from tests.two_way import TwoWayConnector, TwoWayShop

ONE = "INSERT INTO app.customers (name, email, phone) VALUES ('  Acme ', 'a@x.y', '1')"


@pytest.fixture
def shop(fresh_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TwoWayShop:
    monkeypatch.setattr(push_settle, "GRACE", push_settle.GRACE * 0)
    return TwoWayShop(fresh_database, tmp_path)


def lose_the_answer_while(shop: TwoWayShop, **values: Any) -> None:
    """The answer to the next write is lost, and by the time it is looked up somebody has changed the record."""

    def lost(_change: Change) -> None:
        (remote_id,) = shop.vendor.records
        shop.vendor.put(remote_id, **values)
        shop.vendor.after_write = lambda change: None
        raise VendorUnavailable("504")

    shop.vendor.after_write = lost


def phones(shop: TwoWayShop) -> list[tuple[Any, ...]]:
    return shop.rows("SELECT name, phone FROM app.customers")


def test_what_somebody_wrote_into_a_record_whose_creation_was_not_answered_is_pulled(shop: TwoWayShop) -> None:
    shop.cycle()
    shop.do(ONE)
    shop.vendor.normalise = lambda record: record | {"name": str(record["name"]).strip().upper()}
    lose_the_answer_while(shop, phone="2")
    shop.push()
    shop.pull()
    # The name is what the vendor made of ours, and no change; the phone is somebody's.
    assert phones(shop) == [("  Acme ", "2")]
    writes = len(shop.vendor.writes)
    shop.cycle()
    assert len(shop.vendor.writes) == writes


def test_what_somebody_changed_after_an_update_that_was_not_answered_is_pulled(shop: TwoWayShop) -> None:
    shop.vendor.put(name="Acme", email="a@x.y", phone="0")
    shop.cycle()
    shop.do("UPDATE app.customers SET phone = '1'")
    lose_the_answer_while(shop, name="Apex")
    shop.push()
    shop.pull()
    assert phones(shop) == [("Apex", "1")]
    writes = len(shop.vendor.writes)
    shop.cycle()
    assert len(shop.vendor.writes) == writes


def test_what_somebody_changed_before_a_new_record_was_read_back_is_pulled(
    shop: TwoWayShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.cycle()
    shop.do(ONE)
    shop.vendor.answers_with_record = False
    original = TwoWayConnector.read_many

    def late(vendor: TwoWayConnector, entity: str, remote_ids: Sequence[str]) -> Page:
        for remote_id in remote_ids:
            vendor.vendor.put(remote_id, phone="2")
        monkeypatch.undo()
        return original(vendor, entity, remote_ids)

    monkeypatch.setattr(TwoWayConnector, "read_many", late)
    shop.push()
    shop.pull()
    assert phones(shop) == [("  Acme ", "2")]
