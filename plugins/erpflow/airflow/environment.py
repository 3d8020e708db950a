"""Where a task finds its surroundings: the application database, the landing area, the mappings, a vendor's connector.

Everything here is called inside a task, never while a DAG file is parsed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import cast

from airflow.sdk import BaseHook, ObjectStoragePath
from airflow.sdk.configuration import conf
from airflow.sdk.log import mask_secret

from erpflow.airflow.hooks import hook_class
from erpflow.connectors import registry
from erpflow.connectors.account import Account
from erpflow.connectors.base import Connector
from erpflow.errors import ConfigError
from erpflow.store.cipher import Cipher
from erpflow.store.connections import ErpConnection
from erpflow.store.database import Database
from erpflow.store.rate_limits import PostgresLimiter
from erpflow.store.sync_logs import SyncRun
from erpflow.store.tokens import PostgresTokens
from erpflow.store.vault import Vault
from erpflow.sync.engine import Engine
from erpflow.sync.landing import Folder
from erpflow.vocabulary import ConnectionId

DATABASE_CONNECTION = "erpflow_db"
"""The Airflow Connection of the application database."""


def database() -> Database:
    """The application database, from the Airflow Connection `erpflow_db` (or AIRFLOW_CONN_ERPFLOW_DB)."""
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    connection = BaseHook.get_connection(DATABASE_CONNECTION)
    if connection.conn_type not in {"postgres", "postgresql"}:
        raise ConfigError(
            f'The Airflow Connection "{DATABASE_CONNECTION}" is of type "{connection.conn_type}", not "postgres". '
            "Correct it under Admin → Connections."
        )
    url = PostgresHook(postgres_conn_id=DATABASE_CONNECTION, connection=connection).get_uri()
    return Database(url.replace("postgresql+psycopg://", "postgresql://", 1))


def mappings_folder() -> Path:
    """The folder of mapping files: ERPFLOW_MAPPINGS, or include/mappings beside the DAGs folder."""
    configured = os.environ.get("ERPFLOW_MAPPINGS")
    return Path(configured) if configured else Path(__file__).parents[3] / "include" / "mappings"


def landing_root() -> Folder:
    """Where raw pages land: ERPFLOW_LANDING_URI, any URI that Airflow's object storage knows."""
    uri = os.environ.get("ERPFLOW_LANDING_URI") or f"file://{Path(__file__).parents[3] / '.erpflow' / 'landing'}"
    return cast("Folder", ObjectStoragePath(uri))


def connector_for(run: SyncRun, db: Database) -> AbstractContextManager[Connector]:
    """The vendor of a run, ready to be asked: the http provider's session, our transport, shared limits and tokens."""
    return _vendor(run.system, run.airflow_conn_id, run.connection_id, db)


def connect(row: ErpConnection) -> AbstractContextManager[Connector]:
    """The vendor of a connection, likewise."""
    return _vendor(row.system, row.airflow_conn_id, row.id, database())


@contextmanager
def _vendor(system: str, airflow_conn_id: str, connection_id: ConnectionId, db: Database) -> Iterator[Connector]:
    connector = registry.connector_class(system)
    hook = hook_class(system)(http_conn_id=airflow_conn_id)

    def tokens(account: Account) -> PostgresTokens:
        from erpflow.connectors.oauth import oauth_client

        client = oauth_client(connector, account)
        return PostgresTokens(db, connection_id, client, cipher=cipher(), on_secret=mask_secret)

    with hook.session(connector, tokens=tokens) as (session, account):
        limits, counted_as = connector.spec.limits, connector.counted_as(account)
        with closing(PostgresLimiter(db, connection_id, limits, account=counted_as)) as limiter:
            yield registry.build(
                system,
                session,
                base_url=connector.address(account),
                limiter=limiter,
                private_networks=connector.may_reach_private(account),
            )


def vault() -> Vault:
    """Airflow's connections, to be written: this Airflow's own database and keys."""
    url = conf.get("database", "sql_alchemy_conn", fallback="") or ""
    metadata = Database(url, application_name="erpflow vault") if url.startswith("postgres") else None
    return Vault(metadata, fernet_keys=conf.get("core", "fernet_key", fallback="") or "")


def cipher() -> Cipher:
    """Encrypts with the Fernet keys of this Airflow."""
    return Cipher(conf.get("core", "fernet_key", fallback="") or "")


def engine() -> Engine:
    """The engine as a task has it."""
    db = database()
    return Engine(
        database=db,
        connector_class=registry.connector_class,
        connect=lambda run: connector_for(run, db),
        landing_root=landing_root(),
        mappings=mappings_folder(),
    )
