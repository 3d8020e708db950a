"""Mail, SMS and WhatsApp over the API: sent once, and what nobody knows is not sent again by itself."""

from __future__ import annotations

import base64
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import pytest
import requests
from cryptography.fernet import Fernet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from erpflow.api.rights import Right
from erpflow.connectors.messaging import MessageRejected, Taken
from erpflow.errors import AuthFailed, ErpflowError, FieldProblem, VendorUnavailable
from erpflow.services.messaging import outbox
from erpflow.store import connections, messages
from erpflow.store.database import Database
from erpflow.store.messages import Settlement
from erpflow.store.vault import Secret
from erpflow.vocabulary import DEFAULT_TENANT, Channel, MessageId, MessageState
from tests.calling import ALL, Api, serve
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
def shared(database: Database, make_database: Callable[[], Database], sandbox_process: str) -> Iterator[Api]:
    """The API of an installation that the tests of this module share, with an account at each vendor."""
    airflow = make_database()
    with airflow.transaction() as connection:
        connection.execute(CONNECTION_TABLE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ERPFLOW_DATABASE_URL", database.url)
        patch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", airflow.url)
        patch.setenv("AIRFLOW__CORE__FERNET_KEY", Fernet.generate_key().decode())
        for api in serve(database):
            connect_both(api, Sandbox(sandbox_process))
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


# -- what is sent ------------------------------------------------------------------------------------------------------


def test_a_mail_is_handed_over_whole(office: Office) -> None:
    pdf = base64.b64encode(b"%PDF-1.7 invoice").decode()
    answer = office.post(
        "/emails/send",
        {
            **EMAIL,
            "cc": [{"email": "books@kunde.example"}],
            "html": "<p>Hello.</p>",
            "attachments": [{"filename": "INV-104.pdf", "content": pdf, "type": "application/pdf"}],
            "categories": ["invoice"],
            "customArgs": {"doc": "INV-104"},
            "key": "INV-104/invoice/anna",
        },
    )
    assert answer.status_code == 202, answer.text
    said, [sent] = answer.json(), office.sent("sendgrid")
    assert (said["status"], said["message_id"], said["channel"]) == ("accepted", sent["message_id"], "email")
    mail = sent["mail"]
    assert mail["from"] == {"email": "erp@firma.example", "name": "Firma"}
    assert mail["personalizations"] == [{"to": EMAIL["to"], "cc": [{"email": "books@kunde.example"}]}]
    assert [part["type"] for part in mail["content"]] == ["text/plain", "text/html"]
    assert mail["attachments"][0]["content"] == pdf
    assert mail["custom_args"] == {"doc": "INV-104", "erpflow_message": said["id"]}
    assert mail["tracking_settings"]["click_tracking"]["enable"] is False


def test_a_template_is_filled_at_sendgrid(office: Office) -> None:
    body = {**TEMPLATE, "dynamicData": {"invoice_no": "INV-104", "lines": [{"total": "122,00"}]}}
    assert office.post("/emails/send", body).status_code == 202
    [sent] = office.sent("sendgrid")
    assert sent["mail"]["personalizations"][0]["dynamic_template_data"] == body["dynamicData"]
    assert "content" not in sent["mail"]


def test_an_sms_goes_to_each_number_with_its_own_values(office: Office) -> None:
    second = {"mobile": "+919900000002", "variables": {"VAR1": "Ravi", "VAR2": "INV-105"}}
    answer = office.post("/messages/sms", {**SMS, "recipients": [*SMS["recipients"], second]})
    assert answer.status_code == 202, answer.text
    sent = office.sent("msg91")
    assert [(each["number"], each["status"]) for each in sent] == [("919900000001", "1"), ("919900000002", "2")]
    assert sent[0]["text"] == "Dear Asha, invoice INV-104 is ready. Firma"
    assert {each["request_id"] for each in sent} == {answer.json()["message_id"]}
    assert {each["reference"] for each in sent} == {answer.json()["id"]}


def test_a_whatsapp_template_goes_with_its_numbered_values(office: Office) -> None:
    answer = office.post("/messages/whatsapp", WHATSAPP)
    assert answer.status_code == 202, answer.text
    [sent] = office.sent("msg91")
    assert (sent["channel"], sent["status"], sent["text"]) == ("whatsapp", "delivered", "invoice_ready: Asha, INV-104")
    assert len(answer.json()["message_id"]) == 32


def test_what_is_kept_tells_what_happened_and_not_what_was_written(office: Office) -> None:
    secret = "the words of the letter"
    office.post("/emails/send", {**EMAIL, "text": secret, "key": "INV-104"})
    office.post("/messages/sms", SMS)
    newest, mail = office.kept()
    assert (newest["channel"], newest["template"], newest["recipients"]) == (
        "sms",
        SMS["template_id"],
        ["919900000001"],
    )
    assert (mail["key"], mail["recipients"], mail["status"]) == ("INV-104", ["anna@kunde.example"], "accepted")
    assert office.api.client.get(f"{KEPT}/{mail['id']}").json() == mail
    with office.api.database.transaction() as connection:
        rows = str(connection.execute("SELECT to_jsonb(m)::text FROM erpflow.erp_messages m").fetchall())
    assert secret not in rows and "Asha" not in rows


def test_messages_are_listed_by_cursor_and_filtered(office: Office) -> None:
    for number in range(3):
        office.post("/emails/send", {**EMAIL, "key": f"mail-{number}"})
    office.post("/messages/whatsapp", WHATSAPP)
    page = office.api.client.get(KEPT, params={"channel": "email", "limit": 2}).json()
    assert [row["key"] for row in page["items"]] == ["mail-2", "mail-1"]
    rest = office.api.client.get(KEPT, params={"channel": "email", "limit": 2, "after": page["next"]}).json()
    assert ([row["key"] for row in rest["items"]], rest["next"]) == (["mail-0"], None)
    assert [row["channel"] for row in office.kept(state="accepted", channel="whatsapp")] == ["whatsapp"]
    assert office.kept(state="unknown") == []
    assert office.api.client.get(KEPT, params={"channel": "pigeon"}).status_code == 422


# -- once --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ROUTES)
def test_the_same_key_with_the_same_content_answers_the_first_outcome(office: Office, path: str) -> None:
    body = {**ROUTES[path], "key": "INV-104"}
    first, second = office.post(path, body), office.post(path, body)
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json() == second.json()
    assert len(office.sent(SYSTEMS[path])) == 1


@pytest.mark.parametrize("path", ROUTES)
def test_the_same_key_with_another_content_is_refused(office: Office, path: str) -> None:
    body = {**ROUTES[path], "key": "INV-104"}
    office.post(path, body)
    other = {"subject": "Another"} if path == "/emails/send" else {"recipients": [{"mobile": "919900000077"}]}
    refused = office.post(path, {**body, **other})
    assert (refused.status_code, refused.json()["code"], refused.json()["field"]) == (409, "key_reused", "key")
    assert len(office.sent(SYSTEMS[path])) == 1


def test_the_header_is_a_key_as_good_as_ones_own(office: Office) -> None:
    first, second = (office.post("/emails/send", EMAIL, Idempotency_Key="k-1") for _ in range(2))
    assert second.headers["Idempotency-Replayed"] == "true"
    assert first.json() == second.json()
    with office.api.database.transaction() as connection:
        connection.execute("DELETE FROM erpflow.erp_idempotency_keys")  # a day later
    assert office.post("/emails/send", EMAIL, Idempotency_Key="k-1").json() == first.json()
    assert len(office.sent("sendgrid")) == 1


def test_without_a_key_every_request_is_a_message(office: Office) -> None:
    assert {office.post("/emails/send", EMAIL).json()["id"] for _ in range(2)} != {None}
    assert len(office.sent("sendgrid")) == 2


def test_a_key_belongs_to_one_channel(office: Office) -> None:
    assert [office.post(path, {**body, "key": "INV-104"}).status_code for path, body in ROUTES.items()] == [202] * 3


def test_of_many_at_once_one_is_sent(office: Office) -> None:
    body = {**EMAIL, "key": "INV-104"}
    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda _: office.post("/emails/send", body).status_code, range(8)))
    assert set(codes) <= {202, 409} and 202 in codes
    assert len(office.sent("sendgrid")) == 1


