"""SAP Business One over its Service Layer, v1 (OData 3) and v2 (OData 4). What is odd: docs/systems/sap_b1.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import ClassVar

from erpflow.connectors.account import Account
from erpflow.connectors.base import (
    LOGIN_AND_PASSWORD,
    Change,
    CheckResult,
    Connector,
    ConnectorSpec,
    Limits,
    Page,
    PageToken,
    RawRecord,
    WriteResult,
)
from erpflow.connectors.sap_b1_contacts import ContactWriter
from erpflow.connectors.sap_b1_entities import COLLECTIONS, ENTITIES, Collection
from erpflow.connectors.sap_b1_finding import find_all, read_many, zone_of
from erpflow.connectors.sap_b1_layer import Layer
from erpflow.connectors.sap_b1_paging import Position, filter_of, pages, position_of, step
from erpflow.connectors.sap_b1_records import RECORD, contacts_of, page_bytes, records_of_page
from erpflow.connectors.sap_b1_session import B1Session, version_of
from erpflow.connectors.sap_b1_text import literal
from erpflow.connectors.sap_b1_time import Bounds, bounds_of, to_instant
from erpflow.connectors.sap_b1_writing import Writer
from erpflow.connectors.transport import Transport
from erpflow.errors import ConfigError, suggestion
from erpflow.vocabulary import RemoteId, VendorRecord, Window


class SapB1(Connector):
    """One company of a Business One server, read and written as the user of the connection."""

    own_address = False
    spec: ClassVar[ConnectorSpec] = ConnectorSpec(
        system="sap_b1",
        title="SAP Business One",
        auth=("session",),
        credentials=LOGIN_AND_PASSWORD,
        required_settings=frozenset({"company_db", "time_zone"}),
        entities=ENTITIES,
        # No published limit: a session answers one request at a time, and the server has a few dozen workers for all.
        limits=Limits(per_second=20.0, concurrent=4),
        settings={
            "company_db": "The database of the company, such as SBODEMOUS.",
            "time_zone": "The server's time zone, such as Europe/Berlin: the vendor writes times without one.",
            "version": "The version of the Service Layer: v2 (OData 4, if not said) or v1 (OData 3, old patches).",
            "fields": "More fields to read, by entity: customer: U_Tier, Website; order: U_Channel",
            "payments_from": "The first day of which payments are read, such as 2026-01-01; all if not said.",
        },
    )

    @classmethod
    def auth(cls, account: Account) -> B1Session:
        return B1Session(account)

    @classmethod
    def address(cls, account: Account) -> str:
        return version_of(account.address, account.extra)[0]

    def __init__(self, transport: Transport, *, page_size: int | None = None) -> None:
        super().__init__(transport, page_size=page_size)
        self._layer = Layer(transport)

    def check(self) -> CheckResult:
        return self._layer.check()

    def read(self, entity: str, window: Window, *, resume: PageToken | None = None) -> Iterator[Page]:
        return self._pages(entity, self._collection(entity), window, position_of(resume))

    def read_one(self, entity: str, remote_id: RemoteId) -> VendorRecord | None:
        found = records_of_page(self.read_many(entity, [remote_id]).raw, entity=entity)
        return RECORD.decode(found[0]) if found else None

    @classmethod
    def split(cls, entity: str, raw: bytes) -> list[RawRecord]:
        return records_of_page(raw, entity=entity)

    @classmethod
    def instant(cls, text: str, *, zone: str) -> datetime | None:
        return to_instant(text, zone=zone)

    def write(self, entity: str, changes: Sequence[Change]) -> list[WriteResult]:
        collection = self._collection(entity)
        writer = ContactWriter if entity == "contact" else Writer
        return writer(self._layer, collection).write(changes)

    def find(self, entity: str, keys: Sequence[VendorRecord]) -> list[list[RemoteId]]:
        return find_all(self._layer, entity, self._collection(entity), keys)

    def read_many(self, entity: str, remote_ids: Sequence[RemoteId]) -> Page:
        collection = self._collection(entity)
        return read_many(self._layer, entity, collection, remote_ids, self._fields(entity, collection))

    # -- pages ---------------------------------------------------------------------------------------------------

    def _pages(self, entity: str, collection: Collection, window: Window, position: Position) -> Iterator[Page]:
        self._layer.sign_in()
        zone = zone_of(self._layer, collection)
        bounds = bounds_of(window, zone=zone) if collection.listed.dated else Bounds()
        yield from pages(lambda at: self._page(entity, collection, at, bounds=bounds, zone=zone), position)

    def _page(
        self, entity: str, collection: Collection, position: Position, *, bounds: Bounds, zone: str
    ) -> tuple[Page, Position | None]:
        listed = collection.listed
        first_day = None if listed.dated else self._layer.settings.payments_from
        tests = (filter_of(position, bounds, listed), f"{listed.created} ge {literal(first_day)}" if first_day else "")
        listing = self._layer.listing(
            collection.name,
            fields=self._fields(entity, collection),
            only=" and ".join(filter(None, tests)),
            order=listed.order if position.dated else listed.key.name,
            limit=self._page_size or ENTITIES[entity].page_size,
        )
        taken = step(position, listing.heads, more=listing.more, bounds=bounds, listed=listed)
        rows = listing.rows if taken.fresh is None else [listing.rows[place] for place in taken.fresh]
        if entity == "contact":
            rows = contacts_of(listing.answer, rows)
        is_as_sent = taken.fresh is None and entity != "contact"
        raw = listing.answer.body if is_as_sent else page_bytes(rows)
        token = taken.next.token() if taken.next else None
        return Page(raw, len(rows), token, zone=zone, server_time=listing.answer.server_time), taken.next

    def _fields(self, entity: str, collection: Collection) -> tuple[str, ...]:
        """The data sheet's fields and the connection's own. Contacts have none: a row is read as it is."""
        known, more = collection.fields, self._layer.settings.fields
        extensible = set(COLLECTIONS) - {"contact"}
        if strange := sorted(set(more) - extensible):
            raise ConfigError(
                f"The connection's fields name the entity {strange[0]!r}{suggestion(strange[0], extensible)}"
            )
        return tuple(dict.fromkeys((*known, *more.get(entity, ()))))

    def _collection(self, entity: str) -> Collection:
        found = COLLECTIONS.get(entity)
        if found is None:
            raise ConfigError(f"SAP Business One has no entity {entity!r} here{suggestion(entity, COLLECTIONS)}")
        return found
