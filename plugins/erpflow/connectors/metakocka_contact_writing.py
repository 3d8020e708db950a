"""Writing partners: what is written of one has other names than what is read.

Source: metakocka/metakocka_api_base, docs/add_partner.md, update_partner.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from erpflow.connectors.metakocka_company import Company
from erpflow.connectors.metakocka_contacts import asked, fetched, find
from erpflow.connectors.metakocka_records import BILLING, Record, contact_of, kept_raw
from erpflow.connectors.metakocka_values import changed, given, refused, taken
from erpflow.connectors.metakocka_wire import wire_value
from erpflow.errors import ProtocolError
from erpflow.vocabulary import RemoteId

_ADDRESSES: Final = "partner_delivery_address_list"
_PERSONS: Final = "partner_contact_list"
_FIELDS: Final = (
    *("customer", "business_entity", "taxpayer", "foreign_county", "buyer", "supplier", "tax_id_number"),
    *("registration_number", "count_code"),
)
_ADDRESS: Final = ("street", "post_number", "city", "province", "country")
_WRITTEN_AS: Final = {"city": "place"}
"""The first address of a new partner is part of the partner, and its city has another name there."""
_PERSON: Final = ("name", "phone", "fax", "gsm", "email")
_MOST_ADDRESSES: Final = 2
_WHAT: Final = "a partner"


class ContactDesk:
    """Writes partners, one call each."""

    def __init__(self, company: Company) -> None:
        self._company = company

    def create(self, values: Mapping[str, Any]) -> RemoteId:
        """Makes a partner, unless one has this tax number, or without a tax number this name and e-mail address."""
        key = own_key(values)
        if key and find(self._company, key):
            raise taken(next(iter(key)), next(iter(key.values())), _WHAT)
        reply = self._company.tell("add_partner", {"partner": new_partner(values)})
        mk_id = reply.text("mk_id")
        if not mk_id:
            raise ProtocolError("Metakocka made a partner and does not say which.", maybe_done=True)
        return RemoteId(mk_id)

    def update(self, remote_id: RemoteId, values: Mapping[str, Any]) -> bytes | None:
        """Changes these fields; of addresses and persons those in the same places as in what was read.

        What is empty is sent as an empty text. That it clears a field is UNVERIFIED.
        """
        sent = changed(values, allowed=(*_FIELDS, _ADDRESSES, _PERSONS), fixed=("mk_id",), what=_WHAT)
        body = {name: "" if value is None else wire_value(value) for name, value in sent.items() if name in _FIELDS}
        if _ADDRESSES in sent or _PERSONS in sent:
            raw = fetched(self._company, remote_id)
            if raw is None:
                raise refused("mk_id", "missing", "There is no such partner any more.", remote_id)
            body |= _lists(contact_of(raw), sent)
        if not body:
            return None
        reply = self._company.tell("update_partner", {"partner": {**body, "mk_id": remote_id}})
        records = [contact_of(row) for row in reply.rows("partner_list")]
        record = next((each for each in records if each.get("mk_id") == remote_id), None)
        return None if record is None else bytes(kept_raw(record))

    def delete(self, remote_id: RemoteId) -> None:
        """Raises RecordRejected: there is no such call."""
        raise refused("mk_id", "permission", "Metakocka's API deletes no partners; delete it there.", remote_id)

    def exists(self, remote_id: RemoteId) -> bool:
        return fetched(self._company, remote_id) is not None


def own_key(values: Mapping[str, Any]) -> dict[str, Any]:
    """What tells a partner from others: the tax number, else name and e-mail address; empty when it has neither."""
    if _is_text(values.get("tax_id_number")):
        return {"tax_id_number": values["tax_id_number"]}
    email = _first(values.get(_PERSONS)).get("email")
    if _is_text(values.get("customer")) and _is_text(email):
        return {"customer": values["customer"], f"{_PERSONS}.0.email": email}
    return {}


def new_partner(values: Mapping[str, Any]) -> Record:
    """A partner as add_partner takes it, out of the form in which it is read. Raises RecordRejected."""
    addresses, persons = _objects(values, _ADDRESSES), _objects(values, _PERSONS)
    if len(addresses) > _MOST_ADDRESSES or len(persons) > 1:
        raise refused(
            _ADDRESSES if len(addresses) > _MOST_ADDRESSES else _PERSONS,
            "max",
            "Metakocka takes one person and two addresses with a new partner. Send the others with an update.",
        )
    partner: Record = {"buyer": "true", **given(values, allowed=_FIELDS)}
    if addresses:
        first = given(addresses[0], allowed=_ADDRESS)
        partner |= {_WRITTEN_AS.get(name, name): value for name, value in first.items()}
    if addresses[1:]:
        partner["partner_delivery_address"] = given(addresses[1], allowed=("address_type", *_ADDRESS))
    if persons:
        partner["partner_contact"] = given(persons[0], allowed=_PERSON)
    return partner


def by_tax_number(company: Company, number: str) -> list[Record]:
    """The partners with exactly this tax number."""
    found = (contact_of(row) for row in asked(company, {"partner_tax_number": number}))
    return [each for each in found if each.get("tax_id_number") == number]


def _lists(before: Record, sent: Mapping[str, Any]) -> Record:
    """The addresses and persons of an update, each with the id of the one in its place; more of them are added."""
    body: Record = {}
    addresses = before[_ADDRESSES]
    if _ADDRESSES in sent:
        body[_ADDRESSES] = [
            {"address_type": BILLING, **_kept(old, ("mk_id", "address_type", *_ADDRESS)), **_emptied(new)}
            for old, new in _paired(addresses, _objects(sent, _ADDRESSES))
        ]
    if _PERSONS in sent:
        at = {"mk_address_id": addresses[0].get("mk_id")} if addresses else {}
        body[_PERSONS] = [
            {**at, **_kept(old, ("mk_id", "mk_address_id", *_PERSON)), **_emptied(new)}
            for old, new in _paired(before[_PERSONS], _objects(sent, _PERSONS))
        ]
        if not addresses:
            raise refused(_PERSONS, "lookup", "A person belongs to an address, and the partner has none.")
    return body


def _paired(old: Sequence[Record], new: Sequence[Record]) -> list[tuple[Record, Record]]:
    return [(old[place] if place < len(old) else {}, each) for place, each in enumerate(new)]


def _kept(old: Record, names: Sequence[str]) -> Record:
    return {name: old[name] for name in names if name in old}


def _emptied(new: Record) -> Record:
    return {name: "" if value is None else wire_value(value) for name, value in new.items()}


def _objects(values: Mapping[str, Any], name: str) -> list[Record]:
    """Raises RecordRejected for anything but a list of objects."""
    found = values.get(name) or []
    if isinstance(found, list) and all(isinstance(each, Mapping) for each in found):
        return [dict(each) for each in found]
    raise refused(name, "shape", f"{name} is a list of objects.", found)


def _first(found: Any) -> Mapping[str, Any]:
    first = found[0] if isinstance(found, list) and found else {}
    return first if isinstance(first, Mapping) else {}


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value.strip() != ""
