"""The drain: events become the vendor's present state here, in whatever order they come, whatever goes wrong."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from erpflow.connectors.base import Connector, Page
from erpflow.errors import AuthFailed, ErpflowError, ProtocolError, RateLimited, VendorUnavailable
from erpflow.store import webhook_lanes
from erpflow.store.database import Database
from erpflow.sync import plan as planning
from erpflow.vocabulary import ConnectionId, WebhookEventState
from erpflow.webhooks.drain import MOST_TRIES, Drain
from erpflow.webhooks.wake import needs_waking, wake_run_id
from tests.inbox import LATER, Inbox, engine_of, event
from tests.two_way import CUSTOMER, TwoWayConnector, TwoWayShop

DELETES_UNASKED = CUSTOMER.replace("deletes: {", "deletes: {at_most: 100%, ")
LOGS = "SELECT status, triggered_by, kind, record_ids FROM erpflow.erp_sync_logs ORDER BY started_at"


@pytest.fixture
def shop(database: Database, tmp_path: Path) -> TwoWayShop:
    """A shop in the database of the module, which is emptied: making one for each test takes longer than the tests."""
    with database.session() as connection:
        connection.execute("DELETE FROM erpflow.erp_connections")
        connection.execute("TRUNCATE app.customers CASCADE")
    return TwoWayShop(database, tmp_path)


@pytest.fixture
def inbox(shop: TwoWayShop) -> Inbox:
    return Inbox(shop.database, engine_of(shop))


def names(shop: TwoWayShop) -> dict[str, str]:
    return dict(shop.rows("SELECT email, name FROM app.customers"))


def at_vendor(shop: TwoWayShop) -> dict[str, str]:
    return {record["email"]: record["name"] for record in shop.vendor.records.values()}


# -- what becomes of events ----------------------------------------------------------------------------------------


def test_all_events_of_a_config_are_one_pull_and_each_learns_what_became_of_its_record(
    shop: TwoWayShop, inbox: Inbox
) -> None:
    old, kept, gone = (shop.vendor.put(name=name, email=name) for name in ("old", "kept", "gone"))
    shop.pull()
    new = shop.vendor.put(name="new", email="new")
    refused = shop.vendor.put(name=None, email="refused")
    shop.vendor.put(old, name="renewed")
    shop.vendor.drop(gone)
    inbox.tell(new, old, gone, kept, refused, "R999999", old)
    drained = inbox.drain(dag_id="d", dag_run_id="r")
    assert inbox.actions() == ["created", "updated", "deleted", "unchanged", "rejected", "ignored", "updated"]
    assert (drained.events, drained.runs) == (7, 1)
    assert names(shop) == {"new": "new", "old": "renewed", "kept": "kept"}
    ids = [new, old, gone, kept, refused, "R999999"]
    assert shop.rows(LOGS)[1:] == [("partial", "webhook", "records", ids)]
    ((log, dag),) = shop.rows("SELECT id::text, dag_id || dag_run_id FROM erpflow.erp_sync_logs WHERE kind = 'records'")
    assert dag == "dr"
    assert inbox.rows("SELECT DISTINCT log_id::text, attempts FROM erpflow.erp_webhook_events") == [(log, 1)]


def test_a_pull_for_webhooks_moves_no_cursor_and_puts_off_no_scheduled_run(shop: TwoWayShop, inbox: Inbox) -> None:
    shop.vendor.put(name="a", email="a")
    shop.pull()
    facts = "SELECT cursor_at, last_started_at, deletes_cursor_at FROM erpflow.erp_sync_configs ORDER BY entity"
    before = shop.rows(facts)
    inbox.tell(shop.vendor.put(name="b", email="b"))
    inbox.drain()
    assert shop.rows(facts) == before


def test_events_that_nothing_can_be_done_with_are_ignored_with_the_reason(shop: TwoWayShop, inbox: Inbox) -> None:
    shop.do("UPDATE erpflow.erp_sync_configs SET direction = 'push' WHERE entity = 'order'")
    inbox.tell("P1", entity="price")
    inbox.tell("O1", entity="order")
    inbox.drain()
    shop.do("UPDATE erpflow.erp_sync_configs SET enabled = false WHERE entity = 'customer'")
    inbox.tell("C1")
    inbox.drain()
    assert [(state, action) for state, action, _ in inbox.states()] == [("ignored", None)] * 3
    reasons = [reason for _, _, reason in inbox.states()]
    assert [reason.partition(" of ")[0].partition(" with ")[0] for reason in reasons] == [
        'The connection "shop" does not sync the entity "price". Add a sync config.',
        '"order"',
        'Syncing "customer"',
    ]
    assert shop.rows(LOGS) == []


def test_an_event_of_one_tenants_connection_touches_no_other_of_the_same_name(
    shop: TwoWayShop, inbox: Inbox, tmp_path: Path
) -> None:
    record = shop.vendor.put(name="a", email="a")
    inbox.tell(record)
    inbox.drain()
    shop.do(
        "INSERT INTO erpflow.erp_tenants (slug, name) VALUES ('other', 'Other');"
        "INSERT INTO erpflow.erp_connections (tenant_id, name, system, airflow_conn_id, status)"
        " SELECT id, 'shop', 'shop', 'other', 'active' FROM erpflow.erp_tenants WHERE slug = 'other';"
        "INSERT INTO erpflow.erp_sync_configs (tenant_id, connection_id, entity, direction, every, mapping_path)"
        " SELECT tenant_id, id, 'customer', 'pull', '1 hour', 'shop/customer.yaml' FROM erpflow.erp_connections"
        " WHERE airflow_conn_id = 'other'"
    )
    shop.vendor.drop(record)
    inbox.tell(record)
    inbox.drain()
    assert inbox.actions() == ["created", "deleted"]
    assert shop.rows("SELECT count(DISTINCT sync_config_id) FROM erpflow.erp_sync_logs") == [(1,)]


def test_deletes_beyond_what_the_mapping_allows_unasked_wait_for_a_person_and_the_rest_is_applied(
    shop: TwoWayShop, inbox: Inbox
) -> None:
    first, second, third = (shop.vendor.put(name=name, email=name) for name in ("a", "b", "c"))
    shop.pull()
    shop.vendor.drop(first)
    shop.vendor.drop(second)
    shop.vendor.put(third, name="c2")
    kept = inbox.tell(first, second, third)
    inbox.drain()
    assert [(state, action) for state, action, _ in inbox.states()] == [
        ("parked", None),
        ("parked", None),
        ("applied", "updated"),
    ]
    assert "approve" in inbox.states()[0][2]
    assert names(shop) == {"a": "a", "b": "b", "c": "c2"}
    shop.pull(allow_deletes=True)
    inbox.replay([each.event_id for each in kept[:2]])
    inbox.drain()
    assert names(shop) == {"c": "c2"}
    assert [state for state, _, _ in inbox.states()] == ["ignored", "ignored", "applied"]


def test_a_replayed_event_is_applied_as_if_it_had_just_come(shop: TwoWayShop, inbox: Inbox) -> None:
    record = shop.vendor.put(name="a", email="a")
    (kept,) = inbox.tell(record)
    inbox.drain()
    shop.vendor.put(record, name="b")
    assert inbox.drain().events == 0
    assert inbox.replay([kept.event_id]) == [kept.event_id]
    inbox.drain()
    assert inbox.actions() == ["updated"]
    assert names(shop) == {"a": "b"}


# -- order ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(2))
def test_events_in_any_order_and_number_end_in_the_vendors_state(shop: TwoWayShop, inbox: Inbox, seed: int) -> None:
    """Twenty lives at once; what is told of them comes late, twice, mixed, and is drained in between."""
    shop.use(DELETES_UNASKED)
    rng = random.Random(seed)
    lives = {f"R{number:06d}": ["create", "update", "update", "delete"][: rng.randint(1, 4)] for number in range(1, 21)}
    steps = [name for name, life in lives.items() for _ in life]
    rng.shuffle(steps)
    drains = set(rng.sample(range(len(steps)), 4))
    untold: list[bytes] = []
    told: list[bytes] = []
    for number, name in enumerate(steps):
        step = lives[name].pop(0)
        if step == "delete":
            shop.vendor.drop(name)
        else:
            shop.vendor.put(name, name=f"{step} {number}", email=name)
        untold.append(event("customer", name, event_id=f"{name}/{number}", event_type=step))
        if number in drains:
            rng.shuffle(untold)
            count = rng.randint(0, len(untold))
            told += untold[:count]
            untold = untold[count:]
            bring(inbox, rng, told[-count:] if count else [], told)
            inbox.drain()
    told += untold
    bring(inbox, rng, untold, told)
    inbox.drain()
    assert names(shop) == at_vendor(shop)
    assert inbox.rows(
        "SELECT count(*), count(*) FILTER (WHERE state = 'received') FROM erpflow.erp_webhook_events"
    ) == [(len(steps), 0)]
    alive = {remote_id for (remote_id,) in shop.rows(
        "SELECT remote_id FROM erpflow.erp_entity_sync_records WHERE status <> 'deleted'"
    )}  # fmt: skip
    assert alive == set(shop.vendor.records)


def bring(inbox: Inbox, rng: random.Random, bodies: list[bytes], told: list[bytes]) -> None:
    """Deliver these in any order, and some of those that were delivered before again."""
    again = rng.sample(told, min(len(told), 8))
    mixed = [*bodies, *again]
    rng.shuffle(mixed)
    inbox.deliver(*mixed)


def test_an_event_that_is_being_applied_is_not_waited_for_when_it_is_to_be_replayed(inbox: Inbox) -> None:
    first, second = inbox.tell("C1", "C2")
    lane = webhook_lanes.Lane(ConnectionId(inbox.webhook.connection_id), "customer")
    with inbox.database.transaction() as connection:
        assert webhook_lanes.enter(connection, lane)
        (due,) = webhook_lanes.claim(connection, lane, most=1)
        (free,) = {first.event_id, second.event_id} - {due.event_id}
        assert inbox.replay([first.event_id, second.event_id]) == [free]


def test_what_is_told_of_a_record_after_its_delete_does_not_bring_it_back(shop: TwoWayShop, inbox: Inbox) -> None:
    record = shop.vendor.put(name="a", email="a")
    inbox.tell(record)
    inbox.drain()
    shop.vendor.drop(record)
    inbox.tell(record)
    inbox.drain()
    inbox.tell(record)
    inbox.drain()
    assert inbox.actions() == ["created", "deleted", "ignored"]
    assert names(shop) == {}


# -- vendors in trouble --------------------------------------------------------------------------------------------


def troubled(inbox: Inbox, error: Callable[[], Exception], *, only: str | None = None) -> Inbox:
    """The same inbox while the vendor of the connection `only` (or every one) answers with an error."""
    healthy = inbox.engine.connect

    @contextmanager
    def connect(run: Any) -> Iterator[Connector]:
        if only in (None, run.connection):
            raise error()
        with healthy(run) as vendor:
            yield vendor

    inbox.engine = replace(inbox.engine, connect=connect)
    return inbox


def test_a_vendor_that_is_down_puts_off_its_events_and_no_others(
    shop: TwoWayShop, inbox: Inbox, tmp_path: Path
) -> None:
    other = TwoWayShop(shop.database, tmp_path / "other", name="other", vendor=shop.vendor)
    other.use(CUSTOMER)
    shop.use(CUSTOMER)
    elsewhere = Inbox(shop.database, inbox.engine, name="other")
    record = shop.vendor.put(name="a", email="a")
    inbox.tell(record)
    elsewhere.tell(record)
    troubled(inbox, lambda: VendorUnavailable("The shop is closed."), only="shop").drain(jitter=lambda: 1.0)
    assert inbox.states() == [("received", None, "The shop is closed.")]
    assert elsewhere.actions() == ["created"]
    ((attempts, wait),) = inbox.mine("SELECT attempts, next_attempt_at - now() FROM erpflow.erp_webhook_events {}")
    assert attempts == 1
    assert timedelta(seconds=5) < wait <= timedelta(seconds=10)
    assert inbox.drain().events == 0
    inbox.engine = elsewhere.engine
    inbox.make_due()
    inbox.drain()
    assert [(state, error) for state, _, error in inbox.states()] == [("applied", None)]


@pytest.mark.parametrize(
    "error",
    [
        lambda: VendorUnavailable("The shop is closed."),
        lambda: AuthFailed("The shop does not know us."),
        lambda: ValueError("a secret that no table may hold"),
    ],
)
def test_events_that_were_tried_often_enough_are_parked_and_applied_once_they_are_replayed(
    shop: TwoWayShop, inbox: Inbox, error: Callable[[], Exception]
) -> None:
    healthy = inbox.engine
    record = shop.vendor.put(name="a", email="a")
    (kept,) = inbox.tell(record)
    inbox.rows("UPDATE erpflow.erp_webhook_events SET attempts = %s RETURNING 1", MOST_TRIES - 2)
    troubled(inbox, error)
    for state in ("received", "parked"):
        inbox.make_due()
        inbox.drain()
        assert [found for found, _, _ in inbox.states()] == [state]
    ((_, _, reason),) = inbox.states()
    told = str(error()) if isinstance(error(), ErpflowError) else "A defect (ValueError)"
    assert reason.startswith(f"Tried {MOST_TRIES} times, the last time: {told}")
    assert "secret" not in reason
    assert inbox.drain().events == 0
    inbox.engine = healthy
    inbox.replay([kept.event_id])
    inbox.drain()
    assert inbox.actions() == ["created"]


def test_a_vendor_that_says_when_to_come_back_is_asked_then_and_waits_grow_with_each_try(inbox: Inbox) -> None:
    inbox.tell("C1", "C2")
    inbox.rows("UPDATE erpflow.erp_webhook_events SET attempts = 5 WHERE remote_id = 'C2' RETURNING 1")
    troubled(inbox, lambda: RateLimited("Slower.", retry_after=120.0)).drain(jitter=lambda: 0.0)
    waits = [wait for (wait,) in inbox.mine(
        "SELECT extract(epoch FROM next_attempt_at - now())::int FROM erpflow.erp_webhook_events {} ORDER BY remote_id"
    )]  # fmt: skip
    assert 110 <= waits[0] <= 120
    assert 150 <= waits[1] <= 160


def test_one_record_that_the_vendor_cannot_answer_for_holds_up_no_other(
    shop: TwoWayShop, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [shop.vendor.put(name=f"n{number}", email=f"e{number}") for number in range(8)]
    inner = TwoWayConnector.read_many

    def read_many(self: TwoWayConnector, entity: str, remote_ids: Any) -> Page:
        if records[5] in remote_ids:
            raise ProtocolError("The shop answers with markup.")
        return inner(self, entity, remote_ids)

    monkeypatch.setattr(TwoWayConnector, "read_many", read_many)
    inbox.tell(*records)
    inbox.drain()
    assert Counter(state for state, _, _ in inbox.states()) == {"applied": 7, "received": 1}
    assert inbox.mine("SELECT remote_id FROM erpflow.erp_webhook_events {} AND state = 'received'") == [(records[5],)]
    assert len(names(shop)) == 7


def test_a_drain_whose_lane_is_stopped_by_the_database_says_so_and_loses_nothing(
    shop: TwoWayShop, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox.tell(shop.vendor.put(name="a", email="a"))
    inner = webhook_lanes.settle

    def away(connection: Any, settled: Any) -> None:
        connection.close()
        inner(connection, settled)

    monkeypatch.setattr(webhook_lanes, "settle", away)
    with pytest.raises(ErpflowError, match="broke off"):
        inbox.drain()
    monkeypatch.undo()
    assert inbox.states() == [("received", None, None)]
    inbox.drain()
    assert inbox.actions() == ["unchanged"]
    assert names(shop) == {"a": "a"}


# -- drains at once ------------------------------------------------------------------------------------------------


def test_two_drains_at_once_apply_every_event_once(shop: TwoWayShop, inbox: Inbox) -> None:
    records = [shop.vendor.put(name=f"n{number}", email=f"e{number}") for number in range(20)]
    inbox.tell(*records)
    with ThreadPoolExecutor(3) as pool:
        drained = list(pool.map(lambda _: Drain(inbox.engine, most_events=5).run(), range(3)))
    assert sum(each.events for each in drained) == 20
    assert inbox.rows("SELECT state, action, attempts, count(*) FROM erpflow.erp_webhook_events GROUP BY 1, 2, 3") == [
        ("applied", "created", 1, 20)
    ]
    assert sorted(shop.rows("SELECT count(*), sum(read_count) FROM erpflow.erp_sync_logs")) == [(4, 20)]


def test_the_logs_of_a_drain_that_was_killed_are_ended_by_the_next_one(shop: TwoWayShop, inbox: Inbox) -> None:
    record = shop.vendor.put(name="a", email="a")
    with shop.database.session() as connection:
        request = planning.OpenRequest(
            kind="records", window=planning.Window(None, None), triggered_by="webhook", record_ids=(record,)
        )
        ((config,),) = shop.rows("SELECT id::text FROM erpflow.erp_sync_configs WHERE entity = 'customer'")
        planning.sync_logs.open_log(connection, config, request)
    inbox.tell(record)
    inbox.drain()
    assert [status for status, *_ in shop.rows(LOGS)] == ["failed", "completed"]
    assert "killed" in str(shop.rows("SELECT error FROM erpflow.erp_sync_logs WHERE status = 'failed'"))


def until(condition: Callable[[], bool]) -> None:
    """Wait for what another thread is about to do."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it did not happen within half a minute"
        time.sleep(0.02)


