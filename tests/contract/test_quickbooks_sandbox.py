"""The sandbox's QuickBooks, driven by clients that others wrote: python-quickbooks and Intuit's own intuit-oauth.

What they cannot ask for is asked by hand: faults, limits, XML, the replay of a `requestid`.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from intuitlib.client import AuthClient
from intuitlib.enums import Scopes
from intuitlib.exceptions import AuthClientError
from quickbooks import QuickBooks
from quickbooks.batch import batch_create, batch_delete, batch_update
from quickbooks.cdc import change_data_capture
from quickbooks.exceptions import ObjectNotFoundException, QuickbooksException, ValidationException
from quickbooks.objects.base import EmailAddress, Ref
from quickbooks.objects.customer import Customer
from quickbooks.objects.detailline import SalesItemLine, SalesItemLineDetail
from quickbooks.objects.estimate import Estimate
from quickbooks.objects.invoice import Invoice
from quickbooks.objects.item import Item
from quickbooks.objects.payment import Payment, PaymentLine
from quickbooks.objects.salesreceipt import SalesReceipt

from sandbox import quickbooks
from sandbox.quickbooks.company import Company, Switches
from sandbox.quickbooks.entities import SALES
from sandbox.quickbooks.hostile import CUSTOMERS, DOCUMENTS, ITEMS
from sandbox.quickbooks.sales import SUBTOTAL, amount, total
from sandbox.quickbooks.seeding import snapshot
from sandbox.vendor import SeedPlan
from tests.contract.quickbooks_vendor import CLIENT_ID, CLIENT_SECRET, REALM
from tests.contract.sandboxes import ROOT, sandbox

SMALL = ("--customers", "30", "--items", "14", "--orders", "60")
REDIRECT = "https://app.example.com/callback"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with sandbox("quickbooks", *SMALL, folder=tmp_path_factory.mktemp("quickbooks")) as found:
        yield found


@pytest.fixture(autouse=True)
def fresh(url: str) -> None:
    requests.post(f"{url}/_sandbox/reset", json={"vendor": "quickbooks"}, timeout=10).raise_for_status()


@pytest.fixture
def intuit(url: str) -> AuthClient:
    """Intuit's own client, which finds the endpoints by the discovery document."""
    return AuthClient(CLIENT_ID, CLIENT_SECRET, REDIRECT, f"{url}/quickbooks/.well-known/openid_configuration")


@pytest.fixture
def client(url: str, intuit: AuthClient, monkeypatch: pytest.MonkeyPatch) -> QuickBooks:
    """python-quickbooks, after a person agreed."""
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")  # the sandbox is a server of this machine
    monkeypatch.setattr(QuickBooks, "api_url_v3", f"{url}/quickbooks/v3")
    page = intuit.get_authorization_url([Scopes.ACCOUNTING], state_token="state-1")
    back = requests.get(page, allow_redirects=False, timeout=10).headers["Location"]
    given = {name: values[0] for name, values in parse_qs(urlsplit(back).query).items()}
    assert back.startswith(REDIRECT) and given["state"] == "state-1"
    intuit.get_bearer_token(given["code"], realm_id=given["realmId"])
    return QuickBooks(
        auth_client=intuit, refresh_token=intuit.refresh_token, company_id=given["realmId"], minorversion=75
    )


def asked(url: str, path: str, *, method: str = "GET", body: Any = None, accept: str = "application/json") -> Any:
    """A request as the documentation writes it, with a token of its own."""
    token = requests.post(f"{url}/_sandbox/quickbooks/consent", timeout=10).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}", "Accept": accept}
    address = f"{url}/quickbooks/v3/company/{REALM}{path}"
    data = body if body is None or isinstance(body, str) else json.dumps(body)
    return requests.request(method, address, data=data, headers=headers, timeout=10)


def invoice_for(customer: Customer, item: Item, value: float = 100.0) -> Invoice:
    line = SalesItemLine()
    line.Amount = value
    line.SalesItemLineDetail = SalesItemLineDetail()
    line.SalesItemLineDetail.ItemRef = item.to_ref()
    line.SalesItemLineDetail.Qty, line.SalesItemLineDetail.UnitPrice = 1, value
    invoice = Invoice()
    invoice.CustomerRef = customer.to_ref()
    invoice.Line.append(line)
    return invoice


