"""Addresses that all tenants share, at which the proved secret tells whose a request is."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

from tests.calling import ALL, Api

CAPTURED = {
    "entity": "event", "account_id": "acc_1", "event": "payment.captured", "contains": ["payment"],
    "payload": {"payment": {"entity": {"id": "pay_1", "amount": 500}}}, "created_at": 1_700_000_000,
}  # fmt: skip


def registered(client: Any, secret: str) -> str:
    """The id of a webhook of a Razorpay account."""
    account = {"system": "razorpay", "url": "https://api.razorpay.com", "login": "rzp_key", "password": "rzp_secret"}
    connection = client.post("/api/erp/connections", json={"name": f"shop {secret}", **account})
    assert connection.status_code == 201, connection.text
    body = {"connection_id": connection.json()["id"], "name": "payments", "secret": secret}
    made = client.post("/api/erp/webhooks", json=body)
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


def send(api: Api, secret: str, event_id: str = "evt_1") -> Any:
    body = json.dumps(CAPTURED).encode()
    proof = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {"X-Razorpay-Signature": proof, "x-razorpay-event-id": event_id}
    return api.nobody().post("/webhooks/razorpay", content=body, headers=headers)


def test_an_event_of_razorpay_is_kept_once_for_the_company_whose_secret_signed_it(api: Api) -> None:
    theirs = api.as_key(api.key(*ALL, tenant_id=api.tenant("acme")))
    registered(api.client, "our-secret")
    webhook_id = registered(theirs, "their-secret")
    first, again = send(api, "their-secret"), send(api, "their-secret")
    assert (first.status_code, first.json()["new"], again.status_code, again.json()["new"]) == (202, 1, 202, 0)
    assert api.client.get("/api/erp/webhook-events").json()["items"] == []
    [event] = theirs.get("/api/erp/webhook-events").json()["items"]
    assert (event["webhook_id"], event["event_type"], event["remote_id"]) == (webhook_id, "payment.captured", "pay_1")
    # Razorpay is a service: nothing syncs its payments, and its own word for them stays.
    assert (event["state"], event["entity"]) == ("ignored", "payment")


def test_a_secret_that_is_nobodys_is_refused(api: Api) -> None:
    registered(api.client, "our-secret")
    refused = send(api, "another-secret")
    assert (refused.status_code, refused.json()["code"]) == (401, "signature_invalid")
