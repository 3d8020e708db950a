"""Consent by the API: a vendor's page and back, for one connection of one tenant, once and within ten minutes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from erpflow.api.rights import Right
from erpflow.connectors import registry
from tests.calling import ALL, Api
from tests.contract import zoho_crm_vendor as zoho
from tests.contract.sandboxes import sandbox
from tests.integration.conftest import Installation
from tests.oauth import CLIENT_ID, CLIENT_SECRET, Ledger

PATH = "/api/erp/connections"
CALLBACK = "/api/erp/oauth/callback"
SMALL = ("--customers", "40", "--items", "20", "--orders", "40")
INTUIT_ID, INTUIT_SECRET = "sandbox-quickbooks-app", "sandbox-quickbooks-secret"


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    monkeypatch.setitem(registry._BUILT_IN, "ledger", "tests.oauth:LedgerConnector")
    registry.connector_class.cache_clear()
    with Ledger() as ledger:
        yield ledger
    registry.connector_class.cache_clear()


def add(api: Api, name: str, system: str, url: str, *, login: str = CLIENT_ID, secret: str = CLIENT_SECRET) -> str:
    body = {"name": name, "system": system, "url": url, "login": login, "password": secret}
    made = api.client.post(PATH, json=body)
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


@pytest.fixture
def books(api: Api, vendor: Ledger) -> str:
    """The id of the connection `books`, which nobody has connected yet."""
    return add(api, "books", "ledger", vendor.url)


def begun(api: Api, connection_id: str) -> dict[str, Any]:
    answer = api.client.get(f"{PATH}/{connection_id}/oauth/authorize")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def agreed(page: str) -> dict[str, str]:
    """What a browser brings back after a person agreed."""
    answer = requests.get(page, allow_redirects=False, timeout=10)
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["Location"]).query).items()}


def come_back(api: Api, given: dict[str, str]) -> Any:
    return api.nobody().get(CALLBACK, params=given)


def saved(installation: Installation) -> list[tuple[object, ...]]:
    return installation.rows("SELECT version, facts->>'realmId' FROM erpflow.erp_oauth_tokens")


def test_a_person_agrees_and_the_account_is_connected(api: Api, books: str, installation: Installation) -> None:
    consent = begun(api, books)
    assert consent["redirect_uri"] == f"https://erp.example{CALLBACK}"
    page = come_back(api, agreed(consent["authorize_url"]))
    assert page.status_code == 200
    assert "books is connected" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert (page.headers["referrer-policy"], page.headers["cache-control"]) == ("no-referrer", "no-store")
    assert saved(installation) == [(1, "9341")]
    shown = api.client.get(f"{PATH}/{books}").json()
    assert (shown["status"], shown["account"]) == ("active", "Ledger Ltd")


def test_a_browser_is_sent_to_the_vendors_page(api: Api, books: str, vendor: Ledger) -> None:
    sent = api.client.get(f"{PATH}/{books}/oauth/authorize", headers={"Accept": "text/html"}, follow_redirects=False)
    assert sent.status_code == 303
    assert sent.headers["location"].startswith(f"{vendor.url}/authorize?")


def test_a_state_is_answered_once(api: Api, books: str, installation: Installation) -> None:
    given = agreed(begun(api, books)["authorize_url"])
    assert come_back(api, given).status_code == 200
    again = come_back(api, given)
    assert again.status_code == 422
    assert "answered already" in again.text
    assert saved(installation) == [(1, "9341")]


def test_a_failed_answer_uses_the_state_up(api: Api, books: str, installation: Installation) -> None:
    given = agreed(begun(api, books)["authorize_url"])
    assert come_back(api, {"state": given["state"], "error": "access_denied"}).status_code == 422
    assert come_back(api, given).status_code == 422
    assert saved(installation) == []


def test_ten_minutes_later_nobody_is_awaited(api: Api, books: str, installation: Installation) -> None:
    given = agreed(begun(api, books)["authorize_url"])
    with installation.database.transaction() as connection:
        connection.execute("UPDATE erpflow.erp_oauth_consents SET expires_at = now()")
    assert "answered already" in come_back(api, given).text
    assert saved(installation) == []


@pytest.mark.parametrize("state", ["", "guessed", "\N{SNOWMAN}", "x" * 5000])
def test_what_nobody_began_is_refused(
    api: Api, books: str, installation: Installation, vendor: Ledger, state: str
) -> None:
    begun(api, books)
    refused = come_back(api, {"state": state, "code": "c-stolen"})
    assert (refused.status_code, "not the answer" in refused.text) == (422, True)
    assert vendor.asked == []
    assert saved(installation) == []


def test_what_the_vendor_says_is_shown_as_text(api: Api, books: str) -> None:
    state = agreed(begun(api, books)["authorize_url"])["state"]
    page = come_back(api, {"state": state, "error": "x", "error_description": "<script>alert(1)</script>"})
    assert "<script>" not in page.text
    assert "&lt;script&gt;" in page.text


def test_a_code_of_another_consent_is_refused_by_the_vendor(
    api: Api, books: str, installation: Installation, vendor: Ledger
) -> None:
    """PKCE: a code that somebody else got belongs to another verifier."""
    given = agreed(begun(api, books)["authorize_url"])
    stolen = vendor.code(challenge="theirs", redirect_uri=f"https://erp.example{CALLBACK}")
    refused = come_back(api, {**given, "code": stolen})
    assert (refused.status_code, "codes work once" in refused.text) == (422, True)
    assert saved(installation) == []


def test_a_consent_for_another_account_is_refused(
    api: Api, books: str, installation: Installation, vendor: Ledger
) -> None:
    come_back(api, agreed(begun(api, books)["authorize_url"]))
    vendor.realm = "7777"
    refused = come_back(api, agreed(begun(api, books)["authorize_url"]))
    assert "two accounts would be mixed" in refused.text
    assert saved(installation) == [(1, "9341")]


def test_somebody_else_cannot_bring_what_a_person_began(api: Api, books: str, installation: Installation) -> None:
    authorize = f"{PATH}/{books}/oauth/authorize"
    given = agreed(api.as_person("op").get(authorize).json()["authorize_url"])
    refused = api.as_person("viewer", cookie=True).get(CALLBACK, params=given)
    assert (refused.status_code, saved(installation)) == (422, [])
    given = agreed(api.as_person("op").get(authorize).json()["authorize_url"])
    assert api.as_person("op", cookie=True).get(CALLBACK, params=given).status_code == 200
    assert saved(installation) == [(1, "9341")]


def test_only_who_may_configure_the_tenants_own_connection_begins(api: Api, books: str) -> None:
    authorize = f"{PATH}/{books}/oauth/authorize"
    assert api.as_key(api.key(Right.LOOK)).get(authorize).status_code == 403
    assert api.as_key(api.key(*ALL, tenant_id=api.tenant("acme"))).get(authorize).status_code == 404


def test_a_system_without_consent_says_so(api: Api) -> None:
    shop = add(api, "shop", "erpnext", "https://erp.example.com")
    refused = api.client.get(f"{PATH}/{shop}/oauth/authorize")
    assert (refused.status_code, "needs no consent" in refused.json()["detail"]) == (422, True)


def test_no_secret_is_kept_readable(api: Api, books: str, installation: Installation) -> None:
    consent = begun(api, books)
    state = parse_qs(urlsplit(consent["authorize_url"]).query)["state"][0]
    kept = str(installation.rows("SELECT c::text FROM erpflow.erp_oauth_consents c"))
    assert state not in kept
    assert kept.count("gAAAA") == 1
    page = come_back(api, agreed(consent["authorize_url"]))
    kept = str(installation.rows("SELECT t::text FROM erpflow.erp_oauth_tokens t"))
    assert not re.search(r"\b[ar]t-[0-9a-f]{32}|\bc-[0-9a-f]{32}", kept + page.text)


def test_a_person_agrees_at_zoho(api: Api, tmp_path_factory: pytest.TempPathFactory) -> None:
    with sandbox("zoho_crm", "--customers", "1", folder=tmp_path_factory.mktemp("zoho")) as url:
        sales = add(api, "sales", "zoho_crm", f"{url}/zoho_crm", login=zoho.CLIENT_ID, secret=zoho.CLIENT_SECRET)
        page = come_back(api, agreed(begun(api, sales)["authorize_url"]))
    assert "sales is connected" in page.text
    assert api.client.get(f"{PATH}/{sales}").json()["status"] == "active"


def test_a_person_agrees_at_quickbooks(api: Api, tmp_path_factory: pytest.TempPathFactory) -> None:
    with sandbox("quickbooks", *SMALL, folder=tmp_path_factory.mktemp("quickbooks")) as url:
        books = add(api, "books", "quickbooks", f"{url}/quickbooks", login=INTUIT_ID, secret=INTUIT_SECRET)
        page = come_back(api, agreed(begun(api, books)["authorize_url"]))
    assert "books is connected" in page.text
    assert api.client.get(f"{PATH}/{books}").json()["account"] == "Larkspur Home & Garden"
