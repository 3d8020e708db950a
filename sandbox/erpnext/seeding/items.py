"""Items with their units, prices and stock."""

import random
from typing import Any

from sandbox.erpnext.masters import add
from sandbox.erpnext.seeding.moments import lifetimes
from sandbox.erpnext.seeding.rows import Builder, fill
from sandbox.erpnext.seeding.words import BRANDS, ITEM_KINDS, SIZES
from sandbox.erpnext.site import Site
from sandbox.erpnext.table import Doc

COLUMNS = (
    *("item_code", "item_name", "item_group", "stock_uom", "disabled", "is_stock_item", "standard_rate"),
    *("valuation_rate", "description", "brand", "weight_per_unit", "customs_tariff_number"),
)


def seed_items(site: Site, rng: random.Random, count: int) -> list[Doc]:
    """`count` items with an Item Price each and a Bin for those that are stocked; returns the items."""
    for brand in (brand for brand in BRANDS if brand):
        if site.find("Brand", brand) is None:
            add(site, "Brand", brand)
    warehouse = f"Stores - {site.value('Company', site.company, 'abbr')}"
    currency = site.value("Company", site.company, "default_currency")
    item = Builder(site, "Item", COLUMNS)
    uom = Builder(site, "UOM Conversion Detail", ("uom", "conversion_factor"))
    default = Builder(site, "Item Default", ("company", "default_warehouse"))
    barcode = Builder(site, "Item Barcode", ("barcode", "barcode_type", "uom"))
    price = Builder(
        site,
        "Item Price",
        ("item_code", "item_name", "item_description", "uom", "price_list_rate", "valid_from"),
        price_list="Standard Selling",
        currency=currency,
    )
    level = Builder(
        site, "Bin", ("item_code", "actual_qty", "projected_qty", "valuation_rate", "stock_uom"), warehouse=warehouse
    )
    items, prices, levels = [], [], []
    for number, times in enumerate(lifetimes(rng, count), start=1):
        values = invent(rng, number)
        doc = item.make(str(values[0]), times, values)
        uom.child(doc, "uoms", 1, (doc["stock_uom"], 1.0))
        default.child(doc, "item_defaults", 1, (site.company, warehouse))
        if rng.random() < 0.5:
            barcode.child(doc, "barcodes", 1, (ean13(f"890{number:09d}"), "EAN", doc["stock_uom"]))
        items.append(doc)
        rate = doc["standard_rate"]
        listed = (doc.name, doc["item_name"], doc["description"], doc["stock_uom"], rate, times[0][:10])
        prices.append(price.make(site.hash_name(), times, listed))
        if doc["is_stock_item"]:
            qty = float(rng.randrange(0, 500))
            stocked = (doc.name, qty, qty, doc["valuation_rate"], doc["stock_uom"])
            levels.append(level.make(site.hash_name(), times, stocked))
    fill(site, "Item", items)
    fill(site, "Item Price", prices)
    fill(site, "Bin", levels)
    return items


def invent(rng: random.Random, number: int) -> tuple[Any, ...]:
    code, group, unit, tariff, names, (low, high) = rng.choice(ITEM_KINDS)
    name = f"{rng.choice(names)} {rng.choice(SIZES)}"
    cents = rng.randrange(low * 100, high * 100)
    rate, cost = cents / 100, cents * 7 // 10 / 100
    description = f'<div class="ql-editor read-mode"><p>{name}</p></div>' if rng.random() < 0.6 else name
    stocked = int(group != "Services")
    weight = rng.randrange(0, 5000) / 1000 if stocked else 0.0
    disabled = int(rng.random() < 0.04)
    head = (f"{code}-{number:05d}", name, group, unit, disabled, stocked, rate, cost)
    return (*head, description, rng.choice(BRANDS), weight, tariff)


def ean13(body: str) -> str:
    """The 12 digits with their check digit."""
    total = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(body))
    return body + str(-total % 10)
