"""A connection type for each declared connector: `erpflow.airflow.declared_hooks.<system>`, made when asked for."""

from __future__ import annotations

from functools import cache
from typing import Any

import structlog

from erpflow.airflow.hooks import VendorHook
from erpflow.connectors.network import SETTING
from erpflow.connectors.rest.files import find_declarations
from erpflow.connectors.rest.load import load_declaration
from erpflow.connectors.rest.model import Declaration
from erpflow.errors import ConfigError

log = structlog.get_logger(__name__)


def declared_hooks() -> dict[str, type[VendorHook]]:
    """The hooks of all declarations that load. A broken one is named in the log, and takes no other with it."""
    found: dict[str, type[VendorHook]] = {}
    for system in find_declarations():
        try:
            found[system] = declared_hook(system)
        except ConfigError as error:
            log.warning("connector_not_declared", system=system, reason=str(error))
    return found


@cache
def declared_hook(system: str) -> type[VendorHook]:
    """The hook of a declared system. Raises ConfigError when its file has a mistake, KeyError when there is none."""
    declaration = load_declaration(find_declarations()[system])
    members: dict[str, Any] = {
        "conn_type": system,
        "conn_name_attr": "http_conn_id",
        "default_conn_name": f"{system}_default",
        "hook_name": declaration.title,
        "FORM": _form(declaration),
        "FIELDS": _fields(declaration),
        "__module__": __name__,
        "__doc__": f"{declaration.title}, as its file declares it.",
    }
    return type(system, (VendorHook,), members)


def __getattr__(name: str) -> type[VendorHook]:
    """Airflow imports a hook by its dotted name."""
    if name.startswith("_") or name not in find_declarations():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return declared_hook(name)


def _form(declaration: Declaration) -> dict[str, Any]:
    form = declaration.form
    labels = {"host": form.host, "login": form.login, "password": form.password}
    return {
        "hidden-fields": ["schema", "extra", *(name for name, label in labels.items() if label is None)],
        "relabeling": {name: label for name, label in labels.items() if label is not None},
        "placeholders": {"host": form.placeholder},
    }


def _fields(declaration: Declaration) -> dict[str, Any]:
    fields: dict[str, Any] = {
        name: {
            "label": setting.title,
            "description": setting.description,
            "schema": {"type": "string" if setting.required else ["string", "null"]},
        }
        for name, setting in declaration.settings.items()
    }
    fields[SETTING] = {
        "label": "Allow private networks",
        "description": "Only if the address is inside your own network.",
        "schema": {"type": ["boolean", "null"]},
    }
    return fields
