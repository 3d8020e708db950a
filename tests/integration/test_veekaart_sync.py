"""VeeKaart end to end: rows of Postgres go to the sandbox's store by the mappings as they ship."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
import requests

from tests.integration.conftest import Installation, Sandbox

SHIPPED = ("product", "inventory", "price")
TABLES = {"product": "products", "inventory": "inventory", "price": "pricing"}
PRODUCTS = (
    "INSERT INTO app.products (sku, name, description, hsn_code, price) SELECT 'ERP-' || n, 'Product ' || n, NULL,"
    " '00120991', n + 0.5 FROM generate_series(1, {}) n"
)
STOCK = (
    "INSERT INTO app.stock (product_id, warehouse, quantity, reserved)"
    " SELECT id, 'Kochi', 40, 3 FROM app.products WHERE sku LIKE 'ERP-%'"
)
PUNE = STOCK.replace("Kochi", "Pune").replace("40", "7")
ERP_2 = "(SELECT id FROM app.products WHERE sku = 'ERP-2')"
PRICE = (
    "INSERT INTO app.prices (product_id, price_list, currency, amount, valid_from, valid_to)"
    " SELECT id, '{}', 'INR', {}, current_date + {}, current_date + {} FROM app.products WHERE sku = '{}'"
)
# A mapping over a table with several rows of a product, as the shipped ones are not.
ROW_BY_ROW = """
system: veekaart
entity: inventory
remote: {object: inventory, key: sku, modified: updated_at}
local: {table: app.stock, key: id, modified: updated_at, match_on: [product_id]}
direction: push
writes: [create, update]
every: 15m
fields:
  - {local: product_id, remote: sku, type: lookup, lookup: {entity: product}, required: true}
  - {local: quantity, remote: quantity, type: number}
"""


@dataclass(frozen=True)
class Counted:
    """What a sync run said of one direction."""

    said: str

    def __getattr__(self, name: str) -> int:
        found = re.search(rf"([\d,]+) {name}", self.said)
        return int(found[1].replace(",", "")) if found else 0


@dataclass(frozen=True)
class Shop:
    """An installation that is connected to the sandbox's VeeKaart store."""

    installation: Installation
    url: str

    def connect(self, *, path: str = "") -> None:
        words = ("connection", "add", "shop", "--system", "veekaart", "--url", f"{self.url}/veekaart{path}")
        ended = self.installation.run(*words, "--password-stdin", given="sandbox-veekaart-key\n")
        assert (ended.status, ended.err) == (0, "")

    def sync(self, entity: str, *words: str, direction: str = "push", status: int = 0) -> Counted:
        ended = self.installation.run("sync", "run", "shop", entity, "--direction", direction, *words)
        assert ended.status == status, ended.err + ended.out
        return Counted(ended.out)

    def do(self, statement: str) -> None:
        with self.installation.database.transaction() as connection:
            connection.execute(statement.encode())

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        return self.installation.rows(statement)

    def store(self, entity: str) -> dict[str, dict[str, Any]]:
        """The rows of the store by SKU."""
        answer = requests.get(f"{self.url}/_sandbox/veekaart/rows", params={"table": TABLES[entity]}, timeout=10)
        return {row["sku"]: row for row in answer.json(parse_float=Decimal)["rows"]}

    def posts(self) -> int:
        counted = requests.get(f"{self.url}/_sandbox/stats", timeout=10).json()["by_path"]
        return sum(count for path, count in counted.items() if path.startswith("POST /veekaart"))

    def requests(self) -> int:
        """How many requests the sandbox has been sent so far."""
        counted: int = requests.get(f"{self.url}/_sandbox/stats", timeout=10).json()["requests"]
        return counted

    def shelf(self, sku: str) -> tuple[Decimal, ...]:
        """What the store says there is of a product, is reserved and is available."""
        row = self.store("inventory")[sku]
        return (row["quantity"], row["reserved_quantity"], row["available_quantity"])

    def person(self, entity: str, **row: Any) -> None:
        """Somebody changes a row in the store's screens."""
        body = {"table": TABLES[entity], "rows": [row]}
        requests.post(f"{self.url}/_sandbox/veekaart/put", json=body, timeout=10).raise_for_status()

    def write_mapping(self, entity: str, text: str) -> None:
        (self.installation.mappings / "veekaart" / f"{entity}.yaml").write_text(text, encoding="utf-8")


