"""Which connectors there are: erpflow's own, those that installed packages add under `erpflow.connectors`, and those
that YAML files declare (`include/connectors`).

Nothing is imported before it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Final

import requests

from erpflow.connectors.base import Connector
from erpflow.connectors.limiter import Limiter, LocalLimiter
from erpflow.connectors.transport import Transport
from erpflow.errors import ConfigError, suggestion

ENTRY_POINT_GROUP: Final = "erpflow.connectors"
_BUILT_IN: Final = {
    "aws_textract": "erpflow.connectors.aws_textract:AwsTextract",
    "erpnext": "erpflow.connectors.erpnext:ErpNext",
    "gst_portal": "erpflow.connectors.gst_portal:GstPortal",
    "metakocka": "erpflow.connectors.metakocka:Metakocka",
    "msg91": "erpflow.connectors.msg91:Msg91",
    "tally": "erpflow.connectors.tally:Tally",
    "veekaart": "erpflow.connectors.veekaart:VeeKaart",
    "quickbooks": "erpflow.connectors.quickbooks:QuickBooks",
    "razorpay": "erpflow.connectors.razorpay:Razorpay",
    "sap_b1": "erpflow.connectors.sap_b1:SapB1",
    "sendgrid": "erpflow.connectors.sendgrid:SendGrid",
    "zoho_crm": "erpflow.connectors.zoho_crm:ZohoCrm",
}


def systems() -> tuple[str, ...]:
    """The names of every system there is a connector for, sorted."""
    return tuple(sorted({*written_systems(), *_declared()}))


def written_systems() -> tuple[str, ...]:
    """Those whose connector is written in Python: a declaration may not take their names."""
    return tuple(sorted({*_BUILT_IN, *_added()}))


@cache
def connector_class(system: str) -> type[Connector]:
    """The connector of a system. Raises ConfigError for an unknown one, naming the nearest, and for a broken one."""
    if system in _BUILT_IN:
        module, _, name = _BUILT_IN[system].partition(":")
        return _checked(getattr(import_module(module), name), system=system)
    added = _added().get(system)
    if added is None and system in _declared():
        from erpflow.connectors.rest.connector import declared

        return declared(_declared()[system])
    if added is None:
        raise ConfigError(f"There is no connector for the system {system!r}{suggestion(system, systems())}")
    try:
        loaded = added.load()
    except Exception as error:
        raise ConfigError(
            f"The connector {system!r} ({added.value}) cannot be imported: {type(error).__name__}: {error}. "
            "Reinstall the package that brings it, or remove it."
        ) from error
    return _checked(loaded, system=system)


def build(
    system: str | type[Connector],
    session: requests.Session,
    *,
    base_url: str,
    limiter: Limiter | None = None,
    page_size: int | None = None,
    **transport: Any,
) -> Connector:
    """A connector on an authenticated session. Without a limiter the system's own limits hold in this process.

    `transport`: further options of `Transport` (time-outs, retries, clock, …); `private_networks` is the connector's
    own word unless it is among them.
    Raises ConfigError for an unknown system or an address that is none.
    """
    connector = connector_class(system) if isinstance(system, str) else system
    kept: Limiter = limiter if limiter is not None else LocalLimiter(connector.spec.limits)
    if connector.spec.timeouts is not None:
        transport.setdefault("timeouts", connector.spec.timeouts)
    make: Callable[..., Transport] = Transport
    transport.setdefault("private_networks", connector.private_networks)
    return connector(make(session, base_url=base_url, limiter=kept, **transport), page_size=page_size)


def _added() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}


def _declared() -> dict[str, Path]:
    from erpflow.connectors.rest.files import find_declarations

    return find_declarations()


def _checked(found: object, *, system: str) -> type[Connector]:
    if not (isinstance(found, type) and issubclass(found, Connector)):
        raise ConfigError(f"What is registered as the connector {system!r} is not a Connector class: {found!r}")
    if found.spec.system != system:
        raise ConfigError(f"The connector registered as {system!r} says it is for {found.spec.system!r}")
    return found
