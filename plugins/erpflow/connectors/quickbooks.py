"""QuickBooks Online over its Accounting API v3. What is odd about it is in docs/systems/quickbooks.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import ClassVar, Final
from urllib.parse import urlsplit

import msgspec
from requests.auth import AuthBase

from erpflow.connectors import quickbooks_webhook_setup
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
from erpflow.connectors.oauth import OAuthSpec, Places, oauth_auth
from erpflow.connectors.quickbooks_company import Company, Kind
from erpflow.connectors.quickbooks_deletions import read_deleted, split_deleted
from erpflow.connectors.quickbooks_finding import find_all, read_many
from erpflow.connectors.quickbooks_paging import pages, position_of
from erpflow.connectors.quickbooks_query import MOST, to_instant
from erpflow.connectors.quickbooks_wire import decode, record, rows_of_page, with_line_numbers
from erpflow.connectors.quickbooks_writing import BATCH, Writer, is_id
from erpflow.connectors.transport import ONE_ATTEMPT, Transport
from erpflow.connectors.webhook_setup import VendorWebhook, WebhookState
from erpflow.errors import AuthFailed, ConfigError, suggestion
from erpflow.vocabulary import Operation, RemoteId, VendorRecord, Window

NAMES: Final = frozenset({Operation.CREATE, Operation.UPDATE})
DOCUMENTS: Final = frozenset({Operation.CREATE, Operation.UPDATE, Operation.DELETE})


def _entity(remote: str, *, page_size: int, writes: frozenset[Operation]) -> EntitySpec:
    """Documents can be deleted, and the vendor tells of it; names can only be made inactive.

    A name is unique, so a create that came twice is refused; a document is made once for its `requestid`.
    """
    is_document = Operation.DELETE in writes
    return EntitySpec(
        remote=remote,
        key="Id",
        modified="MetaData.LastUpdatedTime",
        page_size=page_size,
        bulk_size=BATCH,
        ordered=True,
        writes=writes,
        checks_version=True,
        repeatable_create=is_document,
        deleted_feed=is_document,
    )


ENTITIES: Final[Mapping[str, EntitySpec]] = {
    "customer": _entity("Customer", page_size=500, writes=NAMES),
    "product": _entity("Item", page_size=500, writes=NAMES),
    "invoice": _entity("Invoice", page_size=200, writes=DOCUMENTS),
    "payment": _entity("Payment", page_size=500, writes=DOCUMENTS),
    "order": _entity("SalesReceipt", page_size=200, writes=DOCUMENTS),
    "estimate": _entity("Estimate", page_size=200, writes=DOCUMENTS),
}

# Fields that a query may compare, by their paths in a record (UNVERIFIED beyond DisplayName, Sku and DocNumber).
_OF_DOCUMENTS: Final = {"DocNumber": "DocNumber", "CustomerRef.value": "CustomerRef", "TxnDate": "TxnDate"}
KINDS: Final[Mapping[str, Kind]] = {
    "customer": Kind(
        "Customer",
        is_list=True,
        finds={
            "DisplayName": "DisplayName",
            "CompanyName": "CompanyName",
            "GivenName": "GivenName",
            "FamilyName": "FamilyName",
            "PrimaryEmailAddr.Address": "PrimaryEmailAddr",
        },
    ),
    # `select *` leaves the Sku out. Source: python-quickbooks, ListMixin.all.
    "product": Kind("Item", is_list=True, columns="*, Sku", finds={"Name": "Name", "Sku": "Sku"}),
    "invoice": Kind("Invoice", finds=_OF_DOCUMENTS, has_lines=True),
    "payment": Kind("Payment", finds={"PaymentRefNum": "PaymentRefNum", "CustomerRef.value": "CustomerRef"}),
    "order": Kind("SalesReceipt", finds=_OF_DOCUMENTS, has_lines=True),
    "estimate": Kind("Estimate", finds=_OF_DOCUMENTS, has_lines=True),
}

REALM: Final = "realmId"
_INTUIT: Final = Places(
    authorize="https://appcenter.intuit.com/connect/oauth2",
    token="https://oauth.platform.intuit.com/oauth2/v1/tokens/bearer",  # noqa: S106  (an address)
)
_NOT_YET: Final = "0"  # the company of a connection that nobody has connected, and no company's number


class _CompanyInfo(msgspec.Struct):
    CompanyName: str


class _About(msgspec.Struct):
    CompanyInfo: _CompanyInfo


_ABOUT: Final = msgspec.json.Decoder(_About)


def _places(account: Account) -> Places:
    """Intuit's authorization server, for its production and its sandbox; of another address, a server there."""
    if (urlsplit(account.address).hostname or "").endswith(".intuit.com"):
        return _INTUIT
    return Places(f"{account.address}/connect/oauth2", f"{account.address}/oauth2/v1/tokens/bearer")


