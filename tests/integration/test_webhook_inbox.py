"""The inbox of webhooks: every event once, nothing lost, tenants apart, read in pages; and the webhooks themselves."""

from __future__ import annotations

import itertools
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from erpflow.errors import ConfigError, SignatureInvalid
from erpflow.store import webhook_events, webhook_lanes, webhooks
from erpflow.store.cipher import Cipher
from erpflow.store.database import Database
from erpflow.store.listing import Listing, Row, page
from erpflow.store.tenancy import TenantDatabase
from erpflow.store.tenants import add_tenant
from erpflow.store.webhook_events import NewEvent
from erpflow.store.webhooks import WebhookFacts
from erpflow.vocabulary import DEFAULT_TENANT, ConnectionId, TenantId, WebhookEventState
from erpflow.webhooks.receive import receive
from tests.inbox import CIPHER, SECRET, SIGNED, Inbox, engine_of, event, signed
from tests.two_way import TwoWayShop

NOW = datetime.now(UTC)


NUMBERS = itertools.count()


@pytest.fixture
def inbox(database: Database, tmp_path: Path) -> Inbox:
    """A webhook of a connection of this test alone, in a database that the tests share."""
    shop = TwoWayShop(database, tmp_path, name=f"shop{next(NUMBERS)}")
    return Inbox(database, engine_of(shop), name=shop.name)


def new(key: str, **facts: Any) -> NewEvent:
    defaults: dict[str, Any] = {"event_type": "t", "entity": "customer", "remote_id": "C1", "body": b"{}"}
    return NewEvent(key=key, **(defaults | facts))


def listed(
    database: Database, what: Listing, *, tenant_id: TenantId = DEFAULT_TENANT, limit: int = 100, **wanted: Any
) -> tuple[list[Row], str | None]:
    """A page of a tenant's list, as the API reads it."""
    tenanted = TenantDatabase(lambda: database)
    try:
        with tenanted.session(tenant_id) as connection:
            return page(connection, what, limit=limit, **wanted)
    finally:
        tenanted.close()


# -- events --------------------------------------------------------------------------------------------------------


def test_an_event_that_comes_again_is_kept_once_and_says_where_it_is(inbox: Inbox) -> None:
    body = event("customer", "C1", event_id="e1")
    first, again = inbox.deliver(body, body)
    assert (first.is_new, again.is_new) == (True, False)
    assert first.event_id == again.event_id
    assert inbox.mine("SELECT body, entity, remote_id FROM erpflow.erp_webhook_events {}") == [(body, "customer", "C1")]


def test_many_that_bring_the_same_events_at_once_keep_each_of_them_once(inbox: Inbox) -> None:
    events = [new(f"e{number:03d}") for number in range(400)]
    together = threading.Barrier(8)

    def bring(order: int) -> list[Any]:
        with inbox.database.session() as connection:
            mixed = events if order % 2 else events[::-1]
            together.wait(30)
            return webhook_events.insert(connection, inbox.webhook.id, mixed, headers={})

    with ThreadPoolExecutor(8) as pool:
        brought = [kept for result in pool.map(bring, range(8)) for kept in result]
    assert sum(kept.is_new for kept in brought) == 400
    assert len({kept.event_id for kept in brought}) == 400
    assert len(brought) == 3_200


def test_the_events_of_a_request_are_all_kept_or_none_is(inbox: Inbox) -> None:
    with inbox.database.session() as connection, pytest.raises(Exception, match="state"):
        broken = [new("a"), new("b", state=SimpleState("nonsense"))]
        webhook_events.insert(connection, inbox.webhook.id, broken, headers={})
    assert inbox.states() == []


class SimpleState:
    """A state that there is not."""

    def __init__(self, value: str) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return False

    __hash__ = object.__hash__


def test_an_event_that_a_request_holds_twice_is_one_and_new_once(inbox: Inbox) -> None:
    with inbox.database.session() as connection:
        kept = webhook_events.insert(connection, inbox.webhook.id, [new("a"), new("a"), new("b")], headers={})
    assert [each.is_new for each in kept] == [True, False, True]
    assert kept[0].event_id == kept[1].event_id


