"""GSTR-1, the Indian return of outward supplies: generated from invoices and notes, looked at, submitted."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Request
from pydantic import Field

from erpflow.api.bodies import Answer
from erpflow.api.callers import Looking, Running
from erpflow.api.idempotency import IdempotentRoute
from erpflow.api.problems import not_found
from erpflow.api.surroundings import surroundings_of
from erpflow.api.vendors.gst_documents import WantedReturn
from erpflow.api.vendors.whose import own_connection
from erpflow.services.gst import returns
from erpflow.store import gst_returns
from erpflow.store.gst_returns import GstReturn as KeptReturn
from erpflow.vocabulary import GstReturnState

router = APIRouter(tags=["gst"], route_class=IdempotentRoute)

SYSTEM = "gst_portal"


class GstAmounts(Answer):
    """In rupees, credit notes taken off."""

    taxable: Decimal
    igst: Decimal
    cgst: Decimal
    sgst: Decimal
    cess: Decimal


class SectionTotal(GstAmounts):
    """The sums of one section. `rows` as the portal counts them; `value` of the whole documents."""

    section: str
    documents: int
    rows: int
    value: Decimal


class ReturnProblem(Answer):
    """What is wrong, of which document, in which field. What `blocks` keeps the return from being submitted."""

    document: str | None
    kind: str | None
    field: str
    code: str
    detail: str
    value: str | None
    blocks: bool


class GstReturn(Answer):
    """A return as it was generated, and how far it came at the portal.

    `books`: what the documents charged; `declared`: what the return says; `difference`: rounding, or to be explained.
    `left_out`: numbers of documents with a problem that blocks. `payload`: the portal's JSON, whose bytes have the
    SHA-256 `payload_digest`.
    """

    id: str
    gstin: str
    period: str
    state: GstReturnState
    can_be_submitted: bool
    sections: list[SectionTotal]
    documents: dict[str, int]
    value: Decimal
    books: GstAmounts
    declared: GstAmounts
    difference: GstAmounts
    problems: list[ReturnProblem]
    left_out: list[str]
    payload_digest: str
    payload: dict[str, Any] = Field(description="What is sent to the portal")
    created_by: str
    created_at: datetime
    updated_at: datetime


@router.post("/gstr1/generate", status_code=HTTPStatus.CREATED)
def generate_gstr1(request: Request, caller: Running, body: WantedReturn) -> GstReturn:
    """Make the GSTR-1 of a period out of invoices and notes, and keep it.

    Nothing is sent anywhere. Every problem of every document is named; documents with a problem that blocks are left
    out, and the return is kept but cannot be submitted.
    """
    around = surroundings_of(request)
    connection_id = None
    if body.connection_id is not None:
        connection_id = own_connection(around, caller, SYSTEM, body.connection_id).id
    books = body.books()
    with around.database.session(caller.tenant_id) as store:
        row = returns.keep(store, caller.tenant_id, books, by=caller.name, connection_id=connection_id)
    return _shown(row)


@router.get("/gstr1/{return_id}")
def get_gstr1(request: Request, caller: Looking, return_id: UUID) -> GstReturn:
    """A return that was generated, and where it stands."""
    with surroundings_of(request).database.session(caller.tenant_id) as store:
        row = gst_returns.get(store, str(return_id))
    if row is None:
        raise not_found("return", return_id)
    return _shown(row)


def _shown(row: KeptReturn) -> GstReturn:
    problems = [{**each, "code": each["rule"], "detail": each["message"]} for each in row.problems]
    return GstReturn.model_validate(
        {
            **row.totals,
            "id": row.id,
            "gstin": row.gstin,
            "period": row.period,
            "state": row.state,
            "can_be_submitted": not row.is_blocked,
            "problems": problems,
            "payload_digest": row.payload_digest,
            "payload": msgspec.json.decode(row.payload),
            "created_by": row.created_by,
            "created_at": row.created_at,
            "updated_at": row.updated_at,
        }
    )
