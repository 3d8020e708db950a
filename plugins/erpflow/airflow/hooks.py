"""A connection type per system, on the http provider's hook: it builds the session, our transport does the rest."""

from __future__ import annotations

from typing import Any, ClassVar

from airflow.providers.http.hooks.http import HttpHook

from erpflow.errors import ConfigError, suggestion


class ErpNextHook(HttpHook):
    """ERPNext: the login is the API key, the password the API secret; they go as `Authorization: token key:secret`."""

    conn_type = "erpnext"
    conn_name_attr = "http_conn_id"
    default_conn_name = "erpnext_default"
    hook_name = "ERPNext"

    FORM: ClassVar[dict[str, Any]] = {
        "hidden-fields": ["schema", "extra"],
        "relabeling": {"host": "Site URL", "login": "API key", "password": "API secret"},
        "placeholders": {"host": "https://erp.example.com"},
    }
    FIELDS: ClassVar[dict[str, Any]] = {
        # The http provider's hook sends what it does not know in a connection's extra as a header.
        "X-Frappe-Site-Name": {
            "label": "Site name",
            "description": "Only when several sites share one address.",
            "schema": {"type": ["string", "null"]},
        },
    }


HOOKS: dict[str, type[ErpNextHook]] = {"erpnext": ErpNextHook}


def hook_class(system: str) -> type[ErpNextHook]:
    """The hook of a system. Raises ConfigError with the nearest name when there is none."""
    try:
        return HOOKS[system]
    except KeyError:
        raise ConfigError(f'There is no connection type for the system "{system}"{suggestion(system, HOOKS)}') from None
