"""How requests are signed: schemes that more than one vendor could have."""

from __future__ import annotations

import requests
from requests.auth import AuthBase

from erpflow.connectors.redaction import MASK
from erpflow.errors import ConfigError


class Unsigned(AuthBase):
    """Adds nothing; and keeps requests from looking for a password in a .netrc of this machine."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


class TokenAuth(AuthBase):
    """`Authorization: token <key>:<secret>`, as Frappe wants it. Without a key nothing is sent."""

    def __init__(self, key: str | None = None, secret: str | None = None) -> None:
        self._key = header_safe(key, what="API key", spaces="")
        self._secret = header_safe(secret, what="API secret", spaces="")

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


class BearerAuth(AuthBase):
    """`Authorization: Bearer <key>`. Without a key nothing is sent."""

    def __init__(self, key: str | None = None) -> None:
        """Raises ConfigError for a key that no header can carry."""
        self._key = header_safe(key, what="API key", spaces="")

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be read by anybody: the transport masks it."""
        return (self._key,) if self._key else ()

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._key:
            request.headers["Authorization"] = f"Bearer {self._key}"
        return request

    def __repr__(self) -> str:
        return f"BearerAuth({MASK})"


def header_safe(value: str | None, *, what: str, spaces: str = " ") -> str:
    """A value without the white space that pasting adds. Raises ConfigError when a header cannot carry it."""
    text = (value or "").strip()
    if not text.isascii() or not text.isprintable() or (" " in text and not spaces):
        raise ConfigError(
            f"The {what} holds a space or a character that no header can carry. Copy it again from the vendor's page."
        )
    return text
