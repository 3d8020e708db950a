"""The functions that may be called under `/api/method/`."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sandbox.erpnext import documents, listing, trash
from sandbox.erpnext.auth import Identity, log_in
from sandbox.erpnext.errors import FrappeError, login_refused, not_whitelisted, raised, server_error, throw
from sandbox.erpnext.files import upload_file
from sandbox.erpnext.forms import Arguments
from sandbox.erpnext.payments import get_payment_entry
from sandbox.erpnext.query import from_json, read_query
from sandbox.erpnext.render import as_dict
from sandbox.erpnext.selling import make_sales_invoice
from sandbox.erpnext.site import Call
from sandbox.erpnext.users import GUEST

Args = dict[str, Any]
INSERT_LIMIT = 200
APPS = frozenset({"frappe", "erpnext"})
VERSIONS = {
    "frappe": {
        "title": "Frappe Framework",
        "description": "Full stack web framework with Python, Javascript, MariaDB, Redis, Node",
        "branch": "HEAD",
        "version": "15.55.1",
    },
    "erpnext": {"title": "ERPNext", "description": "ERP made simple", "branch": "", "version": "15.90.0"},
}
# Functions that exist but may not be called, under the path the vendor calls them by in its refusal.
PRIVATE = {"frappe.utils.now": "frappe.utils.data.now", "frappe.db.sql": "frappe.db.sql"}


@dataclass(slots=True)
class Done:
    """The result of a method; `identity` differs from the caller's after a login."""

    result: Any
    identity: Identity
    extra: Args = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Method:
    """A function under its path: who may call it, and with which HTTP verbs."""

    run: Callable[[Call, Args], Any]
    guest: bool = False
    writes: bool = False


def run(call: Call, identity: Identity, name: str, arguments: Arguments) -> Done:
    """Call the function.

    Raises FrappeError: 403 when it is not whitelisted or needs another verb, 417 when there is none of that name.
    """
    if name == "login":
        return login(call, arguments.values)
    if name == "logout":
        call.site.sessions.pop(identity.sid or "", None)
        return Done(None, Identity(GUEST))
    if name == "upload_file":
        return Done(upload_file(call, arguments), identity)
    method = METHODS.get(name)
    if method is None:
        raise unknown(name)
    if call.user == GUEST and not method.guest:
        raise not_whitelisted(name)
    if method.writes and call.method not in ("POST", "PUT"):
        raise throw("Not permitted", exc_type="PermissionError", status=403)
    if method.writes and call.site.switches.read_only:
        raise throw("Site is running in read only mode", exc_type="InReadOnlyMode", status=503)
    values = arguments.values or ({} if not arguments.body else arguments.document())
    if not method.writes:
        return Done(method.run(call, values), identity)
    with call.site.transaction():
        return Done(method.run(call, values), identity)


def unknown(name: str) -> FrappeError:
    if name in PRIVATE:
        return not_whitelisted(PRIVATE[name])
    app = name.partition(".")[0]
    reason = f"module '{name.rpartition('.')[0]}' has no attribute '{name.rpartition('.')[2]}'"
    first = (raised(f"App {app} is not installed"),) if app not in APPS else ()
    text = f"Failed to get method for command {name} with " + (first[0]["message"] if first else reason)
    return FrappeError("ValidationError", 417, text, messages=(*first, raised(text)))


def login(call: Call, args: Args) -> Done:
    if not args.get("usr"):
        raise login_refused("Invalid login credentials")
    identity = log_in(call.site, str(args["usr"]), str(args.get("pwd", "")))
    return Done("Logged In", identity, {"home_page": "/app/home", "full_name": identity.full_name})


# -- frappe.client ----------------------------------------------------------------------------------------------------


def text_arg(args: Args, name: str) -> str:
    """A required argument.

    Raises FrappeError (500 TypeError), as Python does for the vendor.
    """
    if args.get(name) in (None, ""):
        raise server_error("TypeError", f"missing 1 required positional argument: '{name}'")
    return str(args[name])


def get_list(call: Call, args: Args) -> Any:
    return listing.run(call, read_query(call.site, text_arg(args, "doctype"), args))


def get_count(call: Call, args: Args) -> Any:
    query: Args = {key: args[key] for key in ("filters", "or_filters") if key in args}
    return listing.count(call, read_query(call.site, text_arg(args, "doctype"), query))


def get_value(call: Call, args: Args) -> Any:
    """The columns of the first match, or an empty object."""
    fields = args.get("fieldname", "name")
    wanted = fields if not isinstance(fields, str) or not fields.startswith("[") else from_json(fields)
    filters = args.get("filters")
    if isinstance(filters, str) and not filters.startswith(("{", "[")):
        filters = {"name": filters}
    query = read_query(
        call.site,
        text_arg(args, "doctype"),
        {"fields": [wanted] if isinstance(wanted, str) else wanted, "filters": filters, "limit": 1},
    )
    found = listing.run(call, query)
    return found[0] if found else {}


def get(call: Call, args: Args) -> Any:
    doctype = text_arg(args, "doctype")
    name = args.get("name")
    if not name:
        name = get_value(call, {"doctype": doctype, "filters": args.get("filters")}).get("name", "")
    doc = documents.load(call, doctype, str(name))
    documents.require(call, "read", doctype, doc.name)
    return as_dict(doc, nulls=True, loaded=True)


def given_doc(args: Args, name: str = "doc") -> Args:
    doc = from_json(args.get(name) or args.get("doclist"))
    if not isinstance(doc, dict) or "doctype" not in doc:
        raise server_error("TypeError", f"missing 1 required positional argument: '{name}'")
    return doc


