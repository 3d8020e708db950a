"""Answers too large to be held are handed out in pieces, and promised everything that other answers are."""

from __future__ import annotations

import socket
import time
import tracemalloc
from collections.abc import Callable, Iterator

import pytest

from erpflow.connectors.answer import Answer
from erpflow.connectors.transport import Timeouts, Transport
from erpflow.errors import AuthFailed, ErpflowError, ProtocolError, VendorUnavailable
from erpflow.testing.server import Reply, reset
from tests.wire import serving

MEBIBYTE = 1024 * 1024
LARGE = 1024 * MEBIBYTE


def whole(answer: Answer, pieces: Iterator[bytes]) -> bytes:
    return b"".join(pieces)


def streamed(transport: Transport, *, most: int = LARGE, idempotent: bool = True) -> bytes:
    return transport.stream("POST", "/", consume=whole, most=most, body=b"<ask/>", idempotent=idempotent)


def sending(total: int, *, promised: int | None = None) -> Callable[[socket.socket], None]:
    """An answer of `total` bytes that says it has `promised`."""

    def wire(connection: socket.socket) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {promised or total}\r\n\r\n"
        connection.sendall(head.encode())
        for _ in range(total // MEBIBYTE):
            connection.sendall(b"x" * MEBIBYTE)

    return wire


def test_a_body_larger_than_any_held_one_passes_through_little_memory() -> None:
    sizes: list[int] = []

    def count(answer: Answer, pieces: Iterator[bytes]) -> int:
        sizes.extend(len(piece) for piece in pieces)
        return sum(sizes)

    with serving(Reply(wire=sending(96 * MEBIBYTE))) as bench:
        transport = bench.transport(max_body=MEBIBYTE)
        tracemalloc.start()
        total = transport.stream("GET", "/", consume=count, most=LARGE)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert total == 96 * MEBIBYTE
    assert max(sizes) <= MEBIBYTE and peak < 8 * MEBIBYTE


def test_the_consumer_sees_the_head_of_the_answer() -> None:
    seen: list[Answer] = []

    def look(answer: Answer, pieces: Iterator[bytes]) -> bytes:
        seen.append(answer)
        return whole(answer, pieces)

    with serving(Reply(body=b"<a/>", headers={"Content-Type": "text/xml; charset=utf-16"})) as bench:
        assert bench.transport().stream("GET", "/x", consume=look, most=LARGE) == b"<a/>"
    assert (seen[0].status, seen[0].headers["Content-Type"], seen[0].body) == (200, "text/xml; charset=utf-16", b"")


def test_a_streamed_body_is_cut_at_its_own_limit() -> None:
    with serving(Reply(body=b"x" * 5000)) as bench, pytest.raises(ProtocolError, match="more than 4,999 bytes"):
        streamed(bench.transport(), most=4999)


def test_a_body_that_breaks_off_is_asked_for_again_from_its_beginning() -> None:
    torn = Reply(wire=sending(MEBIBYTE, promised=2 * MEBIBYTE))
    with serving(torn, torn, Reply(body=b"whole")) as bench:
        assert streamed(bench.transport()) == b"whole"
    assert len(bench.server.asked) == 3


def test_a_streamed_write_is_not_sent_again_once_it_left() -> None:
    with serving(Reply(wire=reset)) as bench, pytest.raises(VendorUnavailable) as raised:
        streamed(bench.transport(), idempotent=False)
    assert raised.value.maybe_done and len(bench.server.asked) == 1


@pytest.mark.parametrize(("status", "kind"), [(401, AuthFailed), (404, ProtocolError), (503, VendorUnavailable)])
def test_an_answer_that_is_no_2xx_is_judged_and_never_consumed(status: int, kind: type[ErpflowError]) -> None:
    consumed: list[bytes] = []

    def keep(answer: Answer, pieces: Iterator[bytes]) -> None:
        consumed.extend(pieces)

    with serving(Reply(status, b"the reason")) as bench, pytest.raises(kind, match=str(status)):
        bench.transport().stream("GET", "/", consume=keep, most=LARGE)
    assert consumed == []


def test_an_accepted_answer_without_a_body_is_no_result() -> None:
    with serving(Reply(404)) as bench, pytest.raises(ProtocolError, match="no body"):
        bench.transport().stream("GET", "/", consume=whole, most=LARGE, judge=lambda answer: None)


def test_what_the_consumer_calls_an_outage_is_tried_again_and_what_it_calls_nonsense_is_not() -> None:
    def outage_then_nonsense(answer: Answer, pieces: Iterator[bytes]) -> None:
        text = whole(answer, pieces)
        raise VendorUnavailable("half of it") if text == b"half" else ProtocolError("nonsense")

    with serving(Reply(body=b"half"), Reply(body=b"?")) as bench, pytest.raises(ProtocolError, match="nonsense"):
        bench.transport().stream("GET", "/", consume=outage_then_nonsense, most=LARGE)
    assert bench.time.slept == [0.5]


def test_secrets_are_masked_in_what_the_consumer_raises() -> None:
    def quote(answer: Answer, pieces: Iterator[bytes]) -> None:
        raise ProtocolError(f"It says {whole(answer, pieces).decode()}")

    with serving(Reply(body=b"the-api-key:the-api-secret")) as bench, pytest.raises(ProtocolError) as raised:
        bench.transport().stream("GET", "/", consume=quote, most=LARGE)
    assert "secret" not in str(raised.value)


def test_a_drip_cannot_outlive_the_total_time_while_it_is_consumed() -> None:
    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n")
        for _ in range(40):
            try:
                connection.sendall(b"x")
            except OSError:
                return
            time.sleep(0.05)

    with serving(Reply(wire=drip)) as bench, pytest.raises(VendorUnavailable, match="did not answer in time"):
        started = time.monotonic()
        streamed(bench.transport(clock=time.monotonic, timeouts=Timeouts(read=5.0, total=0.3)), idempotent=False)
    assert time.monotonic() - started < 1.5


@pytest.mark.parametrize(("rest", "asked"), [(0.0, 4), (5.0, 4), (120.0, 1)])
def test_after_an_answer_that_came_too_late_a_busy_vendor_is_left_alone(rest: float, asked: int) -> None:
    def silence(connection: socket.socket) -> None:
        time.sleep(0.3)

    with serving(Reply(wire=silence)) as bench, pytest.raises(VendorUnavailable, match="did not answer in time"):
        streamed(bench.transport(timeouts=Timeouts(read=0.05, rest=rest)))
    assert len(bench.server.asked) == asked
    assert bench.limiter.paused == ([rest] * asked if rest else [])
