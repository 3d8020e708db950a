"""Canaries in the place of secrets: no answer, table, log or file shows one, whatever goes well or wrong."""

from __future__ import annotations

import base64
import io
import json
import logging
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
import structlog
from psycopg import sql
from starlette.testclient import TestClient

from erpflow.cli.terminal import quiet_logs
from erpflow.services.outgoing.delivering import deliver_due
from erpflow.store import connections, webhook_events
from erpflow.store.cipher import Cipher
from erpflow.testing.server import Reply, ScriptedServer
from tests.calling import Api
from tests.integration.api.conftest import erpnext_api as erpnext_api
from tests.integration.api.test_veekaart_orders import order
from tests.integration.api.test_webhooks import signed
from tests.integration.conftest import API_SECRET, Installation, Sandbox
from tests.outgoing import REACH

PASSWORD = "canary-password-7f31"
CLIENT_SECRET = "canary-client-secret-7f32"
WEBHOOK_SECRET = "canary-webhook-secret-7f33"
CHANNEL_TOKEN = "canary-channel-token-7f34"
STORE_KEY = "canary-store-key-7f35"
STRANGE_KEY = "erp_canary0strange0key07f36"
CODE = "canary-code-7f37"
SUBSCRIPTION_SECRET = "whsec_" + base64.b64encode(b"canary-subscription-secret-7f38.").decode()
WRONG_SECRET = "whsec_canary-that-is-no-base64-7f39"
MISTYPED = "canary-mistyped-7f40"

CANARIES = (
    PASSWORD, CLIENT_SECRET, WEBHOOK_SECRET, CHANNEL_TOKEN, STORE_KEY, STRANGE_KEY, CODE, SUBSCRIPTION_SECRET,
    WRONG_SECRET, MISTYPED, API_SECRET,
)  # fmt: skip

TABLES = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg_toast%' AND c.relkind = 'r'
"""


def forms(secret: str) -> set[str]:
    """What a secret looks like: itself, in base64 wherever it begins, and all of that in hex, as bytes are shown."""
    raw = secret.encode()
    texts = {secret, *(base64.b64encode(b" " * shift + raw)[4:-4].decode() for shift in range(3))}
    return texts | {text.encode().hex() for text in texts}


@dataclass
class Seen:
    """What could be read, by where; `secrets` are not to be in it."""

    secrets: set[str] = field(default_factory=lambda: set(CANARIES))
    texts: list[tuple[str, str]] = field(default_factory=list)

    def note(self, where: str, text: str) -> None:
        self.texts.append((where, text))

    def shown(self) -> list[str]:
        """Where a secret shows, and around what."""
        found = []
        for secret in self.secrets:
            for form in forms(secret):
                for where, text in self.texts:
                    at = text.find(form)
                    if at >= 0:
                        found.append(f"{where}: …{text[max(0, at - 80) : at + len(form) + 40]}")
        return sorted(set(found))


@dataclass
class Caller:
    """Calls the API and notes every answer, but the one that shows a new secret for the only time."""

    client: TestClient
    seen: Seen

    def __call__(self, method: str, path: str, *, shows_once: bool = False, **more: Any) -> Any:
        answer = self.client.request(method, path, **more)
        if not shows_once:
            self.seen.note(f"{method} {path} {answer.status_code}", f"{dict(answer.headers)} {answer.text}")
        return answer


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[io.StringIO]:
    """Everything that is logged, in full."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.addFilter(lambda record: not record.name.startswith("httpx"))  # the client of the test itself
    logging.getLogger().addHandler(handler)
    caplog.set_level(logging.DEBUG)
    with redirect_stdout(out), redirect_stderr(out):
        quiet_logs(debug=True)  # as `erpflow serve` has them; Airflow's show no variables either
        yield out
    structlog.reset_defaults()
    logging.getLogger().removeHandler(handler)


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def call(erpnext_api: Api, seen: Seen) -> Caller:
    client = TestClient(erpnext_api.client.app, raise_server_exceptions=False)
    client.headers["Authorization"] = erpnext_api.client.headers["Authorization"]
    seen.secrets.add(client.headers["Authorization"].removeprefix("Bearer "))
    return Caller(client, seen)


