"""The shop's customers, and the orders it would post to its receiver: amounts are without tax, and add up."""

import random
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.veekaart.answers import plain
from sandbox.veekaart.seeding.hostile import ORDERS, HostileOrder

INDIA = ZoneInfo("Asia/Kolkata")
CENT = Decimal("0.01")
FIRST_NAMES = ("Asha", "Ravi", "Meera", "Arjun", "Fatima", "Joseph", "Lakshmi", "Imran", "Sunita", "Vikram", "Anjali",
               "Suresh", "Divya", "Harpreet", "Kavya", "Nikhil", "श्रेया", "தமிழ்", "Zoya", "Thomas")  # fmt: skip
LAST_NAMES = ("Rao", "Iyer", "Nair", "Singh", "Khan", "Patel", "Das", "Menon", "Gupta", "Fernandes", "Reddy", "Bose",
              "Kulkarni", "D'Souza", "Chatterjee", "Pillai")  # fmt: skip
STREETS = ("Hill Road", "MG Road", "Temple Street", "Station Road", "Lake View", "Market Lane", "Gandhi Nagar")
PLACES = (
    ("Bengaluru", "Karnataka", "29", "5600"),
    ("Mumbai", "Maharashtra", "27", "4000"),
    ("Chennai", "Tamil Nadu", "33", "6000"),
    ("Kochi", "Kerala", "32", "6820"),
    ("Ahmedabad", "Gujarat", "24", "3800"),
    ("New Delhi", "Delhi", "07", "1100"),
    ("Kolkata", "West Bengal", "19", "7000"),
)
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
PAYMENTS = (("upi", "paid"), ("card", "paid"), ("cod", "pending"), ("upi", "paid"), ("netbanking", "partial"))


def customers(dice: random.Random, count: int) -> list[dict[str, Any]]:
    """People who buy; one in ten is a business with a GSTIN."""
    return [_customer(dice, number) for number in range(1, count + 1)]


def _customer(dice: random.Random, number: int) -> dict[str, Any]:
    city, state, code, pin = dice.choice(PLACES)
    first, last = dice.choice(FIRST_NAMES), dice.choice(LAST_NAMES)
    address = {
        "line1": f"{dice.randint(1, 240)} {dice.choice(STREETS)}",
        "city": city,
        "state": state,
        "pincode": f"{pin}{dice.randint(1, 99):02}",
        "country": "IN",
    }
    return {
        "id": f"C{number}",
        "name": f"{first} {last}",
        "email": f"buyer{number}@example.com",
        "phone": f"9190000{number:05}",
        "gstin": gstin(code, number) if dice.random() < 0.1 else None,
        "billing_address": address,
        "shipping_address": dict(address) if dice.random() < 0.3 else {},
    }


def gstin(state_code: str, number: int) -> str:
    """A GSTIN of an invented company, with its check digit."""
    body = f"{state_code}AAACV{number % 10_000:04}K1Z"
    total = 0
    for place, sign in enumerate(body):
        product = DIGITS.index(sign) * (1 + place % 2)
        total += product // 36 + product % 36
    return body + DIGITS[-total % 36]


def orders(
    dice: random.Random, count: int, buyers: Sequence[dict[str, Any]], goods: Sequence[dict[str, Any]], *, now: datetime
) -> Iterator[dict[str, Any]]:
    """So many orders of the last months, the newest last, the hostile ones among them."""
    if not buyers or not goods:
        return
    for number in range(1, count + 1):
        at = now - timedelta(minutes=97 * (count - number), seconds=dice.randint(0, 59))
        order = _order(dice, f"VK-{at.year}-{number:06}", at, dice.choice(buyers), goods)
        place = count - number
        yield _spoiled(order, ORDERS[place]) if place < len(ORDERS) and count > 2 * len(ORDERS) else order


def _order(
    dice: random.Random, name: str, at: datetime, buyer: dict[str, Any], goods: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    lines = [_line(each, dice.randint(1, 5)) for each in dice.sample(goods, min(len(goods), dice.randint(1, 4)))]
    subtotal = sum((line["price"] * line["quantity"] for line in lines), Decimal(0)).quantize(CENT)
    tax = sum((_tax(line) for line in lines), Decimal(0))
    discount = (subtotal / 10).quantize(CENT) if dice.random() < 0.15 else Decimal(0)
    total = subtotal - discount + tax
    method, status = dice.choice(PAYMENTS)
    order = {
        "order_id": name,
        "order_date": at.astimezone(INDIA).replace(microsecond=0).isoformat(),
        "customer": buyer,
        "items": lines,
        "subtotal": subtotal,
        "tax_amount": tax,
        "discount_amount": discount,
        "total_amount": total,
        "payment_method": method,
        "payment_status": status,
    }
    return order | ({"paid_amount": (total / 2).quantize(CENT)} if status == "partial" else {})


def _line(each: dict[str, Any], quantity: int) -> dict[str, Any]:
    return {
        "sku": each["sku"],
        "name": each["name"],
        "description": "",
        "quantity": quantity,
        "unit": "NOS",
        "price": each["price"],
        "tax_rate": plain(each["tax_rate"]),
        "hsn_code": each["hsn_sac_code"],
    }


def _tax(line: dict[str, Any]) -> Decimal:
    amount: Decimal = line["price"] * line["quantity"] * line["tax_rate"] / 100
    return amount.quantize(CENT)


def _spoiled(order: dict[str, Any], hostile: HostileOrder) -> dict[str, Any]:
    changed = {**order, "customer": {**order["customer"], **hostile.customer}}
    for path, value in hostile.values.items():
        if path == "items.0.sku":
            changed["items"] = [{**order["items"][0], "sku": value}, *order["items"][1:]]
        else:
            changed[path] = value
    return changed
