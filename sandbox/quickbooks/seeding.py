"""A believable company, the same for the same plan: Larkspur Home & Garden, its customers, items and documents."""

import random
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sandbox.quickbooks import hostile, words
from sandbox.quickbooks.clock import PACIFIC
from sandbox.quickbooks.company import Company, Row, Values
from sandbox.quickbooks.sales import CENT, DISCOUNT, ITEM, SUBTOTAL, total
from sandbox.vendor import SeedPlan

DEFAULTS = {"customers": 600, "items": 220, "orders": 1000}
ANCHOR = datetime(2026, 6, 30, 18, tzinfo=UTC)
DAYS = 720
IMPORTED = datetime(2025, 3, 3, 9, 30, 12, tzinfo=PACIFIC).astimezone(UTC)
"""The second in which a part of the records was imported: they share their times."""
SHARE_IMPORTED = 0.15
USD = {"value": "USD", "name": "United States Dollar"}
TAX = Decimal("0.0825")


def seed_company(plan: SeedPlan) -> Company:
    """The company of the plan. Of `orders` half are invoices, a quarter each sales receipts and estimates; three of
    four invoices have a payment. The sizes count the hostile rows too. Raises ValueError for a size it does not know.
    """
    sizes = sizes_of(plan.sizes)
    company = Company(seed=plan.seed)
    rng = random.Random(plan.seed)
    seed_lists(company)
    seed(company, rng, "Customer", sizes["customers"], lambda number: customer(rng, number), hostile.CUSTOMERS)
    seed(company, rng, "Item", sizes["items"], lambda number: item(rng, number), hostile.ITEMS)
    if company.tables["Customer"] and company.tables["Item"]:
        seed_documents(company, rng, sizes["orders"])
    return company


def sizes_of(given: Mapping[str, int]) -> dict[str, int]:
    unknown = sorted(set(given) - set(DEFAULTS))
    if unknown:
        raise ValueError(f"QuickBooks' sandbox has no {', '.join(unknown)}; it can size {', '.join(DEFAULTS)}.")
    return {**DEFAULTS, **given}


def seed_lists(company: Company) -> None:
    """What customers, items and documents refer to."""
    names: Mapping[str, Sequence[Values]] = {
        "Account": [
            {"Name": "Sales of Product Income", "AccountType": "Income"},
            {"Name": "Services", "AccountType": "Income"},
            {"Name": "Undeposited Funds", "AccountType": "Other Current Asset"},
        ],
        "Term": [{"Name": "Due on receipt", "DueDays": 0}, {"Name": "Net 30", "DueDays": 30}],
        "PaymentMethod": [{"Name": name} for name in ("Cash", "Check", "Visa", "MasterCard")],
        "Vendor": [{"DisplayName": name} for name in ("Tania's Nursery", "Ellis Equipment Rental")],
        "Employee": [{"DisplayName": "Emily Platt", "GivenName": "Emily", "FamilyName": "Platt"}],
    }
    for entity, rows in names.items():
        for values in rows:
            store(company, entity, {**values, "Active": True}, ANCHOR - timedelta(days=DAYS))


def seed(
    company: Company,
    rng: random.Random,
    entity: str,
    count: int,
    make: Callable[[int], Values],
    odd: Sequence[hostile.Hostile],
) -> None:
    """`count` rows, the hostile ones last: each an ordinary row with some of its values changed, past all checks."""
    few = odd[:count]
    for number in range(1, count - len(few) + 1):
        store(company, entity, make(number), moment(rng))
    for number, row in enumerate(few, start=count - len(few) + 1):
        values = make(number)
        field = "DisplayName" if entity == "Customer" else "Name"
        changed = {**values, field: row.name, "FullyQualifiedName": row.name, **row.values}
        store(company, entity, {name: value for name, value in changed.items() if value is not None}, moment(rng))


def store(company: Company, entity: str, values: Values, at: datetime) -> Row:
    """The record as it was made at a moment, and for some of them changed later."""
    return company.store(entity, {**values, "Id": company.next_id(entity)}, at=at)


def moment(rng: random.Random) -> datetime:
    if rng.random() < SHARE_IMPORTED:
        return IMPORTED
    return (ANCHOR - timedelta(seconds=rng.randrange(DAYS * 86_400))).replace(microsecond=0)


