"""The portal's side of the encryption: its RSA key, the app's key, the session's key, and a key for each answer."""

import base64
import hashlib
import hmac
import os
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sandbox.gst_portal.refusal import Refusal

BLOCK = 16
KEY_LENGTH = 32


@cache
def portal_key() -> rsa.RSAPrivateKey:
    """Made once per process: nothing outside it depends on which."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def public_pem() -> str:
    pem = portal_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem.decode()


def app_key(text: str) -> bytes:
    """The app's key out of a request for an OTP."""
    try:
        key = portal_key().decrypt(base64.b64decode(text), padding.PKCS1v15())
    except ValueError:
        raise Refusal("TEC4002", "Invalid app key: it is not encrypted with the public key of the portal") from None
    if len(key) != KEY_LENGTH:
        raise Refusal("TEC4002", "Invalid app key: it has not 32 bytes")
    return key


def aes(data: bytes, key: bytes) -> bytes:
    fill = BLOCK - len(data) % BLOCK
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305  (as the portal does)
    return encryptor.update(data + bytes([fill]) * fill) + encryptor.finalize()


def unaes(text: str, key: bytes) -> bytes:
    try:
        decryptor = Cipher(algorithms.AES(key), modes.ECB()).decryptor()  # noqa: S305  (as the portal does)
        data = decryptor.update(base64.b64decode(text)) + decryptor.finalize()
    except ValueError:
        raise Refusal("RET191106", "The data cannot be decrypted") from None
    fill = data[-1] if data else 0
    if not 0 < fill <= BLOCK or data[-fill:] != bytes([fill]) * fill:
        raise Refusal("RET191106", "The data cannot be decrypted")
    return data[:-fill]


def coded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def signed(data: bytes, key: bytes) -> str:
    return coded(hmac.new(key, data, hashlib.sha256).digest())


def opened(body: dict[str, Any], key: bytes) -> bytes:
    """The JSON of an encrypted body."""
    inner = unaes(str(body.get("data", "")), key)
    if not hmac.compare_digest(signed(inner, key), str(body.get("hmac", ""))):
        raise Refusal("RET191106", "The HMAC is not that of the data")
    return base64.b64decode(inner)


def sealed(data: bytes, key: bytes) -> dict[str, str]:
    """An answer's members."""
    answer_key = os.urandom(KEY_LENGTH)
    inner = base64.b64encode(data)
    return {
        "data": coded(aes(inner, answer_key)),
        "rek": coded(aes(answer_key, key)),
        "hmac": signed(inner, answer_key),
    }
