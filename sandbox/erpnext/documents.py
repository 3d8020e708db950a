"""Insert, update, submit, cancel: the framework's way of saving, with a controller's rules at its points."""

from dataclasses import dataclass, field
from typing import Any

from sandbox.erpnext import checks
from sandbox.erpnext.controller import PLAIN, Controller
from sandbox.erpnext.doctype import FRONT, STANDARD
from sandbox.erpnext.errors import (
    FrappeError,
    does_not_exist,
    link_exists,
    no_document_access,
    server_error,
    throw,
    timestamp_mismatch,
)
from sandbox.erpnext.naming import check_name, general_name
from sandbox.erpnext.render import as_dict, mark_unsaved
from sandbox.erpnext.site import Call
from sandbox.erpnext.table import Doc

Values = dict[str, Any]

SET_BY_SERVER = frozenset(
    {"name", "owner", "creation", "modified", "modified_by", "parent", "parenttype", "parentfield"}
)
STATES = {0: "Draft", 1: "Submitted", 2: "Cancelled"}
SUBMIT_EVENTS = {(0, 1): "submit", (1, 2): "cancel"}


@dataclass(slots=True)
class Saved:
    """A stored document, and what its answer shows that no later read does."""

    doc: Doc
    new_rows: set[str] = field(default_factory=set)
    onload: Any = None

    def shown(self, *, nulls: bool = False) -> dict[str, Any]:
        shown = mark_unsaved(as_dict(self.doc, nulls=nulls), self.doc.meta, self.new_rows)
        if self.onload is not None:
            shown["__onload"] = self.onload
        return shown


def controller_of(call: Call, doctype: str) -> Controller:
    return call.site.controllers.get(doctype, PLAIN)


def meta_or_fail(call: Call, doctype: str) -> None:
    """Raises FrappeError (500 ImportError) for a DocType that does not exist, as single reads and writes do."""
    if doctype not in call.site.doctypes:
        module = f"frappe.core.doctype.{doctype.lower().replace(' ', '_')}"
        raise server_error("ImportError", f"No module named '{module}'", module="Error", named=False)


def load(call: Call, doctype: str, name: str) -> Doc:
    """The stored document; change only copies of it.

    Raises FrappeError (DoesNotExistError, or ImportError for an unknown DocType).
    """
    meta_or_fail(call, doctype)
    doc = call.site.find(doctype, name)
    if doc is None:
        raise does_not_exist(doctype, name)
    return doc


def require(call: Call, action: str, doctype: str, name: str | None) -> None:
    if not call.may(action, doctype):
        raise no_document_access(call.user, doctype, name, action=action)


# -- insert -----------------------------------------------------------------------------------------------------------


def insert(call: Call, doctype: str, values: Values) -> Saved:
    """A new document; `docstatus: 1` among the values submits it at once.

    Raises FrappeError; the caller's transaction takes back what was written.
    """
    meta_or_fail(call, doctype)
    require(call, "create", doctype, None)
    site = call.site
    control = controller_of(call, doctype)
    doc = site.new_doc(doctype)
    stamp = site.clock.stamp()
    doc.update({"owner": call.user, "creation": stamp, "modified": stamp, "modified_by": call.user})
    apply_values(call, doc, values)
    doc["docstatus"] = docstatus_of(values, 0)
    if doc["docstatus"] == 2:
        check_transition(0, 2)
    doc["idx"] = checks.cast(STANDARD["idx"], values.get("idx"))
    control.prepare(call, doc)
    checks.check_links(call, doc)
    given = values.get("__newname") or values.get("name")
    doc["name"] = check_name(control.name(call, doc) or general_name(call, doc, given))
    new_rows = name_rows(call, doc, fresh=True)
    control.validate(call, doc, None)
    name_added_rows(call, doc)
    checks.check_content(call, doc)
    if site.find(doctype, doc.name) is not None:
        raise checks.duplicate_name(doc)
    checks.check_uniques(call, doc)
    site.store(doc)
    control.after_insert(call, doc)
    control.on_update(call, doc, None)
    if doc["docstatus"] == 1:
        require(call, "submit", doctype, doc.name)
        control.on_submit(call, doc)
    return Saved(doc, new_rows, values.get("__onload"))


