"""Zoho CRM through the real engine, its sandbox and Postgres: loads, increments, a push and no echo, deletes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from tests.contract.sandboxes import sandbox
from tests.contract.zoho_crm_vendor import CLIENT_ID, CLIENT_SECRET
from tests.integration.conftest import Installation

SIZES = {"customers": 30, "items": 15, "orders": 24, "contacts": 40, "leads": 20, "deals": 20, "invoices": 16}
TABLES = {
    "customer": "app.customers",
    "contact": "app.contacts",
    "lead": "app.customers",
    "product": "app.products",
    "deal": "app.deals",
    "order": "app.orders",
    "invoice": "app.invoices",
}
SCOPES = (
    "ZohoCRM.modules.ALL", "ZohoCRM.settings.READ", "ZohoCRM.coql.READ", "ZohoCRM.bulk.READ",
    "ZohoCRM.org.READ", "ZohoCRM.users.READ",
)  # fmt: skip


@pytest.fixture(scope="module")
def zoho_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with sandbox("zoho_crm", "--customers", "1", folder=tmp_path_factory.mktemp("zoho")) as url:
        yield url


@dataclass(frozen=True)
class Sales:
    """An installation with the connection `sales`, to which a person consented in the console."""

    installation: Installation
    url: str

    def sync(self, entity: str, *words: str) -> str:
        ended = self.installation.run("sync", "run", "sales", entity, *words)
        assert ended.status in (0, 2), ended.err + ended.out
        return ended.out

    def one(self, statement: str) -> Any:
        ((value,),) = self.installation.rows(statement)
        return value

    def change(self, statement: str) -> None:
        assert self.installation.rows(f"{statement} RETURNING id")

    def door(self, path: str, body: Mapping[str, Any]) -> Any:
        answer = requests.post(f"{self.url}/_sandbox/{path}", json=body, timeout=30)
        assert answer.ok, answer.text
        return answer.json()

    def ask(self, path: str, **query: str) -> Any:
        answer = requests.get(f"{self.url}/_sandbox/zoho_crm/{path}", params=query, timeout=30)
        assert answer.ok, answer.text
        return answer.json()

    def remote_id(self, entity: str, table: str, condition: str) -> str:
        return str(
            self.one(
                "SELECT r.remote_id FROM erpflow.erp_entity_sync_records r JOIN erpflow.erp_sync_configs c"
                f" ON c.id = r.sync_config_id AND c.entity = '{entity}'"
                f" JOIN {table} t ON t.id::text = r.local_id WHERE {condition}"
            )
        )


@pytest.fixture
def sales(installation: Installation, zoho_url: str) -> Sales:
    found = Sales(installation, zoho_url)
    found.door("reset", {"vendor": "zoho_crm", "sizes": SIZES})
    words = ("connection", "add", "sales", "--system", "zoho_crm", "--url", f"{zoho_url}/zoho_crm")
    ended = installation.run(*words, "--login", CLIENT_ID, "--password-stdin", given=f"{CLIENT_SECRET}\n")
    assert ended.status == 0, ended.err
    code = found.door("zoho_crm/tokens", {"code": list(SCOPES)})["code"]
    ended = installation.run("connect", "sales", "--code", given=f"{code}\n")
    assert ended.status == 0, ended.err
    assert "Alpe Adria Trade" in ended.out
    return found


def test_a_first_load_lands_all_that_can_be_stored_and_a_second_one_changes_nothing(sales: Sales) -> None:
    for entity in TABLES:
        sales.sync(entity)
    expected = sales.ask("expected")
    stored = {
        entity: expected["totals"][entity] - sum(expected["rejects"].get(entity, {}).values()) for entity in TABLES
    }
    stored["customer"] = stored["lead"] = stored["customer"] + stored["lead"]
    assert {entity: sales.one(f"SELECT count(*) FROM {table}") for entity, table in TABLES.items()} == stored
    assert sum(expected["rejects"]["product"].values()) == 2
    assert sales.one("SELECT count(*) FROM app.contacts WHERE customer_id IS NULL") < 5
    assert sales.one("SELECT count(*) FROM app.order_items WHERE product_id IS NULL AND sku IS NOT NULL") == 0
    assert sales.one("SELECT count(*) FROM app.invoices WHERE order_id IS NULL") <= 1
    assert sales.one("SELECT count(*) FROM app.deals WHERE owner_email LIKE '%@alpe-adria.example'") == stored["deal"]
    before = {table: sales.installation.rows(f"SELECT t::text FROM {table} t ORDER BY id") for table in TABLES.values()}
    for entity in TABLES:
        assert "0 created, 0 updated" in sales.sync(entity, "--full"), entity
    for table, rows in before.items():
        assert sales.installation.rows(f"SELECT t::text FROM {table} t ORDER BY id") == rows
    assert sales.ask("tokens")["refreshes"] == 0, "one access token for all of it"


def test_lines_and_totals_of_a_document_add_up(sales: Sales) -> None:
    sales.sync("order")
    sales.sync("invoice")
    for table, lines, key in (("orders", "order_items", "order_id"), ("invoices", "invoice_items", "invoice_id")):
        wrong = (
            f"SELECT count(*) FROM app.{table} d WHERE net_total + tax_total <> grand_total"
            f" OR net_total <> (SELECT sum(amount) FROM app.{lines} i WHERE i.{key} = d.id)"
        )
        assert sales.one(f"SELECT count(*) FROM app.{table}") > 0
        assert sales.one(wrong) == 0


def test_an_increment_reads_what_changed_since_and_little_else(sales: Sales) -> None:
    sales.sync("customer")
    (changed,) = sales.door("zoho_crm/touch", {"module": "Accounts", "count": 1, "set": {"Billing_City": "Bled"}})[
        "ids"
    ]
    (new,) = sales.door("zoho_crm/insert", {"module": "Accounts", "records": [{"Account_Name": "Brand New"}]})["ids"]
    out = sales.sync("customer")
    assert "1 created, 1 updated" in out
    assert sales.one("SELECT count(*) FROM app.customers WHERE city = 'Bled' OR name = 'Brand New'") == 2
    assert changed != new
    assert "0 created, 0 updated" in sales.sync("customer")


def test_a_local_change_is_pushed_once_and_does_not_come_back(sales: Sales) -> None:
    for entity in ("customer", "product", "order"):
        sales.sync(entity)
    sales.change("UPDATE app.customers SET phone = '+386 1 555 0199' WHERE name LIKE '%0015%'")
    sales.change("UPDATE app.orders SET purchase_order_number = 'CHANGED-HERE' WHERE number = 'ZOHO-SO-000012'")
    account = sales.remote_id("customer", "app.customers", "t.name LIKE '%0015%'")
    order = sales.remote_id("order", "app.orders", "t.number = 'ZOHO-SO-000012'")
    before = sales.ask("row", module="Sales_Orders", id=order)
    sales.sync("customer")
    sales.sync("order")
    there = sales.ask("row", module="Accounts", id=account)
    assert (there["Phone"], there["Billing_City"] is None) == ("+386 1 555 0199", False)
    after = sales.ask("row", module="Sales_Orders", id=order)
    assert after["Purchase_Order"] == "CHANGED-HERE"
    assert after["Ordered_Items"] == before["Ordered_Items"], "lines that nobody changed are not written"
    stamps = there["Modified_Time"], after["Modified_Time"]
    for _ in range(2):
        for entity in ("customer", "order"):
            assert "0 created, 0 updated" in sales.sync(entity)
    rows = sales.ask("row", module="Accounts", id=account), sales.ask("row", module="Sales_Orders", id=order)
    assert tuple(row["Modified_Time"] for row in rows) == stamps


def test_changed_lines_are_changed_in_place(sales: Sales) -> None:
    for entity in ("customer", "product", "order"):
        sales.sync(entity)
    number = sales.one(
        "SELECT number FROM app.orders o JOIN app.order_items i ON i.order_id = o.id"
        " GROUP BY number HAVING count(*) > 2 ORDER BY number LIMIT 1"
    )
    order = sales.remote_id("order", "app.orders", f"t.number = '{number}'")
    before = sales.ask("row", module="Sales_Orders", id=order)["Ordered_Items"]
    lines = f"order_id = (SELECT id FROM app.orders WHERE number = '{number}')"
    sales.change(f"UPDATE app.order_items SET quantity = 77 WHERE line_no = 2 AND {lines}")
    sales.change(f"DELETE FROM app.order_items WHERE line_no = {len(before)} AND {lines}")
    sales.change(f"UPDATE app.orders SET updated_at = now() WHERE number = '{number}'")
    assert "1 updated" in sales.sync("order")
    after = sales.ask("row", module="Sales_Orders", id=order)["Ordered_Items"]
    assert [line["id"] for line in after] == [line["id"] for line in before[:-1]]
    assert after[1]["Quantity"] == 77 and after[1]["Discount"] == before[1]["Discount"]
    assert [line["Product_Name"] for line in after] == [line["Product_Name"] for line in before[:-1]]
    assert "0 created, 0 updated" in sales.sync("order")


def test_what_is_deleted_there_is_deleted_here_by_zohos_own_list(sales: Sales) -> None:
    sales.sync("deal")
    before = sales.one("SELECT count(*) FROM app.deals")
    gone = list(sales.ask("rows", module="Deals"))[8]
    sales.door("zoho_crm/delete", {"module": "Deals", "ids": [gone]})
    assert "1 deleted" in sales.sync("deal")
    assert sales.one("SELECT count(*) FROM app.deals") == before - 1


def test_a_consent_that_was_taken_back_stops_the_sync_and_another_one_goes_on(sales: Sales) -> None:
    sales.sync("product")
    sales.door("zoho_crm/tokens", {"expire": True})
    assert "0 created, 0 updated" in sales.sync("product", "--full")
    assert sales.ask("tokens")["refreshes"] == 1
    code = sales.door("zoho_crm/tokens", {"code": list(SCOPES)})["code"]
    ended = sales.installation.run("connect", "sales", "--code", given=f"{code}\n")
    assert ended.status == 0
    assert "0 created, 0 updated" in sales.sync("product", "--full")
