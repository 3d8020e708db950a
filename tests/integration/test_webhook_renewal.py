"""Channels of Zoho's as webhooks: opened once, renewed in their last day, opened anew when they have run out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from cryptography.fernet import Fernet

from erpflow.connectors.account import Account
from erpflow.connectors.base import Connector
from erpflow.connectors.registry import build
from erpflow.connectors.session import build_session
from erpflow.connectors.zoho_crm import ZohoCrm
from erpflow.connectors.zoho_crm_notifications import Channel
from erpflow.store import webhooks
from erpflow.store.cipher import Cipher
from erpflow.store.connections import ErpConnection, add_connection
from erpflow.store.database import Database
from erpflow.store.webhooks import Webhook
from erpflow.webhooks import vendor_side
from tests.contract.sandboxes import sandbox
from tests.contract.zoho_crm_vendor import SIZES, ZohoOrganisation

URL = "https://erp.example"


@pytest.fixture(scope="module")
def zoho_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with sandbox("zoho_crm", "--customers", "1", folder=Path(tmp_path_factory.mktemp("zoho"))) as url:
        yield url


@dataclass(frozen=True)
class Zoho:
    """A connection to the sandbox's organisation, with one webhook."""

    database: Database
    organisation: ZohoOrganisation
    cipher: Cipher

    @contextmanager
    def connect(self, _row: ErpConnection) -> Iterator[Connector]:
        given = self.organisation.good()
        account = Account(self.organisation.base_url, given.login, given.password, tokens=given.tokens)
        with build_session(ZohoCrm, account) as session:
            session.trust_env = False
            yield build("zoho_crm", session, base_url=ZohoCrm.address(account), sleep=lambda _: None)

    def webhook(self) -> Webhook:
        with self.database.session() as connection:
            row = connection.execute("SELECT id FROM erpflow.erp_connections").fetchone()
            assert row is not None
            found = webhooks.ensure_webhook(
                connection, row[0], "zoho", entities=["customer", "deal"],
                verification={"scheme": "channel_token", "field": "token"},
            )  # fmt: skip
        assert found is not None
        return found

    def set_up(self, *, now: datetime) -> None:
        url = vendor_side.receive_url(URL, self.webhook().id)
        vendor_side.set_up(self.database, self.webhook(), connect=self.connect, cipher=self.cipher, url=url, now=now)

    def renew(self, *, now: datetime) -> dict[str, int]:
        return vendor_side.renew_expiring(
            self.database, connect=self.connect, cipher=self.cipher, public_url=URL, now=now
        )

    def channels(self) -> list[Channel]:
        with self.connect(None) as vendor:  # type: ignore[arg-type]  # it looks at no row
            assert isinstance(vendor, ZohoCrm)
            return vendor.notifications.list()


@pytest.fixture
def zoho(fresh_database: Database, zoho_url: str) -> Iterator[Zoho]:
    with requests.Session() as session:
        organisation = ZohoOrganisation(zoho_url, session)
        organisation.post("reset", {"vendor": "zoho_crm", "sizes": SIZES})
        with fresh_database.transaction() as connection:
            add_connection(connection, "zoho", system="zoho_crm")
        yield Zoho(fresh_database, organisation, Cipher(Fernet.generate_key().decode()))


def test_a_channel_is_opened_for_what_is_synced_and_known_by_its_number(zoho: Zoho) -> None:
    now = datetime.now(UTC)
    zoho.set_up(now=now)
    zoho.set_up(now=now)
    [channel] = zoho.channels()
    kept = zoho.webhook()
    assert (kept.vendor_reference, kept.expires_at) == (channel.number, channel.expires_at)
    assert set(channel.events) == {"Accounts.all", "Deals.all"}
    assert channel.notify_url == f"{URL}/api/erp/webhooks/{kept.id}/receive"
    assert channel.token == zoho.cipher.decrypt(str(kept.secret), what="", otherwise="")


def test_a_channel_in_its_last_day_is_renewed_for_a_week(zoho: Zoho) -> None:
    now = datetime.now(UTC)
    zoho.set_up(now=now - timedelta(days=6, hours=12))  # twelve hours are left
    before = zoho.webhook().expires_at
    assert zoho.renew(now=now) == {"due": 1, "renewed": 1}
    after = zoho.webhook().expires_at
    assert before is not None and after is not None and after - before > timedelta(days=6)
    assert [channel.expires_at for channel in zoho.channels()] == [after]
    assert zoho.renew(now=now) == {"due": 0, "renewed": 0}


def test_a_channel_with_more_than_a_day_left_is_left_alone(zoho: Zoho) -> None:
    now = datetime.now(UTC)
    zoho.set_up(now=now - timedelta(days=5, hours=12))
    before = zoho.channels()
    assert zoho.renew(now=now) == {"due": 0, "renewed": 0}
    assert zoho.channels() == before


def test_a_channel_that_has_run_out_is_opened_anew(zoho: Zoho) -> None:
    now = datetime.now(UTC)
    zoho.set_up(now=now)
    with zoho.connect(None) as vendor:  # type: ignore[arg-type]  # it looks at no row
        assert isinstance(vendor, ZohoCrm)
        vendor.remove_webhook(_wanted(zoho))
        assert vendor.webhook_state(_wanted(zoho), now=now).works is False
    assert zoho.channels() == []
    _expire(zoho, now)
    assert zoho.renew(now=now) == {"due": 1, "renewed": 1}
    assert len(zoho.channels()) == 1


def _wanted(zoho: Zoho) -> vendor_side.VendorWebhook:
    kept = zoho.webhook()
    return vendor_side.VendorWebhook(kept.id, f"{URL}/api/erp/webhooks/{kept.id}/receive", kept.entities, "")


def _expire(zoho: Zoho, now: datetime) -> None:
    with zoho.database.session() as connection:
        webhooks.note_vendor_side(connection, zoho.webhook().id, reference=None, expires_at=now)
