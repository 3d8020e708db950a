"""What is forgotten, against a real Postgres and a real folder: exactly what is old and settled, and never more."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from erpflow.errors import ConfigError
from erpflow.services import retention
from erpflow.services.retention import DEFAULT_DAYS, Kept, LandingArea, Purged, purge
from erpflow.store import retention as store
from erpflow.store.database import Database
from erpflow.sync.landing import Folder
from erpflow.vocabulary import SyncLogId
from tests.engine import Shop, ShopConnector, customer

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SETTINGS = settings(
    max_examples=10,
    phases=[Phase.reuse, Phase.generate],  # shrinking takes minutes against a database
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
AGES = st.integers(0, 60 * 24 * 60).filter(lambda minutes: minutes != 30 * 24 * 60).map(lambda minutes: minutes / 1440)


def remove(folder: Folder) -> None:
    with suppress(FileNotFoundError):
        shutil.rmtree(cast("Path", folder))


@dataclass
class House:
    """A shop with something of every age in it."""

    shop: Shop
    root: Path
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(10**9)))

    def purge(self, kind: Kept, *, days: int = 30, **more: Any) -> Purged:
        area = LandingArea(self.root, remove)
        return purge(self.shop.database, kind, days=days, landing=area, now=NOW, **more)

    def clear(self) -> None:
        for table in ("sync_logs", "rejects", "conflicts", "push_attempts", "record_history", "webhooks"):
            self.shop.do(f"DELETE FROM erpflow.erp_{table}")
        self.shop.do("DELETE FROM erpflow.erp_entity_sync_records")
        self.shop.do("UPDATE erpflow.erp_sync_configs SET cursor_log_id = NULL")

    def insert(self, table: str, *, entity: str = "customer", **columns: Any) -> str:
        """A row of a table of the state; its id, or what it is known by."""
        names = "".join(f", {name}" for name in columns)
        holes = "".join(f", %({name})s" for name in columns)
        [(found,)] = self.shop.rows_of(
            f"INSERT INTO erpflow.erp_{table} (tenant_id, sync_config_id{names})"
            f" SELECT tenant_id, id{holes} FROM erpflow.erp_sync_configs WHERE entity = %(of)s"
            f" RETURNING {key_of(table)}",
            {"of": entity, **columns},
        )
        return str(found)

    def log(self, days: float, status: str = "completed", *, entity: str = "customer", **columns: Any) -> str:
        at = NOW - days * DAY
        ended = None if status == "running" else at
        return self.insert("sync_logs", entity=entity, status=status, started_at=at, finished_at=ended, **columns)

    def ids(self, table: str) -> set[str]:
        return {row[0] for row in self.shop.rows(f"SELECT {key_of(table)} FROM erpflow.erp_{table}")}

    def refer(self, log: str, by: str) -> None:
        """Let something name a log."""
        number = str(next(self.numbers))
        at = NOW - DAY
        if by == "cursor":
            self.shop.do(f"UPDATE erpflow.erp_sync_configs SET cursor_log_id = '{log}' WHERE entity = 'customer'")
        elif by == "record":
            self.shop.rows_of(
                "INSERT INTO erpflow.erp_entity_sync_records (tenant_id, sync_config_id, remote_id, local_id, raw_hash,"
                " log_id) SELECT tenant_id, id, %(n)s, %(n)s, 1, %(log)s FROM erpflow.erp_sync_configs"
                " WHERE entity = 'customer' RETURNING 1",
                {"n": number, "log": log},
            )
        elif by == "history":
            self.insert("record_history", direction="pull", change="created", log_id=log, changed_at=at)
        elif by == "reject":
            self.insert("rejects", remote_id=number, payload=b"", problems="[]", stage="load", log_id=log)
        elif by == "conflict":
            self.insert("conflicts", remote_id=number, kind="both_updated", strategy="manual", log_id=log)
        elif by == "attempt":
            self.insert("push_attempts", **attempt(number), log_id=log)
        elif by == "event":
            self.event("applied", at=at, log_id=log)

    def event(self, state: str, *, at: datetime, **columns: Any) -> str:
        number = str(next(self.numbers))
        [(webhook,)] = self.shop.rows_of(
            "INSERT INTO erpflow.erp_webhooks (tenant_id, connection_id, name)"
            " SELECT tenant_id, id, %(name)s FROM erpflow.erp_connections RETURNING id::text",
            {"name": number},
        )
        names = "".join(f", {name}" for name in columns)
        holes = "".join(f", %({name})s" for name in columns)
        done = None if state in ("received", "parked") else at
        [(found,)] = self.shop.rows_of(
            f"INSERT INTO erpflow.erp_webhook_events (tenant_id, webhook_id, dedupe_key, body, state, received_at,"
            f" processed_at{names}) SELECT tenant_id, id, 'k', '', %(state)s, %(at)s, %(done)s{holes}"
            " FROM erpflow.erp_webhooks WHERE id = %(webhook)s RETURNING id::text",
            {"webhook": webhook, "state": state, "at": at, "done": done, **columns},
        )
        return str(found)


REFERRERS = ("cursor", "record", "history", "reject", "conflict", "attempt", "event")


def key_of(table: str) -> str:
    return "idempotency_key" if table == "push_attempts" else "id::text"


def attempt(number: str, state: str = "planned", *, settled_at: datetime | None = None) -> dict[str, Any]:
    return {
        "local_id": number,
        "operation": "create",
        "state": state,
        "idempotency_key": number,
        "request_hash": 1,
        "fencing_token": 1,
        "settled_at": settled_at,
    }


@pytest.fixture(scope="module")
def shop(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(database, tmp_path_factory.mktemp("shop"))


@pytest.fixture
def house(shop: Shop, tmp_path: Path) -> House:
    house = House(shop, tmp_path / "landing")
    house.clear()
    return house


def test_the_days_of_the_dag_are_those_of_the_documentation() -> None:
    assert {kind.value: days for kind, days in DEFAULT_DAYS.items()} == {
        "landing": 14,
        "history": 365,
        "attempts": 90,
        "rejects": 180,
        "conflicts": 180,
        "events": 30,
        "deliveries": 30,
        "messages": 365,
        "stream": 1,
        "logs": 180,
    }
    settled = {"attempts", "rejects", "conflicts", "events", "deliveries", "messages", "stream"}
    assert set(store.settled_kinds()) == settled


@SETTINGS
@given(ages=st.lists(AGES, min_size=5, max_size=40), batch=st.integers(1, 7))
def test_history_goes_by_age_alone_whatever_its_order(house: House, ages: list[float], batch: int) -> None:
    house.clear()
    rows = {
        house.insert("record_history", direction="pull", change="updated", changed_at=NOW - age * DAY): age
        for age in ages
    }
    old = {row for row, age in rows.items() if age > 30}
    assert house.purge(Kept.HISTORY, dry_run=True).removed == len(old)
    assert house.ids("record_history") == set(rows)
    assert house.purge(Kept.HISTORY, batch=batch).removed == len(old)
    assert house.ids("record_history") == set(rows) - old


@SETTINGS
@given(
    rows=st.lists(
        st.tuples(st.sampled_from(["planned", "sent", "unknown", "succeeded", "failed", "superseded"]), AGES),
        min_size=5,
        max_size=30,
    )
)
def test_attempts_go_when_they_are_settled_and_old(house: House, rows: list[tuple[str, float]]) -> None:
    house.clear()
    kept = set()
    for number, (state, age) in enumerate(rows):
        settled = state in ("succeeded", "failed", "superseded")
        at = NOW - age * DAY
        row = house.insert("push_attempts", **attempt(str(number), state, settled_at=at if settled else None))
        if not settled or age < 30:
            kept.add(row)
    assert house.purge(Kept.ATTEMPTS, dry_run=True).removed == len(rows) - len(kept)
    assert house.purge(Kept.ATTEMPTS, batch=3).removed == len(rows) - len(kept)
    assert house.ids("push_attempts") == kept


@SETTINGS
@given(rows=st.lists(st.tuples(st.sampled_from(["open", "resolved", "discarded"]), AGES), min_size=5, max_size=30))
def test_rejects_go_when_they_are_closed_and_old_with_all_they_looked_like(
    house: House, rows: list[tuple[str, float]]
) -> None:
    house.clear()
    kept = set()
    for number, (status, age) in enumerate(rows):
        at = NOW - age * DAY
        row = house.insert(
            "rejects",
            remote_id=str(number),
            payload=b"first",
            problems="[]",
            stage="load",
            status=status,
            first_seen_at=at,
            last_seen_at=at,
            resolved_at=None if status == "open" else at,
        )
        if status == "open" or age < 30:
            kept.add(row)
    house.shop.do("UPDATE erpflow.erp_rejects SET payload = 'second'")
    assert house.purge(Kept.REJECTS, batch=3).removed == len(rows) - len(kept)
    assert house.ids("rejects") == kept
    assert {row[0] for row in house.shop.rows("SELECT reject_id::text FROM erpflow.erp_reject_payloads")} == kept


@SETTINGS
@given(
    conflicts=st.lists(st.tuples(st.sampled_from(["open", "resolved"]), AGES), min_size=3, max_size=15),
    events=st.lists(
        st.tuples(st.sampled_from(["received", "applied", "ignored", "parked"]), AGES), min_size=3, max_size=15
    ),
)
def test_conflicts_and_events_go_when_they_are_done_and_old(
    house: House, conflicts: list[tuple[str, float]], events: list[tuple[str, float]]
) -> None:
    house.clear()
    kept_conflicts, kept_events = set(), set()
    for number, (status, age) in enumerate(conflicts):
        at = NOW - age * DAY
        row = house.insert(
            "conflicts",
            remote_id=str(number),
            kind="both_updated",
            strategy="manual",
            status=status,
            detected_at=at,
            resolved_at=None if status == "open" else at,
        )
        if status == "open" or age < 30:
            kept_conflicts.add(row)
    for state, age in events:
        row = house.event(state, at=NOW - age * DAY)
        if state in ("received", "parked") or age < 30:
            kept_events.add(row)
    assert house.purge(Kept.CONFLICTS).removed == len(conflicts) - len(kept_conflicts)
    assert house.purge(Kept.EVENTS).removed == len(events) - len(kept_events)
    assert house.ids("conflicts") == kept_conflicts
    assert house.ids("webhook_events") == kept_events


@SETTINGS
@given(rows=st.lists(st.tuples(st.sampled_from(["pending", "delivered", "dead"]), AGES), min_size=5, max_size=30))
def test_outgoing_messages_go_when_they_are_settled_and_old_and_their_subscription_stays(
    house: House, rows: list[tuple[str, float]]
) -> None:
    house.shop.do("DELETE FROM erpflow.erp_subscriptions")
    house.shop.do(
        "INSERT INTO erpflow.erp_subscriptions (tenant_id, url, events, secret)"
        " SELECT id, 'https://example.com', '{sync.failed}', 's' FROM erpflow.erp_tenants WHERE slug = 'default'"
    )
    kept = set()
    for number, (state, age) in enumerate(rows):
        at = NOW - age * DAY
        [(row,)] = house.shop.rows_of(
            "INSERT INTO erpflow.erp_deliveries (tenant_id, subscription_id, event_id, type, payload, state,"
            " created_at, settled_at) SELECT tenant_id, id, %(event)s, 'sync.failed', '{}', %(state)s, %(at)s, %(done)s"
            " FROM erpflow.erp_subscriptions RETURNING id::text",
            {"event": f"msg_{number}", "state": state, "at": at, "done": None if state == "pending" else at},
        )
        if state == "pending" or age < 30:
            kept.add(row)
    assert house.purge(Kept.DELIVERIES, dry_run=True).removed == len(rows) - len(kept)
    assert house.purge(Kept.DELIVERIES, batch=3).removed == len(rows) - len(kept)
    assert house.ids("deliveries") == kept
    assert len(house.ids("subscriptions")) == 1


@SETTINGS
@given(
    rows=st.lists(
        st.tuples(st.sampled_from(["submitting", "accepted", "rejected", "unknown"]), AGES), min_size=5, max_size=30
    )
)
def test_messages_go_when_they_are_known_and_old(house: House, rows: list[tuple[str, float]]) -> None:
    house.shop.do("DELETE FROM erpflow.erp_messages")
    kept = set()
    for state, age in rows:
        at = NOW - age * DAY
        [(row,)] = house.shop.rows_of(
            "INSERT INTO erpflow.erp_messages (tenant_id, system, channel, content_digest, recipients, state,"
            " submitted_at, settled_at)"
            " SELECT id, 'sendgrid', 'email', '', '{a@b.example}', %(state)s, %(at)s, %(done)s"
            " FROM erpflow.erp_tenants WHERE slug = 'default' RETURNING id::text",
            {"state": state, "at": at, "done": None if state == "submitting" else at},
        )
        if state in ("submitting", "unknown") or age < 30:
            kept.add(row)
    assert house.purge(Kept.MESSAGES, dry_run=True).removed == len(rows) - len(kept)
    assert house.purge(Kept.MESSAGES, batch=3).removed == len(rows) - len(kept)
    assert house.ids("messages") == kept


def test_what_the_stream_told_goes_by_age_alone(house: House) -> None:
    house.shop.do("DELETE FROM erpflow.erp_events")
    ages = [0.5, 1.5, 2.0, 29.0]
    rows = {house.insert("events", kind="sync_closed", at=NOW - age * DAY): age for age in ages}
    assert house.purge(Kept.STREAM, days=1, dry_run=True).removed == 3
    assert house.purge(Kept.STREAM, days=1, batch=2).removed == 3
    assert house.ids("events") == {row for row, age in rows.items() if age < 1}


LOGS = st.tuples(
    st.sampled_from(["completed", "completed", "failed", "partial", "running"]),
    AGES,
    st.sampled_from(["customer", "order"]),
    st.sampled_from([None, None, None, *REFERRERS]),
)


@SETTINGS
@given(rows=st.lists(LOGS, min_size=5, max_size=30), batch=st.integers(1, 7))
def test_logs_go_when_they_are_old_ended_superseded_and_nothing_names_them(
    house: House, rows: list[tuple[str, float, str, str | None]], batch: int
) -> None:
    house.clear()
    logs = [(house.log(age, status, entity=entity), status, age, entity, by) for status, age, entity, by in rows]
    cursor = None
    for log, _, _, _, by in logs:
        if by is not None:
            house.refer(log, by)
            cursor = log if by == "cursor" else cursor
    newest = {max((-age, log) for log, _, age, of, _ in logs if of == entity)[1] for entity in {row[3] for row in logs}}
    kept = {
        log
        for log, status, age, _, by in logs
        if status == "running" or age < 30 or log in newest or log == cursor or by not in (None, "cursor")
    }
    assert house.purge(Kept.LOGS, dry_run=True).removed == len(logs) - len(kept)
    assert house.purge(Kept.LOGS, batch=batch).removed == len(logs) - len(kept)
    assert house.ids("sync_logs") == kept


@pytest.mark.parametrize("by", REFERRERS)
def test_each_thing_that_can_name_a_log_keeps_it(house: House, by: str) -> None:
    named, free = house.log(100), house.log(101)
    newest = house.log(1)
    house.refer(named, by)
    house.purge(Kept.LOGS)
    assert house.ids("sync_logs") == {named, newest}
    assert free not in house.ids("sync_logs")


def test_what_a_reject_looked_like_before_keeps_the_log_of_that_time(house: House) -> None:
    first, second, newest = house.log(101), house.log(100), house.log(1)
    house.insert("rejects", remote_id="r", payload=b"1", problems="[]", stage="load", log_id=first)
    house.shop.do(f"UPDATE erpflow.erp_rejects SET payload = '2', log_id = '{second}'")
    house.purge(Kept.LOGS)
    assert house.ids("sync_logs") == {first, second, newest}


def test_a_log_whose_deletes_wait_stays_until_somebody_settles_them(house: House) -> None:
    waiting, newest = house.log(100, deletes_waiting=3), house.log(1)
    house.purge(Kept.LOGS)
    assert house.ids("sync_logs") == {waiting, newest}


def test_more_logs_than_one_pass_lists_go_all_the_same(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "LISTED_LOGS", 3)
    newest = house.log(1)
    for day in range(40, 50):
        house.log(day)
    assert house.purge(Kept.LOGS, batch=2).removed == 10
    assert house.ids("sync_logs") == {newest}


def land(house: House, log: str, *, entity: str = "customer", location: str | None = None) -> Path:
    folder = house.root / "shop" / entity / log
    (folder / "version").mkdir(parents=True)
    (folder / "page-000001.json").write_bytes(b"{}")
    (folder / "version" / "chunk-000001.msgpack").write_bytes(b"")
    house.shop.rows_of(
        "UPDATE erpflow.erp_sync_logs SET landing = %(at)s WHERE id = %(log)s RETURNING 1",
        {"at": location or str(folder), "log": log},
    )
    return folder


@SETTINGS
@given(rows=st.lists(LOGS, min_size=5, max_size=15))
def test_landing_folders_go_when_their_log_is_old_ended_and_superseded(
    house: House, rows: list[tuple[str, float, str, str | None]]
) -> None:
    house.clear()
    shutil.rmtree(house.root, ignore_errors=True)
    folders = [
        (land(house, log := house.log(age, status, entity=entity), entity=entity), log, status, age, entity)
        for status, age, entity, _ in rows
    ]
    newest = {
        max((-age, log) for _, log, _, age, of in folders if of == entity)[1] for entity in {row[4] for row in folders}
    }
    kept = {folder for folder, log, status, age, _ in folders if status == "running" or age < 30 or log in newest}
    assert house.purge(Kept.LANDING, dry_run=True, batch=2).removed == len(folders) - len(kept)
    assert {folder for folder, *_ in folders if folder.exists()} == {folder for folder, *_ in folders}
    assert house.purge(Kept.LANDING, batch=2).removed == len(folders) - len(kept)
    assert {folder for folder, *_ in folders if folder.exists()} == kept
    landed = {row[0] for row in house.shop.rows("SELECT landing FROM erpflow.erp_sync_logs WHERE landing IS NOT NULL")}
    assert landed == {str(folder) for folder in kept}
    assert house.purge(Kept.LANDING).removed == 0


def test_pages_that_are_not_in_the_landing_area_are_left_alone(house: House, tmp_path: Path) -> None:
    log, newest = house.log(100), house.log(1)
    folder = land(house, log, location=str(tmp_path / "another" / "shop" / "customer" / log))
    done = house.purge(Kept.LANDING)
    assert (done.removed, done.elsewhere) == (0, 1)
    assert folder.exists()
    house.purge(Kept.LOGS)  # they are not ours to count either
    assert house.ids("sync_logs") == {newest}


def test_a_path_and_its_file_address_are_one_place(house: House) -> None:
    log = house.log(100)
    house.log(1)
    folder = land(house, log, location=f"file://{house.root}/shop/customer/{log}")
    assert house.purge(Kept.LOGS).removed == 0  # its pages are still there
    assert house.purge(Kept.LANDING).removed == 1
    assert not folder.exists()
    assert house.purge(Kept.LOGS).removed == 1


def test_a_folder_that_somebody_removed_by_hand_is_noted_as_gone(house: House) -> None:
    log = house.log(100)
    house.log(1)
    shutil.rmtree(land(house, log))
    assert house.purge(Kept.LANDING).removed == 1
    assert house.shop.rows("SELECT landing FROM erpflow.erp_sync_logs WHERE landing IS NOT NULL") == []


def test_a_kill_while_a_folder_is_removed_is_made_up_for(house: House) -> None:
    log = house.log(100)
    house.log(1)
    folder = land(house, log)

    def die(_folder: Folder) -> None:
        (folder / "page-000001.json").unlink()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        purge(house.shop.database, Kept.LANDING, days=30, landing=LandingArea(house.root, die), now=NOW)
    assert house.shop.rows("SELECT count(*) FROM erpflow.erp_sync_logs WHERE landing IS NOT NULL") == [(1,)]
    assert house.purge(Kept.LANDING).removed == 1
    assert not folder.exists()


def test_a_log_that_is_cleared_while_the_purge_looks_at_it_keeps_its_pages(house: House) -> None:
    log = SyncLogId(house.log(100))
    house.log(1)
    land(house, log)
    with house.shop.database.session() as connection:
        [found] = store.old_landings(connection, before=NOW - 30 * DAY, limit=10)
        house.shop.do(f"UPDATE erpflow.erp_sync_logs SET status = 'running' WHERE id = '{log}'")
        kept = store.delete_landing(
            connection, found.log_id, before=NOW - 30 * DAY, remove=lambda: pytest.fail("it was removed")
        )
        assert not kept
        assert store.delete_logs(connection, [log], before=NOW - 30 * DAY) == 0


def test_a_kind_kept_for_no_day_at_all_is_refused(house: House) -> None:
    with pytest.raises(ConfigError, match="give a day at least"):
        house.purge(Kept.HISTORY, days=0)


def test_clearing_transform_after_its_pages_went_says_so_and_extract_fetches_them_again(
    fresh_database: Database, tmp_path: Path
) -> None:
    shop = Shop(fresh_database, tmp_path)
    records = [customer(number) for number in range(150)]
    log = shop.plan()
    job = shop.job(log)
    job.extract(ShopConnector(records))
    job.transform()
    job.load()
    shop.do("UPDATE erpflow.erp_sync_logs SET status = 'completed', read_count = created_count, finished_at = now()")
    shop.sync(records, full=True)
    area = LandingArea(tmp_path / "landing", remove)
    later = datetime.now(UTC) + 20 * DAY
    assert purge(fresh_database, Kept.LANDING, days=14, landing=area, now=later).removed == 1

    again = shop.job(log)
    with pytest.raises(ConfigError, match=r"or they were cleaned up\. Clear the extract task"):
        again.transform()
    assert again.extract(ShopConnector(records)).records == 150
    assert again.transform() == 1
    assert again.load().read == 150
