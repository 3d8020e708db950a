"""Orders and invoices: numbers, lines, totals, and what may still be changed when. Totals are the server's."""

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from sandbox.sap_b1.company import Company, Row, Values
from sandbox.sap_b1.errors import no_reference, refused

CURRENCY = "EUR"
RATES = {"EUR": Decimal(1), "USD": Decimal("0.92"), "GBP": Decimal("1.17"), "INR": Decimal("0.011")}
VAT = {"A1": Decimal("0.19"), "A2": Decimal("0.07"), "A0": Decimal(0)}
TABLES = {"Orders": "ORDR", "Invoices": "OINV", "IncomingPayments": "ORCT", "Drafts": "ODRF"}
FIRST_OPEN_DAY = "2020-01-01"  # earlier periods are closed
CENT = Decimal("0.01")
OPEN, CLOSED = "bost_Open", "bost_Close"
ALWAYS = frozenset({"Comments", "NumAtCard", "JournalMemo", "SalesPersonCode", "U_ExtId", "ContactPersonCode"})


def create(company: Company, name: str, given: Values) -> Row:
    """A new document. Raises ServiceError for what its lines, its dates or its customer do not allow."""
    day, _ = company.now()
    number = {"DocEntry": company.next(name), "DocNum": 10_000 + company.next(f"{name}.DocNum")}
    partner = company.find("BusinessPartners", given.get("CardCode"))
    if partner is None:
        raise refused(f"Invalid BP code [{TABLES[name]}.CardCode] , '{given.get('CardCode') or ''}'", code=-5002)
    if partner.values.get("Frozen") == "tYES":
        raise refused(f"The business partner is frozen [{TABLES[name]}.CardCode]")
    if name == "Orders" and not given.get("DocDueDate"):
        raise refused("Enter delivery date [ORDR.DocDueDate]", code=-5002)
    currency = given.get("DocCurrency") or CURRENCY
    if currency not in RATES:
        raise refused(f"Exchange rate for {currency} is missing [{TABLES[name]}.DocRate]", code=-1004)
    defaults = {
        "DocType": "dDocument_Items", "DocDate": day, "DocDueDate": day, "TaxDate": day, "DocRate": RATES[currency],
        "DocCurrency": currency, "CardName": partner.values.get("CardName"), "DocumentStatus": OPEN,
        "Cancelled": "tNO", "CancelStatus": "csNo", "PaidToDate": Decimal(0), "CreationDate": day,
        "SalesPersonCode": -1, "PaymentGroupCode": 1,
    }  # fmt: skip
    values = {**defaults, **{field: value for field, value in given.items() if value is not None}, **number}
    if values["DocDate"] < FIRST_OPEN_DAY:
        raise refused(f"Date deviates from permissible range [{TABLES[name]}.DocDate]", code=-5002)
    values["DocumentLines"] = numbered(company, [], given.get("DocumentLines") or [], values)
    with_totals(values)
    values.update(number)
    return company.save(name, values["DocEntry"], values)


def change(company: Company, name: str, row: Row, given: Values, *, replace: bool) -> Row:
    """PATCH: lines are matched by LineNum, new ones added; missing ones kept, or removed where the client says so."""
    allowed = ALWAYS if name == "Invoices" or row.values["DocumentStatus"] == CLOSED else None
    if allowed is not None and not allowed.issuperset(given):
        field = min(set(given) - allowed)
        raise refused(f"Field '{field}' of this document cannot be changed any more", code=-5006)
    read_only = {"DocEntry", "DocNum", "DocTotal", "VatSum", "PaidToDate", "DocumentStatus", "Cancelled"}
    values = {**row.values, **{field: value for field, value in given.items() if field not in read_only}}
    if "DocumentLines" in given:
        kept = row.values["DocumentLines"]
        values["DocumentLines"] = numbered(company, kept, given["DocumentLines"], values, replace=replace)
        with_totals(values)
    return company.save(name, values["DocEntry"], values)


