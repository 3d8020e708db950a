"""How a request proves that it is the vendor's, as data, and the check itself: over the raw bytes, in constant time.

Whatever is wrong is one error with one message: who guesses learns nothing from it. Several secrets may be valid at
once, for what was signed before a secret was changed comes again for a day.
Source of `standard_webhooks`: the Standard Webhooks specification 1.0.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from secrets import token_hex
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from erpflow.connectors.change_notice import object_of
from erpflow.errors import ConfigError, PayloadInvalid, SignatureInvalid
from erpflow.store.vault import Secret

Headers = Sequence[tuple[str, str]]
"""The headers of a request in the order they came, each as often as it came."""

HEADER_NAME: Final = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$"
WHSEC: Final = "whsec_"
_SIGNATURES: Final = 20  # in one header; a vendor that rotates sends two
_SECONDS: Final = re.compile(r"[0-9]{1,12}")
_AUTHORIZATION: Final = "authorization"


class Algorithm(StrEnum):
    """The hash of an HMAC."""

    SHA1 = "sha1"
    SHA256 = "sha256"
    SHA512 = "sha512"


class Encoding(StrEnum):
    """How a signature's bytes are written."""

    HEX = "hex"
    BASE64 = "base64"


class _Scheme(BaseModel, ABC):
    model_config = ConfigDict(extra="forbid", frozen=True)

    needs_secret: ClassVar[bool] = True

    @abstractmethod
    def accepts(self, request: Request, secret: str) -> bool:
        """Whether the request proves that who sent it knows the secret."""

    def signed(self, told: Mapping[str, Any], secret: str, *, now: datetime) -> tuple[bytes, dict[str, str]]:
        """A request that is accepted: a body that tells this, and the headers that prove it."""
        body = json.dumps(told).encode()
        return body, self.proof(body, secret, now=now)

    @abstractmethod
    def proof(self, body: bytes, secret: str, *, now: datetime) -> dict[str, str]:
        """The headers that prove a body."""


class HmacSignature(_Scheme):
    """`header` holds `prefix` and the HMAC of the body."""

    scheme: Literal["hmac"] = "hmac"
    header: str = Field(pattern=HEADER_NAME)
    algorithm: Algorithm = Algorithm.SHA256
    encoding: Encoding = Encoding.HEX
    prefix: str = Field(default="", max_length=40)

    def accepts(self, request: Request, secret: str) -> bool:
        given = request.header(self.header)
        if self.encoding is Encoding.HEX:
            given = _lower_hex(given, self.prefix)
        return _is_same(given, self._signature(request.body, secret))

    def proof(self, body: bytes, secret: str, *, now: datetime) -> dict[str, str]:
        return {self.header: self._signature(body, secret)}

    def _signature(self, body: bytes, secret: str) -> str:
        digest = hmac.new(_bytes(secret), body, self.algorithm.value).digest()
        is_hex = self.encoding is Encoding.HEX
        return self.prefix + (digest.hex() if is_hex else base64.b64encode(digest).decode())


class StandardWebhooks(_Scheme):
    """The three headers of the Standard Webhooks specification; older or newer than `tolerance_s` is a replay."""

    scheme: Literal["standard_webhooks"] = "standard_webhooks"
    tolerance_s: int = Field(default=300, ge=1, le=3600)

    def accepts(self, request: Request, secret: str) -> bool:
        event_id, at, given = (request.header(f"webhook-{name}") for name in ("id", "timestamp", "signature"))
        key = _whsec(secret)
        right = self._signature(request.body, key, event_id=event_id, at=at)
        # Each of them is looked at, whichever is right: how long it takes tells nothing.
        is_right = any([_is_same(each, right) for each in given.split(" ")[:_SIGNATURES]])
        is_fresh = bool(_SECONDS.fullmatch(at)) and abs(request.now.timestamp() - int(at)) <= self.tolerance_s
        return is_right and is_fresh and bool(event_id) and bool(key)

    def proof(self, body: bytes, secret: str, *, now: datetime) -> dict[str, str]:
        event_id, at = f"msg_{token_hex(12)}", str(int(now.timestamp()))
        signature = self._signature(body, _whsec(secret), event_id=event_id, at=at)
        return {"webhook-id": event_id, "webhook-timestamp": at, "webhook-signature": signature}

    @staticmethod
    def _signature(body: bytes, key: bytes, *, event_id: str, at: str) -> str:
        digest = hmac.new(key, _bytes(f"{event_id}.{at}.") + body, hashlib.sha256).digest()
        return f"v1,{base64.b64encode(digest).decode()}"


class BearerToken(_Scheme):
    """`Authorization: Bearer <secret>`, or the secret alone in another `header`."""

    scheme: Literal["bearer"] = "bearer"
    header: str = Field(default="Authorization", pattern=HEADER_NAME)

    def accepts(self, request: Request, secret: str) -> bool:
        given = request.header(self.header)
        if self.header.lower() == _AUTHORIZATION:
            scheme, _, given = given.partition(" ")
            if scheme.lower() != "bearer":
                given = ""
        return _is_same(given, secret)

    def proof(self, body: bytes, secret: str, *, now: datetime) -> dict[str, str]:
        return {self.header: f"Bearer {secret}" if self.header.lower() == _AUTHORIZATION else secret}


