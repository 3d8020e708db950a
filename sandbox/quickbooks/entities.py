"""What each entity is made of: its fields, what is computed, what must be there, what it refers to.

Source: the vendor's entity schemas (Finance.xsd, IntuitNamesTypes.xsd), and its documentation of which are read only.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

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


_SALES = words(
    "DocNumber TxnDate CustomerRef CustomerMemo PrivateNote BillEmail BillAddr ShipAddr ShipDate ShipMethodRef "
    "TrackingNum CurrencyRef ExchangeRate EmailStatus PrintStatus Line TxnTaxDetail ApplyTaxAfterDiscount TotalAmt "
    "HomeTotalAmt LinkedTxn GlobalTaxCalculation DepartmentRef ClassRef TxnStatus SalesTermRef TxnSource"
)
_REFERS = {"CustomerRef": "Customer", "SalesTermRef": "Term", "DepartmentRef": "Department", "ClassRef": "Class"}
_SALES_FILTERS = words("DocNumber TxnDate CustomerRef TotalAmt")

ENTITIES: Mapping[str, Entity] = {
    "Customer": Entity(
        is_list=True,
        fields=words(
            "DisplayName Title GivenName MiddleName FamilyName Suffix FullyQualifiedName CompanyName PrintOnCheckName "
            "Active PrimaryPhone AlternatePhone Mobile Fax PrimaryEmailAddr WebAddr BillAddr ShipAddr Notes Taxable "
            "Balance BalanceWithJobs CurrencyRef SalesTermRef PaymentMethodRef ParentRef Job BillWithParent Level "
            "PreferredDeliveryMethod ResaleNum PrimaryTaxIdentifier"
        ),
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
        fields=words(
            "Name Sku Description Active Type UnitPrice PurchaseCost PurchaseDesc IncomeAccountRef ExpenseAccountRef "
            "AssetAccountRef TrackQtyOnHand QtyOnHand InvStartDate Taxable SalesTaxIncluded SubItem ParentRef "
            "FullyQualifiedName Level"
        ),
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
        fields=_SALES | words("DueDate Balance Deposit AllowOnlinePayment"),
        computed=words("TotalAmt HomeTotalAmt Balance"),
        required=("CustomerRef", "Line"),
        refers=_REFERS,
        filters=_SALES_FILTERS | words("DueDate Balance"),
        longest={"DocNumber": 21, "PrivateNote": 4000},
    ),
    "Estimate": Entity(
        is_list=False,
        fields=_SALES | words("DueDate ExpirationDate AcceptedBy AcceptedDate"),
        computed=words("TotalAmt HomeTotalAmt"),
        required=("CustomerRef", "Line"),
        refers=_REFERS,
        filters=_SALES_FILTERS | words("ExpirationDate TxnStatus"),
        longest={"DocNumber": 21, "PrivateNote": 4000},
    ),
    "SalesReceipt": Entity(
        is_list=False,
        fields=_SALES | words("PaymentMethodRef PaymentRefNum DepositToAccountRef Balance"),
        computed=words("TotalAmt HomeTotalAmt Balance"),
        required=("Line",),
        refers={**_REFERS, "PaymentMethodRef": "PaymentMethod", "DepositToAccountRef": "Account"},
        filters=_SALES_FILTERS | words("PaymentRefNum"),
        longest={"DocNumber": 21, "PrivateNote": 4000},
    ),
    "Payment": Entity(
        is_list=False,
        fields=words(
            "CustomerRef TotalAmt UnappliedAmt TxnDate PaymentRefNum PaymentMethodRef DepositToAccountRef CurrencyRef "
            "ExchangeRate PrivateNote ProcessPayment Line TxnSource ARAccountRef"
        ),
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
