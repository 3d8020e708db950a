"""Metakocka (a Slovenian ERP) over its JSON API. What is odd about it is in docs/systems/metakocka.md.

Why it is read and written like this: docs/adr/0014-a-vendor-without-dates-versions-or-keys.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import ClassVar, Final

from erpflow.connectors import metakocka_contacts as contacts
from erpflow.connectors import metakocka_documents as documents
from erpflow.connectors import metakocka_products as products
from erpflow.connectors import metakocka_stock as stock
from erpflow.connectors.account import Account
from erpflow.connectors.base import (
    LOGIN_AND_PASSWORD,
    Change,
    CheckResult,
    Connector,
    ConnectorSpec,
    EntitySpec,
    Limits,
    Page,
    PageToken,
    RawRecord,
    WriteResult,
    reported,
)
from erpflow.connectors.metakocka_company import Company
from erpflow.connectors.metakocka_signing import CompanyAuth
from erpflow.connectors.metakocka_wire import to_instant
from erpflow.connectors.metakocka_writing import Writer
from erpflow.connectors.transport import ONE_ATTEMPT, Transport
from erpflow.errors import ConfigError, suggestion
from erpflow.vocabulary import Operation, RemoteId, VendorRecord, Window

_ALL: Final = frozenset(Operation)

ENTITIES: Final[Mapping[str, EntitySpec]] = {
    # In the order in which they are synced: what a record refers to comes before it. `page_size` of contacts in
    # documents that partners are met on, of inventory in products.
    "contact": EntitySpec(
        remote="partner",
        key="mk_id",
        modified=None,
        page_size=100,
        bulk_size=20,
        windowed=True,
        writes=frozenset({Operation.CREATE, Operation.UPDATE}),
    ),
    "product": EntitySpec(remote="product", key="mk_id", modified=None, page_size=1000, bulk_size=20, writes=_ALL),
    "inventory": EntitySpec(remote="warehouse_stock", key="id", modified=None, page_size=200),
    # An update takes ten seconds and more (documents_update_document_sales_order.md): few of them outlast no lock.
    "document": EntitySpec(
        remote="document", key="id", modified=None, page_size=100, bulk_size=5, windowed=True, writes=_ALL
    ),
}

Split = Callable[[bytes], list[RawRecord]]
_SPLITS: Final[Mapping[str, Split]] = {
    "contact": contacts.split,
    "product": products.split,
    "inventory": stock.split,
    "document": documents.split,
}
ReadMany = Callable[[Company, Sequence[RemoteId]], Page]
_READ_MANY: Final[Mapping[str, ReadMany]] = {
    "contact": contacts.read_many,
    "product": products.read_many,
    "inventory": stock.read_many,
    "document": documents.read_many,
}
ReadOne = Callable[[Company, RemoteId], VendorRecord | None]
_READ_ONE: Final[Mapping[str, ReadOne]] = {
    "contact": contacts.read_one,
    "product": products.read_one,
    "inventory": stock.read_one,
    "document": documents.read_one,
}


class Metakocka(Connector):
    """One company at Metakocka."""

    own_address = False
    spec: ClassVar[ConnectorSpec] = ConnectorSpec(
        system="metakocka",
        title="Metakocka",
        auth=("secret in the body",),
        credentials=LOGIN_AND_PASSWORD,
        entities=ENTITIES,
        # Searches of a company wait for each other at the vendor; its quota of calls is not published (UNVERIFIED).
        limits=Limits(per_second=8.0, concurrent=1),
    )

    @classmethod
    def auth(cls, account: Account) -> CompanyAuth:
        return CompanyAuth(account.login, account.password)

    def __init__(self, transport: Transport, *, page_size: int | None = None) -> None:
        super().__init__(transport, page_size=page_size)
        self._company = Company(transport)

    @reported
    def check(self) -> CheckResult:
        self._company.ask("json/warehouse_list", {"limit": "1", "offset": "0"}, retries=ONE_ATTEMPT)
        return CheckResult(
            success=True,
            message=f"The company's key is good at {self._company.host}",
            account=f"company at {self._company.host}",
        )

    def read(self, entity: str, window: Window, *, resume: PageToken | None = None) -> Iterator[Page]:
        spec = self._entity(entity)
        limit = self._page_size or spec.page_size
        if entity == "product":
            return products.read(self._company, resume=resume, limit=limit)
        if entity == "inventory":
            return stock.read(self._company, resume=resume, limit=limit)
        read = contacts.read if entity == "contact" else documents.read
        return read(self._company, window, resume=resume, limit=limit)

    def read_one(self, entity: str, remote_id: RemoteId) -> VendorRecord | None:
        self._entity(entity)
        return _READ_ONE[entity](self._company, remote_id)

    @classmethod
    def split(cls, entity: str, raw: bytes) -> list[RawRecord]:
        cls._entity(entity)
        return _SPLITS[entity](raw)

    @classmethod
    def instant(cls, text: str, *, zone: str) -> datetime | None:
        return to_instant(text, zone=zone)

    def write(self, entity: str, changes: Sequence[Change]) -> list[WriteResult]:
        self._entity(entity)
        return Writer(self._company, entity).write(changes) if changes else []

    def find(self, entity: str, keys: Sequence[VendorRecord]) -> list[list[RemoteId]]:
        self._entity(entity)
        if entity == "product":
            return products.find_all(self._company, keys)
        if entity == "inventory":
            raise ConfigError("Stock levels are found by their product and warehouse alone; they are only read.")
        find = contacts.find if entity == "contact" else documents.find
        return [find(self._company, key) for key in keys]

    def read_many(self, entity: str, remote_ids: Sequence[RemoteId]) -> Page:
        self._entity(entity)
        return _READ_MANY[entity](self._company, remote_ids)

    @classmethod
    def _entity(cls, entity: str) -> EntitySpec:
        found = ENTITIES.get(entity)
        if found is None:
            raise ConfigError(f"Metakocka has no entity {entity!r} here{suggestion(entity, ENTITIES)}")
        return found
