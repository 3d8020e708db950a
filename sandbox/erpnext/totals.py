"""Lines and totals of a sales document, computed as ERPNext computes them."""

from decimal import Decimal
from typing import Any

from sandbox.erpnext.errors import app_error, does_not_exist, server_error
from sandbox.erpnext.money import cents, decimal, in_words, rounded_total
from sandbox.erpnext.site import Call, Site
from sandbox.erpnext.table import Doc

NO_ITEMS = "unsupported operand type(s) for *: 'NoneType' and 'float'"
# Units of company currency for one unit of the other; a site keeps these as Currency Exchange documents.
TO_INR = {"INR": "1", "SAR": "23.65", "AED": "24.15", "USD": "88.70", "QAR": "24.36", "OMR": "230.4", "KWD": "289.1"}
LINE_FROM_ITEM = ("item_name", "description", "item_group", "stock_uom", "brand")


def require_items(call: Call, doc: Doc) -> None:
    """Raises FrappeError: 404 for an unknown item (not a link error), 500 when there are no lines at all."""
    lines = doc.children.get("items")
    for line in lines or ():
        code = line.get("item_code")
        if code and call.site.find("Item", code) is None:
            raise does_not_exist("Item", str(code))
    if not lines:
        raise server_error("TypeError", NO_ITEMS, from_app=True)


def require_customer(call: Call, doc: Doc) -> Doc | None:
    customer = doc.get("customer")
    if not customer:
        return None
    found = call.site.find("Customer", customer)
    if found is None:
        raise does_not_exist("Customer", str(customer))
    return found


def fill_head(call: Call, doc: Doc, customer: Doc | None) -> None:
    """What ERPNext fetches from the customer, the company and the price list."""
    site = call.site
    if customer is not None:
        doc["customer_name"] = customer["customer_name"]
        for column in ("tax_id", "customer_group", "territory"):
            doc[column] = doc.get(column) or customer[column]
        doc["language"] = customer["language"] or doc["language"]
    company_currency = site.value("Company", doc.get("company"), "default_currency")
    own = customer.get("default_currency") if customer is not None else None
    doc["currency"] = doc.get("currency") or own or company_currency
    doc["selling_price_list"] = doc.get("selling_price_list") or "Standard Selling"
    doc["price_list_currency"] = doc.get("price_list_currency") or company_currency
    if doc["currency"] != company_currency and doc["conversion_rate"] in (None, 0.0, 1.0):
        doc["conversion_rate"] = exchange_rate(str(doc["currency"]), str(company_currency))
    doc["conversion_rate"] = doc["conversion_rate"] or 1.0


def exchange_rate(currency: str, company_currency: str) -> float:
    rate = Decimal(TO_INR.get(currency, "1")) / Decimal(TO_INR.get(company_currency, "1"))
    return float(rate.quantize(Decimal("0.000000001")))


def item_price(site: Site, item_code: str, price_list: str) -> float:
    """The newest price of the item in the list, or 0."""
    prices = (p for p in site.tables["Item Price"] if p["item_code"] == item_code and p["price_list"] == price_list)
    return max(((p["modified"], p["price_list_rate"]) for p in prices), default=("", 0.0))[1]


def fill_lines(call: Call, doc: Doc, before: Doc | None, date_column: str) -> None:
    """What ERPNext fetches from the items; the list price only for lines that are new and not copied from an order."""
    known = {line.name for line in before.children.get("items", ())} if before is not None else set()
    for line in doc.children["items"]:
        fill_line(call, doc, line, date_column)
        if not line["price_list_rate"] and line.name not in known and not line.get("so_detail"):
            line["price_list_rate"] = item_price(call.site, str(line["item_code"]), str(doc["selling_price_list"]))


def fill_line(call: Call, doc: Doc, line: Doc, date_column: str) -> None:
    """What a line takes from its item; it keeps what was sent."""
    item = call.site.find("Item", line.get("item_code"))
    if item is None:
        return
    for column in LINE_FROM_ITEM:
        if column in line.meta.index:
            line[column] = line.get(column) or item[column]
    line["uom"] = line.get("uom") or line["stock_uom"]
    line["conversion_factor"] = line["conversion_factor"] or 1.0
    line["grant_commission"] = item["grant_commission"]
    defaults = item.children.get("item_defaults", ())
    warehouse = next((row["default_warehouse"] for row in defaults if row["company"] == doc["company"]), None)
    line["warehouse"] = line.get("warehouse") or warehouse
    abbr = call.site.value("Company", doc.get("company"), "abbr")
    line["cost_center"] = line.get("cost_center") or f"Main - {abbr}"
    line.update({"is_stock_item": item["is_stock_item"], "transaction_date": doc.get(date_column)})
    check_whole(call, line)