# -- what nobody knows -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("kind", ["after_commit", "reset_after_commit", "html", "truncate", "reset"])
def test_an_outcome_that_nobody_knows_is_never_sent_again_by_itself(office: Office, path: str, kind: str) -> None:
    office.fault(path, kind=kind)
    body = {**ROUTES[path], "key": "INV-104"}
    first = office.post(path, body)
    assert (first.status_code, first.json()["code"]) == (504, "outcome_unknown"), first.text
    assert "can be repeated" not in first.json()["detail"]
    count = len(office.sent(SYSTEMS[path]))
    assert count == (0 if kind in ("html", "reset") else 1)
    second = office.post(path, body)
    assert (second.status_code, second.json()) == (504, first.json())
    assert len(office.sent(SYSTEMS[path])) == count
    [kept] = office.kept(state="unknown")
    assert kept["id"] in first.json()["detail"] and kept["attempts"] == 1


def test_a_server_error_may_have_sent_it(office: Office) -> None:
    office.fault("/emails/send", kind="status", status=500)
    assert office.post("/emails/send", EMAIL, Idempotency_Key="k").json()["code"] == "outcome_unknown"
    assert office.post("/emails/send", EMAIL, Idempotency_Key="k").json()["code"] == "outcome_unknown"
    assert office.sent("sendgrid") == []


