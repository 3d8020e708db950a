"""The client side of OAuth: consents, tokens for codes, refreshes, and a vendor's odd ways of refusing them."""

from __future__ import annotations

import base64
import contextlib
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from erpflow.connectors.account import AccessToken, Account
from erpflow.connectors.oauth import Consent, GrantRefused, OAuthAuth, OAuthClient, OAuthSpec, Places, oauth_auth
from erpflow.errors import AuthFailed, ConfigError, ErpflowError, ProtocolError, RateLimited, VendorUnavailable
from erpflow.testing.server import Reply, ScriptedServer

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SPEC = OAuthSpec(
    places=lambda account: Places(f"{account.address}/auth", f"{account.address}/token"),
    scopes=("read", "write"),
    scope_separator=",",
    consent={"access_type": "offline"},
    pkce=True,
    facts=("api_domain",),
    redirect_facts=("realmId",),
)
TOKENS = {"access_token": "at-1", "refresh_token": "rt-2", "expires_in": 3600, "token_type": "Bearer"}
SECRET = "client-secret-9f3c"


@contextmanager
def client(*replies: Reply, spec: OAuthSpec = SPEC) -> Iterator[tuple[OAuthClient, ScriptedServer]]:
    script = list(replies)
    with ScriptedServer(lambda _asked: script.pop(0)) as server:
        yield OAuthClient(spec, Account(server.url, "client-id", SECRET), now=lambda: NOON), server


def answer_to(consent: Consent, **more: str) -> Mapping[str, str]:
    return {"code": "c-1", "state": consent.state, **more}


def test_a_consent_names_the_app_the_scopes_and_a_state_of_its_own() -> None:
    with client() as (made, server):
        first, second = made.consent("http://localhost:9/cb"), made.consent("http://localhost:9/cb")
    query = {name: values[0] for name, values in parse_qs(urlsplit(first.url).query).items()}
    assert first.url.startswith(f"{server.url}/auth?")
    assert (query["client_id"], query["scope"], query["access_type"]) == ("client-id", "read,write", "offline")
    assert query["code_challenge_method"] == "S256" and query["code_challenge"] != first.verifier
    assert first.state != second.state and first.verifier != second.verifier
    assert SECRET not in first.url


def test_a_code_becomes_tokens_with_what_the_vendor_said_of_the_account() -> None:
    with client(Reply.json({**TOKENS, "api_domain": "https://www.zohoapis.eu"})) as (made, server):
        consent = made.consent("http://localhost:9/cb")
        grant = made.exchange(consent, answer_to(consent, realmId="9341"))
    assert (grant.access_token, grant.refresh_token) == ("at-1", "rt-2")
    assert grant.expires_at == NOON + timedelta(hours=1)
    assert grant.facts == {"api_domain": "https://www.zohoapis.eu", "realmId": "9341"}
    sent = parse_qs(server.asked[0].body.decode())
    assert sent["grant_type"] == ["authorization_code"] and sent["code"] == ["c-1"]
    assert sent["code_verifier"] == [consent.verifier]
    assert (
        server.asked[0].headers["Authorization"] == "Basic " + base64.b64encode(f"client-id:{SECRET}".encode()).decode()
    )


@pytest.mark.parametrize(
    ("redirect", "said"),
    [
        ({"code": "c-1", "state": "another"}, "not the answer to this consent"),
        ({"code": "c-1"}, "not the answer to this consent"),
        ({"error": "access_denied"}, "not the answer to this consent"),
    ],
)
def test_a_redirect_that_nobody_asked_for_is_not_taken(redirect: dict[str, str], said: str) -> None:
    with client() as (made, server), pytest.raises(AuthFailed, match=said):
        made.exchange(made.consent("http://localhost:9/cb"), redirect)
    assert server.asked == []


def test_a_person_who_refuses_is_told_what_to_do() -> None:
    with client() as (made, _), pytest.raises(AuthFailed, match=r"The consent was not given: access_denied\. Start"):
        consent = made.consent("http://localhost:9/cb")
        made.exchange(consent, {"error": "access_denied", "state": consent.state})


def test_a_refresh_that_brings_no_new_refresh_token_keeps_the_old_one() -> None:
    with client(Reply.json({"access_token": "at-2", "expires_in": 3600})) as (made, server):
        grant = made.refresh("rt-1")
    assert (grant.access_token, grant.refresh_token) == ("at-2", "rt-1")
    assert "scope" not in parse_qs(server.asked[0].body.decode())


def test_a_refresh_token_that_rotates_says_how_long_it_lives() -> None:
    with client(Reply.json({**TOKENS, "x_refresh_token_expires_in": 8640000})) as (made, _):
        grant = made.refresh("rt-1")
    assert (grant.refresh_token, grant.refresh_expires_at) == ("rt-2", NOON + timedelta(days=100))