@pytest.fixture
def shop(installation: Installation, sandbox: Sandbox) -> Iterator[Shop]:
    """The store in its first state, and nothing connected yet."""
    requests.post(f"{sandbox.url}/_sandbox/reset", json={"vendor": "veekaart"}, timeout=30).raise_for_status()
    yield Shop(installation, sandbox.url)


def test_a_first_full_sync_pushes_products_then_stock_then_prices(shop: Shop) -> None:
    shop.connect()
    shop.do(PRODUCTS.format(5))
    shop.do(STOCK)

    assert [shop.sync(entity).created for entity in SHIPPED] == [5, 5, 5]

    product, stock, price = (shop.store(entity)["ERP-3"] for entity in SHIPPED)
    assert (product["name"], product["description"], product["hsn_sac_code"]) == ("Product 3", "", "00120991")
    assert (product["price"], product["status"]) == (Decimal("3.50"), "active")
    assert (stock["quantity"], stock["reserved_quantity"], stock["available_quantity"]) == (40, 3, 37)
    assert (price["selling_price"], price["discount_percentage"]) == (Decimal("3.50"), 0)
    assert shop.rows("SELECT state, count(*) FROM erpflow.erp_push_attempts GROUP BY state") == [("succeeded", 15)]


def test_a_second_sync_sends_nothing(shop: Shop) -> None:
    shop.connect()
    shop.do(PRODUCTS.format(5))
    shop.do(STOCK)
    for entity in SHIPPED:
        shop.sync(entity)
    before = shop.posts()

    assert [shop.sync(entity, "--full").read for entity in SHIPPED] == [0, 0, 0]
    assert shop.posts() == before


def test_only_what_changed_is_sent(shop: Shop) -> None:
    shop.connect()
    shop.do(PRODUCTS.format(5))
    shop.do(STOCK)
    shop.sync("product")
    shop.sync("inventory")
    before = shop.posts()
    shop.do("UPDATE app.stock SET quantity = -2 WHERE product_id = (SELECT id FROM app.products WHERE sku = 'ERP-2')")

    assert (shop.sync("product").read, shop.sync("inventory").updated) == (0, 1)
    assert shop.posts() == before + 1
    stock = shop.store("inventory")["ERP-2"]
    assert (stock["quantity"], stock["available_quantity"]) == (0, 0), "a shelf holds no less than nothing"


def test_a_product_of_the_store_is_taken_over_and_what_only_the_store_knows_stays(shop: Shop) -> None:
    shop.connect()
    shop.person("product", sku="ERP-1", name="Old name", price=9, mrp=20, tax_rate=18, external_id="theirs")
    shop.do(PRODUCTS.format(2))

    pushed = shop.sync("product")

    assert (pushed.created, pushed.updated) == (1, 1)
    found = shop.store("product")["ERP-1"]
    assert (found["name"], found["price"], found["mrp"], found["tax_rate"]) == ("Product 1", Decimal("1.50"), 20, 18)
    assert found["external_id"] == "theirs"


def test_a_deleted_product_becomes_inactive_once_and_active_when_it_comes_back(shop: Shop) -> None:
    shop.connect()
    shop.do(PRODUCTS.format(3))
    shop.sync("product")
    shop.do("DELETE FROM app.products WHERE sku = 'ERP-2'")

    assert shop.sync("product").deleted == 1
    assert [shop.store("product")[sku]["status"] for sku in ("ERP-1", "ERP-2")] == ["active", "inactive"]
    before = shop.posts()
    assert shop.sync("product", "--full").read == 0
    assert shop.installation.run("reconcile", "shop", "product").status == 0, "both sides agree that it is gone"
    assert shop.posts() == before
    shop.do("INSERT INTO app.products (sku, name, price) VALUES ('ERP-2', 'Back again', 7)")
    shop.sync("product")
    assert (shop.store("product")["ERP-2"]["status"], shop.store("product")["ERP-2"]["name"]) == (
        "active",
        "Back again",
    )


def test_an_item_that_is_switched_off_here_is_inactive_there(shop: Shop) -> None:
    shop.connect()
    shop.do(PRODUCTS.format(1))
    shop.sync("product")
    shop.do("UPDATE app.products SET is_active = false")
    assert shop.sync("product").updated == 1
    assert shop.store("product")["ERP-1"]["status"] == "inactive"


