"""Accounts on vendors' systems. Their secrets go in, and never come out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import Field, SecretStr

from erpflow.api.bodies import After, Answer, Body, Limit, Name, Page, page_of
from erpflow.api.callers import Caller, Configuring, Looking, Running
from erpflow.api.idempotency import IdempotentRoute
from erpflow.api.problems import not_found
from erpflow.api.surroundings import Surroundings, surroundings_of
from erpflow.connectors.registry import connector_class
from erpflow.connectors.session import base_url
from erpflow.errors import ConfigError
from erpflow.services import connecting
from erpflow.services.connecting import MASK
from erpflow.store import connection_report, connections, listing, tenants
from erpflow.store.connections import ConnectionStatus, ErpConnection
from erpflow.store.vault import Credentials
from erpflow.vocabulary import ConnectionId

router = APIRouter(tags=["connections"], route_class=IdempotentRoute)

Url = Annotated[str, Field(min_length=1, max_length=2000)]
Login = Annotated[str, Field(max_length=2000)]
Settings = dict[str, SecretStr | None]


class NewConnection(Body):
    """An account to be added. `settings`: what its system names; `options`: anything of your own, kept as it is."""

    name: Name
    system: Annotated[str, Field(max_length=100)]
    url: Url
    login: Login | None = None
    password: SecretStr | None = None
    settings: Settings = Field(default_factory=dict)
    options: dict[str, Any] = Field(default_factory=dict)


class ConnectionChange(Body):
    """What changes; what is left out stays, and so does a secret that comes back as it was shown ("***").

    A setting that is null goes. `disabled`: nothing is synced until it is false again.
    """

    name: Name | None = None
    url: Url | None = None
    login: Login | None = None
    password: SecretStr | None = None
    settings: Settings | None = None
    options: dict[str, Any] | None = None
    disabled: bool | None = None


class Connection(Answer):
    """An account. Of each secret only whether it is set: "***", or null.

    `entities`: what it syncs. `secret_problem`: why its Airflow Connection cannot be read, if that is so.
    """

    id: str
    name: str
    system: str
    airflow_conn_id: str
    status: ConnectionStatus
    status_message: str | None
    account: str | None
    options: dict[str, Any]
    url: str | None
    login: str | None
    password: str | None
    settings: dict[str, str | None]
    secret_problem: str | None
    entities: list[str]
    last_checked_at: datetime | None
    created_at: datetime
    updated_at: datetime


class Tested(Answer):
    """What the vendor said. `latency` in milliseconds."""

    success: bool
    message: str
    latency: int
    account: str | None
    status: ConnectionStatus


@router.get("/connections")
def list_connections(
    request: Request,
    caller: Looking,
    limit: Limit = 50,
    after: After = None,
    system: Annotated[str | None, Query(max_length=100)] = None,
    status: ConnectionStatus | None = None,
) -> Page[Connection]:
    """The tenant's accounts, the newest first."""
    around = surroundings_of(request)
    with around.database.session(caller.tenant_id) as store:
        rows, onward = listing.page(
            store, connection_report.LISTING, limit=limit, after=after, system=system, status=status
        )
    return Page[Connection].model_validate(page_of((_shown(around, rows), onward)))


@router.post("/connections", status_code=HTTPStatus.CREATED)
def create_connection(request: Request, caller: Configuring, body: NewConnection) -> Connection:
    """Add an account, with a sync config for each mapping of its system. Its secret goes, encrypted, to Airflow."""
    around = surroundings_of(request)
    vault = around.vault()
    new = connecting.NewAccount(
        name=body.name,
        system=body.system,
        url=body.url,
        login=body.login,
        password=_revealed(body.password),
        settings={name: _revealed(value) for name, value in body.settings.items()},
        options=body.options,
    )
    row = None
    try:
        with around.database.session(caller.tenant_id) as store:
            slug = tenants.slug_of(store, caller.tenant_id)
            row = connecting.add_account(
                store, vault, new, tenant_id=caller.tenant_id, slug=slug, mappings=around.mappings
            )
            shown = connection_report.get(store, row.id)
    except BaseException:
        if row is not None:
            vault.delete(row.airflow_conn_id)
        raise
    assert shown is not None  # noqa: S101  (it was made in this transaction)
    return Connection.model_validate(_shown(around, [shown])[0])


