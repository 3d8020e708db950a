"""The seeded store: catalogue, stock, prices, customers and orders."""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sandbox.veekaart.answers import plain
from sandbox.veekaart.rows import discount_of
from sandbox.veekaart.seeding import catalogue, hostile, orders
from sandbox.veekaart.store import Store, real_time
from sandbox.vendor import SeedPlan

ANCHOR = datetime(2026, 6, 30, 12, 30, tzinfo=UTC)
"""No seeded row or order is later."""
USUAL = {"customers": 600, "items": 250, "orders": 900}
PRODUCT_FIELDS = ("name", "description", "hsn_sac_code", "price", "mrp", "tax_rate", "status")


def seed_store(plan: SeedPlan) -> Store:
    """The store of a plan. Its sizes count the hostile rows too, which come first when the size is small.

    Raises ValueError for a size it does not know.
    """
    unknown = sorted(set(plan.sizes) - set(USUAL))
    if unknown:
        raise ValueError(f"VeeKaart's sandbox has no {', '.join(unknown)}; it can size {', '.join(USUAL)}.")
    sizes = {**USUAL, **plan.sizes}
    store, dice = Store(seed=plan.seed, now=_Calendar()), random.Random(plan.seed)
    odd = [_odd(dice, number, values) for number, values in enumerate(hostile.GOODS[: sizes["items"]])]
    goods = list(catalogue.products(dice, sizes["items"] - len(odd)))
    for each in [*odd, *goods]:
        put(store, each)
    buyers = orders.customers(dice, sizes["customers"])
    sold = [each for each in goods if each["status"] == "active"]
    store.orders = list(orders.orders(dice, sizes["orders"], buyers, sold, now=ANCHOR))
    store.clock.follow(real_time)
    return store


class _Calendar:
    """The time of the seeding: every change some minutes after the one before, all of them before the anchor."""

    def __init__(self) -> None:
        self._at = ANCHOR - timedelta(days=300)

    def __call__(self) -> datetime:
        self._at = min(self._at + timedelta(minutes=7), ANCHOR)
        return self._at


def put(store: Store, each: dict[str, Any]) -> None:
    """Goods on the shelf: a row of each of the three tables."""
    sku, on_hand, reserved = each["sku"], each["quantity"], each["reserved_quantity"]
    product = {field: each[field] for field in PRODUCT_FIELDS}
    store.tables["products"].put(sku, {"external_id": None, **product, "tax_rate": plain(each["tax_rate"])})
    stock = {"quantity": on_hand, "reserved_quantity": reserved, "available_quantity": on_hand - reserved}
    store.tables["inventory"].put(sku, {field: plain(value) for field, value in stock.items()})
    prices = {
        "cost_price": each["cost_price"],
        "selling_price": each["price"],
        "mrp": each["mrp"],
        "tax_rate": plain(each["tax_rate"]),
        "discount_percentage": plain(discount_of(each["price"], each["mrp"])),
    }
    store.tables["pricing"].put(sku, prices)


def _odd(dice: random.Random, number: int, values: dict[str, Any]) -> dict[str, Any]:
    family = catalogue.FAMILIES[number % len(catalogue.FAMILIES)]
    each = catalogue.goods(dice, family, sku=values["sku"], name=values["name"]) | values
    for field in ("price", "mrp"):
        each[field] = Decimal(each[field]).quantize(catalogue.CENT)
    return each


def expected(store: Store) -> dict[str, Any]:
    """Totals, and how many orders have to be refused for which reason."""
    spoiled = hostile.ORDERS if len(store.orders) > 2 * len(hostile.ORDERS) else ()
    broken = Counter(each.breaks for each in spoiled if each.breaks is not None)
    return {
        "totals": {name: len(table) for name, table in store.tables.items()} | {"orders": len(store.orders)},
        "inactive": sum(row.values["status"] == "inactive" for _, _, row in store.tables["products"].in_order()),
        "orders_to_refuse": dict(broken),
    }
