"""Zoho's modules as data: which fields are asked for, since a list names none by itself.

Custom fields come on top, as the organisation's own metadata names them. Source: field names of Zoho's SDK
(record/field.py); lists need `fields`, at most 50, since v3 (docs/api/v8/get-records.html).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class Module:
    """One module. `lines`: the subform with the lines of a document; `query`: what its lists have to be told."""

    name: str
    fields: tuple[str, ...]
    lines: str | None = None
    query: Mapping[str, str] = field(default_factory=dict)


def _module(name: str, fields: str, *, lines: str | None = None, query: Mapping[str, str] | None = None) -> Module:
    return Module(name, (*fields.split(), *_SYSTEM), lines, query or {})


def _address(kind: str) -> str:
    return " ".join(f"{kind}_{part}" for part in ("Street", "City", "State", "Code", "Country"))


_SYSTEM: Final = ("Owner", "Description", "Currency", "Exchange_Rate", "Created_Time", "Modified_Time")
_TOTALS: Final = "Sub_Total Discount Tax Adjustment Grand_Total"

MODULES: Final[Mapping[str, Module]] = {
    "customer": _module(
        "Accounts",
        "Account_Name Account_Number Account_Type Industry Phone Fax Website Parent_Account Employees Annual_Revenue "
        f"{_address('Billing')} {_address('Shipping')}",
    ),
    "contact": _module(
        "Contacts",
        "First_Name Last_Name Full_Name Email Phone Mobile Account_Name Title Department Lead_Source Date_of_Birth "
        "Email_Opt_Out Mailing_Street Mailing_City Mailing_State Mailing_Zip Mailing_Country",
    ),
    "lead": _module(
        "Leads",
        "First_Name Last_Name Full_Name Company Designation Email Phone Mobile Website Lead_Source Lead_Status "
        "Industry Annual_Revenue No_of_Employees Street City State Zip_Code Country Email_Opt_Out Converted__s",
        query={"converted": "both"},  # converted leads are in no list by default, nor among the deleted
    ),
    "product": _module(
        "Products",
        "Product_Name Product_Code Product_Category Product_Active Manufacturer Unit_Price Usage_Unit Qty_in_Stock "
        "Qty_Ordered Reorder_Level Taxable",
    ),
    "deal": _module(
        "Deals",
        "Deal_Name Stage Pipeline Closing_Date Amount Probability Account_Name Contact_Name Type Lead_Source Next_Step",
    ),
    "order": _module(
        "Sales_Orders",
        "Subject SO_Number Customer_No Account_Name Contact_Name Deal_Name Purchase_Order Status Due_Date Carrier "
        f"{_TOTALS} {_address('Billing')} Terms_and_Conditions",
        lines="Ordered_Items",
    ),
    "invoice": _module(
        "Invoices",
        "Subject Invoice_Number Sales_Order Account_Name Contact_Name Purchase_Order Status Invoice_Date Due_Date "
        f"{_TOTALS} {_address('Billing')} Terms_and_Conditions",
        lines="Invoiced_Items",
    ),
}