def numbered(
    company: Company, kept: list[Values], given: list[Values], document: Values, *, replace: bool = False
) -> list[Values]:
    lines = {line["LineNum"]: line for line in kept}
    sent = []
    for line in given:
        number = line.get("LineNum")
        if number is None or (kept and number not in lines):
            number = max(lines, default=-1) + 1
        sent.append(number)
        lines[number] = priced(company, {**lines.get(number, {}), **line, "LineNum": number}, document)
    if replace:
        lines = {number: line for number, line in lines.items() if number in sent}
    if not lines:
        raise refused("No rows in the document; add at least one [DocumentLines]", code=-5002)
    return [lines[number] for number in sorted(lines)]


def priced(company: Company, line: Values, document: Values) -> Values:
    """A line with its amounts."""
    place = f"[line: {line['LineNum'] + 1}]"
    if document["DocType"] == "dDocument_Items":
        if not line.get("ItemCode"):
            raise refused(f"Item number is missing; specify an item number [DocumentLines.ItemCode]{place}", code=-1)
        item = company.find("Items", line["ItemCode"])
        if item is None:
            raise no_reference()
        line.setdefault("ItemDescription", item.values.get("ItemName"))
        line.setdefault("UnitPrice", price_of(item))
        line.setdefault("WarehouseCode", "01")
    quantity = line.setdefault("Quantity", Decimal(1))
    if quantity < 0:
        raise refused(f"Quantity falls below zero [DocumentLines.Quantity]{place}")
    group = line.setdefault("VatGroup", "A1")
    if group not in VAT:
        raise refused(f"Invalid tax group [DocumentLines.VatGroup]{place}")
    discount = line.setdefault("DiscountPercent", Decimal(0))
    price = line.get("UnitPrice") or Decimal(0)
    line["UnitPrice"] = price
    line["Price"] = exactly(price * (1 - discount / 100), "0.000001") if discount else price
    line["Currency"] = document["DocCurrency"]
    amount, is_foreign = exactly(line["Price"] * quantity), document["DocCurrency"] != CURRENCY
    line["LineTotal"] = exactly(amount * document["DocRate"])
    line["RowTotalFC"] = amount if is_foreign else Decimal(0)
    line["TaxTotal"] = exactly(line["LineTotal"] * VAT[group])
    line.setdefault("LineStatus", OPEN)
    return line


def with_totals(document: Values) -> None:
    """The sums, in the document's currency and the company's."""
    lines = document["DocumentLines"]
    tax = sum((line["TaxTotal"] for line in lines), Decimal(0))
    foreign = sum((line["RowTotalFC"] for line in lines), Decimal(0))
    foreign_tax = sum((exactly(line["RowTotalFC"] * VAT[line["VatGroup"]]) for line in lines), Decimal(0))
    document.update(
        DocTotal=sum((line["LineTotal"] for line in lines), tax),
        VatSum=tax,
        DocTotalFc=foreign + foreign_tax,
        VatSumFc=foreign_tax,
    )


def act(company: Company, name: str, row: Row, action: str) -> None:
    """`/Close`, `/Cancel`, `/Reopen` of an order, `/CreateCancellationDocument` of an invoice."""
    values = dict(row.values)
    is_open = values["DocumentStatus"] == OPEN
    if action == "Reopen" and name == "Orders" and not is_open and values["CancelStatus"] == "csNo":
        values.update(DocumentStatus=OPEN)
    elif action == "Close" and is_open:
        values.update(DocumentStatus=CLOSED)
    elif is_open and action == {"Orders": "Cancel", "Invoices": "CreateCancellationDocument"}[name]:
        values.update(DocumentStatus=CLOSED, Cancelled="tYES", CancelStatus="csYes")
        if name == "Invoices":
            entry = company.next(name)
            number = 10_000 + company.next(f"{name}.DocNum")
            company.save(name, entry, {**values, "DocEntry": entry, "DocNum": number, "CancelStatus": "csCancellation"})
    else:
        raise refused(f"{action} is not possible for this document", code=-5006)
    company.save(name, values["DocEntry"], values)


def price_of(item: Row) -> Decimal:
    rows: list[dict[str, Any]] = item.values.get("ItemPrices") or []
    return next((row["Price"] for row in rows if row.get("PriceList") == 1 and row.get("Price")), Decimal(0))


def exactly(amount: Decimal, step: str = "0.01") -> Decimal:
    return amount.quantize(Decimal(step), rounding=ROUND_HALF_UP)
