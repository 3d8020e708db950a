"""Mail, SMS and WhatsApp over the API: sent once, and what nobody knows is not sent again by itself."""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from erpflow.api.rights import Right
from erpflow.store.vault import Secret
from tests.calling import ALL
from tests.integration.conftest import Sandbox
from tests.messaging import API_KEY, EMAIL, KEPT, ROUTES, SMS, SYSTEMS, TEMPLATE, WHATSAPP, Office, connect
from tests.messaging import office as office  # fixtures, for this module too
from tests.messaging import own_office as own_office
from tests.messaging import shared as shared

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
