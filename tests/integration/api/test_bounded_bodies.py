"""Bodies that are too large, too slow, packed, or not what they say: refused, and nobody else waits."""

from __future__ import annotations

import gzip
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from erpflow.api.bounds import LARGEST, BoundedBodies
from sandbox.background import serving
from tests.calling import Api

KEYS = "/api/erp/api-keys"
JSON = {"Content-Type": "application/json"}


def refusal(answer: Any) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


def test_a_body_over_two_mebibytes_is_refused_whether_it_says_its_length_or_not(api: Api) -> None:
    large = b'{"name": "' + b"x" * LARGEST + b'"}'
    parts = (large[start : start + 65_536] for start in range(0, len(large), 65_536))
    assert refusal(api.client.post(KEYS, content=large, headers=JSON))[0] == 413
    assert refusal(api.client.post(KEYS, content=parts, headers=JSON))[0] == 413


@pytest.mark.parametrize("prefix", ["/api/customers", "/api/metakocka", "/api/integrations/veekaart"])
def test_whoever_expects_other_words_of_errors_gets_them_for_a_body_too(api: Api, prefix: str) -> None:
    answer = api.client.post(f"{prefix}/sync", content=b"x" * (LARGEST + 1), headers=JSON)
    assert (answer.status_code, answer.headers["Content-Type"]) == (413, "application/json")
    assert answer.json() == {"success": False, "error": "The body is larger than 2,097,152 bytes."}
    assert answer.headers["Connection"] == "close"


def test_a_packed_body_is_refused_before_it_is_unpacked(api: Api) -> None:
    bomb = gzip.compress(b'{"name": "' + b"x" * 50_000_000 + b'"}')
    headers = {**JSON, "Content-Encoding": "gzip"}
    assert refusal(api.client.post(KEYS, content=bomb, headers=headers)) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"\xff\xfe{\x00}", 400),
        ('{"name": "shop"}'.encode("utf-16"), 201),
        (b"[" * 100_000, 400),
        (b'{"a":' * 100_000, 400),
        (b'{"name": ' + b"9" * 100_000 + b"}", 400),
        (b'{"name": NaN}', 422),
        (b"", 422),
        (b"null", 422),
        (b'{"name": "\\u0000"}', 422),
        (b'{"name": "\\ud800"}', 422),
        (b'{"name": "x", "unknown": 1}', 422),
    ],
)
def test_a_body_that_is_no_sensible_json_is_the_senders_mistake(api: Api, body: bytes, status: int) -> None:
    answer = api.client.post(KEYS, content=body, headers=JSON)
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize("path", [f"{KEYS}?after=%00", f"{KEYS}?after=W10", "/api/erp/sync-logs?entity=%00"])
def test_what_postgres_cannot_hold_is_the_senders_mistake(api: Api, path: str) -> None:
    assert refusal(api.client.get(path))[0] == 422


async def echo(request: Request) -> Response:
    return Response(await request.body())


def dribble(address: tuple[str, int]) -> bytes:
    """What a server answers to somebody who sends a byte of the body now and then, up to the end of the connection."""
    with socket.create_connection(address, timeout=20) as sender:
        sender.sendall(b"POST / HTTP/1.1\r\nHost: erp\r\nContent-Length: 100000\r\n\r\n")
        sender.settimeout(0.02)
        answer = b""
        while True:
            try:
                part = sender.recv(65_536)
            except TimeoutError:
                with suppress(OSError):
                    sender.sendall(b"x")
                continue
            except ConnectionResetError:  # what was sent after the answer is not read
                return answer
            if not part:
                return answer
            answer += part


def test_bodies_that_dribble_are_given_up_and_keep_nobody_else_waiting() -> None:
    app = BoundedBodies(Starlette(routes=[Route("/", echo, methods=["POST"])]), patience_s=0.5)
    with serving(app) as url, ThreadPoolExecutor(40) as senders:
        parts = urlsplit(url)
        slow = [senders.submit(dribble, (str(parts.hostname), int(parts.port or 0))) for _ in range(40)]
        assert requests.post(url, data=b"quick", timeout=10).content == b"quick"
        assert not any(one.done() for one in slow)
        answers = [one.result() for one in slow]
    assert {answer.split(b"\r\n")[0] for answer in answers} == {b"HTTP/1.1 408 Request Timeout"}
    assert all(b"connection: close" in answer.lower() and b"request_timeout" in answer for answer in answers)