def test_stock_of_a_product_that_is_not_there_yet_waits_for_it(shop: Shop) -> None:
    shop.connect()
    shop.do(PRODUCTS.format(2))
    shop.do(STOCK)
    assert shop.sync("inventory", status=2).rejected == 2
    assert "ERP-1" not in shop.store("inventory")
    shop.sync("product")
    assert shop.sync("inventory").created == 2
    assert shop.rows("SELECT DISTINCT status FROM erpflow.erp_rejects") == [("resolved",)]


def test_bad_rows_are_kept_with_their_reasons_and_the_others_arrive(shop: Shop) -> None:
    shop.connect()
    shop.do(PRODUCTS.format(4))
    shop.do("UPDATE app.products SET price = NULL WHERE sku = 'ERP-1'")
    shop.do("UPDATE app.products SET hsn_code = repeat('9', 40), is_active = NULL WHERE sku = 'ERP-2'")

    pushed = shop.sync("product", status=2)

    assert (pushed.created, pushed.rejected) == (2, 2)
    assert shop.rows("SELECT stage, problems -> 0 ->> 'field' FROM erpflow.erp_rejects ORDER BY 1") == [
        ("transform", "price"),
        ("vendor", "status"),
    ]
    before = shop.posts()
    assert shop.sync("product").read == 0
    assert shop.posts() == before, "it is not tried again before it changes"


def test_what_all_warehouses_hold_is_one_number_at_the_store(shop: Shop) -> None:
    shop.connect()
    shop.do(PRODUCTS.format(3))
    shop.do(STOCK)
    shop.do(PUNE)
    shop.sync("product")

    assert shop.sync("inventory").created == 3
    assert shop.shelf("ERP-2") == (47, 6, 41)
    assert shop.sync("inventory").read == 0
    shop.do(f"UPDATE app.stock SET quantity = 9 WHERE warehouse = 'Pune' AND product_id = {ERP_2}")
    before = shop.posts()
    assert (shop.sync("inventory").updated, shop.posts()) == (1, before + 1)
    assert shop.shelf("ERP-2") == (49, 6, 43)


def test_a_warehouse_that_leaves_the_sum_leaves_the_store_though_no_time_moved(shop: Shop) -> None:
    shop.connect()
    shop.do(PRODUCTS.format(3))
    shop.do(STOCK)
    shop.do(PUNE)
    shop.do("UPDATE app.stock SET updated_at = now() - interval '2 days' WHERE warehouse = 'Kochi'")
    shop.sync("product")
    shop.sync("inventory")
    shop.do(f"DELETE FROM app.stock WHERE warehouse = 'Pune' AND product_id = {ERP_2}")

    assert shop.sync("inventory").updated == 1
    assert shop.shelf("ERP-2") == (40, 3, 37)
    assert shop.sync("inventory").read == 0


def test_a_product_without_stock_has_none_at_the_store_until_it_comes_back(shop: Shop) -> None:
    shop.connect()
    shop.do(PRODUCTS.format(3))
    shop.do(STOCK)
    shop.sync("product")
    shop.sync("inventory")
    shop.do(f"DELETE FROM app.stock WHERE product_id = {ERP_2}")

    assert shop.sync("inventory").deleted == 1
    assert shop.shelf("ERP-2")[::2] == (0, 0)
    before = shop.posts()
    assert shop.sync("inventory", "--full").read == 0
    assert shop.installation.run("reconcile", "shop", "inventory").status == 0, "both sides agree that it is gone"
    assert shop.posts() == before
    shop.do(PUNE.replace("LIKE 'ERP-%'", "= 'ERP-2'"))
    shop.sync("inventory")
    assert shop.shelf("ERP-2") == (7, 3, 4)


def test_a_view_that_says_when_a_row_changed_is_looked_through_by_that_time(shop: Shop) -> None:
    text = (shop.installation.mappings / "veekaart" / "inventory.yaml").read_text()
    shop.write_mapping("inventory", text.replace("key: product_id,", "key: product_id, modified: updated_at,"))
    shop.connect()
    shop.do(PRODUCTS.format(3))
    shop.do(STOCK)
    shop.sync("product")
    shop.sync("inventory")
    long_ago = "quantity = 1, updated_at = now() - interval '2 days'"
    shop.do(f"UPDATE app.stock SET {long_ago} WHERE product_id <> {ERP_2}")
    shop.do(f"UPDATE app.stock SET quantity = 8 WHERE product_id = {ERP_2}")

    assert shop.sync("inventory").updated == 1
    assert shop.shelf("ERP-2") == (8, 3, 5)
    assert shop.sync("inventory", "--full").updated == 2


