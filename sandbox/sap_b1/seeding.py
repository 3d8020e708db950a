"""A believable company, the same for the same plan: customers with contacts, items, orders, invoices, payments."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.sap_b1 import documents, hostile, masters, payments
from sandbox.sap_b1.company import Company, Row, Values
from sandbox.sap_b1.names import CITIES, FAMILIES, FIRST_NAMES, GOODS, LEGAL, SURNAMES, TRADES
from sandbox.vendor import SeedPlan

ZONE = "Europe/Berlin"
CUSTOMERS, ITEMS, ORDERS = 600, 250, 600
FIRST, LAST = datetime.fromisoformat("2024-01-02T08:00"), datetime.fromisoformat("2025-12-30T18:00")
UNITS = ("pcs", "box", "kg", "m", "set")


def seed_company(plan: SeedPlan) -> Company:
    """The company of a plan. Sizes: customers, items, orders, and never_updated (rows without an UpdateDate)."""
    company = Company(ZoneInfo(plan.time_zone or ZONE), plan.seed)
    seeder = Seeder(company, random.Random(plan.seed))
    sizes = plan.sizes
    seeder.partners(sizes.get("customers", CUSTOMERS))
    seeder.items(sizes.get("items", ITEMS))
    seeder.documents(sizes.get("orders", ORDERS))
    rejects = hostile.add(company)
    seeder.forget_updates(sizes.get("never_updated", 3))
    company.expected = expectation(company, rejects)
    return company


class Seeder:
    """Fills one company, in the order in which things depend on each other."""

    def __init__(self, company: Company, dice: random.Random) -> None:
        self.company = company
        self.dice = dice

    def partners(self, count: int) -> None:
        """Customers, and a few suppliers and leads, which are partners too and no customers."""
        for number in range(1, count + 1):
            self.partner(f"C{number:05}", "cCustomer", number)
        for number in range(1, count // 20 + 2):
            self.partner(f"S{number:05}", "cSupplier", number)
            self.partner(f"L{number:05}", "cLid", number)

    def partner(self, code: str, kind: str, number: int) -> None:
        dice = self.dice
        city, zip_code, country, prefix = dice.choice(CITIES)
        surname = dice.choice(SURNAMES)
        name = f"{surname} {dice.choice(TRADES)} {dice.choice(LEGAL)}"
        domain = f"{surname.lower()}-{number}.example"
        contacts = [self.contact(domain, place) for place in range(dice.choice((1, 1, 2, 3)))]
        values: Values = {
            "CardCode": code, "CardName": name, "CardType": kind, "GroupCode": 100 + dice.randrange(4),
            "FederalTaxID": f"{country}{dice.randrange(10**8, 10**9)}", "EmailAddress": f"info@{domain}",
            "Phone1": f"{prefix} {dice.randrange(10**6, 10**8)}", "Website": f"https://www.{domain}",
            "CreditLimit": Decimal(dice.randrange(0, 100, 5)) * 1000, "ContactPerson": contacts[0]["Name"],
            "Frozen": "tNO", "Valid": "tNO" if dice.random() < 0.04 else "tYES", "Notes": "", "FreeText": None,
            "ContactEmployees": contacts,
            "BPAddresses": [
                {"AddressName": "Head office", "AddressType": kind_of_address, "Street": dice.choice(SURNAMES) + "str.",
                 "StreetNo": str(dice.randrange(1, 120)), "ZipCode": zip_code, "City": city, "Country": country}
                for kind_of_address in ("bo_BillTo", "bo_ShipTo")
            ],
        }  # fmt: skip
        self.dated(masters.create(self.company, "BusinessPartners", "CardCode", values), "CreateDate")

    def contact(self, domain: str, place: int) -> Values:
        first, last = self.dice.choice(FIRST_NAMES), self.dice.choice(SURNAMES)
        return {
            "Name": f"{first} {last}"[:50], "FirstName": first, "LastName": last,
            "E_Mail": f"{first.lower()}.{last.lower()}{place or ''}@{domain}", "Active": "tYES",
            "Position": self.dice.choice(("Purchasing", "Accounting", "Owner", "Warehouse")),
            "Phone1": f"+49 30 {self.dice.randrange(10**5, 10**7)}",
        }  # fmt: skip

    def items(self, count: int) -> None:
        for number in range(1, count + 1):
            price = Decimal(self.dice.randrange(50, 50_000)) / 100
            unit = self.dice.choice(UNITS)
            values: Values = {
                "ItemCode": f"A{number:05}",
                "ItemName": f"{self.dice.choice(GOODS)} {self.dice.choice(FAMILIES)} {number}",
                "ItemsGroupCode": 100 + self.dice.randrange(5), "SalesUnit": unit, "InventoryUOM": unit,
                "BarCode": f"40{self.dice.randrange(10**10, 10**11)}",
                "QuantityOnStock": Decimal(self.dice.randrange(500)),
                "Valid": "tNO" if self.dice.random() < 0.03 else "tYES",
                "ItemPrices": [
                    {"PriceList": 1, "Price": price, "Currency": "EUR"},
                    {"PriceList": 2, "Price": documents.exactly(price * Decimal("0.7")), "Currency": "EUR"},
                ],
                "ItemWarehouseInfoCollection": [{"WarehouseCode": "01", "InStock": Decimal(self.dice.randrange(500))}],
            }  # fmt: skip
            self.dated(masters.create(self.company, "Items", "ItemCode", values), "CreateDate")

    def documents(self, count: int) -> None:
        """Orders; half of them invoiced, and most of those paid, in full or in part."""
        for made, number in zip(moments(count), range(1, count + 1), strict=True):
            order = self.order(made, number)
            if order is None:
                return
            if number % 2 == 0:
                self.invoice(order, made + timedelta(days=5))

    def order(self, made: datetime, number: int) -> Row | None:
        customers = [key for key in self.company.tables["BusinessPartners"] if key.startswith("C")]
        items = list(self.company.tables["Items"])
        if not customers or not items:
            return None
        lines: list[Values] = [
            {"ItemCode": self.dice.choice(items), "Quantity": Decimal(self.dice.randrange(1, 40)),
             "VatGroup": self.dice.choice(("A1", "A1", "A2")),
             "DiscountPercent": Decimal(self.dice.choice((0, 0, 0, 5, 10)))}
            for _ in range(self.dice.randrange(1, 6))
        ]  # fmt: skip
        values: Values = {
            "CardCode": self.dice.choice(customers), "DocDate": day(made), "TaxDate": day(made),
            "DocDueDate": day(made + timedelta(days=14)), "NumAtCard": f"PO-{made.year}-{number:05}",
            "DocCurrency": "USD" if number % 11 == 0 else "EUR", "Comments": "", "DocumentLines": lines,
        }  # fmt: skip
        order = documents.create(self.company, "Orders", values)
        self.dated(order, "CreationDate", made)
        return order

    def invoice(self, order: Row, made: datetime) -> None:
        base = order.values
        lines = [
            {**line, "BaseType": 17, "BaseEntry": base["DocEntry"], "BaseLine": line["LineNum"]}
            for line in base["DocumentLines"]
        ]
        given: Values = {
            **{name: base[name] for name in ("CardCode", "NumAtCard", "DocCurrency")},
            "DocDate": day(made), "TaxDate": day(made), "DocDueDate": day(made + timedelta(days=30)),
            "DocumentLines": lines,
        }  # fmt: skip
        invoice = documents.create(self.company, "Invoices", given)
        self.dated(invoice, "CreationDate", made)
        base["DocumentStatus"] = documents.CLOSED
        if base["DocEntry"] % 3 and base["DocCurrency"] == "EUR":
            self.payment(invoice, made + timedelta(days=20))

    def payment(self, invoice: Row, made: datetime) -> None:
        total = invoice.values["DocTotal"]
        amount = documents.exactly(total / 2) if invoice.values["DocEntry"] % 5 == 0 else total
        given: Values = {
            "CardCode": invoice.values["CardCode"], "DocDate": day(made), "TaxDate": day(made), "TransferSum": amount,
            "DueDate": day(made),
            "TransferAccount": "161000", "TransferDate": day(made),
            "TransferReference": f"RF-{invoice.values['DocNum']}",
            "PaymentInvoices": [
                {"DocEntry": invoice.values["DocEntry"], "SumApplied": amount, "InvoiceType": "it_Invoice"},
            ],
        }  # fmt: skip
        payments.create(self.company, given)
        self.dated(self.company.get("Invoices", invoice.values["DocEntry"]), "CreationDate", made)

    def dated(self, row: Row, created: str, made: datetime | None = None) -> None:
        """As of long ago, and not of now."""
        moment = made or FIRST + timedelta(seconds=self.dice.randrange(int((LAST - FIRST).total_seconds())))
        row.values.update({created: day(moment), "UpdateDate": day(moment), "UpdateTime": moment.strftime("%H:%M:%S")})
        if "CreateTime" in row.values:
            row.values["CreateTime"] = moment.strftime("%H:%M:%S")

    def forget_updates(self, count: int) -> None:
        """Rows of an old patch, which wrote no UpdateDate before the first update."""
        for name in ("BusinessPartners", "Items", "Orders", "Invoices"):
            for row in list(self.company.tables[name].values())[:count]:
                row.values.update(UpdateDate=None, UpdateTime=None)


def moments(count: int) -> Iterator[datetime]:
    """Evenly from the first working day to the last."""
    step = (LAST - FIRST) / max(count, 1)
    return (FIRST + step * number for number in range(count))


def day(moment: datetime) -> str:
    return moment.date().isoformat()


def expectation(company: Company, rejects: dict[str, dict[str, int]]) -> dict[str, Any]:
    """How many records of each entity there are, and how many of them break which rule of a strict client."""
    customers = [row for row in company.tables["BusinessPartners"].values() if row.values["CardType"] == "cCustomer"]
    totals = {
        "customer": len(customers),
        "contact": sum(len(row.values["ContactEmployees"]) for row in customers),
        "product": len(company.tables["Items"]),
        "order": len(company.tables["Orders"]),
        "invoice": len(company.tables["Invoices"]),
        "payment": len(company.tables["IncomingPayments"]),
    }
    return {"totals": totals, "rejects": rejects}
