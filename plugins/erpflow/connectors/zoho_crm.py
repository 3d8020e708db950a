"""Zoho CRM over its REST API, version 8. What is odd about it is in docs/systems/zoho_crm.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import ClassVar, Final

import msgspec

from erpflow.connectors import zoho_crm_places, zoho_crm_webhook_setup
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
from erpflow.connectors.oauth import OAuthAuth, OAuthSpec, oauth_auth
from erpflow.connectors.transport import ONE_ATTEMPT, Timeouts, Transport
from erpflow.connectors.webhook_setup import VendorWebhook, WebhookState
from erpflow.connectors.zoho_crm_bulk import ABOVE, BulkPosition, BulkReader
from erpflow.connectors.zoho_crm_deletions import read_deleted, split_deleted
from erpflow.connectors.zoho_crm_errors import BulkUnavailable
from erpflow.connectors.zoho_crm_finding import find_all
from erpflow.connectors.zoho_crm_modules import MODULES, Module
from erpflow.connectors.zoho_crm_notifications import Notifications
from erpflow.connectors.zoho_crm_org import API, Organisation
from erpflow.connectors.zoho_crm_paging import Listing, Pager, Position, Step, records_at
from erpflow.connectors.zoho_crm_wire import (
    DOCUMENTS,
    decode,
    page_bytes,
    split_page,
    to_instant,
    with_numbered_lines,
)
from erpflow.connectors.zoho_crm_writing import Writer
from erpflow.errors import ConfigError, suggestion
from erpflow.vocabulary import Operation, RemoteId, VendorRecord, Window

SCOPES: Final = (
    "ZohoCRM.modules.ALL",
    "ZohoCRM.settings.READ",
    "ZohoCRM.coql.READ",
    "ZohoCRM.bulk.READ",
    "ZohoCRM.notifications.ALL",
    "ZohoCRM.org.READ",
    "ZohoCRM.users.READ",
)


def _entity(module: Module) -> EntitySpec:
    """Documents come in pages of 100, for so many are read with their lines in one request."""
    return EntitySpec(
        remote=module.name,
        key="id",
        modified="Modified_Time",
        page_size=100 if module.lines else 200,
        bulk_size=100,
        writes=frozenset({Operation.CREATE, Operation.UPDATE, Operation.DELETE}),
        checks_version=True,
        deleted_feed=True,
    )


ENTITIES: Final[Mapping[str, EntitySpec]] = {entity: _entity(module) for entity, module in MODULES.items()}


class _Organisation(msgspec.Struct):
    company_name: str = ""
    zgid: str = ""


class _Organisations(msgspec.Struct):
    org: list[_Organisation]


class _Saved(msgspec.Struct, frozen=True):
    """A page token as it is kept: where a list or a first load goes on."""

    list: Position | None = None
    bulk: BulkPosition | None = None


_ORGANISATIONS: Final = msgspec.json.Decoder(_Organisations)
_SAVED: Final = msgspec.json.Decoder(_Saved)
_HEADS_ONLY: Final = ("Modified_Time",)


class ZohoCrm(Connector):
    """One organisation, read and written as the user who consented."""

    own_address = False
    spec: ClassVar[ConnectorSpec] = ConnectorSpec(
        system="zoho_crm",
        title="Zoho CRM",
        auth=("oauth2",),
        credentials=LOGIN_AND_PASSWORD,
        entities=ENTITIES,
        # Credits of the smallest paid edition, and the calls at once that every paid edition allows; the rate is ours.
        limits=Limits(per_second=20.0, per_day=50_000, concurrent=10),
        timeouts=Timeouts(total=900.0),  # the result of a job may be large
        settings={"data_center": "Where the account lives: com, eu, in, com.au, com.cn, jp, ca or sa."},
    )
    oauth: ClassVar[OAuthSpec] = OAuthSpec(
        places=zoho_crm_places.places,
        scopes=SCOPES,
        scope_separator=",",
        scheme="Zoho-oauthtoken",
        client_auth="client_secret_post",
        consent={"access_type": "offline", "prompt": "consent"},
        facts=("api_domain",),
    )

    @classmethod
    def auth(cls, account: Account) -> OAuthAuth:
        return oauth_auth(cls.oauth, account)

    @classmethod
    def address(cls, account: Account) -> str:
        return zoho_crm_places.address(account)

    def __init__(self, transport: Transport, *, page_size: int | None = None) -> None:
        super().__init__(transport, page_size=page_size)
        self._org = Organisation(transport)

    @property
    def notifications(self) -> Notifications:
        """The channels over which Zoho tells of changes."""
        return Notifications(self._transport)

    def set_up_webhook(self, wanted: VendorWebhook, *, now: datetime) -> WebhookState:
        channel = zoho_crm_webhook_setup.channel_of(wanted, self.spec.entities)
        return zoho_crm_webhook_setup.set_up(self.notifications, channel, now=now)

    def webhook_state(self, wanted: VendorWebhook, *, now: datetime) -> WebhookState:
        channel = zoho_crm_webhook_setup.channel_of(wanted, self.spec.entities)
        return zoho_crm_webhook_setup.state(self.notifications, channel, now=now)

    def remove_webhook(self, wanted: VendorWebhook) -> None:
        channel = zoho_crm_webhook_setup.channel_of(wanted, self.spec.entities)
        self.notifications.delete([channel.number])

    @reported
    def check(self) -> CheckResult:
        answer = self._org.ask(f"{API}/org", retries=ONE_ATTEMPT)
        found = decode(answer, _ORGANISATIONS).org[:1] or [_Organisation()]
        account = found[0].company_name or found[0].zgid
        return CheckResult(success=True, message=f"Connected to {account}", account=account)

    # -- reading -----------------------------------------------------------------------------------------------------

    def read(self, entity: str, window: Window, *, resume: PageToken | None = None) -> Iterator[Page]:
        return self._pages(entity, _module(entity), window, _saved_in(resume))

    def read_one(self, entity: str, remote_id: RemoteId) -> VendorRecord | None:
        module = _module(entity)
        if not (remote_id.isascii() and remote_id.isdigit()):
            return None
        answer = self._org.record(module, remote_id)
        found = [] if answer is None else decode(answer, DOCUMENTS).data
        return with_numbered_lines(found[0], module.lines) if found else None

    def read_many(self, entity: str, remote_ids: Sequence[RemoteId]) -> Page:
        module = _module(entity)
        wanted = [one for one in dict.fromkeys(remote_ids) if one.isascii() and one.isdigit()]
        found = self._org.documents(module, wanted)
        records = [found[one] for one in wanted if one in found]
        return Page(page_bytes(records), len(records), None)

    @classmethod
    def split(cls, entity: str, raw: bytes) -> list[RawRecord]:
        return split_page(raw, entity=entity, lines=_module(entity).lines)

    @classmethod
    def instant(cls, text: str, *, zone: str) -> datetime | None:
        return to_instant(text)

    def find(self, entity: str, keys: Sequence[VendorRecord]) -> list[list[RemoteId]]:
        return find_all(self._org, _module(entity), keys)

    def read_deleted(self, entity: str, window: Window, *, resume: PageToken | None = None) -> Iterator[Page]:
        module, limit = _module(entity), self._page_size or ENTITIES[entity].page_size
        return read_deleted(self._org, module, window, resume=resume, limit=limit)

    @classmethod
    def split_deleted(cls, entity: str, raw: bytes, *, zone: str) -> list[Deletion]:
        return split_deleted(entity, raw)

    # -- writing -----------------------------------------------------------------------------------------------------

    def write(self, entity: str, changes: Sequence[Change]) -> list[WriteResult]:
        return Writer(self._org, _module(entity)).write(changes)

    # -- pages -------------------------------------------------------------------------------------------------------

    def _pages(self, entity: str, module: Module, window: Window, saved: _Saved) -> Iterator[Page]:
        bulk = BulkReader(self._org, module, window, token=_bulk_token)
        position, job = saved.list, saved.bulk
        if position is None and job is None and self._is_worth_a_job(module, window):
            try:
                started, job = bulk.start()
            except BulkUnavailable:
                job = None
            else:
                yield started
        if job is not None:
            yield from bulk.pages(job)
            # What has changed since, from the second in which the job was made.
            position = Position(to_instant(job.since))
        yield from self._listed(entity, module, window, position or Position())

    def _is_worth_a_job(self, module: Module, window: Window) -> bool:
        """A CSV holds no lines, so documents are read from lists."""
        return window.since is None and module.lines is None and self._org.count(module) > ABOVE

    def _listed(self, entity: str, module: Module, window: Window, position: Position) -> Iterator[Page]:
        size = self._page_size or ENTITIES[entity].page_size
        parts = self._org.readable(module).parts()
        fields = parts[0] if len(parts) == 1 and module.lines is None else _HEADS_ONLY
        pager = Pager(self._org, module, window, fields=fields, size=size)
        following: Position | None = position
        while following is not None:
            listing, step = pager.step(following)
            following = step.next
            raw, count = self._landed(module, listing, step)
            if count or following is None:
                token = _token(_Saved(list=following)) if following else None
                yield Page(raw, count, token, server_time=listing.answer.server_time)

    def _landed(self, module: Module, listing: Listing, step: Step) -> tuple[bytes, int]:
        """The records of a step as they land: the answer itself, where all of it is new and whole."""
        parts = self._org.readable(module).parts(lines=module.lines)
        if module.lines is None and len(parts) == 1 and not step.slipped:
            if step.fresh and len(step.fresh) == len(listing.heads):
                return listing.answer.body, len(step.fresh)
            records = records_at(listing, step.fresh)
            return page_bytes(records), len(records)
        ids = [*(listing.heads[place].id for place in step.fresh), *step.slipped]
        found = self._org.documents(module, ids)
        records = [found[one] for one in ids if one in found]  # what is missing was deleted a moment ago
        return page_bytes(records), len(records)


def _module(entity: str) -> Module:
    found = MODULES.get(entity)
    if found is None:
        raise ConfigError(f"Zoho CRM has no entity {entity!r} here{suggestion(entity, MODULES)}")
    return found


def _token(saved: _Saved) -> PageToken:
    return PageToken(msgspec.json.encode(saved).decode())


def _bulk_token(position: BulkPosition) -> PageToken:
    return _token(_Saved(bulk=position))


def _saved_in(token: PageToken | None) -> _Saved:
    """Where a token says to go on. Raises ConfigError for one that is not ours."""
    if token is None:
        return _Saved()
    try:
        return _SAVED.decode(token)
    except msgspec.DecodeError as error:
        raise ConfigError(
            f"The page token {token[:80]!r} is not one of ours ({error}). Run the sync from its start."
        ) from None
