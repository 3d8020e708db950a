"""Requests of declared systems carry what the connection holds, where the file says, and it is shown to nobody."""

from __future__ import annotations

import json
import traceback
from pathlib import Path
from typing import Any

import pytest

from erpflow.connectors.account import AccessToken, Account
from erpflow.connectors.oauth import oauth_client
from erpflow.connectors.rest.connector import connector_of
from erpflow.connectors.rest.load import load_declaration
from erpflow.errors import AuthFailed, ConfigError
from erpflow.testing.reading import read_all
from erpflow.testing.server import Asked, Reply, ScriptedServer
from tests.declared import declaration, running, thing, written

SECRET = "secret-word"
POSTED = {"method": "POST", "path": "/rpc", "body": {"params": {"args": ["things"]}}, "records": "data"}


def ok(asked: Asked) -> Reply:
    return Reply.json({"data": [thing(1)]})


def sent(folder: Path, auth: dict[str, Any], *, posted: bool = False, **options: Any) -> Asked:
    """The request for a page, as it arrived."""
    parts: dict[str, Any] = {"auth": auth, **options.pop("parts", {})}
    if posted:
        parts["entity"] = {"list": POSTED}
    with running(folder, declaration(**parts), ok, **options) as system:
        read_all(system.connector, "thing")
        return system.asked[-1]


def test_nothing_is_signed_where_nothing_is_wanted(tmp_path: Path) -> None:
    assert "Authorization" not in sent(tmp_path, {"kind": "none"}).headers


@pytest.mark.parametrize(
    ("auth", "value"),
    [
        ({"kind": "basic"}, "Basic bWU6c2VjcmV0LXdvcmQ="),
        ({"kind": "bearer"}, f"Bearer {SECRET}"),
        ({"kind": "bearer", "scheme": "Token", "value": "{login}:{password}"}, f"Token me:{SECRET}"),
        ({"kind": "api_key", "name": "Authorization", "value": "ApiKey {password}"}, f"ApiKey {SECRET}"),
    ],
)
def test_a_header_carries_the_credentials(tmp_path: Path, auth: dict[str, Any], value: str) -> None:
    assert sent(tmp_path, auth).headers["Authorization"] == value


def test_a_key_goes_into_the_query_beside_what_is_there(tmp_path: Path) -> None:
    asked = sent(tmp_path, {"kind": "api_key", "place": "query", "name": "key"})
    assert dict(asked.query) == {"key": SECRET, "limit": "3"}


def test_a_key_goes_into_the_body_at_its_path(tmp_path: Path) -> None:
    auth = {"kind": "api_key", "place": "body", "name": "params.args.0"}
    asked = sent(tmp_path, auth, posted=True)
    assert json.loads(asked.body) == {"params": {"args": [SECRET, "things"]}}
    assert int(asked.headers["Content-Length"]) == len(asked.body)


def test_a_request_without_a_body_gets_one_for_the_key(tmp_path: Path) -> None:
    asked = sent(tmp_path, {"kind": "api_key", "place": "body", "name": "auth.key"})
    assert json.loads(asked.body) == {"auth": {"key": SECRET}}


def test_a_setting_is_part_of_the_address(tmp_path: Path) -> None:
    parts = {"settings": {"company": {"title": "Company", "required": True}}, "address": "{address}/{settings.company}"}
    assert sent(tmp_path, {"kind": "none"}, parts=parts, extra={"company": "acme"}).path == "/acme/things"
    with pytest.raises(ConfigError, match="lacks a setting"):
        sent(tmp_path, {"kind": "none"}, parts=parts)


@pytest.mark.parametrize("auth", [{"kind": "bearer"}, {"kind": "basic"}])
def test_what_is_missing_is_named_and_nothing_is_sent(tmp_path: Path, auth: dict[str, Any]) -> None:
    with running(tmp_path, declaration(auth=auth), ok, login=None, password=None) as system:
        with pytest.raises(AuthFailed, match=r"The connection has no (password|login)"):
            read_all(system.connector, "thing")
        assert system.asked == []


def test_a_setting_that_is_required_is_missed_before_anything_is_sent(tmp_path: Path) -> None:
    content = declaration(settings={"company": {"title": "Company", "required": True}})
    with running(tmp_path, content, ok) as system:
        with pytest.raises(AuthFailed, match="The connection has no Company"):
            read_all(system.connector, "thing")
        assert system.asked == []


# -- sessions ----------------------------------------------------------------------------------------------------------

