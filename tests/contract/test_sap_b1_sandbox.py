"""The sandbox's Service Layer: what it answers fits SAP's own published types, and it refuses what the vendor refuses.

There is no client for it in the package registries. The types are those of an OpenAPI description generated from a real
Service Layer's metadata (tests/fixtures/sap_b1), which the sandbox does not read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import requests

from sandbox.sap_b1 import seed
from sandbox.sap_b1.company import Company
from sandbox.sap_b1.render import encode
from sandbox.vendor import SeedPlan
from tests.contract.sandboxes import sandbox
from tests.contract.sap_b1_vendor import PASSWORD, SIZES

OPENAPI = Path(__file__).parents[1] / "fixtures" / "sap_b1" / "openapi_v1.json"
SETS = ("BusinessPartners", "Items", "Orders", "Invoices", "IncomingPayments")
LOGIN = {"CompanyDB": "SBODEMOEU", "UserName": "manager", "Password": PASSWORD}


@cache
def validator(name: str) -> jsonschema.Draft202012Validator:
    """One schema of the description, which then allows no property it does not declare."""
    text = OPENAPI.read_text(encoding="utf-8")
    schemas = json.loads(text)["components"]["schemas"]
    for each in schemas.values():
        if "properties" in each:
            each["additionalProperties"] = False
    return jsonschema.Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": {"schemas": schemas}})


def plain(value: Any) -> Any:
    """Without nulls and ETags, of which the description says nothing."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items() if each is not None and key != "odata.etag"}
    return [plain(each) for each in value] if isinstance(value, list) else value


@dataclass
class Client:
    """A client that knows nothing but HTTP: its cookie is set by hand."""

    url: str
    version: str = "v1"
    cookie: str = field(default="", init=False)

    def __post_init__(self) -> None:
        self.cookie = f"B1SESSION={self.post('Login', LOGIN).json()['SessionId']}"

    def send(self, method: str, path: str, *, body: Any = None, **headers: str) -> requests.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return requests.request(
            method,
            f"{self.url}/sap_b1/b1s/{self.version}/{path}",
            data=body if isinstance(body, bytes) else json.dumps(body) if body is not None else None,
            headers={"Cookie": self.cookie, **named},
            timeout=10,
        )

    def get(self, path: str, **headers: str) -> Any:
        answer = self.send("GET", path, **headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Any) -> requests.Response:
        return self.send("POST", path, body=body)

    def door(self, path: str, body: Any) -> Any:
        answer = requests.post(f"{self.url}/_sandbox/{path}", json=body, timeout=10)
        assert answer.ok, answer.text
        return answer.json()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with sandbox("sap_b1", "--customers", "1", folder=tmp_path_factory.mktemp("sap_b1")) as found:
        yield found


@pytest.fixture(params=["v1", "v2"])
def client(url: str, request: pytest.FixtureRequest) -> Client:
    requests.post(f"{url}/_sandbox/reset", json={"vendor": "sap_b1", "sizes": SIZES}, timeout=10).raise_for_status()
    return Client(url, request.param)


@pytest.fixture
def v1(url: str) -> Client:
    requests.post(f"{url}/_sandbox/reset", json={"vendor": "sap_b1", "sizes": SIZES}, timeout=10).raise_for_status()
    return Client(url, "v1")


@pytest.mark.parametrize("name", SETS)
def test_lists_and_records_fit_the_published_types(v1: Client, name: str) -> None:
    page = v1.get(name, Prefer="odata.maxpagesize=0")
    assert page["value"]
    validator(f"{name}CollectionResponse").validate(plain(page))


def test_a_created_record_and_an_error_fit_the_published_types(v1: Client) -> None:
    made = v1.post("BusinessPartners", {"CardCode": "NEW", "CardName": "New", "CardType": "C"})
    assert made.status_code == 201 and made.headers["Location"].endswith("/b1s/v1/BusinessPartners('NEW')")
    record = plain(made.json())
    del record["odata.metadata"]
    validator("BusinessPartner").validate(record)
    assert record["CardType"] == "cCustomer", "an enum may be written as the database has it"
    refused = v1.post("BusinessPartners", {"CardCode": "NEW"})
    validator("ServiceLayerError").validate(refused.json())
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, -2035)


