"""Delete, restore and rename."""

import json
from typing import Any

from sandbox.erpnext import documents
from sandbox.erpnext.doctype import FRONT
from sandbox.erpnext.errors import FrappeError, does_not_exist, link_exists, no_document_access, plain, raised, throw
from sandbox.erpnext.naming import check_name, give_back
from sandbox.erpnext.render import as_dict
from sandbox.erpnext.site import Call
from sandbox.erpnext.table import Doc

UNRECORDED = frozenset({"Deleted Document", "Webhook Request Log"})
CANCEL_FIRST = "https://docs.erpnext.com//docs/user/manual/en/setting-up/articles/delete-submitted-document"


def delete(call: Call, doctype: str, name: str) -> None:
    """Delete one document and leave a Deleted Document row.

    Raises FrappeError: 404 without a message, 403, or 417 when it is submitted or something links to it.
    """
    documents.meta_or_fail(call, doctype)
    doc = call.site.find(doctype, name)
    if doc is None:
        raise FrappeError("DoesNotExistError", 404, traced=False)
    check_delete_permission(call, doc)
    if doc["docstatus"] == 1:
        raise throw(
            f"{doctype} {doc.name}: Submitted Record cannot be deleted. "
            f"You must <a href='{CANCEL_FIRST}' target='_blank'> Cancel </a> it first."
        )
    check_children(call, doc)
    control = documents.controller_of(call, doctype)
    control.on_trash(call, doc)
    for by, by_doc in documents.linking(call, doc):
        raise link_exists(doctype, doc.name, by, by_doc.name, hint=control.delete_hint)
    record(call, doc)
    call.site.drop(doc)
    give_back(call.site, doc)


def check_delete_permission(call: Call, doc: Doc) -> None:
    doctype = doc.meta.name
    if call.may("delete", doctype):
        return
    text = f"User not allowed to delete {doctype}: {doc.name}"
    first = no_document_access(call.user, doctype, doc.name, action="delete").messages
    raise FrappeError("PermissionError", 403, text, messages=(*first, raised(text)))


def check_children(call: Call, doc: Doc) -> None:
    """Raises FrappeError (NestedSetChildExistsError): a tree node that has nodes below it."""
    parent_field = doc.meta.tree_field
    if parent_field and any(node.get(parent_field) == doc.name for node in call.site.tables[doc.meta.name]):
        text = f"Cannot delete {doc.name} as it has child nodes"
        raise throw(text, exc_type="NestedSetChildExistsError", module="frappe.utils.nestedset")


def record(call: Call, doc: Doc) -> None:
    """The Deleted Document row: the only trace a delete leaves."""
    if doc.meta.name in UNRECORDED:
        return
    site = call.site
    row = site.new_doc("Deleted Document")
    stamp = site.clock.stamp()
    row.update({"name": site.hash_name(), "owner": call.user, "creation": stamp, "modified": stamp})
    row.update({"modified_by": call.user, "deleted_name": doc.name, "deleted_doctype": doc.meta.name, "restored": 0})
    row["data"] = json.dumps(as_dict(doc, nulls=True), indent=1, sort_keys=True)
    site.store(row)


def restore(call: Call, name: str) -> str:
    """Insert the deleted document again: same name, new creation; returns the name.

    Raises FrappeError when there is no such row, or the document was restored before.
    """
    site = call.site
    row = documents.load(call, "Deleted Document", name)
    if row["restored"]:
        raise throw(f"Document {row['deleted_name']} Already Restored")
    values: dict[str, Any] = json.loads(row["data"])
    doctype = str(row["deleted_doctype"])
    kept = {key: value for key, value in values.items() if key not in FRONT or key in ("docstatus", "idx")}
    saved = documents.insert(call, doctype, {**kept, "__newname": row["deleted_name"], "docstatus": 0})
    mark = row.copy()
    mark.update({"restored": 1, "new_name": saved.doc.name})
    site.store(mark)
    call.messages.append(plain("Document Restored"))
    return saved.doc.name


def rename(call: Call, doctype: str, old: str, new: str) -> str:
    """Give the document another name and let all links follow; returns the new name.

    Raises FrappeError when the old name is unknown or the new one taken.
    """
    site = call.site
    stored = site.find(doctype, old)
    if stored is None:
        raise does_not_exist(doctype, old)
    documents.require(call, "write", doctype, stored.name)
    new = check_name(new.strip())
    if site.find(doctype, new) not in (None, stored):
        raise throw(f"Another {doctype} with name {new} exists, select another name")
    doc = stored.copy()
    relink(call, stored, new)
    site.drop(stored)
    doc.update({"name": new, "modified": site.clock.stamp(), "modified_by": call.user})
    for row in doc.rows():
        row["parent"] = new
    documents.controller_of(call, doctype).after_rename(call, doc, new)
    site.store(doc)
    text = f"Document renamed from <strong>{old}</strong> to <strong>{new}</strong>"
    call.messages.append(plain(text, indicator="green", alert=1))
    return new


def relink(call: Call, doc: Doc, new: str) -> None:
    """Write the new name into every link, straight into the tables: nothing else of those documents moves."""
    for table in call.site.tables.values():
        for other in [other for other in table if other is not doc and documents.links_to(other, doc)]:
            changed = other.copy()
            for part in (changed, *changed.rows()):
                for column, fieldtype, options in part.meta.links:
                    target = options if fieldtype == "Link" else part.get(options)
                    if target == doc.meta.name and part[column] == doc.name:
                        part[column] = new
            call.site.store(changed)