@router.get("/connections/{connection_id}")
def get_connection(request: Request, caller: Looking, connection_id: UUID) -> Connection:
    """One account."""
    around = surroundings_of(request)
    with around.database.session(caller.tenant_id) as store:
        row = connection_report.get(store, str(connection_id))
    if row is None:
        raise not_found("connection", connection_id)
    return Connection.model_validate(_shown(around, [row])[0])


@router.put("/connections/{connection_id}")
def change_connection(request: Request, caller: Configuring, connection_id: UUID, body: ConnectionChange) -> Connection:
    """Change what is given. An address that leads to another host needs the secret again."""
    around = surroundings_of(request)
    given = body.model_dump(exclude_unset=True)
    secret: dict[str, Any] = {
        name: _plain(given[name]) for name in ("url", "login", "password", "settings") if name in given
    }
    if secret.get("url", "") is None:
        del secret["url"]
    with around.database.session(caller.tenant_id) as store:
        row = connections.find_connection(store, ConnectionId(str(connection_id)), lock=True)
        if row is None:
            raise not_found("connection", connection_id)
        connections.change_connection(store, row.id, name=body.name, options=body.options, disabled=body.disabled)
        if secret and connecting.change_secret(store, around.vault(), row, secret):
            connections.change_connection(store, row.id, anew=True)
    return get_connection(request, caller, connection_id)


@router.delete("/connections/{connection_id}", status_code=HTTPStatus.NO_CONTENT)
def delete_connection(request: Request, caller: Configuring, connection_id: UUID) -> None:
    """Delete an account with its sync configs, logs and secret. The rows it synced stay in their tables."""
    around = surroundings_of(request)
    with around.database.session(caller.tenant_id) as store:
        row = connections.find_connection(store, ConnectionId(str(connection_id)), lock=True)
        if row is None:
            raise not_found("connection", connection_id)
        connecting.remove(store, around.vault(), row)


@router.post("/connections/{connection_id}/test")
def test_connection(request: Request, caller: Running, connection_id: UUID) -> Tested:
    """Ask the vendor who we are, for at most 30 seconds, and keep its answer as the account's status.

    A vendor's no is an answer, too: `success` is false, and `message` says why.
    """
    around = surroundings_of(request)
    row = connection_of(around, caller, connection_id)
    tried = connecting.check_account(around.database, row, connect=around.connect, tenant_id=caller.tenant_id)
    result = tried.result
    return Tested(
        success=result.success,
        message=result.message,
        latency=round(result.latency * 1000),
        account=result.account,
        status=tried.status,
    )


def connection_of(around: Surroundings, caller: Caller, connection_id: UUID) -> ErpConnection:
    """The tenant's connection of that id. Raises 404."""
    with around.database.session(caller.tenant_id) as store:
        row = connections.find_connection(store, ConnectionId(str(connection_id)))
    if row is None:
        raise not_found("connection", connection_id)
    return row


def _shown(around: Surroundings, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows with what may be seen of their secrets."""
    secrets: Mapping[str, Credentials | ConfigError]
    try:
        secrets = around.vault().read_many([row["airflow_conn_id"] for row in rows])
    except ConfigError as error:
        secrets = {row["airflow_conn_id"]: error for row in rows}
    return [row | _masked(row["system"], secrets[row["airflow_conn_id"]]) for row in rows]


def _masked(system: str, kept: Credentials | ConfigError) -> dict[str, Any]:
    if isinstance(kept, ConfigError):
        return {"url": None, "login": None, "password": None, "settings": {}, "secret_problem": str(kept)}
    try:
        spec = connector_class(system).spec
        url = base_url(kept.host or "", schema=kept.schema or None, port=kept.port)
    except ConfigError as error:
        return {"url": None, "login": None, "password": None, "settings": {}, "secret_problem": str(error)}
    return {
        "url": url,
        "login": MASK if kept.login and spec.secret_login else kept.login or None,
        "password": MASK if kept.password else None,
        "settings": {
            name: MASK if name in spec.secret_settings and kept.extra.get(name) else _text(kept.extra.get(name))
            for name in spec.settings
        },
        "secret_problem": None,
    }


def _text(value: object) -> str | None:
    return None if value is None or value == "" else str(value)


def _revealed(value: SecretStr | None) -> str | None:
    return value.get_secret_value().strip() if value is not None else None


def _plain(value: Any) -> Any:
    """A value of the body with its secrets readable, for the vault."""
    if isinstance(value, SecretStr):
        return _revealed(value)
    return {name: _plain(each) for name, each in value.items()} if isinstance(value, dict) else value
