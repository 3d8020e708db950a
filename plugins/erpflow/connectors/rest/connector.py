"""A connector class made of a declaration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Final

import msgspec

from erpflow.connectors import network
from erpflow.connectors.account import Account
from erpflow.connectors.base import (
    LOGIN_AND_PASSWORD,
    Change,
    CheckResult,
    Connector,
    ConnectorSpec,
    Deletion,
    EntitySpec,
    Limits,
    Page,
    PageToken,
    RawRecord,
    WriteResult,
    reported,
)
from erpflow.connectors.oauth import OAuthAuth, oauth_auth
from erpflow.connectors.rest.asking import Asking
from erpflow.connectors.rest.expressions import decoded, rows_at, text_at
from erpflow.connectors.rest.fill import filled, placeholders
from erpflow.connectors.rest.load import load_declaration
from erpflow.connectors.rest.looking import Looking
from erpflow.connectors.rest.model import Auth, AuthKind, Declaration, Entity, PagingKind
from erpflow.connectors.rest.reading import Reader, scalar
from erpflow.connectors.rest.signing import DeclaredAuth, account_values, oauth_spec
from erpflow.connectors.rest.times import instant_of
from erpflow.connectors.rest.writing import Writer
from erpflow.connectors.transport import ONE_ATTEMPT, Transport
from erpflow.errors import ConfigError, ProtocolError, suggestion
from erpflow.vocabulary import Operation, RemoteId, VendorRecord, Window

SINGLE_WRITES: Final = 25
"""Changes in a call of `write` where the system takes one record a request."""

PRIVATE: Final = {
    network.SETTING: "true: the address may be inside a private network, or on this machine.",
}


class RestConnector(Connector):
    """Speaks to what a declaration describes; a subclass for each system."""

    declaration: ClassVar[Declaration]
    own_address = False  # a declaration may fix it for all accounts
    private_networks = False

    def __init__(self, transport: Transport, *, page_size: int | None = None) -> None:
        super().__init__(transport, page_size=page_size)
        self._asking = Asking(transport, self.declaration)

    @classmethod
    def auth(cls, account: Account) -> DeclaredAuth | OAuthAuth:
        return DeclaredAuth(cls.declaration, account) if cls.oauth is None else oauth_auth(cls.oauth, account)

    @classmethod
    def address(cls, account: Account) -> str:
        values = account_values(cls.declaration, account)
        found = filled(cls.declaration.address, values)
        if found is None:
            raise ConfigError("The connection lacks a setting that its address is made of. Fill in its fields.")
        return str(found).rstrip("/")

    @classmethod
    def may_reach_private(cls, account: Account) -> bool:
        return network.allowed_by(account.extra.get(network.SETTING))

    @reported
    def check(self) -> CheckResult:
        answer = self._asking.ask(self.declaration.check, {}, retries=ONE_ATTEMPT)
        data = self._asking.data(answer)
        place = self.declaration.check.account
        account = text_at(place, data) if place else None
        name = account or self._transport.host
        return CheckResult(success=True, message=f"Signed in as {name}", account=name)

    def read(self, entity: str, window: Window, *, resume: PageToken | None = None) -> Iterator[Page]:
        return self.reader(entity).pages(window, resume)

    def reader(self, entity: str) -> Reader:
        """What reads the pages of an entity."""
        found = self._entity(entity)
        return Reader(
            self._asking,
            found.list,
            entity=entity,
            key=found.key,
            modified=found.modified,
            page_size=self._page_size or found.page_size,
        )

    def read_one(self, entity: str, remote_id: RemoteId) -> VendorRecord | None:
        found = self._looking(entity).one(remote_id)
        record: dict[str, Any] | None = None if found is None else decoded(bytes(found))
        return record

    def read_many(self, entity: str, remote_ids: Sequence[RemoteId]) -> Page:
        """See `SupportsWrites`."""
        rows = self._looking(entity).many(remote_ids)
        return Page(_listed(rows), len(rows), None, zone=self.declaration.times.zone)

    def find(self, entity: str, keys: Sequence[VendorRecord]) -> list[list[RemoteId]]:
        """See `SupportsWrites`."""
        looking = self._looking(entity)
        return [looking.having(key) for key in keys]

    def write(self, entity: str, changes: Sequence[Change]) -> list[WriteResult]:
        """See `SupportsWrites`."""
        return Writer(self._asking, self._entity(entity)).write(changes)

    def read_deleted(self, entity: str, window: Window, *, resume: PageToken | None = None) -> Iterator[Page]:
        """See `SupportsDeletedFeed`."""
        declared, looking = self._entity(entity), self._looking(entity)
        if declared.deleted is None:
            raise ConfigError(f"The connector's file declares no list of deleted {entity}.")
        key, at = declared.deleted.key, declared.deleted.at
        reader = Reader(
            self._asking,
            declared.deleted,
            entity=f"deleted {entity}",
            key=key,
            modified=at,
            page_size=self._page_size or declared.page_size,
        )
        for page in reader.pages(window, resume):
            rows = msgspec.json.decode(page.raw, type=list[msgspec.Raw])
            names = [RemoteId(_field(row, key)) for row in rows]
            there = {_field(row, declared.key) for row in looking.many(names)}
            gone = [row for row, name in zip(rows, names, strict=True) if name not in there]
            yield Page(_listed(gone), len(gone), page.next, zone=page.zone, server_time=page.server_time)

    @classmethod
    def split(cls, entity: str, raw: bytes) -> list[RawRecord]:
        """A landed page is a list of records; a whole answer of the system's is taken too."""
        expression = cls._entity(entity).list.records
        return rows_at("@" if raw.lstrip()[:1] == b"[" else expression, raw, what=f"A page of {entity}")

    @classmethod
    def split_deleted(cls, entity: str, raw: bytes, *, zone: str) -> list[Deletion]:
        """See `SupportsDeletedFeed`."""
        declared = cls._entity(entity).deleted
        if declared is None or raw.lstrip()[:1] != b"[":
            raise ProtocolError(f"This is no landed page of deleted {entity}.")
        rows = rows_at("@", raw, what=f"A page of deleted {entity}")
        return [
            Deletion(RemoteId(_field(row, declared.key)), cls.instant(_field(row, declared.at or ""), zone=zone))
            for row in rows
        ]

    @classmethod
    def instant(cls, text: str, *, zone: str) -> datetime | None:
        found = instant_of(text, pattern=cls.declaration.times.format, zone=zone)
        return None if found is None else found.astimezone(UTC)

    def _looking(self, entity: str) -> Looking:
        found = self._entity(entity)
        return Looking(self._asking, found, name=entity, limit=max(found.page_size, 2))

    @classmethod
    def _entity(cls, name: str) -> Entity:
        known = cls.declaration.entities
        if name not in known:
            raise ConfigError(f'{cls.declaration.title} has no entity "{name}"{suggestion(name, known)}')
        return known[name]


