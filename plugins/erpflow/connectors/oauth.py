"""OAuth 2.0 (RFC 6749) with one vendor: the consent of a person, tokens for its code, and their refreshes.

What differs between vendors is data (`OAuthSpec`). Authlib speaks the protocol; who keeps the tokens, and sees to it
that only one of all workers refreshes them, is `Tokens` (account.py).
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import requests
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session
from requests.auth import AuthBase

from erpflow.connectors.account import Account, Tokens
from erpflow.connectors.deadline import Deadline, enforce_deadlines, within
from erpflow.connectors.network import public_only
from erpflow.connectors.redaction import MASK, redact
from erpflow.errors import AuthFailed, ConfigError, ErpflowError, ProtocolError, RateLimited, VendorUnavailable

if TYPE_CHECKING:
    from erpflow.connectors.base import Connector

TIMEOUT: Final = (10.0, 30.0)  # seconds to connect, and between two bytes of the answer
TOTAL_S: Final = 60.0  # for the whole call: whoever refreshes holds a lock that all workers wait for
_DEAD: Final = frozenset({"invalid_grant", "invalid_code", "invalid_token"})
_WRONG_APP: Final = frozenset({"invalid_client", "invalid_client_secret", "unauthorized_client"})
_TOO_OFTEN: Final = ("access_denied", "access denied", "too many requests")
_TOO_OFTEN_WAIT_S: Final = 600.0
_SHORTEST_LIFE_S: Final = 60
_WORN_CODE: Final = "The vendor does not accept the code: codes work once, and for a few minutes"
_WORN_CONSENT: Final = "The vendor does not accept the saved consent any more"

_Ask = Callable[[OAuth2Session, Mapping[str, Any]], Mapping[str, Any]]


class GrantRefused(AuthFailed):
    """The vendor takes the refresh token (or the code) no more: a person has to consent again."""


@dataclass(frozen=True, slots=True)
class Places:
    """The addresses of a vendor's OAuth server."""

    authorize: str
    token: str


@dataclass(frozen=True, slots=True)
class OAuthSpec:
    """A vendor's OAuth, as data.

    `places` finds the server of an account (a data centre has its own). `scheme` stands before the token in the header
    Authorization. `client_auth`: how the client shows its secret (RFC 6749, 2.3.1). `consent` are further parameters of
    the page a person consents on. `facts`: what of the token answer is kept with the tokens; `redirect_facts`: what of
    the redirect, which says whose account it is. `needs_consent`: a person's; without it the app's own id and secret
    are enough (client credentials).
    """

    places: Callable[[Account], Places]
    scopes: tuple[str, ...]
    scope_separator: str = " "
    scheme: str = "Bearer"
    client_auth: str = "client_secret_basic"
    consent: Mapping[str, str] = field(default_factory=dict)
    pkce: bool = False
    facts: tuple[str, ...] = ()
    redirect_facts: tuple[str, ...] = ()
    needs_consent: bool = True


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token answer holds. Of a refresh that brings no new refresh token it is the old one. Times in UTC."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_at: datetime
    refresh_expires_at: datetime | None = None
    scope: str | None = None
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Consent:
    """A consent under way: the page to open, and what its redirect must be checked against."""

    url: str
    state: str = field(repr=False)
    verifier: str | None = field(repr=False)
    redirect_uri: str