def check_whole(call: Call, line: Doc) -> None:
    qty = decimal(line["qty"])
    if qty == qty.to_integral_value() or not call.site.value("UOM", line.get("uom"), "must_be_whole_number"):
        return
    raise app_error(
        f"Row {line['idx']}: Quantity ({line['qty']}) cannot be a fraction. To allow this, disable "
        f"'<strong>Must be Whole Number</strong>' in UOM <strong>{line['uom']}</strong>.",
        exc_type="UOMMustBeIntegerError",
        module="erpnext.utilities.transaction_base",
    )


def price_line(doc: Doc, line: Doc) -> Decimal:
    """Set rates and amounts of a line and return its amount."""
    factor = decimal(doc["conversion_rate"])
    listed, rate, qty = decimal(line["price_list_rate"]), decimal(line["rate"]), decimal(line["qty"])
    if not rate and listed:
        rate = cents(listed * (100 - decimal(line["discount_percentage"])) / 100)
    if listed and not line["discount_percentage"]:
        line["discount_amount"] = float(listed - rate)
    amount = cents(rate * qty)
    stock_qty = qty * decimal(line["conversion_factor"])
    values: dict[str, Decimal] = {
        "rate": rate,
        "amount": amount,
        "net_rate": rate,
        "net_amount": amount,
        "stock_qty": stock_qty,
        "base_price_list_rate": cents(listed * factor),
        "base_rate": cents(rate * factor),
        "base_amount": cents(amount * factor),
        "base_net_rate": cents(rate * factor),
        "base_net_amount": cents(amount * factor),
        "stock_uom_rate": cents(rate / decimal(line["conversion_factor"])),
        "gross_profit": cents(amount * factor) - cents(decimal(line.get("valuation_rate")) * stock_qty),
    }
    line.update({column: float(value) for column, value in values.items()})
    return amount


def charge_taxes(doc: Doc, net_total: Decimal) -> Decimal:
    """Fill the tax rows and return their sum; a row may refer to an earlier one."""
    running = net_total
    factor = decimal(doc["conversion_rate"])
    amounts: list[Decimal] = []
    totals: list[Decimal] = []
    for row in doc.children.get("taxes", ()):
        earlier = int(row.get("row_id") or len(amounts)) - 1
        kind, rate = row["charge_type"], decimal(row["rate"]) / 100
        if kind == "Actual":
            amount = decimal(row["tax_amount"])
        elif kind == "On Previous Row Amount" and amounts:
            amount = cents(amounts[earlier] * rate)
        elif kind == "On Previous Row Total" and totals:
            amount = cents(totals[earlier] * rate)
        else:
            amount = cents(net_total * rate)
        running += amount
        amounts.append(amount)
        totals.append(running)
        shown = {"tax_amount": amount, "tax_amount_after_discount_amount": amount, "total": running}
        row.update({name: float(value) for name, value in shown.items()})
        row.update({f"base_{name}": float(cents(value * factor)) for name, value in shown.items()})
    return running - net_total


def total(call: Call, doc: Doc, *, due_date: Any) -> Decimal:
    """Set all totals of the document, and its payment schedule; returns what is to be paid."""
    lines = doc.children.get("items", [])
    currency = str(doc["currency"])
    company_currency = str(call.site.value("Company", doc["company"], "default_currency") or currency)
    factor = decimal(doc["conversion_rate"])
    net = sum((price_line(doc, line) for line in lines), Decimal(0))
    taxes = charge_taxes(doc, net)
    grand = net + taxes - decimal(doc["discount_amount"])
    pay = grand if doc["disable_rounded_total"] else rounded_total(grand, currency)
    amounts = {"total": net, "net_total": net, "total_taxes_and_charges": taxes, "grand_total": grand}
    amounts |= {"rounding_adjustment": pay - grand, "rounded_total": pay}
    doc.update({name: float(value) for name, value in amounts.items()})
    base = {f"base_{name}": float(cents(value * factor)) for name, value in amounts.items()}
    doc.update({**base, "base_discount_amount": float(cents(decimal(doc["discount_amount"]) * factor))})
    doc["total_qty"] = float(sum((decimal(line["qty"]) for line in lines), Decimal(0)))
    eligible = (decimal(line["base_net_amount"]) for line in lines if line["grant_commission"])
    doc["amount_eligible_for_commission"] = float(sum(eligible, Decimal(0)))
    doc["in_words"] = in_words(pay, currency)
    doc["base_in_words"] = in_words(cents(pay * factor), company_currency)
    schedule(call, doc, pay, due_date)
    return pay


def schedule(call: Call, doc: Doc, pay: Decimal, due_date: Any) -> None:
    """One payment term for the whole amount, kept by name once it is there."""
    rows = doc.children.setdefault("payment_schedule", [])
    if not rows:
        rows.append(call.site.new_doc("Payment Schedule"))
    if len(rows) == 1:
        base = float(cents(pay * decimal(doc["conversion_rate"])))
        rows[0].update({"due_date": rows[0].get("due_date") or due_date, "invoice_portion": 100.0})
        rows[0].update({"payment_amount": float(pay), "outstanding": float(pay)})
        rows[0].update({"base_payment_amount": base, "base_outstanding": base})
