"""A fresh site with its company, as it stands after ERPNext's setup wizard."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sandbox.erpnext.controller import Controller
from sandbox.erpnext.customize import CommentController, CustomFieldController, WebhookController
from sandbox.erpnext.parties import AddressController, ContactController, CustomerController
from sandbox.erpnext.payments import PaymentEntryController
from sandbox.erpnext.selling import SalesInvoiceController, SalesOrderController
from sandbox.erpnext.site import DEFAULT_ZONE, SYSTEM_USER, Site
from sandbox.erpnext.stock import ItemController, ItemPriceController, StockEntryController

CONTROLLERS: Mapping[str, type[Controller]] = {
    "Customer": CustomerController,
    "Contact": ContactController,
    "Address": AddressController,
    "Item": ItemController,
    "Item Price": ItemPriceController,
    "Stock Entry": StockEntryController,
    "Sales Order": SalesOrderController,
    "Sales Invoice": SalesInvoiceController,
    "Payment Entry": PaymentEntryController,
    "Custom Field": CustomFieldController,
    "Webhook": WebhookController,
    "Comment": CommentController,
}

COUNTRIES = {
    "India": "in", "Saudi Arabia": "sa", "United Arab Emirates": "ae", "Qatar": "qa", "Oman": "om", "Kuwait": "kw",
    "Bahrain": "bh", "Slovenia": "si", "United States": "us", "United Kingdom": "gb", "Germany": "de",
}  # fmt: skip
CURRENCIES = ("INR", "SAR", "AED", "USD", "QAR", "OMR", "KWD", "BHD", "EUR", "GBP")
LANGUAGES = {"en": "English", "ar": "العربية", "hi": "हिन्दी", "sl": "Slovenščina"}
UOMS = {"Nos": 1, "Unit": 1, "Box": 1, "Pair": 1, "Set": 1, "Hour": 0, "Kg": 0, "Litre": 0, "Meter": 0}
CUSTOMER_GROUPS = ("Commercial", "Individual", "Non Profit", "Government")
TERRITORIES = ("India", "Rest Of The World")
ITEM_GROUPS = ("Products", "Raw Material", "Services", "Sub Assemblies", "Consumable")
ACCOUNTS = {"Debtors": "Receivable", "Sales": "Income Account", "Cost of Goods Sold": "Cost of Goods Sold"} | {
    "Cash": "Cash", "Stock Adjustment": "Stock Adjustment", "VAT": "Tax", "Output Tax IGST": "Tax",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Company:
    """The company a site keeps books for."""

    name: str
    abbr: str
    country: str = "India"
    currency: str = "INR"


LAB = Company("Lab Traders Pvt Ltd", "LTP")


def fresh_site(
    company: Company = LAB, *, seed: int = 7, zone: str = DEFAULT_ZONE, now: Callable[[], datetime] | None = None
) -> Site:
    """A site with the company and the master data every site has, and nothing else."""
    site = Site(seed=seed, zone=zone, now=now, company=company.name)
    site.controllers.update({name: controller() for name, controller in CONTROLLERS.items()})
    add_geography(site)
    add_tree(site, "Customer Group", "All Customer Groups", CUSTOMER_GROUPS)
    add_tree(site, "Territory", "All Territories", TERRITORIES)
    add_tree(site, "Item Group", "All Item Groups", ITEM_GROUPS)
    for uom, whole in UOMS.items():
        add(site, "UOM", uom, must_be_whole_number=whole)
    add_company(site, company)
    for user in site.users.values():
        add(site, "User", user.email, first_name=user.full_name, full_name=user.full_name)
    return site


def add(site: Site, doctype: str, name: str, **values: Any) -> None:
    """Store a master document as the installer does: no checks, no permissions."""
    doc = site.new_doc(doctype)
    stamp = site.clock.stamp()
    doc.update({"name": name, "owner": SYSTEM_USER, "creation": stamp, "modified": stamp, "modified_by": SYSTEM_USER})
    if doc.meta.autoname.startswith("field:"):
        doc[doc.meta.autoname.removeprefix("field:")] = name
    doc.update(values)
    site.tables[doctype].put(doc)


def add_geography(site: Site) -> None:
    for country, code in COUNTRIES.items():
        add(site, "Country", country, code=code)
    for currency in CURRENCIES:
        add(site, "Currency", currency, enabled=1)
    for code, language in LANGUAGES.items():
        add(site, "Language", code, language_name=language)


def add_tree(site: Site, doctype: str, root: str, leaves: tuple[str, ...]) -> None:
    parent = site.doctypes[doctype].tree_field
    assert parent is not None  # noqa: S101 - all three are trees
    add(site, doctype, root, is_group=1, lft=1, rgt=2 * len(leaves) + 2)
    for place, leaf in enumerate(leaves, start=1):
        add(site, doctype, leaf, **{parent: root, "lft": 2 * place, "rgt": 2 * place + 1})


def add_company(site: Site, company: Company) -> None:
    currency = company.currency
    add(site, "Company", company.name, abbr=company.abbr, default_currency=currency, country=company.country)
    for prices, selling in (("Standard Selling", 1), ("Standard Buying", 0)):
        add(site, "Price List", prices, currency=currency, selling=selling, buying=1 - selling)
    for warehouse in ("Stores", "Finished Goods", "Goods In Transit"):
        add(site, "Warehouse", f"{warehouse} - {company.abbr}", warehouse_name=warehouse, company=company.name)
    add(site, "Cost Center", f"Main - {company.abbr}", cost_center_name="Main", company=company.name)
    for account, kind in ACCOUNTS.items():
        name = f"{account} - {company.abbr}"
        values = {"account_name": account, "account_type": kind, "account_currency": currency}
        add(site, "Account", name, company=company.name, **values)
    for mode in ("Cash", "Wire Transfer", "Credit Card"):
        add(site, "Mode of Payment", mode, type="Cash" if mode == "Cash" else "Bank")
    year = site.clock.local().year
    for first in (year - 1, year):
        dates = {"year_start_date": f"{first}-04-01", "year_end_date": f"{first + 1}-03-31"}
        add(site, "Fiscal Year", f"{first}-{first + 1}", **dates)
