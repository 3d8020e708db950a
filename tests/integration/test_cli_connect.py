"""`erpflow connect`: a person's consent, with a browser here, a browser elsewhere, or a code from a console."""

from __future__ import annotations

import io
import re
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import cast

import pytest
import requests

from erpflow.connectors import registry
from tests.integration.conftest import Ended, Installation
from tests.oauth import CLIENT_ID, CLIENT_SECRET, Ledger

COMMAND = sys.modules["erpflow.cli.connect"]
PAGE = re.compile(r"http://\S+/authorize\S+")

Sent = Callable[[str], str]
"""Where a browser ends that opens the page."""


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    monkeypatch.setitem(registry._BUILT_IN, "ledger", "tests.oauth:LedgerConnector")
    registry.connector_class.cache_clear()
    with Ledger() as ledger:
        yield ledger
    registry.connector_class.cache_clear()


@pytest.fixture
def books(installation: Installation, vendor: Ledger) -> Installation:
    """An installation with the connection `books`, which nobody has connected yet."""
    words = ("connection", "add", "books", "--system", "ledger", "--url", vendor.url, "--login", CLIENT_ID)
    ended = installation.run(*words, "--password-stdin", given=f"{CLIENT_SECRET}\n")
    assert (ended.status, ended.err) == (0, "")
    return installation


@pytest.fixture
def redirect_uri() -> str:
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        return f"http://localhost:{free.getsockname()[1]}/callback"


@pytest.fixture
def paste(books: Installation, monkeypatch: pytest.MonkeyPatch) -> Callable[[Sent], Ended]:
    """Connect with a browser elsewhere: what a person pastes follows from the page that was printed."""

    def connect(sent: Sent) -> Ended:
        def asked(_what: str) -> str:
            found = PAGE.search(cast("io.StringIO", sys.stdout).getvalue())
            assert found
            return sent(found.group())

        monkeypatch.setattr(COMMAND, "_asked", asked)
        return books.run("connect", "books", "--paste")

    return connect


def agreed(page: str) -> str:
    """The address a browser is sent to after a person agreed."""
    return requests.get(page, allow_redirects=False, timeout=10).headers["Location"]


def saved(books: Installation) -> list[tuple[object, ...]]:
    return books.rows("SELECT version, facts->>'realmId' FROM erpflow.erp_oauth_tokens")


def test_a_connection_that_is_not_connected_says_how(books: Installation) -> None:
    ended = books.run("connection", "test", "books")
    assert ended.status == 1
    assert 'The connection "books" has not been connected yet. Run: erpflow connect books' in ended.err
    assert "Traceback" not in ended.err


def test_a_browser_here_comes_back_by_itself(
    books: Installation, redirect_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages: list[str] = []

    def visit(url: str) -> None:
        requests.get(redirect_uri.replace("callback", "favicon.ico"), timeout=10)
        stray = requests.get(f"{redirect_uri}?code=c-stolen&state=guessed", timeout=10)
        pages.append(stray.text)
        pages.append(requests.get(url, timeout=10).text)

    def browser(url: str) -> bool:
        threading.Thread(target=visit, args=(url,)).start()
        return True

    monkeypatch.setattr(webbrowser, "open", browser)
    ended = books.run("connect", "books", "--redirect-uri", redirect_uri, BROWSER="one")
    assert (ended.status, ended.err) == (0, "")
    assert "books: connected to ledger as Ledger Ltd in " in ended.out
    assert "not the answer" in pages[0]
    assert "You can close this page" in pages[1]
    assert saved(books) == [(1, "9341")]
    assert books.rows("SELECT status, account FROM erpflow.erp_connections") == [("active", "Ledger Ltd")]


def test_without_a_browser_here_the_page_is_printed_and_awaited(
    books: Installation, redirect_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webbrowser, "open", lambda _url: False)
    monkeypatch.setattr(COMMAND, "PATIENCE_S", 0.1)
    ended = books.run("connect", "books", "--redirect-uri", redirect_uri)
    assert "No browser can be opened here." in ended.out
    assert PAGE.search(ended.out)
    assert ended.status == 1
    assert "Nobody agreed within" in ended.err
    assert "--paste" in ended.err


def test_a_taken_port_is_said_before_anybody_agrees(books: Installation, vendor: Ledger) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        uri = f"http://localhost:{taken.getsockname()[1]}/callback"
        ended = books.run("connect", "books", "--redirect-uri", uri)
    assert ended.status == 1
    assert f"Nothing can listen at {uri}" in ended.err
    assert "--redirect-uri" in ended.err
    assert vendor.asked == []


def test_a_browser_elsewhere_ends_at_an_address_that_is_pasted(
    paste: Callable[[Sent], Ended], books: Installation
) -> None:
    ended = paste(agreed)
    assert (ended.status, ended.err) == (0, "")
    assert "books: connected to ledger as Ledger Ltd" in ended.out
    assert saved(books) == [(1, "9341")]


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (lambda page: agreed(page).replace("state=", "state=other"), "not the answer to this consent"),
        (lambda page: agreed(page).replace("code=c-", "code=x-"), "codes work once"),
        (lambda page: agreed(page).replace("code=", "error=access_denied&x="), "not given: access_denied"),
        (lambda page: page, "it holds no code"),
        (lambda page: "", "it holds no code"),
        (lambda page: agreed(page).replace("realmId=", "other="), "realmId is missing"),
    ],
)
def test_what_is_not_an_answer_is_refused_and_nothing_saved(
    paste: Callable[[Sent], Ended], books: Installation, sent: Sent, said: str
) -> None:
    ended = paste(sent)
    assert ended.status == 1
    assert said in ended.err
    assert "Traceback" not in ended.err
    assert saved(books) == []