def test_the_metadata_declares_every_property_that_is_answered(v1: Client) -> None:
    declared = v1.send("GET", "$metadata").text
    for name in SETS:
        for row in v1.get(name)["value"]:
            assert not [field for field in plain(row) if f'Property Name="{field}"' not in declared]


def test_the_versions_annotate_and_fail_each_in_their_own_way(client: Client) -> None:
    page, mark = client.get("Items?$select=ItemCode", Prefer="odata.maxpagesize=2"), "odata."
    missing = client.send("GET", "Items('NOPE')")
    error = missing.json()["error"]
    assert missing.status_code == 404
    if client.version == "v1":
        assert page["odata.nextLink"].startswith("Items?") and page["value"][0]["odata.etag"].startswith('W/"')
        assert error == {"code": -2028, "message": {"lang": "en-us", "value": "No matching records found (ODBC -2028)"}}
    else:
        mark = "@odata."
        assert error["code"] == "-2028" and error["message"].startswith("No matching")
    assert page[f"{mark}nextLink"].endswith("$skip=2") and set(page["value"][0]) == {f"{mark}etag", "ItemCode"}


def test_a_login_sets_a_cookie_that_many_jars_drop_and_nothing_is_answered_without_it(client: Client) -> None:
    answer = client.post("Login", LOGIN)
    assert (
        f"B1SESSION={answer.json()['SessionId']};HttpOnly;, ROUTEID=.node1; path=/b1s" == answer.headers["Set-Cookie"]
    )
    client.cookie = ""
    refused = client.send("GET", "Items")
    assert refused.status_code == 401 and "301" in refused.text and "Invalid session" in refused.text
    assert client.post("Login", {**LOGIN, "Password": "x"}).status_code == 401
    assert requests.get(f"{client.url}/sap_b1/ping/", timeout=10).text == "pong"


def test_a_session_ends_with_a_logout_and_after_a_silence(client: Client) -> None:
    assert client.send("POST", "Logout").status_code == 204
    assert client.send("GET", "Items").status_code == 401
    client.door("sap_b1/sessions", {"timeout": 0.0})
    client.cookie = f"B1SESSION={client.post('Login', LOGIN).json()['SessionId']}"
    assert client.send("GET", "Items").status_code == 401
    client.door("sap_b1/sessions", {"timeout": 30})


def test_a_page_is_twenty_rows_unless_another_size_is_preferred_and_links_lead_through_all(client: Client) -> None:
    path, found, sizes = "BusinessPartners?$select=CardCode", [], []
    while path:
        page = client.get(path)
        sizes.append(len(page["value"]))
        found += [row["CardCode"] for row in page["value"]]
        path = page.get("odata.nextLink") or page.get("@odata.nextLink")
    assert sizes[0] == 20 and len(sizes) > 1
    whole = client.send("GET", "BusinessPartners", Prefer="odata.maxpagesize=0")
    assert whole.headers["Preference-Applied"] == "odata.maxpagesize=0"
    assert sorted(row["CardCode"] for row in whole.json()["value"]) == found
    assert client.send("GET", "BusinessPartners/$count").text == str(len(found))


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("CardCode eq 'C00001'", {"C00001"}),
        ("CardType eq 'S'", {"S00001"}),
        ("CardType eq 'cSupplier' or CardCode eq 'C00001'", {"S00001", "C00001"}),
        ("startswith(CardCode,'C0000') and not (CardCode ge 'C00003')", {"C00001", "C00002"}),
        ("CardCode eq 'HOSTILE-QUOTE'''", {"HOSTILE-QUOTE'"}),
        ("CardCode eq 'c00001'", set()),
        ("UpdateDate eq '20250615' and UpdateTime lt '12:00:01' and endswith(CardCode,'RTL')", {"HOSTILE-RTL"}),
        ("UpdateDate eq datetime'2025-06-15T23:59:59' and contains(CardCode,'RTL')", {"HOSTILE-RTL"}),
        ("substringof('EMOJI',CardCode)", {"HOSTILE-EMOJI"}),
        ("UpdateDate eq null", set()),
    ],
)
def test_a_filter_is_read_as_the_vendor_reads_it(client: Client, text: str, codes: set[str]) -> None:
    query = requests.utils.quote(text, safe="")
    page = client.get(f"BusinessPartners?$select=CardCode&$filter={query}", Prefer="odata.maxpagesize=0")
    assert {row["CardCode"] for row in page["value"]} == codes


