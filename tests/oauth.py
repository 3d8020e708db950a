"""A vendor with OAuth, small enough to be read: its authorization server, its API, and the connector that asks it."""

from __future__ import annotations

import base64
import hashlib
import threading
import uuid
from collections import deque
from dataclasses import dataclass, field
from types import TracebackType
from typing import ClassVar
from urllib.parse import parse_qsl, urlencode

from requests.auth import AuthBase

from erpflow.connectors.account import Account
from erpflow.connectors.base import CheckResult, ConnectorSpec, reported
from erpflow.connectors.erpnext import ErpNext
from erpflow.connectors.oauth import OAuthSpec, Places, oauth_auth
from erpflow.testing.server import Asked, Reply, ScriptedServer

CLIENT_ID, CLIENT_SECRET = "ledger-app", "ledger-app-secret-9f3c"


@dataclass
class Ledger:
    """The vendor. Refresh tokens rotate; the `grace` last ones that were replaced are still taken.

    `held`: while it is clear, the answer to a refresh is kept back, after what it says has come to be.
    """

    grace: int = 0
    life_s: int = 3600
    realm: str = "9341"
    gives_refresh_tokens: bool = True
    refreshes: int = 0
    held: threading.Event = field(default_factory=threading.Event)
    rotated: threading.Event = field(default_factory=threading.Event)
    down: bool = False

    def __post_init__(self) -> None:
        self.held.set()
        self._lock = threading.Lock()
        self._codes: dict[str, dict[str, str]] = {}
        self._refresh_tokens: deque[str] = deque(maxlen=self.grace + 1)
        self._access_tokens: set[str] = set()
        self._server = ScriptedServer(self._answer)

    @property
    def url(self) -> str:
        return self._server.url

    @property
    def asked(self) -> list[Asked]:
        return self._server.asked

    def __enter__(self) -> Ledger:
        self._server.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.held.set()
        self._server.__exit__(kind, error, trace)

    def consented(self) -> str:
        """A refresh token as a person's consent brings it."""
        with self._lock:
            self._refresh_tokens.append(f"rt-{uuid.uuid4().hex}")
            return self._refresh_tokens[-1]

    def revoke(self) -> None:
        """Take the consent back."""
        self._refresh_tokens.clear()
        self._access_tokens.clear()

    def forget_access_tokens(self) -> None:
        self._access_tokens.clear()

    def code(self, **asked: str) -> str:
        code = f"c-{uuid.uuid4().hex}"
        self._codes[code] = asked
        return code

    def _answer(self, asked: Asked) -> Reply:
        if asked.path == "/authorize":
            return self._agree(asked)
        if asked.path == "/token":
            return self._token(asked)
        scheme, _, token = asked.headers.get("Authorization", "").partition(" ")
        known = scheme == "Bearer" and token in self._access_tokens
        return Reply.json({"account": "Ledger Ltd"} if known else {"error": "expired"}, status=200 if known else 401)

    def _agree(self, asked: Asked) -> Reply:
        """A person agrees at once, in the browser that opened the page."""
        query = asked.query
        if query["client_id"] != CLIENT_ID or query["response_type"] != "code":
            return Reply(400)
        code = self.code(challenge=query["code_challenge"], redirect_uri=query["redirect_uri"])
        back = urlencode({"code": code, "state": query["state"], "realmId": self.realm})
        return Reply(302, b"", {"Location": f"{query['redirect_uri']}?{back}"})

    def _token(self, asked: Asked) -> Reply:
        if self.down:
            return Reply(503)
        basic = "Basic " + base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        if asked.headers.get("Authorization") != basic:
            return Reply.json({"error": "invalid_client"}, status=401)
        sent = dict(parse_qsl(asked.body.decode()))
        if sent["grant_type"] == "refresh_token":
            return self._refreshed(sent["refresh_token"])
        if sent["grant_type"] == "client_credentials":
            return Reply.json(self._tokens(None))
        code = self._codes.pop(sent["code"], None)
        digest = hashlib.sha256(sent.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if code is None or (code and (code["challenge"], code["redirect_uri"]) != (challenge, sent["redirect_uri"])):
            return Reply.json({"error": "invalid_grant"}, status=400)
        return Reply.json(self._tokens(self.consented() if self.gives_refresh_tokens else None))

    def _refreshed(self, refresh_token: str) -> Reply:
        with self._lock:
            self.refreshes += 1
            good = refresh_token in self._refresh_tokens
        answer = self._tokens(self.consented()) if good else {"error": "invalid_grant"}
        self.rotated.set()
        self.held.wait(30)
        return Reply.json(answer, status=200 if good else 400)

    def _tokens(self, refresh_token: str | None) -> dict[str, object]:
        token = f"at-{uuid.uuid4().hex}"
        self._access_tokens.add(token)
        more = {"refresh_token": refresh_token} if refresh_token else {}
        return {"access_token": token, "expires_in": self.life_s, "token_type": "Bearer", **more}


class LedgerConnector(ErpNext):
    """Only says who we are; the rest is another vendor's, and never asked."""

    spec = ConnectorSpec("ledger", "Ledger", ("oauth",), {})
    oauth: ClassVar[OAuthSpec] = OAuthSpec(
        places=lambda account: Places(f"{account.address}/authorize", f"{account.address}/token"),
        scopes=("read",),
        pkce=True,
        redirect_facts=("realmId",),
    )

    @classmethod
    def auth(cls, account: Account) -> AuthBase:
        return oauth_auth(cls.oauth, account)

    @reported
    def check(self) -> CheckResult:
        self._transport.request("GET", "/me")
        return CheckResult(success=True, message="", account="Ledger Ltd")
