"""Documents that change or watch the site itself: custom fields, webhooks, comments."""

from typing import Any

from sandbox.erpnext.controller import Controller
from sandbox.erpnext.errors import does_not_exist, throw
from sandbox.erpnext.site import Call, Site
from sandbox.erpnext.table import Doc

SUBMIT_EVENTS = frozenset({"on_submit", "on_cancel", "on_update_after_submit"})


class CustomFieldController(Controller):
    """A new column of a DocType, from the moment the document is stored."""

    def name(self, call: Call, doc: Doc) -> str | None:
        if not doc.get("fieldname"):
            label = str(doc.get("label", "")).strip().lower()
            doc["fieldname"] = "custom_" + "_".join(label.replace("-", " ").split())
        return f"{doc.get('dt')}-{doc['fieldname']}"

    def validate(self, call: Call, doc: Doc, before: Doc | None) -> None:
        meta = call.site.doctypes.get(str(doc.get("dt")))
        if meta is None:
            raise does_not_exist("DocType", str(doc.get("dt")))
        if before is None and (doc["fieldname"] in meta.types or doc["fieldname"] in meta.tables):
            text = f"A field with the name <strong>{doc['fieldname']}</strong> already exists in {meta.name}"
            raise throw(text)
        fields = list(meta.fields)
        after = doc.get("insert_after")
        doc["idx"] = fields.index(str(after)) + 2 if after in fields else len(fields) + 1

    def after_insert(self, call: Call, doc: Doc) -> None:
        raw = {column: doc[column] for column in doc.meta.fields if doc[column] is not None}
        add_column(call.site, str(doc["dt"]), raw, after=doc.get("insert_after"))


def add_column(site: Site, doctype: str, raw: dict[str, Any], *, after: str | None) -> None:
    """Give each stored document the new column, empty."""
    meta = site.doctypes[doctype]
    place = meta.add_field(raw, after=after)
    site.tables[doctype].widen(place, meta.fields[raw["fieldname"]].empty)


class WebhookController(Controller):
    """Named by the caller; the secret is kept apart and shown as asterisks."""

    def validate(self, call: Call, doc: Doc, before: Doc | None) -> None:
        meta = call.site.doctypes.get(str(doc.get("webhook_doctype")))
        if doc.get("webhook_docevent") in SUBMIT_EVENTS and meta is not None and not meta.submittable:
            raise throw("DocType must be Submittable for the selected Doc Event")
        secret = doc.get("webhook_secret")
        if secret and set(secret) != {"*"}:
            call.site.secrets[("Webhook", doc.name, "webhook_secret")] = secret
            doc["webhook_secret"] = "*" * len(secret)


class CommentController(Controller):
    """Signed with the caller; does not touch the document it is about."""

    def validate(self, call: Call, doc: Doc, before: Doc | None) -> None:
        doc["comment_email"] = doc.get("comment_email") or call.user