def test_what_must_not_be_read_is_not_among_the_headers_that_are_kept(inbox: Inbox) -> None:
    body = event("customer", "C1", event_id="e1")
    headers = [*signed(body), ("Authorization", "Bearer canary"), ("Cookie", "canary"), ("User-Agent", "a\x00b")]
    with inbox.database.session() as connection:
        receive(connection, inbox.webhook, secrets=secrets_of(inbox), headers=headers, body=body, now=NOW)
    ((kept,),) = inbox.mine("SELECT headers FROM erpflow.erp_webhook_events {}")
    assert set(kept) == {"x-frappe-webhook-signature", "user-agent"}
    assert kept["user-agent"] == "a�b"


def test_what_is_not_signed_leaves_nothing_behind(inbox: Inbox) -> None:
    body = event("customer", "C1")
    with inbox.database.session() as connection, pytest.raises(SignatureInvalid):
        receive(
            connection,
            inbox.webhook,
            secrets=secrets_of(inbox),
            headers=signed(body, secret="wrong"),
            body=body,
            now=NOW,
        )
    assert inbox.states() == []


def test_a_webhook_that_was_deleted_meanwhile_keeps_nothing(inbox: Inbox) -> None:
    secrets, body = secrets_of(inbox), event("customer", "C1")
    with inbox.database.session() as connection:
        assert webhooks.delete_webhook(connection, inbox.webhook.id, tenant_id=DEFAULT_TENANT)
        assert receive(connection, inbox.webhook, secrets=secrets, headers=signed(body), body=body, now=NOW) == []


def test_what_cannot_be_read_is_parked_at_once_and_waits_for_no_drain(inbox: Inbox) -> None:
    inbox.deliver(b"\xff", b"[]")
    assert [state for state, _, _ in inbox.states()] == ["parked", "parked"]
    assert inbox.mine("SELECT count(*) FROM erpflow.erp_webhook_events {} AND processed_at IS NULL") == [(0,)]
    inbox.drain()
    assert [state for state, _, _ in inbox.states()] == ["parked", "parked"]


def test_who_listens_hears_of_what_is_due_and_of_nothing_else(inbox: Inbox) -> None:
    with inbox.database.session() as ears:
        webhook_lanes.listen(ears)
        inbox.tell("C1")
        assert webhook_lanes.wait(ears, timeout_s=5)
        inbox.deliver(event("customer", "C1", event_id="e1"))  # it is there already
        inbox.deliver(b"\xff")  # it is parked
        assert not webhook_lanes.wait(ears, timeout_s=0.05)
        (kept,) = inbox.deliver(event("customer", "C2", event_id="e9"))
        assert webhook_lanes.wait(ears, timeout_s=5)
        inbox.replay([kept.event_id])
        assert webhook_lanes.wait(ears, timeout_s=5)


def test_the_list_is_read_in_pages_the_newest_first_and_misses_none_of_one_moment(inbox: Inbox) -> None:
    for number in range(3):
        with inbox.database.session() as connection:
            events = [new(f"{number}/{each}", remote_id=f"C{number}{each}") for each in range(4)]
            webhook_events.insert(connection, inbox.webhook.id, events, headers={})
    seen: list[Row] = []
    after: str | None = None
    while True:
        rows, after = listed(inbox.database, webhook_events.LISTING, webhook_id=inbox.webhook.id, after=after, limit=5)
        seen += rows
        if after is None:
            break
    assert len({each["id"] for each in seen}) == len(seen) == 12
    moments = [each["received_at"] for each in seen]
    assert moments == sorted(moments, reverse=True)


