"""What the lines of a document come to, by tax code."""

from decimal import ROUND_HALF_UP, Decimal

from sandbox.metakocka.company import TAXES, Record

CENT = Decimal("0.01")
ONE = Decimal(1)


def net_price(line: Record) -> Decimal:
    """The price of one without tax."""
    if line.get("price") is not None:
        return Decimal(line["price"])
    return Decimal(line.get("price_with_tax") or 0) / (ONE + rate(line))


def net_amount(line: Record) -> Decimal:
    """A line without tax: `22;23` are two discounts, one after the other."""
    amount = Decimal(line["amount"]) * net_price(line)
    for percent in str(line.get("discount") or "0").split(";"):
        amount *= ONE - Decimal(percent.replace(",", ".") or 0) / 100
    return cents(amount)


def rate(line: Record) -> Decimal:
    return Decimal(TAXES.get(str(line.get("tax")), "0"))


def cents(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, ROUND_HALF_UP)


def sums(document: Record) -> Record:
    """The `sum_*` of a document; a discount in money lowers all lines alike."""
    lines = document["product_list"]
    gross = sum((net_amount(line) for line in lines), Decimal(0))
    discount = Decimal(document.get("discount_value") or 0)
    share = (gross - discount) / gross if gross else ONE
    taxes: dict[str, Decimal] = {}
    for line in lines:
        if rate(line):
            name = f"sum_tax_{str(line['tax']).lower()}"
            taxes[name] = taxes.get(name, Decimal(0)) + net_amount(line) * share * rate(line)
    rounded = {name: cents(tax) for name, tax in taxes.items()}
    basic = cents(gross - discount)
    paid = sum((Decimal(each["amount"]) for each in document.get("_payments", ())), Decimal(0))
    return {
        "sum_basic": basic,
        "sum_discount": discount or None,
        **rounded,
        "sum_all": basic + sum(rounded.values(), Decimal(0)),
        "sum_paid": paid or None,
    }
