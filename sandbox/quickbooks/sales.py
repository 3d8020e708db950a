"""What sales documents and payments compute: lines, totals, balances, what a payment leaves of an invoice."""

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from sandbox.quickbooks import faults
from sandbox.quickbooks.clock import PACIFIC
from sandbox.quickbooks.company import Company, Row, Values

CENT = Decimal("0.01")
DAYS_TO_PAY = 30
SUBTOTAL = "SubTotalLineDetail"
DISCOUNT = "DiscountLineDetail"
ITEM = "SalesItemLineDetail"
DETAILS = (ITEM, SUBTOTAL, DISCOUNT, "DescriptionOnly", "GroupLineDetail")


def completed(company: Company, entity: str, values: Values, before: Row | None) -> Values:
    """A document with its number, dates, lines and totals. Raises Refused."""
    values["Line"] = _lines(company, values["Line"], before)
    _number(company, entity, values, before)
    values.setdefault("TxnDate", company.clock.now().astimezone(PACIFIC).date().isoformat())
    if entity == "Invoice":
        due = date.fromisoformat(values["TxnDate"]) + timedelta(days=DAYS_TO_PAY)
        values.setdefault("DueDate", due.isoformat())
    if entity == "Estimate":
        values.setdefault("TxnStatus", "Pending")
    values.setdefault("CurrencyRef", {"value": "USD", "name": "United States Dollar"})
    values["TotalAmt"] = total(values)
    if entity == "Invoice":
        values["Balance"] = values["TotalAmt"] - paid(company, values["Id"]) - amount(values.get("Deposit"))
    if entity == "SalesReceipt":
        values["Balance"] = 0
    return values


def total(values: Mapping[str, Any]) -> Decimal:
    tax = amount((values.get("TxnTaxDetail") or {}).get("TotalTax"))
    lines = sum((_signed(line) for line in values["Line"]), Decimal(0))
    return (lines + tax).quantize(CENT, ROUND_HALF_UP)


def amount(value: object) -> Decimal:
    return Decimal(str(value)) if value not in (None, "") else Decimal(0)


def _signed(line: Mapping[str, Any]) -> Decimal:
    kind = line.get("DetailType")
    if kind == SUBTOTAL:
        return Decimal(0)
    return -amount(line.get("Amount")) if kind == DISCOUNT else amount(line.get("Amount"))


def _lines(company: Company, given: Iterable[Mapping[str, Any]], before: Row | None) -> list[Values]:
    """The lines as they are kept: with an id and a number, references looked up, and the sum below the items."""
    known = {str(line.get("Id")) for line in (before.values["Line"] if before else ()) if line.get("Id")}
    used = max((int(name) for name in known), default=0)
    lines: list[Values] = []
    discounts: list[Values] = []
    for line in given:
        kind = line.get("DetailType")
        if kind not in DETAILS:
            raise faults.required("Line.DetailType")
        if kind == SUBTOTAL:
            continue
        kept = {name: value for name, value in line.items() if value is not None}
        if kind == DISCOUNT:  # like the sum, it has neither an id nor a number
            discounts.append(kept)
            continue
        if str(kept.get("Id")) not in known:
            used += 1
            kept["Id"] = str(used)
        kept["LineNum"] = len(lines) + 1
        if kind == ITEM:
            _check_item(company, kept)
        lines.append(kept)
    items = sum((amount(line.get("Amount")) for line in lines), Decimal(0))
    return [*lines, {"Amount": items, "DetailType": SUBTOTAL, SUBTOTAL: {}}, *discounts]


def _check_item(company: Company, line: Values) -> None:
    if "Amount" not in line:
        raise faults.required("Amount")
    detail = dict(line.get(ITEM) or {})
    reference = detail.get("ItemRef")
    if reference is not None:
        item = company.find("Item", reference.get("value"))
        if item is None:
            raise faults.invalid_reference("ItemRef", reference.get("value"))
        if not item.is_active:
            raise faults.not_found(f"Another element (Item {reference.get('value')}) that this uses")
        detail["ItemRef"] = {"value": item.values["Id"], "name": item.values["Name"]}
    if "Qty" in detail and "UnitPrice" in detail:
        wanted = (amount(detail["Qty"]) * amount(detail["UnitPrice"])).quantize(CENT, ROUND_HALF_UP)
        if wanted != amount(line["Amount"]).quantize(CENT, ROUND_HALF_UP):
            raise faults.business("Amount calculation incorrect in the request", "Line.Amount")
    detail.setdefault("TaxCodeRef", {"value": "NON"})
    line[ITEM] = detail


