"""Metakocka's company synced by the engine into the demo's tables: a first load, what changes, and what goes back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
import requests

from erpflow.connectors.base import Limits
from erpflow.connectors.metakocka import Metakocka
from tests.contract.metakocka_vendor import COMPANY_ID, SECRET_KEY, MetakockaCompany
from tests.contract.sandboxes import sandbox
from tests.integration.conftest import Ended, Installation

ORDER_OF_ENTITIES = ("contact", "product", "inventory", "document")
TABLES = {"contact": "customers", "product": "products", "inventory": "stock", "document": "invoices"}


@pytest.fixture(scope="module")
def metakocka_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    sizes = ("--customers", "20", "--items", "24", "--orders", "40")
    with sandbox("metakocka", *sizes, folder=tmp_path_factory.mktemp("metakocka")) as url:
        yield url


@dataclass(frozen=True)
class Synced:
    """An installation with a connection to the company, and the company."""

    installation: Installation
    company: MetakockaCompany

    def sync(self, *words: str) -> Ended:
        ended = self.installation.run("sync", "run", "mk", *words)
        assert ended.err == "" and ended.status in (0, 2), ended
        return ended

    def sync_all(self) -> None:
        for entity in ORDER_OF_ENTITIES:
            self.sync(entity)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        return self.installation.rows(statement)

    def last_counts(self, entity: str, direction: str = "pull") -> dict[str, int]:
        """What became of the records of the last run."""
        columns = ("read", "created", "updated", "unchanged", "rejected", "conflict")
        (row,) = self.rows(
            f"SELECT {', '.join(f'l.{name}_count' for name in columns)} FROM erpflow.erp_sync_logs l"
            f" JOIN erpflow.erp_sync_configs c ON c.id = l.sync_config_id WHERE c.entity = '{entity}'"
            f" AND l.direction = '{direction}' ORDER BY l.started_at DESC LIMIT 1"
        )
        return dict(zip(columns, row, strict=True))

    def writes(self) -> int:
        """Requests that changed something at the vendor, since it was put back."""
        found = self.company.session.get(f"{self.company.url}/_sandbox/stats").json()["by_path"]
        return sum(count for path, count in found.items() if any(word in path for word in ("update", "put_", "add")))


@pytest.fixture
def synced(installation: Installation, metakocka_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Synced]:
    # Eight requests a second are polite to a vendor, and slow in a test.
    monkeypatch.setattr(Metakocka, "spec", replace(Metakocka.spec, limits=Limits(concurrent=1)))
    with requests.Session() as session:
        company = MetakockaCompany(metakocka_url, session)
        company.door("reset", {"vendor": "metakocka"})
        words = ("connection", "add", "mk", "--system", "metakocka", "--url", company.base_url, "--login", COMPANY_ID)
        ended = installation.run(*words, "--password-stdin", given=f"{SECRET_KEY}\n")
        assert (ended.status, ended.err) == (0, "")
        yield Synced(installation, company)


def test_a_first_load_brings_everything_but_what_no_table_takes(synced: Synced) -> None:
    synced.sync_all()
    expected = synced.company.ask_door("expected")
    for entity, table in TABLES.items():
        counts, told = synced.last_counts(entity), expected[entity]
        rejected = sum(told["breaking"].values())
        assert (counts["read"], counts["rejected"]) == (told["total"], rejected), entity
        assert counts["created"] == told["total"] - rejected, entity
        assert synced.rows(f"SELECT count(*) FROM app.{table}") == [(counts["created"],)]
    without = "SELECT count(*) FROM app.invoices WHERE customer_id IS NULL AND customer_name IS NOT NULL"
    assert synced.rows(without) == [(0,)]
    assert synced.rows("SELECT count(*) FROM app.invoice_items WHERE product_id IS NULL") == [(0,)]
    kinds = {kind for (kind,) in synced.rows("SELECT DISTINCT kind FROM app.invoices")}
    assert {"order", "offer", "invoice", "invoice_abroad"} <= kinds
    totals = (
        "SELECT count(*) FROM app.invoices WHERE abs(net_total + tax_total - grand_total) > 0.001 OR balance IS NULL"
    )
    assert synced.rows(totals) == [(0,)]


def test_syncing_again_changes_nothing_on_either_side(synced: Synced) -> None:
    synced.sync_all()
    before = [synced.rows(f"SELECT t::text FROM app.{table} t ORDER BY id") for table in TABLES.values()]
    for full in ((), ("--full",)):
        for entity in ORDER_OF_ENTITIES:
            synced.sync(entity, *full)
            counts = synced.last_counts(entity)
            assert (counts["created"], counts["updated"], counts["conflict"]) == (0, 0, 0), entity
    assert [synced.rows(f"SELECT t::text FROM app.{table} t ORDER BY id") for table in TABLES.values()] == before
    assert synced.writes() == 0


def test_an_increment_reads_from_where_the_last_read_began(synced: Synced) -> None:
    synced.sync_all()
    (bill,) = synced.rows("SELECT cursor_at IS NOT NULL FROM erpflow.erp_sync_configs WHERE entity = 'document'")
    assert bill == (True,)
    partner = synced.company.new_partner()
    order = synced.company.new_document(doc_type="sales_order", partner=partner, buyer_order="WEB-NEW")
    stored = synced.company.stored("document", order) or {}
    synced.sync("document")
    assert synced.last_counts("document")["rejected"] > 0, "its partner has not come yet"
    synced.sync("contact")
    assert synced.last_counts("contact")["created"] == 1
    synced.sync("document")
    found = synced.rows(f"SELECT customer_id IS NOT NULL FROM app.invoices WHERE number = '{stored['count_code']}'")
    assert found == [(True,)]
    assert synced.last_counts("document")["read"] < synced.company.ask_door("expected")["document"]["total"]


def test_a_payment_of_a_bill_lowers_its_balance(synced: Synced) -> None:
    synced.sync_all()
    bill = synced.company.new_document(doc_type="sales_bill_domestic")
    number = (synced.company.stored("document", bill) or {})["count_code"]
    balance = f"SELECT balance::text FROM app.invoices WHERE number = '{number}'"
    synced.sync("document")
    assert synced.rows(balance) == [("12.81",)]
    synced.company.door("metakocka/pay", {"id": bill.rpartition(":")[2], "amount": "2,81"})
    synced.sync("document")
    assert synced.rows(balance) == [("10.00",)]


def test_what_is_changed_here_goes_there_once_and_does_not_come_back(synced: Synced) -> None:
    company = synced.company
    contact, product = company.new_partner(), company.new_product()
    order = company.new_document(doc_type="sales_order", partner=contact, status_code="created")
    synced.sync_all()
    synced.rows("UPDATE app.customers SET city = 'Piran' WHERE name LIKE 'Person %' RETURNING 1")
    ware = (company.stored("product", product) or {})["code"]
    synced.rows(f"UPDATE app.products SET name = 'Novo ime', description = NULL WHERE sku = '{ware}' RETURNING 1")
    number = (company.stored("document", order) or {})["count_code"]
    synced.rows(f"UPDATE app.invoices SET status = 'shipped' WHERE number = '{number}' RETURNING 1")
    company.session.delete(f"{company.url}/_sandbox/stats")
    synced.sync_all()
    there = company.stored("contact", contact) or {}
    assert there["partner_delivery_address_list"][0]["city"] == "Piran"
    assert (company.stored("product", product) or {})["name"] == "Novo ime"
    assert (company.stored("document", order) or {})["status_desc"] == "shipped"
    assert synced.writes() == 3
    for entity in ("contact", "product", "document"):
        assert synced.last_counts(entity, "push")["updated"] == 1, entity
    synced.sync_all()
    assert synced.writes() == 3
    for entity in ("contact", "product", "document"):
        assert synced.last_counts(entity)["updated"] == 0, entity
        assert synced.last_counts(entity, "push")["updated"] == 0, entity


def test_lines_of_an_order_that_change_here_change_there(synced: Synced) -> None:
    company = synced.company
    order = company.new_document(doc_type="sales_order", partner=company.new_partner())
    number = (company.stored("document", order) or {})["count_code"]
    synced.sync_all()
    of_order = f"invoice_id = (SELECT id FROM app.invoices WHERE number = '{number}')"
    synced.rows(f"UPDATE app.invoice_items SET quantity = 4 WHERE {of_order} RETURNING 1")
    synced.rows(f"UPDATE app.invoices SET updated_at = now() WHERE number = '{number}' RETURNING 1")
    synced.sync("document")
    assert [line["amount"] for line in (company.stored("document", order) or {})["product_list"]] == [4]
    synced.sync("document")
    assert synced.rows(f"SELECT quantity::text FROM app.invoice_items WHERE {of_order}") == [("4.000000",)]


def test_what_the_api_cannot_change_is_a_reject_that_says_so(synced: Synced) -> None:
    company = synced.company
    offer = company.new_document(doc_type="sales_offer", partner=company.partner, status_code="open")
    number = (company.stored("document", offer) or {})["count_code"]
    synced.sync_all()
    synced.rows(f"UPDATE app.invoices SET status = 'accepted' WHERE number = '{number}' RETURNING 1")
    synced.sync("document")
    (problems,) = synced.rows(
        "SELECT problems::text FROM erpflow.erp_rejects WHERE direction = 'push' AND status = 'open'"
    )
    assert "changes no sales_offer" in str(problems)
    assert (company.stored("document", offer) or {})["status_desc"] == "open"


def test_a_plan_lists_the_documents_that_are_not_synced_yet(synced: Synced) -> None:
    synced.sync_all()
    order = synced.company.new_document(doc_type="sales_order", partner=next(iter(synced.company.modified("contact"))))
    ended = synced.installation.run("plan", "mk", "document")
    assert f"+ created here: {order}" in ended.out
    assert "Nothing was written." in ended.out


def test_a_reconciliation_finds_what_no_increment_can(synced: Synced) -> None:
    """A partner that changes alone is on no document that changed."""
    contact = synced.company.new_partner()
    synced.sync("contact")
    synced.company.age("document", list(synced.company.modified("document")))
    synced.company.change("contact", contact, {"customer": "Renamed d.o.o."})
    synced.sync("contact")
    renamed = "SELECT count(*) FROM app.customers WHERE name = 'Renamed d.o.o.'"
    assert synced.rows(renamed) == [(0,)]
    ended = synced.installation.run("reconcile", "mk", "contact")
    assert contact in ended.out
    synced.sync("contact", "--full")
    assert synced.rows(renamed) == [(1,)]


def test_single_records_are_synced_by_their_ids(synced: Synced) -> None:
    synced.sync("product")
    (level,) = synced.company.create("inventory", 1)
    synced.sync("product", "--record", level.partition(":")[2])
    synced.sync("inventory", "--record", level)
    assert synced.rows("SELECT quantity::text, reserved::text FROM app.stock") == [("7.300000", "1.000000")]


def test_no_secret_is_in_any_table_or_landed_page(synced: Synced) -> None:
    synced.sync_all()
    tables = synced.rows("SELECT table_name FROM information_schema.tables WHERE table_schema = 'erpflow'")
    for (table,) in tables:
        assert synced.rows(f"SELECT count(*) FROM erpflow.{table} t WHERE t::text LIKE '%{SECRET_KEY}%'") == [(0,)], (
            table
        )
    landed = [path for path in synced.installation.home.rglob("*") if path.is_file()]
    assert landed
    assert not [path for path in landed if SECRET_KEY.encode() in path.read_bytes()]
