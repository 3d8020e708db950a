"""`erpflow subscription` and `erpflow delivery`: who is told by webhook, and what became of it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from standardwebhooks import Webhook

from erpflow.connectors import network
from erpflow.services.outgoing.signing import new_secret
from erpflow.services.outgoing.subscribing import HTTP_VARIABLE
from erpflow.testing.server import Reply, ScriptedServer
from tests.integration.conftest import Ended, Installation

ALLOWED = {HTTP_VARIABLE: "true", network.VARIABLE: "true"}
EVENT = """
INSERT INTO erpflow.erp_connections (tenant_id, name, system, airflow_conn_id)
SELECT id, 'c', 'erpnext', 'c' FROM erpflow.erp_tenants RETURNING 1
"""
FAILS = "UPDATE erpflow.erp_connections SET status = 'error' RETURNING 1"
WORKS = "UPDATE erpflow.erp_connections SET status = 'active' RETURNING 1"


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A program that takes what comes to /ok and refuses the rest."""
    with ScriptedServer(lambda asked: Reply(200 if asked.path == "/ok" else 500, body=b"no")) as running:
        yield running


def subscribe(installation: Installation, url: str, *words: str) -> tuple[str, Ended]:
    ended = installation.run("subscription", "add", url, *words, **ALLOWED)
    assert (ended.status, ended.err) == (0, "")
    found = re.search(r"Added ([0-9a-f-]{36});", ended.out)
    assert found
    return found[1], ended


def happen(installation: Installation) -> None:
    """A connection fails."""
    if not installation.rows("SELECT 1 FROM erpflow.erp_connections"):
        installation.rows(EVENT)
    installation.rows(WORKS)
    installation.rows(FAILS)


def test_a_program_is_added_told_and_verifies_with_the_secret_that_was_shown_once(
    installation: Installation, server: ScriptedServer
) -> None:
    assert "Nobody is told by webhook" in installation.run("subscription", "list").out
    subscription, ended = subscribe(installation, f"{server.url}/ok", "--event", "connection.failed")
    assert "it is told of connection.failed." in ended.out
    secret = re.search(r"shown once: (whsec_\S+)", ended.out)
    assert secret
    happen(installation)
    assert "1 delivered, 0 not taken" in installation.run("delivery", "send", **ALLOWED).out
    [asked] = server.asked
    assert Webhook(secret[1]).verify(asked.body, dict(asked.headers))["type"] == "connection.failed"
    listed = installation.run("subscription", "list").out
    assert re.search(rf"{subscription}  {server.url}/ok  active", listed)
    assert secret[1] not in listed
    assert "connection.failed  delivered  1 attempts" in installation.run("delivery", "list").out
    assert "There are no such messages." in installation.run("delivery", "list", "--dead").out


def test_what_was_given_up_is_listed_with_its_reason_and_replayed(
    installation: Installation, server: ScriptedServer
) -> None:
    subscription, _ = subscribe(installation, f"{server.url}/broken")
    happen(installation)
    happen(installation)
    assert "not taken" in installation.run("delivery", "send", **ALLOWED).out
    assert f"{subscription}  {server.url}/broken  failing since" in installation.run("subscription", "list").out
    assert installation.run("subscription", "disable", subscription).status == 0
    dead = installation.run("delivery", "list", "--dead", "--subscription", subscription).out
    assert dead.count("HTTP 500: no The subscription was disabled: A person disabled it.") == 2
    [first, _] = re.findall(r"^([0-9a-f-]{36}) ", dead, re.MULTILINE)
    refused = installation.run("delivery", "replay", first)
    assert (refused.status, "is disabled" in refused.err) == (1, True)
    assert "2 stay dead" in installation.run("delivery", "replay", "--all").out
    assert installation.run("subscription", "enable", subscription).status == 0
    assert "1 is due again." in installation.run("delivery", "replay", first).out
    assert f"{first}  " in installation.run("delivery", "list", "--pending").out
    ended = installation.run("delivery", "replay", "--all", "--subscription", subscription)
    assert "1 is due again." in ended.out
    assert "… and more" in installation.run("delivery", "list", "--limit", "1").out
    before = len(server.asked)
    installation.run("delivery", "send", **ALLOWED)
    assert len(server.asked) == before + 2
    assert len({asked.headers["webhook-id"] for asked in server.asked}) == 2


@pytest.mark.parametrize("words", [(), ("--all", "x"), ("x", "--subscription", "y")])
def test_a_replay_says_which_or_all(installation: Installation, words: tuple[str, ...]) -> None:
    ended = installation.run("delivery", "replay", *words)
    assert (ended.status, "or say --all" in ended.err) == (1, True)


def test_a_secret_is_rotated_and_both_verify(installation: Installation, server: ScriptedServer) -> None:
    old, new = new_secret().reveal(), new_secret().reveal()
    words = ("subscription", "add", f"{server.url}/ok", "--secret-stdin")
    ended = installation.run(*words, given=f"{old}\n", **ALLOWED)
    found = re.search(r"Added (\S+);", ended.out)
    assert found
    assert old not in ended.out
    rotated = installation.run("subscription", "rotate", found[1], "--secret-stdin", given=f"{new}\n")
    assert "the secret before signs too for 24 hours" in rotated.out
    happen(installation)
    installation.run("delivery", "send", **ALLOWED)
    for secret in (old, new):
        assert Webhook(secret).verify(server.asked[0].body, dict(server.asked[0].headers))
    assert "whsec_" in installation.run("subscription", "rotate", found[1], "--keep-hours", "0").out


def test_a_removed_program_is_told_nothing_any_more(installation: Installation, server: ScriptedServer) -> None:
    subscription, _ = subscribe(installation, f"{server.url}/ok")
    happen(installation)
    assert installation.run("subscription", "remove", subscription).status == 0
    assert "0 delivered" in installation.run("delivery", "send", **ALLOWED).out
    assert server.asked == []
    for words in ("remove", "enable", "disable", "rotate"):
        ended = installation.run("subscription", words, subscription)
        assert (ended.status, "There is no subscription" in ended.err) == (1, True)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("http://example.com/",), HTTP_VARIABLE),
        (("https://192.168.1.1/",), network.VARIABLE),
        (("https://example.com/", "--event", "sync.done"), 'There is no event "sync.done"'),
        (("https://example.com/", "--secret-stdin"), "24 to 64 bytes"),
    ],
)
def test_what_may_not_be_told_is_refused_in_a_sentence(
    installation: Installation, words: tuple[str, ...], why: str
) -> None:
    ended = installation.run("subscription", "add", *words, given="hunter22\n")
    assert ended.status == 1
    assert why in ended.err
    assert "hunter22" not in ended.err
    assert installation.rows("SELECT 1 FROM erpflow.erp_subscriptions") == []


def test_without_a_key_nothing_is_added_in_clear(installation: Installation) -> None:
    ended = installation.run("subscription", "add", "https://example.com/", AIRFLOW__CORE__FERNET_KEY="")
    assert (ended.status, "There is no key to encrypt with" in ended.err) == (1, True)
    assert installation.rows("SELECT 1 FROM erpflow.erp_subscriptions") == []
