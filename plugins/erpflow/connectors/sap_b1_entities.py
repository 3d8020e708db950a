"""What is synced of a Business One company, as data: entity sets, keys, fields, sizes, and what may be written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from erpflow.connectors.base import EntitySpec
from erpflow.connectors.sap_b1_paging import Listed
from erpflow.connectors.sap_b1_records import CONTACT, MODIFIED
from erpflow.connectors.sap_b1_text import Key
from erpflow.vocabulary import Operation

CREATE, UPDATE, DELETE = Operation.CREATE, Operation.UPDATE, Operation.DELETE


@dataclass(frozen=True, slots=True)
class Collection:
    """An entity set of the Service Layer.

    `fields` are always selected: an order has 268 properties besides its lines, a partner 300. `rows`: for each list
    inside a record the fields that tell its rows apart, without which a PATCH appends a row. `whole`: the list that an
    update replaces, in place of adding to it. `own_number`: a text of ours a draft is found by. `presets` of a create.
    """

    name: str
    listed: Listed
    fields: tuple[str, ...]
    rows: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    whole: str | None = None
    own_number: str | None = None
    presets: Mapping[str, str] = field(default_factory=dict)


_TIMES: Final = ("UpdateDate", "UpdateTime")
_DOCUMENT: Final = (
    *("DocEntry", "DocNum", "DocType", "DocDate", "DocDueDate", "TaxDate", "CardCode", "CardName", "NumAtCard"),
    *("DocTotal", "DocTotalFc", "VatSum", "VatSumFc", "DocCurrency", "DocRate", "PaidToDate", "DocumentStatus"),
    *("Cancelled", "CancelStatus", "Comments", "SalesPersonCode", "PaymentGroupCode", "CreationDate", *_TIMES),
    "DocumentLines",
)
_ONLY_CUSTOMERS: Final = "CardType eq 'cCustomer'"
_LINES: Final = {"DocumentLines": ("LineNum",)}
_PARTNERS: Final = Listed(Key("CardCode"), created="CreateDate", only=_ONLY_CUSTOMERS)
_DOCUMENTS: Final = Listed(Key("DocEntry", number=True), created="CreationDate")

COLLECTIONS: Final[Mapping[str, Collection]] = {
    "customer": Collection(
        "BusinessPartners",
        _PARTNERS,
        fields=(
            *("CardCode", "CardName", "CardType", "CardForeignName", "GroupCode", "FederalTaxID", "EmailAddress"),
            *("Phone1", "Phone2", "Cellular", "Website", "Currency", "PriceListNum", "PayTermsGrpCode", "CreditLimit"),
            *("CurrentAccountBalance", "Valid", "Frozen", "ContactPerson", "Notes", "FreeText", "CreateDate", *_TIMES),
            "BPAddresses",
        ),
        rows={"BPAddresses": ("AddressName", "AddressType"), "ContactEmployees": ("InternalCode",)},
        presets={"CardType": "cCustomer"},
    ),
    # A contact is a row of its partner; what is read of it is what the row holds.
    "contact": Collection("BusinessPartners", _PARTNERS, fields=("CardCode", *_TIMES, "ContactEmployees")),
    "product": Collection(
        "Items",
        Listed(Key("ItemCode"), created="CreateDate"),
        fields=(
            *("ItemCode", "ItemName", "ForeignName", "ItemsGroupCode", "BarCode", "SalesItem", "PurchaseItem"),
            *("InventoryItem", "QuantityOnStock", "QuantityOrderedFromVendors", "QuantityOrderedByCustomers"),
            *("SalesUnit", "InventoryUOM", "SalesVATGroup", "Valid", "Frozen", "User_Text", "CreateDate", *_TIMES),
            *("ItemPrices", "ItemWarehouseInfoCollection"),
        ),
        rows={"ItemPrices": ("PriceList",), "ItemWarehouseInfoCollection": ("WarehouseCode",)},
    ),
    "order": Collection(
        "Orders", _DOCUMENTS, fields=_DOCUMENT, rows=_LINES, whole="DocumentLines", own_number="NumAtCard"
    ),
    "invoice": Collection("Invoices", _DOCUMENTS, fields=_DOCUMENT, rows=_LINES, own_number="NumAtCard"),
    # A payment has no time of update at all: it is read in order of DocEntry, all of them every time.
    "payment": Collection(
        "IncomingPayments",
        Listed(Key("DocEntry", number=True), created="DocDate", dated=False),
        fields=(
            *("DocEntry", "DocNum", "DocType", "DocDate", "TaxDate", "DueDate", "CardCode", "CardName", "DocCurrency"),
            *("DocRate", "CashSum", "CashAccount", "TransferSum", "TransferAccount", "TransferDate"),
            *("TransferReference", "CounterReference", "Reference1", "Remarks", "JournalRemarks", "Cancelled"),
            *("PaymentInvoices", "PaymentChecks", "PaymentCreditCards"),
        ),
    ),
}

ENTITIES: Final[Mapping[str, EntitySpec]] = {
    "customer": EntitySpec(
        "BusinessPartners",
        key="CardCode",
        modified=MODIFIED,
        page_size=500,
        bulk_size=50,
        ordered=True,
        writes=frozenset({CREATE, UPDATE, DELETE}),
        checks_version=True,
    ),
    # Its version is its partner's, which moves with every other contact too: no use to tell who changed what. A PATCH
    # can take a contact away only by sending all the others again, so contacts are not deleted but made inactive.
    "contact": EntitySpec(
        "BusinessPartners",
        key=CONTACT,
        modified=MODIFIED,
        page_size=500,
        bulk_size=50,
        ordered=True,
        writes=frozenset({CREATE, UPDATE}),
    ),
    "product": EntitySpec(
        "Items",
        key="ItemCode",
        modified=MODIFIED,
        page_size=500,
        bulk_size=50,
        ordered=True,
        writes=frozenset({CREATE, UPDATE, DELETE}),
        checks_version=True,
    ),
    # With its lines a document is ten times as large, and takes up to a second to save. Documents are closed or
    # cancelled, never deleted.
    "order": EntitySpec(
        "Orders",
        key="DocEntry",
        modified=MODIFIED,
        page_size=100,
        bulk_size=20,
        ordered=True,
        writes=frozenset({CREATE, UPDATE}),
        checks_version=True,
    ),
    "invoice": EntitySpec(
        "Invoices",
        key="DocEntry",
        modified=MODIFIED,
        page_size=100,
        bulk_size=20,
        ordered=True,
        writes=frozenset({CREATE, UPDATE}),
        checks_version=True,
    ),
    "payment": EntitySpec(
        "IncomingPayments", key="DocEntry", modified=None, page_size=500, bulk_size=20, writes=frozenset({CREATE})
    ),
}