def test_a_person_says_that_it_arrived(office: Office) -> None:
    office.fault("/emails/send", kind="after_commit")
    office.post("/emails/send", {**EMAIL, "key": "INV-104"})
    [kept] = office.kept()
    settled = office.post(f"{KEPT}/{kept['id']}/settle", {"arrived": True})
    assert (settled.status_code, settled.json()["status"]) == (200, "accepted")
    assert settled.json()["settled_by"].startswith("key:")
    assert office.post("/emails/send", {**EMAIL, "key": "INV-104"}).status_code == 202
    assert len(office.sent("sendgrid")) == 1
    again = office.post(f"{KEPT}/{kept['id']}/settle", {"arrived": False})
    assert (again.status_code, again.json()["code"]) == (409, "not_unknown")


def test_a_person_says_that_it_did_not_arrive_and_the_same_request_sends_it(office: Office) -> None:
    office.fault("/messages/sms", kind="reset")
    office.post("/messages/sms", {**SMS, "key": "INV-104"})
    [kept] = office.kept()
    settled = office.post(f"{KEPT}/{kept['id']}/settle", {"arrived": False}).json()
    assert (settled["status"], settled["may_try_again"]) == ("rejected", True)
    sent = office.post("/messages/sms", {**SMS, "key": "INV-104"})
    assert (sent.status_code, sent.json()["attempts"], sent.json()["id"]) == (202, 2, kept["id"])
    assert len(office.sent("msg91")) == 1


def test_a_message_that_is_not_there_cannot_be_looked_at_or_settled(office: Office) -> None:
    nowhere = f"{KEPT}/{uuid4()}"
    assert office.api.client.get(nowhere).status_code == 404
    assert office.post(f"{nowhere}/settle", {"arrived": True}).status_code == 404
    assert office.api.client.get(f"{KEPT}/not-an-id").status_code == 422


# -- what is refused ---------------------------------------------------------------------------------------------------


def test_what_sendgrid_refuses_is_said_in_its_words_and_answered_so_again(office: Office) -> None:
    body = {"to": EMAIL["to"], "template_id": "d-" + "9" * 32, "key": "INV-104"}
    first, second = office.post("/emails/send", body), office.post("/emails/send", body)
    assert (first.status_code, first.json()["code"], first.json()["field"]) == (422, "message_rejected", "template_id")
    assert "valid template id" in first.json()["detail"]
    assert second.json() == first.json()
    [kept] = office.kept(state="rejected")
    assert (kept["attempts"], kept["may_try_again"], kept["error_field"]) == (1, False, "template_id")


def test_a_refusal_of_msg91_may_come_with_success_or_without(office: Office) -> None:
    body = {**SMS, "template_id": "0" * 24}
    for status in (200, 400):
        office.switch("msg91", refusal_status=status)
        refused = office.post("/messages/sms", body)
        assert (refused.status_code, refused.json()["field"]) == (422, "template_id")
        assert "Template ID Missing or Invalid Template" in refused.json()["detail"]


def test_what_was_not_taken_for_a_reason_that_passes_is_sent_by_the_same_request(office: Office) -> None:
    office.switch("msg91", balance=0)
    body = {**SMS, "key": "INV-104"}
    refused = office.post("/messages/sms", body)
    assert (refused.status_code, refused.json()["code"]) == (502, "permission_denied")
    assert "Insufficient balance" in refused.json()["detail"]
    assert office.kept(state="rejected")[0]["may_try_again"] is True
    office.switch("msg91", balance=5)
    sent = office.post("/messages/sms", body)
    assert (sent.status_code, sent.json()["attempts"]) == (202, 2)


