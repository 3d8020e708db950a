"""What Airflow's provider manager asks of the package: its connection types and their forms."""

from __future__ import annotations

from typing import Any

from erpflow import __version__


def get_provider_info() -> dict[str, Any]:
    """The provider's metadata. Source: Airflow's provider.yaml schema."""
    from erpflow.airflow.hooks import all_hooks

    return {
        "package-name": "erpflow",
        "name": "erpflow",
        "description": "Keeps an application's Postgres tables and its ERPs in step, both ways.",
        "versions": [__version__],
        "connection-types": [
            {
                "hook-class-name": f"{hook.__module__}.{hook.__qualname__}",
                "hook-name": hook.hook_name,
                "connection-type": hook.conn_type,
                "ui-field-behaviour": hook.FORM,
                "conn-fields": hook.FIELDS,
            }
            for hook in all_hooks().values()
        ],
    }
