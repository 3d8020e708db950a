"""What every request of every connector is promised: bounds, patience, and silence about secrets."""

from __future__ import annotations

import gzip
import socket
import ssl
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from erpflow.connectors.answer import Answer, http_date
from erpflow.connectors.base import Limits
from erpflow.connectors.limiter import LocalLimiter
from erpflow.connectors.transport import ONE_ATTEMPT, Retries, Timeouts, Transport
from erpflow.errors import (
    AuthFailed,
    ConfigError,
    ErpflowError,
    PermissionDenied,
    ProtocolError,
    RateLimited,
    VendorUnavailable,
)
from erpflow.testing.server import Asked, Reply, ScriptedServer, reset
from tests.wire import Time, serving


@contextmanager
def tls_server(folder: Path) -> Iterator[str]:
    """An HTTPS server with a certificate it signed itself."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    made = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(made - timedelta(days=1))
        .not_valid_after(made + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    pem.write_bytes(key.private_bytes(*plain) + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    with ScriptedServer(lambda asked: Reply.json({}), tls=context) as server:
        yield server.url


def test_an_answer_comes_back_with_its_body_clock_and_correlation_id() -> None:
    date = "Sat, 21 Nov 2026 01:48:43 GMT"
    with serving(Reply.json({"a": 1}, headers={"Date": date})) as bench:
        answer = bench.transport(new_id=lambda: "id-1").request("GET", "/x", query={"q": "a b&c"})
    assert (answer.status, answer.body) == (200, b'{"a": 1}')
    assert answer.server_time == datetime(2026, 11, 21, 1, 48, 43, tzinfo=UTC)
    assert bench.server.asked[0].query == {"q": "a b&c"}
    assert bench.server.asked[0].headers["X-Correlation-Id"] == "id-1" == answer.correlation_id
    assert bench.server.asked[0].headers["Authorization"] == "token the-api-key:the-api-secret"


def test_requests_share_one_connection() -> None:
    with serving(Reply.json({"a": "x" * 300_000})) as bench:
        transport = bench.transport()
        for _ in range(5):
            transport.request("GET", "/x")
    assert bench.server.connections == 1


def test_cookies_are_neither_kept_nor_sent_back() -> None:
    with serving(Reply.json({}, headers={"Set-Cookie": "sid=Guest; Path=/"})) as bench:
        transport = bench.transport()
        transport.request("GET", "/x")
        transport.request("GET", "/x")
    assert "Cookie" not in bench.server.asked[1].headers


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_gateway_in_trouble_is_asked_again_with_doubling_waits(status: int) -> None:
    with serving(Reply(status), Reply(status), Reply(status), Reply.json({"ok": 1})) as bench:
        assert bench.transport().request("GET", "/x").body == b'{"ok": 1}'
    assert bench.time.slept == [0.5, 1.0, 2.0]
    assert bench.limiter.asked == 4, "every attempt passes the limiter"


def test_waits_are_jittered_over_their_whole_length() -> None:
    with serving(Reply(503), Reply.json({})) as bench:
        bench.transport(jitter=lambda: 0.25).request("GET", "/x")
    assert bench.time.slept == [0.125]


def test_giving_up_names_the_vendor_down() -> None:
    with serving(Reply(503, b"<html>upstream is tired</html>")) as bench, pytest.raises(VendorUnavailable) as raised:
        bench.transport().request("GET", "/x")
    assert len(bench.server.asked) == 4
    assert "503" in str(raised.value) and "upstream is tired" in str(raised.value)


def test_attempts_share_one_correlation_id() -> None:
    with serving(Reply(503), Reply.json({})) as bench:
        bench.transport().request("GET", "/x")
    assert len({asked.headers["X-Correlation-Id"] for asked in bench.server.asked}) == 1


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, ProtocolError), (401, AuthFailed), (403, PermissionDenied), (404, ProtocolError), (417, ProtocolError)],
)
def test_a_refusal_is_never_repeated(status: int, kind: type[ErpflowError]) -> None:
    with serving(Reply(status, b"no")) as bench, pytest.raises(kind):
        bench.transport().request("GET", "/x")
    assert len(bench.server.asked) == 1


def test_a_4xx_is_not_repeated_even_if_its_judge_calls_it_an_outage() -> None:
    with serving(Reply(418)) as bench, pytest.raises(VendorUnavailable):
        bench.transport().request("GET", "/x", judge=lambda answer: VendorUnavailable("odd"))
    assert len(bench.server.asked) == 1


def test_a_500_the_judge_declares_passing_is_repeated() -> None:
    def judge(answer: Answer) -> ErpflowError | None:
        return VendorUnavailable("deadlock") if answer.status == 500 else None

    with serving(Reply(500), Reply.json({})) as bench:
        bench.transport().request("GET", "/x", judge=judge)
    assert len(bench.server.asked) == 2


def test_a_write_is_not_repeated_when_its_outcome_is_unknown() -> None:
    with serving(Reply(503)) as bench, pytest.raises(VendorUnavailable):
        bench.transport().request("POST", "/x", body=b"{}")
    assert len(bench.server.asked) == 1


def test_a_post_that_only_reads_is_repeated() -> None:
    with serving(Reply(503), Reply.json({})) as bench:
        bench.transport().request("POST", "/x", body=b"{}", idempotent=True)
    assert [asked.body for asked in bench.server.asked] == [b"{}", b"{}"]


def test_a_broken_connection_is_tried_again() -> None:
    with serving(Reply(wire=reset), Reply.json({"ok": 1})) as bench:
        assert bench.transport().request("GET", "/x").body == b'{"ok": 1}'
    assert len(bench.server.asked) == 2


def test_a_torn_body_is_tried_again_and_never_taken_for_an_answer() -> None:
    def torn(connection: socket.socket) -> None:
        connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"data":[')
        connection.close()

    with serving(Reply(wire=torn)) as bench, pytest.raises(VendorUnavailable):
        bench.transport().request("GET", "/x")
    assert len(bench.server.asked) == 4


def test_a_dead_host_is_an_outage() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with requests.Session() as session:
        transport = Transport(session, base_url=f"http://127.0.0.1:{port}", sleep=lambda _: None)
        with pytest.raises(VendorUnavailable, match="Connection refused"):
            transport.request("GET", "/x")


def test_an_unknown_host_says_so() -> None:
    with requests.Session() as session:
        session.trust_env = False
        transport = Transport(session, base_url="http://no-such-host.invalid", sleep=lambda _: None)
        with pytest.raises(VendorUnavailable, match="no such host"):
            transport.request("GET", "/x")


# -- time-outs ------------------------------------------------------------------------------------------------------


def test_a_silent_server_is_left_after_the_read_timeout() -> None:
    def silent(connection: socket.socket) -> None:
        time.sleep(1.0)

    with serving(Reply(wire=silent)) as bench, pytest.raises(VendorUnavailable, match="in time"):
        bench.transport(timeouts=Timeouts(read=0.1), retries=ONE_ATTEMPT).request("GET", "/x")


def _drip(head: bytes, drop: bytes) -> Reply:
    def wire(connection: socket.socket) -> None:
        connection.sendall(head)
        for _ in range(100):
            connection.sendall(drop)
            time.sleep(0.03)

    return Reply(wire=wire)


@pytest.mark.parametrize(
    "reply",
    [
        _drip(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x"),
        _drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        _drip(b"HTTP/1.1 200 OK\r\nX-Endless: ", b"x"),
    ],
    ids=["body", "chunks", "headers"],
)
def test_a_slow_drip_cannot_outlive_the_total_timeout(reply: Reply) -> None:
    with serving(reply) as bench, pytest.raises(VendorUnavailable, match=r"in all 0\.3 s"):
        bench.transport(clock=time.monotonic, timeouts=Timeouts(read=30.0, total=0.3), retries=ONE_ATTEMPT).request(
            "GET", "/x"
        )


def test_a_proxy_does_not_lift_the_total_timeout() -> None:
    with serving(_drip(b"HTTP/1.1 200 OK\r\nX-Endless: ", b"x")) as bench:
        bench.session.proxies = {"http": bench.server.url}
        transport = bench.transport(
            base_url="http://erp.invalid", clock=time.monotonic, timeouts=Timeouts(total=0.3), retries=ONE_ATTEMPT
        )
        with pytest.raises(VendorUnavailable, match=r"in all 0\.3 s"):
            transport.request("GET", "/x")
        assert bench.server.asked[0].headers["Host"] == "erp.invalid"


# -- sizes ----------------------------------------------------------------------------------------------------------


def test_a_body_announced_too_large_is_not_read() -> None:
    with serving(Reply(body=b"x" * 5000)) as bench, pytest.raises(ProtocolError, match="more than 4,096 bytes"):
        bench.transport(max_body=4096).request("GET", "/x")
    assert len(bench.server.asked) == 1


def test_a_body_without_an_end_is_cut_at_the_limit() -> None:
    def endless(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        for _ in range(1000):
            connection.sendall(b"x" * 10_000)

    with serving(Reply(wire=endless)) as bench, pytest.raises(ProtocolError, match="more than"):
        bench.transport(max_body=100_000).request("GET", "/x")


def test_a_gzip_bomb_is_stopped_before_memory_is_gone() -> None:
    bomb = gzip.compress(b"\0" * 200_000_000, compresslevel=9)
    assert len(bomb) < 1_000_000
    with serving(Reply(body=bomb, headers={"Content-Encoding": "gzip"})) as bench:
        transport = bench.transport(max_body=1_000_000)
        tracemalloc.start()
        try:
            with pytest.raises(ProtocolError, match="more than"):
                transport.request("GET", "/x")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 10_000_000


def test_a_compressed_body_comes_unpacked() -> None:
    body = b'{"data":[' + b",".join(b'{"n":%d}' % n for n in range(100_000)) + b"]}"
    with serving(Reply(body=gzip.compress(body), headers={"Content-Encoding": "gzip"})) as bench:
        assert bench.transport().request("GET", "/x").body == body


def test_a_body_that_only_claims_to_be_compressed_is_a_protocol_error() -> None:
    with serving(Reply(body=b"plain", headers={"Content-Encoding": "gzip"})) as bench, pytest.raises(ProtocolError):
        bench.transport().request("GET", "/x")


# -- limits ---------------------------------------------------------------------------------------------------------


def test_a_request_waits_for_its_turn() -> None:
    with serving(Reply.json({})) as bench:
        bench.limiter.waits = [2.5]
        bench.transport().request("GET", "/x")
    assert bench.time.slept == [2.5]


def test_a_long_turn_frees_the_worker_without_sending() -> None:
    with serving(Reply.json({})) as bench:
        bench.limiter.waits = [31.0]
        with pytest.raises(RateLimited) as raised:
            bench.transport().request("GET", "/x")
    assert raised.value.retry_after == 31.0
    assert bench.server.asked == [] and bench.limiter.paused == []


@pytest.mark.parametrize("wish", ["7", "Sat, 21 Nov 2026 12:00:07 GMT"], ids=["seconds", "date"])
def test_a_short_retry_after_is_slept_and_pauses_everybody(wish: str) -> None:
    with serving(Reply(429, headers={"Retry-After": wish}), Reply.json({})) as bench:
        bench.transport().request("GET", "/x")
    assert bench.time.slept == [7.0] == bench.limiter.paused


def test_a_retry_date_is_read_by_the_vendors_own_clock() -> None:
    headers = {"Retry-After": "Sat, 21 Nov 2026 18:00:05 GMT", "Date": "Sat, 21 Nov 2026 18:00:00 GMT"}
    with serving(Reply(429, headers=headers), Reply.json({})) as bench:
        bench.transport().request("GET", "/x")
    assert bench.time.slept == [5.0]


def test_a_long_retry_after_is_left_to_the_task() -> None:
    with serving(Reply(429, headers={"Retry-After": "2502"})) as bench, pytest.raises(RateLimited) as raised:
        bench.transport().request("GET", "/x")
    assert raised.value.retry_after == 2502.0
    assert bench.time.slept == [] and bench.limiter.paused == [2502.0] and len(bench.server.asked) == 1


def test_a_refused_write_was_not_done_and_may_be_sent_again() -> None:
    with serving(Reply(429, headers={"Retry-After": "1"}), Reply.json({})) as bench:
        bench.transport().request("POST", "/x", body=b"{}")
    assert len(bench.server.asked) == 2


@pytest.mark.parametrize("nonsense", ["soon", "-5", "", "nan", "9" * 400, "1e9"])
def test_a_retry_after_that_is_nonsense_does_no_harm(nonsense: str) -> None:
    with serving(Reply(429, headers={"Retry-After": nonsense})) as bench, pytest.raises(RateLimited) as raised:
        bench.transport().request("GET", "/x")
    assert 0 <= raised.value.retry_after <= 86_400


def test_an_outage_with_an_end_is_waited_for_by_the_task() -> None:
    with serving(Reply(503, headers={"Retry-After": "600"})) as bench, pytest.raises(RateLimited) as raised:
        bench.transport().request("GET", "/x")
    assert raised.value.retry_after == 600.0


def test_an_outage_with_a_near_end_is_not_tried_before_it() -> None:
    with serving(Reply(503, headers={"Retry-After": "4"}), Reply.json({})) as bench:
        bench.transport(jitter=lambda: 0.0).request("GET", "/x")
    assert bench.time.slept == [4.0]


def test_the_local_limiter_keeps_the_rate_after_a_burst() -> None:
    clock = Time()
    limiter = LocalLimiter(Limits(per_second=2.0), clock=clock)
    waits = [limiter.acquire() for _ in range(6)]
    assert waits == [0.0, 0.0, 0.0, 0.5, 1.0, 1.5]


def test_a_pause_holds_and_a_shorter_one_does_not_end_it() -> None:
    clock = Time()
    limiter = LocalLimiter(Limits(per_second=None), clock=clock)
    limiter.pause(10.0)
    limiter.pause(1.0)
    assert limiter.acquire() == 10.0
    clock.sleep(10.0)
    assert limiter.acquire() == 0.0


# -- redirects ------------------------------------------------------------------------------------------------------


def test_credentials_are_not_carried_to_another_address() -> None:
    with serving(Reply.json({})) as other:
        away = Reply(302, headers={"Location": f"{other.server.url}/steal"})
        with serving(away) as bench, pytest.raises(ProtocolError, match="not sent to another address"):
            bench.transport().request("GET", "/x")
        assert other.server.asked == []


def test_a_redirect_within_the_site_is_followed() -> None:
    def answer(asked: Asked) -> Reply:
        return Reply.json({"ok": 1}) if asked.path == "/y" else Reply(301, headers={"Location": "/y"})

    with serving(answer) as bench:
        assert bench.transport().request("GET", "/x").body == b'{"ok": 1}'


def test_nothing_new_is_an_answer_and_no_redirect() -> None:
    with serving(Reply(304)) as bench:
        assert bench.transport().request("GET", "/x", judge=lambda _: None).status == 304


def test_a_circle_of_redirects_ends() -> None:
    def answer(asked: Asked) -> Reply:
        return Reply(302, headers={"Location": "/b" if asked.path == "/a" else "/a"})

    with serving(answer) as bench, pytest.raises(ProtocolError, match="circle"):
        bench.transport().request("GET", "/a")
    assert len(bench.server.asked) == 4


# -- TLS ------------------------------------------------------------------------------------------------------------


def test_a_certificate_nobody_vouches_for_is_refused_and_not_retried(tmp_path: Path) -> None:
    with tls_server(tmp_path) as url, requests.Session() as session:
        session.trust_env = False
        slept: list[float] = []
        with pytest.raises(ProtocolError, match="no trusted TLS connection"):
            Transport(session, base_url=url, sleep=slept.append).request("GET", "/x")
    assert slept == []


def test_a_connections_own_word_on_certificates_beats_the_environments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "server.pem"))
    with tls_server(tmp_path) as url, requests.Session() as session:
        session.verify = "/no/such/bundle.pem"
        with pytest.raises(ConfigError, match="`verify`"):
            Transport(session, base_url=url).request("GET", "/x")


def test_a_ca_bundle_that_is_not_there_is_a_config_error() -> None:
    with requests.Session() as session:
        session.verify = "/no/such/bundle.pem"
        with pytest.raises(ConfigError, match="`verify`"):
            Transport(session, base_url="https://erp.invalid").request("GET", "/x")


# -- addresses ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url", ["", "erp.example.com", "ftp://erp.example.com", "https://", "http://x:99999", "http://["]
)
def test_what_is_not_an_address_is_a_config_error(url: str) -> None:
    with pytest.raises(ConfigError, match="not an address"):
        Transport(requests.Session(), base_url=url)


def test_an_address_with_a_secret_in_it_is_refused_without_repeating_it() -> None:
    with pytest.raises(ConfigError, match="more than an address") as raised:
        Transport(requests.Session(), base_url="https://user:hunter22@erp.example.com")
    assert "hunter22" not in str(raised.value)


@pytest.mark.parametrize(
    "text", ["", "yesterday", "Sat, 99 Nov 2026 25:61:61 GMT", "0", "Sat, 21 Nov 99999 00:00:00 GMT"]
)
def test_a_date_header_that_is_none_is_no_date(text: str) -> None:
    assert http_date(text) is None


def test_patience_belongs_to_the_call() -> None:
    with serving(Reply(503)) as bench, pytest.raises(VendorUnavailable):
        bench.transport().request("GET", "/x", retries=Retries(attempts=2))
    assert len(bench.server.asked) == 2
