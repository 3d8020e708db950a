"""Sales orders with one to six lines, a tax row and a payment term; their totals are what a save would compute."""

import random
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sandbox.erpnext.masters import add
from sandbox.erpnext.money import WHOLE_ROUNDED, in_words
from sandbox.erpnext.seeding.moments import lifetimes
from sandbox.erpnext.seeding.rows import Builder, fill
from sandbox.erpnext.site import Site
from sandbox.erpnext.table import Doc
from sandbox.erpnext.totals import TO_INR

HUNDRED = 100
# status, docstatus, share in per cent, per_delivered, per_billed
STATES = (
    ("Draft", 0, 8, 0.0, 0.0),
    ("To Deliver and Bill", 1, 27, 0.0, 0.0),
    ("To Deliver", 1, 9, 0.0, 100.0),
    ("To Bill", 1, 10, 100.0, 0.0),
    ("Completed", 1, 34, 100.0, 100.0),
    ("Closed", 1, 4, 50.0, 50.0),
    ("On Hold", 1, 2, 0.0, 0.0),
    ("Cancelled", 2, 6, 0.0, 0.0),
)
BILLING = {0.0: "Not Billed", 50.0: "Partly Billed", 100.0: "Fully Billed"}
DELIVERY = {0.0: "Not Delivered", 50.0: "Partly Delivered", 100.0: "Fully Delivered"}
TAXES = {"INR": ("IGST 18%", 18), "SAR": ("VAT 15%", 15), "AED": ("VAT 5%", 5)}  # by currency; others pay none

HEAD = (
    *("customer", "customer_name", "tax_id", "customer_group", "territory", "transaction_date", "delivery_date"),
    *("po_no", "currency", "conversion_rate", "status", "per_delivered", "per_billed", "billing_status"),
    *("delivery_status", "total_qty", "total", "net_total", "total_taxes_and_charges", "grand_total"),
    *("rounded_total", "rounding_adjustment", "base_total", "base_net_total", "base_total_taxes_and_charges"),
    *("base_grand_total", "base_rounded_total", "base_rounding_adjustment", "in_words", "base_in_words"),
    *("amount_eligible_for_commission", "customer_address", "contact_person", "contact_email"),
)
LINE = (
    *("item_code", "item_name", "description", "item_group", "brand", "is_stock_item", "stock_uom", "uom"),
    *("delivery_date", "transaction_date", "qty", "stock_qty", "price_list_rate", "rate", "amount", "net_rate"),
    *("net_amount", "discount_amount", "stock_uom_rate", "base_price_list_rate", "base_rate", "base_amount"),
    *("base_net_rate", "base_net_amount", "gross_profit", "billed_amt", "delivered_qty"),
)
TERM = ("due_date", "payment_amount", "outstanding", "base_payment_amount", "base_outstanding")
TAX = (
    *("description", "rate", "tax_amount", "total", "tax_amount_after_discount_amount", "base_tax_amount"),
    *("base_total", "base_tax_amount_after_discount_amount"),
)


@dataclass(frozen=True, slots=True)
class Rate:
    """An exchange rate to the company's currency, in ten-thousandths, so that all sums are whole numbers."""

    currency: str
    factor: int

    def base(self, cents: int) -> int:
        """The amount in cents of the company's currency, halves to even."""
        whole, rest = divmod(cents * self.factor, 10_000)
        return whole + (rest > 5_000 or (rest == 5_000 and whole & 1))

    @property
    def number(self) -> float:
        return self.factor / 10_000


RATES = {currency: Rate(currency, int(Decimal(text) * 10_000)) for currency, text in TO_INR.items()}


