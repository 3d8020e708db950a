"""How bodies are wrapped on the way to the GST portal and back: encrypted as GSTN wants it, or plain as GSPs offer.

Source: GSTN, "Authentication" and "Encryption": AES-256 in ECB mode with a session key, RSA for the key of the app,
HMAC-SHA256 over the base64 text. ECB and PKCS #1 v1.5 are the portal's choice.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol

import msgspec

from erpflow.errors import ConfigError, ProtocolError

KEY_BYTES: Final = 32
_BLOCK_BITS: Final = 128


@dataclass(frozen=True, slots=True)
class PortalSession:
    """An open session of one taxpayer. `key`: the session key in base64, empty in plain mode. Times in UTC."""

    auth_token: str = field(repr=False)
    key: str = field(repr=False)
    expires_at: datetime


class Sealed(msgspec.Struct):
    """An answer's members that hold its data."""

    data: msgspec.Raw = msgspec.Raw(b"null")
    rek: str = ""
    hmac: str = ""


class Envelope(Protocol):
    """How one mode writes and reads."""

    def new_key(self) -> tuple[str, dict[str, Any]]:
        """A key for the answer to an OTP, to be kept until then, and the members that tell the portal."""
        ...

    def otp(self, otp: str, *, pending: str) -> dict[str, Any]:
        """The members that prove an OTP."""
        ...

    def renewal(self, session: PortalSession) -> tuple[str, dict[str, Any]]:
        """A key for the answer to a renewal, and the members that tell the portal."""
        ...

    def session_key(self, sek: str, *, pending: str) -> str:
        """The session key out of an answer. Raises ProtocolError."""
        ...

    def seal(self, data: bytes, session: PortalSession) -> dict[str, Any]:
        """The members of a body that carry JSON."""
        ...

    def open(self, sealed: Sealed, session: PortalSession) -> bytes:
        """The JSON that an answer carries. Raises ProtocolError."""
        ...


class Plain:
    """As sandboxes of GSPs take it (UNVERIFIED: each has its own words): JSON as it is, byte for byte."""

    def new_key(self) -> tuple[str, dict[str, Any]]:
        return "", {}

    def otp(self, otp: str, *, pending: str) -> dict[str, Any]:
        return {"otp": otp}

    def renewal(self, session: PortalSession) -> tuple[str, dict[str, Any]]:
        return "", {}

    def session_key(self, sek: str, *, pending: str) -> str:
        return ""

    def seal(self, data: bytes, session: PortalSession) -> dict[str, Any]:
        return {"data": msgspec.Raw(data)}

    def open(self, sealed: Sealed, session: PortalSession) -> bytes:
        return bytes(sealed.data)


class Encrypted:
    """As GSTN takes it. `certificate`: the portal's, in PEM, or its public key alone."""

    def __init__(self, certificate: str) -> None:
        self._certificate = certificate

    def new_key(self) -> tuple[str, dict[str, Any]]:
        """Raises ConfigError when the certificate is none."""
        key = secrets.token_bytes(KEY_BYTES)
        return _text(key), self._told(key)

    def otp(self, otp: str, *, pending: str) -> dict[str, Any]:
        key = _bytes(pending)
        return {**self._told(key), "otp": _text(encrypt(otp.encode(), key))}

    def renewal(self, session: PortalSession) -> tuple[str, dict[str, Any]]:
        key = secrets.token_bytes(KEY_BYTES)
        return _text(key), {"app_key": _text(encrypt(key, _bytes(session.key)))}

    def session_key(self, sek: str, *, pending: str) -> str:
        key = decrypt(_bytes(sek), _bytes(pending))
        if len(key) != KEY_BYTES:
            raise ProtocolError(f"The GST portal's session key has {len(key)} bytes and not {KEY_BYTES}.")
        return _text(key)

    def seal(self, data: bytes, session: PortalSession) -> dict[str, Any]:
        key, coded = _bytes(session.key), base64.b64encode(data)
        return {"data": _text(encrypt(coded, key)), "hmac": _signed(coded, key)}

    def open(self, sealed: Sealed, session: PortalSession) -> bytes:
        try:
            data = msgspec.json.decode(sealed.data, type=str)
        except msgspec.DecodeError:
            raise ProtocolError("The GST portal's answer is not encrypted. Is the connection's mode right?") from None
        key = decrypt(_bytes(sealed.rek), _bytes(session.key))
        coded = decrypt(_bytes(data), key)
        if not hmac.compare_digest(_signed(coded, key).encode(), sealed.hmac.encode()):
            raise ProtocolError("The GST portal's answer does not carry the right HMAC: it is not used.")
        return _bytes(coded.decode("ascii", "replace"))

    def _told(self, key: bytes) -> dict[str, Any]:
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

        return {"app_key": _text(_public_key(self._certificate).encrypt(key, PKCS1v15()))}


def evc_signature(data: bytes, sid: str) -> str:
    """What proves that the person with the OTP means this very summary (UNVERIFIED): HMAC over its base64 text."""
    return _signed(base64.b64encode(data), sid.encode())


def encrypt(data: bytes, key: bytes) -> bytes:
    """AES in ECB mode with PKCS #7 padding."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.padding import PKCS7

    padder = PKCS7(_BLOCK_BITS).padder()
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305  (the portal's choice)
    return encryptor.update(padder.update(data) + padder.finalize()) + encryptor.finalize()


def decrypt(data: bytes, key: bytes) -> bytes:
    """The reverse. Raises ProtocolError for what was not encrypted with this key."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.padding import PKCS7

    try:
        decryptor = Cipher(algorithms.AES(key), modes.ECB()).decryptor()  # noqa: S305  (the portal's choice)
        unpadder = PKCS7(_BLOCK_BITS).unpadder()
        return unpadder.update(decryptor.update(data) + decryptor.finalize()) + unpadder.finalize()
    except ValueError:
        raise ProtocolError("The GST portal's answer cannot be decrypted with the key of this session.") from None


def _public_key(pem: str) -> Any:
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from cryptography.x509 import load_pem_x509_certificate

    text = pem.strip().replace("\\n", "\n").encode()
    try:
        if b"BEGIN CERTIFICATE" in text:
            return load_pem_x509_certificate(text).public_key()
        return load_pem_public_key(text)
    except ValueError:
        raise ConfigError(
            "The connection's public_key is no certificate and no public key in PEM. Copy the portal's certificate as "
            "the GSP gives it, or set the mode to plain for a sandbox that takes it."
        ) from None


def _signed(coded: bytes, key: bytes) -> str:
    return _text(hmac.new(key, coded, hashlib.sha256).digest())


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ProtocolError("The GST portal's answer holds something that is no base64 where it must be.") from None
