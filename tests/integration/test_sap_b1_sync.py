"""SAP Business One through the real engine, its sandbox and Postgres: loads, increments, a push, and no echo."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.contract.sandboxes import sandbox
from tests.integration.conftest import Installation

ENTITIES = ("customer", "contact", "product", "order", "invoice", "payment")
SIZES = {"customers": 30, "items": 15, "orders": 24, "never_updated": 2}
TABLES = {
    "customer": "app.customers",
    "contact": "app.contacts",
    "product": "app.products",
    "order": "app.orders",
    "invoice": "app.invoices",
    "payment": "app.payments",
}


@pytest.fixture(scope="module")
def sap_b1_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with sandbox("sap_b1", "--customers", "1", folder=tmp_path_factory.mktemp("sap_b1")) as url:
        yield url


@dataclass(frozen=True)
class Books:
    """An installation with the connection `books` to the sandbox's company, in its first state."""

    installation: Installation
    url: str

    def sync(self, entity: str, *words: str) -> str:
        ended = self.installation.run("sync", "run", "books", entity, *words)
        assert ended.status in (0, 2), ended.err + ended.out
        return ended.out

    def one(self, statement: str) -> object:
        ((value,),) = self.installation.rows(statement)
        return value

    def door(self, path: str, body: Mapping[str, Any]) -> Any:
        answer = requests.post(f"{self.url}/_sandbox/{path}", json=body, timeout=10)
        assert answer.ok, answer.text
        return answer.json()

    def ask(self, path: str, **query: str) -> Any:
        answer = requests.get(f"{self.url}/_sandbox/sap_b1/{path}", params=query, timeout=10)
        assert answer.ok, answer.text
        return answer.json()


@pytest.fixture
def books(installation: Installation, sap_b1_url: str) -> Books:
    found = Books(installation, sap_b1_url)
    found.door("reset", {"vendor": "sap_b1", "sizes": SIZES})
    words = ("--system", "sap_b1", "--url", f"{sap_b1_url}/sap_b1", "--login", "manager", "--password-stdin")
    settings = ("--set", "company_db=SBODEMOEU", "--set", "time_zone=Europe/Berlin")
    ended = installation.run("connection", "add", "books", *words, *settings, given="sandbox-manager-password\n")
    assert (ended.status, ended.err) == (0, "")
    return found


def test_a_first_load_lands_all_that_can_be_stored_and_a_second_one_changes_nothing(books: Books) -> None:
    for entity in ENTITIES:
        books.sync(entity)
    expected = books.ask("expected")
    for entity, table in TABLES.items():
        rejected = sum(expected["rejects"].get(entity, {}).values())
        assert books.one(f"SELECT count(*) FROM {table}") == expected["totals"][entity] - rejected, entity
    assert books.one("SELECT count(*) FROM app.orders WHERE customer_id IS NULL") == 0
    assert books.one("SELECT count(*) > 10 FROM app.order_items WHERE product_id IS NOT NULL") is True
    assert books.one("SELECT count(*) FROM app.invoices WHERE order_id IS NULL") == 0
    assert books.one("SELECT count(*) FROM app.payments WHERE invoice_id IS NULL") == 0
    assert books.one("SELECT count(*) FROM app.contacts WHERE customer_id IS NOT NULL") != 0
    before = {table: books.installation.rows(f"SELECT t::text FROM {table} t ORDER BY id") for table in TABLES.values()}
    for entity in ENTITIES:
        assert "0 created, 0 updated" in books.sync(entity, "--full"), entity
    for table, rows in before.items():
        assert books.installation.rows(f"SELECT t::text FROM {table} t ORDER BY id") == rows


def test_lines_and_totals_of_a_document_add_up(books: Books) -> None:
    books.sync("order")
    wrong = books.one(
        "SELECT count(*) FROM app.orders o WHERE currency = 'EUR' AND (net_total + tax_total <> grand_total"
        " OR net_total <> (SELECT sum(amount) FROM app.order_items i WHERE i.order_id = o.id))"
    )
    assert wrong == 0


