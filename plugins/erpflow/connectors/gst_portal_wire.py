"""The GST portal on the wire: who asks, in which words, and what its answers hold."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import requests
from requests.auth import AuthBase

from erpflow.connectors.account import Account
from erpflow.connectors.answer import Answer
from erpflow.connectors.gst_portal_crypto import Encrypted, Envelope, Plain, PortalSession, Sealed
from erpflow.connectors.gst_portal_errors import UNREADABLE, judge
from erpflow.connectors.redaction import MASK
from erpflow.connectors.signing import header_safe
from erpflow.connectors.transport import Retries, Transport
from erpflow.errors import ConfigError, ProtocolError, suggestion

# Which operation has which version is UNVERIFIED, and differs by GSP.
PATHS: Final[Mapping[str, str]] = {
    "authenticate_path": "/taxpayerapi/v1.0/authenticate",
    "returns_path": "/taxpayerapi/v1.0/returns",
    "gstr1_path": "/taxpayerapi/v4.0/returns/gstr1",
    "proceed_path": "/taxpayerapi/v1.0/returns/gstrptf",
}
SETTINGS: Final[Mapping[str, str]] = {
    "gstin": "The GSTIN this connection files for.",
    "username": "The user name of the taxpayer at the GST portal.",
    "mode": "encrypted, as the portal itself takes it (if nothing is said), or plain, as sandboxes of GSPs do.",
    "public_key": "The portal's certificate in PEM, as the GSP gives it. Needed unless the mode is plain.",
    "ip": "The address that is told as the user's (ip-usr). Empty: 127.0.0.1.",
    **{name: f"Path of the operation. Empty: {path}" for name, path in PATHS.items()},
}
_MODES: Final = ("encrypted", "plain")
_STATE_DIGITS: Final = 2

_ENCODE: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Taxpayer:
    """For whom is asked, and how."""

    gstin: str
    username: str
    mode: str
    public_key: str = field(repr=False)
    ip: str
    paths: Mapping[str, str]

    @classmethod
    def of(cls, account: Account) -> Taxpayer:
        """As a connection's settings say it. Raises ConfigError for a mode that there is not."""

        def setting(name: str) -> str:
            value = account.extra.get(name) or ""
            if not isinstance(value, str):
                raise ConfigError(f"The connection's extra option {name!r} must be text, not {type(value).__name__}")
            return value.strip()

        mode = setting("mode") or _MODES[0]
        if mode not in _MODES:
            raise ConfigError(f"The connection's mode {mode!r} is none{suggestion(mode, _MODES)}")
        paths = {name: f"/{setting(name).strip('/')}" if setting(name) else path for name, path in PATHS.items()}
        ip = setting("ip") or "127.0.0.1"
        return cls(setting("gstin").upper(), setting("username"), mode, setting("public_key"), ip, paths)


