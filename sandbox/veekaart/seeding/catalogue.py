"""What the shop sells: families of goods with HSN code and GST rate, in sizes and brands. The brands are invented."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Family:
    """Goods of one kind: code of their SKUs, HSN code, GST in per cent, variants, and prices in rupees from … to."""

    code: str
    name: str
    hsn: str
    gst: int
    variants: tuple[str, ...]
    low: int
    high: int


FAMILIES = (
    Family("PA", "Power adapter", "85044090", 18, ("20W", "45W", "65W", "100W"), 700, 3200),
    Family("CBL", "USB-C cable", "85444299", 18, ("1M", "2M", "3M"), 150, 900),
    Family("KB", "Keyboard", "84716040", 18, ("WIRED", "BT", "MECH"), 600, 5200),
    Family("BISC", "Butter biscuits", "19053100", 5, ("100", "200", "400"), 20, 120),
    Family("TEA", "Assam tea", "09023020", 5, ("250G", "500G", "1KG"), 90, 620),
    Family("RICE", "Basmati rice", "10063020", 5, ("1KG", "5KG", "10KG"), 95, 1500),
    Family("ATTA", "Whole wheat flour", "11010000", 5, ("1KG", "5KG", "10KG"), 45, 520),
    Family("SPICE", "Turmeric powder", "09103030", 5, ("50G", "100G", "500G"), 18, 210),
    Family("OIL", "Coconut oil", "15131900", 5, ("200ML", "500ML", "1L"), 70, 340),
    Family("SOAP", "Sandal soap", "34011190", 5, ("75G", "125G", "3X125G"), 35, 190),
    Family("SHIRT", "Cotton shirt", "62052000", 5, ("S", "M", "L", "XL"), 450, 2400),
    Family("SAREE", "Silk saree", "50072010", 5, ("6M", "8M"), 2200, 18000),
    Family("BAG", "Travel bag", "42021290", 18, ("30L", "45L", "60L"), 900, 5600),
    Family("PEN", "Gel pen", "96081019", 18, ("BLUE", "BLACK", "RED"), 10, 60),
    Family("NB", "Notebook", "48202000", 0, ("A5-100", "A4-200"), 40, 180),
    Family("LED", "LED bulb", "85395000", 18, ("7W", "9W", "12W"), 80, 320),
    Family("MIX", "Mixer grinder", "85094010", 18, ("500W", "750W"), 2100, 6400),
    Family("AC", "Air conditioner", "84151010", 18, ("1T", "1.5T", "2T"), 28000, 62000),
)
BRANDS = ("Nilgiri", "Vijaya", "Malabar", "Deccan", "Konkan", "Sahyadri", "Ganga", "Lotus")


def products(dice: random.Random, count: int) -> Iterator[dict[str, Any]]:
    """So many goods, each with its price, stock and cost: a row of each of the three tables."""
    every = [(family, brand, variant) for brand in BRANDS for family in FAMILIES for variant in family.variants]
    for number in range(count):
        family, brand, variant = every[number % len(every)]
        edition = number // len(every)
        sku = f"{family.code}-{variant}-{brand[:3].upper()}" + (f"-{edition + 1}" if edition else "")
        yield goods(dice, family, sku=sku, name=f"{brand} {family.name} {variant}")


def goods(dice: random.Random, family: Family, *, sku: str, name: str) -> dict[str, Any]:
    selling = (Decimal(dice.randint(family.low * 4, family.high * 4)) / 4).quantize(CENT)
    # Printed prices are whole rupees, and one in eight goods has none.
    mrp = Decimal(0) if dice.random() < 0.125 else Decimal(int(selling * dice.randint(100, 135) / 100) + 1)
    on_hand = dice.choice((0, 3, 12, 40, 150, 600))
    reserved = min(on_hand, dice.choice((0, 0, 0, 1, 3)))
    return {
        "sku": sku,
        "name": name,
        "description": f"{name}, packed with care." if dice.random() < 0.8 else "",
        "hsn_sac_code": family.hsn,
        "price": selling,
        "mrp": mrp.quantize(CENT),
        "tax_rate": Decimal(family.gst),
        "status": "inactive" if dice.random() < 0.06 else "active",
        "cost_price": (selling * dice.randint(60, 88) / 100).quantize(CENT),
        "quantity": Decimal(on_hand),
        "reserved_quantity": Decimal(reserved),
    }
