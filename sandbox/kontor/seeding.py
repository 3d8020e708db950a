"""A believable office, the same for the same plan: customers in Europe, goods, and orders that add up."""

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sandbox.kontor.store import Office, complete
from sandbox.shelf import Row, Shelf
from sandbox.vendor import SeedPlan

BEGAN = datetime(2025, 1, 2, 8, 0, tzinfo=UTC)
USUAL = {"customers": 600, "items": 240, "orders": 900}
FIRST = (
    "Hansa",
    "Alster",
    "Nordlicht",
    "Rhein",
    "Isar",
    "Donau",
    "Seine",
    "Baltic",
    "Óbuda",
    "Kraków",
    "Porto",
    "Lech",
)
KINDS = ("Logistik", "Feinkost", "Werkzeuge", "Papier", "Textil", "Energie", "Optik", "Möbel", "Medizin", "Druck")
FORMS = ("GmbH", "AG", "KG", "Sp. z o.o.", "SARL", "Lda", "Kft")
TOWNS = (
    ("Hamburg", "DE"), ("München", "DE"), ("Köln", "DE"), ("Wien", "AT"), ("Zürich", "CH"), ("Lyon", "FR"),
    ("Gdańsk", "PL"), ("Budapest", "HU"), ("Porto", "PT"),
)  # fmt: skip
GOODS = ("Ordner", "Kopierpapier", "Schreibtischlampe", "Rollcontainer", "Tacker", "Locher", "Whiteboard", "Kabelkanal")
SIZES = ("A4", "A3", "S", "M", "L", "XL", "80 g", "100 g")
HOSTILE_CUSTOMERS: tuple[Row, ...] = (
    {"name": "HOSTILE <script>alert(1)</script> & Söhne", "email": "hostile1@example.com", "notes": "<b>bold</b>"},
    {"name": "HOSTILE שלום עולם \u202eright to left\u202c", "email": "hostile2@example.com"},
    {"name": "HOSTILE '; DROP TABLE customers; --", "email": "hostile3@example.com", "notes": "a\nb\tc"},
    {"name": "HOSTILE " + "long " * 400, "email": "hostile4@example.com"},
)
REJECTED_CUSTOMERS: tuple[Row, ...] = ({"name": "HOSTILE nul", "notes": "a\u0000b", "city": "nul \u0000"},)
"""What Postgres cannot hold: each is a reject."""


def seed_office(plan: SeedPlan) -> Office:
    """The office of a plan. Raises ValueError for sizes it does not know."""
    unknown = sorted(set(plan.sizes) - set(USUAL))
    if unknown:
        raise ValueError(f"Kontor has no {', '.join(unknown)}; it has {', '.join(USUAL)}.")
    sizes, dice = {**USUAL, **plan.sizes}, random.Random(plan.seed)
    shelf = Shelf({"customers": {}, "products": {}, "orders": {}})
    minutes = iter(range(10_000_000))

    def put(table: str, row: Row) -> None:
        at = BEGAN + timedelta(minutes=next(minutes) * 3, microseconds=dice.randrange(1_000_000))
        shelf.add(table, complete(table, row, shelf), at=at)

    odd = (*REJECTED_CUSTOMERS, *HOSTILE_CUSTOMERS)[: sizes["customers"]]
    for row in odd:
        put("customers", row)
    for number in range(sizes["customers"] - len(odd)):
        put("customers", _customer(dice, number))
    for number in range(sizes["items"]):
        put("products", _product(dice, number))
    for number in range(sizes["orders"] if shelf.tables["customers"] and shelf.tables["products"] else 0):
        put("orders", _order(dice, number, shelf))
    began_with = {"customer": "customers", "product": "products", "order": "orders"}
    return Office(shelf, {word: len(shelf.tables[table]) for word, table in began_with.items()})


def _customer(dice: random.Random, number: int) -> Row:
    town, country = dice.choice(TOWNS)
    name = f"{dice.choice(FIRST)} {dice.choice(KINDS)} {dice.choice(FORMS)}"
    return {
        "name": f"{name} {number + 1}",
        "email": f"einkauf{number + 1}@kunde{number + 1}.example",
        "phone": f"+49 40 {dice.randrange(10**6, 10**7)}",
        "tax_number": f"{country}{dice.randrange(10**8, 10**9)}",
        "street": f"Hafenstraße {dice.randrange(1, 200)}",
        "city": town,
        "country": country,
        "credit_limit": Decimal(dice.randrange(0, 500)) * 100,
        "currency": "EUR",
        "notes": None if number % 3 else "Lieferung nur vormittags",
    }


def _product(dice: random.Random, number: int) -> Row:
    name = f"{GOODS[number % len(GOODS)]} {SIZES[(number // len(GOODS)) % len(SIZES)]}"
    return {
        "sku": f"K-{number + 1:05}",
        "name": f"{name} Nr. {number + 1}",
        "description": "Lagerware" if number % 2 else None,
        "unit": "Stk",
        "price": Decimal(dice.randrange(99, 99_900)) / 100,
        "currency": "EUR",
        "active": number % 17 != 0,
    }


def _order(dice: random.Random, number: int, shelf: Shelf) -> Row:
    lines: list[dict[str, Any]] = []
    for product in dice.sample(
        sorted(shelf.tables["products"]), min(dice.randrange(1, 5), len(shelf.tables["products"]))
    ):
        price = shelf.tables["products"][product]["price"]
        lines.append({"product_id": product, "quantity": dice.randrange(1, 40), "unit_price": price})
    return {
        "number": f"SO-{number + 1:06}",
        "customer_id": dice.choice(sorted(shelf.tables["customers"])),
        "order_date": (date(2025, 1, 2) + timedelta(days=number % 600)).isoformat(),
        "status": dice.choice(("open", "confirmed", "shipped", "cancelled")),
        "currency": "EUR",
        "reference": f"PO-{dice.randrange(10_000, 99_999)}",
        "note": None,
        "lines": lines,
    }
