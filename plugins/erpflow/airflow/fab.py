"""What FAB's roles Viewer and User need to see erpflow's pages: `python -m erpflow.airflow.fab`.

With the FAB auth manager Airflow shows a plugin's pages to those who may read the list of plugins, and these two roles
may not. Roles that were changed by hand keep what they have; to run it again changes nothing.
Source: apache-airflow-providers-fab, auth_manager/security_manager/override.py.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any, Final

ROLES: Final = ("Viewer", "User")
READ: Final = "can_read"
PLUGINS: Final = "Plugins"
PROVIDER: Final = "apache-airflow-providers-fab"


def grant(security: Any, *, roles: tuple[str, ...] = ROLES) -> dict[str, str]:
    """Let roles read the list of plugins: what became of each. `security`: FAB's security manager."""
    permission = security.create_permission(READ, PLUGINS)
    told = {}
    for name in roles:
        role = security.find_role(name)
        if role is None:
            told[name] = "is not there"
        elif permission in role.permissions:
            told[name] = "could already"
        else:
            security.add_permission_to_role(role, permission)
            told[name] = "may now"
    return told


def main() -> int:
    """Grant it in this Airflow, and say what happened; 1 where FAB is not installed."""
    try:
        utils = import_module("airflow.providers.fab.auth_manager.cli_commands.utils")
    except ModuleNotFoundError:
        print(  # noqa: T201  (a command)
            f"{PROVIDER} is not installed here. With another auth manager there is nothing to grant.", file=sys.stderr
        )
        return 1
    with utils.get_application_builder() as builder:
        told = grant(builder.sm)
    for role, what in told.items():
        print(f"{role}: {what} ({READ} on {PLUGINS})")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
