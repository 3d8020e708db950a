"""The sandbox fails on demand, in the ways networks and servers do."""

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from sandbox.background import serving
from sandbox.host import Host, wrap
from sandbox.vendor import SeedPlan

CUSTOMERS = "/erpnext/api/resource/Customer"


class Client:
    """A client with the connector's token, and the side door beside it."""

    def __init__(self, url: str, host: Host) -> None:
        self.url, self.host = url, host
        self.session = requests.Session()
        self.session.trust_env = False
        user = host.states["erpnext"].users["connector@example.com"]
        self.session.headers["Authorization"] = f"token {user.api_key}:{user.api_secret}"

    def get(self, path: str = CUSTOMERS, **params: Any) -> requests.Response:
        return self.session.get(self.url + path, params=params, timeout=20)

    def post(self, path: str, body: Any) -> requests.Response:
        return self.session.post(self.url + path, json=body, timeout=20)

    def arm(self, *faults: dict[str, Any]) -> list[dict[str, Any]]:
        answer = self.post("/_sandbox/faults", list(faults))
        assert answer.status_code == 201, answer.text
        armed: list[dict[str, Any]] = answer.json()["faults"]
        return armed


@pytest.fixture(scope="module")
def running() -> Iterator[Client]:
    host = Host(SeedPlan(sizes={"customers": 60, "items": 20, "orders": 30}))
    with serving(wrap(host)) as url:
        yield Client(url, host)


@pytest.fixture
def client(running: Client) -> Iterator[Client]:
    running.host.faults.clear()
    running.host.faults.reseed(7)
    running.host.traffic.reset()
    yield running
    running.host.faults.clear()


def test_too_many_requests_says_when_to_come_back(client: Client) -> None:
    client.arm({"kind": "status", "status": 429, "retry_after": 3, "path": "Customer", "times": 1})
    refused = client.get()
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "3")
    assert client.get().status_code == 200


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_server_error_strikes_as_often_as_told(client: Client, status: int) -> None:
    client.arm({"kind": "status", "status": status, "times": 2})
    assert [client.get().status_code for _ in range(3)] == [status, status, 200]


def test_requests_can_pass_before_the_fault_strikes(client: Client) -> None:
    client.arm({"kind": "status", "status": 503, "skip": 2, "times": 1})
    assert [client.get().status_code for _ in range(4)] == [200, 200, 503, 200]


def test_a_fault_strikes_only_the_paths_and_methods_it_names(client: Client) -> None:
    client.arm({"kind": "status", "status": 503, "path": "/Item", "method": "get"})
    assert client.get(CUSTOMERS).status_code == 200
    assert client.get("/erpnext/api/resource/Item").status_code == 503
    assert client.post("/erpnext/api/resource/Item", {"item_code": "A"}).status_code == 417


def test_the_query_belongs_to_what_a_path_pattern_sees(client: Client) -> None:
    client.arm({"kind": "status", "status": 503, "path": "limit_start=20"})
    assert client.get(limit_start=0).status_code == 200
    assert client.get(limit_start=20).status_code == 503


