"""The companies a sandbox starts with: a trader with three branches of customers, and an old set of books."""

import random
import uuid
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from sandbox.faults import FaultPlan
from sandbox.tally.company import PRIMARY, VOUCHER, Company, Fields, Office, Thing
from sandbox.vendor import SeedPlan

COMPANY = "Nilgiri Tools & Hardware Pvt Ltd"
OLD_BOOKS = "Nilgiri Tools (2019-20)"
CLOSED = "Nilgiri Holdings"
DEFAULTS = {"customers": 600, "items": 250, "orders": 900}

STATES = (("Kerala", "32"), ("Tamil Nadu", "33"), ("Karnataka", "29"), ("Maharashtra", "27"), ("Gujarat", "24"))
CITIES = ("Kochi", "Coimbatore", "Bengaluru", "Pune", "Surat", "Thrissur", "Madurai", "Mysuru", "Nashik", "Rajkot")
FIRST = ("Anand", "Bharat", "Deccan", "Eastern", "Ganga", "Himalaya", "Indus", "Jaya", "Kaveri", "Lakshmi", "Malabar",
         "Narmada", "Orient", "Periyar", "Royal", "Sahyadri", "Tapti", "Uday", "Vijaya", "Western")  # fmt: skip
SECOND = ("Traders", "Hardware", "Tools", "Engineering", "Enterprises", "Agencies", "Industries", "Fasteners",
          "& Sons", "& Co", "Machinery", "Supplies")  # fmt: skip
THINGS = ("Spanner", "Hex bolt", "Drill bit", "Hacksaw blade", "Washer", "Cable tie", "Grinding disc", "Anchor",
          "Paint brush", "Chisel", "Hinge", "Padlock")  # fmt: skip
GROUPS = (
    ("Current Assets", PRIMARY), ("Current Liabilities", PRIMARY), ("Sales Accounts", PRIMARY),
    ("Indirect Incomes", PRIMARY), ("Sundry Debtors", "Current Assets"), ("Bank Accounts", "Current Assets"),
    ("Cash-in-Hand", "Current Assets"), ("Sundry Creditors", "Current Liabilities"),
    ("Duties & Taxes", "Current Liabilities"), ("South Debtors", "Sundry Debtors"),
    ("West Debtors", "Sundry Debtors"), ("Kochi Walk-ins", "South Debtors"),
)  # fmt: skip
LEDGERS = (
    ("Cash", "Cash-in-Hand"), ("HDFC Bank", "Bank Accounts"), ("Sales", "Sales Accounts"),
    ("Freight Outward", "Indirect Incomes"), ("Output CGST", "Duties & Taxes"), ("Output SGST", "Duties & Taxes"),
    ("Output IGST", "Duties & Taxes"), ("Profit & Loss A/c", PRIMARY),
)  # fmt: skip
TYPES = (
    ("Sales", PRIMARY, "Manual", ""), ("Receipt", PRIMARY, "Automatic", "RC/"),
    ("Sales Order", PRIMARY, "Automatic", "SO/"), ("Payment", PRIMARY, "Automatic", "PY/"),
    ("Counter Sales", "Sales", "Manual", ""), ("Bank Receipt", "Receipt", "Automatic", "BR/"),
)  # fmt: skip
HOSTILE = (
    'HOSTILE O\'Brien & <b>Söhne</b> "GmbH"',
    "HOSTILE שלום עולם \u202eright to left\u202c",
    "HOSTILE दिल्ली ₹ हार्डवेयर 🎈",
    "HOSTILE " + "very long name " * 30 + "Ltd",
    "HOSTILE '; DROP TABLE customers; --",
)


