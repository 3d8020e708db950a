"""Writing documents: inserts of all types, changes of orders, of bills their status, and deletes of orders.

`put_document` with an `mk_id` would replace a document, and lose what the API does not know: it is never sent one.
Source: metakocka/metakocka_api_base, docs/documents_put_document*.md, documents_update_document_*.md; that an order's
lines are told apart by mk_row_id: ditto, "updating products".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import structlog

from erpflow.connectors.metakocka_company import Company
from erpflow.connectors.metakocka_contact_writing import by_tax_number, new_partner
from erpflow.connectors.metakocka_contacts import fetched as fetched_partner
from erpflow.connectors.metakocka_documents import TYPES, fetched, find, id_of, parts_of
from erpflow.connectors.metakocka_records import DOCUMENT, Record, contact_of, document_of
from erpflow.connectors.metakocka_values import changed, given, refused, taken, unclearable
from erpflow.connectors.metakocka_wire import wire_date, wire_value
from erpflow.errors import ProtocolError, suggestion
from erpflow.vocabulary import RemoteId

log = structlog.get_logger(__name__)

ORDER: Final = "sales_order"
BILL: Final = "sales_bill"
SERIES: Final = "COUNT_CODE_SELECT#"
"""Begins a count_code that only chooses the series a number is taken from."""

_NEW: Final = (
    *("doc_type", "count_code", "doc_date", "title", "buyer_order", "currency_code", "delivery_type", "warehouse"),
    *("method_of_payment", "notes", "notes_header", "sales_pricelist_code", "prepayment_value", "discount_value"),
    *("duo_payment", "duo_payment_days", "service_from_date", "service_to_date", "valid_to", "valid_days"),
    *("delivery_deadline", "finish_date", "pariteta", "doc_created_email", "commercialist_email", "parcel_shop_id"),
    *("profit_center", "priority", "offer_list", "bank_ref_prefix", "bank_ref_number", "credit_note_type"),
    *("credit_note_bill", "location_of_service", "mark_paid", "extra_column", "order_create_ts", "receiver"),
)
_LINE: Final = (
    *("code", "count_code", "name", "name_desc", "amount", "price", "price_with_tax", "discount", "tax", "tax_factor"),
    "doc_desc",
)
"""Of a line; not its `unit`, with which an unknown product would be made silently."""

_OF_ORDER: Final = (
    *("delivery_type", "status_desc", "tracking_code", "shipped_date", "discount_value", "parcel_shop_id", "notes"),
    *("notes_header", "warehouse", "count_code", "product_list", "extra_column"),
)
_OF_BILL: Final = ("status_desc",)
_CLEARABLE: Final = frozenset({"tracking_code", "notes", "notes_header"})
_WRITTEN_AS: Final = {"status_desc": "status_code", "count_code": "count_code_new"}
_FIXED: Final = ("id", "mk_id", "doc_type")
_BY_BUYER: Final = "buyer_order"


class DocumentDesk:
    """Writes documents, one call each."""

    def __init__(self, company: Company) -> None:
        self._company = company

    def create(self, values: Mapping[str, Any]) -> RemoteId:
        """Makes a document for a partner that Metakocka knows; one that it does not know is made first."""
        doc_type = values.get("doc_type")
        if doc_type not in TYPES:
            raise refused("doc_type", "picklist", f"It is no document that is synced{suggestion(str(doc_type), TYPES)}")
        self._refuse_a_second(values)
        body = given(values, allowed=_NEW)
        body |= {name: wire_date(body[name]) for name in DOCUMENT.dates if name in body}
        if values.get("status_desc"):
            body["status_code"] = values["status_desc"]
        body["product_list"] = [_new_line(line, number) for number, line in enumerate(_lines_of(values))]
        partner = self._partner(values.get("partner"))
        if partner is not None:
            body["partner"] = partner
        reply = self._company.tell("put_document", body)
        mk_id = reply.text("mk_id")
        if not mk_id:
            raise ProtocolError("Metakocka made a document and does not say which.", maybe_done=True)
        if partner is not None and (chosen := reply.inner("partner", "mk_id")) not in ("", partner["mk_id"]):
            log.warning("another_partner_chosen", document=mk_id, wanted=partner["mk_id"], chosen=chosen)
        return id_of(str(doc_type), mk_id)

    def update(self, remote_id: RemoteId, values: Mapping[str, Any]) -> None:
        """Changes fields and lines of an order, or the status of a bill."""
        doc_type, mk_id = self._parts(remote_id)
        if doc_type != ORDER and not doc_type.startswith(BILL):
            raise refused("doc_type", "readonly", f"Metakocka's API changes no {doc_type}; change it there.", doc_type)
        allowed = _OF_ORDER if doc_type == ORDER else _OF_BILL
        sent = changed(values, allowed=allowed, fixed=_FIXED, what=f"a {doc_type}")
        body, clear = _changes(sent, doc_type)
        if "product_list" in sent:
            body["product_list"] = self._lines(remote_id, _lines_of(values))
        if clear:
            body["clear"] = clear
        if body:
            self._company.tell("update_document", {**body, "doc_type": doc_type, "mk_id": mk_id})

    def delete(self, remote_id: RemoteId) -> None:
        """Deletes an order. Raises RecordRejected for a document of another type: the API deletes none."""
        doc_type, mk_id = self._parts(remote_id)
        if doc_type != ORDER:
            raise refused(
                "doc_type", "permission", f"Metakocka's API deletes no {doc_type}; cancel it there.", doc_type
            )
        self._company.tell("delete_document", {"doc_type": doc_type, "mk_id": mk_id})

    def exists(self, remote_id: RemoteId) -> bool:
        return fetched(self._company, remote_id) is not None

    def _parts(self, remote_id: RemoteId) -> tuple[str, str]:
        parts = parts_of(remote_id)
        if parts is None:
            raise refused("id", "type", "It is no id of a document: one is written sales_order:1600203487.", remote_id)
        return parts

    def _refuse_a_second(self, values: Mapping[str, Any]) -> None:
        """An order is told by its buyer_order, any document by its number; of a bill within its year."""
        doc_type, number, order = (values.get(name) for name in ("doc_type", "count_code", _BY_BUYER))
        if doc_type == ORDER and isinstance(order, str) and order:
            if find(self._company, {"doc_type": ORDER, _BY_BUYER: order}):
                raise taken(_BY_BUYER, order, "an order")
        elif isinstance(number, str) and number and not number.startswith(SERIES):
            year = str(values.get("doc_date", ""))[:4]
            for remote_id in find(self._company, {"doc_type": doc_type, "count_code": number}):
                raw = fetched(self._company, remote_id)
                if raw is not None and str(document_of(raw, doc_type=str(doc_type)).get("doc_date"))[:4] == year:
                    raise taken("count_code", number, f"a {doc_type} of {year}")

    def _partner(self, partner: Any) -> Record | None:
        """The partner of a new document, as one that Metakocka knows; otherwise it would make a new one silently."""
        if partner is None:  # a credit note takes the partner of its bill
            return None
        if not isinstance(partner, Mapping):
            raise refused("partner", "shape", "partner is an object.", partner)
        mk_id = partner.get("mk_id")
        if mk_id:
            raw = fetched_partner(self._company, str(mk_id))
            if raw is None:
                raise refused("partner.mk_id", "lookup", "Metakocka knows no such partner: sync contacts first.", mk_id)
            return _block(contact_of(raw))
        number = partner.get("tax_id_number")
        if isinstance(number, str) and number:
            found = by_tax_number(self._company, number)
            if len(found) > 1:
                raise refused("partner", "lookup", "Several partners have this tax number: name one by mk_id.", number)
            if found:
                return _block(found[0])
        made = self._company.tell("add_partner", {"partner": new_partner(_as_read(partner))})
        return {**given(partner, allowed=partner), "mk_id": made.text("mk_id")}

    def _lines(self, remote_id: RemoteId, lines: Sequence[Mapping[str, Any]]) -> list[Record]:
        """The lines of an update: those there keep their rows in their order, more are added, fewer are marked."""
        raw = fetched(self._company, remote_id)
        if raw is None:
            raise refused("id", "missing", "There is no such document any more.", remote_id)
        before = [line for line in document_of(raw, doc_type=ORDER)["product_list"] if isinstance(line, dict)]
        rows = [str(line.get("mk_row_id") or "") for line in before]
        if not all(rows):
            raise refused(
                "product_list", "readonly", "Metakocka does not say which rows the order has; change it there."
            )
        kept = [
            {**_new_line(_merged(before[number], line), number), "mk_row_id": rows[number]}
            if number < len(rows)
            else _new_line(line, number)
            for number, line in enumerate(lines)
        ]
        return kept + [{"mk_row_id": row, "mark_delete": "true"} for row in rows[len(lines) :]]


def _changes(sent: Mapping[str, Any], doc_type: str) -> tuple[Record, list[str]]:
    """What of an update is written as it is, under the name it is written with, and the names of what is cleared."""
    body: Record = {}
    clear: list[str] = []
    for name, value in sent.items():
        if name == "product_list":
            continue
        if value not in (None, ""):
            body[_WRITTEN_AS.get(name, name)] = wire_value(wire_date(value) if name in DOCUMENT.dates else value)
        elif name in _CLEARABLE:
            clear.append(name)
        elif name == "status_desc" and doc_type != ORDER:
            body["status_code"] = ""
        else:
            raise unclearable(name, f"a {doc_type}")
    return body, clear


def _lines_of(values: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    lines = values.get("product_list") or []
    if not isinstance(lines, list) or not all(isinstance(line, Mapping) for line in lines):
        raise refused("product_list", "shape", "product_list is a list of objects.", lines)
    return lines


def _new_line(line: Mapping[str, Any], number: int) -> Record:
    """A line as a request carries it. Lines are matched to products by code or number, never by mk_id alone."""
    where = f"product_list.{number}"
    if not line.get("code") and not line.get("count_code"):
        raise refused(f"{where}.code", "lookup", "A line needs the code of a product: sync products first.")
    if line.get("price") is None and line.get("price_with_tax") is None and line.get("net_price") is not None:
        line = {**line, "price": line["net_price"]}
    if line.get("price") is not None and line.get("price_with_tax") is not None:
        raise refused(f"{where}.price", "shape", "A line takes price or price_with_tax, not both.")
    return given(line, allowed=_LINE)


def _merged(before: Mapping[str, Any], line: Mapping[str, Any]) -> Record:
    """A line with what it does not say taken from the row it replaces: whether Metakocka keeps that is UNVERIFIED."""
    if line.get("code", before.get("code")) != before.get("code"):
        return dict(line)
    if "net_price" in line and line["net_price"] == before.get("net_price"):
        line = {name: value for name, value in line.items() if name != "net_price"}
    prices = {"price", "price_with_tax"} if {"price", "price_with_tax", "net_price"} & line.keys() else set()
    return {name: value for name, value in before.items() if name in _LINE and name not in prices} | dict(line)


def _block(contact: Record) -> Record:
    """A partner that is known, as the block of a document."""
    block = {name: contact[name] for name in ("mk_id", "count_code", "customer", "tax_id_number") if contact.get(name)}
    for address in contact["partner_delivery_address_list"][:1]:
        named = {
            "place": address.get("city"),
            **{name: address.get(name) for name in ("street", "post_number", "country")},
        }
        block |= {name: value for name, value in named.items() if value}
    return block


def _as_read(partner: Mapping[str, Any]) -> Record:
    """A document's partner block in the form in which a partner is read."""
    address = {"street", "post_number", "province", "country"}
    place = {name: partner[name] for name in address if partner.get(name)} | (
        {"city": partner["place"]} if partner.get("place") else {}
    )
    person = partner.get("partner_contact")
    return {
        **partner,
        "partner_delivery_address_list": [place] if place else [],
        "partner_contact_list": [person] if isinstance(person, Mapping) else [],
    }