def apply_values(call: Call, doc: Doc, values: Values) -> None:
    """Take over what the DocType has a column or a table for; anything else is dropped silently."""
    meta = doc.meta
    for key, value in values.items():
        if key in meta.tables:
            set_rows(call, doc, key, value or [])
        elif key in meta.fields:
            doc[key] = checks.cast(meta.fields[key], value)


def set_rows(call: Call, doc: Doc, table_field: str, rows: list[Values]) -> None:
    """Replace a child table: a row sent with a known name keeps the name, and loses what was not sent."""
    meta = call.site.doctypes[doc.meta.tables[table_field]]
    known = {row.name: row for row in doc.children.get(table_field, ())}
    built: list[Doc] = []
    for position, values in enumerate(rows, start=1):
        row = Doc(meta, meta.blank.copy())
        before = known.get(str(values.get("name")))
        if before is not None:
            row.update({column: before[column] for column in FRONT})
        apply_values(call, row, values)
        row["idx"] = position
        built.append(row)
    doc.children[table_field] = built


def name_rows(call: Call, doc: Doc, *, fresh: bool) -> set[str]:
    """Give new child rows a name, and each row its parent; the names that are new."""
    new: set[str] = set()
    for table_field in doc.meta.tables:
        for position, row in enumerate(doc.children.get(table_field, ()), start=1):
            if row["name"] is None or fresh:
                row["name"] = call.site.hash_name()
                row.update({"owner": doc["owner"], "creation": doc["creation"]})
                new.add(row.name)
            row["idx"] = position
            row.update({"parent": doc["name"], "parentfield": table_field, "parenttype": doc.meta.name})
            row.update({"modified": doc["modified"], "modified_by": call.user, "docstatus": doc["docstatus"]})
    return new


def name_added_rows(call: Call, doc: Doc) -> None:
    """Rows that the server itself has added while saving carry a time of their own."""
    for table_field in doc.meta.tables:
        for position, row in enumerate(doc.children.get(table_field, ()), start=1):
            if row["name"] is not None:
                continue
            stamp = call.site.clock.stamp()
            row.update({"name": call.site.hash_name(), "owner": doc["owner"], "modified_by": call.user})
            row.update({"creation": stamp, "modified": stamp, "docstatus": doc["docstatus"], "idx": position})
            row.update({"parent": doc["name"], "parentfield": table_field, "parenttype": doc.meta.name})


# -- update -----------------------------------------------------------------------------------------------------------


def update(call: Call, doctype: str, name: str, values: Values) -> Saved:
    """Change the sent fields only; `name` among the values wins over the one in the URL, as the vendor has it."""
    stored = load(call, doctype, str(values.get("name") or name))
    require(call, "write", doctype, stored.name)
    return save(call, stored, values)


def save(call: Call, stored: Doc, values: Values) -> Saved:
    """Save over the stored document, moving docstatus where the values say so."""
    wait_for_lock(call, stored)
    site = call.site
    stamp = site.clock.stamp()
    check_latest(stored, values, stamp)
    was = int(stored["docstatus"])
    becomes = docstatus_of(values, was)
    check_transition(was, becomes)
    require_event(call, stored, was, becomes)
    doc = stored.copy()
    apply_values(call, doc, values)
    doc.update({"modified": stamp, "modified_by": call.user, "docstatus": becomes})
    control = controller_of(call, doc.meta.name)
    if becomes == 2:
        return cancel_saved(call, stored, doc, control)
    control.prepare(call, doc)
    checks.check_links(call, doc)
    new_rows = name_rows(call, doc, fresh=False)
    control.validate(call, doc, stored)
    name_added_rows(call, doc)
    if was == 1:
        check_after_submit(stored, doc)
    checks.check_content(call, doc)
    checks.check_uniques(call, doc)
    site.store(doc)
    control.on_update(call, doc, stored)
    if (was, becomes) == (0, 1):
        control.on_submit(call, doc)
    return Saved(doc, new_rows)