def test_a_limit_is_passed_on_with_its_wait(own_office: Office) -> None:
    own_office.switch("sendgrid", mails_per_minute=0)
    refused = own_office.post("/emails/send", {**EMAIL, "key": "INV-104"})
    assert (refused.status_code, refused.json()["code"]) == (503, "rate_limited")
    assert 1 <= int(refused.headers["Retry-After"]) <= 61  # the vendor says its time in whole seconds
    assert own_office.kept()[0]["may_try_again"] is True


def test_a_wrong_key_is_said_to_be_wrong_and_never_shown(own_office: Office) -> None:
    vault = own_office.api.surroundings.vault()
    for system in ("sendgrid", "msg91"):
        vault.write(replace(vault.read(system), password=Secret("wrong-secret-3f9c")))
    for path, body in ROUTES.items():
        refused = own_office.post(path, {**body, "key": "INV-104"})
        assert (refused.status_code, refused.json()["code"]) == (502, "auth_failed")
        assert "3f9c" not in refused.text
    assert "3f9c" not in str(own_office.kept())


def test_a_sender_that_is_not_verified_and_an_address_that_is_not_listed_are_told_apart(office: Office) -> None:
    unverified = office.post("/emails/send", {**EMAIL, "from": {"email": "me@elsewhere.example"}})
    assert (unverified.status_code, unverified.json()["code"]) == (502, "permission_denied")
    assert "verified Sender Identity" in unverified.json()["detail"]
    office.switch("msg91", on_the_list=False)
    for path in ("/messages/sms", "/messages/whatsapp"):
        assert "public IP address" in office.post(path, ROUTES[path]).json()["detail"]


def test_a_field_that_cannot_be_right_is_named_and_nothing_is_recorded(office: Office) -> None:
    wrong: dict[str, tuple[str, dict[str, Any]]] = {
        "to.0.email": ("/emails/send", {**EMAIL, "to": [{"email": "anna"}]}),
        "cc.0.email": ("/emails/send", {**EMAIL, "cc": [{"email": "ANNA@kunde.example"}]}),
        "subject": ("/emails/send", {"to": EMAIL["to"], "text": "Hello."}),
        "text": ("/emails/send", {"to": EMAIL["to"], "subject": "Hello"}),
        "html": ("/emails/send", {**TEMPLATE, "html": "<p>"}),
        "attachments.0.content": (
            "/emails/send", {**EMAIL, "attachments": [{"filename": "a.pdf", "content": "data:;base64,AAAA"}]},
        ),
        "template_id": ("/messages/sms", {**SMS, "template_id": "1107161234567890123"}),
        "recipients.0.mobile": ("/messages/sms", {**SMS, "recipients": [{"mobile": "9900000001"}]}),
        "recipients.0.components.body_1": (
            "/messages/whatsapp",
            {"template": "a", "recipients": [{"mobile": "919900000001", "components": {"body_2": {"value": "x"}}}]},
        ),
    }  # fmt: skip
    for field, (path, body) in wrong.items():
        refused = office.post(path, body)
        assert (refused.status_code, refused.json()["field"]) == (422, field), refused.text
    assert "24 hexadecimal digits" in office.post("/messages/sms", wrong["template_id"][1]).json()["detail"]
    assert office.kept() == []


@pytest.mark.parametrize("path", ROUTES)
def test_hostile_bodies_are_refused(office: Office, path: str) -> None:
    client = office.api.client
    deep = "[" * 100_000 + "]" * 100_000
    bodies = [b"", b"[]", b'{"to": ' + deep.encode() + b"}", b'{"recipients": "x", "to": 7}', b"\xff\xfe", b'{"x": 1}']
    for raw in bodies:
        answer = client.post(path, content=raw, headers={"Content-Type": "application/json"})
        assert answer.status_code in (400, 422), answer.text
    nul = {**ROUTES[path], "key": "a\x00b"}
    assert office.post(path, nul).status_code == 422
    half = json.dumps(ROUTES[path] | {"key": "HALF"}).replace("HALF", "\\ud800")
    named = json.dumps({**TEMPLATE, "dynamic_data": {"HALF": 1}}).replace("HALF", "\\ud800")
    for where, raw in ((path, half), ("/emails/send", named)):
        answer = client.post(where, content=raw, headers={"Content-Type": "application/json"})
        assert answer.status_code == 422, answer.text
    assert office.kept() == []


# -- whose it is -------------------------------------------------------------------------------------------------------


