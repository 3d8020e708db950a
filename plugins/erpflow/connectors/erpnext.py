"""ERPNext (Frappe 14, 15, 16) over its v1 REST API. What is odd about it is in docs/systems/erpnext.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import ClassVar, Final

from erpflow.connectors.account import Account
from erpflow.connectors.base import (
    LOGIN_AND_PASSWORD,
    Change,
    CheckResult,
    Connector,
    ConnectorSpec,
    Deletion,
    EntitySpec,
    Limits,
    Page,
    PageToken,
    RawRecord,
    WriteResult,
    reported,
)
from erpflow.connectors.erpnext_deletions import read_deleted, split_deleted
from erpflow.connectors.erpnext_documents import ChildTable, find_all, read_many, with_children
from erpflow.connectors.erpnext_paging import (
    Bounds,
    Position,
    bounds_of,
    filters_of,
    pages,
    position_of,
    step,
    to_instant,
    zone_of,
)
from erpflow.connectors.erpnext_site import Site, document_path, method_path
from erpflow.connectors.erpnext_webhook_setup import Webhooks
from erpflow.connectors.erpnext_wire import TEXT, decode, decode_document, rows_of_page
from erpflow.connectors.erpnext_writing import Writer
from erpflow.connectors.signing import TokenAuth
from erpflow.connectors.transport import ONE_ATTEMPT, Transport
from erpflow.connectors.webhook_setup import VendorWebhook, WebhookState
from erpflow.errors import AuthFailed, ConfigError, suggestion
from erpflow.vocabulary import Operation, RemoteId, VendorRecord, Window


def _doctype(name: str, *, page_size: int, bulk_size: int) -> EntitySpec:
    return EntitySpec(
        remote=name,
        key="name",
        modified="modified",
        page_size=page_size,
        bulk_size=bulk_size,
        ordered=True,
        writes=frozenset({Operation.CREATE, Operation.UPDATE, Operation.DELETE}),
        checks_version=True,
        deleted_feed=True,
    )


ENTITIES: Final[Mapping[str, EntitySpec]] = {
    "customer": _doctype("Customer", page_size=500, bulk_size=200),
    "product": _doctype("Item", page_size=500, bulk_size=200),
    # With its lines a document is ten times as large, and takes up to a second to save: more of them at once would
    # outlast the time-out of a request.
    "order": _doctype("Sales Order", page_size=200, bulk_size=50),
}
CHILD_TABLES: Final[Mapping[str, tuple[ChildTable, ...]]] = {
    "customer": (ChildTable("credit_limits", "Customer Credit Limit"),),
    "order": (ChildTable("items", "Sales Order Item"),),
}

_DELETIONS: Final = 500  # rows of a page of deletions


class ErpNext(Connector):
    """One ERPNext site, read and written as the user its API key belongs to."""

    spec: ClassVar[ConnectorSpec] = ConnectorSpec(
        system="erpnext",
        title="ERPNext",
        auth=("token",),
        credentials=LOGIN_AND_PASSWORD,
        secret_login=True,
        entities=ENTITIES,
        # Sites have no request limit of their own by default (Frappe counts server time); this only spares the site.
        limits=Limits(per_second=50.0, concurrent=4),
    )

    @classmethod
    def auth(cls, account: Account) -> TokenAuth:
        return TokenAuth(account.login, account.password)

    def __init__(self, transport: Transport, *, page_size: int | None = None) -> None:
        super().__init__(transport, page_size=page_size)
        self._site = Site(transport)

    @reported
    def check(self) -> CheckResult:
        answer = self._site.ask("GET", method_path("frappe.auth.get_logged_user"), retries=ONE_ATTEMPT)
        account = decode(answer, TEXT).message
        if account == "Guest":
            raise AuthFailed("ERPNext takes us for a guest: put the API key and secret into the connection.")
        return CheckResult(success=True, message=f"Signed in as {account}", account=account)

    def read(self, entity: str, window: Window, *, resume: PageToken | None = None) -> Iterator[Page]:
        return self._pages(entity, self._entity(entity), window, position_of(resume))

    def read_one(self, entity: str, remote_id: RemoteId) -> VendorRecord | None:
        doctype = self._entity(entity).remote
        if not remote_id:  # without a name the same path is the list
            return None
        answer = self._site.ask("GET", document_path(doctype, remote_id), missing_is_fine=True)
        return None if answer.status == 404 else decode_document(answer)

    @classmethod
    def split(cls, entity: str, raw: bytes) -> list[RawRecord]:
        return rows_of_page(raw, entity=entity)

    @classmethod
    def instant(cls, text: str, *, zone: str) -> datetime | None:
        return to_instant(text, zone=zone)

    def write(self, entity: str, changes: Sequence[Change]) -> list[WriteResult]:
        return Writer(self._site, self._entity(entity).remote).write(changes)

    def find(self, entity: str, keys: Sequence[VendorRecord]) -> list[list[RemoteId]]:
        return find_all(self._site, self._entity(entity).remote, keys)

    def read_many(self, entity: str, remote_ids: Sequence[RemoteId]) -> Page:
        return read_many(self._site, self._entity(entity).remote, CHILD_TABLES.get(entity, ()), remote_ids)

    def read_deleted(self, entity: str, window: Window, *, resume: PageToken | None = None) -> Iterator[Page]:
        spec = self._entity(entity)
        return read_deleted(self._site, spec.remote, window, resume=resume, limit=self._page_size or _DELETIONS)

    @classmethod
    def split_deleted(cls, entity: str, raw: bytes, *, zone: str) -> list[Deletion]:
        return split_deleted(entity, raw, zone=zone)

    # -- webhooks ------------------------------------------------------------------------------------------------

    def set_up_webhook(self, wanted: VendorWebhook, *, now: datetime) -> WebhookState:
        return Webhooks(self._site, ENTITIES).set_up(wanted)

    def webhook_state(self, wanted: VendorWebhook, *, now: datetime) -> WebhookState:
        return Webhooks(self._site, ENTITIES).state(wanted)

    def remove_webhook(self, wanted: VendorWebhook) -> None:
        Webhooks(self._site, ENTITIES).remove(wanted)

    # -- pages ---------------------------------------------------------------------------------------------------

    def _pages(self, entity: str, spec: EntitySpec, window: Window, position: Position) -> Iterator[Page]:
        zone = self._site.ask_zone()
        bounds = bounds_of(window, zone=zone_of(zone))
        children = CHILD_TABLES.get(entity, ())
        limit = self._page_size or spec.page_size
        yield from pages(
            lambda at: self._page(spec, children, at, bounds=bounds, limit=limit, zone=zone),
            position,
        )

    def _page(
        self,
        spec: EntitySpec,
        children: Sequence[ChildTable],
        position: Position,
        *,
        bounds: Bounds,
        limit: int,
        zone: str,
    ) -> tuple[Page, Position | None]:
        listing = self._site.listing(spec.remote, filters=filters_of(position, bounds), limit=limit)
        heads = listing.heads()
        taken = step(position, heads, bounds=bounds, limit=limit)
        chosen = range(len(heads)) if taken.fresh is None else taken.fresh
        if len(chosen) == len(heads) and listing.is_page and not (children and chosen):
            raw = listing.answer.body
        else:
            names = [str(heads[i].name) for i in chosen]
            rows = listing.rows()
            raw = with_children(self._site, spec.remote, children, names, [rows[i] for i in chosen])
        token = taken.next.token() if taken.next else None
        return Page(raw, len(chosen), token, zone=zone, server_time=listing.answer.server_time), taken.next

    def _entity(self, entity: str) -> EntitySpec:
        found = ENTITIES.get(entity)
        if found is None:
            raise ConfigError(f"ERPNext has no entity {entity!r} here{suggestion(entity, ENTITIES)}")
        return found