class OAuthClient:
    """Asks a vendor's OAuth server, as the app whose id and secret are the account's login and password."""

    def __init__(
        self,
        spec: OAuthSpec,
        account: Account,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        total: float = TOTAL_S,
        private_networks: bool = True,
    ) -> None:
        """`total` in seconds: for a whole call of the token server. Without `private_networks` it must be a public one.

        Raises ConfigError when the account holds no client id and secret."""
        if not account.login or not account.password:
            raise ConfigError(
                "The connection has no client id (its login) and client secret (its password). Register an app in the "
                "vendor's developer console, and put them there."
            )
        self._spec = spec
        self._places = spec.places(account)
        self._login, self._secret = account.login, account.password
        self._now = now
        self._total = total
        self._private_networks = private_networks

    @property
    def needs_consent(self) -> bool:
        """Whether tokens are had only after a person consented."""
        return self._spec.needs_consent

    def consent(self, redirect_uri: str) -> Consent:
        """Begin a consent: a page for a person to open."""
        verifier = secrets.token_urlsafe(48) if self._spec.pkce else None
        with self._session(redirect_uri=redirect_uri) as session:
            url, state = session.create_authorization_url(
                self._places.authorize, code_verifier=verifier, **self._spec.consent
            )
        return Consent(str(url), str(state), verifier, redirect_uri)

    def exchange(self, consent: Consent, redirect: Mapping[str, str]) -> Grant:
        """The tokens for the code of a redirect, given by its parameters.

        Raises AuthFailed when the person refused, or when the redirect is not the answer to this consent; else as
        `refresh` does.
        """
        if not secrets.compare_digest(redirect.get("state", ""), consent.state):
            raise AuthFailed("The redirect is not the answer to this consent (its state differs). Start again.")
        if "code" not in redirect:
            why = redirect.get("error_description") or redirect.get("error") or "it brought no code"
            raise AuthFailed(f"The consent was not given: {redact(why)}. Start again.")
        facts = {name: redirect[name] for name in self._spec.redirect_facts if name in redirect}
        verifier = {"code_verifier": consent.verifier} if consent.verifier else {}
        return self.redeem(redirect["code"], facts=facts, redirect_uri=consent.redirect_uri, **verifier)

    def redeem(self, code: str, *, facts: Mapping[str, str] | None = None, **more: str) -> Grant:
        """The tokens for a code, from a redirect or straight from a vendor's console; `more` goes along with it.

        Raises as `refresh` does.
        """
        return self._asked(
            facts or {},
            lambda session, how: session.fetch_token(
                self._places.token, grant_type="authorization_code", code=code, **more, **how
            ),
            sent=(code, *more.values()),
            dead=_WORN_CODE,
        )

    def renew(self, refresh_token: str | None) -> Grant:
        """New tokens, for the refresh token where a person consented, else for the app's own id and secret.

        Raises as `refresh` does.
        """
        if self._spec.needs_consent:
            return self.refresh(refresh_token or "")
        scope = self._spec.scope_separator.join(self._spec.scopes)
        more = {"scope": scope} if scope else {}
        return self._asked(
            {},
            lambda session, how: session.fetch_token(
                self._places.token, grant_type="client_credentials", **more, **how
            ),
            sent=(),
            dead="The vendor gives the app no tokens",
        )

    def refresh(self, refresh_token: str) -> Grant:
        """New tokens.

        Raises GrantRefused when the refresh token is good no more, ConfigError when the app is refused, RateLimited
        when tokens were asked for too often, VendorUnavailable or ProtocolError.
        """
        return self._asked(
            {},
            lambda session, how: session.refresh_token(self._places.token, refresh_token=refresh_token, **how),
            sent=(refresh_token,),
            dead=_WORN_CONSENT,
        )

    def _session(self, **options: Any) -> OAuth2Session:
        return OAuth2Session(
            self._login,
            self._secret,
            token_endpoint_auth_method=self._spec.client_auth,
            scope=self._spec.scope_separator.join(self._spec.scopes),
            code_challenge_method="S256" if self._spec.pkce else None,
            **options,
        )

    def _asked(self, facts: Mapping[str, str], ask: _Ask, *, sent: Sequence[str], dead: str) -> Grant:
        """Ask for tokens; the vendor's own ways of saying no, as the errors of our family.

        `sent` is never quoted. `dead`: the sentence for a grant that is good no more.
        """
        deadline = Deadline(at=time.monotonic() + self._total, clock=time.monotonic)
        reach = nullcontext() if self._private_networks else public_only()
        with self._session() as session, within(deadline), reach:
            session.scope = None  # a refresh keeps the scopes of the consent; some vendors refuse to hear them again
            enforce_deadlines(session)
            try:
                # Without redirects: they would carry the secret, and the refresh token, to another address.
                answer = ask(session, {"timeout": TIMEOUT, "allow_redirects": False})
            except AuthlibBaseError as error:
                raise self._refusal(str(error.error or ""), str(error.description or ""), sent, dead) from None
            except requests.HTTPError as error:
                status = error.response.status_code if error.response is not None else 0
                raise VendorUnavailable(f"The token server answered HTTP {status}.", maybe_done=True) from None
            except (requests.RequestException, OSError) as error:
                raise VendorUnavailable(
                    f"The token server {self._places.token} does not answer ({type(error).__name__})."
                ) from None
            except ValueError:
                raise ProtocolError(
                    f"The token server {self._places.token} answered something that is not JSON. Check the address.",
                    maybe_done=True,
                ) from None
        return self._grant(answer, facts)

    def _refusal(self, code: str, description: str, sent: Sequence[str], dead: str) -> ErpflowError:
        said = redact(f"{code}: {description}" if description else code, secrets=(self._secret, *sent))
        if any(word in f"{code} {description}".lower() for word in _TOO_OFTEN):
            return RateLimited(f"Tokens were asked for too often ({said}).", retry_after=_TOO_OFTEN_WAIT_S)
        if code in _DEAD:
            return GrantRefused(f"{dead} ({said}).")
        if code in _WRONG_APP:
            return ConfigError(
                f"The vendor refuses the app ({said}). Check the connection's client id and secret, and that the app "
                "belongs to this data centre."
            )
        return ProtocolError(f"The token server refuses in an unknown way ({said}).", maybe_done=True)

    def _grant(self, answer: Mapping[str, Any], facts: Mapping[str, str]) -> Grant:
        token = answer.get("access_token")
        if not isinstance(token, str) or not token:
            raise ProtocolError("The token server's answer holds no access token.", maybe_done=True)
        now = self._now()
        rest = answer.get("x_refresh_token_expires_in")
        return Grant(
            access_token=token,
            refresh_token=answer.get("refresh_token") or None,
            expires_at=now + timedelta(seconds=_life_of(answer)),
            refresh_expires_at=now + timedelta(seconds=int(rest)) if rest is not None else None,
            scope=answer.get("scope"),
            facts={**facts, **{name: str(answer[name]) for name in self._spec.facts if answer.get(name)}},
        )


