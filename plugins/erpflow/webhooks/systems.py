"""Each system's webhooks, as data: how they are signed unless somebody says otherwise, and who reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from erpflow.connectors import (
    erpnext_webhooks,
    metakocka_webhooks,
    quickbooks_webhooks,
    razorpay_webhooks,
    registry,
    veekaart_webhooks,
    zoho_crm_webhooks,
)
from erpflow.connectors.change_notice import ChangeNotice
from erpflow.errors import ConfigError
from erpflow.webhooks.payload import PayloadPaths
from erpflow.webhooks.verification import Algorithm, ChannelToken, Encoding, HmacSignature, Verification

Read = Callable[[bytes, Mapping[str, str]], list[ChangeNotice]]
"""A body, and the headers that came once by their small names, as changes. Raises PayloadInvalid."""


@dataclass(frozen=True, slots=True)
class SystemWebhooks:
    """How a system signs, how its bodies are read, and what it wants to hear; without an `answer` anything will do."""

    verification: Verification
    read: Read
    answer: Mapping[str, str] | None = None


SYSTEMS: Final[Mapping[str, SystemWebhooks]] = {
    "erpnext": SystemWebhooks(
        HmacSignature(header=erpnext_webhooks.SIGNATURE_HEADER, encoding=Encoding.BASE64), erpnext_webhooks.notices
    ),
    "metakocka": SystemWebhooks(
        HmacSignature(
            header=metakocka_webhooks.SIGNATURE_HEADER, algorithm=Algorithm.SHA1, encoding=Encoding.BASE64
        ),
        metakocka_webhooks.notices,
        metakocka_webhooks.ANSWER,
    ),
    "quickbooks": SystemWebhooks(
        HmacSignature(header=quickbooks_webhooks.SIGNATURE_HEADER, encoding=Encoding.BASE64),
        quickbooks_webhooks.change_notices,
    ),
    "razorpay": SystemWebhooks(
        HmacSignature(header=razorpay_webhooks.SIGNATURE_HEADER), razorpay_webhooks.notices
    ),
    "veekaart": SystemWebhooks(
        HmacSignature(header=veekaart_webhooks.SIGNATURE_HEADER), veekaart_webhooks.notices
    ),
    "zoho_crm": SystemWebhooks(ChannelToken(field=zoho_crm_webhooks.TOKEN_FIELD), zoho_crm_webhooks.notices),
}  # fmt: skip


def usual_verification(system: str) -> Verification | None:
    """How a system signs by itself; None for one whose users must say."""
    found = SYSTEMS.get(system)
    return found.verification if found else None


def answer_to(system: str) -> Mapping[str, str] | None:
    """What a system wants to hear that its request was taken; None when it does not care."""
    found = SYSTEMS.get(system)
    return found.answer if found else None


def reader_of(system: str) -> Read:
    """Who reads a system's bodies: its own reader, or whatever names the usual fields."""
    found = SYSTEMS.get(system)
    return found.read if found else PayloadPaths().notices


def entities_of(system: str) -> Callable[[str], str | None]:
    """What tells our name of a vendor's entity, or None when the connector has none of that name.

    Where there is no connector, or it is a service that has no entities, nothing translates it, and it stays as it is.
    Asked once for all events of a request: that there is no connector is found out by looking into every installed
    package.
    """
    try:
        entities = registry.connector_class(system).spec.entities
    except ConfigError:
        return lambda remote: remote
    if not entities:
        return lambda remote: remote
    names = {name.casefold(): name for name in entities}
    for name, spec in reversed(list(entities.items())):  # of two with one name at the vendor, the first
        names[spec.remote.casefold()] = name
    return lambda remote: names.get(remote.casefold())
