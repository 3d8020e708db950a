"""Sales documents of Metakocka, imported and exported on demand: what they refer to goes first."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from decimal import Decimal
from typing import Annotated, Any
from uuid import uuid4

import msgspec
from fastapi import APIRouter, Path, Query, Request
from pydantic import Field

from erpflow.api.bodies import Answer, Body
from erpflow.api.callers import Caller, Looking, Running
from erpflow.api.problems import not_found
from erpflow.api.surroundings import Surroundings, surroundings_of
from erpflow.api.vendors.starting import Runs
from erpflow.api.vendors.whose import WhichConnection, own_connection
from erpflow.api.vendors.wording import PlainlyWorded
from erpflow.connectors.base import PageToken
from erpflow.connectors.metakocka_documents import parts_of
from erpflow.connectors.metakocka_related import DOCUMENT, IN_ORDER, DocumentHead, head_of, related_to
from erpflow.store import known_records
from erpflow.store.connections import ErpConnection
from erpflow.vocabulary import Direction, RemoteId, SyncConfigId, Window

router = APIRouter(tags=["metakocka"], route_class=PlainlyWorded)

SYSTEM = "metakocka"
DAG_ID = f"{SYSTEM}__documents"
"""Syncs contacts, products and documents one after the other."""

PATIENCE_S = 20.0
"""How long the list is looked for; what is not reached by then is the next page."""

_DECODER: msgspec.json.Decoder[dict[str, Any]] = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)

DocumentId = Annotated[
    str, Path(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_:.-]+$", description="Such as sales_order:1600129491")
]


class Unsynced(Answer):
    """A document that Metakocka has and that is not here yet. `total` as exact text."""

    id: str
    doc_type: str
    number: str | None
    doc_date: str | None
    partner: str | None
    total: str | None
    currency: str | None


class UnsyncedDocuments(Answer):
    """Some of them, and what to pass as `after` for more; null: there are no more."""

    success: bool = True
    items: list[Unsynced]
    next: str | None


class AllWanted(Body):
    """Everything again (`full`), or only what changed since the last run."""

    full: bool = False


class DocumentsRun(Answer):
    """A run that was started. `records`: what it is about by entity, where it is not about all that changed."""

    dag_id: str
    dag_run_id: str
    run_link: str | None
    direction: Direction
    records: dict[str, list[str]] = Field(default_factory=dict)


class DocumentsStarted(Answer):
    """What the caller is told."""

    success: bool = True
    message: str
    data: DocumentsRun


@router.get("/documents/unsynced")
def list_unsynced_documents(
    request: Request,
    caller: Looking,
    limit: Annotated[int, Query(ge=1, le=500, description="Reading stops with the page that reaches it")] = 100,
    after: Annotated[str | None, Query(max_length=2000)] = None,
    connection_id: WhichConnection = None,
) -> UnsyncedDocuments:
    """The documents that Metakocka has and that are not here, as it lists them; asked for now, and not kept."""
    runs = _runs(request, caller, connection_id)
    config_id = runs.config(DOCUMENT, None).id
    found: list[DocumentHead] = []
    token, until = after, time.monotonic() + PATIENCE_S
    with runs.around.connect(runs.row) as vendor:
        for page in vendor.read(DOCUMENT, Window(None, None), resume=PageToken(after) if after else None):
            records = [_decoded(raw) for raw in vendor.split(DOCUMENT, page.raw)]
            found += _not_here(runs, config_id, [head_of(record) for record in records if record.get("id")])
            token = page.next
            if token is None or len(found) >= limit or time.monotonic() > until:
                break
    return UnsyncedDocuments(items=[Unsynced(**asdict(head)) for head in found], next=token)


@router.post("/documents/import-all")
def import_all_documents(
    request: Request, caller: Running, body: AllWanted | None = None, connection_id: WhichConnection = None
) -> DocumentsStarted:
    """Start a pull of contacts, then products, then documents."""
    run = _start(_runs(request, caller, connection_id), Direction.PULL, full=bool(body and body.full))
    return DocumentsStarted(message="The import of documents has started", data=run)


@router.post("/documents/export-all")
def export_all_documents(
    request: Request, caller: Running, body: AllWanted | None = None, connection_id: WhichConnection = None
) -> DocumentsStarted:
    """Start a push of what changed here: contacts, then products, then documents."""
    run = _start(_runs(request, caller, connection_id), Direction.PUSH, full=bool(body and body.full))
    return DocumentsStarted(message="The export of documents has started", data=run)


@router.post("/documents/{document_id}/import")
def import_document(
    request: Request, caller: Running, document_id: DocumentId, connection_id: WhichConnection = None
) -> DocumentsStarted:
    """Start a pull of one document, behind the partner and the products that it refers to."""
    runs = _runs(request, caller, connection_id)
    record = None
    if parts_of(document_id) is not None:
        with runs.around.connect(runs.row) as vendor:
            record = vendor.read_one(DOCUMENT, RemoteId(document_id))
    if record is None:
        raise not_found("document at Metakocka", f"{document_id}; its id is the type and the number: sales_order:1600")
    run = _start(runs, Direction.PULL, records={**related_to(record), DOCUMENT: [document_id]})
    return DocumentsStarted(message=f"The import of {document_id} has started", data=run)


@router.post("/documents/{document_id}/export")
def export_document(
    request: Request, caller: Running, document_id: DocumentId, connection_id: WhichConnection = None
) -> DocumentsStarted:
    """Start a push of one document, by its key here or its id at Metakocka, behind changed contacts and products."""
    runs = _runs(request, caller, connection_id)
    key = document_id
    if parts_of(document_id) is not None:
        with runs.around.database.session(caller.tenant_id) as connection:
            known = known_records.rows_of(connection, runs.config(DOCUMENT, Direction.PUSH).id, [document_id])
        if document_id not in known:
            raise not_found("document here with the id", f"{document_id}; import it first")
        key = known[document_id]
    run = _start(runs, Direction.PUSH, records={DOCUMENT: [key]})
    return DocumentsStarted(message=f"The export of {document_id} has started", data=run)


def _decoded(raw: bytes | msgspec.Raw) -> Mapping[str, Any]:
    return _DECODER.decode(raw)


def _runs(request: Request, caller: Caller, connection_id: WhichConnection) -> Runs:
    around: Surroundings = surroundings_of(request)
    row: ErpConnection = own_connection(around, caller, SYSTEM, connection_id)
    return Runs(around, caller, row)


def _start(
    runs: Runs, direction: Direction, *, full: bool = False, records: dict[str, list[str]] | None = None
) -> DocumentsRun:
    configs = {entity: runs.config(entity, direction).id for entity in IN_ORDER}
    conf: dict[str, Any] = {
        "configs": configs, "direction": direction.value, "full": full, "records": records or {},
    }  # fmt: skip
    run_id = runs.around.orchestrator.trigger(DAG_ID, conf=conf, run_id=f"api__{uuid4()}", by=runs.caller.name)
    return DocumentsRun(
        dag_id=DAG_ID,
        dag_run_id=run_id,
        run_link=runs.around.orchestrator.run_link(DAG_ID, run_id),
        direction=direction,
        records=records or {},
    )


def _not_here(runs: Runs, config_id: SyncConfigId, heads: list[DocumentHead]) -> list[DocumentHead]:
    with runs.around.database.session(runs.caller.tenant_id) as connection:
        known = known_records.rows_of(connection, config_id, [head.id for head in heads])
    return [head for head in heads if head.id not in known]
