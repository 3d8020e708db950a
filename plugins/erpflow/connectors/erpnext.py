"""ERPNext (Frappe 14, 15, 16) over its v1 REST API. What is odd about it is in docs/systems/erpnext.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Final
from urllib.parse import quote, urlencode

import msgspec
import structlog

from erpflow.connectors import erpnext_errors
from erpflow.connectors.answer import Answer
from erpflow.connectors.base import (
    CheckResult,
    Connector,
    ConnectorSpec,
    EntitySpec,
    Limits,
    Page,
    PageToken,
    RawRecord,
)
from erpflow.connectors.erpnext_paging import (
    ORDER,
    Bounds,
    Filter,
    Position,
    bounds_of,
    filters_of,
    position_of,
    step,
    to_instant,
    zone_of,
)
from erpflow.connectors.erpnext_wire import (
    SITE_ZONE,
    TEXT,
    Listing,
    decode,
    decode_document,
    page_bytes,
    rows_of_page,
    says_missing,
    splice,
)
from erpflow.connectors.session import TokenAuth
from erpflow.connectors.transport import ONE_ATTEMPT, Retries
from erpflow.errors import AuthFailed, ConfigError, ErpflowError, ProtocolError, suggestion
from erpflow.vocabulary import RemoteId, VendorRecord, Window

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ChildTable:
    """A table inside a document: the field that holds its rows, and the DocType of a row."""

    field: str
    doctype: str


def _doctype(name: str, *, page_size: int) -> EntitySpec:
    return EntitySpec(remote=name, key="name", modified="modified", page_size=page_size, bulk_size=200, ordered=True)


ENTITIES: Final[Mapping[str, EntitySpec]] = {
    "customer": _doctype("Customer", page_size=500),
    "product": _doctype("Item", page_size=500),
    "order": _doctype("Sales Order", page_size=200),  # with its lines a document is ten times as large
}
CHILD_TABLES: Final[Mapping[str, tuple[ChildTable, ...]]] = {
    "customer": (ChildTable("credit_limits", "Customer Credit Limit"),),
    "order": (ChildTable("items", "Sales Order Item"),),
}

_RESOURCE: Final = "/api/resource/"
_METHOD: Final = "/api/method/"
_LONGEST_URL: Final = 3_900  # gunicorn refuses request lines over 4,094 bytes with an HTML page
_ALL_COLUMNS: Final = ["*"]  # of the parent table; child tables are never in a list
_ALL_ROWS: Final = 0
_CHILD_ORDER: Final = "parent asc, idx asc"


class ErpNext(Connector):
    """One ERPNext site, read as the user its API key belongs to."""

    spec: ClassVar[ConnectorSpec] = ConnectorSpec(
        system="erpnext",
        title="ERPNext",
        auth=("token",),
        entities=ENTITIES,
        # Sites have no request limit of their own by default (Frappe counts server time); this only spares the site.
        limits=Limits(per_second=50.0, concurrent=4),
    )
    auth = TokenAuth

    def check(self) -> CheckResult:
        clock = self._transport.clock
        started = clock()
        try:
            answer = self._call("GET", f"{_METHOD}frappe.auth.get_logged_user", retries=ONE_ATTEMPT)
            account = decode(answer, TEXT).message
            if account == "Guest":
                raise AuthFailed("ERPNext takes us for a guest: put the API key and secret into the connection.")
        except ErpflowError as error:
            return CheckResult(success=False, message=str(error), latency=clock() - started)
        return CheckResult(success=True, message=f"Signed in as {account}", latency=answer.latency, account=account)

    def read(self, entity: str, window: Window, *, resume: PageToken | None = None) -> Iterator[Page]:
        return self._pages(entity, self._entity(entity), window, position_of(resume))

    def read_one(self, entity: str, remote_id: RemoteId) -> VendorRecord | None:
        doctype = self._entity(entity).remote
        if not remote_id:  # without a name the same path is the list
            return None
        path = f"{_RESOURCE}{quote(doctype)}/{quote(remote_id, safe='')}"
        answer = self._call("GET", path, missing_is_fine=True)
        return None if answer.status == 404 else decode_document(answer)

    @classmethod
    def split(cls, entity: str, raw: bytes) -> list[RawRecord]:
        return rows_of_page(raw, entity=entity)

    @classmethod
    def instant(cls, text: str, *, zone: str) -> datetime | None:
        return to_instant(text, zone=zone)

    # -- pages ---------------------------------------------------------------------------------------------------

    def _pages(self, entity: str, spec: EntitySpec, window: Window, position: Position) -> Iterator[Page]:
        zone = self._site_zone()
        bounds = bounds_of(window, zone=zone_of(zone))
        children = CHILD_TABLES.get(entity, ())
        limit = self._page_size or spec.page_size
        while True:
            page, next_position = self._page(spec, children, position, bounds=bounds, limit=limit, zone=zone)
            if page.count or next_position is None:
                yield page
            if next_position is None:
                return
            position = next_position

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
        listing = self._list(spec.remote, filters=filters_of(position, bounds), limit=limit)
        heads = listing.heads()
        taken = step(position, heads, bounds=bounds, limit=limit)
        chosen = range(len(heads)) if taken.fresh is None else taken.fresh
        if len(chosen) == len(heads) and listing.is_page and not (children and chosen):
            raw = listing.answer.body
        else:
            names = [str(heads[i].name) for i in chosen]
            rows = listing.rows()
            raw = self._with_children(spec.remote, children, names, [rows[i] for i in chosen])
        token = taken.next.token() if taken.next else None
        return Page(raw, len(chosen), token, zone=zone, server_time=listing.answer.server_time), taken.next

    def _with_children(
        self, parent: str, children: Sequence[ChildTable], names: Sequence[str], documents: list[bytes]
    ) -> bytes:
        """The page as it lands: whole documents, their child rows fetched for all of them at once."""
        for child in children if documents else ():
            # `parent=` only grants access: the same child DocType may serve other DocTypes and fields.
            filters: list[Filter] = [
                ["parent", "in", list(names)],
                ["parenttype", "=", parent],
                ["parentfield", "=", child.field],
            ]
            listing = self._list(
                child.doctype, filters=filters, limit=_ALL_ROWS, order=_CHILD_ORDER, parent=parent, by_post=True
            )
            documents = splice(documents, names, field=child.field, rows=listing.rows_by_parent(names))
        return page_bytes(documents)

    # -- the wire ------------------------------------------------------------------------------------------------

    def _list(
        self,
        doctype: str,
        *,
        filters: Sequence[Filter],
        limit: int,
        order: str = ORDER,
        parent: str | None = None,
        by_post: bool = False,
    ) -> Listing:
        """A list of whole rows; by POST where the URL would grow too long for the server."""
        path = f"{_RESOURCE}{quote(doctype)}"
        query = {
            "fields": _compact(_ALL_COLUMNS),
            "filters": _compact(filters),
            "order_by": order,
            "limit_page_length": str(limit),
        }
        if not by_post and len(path) + len(urlencode(query)) < _LONGEST_URL:
            return Listing(self._call("GET", path, query=query), under="data")
        body = {
            "doctype": doctype,
            "fields": _ALL_COLUMNS,
            "filters": filters,
            "order_by": order,
            "limit_start": 0,
            "limit_page_length": limit,
            **({"parent": parent} if parent else {}),
        }
        answer = self._call("POST", f"{_METHOD}frappe.client.get_list", body=msgspec.json.encode(body))
        return Listing(answer, under="message")

    def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        retries: Retries | None = None,
        missing_is_fine: bool = False,
    ) -> Answer:
        def judge(answer: Answer) -> ErpflowError | None:
            self._heed_budget(answer)
            if missing_is_fine and answer.status == 404 and says_missing(answer):
                return None
            return erpnext_errors.judge(answer)

        headers = {"Content-Type": "application/json"} if body is not None else None
        # Everything sent from here only reads, POST included.
        return self._transport.request(
            method, path, query=query, body=body, headers=headers, judge=judge, idempotent=True, retries=retries
        )

    def _heed_budget(self, answer: Answer) -> None:
        """Sites with a rate limit count microseconds of server time; once they are used up, every call is refused."""
        remaining, reset = answer.headers.get("X-RateLimit-Remaining"), answer.headers.get("X-RateLimit-Reset")
        if remaining is None or reset is None:
            return
        try:
            used_up, seconds = int(remaining) <= 0, float(reset)
        except ValueError:
            return
        if used_up and 0 < seconds <= 86_400:
            log.warning("rate_limit_used_up", host=self._transport.host, pause=seconds)
            self._transport.limiter.pause(seconds)

    def _site_zone(self) -> str:
        answer = self._call("GET", f"{_METHOD}frappe.client.get_time_zone")
        zone = decode(answer, SITE_ZONE).message.time_zone
        if not zone:
            raise ProtocolError(
                "The ERPNext site has no time zone. Set it in System Settings, so that times mean something."
            )
        return zone

    def _entity(self, entity: str) -> EntitySpec:
        found = ENTITIES.get(entity)
        if found is None:
            raise ConfigError(f"ERPNext has no entity {entity!r} here{suggestion(entity, ENTITIES)}")
        return found


def _compact(value: object) -> str:
    return msgspec.json.encode(value).decode()
