"""Tally (TallyPrime 3 and newer, Tally.ERP 9) by XML over HTTP. What is odd about it is in docs/systems/tally.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import ClassVar, Final

import msgspec

from erpflow.connectors.account import Account
from erpflow.connectors.base import (
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
from erpflow.connectors.counting import instant_of
from erpflow.connectors.tally_gateway import ChosenCompany, Gateway
from erpflow.connectors.tally_lookup import find_all, read_many
from erpflow.connectors.tally_names import Kind
from erpflow.connectors.tally_paging import read_pages, records_of_page
from erpflow.connectors.tally_writing import Writer
from erpflow.connectors.transport import ONE_ATTEMPT, Timeouts, Transport
from erpflow.errors import ConfigError, suggestion
from erpflow.vocabulary import Operation, RemoteId, VendorRecord, Window

_OBJECT: Final = ("GUID", "MASTERID", "ALTERID")
_MASTER: Final = (*_OBJECT, "NAME", "PARENT", "LANGUAGENAME.LIST", "NARRATION")
_VOUCHER: Final = (
    *_OBJECT,
    "DATE",
    "EFFECTIVEDATE",
    "VOUCHERTYPENAME",
    "VOUCHERNUMBER",
    "REFERENCE",
    "REFERENCEDATE",
    "PARTYLEDGERNAME",
    "NARRATION",
    "ISINVOICE",
    "ISCANCELLED",
    "ISOPTIONAL",
    "PERSISTEDVIEW",
    # One dotted step names a single field; the star brings what is deeper: bills, batches, allocations.
    "ALLLEDGERENTRIES.*",
    "ALLINVENTORYENTRIES.*",
)


def _voucher(kind: str) -> Kind:
    return Kind(
        "Voucher", _VOUCHER, by="VOUCHERTYPENAME", tree="VoucherType", root=kind, defaults={"VOUCHERTYPENAME": kind}
    )


KINDS: Final[Mapping[str, Kind]] = {
    "customer": Kind(
        "Ledger",
        (
            *_MASTER,
            "EMAIL",
            "LEDGERCONTACT",
            "LEDGERPHONE",
            "LEDGERMOBILE",
            "CREDITLIMIT",
            "BILLCREDITPERIOD",
            "ISBILLWISEON",
            "PARTYGSTIN",
            "LEDSTATENAME",
            "COUNTRYNAME",
            "PINCODE",
            "ADDRESS.LIST",
            "MAILINGNAME.LIST",
            "LEDMAILINGDETAILS.LIST",
            "LEDGSTREGDETAILS.LIST",
        ),
        by="PARENT",
        tree="Group",
        root="Sundry Debtors",
        defaults={"PARENT": "Sundry Debtors"},
    ),
    "product": Kind(
        "StockItem",
        (
            *_MASTER,
            "DESCRIPTION",
            "CATEGORY",
            "BASEUNITS",
            "OPENINGBALANCE",
            "OPENINGRATE",
            "OPENINGVALUE",
            "GSTDETAILS.LIST",
            "HSNDETAILS.LIST",
            "STANDARDPRICELIST.LIST",  # UNVERIFIED: the sheet does not name where selling prices are
        ),
    ),
    "order": _voucher("Sales Order"),
    "invoice": _voucher("Sales"),
    "payment": _voucher("Receipt"),
}


def _entity(remote: str, *, page_size: int) -> EntitySpec:
    return EntitySpec(
        remote=remote,
        key="GUID",
        modified="ALTERID",
        page_size=page_size,
        bulk_size=50,  # each is a request of its own; so many share the looks before and after them
        ordered=True,
        counted=True,
        writes=frozenset({Operation.CREATE, Operation.UPDATE, Operation.DELETE}),
    )


ENTITIES: Final[Mapping[str, EntitySpec]] = {
    "customer": _entity("Ledger", page_size=5000),
    "product": _entity("StockItem", page_size=5000),
    # More than 10,000 vouchers of one answer may hang Tally; 5,000 are about 18 MB and 7 s (vendor sheet, "Paging").
    "order": _entity("Voucher", page_size=5000),
    "invoice": _entity("Voucher", page_size=5000),
    "payment": _entity("Voucher", page_size=5000),
}


class Tally(Connector):
    """One company that is open at one Tally."""

    own_address = False
    spec: ClassVar[ConnectorSpec] = ConnectorSpec(
        system="tally",
        title="Tally",
        auth=("none",),
        entities=ENTITIES,
        limits=Limits(concurrent=1),  # it answers one request after the other, and everybody else waits
        settings={
            "company": "The whole name of the company, as Tally shows it. It has to be open there.",
            "company_guid": "Its GUID, to refuse another company that is called the same. May be left out.",
        },
        # A filter scans the whole book, 22 s for 100,000 vouchers. What was given up goes on for minutes, and nobody is
        # served meanwhile (vendor sheet, "Paging / batching").
        timeouts=Timeouts(connect=10.0, read=300.0, total=1800.0, rest=120.0),
    )

    @classmethod
    def auth(cls, account: Account) -> ChosenCompany:
        return ChosenCompany(account)

    def __init__(self, transport: Transport, *, page_size: int | None = None) -> None:
        super().__init__(transport, page_size=page_size)
        self._gateway = Gateway(transport)

    @reported
    def check(self) -> CheckResult:
        self._gateway.alive(retries=ONE_ATTEMPT)
        company = self._gateway.open(retries=ONE_ATTEMPT)
        message = f"{company.name} is open at Tally; its GUID is {company.guid}"
        return CheckResult(success=True, message=message, account=company.name)

    def read(self, entity: str, window: Window, *, resume: PageToken | None = None) -> Iterator[Page]:
        kind, spec = self._kind(entity), ENTITIES[entity]
        return read_pages(self._gateway, kind, window, resume=resume, size=self._page_size or spec.page_size)

    def read_one(self, entity: str, remote_id: RemoteId) -> VendorRecord | None:
        page = read_many(self._gateway, self._kind(entity), [remote_id])
        records = self.split(entity, page.raw)
        found: VendorRecord | None = msgspec.json.decode(records[0]) if records else None
        return found

    @classmethod
    def split(cls, entity: str, raw: bytes) -> list[RawRecord]:
        return records_of_page(raw, entity=entity)

    @classmethod
    def instant(cls, text: str, *, zone: str) -> datetime | None:
        return instant_of(int(text)) if text.isascii() and text.isdigit() and len(text) < 12 else None

    def write(self, entity: str, changes: Sequence[Change]) -> list[WriteResult]:
        return Writer(self._gateway, self._kind(entity)).write(changes)

    def find(self, entity: str, keys: Sequence[VendorRecord]) -> list[list[RemoteId]]:
        return find_all(self._gateway, self._kind(entity), keys)

    def read_many(self, entity: str, remote_ids: Sequence[RemoteId]) -> Page:
        return read_many(self._gateway, self._kind(entity), remote_ids)

    def _kind(self, entity: str) -> Kind:
        found = KINDS.get(entity)
        if found is None:
            raise ConfigError(f"Tally has no entity {entity!r} here{suggestion(entity, KINDS)}")
        return found
