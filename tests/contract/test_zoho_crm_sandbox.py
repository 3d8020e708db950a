"""The sandbox's Zoho organisation keeps the vendor's rules of tokens, pages and limits, and is seeded the same."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest
import requests

from erpflow.connectors.account import Account
from erpflow.connectors.oauth import OAuthClient
from erpflow.connectors.zoho_crm import ZohoCrm
from sandbox.vendor import SeedPlan
from sandbox.zoho_crm import counts, seed
from sandbox.zoho_crm.org import Org
from sandbox.zoho_crm.render import shown_whole
from tests.contract.sandboxes import sandbox
from tests.contract.zoho_crm_vendor import CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, SIZES, ZohoOrganisation


@pytest.fixture(scope="module")
def zoho_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with sandbox("zoho_crm", "--customers", "1", folder=tmp_path_factory.mktemp("zoho")) as url:
        yield url


class Client:
    """A plain HTTP client of the organisation."""

    def __init__(self, organisation: ZohoOrganisation) -> None:
        self.organisation = organisation
        self.token = self.tokens()["access_token"]

    def tokens(self, **changed: str) -> Any:
        form = {
            "grant_type": "refresh_token", "refresh_token": REFRESH_TOKEN, "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
        }  # fmt: skip
        answer = self.organisation.session.post(
            f"{self.organisation.base_url}/oauth/v2/token", data={**form, **changed}
        )
        return {"status_code": answer.status_code, **answer.json()}

    def get(self, path: str, *, token: str | None = None, scheme: str = "Zoho-oauthtoken", **query: Any) -> Any:
        headers = {"Authorization": f"{scheme} {token or self.token}", **query.pop("headers", {})}
        return self.organisation.session.get(
            f"{self.organisation.base_url}/crm/v8/{path}", params=query, headers=headers
        )


@pytest.fixture
def client(zoho_url: str) -> Iterator[Client]:
    with requests.Session() as session:
        organisation = ZohoOrganisation(zoho_url, session)
        organisation.post("reset", {"vendor": "zoho_crm", "sizes": SIZES})
        yield Client(organisation)


# -- data ------------------------------------------------------------------------------------------------------------


def everything(org: Org) -> bytes:
    return msgspec.json.encode(
        [[shown_whole(org, table.module, record) for record in table] for table in org.tables.values()]
    )


def test_the_same_seed_gives_the_same_bytes_and_another_one_others() -> None:
    first, second = (everything(seed(SeedPlan(sizes={"customers": 40}))) for _ in range(2))
    assert first == second
    assert first != everything(seed(SeedPlan(seed=8, sizes={"customers": 40})))


def test_a_company_of_believable_size_whose_amounts_add_up() -> None:
    org = seed(SeedPlan())
    found = counts(org)
    assert found["customer"] >= 500 and found["product"] >= 200 and found["order"] + found["invoice"] >= 800
    for module, lines in (("Sales_Orders", "Ordered_Items"), ("Invoices", "Invoiced_Items")):
        for record in org.tables[module]:
            net = sum((line["List_Price"] * line["Quantity"] - line["Discount"] for line in record[lines]), Decimal(0))
            assert record["Sub_Total"] == net and record["Grand_Total"] == net + record["Tax"]


def test_an_import_fills_one_second_with_more_records_than_a_page() -> None:
    times = [record["Modified_Time"] for record in seed(SeedPlan()).tables["Accounts"]]
    assert max(map(times.count, set(times))) > 200


# -- tokens ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"refresh_token": "1000.x.y"}, "invalid_code"),
        ({"client_id": "1000.OTHER"}, "invalid_client"),
        ({"client_secret": "wrong"}, "invalid_client_secret"),
    ],
)
def test_errors_of_the_accounts_server_come_with_status_200(
    client: Client, changed: dict[str, str], error: str
) -> None:
    assert client.tokens(**changed) == {"status_code": 200, "error": error}


def test_the_eleventh_token_in_ten_minutes_is_denied_until_they_are_over(client: Client) -> None:
    for _ in range(9):
        assert "access_token" in client.tokens()
    denied = client.tokens()
    assert (denied["status_code"], denied["error"]) == (400, "Access Denied")
    client.organisation.door("clock", {"advance_s": 601})
    assert "access_token" in client.tokens()


def test_the_sixteenth_living_token_kills_the_oldest(client: Client) -> None:
    for _ in range(9):
        client.tokens()
    client.organisation.door("clock", {"advance_s": 601})
    for _ in range(5):
        client.tokens()
    assert client.get("Accounts", fields="id").status_code == 200
    client.tokens()
    assert client.get("Accounts", fields="id").json()["code"] == "INVALID_TOKEN"


def test_a_token_lives_an_hour_and_a_code_three_minutes_and_once(client: Client) -> None:
    codes = [client.organisation.door("tokens", {"code": ["ZohoCRM.modules.ALL"]})["code"] for _ in range(2)]
    code = {"grant_type": "authorization_code", "code": codes[0]}
    assert "refresh_token" in client.tokens(**code)
    assert client.tokens(**code)["error"] == "invalid_code"
    client.organisation.door("clock", {"advance_s": 181})
    assert client.tokens(**{**code, "code": codes[1]})["error"] == "invalid_code"
    client.organisation.door("clock", {"advance_s": 3_600})
    assert client.get("Accounts", fields="id").status_code == 401


def test_only_zohos_own_scheme_is_heard_and_a_missing_scope_is_no_bad_token(client: Client) -> None:
    assert client.get("Accounts", scheme="Bearer", fields="id").json()["code"] == "INVALID_TOKEN"
    reader = client.tokens(refresh_token="1000.sandbox-refresh-token.reader")["access_token"]
    answer = client.get("org", token=reader)
    assert (answer.status_code, answer.json()["code"]) == (401, "OAUTH_SCOPE_MISMATCH")


def test_a_person_consents_on_the_page_and_the_redirect_brings_a_code(client: Client) -> None:
    oauth = OAuthClient(ZohoCrm.oauth, Account(client.organisation.base_url, CLIENT_ID, CLIENT_SECRET))
    consent = oauth.consent("http://localhost:8765/callback")
    page = client.organisation.session.get(consent.url, allow_redirects=False)
    redirect = dict(parse_qsl(urlsplit(page.headers["Location"]).query))
    assert {"code", "location", "accounts-server", "state"} == set(redirect)
    grant = oauth.exchange(consent, redirect)
    assert grant.refresh_token and grant.facts == {"api_domain": client.organisation.base_url}
    assert client.get("Accounts", token=grant.access_token, fields="id").status_code == 200
    again = oauth.refresh(grant.refresh_token)
    assert again.access_token != grant.access_token and again.refresh_token in (None, grant.refresh_token)


# -- lists and limits ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changed",
    [
        {"per_page": 4},
        {"fields": "id,Phone"},
        {"sort_order": "desc"},
        {"headers": {"If-Modified-Since": "2024-01-01T00:00:01+00:00"}},
        {"headers": {}},
    ],
    ids=["size", "fields", "order", "another time", "no time"],
)
def test_a_page_token_is_bound_to_every_parameter_and_to_the_header(client: Client, changed: dict[str, Any]) -> None:
    asked = {
        "fields": "id,Modified_Time", "per_page": 5, "sort_by": "Modified_Time", "sort_order": "asc",
        "headers": {"If-Modified-Since": "2024-01-01T00:00:00+00:00"},
    }  # fmt: skip
    token = client.get("Accounts", **asked).json()["info"]["next_page_token"]
    assert client.get("Accounts", **asked, page_token=token).status_code == 200
    refused = client.get("Accounts", **{**asked, **changed}, page_token=token)
    assert refused.json()["code"] == "TOKEN_BOUND_DATA_MISMATCH"
    client.organisation.door("clock", {"advance_s": 86_401})
    client.token = client.tokens()["access_token"]
    assert client.get("Accounts", **asked, page_token=token).json()["code"] == "EXPIRED_VALUE"


def test_lines_are_in_no_list_but_in_single_reads_and_by_ids(client: Client) -> None:
    row = client.get("Sales_Orders", fields="Subject,Ordered_Items").json()["data"][0]
    assert "Ordered_Items" not in row
    assert client.get(f"Sales_Orders/{row['id']}").json()["data"][0]["Ordered_Items"]
    assert client.get("Sales_Orders", ids=row["id"], fields="Ordered_Items").json()["data"][0]["Ordered_Items"]


def test_times_carry_the_offset_of_their_day(client: Client) -> None:
    rows = client.get("Accounts", fields="Modified_Time").json()["data"]
    assert {row["Modified_Time"][-6:] for row in rows} == {"+01:00", "+02:00"}


def test_credits_are_told_once_half_of_them_is_used_and_then_refused(client: Client) -> None:
    assert "X-API-CREDITS-REMAINING" not in client.get("Accounts", fields="id").headers
    client.organisation.door("credits", {"most": 3})
    left = [client.get("Accounts", fields="id").headers["X-API-CREDITS-REMAINING"] for _ in range(2)]
    assert left == ["1", "0"]
    refused = client.get("Accounts", fields="id")
    assert (refused.status_code, refused.json()["code"]) == (429, "TOO_MANY_REQUESTS")
    assert "Retry-After" not in refused.headers
    client.organisation.door("clock", {"advance_s": 86_401})
    client.token = client.tokens()["access_token"]
    assert client.get("Accounts", fields="id").status_code == 200
