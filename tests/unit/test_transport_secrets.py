"""What the transport never says: credentials stay out of every error, log and pickle, whatever the vendor answers."""

from __future__ import annotations

import logging
import pickle
import traceback
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
import structlog.testing
from requests.auth import HTTPBasicAuth

from erpflow.connectors import transport
from erpflow.connectors.redaction import redact
from erpflow.errors import (
    ErpflowError,
    ProtocolError,
)
from erpflow.testing.server import Reply, reset
from tests.wire import serving


@pytest.fixture(autouse=True)
def log_of_its_own(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A log that can be captured: whoever configured logging first (Airflow, the command line) keeps its loggers."""
    before = structlog.get_config()
    structlog.reset_defaults()
    monkeypatch.setattr(transport, "log", structlog.get_logger())
    yield
    structlog.configure(**before)


CANARIES = ("the-api-key", "the-api-secret")


def _everything_said(error: BaseException, events: list[Any], log: str) -> str:
    return "\n".join(
        [
            str(error),
            repr(error),
            "".join(traceback.format_exception(error)),
            repr(events),
            log,
            repr(pickle.dumps(error)),
        ]
    )


@pytest.mark.parametrize(
    "reply",
    [
        Reply(401, b"bad credentials: token the-api-key:the-api-secret"),
        Reply(503, b"you sent Authorization: token the-api-key:the-api-secret"),
        Reply(418, b'{"api_secret": "the-api-secret", "header": "token the-api-key:the-api-secret"}'),
        Reply(wire=reset),
        Reply(429, b"the-api-secret", headers={"Retry-After": "9999"}),
        Reply(302, headers={"Location": "https://the-api-key:the-api-secret@elsewhere.invalid/"}),
    ],
    ids=["refused", "down", "odd", "reset", "limited", "redirect"],
)
def test_no_secret_is_in_an_exception_or_a_log(reply: Reply, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    query = dict(zip(("api_key", "token"), CANARIES, strict=True))  # a traceback shows the line of the call
    with serving(reply) as bench, structlog.testing.capture_logs() as events, pytest.raises(ErpflowError) as raised:
        bench.transport().request("GET", "/x", query=query)
    said = _everything_said(raised.value, events, caplog.text)
    assert not [canary for canary in CANARIES if canary in said]
    assert raised.value.__context__ is None and raised.value.__cause__ is None


def test_a_secret_in_the_query_is_not_in_the_librarys_own_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with serving(Reply.json({})) as bench:
        bench.transport().request("GET", "/x", query={"access_token": "the-api-secret", "page": "2"})
    assert "page=2" in caplog.text and "the-api-secret" not in caplog.text


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer aaaabbbbccccdddd",
        "{'Authorization': 'token k1:s1s1s1'}",
        "Basic YWFhYWJiYmJjY2Nj",
        "https://user:s1s1s1@erp.example.com/x",
        "/x?sig=s1s1s1&page=2",
        '{"client_secret": "s1s1s1"}',
        "Cookie: sid=s1s1s1",
    ],
)
def test_what_has_the_shape_of_a_secret_is_masked(text: str) -> None:
    masked = redact(text)
    assert "***" in masked
    assert not any(secret in masked for secret in ("aaaabbbb", "s1s1s1", "YWFhYWJi"))


def test_a_basic_password_is_masked_in_every_spelling() -> None:
    with serving(Reply(418, b"c2VjcmV0L3dvcmQ= secret/word secret%2Fword me:secret/word")) as bench:
        bench.session.auth = HTTPBasicAuth("me", "secret/word")
        with pytest.raises(ProtocolError) as raised:
            bench.transport().request("GET", "/x")
    assert not any(spelling in str(raised.value) for spelling in ("secret/word", "secret%2Fword", "c2VjcmV0L3dvcmQ="))


def test_an_excerpt_is_at_most_300_characters() -> None:
    with serving(Reply(418, b"<p>lorem ipsum</p>" * 1000)) as bench, pytest.raises(ProtocolError) as raised:
        bench.transport().request("GET", "/x")
    assert "lorem ipsum" in str(raised.value)
    assert len(str(raised.value).partition("begins: ")[2]) <= 300


def test_events_name_the_call_and_not_what_it_carried() -> None:
    with serving(Reply(503), Reply.json({"secret": "payload"})) as bench, structlog.testing.capture_logs() as events:
        bench.transport(new_id=lambda: "id-1").request("GET", "/x", query={"filters": "customer data"})
    assert [event["event"] for event in events] == ["tried_again", "answered"]
    assert all(event["correlation_id"] == "id-1" and event["path"] == "/x" for event in events)
    assert "customer data" not in repr(events) and "payload" not in repr(events)
