"""Zoho's accounts server: consents, codes, refresh and access tokens, and their limits.

Source: docs of token validity (v8): 15 living access tokens and 10 new ones in 10 minutes per refresh token; a code
lives 3 minutes and is taken once. Errors come with HTTP 200, the one about too many tokens with 400 (its body as people
report it: UNVERIFIED).
"""

import secrets
from dataclasses import dataclass, field
from typing import Any

from sandbox.zoho_crm.clock import OrgClock

CLIENT_ID = "1000.SANDBOXCLIENT7Q2"
CLIENT_SECRET = "sandbox-zoho-client-secret"  # noqa: S105
REFRESH_TOKEN = "1000.sandbox-refresh-token.connector"  # noqa: S105
READER_TOKEN = "1000.sandbox-refresh-token.reader"  # noqa: S105
EVERYTHING = (
    "ZohoCRM.modules.ALL", "ZohoCRM.settings.READ", "ZohoCRM.coql.READ", "ZohoCRM.bulk.READ",
    "ZohoCRM.notifications.ALL", "ZohoCRM.org.READ", "ZohoCRM.users.READ",
)  # fmt: skip
READING = ("ZohoCRM.modules.READ", "ZohoCRM.settings.READ")
LIFE_S = 3600
CODE_LIFE_S = 180
MOST_ALIVE = 15
MOST_MADE = 10
MADE_WITHIN_S = 600
MOST_CONSENTS = 20


@dataclass(slots=True)
class Consent:
    """A refresh token, the scopes it stands for, and the access tokens made with it: (token, expiry)."""

    refresh_token: str
    scopes: tuple[str, ...]
    revoked: bool = False
    alive: list[tuple[str, int]] = field(default_factory=list)
    made: list[int] = field(default_factory=list)


class Refused(Exception):
    """The accounts server says no; `body` as it says so."""

    def __init__(self, error: str, *, status: int = 200, **more: str) -> None:
        super().__init__(error)
        self.status = status
        self.body = {**more, "error": error}
        if status != 200:
            self.body["status"] = "failure"


class Accounts:
    """The app, who consented to it, and the tokens."""

    def __init__(self, clock: OrgClock) -> None:
        self.clock = clock
        self.clients = {CLIENT_ID: CLIENT_SECRET}
        self.consents = {token: Consent(token, scopes) for token, scopes in _seeded()}
        self.codes: dict[str, tuple[tuple[str, ...], int, str]] = {}
        self.refreshes = 0

    def code(self, scopes: tuple[str, ...], redirect_uri: str = "") -> str:
        """A grant code, as a consent or the console's self client gives it."""
        code = f"1000.{secrets.token_hex(16)}.{secrets.token_hex(16)}"
        self.codes[code] = (scopes, self.clock.now() + CODE_LIFE_S, redirect_uri)
        return code

    def answer(self, form: dict[str, str]) -> dict[str, Any]:
        """What the token endpoint says. Raises Refused."""
        secret = self.clients.get(form.get("client_id", ""))
        if secret is None:
            raise Refused("invalid_client")
        if form.get("client_secret") != secret:
            raise Refused("invalid_client_secret")
        if form.get("grant_type") == "authorization_code":
            return self._first(form)
        if form.get("grant_type") == "refresh_token":
            return self._refreshed(form)
        raise Refused("unsupported_grant_type")

    def revoke(self, token: str) -> bool:
        """Take a consent back by its refresh token, or by one of its access tokens."""
        for consent in self.consents.values():
            if token == consent.refresh_token or token in [value for value, _ in consent.alive]:
                consent.revoked, consent.alive = True, []
                return True
        return False

    def scopes_of(self, access_token: str) -> tuple[str, ...] | None:
        """The scopes of a living access token; None for any other."""
        now = self.clock.now()
        for consent in self.consents.values():
            if any(token == access_token and expiry > now for token, expiry in consent.alive):
                return consent.scopes
        return None

    def expire_access_tokens(self) -> None:
        for consent in self.consents.values():
            consent.alive = []

    def _first(self, form: dict[str, str]) -> dict[str, Any]:
        scopes, expires, redirect_uri = self.codes.pop(form.get("code", ""), ((), 0, ""))
        if expires <= self.clock.now() or (redirect_uri and form.get("redirect_uri") != redirect_uri):
            raise Refused("invalid_code")
        token = f"1000.{secrets.token_hex(16)}.{secrets.token_hex(16)}"
        consent = self.consents[token] = Consent(token, scopes)
        while len(self.consents) > MOST_CONSENTS:
            del self.consents[next(iter(self.consents))]
        return {**self._access(consent), "refresh_token": token}

    def _refreshed(self, form: dict[str, str]) -> dict[str, Any]:
        consent = self.consents.get(form.get("refresh_token", ""))
        if consent is None or consent.revoked:
            raise Refused("invalid_code")
        self.refreshes += 1
        return self._access(consent)

    def _access(self, consent: Consent) -> dict[str, Any]:
        now = self.clock.now()
        consent.made = [at for at in consent.made if at > now - MADE_WITHIN_S]
        if len(consent.made) >= MOST_MADE:
            raise Refused(
                "Access Denied",
                status=400,
                error_description="You have made too many requests continuously. Please try again after some time.",
            )
        consent.made.append(now)
        token = f"1000.{secrets.token_hex(16)}.{secrets.token_hex(16)}"
        living = [(value, expiry) for value, expiry in consent.alive if expiry > now]
        consent.alive = [*living, (token, now + LIFE_S)][-MOST_ALIVE:]
        return {
            "access_token": token,
            "scope": " ".join(consent.scopes),
            "token_type": "Bearer",
            "expires_in": LIFE_S,
        }


def _seeded() -> list[tuple[str, tuple[str, ...]]]:
    return [(REFRESH_TOKEN, EVERYTHING), (READER_TOKEN, READING)]
