"""Customers of India and the Gulf, with a contact and an address each."""

import random
import re
import unicodedata
from dataclasses import dataclass
from typing import Any

from sandbox.erpnext.customize import add_column
from sandbox.erpnext.seeding.moments import lifetimes
from sandbox.erpnext.seeding.rows import Builder, fill
from sandbox.erpnext.seeding.words import FIRST, INDUSTRIES, PEOPLE, PLACES, REGIONS, SECOND, STREETS, THIRD, Place
from sandbox.erpnext.site import Site
from sandbox.erpnext.table import Doc, collate

# What sites add to Customer; the connector's users map these.
CUSTOM_FIELDS = (
    {"fieldname": "company_name", "label": "Company Name", "fieldtype": "Data"},
    {"fieldname": "contact_person", "label": "Contact Person", "fieldtype": "Data"},
    {"fieldname": "city", "label": "City", "fieldtype": "Data"},
    {"fieldname": "state", "label": "State", "fieldtype": "Data"},
    {"fieldname": "country", "label": "Country", "fieldtype": "Link", "options": "Country"},
    {"fieldname": "credit_limit", "label": "Credit Limit", "fieldtype": "Currency"},
)
COLUMNS = (
    *("customer_name", "customer_type", "customer_group", "territory", "default_currency", "industry", "website"),
    *("customer_primary_address", "primary_address", "customer_primary_contact", "mobile_no", "email_id", "tax_id"),
    *("disabled", "company_name", "contact_person", "city", "state", "country", "credit_limit"),
)
GSTIN_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
LETTERS = GSTIN_ALPHABET[10:]


@dataclass(frozen=True, slots=True)
class Party:
    """What the rows of one customer are made from."""

    name: str
    region: str
    place: Place
    person: str
    street: str
    pin: str
    email: str | None
    phone: str
    tax_id: str | None
    currency: str | None
    limit: float


def add_custom_fields(site: Site) -> None:
    """The flat fields of a site that keeps city, contact and limit on the customer, as Custom Field documents."""
    builder = Builder(site, "Custom Field", ("dt", "label", "fieldname", "fieldtype", "options", "insert_after"))
    previous = "tax_id"
    times = (site.clock.stamp(),) * 2
    docs = []
    for raw in CUSTOM_FIELDS:
        values = ("Customer", raw["label"], raw["fieldname"], raw["fieldtype"], raw.get("options"), previous)
        docs.append(builder.make(f"Customer-{raw['fieldname']}", times, values))
        add_column(site, "Customer", dict(raw), after=previous)
        previous = raw["fieldname"]
    site.tables["Custom Field"].fill(docs)


def seed_customers(site: Site, rng: random.Random, count: int) -> list[Doc]:
    """`count` customers with their contacts and addresses, stored; returns the customers."""
    builders = {
        "customer": Builder(site, "Customer", COLUMNS),
        "limit": Builder(site, "Customer Credit Limit", ("company", "credit_limit")),
        "contact": Builder(
            site,
            "Contact",
            ("first_name", "last_name", "full_name", "email_id", "phone", "mobile_no", "is_primary_contact"),
            status="Passive",
        ),
        "email": Builder(site, "Contact Email", ("email_id", "is_primary")),
        "phone": Builder(site, "Contact Phone", ("phone", "is_primary_mobile_no")),
        "address": Builder(
            site,
            "Address",
            ("address_title", "address_type", "address_line1", "city", "state", "country", "pincode", "phone"),
            is_primary_address=1,
        ),
        "link": Builder(site, "Dynamic Link", ("link_doctype", "link_name", "link_title")),
    }
    taken: set[str] = set()
    customers: list[Doc] = []
    contacts: list[Doc] = []
    addresses: list[Doc] = []
    for number, times in enumerate(lifetimes(rng, count), start=1):
        party = invent(rng, number, taken)
        contact = contact_of(builders, party, times)
        address = address_of(builders, party, times)
        customers.append(customer_of(site, builders, rng, party, times, contact.name, address.name))
        contacts.append(contact)
        addresses.append(address)
    fill(site, "Contact", contacts)
    fill(site, "Address", addresses)
    fill(site, "Customer", customers)
    return customers