class QuickBooks(Connector):
    """One company of QuickBooks Online, read and written as the app a person connected it with."""

    own_address = False
    spec: ClassVar[ConnectorSpec] = ConnectorSpec(
        system="quickbooks",
        title="QuickBooks Online",
        auth=("oauth",),
        credentials=LOGIN_AND_PASSWORD,
        entities=ENTITIES,
        # For a company and an app, whoever asks. Batches have a limit of their own, which a push does not reach alone:
        # every update in a batch is read before.
        limits=Limits(per_minute=500.0, concurrent=10),
        settings={"realm_id": "Company ID. Left empty, it is the company that the person chose who agreed."},
    )
    oauth: ClassVar[OAuthSpec] = OAuthSpec(
        places=_places,
        scopes=("com.intuit.quickbooks.accounting",),  # there is none that only reads
        redirect_facts=(REALM,),
    )

    @classmethod
    def auth(cls, account: Account) -> AuthBase:
        return oauth_auth(cls.oauth, account)

    @classmethod
    def address(cls, account: Account) -> str:
        return f"{account.address}/v3/company/{_realm(account)}"

    @classmethod
    def counted_as(cls, account: Account) -> str | None:
        return f"{account.address} {_realm(account)}"

    def __init__(self, transport: Transport, *, page_size: int | None = None) -> None:
        super().__init__(transport, page_size=page_size)
        self._company = Company(transport)

    def set_up_webhook(self, wanted: VendorWebhook, *, now: datetime) -> WebhookState:
        return quickbooks_webhook_setup.steps_for(wanted, self.spec.entities)

    def webhook_state(self, wanted: VendorWebhook, *, now: datetime) -> WebhookState:
        return quickbooks_webhook_setup.steps_for(wanted, self.spec.entities)

    def remove_webhook(self, wanted: VendorWebhook) -> None:
        """There is no API to take it away with: a person does."""

    @reported
    def check(self) -> CheckResult:
        realm = self._transport.base_url.rpartition("/")[2]
        answer = self._company.ask("GET", f"/companyinfo/{realm}", retries=ONE_ATTEMPT)
        account = decode(answer, _ABOUT).CompanyInfo.CompanyName
        return CheckResult(success=True, message=f"Connected to {account}", account=account)

    def read(self, entity: str, window: Window, *, resume: PageToken | None = None) -> Iterator[Page]:
        spec = _known(entity)
        limit = min(self._page_size or spec.page_size, MOST)
        return pages(self._company, KINDS[entity], window, position_of(resume), limit=limit)

    def read_one(self, entity: str, remote_id: RemoteId) -> VendorRecord | None:
        _known(entity)
        row = self._company.record(KINDS[entity], remote_id) if is_id(remote_id) else None
        return None if row is None else record(bytes(_landed(entity, row)))

    @classmethod
    def split(cls, entity: str, raw: bytes) -> list[RawRecord]:
        return [_landed(entity, row) for row in rows_of_page(entity, _known(entity).remote, raw)]

    @classmethod
    def instant(cls, text: str, *, zone: str) -> datetime | None:
        return to_instant(text)

    def write(self, entity: str, changes: Sequence[Change]) -> list[WriteResult]:
        spec = _known(entity)
        return Writer(self._company, KINDS[entity], alone=spec.repeatable_create).write(changes)

    def find(self, entity: str, keys: Sequence[VendorRecord]) -> list[list[RemoteId]]:
        _known(entity)
        return find_all(self._company, KINDS[entity], keys)

    def read_many(self, entity: str, remote_ids: Sequence[RemoteId]) -> Page:
        _known(entity)
        return read_many(self._company, KINDS[entity], remote_ids)

    def read_deleted(self, entity: str, window: Window, *, resume: PageToken | None = None) -> Iterator[Page]:
        _known(entity)
        return read_deleted(self._company, KINDS[entity], window, resume=resume, limit=self._page_size or MOST)

    @classmethod
    def split_deleted(cls, entity: str, raw: bytes, *, zone: str) -> list[Deletion]:
        return split_deleted(entity, _known(entity).remote, raw)


def _realm(account: Account) -> str:
    """The company's number. Raises ConfigError when nobody says which company it is.

    Where nobody has agreed yet, or no more, it is one that no company has: the first request says what to do.
    """
    given = str(account.extra.get("realm_id") or "").strip() or _agreed_for(account)
    if not is_id(given):
        raise ConfigError(
            f"The company ID {given[:40]!r} is no number. QuickBooks shows it under Account and Settings."
        )
    return given


def _agreed_for(account: Account) -> str:
    try:
        realm = account.tokens.current().facts.get(REALM) if account.tokens is not None else _NOT_YET
    except AuthFailed:
        return _NOT_YET
    if not realm:
        raise ConfigError(
            "QuickBooks did not say which company was agreed for. Run erpflow connect NAME with a browser, or write "
            "the company's ID into the connection."
        )
    return realm


def _landed(entity: str, row: bytes) -> RawRecord:
    return with_line_numbers(row) if KINDS[entity].has_lines else RawRecord(row)


def _known(entity: str) -> EntitySpec:
    found = ENTITIES.get(entity)
    if found is None:
        raise ConfigError(f"QuickBooks has no entity {entity!r} here{suggestion(entity, ENTITIES)}")
    return found
