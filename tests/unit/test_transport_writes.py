"""What the transport does with a write: it is sent again only when it cannot have been done."""

from __future__ import annotations

import gzip
import socket

import pytest
import requests

from erpflow.connectors.answer import Answer
from erpflow.connectors.transport import Transport
from erpflow.errors import ErpflowError, ProtocolError, RateLimited, VendorUnavailable
from erpflow.testing.server import Reply, reset
from tests.wire import serving

WRITES = ["POST", "PUT", "PATCH", "DELETE"]


def undone(answer: Answer) -> ErpflowError | None:
    """A vendor that says of every refusal that nothing was done."""
    return None if answer.status < 300 else VendorUnavailable("locked", maybe_done=False)


@pytest.mark.parametrize("method", WRITES)
@pytest.mark.parametrize(
    "reply", [Reply(502), Reply(503), Reply(504), Reply(wire=reset)], ids=["502", "503", "504", "reset"]
)
def test_a_write_whose_outcome_is_unknown_is_sent_once_and_said_to_be_maybe_done(method: str, reply: Reply) -> None:
    with serving(reply) as bench, pytest.raises(VendorUnavailable) as raised:
        bench.transport().request(method, "/x", body=b"{}")
    assert raised.value.maybe_done
    assert len(bench.server.asked) == 1 and bench.time.slept == []


def test_a_write_that_never_left_is_tried_again_and_said_to_be_undone() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        slept: list[float] = []
        with requests.Session() as session:
            session.trust_env = False
            transport = Transport(
                session, base_url=f"http://127.0.0.1:{taken.getsockname()[1]}", sleep=slept.append, jitter=lambda: 1.0
            )
            with pytest.raises(VendorUnavailable) as raised:
                transport.request("POST", "/x", body=b"{}")
    assert not raised.value.maybe_done
    assert slept == [0.5, 1.0, 2.0]


@pytest.mark.parametrize("status", [500, 503, 417])
def test_a_write_that_the_vendor_took_back_is_sent_again(status: int) -> None:
    with serving(Reply(status), Reply.json({"ok": 1})) as bench:
        answer = bench.transport().request("PUT", "/x", body=b"{}", judge=undone)
    assert answer.body == b'{"ok": 1}'
    assert [asked.body for asked in bench.server.asked] == [b"{}", b"{}"]
    assert bench.limiter.asked == 2, "every attempt passes the limiter"


def test_a_write_that_is_taken_back_every_time_is_given_up_as_undone() -> None:
    with serving(Reply(417)) as bench, pytest.raises(VendorUnavailable) as raised:
        bench.transport().request("PUT", "/x", body=b"{}", judge=undone)
    assert not raised.value.maybe_done and len(bench.server.asked) == 4


def test_an_outage_with_an_end_leaves_a_write_unknown_and_still_pauses_the_connection() -> None:
    with (
        serving(Reply(503, headers={"Retry-After": "600"})) as bench,
        pytest.raises(VendorUnavailable) as raised,  # a RateLimited would say that nothing was done
    ):
        bench.transport().request("POST", "/x", body=b"{}")
    assert raised.value.maybe_done and bench.limiter.paused == [600.0]


def test_an_outage_with_an_end_puts_off_a_write_that_was_not_done() -> None:
    with serving(Reply(503, headers={"Retry-After": "600"})) as bench, pytest.raises(RateLimited) as raised:
        bench.transport().request("POST", "/x", body=b"{}", judge=undone)
    assert raised.value.retry_after == 600.0 and bench.limiter.paused == [600.0]


def test_a_write_that_is_refused_for_its_rate_was_not_done() -> None:
    with serving(Reply(429, headers={"Retry-After": "1"}), Reply.json({})) as bench:
        bench.transport().request("DELETE", "/x")
    assert len(bench.server.asked) == 2 and bench.limiter.paused == [1.0]


@pytest.mark.parametrize(
    ("reply", "maybe_done"),
    [
        (Reply(501, b"what?"), True),
        (Reply(body=b"x" * 5000), True),
        (Reply(body=b"plain", headers={"Content-Encoding": "gzip"}), True),
        (Reply(body=gzip.compress(b"\0" * 100_000), headers={"Content-Encoding": "gzip"}), True),
        (Reply(400, b"no"), False),
        (Reply(404, b"<html>no such site</html>"), False),
        (Reply(302, headers={"Location": "/elsewhere"}), False),
    ],
    ids=["501", "too large", "not compressed", "bomb", "400", "404", "redirect"],
)
def test_an_answer_nobody_understands_says_whether_the_write_may_be_done(reply: Reply, maybe_done: bool) -> None:
    with serving(reply) as bench, pytest.raises(ProtocolError) as raised:
        bench.transport(max_body=4096).request("POST", "/x", body=b"{}")
    assert raised.value.maybe_done is maybe_done
    assert len(bench.server.asked) == 1


@pytest.mark.parametrize(
    "last", [Reply(429, headers={"Retry-After": "600"}), Reply(401), Reply(400)], ids=["429", "401", "400"]
)
def test_a_repeatable_write_that_may_be_done_stays_so_whatever_becomes_of_its_repetitions(last: Reply) -> None:
    with serving(Reply(503), last) as bench, pytest.raises(VendorUnavailable) as raised:
        bench.transport().request("POST", "/x", body=b"{}", idempotent=True)
    assert raised.value.maybe_done and len(bench.server.asked) == 2


def test_a_repeatable_write_whose_answer_comes_at_last_is_done() -> None:
    with serving(Reply(wire=reset), Reply.json({"ok": 1})) as bench:
        assert bench.transport().request("POST", "/x", body=b"{}", idempotent=True).body == b'{"ok": 1}'
