"""The sandbox's SendGrid account, driven by Twilio's own SDK (sendgrid), and against the published form of errors."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from python_http_client.exceptions import HTTPError
from sendgrid import SendGridAPIClient
from sendgrid.helpers.mail import (
    Attachment,
    Bcc,
    Category,
    Cc,
    Content,
    CustomArg,
    Disposition,
    FileContent,
    FileName,
    FileType,
    From,
    Mail,
    MailSettings,
    SandBoxMode,
    Subject,
    To,
)

from tests.contract.sandboxes import sandbox

KEY = "SG.sandbox-sending.key"
SENDER = From("erp@firma.example", "Firma")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with sandbox("sendgrid", folder=tmp_path_factory.mktemp("sendgrid")) as found:
        yield found


@pytest.fixture
def sdk(url: str, monkeypatch: pytest.MonkeyPatch) -> SendGridAPIClient:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    requests.post(f"{url}/_sandbox/reset", json={"vendor": "sendgrid"}, timeout=10).raise_for_status()
    return client(url, KEY)


def client(url: str, key: str) -> SendGridAPIClient:
    return SendGridAPIClient(api_key=key, host=f"{url}/sendgrid")


def sent(url: str) -> list[dict[str, Any]]:
    return list(requests.get(f"{url}/_sandbox/sendgrid/sent", timeout=10).json()["sent"])


def switch(url: str, **switches: Any) -> None:
    requests.post(f"{url}/_sandbox/sendgrid/switches", json=switches, timeout=10).raise_for_status()


def letter(**changes: Any) -> Mail:
    given = {"from_email": SENDER, "to_emails": To("anna@kunde.example"), "subject": Subject("Hello")} | changes
    mail = Mail(**given)
    if "plain_text_content" not in changes and "html_content" not in changes:
        mail.add_content(Content("text/plain", "Hello."))
    return mail


def refusal(sdk: SendGridAPIClient, mail: Any) -> tuple[int, list[tuple[str, str | None]]]:
    """The status, and each message with its field."""
    with pytest.raises(HTTPError) as caught:
        sdk.send(mail)
    errors = caught.value.to_dict["errors"]
    return caught.value.status_code, [(each["message"], each["field"]) for each in errors]


def test_a_mail_of_the_sdk_is_queued_whole(sdk: SendGridAPIClient, url: str) -> None:
    mail = letter(plain_text_content="Hello.", html_content="<p>Hello.</p>")
    mail.add_cc(Cc("books@kunde.example"))
    mail.add_bcc(Bcc("archive@firma.example"))
    mail.add_category(Category("invoice"))
    mail.add_custom_arg(CustomArg("doc", "INV-104"))
    pdf = base64.b64encode(b"%PDF-1.7").decode()
    mail.attachment = Attachment(
        FileContent(pdf), FileName("INV-104.pdf"), FileType("application/pdf"), Disposition("attachment")
    )
    answer = sdk.send(mail)
    assert (answer.status_code, answer.body) == (202, b"")
    [taken] = sent(url)
    assert answer.headers["X-Message-Id"] == taken["message_id"]
    assert 14 <= len(taken["message_id"]) <= 22
    assert taken["mail"]["personalizations"][0]["cc"] == [{"email": "books@kunde.example"}]
    assert taken["mail"]["attachments"][0]["content"] == pdf
    assert taken["mail"]["custom_args"] == {"doc": "INV-104"}


def test_a_template_needs_neither_subject_nor_content(sdk: SendGridAPIClient, url: str) -> None:
    mail = Mail(from_email=SENDER, to_emails=To("anna@kunde.example"))
    mail.template_id = "d-0123456789abcdef0123456789abcdef"
    mail.dynamic_template_data = {"invoice_no": "INV-104"}
    assert sdk.send(mail).status_code == 202
    assert sent(url)[0]["mail"]["personalizations"][0]["dynamic_template_data"] == {"invoice_no": "INV-104"}
    mail.template_id = "d-" + "9" * 32
    assert refusal(sdk, mail)[1][0][1] == "template_id"


def test_its_form_alone_is_looked_at_in_sandbox_mode(sdk: SendGridAPIClient, url: str) -> None:
    mail = letter()
    mail.mail_settings = MailSettings(sandbox_mode=SandBoxMode(enable=True))
    answer = sdk.send(mail)
    assert (answer.status_code, sent(url)) == (200, [])


def test_an_address_twice_is_refused(sdk: SendGridAPIClient) -> None:
    body = letter().get()
    body["personalizations"][0]["cc"] = [{"email": "ANNA@kunde.example"}]
    status, [(message, field)] = refusal(sdk, body)
    assert (status, field) == (400, "personalizations.0")
    assert message == "Each email address in the personalization block should be unique between to, cc, and bcc."


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"personalizations": []}, "personalizations"),
        ({"personalizations": [{"cc": [{"email": "a@b.example"}]}]}, "personalizations.0.to"),
        ({"personalizations": [{"to": [{"email": "nobody"}]}]}, "personalizations.0.to.0.email"),
        ({"from": {"name": "Firma"}}, "from.email"),
        ({"subject": ""}, "subject"),
        ({"content": []}, "content"),
        ({"content": [{"type": "text/html", "value": "<p>"}, {"type": "text/plain", "value": "x"}]}, "content"),
        ({"attachments": [{"content": "AAAA\nAAAA", "filename": "a"}]}, "attachments.0.content"),
        ({"attachments": [{"content": "AAAA"}]}, "attachments.0.filename"),
        ({"categories": [str(number) for number in range(11)]}, "categories"),
        ({"categories": ["a", "a"]}, "categories"),
        ({"custom_args": {"a": 1}}, "custom_args"),
        ({"custom_args": {"a": "x" * 10_001}}, "custom_args"),
        ({"send_at": 4_000_000_000}, "send_at"),
        ({"template_id": "d-nowhere"}, "template_id"),
        ({"cc": [{"email": "a@b.example"}]}, "cc"),
    ],
)
def test_each_rule_of_a_mail_is_kept(sdk: SendGridAPIClient, url: str, change: dict[str, Any], field: str) -> None:
    status, found = refusal(sdk, letter().get() | change)
    assert (status, field) == (400, found[0][1])
    assert sent(url) == []


def test_keys_that_are_no_good_and_keys_that_may_not(sdk: SendGridAPIClient, url: str) -> None:
    assert refusal(client(url, "SG.wrong"), letter())[0] == 401
    assert refusal(client(url, "SG.sandbox-looking.key"), letter()) == (403, [("access forbidden", None)])
    nobody = requests.post(f"{url}/sendgrid/v3/mail/send", json=letter().get(), timeout=10)
    assert (nobody.status_code, nobody.json()["errors"][0]["message"]) == (401, "authorization required")
    status, [(message, field)] = refusal(sdk, letter(from_email=From("me@elsewhere.example")))
    assert (status, field) == (403, "from")
    assert message.startswith("The from address does not match a verified Sender Identity.")


def test_scopes_and_templates_can_be_looked_at(sdk: SendGridAPIClient) -> None:
    assert "mail.send" in sdk.client.scopes.get().to_dict["scopes"]
    listed = sdk.client.templates.get(query_params={"generations": "dynamic", "page_size": 200}).to_dict["result"]
    assert [each["versions"][0]["active"] for each in listed] == [1, 1]
    assert sdk.client.templates._(listed[0]["id"]).get().to_dict["name"] == "Invoice"


def test_a_limit_says_when_it_is_over(sdk: SendGridAPIClient, url: str) -> None:
    switch(url, mails_per_minute=1)
    assert sdk.send(letter()).headers["X-RateLimit-Remaining"] == "0"
    with pytest.raises(HTTPError) as caught:
        sdk.send(letter())
    assert caught.value.status_code == 429
    assert [caught.value.headers[f"X-RateLimit-{name}"] for name in ("Limit", "Remaining")] == ["1", "0"]
    assert int(caught.value.headers["X-RateLimit-Reset"]) > 1_700_000_000
    assert caught.value.to_dict["errors"] == [
        {"message": "too many requests", "field": None, "help": caught.value.to_dict["errors"][0]["help"]}
    ]


def test_what_is_not_a_mail_is_refused(sdk: SendGridAPIClient, url: str) -> None:
    where, signed = f"{url}/sendgrid/v3/mail/send", {"Authorization": f"Bearer {KEY}"}
    as_json = signed | {"Content-Type": "application/json"}
    assert requests.post(where, data=b"{", headers=as_json, timeout=10).status_code == 400
    assert requests.post(where, data=b"[]", headers=as_json, timeout=10).status_code == 400
    assert requests.post(where, data={"to": "x"}, headers=signed, timeout=10).status_code == 415
    large = requests.post(where, data=b" " * (30 * 1024 * 1024 + 1), headers=as_json, timeout=30)
    assert (large.status_code, large.json()["errors"][0]["message"]) == (413, "content too large")
    assert requests.get(where, headers=signed, timeout=10).status_code == 405
    assert requests.get(f"{url}/sendgrid/v3/nothing", headers=signed, timeout=10).status_code == 404


def test_a_plan_without_credits_sends_nothing(sdk: SendGridAPIClient, url: str) -> None:
    switch(url, has_credits=False)
    assert refusal(sdk, letter()) == (401, [("Maximum credits exceeded", None)])
    assert requests.post(f"{url}/_sandbox/sendgrid/switches", json={"no": 1}, timeout=10).status_code == 400
