"""How a message is signed, so that its receiver knows who sent it, and that nobody changed or repeats it.

Source: Standard Webhooks, "Signature scheme" (https://github.com/standard-webhooks/standard-webhooks, spec).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets as random_bytes
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from erpflow.errors import ConfigError
from erpflow.store.vault import Secret

PREFIX: Final = "whsec_"
SECRET_BYTES: Final = 32
SHORTEST_BYTES, LONGEST_BYTES = 24, 64
"""What the standard allows a secret to be."""


def new_secret(*, random: Callable[[int], bytes] = random_bytes.token_bytes) -> Secret:
    """A secret for a receiver: `whsec_` and 32 random bytes in base64."""
    return Secret(PREFIX + base64.b64encode(random(SECRET_BYTES)).decode())


def checked_secret(text: str) -> Secret:
    """A secret that a receiver brings along. Raises ConfigError unless it is `whsec_` and 24 to 64 bytes in base64."""
    secret = Secret(text.strip())
    _key(secret)
    return secret


def signed_headers(event_id: str, body: bytes, *, at: datetime, secrets: Sequence[Secret]) -> Mapping[str, str]:
    """The three headers of a message that is sent `at`; a signature for each of the secrets.

    Raises ConfigError for a secret that is none.
    """
    timestamp = str(int(at.timestamp()))
    signatures = [signature(event_id, timestamp, body, secret=secret) for secret in secrets]
    return {"webhook-id": event_id, "webhook-timestamp": timestamp, "webhook-signature": " ".join(signatures)}


def signature(event_id: str, timestamp: str, body: bytes, *, secret: Secret) -> str:
    """`v1,` and the base64 of the HMAC-SHA256 of `id.timestamp.body`. `timestamp` in seconds since 1970."""
    digest = hmac.new(_key(secret), f"{event_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def _key(secret: Secret) -> bytes:
    text = secret.reveal()
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):  # ValueError: a character that is not ASCII
        key = b""
    if not text.startswith(PREFIX) or not SHORTEST_BYTES <= len(key) <= LONGEST_BYTES:
        raise ConfigError(
            f"The secret of a subscription must be {PREFIX} and {SHORTEST_BYTES} to {LONGEST_BYTES} bytes in base64, "
            "and this one is not. Leave it out and one is made, or make one: "
            "python -c \"import base64, os; print('whsec_' + base64.b64encode(os.urandom(32)).decode())\""
        ) from None
    return key
