"""Partners: found by a few criteria, made without a check for duplicates, changed field by field, never deleted."""

from typing import Any

from sandbox.metakocka.company import Company, Record
from sandbox.metakocka.refusals import BAD_PARAMETER, Refusal, invalid, required
from sandbox.metakocka.wire import listed, truth

FLAGS = ("business_entity", "taxpayer", "foreign_county", "buyer", "supplier")
TEXTS = {"tax_id_number": 50, "registration_number": 50, "customer": 100, "count_code": 30}
ADDRESS = {"street": 150, "post_number": 20, "city": 100, "province": 50, "country": 50}
PERSON = {"name": 255, "phone": 255, "fax": 255, "gsm": 255, "email": 255}
BILLING, DELIVERY, BRANCH = "Račun", "Dobava", "Poslovna enota"
TYPES = (BILLING, DELIVERY, BRANCH)


def get_partner(company: Company, given: Record) -> Record:
    """Without a criterion it is refused here; what Metakocka does then is not documented."""
    found = [partner for partner in company.partners.values() if _fits(partner, given)]
    if not found:
        raise Refusal(BAD_PARAMETER, "Partner not found")
    return {"partner_list_count": len(found), "partner_list": found}


def add_partner(company: Company, given: Record) -> Record:
    """The one address of a new partner is that of the bill; a second may follow."""
    body = _block(given)
    partner = insert(company, body)
    persons = partner["partner_contact_list"]
    return {
        "mk_id": partner["mk_id"],
        "mk_contact_id": persons[0]["mk_id"] if persons else None,
        "mk_address_id_list": [
            {"mk_id": each["mk_id"], "street": each.get("street")} for each in partner["partner_delivery_address_list"]
        ],
    }


def update_partner(company: Company, given: Record) -> Record:
    body = _block(given)
    partner = company.partners.get(str(body.get("mk_id"))) or next(
        (each for each in company.partners.values() if body.get("count_code") and _same(each, body, "count_code")), None
    )
    if partner is None:
        raise Refusal(BAD_PARAMETER, "Partner not found")
    changed = dict(partner) | _scalars(body)
    addresses = [dict(each) for each in partner["partner_delivery_address_list"]]
    persons = [dict(each) for each in partner["partner_contact_list"]]
    if addresses:
        addresses[0] |= _texts({**body, "city": body.get("place")}, ADDRESS)
    for each in listed(body.get("partner_delivery_address_list")):
        _put(company, addresses, each, ADDRESS, kind=each.get("address_type"))
    for each in listed(body.get("partner_contact_list")):
        at = each.get("mk_address_id")
        if not each.get("mk_id") and at not in [address["mk_id"] for address in addresses]:
            raise required("mk_address_id")
        _put(company, persons, each, PERSON, at=at)
    changed |= {"partner_delivery_address_list": addresses, "partner_contact_list": persons}
    _check(changed)
    company.partners[partner["mk_id"]] = changed | {"_changed": company.stamp()}
    return {"partner_list_count": 1, "partner_list": [company.partners[partner["mk_id"]]]}


def insert(company: Company, body: Record) -> Record:
    """A new partner out of a block as add_partner and documents have it."""
    mk_id = company.new_id()
    partner: Record = {"mk_id": mk_id, **dict.fromkeys(("business_entity", "taxpayer", "foreign_county"), False)}
    partner |= _scalars(body)
    partner.setdefault("count_code", company.number(""))
    _check(partner)
    first = {"mk_id": company.new_id(), "address_type": BILLING, "language": "Slovenski"}
    addresses = [first | _texts({**body, "city": body.get("place")}, ADDRESS)]
    more = body.get("partner_delivery_address")
    if isinstance(more, dict):
        _put(company, addresses, more, ADDRESS, kind=more.get("address_type"))
    persons: list[Record] = []
    person = body.get("partner_contact")
    if isinstance(person, dict):
        _put(company, persons, person, PERSON, at=first["mk_id"])
    for each in persons:
        each["contact_address"] = addresses[0].get("street")
    partner |= {"partner_contact_list": persons, "partner_delivery_address_list": addresses}
    company.partners[mk_id] = partner | {"_changed": company.stamp()}
    return company.partners[mk_id]


def matched(company: Company, block: Record) -> Record:
    """The partner a document's block means: by its ids or its data; otherwise a new one, without a word."""
    by_id = company.partners.get(str(block.get("mk_id")))
    if by_id is not None:
        return by_id
    for name in ("count_code", "tax_id_number"):
        found = [each for each in company.partners.values() if block.get(name) and _same(each, block, name)]
        if found:
            return found[0]
    for each in company.partners.values():
        streets = [address.get("street") for address in each["partner_delivery_address_list"]]
        if _same(each, block, "customer") and block.get("street") in streets:
            return each
    return insert(company, block)


def shown_on_document(partner: Record) -> Record:
    """A partner as a document's block."""
    address = (partner["partner_delivery_address_list"] or [{}])[0]
    person = (partner["partner_contact_list"] or [None])[0]
    return {
        **{name: partner.get(name) for name in ("mk_id", "business_entity", "taxpayer", "foreign_county")},
        **{name: partner.get(name) for name in ("tax_id_number", "customer")},
        **{name: address.get(name) for name in ("street", "post_number")},
        "place": address.get("city"),
        "country": address.get("country"),
        "count_code": partner.get("count_code"),
        "useCustomerAsContact": False,
        "mk_address_id": address.get("mk_id"),
        "partner_contact": {name: person.get(name) for name in PERSON} if person else None,
    }


def _fits(partner: Record, given: Record) -> bool:
    """Names are compared loosely, all else exactly."""
    people = partner["partner_contact_list"]
    exact = {
        "partner_id": {partner["mk_id"]},
        "partner_tax_number": {partner.get("tax_id_number")},
        "partner_email": {each.get("email") for each in people},
        "partner_phone_number": {each.get(name) for each in people for name in ("phone", "gsm")},
    }
    name = str(given.get("partner_name") or "").lower()
    asked = [str(given[each]) in found for each, found in exact.items() if given.get(each)]
    asked += [name in str(partner.get("customer", "")).lower()] if name else []
    return bool(asked) and all(asked)


def _same(partner: Record, block: Record, name: str) -> bool:
    return str(partner.get(name, "")) == str(block.get(name))


def _block(given: Record) -> Record:
    body = given.get("partner")
    if not isinstance(body, dict):
        raise required("partner")
    return body


def _scalars(body: Record) -> Record:
    return {name: truth(body[name]) for name in FLAGS if name in body} | _texts(body, TEXTS)


def _texts(body: Record, lengths: dict[str, int]) -> Record:
    for name, most in lengths.items():
        if len(str(body.get(name) or "")) > most:
            raise invalid(name, f"{str(body[name])[:20]}...")
    return {name: str(body[name]) for name in lengths if body.get(name) is not None}


def _check(partner: Record) -> None:
    if not partner.get("customer"):
        raise required("customer")


def _put(company: Company, rows: list[Record], each: Record, fields: dict[str, int], **more: Any) -> None:
    """Change the row with this mk_id, or add one."""
    values = _texts(each, fields)
    if more.get("kind") is not None:
        if more["kind"] not in TYPES:
            raise invalid("address_type", more["kind"], TYPES)
        values["address_type"] = more["kind"]
    known = next((row for row in rows if each.get("mk_id") and row["mk_id"] == str(each["mk_id"])), None)
    if known is not None:
        known.update(values)
        return
    if "at" in more:
        values["mk_address_id"] = more["at"]
    rows.append({"mk_id": company.new_id(), **({"language": "Slovenski"} if "kind" in more else {}), **values})