# -- python-quickbooks and intuit-oauth --------------------------------------------------------------------------------


def test_a_consent_gives_tokens_and_each_refresh_token_is_good_once(client: QuickBooks, intuit: AuthClient) -> None:
    first, access = intuit.refresh_token, intuit.access_token
    assert (intuit.expires_in, intuit.x_refresh_token_expires_in, intuit.realm_id) == (3600, 8_640_000, REALM)
    intuit.refresh()
    assert intuit.refresh_token != first and intuit.access_token != access
    with pytest.raises(AuthClientError) as refused:
        intuit.refresh(refresh_token=first)
    assert refused.value.status_code == 400 and "invalid_grant" in str(refused.value.content)


def test_a_revoked_token_opens_nothing(client: QuickBooks, intuit: AuthClient) -> None:
    assert intuit.revoke() is True
    with pytest.raises(QuickbooksException, match="Application authentication failed"):
        Customer.all(qb=client)


def test_the_wrong_secret_is_no_client(url: str) -> None:
    app = AuthClient(CLIENT_ID, "wrong", REDIRECT, f"{url}/quickbooks/.well-known/openid_configuration")
    with pytest.raises(AuthClientError, match="invalid_client"):
        app.refresh(refresh_token="RT1-x")


def test_customers_are_counted_listed_filtered_and_paged(client: QuickBooks) -> None:
    everybody = Customer.count("Active IN (true, false)", qb=client)
    assert everybody == 30
    active = Customer.count(qb=client)
    assert active < everybody, "inactive ones are hidden from who does not ask"
    assert len(Customer.all(qb=client)) == active
    pages = [Customer.all(start_position=start, max_results=10, order_by="Id", qb=client) for start in (1, 11, 21)]
    ids = [customer.Id for page in pages for customer in page]
    assert len(ids) == active and ids == sorted(ids, key=int)
    (one,) = Customer.filter(DisplayName=pages[0][0].DisplayName, qb=client)
    assert one.Id == ids[0]
    assert [found.Id for found in Customer.choose(ids[:3], qb=client)] == ids[:3]
    assert Customer.where("DisplayName LIKE 'HOSTILE%'", qb=client)


def test_a_customer_is_made_read_changed_and_made_inactive(client: QuickBooks) -> None:
    customer = Customer()
    customer.DisplayName = "O'Brien & Söhne <b>"
    customer.PrimaryEmailAddr = EmailAddress()
    customer.PrimaryEmailAddr.Address = "a@larkspur.example"
    customer.save(qb=client)
    found = Customer.get(customer.Id, qb=client)
    assert (found.DisplayName, found.SyncToken) == ("O'Brien & Söhne <b>", "0")
    (same,) = Customer.filter(DisplayName="O'Brien & Söhne <b>", qb=client)
    same.Notes = "changed"
    same.save(qb=client)
    assert Customer.get(customer.Id, qb=client).SyncToken == "1"
    with pytest.raises(QuickbooksException) as stale:
        found.save(qb=client)
    assert stale.value.error_code == 5010
    twin = Customer()
    twin.DisplayName = "O'BRIEN & SÖHNE <B>"
    with pytest.raises(QuickbooksException) as taken:
        twin.save(qb=client)
    assert taken.value.error_code == 6240 and f"Id={customer.Id}" in taken.value.detail


def test_items_show_their_sku_to_those_who_ask_for_it(client: QuickBooks) -> None:
    assert any(item.Sku for item in Item.all(qb=client))
    assert not any(item.Sku for item in Item.where(max_results=10, qb=client))