SESSION = {
    "kind": "session",
    "login": {"method": "POST", "path": "/login", "body": {"user": "{login}", "pass": "{password}"}},
    "take": {"sid": "session.id"},
    "send": {"headers": {"X-Session": "{session.sid}"}},
}


class Doorman:
    """Gives sessions out, and forgets them when told."""

    def __init__(self) -> None:
        self.given = 0
        self.known: set[str] = set()

    def __call__(self, asked: Asked) -> Reply:
        if asked.path == "/login":
            if json.loads(asked.body)["pass"] != SECRET:
                return Reply.json({"session": {"id": None}})
            self.given += 1
            self.known = {f"session-number-{self.given}"}
            return Reply.json({"session": {"id": f"session-number-{self.given}"}})
        return ok(asked) if asked.headers.get("X-Session") in self.known else Reply.json({}, status=401)


def test_a_session_is_opened_once_and_again_when_it_was_forgotten(tmp_path: Path) -> None:
    doorman = Doorman()
    with running(tmp_path, declaration(auth=SESSION), doorman) as system:
        for _ in range(3):
            read_all(system.connector, "thing")
        assert doorman.given == 1
        doorman.known = set()
        read_all(system.connector, "thing")
    assert doorman.given == 2


def test_a_login_that_is_refused_is_a_want_of_credentials_and_shows_none(tmp_path: Path) -> None:
    with (
        running(tmp_path, declaration(auth=SESSION), Doorman(), password="wrong-password-77") as system,
        pytest.raises(AuthFailed, match="answered without sid") as raised,
    ):
        read_all(system.connector, "thing")
    assert "wrong-password-77" not in "".join(traceback.format_exception(raised.value))


def test_a_session_id_is_a_secret_too(tmp_path: Path) -> None:
    with running(tmp_path, declaration(auth=SESSION), Doorman()) as system:
        read_all(system.connector, "thing")
        assert "session-number-1" not in system.connector._transport.redact("id session-number-1")


# -- OAuth -------------------------------------------------------------------------------------------------------------


class Tokens:
    def current(self) -> AccessToken:
        return AccessToken("an-access-token", 1)

    def renewed(self, version: int) -> AccessToken:
        return AccessToken("a-newer-token", version + 1)


def test_an_access_token_signs_and_is_renewed_when_it_is_refused(tmp_path: Path) -> None:
    auth = {"kind": "oauth2_client_credentials", "token_url": "{address}/token", "scopes": ["read"]}
    seen: list[str] = []

    def answer(asked: Asked) -> Reply:
        seen.append(asked.headers["Authorization"])
        return ok(asked) if len(seen) > 1 else Reply.json({}, status=401)

    with running(tmp_path, declaration(auth=auth), answer, tokens=Tokens()) as system:
        read_all(system.connector, "thing")
    assert seen[0] == "Bearer an-access-token" and len(seen) == 2


def test_an_app_gets_its_token_at_the_address_the_file_names_unless_that_is_private(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    auth = {"kind": "oauth2_client_credentials", "token_url": "{address}/token", "scopes": ["read"]}
    system = connector_of(load_declaration(written(tmp_path, declaration(auth=auth))))
    monkeypatch.delenv("ERPFLOW_ALLOW_PRIVATE_NETWORKS", raising=False)
    token = Reply.json({"access_token": "t-1", "token_type": "bearer", "expires_in": 60})
    with ScriptedServer(lambda asked: token) as server:
        allowed = Account(server.url, "app", SECRET, {"allow_private_networks": True})
        client = oauth_client(system, allowed)
        assert not client.needs_consent and client.renew(None).access_token == "t-1"
        assert b"grant_type=client_credentials" in server.asked[0].body
        with pytest.raises(ConfigError, match="private network"):
            oauth_client(system, Account(server.url, "app", SECRET)).renew(None)
        assert len(server.asked) == 1


def test_a_consent_of_a_person_is_asked_for_where_the_file_says(tmp_path: Path) -> None:
    auth = {
        "kind": "oauth2_refresh",
        "token_url": "{address}/token",
        "authorize_url": "https://login.example.com/authorize",
        "scopes": ["read", "write"],
    }
    system = connector_of(load_declaration(written(tmp_path, declaration(auth=auth))))
    client = oauth_client(system, Account("https://erp.example.com", "app", SECRET))
    consent = client.consent("http://localhost:8765/callback")
    assert consent.url.startswith("https://login.example.com/authorize?") and "scope=read+write" in consent.url
