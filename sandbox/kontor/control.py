"""The side door of Kontor: what a person does in its screens, and its switches."""

from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.control import refusing
from sandbox.kontor.store import Office, complete
from sandbox.shelf import Row, answer, decode, shelf_routes


def control_routes(office: Office) -> list[Route]:
    """Routes below `/_sandbox/kontor/`: those of every shelf, and switches."""

    def whole(table: str, row: Row) -> Row:
        return complete(table, row, office.shelf)

    async def switch(request: Request) -> Response:
        given = decode(await request.body())
        for name, value in given.items():
            if name not in asdict(office.switches):
                raise ValueError(f"There is no switch {name!r}.")
            setattr(office.switches, name, value)
        return answer(asdict(office.switches))

    return [*shelf_routes(office.shelf, complete=whole), Route("/switches", refusing(switch), methods=["POST"])]
