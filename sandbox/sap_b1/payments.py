"""Incoming payments: money of a customer, and the invoices it pays."""

from decimal import Decimal

from sandbox.sap_b1.company import Company, Row, Values
from sandbox.sap_b1.documents import CLOSED, OPEN
from sandbox.sap_b1.errors import no_reference, refused


def create(company: Company, given: Values) -> Row:
    """A new payment: it lowers what is open of its invoices, and closes those that are paid."""
    partner = company.find("BusinessPartners", given.get("CardCode"))
    if partner is None:
        raise refused(f"Invalid BP code [ORCT.CardCode] , '{given.get('CardCode') or ''}'", code=-5002)
    transfer, cash = given.get("TransferSum") or Decimal(0), given.get("CashSum") or Decimal(0)
    checks = sum((row.get("CheckSum") or Decimal(0) for row in given.get("PaymentChecks") or []), Decimal(0))
    if transfer and not given.get("TransferAccount"):
        raise refused("Enter the account of the transfer [ORCT.TransferAccount]", code=-5002)
    if transfer + cash + checks <= 0:
        raise refused("A payment needs an amount [ORCT.TransferSum]", code=-5002)
    paid = [pay(company, row, transfer + cash + checks) for row in given.get("PaymentInvoices") or []]
    day, _ = company.now()
    entry = company.next("IncomingPayments")
    values = {
        "DocType": "rCustomer", "DocTypte": "rCustomer", "DocDate": day, "TaxDate": day, "DueDate": day,
        "CardName": partner.values.get("CardName"), "DocCurrency": "EUR", "DocRate": Decimal(0), "Cancelled": "tNO",
        "CashSum": Decimal(0), "TransferSum": Decimal(0), "PaymentChecks": [], "PaymentCreditCards": [],
        **{field: value for field, value in given.items() if value is not None},
        "DocEntry": entry, "DocNum": 50_000 + entry,
        "PaymentInvoices": [{**row, "LineNum": line} for line, row in enumerate(paid)],
    }  # fmt: skip
    return company.save("IncomingPayments", entry, values)


def pay(company: Company, row: Values, most: Decimal) -> Values:
    invoice = company.find("Invoices", row.get("DocEntry"))
    if invoice is None:
        raise no_reference()
    balance: Decimal = invoice.values["DocTotal"] - invoice.values["PaidToDate"]
    given = row.get("SumApplied")
    applied = min(balance, most) if given is None else given
    if invoice.values["DocumentStatus"] != OPEN or applied > balance or applied > most:
        raise refused(f"Invoice {invoice.values['DocNum']} is closed, or less is open [PaymentInvoices.SumApplied]")
    settle(company, invoice, applied)
    return {"InvoiceType": "it_Invoice", **row, "SumApplied": applied}


def settle(company: Company, invoice: Row, amount: Decimal) -> None:
    """Count an amount as paid, or, below zero, as not paid any more."""
    paid = invoice.values["PaidToDate"] + amount
    status = CLOSED if paid >= invoice.values["DocTotal"] else OPEN
    company.save(
        "Invoices", invoice.values["DocEntry"], {**invoice.values, "PaidToDate": paid, "DocumentStatus": status}
    )


def cancel(company: Company, row: Row) -> None:
    if row.values["Cancelled"] == "tYES":
        raise refused("The payment is cancelled already", code=-5006)
    for applied in row.values["PaymentInvoices"]:
        settle(company, company.get("Invoices", applied["DocEntry"]), -applied["SumApplied"])
    company.save("IncomingPayments", row.values["DocEntry"], {**row.values, "Cancelled": "tYES"})
