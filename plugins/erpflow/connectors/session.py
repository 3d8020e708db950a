"""Sessions for callers without Airflow, built from the fields of an Airflow Connection: host, login, password, extra.

Under Airflow the HTTP provider's hook builds the session, with the connector's `auth` as its `auth_type`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase

from erpflow.connectors.base import Connector
from erpflow.connectors.redaction import MASK
from erpflow.connectors.transport import checked_base_url
from erpflow.errors import ConfigError, suggestion

_EXTRA: Final[Mapping[str, tuple[type[Any], ...]]] = {
    "verify": (bool, str),
    "cert": (str, list),
    "proxies": (dict,),
    "trust_env": (bool,),
    "headers": (dict,),
}


class TokenAuth(AuthBase):
    """`Authorization: token <key>:<secret>`, as Frappe wants it. Without a key nothing is sent."""

    def __init__(self, key: str | None = None, secret: str | None = None) -> None:
        self._key = _header_safe(key, what="API key")
        self._secret = _header_safe(secret, what="API secret")

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be read by anybody: the transport masks it."""
        return (f"{self._key}:{self._secret}", self._secret, self._key) if self._key else ()

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._key:
            request.headers["Authorization"] = f"token {self._key}:{self._secret}"
        return request

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TokenAuth) and self.secrets == other.secrets

    def __hash__(self) -> int:
        return hash(self.secrets)

    def __repr__(self) -> str:
        return f"TokenAuth({MASK})"


def build_session(
    connector: type[Connector], *, login: str | None, password: str | None, extra: Mapping[str, Any] | None = None
) -> requests.Session:
    """A session that signs its requests as the connector's vendor wants.

    `extra` may hold `verify` (false, or the path of a CA bundle), `cert`, `proxies`, `trust_env` and `headers`.
    Raises ConfigError for anything else, and for credentials no header can carry.
    """
    session = requests.Session()
    session.auth = connector.auth(login, password) if login else connector.auth()
    for name, value in (extra or {}).items():
        if name not in _EXTRA:
            raise ConfigError(f"The connection's extra holds an unknown option {name!r}{suggestion(name, _EXTRA)}")
        if not isinstance(value, _EXTRA[name]):
            allowed = " or ".join(kind.__name__ for kind in _EXTRA[name])
            raise ConfigError(f"The connection's extra option {name!r} must be {allowed}, not {type(value).__name__}")
        if name == "headers":
            session.headers.update({str(key): str(text) for key, text in dict(value).items()})
        else:
            setattr(session, name, tuple(value) if isinstance(value, list) else value)
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


def _header_safe(value: str | None, *, what: str) -> str:
    """A credential without the spaces that pasting adds. Raises ConfigError when a header cannot carry it."""
    text = (value or "").strip()
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ConfigError(
            f"The {what} holds a space or a character that no header can carry. Copy it again from the vendor's page."
        )
    return text