def test_a_drain_that_stays_applies_what_comes_and_nobody_need_wake_it(shop: TwoWayShop, inbox: Inbox) -> None:
    def asleep() -> bool:
        with shop.database.session() as connection:
            return needs_waking(connection)

    over = threading.Event()
    clock = lambda: 1e9 if over.is_set() else 0.0  # noqa: E731
    assert asleep()
    with ThreadPoolExecutor(1) as pool:
        staying = pool.submit(lambda: Drain(inbox.engine, clock=clock).run(stay_s=60.0))
        until(lambda: not asleep())
        inbox.tell(shop.vendor.put(name="a", email="a"))
        until(lambda: names(shop) == {"a": "a"})
        inbox.tell(shop.vendor.put(name="b", email="b"))
        until(lambda: len(names(shop)) == 2)
        until(lambda: inbox.actions() == ["created", "created"])
        assert not staying.done()
        over.set()
        assert staying.result().events == 2
    assert asleep()


def test_those_who_wake_a_drain_at_once_agree_on_one_run() -> None:
    from datetime import UTC, datetime

    at = datetime(2026, 11, 26, 12, 0, 3, 500_000, tzinfo=UTC)
    assert wake_run_id(at) == wake_run_id(at + timedelta(seconds=1)) == "webhook__2026-11-26T12:00:00"
    assert wake_run_id(at + timedelta(seconds=2)) != wake_run_id(at)


def test_an_event_whose_connection_was_deleted_goes_with_it(shop: TwoWayShop, inbox: Inbox) -> None:
    inbox.tell("C1")
    shop.do("DELETE FROM erpflow.erp_connections")
    assert inbox.drain().events == 0
    lane = webhook_lanes.Lane(ConnectionId(inbox.webhook.connection_id), "customer")
    with shop.database.session() as connection:
        assert webhook_lanes.subject_of(connection, lane) is None


def test_weak_keys_let_a_later_event_in_the_same_words_be_applied(shop: TwoWayShop, inbox: Inbox) -> None:
    record = shop.vendor.put(name="a", email="a")
    body = event("customer", record)
    first, again = inbox.deliver(body, body)
    assert (first.is_new, again.is_new) == (True, False)
    inbox.drain()
    shop.vendor.drop(record)
    (later,) = inbox.deliver(body, now=planning.datetime.now().astimezone() + LATER)
    assert later.is_new
    inbox.drain()
    assert [state for state, _, _ in inbox.states()] == [WebhookEventState.APPLIED] * 2
    assert names(shop) == {}
