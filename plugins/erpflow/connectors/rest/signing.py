"""How the requests of a declared system are signed: what a connection holds, put where the declaration says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

import requests
from requests.auth import AuthBase, _basic_auth_str

from erpflow.connectors.account import Account
from erpflow.connectors.oauth import OAuthSpec, Places
from erpflow.connectors.redaction import MASK
from erpflow.connectors.rest.expressions import decoded, encode
from erpflow.connectors.rest.fill import as_text, filled, placeholders
from erpflow.connectors.rest.model import Auth, AuthKind, Declaration, Place, Session
from erpflow.connectors.signing import header_safe
from erpflow.errors import AuthFailed

_OAUTH: Final = (AuthKind.OAUTH2_CLIENT_CREDENTIALS, AuthKind.OAUTH2_REFRESH)
_FIELDS: Final = {"login": "login", "password": "password"}

LogIn = Callable[[], Mapping[str, Any]]
"""Opens a session: what the vendor's answer to the login holds."""


def account_values(declaration: Declaration, account: Account) -> dict[str, Any]:
    """What a connection itself gives to requests, by placeholder."""
    settings = {f"settings.{name}": account.extra.get(name) or None for name in declaration.settings}
    return {
        "address": account.address,
        "login": account.login or None,
        "password": account.password or None,
        **settings,
    }


def carried(auth: Auth) -> Session:
    """What every request carries besides its own content."""
    if auth.kind is AuthKind.SESSION:
        return auth.send
    if auth.kind is AuthKind.BEARER:
        return Session(headers={"Authorization": f"{auth.scheme} {auth.value}"})
    if auth.kind is AuthKind.API_KEY:
        sent = {auth.name or "": auth.value}
        by_place = {Place.HEADER: "headers", Place.QUERY: "query", Place.BODY: "body"}
        return Session(**{by_place[auth.place]: sent})
    return Session()


def oauth_spec(declaration: Declaration) -> OAuthSpec | None:
    """How access tokens are had; None where there are none."""
    auth = declaration.auth
    if auth.kind not in _OAUTH:
        return None

    def places(account: Account) -> Places:
        values = account_values(declaration, account)
        return Places(
            authorize=str(filled(auth.authorize_url, values) or ""), token=str(filled(auth.token_url, values))
        )

    return OAuthSpec(
        places=places,
        scopes=auth.scopes,
        scheme=auth.scheme,
        client_auth=auth.client_auth,
        needs_consent=auth.kind is AuthKind.OAUTH2_REFRESH,
    )


class DeclaredAuth(AuthBase):
    """Signs as a declaration says; opens a session first where it says so, and a new one when the vendor forgot it."""

    def __init__(self, declaration: Declaration, account: Account) -> None:
        self._auth = declaration.auth
        self._titles = {name: setting.title for name, setting in declaration.settings.items()}
        self._required = {f"settings.{name}" for name, setting in declaration.settings.items() if setting.required}
        self._values = account_values(declaration, account)
        self._sent = carried(declaration.auth)
        self._log_in: LogIn | None = None
        self._session: Mapping[str, Any] | None = None
        self._number = 0
        self._seen: tuple[str, ...] = ()
        self._lock = threading.RLock()
        self._thread = threading.local()

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be read by anybody: the transport masks it."""
        login, password = self._values["login"], self._values["password"]
        basic = (f"{login}:{password}",) if login and password else ()
        return tuple(filter(None, (*basic, password, *self._seen)))

    @property
    def values(self) -> Mapping[str, Any]:
        """What the connection gives to a login, by placeholder. Raises AuthFailed for what it does not hold."""
        login = self._auth.login
        for name in placeholders([template for _, template in login.templates()] if login else []):
            self._there(name, self._values)
        return self._values

    def bind(self, log_in: LogIn) -> None:
        """Says how a session is opened: the connector does it with its own transport."""
        self._log_in = log_in

    def sign_in(self) -> None:
        """See to it that there is a session, where the system has them. Raises what the login raises."""
        if self._auth.kind is not AuthKind.SESSION or self._signing_in():
            return
        with self._lock:
            if self._session is None:
                self._open()

    def renew(self) -> bool:
        """After a refusal: whether there is another session now. See `RenewableAuth`."""
        if self._auth.kind is not AuthKind.SESSION or self._signing_in():
            return False
        with self._lock:
            if self._number == getattr(self._thread, "number", 0):
                self._session = None
                self._open()
        return True

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._signing_in():
            return request
        self._thread.number = self._number
        values = {**self._values, **{f"session.{name}": value for name, value in (self._session or {}).items()}}
        for name in (*self._required, *placeholders([self._sent.headers, self._sent.query, self._sent.body])):
            self._there(name, values)
        if self._auth.kind is AuthKind.BASIC:
            self._there("login", values)
            request.headers["Authorization"] = _basic_auth_str(values["login"], values["password"] or "")
        for name, text in self._sent.headers.items():
            request.headers[name] = header_safe(as_text(filled(text, values)), what=f"header {name}")
        if self._sent.query:
            query = {name: as_text(filled(text, values)) for name, text in self._sent.query.items()}
            request.prepare_url(request.url, query)
        if self._sent.body:
            _plant_all(request, {path: filled(text, values) for path, text in self._sent.body.items()})
        return request

    def __repr__(self) -> str:
        return f"DeclaredAuth({MASK})"

    def _there(self, name: str, values: Mapping[str, Any]) -> None:
        """Raises AuthFailed when what must be sent is not there."""
        if values.get(name) is not None:
            return
        word = self._titles.get(name.removeprefix("settings.")) or _FIELDS.get(name, name)
        raise AuthFailed(f"The connection has no {word}: nothing was sent. Put it into the connection's fields.")

    def _signing_in(self) -> bool:
        return bool(getattr(self._thread, "signing_in", False))

    def _open(self) -> None:
        if self._log_in is None:
            raise AuthFailed("This session belongs to no connector, and cannot be opened.")
        self._thread.signing_in = True
        try:
            session = self._log_in()
        finally:
            self._thread.signing_in = False
        fresh = tuple(str(value) for value in session.values() if not isinstance(value, int | bool))
        self._seen = tuple(dict.fromkeys((*fresh, *self._seen)))[:8]
        self._session, self._number = session, self._number + 1


def _plant_all(request: requests.PreparedRequest, values: Mapping[str, Any]) -> None:
    """Puts values into the JSON body of a request, by paths such as `params.args.0`; a request without a body gets
    one."""
    body = request.body.encode() if isinstance(request.body, str) else request.body
    content = decoded(body) if isinstance(body, bytes) else None
    content = {} if content is None else content
    for path, value in values.items():
        _plant(content, path.split("."), value)
    request.body = encode(content)
    request.headers["Content-Type"] = "application/json"
    request.headers["Content-Length"] = str(len(request.body))


def _plant(part: Any, steps: list[str], value: Any) -> None:
    """A position of a list is put in between what is there."""
    *above, last = steps
    for step in above:
        part = part[int(step)] if isinstance(part, list) else part.setdefault(step, {})
    if isinstance(part, list):
        part.insert(int(last), value)
    else:
        part[last] = value
