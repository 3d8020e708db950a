"""What a person registers, checked before it is kept: a webhook that is saved can verify and read its requests."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from erpflow.connectors.zoho_crm_notifications import LONGEST_TOKEN
from erpflow.errors import ConfigError
from erpflow.store.webhooks import WebhookFacts
from erpflow.webhooks.payload import payload_of
from erpflow.webhooks.systems import usual_verification
from erpflow.webhooks.verification import WHSEC, ChannelToken, Verification, check_secret, verification_of

_BYTES: Final = 32


def checked_facts(
    system: str,
    name: str,
    *,
    secret: str | None,
    verification: Mapping[str, Any] | None = None,
    payload: Mapping[str, Any] | None = None,
    events: Sequence[str] = (),
    entities: Sequence[str] = (),
    vendor_reference: str | None = None,
    active: bool = True,
    expires_at: datetime | None = None,
) -> WebhookFacts:
    """The facts of a webhook as they are kept; without a `verification` the way the system signs by itself.

    `secret`: the one it will have. Raises ConfigError, naming the key that is wrong.
    """
    where = f'the webhook "{name}"'
    scheme = verification_of(verification, where=where) if verification else usual_verification(system)
    if scheme is None:
        raise ConfigError(
            f"How does {system} prove that its requests are its own? Give {where} a verification: hmac, "
            "standard_webhooks, bearer, basic or channel_token."
        )
    check_secret(scheme, secret, where=where)
    if payload:
        payload_of(payload, where=where)
    return WebhookFacts(
        name=name,
        events=tuple(events),
        entities=tuple(entities),
        verification=scheme.model_dump(mode="json"),
        payload=dict(payload or {}),
        vendor_reference=vendor_reference,
        active=active,
        expires_at=expires_at,
    )


def new_secret(verification: Verification) -> str:
    """A secret for a vendor that lets us choose it, as its scheme writes it."""
    if verification.scheme == "standard_webhooks":
        return WHSEC + base64.b64encode(secrets.token_bytes(_BYTES)).decode()
    text = secrets.token_urlsafe(_BYTES)
    return text[:LONGEST_TOKEN] if isinstance(verification, ChannelToken) else text
