"""The side door of the Odoo-like ERP: what a person does in its screens, and the key that is revoked."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.control import refusing
from sandbox.odoo_demo.database import Database, complete
from sandbox.shelf import answer, decode, shelf_routes


def control_routes(database: Database) -> list[Route]:
    """Routes below `/_sandbox/odoo_demo/`: those of every shelf, and key (`{"revoked": true}`)."""

    async def key(request: Request) -> Response:
        database.expired = bool(decode(await request.body()).get("revoked"))
        return answer({"revoked": database.expired})

    return [*shelf_routes(database.shelf, complete=complete), Route("/key", refusing(key), methods=["POST"])]
