"""Sessions for callers without Airflow, built from the fields of an Airflow Connection: host, login, password, extra.

Under Airflow the HTTP provider's hook builds the session, and the connector's `auth` signs it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import requests

from erpflow.connectors.account import Account
from erpflow.connectors.base import Connector
from erpflow.connectors.signing import header_safe
from erpflow.connectors.transport import checked_base_url
from erpflow.errors import ConfigError, suggestion

# The words of the http provider's hook, so that one connection makes the same session with and without Airflow.
_OPTIONS: Final[Mapping[str, tuple[str, tuple[type[Any], ...]]]] = {
    "verify": ("verify", (bool, str)),
    "verify_ssl": ("verify", (bool, str)),
    "cert": ("cert", (str, list)),
    "proxies": ("proxies", (dict,)),
    "proxy": ("proxies", (dict,)),
    "trust_env": ("trust_env", (bool,)),
}
_DECIDED_BY_THE_TRANSPORT: Final = frozenset(
    {"stream", "timeout", "allow_redirects", "max_redirects", "check_response"}
)


def build_session(connector: type[Connector], account: Account) -> requests.Session:
    """A session that signs its requests as the connector's vendor wants.

    The account's `extra` as in an Airflow Connection: `verify` (false, or the path of a CA bundle), `cert`, `proxies`,
    `trust_env`, the connector's own `settings`; a name with a dash in it (`X-Frappe-Site-Name`) is a header.
    Raises ConfigError for anything else, and for credentials no header can carry.
    """
    session = requests.Session()
    session.auth = connector.auth(account)
    for name, value in account.extra.items():
        if value is None or value == "" or name in _DECIDED_BY_THE_TRANSPORT or name in connector.spec.settings:
            continue
        if "-" in name:
            session.headers[name] = header_safe(str(value), what=f"header {name}")
        else:
            attribute, checked = _option(name, value, known={**_OPTIONS, **connector.spec.settings})
            setattr(session, attribute, checked)
    return session


def base_url(host: str, *, schema: str | None = None, port: int | None = None) -> str:
    """The vendor's address from a connection's fields; a bare host name means https.

    Raises ConfigError when they do not make an address.
    """
    address = checked_base_url(host if "://" in host else f"{schema or 'https'}://{host}")
    parts = urlsplit(address)
    if port and parts.port is None:
        address = parts._replace(netloc=f"{parts.netloc}:{port}").geturl()
    return checked_base_url(address)


def _option(name: str, value: object, *, known: Iterable[str]) -> tuple[str, object]:
    if name not in _OPTIONS:
        raise ConfigError(f"The connection's extra holds an unknown option {name!r}{suggestion(name, known)}")
    attribute, kinds = _OPTIONS[name]
    if not isinstance(value, kinds):
        allowed = " or ".join(kind.__name__ for kind in kinds)
        raise ConfigError(f"The connection's extra option {name!r} must be {allowed}, not {type(value).__name__}")
    return attribute, tuple(value) if isinstance(value, list) else value