def cancel_saved(call: Call, stored: Doc, doc: Doc, control: Controller) -> Saved:
    check_no_submitted_links(call, stored, ignore=control.cancels_despite)
    name_rows(call, doc, fresh=False)
    call.site.store(doc)
    control.on_cancel(call, doc)
    return Saved(doc)


def wait_for_lock(call: Call, doc: Doc) -> None:
    """Raises FrappeError (QueryTimeoutError): another transaction holds the row, as a test has arranged."""
    if (doc.meta.name, doc.name) in call.site.switches.locked:
        text = "(1205, 'Lock wait timeout exceeded; try restarting transaction')"
        raise server_error("QueryTimeoutError", text, module="frappe.exceptions")


def check_latest(stored: Doc, values: Values, now: str) -> None:
    """The only optimistic lock: `modified`, when sent, has to be the stored string to the microsecond."""
    if "modified" in values and values["modified"] != stored["modified"]:
        raise timestamp_mismatch(str(stored["modified"]), now)


def docstatus_of(values: Values, otherwise: int) -> int:
    """Raises FrappeError (ValidationError) for anything but 0, 1 and 2."""
    given = values.get("docstatus")
    if given is None:
        return otherwise
    if str(given) not in ("0", "1", "2"):
        raise FrappeError("ValidationError", 417, f"Invalid docstatus {given}")
    return int(given)


def check_transition(was: int, becomes: int) -> None:
    if was == 2:
        raise FrappeError("ValidationError", 417, "Cannot edit cancelled document")
    if (was, becomes) in ((0, 0), (0, 1), (1, 1), (1, 2)):
        return
    text = f"Cannot change docstatus from {was} ({STATES[was]}) to {becomes} ({STATES[becomes]})"
    raise FrappeError("DocstatusTransitionError", 417, text)


def require_event(call: Call, stored: Doc, was: int, becomes: int) -> None:
    event = SUBMIT_EVENTS.get((was, becomes))
    if event is not None:
        require(call, event, stored.meta.name, stored.name)


def check_after_submit(stored: Doc, doc: Doc) -> None:
    """Raises FrappeError (UpdateAfterSubmitError) for the first changed field that is not open after submit."""
    for column, column_field in doc.meta.fields.items():
        if column_field.allow_on_submit or stored[column] == doc[column]:
            continue
        raise throw(
            f" Not allowed to change <strong>{column_field.label}</strong> after submission "
            f"from <strong>{stored[column]}</strong> to <strong>{doc[column]}</strong>",
            exc_type="UpdateAfterSubmitError",
            title="Cannot Update After Submit",
        )


def check_no_submitted_links(call: Call, doc: Doc, *, ignore: frozenset[str]) -> None:
    for by, by_doc in linking(call, doc, ignore=ignore):
        if by_doc["docstatus"] == 1:
            raise link_exists(doc.meta.name, doc.name, by, by_doc.name)


def linking(call: Call, doc: Doc, *, ignore: frozenset[str] = frozenset()) -> list[tuple[str, Doc]]:
    """The documents that hold a link to this one, in themselves or in a child row, one per DocType."""
    found: list[tuple[str, Doc]] = []
    for name, table in call.site.tables.items():
        if name in ignore or table.meta.istable:
            continue
        hit = next((other for other in table if other is not doc and links_to(other, doc)), None)
        if hit is not None:
            found.append((name, hit))
    return found


def links_to(other: Doc, doc: Doc) -> bool:
    return any(part_links_to(part, doc) for part in (other, *other.rows()))


def part_links_to(part: Doc, doc: Doc) -> bool:
    for column, fieldtype, options in part.meta.links:
        if part.row[part.meta.index[column]] != doc.row[0]:
            continue
        if (options if fieldtype == "Link" else part.get(options)) == doc.meta.name:
            return True
    return False
