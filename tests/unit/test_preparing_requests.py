"""What a request carries besides what the connector asks for: what the session says, and nothing of this machine's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import BaseAdapter

from erpflow.connectors.preparing import RequestMaker

HOST = "https://erp.example.com"


class Wire(BaseAdapter):
    """Answers at once, and remembers what it was sent."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[requests.PreparedRequest] = []

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]
        self.sent.append(request)
        answer = requests.Response()
        answer.status_code = 200
        answer.request, answer.url = request, request.url or ""
        return answer

    def close(self) -> None:
        """There is nothing to close."""


def session_with(wire: Wire) -> requests.Session:
    session = requests.Session()
    session.mount(HOST, wire)
    return session


@pytest.mark.parametrize("body", [b'{"a":1}', None])
def test_a_request_is_what_the_session_itself_would_make_of_it(body: bytes | None) -> None:
    session = requests.Session()
    session.headers["X-Company"] = "1"
    session.params = {"company": "ours"}
    session.auth = ("me", "secret")
    headers = {"X-Company": "2", "Accept": "text/xml"}
    made = RequestMaker(session, base_url=HOST).request("POST", f"{HOST}/a b?c=d", body=body, headers=headers)
    expected = session.prepare_request(requests.Request("POST", f"{HOST}/a b?c=d", data=body, headers=headers))
    assert (made.method, made.url, made.body) == (expected.method, expected.url, expected.body)
    assert dict(made.headers) == dict(expected.headers)


def test_an_answer_is_asked_for_as_json_unless_the_connector_asks_for_something_else() -> None:
    made = RequestMaker(requests.Session(), base_url=HOST).request("GET", HOST, body=None, headers={})
    assert made.headers["Accept"] == "application/json"


def test_the_login_of_a_netrc_file_signs_only_what_nothing_else_signs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine erp.example.com login me password secret\n", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(netrc))
    session = requests.Session()
    bare = RequestMaker(session, base_url=HOST).request("GET", HOST, body=None, headers={})
    assert bare.headers["Authorization"].startswith("Basic ")
    session.auth = lambda request: request
    signed = RequestMaker(session, base_url=HOST).request("GET", HOST, body=None, headers={})
    assert "Authorization" not in signed.headers


def test_a_way_of_signing_that_wants_to_see_the_answers_sees_them() -> None:
    wire, seen = Wire(), list[int]()

    def sign(request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.register_hook("response", lambda answer, **_: seen.append(answer.status_code))
        return request

    session = session_with(wire)
    maker = RequestMaker(session, base_url=HOST)
    maker.send(maker.request("GET", HOST, body=None, headers={}))
    assert seen == []
    session.auth = sign
    maker.send(maker.request("GET", HOST, body=None, headers={}))
    assert (seen, len(wire.sent)) == ([200], 2)
