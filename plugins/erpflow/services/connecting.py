"""Accounts on vendors' systems: added, changed, tried and taken away, for the command line and the API alike."""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from erpflow.connectors.account import Account
from erpflow.connectors.base import CheckResult, Connector, ConnectorSpec
from erpflow.connectors.registry import connector_class
from erpflow.connectors.session import base_url
from erpflow.errors import AuthFailed, ConfigError, ErpflowError, suggestion
from erpflow.mapping.load import find_mappings, load_mapping
from erpflow.store import connections
from erpflow.store.connections import ConnectionStatus, ErpConnection
from erpflow.store.credentials import write_secret
from erpflow.store.vault import Credentials, Secret, Vault
from erpflow.sync.configure import configure
from erpflow.vocabulary import DEFAULT_TENANT, ConnectionId, TenantId

if TYPE_CHECKING:
    from erpflow.store.pull import Connection as Store
    from erpflow.store.tenancy import TenantDatabase

MASK: Final = "***"
"""What is shown of a secret that is set; sent back to us, it changes nothing."""

CHECK_S: Final = 30.0
"""How long somebody who waits for the answer waits; a vendor's own time-out may be half an hour."""

_LONGEST_ID: Final = 200


class FieldRefused(ConfigError):
    """One field of what was asked for is wrong."""

    def __init__(self, message: str, *, field: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAccount:
    """An account to be added."""

    name: str
    system: str
    url: str
    login: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    settings: Mapping[str, str | None] = field(default_factory=dict, repr=False)
    options: Mapping[str, Any] = field(default_factory=dict)


def add_account(
    store: Store, vault: Vault, new: NewAccount, *, tenant_id: TenantId, slug: str, mappings: Path
) -> ErpConnection:
    """A new connection with a sync config for each mapping of its system; its secret is written last.

    Whoever calls commits `store`, and takes the secret out of the vault again when that fails. Raises FieldRefused and
    ConfigError.
    """
    spec = spec_of(new.system)
    given = {"login": new.login, "password": new.password}
    if MASK in (new.login, new.password, *new.settings.values()):
        raise FieldRefused(f'"{MASK}" only stands for a secret that is kept. Give the secret itself.', field="password")
    check_settings(spec, new.settings)
    conn_id = conn_id_for(new.name, tenant_id=tenant_id, slug=slug, vault=vault)
    kept = credentials(conn_id, new.system, _address(new.url), **given, extra=new.settings)
    check_complete(spec, kept)
    try:
        row = connections.add_connection(
            store, new.name, system=new.system, airflow_conn_id=conn_id, options=new.options, tenant_id=tenant_id
        )
    except ConfigError as error:
        raise FieldRefused(str(error), field="name") from None
    add_configs(store, row, mappings)
    vault.write(kept)
    return row


def change_secret(store: Store, vault: Vault, row: ErpConnection, changed: Mapping[str, Any]) -> bool:
    """Write what changed of a connection's address, login, password and settings; whether anything did.

    `changed`: any of `url`, `login`, `password`, `settings`; None takes a value away, and what is shown of a secret
    leaves it as it is. Raises FieldRefused, also when the secret would go to another host without being given again:
    who may write a secret cannot read it by that.
    """
    spec = spec_of(row.system)
    settings = {key: value for key, value in (changed.get("settings") or {}).items() if value != MASK}
    wanted = {key: changed[key] for key in ("login", "password") if key in changed and changed[key] != MASK}
    if not settings and not wanted and "url" not in changed:
        return False
    check_settings(spec, settings)
    known = vault.read(row.airflow_conn_id)
    after = replace(known, extra=merged(known.extra, settings))
    if "login" in wanted:
        after = replace(after, login=wanted["login"])
    if "password" in wanted:
        after = replace(after, password=_secret(wanted["password"]))
    if "url" in changed:
        after = replace(after, host=_address(changed["url"]), schema=None, port=None)
        _check_move(spec, known, after, given={*wanted, *settings})
    check_complete(spec, after)
    if after == known:
        return False
    write_secret(store, vault, row.id, after, secret_settings=spec.secret_settings)
    return True


def remove(store: Store, vault: Vault, row: ErpConnection) -> None:
    """Delete a connection with its configs and logs, and its secret with it; business rows stay."""
    connections.delete_connection(store, row.id)
    vault.delete(row.airflow_conn_id)


def spec_of(system: str) -> ConnectorSpec:
    """The data sheet of a system. Raises FieldRefused with the nearest name."""
    try:
        return connector_class(system).spec
    except ConfigError as error:
        raise FieldRefused(str(error), field="system") from None


def check_settings(spec: ConnectorSpec, given: Mapping[str, str | None]) -> None:
    """Raises FieldRefused for a setting that the system does not have."""
    for name in given:
        if name not in spec.settings:
            raise FieldRefused(
                f'{spec.title} has no setting "{name}"{suggestion(name, spec.settings)}', field=f"settings.{name}"
            )


def check_complete(spec: ConnectorSpec, kept: Credentials) -> None:
    """Raises FieldRefused for what an account of this system cannot do without."""
    have = {"login": kept.login, "password": kept.password and kept.password.reveal()}
    for name in sorted(spec.credentials):
        if not have[name]:
            raise FieldRefused(f"{spec.title} wants a {name}, and there is none.", field=name)
    for name in sorted(spec.required_settings):
        if not kept.extra.get(name):
            raise FieldRefused(
                f"{spec.title} wants the setting {name}: {spec.settings[name]}", field=f"settings.{name}"
            )


def conn_id_for(name: str, *, tenant_id: TenantId, slug: str, vault: Vault) -> str:
    """The id of the Airflow connection for an account: its name, behind the tenant's where that is not the default.

    What Airflow has already is never taken over, whoever's it is.
    """
    whole = name if tenant_id == DEFAULT_TENANT else f"{slug}__{name}"
    plain = re.sub(r"[^A-Za-z0-9_.-]", "_", whole)[:_LONGEST_ID]
    return plain if plain == whole and not vault.knows(plain) else f"{plain}_{secrets.token_hex(4)}"


def add_configs(store: Store, row: ErpConnection, mappings: Path) -> list[str]:
    """A sync config for each mapping file of the connection's system: their entities."""
    folder = mappings / row.system
    entities = []
    for path in find_mappings(folder) if folder.is_dir() else []:
        found = load_mapping(path)
        configure(store, row.id, found, path=str(path.relative_to(mappings)))
        entities.append(found.entity)
    return entities


def credentials(
    conn_id: str, system: str, url: str, *, login: str | None, password: str | None, extra: Mapping[str, str | None]
) -> Credentials:
    """An Airflow connection as a person's words make it. Raises ConfigError for an address that is none."""
    return Credentials(
        conn_id=conn_id,
        conn_type=system,
        host=base_url(url),
        login=login,
        password=_secret(password),
        extra={name: value for name, value in extra.items() if value},
    )


def merged(known: Mapping[str, Any], changed: Mapping[str, str | None]) -> dict[str, Any]:
    """Settings after a change: what is not named stays, an empty value goes."""
    return {name: value for name, value in {**known, **changed}.items() if value or name not in changed}


def change_extra(vault: Vault, conn_id: str, changed: Mapping[str, str]) -> None:
    """Change settings of an Airflow connection. Raises ConfigError when there is no such connection."""
    known = vault.read(conn_id)
    if changed:
        vault.write(replace(known, extra=merged(known.extra, changed)))


def account_of(row: ErpConnection, vault: Vault) -> Account:
    """What a connection's secret says, as a connector signs with it.

    Raises ConfigError when it is not to be found, or does not make an address.
    """
    secret = vault.read(row.airflow_conn_id)
    if not secret.host:
        raise ConfigError(
            f'The Airflow connection "{row.airflow_conn_id}" has no host. Give it the address of the site.'
        )
    return Account(
        address=base_url(secret.host, schema=secret.schema or None, port=secret.port),
        login=secret.login,
        password=secret.password.reveal() if secret.password else None,
        extra=secret.extra,
    )


@dataclass(frozen=True, slots=True)
class Tried:
    """What a check said: the connection's status by it, and the error it ended in, if it did."""

    result: CheckResult
    status: ConnectionStatus
    error: ErpflowError | None = None


def try_account(connect: Callable[[], AbstractContextManager[Connector]], *, patience: float = CHECK_S) -> Tried:
    """Ask a vendor who we are, for at most `patience` seconds. Never raises for a vendor's no."""
    found: list[Tried | BaseException] = []
    started = time.monotonic()

    def ask() -> None:
        try:
            found.append(_asked(connect, started))
        except BaseException as error:  # noqa: BLE001  (raised where it is waited for)
            found.append(error)

    # A thread of its own: one that is given up ends with the vendor's time-out, and keeps nobody else waiting.
    asking = threading.Thread(target=ask, daemon=True, name="erpflow-check")
    asking.start()
    asking.join(patience)
    if not found:
        message = f"There was no answer within {patience:g} seconds. Nothing was changed; try again later."
        late = CheckResult(success=False, message=message, latency=time.monotonic() - started)
        return Tried(late, ConnectionStatus.ERROR)
    if isinstance(found[0], BaseException):
        raise found[0]
    return found[0]


def note(store: Store, connection_id: ConnectionId, tried: Tried) -> None:
    """Keep what a check said as the connection's status."""
    result = tried.result
    connections.set_status(store, connection_id, tried.status, message=result.message, account=result.account)


def check_account(
    database: TenantDatabase,
    row: ErpConnection,
    *,
    connect: Callable[[ErpConnection], AbstractContextManager[Connector]],
    tenant_id: TenantId,
) -> Tried:
    """Ask a connection's vendor who we are, and keep what it says. No transaction is open while it is asked."""
    tried = try_account(lambda: connect(row))
    with database.session(tenant_id) as store:
        note(store, row.id, tried)
    return tried


def _asked(connect: Callable[[], AbstractContextManager[Connector]], started: float) -> Tried:
    try:
        with connect() as vendor:
            result = vendor.check()
    except ErpflowError as error:
        # Without a consent nothing else helps; the word says so.
        status = ConnectionStatus.EXPIRED if isinstance(error, AuthFailed) else ConnectionStatus.ERROR
        no = CheckResult(success=False, message=str(error), latency=time.monotonic() - started)
        return Tried(no, status, error)
    return Tried(result, ConnectionStatus.ACTIVE if result.success else ConnectionStatus.ERROR)


def _address(url: str) -> str:
    try:
        return base_url(url)
    except ConfigError as error:
        raise FieldRefused(str(error), field="url") from None


def _secret(text: str | None) -> Secret | None:
    return Secret(text) if text else None


def _check_move(spec: ConnectorSpec, known: Credentials, after: Credentials, *, given: set[str]) -> None:
    try:
        before = base_url(known.host or "", schema=known.schema or None, port=known.port)
    except ConfigError:
        return  # it led nowhere
    if urlsplit(before)[:2] == urlsplit(after.host or "")[:2]:
        return
    kept = {name for name in spec.secret_settings if known.extra.get(name)}
    for name in ({"password"} if known.password else set()) | kept:
        if name not in given:
            raise FieldRefused(
                "The address leads to another host. Send the secret again with it: a kept one only goes where it was "
                "meant for.",
                field=name if name == "password" else f"settings.{name}",
            )
