"""Payment entries: money received against invoices."""

from typing import Any

from sandbox.erpnext import documents
from sandbox.erpnext.controller import Controller
from sandbox.erpnext.errors import app_error, server_error
from sandbox.erpnext.money import cents, decimal, in_words
from sandbox.erpnext.render import as_dict
from sandbox.erpnext.selling import invoice_status
from sandbox.erpnext.site import Call
from sandbox.erpnext.table import Doc


class PaymentEntryController(Controller):
    """Allocates the paid amount to its references when submitted, and gives it back when cancelled."""

    def prepare(self, call: Call, doc: Doc) -> None:
        name_column = "customer_name" if doc.get("party_type") == "Customer" else "name"
        party = call.site.value(str(doc.get("party_type", "")), doc.get("party"), name_column)
        doc["party_name"] = doc.get("party_name") or party
        doc["posting_date"] = doc.get("posting_date") or call.site.clock.today()

    def validate(self, call: Call, doc: Doc, before: Doc | None) -> None:
        currency = str(doc.get("paid_from_account_currency") or "INR")
        doc["paid_from_account_currency"] = currency
        doc["paid_to_account_currency"] = doc.get("paid_to_account_currency") or currency
        paid = cents(decimal(doc["paid_amount"]))
        received = cents(decimal(doc["received_amount"]) or paid)
        base_paid = cents(paid * decimal(doc["source_exchange_rate"] or 1))
        base_received = cents(received * decimal(doc["target_exchange_rate"] or 1))
        rows = doc.children.get("references", [])
        allocated = cents(sum((decimal(row["allocated_amount"]) for row in rows), decimal(0)))
        for prefix, amount in (("", paid), ("base_", base_paid)):
            doc.update({f"{prefix}paid_amount": float(amount), f"{prefix}paid_amount_after_tax": float(amount)})
        for prefix, amount in (("", received), ("base_", base_received)):
            doc.update({f"{prefix}received_amount": float(amount), f"{prefix}received_amount_after_tax": float(amount)})
        doc.update({"total_allocated_amount": float(allocated), "base_total_allocated_amount": float(allocated)})
        doc["unallocated_amount"] = float(paid - allocated)
        doc["in_words"] = doc["base_in_words"] = in_words(paid, currency)
        doc["title"] = doc.get("title") or doc.get("party_name")
        doc["status"] = "Submitted" if doc["docstatus"] == 1 else "Draft"
        if not doc["custom_remarks"]:
            doc["remarks"] = remarks(doc, currency)

    def after_insert(self, call: Call, doc: Doc) -> None:
        for row in doc.children.get("references", ()):
            row["modified"] = call.site.clock.stamp()
        doc["modified"] = call.site.clock.stamp()  # the vendor writes it a second time
        call.site.store(doc)

    def on_submit(self, call: Call, doc: Doc) -> None:
        allocate(call, doc, 1)
        for row in doc.children.get("references", ()):
            row["modified"] = call.site.clock.stamp()
            row["outstanding_amount"] = (
                call.site.value("Sales Invoice", row["reference_name"], "outstanding_amount") or 0.0
            )

    def on_cancel(self, call: Call, doc: Doc) -> None:
        doc["status"] = "Cancelled"
        allocate(call, doc, -1)


def remarks(doc: Doc, currency: str) -> str:
    lines = [f"Amount {currency} {doc['paid_amount']} received from {doc.get('party')}"]
    if doc.get("reference_no"):
        lines.append(f"Transaction reference no {doc['reference_no']} dated {doc.get('reference_date')}")
    for row in doc.children.get("references", ()):
        target = f"{row['reference_doctype']} {row['reference_name']}"
        lines.append(f"Amount {currency} {row['allocated_amount']} against {target}")
    return "\n".join(lines)


def allocate(call: Call, doc: Doc, sign: int) -> None:
    """Move the outstanding amount of each referenced invoice; that moves the invoice's `modified` too."""
    for row in doc.children.get("references", ()):
        stored = call.site.find("Sales Invoice", row["reference_name"])
        if row["reference_doctype"] != "Sales Invoice" or stored is None:
            continue
        invoice = stored.copy()
        rest = decimal(invoice["outstanding_amount"]) - sign * decimal(row["allocated_amount"])
        if rest < 0:
            raise app_error(f"Row #{row['idx']}: Allocated Amount cannot be greater than outstanding amount.")
        invoice["outstanding_amount"] = float(rest)
        invoice["status"] = invoice_status(call, invoice)
        invoice.update({"modified": call.site.clock.stamp(), "modified_by": call.user})
        call.site.store(invoice)


def get_payment_entry(call: Call, args: dict[str, Any]) -> dict[str, Any]:
    """An unsaved payment over the whole outstanding amount of an invoice.

    Raises FrappeError when the invoice is missing or nothing is outstanding.
    """
    if not args.get("dt") or not args.get("dn"):
        raise server_error("TypeError", "missing 2 required positional arguments: 'dt' and 'dn'")
    invoice = documents.load(call, str(args["dt"]), str(args["dn"]))
    due = float(invoice.get("outstanding_amount") or 0.0)
    if due <= 0:
        raise app_error(f"{args['dt']} {args['dn']} is already paid")
    abbr = call.site.value("Company", invoice["company"], "abbr")
    doc = call.site.new_doc("Payment Entry")
    doc.update({"owner": call.user, "payment_type": "Receive", "posting_date": call.site.clock.today()})
    doc.update({"company": invoice["company"], "party_type": "Customer", "party": invoice["customer"]})
    doc.update({"party_name": invoice["customer_name"], "reference_date": call.site.clock.today()})
    doc.update({"paid_from": f"Debtors - {abbr}", "paid_from_account_type": "Receivable"})
    doc.update({"paid_to": f"Cash - {abbr}", "paid_to_account_type": "Cash"})
    doc.update({"paid_from_account_currency": invoice["currency"], "paid_to_account_currency": invoice["currency"]})
    for column in ("paid_amount", "base_paid_amount", "received_amount", "base_received_amount"):
        doc[column] = due
    doc.update({"total_allocated_amount": due, "base_total_allocated_amount": due})
    shown = as_dict(doc)
    shown["references"] = [reference(call, invoice, due)]
    return {**shown, "__islocal": 1, "__unsaved": 1}


def reference(call: Call, invoice: Doc, due: float) -> dict[str, Any]:
    row = call.site.new_doc("Payment Entry Reference")
    row.update(
        {"modified": call.site.clock.stamp(), "modified_by": call.user, "idx": 1, "account": invoice["debit_to"]}
    )
    row.update({"reference_doctype": invoice.meta.name, "reference_name": invoice.name})
    row.update({"due_date": invoice["due_date"], "total_amount": invoice["rounded_total"] or invoice["grand_total"]})
    row.update({"outstanding_amount": due, "allocated_amount": due})
    row.update({"parentfield": "references", "parenttype": "Payment Entry"})
    return {**as_dict(row), "__islocal": 1}
