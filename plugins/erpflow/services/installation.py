"""Where this installation keeps its things, found without Airflow: database, folders, secrets, vendors.

The command line and `erpflow serve` are built on it; a task has the same from Airflow (`airflow/environment.py`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from erpflow.connectors.account import Account, Tokens
    from erpflow.connectors.base import Connector
    from erpflow.store.connections import ErpConnection
    from erpflow.store.database import Database
    from erpflow.sync.engine import Engine
    from erpflow.sync.landing import Folder


def home() -> Path:
    """The state folder: ERPFLOW_HOME, or .erpflow here."""
    return Path(os.environ.get("ERPFLOW_HOME") or ".erpflow")


def database() -> Database:
    """The application's database. Raises ConfigError when none is set."""
    from erpflow.store.database import from_environment

    return from_environment(home())


def mappings_folder() -> Path:
    """The folder of mapping files: ERPFLOW_MAPPINGS, or include/mappings here."""
    return Path(os.environ.get("ERPFLOW_MAPPINGS") or Path("include") / "mappings")


def landing_root() -> Folder:
    """Where raw pages land: ERPFLOW_LANDING_URI (a path or any fsspec URI), or the state folder."""
    uri = os.environ.get("ERPFLOW_LANDING_URI", "")
    if not uri:
        return home().absolute() / "landing"
    parts = urlsplit(uri)
    if parts.scheme in ("", "file"):
        return Path(unquote(parts.path) if parts.scheme else uri).absolute()
    from upath import UPath

    return UPath(uri)


@contextmanager
def connector_for(row: ErpConnection, db: Database, *, connector: type[Connector] | None = None) -> Iterator[Connector]:
    """The vendor of a connection, signed in, within the limits that all workers share; let go at the end.

    `connector`: the class to ask with, in place of the system's own.
    Raises ConfigError when its secret is not to be found, or does not make an address.
    """
    from erpflow.connectors import registry
    from erpflow.connectors.session import build_session
    from erpflow.store.rate_limits import PostgresLimiter

    connector = connector or registry.connector_class(row.system)
    account = account_of(row)
    if connector.oauth is not None:
        account = replace(account, tokens=_tokens(row, db, connector, account))
    limits, counted_as = connector.spec.limits, connector.counted_as(account)
    with (
        build_session(connector, account) as session,
        closing(PostgresLimiter(db, row.id, limits, account=counted_as)) as limiter,
    ):
        yield registry.build(
            connector,
            session,
            base_url=connector.address(account),
            limiter=limiter,
            private_networks=connector.may_reach_private(account),
        )


def account_of(row: ErpConnection) -> Account:
    """What a connection's secret says, as a connector signs with it.

    Raises ConfigError when it is not to be found, or does not make an address.
    """
    from erpflow.services import connecting
    from erpflow.store.vault import Vault

    return connecting.account_of(row, Vault.from_environment(home()))


def _tokens(row: ErpConnection, db: Database, connector: type[Connector], account: Account) -> Tokens:
    from erpflow.connectors.oauth import oauth_client
    from erpflow.store.cipher import Cipher
    from erpflow.store.tokens import PostgresTokens

    client = oauth_client(connector, account)
    return PostgresTokens(db, row.id, client, cipher=Cipher.from_environment(home()))


def engine(db: Database) -> Engine:
    """The engine as a command has it."""
    from erpflow.connectors.registry import connector_class
    from erpflow.store.connections import connection_of
    from erpflow.store.sync_logs import SyncRun
    from erpflow.sync.engine import Engine

    @contextmanager
    def connect(run: SyncRun) -> Iterator[Connector]:
        with db.session() as store:
            row = connection_of(store, run.connection_id)
        with connector_for(row, db) as vendor:
            yield vendor

    return Engine(
        database=db,
        connector_class=connector_class,
        connect=connect,
        landing_root=landing_root(),
        mappings=mappings_folder(),
    )
