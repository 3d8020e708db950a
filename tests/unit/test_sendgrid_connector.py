"""SendGrid on the wire: what its answers mean, and that a mail is sent twice only when it cannot have been taken."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from erpflow.connectors.account import Account
from erpflow.connectors.messaging import MessageRejected, Taken
from erpflow.connectors.sendgrid import SendGrid
from erpflow.connectors.sendgrid_mail import Address, Mail
from erpflow.errors import (
    AuthFailed,
    ConfigError,
    ErpflowError,
    PermissionDenied,
    ProtocolError,
    RateLimited,
    VendorUnavailable,
)
from erpflow.testing.server import Reply, reset
from tests.wire import NOON, Bench, serving

KEY = "SG.the-api-key.with-its-secret"
MAIL = Mail(to=(Address("anna@kunde.example"),), subject="Invoice", text="Hello.")
ACCEPTED = Reply(202, b"", {"X-Message-Id": "14c5d75ce93.dfd.64b469"})


def errors(status: int, *messages: str, field: Any = None, **headers: str) -> Reply:
    found = [{"message": message, "field": field, "help": None} for message in messages]
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply.json({"errors": found}, status=status, headers=named)


@contextmanager
def account(*replies: Reply, **extra: str) -> Iterator[tuple[SendGrid, Bench]]:
    settings = {"from_email": "erp@firma.example"} | extra
    with serving(*replies) as bench:
        bench.session.auth = SendGrid.auth(Account(bench.server.url, password=KEY, extra=settings))
        yield SendGrid(bench.transport()), bench


def raised(*replies: Reply) -> ErpflowError:
    with account(*replies) as (client, _), pytest.raises(ErpflowError) as caught:
        client.send(MAIL, reference="m-1")
    return caught.value


def test_a_mail_that_was_taken_has_the_vendors_name() -> None:
    with account(ACCEPTED) as (client, bench):
        assert client.send(MAIL, reference="m-1") == Taken("14c5d75ce93.dfd.64b469")
    [asked] = bench.server.asked
    assert (asked.method, asked.path) == ("POST", "/v3/mail/send")
    assert asked.headers["Authorization"] == f"Bearer {KEY}"
    assert asked.headers["Content-Type"] == "application/json"


def test_taken_without_a_name_is_taken() -> None:
    with account(Reply(202, b"")) as (client, _):
        assert client.send(MAIL, reference="m-1") == Taken(None)


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (errors(401, "authorization required"), AuthFailed, "authorization required"),
        (errors(403, "access forbidden", field="null"), PermissionDenied, "scope mail.send"),
        (errors(400, "Bad Request", field="null"), MessageRejected, "Bad Request"),
        (errors(413, "content too large"), MessageRejected, "content too large"),
        (errors(404, "not found"), ProtocolError, "Check the connection's host"),
        (Reply(404, b"<html>"), ProtocolError, "not expected"),
    ],
)
def test_what_was_refused_was_not_taken(reply: Reply, kind: type[ErpflowError], words: str) -> None:
    error = raised(reply)
    assert type(error) is kind
    assert words in str(error)
    assert not getattr(error, "maybe_done", False)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(500, b'{"errors":[{"message":"internal server error"}]}'),
        Reply(503, b"busy"),
        Reply(200, b"<html>Please sign in</html>"),
        Reply(200, b""),
        Reply(wire=reset),
    ],
    ids=["500", "503", "a page", "200", "reset"],
)
def test_what_may_have_been_taken_is_sent_once_and_said_to_be_maybe_done(reply: Reply) -> None:
    with account(reply) as (client, bench), pytest.raises((VendorUnavailable, ProtocolError)) as caught:
        client.send(MAIL, reference="m-1")
    assert caught.value.maybe_done
    assert len(bench.server.asked) == 1


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("personalizations.0.to", "to"),
        ("personalizations.0.to.3.email", "to.3.email"),
        ("personalizations.0", "to"),
        ("personalizations.0.dynamic_template_data", "dynamic_data"),
        ("from", "from"),
        ("content.1.value", "content.1.value"),
        ("null", None),
        (None, None),
    ],
)
def test_the_field_that_is_to_blame_has_our_name(path: str | None, field: str | None) -> None:
    error = raised(errors(400, "Does not contain a valid address.", field=path))
    assert isinstance(error, MessageRejected)
    assert error.field == field


def test_a_short_wait_is_slept_and_a_long_one_passed_on() -> None:
    soon, late = (str(int(NOON.timestamp()) + seconds) for seconds in (3, 300))
    date = NOON.strftime("%a, %d %b %Y %H:%M:%S GMT")
    spent = "too many requests"
    with account(errors(429, spent, X_RateLimit_Reset=soon, Date=date), ACCEPTED) as (client, bench):
        assert client.send(MAIL, reference="m-1").message_id is not None
    assert (len(bench.server.asked), bench.time.slept) == (2, [3.0])
    error = raised(errors(429, spent, X_RateLimit_Reset=late, Date=date))
    assert isinstance(error, RateLimited) and error.retry_after == 300


@pytest.mark.parametrize("reset_at", ["", "soon", "9" * 40, "-1"])
def test_a_limit_that_does_not_say_when_it_is_over_waits_a_minute(reset_at: str) -> None:
    error = raised(errors(429, "too many requests", X_RateLimit_Reset=reset_at))
    assert isinstance(error, RateLimited) and error.retry_after == 60


def test_nobody_who_sends_is_a_mistake_of_the_connection() -> None:
    with account(ACCEPTED, from_email="") as (client, bench), pytest.raises(ConfigError, match="set from_email"):
        client.send(MAIL, reference="m-1")
    assert bench.server.asked == []


def test_the_key_is_never_shown() -> None:
    error = raised(errors(403, f"the key {KEY} may not"))
    assert KEY not in str(error) and "***" in str(error)
    assert KEY not in repr(SendGrid.auth(Account("https://x.example", password=KEY)))


@pytest.mark.parametrize(
    ("reply", "success", "words"),
    [
        (Reply.json({"scopes": ["mail.send"]}), True, "may send"),
        (Reply.json({"scopes": ["templates.read"]}), False, "give it the scope mail.send"),
        (errors(401, "authorization required"), False, "Put an API key of SendGrid"),
        (Reply(200, b"<html>"), False, "not SendGrid's API"),
        (Reply(wire=reset), False, "the connection broke"),
    ],
    ids=["good", "may not send", "no good", "a page", "away"],
)
def test_a_check_asks_for_the_scopes(reply: Reply, success: bool, words: str) -> None:
    with account(reply) as (client, bench):
        result = client.check()
    assert (result.success, words in result.message) == (success, True), result.message
    assert bench.server.asked[0].path == "/v3/scopes"


def test_there_is_nothing_to_sync() -> None:
    assert dict(SendGrid.spec.entities) == {}
    with pytest.raises(ConfigError, match="nothing to sync"):
        SendGrid.split("customer", b"[]")
