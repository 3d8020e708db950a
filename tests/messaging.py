"""A company that sends messages, in tests: the API, with an account at each vendor's sandbox."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from cryptography.fernet import Fernet

from erpflow.store.database import Database
from tests.calling import Api, serve
from tests.integration.conftest import CONNECTION_TABLE, Sandbox

API_KEY = "SG.sandbox-sending.key"
AUTH_KEY = "sandbox-msg91-authkey"
EMAIL = {"to": [{"email": "anna@kunde.example", "name": "Anna"}], "subject": "Invoice INV-104", "text": "Hello."}
TEMPLATE = {"to": [{"email": "anna@kunde.example"}], "template_id": "d-0123456789abcdef0123456789abcdef"}
SMS = {
    "template_id": "665f1c0ad6fc053a1b2c3d4e",
    "recipients": [{"mobile": "919900000001", "variables": {"VAR1": "Asha", "VAR2": "INV-104"}}],
}
WHATSAPP = {
    "template": "invoice_ready",
    "recipients": [
        {"mobile": "919900000001", "components": {"body_1": {"value": "Asha"}, "body_2": {"value": "INV-104"}}}
    ],
}
KEPT = "/api/erp/messages"
ROUTES = {"/emails/send": EMAIL, "/messages/sms": SMS, "/messages/whatsapp": WHATSAPP}
SYSTEMS = {"/emails/send": "sendgrid", "/messages/sms": "msg91", "/messages/whatsapp": "msg91"}


@dataclass
class Office:
    """A company with an account at each vendor."""

    api: Api
    sandbox: Sandbox

    def post(self, path: str, body: Any, **headers: str) -> Any:
        return self.api.client.post(path, json=body, headers={k.replace("_", "-"): v for k, v in headers.items()})

    def sent(self, system: str) -> list[dict[str, Any]]:
        """What the vendor took, in order."""
        answer = requests.get(f"{self.sandbox.url}/_sandbox/{system}/sent", timeout=10).json()
        return list(answer["sent"])

    def switch(self, system: str, **switches: Any) -> None:
        door = f"{self.sandbox.url}/_sandbox/{system}/switches"
        requests.post(door, json=switches, timeout=10).raise_for_status()

    def fault(self, path: str, **fault: Any) -> None:
        self.sandbox.fault(path=f"^/{SYSTEMS[path]}/", method="POST", times=1, **fault)

    def kept(self, **filters: str) -> list[dict[str, Any]]:
        answer = self.api.client.get(KEPT, params=filters)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["items"])


def connect(api: Api, sandbox: Sandbox, system: str, password: str, *, name: str | None = None, **settings: str) -> str:
    body = {"name": name or system, "system": system, "url": f"{sandbox.url}/{system}", "password": password}
    answer = api.client.post("/api/erp/connections", json={**body, "settings": settings})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


@pytest.fixture(scope="module")
def shared(database: Database, make_database: Callable[[], Database], seeded_vendors: str) -> Iterator[Api]:
    """The API of an installation that the tests of this module share, with an account at each vendor."""
    airflow = make_database()
    with airflow.transaction() as connection:
        connection.execute(CONNECTION_TABLE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ERPFLOW_DATABASE_URL", database.url)
        patch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", airflow.url)
        patch.setenv("AIRFLOW__CORE__FERNET_KEY", Fernet.generate_key().decode())
        for api in serve(database):
            connect_both(api, Sandbox(seeded_vendors))
            yield api


def connect_both(api: Api, sandbox: Sandbox) -> None:
    connect(api, sandbox, "sendgrid", API_KEY, from_email="erp@firma.example", from_name="Firma")
    connect(api, sandbox, "msg91", AUTH_KEY, integrated_number="919811111111")


def forget(sandbox: Sandbox) -> None:
    for system in ("sendgrid", "msg91"):
        requests.post(f"{sandbox.url}/_sandbox/reset", json={"vendor": system}, timeout=10).raise_for_status()


@pytest.fixture
def office(shared: Api, sandbox: Sandbox) -> Office:
    """A company that has sent nothing yet."""
    forget(sandbox)
    with shared.database.transaction() as connection:
        connection.execute("TRUNCATE erpflow.erp_messages, erpflow.erp_idempotency_keys")
    return Office(shared, sandbox)


@pytest.fixture
def own_office(api: Api, sandbox: Sandbox) -> Office:
    """A company of this test alone, whose accounts may be changed."""
    forget(sandbox)
    connect_both(api, sandbox)
    return Office(api, sandbox)
