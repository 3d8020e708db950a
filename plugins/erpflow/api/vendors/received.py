"""Addresses that vendors of all tenants share: the secret that a request proves tells whose it is."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Depends, Request

from erpflow.api.bodies import After, Limit, Page, page_of
from erpflow.api.callers import Looking
from erpflow.api.receiving import Delivered, Receipt, delivered, take_in_for
from erpflow.api.routers.webhooks import WebhookEvent
from erpflow.api.surroundings import surroundings_of
from erpflow.store import listing, webhook_events

erpnext = APIRouter(tags=["erpnext"])
razorpay = APIRouter(tags=["razorpay"])

Came = Annotated[Delivered, Depends(delivered)]


@erpnext.post("/customers", status_code=HTTPStatus.ACCEPTED)
def receive_erpnext_customers(request: Request, came: Came, later: BackgroundTasks) -> Receipt:
    """For ERPNext sites: verified against the secret of each of their webhooks, kept, then answered."""
    return take_in_for(request, "erpnext", came, later)


@erpnext.get("/customers")
def list_erpnext_customer_events(
    request: Request, caller: Looking, limit: Limit = 50, after: After = None
) -> Page[WebhookEvent]:
    """What ERPNext told of customers, the newest first."""
    with surroundings_of(request).database.session(caller.tenant_id) as connection:
        found: tuple[list[dict[str, Any]], str | None] = listing.page(
            connection, webhook_events.LISTING, limit=limit, after=after, system="erpnext", entity="customer"
        )
    return Page[WebhookEvent].model_validate(page_of(found))


@razorpay.post("/razorpay", status_code=HTTPStatus.ACCEPTED)
def receive_razorpay(request: Request, came: Came, later: BackgroundTasks) -> Receipt:
    """For Razorpay: verified, kept once per event id, then answered."""
    return take_in_for(request, "razorpay", came, later)
