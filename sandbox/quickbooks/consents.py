"""Intuit's authorization server: consents, codes, access tokens of an hour, refresh tokens that rotate."""

import base64
import hashlib
import itertools
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sandbox.quickbooks.clock import CompanyClock

CLIENT_ID, CLIENT_SECRET = "sandbox-quickbooks-app", "sandbox-quickbooks-secret"
ACCESS_S, REFRESH_S, HARD_S = 3600, 8_640_000, 157_680_000
CODE_S = 600


class TokenRefused(Exception):
    """An error of RFC 6749, by its code."""

    def __init__(self, code: str, description: str, *, status: int = 400) -> None:
        super().__init__(description)
        self.code, self.description, self.status = code, description, status


@dataclass(slots=True)
class Consents:
    """What was given out. A refresh token is good once: the answer to it brings the next one.

    The vendor says that the value changes about once a day; here it changes every time, which a client must stand too.
    """

    clock: CompanyClock
    codes: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    access: dict[str, datetime] = field(default_factory=dict)
    refresh: dict[str, datetime] = field(default_factory=dict)
    refreshes: int = 0
    _counter: "itertools.count[int]" = field(default_factory=itertools.count)

    def agree(self, redirect_uri: str) -> str:
        """The code of a person's consent."""
        code = self._secret("AB1")
        self.codes[code] = (redirect_uri, self.clock.now() + timedelta(seconds=CODE_S))
        return code

    def redeem(self, code: str, redirect_uri: str) -> dict[str, Any]:
        bound, until = self.codes.pop(code, ("", self.clock.now()))
        if until <= self.clock.now() or bound != redirect_uri:
            raise TokenRefused("invalid_grant", "Invalid authorization code")
        return self.grant()

    def renew(self, token: str) -> dict[str, Any]:
        self.refreshes += 1
        until = self.refresh.pop(token, None)
        if until is None or until <= self.clock.now():
            raise TokenRefused("invalid_grant", "Incorrect or invalid refresh token")
        return self.grant()

    def grant(self) -> dict[str, Any]:
        """New tokens, as if a person had just agreed."""
        access, refresh = self._secret("eyJ"), self._secret("RT1-")
        self.access[access] = self.clock.now() + timedelta(seconds=ACCESS_S)
        self.refresh[refresh] = self.clock.now() + timedelta(seconds=REFRESH_S)
        return {
            "token_type": "bearer",
            "access_token": access,
            "refresh_token": refresh,
            "expires_in": ACCESS_S,
            "x_refresh_token_expires_in": REFRESH_S,
        }

    def revoke(self, token: str) -> None:
        """Take one consent back. Raises TokenRefused for a token nobody knows."""
        if self.access.pop(token, None) is None and self.refresh.pop(token, None) is None:
            raise TokenRefused("invalid_token", "The token is not known")
        self.access.clear()
        self.refresh.clear()

    def knows(self, token: str) -> bool:
        until = self.access.get(token)
        return until is not None and until > self.clock.now()

    def forget_access_tokens(self) -> None:
        self.access.clear()

    def _secret(self, prefix: str) -> str:
        digest = hashlib.sha256(f"{prefix} {next(self._counter)}".encode()).hexdigest()
        return f"{prefix}{digest[:40]}"


def is_client(authorization: str) -> bool:
    """Whether the header is the app's id and secret."""
    basic = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
    return authorization == f"Basic {basic}"
