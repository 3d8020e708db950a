"""What is written down to be told: by triggers, once for each statement, and readable without a gap."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from erpflow.store import events
from erpflow.store.database import Database
from erpflow.store.events import Place, Read
from erpflow.vocabulary import EventKind
from tests.engine import Shop, customer

HISTORY = """
INSERT INTO erpflow.erp_record_history (tenant_id, sync_config_id, remote_id, direction, change)
SELECT tenant_id, id, 'R' || n, 'pull', CASE WHEN n %% 2 = 0 THEN 'updated' ELSE 'created' END
FROM erpflow.erp_sync_configs, generate_series(1, %s) n WHERE entity = ANY (%s)
"""
CONFLICTS = """
INSERT INTO erpflow.erp_conflicts (tenant_id, sync_config_id, remote_id, kind, strategy)
SELECT tenant_id, id, 'R' || n, 'both_updated', 'manual'
FROM erpflow.erp_sync_configs, generate_series(1, %s) n WHERE entity = 'customer'
"""
WEBHOOK = """
INSERT INTO erpflow.erp_webhooks (tenant_id, connection_id, name)
SELECT tenant_id, id, 'orders' FROM erpflow.erp_connections RETURNING id
"""
ARRIVALS = """
INSERT INTO erpflow.erp_webhook_events (tenant_id, webhook_id, dedupe_key, entity, body)
SELECT tenant_id, id, 'e' || n, 'order', '' FROM erpflow.erp_webhooks, generate_series(1, 30) n
ON CONFLICT DO NOTHING
"""
OPEN = """
INSERT INTO erpflow.erp_sync_logs (tenant_id, sync_config_id)
SELECT tenant_id, id FROM erpflow.erp_sync_configs WHERE entity = 'customer' RETURNING id
"""


@dataclass
class Told:
    """What has been told since the last look."""

    database: Database
    seen: int = 0

    def since(self) -> list[tuple[str, dict[str, Any]]]:
        with self.database.session() as connection:
            rows = connection.execute(
                "SELECT id, kind, payload FROM erpflow.erp_events WHERE id > %s ORDER BY id", (self.seen,)
            ).fetchall()
        self.seen = max([self.seen, *(row[0] for row in rows)])
        return [(row[1], row[2]) for row in rows]


@pytest.fixture(scope="module")
def shop(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(database, tmp_path_factory.mktemp("shop"))


@pytest.fixture
def told(shop: Shop) -> Told:
    found = Told(shop.database)
    found.since()
    return found


@pytest.fixture
def hand(shop: Shop) -> Iterator[psycopg.Connection[Any]]:
    with shop.database.connect(autocommit=True) as connection:
        yield connection


def test_ten_thousand_changes_in_one_statement_are_one_event_per_sync(
    hand: psycopg.Connection[Any], told: Told
) -> None:
    hand.execute(HISTORY, (10_000, ["customer", "order"]))
    for kind, payload in (found := told.since()):
        first = payload.pop("first")
        assert (kind, len(first), first[0]["remote_id"][0]) == ("records_changed", 20, "R")
        assert payload == {
            "direction": "pull", "records": 10_000, "created": 5_000, "updated": 5_000, "deleted": 0, "resolved": 0,
        }  # fmt: skip
    assert len(found) == 2


def test_a_statement_that_changes_nothing_tells_nothing(hand: psycopg.Connection[Any], told: Told) -> None:
    hand.execute(HISTORY, (0, ["customer"]))
    hand.execute("UPDATE erpflow.erp_conflicts SET times_seen = times_seen + 1")
    hand.execute("UPDATE erpflow.erp_sync_logs SET landing = landing")
    assert told.since() == []


def test_conflicts_are_told_when_they_open_and_once_when_they_are_resolved(
    hand: psycopg.Connection[Any], told: Told
) -> None:
    hand.execute(CONFLICTS, (30,))
    [(kind, payload)] = told.since()
    assert (kind, payload["conflicts"], payload["kinds"]) == ("conflict_opened", 30, ["both_updated"])
    assert len(payload["first"]) == 20
    resolve = "UPDATE erpflow.erp_conflicts SET status = 'resolved', winner = 'local', resolved_at = now()"
    hand.execute(resolve)
    [(kind, payload)] = told.since()
    assert (kind, payload["conflicts"], payload["winners"]) == ("conflict_resolved", 30, ["local"])
    hand.execute(resolve)
    assert told.since() == []


def test_webhook_arrivals_are_told_and_repetitions_are_not(hand: psycopg.Connection[Any], told: Told) -> None:
    row = hand.execute(WEBHOOK).fetchone()
    hand.execute(ARRIVALS)
    [(kind, payload)] = told.since()
    assert (kind, payload["events"], payload["entities"]) == ("webhook_received", 30, ["order"])
    assert row is not None
    assert payload["webhook_id"] == str(row[0])
    hand.execute(ARRIVALS)
    assert told.since() == []


def test_progress_is_told_once_a_second_and_the_end_has_the_last_word(
    hand: psycopg.Connection[Any], told: Told
) -> None:
    row = hand.execute(OPEN).fetchone()
    assert row is not None
    hand.execute("UPDATE erpflow.erp_sync_logs SET chunks_total = 200 WHERE id = %s", row)
    for _ in range(200):
        hand.execute(
            "UPDATE erpflow.erp_sync_logs SET chunks_applied = chunks_applied + 1, read_count = read_count + 5000,"
            " created_count = created_count + 5000 WHERE id = %s",
            row,
        )
    hand.execute("UPDATE erpflow.erp_sync_logs SET status = 'completed', finished_at = now() WHERE id = %s", row)
    found = told.since()
    kinds = [kind for kind, _ in found]
    assert (kinds[0], kinds[-1]) == ("sync_opened", "sync_closed")
    assert set(kinds[1:-1]) == {"sync_progress"}
    assert len(kinds) < 30
    assert found[-1][1]["read"] == 1_000_000
    assert found[-1][1]["share"] == 1
    hand.execute("UPDATE erpflow.erp_sync_logs SET status = 'running' WHERE id = %s", row)
    assert [kind for kind, _ in told.since()] == ["sync_opened"]


def test_a_second_without_news_is_followed_by_progress(hand: psycopg.Connection[Any], told: Told) -> None:
    row = hand.execute(OPEN).fetchone()
    for page in (1, 2):
        hand.execute("UPDATE erpflow.erp_sync_logs SET pages = %s WHERE id = %s", (page, *(row or ())))
        hand.execute("UPDATE erpflow.erp_events SET at = at - interval '2 seconds'")
    assert [(kind, payload["pages"]) for kind, payload in told.since()] == [
        ("sync_opened", 0), ("sync_progress", 1), ("sync_progress", 2),
    ]  # fmt: skip


def test_every_kind_that_a_trigger_tells_has_a_word(shop: Shop) -> None:
    script = Path(events.__file__).parent / "migrations" / "erpflow" / "s012_event_stream.sql"
    text = script.read_text()
    assert all(f"'{kind.value}'" in text for kind in EventKind)


def test_a_first_load_tells_its_progress_and_no_record(shop: Shop, told: Told) -> None:
    shop.sync([customer(number) for number in range(300)])
    found = [kind for kind, _ in told.since()]
    assert (found[0], found[-1]) == ("sync_opened", "sync_closed")
    assert set(found) == {"sync_opened", "sync_progress", "sync_closed"}


def read(database: Database, after: Place | None, *, limit: int = 100) -> Read:
    async def once() -> Read:
        async with aclosing(events.follow(database, after, limit=limit)) as reads:
            return await anext(reads)

    return asyncio.run(once())


def test_what_an_older_transaction_may_still_precede_waits_for_its_end(shop: Shop) -> None:
    tell = "INSERT INTO erpflow.erp_events (tenant_id, kind) SELECT id, 'records_changed' FROM erpflow.erp_tenants"
    place = read(shop.database, None).place
    with shop.database.connect() as early, shop.database.connect(autocommit=True) as late:
        early.execute(tell)
        late.execute(tell)
        held = read(shop.database, place)
        assert (held.events, held.waiting) == ([], True)
        early.commit()
    freed = read(shop.database, held.place)
    assert len(freed.events) == 2
    assert not freed.waiting
    assert read(shop.database, freed.place).events == []
    assert read(shop.database, place, limit=1).events == freed.events[:1]
    assert read(shop.database, place, limit=1).more


@pytest.mark.parametrize("text", ["", "1", "1-2", "1-2-x", "1-2-3-4", "-1-2-3", "1-2-" + "9" * 30, "1-2-٣"])
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(Exception, match="Last-Event-ID"):
        Place.read(text)


def test_a_place_is_read_as_it_was_written() -> None:
    place = Place(2**40, 17, 1_790_000_000)
    assert Place.read(str(place)) == place
