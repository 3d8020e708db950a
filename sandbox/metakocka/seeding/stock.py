"""The warehouses, and what lies in them."""

import random
from decimal import Decimal
from typing import Any

from sandbox.metakocka.company import Company, Record
from sandbox.metakocka.wire import number

WAREHOUSES = (
    # mark, name, main, active
    ("glavni", "Glavno skladišče Ljubljana", True, True),
    ("mb", "Skladišče Maribor", False, True),
    ("staro", "Staro skladišče", False, False),
)


def make_warehouses(company: Company) -> None:
    for mark, name, is_main, is_active in WAREHOUSES:
        mk_id = company.new_id()
        company.warehouses[mk_id] = {
            "mk_id": mk_id,
            "mark": mark,
            "name": name,
            "same_address_as_company": False,
            "main_warehouse": is_main,
            "place": "Ljubljana",
            "country": "Slovenija",
            "include_in_stock_info": True,
            "active": is_active,
            "warehouse_type": "normal",
        }


def fill_warehouses(company: Company, rng: random.Random) -> None:
    """Of most goods something in each warehouse, in up to three lots; some are sold out, some owed."""
    for product in company.products.values():
        if product.get("service"):
            continue
        for warehouse in company.warehouses.values():
            if not warehouse["active"] and rng.random() < 0.9:
                continue
            for place in range(rng.choice((0, 1, 1, 1, 2, 3))):
                amount = Decimal(rng.choice((0, -3, 47, 1559, 12, 5))) + Decimal(rng.randrange(0, 4)) * Decimal("0.25")
                lay_in(
                    company,
                    warehouse_id=warehouse["mk_id"],
                    mk_id=product["mk_id"],
                    amount=amount,
                    reserved_amount=min(max(amount, Decimal(0)), Decimal(rng.randrange(0, 3))),
                    microlocation=f"A{place + 1}",
                )


def lay_in(company: Company, *, warehouse_id: str, mk_id: str, amount: Any, **more: Any) -> Record:
    """A row of stock. Raises ValueError for a warehouse or a product that is not there."""
    if warehouse_id not in company.warehouses or mk_id not in company.products:
        raise ValueError(f"There is no warehouse {warehouse_id!r}, or no product {mk_id!r}.")
    row = {
        "warehouse_id": warehouse_id,
        "mk_id": mk_id,
        **more,
        "amount": number(amount, "amount"),
        "reserved_amount": number(more.get("reserved_amount", 0), "reserved_amount"),
        "_changed": company.stamp(),
    }
    company.stock.append(row)
    return row
