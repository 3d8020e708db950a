"""Zoho's notifications: channels that are opened, renewed before they run out, and closed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests

from erpflow.connectors.account import Account
from erpflow.connectors.registry import build
from erpflow.connectors.session import build_session
from erpflow.connectors.zoho_crm import ZohoCrm
from erpflow.connectors.zoho_crm_notifications import LONGEST, Channel, Notifications
from erpflow.errors import ConfigError, PermissionDenied
from tests.contract.sandboxes import sandbox
from tests.contract.zoho_crm_vendor import SIZES, ZohoOrganisation

CHANNEL = Channel(
    number="1000000068001",
    events=("Accounts.all", "Deals.edit"),
    notify_url="https://hooks.example.com/zoho?tenant=1",
    token="a-secret-of-ours-4711",
)


@pytest.fixture(scope="module")
def zoho_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with sandbox("zoho_crm", "--customers", "1", folder=Path(tmp_path_factory.mktemp("zoho"))) as url:
        yield url


@pytest.fixture
def organisation(zoho_url: str) -> Iterator[ZohoOrganisation]:
    with requests.Session() as session:
        found = ZohoOrganisation(zoho_url, session)
        found.post("reset", {"vendor": "zoho_crm", "sizes": SIZES})
        yield found


@pytest.fixture
def channels(organisation: ZohoOrganisation) -> Iterator[Notifications]:
    yield from notifications_of(organisation, reading_only=False)


def notifications_of(organisation: ZohoOrganisation, *, reading_only: bool) -> Iterator[Notifications]:
    given = organisation.reader() if reading_only else organisation.good()
    account = Account(organisation.base_url, given.login, given.password, tokens=given.tokens)
    with build_session(ZohoCrm, account) as session:
        session.trust_env = False
        connector = build("zoho_crm", session, base_url=ZohoCrm.address(account), sleep=lambda _: None)
        assert isinstance(connector, ZohoCrm)
        yield connector.notifications


def now() -> datetime:
    return datetime.now(UTC)


def test_a_channel_lives_for_a_week_and_is_listed(channels: Notifications) -> None:
    expires_at = channels.create(CHANNEL, now=now())
    assert LONGEST - timedelta(minutes=10) < expires_at - now() <= LONGEST
    (found,) = channels.list()
    assert (found.number, found.events, found.notify_url, found.token, found.expires_at) == (
        CHANNEL.number, CHANNEL.events, CHANNEL.notify_url, CHANNEL.token, expires_at,
    )  # fmt: skip


def test_a_change_is_told_with_the_token_of_its_channel(
    channels: Notifications, organisation: ZohoOrganisation
) -> None:
    channels.create(CHANNEL, now=now())
    (name,) = organisation.create("customer", 1)
    organisation.update("customer", name)
    told = [callback["body"] for callback in organisation.ask("callbacks")]
    assert [(body["operation"], body["ids"], body["token"]) for body in told] == [
        ("insert", [name], CHANNEL.token),
        ("update", [name], CHANNEL.token),
    ]


def test_a_channel_that_runs_out_tells_nothing_and_is_opened_anew(
    channels: Notifications, organisation: ZohoOrganisation
) -> None:
    channels.create(CHANNEL, now=now())
    organisation.door("clock", {"advance_s": 8 * 86_400})
    organisation.create("customer", 1)
    assert organisation.ask("callbacks") == []
    assert channels.list() == []
    later = now() + timedelta(days=8)
    assert channels.keep(CHANNEL, now=later) > later + timedelta(days=6)
    organisation.create("customer", 1)
    assert len(organisation.ask("callbacks")) == 1


@pytest.mark.parametrize(("days", "renewed"), [(1, False), (5, False), (6.5, True)])
def test_a_channel_is_renewed_on_its_last_day_and_not_before(
    channels: Notifications, organisation: ZohoOrganisation, days: float, renewed: bool
) -> None:
    first = channels.create(CHANNEL, now=now())
    organisation.door("clock", {"advance_s": int(days * 86_400)})
    second = channels.keep(CHANNEL, now=now() + timedelta(days=days))
    assert (second > first) is renewed
    assert [channel.expires_at for channel in channels.list()] == [second]


def test_a_channel_with_other_events_is_replaced(channels: Notifications) -> None:
    channels.create(CHANNEL, now=now())
    other = Channel(CHANNEL.number, ("Leads.create",), CHANNEL.notify_url, CHANNEL.token)
    channels.keep(other, now=now())
    assert [channel.events for channel in channels.list()] == [("Leads.create",)]


def test_a_channel_is_opened_once_though_an_answer_is_lost(
    channels: Notifications, organisation: ZohoOrganisation
) -> None:
    organisation.post("faults", {"kind": "after_commit", "path": "actions/watch", "method": "POST", "times": 1})
    channels.keep(CHANNEL, now=now())
    assert len(channels.list()) == 1


def test_closing_twice_is_closing_once(channels: Notifications) -> None:
    channels.create(CHANNEL, now=now())
    for _ in range(2):
        channels.delete([CHANNEL.number])
    channels.delete([])
    assert channels.list() == []


def test_events_that_zoho_does_not_know_are_refused_by_name(channels: Notifications) -> None:
    with pytest.raises(ConfigError, match="events"):
        channels.create(Channel("1", ("Nonsense.all",), CHANNEL.notify_url, "t"), now=now())
    with pytest.raises(ConfigError, match="at most 50"):
        channels.create(Channel("1", ("Accounts.all",), CHANNEL.notify_url, "t" * 51), now=now())


def test_a_consent_without_notifications_names_the_scope(organisation: ZohoOrganisation) -> None:
    for channels in notifications_of(organisation, reading_only=True):
        with pytest.raises(PermissionDenied, match=r"ZohoCRM\.notifications\.ALL"):
            channels.create(CHANNEL, now=now())


def test_a_channel_shows_no_secret(channels: Notifications) -> None:
    channels.create(CHANNEL, now=now())
    assert CHANNEL.token not in repr(channels.list()) and "tenant" not in repr(CHANNEL)
