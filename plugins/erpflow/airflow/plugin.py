"""What Airflow loads at start: the HTTP apps, and the link from each task to its sync log."""

from __future__ import annotations

from functools import cache
from typing import Any

from airflow.plugins_manager import AirflowPlugin

from erpflow.airflow.links import SyncLogLink


@cache
def apps() -> list[dict[str, Any]]:
    """The apps that the API server mounts. Only it asks for them: tasks load this plugin too, and must not wait."""
    from erpflow.airflow import environment
    from erpflow.airflow.notify import base_url
    from erpflow.airflow.people import person
    from erpflow.airflow.triggering import InProcess
    from erpflow.api.app import API, create_app, create_vendor_apps
    from erpflow.api.surroundings import Surroundings
    from erpflow.store.tenancy import TenantDatabase

    around = Surroundings(
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
    vendors = create_vendor_apps(around)
    return [
        {"app": create_app(around), "url_prefix": API, "name": "erpflow"},
        *({"app": app, "url_prefix": prefix, "name": f"erpflow {prefix}"} for prefix, app in vendors.items()),
    ]


class _Apps:
    """`fastapi_apps`, made when it is looked at."""

    def __get__(self, _plugin: object, _owner: type) -> list[dict[str, Any]]:
        return apps()


class ErpflowPlugin(AirflowPlugin):
    """The plugin's name and parts. Source: Airflow's "Plugins" page."""

    name = "erpflow"
    fastapi_apps = _Apps()
    operator_extra_links: list[Any] = [SyncLogLink()]  # noqa: RUF012
