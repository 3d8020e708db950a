"""Which of the caller's connections a vendor's route is about: the only one of the system, or the one that is named."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import Query

from erpflow.api.callers import Caller
from erpflow.api.problems import ApiError
from erpflow.api.surroundings import Surroundings
from erpflow.store import connections
from erpflow.store.connections import ConnectionStatus, ErpConnection

WhichConnection = Annotated[
    UUID | None, Query(description="The connection it is about; needed when there are several of this system")
]


def own_connection(around: Surroundings, caller: Caller, system: str, connection_id: UUID | None) -> ErpConnection:
    """The caller's connection to a system. Raises 404 when there is none, 409 when it is not clear which, or off."""
    with around.database.session(caller.tenant_id) as connection:
        found = connections.list_connections(connection, tenant_id=caller.tenant_id, system=system)
    if connection_id is not None:
        found = [each for each in found if each.id == str(connection_id)]
    if not found:
        which = f" {connection_id}" if connection_id is not None else ""
        raise ApiError(HTTPStatus.NOT_FOUND, "not_found", f"There is no connection{which} to {system}. Add one first.")
    if len(found) > 1:
        names = ", ".join(f"{each.name} ({each.id})" for each in found)
        raise ApiError(
            HTTPStatus.CONFLICT,
            "several_connections",
            f"There are several connections to {system}: {names}. Say which one with connection_id.",
            field="connection_id",
        )
    if found[0].status is ConnectionStatus.DISABLED:
        raise ApiError(
            HTTPStatus.CONFLICT, "disabled", f'The connection "{found[0].name}" is switched off. Switch it on first.'
        )
    return found[0]
