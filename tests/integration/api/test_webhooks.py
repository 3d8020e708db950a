"""Webhooks over HTTP: registered, received from whoever proves to be the vendor, kept once, shown, replayed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
import requests

from erpflow.services import installation
from erpflow.webhooks.drain import Drain
from tests.calling import Api
from tests.integration.conftest import API_KEY, API_SECRET, Sandbox

SIGNATURE = "X-Frappe-Webhook-Signature"
PAYLOAD = {"doctype": "Customer", "name": "CUST-0001", "modified": "2026-11-26 10:00:00.000000", "customer_name": "New"}
MADE = {"customer_name": "Webhook & Sons", "customer_type": "Company", "customer_group": "Commercial"}
ERPNEXT = {"Authorization": f"token {API_KEY}:{API_SECRET}"}


def signed(body: bytes, secret: str) -> dict[str, str]:
    digest = hmac.new(secret.encode(), body, hashlib.sha256).digest()
    return {SIGNATURE: base64.b64encode(digest).decode()}


@pytest.fixture
def registered(erpnext_api: Api) -> dict[str, Any]:
    connection = erpnext_api.database
    with connection.transaction() as store:
        [(connection_id,)] = store.execute("SELECT id::text FROM erpflow.erp_connections").fetchall()
    made = erpnext_api.client.post("/api/erp/webhooks", json={"connectionId": connection_id, "name": "customers"})
    assert made.status_code == 201, made.text
    return dict(made.json())


def send(api: Api, registered: dict[str, Any], payload: Any, **headers: str) -> Any:
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    path = f"/api/erp/webhooks/{registered['id']}/receive"
    proof = headers or signed(body, registered["verification_token"])
    return api.nobody().post(path, content=body, headers=proof)


def test_the_vendor_is_told_where_to_send_and_with_which_secret_once(
    erpnext_api: Api, registered: dict[str, Any]
) -> None:
    assert registered["url"] == f"https://erp.example/api/erp/webhooks/{registered['id']}/receive"
    assert registered["verification"]["scheme"] == "hmac"
    shown = erpnext_api.client.get(f"/api/erp/webhooks/{registered['id']}").text
    listed = erpnext_api.client.get("/api/erp/webhooks").text
    assert registered["verification_token"] not in shown + listed
    assert json.loads(shown)["has_secret"] is True


def test_a_customer_made_at_the_vendor_is_a_row_after_its_webhook(
    erpnext_api: Api, registered: dict[str, Any], sandbox: Sandbox
) -> None:
    made = requests.post(f"{sandbox.erpnext}/api/resource/Customer", json=MADE, headers=ERPNEXT, timeout=10).json()
    answer = send(erpnext_api, registered, made["data"] | {"doctype": "Customer"})
    assert (answer.status_code, answer.json()["status"], answer.json()["new"]) == (202, "received", 1)
    assert [(dag, conf["stay_s"] > 0) for dag, conf, _ in erpnext_api.runs.asked] == [("erpflow__webhooks", True)]
    Drain(installation.engine(erpnext_api.database)).run()
    with erpnext_api.database.transaction() as store:
        found = store.execute("SELECT name FROM app.customers WHERE name = %s", (MADE["customer_name"],)).fetchall()
    assert found == [(MADE["customer_name"],)]
    event = erpnext_api.client.get(f"/api/erp/webhook-events/{answer.json()['event_id']}").json()
    assert (event["state"], event["action"], event["entity"]) == ("applied", "created", "customer")
    assert json.loads(event["body"])["customer_name"] == MADE["customer_name"]


def test_a_request_that_comes_three_times_is_one_event(erpnext_api: Api, registered: dict[str, Any]) -> None:
    answers = [send(erpnext_api, registered, PAYLOAD).json() for _ in range(3)]
    assert {answer["event_id"] for answer in answers} == {answers[0]["event_id"]}
    assert [answer["new"] for answer in answers] == [1, 0, 0]
    assert len(erpnext_api.client.get("/api/erp/webhook-events").json()["items"]) == 1


@pytest.mark.parametrize(
    "proof",
    [
        {"X-Other": "x"},
        {SIGNATURE: ""},
        {SIGNATURE: "bm90IGl0"},
        {SIGNATURE: "\u00e9"},
    ],
)
def test_without_the_vendors_signature_nothing_is_kept(
    erpnext_api: Api, registered: dict[str, Any], proof: dict[str, str]
) -> None:
    body = json.dumps(PAYLOAD).encode()
    path = f"/api/erp/webhooks/{registered['id']}/receive"
    headers = [(name.encode(), value.encode("latin-1")) for name, value in proof.items()]
    refused = erpnext_api.nobody().post(path, content=body, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (401, "signature_invalid")
    assert erpnext_api.client.get("/api/erp/webhook-events").json()["items"] == []


def test_a_signature_that_comes_twice_proves_nothing(erpnext_api: Api, registered: dict[str, Any]) -> None:
    body = json.dumps(PAYLOAD).encode()
    right = signed(body, registered["verification_token"])[SIGNATURE].encode()
    path = f"/api/erp/webhooks/{registered['id']}/receive"
    doubled = [(SIGNATURE.encode(), right), (SIGNATURE.encode(), right)]
    assert erpnext_api.nobody().post(path, content=body, headers=doubled).status_code == 401


def test_a_body_that_is_authentic_and_unreadable_is_parked_not_lost(
    erpnext_api: Api, registered: dict[str, Any]
) -> None:
    answer = send(erpnext_api, registered, b"\xff\xfe not json")
    assert answer.status_code == 202
    event = erpnext_api.client.get(f"/api/erp/webhook-events/{answer.json()['event_id']}").json()
    assert event["state"] == "parked"
    assert base64.b64decode(event["body_base64"]) == b"\xff\xfe not json"


def test_a_webhook_that_is_not_there_is_404_and_one_that_is_off_410(
    erpnext_api: Api, registered: dict[str, Any]
) -> None:
    missing = registered | {"id": "00000000-0000-0000-0000-000000000000"}
    assert send(erpnext_api, missing, PAYLOAD).status_code == 404
    changed = erpnext_api.client.put(f"/api/erp/webhooks/{registered['id']}", json={"active": False})
    assert changed.json()["active"] is False
    assert send(erpnext_api, registered, PAYLOAD).status_code == 410
    assert send(erpnext_api, registered, b"x" * (2 * 1024 * 1024 + 1)).status_code == 413


def test_after_a_new_secret_the_old_one_is_good_for_its_grace_only(
    erpnext_api: Api, registered: dict[str, Any]
) -> None:
    path = f"/api/erp/webhooks/{registered['id']}"
    changed = {"secret": "another-secret", "graceSeconds": 3600}
    assert erpnext_api.client.put(path, json=changed).status_code == 200
    assert send(erpnext_api, registered, PAYLOAD).status_code == 202
    assert send(erpnext_api, registered | {"verification_token": "another-secret"}, PAYLOAD).status_code == 202
    assert erpnext_api.client.put(path, json={"secret": "a-third-secret"}).status_code == 200
    assert send(erpnext_api, registered, PAYLOAD).status_code == 401


def test_a_parked_event_is_applied_again_on_request(erpnext_api: Api, registered: dict[str, Any]) -> None:
    erpnext_api.runs.carries_out = False  # the drain that is woken would be faster than we look
    event_id = send(erpnext_api, registered, b"[]").json()["event_id"]
    assert erpnext_api.client.get(f"/api/erp/webhook-events/{event_id}").json()["state"] == "parked"
    assert erpnext_api.client.post(f"/api/erp/webhook-events/{event_id}/replay").status_code == 202
    assert erpnext_api.client.get(f"/api/erp/webhook-events/{event_id}").json()["state"] == "received"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"verification": {"scheme": "hmac"}}, "header"),
        ({"verification": {"scheme": "none"}}, "anybody_may_send"),
        ({"verification": {"scheme": "unheard of"}}, "Schemes"),
        ({"payload": {"remote_id": "[["}}, "remote_id"),
    ],
)
def test_a_registration_that_could_not_work_is_refused_with_the_key_that_is_wrong(
    erpnext_api: Api, registered: dict[str, Any], change: dict[str, Any], says: str
) -> None:
    body = {"connection_id": registered["connection_id"], "name": "other", **change}
    refused = erpnext_api.client.post("/api/erp/webhooks", json=body)
    assert refused.status_code == 422
    assert says in refused.json()["detail"]


def test_another_companys_webhooks_and_events_are_not_there(erpnext_api: Api, registered: dict[str, Any]) -> None:
    event_id = send(erpnext_api, registered, PAYLOAD).json()["event_id"]
    tenant_id = erpnext_api.tenant("acme")
    theirs = erpnext_api.as_key(erpnext_api.key("look", "configure", "resolve", tenant_id=tenant_id))  # type: ignore[arg-type]
    assert theirs.get("/api/erp/webhooks").json()["items"] == []
    assert theirs.get("/api/erp/webhook-events").json()["items"] == []
    made = {"connection_id": registered["connection_id"], "name": "smuggled"}
    answers = [
        theirs.get(f"/api/erp/webhooks/{registered['id']}"),
        theirs.put(f"/api/erp/webhooks/{registered['id']}", json={"active": False}),
        theirs.delete(f"/api/erp/webhooks/{registered['id']}"),
        theirs.get(f"/api/erp/webhook-events/{event_id}"),
        theirs.post(f"/api/erp/webhook-events/{event_id}/replay"),
        theirs.post("/api/erp/webhooks", json=made),
    ]
    assert [answer.status_code for answer in answers] == [404] * 6