def test_an_invoice_is_made_paid_voided_and_deleted(client: QuickBooks) -> None:
    customer = Customer.all(qb=client)[0]
    item = next(item for item in Item.all(qb=client) if item.Type != "Category")
    invoice = invoice_for(customer, item).save(qb=client)
    assert [line.DetailType for line in invoice.Line] == ["SalesItemLineDetail", SUBTOTAL]
    assert (invoice.TotalAmt, invoice.Balance) == (100.0, 100.0) and invoice.DocNumber
    payment, line = Payment(), PaymentLine()
    payment.TotalAmt = line.Amount = 60
    payment.CustomerRef = customer.to_ref()
    line.LinkedTxn.append(invoice.to_linked_txn())
    payment.Line.append(line)
    payment.save(qb=client)
    paid = Invoice.get(invoice.Id, qb=client)
    assert paid.Balance == 40.0 and int(paid.SyncToken) > int(invoice.SyncToken)
    Payment.get(payment.Id, qb=client).void(qb=client)
    assert Invoice.get(invoice.Id, qb=client).Balance == 100.0
    Invoice.get(invoice.Id, qb=client).void(qb=client)
    assert Invoice.get(invoice.Id, qb=client).TotalAmt == 0
    answer = Invoice.get(invoice.Id, qb=client).delete(qb=client)
    assert answer["Invoice"]["status"] == "Deleted"
    with pytest.raises(ObjectNotFoundException):
        Invoice.get(invoice.Id, qb=client)


def test_estimates_and_sales_receipts_are_read(client: QuickBooks) -> None:
    assert len(Estimate.all(qb=client)) == 15 == len(SalesReceipt.all(qb=client))
    assert {estimate.TxnStatus for estimate in Estimate.all(qb=client)} <= {
        "Pending", "Accepted", "Closed", "Rejected", "Converted",
    }  # fmt: skip


def test_changes_hold_what_was_changed_and_stubs_of_what_was_deleted(client: QuickBooks) -> None:
    customer = Customer.all(qb=client)[0]
    item = next(item for item in Item.all(qb=client) if item.Type != "Category")
    since = minutes_ago()
    kept, gone = (invoice_for(customer, item).save(qb=client) for _ in range(2))
    gone.delete(qb=client)
    captured = change_data_capture([Invoice, Payment], since, qb=client)
    found = {invoice.Id: getattr(invoice, "status", None) for invoice in captured.Invoice._object_list}
    assert found == {kept.Id: None, gone.Id: "Deleted"}
    assert not hasattr(captured, "Payment"), "what has no change is not named"


def test_batches_answer_each_item_for_itself(client: QuickBooks) -> None:
    customers = []
    for name in ("Batch One", "Batch Two", "Batch One"):
        customer = Customer()
        customer.DisplayName = name
        customers.append(customer)
    made = batch_create(customers, qb=client)
    assert [customer.DisplayName for customer in made.successes] == ["Batch One", "Batch Two"]
    assert [fault.Error[0].code for fault in made.faults] == ["6240"]
    for customer in made.successes:
        customer.Notes = "by batch"
    assert len(batch_update(made.successes, qb=client).successes) == 2
    refused = batch_delete(made.successes, qb=client)
    assert len(refused.faults) == 2, "names are not deleted"


def test_a_create_with_a_request_id_is_made_once(client: QuickBooks) -> None:
    customer = Customer()
    customer.DisplayName = "Once"
    first = customer.save(qb=client, request_id="request-1")
    customer.Id = None
    assert customer.save(qb=client, request_id="request-1").Id == first.Id
    assert Customer.count("DisplayName = 'Once'", qb=client) == 1


@pytest.mark.parametrize(
    ("select", "code"),
    [
        ("select * from Customer where DisplayName = 'a' or Id = '1'", 4000),
        ("select * from Customer where", 4000),
        ("drop table Customer", 4000),
        ("select * from Customer where Notes = 'a'", 4001),
        ("select * from Unicorn", 4001),
        ("select * from Customer startposition 0", 4001),
    ],
)
def test_statements_that_make_no_sense_are_refused(client: QuickBooks, select: str, code: int) -> None:
    with pytest.raises(ValidationException) as refused:
        client.query(select)
    assert refused.value.error_code == code


def test_references_that_lead_nowhere_are_refused(client: QuickBooks) -> None:
    customer = Customer.all(qb=client)[0]
    item = next(item for item in Item.all(qb=client) if item.Type != "Category")
    invoice = invoice_for(customer, item)
    invoice.CustomerRef = Ref()
    invoice.CustomerRef.value = "99999"
    with pytest.raises(ValidationException) as refused:
        invoice.save(qb=client)
    assert refused.value.error_code == 2500


# -- by hand -----------------------------------------------------------------------------------------------------------


