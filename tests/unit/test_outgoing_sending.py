"""One POST to a receiver who may do anything: what it is taken for, and where it never leads."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from erpflow.connectors import network
from erpflow.errors import ConfigError
from erpflow.services.outgoing.sending import MOST_BYTES, Outcome, Reach, post
from erpflow.services.outgoing.subscribing import HTTP_VARIABLE, LONGEST_URL, checked_events, checked_url
from erpflow.testing.server import Reply, ScriptedServer, reset
from erpflow.vocabulary import EventType

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
HERE = Reach(private_networks=True, plain_http=True, timeout_s=5)
HEADERS = {"webhook-id": "msg_1"}


def sent(reply: Reply, *, reach: Reach = HERE) -> tuple[Outcome, ScriptedServer]:
    with ScriptedServer(lambda _: reply) as server:
        return post(f"{server.url}/hook?tenant=a", b'{"a": 1}', headers=HEADERS, now=NOW, reach=reach), server


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_every_2xx_is_a_yes(status: int) -> None:
    outcome, server = sent(Reply(status, body=b""))
    assert outcome == Outcome(status)
    [asked] = server.asked
    assert (asked.method, asked.path, asked.query, asked.body) == ("POST", "/hook", {"tenant": "a"}, b'{"a": 1}')
    assert asked.headers["Content-Type"] == "application/json"
    assert asked.headers["webhook-id"] == "msg_1"
    assert asked.headers["User-Agent"].startswith("erpflow/")
    assert "Authorization" not in asked.headers


@pytest.mark.parametrize("status", [400, 401, 404, 409, 500, 502])
def test_everything_else_is_a_no_with_the_beginning_of_its_reason(status: int) -> None:
    outcome, _ = sent(Reply(status, body=b"no such tenant\n\n at line 1"))
    assert outcome == Outcome(status, f"HTTP {status}: no such tenant at line 1")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    with ScriptedServer(lambda _: Reply()) as elsewhere:
        outcome, server = sent(Reply(status, headers={"Location": f"{elsewhere.url}/other"}))
        assert outcome.status == status
        assert "redirects are not followed" in (outcome.error or "")
        assert (len(server.asked), elsewhere.connections) == (1, 0)


def test_410_says_that_the_receiver_wants_nothing_any_more() -> None:
    assert sent(Reply(410))[0].gone
    assert not sent(Reply(404))[0].gone


@pytest.mark.parametrize(
    ("status", "asks", "wait"),
    [
        (429, "120", timedelta(minutes=2)),
        (503, "Sat, 21 Nov 2026 12:10:00 GMT", timedelta(minutes=10)),
        (429, "soon", None),
        (500, "120", None),
    ],
)
def test_a_busy_receiver_says_when_to_come_back(status: int, asks: str, wait: timedelta | None) -> None:
    date = {"Date": "Sat, 21 Nov 2026 12:00:00 GMT"}
    assert sent(Reply(status, headers={"Retry-After": asks, **date}))[0].retry_after == wait


def test_a_reason_without_end_is_read_only_at_its_beginning() -> None:
    outcome, _ = sent(Reply(500, body=b"x" * 50_000_000))
    assert len(outcome.error or "") < MOST_BYTES


def test_a_secret_that_a_receiver_echoes_is_masked() -> None:
    outcome, _ = sent(Reply(400, body=b'{"token": "9f3c2d77aa", "Authorization": "Bearer 0123456789abcdef"}'))
    assert "9f3c2d77aa" not in (outcome.error or "") and "0123456789abcdef" not in (outcome.error or "")


@pytest.mark.parametrize("how", ["silent", "dripping"])
def test_a_slow_receiver_is_given_up_after_the_time_out_of_the_whole_exchange(how: str) -> None:
    over = threading.Event()

    def answer(connection: socket.socket) -> None:
        while not over.wait(0.05):
            if how == "dripping":
                connection.sendall(b"H")

    began = time.monotonic()
    try:
        outcome, _ = sent(Reply(wire=answer), reach=Reach(private_networks=True, plain_http=True, timeout_s=0.4))
    finally:
        over.set()
    assert outcome == Outcome(None, "No answer within 0.4 seconds.")
    assert time.monotonic() - began < 3


def test_a_receiver_that_breaks_off_or_is_not_there_is_no_exception() -> None:
    outcome, server = sent(Reply(wire=reset))
    assert (outcome.status, outcome.gone) == (None, False)
    assert "The connection broke" in (outcome.error or "")
    gone = post(f"{server.url}/hook", b"{}", headers=HEADERS, now=NOW, reach=HERE)
    assert gone == Outcome(None, "Nobody takes a connection there.")
    nowhere = post("https://hooks.invalid/x", b"{}", headers=HEADERS, now=NOW, reach=HERE)
    assert nowhere == Outcome(None, "There is no such host.")


def test_no_failure_names_the_address_for_it_may_be_the_secret() -> None:
    with ScriptedServer(lambda _: Reply()) as server:
        url = f"{server.url}/T0-9f3c2d77-B0"
    for reach in (HERE, Reach(plain_http=True), Reach()):
        error = post(url, b"{}", headers=HEADERS, now=NOW, reach=reach).error
        assert error
        assert "9f3c2d77" not in error


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1"])
def test_a_private_address_is_not_reached_however_it_is_written(host: str) -> None:
    with ScriptedServer(lambda _: Reply()) as server:
        url = server.url.replace("127.0.0.1", host)
        outcome = post(url, b"{}", headers=HEADERS, now=NOW, reach=Reach(plain_http=True))
        assert "leads into a private network" in (outcome.error or "")
        assert f"{network.VARIABLE}=true" in (outcome.error or "")
        assert server.connections == 0


def test_an_address_that_is_not_encrypted_is_not_reached() -> None:
    with ScriptedServer(lambda _: Reply()) as server:
        outcome = post(server.url, b"{}", headers=HEADERS, now=NOW, reach=Reach(private_networks=True))
        assert "not https" in (outcome.error or "")
        assert server.connections == 0


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    monkeypatch.delenv(HTTP_VARIABLE, raising=False)
    monkeypatch.delenv(network.VARIABLE, raising=False)
    yield monkeypatch


@pytest.mark.parametrize(
    "url", ["https://example.com/hooks", "https://93.184.215.14:8443/x?y=z", "https://[2606:2800::1]/"]
)
def test_a_public_https_address_may_be_told(url: str) -> None:
    assert checked_url(f" {url} ") == url


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "not an address"),
        ("example.com/hooks", "not an address"),
        ("ftp://example.com", "not an address"),
        ("https://", "not an address"),
        ("https://example.com:99999/", "not an address"),
        ("https://exämple.com/", "ASCII form"),
        ("https://example.com/a b", "not an address"),
        ("https://example.com/a\r\nX-Evil: 1", "not an address"),
        ("https://example.com/" + "x" * LONGEST_URL, "at most 2,000 characters"),
        ("https://user:hunter22@example.com/", "holds a login"),
        ("https://example.com/#part", "#fragment"),
        ("http://example.com/", HTTP_VARIABLE),
        ("https://127.0.0.1/", network.VARIABLE),
        ("https://10.1.2.3/", network.VARIABLE),
        ("https://169.254.169.254/latest", network.VARIABLE),
        ("https://[::1]/", network.VARIABLE),
        ("https://[::ffff:10.0.0.1]/", network.VARIABLE),
        ("https://localhost/", network.VARIABLE),
        ("https://localhost./", network.VARIABLE),
    ],
)
def test_an_address_that_may_not_be_told_is_refused_with_the_reason(url: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as refused:
        checked_url(url)
    assert "hunter22" not in str(refused.value)


def test_who_runs_the_machine_may_allow_http_and_private_networks(settings: pytest.MonkeyPatch) -> None:
    settings.setenv(HTTP_VARIABLE, "true")
    assert checked_url("http://example.com/") == "http://example.com/"
    with pytest.raises(ConfigError, match=network.VARIABLE):
        checked_url("http://10.0.0.1/")
    settings.setenv(network.VARIABLE, "1")
    assert checked_url("http://10.0.0.1/") == "http://10.0.0.1/"


def test_events_are_chosen_by_name_and_an_unknown_one_meets_the_nearest() -> None:
    assert checked_events(["sync.failed", "reject.opened"]) == [EventType.SYNC_FAILED, EventType.REJECT_OPENED]
    with pytest.raises(ConfigError, match=r'no event "sync.fail".*did you mean "sync.failed"'):
        checked_events(["sync.fail"])
    with pytest.raises(ConfigError, match="one event at least"):
        checked_events([])
