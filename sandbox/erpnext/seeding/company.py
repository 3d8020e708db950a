"""The seeded site: Malabar Gulf Traders, who sell from Kochi to India and the Gulf."""

import random
from collections.abc import Mapping

from sandbox.erpnext.masters import Company, fresh_site
from sandbox.erpnext.seeding import customers, items, orders
from sandbox.erpnext.seeding.hostile import BY_DOCTYPE, Hostile
from sandbox.erpnext.seeding.moments import ANCHOR
from sandbox.erpnext.site import DEFAULT_ZONE, Site
from sandbox.erpnext.table import Doc
from sandbox.vendor import SeedPlan

COMPANY = Company("Malabar Gulf Traders Pvt Ltd", "MGT")
DEFAULTS = {"customers": 2000, "items": 500, "orders": 5000}


def seed_site(plan: SeedPlan) -> Site:
    """The site of the plan: its sizes count the hostile rows too, which come first when the size is small.

    Raises ValueError for a size it does not know.
    """
    sizes = sizes_of(plan.sizes)
    site = fresh_site(COMPANY, seed=plan.seed, zone=plan.time_zone or DEFAULT_ZONE)
    rng = random.Random(plan.seed)
    customers.add_custom_fields(site)
    odd = {doctype: rows[: sizes[name]] for name, (doctype, rows) in zip(DEFAULTS, BY_DOCTYPE.items(), strict=True)}
    buyers = customers.seed_customers(site, rng, sizes["customers"] - len(odd["Customer"]))
    goods = items.seed_items(site, rng, sizes["items"] - len(odd["Item"]))
    made = orders.seed_orders(site, rng, sizes["orders"] - len(odd["Sales Order"]), buyers, goods)
    for doctype, models in (("Customer", buyers), ("Item", goods), ("Sales Order", made)):
        plant(site, rng, doctype, models, odd[doctype])
    site.clock.not_before(ANCHOR)
    return site


def sizes_of(given: Mapping[str, int]) -> dict[str, int]:
    unknown = sorted(set(given) - set(DEFAULTS))
    if unknown:
        raise ValueError(f"ERPNext's sandbox has no {', '.join(unknown)}; it can size {', '.join(DEFAULTS)}.")
    return {**DEFAULTS, **given}


def plant(site: Site, rng: random.Random, doctype: str, models: list[Doc], rows: tuple[Hostile, ...]) -> None:
    """Store each hostile row as a copy of an ordinary one with its values changed, past all checks."""
    if not models:
        return
    planted = []
    for number, hostile in enumerate(rows, start=1):
        doc = rng.choice(models).copy()
        if doctype == "Customer":
            doc.update({"email_id": f"hostile.{number}@example.com", "customer_name": hostile.name})
            doc.update({"customer_primary_contact": None, "customer_primary_address": None})
        elif doctype == "Item":
            doc.update({"item_code": hostile.name, "item_name": hostile.name})
        doc.update({"name": hostile.name, **hostile.values})
        for row in doc.rows():
            row.update({"name": site.hash_name(), "parent": hostile.name})
        planted.append(doc)
    site.tables[doctype].fill(planted)