def test_who_does_not_ask_for_json_gets_xml(url: str) -> None:
    answer = asked(url, "/customer/1", accept="*/*")
    assert answer.headers["Content-Type"].startswith("application/xml")
    assert answer.text.startswith("<?xml") and "<DisplayName>" in answer.text
    assert answer.headers["intuit_tid"]


def test_every_answer_has_its_time_and_an_empty_one_names_no_entity(url: str) -> None:
    answer = asked(url, "/query", method="POST", body="select * from Customer where Id = '0'").json()
    assert answer["QueryResponse"] == {} and answer["time"]


def test_a_sparse_body_keeps_what_it_does_not_name_and_a_full_one_clears_it(url: str) -> None:
    made = asked(url, "/customer", method="POST", body={"DisplayName": "Sparse", "Notes": "n"}).json()["Customer"]
    body = {"Id": made["Id"], "SyncToken": "0", "sparse": True, "CompanyName": "C", "Notes": None}
    sparse = asked(url, "/customer", method="POST", body=body).json()["Customer"]
    assert (sparse["Notes"], sparse["CompanyName"], sparse["SyncToken"]) == ("n", "C", "1")
    full = asked(url, "/customer", method="POST", body={"Id": made["Id"], "SyncToken": "1", "DisplayName": "Sparse"})
    assert {"Notes", "CompanyName"}.isdisjoint(full.json()["Customer"])


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/customer", {"DisplayName": "x", "Unicorn": 1}, "2010"),
        ("/customer", {"Notes": "no name"}, "2020"),
        ("/customer", {"DisplayName": "a:b"}, "6000"),
        ("/customer", {"Id": "999999", "SyncToken": "0"}, "610"),
        ("/customer?operation=delete", {"Id": "1", "SyncToken": "0"}, "6000"),
        ("/invoice", {"CustomerRef": {"value": "1"}}, "2020"),
        ("/batch", {"BatchItemRequest": [{"bId": str(n), "Query": "select * from Item"} for n in range(31)]}, "1040"),
    ],
)
def test_what_is_refused_has_its_code(url: str, path: str, body: Any, code: str) -> None:
    answer = asked(url, path, method="POST", body=body)
    assert answer.status_code == 400
    fault = answer.json()["Fault"]
    assert (fault["type"], fault["Error"][0]["code"]) == ("ValidationFault", code)


def test_a_number_is_given_once_unless_the_company_lets_it_pass(url: str) -> None:
    line = {"Amount": 5, "DetailType": "SalesItemLineDetail", "SalesItemLineDetail": {"ItemRef": {"value": "1"}}}
    body = {"CustomerRef": {"value": _active_customer(url)}, "DocNumber": "1001", "Line": [line]}
    assert asked(url, "/invoice", method="POST", body=body).json()["Fault"]["Error"][0]["code"] == "6140"
    requests.post(f"{url}/_sandbox/quickbooks/switches", json={"unique_numbers": False}, timeout=10).raise_for_status()
    assert asked(url, "/invoice", method="POST", body=body).json()["Invoice"]["DocNumber"] == "1001"


def test_changes_of_more_than_30_days_ago_are_refused(url: str) -> None:
    answer = asked(url, "/cdc?entities=Customer&changedSince=2020-01-01T00:00:00Z")
    assert answer.status_code == 400


def test_tokens_and_companies_are_told_apart(url: str) -> None:
    address = f"{url}/quickbooks/v3/company/{REALM}/customer/1"
    nobody = requests.get(address, headers={"Accept": "application/json"}, timeout=10)
    assert (nobody.status_code, nobody.json()["Fault"]["Error"][0]["code"]) == (401, "3200")
    token = requests.post(f"{url}/_sandbox/quickbooks/consent", timeout=10).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
    other = requests.get(address.replace(REALM, "1"), headers=headers, timeout=10)
    assert (other.status_code, other.json()["Fault"]["Error"][0]["code"]) == (403, "3100")


def test_too_many_in_a_minute_or_at_once_are_throttled(url: str) -> None:
    door = f"{url}/_sandbox/quickbooks/switches"
    requests.post(door, json={"concurrent": 2, "work_s": 0.3}, timeout=10).raise_for_status()
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda: statuses.append(asked(url, "/customer/1").status_code)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200, 200, 429, 429]
    requests.post(door, json={"work_s": 0, "per_minute": 3}, timeout=10).raise_for_status()
    assert [asked(url, "/customer/1").status_code for _ in range(2)] == [200, 429]


