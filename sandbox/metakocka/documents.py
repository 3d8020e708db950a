"""Documents: put (an insert, unless it names one), get, update (some fields), delete (of orders), and payments."""

from typing import Any

from sandbox.metakocka import partners, products
from sandbox.metakocka.company import TAXES, Company, Record, statuses_of
from sandbox.metakocka.refusals import BAD_PARAMETER, BUSINESS_RULE, Refusal, invalid, required
from sandbox.metakocka.totals import sums
from sandbox.metakocka.wire import day, instant, listed, number, slovene, truth

ORDER = "sales_order"
BILLS = ("domestic", "foreign", "retail", "prepaid", "credit_note")
TYPES = (ORDER, "sales_offer", *(f"sales_bill_{kind}" for kind in BILLS))
SERIES = {ORDER: "PP-", "sales_offer": "PO-", "sales_bill_domestic": "1-MK-", "sales_bill_foreign": "2-MK-",
          "sales_bill_retail": "3-MK-", "sales_bill_prepaid": "AV-", "sales_bill_credit_note": "DB-"}  # fmt: skip
TEXTS = ("title", "buyer_order", "delivery_type", "warehouse", "notes", "notes_header", "currency_code", "pariteta",
         "doc_created_email", "method_of_payment", "parcel_shop_id", "sales_pricelist_code", "credit_note_type",
         "credit_note_bill", "location_of_service", "tracking_code")  # fmt: skip
DAYS = ("doc_date", "service_from_date", "service_to_date", "duo_payment", "valid_to", "delivery_deadline",
        "finish_date", "shipped_date")  # fmt: skip
LINE_TEXTS = ("discount", "tax", "doc_desc")
CLEARABLE = ("tracking_code", "notes", "notes_header")
CHOOSE_SERIES = "COUNT_CODE_SELECT#"
OF_AN_UPDATE = ("delivery_type", "tracking_code", "shipped_date", "discount_value", "parcel_shop_id", "notes",
                "notes_header", "warehouse")  # fmt: skip


def put_document(company: Company, given: Record) -> Record:
    """Inserts; with an mk_id it replaces the whole document, whatever the request left out."""
    doc_type = known_type(given)
    mk_id = str(given.get("mk_id") or "")
    if mk_id and mk_id not in company.documents:
        raise Refusal(BAD_PARAMETER, f"Document with mk_id {mk_id} not found")
    lines = [_line(company, line) for line in _lines_of(given)]
    document: Record = {"mk_id": mk_id, "doc_type": doc_type, **_fields(company, given, doc_type)}
    document.setdefault("doc_date", company.today())
    document.setdefault("currency_code", "EUR")
    is_taken = any(
        each["doc_type"] == ORDER and each.get("buyer_order") == document.get("buyer_order")
        for each in company.documents.values()
    )
    if company.switches.unique_buyer_order and doc_type == ORDER and document.get("buyer_order") and is_taken:
        raise Refusal(BUSINESS_RULE, f"Sales order with customer order {document['buyer_order']} already exists")
    block = given.get("partner")
    if isinstance(block, dict):
        partner = partners.matched(company, block)
        document |= {"_partner": partner["mk_id"], "_receiver": _receiver(company, given, partner)}
    elif doc_type != "sales_bill_credit_note":
        raise required("partner")
    document["mk_id"] = mk_id or company.new_id()
    document["count_code"] = company.documents[mk_id]["count_code"] if mk_id else _number(company, given, doc_type)
    document["product_list"] = [{**line, "mk_row_id": company.new_id()} for line in lines]
    document |= {"_created": company.stamp(), "_changed": company.stamp()}
    company.documents[document["mk_id"]] = document
    chosen = {"mk_id": document["_partner"]} if "_partner" in document else None
    return {"mk_id": document["mk_id"], "count_code": document["count_code"], "partner": chosen}


def get_document(company: Company, given: Record) -> Record:
    doc_type = known_type(given)
    document = company.documents.get(str(given.get("doc_id")))
    if document is None and given.get("buyer_order") and doc_type == ORDER:
        document = next(iter(by_buyer_order(company, str(given["buyer_order"]))), None)
    if document is None or document["doc_type"] != doc_type:
        raise Refusal(BAD_PARAMETER, f"Document not found : {given.get('doc_id') or given.get('buyer_order')}")
    return shown(company, document, given)


def update_document(company: Company, given: Record) -> Record:
    """Of an order some fields and its lines, of a bill its status, of nothing else anything."""
    document = chosen(company, given)
    if document["doc_type"] == "sales_offer":
        raise Refusal(BUSINESS_RULE, "Update is not supported for document type sales_offer")
    changed = dict(document)
    if "status_code" in given:
        changed["_status"] = _status(given["status_code"], document["doc_type"])
    if document["doc_type"] == ORDER:
        _update_order(company, changed, given)
    company.documents[document["mk_id"]] = changed | {"_changed": company.stamp()}
    return {}