def invent(rng: random.Random, number: int, taken: set[str]) -> Party:
    region = rng.choices(list(REGIONS), weights=[share for share, _ in REGIONS.values()])[0]
    name = f"{rng.choice(FIRST[region])} {rng.choice(SECOND)} {rng.choice(THIRD[region])}"
    if collate(name) in taken:
        name = f"{name} {number}"
    taken.add(collate(name))
    place = rng.choice(PLACES[region])
    person = rng.choice(PEOPLE[region])
    has_email = rng.random() < 0.95
    return Party(
        name=name,
        region=region,
        place=place,
        person=person,
        street=f"{rng.randrange(1, 400)}, {rng.choice(STREETS[region])}",
        pin=place.pin.format(rng.randrange(100)),
        email=f"{slug(person)}.{number}@{rng.choice(('example.com', 'example.org', 'example.net'))}"
        if has_email
        else None,
        phone=f"{place.dial} {number % 100_000:05d}",
        tax_id=tax_id(rng, region, place, number),
        currency=rng.choice(REGIONS[region][1]),
        limit=float(rng.choice((0, 0, 0, 25_000, 50_000, 100_000, 250_000.5, 1_000_000))),
    )


def slug(text: str) -> str:
    """Latin letters only, for the part of an address before the @."""
    plain = unicodedata.normalize("NFKD", text.replace("ß", "ss")).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z]+", ".", plain.lower()).strip(".") or "office"


def tax_id(rng: random.Random, region: str, place: Place, number: int) -> str | None:
    """A GSTIN with its check character, a Saudi VAT number, an Emirati TRN; others have none."""
    if region == "IN":
        letters = "".join(rng.choice(LETTERS) for _ in range(3))
        return gstin(f"{place.code:02d}ZZ{letters}{number % 10_000:04d}Z1Z")
    if region == "SA":
        return f"3{number:013d}3"
    return f"100{number:012d}" if region == "AE" else None


def gstin(body: str) -> str:
    """The 14 characters with the 15th, which is computed from them.

    Source: GST Network, "GSTIN structure": weights 1 and 2 alternate, base 36.
    """
    total = 0
    for place, character in enumerate(body):
        product = GSTIN_ALPHABET.index(character) * (1 + place % 2)
        total += product // 36 + product % 36
    return body + GSTIN_ALPHABET[(36 - total % 36) % 36]


def display(party: Party) -> str:
    """The address as ERPNext formats it for the customer: HTML."""
    place = party.place
    lines = (party.street, place.city, place.state, party.pin, place.country)
    return "<br>\n".join(lines) + "<br>\n"


def link_to(builders: dict[str, Builder], doc: Doc, party: Party) -> None:
    builders["link"].child(doc, "links", 1, ("Customer", party.name, party.name))


def contact_of(builders: dict[str, Builder], party: Party, times: tuple[str, str]) -> Doc:
    first, _, last = party.person.partition(" ")
    values = (first, last, party.person, party.email or "", "", party.phone, 1)
    contact = builders["contact"].make(f"{party.person}-{party.name}", times, values)
    if party.email:
        builders["email"].child(contact, "email_ids", 1, (party.email, 1))
    builders["phone"].child(contact, "phone_nos", 1, (party.phone, 1))
    link_to(builders, contact, party)
    return contact


def address_of(builders: dict[str, Builder], party: Party, times: tuple[str, str]) -> Doc:
    place = party.place
    values = (party.name, "Billing", party.street, place.city, place.state, place.country, party.pin, party.phone)
    address = builders["address"].make(f"{party.name}-Billing", times, values)
    link_to(builders, address, party)
    return address


def customer_of(
    site: Site,
    builders: dict[str, Builder],
    rng: random.Random,
    party: Party,
    times: tuple[str, str],
    contact: str,
    address: str,
) -> Doc:
    home = party.region == "IN"
    values: tuple[Any, ...] = (
        *(party.name, "Individual" if rng.random() < 0.08 else "Company", "Commercial"),
        *("India" if home else "Rest Of The World", party.currency, rng.choice(INDUSTRIES)),
        f"https://{slug(party.name)}.example" if rng.random() < 0.4 else None,
        *(address, display(party), contact, party.phone, party.email, party.tax_id),
        *(int(rng.random() < 0.03), party.name, party.person, party.place.city, party.place.state),
        *(party.place.country, party.limit),
    )
    customer = builders["customer"].make(party.name, times, values)
    if party.limit:
        builders["limit"].child(customer, "credit_limits", 1, (site.company, party.limit))
    return customer