class GspAuth(AuthBase):
    """The headers that every request to a GSP carries: its client, and for which taxpayer."""

    def __init__(self, client_id: str | None, client_secret: str | None, taxpayer: Taxpayer) -> None:
        """Raises ConfigError for a value that no header can carry."""
        self._id = header_safe(client_id, what="client id", spaces="")
        self._secret = header_safe(client_secret, what="client secret", spaces="")
        header_safe(taxpayer.username, what="user name", spaces=" ")
        header_safe(taxpayer.gstin, what="GSTIN", spaces="")
        self.taxpayer = taxpayer

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be read by anybody: the transport masks it."""
        return (self._secret,) if self._secret else ()

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        about = self.taxpayer
        headers = {
            "clientid": self._id, "client-secret": self._secret, "state-cd": about.gstin[:_STATE_DIGITS],
            "ip-usr": about.ip, "username": about.username, "gstin": about.gstin,
        }  # fmt: skip
        request.headers.update({name: value for name, value in headers.items() if value})
        return request

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GspAuth) and (self._id, self._secret, self.taxpayer) == (
            other._id, other._secret, other.taxpayer,
        )  # fmt: skip

    def __hash__(self) -> int:
        return hash((self._id, self._secret, self.taxpayer.gstin))

    def __repr__(self) -> str:
        return f"GspAuth({MASK})"


class Wire:
    """Sends operations and opens their answers. `new_id`: 32 characters that name a request."""

    def __init__(self, transport: Transport, *, new_id: Callable[[], str] = lambda: uuid.uuid4().hex) -> None:
        """Raises ConfigError when nothing says for whom is asked."""
        auth = transport.auth
        if not isinstance(auth, GspAuth):
            raise ConfigError("This session is not signed for the GST portal.")
        self.taxpayer = auth.taxpayer
        self.envelope: Envelope = Plain() if auth.taxpayer.mode == "plain" else Encrypted(auth.taxpayer.public_key)
        self._transport = transport
        self._new_id = new_id

    def wait(self, seconds: float) -> None:
        """Wait before asking again."""
        self._transport.wait(seconds)

    def get(
        self, operation: str, query: Mapping[str, str], *, session: PortalSession | None, retries: Retries | None = None
    ) -> bytes:
        """What an operation answers, as JSON. Raises what the judge returns, and ProtocolError."""
        answer = self._transport.request(
            "GET", self.taxpayer.paths[operation], query=query, headers=self._headers(session, query), judge=judge,
            retries=retries,
        )  # fmt: skip
        return self._opened(answer, session)

    def send(
        self,
        method: str,
        operation: str,
        action: str,
        data: bytes,
        *,
        session: PortalSession,
        more: Mapping[str, Any] | None = None,
        period: str,
        is_repeatable: bool,
        retries: Retries | None = None,
    ) -> bytes:
        """Send JSON, wrapped, and give what is answered. `more`: members beside it. Raises as `get`."""
        body = _ENCODE({"action": action, **self.envelope.seal(data, session), **(more or {})})
        headers = {**self._headers(session, {"ret_period": period}), "Content-Type": "application/json"}
        answer = self._transport.request(
            method, self.taxpayer.paths[operation], body=body, headers=headers, judge=judge, idempotent=is_repeatable,
            retries=retries,
        )  # fmt: skip
        try:
            return self._opened(answer, session)
        except ProtocolError as error:
            error.maybe_done = True
            raise

    def authenticate(self, action: str, members: Mapping[str, Any], *, retries: Retries) -> Answer:
        """An operation of signing in: its answer has members of its own. Raises what the judge returns."""
        body = _ENCODE({"action": action, "username": self.taxpayer.username, **members})
        headers = {**self._headers(None, {}), "Content-Type": "application/json"}
        return self._transport.request(
            "POST", self.taxpayer.paths["authenticate_path"], body=body, headers=headers, judge=judge, retries=retries
        )

    def _headers(self, session: PortalSession | None, query: Mapping[str, str]) -> dict[str, str]:
        headers = {"txn": self._new_id()}
        if "ret_period" in query:
            headers["ret_period"] = query["ret_period"]
        if session is not None:
            headers["auth-token"] = session.auth_token
        return headers

    def _opened(self, answer: Answer, session: PortalSession | None) -> bytes:
        sealed = decoded(answer, Sealed)
        return bytes(sealed.data) if session is None else self.envelope.open(sealed, session)


def decoded(answer: Answer, shape: type[Any]) -> Any:
    """The answer in its promised shape. Raises ProtocolError."""
    try:
        return msgspec.json.decode(answer.body, type=shape)
    except UNREADABLE as error:
        raise odd(f"{answer.method} {answer.path}", error) from None


def read(data: bytes, shape: type[Any], *, of: str) -> Any:
    """The opened data of an answer in its promised shape. Raises ProtocolError."""
    try:
        return msgspec.json.decode(data, type=shape)
    except UNREADABLE as error:
        raise odd(of, error) from None


def odd(what: str, error: Exception) -> ProtocolError:
    """An answer that is not what the API promises; it is not quoted, since it may hold tokens."""
    return ProtocolError(f"The GST portal's answer to {what} is not what its API promises ({error}).")
