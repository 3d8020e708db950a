"""What becomes of a person's consent at a vendor: whose tokens may serve a connection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from erpflow.connectors.oauth import Grant, OAuthClient, oauth_client
from erpflow.connectors.registry import connector_class
from erpflow.errors import ConfigError
from erpflow.services.connecting import account_of
from erpflow.store.cipher import Cipher
from erpflow.store.connections import ErpConnection
from erpflow.store.tokens import kept_facts, save_grant
from erpflow.store.vault import Vault

if TYPE_CHECKING:
    from erpflow.store.pull import Connection as Store


def client_of(row: ErpConnection, vault: Vault) -> OAuthClient:
    """Who asks for the tokens of a connection. Raises ConfigError for a system without OAuth, and without an app."""
    return oauth_client(connector_class(row.system), account_of(row, vault))


def keep(store: Store, row: ErpConnection, grant: Grant, *, cipher: Cipher) -> None:
    """Save what a consent brought. Raises ConfigError when it cannot serve the connection: nothing is saved then."""
    oauth = connector_class(row.system).oauth
    facts = oauth.redirect_facts if oauth is not None else ()
    _check(grant, row, facts=facts, known=kept_facts(store, row.id))
    save_grant(store, row.id, grant, cipher=cipher)


def _check(grant: Grant, row: ErpConnection, *, facts: tuple[str, ...], known: Mapping[str, str]) -> None:
    if not grant.refresh_token:
        raise ConfigError(
            "The vendor gave an access token, and nothing to renew it with. Nothing was saved. Allow the app offline "
            "access in the vendor's developer console, take back what you agreed to before, and start again."
        )
    for name in facts:
        if name not in grant.facts:
            raise ConfigError(
                f"The vendor did not say whose account this is ({name} is missing). Nothing was saved. "
                f"It says so when a person agrees in a browser: erpflow connect {row.name}"
            )
        if known.get(name, grant.facts[name]) != grant.facts[name]:
            raise ConfigError(
                f"{row.name} belongs to {name} {_line(known[name])}, and you agreed for {_line(grant.facts[name])}. "
                "Nothing was saved: two accounts would be mixed. Start again with the first, or add a connection for "
                "the second: erpflow connection add"
            )


def _line(value: str) -> str:
    return "".join(sign if sign.isprintable() else "�" for sign in value[:60])