def test_sending_needs_the_right_to_run_and_settling_the_right_to_resolve(office: Office) -> None:
    looking, running = (office.api.as_key(office.api.key(right)) for right in (Right.LOOK, Right.RUN))
    for path, body in ROUTES.items():
        assert looking.post(path, json=body).status_code == 403
        assert running.post(path, json=body).status_code == 202
    assert running.get(KEPT).status_code == 403
    assert len(looking.get(KEPT).json()["items"]) == 3
    assert running.post(f"{KEPT}/{uuid4()}/settle", json={"arrived": True}).status_code == 403


def test_another_company_has_no_account_and_sees_no_message(office: Office, sandbox: Sandbox) -> None:
    other = office.api.as_key(office.api.key(*ALL, tenant_id=office.api.tenant("acme")))
    office.post("/emails/send", {**EMAIL, "key": "INV-104"})
    [kept] = office.kept()
    theirs = kept["connection_id"]
    for path, body in ROUTES.items():
        assert other.post(path, json=body).status_code == 404
        assert other.post(path, json=body, params={"connection_id": theirs}).status_code == 404
    assert other.get(KEPT).json()["items"] == []
    assert other.get(f"{KEPT}/{kept['id']}").status_code == 404
    assert other.post(f"{KEPT}/{kept['id']}/settle", json={"arrived": True}).status_code == 404


def test_of_several_accounts_the_request_says_which(own_office: Office, sandbox: Sandbox) -> None:
    second = connect(own_office.api, sandbox, "sendgrid", API_KEY, name="second", from_email="erp@single.example")
    assert own_office.post("/emails/send", EMAIL).json()["code"] == "several_connections"
    assert own_office.post(f"/emails/send?connection_id={second}", EMAIL).status_code == 202
    assert own_office.sent("sendgrid")[0]["mail"]["from"] == {"email": "erp@single.example"}


def test_the_message_outlives_its_account(own_office: Office) -> None:
    own_office.post("/emails/send", {**EMAIL, "key": "INV-104"})
    [kept] = own_office.kept()
    assert own_office.api.client.delete(f"/api/erp/connections/{kept['connection_id']}").status_code == 204
    assert own_office.kept()[0] == {**kept, "connection_id": None}


@pytest.mark.parametrize("system", ["sendgrid", "msg91"])
def test_an_account_is_tried_out(office: Office, system: str) -> None:
    listed = office.api.client.get("/api/erp/connections").json()["items"]
    (row,) = (row for row in listed if row["system"] == system)
    tried = office.api.client.post(f"/api/erp/connections/{row['id']}/test").json()
    assert (tried["success"], "key is good" in tried["message"]) == (True, True)


# -- workers that die, and workers that come late ----------------------------------------------------------------------


def wanted(office: Office, key: str) -> outbox.Wanted:
    with office.api.database.transaction() as store:
        (row,) = connections.list_connections(store, system="sendgrid")
    return outbox.Wanted(
        connection=row, channel=Channel.EMAIL, key=key, content={"subject": "A"}, recipients=("a@b.example",),
        template=None, by="test",
    )  # fmt: skip


DIES_SENDING = """
import os, signal
from erpflow.services import installation
from erpflow.services.messaging import outbox
from erpflow.store import connections
from erpflow.store.tenancy import TenantDatabase
from erpflow.vocabulary import DEFAULT_TENANT, Channel

database = TenantDatabase(installation.database)
with database.session(DEFAULT_TENANT) as store:
    (row,) = connections.list_connections(store, system="sendgrid")
wanted = outbox.Wanted(connection=row, channel=Channel.EMAIL, key="killed", content={"subject": "A"},
                       recipients=("a@b.example",), template=None, by="test")
outbox.send(database, DEFAULT_TENANT, wanted, lambda _: os.kill(os.getpid(), signal.SIGKILL))
"""


class Killed(BaseException):
    """The process ended there: nothing is written after it."""


def grow_old(office: Office) -> None:
    with office.api.database.transaction() as store:
        store.execute("UPDATE erpflow.erp_messages SET submitted_at = now() - %s - interval '1 s'", (messages.LEASE,))


def test_a_message_whose_worker_died_becomes_unknown_and_is_not_sent_again(office: Office) -> None:
    database, asked = office.api.surroundings.database, []

    def dies(message_id: MessageId) -> Taken:
        asked.append(message_id)
        raise Killed

    with pytest.raises(Killed):
        outbox.send(database, DEFAULT_TENANT, wanted(office, "k"), dies)
    under_way = outbox.send(database, DEFAULT_TENANT, wanted(office, "k"), dies)
    assert under_way.state is MessageState.SUBMITTING
    grow_old(office)
    assert outbox.send(database, DEFAULT_TENANT, wanted(office, "k"), dies).state is MessageState.UNKNOWN
    assert len(asked) == 1
    assert office.kept(state="unknown")[0]["error"] == messages.LOST


