"""What a person does in Intuit's developer portal: webhooks of an app are set there, and no API tells of them.

Source: Intuit, "Webhooks: best practices". The names of the portal's pages are UNVERIFIED: they change.
"""

from __future__ import annotations

from collections.abc import Mapping

from erpflow.connectors.base import EntitySpec
from erpflow.connectors.webhook_setup import VendorWebhook, WebhookState
from erpflow.errors import ConfigError, suggestion


def steps_for(wanted: VendorWebhook, entities: Mapping[str, EntitySpec]) -> WebhookState:
    """The steps, with our address in them. Raises ConfigError for an entity that QuickBooks does not have here."""
    names = list(dict.fromkeys(wanted.entities or entities))
    for name in names:
        if name not in entities:
            raise ConfigError(f"QuickBooks has no entity {name!r} here{suggestion(name, entities)}")
    watched = ", ".join(entities[name].remote for name in names)
    return WebhookState(
        steps=(
            "Open https://developer.intuit.com, choose your app, then Webhooks, and the environment of this company "
            "(Development or Production).",
            f"Enter this endpoint URL: {wanted.url}",
            f"Choose these entities, with every operation: {watched}. Save.",
            f"Show the verifier token there and put it here as the webhook's secret: PUT /api/erp/webhooks/{wanted.id} "
            '{"secret": "…"}. Until then every request of Intuit is refused.',
        )
    )
