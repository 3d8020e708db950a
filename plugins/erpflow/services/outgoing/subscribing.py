"""Takes down who is told of what, after a look at the address; the command line and the API call it."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Collection, Iterable
from datetime import timedelta
from typing import Final
from urllib.parse import SplitResult, urlsplit

from erpflow.connectors import network
from erpflow.errors import ConfigError, suggestion
from erpflow.services.outgoing.signing import checked_secret, new_secret
from erpflow.store import subscriptions
from erpflow.store.cipher import Cipher
from erpflow.store.subscriptions import Connection, Subscription
from erpflow.store.vault import Secret
from erpflow.vocabulary import EventType, SubscriptionId, TenantId

HTTP_VARIABLE: Final = "ERPFLOW_ALLOW_HTTP_WEBHOOKS"
ROTATION: Final = timedelta(hours=24)
"""How long the secret before a rotation signs too: time enough to bring the new one to the receiver."""
LONGEST_ROTATION: Final = timedelta(days=30)
LONGEST_URL: Final = 2_000


def subscribe(
    connection: Connection,
    url: str,
    *,
    events: Iterable[str],
    cipher: Cipher,
    tenant_id: TenantId,
    description: str = "",
    secret: str | None = None,
) -> tuple[Subscription, Secret]:
    """Tell the program at `url` of these events from now on. Its secret is given back here and never again.

    `secret`: one that the receiver brings along; otherwise one is made. Raises ConfigError for an address that may not
    be told, an unknown event, a secret that is none, or an address that has a subscription already.
    """
    chosen = checked_secret(secret) if secret is not None else new_secret()
    row = subscriptions.add_subscription(
        connection,
        checked_url(url),
        events=checked_events(events),
        secret=chosen,
        cipher=cipher,
        tenant_id=tenant_id,
        description=description,
    )
    return row, chosen


def rotate(
    connection: Connection,
    subscription_id: SubscriptionId,
    *,
    cipher: Cipher,
    tenant_id: TenantId,
    keep: timedelta = ROTATION,
    secret: str | None = None,
) -> Secret:
    """Sign with a new secret, given back here and never again; the one before signs too for as long as `keep`.

    Raises ConfigError when there is no such subscription, `keep` is no such time, or the secret is none.
    """
    if not timedelta(0) <= keep <= LONGEST_ROTATION:
        raise ConfigError(f"An old secret can be kept for 0 to {LONGEST_ROTATION.days} days, not {keep}.")
    chosen = checked_secret(secret) if secret is not None else new_secret()
    subscriptions.rotate_secret(
        connection, subscription_id, secret=chosen, cipher=cipher, keep=keep, tenant_id=tenant_id
    )
    return chosen


def checked_events(words: Iterable[str]) -> Collection[EventType]:
    """The events called so. Raises ConfigError for an unknown one, with the nearest name, and for none at all."""
    known = {event.value: event for event in EventType}
    found = []
    for word in words:
        if word not in known:
            raise ConfigError(f'There is no event "{word}"{suggestion(word, known)}')
        found.append(known[word])
    if not found:
        raise ConfigError(f"Name one event at least{suggestion('', known)}")
    return found


def checked_url(url: str) -> str:
    """The address to tell. Raises ConfigError when it is none, holds a login, or leads where it may not.

    A name is looked up at each sending, not here: what it means may change, and who subscribes learns nothing of what
    our own network calls its machines.
    """
    text = url.strip()
    parts = _parts(text)
    if parts.username or parts.password or parts.fragment:
        raise ConfigError(
            f"The address at {parts.hostname} holds a login or a #fragment, and neither is sent. Messages are signed "
            "instead: leave them out."
        )
    if parts.scheme == "http" and not http_allowed():
        raise ConfigError(
            f"http://{parts.hostname} can be read by everybody on the way. Use https, or set {HTTP_VARIABLE}=true."
        )
    host = (parts.hostname or "").rstrip(".")
    if not private_allowed() and (host == "localhost" or host.endswith(".localhost") or _is_private(host)):
        raise ConfigError(
            f"{host} is inside a private network or on this machine, and messages may not go there. If it is right, "
            f"set {network.VARIABLE}=true."
        )
    return text


def http_allowed() -> bool:
    """Whether messages may go unencrypted."""
    return os.environ.get(HTTP_VARIABLE, "").strip().lower() in {"1", "true", "yes", "on"}


def private_allowed() -> bool:
    """Whether messages may go to private networks: as for connections that say nothing of their own."""
    return network.allowed_by(None)


def _parts(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        sane = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        sane = False
    if not sane or len(text) > LONGEST_URL or not text.isascii() or not text.isprintable() or " " in text:
        raise ConfigError(
            "This is not an address that can be told. Write it like https://example.com/hooks/erpflow, with "
            f"international names in their ASCII form and at most {LONGEST_URL:,} characters."
        )
    return parts


def _is_private(host: str) -> bool:
    """Whether it is an address, and not one of the public internet. A name is none."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return not network.is_public(host)
