"""GSTR-1, the Indian return of outward supplies: generated from invoices and notes, looked at, submitted."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Request
from pydantic import Field, SecretStr

from erpflow.api.bodies import Answer, Body
from erpflow.api.callers import Looking, Running
from erpflow.api.idempotency import IdempotentRoute
from erpflow.api.problems import ApiError, not_found
from erpflow.api.surroundings import surroundings_of
from erpflow.api.vendors.gst_documents import WantedReturn
from erpflow.api.vendors.whose import own_connection
from erpflow.connectors.gst_portal import GstPortal
from erpflow.connectors.gst_portal_errors import OtpRefused, PortalRefused
from erpflow.services.gst import returns
from erpflow.services.gst.gstin import PAN
from erpflow.services.gst.sessions import OtpNeeded, Sessions
from erpflow.services.gst.submitting import NotSubmittable, Signature, Submitter
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


class RowError(Answer):
    """Why the portal refuses documents of one section (empty: the whole of what was sent)."""

    section: str
    code: str
    message: str
    documents: list[str]


class Difference(Answer):
    """One number that the portal has otherwise."""

    section: str
    field: str
    ours: str
    portals: str


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
    message: str | None = Field(description="What to know, or to do next")
    reference_ids: list[str] = Field(description="The portal's references of what was saved and made ready")
    row_errors: list[RowError] = Field(description="Rows that the portal refuses; it has saved the others")
    differences: list[Difference] = Field(description="Where the portal's sums are not those of the return")
    arn: str | None = Field(description="Acknowledgement number of the filed return")
    filing_by: str | None = Field(description="Who had it filed")
    filing_at: datetime | None
    filed_at: datetime | None
    created_by: str
    created_at: datetime
    updated_at: datetime


class FilingWanted(Body):
    """A person's word that the return is to be filed: the PAN of the signatory, and the EVC OTP that was sent to them.

    Without `evc_otp` the portal is asked to send one.
    """

    pan: str = Field(pattern=rf"^{PAN.pattern}$", max_length=10)
    evc_otp: SecretStr | None = Field(default=None, min_length=4, max_length=10)


class WantedSubmission(Body):
    """Which return is to go on. `otp`: of the portal's session; `reset`: wipe what is saved there for the period first.

    `connection_id` when there are several connections to the portal and the return was generated without one.
    """

    return_id: UUID
    otp: SecretStr | None = Field(default=None, min_length=4, max_length=10)
    reset: bool = False
    file: FilingWanted | None = None
    connection_id: UUID | None = None


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
    made = returns.made_of(books)
    with around.database.session(caller.tenant_id) as store:
        row = returns.keep(store, caller.tenant_id, books.filer, made, by=caller.name, connection_id=connection_id)
    return _shown(row)


@router.get("/gstr1/{return_id}")
def get_gstr1(request: Request, caller: Looking, return_id: UUID) -> GstReturn:
    """A return that was generated, and where it stands."""
    with surroundings_of(request).database.session(caller.tenant_id) as store:
        row = gst_returns.get(store, str(return_id))
    if row is None:
        raise not_found("return", return_id)
    return _shown(row)


@router.post("/gstr1/submit")
def submit_gstr1(request: Request, caller: Running, body: WantedSubmission) -> GstReturn:
    """Take a return through the portal: saved, polled, made ready, its sums compared; filed only with `file`.

    The same request, sent again, goes on from where the return stands, and never files twice. Without an open session
    the portal sends an OTP, and the answer is 409 `otp_needed`: send the request again with `otp`. `file` without
    `evc_otp` is answered with 409 `evc_otp_needed`. `state` says how far it came, `message` what to do.
    """
    around = surroundings_of(request)
    with around.database.session(caller.tenant_id) as store:
        row = gst_returns.get(store, str(body.return_id))
    if row is None:
        raise not_found("return", body.return_id)
    which = body.connection_id or (UUID(row.connection_id) if row.connection_id else None)
    account = own_connection(around, caller, SYSTEM, which)
    sessions = Sessions(around.database, caller.tenant_id, account.id, cipher=around.cipher())
    signature = Signature(body.file.pan, _revealed(body.file.evc_otp)) if body.file else None
    with around.connect(account) as portal:
        if not isinstance(portal, GstPortal):
            raise ApiError(HTTPStatus.CONFLICT, "other_system", "The connection is not one to the GST portal.")
        submitter = Submitter(
            around.database, caller.tenant_id, portal, sessions, connection_id=account.id, by=caller.name
        )
        try:
            return _shown(submitter.submit(row, otp=_revealed(body.otp), reset=body.reset, signature=signature))
        except (OtpNeeded, NotSubmittable) as error:
            raise ApiError(HTTPStatus.CONFLICT, error.code, str(error)) from None
        except OtpRefused as error:
            raise ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "otp_refused", str(error)) from None
        except PortalRefused as error:
            raise ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "portal_refused", str(error)) from None


def _revealed(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret is not None else None


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
            "message": row.message,
            "reference_ids": _references(row.progress),
            "row_errors": row.row_errors,
            "differences": row.differences,
            "arn": row.arn,
            "filing_by": row.filing_by,
            "filing_at": row.filing_at,
            "filed_at": row.filed_at,
            "created_by": row.created_by,
            "created_at": row.created_at,
            "updated_at": row.updated_at,
        }
    )


def _references(progress: dict[str, Any]) -> list[str]:
    steps = [*progress.get("chunks", []), progress.get("proceed", {})]
    return [step["reference"] for step in steps if step.get("reference")]