@pytest.mark.parametrize(
    "query",
    [
        "$filter=CardCode eq", "$filter=CardCode eq 'a' and", "$filter=Nope eq 1", "$filter=year(UpdateDate) eq 2025",
        "$filter=BPAddresses/any(a:a/City eq 'x')", "$filter=CreditLimit add 1 gt 2", "$filter=UpdateDate ge 'soon'",
        "$filter=CardType eq 'cNobody'", "$filter=((((", "$select=Nope", "$orderby=BPAddresses", "$search=x", "$top=x",
    ],
)  # fmt: skip
def test_what_the_vendor_does_not_read_is_refused(client: Client, query: str) -> None:
    assert client.send("GET", f"BusinessPartners?{query}").status_code == 400


def test_a_patch_merges_rows_and_replaces_them_only_when_told_to(client: Client) -> None:
    path, new = "BusinessPartners('C00001')", {"AddressName": "Yard", "AddressType": "bo_ShipTo", "City": "Graz"}
    assert client.send("PATCH", path, body={"BPAddresses": [new], "CardType": "S"}).status_code == 204
    record = client.get(path)
    assert [row["AddressName"] for row in record["BPAddresses"]] == ["Head office", "Head office", "Yard"]
    assert (
        client.send("PATCH", path, body={"BPAddresses": [new]}, B1S_ReplaceCollectionsOnPatch="true").status_code == 204
    )
    assert [row["AddressName"] for row in client.get(path)["BPAddresses"]] == ["Yard"]


def test_a_stale_etag_is_refused_and_payments_have_none(client: Client) -> None:
    path = "Orders(1)"
    mark = "odata.etag" if client.version == "v1" else "@odata.etag"
    etag = client.get(path)[mark]
    assert client.send("PATCH", path, body={"Comments": "1"}, If_Match=etag).status_code == 204
    stale = client.send("PATCH", path, body={"Comments": "2"}, If_Match=etag)
    assert stale.status_code == 412 and "-2039" in stale.text
    assert client.send("PATCH", path, body={"Comments": "3"}).status_code == 204, "without it: a blind overwrite"
    assert mark not in client.get("IncomingPayments")["value"][0]
    assert not {"UpdateDate", "UpdateTime", "CreateDate"} & set(client.get("IncomingPayments")["value"][0])


def test_totals_are_computed_and_a_payment_closes_its_invoice_until_it_is_cancelled(client: Client) -> None:
    lines = [{"ItemCode": "A00001", "Quantity": 3, "UnitPrice": 10.10, "VatGroup": "A1", "DiscountPercent": 10}]
    invoice = client.post("Invoices", {"CardCode": "C00001", "DocumentLines": lines}).json()
    assert (invoice["DocTotal"], invoice["VatSum"]) == (32.45, 5.18)
    assert invoice["DocNum"] != invoice["DocEntry"]
    entry = invoice["DocEntry"]
    paid = [{"DocEntry": entry, "SumApplied": 32.45, "InvoiceType": "it_Invoice"}]
    payment = {"CardCode": "C00001", "TransferSum": 32.45, "TransferAccount": "161000", "PaymentInvoices": paid}
    too_much = {**payment, "PaymentInvoices": [{**paid[0], "SumApplied": 99}]}
    assert client.post("IncomingPayments", too_much).status_code == 400
    made = client.post("IncomingPayments", payment).json()
    assert client.get(f"Invoices({entry})")["DocumentStatus"] == "bost_Close"
    assert client.send("POST", f"IncomingPayments({made['DocEntry']})/Cancel").status_code == 204
    after = client.get(f"Invoices({entry})")
    assert (after["DocumentStatus"], after["PaidToDate"]) == ("bost_Open", 0.0)


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("Orders", {"CardCode": "NOBODY", "DocDueDate": "2026-12-31"}, "-5002"),
        ("Orders", {"CardCode": "C00001"}, "-5002"),
        ("Orders", {"CardCode": "C00001", "DocDueDate": "2026-12-31", "DocumentLines": [{"ItemCode": "NO"}]}, "-2028"),
        ("Orders", {"CardCode": "C00001", "DocDueDate": "2026-12-31", "DocumentLines": [{}]}, "-1"),
        ("Invoices", {"CardCode": "C00001", "DocDate": "1999-01-01"}, "-5002"),
        ("Invoices", {"CardCode": "C00001", "DocCurrency": "XXX"}, "-1004"),
        ("Items", {"ItemCode": "A00001"}, "-2035"),
        ("Items", {"ItemCode": "X", "Nope": 1}, "-1000"),
        ("Items", {"ItemCode": "X" * 51}, "-1"),
        ("Items", {"ItemCode": "X", "SalesItem": "maybe"}, "-1004"),
    ],
)
def test_a_bad_record_is_refused_with_the_vendors_code(
    client: Client, path: str, body: dict[str, Any], code: str
) -> None:
    refused = client.post(path, body)
    assert (refused.status_code, str(refused.json()["error"]["code"])) == (400, code)


