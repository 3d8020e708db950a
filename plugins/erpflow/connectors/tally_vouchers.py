"""Vouchers as Tally takes them: whole, in the view they are kept in, and addressed by the number it gave them.

Source: vendor sheet "Writing (Import)". That `TAGNAME="MasterID"` addresses a voucher in all builds is UNVERIFIED; an
answer that says something else was done is taken for what it says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from erpflow.connectors.tally_facts import DERIVED
from erpflow.connectors.tally_records import fields_xml, text_of
from erpflow.errors import FieldProblem, RecordRejected

WHOLE: Final = ("*",)
"""Fetched besides the fields of a record before a voucher is altered, so that no field is lost. UNVERIFIED."""
REMOTE_ID: Final = "REMOTEID"
_ATTRIBUTES: Final = frozenset({REMOTE_ID, "VCHKEY", "VCHTYPE", "OBJVIEW"})
_NOT_SENT: Final = _ATTRIBUTES | {DERIVED, "GUID", "MASTERID", "ALTERID", "ALLLEDGERENTRIES_LIST", "_count"}
_DAY: Final = re.compile(r"\d{8}|\d{4}-\d{2}-\d{2}")
_INVOICE_VIEW: Final = "Invoice Voucher View"
_ACCOUNTING_VIEW: Final = "Accounting Voucher View"


def created(values: Mapping[str, Any], *, members: frozenset[str] | None, mark: str) -> str:
    """A new voucher. `mark` goes as REMOTEID, unless the values have one. Raises RecordRejected."""
    kind = str(values.get("VOUCHERTYPENAME") or "")
    if members is not None and kind.casefold() not in members:
        raise _refused("VOUCHERTYPENAME", "lookup", f"{kind[:80]!r} is no type of voucher of this entity", kind)
    _day_of(values)
    own = values.get(REMOTE_ID) or f"erpflow-{mark}"
    attributes = f'REMOTEID="{text_of(own, path=REMOTE_ID)}" VCHTYPE="{text_of(kind, path="VCHTYPE")}" ACTION="Create"'
    return f'<VOUCHER {attributes} OBJVIEW="{_view(values)}">{_body(values)}</VOUCHER>'


def voucher_xml(current: Mapping[str, Any], values: Mapping[str, Any]) -> str:
    """A voucher with other values: all of it, since what is not sent would be gone. Cancelling is an action of its own.

    Raises RecordRejected.
    """
    if values.get("ISCANCELLED") in ("Yes", True) and current.get("ISCANCELLED") != "Yes":
        return addressed(current, "Cancel")
    merged = {**current, **values}
    _day_of(merged)
    return f'<VOUCHER {_address(current)} ACTION="Alter" OBJVIEW="{_view(merged)}">{_body(merged)}</VOUCHER>'


def addressed(current: Mapping[str, Any], action: str) -> str:
    """An action on a voucher that needs no body; Tally refuses an empty one."""
    body = fields_xml({"NARRATION": current.get("NARRATION") or f"{action} by erpflow"})
    return f'<VOUCHER {_address(current)} ACTION="{action}">{body}</VOUCHER>'


def _address(current: Mapping[str, Any]) -> str:
    day = datetime.strptime(_day_of(current), "%Y%m%d").strftime("%d-%b-%Y")  # noqa: DTZ007  (a day has no zone)
    kind = text_of(current.get("VOUCHERTYPENAME"), path="VOUCHERTYPENAME")
    tag = text_of(current.get("MASTERID"), path="MASTERID")
    return f'DATE="{day}" TAGNAME="MasterID" TAGVALUE="{tag}" VCHTYPE="{kind}"'


def _day_of(values: Mapping[str, Any]) -> str:
    """The day of a voucher as Tally wants it. Raises RecordRejected for none: Tally would misread it, or refuse all."""
    text = str(values.get("DATE") or "")
    day = text.replace("-", "") if _DAY.fullmatch(text) else ""
    try:
        datetime.strptime(day, "%Y%m%d")  # noqa: DTZ007
    except ValueError:
        raise _refused("DATE", "type", "A voucher needs a date, written yyyymmdd", text) from None
    return day


def _view(values: Mapping[str, Any]) -> str:
    """Vouchers with goods are kept as invoices, all others by their accounts, unless they say otherwise."""
    said = values.get("PERSISTEDVIEW")
    if said in (_INVOICE_VIEW, _ACCOUNTING_VIEW):
        return str(said)
    return _INVOICE_VIEW if values.get("ALLINVENTORYENTRIES_LIST") else _ACCOUNTING_VIEW


def _body(values: Mapping[str, Any]) -> str:
    """The fields, then the entries: in the invoice view under another tag, and without those that the goods bring."""
    sent = {name: value for name, value in values.items() if name not in _NOT_SENT}
    entries = values.get("ALLLEDGERENTRIES_LIST")
    if _view(values) == _ACCOUNTING_VIEW:
        return fields_xml({**sent, "ALLLEDGERENTRIES_LIST": entries} if entries is not None else sent)
    brought = {
        str(allocation.get("LEDGERNAME") or "").casefold()
        for line in _objects(values.get("ALLINVENTORYENTRIES_LIST"))
        for allocation in _objects(line.get("ACCOUNTINGALLOCATIONS_LIST"))
    }
    own = [entry for entry in _objects(entries) if str(entry.get("LEDGERNAME") or "").casefold() not in brought]
    view = {"PERSISTEDVIEW": _INVOICE_VIEW, "ISINVOICE": "Yes"}
    return fields_xml({**sent, **view, **({"LEDGERENTRIES_LIST": own} if own else {})})


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list) else []


def _refused(field: str, rule: str, message: str, value: str) -> RecordRejected:
    return RecordRejected([FieldProblem(field, rule, f"{message}.", ascii(value)[:80])])
