"""What each entity is made of: its fields, what is computed, what must be there, what it refers to.

The fields are the elements of the vendor's schemas (Finance.xsd, IntuitBaseTypes.xsd, IntuitNamesTypes.xsd of
intuit/QuickBooks-V3-PHP-SDK, Apache-2.0), by `fields.json`; which are read only is by its documentation.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

EVERYWHERE = frozenset({"Id", "SyncToken", "MetaData", "domain", "sparse", "CustomField", "AttachableRef", "status"})
TIMES = ("MetaData.CreateTime", "MetaData.LastUpdatedTime")


@dataclass(frozen=True, slots=True)
class Entity:
    """`is_list`: a name that is made inactive and never deleted; otherwise a transaction.

    `fields`: what a request may hold. `computed`: what of it is ignored. `refers`: reference field to entity.
    `filters`: what a query may compare and sort by. `unasked`: fields that `select *` leaves out.
    """

    is_list: bool
    fields: frozenset[str]
    computed: frozenset[str] = frozenset()
    required: tuple[str, ...] = ()
    refers: Mapping[str, str] = field(default_factory=dict)
    filters: frozenset[str] = frozenset()
    longest: Mapping[str, int] = field(default_factory=dict)
    unasked: frozenset[str] = frozenset()


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SCHEMA = {
    entity: words(names)
    for entity, names in json.loads(Path(__file__).with_name("fields.json").read_text("utf-8")).items()
}
_REFERS = {"CustomerRef": "Customer", "SalesTermRef": "Term", "DepartmentRef": "Department", "ClassRef": "Class"}
_SALES_FILTERS = words("DocNumber TxnDate CustomerRef TotalAmt")

ENTITIES: Mapping[str, Entity] = {
    "Customer": Entity(
        is_list=True,
        fields=SCHEMA["Customer"],
        computed=words("FullyQualifiedName Balance BalanceWithJobs Level"),
        required=("DisplayName",),
        refers={"ParentRef": "Customer", "SalesTermRef": "Term", "PaymentMethodRef": "PaymentMethod"},
        filters=words(
            "DisplayName GivenName MiddleName FamilyName CompanyName FullyQualifiedName PrintOnCheckName Balance "
            "PrimaryEmailAddr"
        ),
        longest={"DisplayName": 500, "CompanyName": 500, "GivenName": 100, "FamilyName": 100, "Notes": 2000},
    ),
    "Item": Entity(
        is_list=True,
        fields=SCHEMA["Item"],
        computed=words("FullyQualifiedName Level"),
        required=("Name",),
        refers={
            "IncomeAccountRef": "Account",
            "ExpenseAccountRef": "Account",
            "AssetAccountRef": "Account",
            "ParentRef": "Item",
        },
        filters=words("Name Sku Type FullyQualifiedName UnitPrice Description"),
        longest={"Name": 100, "Sku": 100, "Description": 4000},
        unasked=words("Sku"),
    ),
    "Invoice": Entity(
        is_list=False,
        fields=SCHEMA["Invoice"],
        computed=words("TotalAmt HomeTotalAmt Balance"),
        required=("CustomerRef", "Line"),
        refers=_REFERS,
        filters=_SALES_FILTERS | words("DueDate Balance"),
        longest={"DocNumber": 21, "PrivateNote": 4000},
    ),
    "Estimate": Entity(
        is_list=False,
        fields=SCHEMA["Estimate"],
        computed=words("TotalAmt HomeTotalAmt"),
        required=("CustomerRef", "Line"),
        refers=_REFERS,
        filters=_SALES_FILTERS | words("ExpirationDate TxnStatus"),
        longest={"DocNumber": 21, "PrivateNote": 4000},
    ),
    "SalesReceipt": Entity(
        is_list=False,
        fields=SCHEMA["SalesReceipt"],
        computed=words("TotalAmt HomeTotalAmt Balance"),
        required=("Line",),
        refers={**_REFERS, "PaymentMethodRef": "PaymentMethod", "DepositToAccountRef": "Account"},
        filters=_SALES_FILTERS | words("PaymentRefNum"),
        longest={"DocNumber": 21, "PrivateNote": 4000},
    ),
    "Payment": Entity(
        is_list=False,
        fields=SCHEMA["Payment"],
        computed=words("UnappliedAmt"),
        required=("CustomerRef", "TotalAmt"),
        refers={"CustomerRef": "Customer", "PaymentMethodRef": "PaymentMethod", "DepositToAccountRef": "Account"},
        filters=words("CustomerRef TxnDate TotalAmt PaymentRefNum"),
        longest={"PaymentRefNum": 21, "PrivateNote": 4000},
    ),
    # What the others refer to, or share their names with; these are seeded and may be read.
    "Vendor": Entity(
        is_list=True,
        fields=words("DisplayName Active"),
        required=("DisplayName",),
        filters=words("DisplayName"),
    ),
    "Employee": Entity(
        is_list=True,
        fields=words("DisplayName GivenName FamilyName Active"),
        required=("DisplayName",),
        filters=words("DisplayName"),
    ),
    "Account": Entity(
        is_list=True,
        fields=words("Name AccountType Active"),
        required=("Name",),
        filters=words("Name AccountType"),
    ),
    "Term": Entity(is_list=True, fields=words("Name DueDays Active"), required=("Name",), filters=words("Name")),
    "PaymentMethod": Entity(is_list=True, fields=words("Name Active"), required=("Name",), filters=words("Name")),
    "Department": Entity(is_list=True, fields=words("Name Active"), required=("Name",), filters=words("Name")),
    "Class": Entity(is_list=True, fields=words("Name Active"), required=("Name",), filters=words("Name")),
}
BY_PATH = {name.lower(): name for name in ENTITIES}
SALES = frozenset({"Invoice", "Estimate", "SalesReceipt"})
SHARE_NAMES = ("Customer", "Vendor", "Employee")