def test_a_code_of_another_consent_is_refused_by_the_vendor(
    paste: Callable[[Sent], Ended], books: Installation, vendor: Ledger
) -> None:
    """PKCE: a code that somebody else got belongs to another verifier."""
    stolen = vendor.code(challenge="theirs", redirect_uri="http://localhost:8765/callback")
    ended = paste(lambda page: re.sub("code=[^&]*", f"code={stolen}", agreed(page)))
    assert ended.status == 1
    assert "codes work once" in ended.err
    assert saved(books) == []


def test_a_second_consent_for_another_account_is_refused(
    paste: Callable[[Sent], Ended], books: Installation, vendor: Ledger
) -> None:
    assert paste(agreed).status == 0
    vendor.realm = "7777"
    ended = paste(agreed)
    assert ended.status == 1
    assert "books belongs to realmId 9341, and you agreed for 7777. Nothing was saved" in ended.err
    assert saved(books) == [(1, "9341")]
    vendor.realm = "9341"
    vendor.revoke()
    assert paste(agreed).status == 0
    assert saved(books) == [(2, "9341")]


def test_a_vendor_that_gives_nothing_to_renew_with_is_not_connected(
    paste: Callable[[Sent], Ended], books: Installation, vendor: Ledger
) -> None:
    vendor.gives_refresh_tokens = False
    ended = paste(agreed)
    assert ended.status == 1
    assert "nothing to renew it with" in ended.err
    assert saved(books) == []


def test_a_code_from_a_console_is_read_from_the_input(
    books: Installation, vendor: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from tests.oauth import LedgerConnector

    monkeypatch.setattr(LedgerConnector, "oauth", replace(LedgerConnector.oauth, redirect_facts=()))
    ended = books.run("connect", "books", "--code", given=f" {vendor.code()}\n")
    assert (ended.status, ended.err) == (0, "")
    assert saved(books) == [(1, None)]


def test_without_a_key_nobody_is_asked_to_agree(books: Installation, vendor: Ledger) -> None:
    secret = f'{{"conn_type": "ledger", "host": "{vendor.url}", "login": "{CLIENT_ID}", "password": "x"}}'
    ended = books.run("connect", "books", "--paste", AIRFLOW__CORE__FERNET_KEY="", AIRFLOW_CONN_BOOKS=secret)
    assert ended.status == 1
    assert "AIRFLOW__CORE__FERNET_KEY is not set" in ended.err
    assert ended.out == ""


def test_a_wrong_app_is_named(paste: Callable[[Sent], Ended], books: Installation, vendor: Ledger) -> None:
    secret = f'{{"conn_type": "ledger", "host": "{vendor.url}", "login": "{CLIENT_ID}", "password": "CANARY"}}'
    books.environment["AIRFLOW_CONN_BOOKS"] = secret
    ended = paste(agreed)
    assert ended.status == 1
    assert "Check the connection's client id and secret" in ended.err
    assert "CANARY" not in ended.err + ended.out


def test_a_system_without_consent_says_so(connected: Installation) -> None:
    ended = connected.run("connect", "demo")
    assert ended.status == 1
    assert "needs no consent" in ended.err
    assert "erpflow connection test" in ended.err


def test_no_secret_is_printed_or_kept_readable(paste: Callable[[Sent], Ended], books: Installation) -> None:
    ended = paste(agreed)
    tested = books.run("connection", "test", "books")
    row = str(books.rows("SELECT t::text FROM erpflow.erp_oauth_tokens t"))
    for text in (ended.out, ended.err, tested.out, row):
        assert not re.search(r"\b[ar]t-[0-9a-f]{32}|\bc-[0-9a-f]{32}", text)
        assert CLIENT_SECRET not in text
