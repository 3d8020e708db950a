"""boto3 over our own transport: who signs, what goes out, and that only AWS's own refusals are tried again."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import BaseAdapter
from urllib3.response import HTTPResponse

from erpflow.connectors.account import Account
from erpflow.connectors.aws_keys import ROLE_VARIABLE, keys_of
from erpflow.connectors.aws_wire import AwsClient
from erpflow.connectors.limiter import Unlimited
from erpflow.connectors.transport import Transport
from erpflow.errors import RateLimited, VendorUnavailable

ADDRESS = "https://textract.eu-central-1.amazonaws.com"
NOTHING = {"DocumentMetadata": {"Pages": 1}, "Blocks": []}
THROTTLED = {"__type": "ThrottlingException", "message": "Rate exceeded for very-secret"}


class Counting(Unlimited):
    """Counts who passes, and what is paused."""

    def __init__(self) -> None:
        self.passed, self.pauses = 0, list[float]()

    def acquire(self, cost: float = 1.0) -> float:
        self.passed += 1
        return 0.0

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)


class Wire(BaseAdapter):
    """Answers in AWS's place, and keeps what was sent."""

    def __init__(self, *answers: tuple[int, dict[str, Any]] | Exception) -> None:
        super().__init__()
        self.answers, self.sent = list(answers), list[requests.PreparedRequest]()

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override]
        self.sent.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        found = requests.Response()
        found.status_code = answer[0]
        found.headers["Content-Type"] = "application/x-amz-json-1.1"
        found.raw = HTTPResponse(BytesIO(json.dumps(answer[1]).encode()), status=answer[0], preload_content=False)
        return found

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture(autouse=True)
def no_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setattr("time.sleep", lambda _: None)


def client(wire: Wire, limiter: Counting, *, login: str | None, password: str | None) -> AwsClient:
    keys = keys_of(Account(ADDRESS, login=login, password=password, extra={"region": "eu-central-1"}))
    session = requests.Session()
    session.trust_env, session.auth = False, keys
    session.mount("https://", wire)
    return AwsClient("textract", keys, Transport(session, base_url=ADDRESS, limiter=limiter))


def read(found: AwsClient) -> dict[str, Any]:
    return found.call("DetectDocumentText", {"Document": {"Bytes": b"abc"}})


def test_the_connections_keys_sign_whatever_the_machine_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAMACHINE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-machines")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "the-machines-token")
    wire = Wire((200, NOTHING))
    assert read(client(wire, Counting(), login="AKIAOURS", password="very-secret")) == NOTHING
    [sent] = wire.sent
    assert (sent.method, sent.url) == ("POST", f"{ADDRESS}/")
    assert "Credential=AKIAOURS/" in sent.headers["Authorization"]
    assert "X-Amz-Security-Token" not in sent.headers
    assert sent.headers["X-Amz-Target"] == "Textract.DetectDocumentText"
    assert json.loads(sent.body or b"") == {"Document": {"Bytes": "YWJj"}}


def test_without_keys_the_machines_role_signs_with_its_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ROLE_VARIABLE, "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAMACHINE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-machines")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "the-machines-token")
    wire = Wire((200, NOTHING))
    assert read(client(wire, Counting(), login=None, password=None)) == NOTHING
    assert "Credential=AKIAMACHINE/" in wire.sent[0].headers["Authorization"]
    assert wire.sent[0].headers["X-Amz-Security-Token"] == "the-machines-token"


def test_each_attempt_passes_the_limits_and_lasting_throttling_pauses_the_connection() -> None:
    wire, limiter = Wire(*[(400, THROTTLED)] * 3), Counting()
    with pytest.raises(RateLimited, match="ThrottlingException") as refused:
        read(client(wire, limiter, login="AKIAOURS", password="very-secret"))
    assert (limiter.passed, limiter.pauses) == (3, [5.0])
    assert "very-secret" not in str(refused.value)


def test_what_aws_failed_at_is_tried_again_and_a_lost_answer_is_not() -> None:
    broken = {"__type": "InternalServerError", "message": "Internal server error"}
    wire = Wire((500, broken), (200, NOTHING))
    assert read(client(wire, Counting(), login="AKIAOURS", password="very-secret")) == NOTHING
    lost = Wire(requests.exceptions.ReadTimeout("no answer"))
    with pytest.raises(VendorUnavailable) as error:
        read(client(lost, Counting(), login="AKIAOURS", password="very-secret"))
    assert (len(lost.sent), error.value.maybe_done) == (1, True)