def test_a_reset_connection_is_a_reset_and_no_end_of_file(client: Client) -> None:
    client.arm({"kind": "reset", "times": 1})
    parts = urlsplit(client.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as raw:
        raw.sendall(f"GET {CUSTOMERS} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        with pytest.raises(ConnectionResetError):
            raw.recv(1000)
    assert client.get().status_code == 200


def test_a_truncated_answer_promises_more_than_it_sends(client: Client) -> None:
    client.arm({"kind": "truncate", "times": 1})
    parts = urlsplit(client.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as raw:
        token = client.session.headers["Authorization"]
        raw.sendall(f"GET {CUSTOMERS} HTTP/1.1\r\nHost: x\r\nAuthorization: {token!s}\r\n\r\n".encode())
        received = b"".join(iter(lambda: raw.recv(65536), b""))
    head, _, body = received.partition(b"\r\n\r\n")
    promised = next(
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
    )
    assert b"200 OK" in head
    assert 0 < len(body) < promised
    with pytest.raises(json.JSONDecodeError):
        json.loads(body)


def test_a_client_notices_the_truncated_answer(client: Client) -> None:
    client.arm({"kind": "truncate", "times": 1})
    with pytest.raises(requests.exceptions.RequestException):
        client.get().json()
    assert client.get().status_code == 200


def test_html_comes_where_json_was_expected(client: Client) -> None:
    client.arm({"kind": "html", "times": 1})
    answer = client.get()
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    with pytest.raises(requests.exceptions.JSONDecodeError):
        answer.json()


def test_an_expired_token_is_refused_in_the_vendors_own_words(client: Client) -> None:
    client.arm({"kind": "unauthorized", "times": 1})
    answer = client.get()
    assert (answer.status_code, answer.json()["exc_type"]) == (401, "AuthenticationError")


def test_a_write_can_be_done_and_its_answer_lost(client: Client) -> None:
    client.arm({"kind": "after_commit", "method": "POST", "path": "resource/Customer", "times": 1})
    answer = client.post(CUSTOMERS, {"customer_name": "Written All The Same"})
    assert answer.status_code == 504
    found = client.get(filters='[["customer_name","=","Written All The Same"]]').json()["data"]
    assert found == [{"name": "Written All The Same"}]


def test_a_write_can_be_done_and_its_connection_reset(client: Client) -> None:
    client.arm({"kind": "reset_after_commit", "method": "POST", "path": "resource/Customer", "times": 1})
    with pytest.raises(requests.exceptions.ConnectionError):
        client.post(CUSTOMERS, {"customer_name": "Written And Reset"})
    found = client.get(filters='[["customer_name","=","Written And Reset"]]').json()["data"]
    assert found == [{"name": "Written And Reset"}]


def test_a_fault_may_strike_several_methods(client: Client) -> None:
    client.arm({"kind": "status", "status": 503, "method": "post|PUT"})
    assert client.get().status_code == 200
    assert client.post(CUSTOMERS, {"customer_name": "Refused"}).status_code == 503
    assert client.session.put(f"{client.url}{CUSTOMERS}/x", json={}, timeout=20).status_code == 503


def test_latency_delays_the_answer_and_leaves_it_whole(client: Client) -> None:
    client.arm({"kind": "latency", "seconds": 0.3, "times": 1})
    started = time.monotonic()
    answer = client.get()
    assert time.monotonic() - started >= 0.3
    assert len(answer.json()["data"]) == 20


def test_a_slow_answer_holds_up_nobody_else(client: Client) -> None:
    client.arm({"kind": "latency", "seconds": 1.5, "path": "slow=1", "times": 1})
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(client.session.get, client.url + CUSTOMERS, params={"slow": 1}, timeout=20)
        while client.host.traffic.current == 0:
            time.sleep(0.01)
        assert requests.get(f"{client.url}/erpnext/api/method/ping", timeout=20).json() == {"message": "pong"}
        assert not slow.done()
        assert slow.result().status_code == 200


def test_a_client_that_gives_up_does_not_stop_its_write(client: Client) -> None:
    client.arm({"kind": "latency", "seconds": 0.6, "method": "POST", "path": "resource/Customer", "times": 1})
    with pytest.raises(requests.exceptions.Timeout):
        client.session.post(client.url + CUSTOMERS, json={"customer_name": "Impatient Traders"}, timeout=0.2)
    while client.host.traffic.current:
        time.sleep(0.01)
    assert client.get(filters='[["name","=","Impatient Traders"]]').json()["data"] == [{"name": "Impatient Traders"}]


def test_the_same_seed_gives_the_same_failures(client: Client) -> None:
    def pattern() -> list[int]:
        client.host.faults.clear()
        client.host.faults.reseed(11)
        client.arm({"kind": "status", "status": 503, "probability": 0.5})
        return [client.get(limit_page_length=1).status_code for _ in range(20)]

    first = pattern()
    assert pattern() == first
    assert set(first) == {200, 503}


def test_the_side_door_is_spared_and_takes_faults_away(client: Client) -> None:
    armed = client.arm({"kind": "reset"}, {"kind": "status"})
    listed = client.get("/_sandbox/faults").json()
    assert [fault["kind"] for fault in listed["faults"]] == ["reset", "status"]
    first = client.session.delete(f"{client.url}/_sandbox/faults", params={"id": armed[0]["id"]}, timeout=20)
    assert [fault["kind"] for fault in first.json()["faults"]] == ["status"]
    client.session.delete(f"{client.url}/_sandbox/faults", timeout=20)
    assert client.get().status_code == 200


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"kind": "explode"}, "it may be latency, status, reset"),
        ({"kind": "status", "code": 500}, "A fault has no code; it has kind"),
        ({"kind": "status", "times": "often"}, "times of a fault is int or null, not 'often'"),
        ({"kind": "reset", "path": "("}, "no regular expression"),
        ("reset", "A fault is a JSON object, not str"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused_with_a_sentence(client: Client, fault: Any, said: str) -> None:
    answer = client.post("/_sandbox/faults", fault)
    assert answer.status_code == 400
    assert said in answer.json()["error"]
    assert client.host.faults.faults == []


def test_the_traffic_is_counted_by_path_status_and_at_once(client: Client) -> None:
    client.arm({"kind": "latency", "seconds": 0.5, "path": "limit_page_length=1$"})
    with ThreadPoolExecutor(5) as pool:
        answers = list(
            pool.map(lambda _: requests.get(client.url + CUSTOMERS + "?limit_page_length=1", timeout=20), range(5))
        )
    assert {answer.status_code for answer in answers} == {403}
    client.get("/erpnext/api/resource/Customer/HOSTILE-HTML")
    seen = client.get("/_sandbox/stats").json()
    assert seen["by_path"] == {f"GET {CUSTOMERS}": 5, f"GET {CUSTOMERS}/<name>": 1}
    assert seen["by_status"] == {"200": 1, "403": 5}
    assert (seen["requests"], seen["at_once"]) == (6, 0)
    assert 2 <= seen["most_at_once"] <= 5
    assert seen["busiest_second"] >= 1
