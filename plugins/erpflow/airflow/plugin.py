"""What Airflow loads at start: the HTTP app under /api/erp and the link from each task to its sync log."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.core_api.security import GetUserDep
from airflow.plugins_manager import AirflowPlugin
from fastapi import HTTPException

from erpflow.airflow.environment import database
from erpflow.airflow.links import SyncLogLink
from erpflow.api.app import create_app


def may_look(user: GetUserDep) -> None:
    """Whoever may read DAGs may read sync logs. Raises 403 for everybody else (401 without a login: Airflow's own)."""
    if not get_auth_manager().is_authorized_dag(method="GET", user=user):
        raise HTTPException(403, "Reading sync logs needs the right to read DAGs.")


class ErpflowPlugin(AirflowPlugin):
    """The plugin's name and parts. Source: Airflow's "Plugins" page."""

    name = "erpflow"
    fastapi_apps: list[dict[str, Any]] = [  # noqa: RUF012  # as the base class declares it
        {"app": create_app(database=database, may_look=may_look), "url_prefix": "/api/erp", "name": "erpflow"}
    ]
    operator_extra_links: list[Any] = [SyncLogLink()]  # noqa: RUF012
