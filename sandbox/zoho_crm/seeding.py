"""A believable organisation's data, the same for the same plan; hostile records among the ordinary ones."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from sandbox.vendor import SeedPlan
from sandbox.zoho_crm import names
from sandbox.zoho_crm.org import DEFAULT_ZONE, Org
from sandbox.zoho_crm.schema import ENTITIES
from sandbox.zoho_crm.tables import Record
from sandbox.zoho_crm.writing import store

SIZES: Final[Mapping[str, int]] = {"customers": 640, "items": 240, "orders": 520}
MOST_DERIVED: Final = 5_000
USERS: Final = ("Alenka Oblak", "Boris Hribar", "Carla Moretti")
FIRST_DAY: Final = datetime(2024, 1, 8, 7, 0, tzinfo=UTC)
SPAN_S: Final = 600 * 86_400
IMPORTED: Final = 260  # accounts that an import saved within one second: more than a page
CENT: Final = Decimal("0.01")


def seed_org(plan: SeedPlan) -> Org:
    """The organisation of a plan: sizes `customers`, `items`, `orders`, `contacts`, `leads`, `deals`, `invoices`."""
    org = Org(zone=plan.time_zone or DEFAULT_ZONE)
    for name in USERS:
        user = org.new_id()
        email = f"{name.lower().replace(' ', '.')}@alpe-adria.example"
        org.users[user] = {"name": name, "id": user, "email": email}
    sizes = {**SIZES, **plan.sizes}
    derived = min(sizes["customers"], MOST_DERIVED)
    sizes = {
        "contacts": derived * 5 // 4,
        "leads": derived // 2,
        "deals": derived // 2,
        "invoices": sizes["orders"] * 2 // 3,
        **sizes,
    }
    Seeder(org, random.Random(plan.seed)).fill(sizes)
    org.credits.spent = 0
    return org


@dataclass
class Seeder:
    """Makes the records of each module, oldest first."""

    org: Org
    random: random.Random

    def fill(self, sizes: Mapping[str, int]) -> None:
        accounts = [self.account(place, sizes["customers"]) for place in range(sizes["customers"])]
        products = [self.product(place, sizes["items"]) for place in range(sizes["items"])]
        contacts = [self.contact(place, accounts) for place in range(sizes["contacts"] if accounts else 0)]
        for place in range(sizes["leads"]):
            self.lead(place, sizes["leads"])
        deals = [
            self.deal(place, sizes["deals"], accounts, contacts) for place in range(sizes["deals"] if accounts else 0)
        ]
        orders: list[Record] = []
        if accounts and products:
            orders = [self.order(place, sizes["orders"], accounts, products, deals) for place in range(sizes["orders"])]
        for place in range(min(sizes["invoices"], len(orders))):
            self.invoice(place, orders[place])
        self.count_rejects()

    def count_rejects(self) -> None:
        """How many records of each entity a strict client cannot store, by the rule that they break."""
        checks: dict[str, dict[str, Callable[[Record], bool]]] = {
            "customer": {"characters": lambda row: "\0" in row["Account_Name"]},
            "lead": {"characters": lambda row: "\0" in row["Company"]},
            "product": {"required": lambda row: not row["Product_Code"]},
            "deal": {"max": lambda row: (row["Amount"] or 0) >= Decimal(10) ** 16},
            "order": {"characters": lambda row: "\0" in f"{row['Purchase_Order']}{self.customer_of(row)}"},
            "invoice": {"characters": lambda row: "\0" in self.customer_of(row)},
        }
        for entity, rules in checks.items():
            table = self.org.tables[ENTITIES[entity]]
            self.org.expected[entity] = {rule: sum(map(broken, table)) for rule, broken in rules.items()}

    # -- modules -----------------------------------------------------------------------------------------------------

    def account(self, place: int, count: int) -> Record:
        title = self.company(place)
        if place < len(names.HOSTILE_NAMES):
            title = names.HOSTILE_NAMES[place][:200]
        elif place == len(names.HOSTILE_NAMES):
            title = names.NUL
        city, state, code, country, dial = self.random.choice(names.PLACES)
        street = f"{self.random.choice(names.STREETS)} {self.random.randint(1, 180)}"
        place_of = {"Street": street, "City": city, "State": state, "Code": code, "Country": country}
        imported = count >= 2 * IMPORTED and count - IMPORTED <= place
        return self.put(
            "Accounts",
            count - IMPORTED if imported else place,
            count,
            Account_Name=title,
            Account_Number=10_000 + place,
            Account_Type=self.random.choice(("Customer", "Distributor", "Prospect", "Supplier")),
            Industry=self.random.choice(names.INDUSTRIES),
            Phone=f"{dial} {self.random.randint(200_0000, 999_9999)}",
            Website=f"https://www.{''.join(filter(str.isalnum, title.lower()))[:24] or 'x'}.example",
            Employees=self.random.randint(1, 900),
            Annual_Revenue=Decimal(self.random.randint(20_000_00, 90_000_000_00)) * CENT,
            Tax_Id=f"SI{10_000_000 + place * 7}",
            **{f"{kind}_{part}": value for kind in ("Billing", "Shipping") for part, value in place_of.items()},
        )

    def product(self, place: int, count: int) -> Record:
        thing = names.THINGS[place % len(names.THINGS)]
        title = f"{thing} {self.random.choice('ABCDEFGH')}{place:04}"
        if place < 3:
            title = names.HOSTILE_NAMES[place]
        return self.put(
            "Products",
            place,
            count,
            Product_Name=title,
            Product_Code=None if place in (5, 6) else f"AA-{place:05}",
            Product_Category=self.random.choice(names.CATEGORIES),
            Product_Active=self.random.random() < 0.95,
            Unit_Price=Decimal(self.random.randint(150, 480_000)) * CENT,
            Usage_Unit=self.random.choice(names.UNITS),
            Qty_in_Stock=Decimal(self.random.randint(0, 5_000)),
            Reorder_Level=Decimal(self.random.randint(0, 200)),
            Taxable=True,
            HSN_Code=f"{8400 + place % 90}",
            Description="<b>Bold</b> & plain" if place == 3 else None,
        )

    def contact(self, place: int, accounts: list[Record]) -> Record:
        first, last = self.random.choice(names.FIRST), self.random.choice(names.LAST)
        account = accounts[place % len(accounts)]
        email = f"{_plain(first)}.{_plain(last)}.{place}@alpe.example"
        return self.put(
            "Contacts",
            place,
            max(place + 1, len(accounts)),
            First_Name=None if place % 50 == 7 else first,
            Last_Name=names.HOSTILE_NAMES[place][:80] if place < 4 else last,
            Email=None if place % 40 == 11 else email,
            Phone=account["Phone"],
            Mobile=f"+386 41 {self.random.randint(100_000, 999_999)}",
            Account_Name=None if place % 60 == 13 else account["id"],
            Title=self.random.choice(names.TITLES),
            Lead_Source=self.random.choice(names.SOURCES),
            Date_of_Birth="1970-01-01" if place == 1 else None,
            Email_Opt_Out=place % 9 == 0,
            Mailing_City=account["Billing_City"],
            Mailing_Country=account["Billing_Country"],
        )

    def lead(self, place: int, count: int) -> Record:
        first, last = self.random.choice(names.FIRST), self.random.choice(names.LAST)
        company = names.HOSTILE_NAMES[place][:200] if place < 5 else self.company(place + 7)
        city, state, code, country, dial = self.random.choice(names.PLACES)
        return self.put(
            "Leads",
            place,
            count,
            First_Name=first,
            Last_Name=last,
            Company=names.NUL if place == 5 else company,
            Designation=self.random.choice(names.TITLES),
            Email=f"{_plain(first)}.{_plain(last)}.{place}@lead.example",
            Phone=f"{dial} {self.random.randint(200_0000, 999_9999)}",
            Lead_Source=self.random.choice(names.SOURCES),
            Lead_Status=self.random.choice(names.LEAD_STATES),
            Annual_Revenue=Decimal(self.random.randint(0, 9_000_000_00)) * CENT,
            City=city,
            State=state,
            Zip_Code=code,
            Country=country,
            Converted__s=place % 11 == 4,
        )

    def deal(self, place: int, count: int, accounts: list[Record], contacts: list[Record]) -> Record:
        stage, probability = self.random.choice(names.STAGES)
        account = self.random.choice(accounts)
        amount = Decimal(self.random.randint(500_00, 250_000_00)) * CENT
        closing = (FIRST_DAY + timedelta(days=self.random.randint(30, 900))).date().isoformat()
        return self.put(
            "Deals",
            place,
            count,
            Deal_Name=f"{names.THINGS[place % len(names.THINGS)]} for {account['Account_Name'].replace(chr(0), '')}"[
                :120
            ],
            Stage=stage,
            Pipeline="Standard (Standard)",
            Closing_Date={0: "1970-01-01", 1: "9999-12-31"}.get(place, closing),
            Amount=Decimal(10) ** 17 if place == 4 else amount,
            Probability=probability,
            Account_Name=account["id"],
            Contact_Name=self.random.choice(contacts)["id"] if contacts else None,
            Type=self.random.choice(("New Business", "Existing Business")),
            Lead_Source=self.random.choice(names.SOURCES),
        )

    def order(
        self, place: int, count: int, accounts: list[Record], products: list[Record], deals: list[Record]
    ) -> Record:
        account = self.random.choice(accounts)
        lines = [self.line(self.random.choice(products)) for _ in range(self.random.randint(1, 6))]
        net = sum((line["List_Price"] * line["Quantity"] - line["Discount"] for line in lines), Decimal(0))
        purchase_order = f"PO-{self.random.randint(10_000, 99_999)}"
        return self.put(
            "Sales_Orders",
            place,
            count,
            Subject=names.HOSTILE_NAMES[place][:200]
            if place < 4
            else f"Order {place + 1} of {account['Account_Name']}"[:200].replace("\0", ""),
            Account_Name=account["id"],
            Deal_Name=self.random.choice(deals)["id"] if deals and place % 3 == 0 else None,
            Purchase_Order=names.NUL if place == 9 else purchase_order,
            Status=self.random.choice(names.ORDER_STATES),
            Due_Date=self.due(place, count),
            Ordered_Items=lines,
            Tax=(net * Decimal("0.22")).quantize(CENT),
            Discount=Decimal(0),
            Adjustment=Decimal(0),
            **{
                f"Billing_{part}": account[f"Billing_{part}"] for part in ("Street", "City", "State", "Code", "Country")
            },
        )

    def invoice(self, place: int, order: Record) -> Record:
        lines = [{**line, "id": self.org.new_id()} for line in order["Ordered_Items"]]
        made = datetime.fromtimestamp(order["Created_Time"], UTC).date()
        return self.put(
            "Invoices",
            place,
            max(place + 1, len(self.org.tables["Sales_Orders"])),
            Subject=f"Invoice for {order['Subject']}"[:300],
            Sales_Order=order["id"],
            Account_Name=order["Account_Name"],
            Purchase_Order=(order["Purchase_Order"] or "").replace("\0", ""),
            Status=self.random.choice(names.INVOICE_STATES),
            Invoice_Date=made.isoformat(),
            Due_Date=(made + timedelta(days=30)).isoformat(),
            Invoiced_Items=lines,
            Tax=order["Tax"],
            Discount=Decimal(0),
            Adjustment=Decimal(0),
        )

    # -- parts -------------------------------------------------------------------------------------------------------

    def put(self, module: str, place: int, count: int, **values: Any) -> Record:
        """Store a record as made at its place in time; every seventh shares its second with the one before."""
        step = SPAN_S // max(count, 1)
        at = int(FIRST_DAY.timestamp()) + (place - (place % 7 == 6)) * max(step, 1)
        owner = list(self.org.users)[place % len(self.org.users)]
        table = self.org.tables[module]
        record: Record = dict.fromkeys(table.module.fields) | {"Owner": owner, "Created_By": owner, "Tag": []}
        record |= {"Modified_By": owner, "Created_Time": at, "Modified_Time": at}
        record |= {"Currency": "EUR", "Exchange_Rate": Decimal(1), "id": self.org.new_id()}
        return store(self.org, table.module, record | values)

    def customer_of(self, document: Record) -> str:
        """The name that a document shows of its account, which may be one that cannot be stored."""
        return self.org.name_of("Accounts", document["Account_Name"]) or ""

    def line(self, product: Record) -> Record:
        quantity = Decimal(self.random.randint(1, 40))
        price = product["Unit_Price"] or Decimal("9.90")
        discount = (price * quantity / 10).quantize(CENT) if self.random.random() < 0.2 else Decimal(0)
        line = {"id": self.org.new_id(), "Product_Name": product["id"], "Quantity": quantity, "List_Price": price}
        return line | {"Discount": discount, "Line_Tax": [], "Description": None}

    def company(self, place: int) -> str:
        trade, form = self.random.choice(names.TRADES), self.random.choice(names.FORMS)
        return f"{self.random.choice(names.LAST)} {trade} {place:04} {form}"

    def due(self, place: int, count: int) -> str:
        day: date = (FIRST_DAY + timedelta(days=600 * place // max(count, 1) + 21)).date()
        return {0: "1970-01-01", 1: "9999-12-31"}.get(place, day.isoformat())


def _plain(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter.isascii() and letter.isalpha())
