"""DocTypes as documents: what a client reads to learn which fields there are."""

from hashlib import sha224
from typing import Any

from sandbox.erpnext.doctype import DocType
from sandbox.erpnext.errors import does_not_exist, no_doctype_access
from sandbox.erpnext.site import HASH_ALPHABET, Call

BORN = "2013-01-10 16:34:23"  # where a DocType file does not say when it was made
ADMIN = "Administrator"

# Properties of a DocField besides its label, options and texts; all are 0 unless the field says otherwise.
FIELD_FLAGS = (
    *("search_index", "show_dashboard", "hidden", "set_only_once", "allow_in_quick_entry", "print_hide"),
    *("report_hide", "reqd", "bold", "in_global_search", "collapsible", "unique", "no_copy", "allow_on_submit"),
    *("show_preview_popup", "permlevel", "ignore_user_permissions", "columns", "in_list_view", "fetch_if_empty"),
    *("in_filter", "remember_last_selected_value", "ignore_xss_filter", "print_hide_if_no_value", "allow_bulk_edit"),
    *("in_standard_filter", "in_preview", "read_only", "length", "translatable", "hide_border", "hide_days"),
    *("hide_seconds", "non_negative", "is_virtual", "sort_options", "show_on_timeline", "make_attachment_public"),
)
FIELD_TEXTS = ("label", "oldfieldname", "oldfieldtype", "options", "default", "description", "depends_on")
DOCTYPE_FLAGS = (
    *("issingle", "is_virtual", "is_tree", "istable", "editable_grid", "track_changes", "read_only", "in_create"),
    *("allow_copy", "allow_rename", "allow_import", "hide_toolbar", "track_seen", "max_attachments"),
    *("is_submittable", "show_name_in_global_search", "custom", "beta", "has_web_view", "allow_guest_to_view"),
    *("email_append_to", "show_title_field_in_link", "translated_doctype", "is_calendar_and_gantt", "quick_entry"),
    *("track_views", "queue_in_background", "allow_events_in_timeline", "allow_auto_repeat"),
    *("make_attachments_public", "force_re_route_to_default_view", "show_preview_popup"),
    "index_web_pages_for_search",
)
DOCTYPE_TEXTS = ("search_fields", "autoname", "naming_rule", "document_type", "icon", "nsm_parent_field")
RIGHTS = (
    *("read", "write", "create", "submit", "cancel", "delete", "amend", "report", "export", "import", "share"),
    *("print", "email", "if_owner", "select"),
)
NO_PARTS: dict[str, list[Any]] = {"fields": [], "permissions": [], "actions": [], "links": [], "states": []}


def find(call: Call, name: str) -> DocType:
    if not call.may("read", "DocType"):
        raise no_doctype_access(call.user, "DocType")
    if name not in call.site.doctypes:
        raise does_not_exist("DocType", name)
    return call.site.doctypes[name]


def doctype_document(call: Call, name: str) -> dict[str, Any]:
    """`GET /api/resource/DocType/<name>`.

    Raises FrappeError: 403 without the permission, 404 for an unknown DocType.
    """
    meta = find(call, name)
    installed = call.site.installed[name]
    parts = {"actions": [], "links": [], "fields": fields_of(meta, installed), "states": []}
    parts["permissions"] = permissions_of(meta, installed)
    return {**head(meta), "doctype": "DocType", **parts}


def doctype_meta(call: Call, name: str) -> dict[str, Any]:
    """`GET /api/v2/doctype/<name>/meta`: the same with the vendor's additions."""
    meta = find(call, name)
    installed = call.site.installed[name]
    fields = [{**field, **NO_PARTS} for field in fields_of(meta, installed)]
    permissions = [{**permission, **NO_PARTS} for permission in permissions_of(meta, installed)]
    tables = [field for field in fields if field["fieldtype"] == "Table"]
    shown = {"doctype": "DocType", **head(meta), "fields": fields, "permissions": permissions}
    return {**shown, "_table_fields": tables, "is_large_table": False, "actions": [], "links": [], "states": []}


def standard(meta: DocType, name: str, modified: str) -> dict[str, Any]:
    born = meta.definition.get("creation", BORN)
    return {"name": name, "creation": born, "modified": modified, "modified_by": ADMIN, "owner": ADMIN, "docstatus": 0}


def part_name(meta: DocType, kind: str, position: int) -> str:
    """Ten characters that stay the same from one read to the next, like the vendor's random ones."""
    digest = sha224(f"{meta.name} {kind} {position}".encode()).digest()
    return "".join(HASH_ALPHABET[byte & 31] for byte in digest[:10])


def head(meta: DocType) -> dict[str, Any]:
    raw = meta.definition
    modified = raw.get("modified", raw.get("creation", BORN))
    shown: dict[str, Any] = {**standard(meta, meta.name, modified), "idx": raw.get("idx", 0)}
    shown |= {flag: int(raw.get(flag, 0)) for flag in DOCTYPE_FLAGS}
    shown["is_tree"] = int(meta.tree_field is not None)
    shown |= {"module": raw["module"], "sort_field": "modified", "sort_order": "DESC", "engine": "InnoDB"}
    shown["migration_hash"] = sha224(meta.name.encode()).hexdigest()[:32]
    texts = {text: raw[text] for text in DOCTYPE_TEXTS if raw.get(text) and not meta.istable}
    return {**shown, **texts}


def fields_of(meta: DocType, installed: str) -> list[dict[str, Any]]:
    declared = [*meta.definition["fields"]]
    known = {raw["fieldname"] for raw in declared}
    declared += [field.raw for name, field in meta.fields.items() if name not in known and field.raw is not None]
    return [docfield(meta, raw, position, installed) for position, raw in enumerate(declared, start=1)]


def docfield(meta: DocType, raw: dict[str, Any], position: int, installed: str) -> dict[str, Any]:
    shown = standard(meta, part_name(meta, "field", position), installed)
    shown |= {"parent": meta.name, "parentfield": "fields", "parenttype": "DocType", "idx": position}
    shown |= {"fieldname": raw["fieldname"], "fieldtype": raw["fieldtype"]}
    shown |= {text: str(raw[text]) for text in FIELD_TEXTS if raw.get(text) not in (None, "")}
    shown |= {flag: int(raw.get(flag) or 0) for flag in FIELD_FLAGS}
    return {**shown, "doctype": "DocField"}


def permissions_of(meta: DocType, installed: str) -> list[dict[str, Any]]:
    shown = []
    for position, raw in enumerate(meta.definition.get("permissions", ()), start=1):
        rule = standard(meta, part_name(meta, "permission", position), installed)
        rule |= {"parent": meta.name, "parentfield": "permissions", "parenttype": "DocType", "idx": position}
        rule |= {"permlevel": raw.get("permlevel", 0), "role": raw["role"]}
        rule |= {right: int(raw.get(right, 0)) for right in RIGHTS}
        shown.append({**rule, "doctype": "DocPerm"})
    return shown