def _number(company: Company, entity: str, values: Values, before: Row | None) -> None:
    """Raises Refused for a number that another document of the kind has, unless the company lets it pass."""
    number = values.get("DocNumber")
    taken = {
        row.values.get("DocNumber"): row.values["Id"]
        for row in company.tables[entity].values()
        if row.values["Id"] != values["Id"]
    }
    if number in (None, ""):
        plain = [int(text) for text in taken if isinstance(text, str) and text.isdecimal() and text.isascii()]
        values["DocNumber"] = str(max(plain, default=1000) + 1)
    elif (
        number in taken
        and company.switches.unique_numbers
        and (before is None or before.values.get("DocNumber") != number)
    ):
        raise faults.duplicate_number(str(number), taken[number])


# -- payments ----------------------------------------------------------------------------------------------------------


def applied(company: Company, values: Values, before: Row | None) -> Values:
    """A payment with what it leaves over. Raises Refused where it pays more than there is."""
    lines = values.setdefault("Line", [])
    spent = sum((amount(line.get("Amount")) for line in lines), Decimal(0))
    for _, invoice_id in _links(values):
        if company.find("Invoice", invoice_id) is None:
            raise faults.invalid_reference("TxnId", invoice_id)
    if spent > amount(values["TotalAmt"]):
        raise faults.business("Payment lines add up to more than the amount received.", "Line")
    values["UnappliedAmt"] = amount(values["TotalAmt"]) - spent
    values.setdefault("TxnDate", company.clock.now().astimezone(PACIFIC).date().isoformat())
    values.setdefault("CurrencyRef", {"value": "USD", "name": "United States Dollar"})
    if before is not None:  # invoices that it pays no longer
        now = {invoice_id for _, invoice_id in _links(values)}
        for _, invoice_id in _links(before.values):
            if invoice_id not in now:
                company.tables["Payment"][values["Id"]].values["Line"] = []
                _rebalance(company, invoice_id)
    return values


def balance(company: Company, entity: str, row: Row) -> None:
    """What a saved document changes of others: a payment moves its invoices, and with them their times."""
    if entity == "Payment":
        for _, invoice_id in _links(row.values):
            _rebalance(company, invoice_id)
    if entity in ("Invoice", "Payment"):
        owe(company, (row.values.get("CustomerRef") or {}).get("value"))


def owe(company: Company, customer_id: object) -> None:
    """The customer's open balance; it moves without the customer's time."""
    customer = company.find("Customer", customer_id)
    if customer is not None:
        owed = (
            amount(row.values.get("Balance"))
            for row in company.tables["Invoice"].values()
            if (row.values.get("CustomerRef") or {}).get("value") == customer_id
        )
        customer.values["Balance"] = sum(owed, Decimal(0))


def paid(company: Company, invoice_id: object) -> Decimal:
    """What payments have brought for an invoice."""
    rows = company.tables["Payment"].values()
    return sum((part for row in rows for part, name in _links(row.values) if name == invoice_id), Decimal(0))


def unlink(company: Company, entity: str, row: Row) -> None:
    """Before a document goes: payments of an invoice keep their money, invoices of a payment get theirs back."""
    if entity == "Payment":
        links = [invoice_id for _, invoice_id in _links(row.values)]
        row.values["Line"] = []
        for invoice_id in links:
            _rebalance(company, invoice_id)
    if entity == "Invoice":
        for payment in list(company.tables["Payment"].values()):
            if any(name == row.values["Id"] for _, name in _links(payment.values)):
                kept = [line for line in payment.values["Line"] if row.values["Id"] not in _targets(line)]
                company.store("Payment", applied(company, {**payment.values, "Line": kept}, None))


def voided(entity: str, values: Values) -> Values:
    lines = [{**line, "Amount": 0} for line in values.get("Line", ())]
    for line in lines:
        if ITEM in line:
            line[ITEM] = {**line[ITEM], "Qty": 0}
    zero = {"TotalAmt": 0, **({"UnappliedAmt": 0} if entity == "Payment" else {"Balance": 0})}
    return {**values, "Line": lines, **zero, "PrivateNote": "Voided"}


def _rebalance(company: Company, invoice_id: object) -> None:
    row = company.find("Invoice", invoice_id)
    if row is None:
        return
    left = amount(row.values["TotalAmt"]) - paid(company, invoice_id) - amount(row.values.get("Deposit"))
    payments = company.matching("Payment", lambda values: any(name == invoice_id for _, name in _links(values)))
    linked = [{"TxnId": payment.values["Id"], "TxnType": "Payment"} for payment in payments]
    saved = company.store("Invoice", {**row.values, "Balance": left, "LinkedTxn": linked})
    owe(company, (saved.values.get("CustomerRef") or {}).get("value"))


def _links(payment: Mapping[str, Any]) -> list[tuple[Decimal, str]]:
    return [(amount(line.get("Amount")), name) for line in payment.get("Line", ()) for name in _targets(line)]


def _targets(line: Mapping[str, Any]) -> list[str]:
    return [str(link["TxnId"]) for link in line.get("LinkedTxn", ()) if link.get("TxnType") == "Invoice"]