class Seeder:
    """Fills one company from one source of chance."""

    def __init__(self, company: Company, seed: int) -> None:
        self.company = company
        self.dice = random.Random(seed)
        self.customers: list[tuple[str, str]] = []  # name and state
        self.items: list[tuple[str, Decimal, str]] = []  # name, price and unit

    def masters(self) -> None:
        for name, parent in GROUPS:
            self.company.add("GROUP", {"NAME": name, "PARENT": parent})
        for name, parent in LEDGERS:
            self.company.add("LEDGER", {"NAME": name, "PARENT": parent, "ISBILLWISEON": "No"})
        for name, parent, method, prefix in TYPES:
            fields = {"NAME": name, "PARENT": parent, "NUMBERINGMETHOD": method, "PREFIX": prefix}
            self.company.add("VOUCHERTYPE", {**fields, "PREVENTDUPLICATES": "Yes" if method == "Manual" else "No"})
        for unit in ("Nos", "Kgs", "Box"):
            self.company.add("UNIT", {"NAME": unit, "PARENT": PRIMARY})
        for group in ("Hand Tools", "Fasteners", "Consumables & Spares"):
            self.company.add("STOCKGROUP", {"NAME": group, "PARENT": PRIMARY})
        self.company.add("GODOWN", {"NAME": "Main Location", "PARENT": PRIMARY})

    def customer(self, number: int) -> None:
        state, code = STATES[number % len(STATES)]
        name = f"{self.dice.choice(FIRST)} {self.dice.choice(SECOND)} {number:05d}"
        pan = f"AAB{chr(65 + number % 26)}{chr(65 + number // 26 % 26)}{number % 10000:04d}K"
        address = [f"{self.dice.randint(1, 400)}, Market Road", self.dice.choice(CITIES)]
        fields: Fields = {
            "NAME": name,
            "PARENT": ("Sundry Debtors", "South Debtors", "West Debtors", "Kochi Walk-ins")[number % 4],
            "EMAIL": f"accounts{number}@{name.split()[0].lower()}.example",
            "LEDGERCONTACT": f"{self.dice.choice(('Asha', 'Ravi', 'Meera', 'Joseph'))} {self.dice.choice(FIRST)}",
            "LEDGERPHONE": f"0484-{2000000 + number}",
            "LEDGERMOBILE": f"98{self.dice.randint(10000000, 99999999)}",
            "CREDITLIMIT": f"{self.dice.randint(1, 40) * 25000}.00",
            "ISBILLWISEON": "Yes",
        }
        if number % 3:  # since TallyPrime 3 as dated lists
            mailing = {"APPLICABLEFROM": "20250401", "MAILINGNAME": name, "STATE": state, "COUNTRY": "India",
                       "PINCODE": f"6{number % 100000:05d}", "ADDRESS.LIST": address}  # fmt: skip
            registered = {"APPLICABLEFROM": "20250401", "GSTREGISTRATIONTYPE": "Regular",
                          "PLACEOFSUPPLY": state, "GSTIN": f"{code}{pan}1Z5"}  # fmt: skip
            old = {"APPLICABLEFROM": "20180401", "GSTREGISTRATIONTYPE": "Unregistered/Consumer", "GSTIN": ""}
            fields |= {"LEDMAILINGDETAILS.LIST": [mailing], "LEDGSTREGDETAILS.LIST": [registered, old]}
        else:
            fields |= {"PARTYGSTIN": f"{code}{pan}1Z5", "LEDSTATENAME": state, "COUNTRYNAME": "India",
                       "PINCODE": f"6{number % 100000:05d}", "ADDRESS.LIST": address}  # fmt: skip
        self.company.add("LEDGER", {**fields, "NAME.LIST": []})
        self.customers.append((name, state))

    def item(self, number: int) -> None:
        kind = THINGS[number % len(THINGS)]
        unit = "Kgs" if number % 7 == 0 else "Nos"
        price = Decimal(self.dice.randint(500, 250000)) / 100
        name = f"{kind} {6 + number % 40} mm no. {number}"
        self.company.add(
            "STOCKITEM",
            {
                "NAME": name,
                "NAME.LIST": [f"NT-{number:05d}"],
                "PARENT": ("Hand Tools", "Fasteners", "Consumables & Spares")[number % 3] if number % 11 else PRIMARY,
                "CATEGORY": "\x04 Not Applicable",
                "BASEUNITS": unit,
                "DESCRIPTION": f"{kind}, box of ten" if number % 5 else "",
                "OPENINGBALANCE": f"{self.dice.randint(0, 500)}.00 {unit}",
                "STANDARDPRICELIST.LIST": [
                    {"DATE": "20250401", "RATE": f"{price - 1:.2f}/{unit}"},
                    {"DATE": "20260401", "RATE": f"{price:.2f}/{unit}"},
                ],
                "HSNDETAILS.LIST": [{"APPLICABLEFROM": "20250401", "HSNCODE": f"82{number % 100:02d}10"}],
                "GSTDETAILS.LIST": [{"APPLICABLEFROM": "20250401", "TAXABILITY": "Taxable"}],
            },
        )
        self.items.append((name, price, unit))

    # -- vouchers --------------------------------------------------------------------------------------------------

    def sale(self, number: int, kind: str, day: date, *, is_order: bool) -> None:
        """An item invoice or an order: goods, their taxes, and the party that owes both."""
        party, state = self.dice.choice(self.customers)
        lines, net = [], Decimal(0)
        for _ in range(self.dice.randint(1, 4)):
            line, amount = self._line(day, is_order=is_order)
            lines.append(line)
            net += amount
        tax = cents(net * Decimal("0.18"))
        half = cents(tax / 2)
        heads = [("Output CGST", half), ("Output SGST", tax - half)] if state == "Kerala" else [("Output IGST", tax)]
        owed: dict[str, Any] = _entry(party, -(net + tax))
        voucher_number = f"SO/{number:05d}" if is_order else f"INV/2026/{number:05d}"
        if not is_order:
            bill = {"NAME": voucher_number, "BILLTYPE": "New Ref", "BILLCREDITPERIOD": "30 Days",
                    "AMOUNT": owed["AMOUNT"]}  # fmt: skip
            owed["BILLALLOCATIONS.LIST"] = [bill]
        self._voucher(kind, day, voucher_number, party, reference=f"PO-{number:05d}", fields={
            "ISINVOICE": "Yes",
            "PERSISTEDVIEW": "Invoice Voucher View",
            "LEDGERENTRIES.LIST": [owed, *(_entry(head, amount) for head, amount in heads)],
            "ALLINVENTORYENTRIES.LIST": lines,
        })  # fmt: skip

    def receipt(self, number: int, day: date, against: Thing) -> None:
        """Money for an invoice, in full."""
        party = str(against.fields["PARTYLEDGERNAME"])
        owed = -Decimal(str(against.fields["LEDGERENTRIES.LIST"][0]["AMOUNT"]))
        paid = _entry(party, owed)
        bill = {"NAME": str(against.fields["VOUCHERNUMBER"]), "BILLTYPE": "Agst Ref", "AMOUNT": paid["AMOUNT"]}
        bank = self.dice.choice(("HDFC Bank", "Cash"))
        entries = [{**paid, "BILLALLOCATIONS.LIST": [bill]}, _entry(bank, -owed)]
        self._voucher("Receipt", day, f"RC/{number:05d}", party, reference=f"UTR{number:09d}", fields={
            "ISINVOICE": "No", "PERSISTEDVIEW": "Accounting Voucher View", "ALLLEDGERENTRIES.LIST": entries,
        })  # fmt: skip

    def _line(self, day: date, *, is_order: bool) -> tuple[Fields, Decimal]:
        item, price, unit = self.dice.choice(self.items)
        count = self.dice.randint(1, 25)
        amount = cents(price * count)
        quantity = f"{count} {unit}"
        batch: Fields = {"GODOWNNAME": "Main Location", "BATCHNAME": "Primary Batch", "AMOUNT": f"{amount:.2f}",
                         "ACTUALQTY": quantity, "BILLEDQTY": quantity}  # fmt: skip
        if is_order:
            batch["ORDERDUEDATE"] = f"{day + timedelta(days=14):%Y%m%d}"
        line = {
            "STOCKITEMNAME": item, "ISDEEMEDPOSITIVE": "No", "RATE": f"{price:.2f}/{unit}", "AMOUNT": f"{amount:.2f}",
            "ACTUALQTY": quantity, "BILLEDQTY": quantity, "GSTHSNNAME": "820410",
            "BATCHALLOCATIONS.LIST": [batch],
            "ACCOUNTINGALLOCATIONS.LIST": [{**_entry("Sales", amount)}],
        }  # fmt: skip
        return line, amount

    def _voucher(self, kind: str, day: date, number: str, party: str, *, reference: str, fields: Fields) -> Thing:
        return self.company.add(VOUCHER, {
            "DATE": f"{day:%Y%m%d}", "EFFECTIVEDATE": f"{day:%Y%m%d}", "VOUCHERTYPENAME": kind,
            "VOUCHERNUMBER": number, "REFERENCE": reference, "PARTYLEDGERNAME": party,
            "NARRATION": f"Entered for {party}\nby the counter", "ISCANCELLED": "No", "ISOPTIONAL": "No", **fields,
        })  # fmt: skip

    # -- hostile ---------------------------------------------------------------------------------------------------

    def hostile(self) -> dict[str, int]:
        """Records that strict clients stumble over; how many of each entity break a rule of the demo's tables."""
        for place, name in enumerate(HOSTILE):
            fields = {"NAME": name, "PARENT": "Sundry Debtors", "NAME.LIST": [], "ISBILLWISEON": "Yes",
                      "NARRATION": "line\nbreak\ttab & <i>markup</i>" + "x" * 2000,
                      "EMAIL": f"hostile{place}@hostile.example", "CREDITLIMIT": ""}  # fmt: skip
            self.company.add("LEDGER", fields)
        self.company.add("LEDGER", {"NAME": "HOSTILE limitless", "PARENT": "Sundry Debtors", "NAME.LIST": [],
                                    "CREDITLIMIT": "9" * 20 + ".00", "EMAIL": "limitless@hostile.example"})  # fmt: skip
        self.company.add("STOCKITEM", {"NAME": 'HOSTILE 3/4" <bolt> & nut', "NAME.LIST": [], "PARENT": PRIMARY,
                                       "BASEUNITS": "Nos", "DESCRIPTION": "\x01control\x1f"})  # fmt: skip
        for day, number in (("19700101", "INV/1970"), ("99991231", "INV/9999"), ("20260401", "")):
            entries = [_entry(self.customers[0][0], Decimal("-100.00")), _entry("Sales", Decimal("100.00"))]
            self._voucher("Counter Sales", date(2026, 4, 1), number, self.customers[0][0], reference="", fields={
                "DATE": day, "EFFECTIVEDATE": day, "ALLLEDGERENTRIES.LIST": entries,
                "PERSISTEDVIEW": "Accounting Voucher View",
            })  # fmt: skip
        return {"customer": 1, "product": 0, "order": 0, "invoice": 1, "payment": 0}


