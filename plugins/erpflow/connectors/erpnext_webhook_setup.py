"""Webhook documents in an ERPNext site: one for each DocType and event, named by us, so that each is made once.

The body is a template of ours with the names that the receiver reads: `doctype`, `name`, `modified`, `event`. Frappe
signs it with HMAC-SHA256 in Base64 and sends no Content-Type unless a header row says so.
Source: frappe/integrations/doctype/webhook/webhook.py; captures of Frappe 15.55 (webhook_setup).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from erpflow.connectors.base import EntitySpec
from erpflow.connectors.erpnext_refusals import judge_write
from erpflow.connectors.erpnext_site import ALL_ROWS, Site, collection_path, document_path, encode
from erpflow.connectors.webhook_setup import VendorWebhook, WebhookPart, WebhookState
from erpflow.errors import ConfigError, RecordRejected, suggestion

DOCTYPE: Final = "Webhook"
EVENTS: Final = ("on_update", "on_trash")
"""An insert is an update too."""

SUBMITTABLE: Final = frozenset({"Sales Order"})
SUBMITTED_EVENTS: Final = (*EVENTS, "on_cancel", "on_change")
"""`on_update_after_submit` is dead in every version that was looked at; `on_change` tells of those changes."""

TIMEOUT_S: Final = 10
_FIELDS: Final = ("name", "modified", "webhook_doctype", "webhook_docevent", "enabled", "request_url")
_ROW: Final = msgspec.json.Decoder(dict[str, Any])


class Webhooks:
    """The Webhook documents of one site. `entities`: what can be watched, by our names."""

    def __init__(self, site: Site, entities: Mapping[str, EntitySpec]) -> None:
        self._site = site
        self._entities = entities

    def set_up(self, wanted: VendorWebhook) -> WebhookState:
        """Make what is missing, and bring what is there up to date. Raises ConfigError for what the site refuses."""
        there = self._there(wanted)
        for name, doctype, event in self._documents(wanted):
            values = _values(wanted, doctype, event)
            if name in there:
                self._tell("PUT", document_path(DOCTYPE, name), values)
            else:
                self._tell("POST", collection_path(DOCTYPE), {"name": name, "__newname": name, **values})
        for name in there.keys() - {name for name, _, _ in self._documents(wanted)}:
            self._delete(name)
        return self.state(wanted)

    def state(self, wanted: VendorWebhook) -> WebhookState:
        """Which documents are there, and whether the site would send them to us."""
        there = self._there(wanted)
        parts = tuple(
            _part(f"{doctype} {event}", there.get(name), url=wanted.url)
            for name, doctype, event in self._documents(wanted)
        )
        return WebhookState(parts)

    def remove(self, wanted: VendorWebhook) -> None:
        """Delete every document of this webhook."""
        for name in self._there(wanted):
            self._delete(name)

    def _there(self, wanted: VendorWebhook) -> dict[str, dict[str, Any]]:
        listing = self._site.listing(
            DOCTYPE, filters=[["name", "like", f"{_prefix(wanted)}%"]], limit=ALL_ROWS, fields=_FIELDS, order="name asc"
        )
        rows = [_ROW.decode(row) for row in listing.rows()]
        return {str(row["name"]): row for row in rows if str(row["name"]).startswith(_prefix(wanted))}

    def _documents(self, wanted: VendorWebhook) -> Iterator[tuple[str, str, str]]:
        """Name, DocType and event of each document."""
        for entity in dict.fromkeys(wanted.entities or self._entities):
            if entity not in self._entities:
                raise ConfigError(f"ERPNext has no entity {entity!r} here{suggestion(entity, self._entities)}")
            doctype = self._entities[entity].remote
            for event in _events(doctype):
                yield f"{_prefix(wanted)}{doctype} {event}", doctype, event

    def _delete(self, name: str) -> None:
        self._tell("DELETE", document_path(DOCTYPE, name), None)

    def _tell(self, method: str, path: str, values: Mapping[str, Any] | None) -> None:
        body = encode(values) if values is not None else None
        try:
            self._site.tell(method, path, body=body, judge=judge_write, missing_is_fine=method == "DELETE")
        except RecordRejected as rejected:
            raise ConfigError(f"ERPNext does not take the Webhook: {rejected}") from None


def _events(doctype: str) -> Sequence[str]:
    return SUBMITTED_EVENTS if doctype in SUBMITTABLE else EVENTS


def _prefix(wanted: VendorWebhook) -> str:
    return f"erpflow {wanted.id} "


def _values(wanted: VendorWebhook, doctype: str, event: str) -> dict[str, Any]:
    template = (
        '{"doctype": {{ doc.doctype | tojson }}, "name": {{ doc.name | tojson }}, "modified": "{{ doc.modified }}", '
        f'"event": "{event}"}}'
    )
    return {
        "webhook_doctype": doctype,
        "webhook_docevent": event,
        "enabled": 1,
        "request_url": wanted.url,
        "request_method": "POST",
        "request_structure": "JSON",
        "webhook_json": template,
        "webhook_headers": [{"key": "Content-Type", "value": "application/json"}],
        "enable_security": 1,
        "webhook_secret": wanted.secret,
        "timeout": TIMEOUT_S,
    }


def _part(name: str, row: Mapping[str, Any] | None, *, url: str) -> WebhookPart:
    if row is None:
        return WebhookPart(name, exists=False, works=False, message="There is no such Webhook document. Set it up.")
    if not row.get("enabled"):
        return WebhookPart(name, exists=True, works=False, message="It is switched off in ERPNext. Set it up again.")
    if row.get("request_url") != url:
        return WebhookPart(name, exists=True, works=False, message="It calls another address. Set it up again.")
    return WebhookPart(name, exists=True, works=True, message="It is switched on.")