# -- the seed ----------------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_company_and_another_one_another() -> None:
    sizes = {"customers": 60, "items": 30, "orders": 80}
    first = snapshot(quickbooks.seed(SeedPlan(sizes=sizes)))
    assert snapshot(quickbooks.seed(SeedPlan(sizes=sizes))) == first
    assert snapshot(quickbooks.seed(SeedPlan(seed=8, sizes=sizes))) != first


def test_unless_told_otherwise_the_company_is_of_a_believable_size() -> None:
    counts = quickbooks.counts(quickbooks.seed(SeedPlan()))
    assert (counts["customer"], counts["product"]) == (600, 220)
    assert (counts["invoice"], counts["order"], counts["estimate"]) == (500, 250, 250)
    assert 300 < counts["payment"] < 450


@pytest.mark.parametrize("sizes", [(0, 0, 0), (3, 2, 2), (30, 0, 5)])
def test_a_company_can_be_tiny(sizes: tuple[int, int, int]) -> None:
    company = quickbooks.seed(SeedPlan(sizes=dict(zip(("customers", "items", "orders"), sizes, strict=True))))
    assert quickbooks.counts(company)["customer"] == sizes[0]


def test_an_entity_that_it_does_not_size_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="has no invoices; it can size customers, items, orders"):
        quickbooks.seed(SeedPlan(sizes={"invoices": 5}))


def test_amounts_add_up() -> None:
    company = quickbooks.seed(SeedPlan())
    for entity in SALES:
        for row in company.tables[entity].values():
            items = sum(amount(line["Amount"]) for line in row.values["Line"] if "LineNum" in line)
            (below,) = [line for line in row.values["Line"] if line["DetailType"] == SUBTOTAL]
            assert below["Amount"] == items
            assert row.values["TotalAmt"] == total(row.values)
    paid: dict[str, Any] = {}
    for payment in company.tables["Payment"].values():
        for line in payment.values["Line"]:
            target = line["LinkedTxn"][0]["TxnId"]
            paid[target] = paid.get(target, 0) + line["Amount"]
    for invoice in company.tables["Invoice"].values():
        assert invoice.values["Balance"] == invoice.values["TotalAmt"] - paid.get(invoice.values["Id"], 0)


def test_many_records_share_the_second_they_were_imported_in() -> None:
    company = quickbooks.seed(SeedPlan())
    for entity in ("Customer", "Item", "Invoice"):
        times = [row.at for row in company.tables[entity].values()]
        assert max(times.count(at) for at in set(times)) > 20


def test_the_hostile_rows_are_there(url: str) -> None:
    company: Company = quickbooks.seed(SeedPlan())
    names = {row.values["DisplayName"] for row in company.tables["Customer"].values()}
    assert {row.name for row in CUSTOMERS} <= names
    assert {row.name for row in ITEMS} <= {row.values["Name"] for row in company.tables["Item"].values()}
    dates = {row.values["TxnDate"] for row in company.tables["Invoice"].values()}
    assert {row.values["TxnDate"] for row in DOCUMENTS["Invoice"] if "TxnDate" in row.values} <= dates


def minutes_ago() -> str:
    return (datetime.now(UTC) - timedelta(minutes=2)).isoformat(timespec="seconds")


def _active_customer(url: str) -> str:
    answer = asked(url, "/query", method="POST", body="select Id from Customer maxresults 1").json()
    found: str = answer["QueryResponse"]["Customer"][0]["Id"]
    return found


def test_every_route_and_switch_of_the_side_door_is_described() -> None:
    page = (ROOT / "docs" / "sandbox.md").read_text("utf-8")
    company = quickbooks.seed(SeedPlan(sizes={"customers": 0, "items": 0, "orders": 0}))
    routes = {f"/_sandbox/quickbooks{route.path}" for route in quickbooks.control_routes(company)}
    assert set(re.findall(r"`(?:GET|POST|DELETE) (/_sandbox/quickbooks/[a-z/]+)`", page)) == routes
    assert all(f"`{field.name}`" in page for field in fields(Switches))
