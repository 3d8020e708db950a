"""What Airflow loads at start: the HTTP apps, and the link from each task to its sync log."""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin

from erpflow.airflow import environment
from erpflow.airflow.links import SyncLogLink
from erpflow.airflow.notify import base_url
from erpflow.airflow.people import person
from erpflow.airflow.triggering import InProcess
from erpflow.api.app import create_app, create_vendor_apps
from erpflow.api.surroundings import Surroundings
from erpflow.store.tenancy import TenantDatabase


def _surroundings() -> Surroundings:
    return Surroundings(
        database=TenantDatabase(environment.database),
        vault=environment.vault,
        cipher=environment.cipher,
        connect=environment.connect,
        engine=environment.engine,
        mappings=environment.mappings_folder(),
        orchestrator=InProcess(),
        person=person,
        public_url=base_url(),
    )


def _apps() -> list[dict[str, Any]]:
    around = _surroundings()
    vendors = create_vendor_apps(around)
    return [
        {"app": create_app(around), "url_prefix": "/api/erp", "name": "erpflow"},
        *({"app": app, "url_prefix": prefix, "name": f"erpflow {prefix}"} for prefix, app in vendors.items()),
    ]


class ErpflowPlugin(AirflowPlugin):
    """The plugin's name and parts. Source: Airflow's "Plugins" page."""

    name = "erpflow"
    fastapi_apps: list[dict[str, Any]] = _apps()
    operator_extra_links: list[Any] = [SyncLogLink()]  # noqa: RUF012
