"""Business partners and items: their rules, and how the rows inside them are matched."""

from decimal import Decimal
from typing import Any

from sandbox.sap_b1.company import Company, Row, Values
from sandbox.sap_b1.errors import ServiceError, refused

GROUPS = {"BusinessPartners": range(100, 110), "Items": range(100, 120)}
GROUP_FIELDS = {"BusinessPartners": "GroupCode", "Items": "ItemsGroupCode"}
PRICE_LISTS = (1, 2)
READ_ONLY = {
    "BusinessPartners": {"CardCode", "CurrentAccountBalance", "CreateDate", "CreateTime"},
    "Items": {"ItemCode", "QuantityOnStock", "QuantityOrderedByCustomers", "CreateDate", "CreateTime"},
}
ROWS: dict[str, dict[str, tuple[str, ...]]] = {
    "BusinessPartners": {"BPAddresses": ("AddressName", "AddressType"), "ContactEmployees": ("InternalCode",)},
    "Items": {"ItemPrices": ("PriceList",), "ItemWarehouseInfoCollection": ("WarehouseCode",)},
}
DEFAULTS: dict[str, Values] = {
    "BusinessPartners": {
        "CardType": "cCustomer", "GroupCode": 100, "Currency": "EUR", "Valid": "tYES", "Frozen": "tNO",
        "PriceListNum": 1, "PayTermsGrpCode": 1, "CreditLimit": Decimal(0), "CurrentAccountBalance": Decimal(0),
    },
    "Items": {
        "ItemsGroupCode": 100, "SalesItem": "tYES", "PurchaseItem": "tYES", "InventoryItem": "tYES", "Valid": "tYES",
        "Frozen": "tNO", "QuantityOnStock": Decimal(0), "QuantityOrderedByCustomers": Decimal(0),
        "QuantityOrderedFromVendors": Decimal(0), "SalesVATGroup": "A1",
    },
}  # fmt: skip
USED_IN = {"BusinessPartners": "CardCode", "Items": "ItemCode"}
DUPLICATE = "This entry already exists in the following tables (ODBC -2035)"


def create(company: Company, name: str, key: str, given: Values) -> Row:
    """A new partner or item. Raises ServiceError for a code that is missing or taken, and a group that is not there."""
    code = given.get(key)
    if not code:
        raise refused(f"Enter a code [{key}]", code=-5002)
    if company.find(name, code) is not None:
        raise ServiceError(400, -2035, DUPLICATE)
    day, time = company.now()
    values = {
        **DEFAULTS[name],
        **{field: value for field, value in given.items() if value is not None},
        "CreateDate": day,
        "CreateTime": time,
    }
    for field in ROWS[name]:
        values[field] = merged(company, name, field, [], given.get(field) or [], code)
    check(name, values)
    return company.save(name, code, values)


def change(company: Company, name: str, row: Row, given: Values, *, replace: bool) -> Row:
    """PATCH: read-only fields are ignored without a word."""
    code = row.values[USED_IN[name]]
    values = {**row.values, **{field: value for field, value in given.items() if field not in READ_ONLY[name]}}
    for field in ROWS[name].keys() & given.keys():
        kept = row.values.get(field) or []
        values[field] = merged(company, name, field, kept, given[field] or [], code, replace=replace)
    check(name, values)
    return company.save(name, code, values)


def delete(company: Company, name: str, row: Row) -> None:
    code = row.values[USED_IN[name]]
    for documents in ("Orders", "Invoices", "IncomingPayments"):
        if any(names(document.values, name, code) for document in company.tables[documents].values()):
            raise refused(f"Cannot remove '{code}': it is used in documents")
    company.drop(name, code)


def names(document: Values, name: str, code: str) -> bool:
    if name == "BusinessPartners":
        return bool(document.get("CardCode") == code)
    return any(line.get("ItemCode") == code for line in document.get("DocumentLines", []))


def check(name: str, values: Values) -> None:
    field = GROUP_FIELDS[name]
    if values.get(field) not in GROUPS[name]:
        raise refused(f"Invalid group code [{field}] , '{values.get(field)}'", code=-5002)
    for row in values.get("ContactEmployees", []):
        if not row.get("Name"):
            raise refused("Enter a contact name [ContactEmployees.Name]", code=-5002)
    for row in values.get("ItemPrices", []):
        if row["PriceList"] not in PRICE_LISTS:
            raise refused(f"There is no price list {row['PriceList']} [ItemPrices.PriceList]")


def merged(
    company: Company,
    name: str,
    field: str,
    kept: list[Values],
    given: list[Values],
    code: str,
    *,
    replace: bool = False,
) -> list[Values]:
    """The rows that are there, changed by those that were sent; a row that is not known is a new one."""
    keys = ROWS[name][field]
    rows = {tuple(row.get(key) for key in keys): dict(row) for row in kept}
    sent: list[Any] = []
    for row in given:
        place = tuple(row.get(key) for key in keys)
        if place not in rows:
            row = {**row, **new_row(company, field, code, row, len(rows))}
            place = tuple(row.get(key) for key in keys)
        rows[place] = {**rows.get(place, {}), **row}
        sent.append(place)
    if replace:
        rows = {place: row for place, row in rows.items() if place in sent}
    if field == "ItemPrices":
        for number in PRICE_LISTS:
            rows.setdefault((number,), {"PriceList": number, "Price": Decimal(0), "Currency": None})
    return list(rows.values())


def new_row(company: Company, field: str, code: str, row: Values, count: int) -> Values:
    if field == "ContactEmployees":
        return {"InternalCode": company.next(field), "CardCode": code, "Active": row.get("Active") or "tYES"}
    if field == "BPAddresses":
        return {"RowNum": count, "BPCode": code, "AddressType": row.get("AddressType") or "bo_BillTo"}
    return {}