def test_no_canary_shows_anywhere(
    erpnext_api: Api,
    connected: Installation,
    sandbox: Sandbox,
    call: Caller,
    seen: Seen,
    logged: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    accounts = add_accounts(call, sandbox)
    try_accounts(call, accounts)
    send_what_is_refused(call, accounts)
    told = subscribe(connected, call)
    sync(call)
    hooks = register_webhooks(call, accounts)
    send_webhooks(call, hooks)
    make_keys(call, seen)
    break_inside(call, hooks, monkeypatch)
    cipher = Cipher(connected.environment["AIRFLOW__CORE__FERNET_KEY"])
    with ScriptedServer(lambda _: Reply(500, body=b"no")) as receiver:
        connected.rows(
            f"UPDATE erpflow.erp_subscriptions SET url = '{receiver.url}/hook' WHERE id = '{told}' RETURNING 1"
        )
        deliver_due(erpnext_api.database, cipher, reach=REACH)
        assert receiver.asked
    for path in ("connections", "webhooks", "webhook-events", "subscriptions", "deliveries", "api-keys", "dashboard",
                 "metrics", "sync-logs", "rejects", "sync-records", "openapi.json"):  # fmt: skip
        assert call("GET", f"/api/erp/{path}").status_code == 200
    for event in call("GET", "/api/erp/webhook-events").json()["items"]:
        call("GET", f"/api/erp/webhook-events/{event['id']}")
    note_tables(connected, seen)
    note_files(connected.home, seen)
    seen.note("log", logged.getvalue())
    assert "chunk_applied" in logged.getvalue()
    assert len(seen.texts) > 100
    assert seen.shown() == []


def add_accounts(call: Caller, sandbox: Sandbox) -> dict[str, str]:
    given: dict[str, dict[str, Any]] = {
        "erpnext": {"url": sandbox.erpnext, "login": "canary", "password": PASSWORD},
        "veekaart": {"url": f"{sandbox.url}/veekaart", "password": STORE_KEY},
        "zoho_crm": {
            "url": "https://www.zohoapis.eu", "login": "client", "password": CLIENT_SECRET,
            "settings": {"data_center": "eu"},
        },
    }  # fmt: skip
    made = {}
    for system, body in given.items():
        name = f"with canary {system}"
        headers = {"Idempotency-Key": name}
        for _ in range(2):
            answer = call(
                "POST", "/api/erp/connections", json={"name": name, "system": system, **body}, headers=headers
            )
        assert answer.status_code == 201, answer.text
        made[system] = answer.json()["id"]
        call("PUT", f"/api/erp/connections/{made[system]}", json={"password": body["password"], "options": {"a": 1}})
    return made


def try_accounts(call: Caller, accounts: dict[str, str]) -> None:
    for system in ("erpnext", "veekaart"):
        tested = call("POST", f"/api/erp/connections/{accounts[system]}/test").json()
        assert tested["success"] is False
        configs = call("GET", "/api/erp/sync-configs", params={"connection_id": accounts[system]}).json()["items"]
        for config in configs[:1]:
            for step in ("preview", "plan", "reconcile"):
                call("POST", f"/api/erp/sync-configs/{config['id']}/{step}")
            call("POST", "/api/erp/sync", json={"sync_config_id": config["id"]})
    call("POST", "/api/integrations/veekaart/test-connection")
    call("POST", "/api/webhooks/erpnext/setup", params={"connection_id": accounts["erpnext"]})
    consent = call("GET", f"/api/erp/connections/{accounts['zoho_crm']}/oauth/authorize")
    assert consent.status_code == 200, consent.text
    call("GET", "/api/erp/oauth/callback", params={"state": "of another", "code": CODE})


def send_what_is_refused(call: Caller, accounts: dict[str, str]) -> None:
    """Secrets where they do not belong, or of a shape that is refused: the answer must not quote them."""
    account = {"name": "n", "system": "erpnext", "url": "https://erp.example", "login": "l", "password": MISTYPED}
    wrong = [
        ("connections", account | {"password": [MISTYPED]}),
        ("connections", account | {"password": {"value": MISTYPED}}),
        ("connections", account | {"pasword": MISTYPED}),
        ("connections", account | {"settings": {"token": MISTYPED}}),
        ("connections", account | {"settings": [MISTYPED]}),
        ("connections", account | {"url": f"https://user:{MISTYPED}@erp.example"}),
        ("connections", account | {"system": "erpnxt"}),
        ("webhooks", {"connection_id": accounts["erpnext"], "name": "w", "secret": [MISTYPED]}),
        ("webhooks", {"connection_id": accounts["erpnext"], "name": "w", "secret": f"{MISTYPED}\u00e9"}),
        ("webhooks", {"connection_id": accounts["erpnext"], "name": "w", "secrte": MISTYPED}),
        ("webhooks", {"connection_id": accounts["zoho_crm"], "name": "w", "secret": MISTYPED * 30}),
        ("subscriptions", {"url": "https://h.example/x", "events": ["sync.failed"], "secret": WRONG_SECRET}),
        ("subscriptions", {"url": "https://h.example/x", "events": ["sync.failed"], "secret": {"a": WRONG_SECRET}}),
        ("subscriptions", {"url": f"https://u:{MISTYPED}@h.example/x", "events": ["sync.failed"]}),
    ]
    for path, body in wrong:
        answer = call("POST", f"/api/erp/{path}", json=body)
        assert answer.status_code == 422, (path, body, answer.text)
    call(
        "POST",
        "/api/erp/connections",
        content=f'{{"password": "{MISTYPED}"',
        headers={"Content-Type": "application/json"},
    )
    for strange in (STRANGE_KEY, STORE_KEY):
        headers = {"Authorization": f"Bearer {strange}"}
        for path in ("/api/erp/sync-logs", "/api/metakocka/documents/unsynced"):
            assert call("GET", path, headers=headers).status_code == 401
        assert call("POST", "/api/webhooks/veekaart/orders", json=order(), headers=headers).status_code == 401


def subscribe(connected: Installation, call: Caller) -> str:
    body = {
        "url": "https://hooks.example/x",
        "events": ["sync.completed", "sync.partial"],
        "secret": SUBSCRIPTION_SECRET,
    }
    headers = {"Idempotency-Key": "subscribe"}
    made = call("POST", "/api/erp/subscriptions", json=body, headers=headers, shows_once=True)
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


def sync(call: Caller) -> None:
    [config] = [
        one for one in call("GET", "/api/erp/sync-configs", params={"limit": 200}).json()["items"]
        if (one["connection"], one["entity"]) == ("demo", "customer")
    ]  # fmt: skip
    done = call("POST", "/api/erp/sync", json={"sync_config_id": config["id"]})
    assert done.json()["recordsProcessed"] > 50


def register_webhooks(call: Caller, accounts: dict[str, str]) -> dict[str, str]:
    made = {}
    for system, secret in (("erpnext", WEBHOOK_SECRET), ("zoho_crm", CHANNEL_TOKEN)):
        body = {"connection_id": accounts[system], "name": system, "secret": secret}
        headers = {"Idempotency-Key": f"webhook {system}"}
        answer = call("POST", "/api/erp/webhooks", json=body, headers=headers, shows_once=True)
        assert answer.status_code == 201, answer.text
        made[system] = answer.json()["id"]
        call("PUT", f"/api/erp/webhooks/{made[system]}", json={"secret": secret, "grace_seconds": 60})
    return made


def send_webhooks(call: Caller, hooks: dict[str, str]) -> None:
    note = json.dumps({"doctype": "Customer", "name": "CUST-1"}).encode()
    carried = {"Authorization": f"Bearer {STORE_KEY}", "Cookie": f"s={STORE_KEY}", "X-Api-Key": STORE_KEY}
    path = f"/api/erp/webhooks/{hooks['erpnext']}/receive"
    assert call("POST", path, content=note, headers={**carried, **signed(note, WEBHOOK_SECRET)}).status_code == 202
    assert call("POST", path, content=note, headers=signed(note, MISTYPED)).status_code == 401
    path = f"/api/erp/webhooks/{hooks['zoho_crm']}/receive"
    zoho = {"module": "Contacts", "ids": ["1"], "operation": "update", "channel_id": "1", "token": CHANNEL_TOKEN}
    assert call("POST", path, json=zoho).status_code == 202
    assert (
        call("POST", path, json=zoho | {"nested": {"token": CHANNEL_TOKEN}, "again": [CHANNEL_TOKEN]}).status_code
        == 202
    )
    assert call("POST", path, json=zoho | {"token": MISTYPED}).status_code == 401
    broken = json.dumps(zoho).encode()[:-1]
    assert call("POST", path, content=broken).status_code in (400, 401)


def make_keys(call: Caller, seen: Seen) -> None:
    headers = {"Idempotency-Key": "a key"}
    made = [
        call("POST", "/api/erp/api-keys", json={"name": "n"}, headers=headers, shows_once=True).json() for _ in range(2)
    ]
    assert made[0] == made[1]
    seen.secrets.add(made[0]["key"])
    assert call("GET", "/api/erp/sync-logs", headers={"Authorization": f"Bearer {made[0]['key']}"}).status_code == 200
    call("DELETE", f"/api/erp/api-keys/{made[0]['id']}")
    assert call("GET", "/api/erp/sync-logs", headers={"Authorization": f"Bearer {made[0]['key']}"}).status_code == 401


def break_inside(call: Caller, hooks: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors of ours, with secrets in the request and on the stack."""

    def fail(*_: Any, **__: Any) -> Any:
        raise RuntimeError("broken")

    note = json.dumps({"module": "Contacts", "ids": ["2"], "operation": "update", "token": CHANNEL_TOKEN}).encode()
    with monkeypatch.context() as patch:
        patch.setattr(webhook_events, "insert", fail)
        assert call("POST", f"/api/erp/webhooks/{hooks['zoho_crm']}/receive", content=note).status_code == 500
    with monkeypatch.context() as patch:
        patch.setattr(connections, "add_connection", fail)
        body = {"name": "x", "system": "erpnext", "url": "https://erp.example", "login": "l", "password": PASSWORD}
        assert call("POST", "/api/erp/connections", json=body).status_code == 500
    with monkeypatch.context() as patch:
        patch.setattr(connections, "list_connections", fail)
        assert call("POST", "/api/webhooks/veekaart/orders", json=order()).status_code == 500


def note_tables(connected: Installation, seen: Seen) -> None:
    """Every value of every table: erpflow's, the business tables, and Airflow's connections."""
    for url in (connected.database.url, connected.environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]):
        with psycopg.connect(url) as connection:
            for schema, table in connection.execute(TABLES.encode()).fetchall():
                statement = sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(schema, table))
                for (row,) in connection.execute(statement):
                    seen.note(f"{schema}.{table}", row)


def note_files(home: Path, seen: Seen) -> None:
    for path in (path for path in home.rglob("*") if path.is_file()):
        seen.note(str(path), path.read_bytes().decode("latin-1"))