def _life_of(answer: Mapping[str, Any]) -> int:
    """Seconds an access token is good for: some old answers of Zoho count milliseconds beside `expires_in_sec`."""
    seconds = answer.get("expires_in_sec", answer.get("expires_in", 3600))
    return max(int(seconds), _SHORTEST_LIFE_S)


class OAuthAuth(AuthBase):
    """Signs with the connection's access token, and has it renewed when the vendor refuses it."""

    def __init__(self, tokens: Tokens, *, scheme: str) -> None:
        self._tokens = tokens
        self._scheme = scheme
        self._seen: tuple[str, ...] = ()
        self._signed = threading.local()

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be read by anybody: the transport masks it."""
        return self._seen

    def renew(self) -> bool:
        version: int = getattr(self._signed, "version", 0)
        return self._tokens.renewed(version).version > version

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        token = self._tokens.current()
        self._signed.version = token.version
        self._seen = tuple(dict.fromkeys((token.value, *self._seen)))[:2]
        request.headers["Authorization"] = f"{self._scheme} {token.value}"
        return request

    def __repr__(self) -> str:
        return f"OAuthAuth({MASK})"


def oauth_client(connector: type[Connector], account: Account) -> OAuthClient:
    """Who asks for the tokens of an account. Raises ConfigError for a system without OAuth, and without an app."""
    if connector.oauth is None:
        raise ConfigError(
            f"{connector.spec.title} needs no consent: its connections hold all there is to know "
            f"({', '.join(connector.spec.auth)}). Try one: erpflow connection test NAME"
        )
    return OAuthClient(connector.oauth, account, private_networks=connector.may_reach_private(account))


def oauth_auth(spec: OAuthSpec, account: Account) -> OAuthAuth:
    """What signs the requests of an account. Raises ConfigError when it has no tokens."""
    if account.tokens is None:
        raise ConfigError("The connection has not been connected yet. Run: erpflow connect NAME")
    return OAuthAuth(account.tokens, scheme=spec.scheme)
