"""Sales orders and sales invoices."""

from decimal import Decimal
from typing import Any

from sandbox.erpnext import documents
from sandbox.erpnext.controller import Controller
from sandbox.erpnext.errors import app_error, plain, server_error
from sandbox.erpnext.money import decimal
from sandbox.erpnext.render import as_dict
from sandbox.erpnext.site import Call
from sandbox.erpnext.table import Doc
from sandbox.erpnext.totals import fill_head, fill_lines, item_price, require_customer, require_items, total

FULL = 100.0
CARRIED_HEAD = ("customer", "company", "currency", "conversion_rate", "selling_price_list", "po_no", "po_date")
CARRIED_LINE = (
    *("item_code", "item_name", "description", "item_group", "brand", "qty", "rate", "uom", "stock_uom"),
    *("conversion_factor", "price_list_rate", "discount_percentage", "discount_amount", "warehouse", "cost_center"),
)


def order_status(doc: Doc) -> str:
    """The status that follows from docstatus and what has been delivered and billed."""
    if doc["docstatus"] != 1:
        return "Draft" if doc["docstatus"] == 0 else "Cancelled"
    delivered, billed = doc["per_delivered"] >= FULL, doc["per_billed"] >= FULL
    if delivered:
        return "Completed" if billed else "To Bill"
    return "To Deliver" if billed else "To Deliver and Bill"


class SalesOrderController(Controller):
    """A draft until submitted; then only a few fields may change, and invoices move its status."""

    def prepare(self, call: Call, doc: Doc) -> None:
        customer = require_customer(call, doc)
        require_items(call, doc)
        doc["transaction_date"] = doc.get("transaction_date") or call.site.clock.today()
        fill_head(call, doc, customer)

    def validate(self, call: Call, doc: Doc, before: Doc | None) -> None:
        if not doc.get("delivery_date"):
            dates = [str(line["delivery_date"]) for line in doc.children["items"] if line.get("delivery_date")]
            if not dates:
                raise app_error("Please enter Delivery Date")
            doc["delivery_date"] = max(dates)
        for line in doc.children["items"]:
            line["delivery_date"] = line.get("delivery_date") or doc["delivery_date"]
        fill_lines(call, doc, before, "transaction_date")
        total(call, doc, due_date=doc["transaction_date"])
        # The vendor's own oddity: an order created as submitted keeps the status Draft until its next save.
        doc["status"] = order_status(doc) if before is not None else "Draft"

    def after_insert(self, call: Call, doc: Doc) -> None:
        """An item without a price gets the order's rate as its list price."""
        for line in doc.children["items"]:
            code, prices = str(line["item_code"]), str(doc["selling_price_list"])
            if not line["rate"] or item_price(call.site, code, prices):
                continue
            values = {"item_code": code, "price_list": prices, "price_list_rate": line["rate"]}
            documents.insert(call, "Item Price", values)
            call.messages.append(plain(f"Item Price added for {code} in Price List {prices}", alert=1))

    def on_cancel(self, call: Call, doc: Doc) -> None:
        doc["status"] = "Cancelled"


def bill_orders(call: Call, invoice: Doc, sign: int) -> None:
    """Add the invoice's lines to what its orders count as billed, or take them off; moves the orders' `modified`."""
    billed: dict[str, dict[str, Decimal]] = {}
    for line in invoice.children["items"]:
        if line.get("sales_order"):
            lines = billed.setdefault(str(line["sales_order"]), {})
            detail = str(line.get("so_detail"))
            lines[detail] = lines.get(detail, Decimal(0)) + sign * decimal(line["amount"])
    for name, amounts in billed.items():
        order = call.site.find("Sales Order", name)
        if order is not None:
            bill_order(call, order.copy(), amounts)


def bill_order(call: Call, order: Doc, amounts: dict[str, Decimal]) -> None:
    for line in order.children["items"]:
        if line.name in amounts:
            line["billed_amt"] = float(decimal(line["billed_amt"]) + amounts[line.name])
            line["modified"] = call.site.clock.stamp()
    whole = sum((decimal(line["amount"]) for line in order.children["items"]), Decimal(0))
    done = sum((decimal(line["billed_amt"]) for line in order.children["items"]), Decimal(0))
    share = float(round(done / whole * 100, 6)) if whole else 0.0
    order["per_billed"] = min(share, FULL)
    order["billing_status"] = "Not Billed" if not share else ("Fully Billed" if share >= FULL else "Partly Billed")
    order.update({"status": order_status(order), "modified": call.site.clock.stamp(), "modified_by": call.user})
    call.site.store(order)


def invoice_status(call: Call, doc: Doc) -> str:
    if doc["docstatus"] != 1:
        return "Draft" if doc["docstatus"] == 0 else "Cancelled"
    if doc["outstanding_amount"] <= 0:
        return "Paid"
    if doc["outstanding_amount"] < (doc["rounded_total"] or doc["grand_total"]):
        return "Partly Paid"
    return "Overdue" if str(doc["due_date"]) < call.site.clock.today() else "Unpaid"


