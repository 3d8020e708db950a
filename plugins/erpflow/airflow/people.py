"""Airflow's users as callers of the API: who is logged in, and what the auth manager lets them do.

Only questions that every auth manager answers alike: SimpleAuth and FAB were compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import ConnectionDetails, DagAccessEntity
from airflow.api_fastapi.core_api.security import bearer_scheme, get_user
from starlette.concurrency import run_in_threadpool

from erpflow.airflow.environment import DATABASE_CONNECTION
from erpflow.api.rights import Right
from erpflow.api.surroundings import Person

if TYPE_CHECKING:
    from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
    from starlette.requests import Request


async def person(request: Request) -> Person | None:
    """Whoever is logged in to Airflow, by bearer token or cookie. Raises Airflow's own 401 and 403 otherwise."""
    user = await get_user(request, None, await bearer_scheme(request))
    return Person(user.get_name(), await run_in_threadpool(rights, user))


def rights(user: BaseUser) -> frozenset[Right]:
    """Look: may read DAGs. Run: may start DAG runs. Resolve: may answer for tasks. Configure: may edit connections."""
    manager = get_auth_manager()
    known = ConnectionDetails(conn_id=DATABASE_CONNECTION)
    allowed = {
        Right.LOOK: manager.is_authorized_dag(method="GET", user=user),
        Right.RUN: manager.is_authorized_dag(method="POST", access_entity=DagAccessEntity.RUN, user=user),
        Right.RESOLVE: manager.is_authorized_dag(method="PUT", access_entity=DagAccessEntity.HITL_DETAIL, user=user),
        Right.CONFIGURE: manager.is_authorized_connection(method="PUT", details=known, user=user),
    }
    return frozenset(right for right, may in allowed.items() if may)