def test_documents_are_never_deleted_and_partners_only_while_nobody_uses_them(client: Client) -> None:
    assert "-5006" in client.send("DELETE", "Orders(1)").text
    used = client.get("Orders(1)")["CardCode"]
    assert "used in documents" in client.send("DELETE", f"BusinessPartners('{used}')").text
    assert client.post("BusinessPartners", {"CardCode": "FREE"}).status_code == 201
    assert client.send("DELETE", "BusinessPartners('FREE')").status_code == 204


def change_set(*parts: tuple[str, str, dict[str, Any]]) -> str:
    requests_in_it = "".join(
        f"--c\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\nContent-ID: {number}\r\n\r\n"
        f"{method} /b1s/v2/{path}\r\nContent-Type: application/json\r\n\r\n{json.dumps(body)}\r\n"
        for number, (method, path, body) in enumerate(parts, start=1)
    )
    return f"--b\r\nContent-Type: multipart/mixed;boundary=c\r\n\r\n{requests_in_it}--c--\r\n"


def test_a_change_set_is_all_or_nothing_and_a_batch_ends_at_its_first_failure(client: Client) -> None:
    good, twin = ("POST", "Items", {"ItemCode": "B-1"}), ("POST", "Items", {"ItemCode": "B-2"})
    bad = ("POST", "Items", {"ItemCode": "B-3", "Nope": 1})
    last = ("POST", "Items", {"ItemCode": "B-4"})
    text = f"{change_set(good)}{change_set(twin, bad)}{change_set(last)}--b--\r\n"
    answer = client.send("POST", "$batch", body=text.encode(), Content_Type="multipart/mixed;boundary=b")
    assert answer.status_code == (202 if client.version == "v1" else 200), "whatever happens inside"
    assert answer.text.count("HTTP/1.1 201") == 1 and answer.text.count("HTTP/1.1 400") == 1
    there = [client.send("GET", f"Items('B-{number}')").status_code for number in (1, 2, 3, 4)]
    assert there == [200, 404, 404, 404]


def test_a_batch_holds_questions_too_and_needs_its_boundary(client: Client) -> None:
    part = "--b\r\nContent-Type: application/http\r\n\r\nGET /b1s/v2/Items('A00001')?$select=ItemCode\r\n\r\n\r\n"
    kind = "multipart/mixed;boundary=b"
    answer = client.send("POST", "$batch", body=f"{part}--b--\r\n".encode(), Content_Type=kind)
    assert "HTTP/1.1 200" in answer.text and '"ItemCode":"A00001"' in answer.text
    assert client.send("POST", "$batch", body=part.encode(), Content_Type=kind).status_code == 400


def test_the_same_seed_gives_the_same_bytes_whenever_it_is_sown(monkeypatch: pytest.MonkeyPatch) -> None:
    def all_of(company: Company) -> bytes:
        return encode([[row.values for row in table.values()] for table in company.tables.values()])

    plan = SeedPlan(sizes={"customers": 20, "items": 10, "orders": 30})
    first = all_of(seed(plan))
    monkeypatch.setattr(Company, "now", lambda self: ("2031-05-05", "05:05:05"))
    assert all_of(seed(plan)) == first
    assert all_of(seed(SeedPlan(seed=8, sizes=plan.sizes))) != first


def test_the_company_is_as_large_as_a_demo_needs() -> None:
    totals = seed(SeedPlan()).expected["totals"]
    assert totals["customer"] >= 500 and totals["product"] >= 200
    assert totals["order"] + totals["invoice"] >= 800 and totals["payment"] >= 100
