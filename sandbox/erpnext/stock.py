"""Items, their prices, and stock movements with the level per item and warehouse."""

from decimal import Decimal

from sandbox.erpnext import documents
from sandbox.erpnext.controller import Controller
from sandbox.erpnext.errors import FrappeError, app_error, does_not_exist, throw
from sandbox.erpnext.money import decimal
from sandbox.erpnext.render import clock_face
from sandbox.erpnext.site import Call
from sandbox.erpnext.table import Doc

DEFAULT_PRICES = "Standard Selling"


class ItemController(Controller):
    """Named by item_code; a standard rate on create becomes an Item Price."""

    def validate(self, call: Call, doc: Doc, before: Doc | None) -> None:
        doc["item_name"] = doc.get("item_name") or doc["item_code"]
        doc["description"] = doc.get("description") or doc["item_name"]
        uoms = doc.children.setdefault("uoms", [])
        if doc.get("stock_uom") and all(row["uom"] != doc["stock_uom"] for row in uoms):
            row = call.site.new_doc("UOM Conversion Detail")
            row.update({"uom": doc["stock_uom"], "conversion_factor": 1.0})
            uoms.append(row)
        defaults = doc.children.setdefault("item_defaults", [])
        if not defaults and call.site.company:
            row = call.site.new_doc("Item Default")
            abbr = call.site.value("Company", call.site.company, "abbr")
            row.update({"company": call.site.company, "default_warehouse": f"Stores - {abbr}"})
            defaults.append(row)

    def after_insert(self, call: Call, doc: Doc) -> None:
        if doc["standard_rate"]:
            values = {"item_code": doc.name, "price_list": DEFAULT_PRICES, "price_list_rate": doc["standard_rate"]}
            documents.insert(call, "Item Price", values)

    def after_rename(self, call: Call, doc: Doc, new_name: str) -> None:
        doc["item_code"] = new_name


class ItemPriceController(Controller):
    """One price per item, list, unit, currency and dates."""

    KEYS = ("item_code", "price_list", "uom", "currency", "valid_from", "customer", "supplier", "batch_no")

    def validate(self, call: Call, doc: Doc, before: Doc | None) -> None:
        site = call.site
        item = site.find("Item", doc.get("item_code"))
        if item is not None:
            doc.update({"item_name": item["item_name"], "item_description": item["description"]})
            doc["uom"] = doc.get("uom") or item["stock_uom"]
        prices = site.find("Price List", doc.get("price_list"))
        if prices is not None:
            doc.update({column: prices[column] for column in ("buying", "selling", "currency")})
        doc["valid_from"] = doc.get("valid_from") or site.clock.today()
        key = [doc[column] for column in self.KEYS]
        others = (other for other in site.tables["Item Price"] if other.name != doc.name)
        if any([other[column] for column in self.KEYS] == key for other in others):
            raise throw(
                "Item Price appears multiple times based on Price List, Supplier/Customer, Currency, Item, Batch, "
                "UOM, Qty, and Dates.",
                exc_type="ItemPriceDuplicateItem",
                module="erpnext.stock.doctype.item_price.item_price",
                from_app=True,
            )


class StockEntryController(Controller):
    """Receipts, issues and transfers; submitting one moves the Bins, not the Items."""

    def prepare(self, call: Call, doc: Doc) -> None:
        site = call.site
        doc["purpose"] = doc.get("stock_entry_type")
        doc["posting_date"] = doc.get("posting_date") or site.clock.today()
        doc["posting_time"] = doc.get("posting_time") or f"{site.clock.local():%H:%M:%S.%f}"
        for line in doc.children.get("items", ()):
            item = site.find("Item", line.get("item_code"))
            if item is None:
                raise does_not_exist("Item", str(line.get("item_code")))
            fill_stock_line(call, doc, line, item)

    def validate(self, call: Call, doc: Doc, before: Doc | None) -> None:
        incoming = outgoing = Decimal(0)
        for line in doc.children.get("items", ()):
            amount = decimal(line["amount"])
            incoming += amount if line.get("t_warehouse") else 0
            outgoing += amount if line.get("s_warehouse") else 0
        doc.update({"total_incoming_value": float(incoming), "total_outgoing_value": float(outgoing)})
        doc.update({"value_difference": float(incoming - outgoing), "total_amount": float(incoming or outgoing)})

    def on_submit(self, call: Call, doc: Doc) -> None:
        move(call, doc, 1)

    def on_cancel(self, call: Call, doc: Doc) -> None:
        move(call, doc, -1)


