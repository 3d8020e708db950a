"""A believable database, the same for the same plan: partners, products, and orders that add up."""

import random
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from sandbox.odoo_demo.database import COUNTRIES, ORDER, PARTNER, PRODUCT, UNITS, Database, complete
from sandbox.shelf import Row, Shelf
from sandbox.vendor import SeedPlan

BEGAN = datetime(2025, 2, 3, 6, 30, tzinfo=UTC)
USUAL = {"customers": 550, "items": 220, "orders": 820}
CENT = Decimal("0.01")
NAMES = (
    "Azure Interior",
    "Deco Addict",
    "Gemini Furniture",
    "Lumber Inc",
    "Ready Mat",
    "Wood Corner",
    "Acme",
    "Jackson",
)
CITIES = ("Fremont", "Pleasant Hill", "Tracy", "Stockton", "Riyadh", "Dubai", "Kochi", "Lyon", "Berlin")
GOODS = ("Office Chair", "Large Desk", "Cabinet with Doors", "Drawer", "Desk Stand", "Lamp", "Screen", "Whiteboard Pen")
HOSTILE: tuple[Row, ...] = (
    {"name": "HOSTILE <img src=x onerror=alert(1)> & Sons", "ref": "HOSTILE-1", "comment": "<p>a</p>"},
    {"name": "HOSTILE 'quotes' \"and\" \\ backslash", "ref": "HOSTILE-2"},
    {"name": "HOSTILE مرحبا بالعالم", "ref": "HOSTILE-3"},
    {"name": "HOSTILE " + "x" * 5_000, "ref": "HOSTILE-4"},
)


def seed_database(plan: SeedPlan) -> Database:
    """The database of a plan. Raises ValueError for sizes it does not know."""
    unknown = sorted(set(plan.sizes) - set(USUAL))
    if unknown:
        raise ValueError(f"The Odoo demo has no {', '.join(unknown)}; it has {', '.join(USUAL)}.")
    sizes, dice = {**USUAL, **plan.sizes}, random.Random(plan.seed)
    shelf = Shelf({PARTNER: {}, PRODUCT: {}, ORDER: {}})
    minutes = iter(range(10_000_000))

    def put(model: str, row: Row) -> None:
        at = BEGAN + timedelta(minutes=next(minutes) * 2, microseconds=dice.randrange(1_000_000))
        shelf.add(model, complete(model, row), at=at)

    odd = HOSTILE[: sizes["customers"]]
    for row in odd:
        put(PARTNER, row)
    for number in range(sizes["customers"] - len(odd)):
        put(PARTNER, _partner(dice, number))
    for number in range(sizes["items"]):
        put(PRODUCT, _product(dice, number))
    for number in range(sizes["orders"] if shelf.tables[PARTNER] and shelf.tables[PRODUCT] else 0):
        put(ORDER, _order(dice, number, shelf))
    words = {"customer": PARTNER, "product": PRODUCT, "order": ORDER}
    return Database(shelf, {word: len(shelf.tables[model]) for word, model in words.items()})


def _partner(dice: random.Random, number: int) -> Row:
    return {
        "name": f"{dice.choice(NAMES)} {number + 1}",
        "email": f"office{number + 1}@partner{number + 1}.example",
        "phone": f"+1 555 {dice.randrange(10**6, 10**7)}" if number % 4 else None,
        "vat": f"US{dice.randrange(10**8, 10**9)}" if number % 3 else None,
        "street": f"{dice.randrange(1, 900)} Market Street",
        "city": dice.choice(CITIES),
        "country_id": dice.choice(sorted(COUNTRIES)),
        "credit_limit": Decimal(dice.randrange(0, 300)) * 50,
        "ref": f"P{number + 1:05}",
        "active": number % 25 != 24,
    }


def _product(dice: random.Random, number: int) -> Row:
    return {
        "default_code": f"OD-{number + 1:04}",
        "name": f"{GOODS[number % len(GOODS)]} {number + 1}",
        "description_sale": "Delivered within a week" if number % 2 else None,
        "list_price": Decimal(dice.randrange(250, 250_000)) / 100,
        "uom_id": 1 if number % 9 else dice.choice(sorted(UNITS)),
    }


def _order(dice: random.Random, number: int, shelf: Shelf) -> Row:
    products = dice.sample(sorted(shelf.tables[PRODUCT]), min(dice.randrange(1, 4), len(shelf.tables[PRODUCT])))
    lines: list[dict[str, Any]] = []
    for place, product in enumerate(products):
        quantity, row = dice.randrange(1, 12), shelf.tables[PRODUCT][product]
        price = row["list_price"]
        lines.append({
            "id": number * 10 + place + 1, "sequence": (place + 1) * 10, "product_id": product, "name": row["name"],
            "product_uom_qty": Decimal(quantity), "price_unit": price, "price_subtotal": price * quantity,
        })  # fmt: skip
    net = sum((line["price_subtotal"] for line in lines), Decimal("0.00"))
    tax = (net * Decimal("0.15")).quantize(CENT, ROUND_HALF_UP)
    ordered = BEGAN + timedelta(hours=number * 7)
    return {
        "name": f"S{number + 1:05}",
        "partner_id": dice.choice(sorted(shelf.tables[PARTNER])),
        "date_order": ordered.strftime("%Y-%m-%d %H:%M:%S"),
        "state": dice.choice(("draft", "sent", "sale", "cancel")),
        "client_order_ref": f"REF{number + 1:05}" if number % 2 else None,
        "amount_untaxed": net,
        "amount_tax": tax,
        "amount_total": net + tax,
        "order_line": lines,
    }
