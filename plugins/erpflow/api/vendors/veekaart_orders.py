"""Orders that a VeeKaart store posts: each becomes a draft invoice, and the store waits for the answer.

Source: the interchange contract, "Order webhook" (docs/systems/veekaart.md), paths and texts as observed.
"""

from __future__ import annotations

from decimal import Decimal
from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from erpflow.api.bodies import Answer
from erpflow.api.callers import Caller, Running
from erpflow.api.surroundings import Surroundings, surroundings_of
from erpflow.api.vendors.whose import WhichConnection, own_connection
from erpflow.api.vendors.wording import FAILED, PlainlyWorded, refusal
from erpflow.connectors import veekaart_orders
from erpflow.connectors.registry import connector_class
from erpflow.connectors.veekaart_orders import MISSING, UNREADABLE
from erpflow.errors import ConfigError, RecordRejected
from erpflow.store.connections import ErpConnection
from erpflow.sync.receiving import DocumentConflict, Posted, Receiver, Taken
from erpflow.vocabulary import RemoteId

router = APIRouter(tags=["veekaart"], route_class=PlainlyWorded)

SYSTEM = "veekaart"
LARGEST = 1024 * 1024
"""Bytes of an order. Source: the contract, rule 7."""

RECEIVED = "Order received and invoice created"
UPDATED = "Order received and invoice updated"
KNOWN = "Order was received before"

_ENCODER = msgspec.json.Encoder(decimal_format="number")

_AMOUNT: Final = {"anyOf": [{"type": "number"}, {"type": "string"}]}
_ORDER: Final[dict[str, Any]] = {
    "type": "object",
    "required": list(veekaart_orders.REQUIRED),
    "properties": {
        "event": {"type": "string", "description": f"`{veekaart_orders.UPDATED}` replaces a draft"},
        "order_id": {"type": "string", "minLength": 1, "maxLength": veekaart_orders.LONGEST_ID},
        "customer": {"type": "object", "minProperties": 1},
        "items": {
            "type": "array",
            "minItems": 1,
            "maxItems": veekaart_orders.LINES_AT_MOST,
            "items": {
                "type": "object",
                "required": ["quantity", "price"],
                "properties": {"sku": {"type": "string"}, "quantity": _AMOUNT, "price": _AMOUNT},
            },
        },
        "tax_amount": _AMOUNT,
        "discount_amount": _AMOUNT,
        "total_amount": _AMOUNT,
    },
}
"""The body for the OpenAPI. It is read as it came, since a float would lose digits of the amounts."""


class OrderDocument(Answer):
    """The draft invoice of an order."""

    document_id: str
    document_number: str
    order_id: str
    customer_id: str | None
    items_count: int
    total_amount: Decimal


class OrderReceived(Answer):
    """What the store is told. `duplicate`: the order came before, and this is its document."""

    success: bool
    message: str
    data: OrderDocument
    duplicate: bool = False


async def _raw(request: Request) -> bytes:
    return await request.body()


RawBody = Annotated[bytes, Depends(_raw)]


@router.post(
    "/orders",
    response_model=OrderReceived,
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": _ORDER}}}},
)
def receive_veekaart_order(
    request: Request, caller: Running, body: RawBody, connection_id: WhichConnection = None
) -> Response:
    """Take an order: its customer is found by e-mail or made, and a draft invoice with its items, all or nothing.

    The same order again answers the same document with `"duplicate": true`; with another total it is a 409, unless it
    says `"event": "order.updated"` and the document is still a draft.
    """
    if len(body) > LARGEST:
        return refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"An order has {LARGEST:,} bytes at most.")
    around = surroundings_of(request)
    row = own_connection(around, caller, SYSTEM, connection_id)
    receiver = _receiver(around, caller, row)
    try:
        order = _read(receiver, body)
        taken = receiver.take(order)
    except DocumentConflict as conflict:
        return refusal(HTTPStatus.CONFLICT, str(conflict), code="order_conflict")
    except RecordRejected as rejected:
        if rejected.problems[0].rule in (MISSING, UNREADABLE):
            return refusal(HTTPStatus.BAD_REQUEST, rejected.problems[0].message)
        raise
    except ConfigError as error:
        # Ours to put right: the store keeps the order and sends it again.
        return refusal(HTTPStatus.INTERNAL_SERVER_ERROR, FAILED, details=str(error))
    return _answer(order, taken)


@router.api_route("/orders", methods=["GET", "PUT", "PATCH", "DELETE"], include_in_schema=False)
def refuse_method_on_veekaart_orders() -> Response:
    """Orders are posted."""
    return refusal(HTTPStatus.METHOD_NOT_ALLOWED, "Method not allowed")


def _receiver(around: Surroundings, caller: Caller, row: ErpConnection) -> Receiver:
    return Receiver(
        around.database.database,
        connector_class(SYSTEM),
        around.mappings,
        row.id,
        document="order",
        partner="customer",
        encode=veekaart_orders.encode,
        triggered_by=caller.name,
    )


def _read(receiver: Receiver, body: bytes) -> Posted:
    """The order of a body; one that is none is kept among the rejects if it says at least what it is called."""
    try:
        order = veekaart_orders.order_of(body)
    except RecordRejected as rejected:
        order_id = veekaart_orders.order_id_of(body)
        if order_id is not None:
            receiver.refuse(order_id, body, rejected)
        raise
    return Posted(
        body=body,
        document_id=RemoteId(order.order_id),
        document=order.order,
        partner_id=RemoteId(order.customer_id),
        partner=order.customer,
        total=order.total,
        draft=veekaart_orders.DRAFT,
        replaces=order.replaces,
    )


def _answer(order: Posted, taken: Taken) -> Response:
    message = KNOWN if taken.duplicate else UPDATED if order.replaces else RECEIVED
    said = {
        "success": True,
        "message": message,
        "data": {
            "document_id": taken.document_id,
            "document_number": taken.number,
            "order_id": order.document_id,
            "customer_id": taken.partner_id,
            "items_count": taken.lines,
            "total_amount": taken.total,
        },
        "duplicate": taken.duplicate,
    }
    return Response(_ENCODER.encode(said), media_type="application/json")