def fill_stock_line(call: Call, doc: Doc, line: Doc, item: Doc) -> None:
    abbr = call.site.value("Company", doc.get("company"), "abbr")
    for column in ("item_name", "description", "item_group", "stock_uom"):
        line[column] = line.get(column) or item[column]
    line["uom"] = line.get("uom") or line["stock_uom"]
    line["conversion_factor"] = line["conversion_factor"] or 1.0
    line["expense_account"] = line.get("expense_account") or f"Stock Adjustment - {abbr}"
    line["cost_center"] = line.get("cost_center") or f"Main - {abbr}"
    source = bin_of(call, str(line["item_code"]), str(line.get("s_warehouse")))
    rate = decimal(line["basic_rate"]) or decimal(source["valuation_rate"] if source else item["valuation_rate"])
    amount = rate * decimal(line["qty"])
    line.update({"basic_rate": float(rate), "valuation_rate": float(rate)})
    line.update({"transfer_qty": float(decimal(line["qty"]) * decimal(line["conversion_factor"]))})
    line.update({"basic_amount": float(amount), "amount": float(amount)})


def bin_of(call: Call, item_code: str, warehouse: str) -> Doc | None:
    bins = call.site.tables["Bin"]
    return next((b for b in bins if (b["item_code"], b["warehouse"]) == (item_code, warehouse)), None)


def move(call: Call, doc: Doc, sign: int) -> None:
    """Raises FrappeError (NegativeStockError) when a Bin would go below zero."""
    for line in doc.children.get("items", ()):
        qty = decimal(line["transfer_qty"]) * sign
        if line.get("s_warehouse"):
            change_bin(call, doc, line, str(line["s_warehouse"]), -qty)
        if line.get("t_warehouse"):
            change_bin(call, doc, line, str(line["t_warehouse"]), qty)


def change_bin(call: Call, doc: Doc, line: Doc, warehouse: str, qty: Decimal) -> None:
    site = call.site
    code = str(line["item_code"])
    stored = bin_of(call, code, warehouse)
    stamp = site.clock.stamp()
    if stored is None:
        level = site.new_doc("Bin")
        level.update({"name": site.hash_name(), "owner": call.user, "creation": stamp, "item_code": code})
        level.update({"warehouse": warehouse, "stock_uom": line["stock_uom"]})
    else:
        level = stored.copy()
    rest = decimal(level["actual_qty"]) + qty
    if rest < 0:
        raise negative_stock(doc, line, warehouse, -rest)
    rate = line["valuation_rate"] if qty > 0 else level["valuation_rate"]
    projected = rest - decimal(level["reserved_qty"]) + decimal(level["ordered_qty"])
    level.update({"actual_qty": float(rest), "projected_qty": float(projected), "valuation_rate": rate})
    level.update({"stock_value": float(rest * decimal(rate)), "modified": stamp, "modified_by": call.user})
    site.store(level)


def negative_stock(doc: Doc, line: Doc, warehouse: str, missing: Decimal) -> FrappeError:
    def link(kind: str, name: str, shown: str) -> str:
        return f'<a href="/app/Form/{kind}/{name}" style="font-weight: bold;">{shown}</a>'

    item = link("Item", str(line["item_code"]), f"Item {line['item_name']}")
    place = link("Warehouse", warehouse, f"Warehouse {warehouse}")
    entry = link("Stock Entry", doc.name, f"Stock Entry {doc['purpose']}")
    when = f"{doc['posting_date']} {clock_face(str(doc['posting_time']))}"
    return app_error(
        f"<strong>{float(missing)}</strong> units of {item} needed in {place} on {when} for {entry} "
        "to complete this transaction.",
        exc_type="NegativeStockError",
        module="erpnext.stock.stock_ledger",
        title="Insufficient Stock",
    )
