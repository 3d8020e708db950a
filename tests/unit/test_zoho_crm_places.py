"""Zoho's data centres: which accounts server and which API host belong to a connection."""

from __future__ import annotations

import pytest

from erpflow.connectors.account import AccessToken, Account
from erpflow.connectors.oauth import OAuthClient
from erpflow.connectors.zoho_crm import SCOPES, ZohoCrm
from erpflow.connectors.zoho_crm_places import ACCOUNTS, address, places
from erpflow.errors import AuthFailed, ConfigError


class Told:
    """Tokens with which Zoho told where the records are."""

    def __init__(self, domain: str | None) -> None:
        self.domain = domain

    def current(self) -> AccessToken:
        if self.domain is None:
            raise AuthFailed("not connected")
        return AccessToken("1000.a.b", 1, {"api_domain": self.domain})

    def renewed(self, version: int) -> AccessToken:
        return self.current()


@pytest.mark.parametrize(
    ("host", "accounts"),
    [
        ("https://www.zohoapis.com", "https://accounts.zoho.com"),
        ("https://www.zohoapis.eu", "https://accounts.zoho.eu"),
        ("https://sandbox.zohoapis.in", "https://accounts.zoho.in"),
        ("https://www.zohoapis.com.au", "https://accounts.zoho.com.au"),
        ("https://www.zohoapis.com.cn", "https://accounts.zoho.com.cn"),
        ("https://www.zohoapis.ca", "https://accounts.zohocloud.ca"),
        ("https://www.zohoapis.sa", "https://accounts.zoho.sa"),
        ("http://127.0.0.1:8900/zoho_crm", "http://127.0.0.1:8900/zoho_crm"),
    ],
)
def test_the_host_of_the_records_names_the_accounts_server(host: str, accounts: str) -> None:
    found = places(Account(host))
    assert (found.authorize, found.token) == (f"{accounts}/oauth/v2/auth", f"{accounts}/oauth/v2/token")


@pytest.mark.parametrize("named", ["eu", ".EU", "eu "])
def test_a_data_centre_that_is_named_wins(named: str) -> None:
    assert places(Account("https://crm.example.com", extra={"data_center": named})).token.startswith(ACCOUNTS["eu"])
    assert places(Account("https://crm.example.com", extra={"data_center": "us"})).token.startswith(ACCOUNTS["com"])


def test_a_data_centre_that_is_none_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"'mars'.*Known: au, ca, cn, com"):
        places(Account("https://www.zohoapis.com", extra={"data_center": "mars"}))


def test_the_records_are_where_the_token_answer_says() -> None:
    account = Account("https://www.zohoapis.com", tokens=Told("https://www.zohoapis.eu"))
    assert address(account) == "https://www.zohoapis.eu"


def test_before_there_are_tokens_the_connection_says_where() -> None:
    assert address(Account("https://www.zohoapis.com", tokens=Told(None))) == "https://www.zohoapis.com"
    assert address(Account("https://www.zohoapis.com/")) == "https://www.zohoapis.com"


def test_a_sandbox_account_stays_where_the_connection_says() -> None:
    account = Account("https://sandbox.zohoapis.eu", tokens=Told("https://www.zohoapis.eu"))
    assert address(account) == "https://sandbox.zohoapis.eu"


def test_the_page_of_consent_asks_for_the_scopes_with_commas_and_for_a_refresh_token() -> None:
    client = OAuthClient(ZohoCrm.oauth, Account("https://www.zohoapis.eu", "1000.ID", "secret"))
    url = client.consent("http://localhost:8765/callback").url
    assert url.startswith("https://accounts.zoho.eu/oauth/v2/auth?")
    assert "%2C".join(SCOPES[:2]) in url and "access_type=offline" in url and "prompt=consent" in url