def customer(rng: random.Random, number: int) -> Values:
    company = f"{rng.choice(words.FIRST)} {rng.choice(words.SECOND)} {rng.choice(words.THIRD)} {number}"
    given, family = rng.choice(words.GIVEN), rng.choice(words.FAMILY)
    city, state, code = rng.choice(words.CITIES)
    address = {
        "Id": str(number),
        "Line1": f"{rng.randrange(1, 900)} {rng.choice(words.STREETS)}",
        "City": city,
        "CountrySubDivisionCode": state,
        "PostalCode": code,
        "Country": "USA",
    }
    made: Values = {
        "DisplayName": company,
        "FullyQualifiedName": company,
        "PrintOnCheckName": company,
        "CompanyName": company,
        "GivenName": given,
        "FamilyName": family,
        "Active": rng.random() > 0.06,
        "Taxable": rng.random() < 0.6,
        "Job": False,
        "BillWithParent": False,
        "Balance": Decimal(0),
        "BalanceWithJobs": Decimal(0),
        "PreferredDeliveryMethod": "Email",
        "CurrencyRef": USD,
        "PrimaryPhone": {"FreeFormNumber": f"(555) 010-{number % 10_000:04d}"},
        "BillAddr": address,
        "Notes": rng.choice(words.NOTES),
    }
    if not made["Active"]:
        made["DisplayName"] += " (deleted)"
    if rng.random() < 0.95:
        made["PrimaryEmailAddr"] = {"Address": f"books.{number}@larkspur-customers.example"}
    if rng.random() < 0.3:
        made["ResaleNum"] = f"{rng.randrange(10, 99)}-{rng.randrange(10**6, 10**7)}"
    return {name: value for name, value in made.items() if value != ""}


def item(rng: random.Random, number: int) -> Values:
    is_service = rng.random() < 0.2
    name = rng.choice(words.SERVICES) if is_service else f"{rng.choice(words.MATERIALS)} {rng.choice(words.THINGS)}"
    made: Values = {
        "Name": f"{name} {number}",
        "FullyQualifiedName": f"{name} {number}",
        "Sku": f"LHG-{number:05d}",
        "Description": f"{name}, as shown in the catalog",
        "Active": rng.random() > 0.05,
        "Taxable": not is_service,
        "UnitPrice": Decimal(rng.randrange(150, 90_000)) / 100,
        "Type": "Service" if is_service else "NonInventory",
        "IncomeAccountRef": {"value": "2" if is_service else "1", "name": "Services"},
        "PurchaseCost": Decimal(rng.randrange(100, 50_000)) / 100,
        "TrackQtyOnHand": False,
    }
    if not made["Active"]:
        made["Name"] += " (deleted)"
    if rng.random() < 0.05:
        del made["Sku"]
    return made


