"""What a record of Tally says between its lines: the object `DERIVED` that every record holds beside Tally's fields.

Quantities carry their unit, amounts their side as a sign, several fields have an old and a new place, an invoice has no
total. A mapping cannot know all that. Source: vendor sheet "Value conventions". Numbers are texts, exact.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from erpflow.connectors.tally_names import Kind, Names

DERIVED: Final = "DERIVED"
_NUMBER: Final = re.compile(r"-?(?:\d[\d,]*)?(?:\.\d+)?")
_QUANTITY: Final = re.compile(r"(-?(?:\d[\d,]*)?\.?\d+)\s*(.*)", re.DOTALL)
_PERIOD: Final = re.compile(r"(\d{1,4}) Days?")
_DATE: Final = re.compile(r"[12]\d{3}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d)")
_DEBIT: Final = ("Yes", "yes", "YES")


def with_facts(kind: Kind, record: dict[str, Any], names: Names) -> dict[str, Any]:
    """The record with what follows from it."""
    if kind.is_voucher:
        return record | {DERIVED: _of_voucher(record, names)}
    return record | {DERIVED: _of_ledger(record) if kind.tally == "Ledger" else _of_item(record)}


def amount_of(text: object) -> Decimal | None:
    """An amount in the company's currency: of a foreign one what stands behind the equals sign."""
    cleaned = str(text or "").rpartition("=")[2].strip()
    found = "".join(char for char in cleaned if char.isdigit() or char in "-.,")
    return Decimal(found.replace(",", "")) if _NUMBER.fullmatch(found) and any(map(str.isdigit, found)) else None


def quantity_of(text: object) -> tuple[Decimal | None, str | None]:
    """A quantity and its unit, of "10 Nos" or "10 Nos = 1 Box". A compound ("2 Doz 3 Nos") is no single number."""
    found = _QUANTITY.fullmatch(str(text or "").partition("=")[0].strip())
    if found is None:
        return None, None
    unit = found[2].strip()
    if any(char.isdigit() for char in unit):
        return None, None
    return Decimal(found[1].replace(",", "")), unit or None


def rate_of(text: object) -> Decimal | None:
    """The amount in "202.02/nos"."""
    return amount_of(str(text or "").partition("/")[0])


# -- ledgers and items -------------------------------------------------------------------------------------------------


def _of_ledger(record: Mapping[str, Any]) -> dict[str, Any]:
    """Since TallyPrime 3 addresses and registrations are lists of dated ones: the newest counts."""
    mailing = _newest(record.get("LEDMAILINGDETAILS_LIST"))
    registered = _newest(record.get("LEDGSTREGDETAILS_LIST"))
    lines = _texts(mailing.get("ADDRESS_LIST")) or _texts(record.get("ADDRESS_LIST"))
    return {
        "address": "\n".join(lines) or None,
        "country": _plain(mailing.get("COUNTRY") or record.get("COUNTRYNAME")),
        "mailing_name": _plain(mailing.get("MAILINGNAME")) or _first(record.get("MAILINGNAME_LIST")),
        "phone": _plain(record.get("LEDGERPHONE")) or _plain(record.get("LEDGERMOBILE")),
        "postal_code": _plain(mailing.get("PINCODE") or record.get("PINCODE")),
        "state": _plain(mailing.get("STATE") or record.get("LEDSTATENAME")),
        "tax_number": _plain(registered.get("GSTIN") or record.get("PARTYGSTIN")),
    }


def _of_item(record: Mapping[str, Any]) -> dict[str, Any]:
    hsn = _newest(record.get("HSNDETAILS_LIST"))
    price = _newest(record.get("STANDARDPRICELIST_LIST"), by="DATE")
    aliases = [alias for alias in names_of(record)[1:] if alias]
    return {
        "alias": aliases[0] if aliases else None,
        "category": _plain(record.get("PARENT")),
        "hsn_code": _plain(hsn.get("HSNCODE") or hsn.get("HSN")),
        "price": _text(rate_of(price.get("RATE"))),
        "sku": aliases[0] if aliases else _plain(record.get("NAME")),
        "unit": _plain(record.get("BASEUNITS")),
    }


def names_of(record: Mapping[str, Any]) -> list[str]:
    """The name of a master and its aliases, in their order."""
    own = str(record.get("NAME") or "")
    for language in _objects(record.get("LANGUAGENAME_LIST")):
        names = _texts(language.get("NAME_LIST"))
        return [own, *[name for name in names if name.casefold() != own.casefold()]]
    return [own]


# -- vouchers ----------------------------------------------------------------------------------------------------------