def test_the_price_list_of_the_store_goes_before_the_price_of_the_product(shop: Shop) -> None:
    shop.connect()
    shop.do(PRODUCTS.format(5))
    shop.do(PRICE.format("VeeKaart", 90, -9, 9, "ERP-1"))
    shop.do(PRICE.format("VeeKaart", 80, -3, 3, "ERP-1"))
    shop.do(PRICE.format("VeeKaart", 90, -9, -1, "ERP-2"))
    shop.do(PRICE.format("VeeKaart", 90, 1, 9, "ERP-3"))
    shop.do(PRICE.format("Retail", 90, -9, 9, "ERP-4"))
    shop.sync("product")
    shop.do("UPDATE app.products SET price = NULL WHERE sku = 'ERP-5'")

    assert shop.sync("price").created == 4

    prices = {sku: row["selling_price"] for sku, row in shop.store("price").items() if sku.startswith("ERP-")}
    assert prices == {"ERP-1": 80, "ERP-2": Decimal("2.50"), "ERP-3": Decimal("3.50"), "ERP-4": Decimal("4.50")}


def test_a_price_that_begins_or_ends_by_the_calendar_is_sent(shop: Shop) -> None:
    shop.connect()
    shop.do(PRODUCTS.format(2))
    shop.do(PRICE.format("VeeKaart", 90, -9, 0, "ERP-1"))
    shop.sync("product")
    shop.sync("price")
    assert shop.store("price")["ERP-1"]["selling_price"] == 90
    # The time of its last change stays where it is, as it does overnight.
    shop.do("ALTER TABLE app.prices DISABLE TRIGGER touch")
    shop.do("UPDATE app.prices SET valid_to = current_date - 1, updated_at = now() - interval '2 days'")
    shop.do("UPDATE app.products SET updated_at = now() - interval '2 days'")

    assert shop.sync("price").updated == 1
    assert shop.store("price")["ERP-1"]["selling_price"] == Decimal("1.50")


def test_a_second_row_of_a_product_is_a_conflict_and_does_not_overwrite_the_first(shop: Shop) -> None:
    shop.write_mapping("inventory", ROW_BY_ROW)
    shop.connect()
    shop.do(PRODUCTS.format(1))
    shop.do(STOCK)
    shop.do(PUNE)
    shop.sync("product")
    assert shop.sync("inventory").conflict == 1
    assert shop.store("inventory")["ERP-1"]["quantity"] == 40
    assert shop.rows("SELECT kind, status FROM erpflow.erp_conflicts") == [("unique_collision", "open")]


def test_rows_that_collide_are_looked_up_together(shop: Shop) -> None:
    shop.write_mapping("inventory", ROW_BY_ROW)
    shop.connect()
    shop.do(PRODUCTS.format(40))
    shop.do(STOCK)
    shop.do(PUNE)
    shop.sync("product")
    before = shop.requests()

    assert shop.sync("inventory").conflict == 40
    assert shop.requests() - before < 20


@pytest.mark.parametrize("kind", ["after_commit", "reset_after_commit", "truncate"])
def test_lost_replies_lose_and_double_nothing(shop: Shop, sandbox: Sandbox, kind: str) -> None:
    shop.connect()
    shop.do(PRODUCTS.format(30))
    sandbox.fault(kind=kind, path="^/veekaart/products", method="POST", times=1)
    assert shop.sync("product").created == 30
    assert len([sku for sku in shop.store("product") if sku.startswith("ERP-")]) == 30
    assert shop.sync("product").read == 0


def test_501_rows_are_two_posts_and_stay_within_the_limit_of_a_minute(shop: Shop) -> None:
    shop.connect()
    shop.do(PRODUCTS.format(501))
    before = shop.posts()
    assert shop.sync("product").created == 501
    assert shop.posts() - before == 2
    counted = requests.get(f"{shop.url}/_sandbox/stats", timeout=10).json()
    assert counted["requests"] <= 12
    assert "429" not in counted["by_status"]


