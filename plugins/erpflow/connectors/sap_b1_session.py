"""Who is signed in to a Service Layer: one session for each company and user in a process, whoever asks.

A login costs seconds and a place in the licence, so all threads share one; the first of them signs in, the last out.
The cookie is set by hand: B1SESSION comes without a path, and some cookie jars drop it. ROUTEID names the node that
knows the session. Source: SAP, "Working with SAP Business One Service Layer", "Login and Logout".
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final
from zoneinfo import ZoneInfo

import requests
from requests.auth import AuthBase

from erpflow.connectors.account import Account
from erpflow.connectors.redaction import MASK
from erpflow.connectors.sap_b1_time import day_of
from erpflow.errors import AuthFailed, ConfigError, suggestion

VERSIONS: Final = ("v1", "v2")
DEFAULT_VERSION: Final = "v2"
_ROOT = re.compile(r"/b1s(?:/(\w+))?/?$")


@dataclass(frozen=True, slots=True)
class Settings:
    """What a connection says of its company. `zone`: the server's time zone, None when the connection names none.

    `fields`: what is read besides the data sheet's own fields, by entity. `payments_from`: the first day of which
    payments are read, None for all.
    """

    version: str
    company: str | None
    user: str | None
    zone: str | None
    payments_from: str | None
    fields: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Ticket:
    """A session at the vendor: the cookie that names it, and the version of the Service Layer that opened it."""

    cookie: str = field(repr=False)
    layer: str


@dataclass(slots=True)
class _Shared:
    """The session of one company and user in this process. `number` counts the logins; `refused`: the last one was."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    ticket: Ticket | None = None
    number: int = 0
    holders: int = 0
    refused: str | None = None


_sessions: dict[tuple[str, ...], _Shared] = {}
_registry = threading.Lock()


