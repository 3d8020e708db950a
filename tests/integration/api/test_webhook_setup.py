"""Webhooks at their vendors: made once, mended, renewed before the vendor forgets them, and tried out."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from uuid import uuid4

import pytest
import requests
from psycopg.types.json import Jsonb

from erpflow.api.rights import Right
from erpflow.connectors.webhook_setup import VendorWebhook
from erpflow.store import webhooks
from erpflow.vocabulary import WebhookId
from erpflow.webhooks import vendor_side
from tests.calling import Api
from tests.integration.conftest import API_KEY, API_SECRET, Installation, Sandbox

SETUP = "/api/webhooks/erpnext/setup"
EVENTS = {
    "Customer on_update", "Customer on_trash", "Item on_update", "Item on_trash", "Sales Order on_update",
    "Sales Order on_trash", "Sales Order on_cancel", "Sales Order on_change",
}  # fmt: skip


@dataclass(frozen=True)
class Site:
    """The Webhook documents of the sandbox, as its administrator sees them."""

    url: str

    def ask(self, method: str, path: str, **more: Any) -> Any:
        headers = {"Authorization": f"token {API_KEY}:{API_SECRET}"}
        answer = requests.request(method, f"{self.url}/api/resource/Webhook{path}", headers=headers, timeout=10, **more)
        answer.raise_for_status()
        return answer.json().get("data")

    def names(self) -> list[str]:
        return [row["name"] for row in self.ask("GET", "", params={"limit_page_length": "0"})]

    def documents(self) -> list[dict[str, Any]]:
        return [self.ask("GET", f"/{requests.utils.quote(name, safe='')}") for name in self.names()]


@pytest.fixture
def site(sandbox: Sandbox) -> Iterator[Site]:
    found = Site(sandbox.erpnext)
    yield found
    for name in found.names():
        requests.delete(
            f"{found.url}/api/resource/Webhook/{requests.utils.quote(name, safe='')}",
            headers={"Authorization": f"token {API_KEY}:{API_SECRET}"},
            timeout=10,
        )


def test_the_webhooks_of_a_site_are_made_for_each_doctype_and_event(erpnext_api: Api, site: Site) -> None:
    answer = erpnext_api.client.post(SETUP)
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert (said["success"], said["data"]["works"]) == (True, True)
    assert {part["name"] for part in said["data"]["parts"]} == EVENTS
    documents = site.documents()
    assert {f"{each['webhook_doctype']} {each['webhook_docevent']}" for each in documents} == EVENTS
    url = f"https://erp.example/api/erp/webhooks/{said['data']['webhook_id']}/receive"
    assert {each["request_url"] for each in documents} == {said["data"]["url"]} == {url}
    first = documents[0]
    assert (first["enabled"], first["enable_security"], first["request_structure"]) == (1, 1, "JSON")
    assert first["webhook_headers"][0]["value"] == "application/json"
    assert f'"event": "{first["webhook_docevent"]}"' in first["webhook_json"]


def test_setting_up_twice_sets_up_once_and_mends_what_was_changed(erpnext_api: Api, site: Site) -> None:
    erpnext_api.client.post(SETUP)
    [victim, gone, *_] = site.names()
    site.ask("PUT", f"/{requests.utils.quote(victim)}", json={"enabled": 0})
    site.ask("DELETE", f"/{requests.utils.quote(gone)}")
    status = erpnext_api.client.get(SETUP).json()
    assert (status["success"], status["data"]["works"]) == (False, False)
    broken = [(part["exists"], part["message"]) for part in status["data"]["parts"] if not part["works"]]
    assert sorted(broken) == [
        (False, "There is no such Webhook document. Set it up."),
        (True, "It is switched off in ERPNext. Set it up again."),
    ]
    assert erpnext_api.client.post(SETUP).json()["success"] is True
    assert len(site.names()) == len(EVENTS)
    assert erpnext_api.client.get(SETUP).json()["success"] is True


def test_the_secret_is_kept_encrypted_and_shown_nowhere(
    erpnext_api: Api, site: Site, installation: Installation
) -> None:
    answer = erpnext_api.client.post(SETUP)
    [(token,)] = installation.rows("SELECT secret FROM erpflow.erp_webhooks")
    secret = erpnext_api.surroundings.cipher().decrypt(str(token), what="", otherwise="")
    assert len(secret) >= 40
    assert secret not in answer.text
    erpnext_api.client.post(SETUP)
    assert installation.rows("SELECT secret FROM erpflow.erp_webhooks") == [(token,)]
    kept = installation.rows("SELECT verification, entities FROM erpflow.erp_webhooks")
    assert kept == [({
        "scheme": "hmac", "header": "X-Frappe-Webhook-Signature", "algorithm": "sha256", "encoding": "base64",
        "prefix": "",
    }, ["customer", "product", "order"])]  # fmt: skip


def test_webhooks_that_nobody_set_up_are_not_there(erpnext_api: Api) -> None:
    missing = erpnext_api.client.get(SETUP)
    assert (missing.status_code, missing.json()["success"]) == (404, False)


def test_setting_up_needs_the_right_to_configure_and_looking_is_enough_to_see(erpnext_api: Api, site: Site) -> None:
    running, looking = (erpnext_api.as_key(erpnext_api.key(right)) for right in (Right.RUN, Right.LOOK))
    assert running.post(SETUP).status_code == 403
    erpnext_api.client.post(SETUP)
    assert looking.get(SETUP).status_code == 200


def test_another_tenant_neither_sees_nor_sets_up_a_webhook(erpnext_api: Api, site: Site) -> None:
    webhook_id = erpnext_api.client.post(SETUP).json()["data"]["webhook_id"]
    other = erpnext_api.as_key(erpnext_api.key(*Right, tenant_id=erpnext_api.tenant("acme")))
    assert other.post(SETUP).status_code == 404
    base = f"/api/erp/webhooks/{webhook_id}"
    statuses = [other.post(f"{base}/setup"), other.get(f"{base}/status"), other.post(f"{base}/test")]
    assert [answer.status_code for answer in statuses] == [404, 404, 404]


def test_a_webhook_is_set_up_and_looked_at_by_its_id(erpnext_api: Api, site: Site) -> None:
    webhook_id = add_webhook(erpnext_api, "demo", entities=["customer"])
    base = f"/api/erp/webhooks/{webhook_id}"
    assert erpnext_api.client.get(f"{base}/status").json()["works"] is False
    made = erpnext_api.client.post(f"{base}/setup")
    assert made.status_code == 200, made.text
    assert made.json()["works"] is True
    assert len(site.names()) == 2
    assert erpnext_api.client.get(f"{base}/status").json()["works"] is True
    unknown = erpnext_api.client.post(f"/api/erp/webhooks/{uuid4()}/setup")
    assert unknown.status_code == 404


def test_an_entity_that_the_vendor_does_not_have_is_named(erpnext_api: Api, site: Site) -> None:
    webhook_id = add_webhook(erpnext_api, "demo", entities=["custommer"])
    refused = erpnext_api.client.post(f"/api/erp/webhooks/{webhook_id}/setup")
    assert refused.status_code == 422
    assert 'did you mean "customer"' in refused.json()["detail"]


def test_webhooks_of_quickbooks_are_set_up_by_a_person_who_is_told_how() -> None:
    from erpflow.connectors.quickbooks_webhook_setup import steps_for
    from erpflow.connectors.registry import connector_class

    entities = connector_class("quickbooks").spec.entities
    state = steps_for(VendorWebhook("w-1", "https://erp.example/receive", ["invoice"], "s"), entities)
    told = " ".join(state.steps)
    assert (state.works, state.parts) == (None, ())
    assert "https://erp.example/receive" in told and "Invoice" in told and "verifier token" in told


# -- a test delivery ---------------------------------------------------------------------------------------------------


@dataclass
class Receiver:
    """A receiver at an address of its own, which keeps what it was sent."""

    status: int = 202
    got: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.got.append((self.path, dict(self.headers), body))
            self.send_response(found.status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        found.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield found
        server.shutdown()


def add_webhook(api: Api, connection_name: str, *, entities: list[str], scheme: dict[str, Any] | None = None) -> str:
    verification = scheme or {"scheme": "hmac", "header": "X-Frappe-Webhook-Signature", "encoding": "base64"}
    with api.database.transaction() as connection:
        row = connection.execute(
            "INSERT INTO erpflow.erp_webhooks (tenant_id, connection_id, name, entities, verification)"
            " SELECT tenant_id, id, 'w', %s, %s FROM erpflow.erp_connections WHERE name = %s RETURNING id::text",
            (entities, Jsonb(verification), connection_name),
        ).fetchone()
    assert row is not None
    return str(row[0])


def give_secret(api: Api, webhook_id: str, secret: str) -> None:
    with api.database.transaction() as connection:
        webhooks.ensure_secret(connection, WebhookId(webhook_id), api.surroundings.cipher().encrypt(secret))


def test_a_test_delivery_is_signed_as_the_vendors_are(
    erpnext_api: Api, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook_id = add_webhook(erpnext_api, "demo", entities=["customer"])
    give_secret(erpnext_api, webhook_id, "s3cret")
    around = replace(erpnext_api.surroundings, public_url=receiver.url)
    mounts = {getattr(route, "path", ""): route for route in erpnext_api.client.app.routes}  # type: ignore[attr-defined]
    monkeypatch.setattr(mounts["/api/erp"].app.state, "surroundings", around)
    answer = erpnext_api.client.post(f"/api/erp/webhooks/{webhook_id}/test")
    assert answer.status_code == 200, answer.text
    assert (answer.json()["delivered"], answer.json()["status"]) == (True, 202)
    [(path, headers, body)] = receiver.got
    assert path == f"/api/erp/webhooks/{webhook_id}/receive"
    right = base64.b64encode(hmac.new(b"s3cret", body, hashlib.sha256).digest()).decode()
    assert headers["X-Frappe-Webhook-Signature"] == right
    receiver.status = 401
    refused = erpnext_api.client.post(f"/api/erp/webhooks/{webhook_id}/test").json()
    assert (refused["delivered"], refused["status"]) == (False, 401)


def test_a_channel_token_travels_in_the_body_and_a_closed_door_is_said_to_be_closed(
    erpnext_api: Api, receiver: Receiver
) -> None:
    scheme = {"scheme": "channel_token", "field": "token"}
    webhook_id = add_webhook(erpnext_api, "demo", entities=["customer"], scheme=scheme)
    give_secret(erpnext_api, webhook_id, "s3cret")
    with erpnext_api.database.session() as connection:
        webhook = webhooks.get_webhook(connection, webhook_id, tenant_id=_tenant(erpnext_api, webhook_id))
    assert webhook is not None
    assert "s3cret" not in repr(webhook)
    cipher = erpnext_api.surroundings.cipher()
    assert vendor_side.deliver_test(webhook, cipher=cipher, url=receiver.url).delivered
    assert json.loads(receiver.got[0][2])["token"] == "s3cret"
    nowhere = vendor_side.deliver_test(webhook, cipher=cipher, url="http://127.0.0.1:9/")
    assert (nowhere.delivered, nowhere.status) == (False, None)


def test_a_webhook_without_a_secret_cannot_be_tried_out(erpnext_api: Api) -> None:
    webhook_id = add_webhook(erpnext_api, "demo", entities=["customer"])
    refused = erpnext_api.client.post(f"/api/erp/webhooks/{webhook_id}/test")
    assert refused.status_code == 422
    assert "has no secret yet" in refused.json()["detail"]


def _tenant(api: Api, webhook_id: str) -> Any:
    with api.database.transaction() as connection:
        row = connection.execute(
            "SELECT tenant_id::text FROM erpflow.erp_webhooks WHERE id = %s", (webhook_id,)
        ).fetchone()
    assert row is not None
    return row[0]


# -- renewal -----------------------------------------------------------------------------------------------------------


def test_what_cannot_be_renewed_is_named_and_holds_up_no_other(erpnext_api: Api, site: Site) -> None:
    from erpflow.errors import SyncsFailed

    now = datetime.now(UTC)
    good = add_webhook(erpnext_api, "demo", entities=["customer"])
    with erpnext_api.database.transaction() as connection:
        connection.execute(
            "INSERT INTO erpflow.erp_webhooks (tenant_id, connection_id, name, entities, expires_at)"
            " SELECT tenant_id, id, 'broken', '{nothing}', %s FROM erpflow.erp_connections",
            (now + timedelta(hours=1),),
        )
        webhooks.note_vendor_side(connection, WebhookId(good), reference=None, expires_at=now + timedelta(hours=2))
    around = erpnext_api.surroundings
    with pytest.raises(SyncsFailed, match=r'1 of 2 webhooks were not renewed.*"broken" \(erpnext'):
        vendor_side.renew_expiring(
            erpnext_api.database, connect=around.connect, cipher=around.cipher(), public_url="https://erp.example",
            now=now,
        )  # fmt: skip
    assert len(site.names()) == 2