@pytest.mark.parametrize(
    "answer",
    [{"expires_in": 3600000, "expires_in_sec": 3600}, {"expires_in": 3600}, {"expires_in": "3600"}, {}],
)
def test_the_life_of_a_token_in_each_way_vendors_have_said_it(answer: dict[str, Any]) -> None:
    with client(Reply.json({"access_token": "at-2", **answer})) as (made, _):
        assert made.refresh("rt-1").expires_at == NOON + timedelta(hours=1)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply.json({"error": "invalid_code"}), GrantRefused),  # Zoho: errors come with 200
        (Reply.json({"error": "invalid_grant"}, status=400), GrantRefused),
        (Reply.json({"error": "invalid_client"}), ConfigError),
        (Reply.json({"error": "invalid_client_secret"}), ConfigError),
        (
            Reply.json(
                {
                    "error": "Access Denied",
                    "error_description": "You have made too many requests continuously.",
                    "status": "failure",
                },
                status=400,
            ),
            RateLimited,
        ),
        (Reply.json({"error": "general_error"}), ProtocolError),
        (Reply.json({"neither": "token nor error"}), ProtocolError),
        (Reply(200, b"<html>sign in</html>"), ProtocolError),
        (Reply(503, b"down"), VendorUnavailable),
    ],
)
def test_what_a_token_server_answers_is_told_in_our_words(reply: Reply, kind: type[ErpflowError]) -> None:
    with client(reply) as (made, _), pytest.raises(kind) as raised:
        made.refresh("rt-secret-1")
    assert SECRET not in str(raised.value) and "rt-secret-1" not in str(raised.value)
    assert type(raised.value) is kind


def test_a_token_server_that_is_not_there_is_an_outage() -> None:
    with client() as (made, server):
        pass
    with pytest.raises(VendorUnavailable, match="does not answer"):
        made.refresh("rt-1")
    assert server.asked == []


def test_a_code_from_a_vendors_console_becomes_tokens_without_a_redirect() -> None:
    with client(Reply.json(TOKENS)) as (made, server):
        assert made.redeem("c-9").refresh_token == "rt-2"
    sent = parse_qs(server.asked[0].body.decode())
    assert sent["code"] == ["c-9"] and "redirect_uri" not in sent


def test_a_code_that_was_used_is_told_apart_from_a_consent_that_ended() -> None:
    with (
        client(Reply.json({"error": "invalid_code"})) as (made, _),
        pytest.raises(GrantRefused, match="codes work once"),
    ):
        made.redeem("c-9")


def test_a_token_server_that_drips_is_given_up_in_all() -> None:
    def drip(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b" " * 1000:
                connection.sendall(bytes([byte]))
                time.sleep(0.02)

    with ScriptedServer(lambda _asked: Reply(wire=drip)) as server:
        made = OAuthClient(SPEC, Account(server.url, "client-id", SECRET), total=0.3)
        began = time.monotonic()
        with pytest.raises(VendorUnavailable, match="does not answer"):
            made.refresh("rt-1")
    assert time.monotonic() - began < 5


def test_no_secret_follows_a_redirect_of_the_token_server() -> None:
    with ScriptedServer(lambda _asked: Reply.json(TOKENS)) as other:
        with client(Reply(307, headers={"Location": f"{other.url}/token"})) as (made, _), pytest.raises(ProtocolError):
            made.refresh("rt-1")
        assert other.asked == []


def test_a_refusal_that_quotes_what_was_sent_is_masked() -> None:
    refusal = {"error": "invalid_grant", "error_description": f"token rt-secret-1 of {SECRET} was revoked"}
    with client(Reply.json(refusal, status=400)) as (made, _), pytest.raises(GrantRefused) as raised:
        made.refresh("rt-secret-1")
    assert "rt-secret-1" not in str(raised.value) and SECRET not in str(raised.value)
    assert "was revoked" in str(raised.value)


def test_a_connection_without_an_app_is_told_where_it_goes() -> None:
    with pytest.raises(ConfigError, match=r"no client id \(its login\)"):
        OAuthClient(SPEC, Account("https://x.example.com", "id only"))


class Kept:
    """Tokens that count how often they are renewed."""

    def __init__(self) -> None:
        self.version = 1

    def current(self) -> AccessToken:
        return AccessToken(f"at-{self.version}", self.version)

    def renewed(self, version: int) -> AccessToken:
        if version == self.version:
            self.version += 1
        return self.current()


def test_a_refused_token_is_renewed_and_one_that_was_renewed_meanwhile_is_not() -> None:
    kept = Kept()
    auth = OAuthAuth(kept, scheme="Zoho-oauthtoken")
    request = auth(requests.Request("GET", "https://x.example.com").prepare())
    assert request.headers["Authorization"] == "Zoho-oauthtoken at-1"
    kept.version = 2  # by another worker
    assert auth.renew()
    assert kept.version == 2
    auth(requests.Request("GET", "https://x.example.com").prepare())
    assert auth.renew()
    assert kept.version == 3
    assert set(auth.secrets) == {"at-1", "at-2"} and "at-" not in repr(auth)


def test_a_connection_without_tokens_says_how_to_get_them() -> None:
    with pytest.raises(ConfigError, match="erpflow connect"):
        oauth_auth(SPEC, Account("https://x.example.com", "id", "secret"))
