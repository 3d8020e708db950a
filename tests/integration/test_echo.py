"""Invariant 6: what we pushed does not come back as a change, nor what we pulled go out again.

A thousand records for ten cycles, edited on both sides, with a vendor who trims, rounds, re-cases and adds defaults:
whatever it makes of our values are its own words for them, and no change.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pytest

from erpflow.store.database import Database
from tests.two_way import TwoWayShop, quoted

RECORDS = 1_000
CYCLES = 10
EDITS = 60
NAMES = ["  Acme   Ltd ", "müller & söhne", "Apex", " apex ", "ACME LTD", "Große Straße 5"]
PHONES = [" +386 1 234 ", "00386", None, "", "1-2-3"]
LIMITS = ["12.49", "12.50", "0.01", "-0.00", "99999.99", None]


def normalised(record: dict[str, Any]) -> dict[str, Any]:
    """What the vendor makes of any value, whoever enters it."""
    limit = Decimal(str(record.get("limit") or 0))
    return record | {
        "name": " ".join(str(record["name"]).split()).upper(),
        "email": str(record["email"]).strip().lower(),
        "phone": "".join(str(record.get("phone") or "").split()) or None,
        "limit": str(limit.quantize(Decimal(1), ROUND_HALF_UP) + 0),  # and no zero has a sign
        "address": {"city": (record.get("address") or {}).get("city") or "Nowhere"},
        "tier": record.get("tier") or "standard",
    }


class Editors:
    """People on both sides, who roll dice. `heard` counts the rows whose change the vendor has to hear of."""

    def __init__(self, shop: TwoWayShop, seed: int) -> None:
        self.shop = shop
        self.dice = random.Random(seed)
        self.made = 0
        self.heard = 0

    def new(self) -> dict[str, Any]:
        self.made += 1
        dice = self.dice
        return {
            "name": f"{dice.choice(NAMES)} {self.made}",
            "email": f"Customer{self.made}@Example.com",
            "phone": dice.choice(PHONES),
            "limit": dice.choice(LIMITS),
        }

    def at_the_vendor(self) -> None:
        records, dice = self.shop.vendor.records, self.dice
        for remote_id in dice.sample(sorted(records), EDITS):
            change = {"phone": dice.choice(PHONES)} if dice.random() < 0.5 else {"limit": dice.choice(LIMITS)}
            self.shop.vendor.put(remote_id, **normalised({**records[remote_id], **change}))
        for remote_id in dice.sample(sorted(records), 3):
            self.shop.vendor.drop(remote_id)
        for _ in range(3):
            self.shop.vendor.put(**normalised(self.new()))

    def here(self) -> None:
        dice = self.dice
        ids = [row[0] for row in self.shop.rows("SELECT id FROM app.customers ORDER BY id")]
        edited = dice.sample(ids, EDITS)
        statements = []
        for row_id in edited:
            column, value = dice.choice([("phone", dice.choice(PHONES)), ("credit_limit", dice.choice(LIMITS))])
            statements.append(f"UPDATE app.customers SET {column} = {quoted(value)} WHERE id = {row_id}")
        # A change of what is not mapped, and a write that changes nothing: the vendor need not hear of either.
        unmapped = ", ".join(map(str, dice.sample(ids, EDITS)))
        statements.append(f"UPDATE app.customers SET tax_number = 'T-{dice.random()}' WHERE id IN ({unmapped})")
        statements.append(f"UPDATE app.customers SET name = name WHERE id IN ({unmapped})")
        gone = dice.sample(ids, 3)
        statements.append(f"DELETE FROM app.customers WHERE id IN ({', '.join(map(str, gone))})")
        for _ in range(3):
            new = self.new()
            statements.append(
                "INSERT INTO app.customers (name, email, phone, credit_limit) VALUES"
                f" ({', '.join(quoted(new[name]) for name in ('name', 'email', 'phone', 'limit'))})"
            )
        self.heard += len(set(edited) | set(gone)) + 3
        self.shop.do(";".join(statements))


@pytest.mark.parametrize("seed", [1])
def test_edits_on_both_sides_come_to_rest_and_nothing_echoes(
    fresh_database: Database, tmp_path: Path, seed: int
) -> None:
    shop = TwoWayShop(fresh_database, tmp_path)
    shop.vendor.tick = lambda: datetime.now(UTC)  # type: ignore[method-assign]  # both sides have the right time
    shop.vendor.normalise = normalised
    editors = Editors(shop, seed)
    for _ in range(RECORDS):
        shop.vendor.put(**normalised(editors.new()))
    shop.cycle()
    assert shop.vendor.writes == []

    for cycle in range(CYCLES):
        editors.at_the_vendor()
        editors.here()
        shop.cycle(push_first=cycle % 2 == 1)
        assert len(shop.vendor.writes) <= editors.heard

    for _ in range(3):
        shop.cycle()
    writes, rows = len(shop.vendor.writes), versions(shop)
    for full in (False, True):
        shop.cycle(full=full)
    assert len(shop.vendor.writes) == writes
    assert versions(shop) == rows
    assert shop.rows("SELECT DISTINCT status FROM erpflow.erp_entity_sync_records WHERE status <> 'deleted'") == [
        ("synced",)
    ]
    assert here(shop) == there(shop)

    # What only we changed goes out once and keeps our words.
    editors.here()
    rows = versions(shop)
    for _ in range(3):
        shop.cycle()
    assert len(shop.vendor.writes) <= editors.heard
    assert versions(shop) == rows
    assert here(shop) == there(shop)


def versions(shop: TwoWayShop) -> list[tuple[Any, ...]]:
    """Which transaction wrote each row last."""
    return shop.rows("SELECT id, xmin::text FROM app.customers ORDER BY id")


def here(shop: TwoWayShop) -> dict[str, tuple[Any, ...]]:
    """Our rows as the vendor would write them."""
    rows = shop.rows("SELECT name, email, phone, credit_limit::text FROM app.customers")
    records = [
        normalised({"name": name, "email": email, "phone": phone, "limit": limit}) for name, email, phone, limit in rows
    ]
    return {record["email"]: (record["name"], record["phone"], record["limit"]) for record in records}


def there(shop: TwoWayShop) -> dict[str, tuple[Any, ...]]:
    records = shop.vendor.records.values()
    return {record["email"]: (record["name"], record["phone"], record["limit"]) for record in records}


def test_what_the_vendor_computes_of_what_it_was_sent_is_pulled(fresh_database: Database, tmp_path: Path) -> None:
    shop = TwoWayShop(fresh_database, tmp_path)
    shop.use(shop.mappings["customer"].replace("remote: phone, type: text", "remote: phone, type: text, only: pull"))
    shop.vendor.normalise = lambda record: record | {"name": record["name"].upper(), "phone": f"of {record['name']}"}
    shop.do("INSERT INTO app.customers (name, email, phone) VALUES ('Acme', 'a@x.y', 'old')")
    shop.cycle(push_first=True)
    assert shop.rows("SELECT name, phone FROM app.customers") == [("Acme", "of Acme")]

    shop.do("UPDATE app.customers SET name = 'Apex'")
    shop.cycle(push_first=True)
    assert shop.rows("SELECT name, phone FROM app.customers") == [("Apex", "of Apex")]
    assert [operation for operation, _ in shop.vendor.writes] == ["create", "update"]


def priced(order: dict[str, Any]) -> dict[str, Any]:
    """An order as the vendor keeps it: each line with an amount that it computes."""
    return order | {"lines": [line | {"amount": float(line["qty"]) * 2} for line in order["lines"]]}


def test_what_the_vendor_computes_of_lines_is_pulled(fresh_database: Database, tmp_path: Path) -> None:
    shop = TwoWayShop(fresh_database, tmp_path)
    amount = "      - {local: amount, remote: amount, type: number, scale: 2, only: pull}\n"
    shop.use(shop.mappings["order"].rstrip("\n") + "\n" + amount, entity="order")
    shop.vendor.put(name="Acme", email="a@x.y")
    shop.cycle()
    shop.vendor.records.clear()
    shop.vendor.normalise = priced
    shop.do("INSERT INTO app.orders (number, customer_id, grand_total) SELECT 'O-1', id, 1 FROM app.customers")
    shop.do("INSERT INTO app.order_items (order_id, line_no, sku, quantity) SELECT id, 1, 'A', 3 FROM app.orders")
    shop.cycle("order", push_first=True)
    lines = "SELECT quantity::int, amount::text FROM app.order_items"
    assert shop.rows(lines) == [(3, "6.00")]

    shop.do("UPDATE app.order_items SET quantity = 4")
    shop.cycle("order", push_first=True)
    assert shop.rows(lines) == [(4, "8.00")]
    writes = len(shop.vendor.writes)
    rows = shop.rows("SELECT id, xmin::text FROM app.order_items")
    for _ in range(2):
        shop.cycle("order", full=True)
    assert len(shop.vendor.writes) == writes
    assert shop.rows("SELECT id, xmin::text FROM app.order_items") == rows