def test_an_increment_reads_what_changed_since_and_a_payment_closes_its_invoice(books: Books) -> None:
    for entity in ("customer", "order", "invoice", "payment"):
        books.sync(entity)
    open_invoice = books.installation.rows(
        "SELECT substr(number, 4)::int - 10000, grand_total::text FROM app.invoices WHERE status = 'open'"
        " AND balance = grand_total AND currency = 'EUR' ORDER BY id LIMIT 1"
    )
    ((entry, total),) = open_invoice
    payment = {
        "CardCode": books.ask("row", set="Invoices", key=str(entry))["CardCode"],
        "TransferSum": float(str(total)),
        "TransferAccount": "161000",
        "PaymentInvoices": [{"DocEntry": entry, "SumApplied": float(str(total)), "InvoiceType": "it_Invoice"}],
    }
    books.door("sap_b1/insert", {"set": "IncomingPayments", "records": [payment]})
    out = books.sync("invoice")
    assert "1 updated" in out and "0 created" in out
    assert books.one(f"SELECT status || balance FROM app.invoices WHERE number = 'B1-{10000 + int(str(entry))}'") == (
        "closed0.00"
    )
    assert "1 created" in books.sync("payment")
    # Neither is read again from the beginning, but for what has no time of update.
    assert "0 created, 0 updated" in books.sync("customer")


def test_a_local_change_is_pushed_once_and_does_not_come_back(books: Books) -> None:
    books.sync("customer")
    books.sync("order")
    books.installation.rows(
        "UPDATE app.customers SET phone = '+49 30 1234567' WHERE id = (SELECT min(id) FROM app.customers) RETURNING id"
    )
    books.installation.rows(
        "UPDATE app.orders SET purchase_order_number = 'CHANGED-HERE' WHERE number = 'B1-10001' RETURNING id"
    )
    books.sync("customer")
    books.sync("order")
    order = books.ask("row", set="Orders", key="1")
    assert order["NumAtCard"] == "CHANGED-HERE"
    changed = [row for row in books.ask("rows", set="BusinessPartners", inside="Phone1")["rows"]]
    (code,) = [row["CardCode"] for row in changed if row["Phone1"] == "+49 30 1234567"]
    partner = books.ask("row", set="BusinessPartners", key=code)
    assert len(partner["BPAddresses"]) == 2 and partner["ContactEmployees"], (
        "a PATCH leaves alone what it does not name"
    )
    stamps = [(row["UpdateDate"], row["UpdateTime"]) for row in (order, partner)]
    for _ in range(2):
        for entity in ("customer", "order"):
            assert "0 created, 0 updated" in books.sync(entity)
    again = books.ask("row", set="Orders", key="1"), books.ask("row", set="BusinessPartners", key=code)
    assert [(row["UpdateDate"], row["UpdateTime"]) for row in again] == stamps


def test_a_contact_is_changed_at_its_partner(books: Books) -> None:
    books.sync("customer")
    books.sync("contact")
    books.installation.rows(
        "UPDATE app.contacts SET job_title = 'Chief' WHERE id = (SELECT min(id) FROM app.contacts) RETURNING id"
    )
    books.sync("contact")
    rows = books.ask("rows", set="BusinessPartners", inside="ContactEmployees")["rows"]
    chiefs = [each for row in rows for each in row["ContactEmployees"] or [] if each.get("Position") == "Chief"]
    assert len(chiefs) == 1 and chiefs[0]["LastName"], "changed in place, not added"
    assert "0 created, 0 updated" in books.sync("contact")


def test_what_is_deleted_there_is_found_by_a_full_sync(books: Books) -> None:
    path: Path = books.installation.mappings / "sap_b1" / "product.yaml"
    path.write_text(path.read_text().replace("deletes: ignore", "deletes: {pull: hard, find: sweep, at_most: 50%}"))
    books.sync("product")
    before = books.one("SELECT count(*) FROM app.products")
    books.door("sap_b1/delete", {"set": "Items", "keys": ["A00003"]})
    books.sync("product", "--full")
    assert books.one("SELECT count(*) FROM app.products") == int(str(before)) - 1
    assert books.one("SELECT count(*) FROM app.products WHERE sku = 'A00003'") == 0
