"""What is told: in the transaction of what happened, once per cause and not per record, and never a record's value."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from erpflow.store import conflicts, connections, subscriptions
from erpflow.store.conflicts import ContestedField, NewConflict
from erpflow.store.connections import ConnectionStatus
from erpflow.store.database import Database
from erpflow.store.deliveries import Connection
from erpflow.store.sync_logs import load_run
from erpflow.store.tenancy import TenantDatabase
from erpflow.store.tenants import add_tenant
from erpflow.testing.server import Reply
from erpflow.vocabulary import DEFAULT_TENANT, ConflictKind, DeliveryState, EventType, SyncLogId, SyncStatus
from tests.engine import customer
from tests.outgoing import PostOffice, Receiver, data, post_office


@pytest.fixture
def office(fresh_database: Database, tmp_path: Path) -> Iterator[PostOffice]:
    with post_office(fresh_database, tmp_path) as office:
        yield office


@pytest.fixture
def receiver(office: PostOffice) -> Receiver:
    """It subscribed to everything."""
    return office.receiver()


def told(office: PostOffice, receiver: Receiver) -> dict[str, dict[str, Any]]:
    """What a receiver has been told, by event; each once."""
    office.deliver()
    found = {message["type"]: message["data"] for message in receiver.messages()}
    assert len(found) == len(receiver.asked)
    return found


def conflict(number: int, winner: str | None = None) -> NewConflict:
    contested = ContestedField("phone", "1", "2", "canary-value-77", "manual", winner)
    return NewConflict(ConflictKind.BOTH_UPDATED, "manual", f"r{number}", f"l{number}", (contested,), winner, "")


def open_conflicts(connection: Connection, log: SyncLogId, *found: NewConflict) -> None:
    conflicts.record(connection, found, load_run(connection, log).ref)


def open_rejects(office: PostOffice, log: SyncLogId, *ids: str) -> None:
    office.shop.rows_of(
        "INSERT INTO erpflow.erp_rejects (tenant_id, sync_config_id, log_id, remote_id, payload, problems, stage)"
        " SELECT tenant_id, sync_config_id, id, r, 'canary-value-77', '[]', 'load'"
        " FROM erpflow.erp_sync_logs, unnest(%(ids)s::text[]) r WHERE id = %(log)s RETURNING 1",
        {"log": log, "ids": list(ids)},
    )


def test_a_sync_tells_what_it_was_and_what_became_of_its_records(office: PostOffice, receiver: Receiver) -> None:
    summary = office.shop.sync([customer(n) for n in range(3)])
    found = told(office, receiver)
    assert set(found) == {"sync.completed"}
    facts = found["sync.completed"]
    started, finished = (datetime.fromisoformat(facts.pop(moment)) for moment in ("started_at", "finished_at"))
    assert finished >= started
    assert finished.tzinfo is not None
    assert facts == {
        "tenant": "default",
        "connection": "shop",
        "system": "shop",
        "entity": "customer",
        "direction": "pull",
        "kind": "full",
        "status": "completed",
        "log_id": summary.log_id,
        "error_kind": None,
        "counts": {
            "read": 3, "created": 3, "updated": 0, "unchanged": 0, "deleted": 0, "conflict": 0, "rejected": 0,
            "ignored": 0,
        },
    }  # fmt: skip


def test_a_sync_with_refused_records_is_partial_and_they_are_one_message(
    office: PostOffice, receiver: Receiver
) -> None:
    summary = office.shop.sync([customer(n, name=None if n % 2 else f"C {n}") for n in range(40)])
    assert summary.status is SyncStatus.PARTIAL
    found = told(office, receiver)
    assert set(found) == {"sync.partial", "reject.opened"}
    assert found["reject.opened"] == {
        "tenant": "default",
        "connection": "shop",
        "system": "shop",
        "entity": "customer",
        "log_id": summary.log_id,
        "count": 20,
    }


def test_records_that_are_refused_again_are_not_told_again(office: PostOffice, receiver: Receiver) -> None:
    for _ in range(2):
        office.shop.sync([customer(1, name=None)])
    office.deliver()
    assert [message["type"] for message in receiver.messages()].count("reject.opened") == 1


def test_a_failed_sync_tells_the_kind_of_error_and_not_its_words(office: PostOffice, receiver: Receiver) -> None:
    office.end_run(error="canary-value-77 is no date")
    found = told(office, receiver)
    assert found["sync.failed"]["error_kind"] == "VendorUnavailable"
    assert b"canary-value-77" not in receiver.asked[0].body


def test_a_run_that_is_started_again_and_ends_again_is_told_again_under_another_id(
    office: PostOffice, receiver: Receiver
) -> None:
    log = office.end_run(error="down")
    office.shop.do(f"UPDATE erpflow.erp_sync_logs SET status = 'running' WHERE id = '{log}'")
    office.shop.do(f"UPDATE erpflow.erp_sync_logs SET status = 'completed' WHERE id = '{log}'")
    assert set(told(office, receiver)) == {"sync.failed", "sync.completed"}
    assert len(set(receiver.ids)) == 2


def test_a_dry_run_tells_nothing(office: PostOffice, receiver: Receiver) -> None:
    office.shop.sync([customer(1, name=None), customer(2)], dry_run=True)
    assert told(office, receiver) == {}
    assert office.all() == []


def test_conflicts_of_a_run_are_one_message_that_leaves_with_its_end(office: PostOffice, receiver: Receiver) -> None:
    log = office.shop.plan()
    with office.database.session() as connection:
        open_conflicts(connection, log, conflict(1), conflict(2), conflict(3, winner="local"))
        open_conflicts(connection, log, conflict(4), conflict(1))
    assert told(office, receiver) == {}
    office.shop.do(f"UPDATE erpflow.erp_sync_logs SET status = 'completed' WHERE id = '{log}'")
    found = told(office, receiver)
    assert set(found) == {"conflict.opened", "sync.completed"}
    assert found["conflict.opened"]["count"] == 3
    assert not any(b"canary-value-77" in asked.body for asked in receiver.asked)


def test_what_was_sent_under_an_id_does_not_change_and_what_comes_later_is_another_message(
    office: PostOffice, receiver: Receiver
) -> None:
    receiver.replies[:] = [Reply(500), Reply()]
    log = office.shop.plan()
    open_rejects(office, log, "a", "b")
    office.deliver_later()  # ten minutes are over, and the run is not
    assert data(receiver.asked[0])["count"] == 2
    open_rejects(office, log, "c")
    office.deliver_all()
    messages = {asked.headers["webhook-id"]: data(asked)["count"] for asked in receiver.asked}
    assert sorted(messages.values()) == [1, 2]
    assert len(receiver.asked) == 3
    assert all(each.state is DeliveryState.DELIVERED for each in office.all())


def test_a_message_is_made_with_what_it_tells_or_not_at_all(office: PostOffice, receiver: Receiver) -> None:
    log = office.shop.plan()
    with pytest.raises(ZeroDivisionError), office.database.transaction() as connection:
        open_conflicts(connection, log, conflict(1))
        connection.execute("UPDATE erpflow.erp_sync_logs SET status = 'completed' WHERE id = %s", (log,))
        assert connection.execute("SELECT count(*) FROM erpflow.erp_deliveries").fetchone() == (2,)
        raise ZeroDivisionError
    assert office.all() == []
    assert told(office, receiver) == {}


def test_a_connection_that_fails_is_told_once_until_it_has_worked_again(office: PostOffice, receiver: Receiver) -> None:
    with office.database.session() as connection:
        row = connections.get_connection(connection, "shop")

        def note(*statuses: ConnectionStatus) -> None:
            for status in statuses:
                connections.set_status(connection, row.id, status, message="refused: canary-value-77")

        note(ConnectionStatus.ERROR, ConnectionStatus.ERROR, ConnectionStatus.EXPIRED)
        assert told(office, receiver) == {
            "connection.failed": {"tenant": "default", "connection": "shop", "system": "shop", "status": "error"}
        }
        note(ConnectionStatus.ACTIVE, ConnectionStatus.EXPIRED)
    office.deliver()
    assert [data(asked)["status"] for asked in receiver.asked] == ["error", "expired"]
    assert not any(b"canary-value-77" in asked.body for asked in receiver.asked)


def test_what_a_tenants_own_request_brings_about_is_told_to_that_tenant(office: PostOffice, receiver: Receiver) -> None:
    with closing(TenantDatabase(lambda: office.database)) as tenanted:
        with tenanted.session(DEFAULT_TENANT) as connection:
            row = connections.get_connection(connection, "shop")
            connections.set_status(connection, row.id, ConnectionStatus.ERROR)
            assert len(subscriptions.list_subscriptions(connection, tenant_id=DEFAULT_TENANT)) == 1
        with office.database.session() as owner:
            other = add_tenant(owner, "other", name="Other").id
        with tenanted.session(other) as connection:
            assert connection.execute("SELECT count(*) FROM erpflow.erp_deliveries").fetchone() == (0,)
            assert connection.execute("DELETE FROM erpflow.erp_subscriptions").rowcount == 0
    assert set(told(office, receiver)) == {"connection.failed"}


def test_a_disabled_subscription_and_another_tenants_are_told_nothing(office: PostOffice, receiver: Receiver) -> None:
    with office.database.session() as connection:
        other = add_tenant(connection, "other", name="Other").id
        connection.execute("UPDATE erpflow.erp_subscriptions SET tenant_id = %s", (other,))
        disabled = office.receiver()
        subscriptions.disable_subscription(connection, disabled.subscription, tenant_id=DEFAULT_TENANT)
    office.end_run()
    office.deliver()
    assert (receiver.asked, disabled.asked) == ([], [])


def test_a_subscription_that_is_removed_while_a_run_writes_does_not_fail_the_run(
    office: PostOffice, receiver: Receiver
) -> None:
    log = office.shop.plan()

    def run() -> None:
        with office.database.session() as connection:
            open_conflicts(connection, log, conflict(1))

    with ThreadPoolExecutor(1) as pool:
        with office.database.transaction() as person:
            subscriptions.remove_subscription(person, receiver.subscription, tenant_id=DEFAULT_TENANT)
            writing = pool.submit(run)
            while not office.shop.rows(
                "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            ):
                assert not writing.done(), "it did not wait for who removes"
        writing.result(timeout=10)
    assert office.shop.rows("SELECT status FROM erpflow.erp_conflicts") == [("open",)]
    assert office.all() == []


def test_a_message_is_the_same_text_at_each_attempt_and_has_the_shape_of_the_standard(
    office: PostOffice, receiver: Receiver
) -> None:
    receiver.replies[:] = [Reply(500), Reply(500), Reply()]
    office.end_run()
    office.deliver_all()
    assert len({asked.body for asked in receiver.asked}) == 1
    message = json.loads(receiver.asked[0].body)
    assert set(message) == {"type", "timestamp", "data"}
    assert message["type"] in set(EventType)
    assert datetime.fromisoformat(message["timestamp"]).tzinfo is not None
    assert message["timestamp"].endswith("Z")


def test_what_is_refused_after_the_end_of_its_run_waits_for_nothing(office: PostOffice, receiver: Receiver) -> None:
    log = office.end_run()
    open_rejects(office, log, "a")
    assert told(office, receiver)["reject.opened"]["count"] == 1
