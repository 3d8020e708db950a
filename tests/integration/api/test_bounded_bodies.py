"""Bodies that are too large, too slow, packed, or not what they say: refused, and nobody else waits."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import pytest

from erpflow.api.bounds import LARGEST, BoundedBodies
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


def test_a_body_that_dribbles_is_given_up() -> None:
    sent: list[dict[str, Any]] = []

    async def never(_scope: Any, _receive: Any, _send: Any) -> None:
        raise AssertionError("the app must not be asked")

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": b"x", "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
    asyncio.run(BoundedBodies(never, patience_s=0.1)(scope, receive, send))
    assert sent[0]["status"] == 408
    assert json.loads(sent[1]["body"])["code"] == "request_timeout"
