"""Messages on their way: real e-mail to a real server, real requests to a real webhook, and what goes wrong there."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from email.header import decode_header, make_header
from typing import Any

import pytest
import requests

from erpflow.airflow import notify
from erpflow.errors import NotificationFailed
from erpflow.services.notifications.messages import Link, Message, Saying
from erpflow.services.notifications.settings import NotificationSettings
from erpflow.testing.server import Asked, Reply, ScriptedServer, reset
from erpflow.vocabulary import CauseKind
from tests.mail import MailServer

SECRET = "T0SECRET/B0SECRET"
HOSTILE = "{{ 7 * 7 }} {% raw %} <b>&"

MESSAGE = Message(
    saying=Saying.NEW,
    cause="failed/1/AuthFailed",
    kind=CauseKind.FAILED,
    tenant="default",
    subject=f"[erpflow] main-site café {HOSTILE} failed",
    what=f"It failed: {HOSTILE}",
    since=datetime(2026, 6, 1, tzinfo=UTC),
    until=None,
    next_step="Mend it.",
    connection="main-site",
    system="erpnext",
    entity="customer",
    counts={"failures": 3},
    reasons=(),
    links=(Link("Sync log", "https://airflow.example/api/erp/sync-logs/1"),),
)

Connect = Callable[..., None]


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Makes an Airflow Connection."""

    def make(conn_id: str, **parts: Any) -> None:
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(parts))

    return make


def mail_to(server: MailServer, connect: Connect, **extra: Any) -> None:
    connect(
        notify.SMTP_CONNECTION,
        conn_type="smtp",
        host="127.0.0.1",
        port=server.port,
        extra={"from_email": "erpflow@example.com", "disable_ssl": True, "disable_tls": True, "retry_limit": 0} | extra,
    )


def send(settings: NotificationSettings, *, tenant: str = "default") -> list[str]:
    """Send the message to everybody the settings name; the names of the channels."""
    channels = notify.channels_of(settings, tenant)
    for channel in channels:
        channel.send(MESSAGE)
    return [channel.name for channel in channels]


def test_an_email_reaches_every_recipient_with_its_words_as_they_are(connect: Connect) -> None:
    with MailServer() as server:
        mail_to(server, connect)
        send(NotificationSettings(email=("ops@example.com", "dev@example.com"), webhook=""))
    [mail] = server.got
    [body] = server.bodies()
    assert server.recipients == [["ops@example.com", "dev@example.com"]]
    assert mail["From"] == "erpflow@example.com"
    assert str(make_header(decode_header(mail["Subject"]))) == MESSAGE.subject
    assert "{{ 7 * 7 }} {% raw %} &lt;b&gt;&amp;" in body
    assert "<td>3</td>" in body


def test_a_mail_server_that_refuses_is_told_with_its_code(connect: Connect) -> None:
    with MailServer(refuse="550 5.7.1 who are you") as server:
        mail_to(server, connect)
        with pytest.raises(NotificationFailed, match=r'SMTP\w+ \(550\)\. Check the Airflow Connection "erpflow_smtp"'):
            send(NotificationSettings(email=("ops@example.com",), webhook=""))


def test_a_mail_server_that_is_not_there_is_told_at_once(connect: Connect) -> None:
    with MailServer() as server:
        mail_to(server, connect)
    with pytest.raises(NotificationFailed, match="ConnectionRefusedError"):
        send(NotificationSettings(email=("ops@example.com",), webhook=""))


def test_a_webhook_gets_the_message_as_json(connect: Connect) -> None:
    with ScriptedServer(lambda _: Reply()) as server:
        connect("chat", conn_type="http", host=server.url, extra={"Authorization": "Bearer abc"})
        assert send(NotificationSettings(webhook="chat")) == ["webhook"]
    [asked] = server.asked
    assert asked.method == "POST"
    assert asked.headers["Authorization"] == "Bearer abc"
    body = json.loads(asked.body)
    assert body == MESSAGE.json()
    assert HOSTILE in body["text"]


def test_the_webhook_of_the_default_connection_is_used_when_it_is_there(connect: Connect) -> None:
    with ScriptedServer(lambda _: Reply()) as server:
        connect(notify.WEBHOOK_CONNECTION, conn_type="http", host=server.url)
        assert send(NotificationSettings()) == ["webhook"]
        assert send(NotificationSettings(webhook="")) == []


def test_a_secret_address_goes_into_the_password_and_into_no_log(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with ScriptedServer(lambda _: Reply()) as server:
        connect("chat", conn_type="http", host=server.url, password=f"/services/{SECRET}")
        send(NotificationSettings(webhook="chat"))
        assert server.asked[0].path == f"/services/{SECRET}"
    with pytest.raises(NotificationFailed) as caught:  # nobody listens there any more
        send(NotificationSettings(webhook="chat"))
    assert 'Airflow Connection "chat"' in str(caught.value)
    assert SECRET not in str(caught.value) + caplog.text


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (lambda _: Reply(status=500), "HTTP 500"),
        (lambda _: Reply(status=404, body=b"no_team"), "HTTP 404"),
        (lambda _: Reply(status=302, headers={"Location": "/login"}), "HTTP 302"),
        (lambda _: Reply(wire=reset), "ConnectionError"),
    ],
)
def test_a_webhook_that_did_not_take_the_message_is_told(
    connect: Connect, answer: Callable[[Asked], Reply], why: str
) -> None:
    with ScriptedServer(answer) as server:
        connect("chat", conn_type="http", host=server.url)
        with pytest.raises(NotificationFailed, match=f"did not take the message: {why}"):
            send(NotificationSettings(webhook="chat"))
        assert len(server.asked) == 1


def test_a_webhook_that_never_answers_is_given_up(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "WEBHOOK_TIMEOUT_S", 0.2)
    release = threading.Event()

    def never(_asked: Asked) -> Reply:
        release.wait(10)
        return Reply()

    with ScriptedServer(never) as server:
        connect("chat", conn_type="http", host=server.url)
        with pytest.raises(NotificationFailed, match=requests.ReadTimeout.__name__):
            send(NotificationSettings(webhook="chat"))
        release.set()


def test_a_connection_that_is_not_there_is_named(connect: Connect) -> None:
    with pytest.raises(NotificationFailed, match='"erpflow_smtp"'):
        send(NotificationSettings(email=("ops@example.com",), webhook=""))
    with pytest.raises(NotificationFailed, match='"chat"'):
        send(NotificationSettings(webhook="chat"))


def test_who_is_told_is_in_an_airflow_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"AIRFLOW_VAR_{notify.SETTINGS_VARIABLE.upper()}", '{"email": ["ops@example.com"]}')
    assert notify.notification_settings().recipients("default") == ("ops@example.com",)
