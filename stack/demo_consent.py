"""A person's consent in the demo: the sandbox's page agrees at once, so nobody has to open it."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl, urlsplit

import requests

from erpflow.connectors.account import Account
from erpflow.connectors.oauth import oauth_client
from erpflow.connectors.registry import connector_class
from erpflow.errors import ProtocolError
from erpflow.store.cipher import FERNET_VARIABLE, Cipher
from erpflow.store.tokens import save_grant
from erpflow.vocabulary import ConnectionId
from stack.bring_up import Stack
from stack.demo_systems import System

REDIRECT_URI: Final = "http://localhost:8765/callback"
TIMEOUT_S: Final = 30.0


def consent(stack: Stack, system: System, connection: ConnectionId) -> None:
    """Keep tokens for the connection of a system with OAuth; nothing to do for any other.

    Anew with each start: the sandbox knows nothing of tokens that it gave before.
    """
    connector = connector_class(system.name)
    if connector.oauth is None:
        return
    address = f"{stack.sandbox.url}{system.path}"
    client = oauth_client(connector, Account(address, system.login, system.password, system.extra))
    asked = client.consent(REDIRECT_URI)
    with requests.Session() as session:
        session.trust_env = False  # a proxy of the caller has no business with 127.0.0.1
        answer = session.get(asked.url, allow_redirects=False, timeout=TIMEOUT_S)
    if not answer.is_redirect:
        raise ProtocolError(
            f"The sandbox's {system.title} did not agree to anything: it answered {answer.status_code}."
        )
    grant = client.exchange(asked, dict(parse_qsl(urlsplit(answer.headers["Location"]).query)))
    with stack.database.transaction() as database:
        save_grant(database, connection, grant, cipher=Cipher(stack.variables[FERNET_VARIABLE]))
