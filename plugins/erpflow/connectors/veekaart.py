"""VeeKaart, a storefront that is pushed to, over its REST contract. Its oddities: docs/systems/veekaart.md.

The contract is the project's own (no vendor publishes one); a profile that was observed at work is spoken too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar, Final

from erpflow.connectors.account import Account
from erpflow.connectors.answer import Answer, judge_by_status
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
from erpflow.connectors.transport import ONE_ATTEMPT, Transport
from erpflow.connectors.veekaart_errors import judge, refusal
from erpflow.connectors.veekaart_reading import cursor_of, pages
from erpflow.connectors.veekaart_shelf import Shelf
from erpflow.connectors.veekaart_wire import (
    LARGEST_PAGE,
    PONG,
    ApiKeyAuth,
    Store,
    decode,
    page_bytes,
    record_of,
    rows_of_page,
    to_instant,
)
from erpflow.connectors.veekaart_writing import Writer
from erpflow.errors import ConfigError, ErpflowError, suggestion
from erpflow.vocabulary import Operation, RemoteId, VendorRecord, Window

LARGEST_BATCH: Final = 500


def _table(name: str) -> EntitySpec:
    return EntitySpec(
        remote=name,
        key="sku",
        modified="updated_at",
        page_size=LARGEST_PAGE,
        bulk_size=LARGEST_BATCH,
        ordered=True,
        # Nothing is ever deleted: a product that is gone is made inactive.
        writes=frozenset({Operation.CREATE, Operation.UPDATE}),
        replaces=True,
    )


# Products come first: the store refuses stock and prices of a SKU it does not know.
ENTITIES: Final[Mapping[str, EntitySpec]] = {
    "product": _table("products"),
    "inventory": _table("inventory"),
    "price": _table("pricing"),
}
_NOT_ONE: Final = 2


class VeeKaart(Connector):
    """One VeeKaart store, which belongs to one company."""

    spec: ClassVar[ConnectorSpec] = ConnectorSpec(
        system="veekaart",
        title="VeeKaart",
        auth=("api_key",),
        entities=ENTITIES,
        limits=Limits(per_minute=120.0, concurrent=2),
        settings={
            "path_prefix": "Path in front of /products, /inventory and /pricing. Empty: the documented API. "
            "/api/sync: the older one, which asks for no key and cannot be read."
        },
    )

    @classmethod
    def auth(cls, account: Account) -> ApiKeyAuth:
        return ApiKeyAuth(account.password)

    @classmethod
    def address(cls, account: Account) -> str:
        prefix = account.extra.get("path_prefix") or ""
        if not isinstance(prefix, str):
            raise ConfigError(f"The connection's extra option 'path_prefix' must be text, not {type(prefix).__name__}")
        prefix = prefix.strip().strip("/")
        return f"{account.address.rstrip('/')}/{prefix}" if prefix else account.address

    def __init__(self, transport: Transport, *, page_size: int | None = None) -> None:
        super().__init__(transport, page_size=page_size)
        self._store = Store(transport)
        self._shelves: dict[str, Shelf] = {}

    @reported
    def check(self) -> CheckResult:
        if self._store.is_observed:
            self._store.ask("/products", retries=ONE_ATTEMPT, judged=_judge_presence)
            message = "The store answers. This path asks for no key, so the key is not tested."
            return CheckResult(success=True, message=message, account="unnamed store")
        answer = self._store.ask("/ping", retries=ONE_ATTEMPT)
        about = decode(answer, PONG).data
        account = f"{about.store_name} ({about.store_id})"
        return CheckResult(success=True, message=f"Signed in to {account}", account=account)

    def read(self, entity: str, window: Window, *, resume: PageToken | None = None) -> Iterator[Page]:
        spec = self._readable(entity)
        limit = min(self._page_size or spec.page_size, LARGEST_PAGE)
        return pages(self._store, spec.remote, window, cursor=cursor_of(resume), limit=limit)

    def read_one(self, entity: str, remote_id: RemoteId) -> VendorRecord | None:
        self._readable(entity)
        row = self._shelf(entity).rows([remote_id]).get(remote_id)
        return None if row is None else record_of(row)

    @classmethod
    def split(cls, entity: str, raw: bytes) -> list[RawRecord]:
        return rows_of_page(raw, entity=entity)

    @classmethod
    def instant(cls, text: str, *, zone: str) -> datetime | None:
        return to_instant(text)

    def write(self, entity: str, changes: Sequence[Change]) -> list[WriteResult]:
        spec = self._entity(entity)
        return Writer(self._store, spec.remote, self._shelf(entity)).write(changes) if changes else []

    def find(self, entity: str, keys: Sequence[VendorRecord]) -> list[list[RemoteId]]:
        """By SKU; other fields are no filter of the store, so that its whole table is looked through.

        The observed profile cannot be asked and finds nothing: a row that is sent twice does what once does.
        """
        self._entity(entity)
        if self._store.is_observed:
            return [[] for _ in keys]
        shelf = self._shelf(entity)
        if all(isinstance(key.get("sku"), str) for key in keys):
            rows = shelf.rows([str(key["sku"]) for key in keys])
            known = {sku: record_of(row) for sku, row in rows.items()}
            return [_holders({key["sku"]: known[key["sku"]]} if key["sku"] in known else {}, key) for key in keys]
        every = {sku: record_of(row) for sku, row in shelf.every().items()}
        return [_holders(every, key) for key in keys]

    def read_many(self, entity: str, remote_ids: Sequence[RemoteId]) -> Page:
        """In the observed profile nothing can be read: an empty page."""
        self._entity(entity)
        rows = {} if self._store.is_observed else self._shelf(entity).rows(remote_ids)
        return Page(page_bytes(list(rows.values())), len(rows), None)

    def _shelf(self, entity: str) -> Shelf:
        if entity not in self._shelves:
            self._shelves[entity] = Shelf(self._store, self._entity(entity).remote)
        return self._shelves[entity]

    def _readable(self, entity: str) -> EntitySpec:
        if self._store.is_observed:
            raise ConfigError(
                "Under /api/sync a VeeKaart store takes rows and shows none. Set `direction: push` in the mapping, or "
                "take the path prefix out of the connection if the store has the documented API."
            )
        return self._entity(entity)

    def _entity(self, entity: str) -> EntitySpec:
        found = ENTITIES.get(entity)
        if found is None:
            raise ConfigError(f"VeeKaart has no entity {entity!r} here{suggestion(entity, ENTITIES)}")
        return found


def _judge_presence(answer: Answer) -> ErpflowError | None:
    """The observed profile has posts only, and its refusal of anything else shows that it is there (UNVERIFIED)."""
    if answer.status == 405 and refusal(answer.body) is not None:
        return None
    return judge(answer) or judge_by_status(answer)


def _holders(records: Mapping[str, Mapping[str, Any]], key: VendorRecord) -> list[RemoteId]:
    """The SKUs of rows that hold all values of a key; at most two, which means "not one"."""
    found = (sku for sku, record in records.items() if all(_same(record.get(path), key[path]) for path in key))
    return [RemoteId(sku) for sku, _ in zip(found, range(_NOT_ONE), strict=False)]


def _same(found: Any, wanted: Any) -> bool:
    numbers = isinstance(found, Decimal | int) and isinstance(wanted, Decimal | int)
    return Decimal(found) == Decimal(wanted) if numbers else bool(found == wanted)