def insert(call: Call, args: Args) -> Any:
    doc = given_doc(args)
    return documents.insert(call, str(doc["doctype"]), doc).shown(nulls=True)


def insert_many(call: Call, args: Args) -> Any:
    """All or nothing: the names of the new documents."""
    docs = from_json(args.get("docs"))
    if not isinstance(docs, list):
        raise server_error("TypeError", "'NoneType' object is not iterable")
    if len(docs) > INSERT_LIMIT:
        raise throw(f"Only {INSERT_LIMIT} inserts allowed in one request")
    return [documents.insert(call, str(doc.get("doctype")), doc).doc.name for doc in docs]


def save(call: Call, args: Args) -> Any:
    doc = given_doc(args)
    return documents.update(call, str(doc["doctype"]), str(doc.get("name")), doc).shown(nulls=True)


def bulk_update(call: Call, args: Args) -> Any:
    """Each document on its own: the good ones stay, the bad ones are listed with their traceback."""
    given = args.get("docs")
    if not isinstance(given, str):
        raise server_error("TypeError", "the JSON object must be str, bytes or bytearray, not list")
    failed = []
    for doc in from_json(given):
        values = {key: value for key, value in doc.items() if key not in ("doctype", "docname")}
        try:
            with call.site.transaction():
                documents.update(call, str(doc.get("doctype")), str(doc.get("docname")), values)
        except FrappeError as error:
            call.messages += error.messages
            failed.append({"doc": doc, "exc": error.traceback})
    return {"failed_docs": failed}


def set_value(call: Call, args: Args) -> Any:
    """One field, or several as an object."""
    fields = args.get("fieldname")
    if isinstance(fields, str) and fields.startswith("{"):
        fields = from_json(fields)
    values = fields if isinstance(fields, dict) else {str(fields): args.get("value")}
    return documents.update(call, text_arg(args, "doctype"), text_arg(args, "name"), values).shown(nulls=True)


def submit(call: Call, args: Args) -> Any:
    """Submit the document as sent: what the payload leaves out is lost, and a stale one is refused."""
    doc = given_doc(args)
    stored = documents.load(call, str(doc["doctype"]), str(doc.get("name")))
    values: Args = {**dict.fromkeys(stored.meta.fields), **{key: [] for key in stored.meta.tables}, **doc}
    values["modified"] = doc.get("modified")
    saved = documents.save(call, stored, {**values, "docstatus": 1})
    saved.new_rows |= {row.name for row in saved.doc.children.get("items", ())}
    return saved.shown(nulls=True)


def cancel(call: Call, args: Args) -> Any:
    stored = documents.load(call, text_arg(args, "doctype"), text_arg(args, "name"))
    return documents.save(call, stored, {"docstatus": 2}).shown(nulls=True)


def delete(call: Call, args: Args) -> Any:
    trash.delete(call, text_arg(args, "doctype"), text_arg(args, "name"))


def rename_doc(call: Call, args: Args) -> Any:
    old = args.get("old_name") or args.get("old")
    new = args.get("new_name") or args.get("new")
    return trash.rename(call, text_arg(args, "doctype"), str(old), str(new))


def restore(call: Call, args: Args) -> Any:
    trash.restore(call, text_arg(args, "name"))


def add_tag(call: Call, args: Args) -> Any:
    """Tags do not move `modified`."""
    doc = documents.load(call, text_arg(args, "dt"), text_arg(args, "dn"))
    tags = [tag for tag in str(doc.get("_user_tags", "")).split(",") if tag]
    tag = text_arg(args, "tag")
    doc["_user_tags"] = "," + ",".join(dict.fromkeys([*tags, tag]))
    call.site.tables[doc.meta.name].changed()
    return tag


def time_zone(call: Call, _: Args) -> Any:
    return {"time_zone": call.site.zone}


METHODS: dict[str, Method] = {
    "ping": Method(lambda _call, _args: "pong", guest=True),
    "frappe.ping": Method(lambda _call, _args: "pong", guest=True),
    "frappe.auth.get_logged_user": Method(lambda call, _args: call.user),
    "frappe.utils.change_log.get_versions": Method(lambda _call, _args: VERSIONS),
    "frappe.client.get_time_zone": Method(time_zone, guest=True),
    "frappe.client.get_list": Method(get_list),
    "frappe.client.get_count": Method(get_count),
    "frappe.client.get_value": Method(get_value),
    "frappe.client.get": Method(get),
    "frappe.client.insert": Method(insert, writes=True),
    "frappe.client.insert_many": Method(insert_many, writes=True),
    "frappe.client.save": Method(save, writes=True),
    "frappe.client.bulk_update": Method(bulk_update, writes=True),
    "frappe.client.set_value": Method(set_value, writes=True),
    "frappe.client.submit": Method(submit, writes=True),
    "frappe.client.cancel": Method(cancel, writes=True),
    "frappe.client.delete": Method(delete, writes=True),
    "frappe.client.rename_doc": Method(rename_doc, writes=True),
    "frappe.rename_doc": Method(rename_doc, writes=True),
    "frappe.core.doctype.deleted_document.deleted_document.restore": Method(restore, writes=True),
    "frappe.desk.doctype.tag.tag.add_tag": Method(add_tag, writes=True),
    "erpnext.selling.doctype.sales_order.sales_order.make_sales_invoice": Method(make_sales_invoice, writes=True),
    "erpnext.accounts.doctype.payment_entry.payment_entry.get_payment_entry": Method(get_payment_entry, writes=True),
}