def delete_document(company: Company, given: Record) -> Record:
    document = chosen(company, given)
    if document["doc_type"] != ORDER:
        raise Refusal(BUSINESS_RULE, f"Delete is not supported for document type {document['doc_type']}")
    del company.documents[document["mk_id"]]
    return {}


def put_transaction(company: Company, given: Record) -> Record:
    """A payment: sent twice, it is two. It moves no date that a search knows."""
    document = chosen(company, given)
    if not given.get("payment_type"):
        raise required("payment_type")
    amount = number(given.get("price", 0), "price")
    if given.get("payment_mode") == "return":
        amount = -amount
    pay(company, document, {"payment_type": str(given["payment_type"]), "amount": amount,
                            "date": day(given.get("date"), "date")})  # fmt: skip
    return {}


def pay(company: Company, document: Record, payment: Record) -> None:
    document["_payments"] = [*document.get("_payments", ()), payment]
    document["_changed"] = company.stamp()


def chosen(company: Company, given: Record) -> Record:
    """The document that a request names: by mk_id, an order by buyer_order, a bill by number."""
    doc_type = known_type(given)
    found: list[Record] = []
    if given.get("mk_id"):
        found = [company.documents[str(given["mk_id"])]] if str(given["mk_id"]) in company.documents else []
    elif doc_type == ORDER and given.get("buyer_order"):
        found = by_buyer_order(company, str(given["buyer_order"]))
    elif given.get("count_code"):
        found = [each for each in company.documents.values() if each["count_code"] == str(given["count_code"])]
    found = [each for each in found if each["doc_type"] == doc_type]
    if not found:
        raise Refusal(BAD_PARAMETER, f"Document of type {doc_type} not found")
    return found[-1]


def by_buyer_order(company: Company, number_of_buyer: str) -> list[Record]:
    orders = (each for each in company.documents.values() if each["doc_type"] == ORDER)
    return [each for each in orders if each.get("buyer_order") == number_of_buyer]


def known_type(given: Record) -> str:
    doc_type = str(given.get("doc_type") or "")
    if not doc_type:
        raise required("doc_type")
    if doc_type not in TYPES:
        raise Refusal(BAD_PARAMETER, f"Unknown document type : {doc_type}")
    return doc_type


def shown(company: Company, document: Record, given: Record) -> Record:
    """A document with the parts that were asked for, in Metakocka's own order."""
    partner = company.partners.get(document.get("_partner", ""))
    receiver = company.partners.get(document.get("_receiver", ""))
    status = document.get("_status")
    found: Record = {
        **{name: document.get(name) for name in ("mk_id", "doc_type")},
        "opr_code": "0",
        **{name: document.get(name) for name in ("count_code", "doc_date")},
        "publish_ts": document["_created"] if document["doc_type"].startswith("sales_bill") else None,
        "partner": partners.shown_on_document(partner) if partner else None,
        "receiver": partners.shown_on_document(receiver) if receiver else None,
        "status_code": statuses_of(document["doc_type"]).get(status) if status else None,
        "status_desc": status,
        **{name: document.get(name) for name in (*TEXTS, *DAYS[1:], "discount_value", "extra_column")},
        "doc_link_list": document.get("doc_link_list"),
        "order_create_ts": document["_created"] if document["doc_type"] == ORDER else None,
        "product_list": [_shown_line(company, line, given) for line in document["product_list"]],
        **sums(document),
    }
    if truth(given.get("show_payment_detail")):
        found["mark_paid"] = [
            {**payment, "amount": slovene(payment["amount"]), "date": payment["date"].strftime("%d.%m.%Y")}
            for payment in document.get("_payments", ())
        ]
    return found


def _shown_line(company: Company, line: Record, given: Record) -> Record:
    product = company.products.get(line["mk_id"], {})
    found = {
        **{name: line.get(name) for name in ("mk_id",)},
        **{name: product.get(name) for name in ("count_code", "code", "name", "name_desc", "unit")},
        **{name: line.get(name) for name in ("amount", "price", "price_with_tax", *LINE_TEXTS)},
    }
    if truth(given.get("show_tax_factor")) and line.get("tax") in TAXES:
        found["tax_factor"] = TAXES[line["tax"]]
    if truth(given.get("show_product_detail")):
        found["mk_row_id"] = line["mk_row_id"]
    return found


# -- what is sent to us ----------------------------------------------------------------------------------------------