def seed_documents(company: Company, rng: random.Random, count: int) -> None:
    counts = {"Invoice": count - 2 * (count // 4), "SalesReceipt": count // 4, "Estimate": count // 4}
    buyers = [row.values for row in company.tables["Customer"].values() if row.is_active]
    items = (row.values for row in company.tables["Item"].values() if row.is_active)
    goods = [values for values in items if values["Type"] != "Category" and _is_sold(values)]
    for entity, most in counts.items():
        few = hostile.DOCUMENTS[entity][:most]
        for number in range(1, most + 1):
            values = document(rng, entity, number, rng.choice(buyers), goods)
            if number > most - len(few):
                values |= few[number - most + len(few) - 1].values
            row = store(company, entity, values, moment(rng))
            if entity == "Invoice" and rng.random() < 0.75:
                pay(company, rng, row)
    for row in company.tables["Customer"].values():
        row.values["Balance"] = Decimal(0)
    for row in company.tables["Invoice"].values():
        buyer = company.tables["Customer"][row.values["CustomerRef"]["value"]]
        buyer.values["Balance"] += row.values["Balance"]


def _is_sold(item: Values) -> bool:
    """Whether documents may hold the item: one that cannot be stored would make them so too."""
    return item["UnitPrice"] < hostile.HUGE and "\x00" not in item.get("Description", "")


def document(rng: random.Random, entity: str, number: int, buyer: Values, goods: Sequence[Values]) -> Values:
    lines = [line(rng, place, rng.choice(goods)) for place in range(1, rng.randrange(2, 7))]
    items = sum((made["Amount"] for made in lines), Decimal(0))
    tail: list[Values] = [{"Amount": items, "DetailType": SUBTOTAL, SUBTOTAL: {}}]
    if rng.random() < 0.2:
        cut = (items / 10).quantize(CENT)
        tail.append({"Amount": cut, "DetailType": DISCOUNT, DISCOUNT: {"PercentBased": True, "DiscountPercent": 10}})
    taxed = items * TAX if rng.random() < 0.6 else Decimal(0)
    day = (ANCHOR - timedelta(days=rng.randrange(DAYS))).date()
    start = {"Invoice": 1000, "SalesReceipt": 4000, "Estimate": 7000}[entity]
    made: Values = {
        "DocNumber": str(start + number),
        "TxnDate": day.isoformat(),
        "CustomerRef": {"value": buyer["Id"], "name": buyer["DisplayName"]},
        "CurrencyRef": USD,
        "Line": [*lines, *tail],
        "TxnTaxDetail": {"TotalTax": taxed.quantize(CENT)},
        "ApplyTaxAfterDiscount": False,
        "EmailStatus": "NotSet",
        "PrintStatus": "NeedToPrint",
        "PrivateNote": rng.choice(words.NOTES),
    }
    made["TotalAmt"] = total(made)
    extra: Mapping[str, Values] = {
        "Invoice": {
            "DueDate": (day + timedelta(days=30)).isoformat(),
            "Balance": made["TotalAmt"],
            "SalesTermRef": {"value": "2", "name": "Net 30"},
        },
        "SalesReceipt": {"Balance": Decimal(0), "PaymentMethodRef": {"value": "2", "name": "Check"}},
        "Estimate": {
            "TxnStatus": rng.choice(("Pending", "Accepted", "Closed", "Rejected")),
            "ExpirationDate": (day + timedelta(days=60)).isoformat(),
        },
    }
    return {name: value for name, value in {**made, **extra[entity]}.items() if value != ""}


def line(rng: random.Random, place: int, good: Values) -> Values:
    quantity = rng.randrange(1, 20)
    detail: dict[str, Any] = {
        "ItemRef": {"value": good["Id"], "name": good["Name"]},
        "UnitPrice": good["UnitPrice"],
        "Qty": quantity,
        "TaxCodeRef": {"value": "TAX" if good["Taxable"] else "NON"},
    }
    return {
        "Id": str(place),
        "LineNum": place,
        "Description": good.get("Description", good["Name"]),
        "Amount": (good["UnitPrice"] * quantity).quantize(CENT),
        "DetailType": ITEM,
        ITEM: detail,
    }


def pay(company: Company, rng: random.Random, invoice: Row) -> None:
    """A payment of all of an invoice, or of half of it; both know each other."""
    owed = invoice.values["TotalAmt"]
    part = owed if rng.random() < 0.8 else (owed / 2).quantize(CENT)
    values: Values = {
        "CustomerRef": invoice.values["CustomerRef"],
        "CurrencyRef": USD,
        "TotalAmt": part,
        "UnappliedAmt": Decimal(0),
        "TxnDate": invoice.values["TxnDate"],
        "PaymentMethodRef": {"value": str(rng.randrange(1, 5)), "name": "Check"},
        "DepositToAccountRef": {"value": "3", "name": "Undeposited Funds"},
        "ProcessPayment": False,
        "Line": [{"Amount": part, "LinkedTxn": [{"TxnId": invoice.values["Id"], "TxnType": "Invoice"}]}],
    }
    if rng.random() < 0.8:
        values["PaymentRefNum"] = str(rng.randrange(1000, 99_999))
    made = store(company, "Payment", values, invoice.at)
    invoice.values["Balance"] = owed - part
    invoice.values["LinkedTxn"] = [{"TxnId": made.values["Id"], "TxnType": "Payment"}]


def snapshot(company: Company) -> list[Values]:
    """Every record, for comparison."""
    return [row.values for table in company.tables.values() for row in table.values()]


__all__ = ["ANCHOR", "DEFAULTS", "seed_company", "snapshot"]
