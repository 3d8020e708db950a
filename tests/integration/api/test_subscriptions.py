"""Outgoing webhooks over HTTP: who is told, and what became of each message."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from erpflow.api.rights import Right
from erpflow.store import configs, connections, sync_logs
from erpflow.store.sync_logs import OpenRequest
from erpflow.vocabulary import ConflictStrategy, Direction, Window
from tests.calling import Api

NEW = {"url": "https://hooks.example/erpflow", "events": ["sync.failed", "sync.completed"]}
SUBSCRIPTIONS = "/api/erp/subscriptions"
INSIDE = ["http://10.0.0.1/hook", "https://169.254.169.254/latest", "ftp://x.example", "nonsense"]


@pytest.fixture
def subscribed(api: Api) -> dict[str, Any]:
    made = api.client.post(SUBSCRIPTIONS, json=NEW)
    assert made.status_code == 201, made.text
    return dict(made.json())


def a_sync_ends(api: Api) -> None:
    """A sync of nothing, which is told of."""
    with api.database.transaction() as store:
        connection = connections.add_connection(store, "shop", system="erpnext")
        config = configs.upsert_config(
            store, connection.id, "customer", direction=Direction.PULL, conflict=ConflictStrategy.NEWEST_WINS,
            every=timedelta(minutes=30), mapping_path="erpnext/customer.yaml",
        )  # fmt: skip
        log_id = sync_logs.open_log(store, config.id, OpenRequest(kind="full", window=Window()))
        sync_logs.close(store, log_id)


def test_the_secret_is_shown_once_and_again_only_when_it_is_another(api: Api, subscribed: dict[str, Any]) -> None:
    assert subscribed["secret"].startswith("whsec_")
    assert subscribed["secret"] not in api.client.get(SUBSCRIPTIONS).text
    rotated = api.client.post(f"{SUBSCRIPTIONS}/{subscribed['id']}/rotate-secret").json()
    assert rotated["secret"] != subscribed["secret"]
    assert rotated["previous_until"] is not None


@pytest.mark.parametrize("url", INSIDE)
def test_an_address_inside_or_of_another_kind_is_refused(api: Api, url: str) -> None:
    assert api.client.post(SUBSCRIPTIONS, json=NEW | {"url": url}).status_code == 422


def test_an_ended_sync_is_a_message_that_can_be_seen(api: Api, subscribed: dict[str, Any]) -> None:
    a_sync_ends(api)
    [message] = api.client.get("/api/erp/deliveries").json()["items"]
    assert (message["subscription_id"], message["state"]) == (subscribed["id"], "pending")
    assert message["type"] in NEW["events"]
    assert api.client.get("/api/erp/deliveries", params={"state": "dead"}).json()["items"] == []


def test_a_dead_letter_is_sent_again_on_request(api: Api, subscribed: dict[str, Any]) -> None:
    a_sync_ends(api)
    with api.database.transaction() as store:
        store.execute("UPDATE erpflow.erp_deliveries SET state = 'dead', settled_at = now()")
    [dead] = api.client.get("/api/erp/deliveries", params={"state": "dead"}).json()["items"]
    assert api.client.post(f"/api/erp/deliveries/{dead['id']}/replay").json() == {"replayed": 1}
    assert api.client.get("/api/erp/deliveries").json()["items"][0]["state"] == "pending"
    assert api.client.post("/api/erp/deliveries/replay").json() == {"replayed": 0}


def test_a_subscription_is_changed_switched_off_and_removed(api: Api, subscribed: dict[str, Any]) -> None:
    path = f"{SUBSCRIPTIONS}/{subscribed['id']}"
    changed = api.client.put(path, json={"events": ["sync.failed"], "active": False}).json()
    assert (changed["events"], changed["active"]) == (["sync.failed"], False)
    assert api.client.put(path, json={"active": True}).json()["active"] is True
    assert api.client.delete(path).status_code == 204
    assert api.client.get(SUBSCRIPTIONS).json()["items"] == []


def test_another_companys_subscriptions_are_not_there(api: Api, subscribed: dict[str, Any]) -> None:
    a_sync_ends(api)
    [message] = api.client.get("/api/erp/deliveries").json()["items"]
    theirs = api.as_key(api.key(*Right, tenant_id=api.tenant("acme")))
    path = f"{SUBSCRIPTIONS}/{subscribed['id']}"
    assert theirs.get(SUBSCRIPTIONS).json()["items"] == theirs.get("/api/erp/deliveries").json()["items"] == []
    answers = [
        theirs.put(path, json={"active": False}), theirs.delete(path), theirs.post(f"{path}/rotate-secret"),
        theirs.post(f"/api/erp/deliveries/{message['id']}/replay"),
        theirs.post("/api/erp/deliveries/replay", params={"subscription_id": subscribed["id"]}),
    ]  # fmt: skip
    assert [answer.status_code for answer in answers] == [404] * 5