def test_a_connection_to_the_observed_profile_pushes_whole_rows_without_reading(shop: Shop) -> None:
    shop.connect(path="/api/sync")
    shop.do(PRODUCTS.format(3))
    shop.do(STOCK)
    assert [shop.sync(entity).created for entity in ("product", "inventory")] == [3, 3]
    shop.do("UPDATE app.products SET price = 99 WHERE sku = 'ERP-1'")
    assert shop.sync("product").updated == 1
    found = shop.store("product")["ERP-1"]
    assert (found["price"], found["name"], found["hsn_sac_code"]) == (99, "Product 1", "00120991")


def test_both_ways_a_first_load_an_increment_a_push_and_no_echo(shop: Shop) -> None:
    text = (shop.installation.mappings / "veekaart" / "product.yaml").read_text()
    text = text.replace("direction: push", "direction: bidirectional").replace("local_wins", "newest_wins")
    shop.write_mapping("product", text + "writes: [update]\n")
    shop.connect()
    there = shop.store("product")

    first = shop.sync("product", direction="pull")
    assert first.created == len(there)
    assert shop.sync("product", "--full", direction="pull").unchanged == len(there)
    assert shop.sync("product").read == 0

    shop.person("product", sku="HOSTILE-RTL", name="Renamed in the store")
    assert shop.sync("product", direction="pull").updated == 1
    assert shop.rows("SELECT name FROM app.products WHERE sku = 'HOSTILE-RTL'") == [("Renamed in the store",)]
    assert shop.sync("product").read == 0, "no echo"

    shop.do("UPDATE app.products SET name = 'Renamed here' WHERE sku = 'HOSTILE-EMOJI'")
    assert shop.sync("product").updated == 1
    assert shop.store("product")["HOSTILE-EMOJI"]["name"] == "Renamed here"
    assert shop.store("product")["HOSTILE-EMOJI"]["mrp"] == there["HOSTILE-EMOJI"]["mrp"]
    assert shop.sync("product", direction="pull").updated == 0, "no echo"


def test_a_comparison_finds_what_somebody_changed_in_the_store_and_repairs_it(shop: Shop) -> None:
    shop.connect()
    shop.do(PRODUCTS.format(4))
    shop.do(STOCK)
    for entity in SHIPPED:
        shop.sync(entity)
    for entity in SHIPPED:
        ended = shop.installation.run("reconcile", "shop", entity)
        assert (ended.status, ended.err) == (0, ""), ended.out
    shop.person("product", sku="ERP-2", price=99)

    found = shop.installation.run("reconcile", "shop", "product")
    assert found.status == 2 and "different: ERP-2" in found.out
    repaired = shop.installation.run("reconcile", "shop", "product", "--repair")
    assert (repaired.status, repaired.err) == (0, ""), repaired.out
    assert shop.store("product")["ERP-2"]["price"] == Decimal("2.50")

    shop.person("inventory", sku="ERP-3", quantity=1)
    assert shop.installation.run("reconcile", "shop", "inventory").status == 2
    assert shop.installation.run("reconcile", "shop", "inventory", "--repair").status == 0
    assert shop.shelf("ERP-3") == (40, 3, 37)


# -- an accounting system's own tables, as the interchange contract describes them -----------------------------------