class BasicLogin(_Scheme):
    """`Authorization: Basic …` with this user name, and the secret as the password."""

    scheme: Literal["basic"] = "basic"
    username: str = Field(max_length=200, pattern=r"^[^:\x00-\x1f]*$")

    def accepts(self, request: Request, secret: str) -> bool:
        scheme, _, given = request.header("Authorization").partition(" ")
        return _is_same(given if scheme.lower() == "basic" else "", self._login(secret))

    def proof(self, body: bytes, secret: str, *, now: datetime) -> dict[str, str]:
        return {"Authorization": f"Basic {self._login(secret)}"}

    def _login(self, secret: str) -> str:
        return base64.b64encode(_bytes(f"{self.username}:{secret}")).decode()


class ChannelToken(_Scheme):
    """The secret itself, in a `field` of the body: nothing is signed, so the body proves no more than that."""

    scheme: Literal["channel_token"] = "channel_token"
    field: str = Field(default="token", min_length=1, max_length=100)

    def accepts(self, request: Request, secret: str) -> bool:
        try:
            given = object_of(request.body).get(self.field)
        except PayloadInvalid:
            given = None
        return _is_same(given if isinstance(given, str) else "", secret)

    def proof(self, body: bytes, secret: str, *, now: datetime) -> dict[str, str]:
        """No header: the token is in the body."""
        return {}

    def signed(self, told: Mapping[str, Any], secret: str, *, now: datetime) -> tuple[bytes, dict[str, str]]:
        return json.dumps({**told, self.field: secret}).encode(), {}


class Unverified(_Scheme):
    """Anybody may send: only for an address that nobody else can reach, and only where it is said in so many words."""

    scheme: Literal["none"] = "none"
    anybody_may_send: Literal[True]
    needs_secret: ClassVar[bool] = False

    def accepts(self, request: Request, secret: str) -> bool:
        return True

    def proof(self, body: bytes, secret: str, *, now: datetime) -> dict[str, str]:
        return {}


Verification = Annotated[
    HmacSignature | StandardWebhooks | BearerToken | BasicLogin | ChannelToken | Unverified,
    Field(discriminator="scheme"),
]
_ADAPTER: Final[TypeAdapter[Verification]] = TypeAdapter(Verification)


class Request:
    """What came, as it came."""

    def __init__(self, headers: Headers, body: bytes, *, now: datetime) -> None:
        self.body = body
        self.now = now
        self._headers = headers

    def header(self, name: str) -> str:
        """The header that came exactly once; an empty text, which nothing accepts, when it did not."""
        found = [value for key, value in self._headers if key.lower() == name.lower()]
        return found[0].strip() if len(found) == 1 else ""


def verification_of(data: Mapping[str, Any], *, where: str) -> Verification:
    """The scheme that a webhook's `verification` describes. Raises ConfigError, naming the key that is wrong."""
    try:
        return _ADAPTER.validate_python(dict(data))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(part) for part in first["loc"]) or "scheme"
        raise ConfigError(
            f"The verification of {where} is not right: {key}: {first['msg']}. Schemes: hmac, standard_webhooks, "
            "bearer, basic, channel_token; or none, with anybody_may_send: true."
        ) from None


def check_secret(verification: Verification, secret: str | None, *, where: str) -> None:
    """Whether the secret is one for this scheme. Raises ConfigError."""
    if not verification.needs_secret:
        return
    if not secret:
        raise ConfigError(f"{where} has no secret, and {verification.scheme} needs one. Set the vendor's, or make one.")
    if isinstance(verification, StandardWebhooks) and not _whsec(secret):
        raise ConfigError(f"The secret of {where} is not Base64 behind {WHSEC}. Copy it again.")


def verify(verification: Verification, request: Request, *, secrets: Sequence[Secret]) -> None:
    """Raises SignatureInvalid unless one of the secrets is proved; a webhook without any accepts nothing."""
    valid = [text for secret in secrets if (text := secret.reveal())]
    if not any([verification.accepts(request, text) for text in (valid if verification.needs_secret else [""])]):
        raise SignatureInvalid(
            "The request does not prove that it comes from the vendor: its signature or token is missing, doubled, "
            "outdated or wrong. Compare the secret on both sides, and that nothing between them changes the body."
        )


def _is_same(given: str, right: str) -> bool:
    """Compared in constant time; an empty text is never right."""
    return hmac.compare_digest(_bytes(given), _bytes(right)) and bool(right)


def _bytes(text: str) -> bytes:
    """A text of any origin as bytes: JSON may hold half of a character, and headers are no better."""
    return text.encode("utf-8", "surrogatepass")


def _lower_hex(given: str, prefix: str) -> str:
    return given[: len(prefix)] + given[len(prefix) :].lower()


def _whsec(secret: str) -> bytes:
    """The key of the Standard Webhooks: Base64 behind `whsec_`, else the text as it is."""
    if not secret.startswith(WHSEC):
        return _bytes(secret)
    try:
        return base64.b64decode(secret.removeprefix(WHSEC), validate=True)
    except (binascii.Error, ValueError):
        return b""
