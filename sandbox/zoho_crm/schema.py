"""The modules of the organisation and their fields, as data.

A line is a field: its API name, its type (`*`: mandatory), then in any order its length, `unique`, `ro` (only Zoho sets
it), `custom`, or `->Module` of a look-up. Source: field names of Zoho's own SDK (record/field.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

SYSTEM: Final = """
Owner ownerlookup
Created_By ownerlookup ro
Modified_By ownerlookup ro
Created_Time datetime ro
Modified_Time datetime ro
Description textarea 32000
Currency picklist
Exchange_Rate double
ERPflow_Id text 60 unique custom
Tag jsonarray ro
"""

ADDRESS: Final = "{0}_Street text 250\n{0}_City text 120\n{0}_State text 120\n{0}_Code text 30\n{0}_Country text 120\n"

LINES: Final = """
Product_Name lookup* ->Products
Quantity double*
List_Price currency
Discount currency
Tax currency ro
Total currency ro
Total_After_Discount currency ro
Net_Total currency ro
Description textarea 2000
Line_Tax jsonarray
"""

MODULES: Final[Mapping[str, str]] = {
    "Accounts": """
        Account_Name text* 200
        Account_Number bigint
        Account_Type picklist
        Industry picklist
        Phone phone 30
        Fax text 30
        Website website 450
        Parent_Account lookup ->Accounts
        Employees integer
        Annual_Revenue currency
        Tax_Id text 60 custom
        """
    + ADDRESS.format("Billing")
    + ADDRESS.format("Shipping"),
    "Contacts": """
        First_Name text 40
        Last_Name text* 80
        Full_Name text 120 ro
        Email email 100
        Phone phone 50
        Mobile phone 30
        Account_Name lookup ->Accounts
        Lead_Source picklist
        Title text 100
        Department text 50
        Date_of_Birth date
        Email_Opt_Out boolean
        Mailing_Street text 250
        Mailing_City text 100
        Mailing_State text 100
        Mailing_Zip text 30
        Mailing_Country text 100
        """,
    "Leads": """
        First_Name text 40
        Last_Name text* 80
        Full_Name text 120 ro
        Company text* 200
        Designation text 100
        Email email 100
        Phone phone 30
        Mobile phone 30
        Website website 255
        Lead_Source picklist
        Lead_Status picklist
        Industry picklist
        Annual_Revenue currency
        No_of_Employees integer
        Street text 250
        City text 100
        State text 100
        Zip_Code text 30
        Country text 100
        Email_Opt_Out boolean
        Converted__s boolean ro
        """,
    "Products": """
        Product_Name text* 200
        Product_Code text 200 unique
        Product_Category picklist
        Product_Active boolean
        Manufacturer picklist
        Unit_Price currency
        Usage_Unit picklist
        Qty_in_Stock double
        Qty_Ordered double
        Reorder_Level double
        Taxable boolean
        Tax jsonarray
        HSN_Code text 20 custom
        """,
    "Deals": """
        Deal_Name text* 120
        Stage picklist*
        Pipeline picklist
        Closing_Date date
        Amount currency
        Probability integer
        Account_Name lookup ->Accounts
        Contact_Name lookup ->Contacts
        Type picklist
        Lead_Source picklist
        Next_Step text 100
        """,
    "Sales_Orders": """
        Subject text* 300
        SO_Number autonumber ro
        Customer_No text 100
        Account_Name lookup* ->Accounts
        Contact_Name lookup ->Contacts
        Deal_Name lookup ->Deals
        Purchase_Order text 100
        Status picklist
        Due_Date date
        Carrier picklist
        Ordered_Items subform*
        Sub_Total currency ro
        Discount currency
        Tax currency
        Adjustment currency
        Grand_Total currency ro
        Terms_and_Conditions textarea 32000
        """
    + ADDRESS.format("Billing"),
    "Invoices": """
        Subject text* 300
        Invoice_Number autonumber ro
        Sales_Order lookup ->Sales_Orders
        Account_Name lookup* ->Accounts
        Contact_Name lookup ->Contacts
        Purchase_Order text 100
        Status picklist
        Invoice_Date date
        Due_Date date
        Invoiced_Items subform*
        Sub_Total currency ro
        Discount currency
        Tax currency
        Adjustment currency
        Grand_Total currency ro
        Terms_and_Conditions textarea 32000
        """
    + ADDRESS.format("Billing"),
}

ENTITIES: Final[Mapping[str, str]] = {
    "customer": "Accounts",
    "contact": "Contacts",
    "lead": "Leads",
    "product": "Products",
    "deal": "Deals",
    "order": "Sales_Orders",
    "invoice": "Invoices",
}

NAMES: Final[Mapping[str, str]] = {
    "Accounts": "Account_Name",
    "Contacts": "Full_Name",
    "Leads": "Full_Name",
    "Products": "Product_Name",
    "Deals": "Deal_Name",
    "Sales_Orders": "Subject",
    "Invoices": "Subject",
}
"""The field that a look-up shows as `name`."""

DUPLICATE_CHECKS: Final[Mapping[str, str]] = {
    "Accounts": "Account_Name",
    "Contacts": "Email",
    "Leads": "Email",
    "Products": "Product_Code",
    "Deals": "Deal_Name",
    "Sales_Orders": "Subject",
    "Invoices": "Subject",
}
"""What an upsert compares when it is not told."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field; `lookup` names the module that a look-up leads to."""

    api_name: str
    data_type: str
    mandatory: bool = False
    unique: bool = False
    read_only: bool = False
    custom: bool = False
    length: int = 255
    lookup: str | None = None

    @property
    def label(self) -> str:
        return self.api_name.replace("_", " ").strip()


@dataclass(frozen=True)
class Module:
    """One module: its fields by their API names."""

    name: str
    fields: Mapping[str, Field]

    @cached_property
    def subform(self) -> str | None:
        """The field that holds the lines, of modules that have some."""
        return next((field.api_name for field in self.fields.values() if field.data_type == "subform"), None)

    @cached_property
    def unique(self) -> tuple[str, ...]:
        return tuple(field.api_name for field in self.fields.values() if field.unique)

    @cached_property
    def listed(self) -> tuple[str, ...]:
        """All fields but the lines."""
        return tuple(name for name in self.fields if name != self.subform)


def read_fields(text: str) -> dict[str, Field]:
    """The fields of a table like those above."""
    fields: dict[str, Field] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        api_name, kind, *words = line.split()
        lookup = next((word[2:] for word in words if word.startswith("->")), None)
        length = next((int(word) for word in words if word.isdigit()), 255)
        fields[api_name] = Field(
            api_name,
            kind.rstrip("*"),
            mandatory=kind.endswith("*"),
            unique="unique" in words,
            read_only="ro" in words,
            custom="custom" in words,
            length=length,
            lookup=lookup,
        )
    return fields


SCHEMA: Final[Mapping[str, Module]] = {name: Module(name, read_fields(text + SYSTEM)) for name, text in MODULES.items()}
LINE: Final = Module("Line_Items", read_fields(LINES))
