"""ERPNext's own webhooks, made in the site by one call: a Webhook document for each synced DocType and event."""

from __future__ import annotations

from fastapi import APIRouter, Request

from erpflow.api.bodies import Answer
from erpflow.api.callers import Configuring, Looking
from erpflow.api.problems import not_found
from erpflow.api.routers import webhook_setup
from erpflow.api.routers.webhook_setup import VendorSide
from erpflow.api.surroundings import surroundings_of
from erpflow.api.vendors.whose import WhichConnection, own_connection
from erpflow.api.vendors.wording import PlainlyWorded
from erpflow.connectors.erpnext import ErpNext
from erpflow.store import configs, webhooks
from erpflow.webhooks.systems import SYSTEMS

router = APIRouter(tags=["erpnext"], route_class=PlainlyWorded)

SYSTEM = "erpnext"
NAME = "ERPNext"
"""The name of the webhook that these routes keep; a connection has one."""


class ErpNextWebhooks(Answer):
    """The webhooks of a site, document by document."""

    success: bool
    message: str
    data: VendorSide


@router.post("/setup")
def set_up_erpnext_webhooks(
    request: Request, caller: Configuring, connection_id: WhichConnection = None
) -> ErpNextWebhooks:
    """Make or mend the Webhook documents of every synced DocType; done twice they are there once.

    They carry a secret that is made here, kept encrypted and shown nowhere.
    """
    around = surroundings_of(request)
    row = own_connection(around, caller, SYSTEM, connection_id)
    with around.database.session(caller.tenant_id) as connection:
        synced = configs.entities(connection, row.id)
        entities = [name for name in ErpNext.spec.entities if name in synced] or list(ErpNext.spec.entities)
        signed = SYSTEMS[SYSTEM].verification.model_dump(mode="json")
        webhook = webhooks.ensure_webhook(connection, row.id, NAME, entities=entities, verification=signed)
    if webhook is None:
        raise not_found("connection", row.id)
    return _answer(webhook_setup.set_up(around, webhook))


@router.get("/setup")
def get_erpnext_webhooks(request: Request, caller: Looking, connection_id: WhichConnection = None) -> ErpNextWebhooks:
    """Which Webhook documents are in the site, whether each would call us, and when one last did."""
    around = surroundings_of(request)
    row = own_connection(around, caller, SYSTEM, connection_id)
    with around.database.session(caller.tenant_id) as connection:
        webhook = webhooks.webhook_named(connection, row.id, NAME)
    if webhook is None:
        raise not_found("webhook of the connection", f'"{row.name}"; set it up with a POST')
    return _answer(webhook_setup.status_of(around, webhook))


def _answer(side: VendorSide) -> ErpNextWebhooks:
    missing = [part.name for part in side.parts if not part.works]
    message = f"Not in order: {', '.join(missing)}" if missing else f"{len(side.parts)} webhooks are set up"
    return ErpNextWebhooks(success=not missing, message=message, data=side)