class B1Session(AuthBase):
    """Signs with the session cookie, and signs in again when the vendor has forgotten it."""

    def __init__(self, account: Account) -> None:
        """Raises ConfigError when a setting of the connection makes no sense."""
        extra = account.extra
        self.settings = Settings(
            version=version_of(account.address, extra)[1],
            payments_from=_day(_text(extra.get("payments_from"))),
            company=_text(extra.get("company_db")),
            user=_text(account.login),
            zone=_zone(_text(extra.get("time_zone"))),
            fields=_fields(_text(extra.get("fields"))),
        )
        self._password = account.password or None
        told = hashlib.sha256((account.password or "").encode()).hexdigest()
        self._identity = (account.address, self.settings.company or "", self.settings.user or "", told)
        self._shared: _Shared | None = None
        self._process = 0
        self._log_in: Callable[[], Ticket] | None = None
        self._seen: tuple[str, ...] = ()
        self._thread = threading.local()

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be read by anybody: the transport masks it."""
        return tuple(filter(None, (self._password, *self._seen)))

    @property
    def layer(self) -> str:
        """The version of the Service Layer we are signed in to; empty before that."""
        ticket = self._shared.ticket if self._shared else None
        return ticket.layer if ticket else ""

    def bind(self, log_in: Callable[[], Ticket]) -> None:
        """Says how a session is opened: the connector does it with its own transport."""
        self._log_in = log_in

    def credentials(self) -> dict[str, str]:
        """The body of a login. Raises AuthFailed or ConfigError for what the connection does not hold."""
        company, user = self.settings.company, self.settings.user
        if not user or not self._password:
            raise AuthFailed(
                "The connection has no user or no password: put those of a SAP Business One user into its login and "
                "password."
            )
        if not company:
            raise ConfigError(
                "The connection does not say which company: put the name of its database (such as SBODEMOUS) into "
                "company_db of its extra."
            )
        return {"CompanyDB": company, "UserName": user, "Password": self._password}

    def sign_in(self) -> None:
        """See to it that there is a session, which another thread may have opened. Raises what a login raises."""
        shared = self._hold()
        with shared.lock:
            if shared.ticket is None:
                shared.refused = None  # a new piece of work asks once more: the password may be right by now
                self._open(shared)

    def renew(self) -> bool:
        """See `RenewableAuth`. One login for all threads whose session has ended."""
        shared = self._shared
        if shared is None or getattr(self._thread, "signing_in", False):
            return False
        with shared.lock:
            if shared.number == getattr(self._thread, "number", 0) or shared.ticket is None:
                shared.ticket = None
                self._open(shared)
        return True

    def sign_out(self, log_out: Callable[[], None]) -> None:
        """Let go of the session; whoever is the last to hold it closes it at the vendor."""
        shared = self._shared
        if shared is None or self._process != os.getpid():  # a forked process must not sign its parent out
            return
        with _registry:
            shared.holders -= 1
            is_last = shared.holders == 0
            if is_last and _sessions.get(self._key()) is shared:
                del _sessions[self._key()]
        try:
            if is_last and shared.ticket is not None:
                log_out()
        finally:
            self._shared = None

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        shared = self._shared
        ticket = shared.ticket if shared else None
        if shared is not None and ticket is not None and not getattr(self._thread, "signing_in", False):
            self._thread.number = shared.number
            self._remember(ticket)
            request.headers["Cookie"] = ticket.cookie
        return request

    def __repr__(self) -> str:
        return f"B1Session({MASK})"

    def _hold(self) -> _Shared:
        if self._shared is None or self._process != os.getpid():
            with _registry:
                shared = _sessions.setdefault(self._key(), _Shared())
                shared.holders += 1
            self._shared, self._process = shared, os.getpid()
        return self._shared

    def _key(self) -> tuple[str, ...]:
        return (str(os.getpid()), *self._identity)

    def _open(self, shared: _Shared) -> None:
        """Sign in. A password that was refused once is not sent again: so many of them lock a user out."""
        if shared.refused is not None:
            raise AuthFailed(shared.refused)
        if self._log_in is None:
            raise AuthFailed("This session belongs to no connector, and cannot be opened.")
        self._thread.signing_in = True
        try:
            ticket = self._log_in()
        except AuthFailed as error:
            shared.refused = str(error)
            raise
        finally:
            self._thread.signing_in = False
        self._remember(ticket)
        shared.ticket, shared.number = ticket, shared.number + 1

    def _remember(self, ticket: Ticket) -> None:
        value = ticket.cookie.partition(";")[0].partition("=")[2]
        self._seen = tuple(dict.fromkeys((value, *self._seen)))[:2]


def version_of(address: str, extra: Mapping[str, object]) -> tuple[str, str]:
    """The Service Layer's address without its version, and the version: the setting's, the address's, or the default.

    Raises ConfigError for a version there is not, and for two different ones.
    """
    root = _ROOT.search(address)
    named = (root[1] or "") if root else ""
    wanted = _text(extra.get("version")) or named or DEFAULT_VERSION
    for version in filter(None, (wanted, named)):
        if version not in VERSIONS:
            raise ConfigError(f"The Service Layer has no version {version!r}{suggestion(version, VERSIONS)}")
    if named and named != wanted:
        raise ConfigError(f"The connection's host says {named} and its version says {wanted}. Leave one of them out.")
    return _ROOT.sub("", address), wanted


def _text(value: object) -> str | None:
    return (str(value).strip() or None) if value is not None else None


def _day(text: str | None) -> str | None:
    if text is not None and day_of(text) != text:
        raise ConfigError(f"The connection's payments_from {text!r} is not a day. Write it like 2026-01-31.")
    return text


def _zone(name: str | None) -> str | None:
    if name is None:
        return None
    try:
        return ZoneInfo(name).key
    except (KeyError, ValueError, OSError):
        raise ConfigError(
            f"The connection's time_zone {name!r} is not in the IANA database. Write it like Europe/Berlin."
        ) from None


def _fields(text: str | None) -> Mapping[str, tuple[str, ...]]:
    """`customer: U_Tier, Website; order: U_Channel` by entity. Raises ConfigError when it is written otherwise."""
    found: dict[str, tuple[str, ...]] = {}
    for part in filter(None, (part.strip() for part in (text or "").split(";"))):
        entity, colon, names = part.partition(":")
        fields = tuple(name.strip() for name in names.split(",") if name.strip())
        if not colon or not fields or not all(name.isidentifier() for name in fields):
            raise ConfigError(
                f"The connection's fields hold {part!r}. Write them like: customer: U_Tier, Website; order: U_Channel"
            )
        found[entity.strip()] = fields
    return found