@pytest.mark.parametrize(
    ("only", "found"),
    [
        ({}, {"a", "b", "c"}),
        ({"state": "parked"}, {"b"}),
        ({"entity": "order"}, {"c"}),
        ({"event_type": "other"}, {"b"}),
        ({"entity": "order", "event_type": "other"}, set()),
    ],
)
def test_the_list_holds_only_what_is_asked_for(inbox: Inbox, only: dict[str, str], found: set[str]) -> None:
    parked = WebhookEventState.PARKED
    events = [new("a"), new("b", event_type="other", state=parked, error="x"), new("c", entity="order")]
    with inbox.database.session() as connection:
        kept = webhook_events.insert(connection, inbox.webhook.id, events, headers={"h": "1"})
        names = dict(zip([each.event_id for each in kept], "abc", strict=True))
        rows, _ = listed(inbox.database, webhook_events.LISTING, webhook_id=inbox.webhook.id, **only)
        assert {names[each["id"]] for each in rows} == found
        whole = webhook_events.get_event(connection, kept[0].event_id, tenant_id=DEFAULT_TENANT)
    assert whole is not None
    assert (whole[0].id, whole[1:]) == (kept[0].event_id, ({"h": "1"}, b"{}"))


def test_a_tenant_sees_replays_and_changes_nothing_of_another(inbox: Inbox) -> None:
    (kept,) = inbox.tell("C1")
    with inbox.database.session() as connection:
        other = add_tenant(connection, "other", name="Other").id
        facts = WebhookFacts(name="x", verification=SIGNED, payload={})
        assert listed(inbox.database, webhook_events.LISTING, tenant_id=other) == ([], None)
        assert webhook_events.get_event(connection, kept.event_id, tenant_id=other) is None
        assert webhook_events.replay(connection, [kept.event_id], tenant_id=other) == []
        assert listed(inbox.database, webhooks.LISTING, tenant_id=other) == ([], None)
        assert webhooks.get_webhook(connection, inbox.webhook.id, tenant_id=other) is None
        assert webhooks.change_webhook(connection, inbox.webhook.id, facts, tenant_id=other) is None
        assert not webhooks.set_secret(connection, inbox.webhook.id, "x", tenant_id=other, cipher=CIPHER)
        assert not webhooks.delete_webhook(connection, inbox.webhook.id, tenant_id=other)
        with pytest.raises(ConfigError, match="never yours"):
            add(connection, inbox, tenant_id=other)


# -- webhooks ------------------------------------------------------------------------------------------------------


def add(connection: Any, inbox: Inbox, *, tenant_id: TenantId = DEFAULT_TENANT, **facts: Any) -> webhooks.Webhook:
    chosen = WebhookFacts(**({"name": "second", "verification": SIGNED, "payload": {}} | facts))
    place = ConnectionId(inbox.webhook.connection_id)
    return webhooks.add_webhook(connection, place, chosen, tenant_id=tenant_id, secret=SECRET, cipher=CIPHER)


def secrets_of(inbox: Inbox, cipher: Cipher = CIPHER) -> tuple[Any, ...]:
    with inbox.database.session() as connection:
        found = webhooks.webhook_for_receipt(connection, inbox.webhook.id, cipher=cipher)
    assert found is not None
    return found[1]


def test_a_webhook_is_kept_as_it_was_given_and_its_secret_encrypted(inbox: Inbox) -> None:
    soon = NOW + timedelta(days=6)
    with inbox.database.session() as connection:
        made = add(
            connection, inbox, events=("a", "b"), entities=("customer",), vendor_reference="channel", expires_at=soon,
            payload={"remote_id": "id"},
        )  # fmt: skip
        assert webhooks.get_webhook(connection, made.id, tenant_id=DEFAULT_TENANT) == made
        assert [each.id for each in webhooks.expiring(connection, before=NOW + timedelta(days=7))] == [made.id]
        assert webhooks.expiring(connection, before=NOW) == []
        assert webhooks.delete_webhook(connection, made.id, tenant_id=DEFAULT_TENANT)
    assert (made.events, made.entities, made.system, made.has_secret) == (("a", "b"), ("customer",), "shop", True)
    stored = json.dumps(inbox.rows("SELECT to_jsonb(w) FROM erpflow.erp_webhooks w"))
    assert SECRET not in stored
    assert SECRET not in repr(secrets_of(inbox)) + repr(made)
    assert [secret.reveal() for secret in secrets_of(inbox)] == [SECRET]


