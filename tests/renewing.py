"""Processes that need the access token of one connection, all at once.

    python -m tests.renewing DATABASE_URL CONNECTION_ID VENDOR_URL FERNET_KEY WORKERS REFUSED

`REFUSED` is the version of the token that the vendor has refused, -1 for none. Prints a line for each process: the
version and the token it was given, or the kind of error and its sentence.
"""

from __future__ import annotations

import os
import sys

from erpflow.connectors.account import Account
from erpflow.connectors.oauth import oauth_client
from erpflow.errors import ErpflowError
from erpflow.store.cipher import Cipher
from erpflow.store.database import Database
from erpflow.store.tokens import PostgresTokens
from erpflow.vocabulary import ConnectionId
from tests.oauth import CLIENT_ID, CLIENT_SECRET, LedgerConnector


def line(url: str, connection_id: str, vendor: str, key: str, refused: int) -> str:
    client = oauth_client(LedgerConnector, Account(vendor, CLIENT_ID, CLIENT_SECRET))
    tokens = PostgresTokens(Database(url), ConnectionId(connection_id), client, cipher=Cipher(key))
    try:
        token = tokens.current() if refused < 0 else tokens.renewed(refused)
    except ErpflowError as error:
        return f"{type(error).__name__} {error}\n"
    return f"{token.version} {token.value}\n"


def main() -> None:
    url, connection_id, vendor, key, workers, refused = sys.argv[1:7]
    ready, go = os.pipe()
    children = []
    for _ in range(int(workers)):
        child = os.fork()
        if child == 0:
            os.close(go)
            os.read(ready, 1)  # until the parent lets all go at once
            os.write(1, line(url, connection_id, vendor, key, int(refused)).encode())
            os._exit(0)
        children.append(child)
    os.close(go)
    for child in children:
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
