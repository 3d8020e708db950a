"""How SAP Business One writes days, flags, and what documents and payments come to."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from erpflow.mapping.transforms import record_transform, transform

CENT = Decimal("0.01")
ORDER = 17  # the base type of a line that was copied from a sales order
PAID_BY = {"TransferSum": "bank transfer", "CashSum": "cash"}


def as_day(value: str) -> str:
    """A day goes back as it is."""
    return value


@transform(reverse=as_day)
def b1_day(value: str) -> str:
    """The day of a date that is written as midnight with a Z that means nothing: no time zone moves it."""
    return value[:10]


def as_flag(value: Any) -> str:
    return "tYES" if value in (True, "true") else "tNO"


@transform(reverse=as_flag)
def b1_flag(value: str) -> str:
    """tYES and tNO as true and false; anything else stays, and is no boolean."""
    return {"tYES": "true", "tNO": "false"}.get(value, value)


@record_transform
def b1_document(values: dict[str, Any]) -> dict[str, Any]:
    """Status, totals in the document's currency, what is still open, and the order an invoice was copied from."""
    foreign = amount(values["DocTotalFc"])
    total, tax = (foreign, amount(values["VatSumFc"])) if foreign else (local(values), amount(values["VatSum"]))
    lines = values["DocumentLines"] or []
    base = next((line.get("BaseEntry") for line in lines if line.get("BaseType") == ORDER), None)
    return {
        "status": status(values["DocumentStatus"], values["CancelStatus"]),
        "net_total": total - tax,
        "tax_total": tax,
        "grand_total": total,
        "balance": open_amount(total, local(values), amount(values["PaidToDate"])),
        "base_order": base,
    }


def status(document: str | None, cancelled: str | None) -> str:
    if cancelled not in (None, "csNo"):
        return "cancelled"
    return "closed" if document == "bost_Close" else "open"


def open_amount(total: Decimal, in_company_currency: Decimal, paid: Decimal) -> Decimal:
    """What is paid is in the company's currency: of another one's total the same share is open."""
    if total == in_company_currency or not in_company_currency:
        return total - paid
    return (total * (1 - paid / in_company_currency)).quantize(CENT, rounding=ROUND_HALF_UP)


@record_transform
def b1_payment(values: dict[str, Any]) -> dict[str, Any]:
    """What a payment comes to, how it was paid, and the first invoice it pays."""
    parts = {word: amount(values[field]) for field, word in PAID_BY.items()}
    parts["cheque"] = sum((amount(row.get("CheckSum")) for row in values["PaymentChecks"] or []), Decimal(0))
    parts["card"] = sum((amount(row.get("CreditSum")) for row in values["PaymentCreditCards"] or []), Decimal(0))
    invoices = [row["DocEntry"] for row in values["PaymentInvoices"] or [] if row.get("InvoiceType") == "it_Invoice"]
    return {
        "amount": sum(parts.values(), Decimal(0)),
        "method": " and ".join(word for word, part in parts.items() if part) or None,
        "invoice": invoices[0] if invoices else None,
    }


def local(values: dict[str, Any]) -> Decimal:
    return amount(values["DocTotal"])


def amount(value: Any) -> Decimal:
    """A number of the vendor's; nothing is zero. Raises ArithmeticError for what is none."""
    return Decimal(str(value)) if value is not None else Decimal(0)