class SalesInvoiceController(Controller):
    """Bills orders when submitted; payments bring its outstanding amount down."""

    cancels_despite = frozenset({"Payment Entry"})  # the default setting: payments are un-linked

    def prepare(self, call: Call, doc: Doc) -> None:
        customer = require_customer(call, doc)
        require_items(call, doc)
        site = call.site
        if not doc["set_posting_time"]:
            doc["posting_date"] = site.clock.today()
            doc["posting_time"] = f"{site.clock.local():%H:%M:%S.%f}"
        doc["due_date"] = doc.get("due_date") or doc["posting_date"]
        fill_head(call, doc, customer)
        abbr = site.value("Company", doc.get("company"), "abbr")
        doc["debit_to"] = doc.get("debit_to") or f"Debtors - {abbr}"
        doc["party_account_currency"] = site.value("Company", doc.get("company"), "default_currency")
        doc["title"] = doc.get("title") or doc.get("customer_name")
        for line in doc.children["items"]:
            line["income_account"] = line.get("income_account") or f"Sales - {abbr}"
            line["expense_account"] = line.get("expense_account") or f"Cost of Goods Sold - {abbr}"

    def validate(self, call: Call, doc: Doc, before: Doc | None) -> None:
        fill_lines(call, doc, before, "posting_date")
        due = total(call, doc, due_date=doc["due_date"])
        if before is None or before["docstatus"] == 0:
            doc["outstanding_amount"] = float(due)
        doc["po_no"] = doc.get("po_no") or ""
        accounts = dict.fromkeys(str(line["income_account"]) for line in doc.children["items"])
        doc["against_income_account"] = ",".join(accounts)
        doc["status"] = invoice_status(call, doc)
        if doc["docstatus"] == 1 and not doc.get("remarks"):
            doc["remarks"] = f"Against Customer Order {doc['po_no']}" if doc["po_no"] else "No Remarks"

    def on_submit(self, call: Call, doc: Doc) -> None:
        bill_orders(call, doc, 1)

    def on_cancel(self, call: Call, doc: Doc) -> None:
        doc["status"] = "Cancelled"
        bill_orders(call, doc, -1)
        unlinked = [entry.name for entry in referring_payments(call, doc.name)]
        for name in unlinked:
            unlink_payment(call, name, doc.name)
        if unlinked:
            call.messages.append(plain(f"Payment Entries {', '.join(unlinked)} are un-linked"))


def referring_payments(call: Call, invoice: str) -> list[Doc]:
    entries = [entry for entry in call.site.tables["Payment Entry"] if entry["docstatus"] == 1]
    return [e for e in entries if any(row["reference_name"] == invoice for row in e.children.get("references", ()))]


def unlink_payment(call: Call, payment: str, invoice: str) -> None:
    """The payment stays submitted; its amount becomes unallocated."""
    entry = documents.load(call, "Payment Entry", payment).copy()
    kept = [row for row in entry.children["references"] if row["reference_name"] != invoice]
    entry.children["references"] = kept
    allocated = sum((decimal(row["allocated_amount"]) for row in kept), Decimal(0))
    rest = float(decimal(entry["paid_amount"]) - allocated)
    entry.update({"total_allocated_amount": float(allocated), "base_total_allocated_amount": float(allocated)})
    entry.update({"unallocated_amount": rest, "modified": call.site.clock.stamp(), "modified_by": call.user})
    call.site.store(entry)


def make_sales_invoice(call: Call, args: dict[str, Any]) -> dict[str, Any]:
    """An unsaved invoice for a submitted order, to be changed and inserted by the caller.

    Raises FrappeError when there is no such order, or it is not submitted.
    """
    if not args.get("source_name"):
        raise server_error("TypeError", "missing 1 required positional argument: 'source_name'")
    order = documents.load(call, "Sales Order", str(args["source_name"]))
    documents.require(call, "create", "Sales Invoice", None)
    if order["docstatus"] != 1:
        text = "Cannot map because following condition fails: <strong>docstatus=1</strong>"
        raise app_error(text)
    site = call.site
    doc = site.new_doc("Sales Invoice")
    doc.update({"owner": call.user, **{column: order[column] for column in CARRIED_HEAD}})
    doc.children["items"] = [invoice_line(call, order, line) for line in order.children["items"]]
    control = SalesInvoiceController()
    control.prepare(call, doc)
    doc["title"] = None
    control.validate(call, doc, None)
    doc["against_income_account"] = None
    doc.children["payment_schedule"] = []
    shown = as_dict(doc)
    for line in shown["items"]:
        line.update({"stock_uom_rate": 0.0, "parentfield": "items", "parenttype": "Sales Invoice"})
        doctype = line.pop("doctype")
        line.update({"doctype": doctype, "__islocal": 1, "__unsaved": 1})
    return {**shown, "__islocal": 1, "__onload": {"load_after_mapping": True}, "__unsaved": 1}


def invoice_line(call: Call, order: Doc, line: Doc) -> Doc:
    row = call.site.new_doc("Sales Invoice Item")
    row.update({column: line[column] for column in CARRIED_LINE})
    row.update({"owner": call.user, "idx": line["idx"], "sales_order": order.name, "so_detail": line.name})
    return row