class OrderSeeder:
    """Makes orders of the given customers and items."""

    def __init__(self, site: Site, rng: random.Random, customers: list[Doc], items: list[Doc]) -> None:
        self.site, self.rng, self.customers, self.items = site, rng, customers, items
        abbr = site.value("Company", site.company, "abbr")
        self.company_currency = str(site.value("Company", site.company, "default_currency"))
        names = {"company": site.company, "selling_price_list": "Standard Selling"}
        self.head = Builder(site, "Sales Order", HEAD, **names, price_list_currency=self.company_currency)
        places = {"warehouse": f"Stores - {abbr}", "cost_center": f"Main - {abbr}"}
        self.line = Builder(site, "Sales Order Item", LINE, **places)
        self.term = Builder(site, "Payment Schedule", TERM, invoice_portion=100.0)
        tax_account = f"VAT - {abbr}"
        self.tax = Builder(site, "Sales Taxes and Charges", TAX, charge_type="On Net Total", account_head=tax_account)

    def make(self, name: str, times: tuple[str, str]) -> Doc:
        rng = self.rng
        customer = rng.choice(self.customers)
        status, docstatus, _, delivered, billed = rng.choices(STATES, weights=[state[2] for state in STATES])[0]
        rate = RATES[customer.get("default_currency") or self.company_currency]
        date = times[0][:10]
        doc = self.head.make(name, times, [None] * len(HEAD), docstatus=docstatus)
        net, qty, eligible = self.add_lines(doc, rate, date, delivered, billed)
        label, percent = TAXES.get(rate.currency, ("", 0))
        tax = percent_of(net, percent)
        if percent:
            self.add_tax(doc, rate, label, percent, net, tax)
        pay = payable(net + tax, rate.currency)
        self.add_term(doc, rate, date, pay)
        doc.update(self.head_values(customer, rate, date, status, delivered, billed, qty))
        doc.update(amounts(rate, self.company_currency, net, tax, pay))
        doc["amount_eligible_for_commission"] = eligible / HUNDRED
        doc["delivery_date"] = doc.children["items"][0]["delivery_date"]
        return doc

    def head_values(
        self, customer: Doc, rate: Rate, date: str, status: str, delivered: float, billed: float, qty: int
    ) -> dict[str, Any]:
        values = {column: customer[column] for column in ("customer_name", "tax_id", "customer_group", "territory")}
        values |= {"customer": customer.name, "customer_address": customer["customer_primary_address"]}
        values |= {"contact_person": customer["customer_primary_contact"], "contact_email": customer["email_id"]}
        values |= {"transaction_date": date, "currency": rate.currency, "conversion_rate": rate.number}
        values |= {"status": status, "per_delivered": delivered, "per_billed": billed, "total_qty": float(qty)}
        values |= {"billing_status": BILLING[billed], "delivery_status": DELIVERY[delivered]}
        values["po_no"] = f"PO-{self.rng.randrange(1000, 99_999)}" if self.rng.random() < 0.5 else None
        return values

    def add_lines(self, doc: Doc, rate: Rate, date: str, delivered: float, billed: float) -> tuple[int, int, int]:
        """One to six lines; their amounts in cents, their quantities, and their amounts in company currency."""
        rng = self.rng
        delivery = f"{date[:8]}{28 if int(date[8:]) < 28 else date[8:]}"
        net = total_qty = base = 0
        for position, item in enumerate(rng.sample(self.items, min(rng.randrange(1, 7), len(self.items))), start=1):
            qty = rng.randrange(1, 25)
            listed = round(item["standard_rate"] * HUNDRED * 10_000 / rate.factor) or 1
            price = listed * rng.choice((100, 100, 100, 95, 90)) // 100 or 1
            amount = price * qty
            base_price, base_amount = rate.base(price), rate.base(amount)
            values = (
                *(item.name, item["item_name"], item["description"], item["item_group"], item["brand"]),
                *(item["is_stock_item"], item["stock_uom"], item["stock_uom"], delivery, date),
                *(float(qty), float(qty), listed / HUNDRED, price / HUNDRED, amount / HUNDRED, price / HUNDRED),
                *(amount / HUNDRED, (listed - price) / HUNDRED, price / HUNDRED, rate.base(listed) / HUNDRED),
                *(base_price / HUNDRED, base_amount / HUNDRED, base_price / HUNDRED, base_amount / HUNDRED),
                *(base_amount / HUNDRED, amount * int(billed) / HUNDRED / HUNDRED, qty * delivered / HUNDRED),
            )
            self.line.child(doc, "items", position, values)
            net += amount
            total_qty += qty
            base += base_amount
        return net, total_qty, base

    def add_tax(self, doc: Doc, rate: Rate, label: str, percent: int, net: int, tax: int) -> None:
        shown = (tax / HUNDRED, (net + tax) / HUNDRED, tax / HUNDRED)
        base_tax, base_total = rate.base(tax) / HUNDRED, rate.base(net + tax) / HUNDRED
        self.tax.child(doc, "taxes", 1, (label, float(percent), *shown, base_tax, base_total, base_tax))

    def add_term(self, doc: Doc, rate: Rate, date: str, pay: int) -> None:
        shown, base = pay / HUNDRED, rate.base(pay) / HUNDRED
        self.term.child(doc, "payment_schedule", 1, (date, shown, shown, base, base))


def percent_of(cents: int, percent: int) -> int:
    """So many per cent, halves to even."""
    whole, rest = divmod(cents * percent, HUNDRED)
    return whole + (rest > 50 or (rest == 50 and whole & 1))


def payable(cents: int, currency: str) -> int:
    """The rounded total: whole rupees with halves to even, elsewhere the exact amount."""
    if currency not in WHOLE_ROUNDED:
        return cents
    whole, rest = divmod(cents, HUNDRED)
    return (whole + (rest > 50 or (rest == 50 and whole & 1))) * HUNDRED


def amounts(rate: Rate, company_currency: str, net: int, tax: int, pay: int) -> dict[str, Any]:
    grand = net + tax
    cents = {"total": net, "net_total": net, "total_taxes_and_charges": tax, "grand_total": grand}
    cents |= {"rounded_total": pay, "rounding_adjustment": pay - grand}
    base = {f"base_{name}": rate.base(value) for name, value in cents.items()}
    values: dict[str, Any] = {name: value / HUNDRED for name, value in (cents | base).items()}
    values["in_words"] = in_words(Decimal(pay) / HUNDRED, rate.currency)
    values["base_in_words"] = in_words(Decimal(rate.base(pay)) / HUNDRED, company_currency)
    return values


def seed_orders(site: Site, rng: random.Random, count: int, customers: list[Doc], items: list[Doc]) -> list[Doc]:
    """`count` orders, numbered per year of their creation, stored; none without customers and items."""
    if not customers or not items:
        return []
    for account in ("VAT",):
        if site.find("Account", f"{account} - {site.value('Company', site.company, 'abbr')}") is None:
            add(site, "Account", account)
    seeder = OrderSeeder(site, rng, customers, items)
    orders = []
    for times in lifetimes(rng, count, changed=0.6):
        prefix = f"SAL-ORD-{times[0][:4]}-"
        orders.append(seeder.make(f"{prefix}{site.next_number(prefix):05d}", times))
    fill(site, "Sales Order", orders)
    return orders