def _fields(company: Company, given: Record, doc_type: str) -> Record:
    found: Record = {name: str(given[name]) for name in TEXTS if given.get(name) not in (None, "")}
    found |= {name: day(given[name], name) for name in DAYS if given.get(name)}
    if given.get("discount_value"):
        found["discount_value"] = number(given["discount_value"], "discount_value")
    if given.get("order_create_ts"):
        instant(given["order_create_ts"], "order_create_ts")
    if given.get("status_code"):
        found["_status"] = _status(given["status_code"], doc_type)
    if given.get("extra_column"):
        found["extra_column"] = listed(given["extra_column"])
    _check_warehouse(company, found)
    payments = [each for each in listed(given.get("mark_paid")) if isinstance(each, dict)]
    if payments:
        found["_payments"] = [
            {"payment_type": str(each.get("payment_type")), "amount": number(each.get("amount", 0), "amount"),
             "date": day(each.get("date"), "date")}
            for each in payments
        ]  # fmt: skip
    return found


def _check_warehouse(company: Company, found: Record) -> None:
    marks = [each["mark"] for each in company.warehouses.values()]
    if found.get("warehouse") and found["warehouse"] not in marks:
        raise invalid("warehouse", found["warehouse"], marks)


def _status(value: Any, doc_type: str) -> str | None:
    if value in (None, ""):
        return None
    if value not in statuses_of(doc_type):
        raise invalid("status_code", value, list(statuses_of(doc_type)))
    return str(value)


def _lines_of(given: Record) -> list[Record]:
    lines = [line for line in listed(given.get("product_list")) if isinstance(line, dict)]
    if not lines:
        raise required("product_list")
    return lines


def _line(company: Company, line: Record) -> Record:
    """A line of a request. A product nobody knows is made when its name and unit are given."""
    product = _product(company, line)
    if line.get("price") not in (None, "") and line.get("price_with_tax") not in (None, ""):
        raise invalid("price_with_tax", line["price_with_tax"])
    found: Record = {"mk_id": product["mk_id"], "amount": number(line.get("amount", 1), "amount")}
    found |= {
        name: number(line[name], name) for name in ("price", "price_with_tax") if line.get(name) not in (None, "")
    }
    found |= {name: str(line[name]) for name in LINE_TEXTS if line.get(name) not in (None, "")}
    if found.get("tax") and found["tax"] not in TAXES:
        raise invalid("tax", found["tax"], list(TAXES))
    return found


def _product(company: Company, line: Record) -> Record:
    for name in ("code", "count_code"):
        known = company.products_by(name, line.get(name))
        if known:
            return known[0]
    if line.get("unit") and line.get("name") and line.get("code"):
        made = products.product_add(company, {"sales": "true", **line})
        return company.products[made["mk_id"]]
    what = f"code {line['code']}" if line.get("code") else f"count_code {line.get('count_code')}"
    raise Refusal(
        BAD_PARAMETER,
        f"Product with {what} not found - unit must be set to add new product",
        product_not_found_list=[line],
    )


def _receiver(company: Company, given: Record, partner: Record) -> str:
    block = given.get("receiver")
    return str(partners.matched(company, block)["mk_id"] if isinstance(block, dict) else partner["mk_id"])


def _number(company: Company, given: Record, doc_type: str) -> str:
    wanted = str(given.get("count_code") or "")
    if wanted.startswith(CHOOSE_SERIES):
        return company.number(wanted.removeprefix(CHOOSE_SERIES))
    return wanted or company.number(SERIES[doc_type])


def _update_order(company: Company, order: Record, given: Record) -> None:
    if given.get("create_invoice"):
        raise Refusal(BUSINESS_RULE, "Invoice cannot be created")
    links = [each["doc_type"] for each in order.get("doc_link_list") or ()]
    if given.get("tracking_code") and not any(kind.startswith("sales_bill") for kind in links):
        raise Refusal(BUSINESS_RULE, "Tracking code can be set only on sales order with invoice")
    sent = {name: value for name, value in given.items() if name in OF_AN_UPDATE and value not in (None, "")}
    fields = _fields(company, sent, ORDER)
    order.update(fields)
    if order.get("_status") == "shipped" and not order.get("shipped_date"):
        order["shipped_date"] = company.today()
    if given.get("count_code_new"):
        order["count_code"] = str(given["count_code_new"])
    for name in listed(given.get("clear")):
        if name not in CLEARABLE:
            raise invalid("clear", name, CLEARABLE)
        order[name] = None
    if given.get("extra_column"):
        order["extra_column"] = listed(given["extra_column"])
    for lines in ("product_list", "product_add"):
        order["product_list"] = _changed_lines(company, order["product_list"], listed(given.get(lines)))


def _changed_lines(company: Company, rows: list[Record], sent: list[Record]) -> list[Record]:
    """Rows that are named are changed or taken away, the others are added behind them."""
    found = {row["mk_row_id"]: row for row in rows}
    for line in sent:
        row_id = str(line.get("mk_row_id") or "")
        if row_id and row_id not in found:
            raise Refusal(BAD_PARAMETER, f"Product row with mk_row_id {row_id} not found")
        if truth(line.get("mark_delete")):
            found.pop(row_id, None)
            continue
        row_id = row_id or company.new_id()
        found[row_id] = {**_line(company, line), "mk_row_id": row_id}
    return list(found.values())