@cache
def declared(path: Path) -> type[RestConnector]:
    """The connector of a declaration. Raises ConfigError with everything that is wrong with the file."""
    return connector_of(load_declaration(path))


def connector_of(declaration: Declaration) -> type[RestConnector]:
    """The connector of a declaration."""
    name = "".join(word.capitalize() for word in declaration.system.split("_"))
    limits = declaration.limits
    spec = ConnectorSpec(
        system=declaration.system,
        title=declaration.title,
        auth=(declaration.auth.kind.value,),
        entities={name: _entity_spec(entity) for name, entity in declaration.entities.items()},
        limits=Limits(limits.per_second, limits.per_minute, limits.per_hour, limits.per_day, limits.concurrent),
        settings={**{key: one.description or one.title for key, one in declaration.settings.items()}, **PRIVATE},
        required_settings=frozenset(key for key, one in declaration.settings.items() if one.required),
        credentials=_credentials(declaration.auth),
        secret_login=declaration.auth.kind is AuthKind.API_KEY,
    )
    members = {"spec": spec, "declaration": declaration, "oauth": oauth_spec(declaration), "__module__": __name__}
    return type(name, (RestConnector,), {**members, "__doc__": f"{declaration.title}, as its file declares it."})


def _credentials(auth: Auth) -> frozenset[str]:
    """Which of login and password an account cannot do without."""
    if auth.kind is AuthKind.NONE:
        return frozenset()
    if auth.kind in (AuthKind.API_KEY, AuthKind.BEARER):
        return LOGIN_AND_PASSWORD & set(placeholders(auth.value))
    if auth.kind is AuthKind.SESSION:
        asked = auth.login.model_dump() if auth.login is not None else {}
        return LOGIN_AND_PASSWORD & set(placeholders(asked))
    return LOGIN_AND_PASSWORD


def _entity_spec(entity: Entity) -> EntitySpec:
    writes = entity.writes()
    changing = [write for operation, write in writes.items() if operation is not Operation.CREATE]
    words = {operation: _words(write) for operation, write in writes.items()}
    return EntitySpec(
        remote=entity.object,
        key=entity.key,
        modified=entity.modified,
        page_size=entity.page_size,
        bulk_size=max((write.bulk for write in writes.values() if write.bulk > 1), default=SINGLE_WRITES),
        ordered=entity.list.paging.kind is PagingKind.KEYSET,
        writes=frozenset(writes),
        checks_version=bool(changing) and all("version" in _words(write) for write in changing),
        repeatable_create="idempotency_key" in words.get(Operation.CREATE, ()),
        deleted_feed=entity.deleted is not None,
        replaces=entity.update_replaces,
    )


def _words(write: Any) -> set[str]:
    return {name for _, template in write.templates() for name in placeholders(template)}


def _field(row: RawRecord, name: str) -> str:
    return scalar(msgspec.json.decode(row, type=dict[str, msgspec.Raw]).get(name))


def _listed(rows: Sequence[RawRecord]) -> bytes:
    return b"[" + b",".join(bytes(row) for row in rows) + b"]"