def test_a_webhook_is_changed_and_keeps_its_secret(inbox: Inbox) -> None:
    facts = WebhookFacts(name="other", verification={"scheme": "bearer"}, payload={}, active=False)
    with inbox.database.session() as connection:
        changed = webhooks.change_webhook(connection, inbox.webhook.id, facts, tenant_id=DEFAULT_TENANT)
        assert changed is not None
        assert (changed.name, changed.active, changed.verification) == ("other", False, {"scheme": "bearer"})
        assert len(listed(inbox.database, webhooks.LISTING, connection_id=inbox.webhook.connection_id)[0]) == 1
    assert [secret.reveal() for secret in secrets_of(inbox)] == [SECRET]


def test_two_webhooks_of_a_connection_do_not_share_a_name(inbox: Inbox) -> None:
    with inbox.database.session() as connection:
        made = add(connection, inbox)
        for again in (
            lambda: add(connection, inbox),
            lambda: webhooks.change_webhook(
                connection,
                made.id,
                WebhookFacts(name="events", verification=SIGNED, payload={}),
                tenant_id=DEFAULT_TENANT,
            ),
        ):
            with pytest.raises(ConfigError, match="already"):
                again()


def test_a_secret_that_was_replaced_is_good_for_as_long_as_was_said(inbox: Inbox) -> None:
    def renew(secret: str, **options: Any) -> list[str]:
        with inbox.database.session() as connection:
            assert webhooks.set_secret(
                connection, inbox.webhook.id, secret, tenant_id=DEFAULT_TENANT, cipher=CIPHER, **options
            )
        return [each.reveal() for each in secrets_of(inbox)]

    assert renew("second", grace=timedelta(days=1)) == ["second", SECRET]
    inbox.rows("UPDATE erpflow.erp_webhooks SET previous_secret_until = now() - interval '1 second' RETURNING 1")
    assert [each.reveal() for each in secrets_of(inbox)] == ["second"]
    assert renew("third") == ["third"]


def test_a_secret_of_another_key_is_told_with_what_to_do(inbox: Inbox) -> None:
    from cryptography.fernet import Fernet

    with pytest.raises(ConfigError, match="set it again"):
        secrets_of(inbox, Cipher(Fernet.generate_key().decode()))


def test_a_webhook_goes_with_its_connection_and_takes_its_events_along(inbox: Inbox) -> None:
    inbox.tell("C1")
    inbox.rows("DELETE FROM erpflow.erp_connections WHERE id = %s RETURNING 1", inbox.webhook.connection_id)
    assert inbox.states() == []
    with inbox.database.session() as connection:
        assert webhooks.webhook_for_receipt(connection, inbox.webhook.id, cipher=CIPHER) is None
        assert webhooks.webhook_for_receipt(connection, "no uuid", cipher=CIPHER) is None


def test_the_moment_of_the_last_receipt_is_noted(inbox: Inbox) -> None:
    assert inbox.webhook.last_received_at is None
    inbox.tell("C1")
    with inbox.database.session() as connection:
        found = webhooks.get_webhook(connection, inbox.webhook.id, tenant_id=DEFAULT_TENANT)
    assert found is not None
    assert found.last_received_at is not None


def test_events_from_before_the_inbox_was_drained_are_kept(empty_database: Database) -> None:
    from erpflow.store.migrate import upgrade

    upgrade(empty_database, to="s009")
    with empty_database.transaction() as connection:
        connection.execute(
            "INSERT INTO erpflow.erp_connections (tenant_id, name, system, airflow_conn_id)"
            f" VALUES ('{DEFAULT_TENANT}', 'a', 'erpnext', 'a')"
        )
        connection.execute(
            "INSERT INTO erpflow.erp_webhooks (tenant_id, connection_id, name)"
            " SELECT tenant_id, id, 'w' FROM erpflow.erp_connections"
        )
        connection.execute(
            "INSERT INTO erpflow.erp_webhook_events (tenant_id, webhook_id, dedupe_key, body)"
            " SELECT tenant_id, id, 'k', '' FROM erpflow.erp_webhooks"
        )
    upgrade(empty_database)
    [event_row], _ = listed(empty_database, webhook_events.LISTING)
    [webhook_row], _ = listed(empty_database, webhooks.LISTING)
    assert webhook_row["payload"] == {}
    assert event_row["state"] == WebhookEventState.RECEIVED