def test_a_process_that_is_killed_while_it_sends_leaves_the_message_to_be_looked_at(office: Office) -> None:
    ended = subprocess.run([sys.executable, "-c", DIES_SENDING], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (-signal.SIGKILL, "")
    [kept] = office.kept()
    assert (kept["status"], kept["key"]) == ("submitting", "killed")
    grow_old(office)
    [kept] = office.kept(state="unknown")
    assert kept["error"] == messages.LOST
    asked: list[MessageId] = []
    again = outbox.send(office.api.surroundings.database, DEFAULT_TENANT, wanted(office, "killed"), asking(asked, None))
    assert (again.state, asked) == (MessageState.UNKNOWN, [])


Ends = ErpflowError | None
ENDS: dict[str, Ends] = {
    "taken": None,
    "refused": MessageRejected([FieldProblem("to", "refused", "No.")]),
    "not now": AuthFailed("No."),
    "lost": VendorUnavailable("Gone.", maybe_done=True),
}


def asking(asked: list[MessageId], end: Ends) -> Callable[[MessageId], Taken]:
    def deliver(message_id: MessageId) -> Taken:
        asked.append(message_id)
        if end is not None:
            raise end
        return Taken("x")

    return deliver


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.sampled_from([*ENDS, "arrived", "did not arrive"]), min_size=1, max_size=8))
def test_whatever_happens_a_message_is_sent_only_when_it_was_certainly_not_taken(
    office: Office, steps: list[str]
) -> None:
    database, key, asked, may_ask = office.api.surroundings.database, str(uuid4()), [], True
    is_unknown = False
    for step in steps:
        if step in ENDS:
            before = len(asked)
            with suppress(AuthFailed):
                outbox.send(database, DEFAULT_TENANT, wanted(office, key), asking(asked, ENDS[step]))
            assert len(asked) - before == may_ask
            if may_ask:
                may_ask, is_unknown = step == "not now", step == "lost"
        elif asked:
            decided = office.post(f"{KEPT}/{asked[0]}/settle", {"arrived": step == "arrived"})
            assert decided.status_code == (200 if is_unknown else 409)
            if is_unknown:
                may_ask, is_unknown = step != "arrived", False
    assert len(set(asked)) <= 1


def test_what_a_worker_says_late_is_taken_unless_somebody_decided_meanwhile(office: Office) -> None:
    database = office.api.surroundings.database

    def late(message_id: MessageId) -> Taken:
        grow_old(office)
        assert office.kept()[0]["status"] == "unknown"
        return Taken("late")

    message = outbox.send(database, DEFAULT_TENANT, wanted(office, "first"), late)
    assert (message.state, message.remote_id) == (MessageState.ACCEPTED, "late")

    def too_late(message_id: MessageId) -> Taken:
        grow_old(office)
        office.post(f"{KEPT}/{message_id}/settle", {"arrived": False}).raise_for_status()
        again = outbox.send(database, DEFAULT_TENANT, wanted(office, "second"), lambda _: Taken("again"))
        assert again.attempts == 2
        return Taken("stale")

    message = outbox.send(database, DEFAULT_TENANT, wanted(office, "second"), too_late)
    assert (message.state, message.remote_id, message.attempts) == (MessageState.ACCEPTED, "again", 2)


def test_only_the_newest_attempt_is_settled_and_only_once(office: Office) -> None:
    new = outbox._claimed(office.api.surroundings.database, DEFAULT_TENANT, wanted(office, "k"))[0]
    taken = Settlement(state=MessageState.ACCEPTED, remote_id="x")
    with office.api.surroundings.database.session(DEFAULT_TENANT) as store:
        assert messages.settle(store, replace(new, attempts=2), taken) is None
        assert messages.settle(store, new, taken) is not None
        assert messages.settle(store, new, Settlement(state=MessageState.REJECTED)) is None


def test_an_error_of_our_own_leaves_the_message_unknown(office: Office) -> None:
    def breaks(_: MessageId) -> Taken:
        raise ZeroDivisionError

    database = office.api.surroundings.database
    with pytest.raises(ZeroDivisionError):
        outbox.send(database, DEFAULT_TENANT, wanted(office, "k"), breaks)
    assert office.kept()[0]["status"] == "unknown"