def _of_voucher(record: Mapping[str, Any], names: Names) -> dict[str, Any]:
    party = str(record.get("PARTYLEDGERNAME") or "")
    entries = [*_objects(record.get("ALLLEDGERENTRIES_LIST")), *_objects(record.get("LEDGERENTRIES_LIST"))]
    of_party = [entry for entry in entries if _ledger(entry) == party.casefold()]
    others = [entry for entry in entries if _ledger(entry) != party.casefold()]
    total = _sum(of_party)
    taxes = _sum(entry for entry in others if names.is_tax(_ledger(entry)))
    bills = [bill for entry in of_party for bill in _objects(entry.get("BILLALLOCATIONS_LIST"))]
    against = [str(bill.get("NAME") or "") for bill in bills if bill.get("BILLTYPE") == "Agst Ref"]
    money = [str(entry.get("LEDGERNAME") or "") for entry in others if entry.get("ISDEEMEDPOSITIVE") in _DEBIT]
    return {
        "against": against[0] if len(set(against)) == 1 else None,
        "due_date": _due(record, bills),
        "lines": [_line(place, line, names) for place, line in enumerate(_goods(record), start=1)],
        "net": _text(abs(total) - abs(taxes)) if of_party and total is not None and taxes is not None else None,
        "paid_into": money[0] if len(money) == 1 else None,
        "party": party or None,
        "party_guid": names.guid_of_ledger(party) if party else None,
        "status": _status(record),
        "tax": _text(abs(taxes)) if of_party and taxes is not None else None,
        "total": _text(abs(total)) if of_party and total is not None else None,
    }


def _status(record: Mapping[str, Any]) -> str:
    """A cancelled voucher keeps its place and number, and loses its entries."""
    if record.get("ISCANCELLED") in _DEBIT:
        return "cancelled"
    return "optional" if record.get("ISOPTIONAL") in _DEBIT else "recorded"


def _goods(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [
        *_objects(record.get("ALLINVENTORYENTRIES_LIST")),
        *_objects(record.get("INVENTORYENTRIES_LIST")),
    ]


def _line(place: int, line: Mapping[str, Any], names: Names) -> dict[str, Any]:
    item = str(line.get("STOCKITEMNAME") or "")
    quantity, unit = quantity_of(line.get("BILLEDQTY") or line.get("ACTUALQTY"))
    amount = amount_of(line.get("AMOUNT"))
    return {
        "amount": _text(abs(amount)) if amount is not None else None,
        "discount_percent": _text(amount_of(line.get("DISCOUNT"))),
        "hsn_code": _plain(line.get("GSTHSNNAME")),
        "item": item or None,
        "item_guid": names.guid_of_item(item) if item else None,
        "number": place,
        "quantity": _text(abs(quantity)) if quantity is not None else None,
        "rate": _text(rate_of(line.get("RATE"))),
        "unit": unit,
    }


def _ledger(entry: Mapping[str, Any]) -> str:
    return str(entry.get("LEDGERNAME") or "").casefold()


def _due(record: Mapping[str, Any], bills: Iterable[Mapping[str, Any]]) -> str | None:
    """When the goods of an order are due, or the money of an invoice, of which Tally keeps a number of days."""
    for bill in bills:
        days, dated = _PERIOD.match(str(bill.get("BILLCREDITPERIOD") or "")), str(record.get("DATE") or "")
        if days and _DATE.fullmatch(dated):
            return (date.fromisoformat(dated) + timedelta(days=int(days[1]))).strftime("%Y%m%d")
    for line in _goods(record):
        for batch in _objects(line.get("BATCHALLOCATIONS_LIST")):
            if due := _plain(batch.get("ORDERDUEDATE")):
                return due
    return None


# -- parts -------------------------------------------------------------------------------------------------------------


def _sum(entries: Iterable[Mapping[str, Any]]) -> Decimal | None:
    """The sum of the amounts; None when one of them cannot be read."""
    amounts = [amount_of(entry.get("AMOUNT")) for entry in entries]
    return None if None in amounts else sum((found for found in amounts if found is not None), Decimal(0))


def _newest(value: object, *, by: str = "APPLICABLEFROM") -> Mapping[str, Any]:
    """The entry of a dated list that applies last."""
    return max(_objects(value), key=lambda entry: str(entry.get(by) or ""), default={})


def _objects(value: object) -> list[Mapping[str, Any]]:
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list) else []


def _texts(value: object) -> list[str]:
    return [entry for entry in value if isinstance(entry, str) and entry] if isinstance(value, list) else []


def _first(value: object) -> str | None:
    return next(iter(_texts(value)), None)


def _plain(value: object) -> str | None:
    """A text; a reserved value ("\\x04 Not Applicable") is none."""
    return value if isinstance(value, str) and value and not value.startswith("\x04") else None


def _text(value: Decimal | None) -> str | None:
    return None if value is None else f"{value:f}"