def seed_office(plan: SeedPlan) -> Office:
    """Both open companies and the closed one; the same plan gives the same books."""
    sizes = {name: plan.sizes.get(name, default) for name, default in DEFAULTS.items()}
    company = Company(COMPANY, _guid(plan.seed, COMPANY))
    seeder = Seeder(company, plan.seed)
    seeder.masters()
    for number in range(1, max(sizes["customers"], 1) + 1):
        seeder.customer(number)
    for number in range(1, max(sizes["items"], 1) + 1):
        seeder.item(number)
    counts = _vouchers(seeder, sizes["orders"])
    rejected = seeder.hostile()
    totals = {
        "customer": len(seeder.customers) + len(HOSTILE) + 1,
        "product": len(seeder.items) + 1,
        **counts,
        "invoice": counts["invoice"] + 3,
    }
    expected = {name: {"records": count, "rejected": rejected[name]} for name, count in totals.items()}
    return Office([company, _old_books(plan.seed), _closed(plan.seed)], FaultPlan(seed=plan.seed), expected=expected)


def _vouchers(seeder: Seeder, count: int) -> dict[str, int]:
    """A third orders, four ninths invoices, the rest receipts for some of these; as days go by."""
    orders, invoices = count * 3 // 9, count * 4 // 9
    first = date(2025, 4, 1)
    for number in range(1, orders + 1):
        seeder.sale(number, "Sales Order", first + timedelta(days=number % 500), is_order=True)
    for number in range(1, invoices + 1):
        kind = "Counter Sales" if number % 10 == 0 else "Sales"
        seeder.sale(number, kind, first + timedelta(days=number % 500), is_order=False)
    sold = [one for one in seeder.company.of(VOUCHER) if str(one.fields["VOUCHERNUMBER"]).startswith("INV/")]
    payments = min(count - orders - invoices, len(sold))
    for number, invoice in enumerate(sold[:payments], start=1):
        seeder.receipt(number, first + timedelta(days=number % 500), invoice)
    for invoice in sold[payments::50]:  # cancelled ones keep their number and lose their entries
        seeder.company.alter(invoice, {"ISCANCELLED": "Yes", "LEDGERENTRIES.LIST": [], "ALLINVENTORYENTRIES.LIST": []})
    return {"order": orders, "invoice": invoices, "payment": payments}


def _old_books(seed: int) -> Company:
    company = Company(OLD_BOOKS, _guid(seed, OLD_BOOKS), books_from="20190401")
    seeder = Seeder(company, seed + 1)
    seeder.masters()
    for number in range(1, 6):
        seeder.customer(number)
    return company


def _closed(seed: int) -> Company:
    return Company(CLOSED, _guid(seed, CLOSED), loaded=False)


def _guid(seed: int, name: str) -> str:
    return str(uuid.uuid5(uuid.UUID(int=seed), name))


def _entry(ledger: str, amount: Decimal) -> Fields:
    """A ledger entry: debit negative and deemed positive, credit the other way round."""
    return {"LEDGERNAME": ledger, "ISDEEMEDPOSITIVE": "Yes" if amount < 0 else "No", "AMOUNT": f"{amount:.2f}"}


def cents(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.01"), ROUND_HALF_UP)
