"""Customers, contacts and addresses."""

from sandbox.erpnext import documents, trash
from sandbox.erpnext.controller import Controller
from sandbox.erpnext.errors import plain
from sandbox.erpnext.naming import next_in_series, numbered
from sandbox.erpnext.site import Call
from sandbox.erpnext.table import Doc

FROM_CONTACT = ("mobile_no", "email_id", "first_name", "last_name")


class CustomerController(Controller):
    """Named after customer_name; an e-mail address or phone on create makes a Contact."""

    delete_hint = "You can disable this Customer instead of deleting it."

    def name(self, call: Call, doc: Doc) -> str | None:
        wanted = str(doc.get("customer_name", "")).strip()
        if not wanted:
            return next_in_series(call, str(doc["naming_series"]))
        name = numbered(call.site, "Customer", wanted, separator=" - ")
        if name != wanted:
            text = f"Changed customer name to '{name}' as '{wanted}' already exists."
            call.messages.append(plain(text, title="Note", indicator="yellow"))
        return name

    def validate(self, call: Call, doc: Doc, before: Doc | None) -> None:
        contact = call.site.find("Contact", doc.get("customer_primary_contact"))
        if contact is not None:
            doc.update({column: contact.get(column) for column in FROM_CONTACT})

    def after_insert(self, call: Call, doc: Doc) -> None:
        if doc.get("customer_primary_contact") or not (doc.get("email_id") or doc.get("mobile_no")):
            return
        emails = [{"email_id": doc["email_id"], "is_primary": 1}] if doc.get("email_id") else []
        phones = [{"phone": doc["mobile_no"], "is_primary_mobile_no": 1}] if doc.get("mobile_no") else []
        values = {
            "first_name": doc["customer_name"],
            "is_primary_contact": 1,
            "email_ids": emails,
            "phone_nos": phones,
            "links": [{"link_doctype": "Customer", "link_name": doc.name}],
        }
        contact = documents.insert(call, "Contact", values).doc
        doc.update({"customer_primary_contact": contact.name, "modified": call.site.clock.stamp()})
        call.site.store(doc)

    def on_trash(self, call: Call, doc: Doc) -> None:
        """Contacts and addresses that belong to nobody else go with the customer."""
        for doctype in ("Contact", "Address"):
            for party in [other for other in call.site.tables[doctype] if links_customer(other, doc.name)]:
                if len(party.children["links"]) == 1:
                    trash.record(call, party)
                    call.site.drop(party)
                    continue
                kept = party.copy()
                kept.children["links"] = [row for row in kept.children["links"] if row["link_name"] != doc.name]
                call.site.store(kept)

    def after_rename(self, call: Call, doc: Doc, new_name: str) -> None:
        doc["customer_name"] = new_name


def links_customer(party: Doc, customer: str) -> bool:
    rows = party.children.get("links", ())
    return any((row["link_doctype"], row["link_name"]) == ("Customer", customer) for row in rows)


def fill_link_titles(call: Call, doc: Doc) -> None:
    for row in doc.children.get("links", ()):
        title = call.site.value(str(row["link_doctype"]), row["link_name"], "customer_name")
        row["link_title"] = title or row["link_name"]


class ContactController(Controller):
    """Named after the person and the first link; the primary rows show in the head."""

    def name(self, call: Call, doc: Doc) -> str | None:
        links = doc.children.get("links", ())
        parts = [full_name(doc), *(str(row["link_name"]) for row in links[:1])]
        return numbered(call.site, "Contact", "-".join(part for part in parts if part).strip(), separator="-")

    def validate(self, call: Call, doc: Doc, before: Doc | None) -> None:
        doc["full_name"] = full_name(doc)
        doc["email_id"] = primary(doc, "email_ids", "email_id", "is_primary")
        doc["phone"] = primary(doc, "phone_nos", "phone", "is_primary_phone")
        doc["mobile_no"] = primary(doc, "phone_nos", "phone", "is_primary_mobile_no")
        if doc["email_id"] and doc["image"] is None:
            doc["image"] = ""
        fill_link_titles(call, doc)


def full_name(doc: Doc) -> str:
    parts = (doc.get("first_name", ""), doc.get("middle_name", ""), doc.get("last_name", ""))
    return " ".join(part for part in parts if part)


def primary(doc: Doc, table: str, column: str, flag: str) -> str:
    """The flagged row's value; a single row counts as flagged."""
    rows = doc.children.get(table, ())
    flagged = [row for row in rows if row[flag]] or (rows if len(rows) == 1 and table == "email_ids" else [])
    return str(flagged[0][column]) if flagged else ""


class AddressController(Controller):
    """Named `<title>-<type>`; the country comes from the site when none is sent."""

    def prepare(self, call: Call, doc: Doc) -> None:
        if not doc.get("country"):
            doc["country"] = call.site.value("Company", call.site.company, "country")
        links = doc.children.get("links", ())
        if not doc.get("address_title") and links:
            doc["address_title"] = links[0]["link_name"]

    def name(self, call: Call, doc: Doc) -> str | None:
        wanted = f"{doc.get('address_title', '')}-{doc.get('address_type', '')}"
        return numbered(call.site, "Address", wanted.strip("-"), separator="-")

    def validate(self, call: Call, doc: Doc, before: Doc | None) -> None:
        fill_link_titles(call, doc)