BOOKS = """
CREATE SCHEMA books;
CREATE TABLE books.tax_rates (id text PRIMARY KEY, percentage numeric(5, 2) NOT NULL);
CREATE TABLE books.items (
    id text PRIMARY KEY, item_code text NOT NULL, item_name text, hsn_sac_code text, selling_price numeric(18, 2),
    mrp numeric(18, 2), purchase_price numeric(18, 2), tax_rate_id text, current_stock numeric(18, 2),
    reserved_stock numeric(18, 2), is_active boolean NOT NULL, deleted_at timestamptz,
    updated_at timestamptz NOT NULL DEFAULT now());
INSERT INTO books.tax_rates VALUES ('gst18', 18), ('gst5', 5);
INSERT INTO books.items VALUES
    ('1', 'PA-65W', 'Power adapter 65 W', '85044090', 1250, 1499, 900, 'gst18', 40, 3, true),
    ('2', 'BISC-200', 'Biscuits', '19053100', 45.50, NULL, 30, 'gst5', 0, 0, false),
    ('3', 'BOOK', 'Notebook', '48202000', 40, 0, NULL, NULL, 5, 0, true),
    ('4', 'LOST', 'With a tax rate that is gone', '48202000', 40, 50, NULL, 'gone', 5, 0, true)
"""
LOCAL = "local: {table: books.items, key: id, modified: updated_at, deleted: deleted_at, match_on: [item_code]}"
TAX = "lookup: {table: books.tax_rates, match: percentage, take: id}"
ITEMS: Mapping[str, str] = {
    "product": f"""
system: veekaart
entity: product
remote: {{object: products, key: sku, modified: updated_at, deleted: {{path: status, value: inactive}}}}
{LOCAL}
direction: push
deletes: {{push: soft}}
every: 15m
fields:
  - {{local: item_code, remote: sku, required: true, transform: trim}}
  - {{local: id, remote: external_id}}
  - {{local: item_name, remote: name, required: true, max_length: 255}}
  - {{local: hsn_sac_code, remote: hsn_sac_code}}
  - {{local: selling_price, remote: price, type: number, scale: 2, min: 0, required: true}}
  - {{local: mrp, remote: mrp, type: number, scale: 2, min: 0}}
  - {{local: tax_rate_id, remote: tax_rate, type: lookup, {TAX}}}
  - {{local: is_active, remote: status, type: picklist, values: {{"true": active, "false": inactive}}}}
""",
    "price": f"""
system: veekaart
entity: price
remote: {{object: pricing, key: sku, modified: updated_at}}
{LOCAL}
direction: push
writes: [create, update]
every: 15m
fields:
  - {{local: item_code, remote: sku, required: true, transform: trim}}
  - {{local: purchase_price, remote: cost_price, type: number, scale: 2, min: 0}}
  - {{local: selling_price, remote: selling_price, type: number, scale: 2, min: 0, required: true}}
  - {{local: mrp, remote: mrp, type: number, scale: 2, min: 0}}
  - {{local: tax_rate_id, remote: tax_rate, type: lookup, {TAX}}}
""",
    "inventory": f"""
system: veekaart
entity: inventory
remote: {{object: inventory, key: sku, modified: updated_at}}
{LOCAL}
direction: push
writes: [create, update]
every: 15m
fields:
  - {{local: item_code, remote: sku, required: true, transform: trim}}
  - {{local: current_stock, remote: quantity, type: number}}
  - {{local: reserved_stock, remote: reserved_quantity, type: number, min: 0}}
""",
}


def test_items_of_the_books_arrive_as_the_contract_works_them_out(shop: Shop) -> None:
    for statement in BOOKS.split(";\n"):
        shop.do(statement)
    for entity, text in ITEMS.items():
        shop.write_mapping(entity, text)
    shop.connect()

    pushed = shop.sync("product", status=2)
    assert (pushed.created, pushed.rejected) == (3, 1)
    assert shop.rows("SELECT problems -> 0 ->> 'field' FROM erpflow.erp_rejects") == [("tax_rate_id",)]
    shop.do("DELETE FROM books.items WHERE id = '4'")
    assert [shop.sync(entity).created for entity in ("price", "inventory")] == [3, 3]

    products, prices, stock = (shop.store(entity) for entity in ("product", "price", "inventory"))
    shown = {sku: (p["external_id"], p["price"], p["mrp"], p["tax_rate"], p["status"]) for sku, p in products.items()}
    assert shown["PA-65W"] == ("1", 1250, 1499, 18, "active")
    assert shown["BISC-200"] == ("2", Decimal("45.50"), 0, 5, "inactive")
    assert shown["BOOK"] == ("3", 40, 0, 0, "active")
    assert [prices[sku]["discount_percentage"] for sku in ("PA-65W", "BISC-200", "BOOK")] == [Decimal("16.61"), 0, 0]
    assert [prices[sku]["cost_price"] for sku in ("PA-65W", "BOOK")] == [900, None]
    kept = stock["PA-65W"]
    assert (kept["quantity"], kept["reserved_quantity"], kept["available_quantity"]) == (40, 3, 37)

    before = shop.posts()
    shop.do("UPDATE books.items SET current_stock = 12, updated_at = now() WHERE id = '1'")
    assert (shop.sync("product").updated, shop.sync("price").updated) == (0, 0)
    assert shop.sync("inventory").updated == 1
    assert shop.posts() == before + 1, "only stock changed, so only stock is sent"
    shop.do("UPDATE books.items SET deleted_at = now(), updated_at = now() WHERE id = '3'")
    shop.sync("product")
    assert shop.store("product")["BOOK"]["status"] == "inactive"
