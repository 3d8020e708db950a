"""What an accounting system asks of its VeeKaart connection: push products, stock or prices now, or try it out."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import Field

from erpflow.api.bodies import Answer
from erpflow.api.callers import Caller, Running
from erpflow.api.surroundings import surroundings_of
from erpflow.api.vendors.starting import Runs, Started, Wanted
from erpflow.api.vendors.whose import WhichConnection, own_connection
from erpflow.api.vendors.wording import PlainlyWorded, refusal
from erpflow.services import connecting
from erpflow.vocabulary import Direction

router = APIRouter(tags=["veekaart"], route_class=PlainlyWorded)

SYSTEM = "veekaart"


class PushWanted(Wanted):
    """What is pushed: what changed, everything (`full`), or the rows with these keys here (`records`)."""

    records: list[str] = Field(default=[], max_length=1_000, description="Only these rows, by their keys here")


class TriedAccount(Answer):
    """The store that answered, and how long that took in seconds."""

    account: str | None
    latency: float


class Tried(Answer):
    """What became of a connection test."""

    success: bool
    message: str
    data: TriedAccount


@router.post("/push-products")
def push_veekaart_products(
    request: Request, caller: Running, body: PushWanted | None = None, connection_id: WhichConnection = None
) -> Started:
    """Start a push of products; those without a change are not sent."""
    return _push(request, caller, "product", body, connection_id)


@router.post("/push-inventory")
def push_veekaart_inventory(
    request: Request, caller: Running, body: PushWanted | None = None, connection_id: WhichConnection = None
) -> Started:
    """Start a push of stock; a product has to be at the store before its stock."""
    return _push(request, caller, "inventory", body, connection_id)


@router.post("/push-pricing")
def push_veekaart_pricing(
    request: Request, caller: Running, body: PushWanted | None = None, connection_id: WhichConnection = None
) -> Started:
    """Start a push of prices; a product has to be at the store before its price."""
    return _push(request, caller, "price", body, connection_id)


@router.post("/test-connection", response_model=Tried)
def test_veekaart_connection(
    request: Request, caller: Running, connection_id: WhichConnection = None
) -> Tried | Response:
    """Ask the store who we are, with the key that is kept; the connection's status says so afterwards."""
    around = surroundings_of(request)
    row = own_connection(around, caller, SYSTEM, connection_id)
    result = connecting.check_account(around.database, row, connect=around.connect, tenant_id=caller.tenant_id).result
    if not result.success:
        return refusal(HTTPStatus.BAD_GATEWAY, result.message, code="not_connected")
    return Tried(
        success=True, message=result.message, data=TriedAccount(account=result.account, latency=result.latency)
    )


def _push(
    request: Request, caller: Caller, entity: str, body: PushWanted | None, connection_id: WhichConnection
) -> Started:
    around = surroundings_of(request)
    runs = Runs(around, caller, own_connection(around, caller, SYSTEM, connection_id))
    runs.check_company(body)
    wanted = body or PushWanted()
    run = runs.start(entity, Direction.PUSH, full=wanted.full, records=wanted.records)
    return Started(message=f"The push of {entity} has started", data=[run])
