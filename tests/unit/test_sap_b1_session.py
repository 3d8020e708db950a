"""What a connection to SAP Business One says, and what is refused of it."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from erpflow.connectors.account import Account
from erpflow.connectors.sap_b1 import SapB1
from erpflow.connectors.sap_b1_session import B1Session, Ticket, version_of
from erpflow.errors import AuthFailed, ConfigError


def session(**extra: Any) -> B1Session:
    return B1Session(Account("https://b1.example.com:50000", "manager", "s3cret-word", {"company_db": "SBO", **extra}))


@pytest.mark.parametrize(
    ("address", "extra", "expected"),
    [
        ("https://h:50000", {}, ("https://h:50000", "v2")),
        ("https://h:50000/b1s", {}, ("https://h:50000", "v2")),
        ("https://h:50000/b1s/v1", {}, ("https://h:50000", "v1")),
        ("https://h:50000/b1s/v2/", {"version": "v2"}, ("https://h:50000", "v2")),
        ("https://h:50000", {"version": "v1"}, ("https://h:50000", "v1")),
        ("https://h/proxy/b1s/v1", {}, ("https://h/proxy", "v1")),
    ],
)
def test_the_version_is_the_settings_or_the_addresses(
    address: str, extra: dict[str, str], expected: tuple[str, str]
) -> None:
    assert version_of(address, extra) == expected
    assert SapB1.address(Account(address, extra=extra)) == expected[0]


@pytest.mark.parametrize(
    ("address", "extra", "said"),
    [
        ("https://h/b1s/v3", {}, "no version 'v3'"),
        ("https://h", {"version": "2"}, "did you mean"),
        ("https://h/b1s/v1", {"version": "v2"}, "Leave one of them out"),
    ],
)
def test_a_version_there_is_not_is_refused(address: str, extra: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        version_of(address, extra)


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"time_zone": "Europe/Berln"}, "time_zone"),
        ({"time_zone": "../etc/passwd"}, "time_zone"),
        ({"payments_from": "last year"}, "payments_from"),
        ({"payments_from": "2026-02-30"}, "payments_from"),
        ({"fields": "U_Tier"}, "Write them like"),
        ({"fields": "customer: U_Tier&$top=1"}, "Write them like"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_by_name(extra: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        session(**extra)


def test_more_fields_are_named_by_entity() -> None:
    assert session(fields="customer: U_Tier, Website; order: U_Channel;").settings.fields == {
        "customer": ("U_Tier", "Website"),
        "order": ("U_Channel",),
    }


def test_a_login_holds_company_user_and_password_and_misses_none_of_them() -> None:
    assert session().credentials() == {"CompanyDB": "SBO", "UserName": "manager", "Password": "s3cret-word"}
    with pytest.raises(ConfigError, match="company_db"):
        session(company_db=" ").credentials()
    with pytest.raises(AuthFailed, match="no user or no password"):
        B1Session(Account("https://h", None, None, {"company_db": "SBO"})).credentials()


def test_a_session_is_opened_once_signs_by_hand_and_is_closed_by_the_last_who_holds_it() -> None:
    opened: list[Ticket] = []

    def log_in() -> Ticket:
        opened.append(Ticket("B1SESSION=7e1f-a; ROUTEID=.node2", "1000190"))
        return opened[-1]

    first, second = session(), session()
    for each in (first, second):
        each.bind(log_in)
        each.sign_in()
    assert len(opened) == 1
    signed = second(requests.Request("GET", "https://h").prepare())
    assert signed.headers["Cookie"] == "B1SESSION=7e1f-a; ROUTEID=.node2"
    assert "7e1f-a" in second.secrets and "s3cret-word" in second.secrets
    assert not [word for word in ("7e1f-a", "s3cret-word") if word in f"{second!r}{opened!r}"]
    closed: list[str] = []
    first.sign_out(lambda: closed.append("first"))
    second.sign_out(lambda: closed.append("second"))
    second.sign_out(lambda: closed.append("again"))
    assert closed == ["second"]


def test_a_session_that_ended_for_several_threads_is_opened_again_by_one_of_them() -> None:
    one, other = session(), session()
    logins: list[int] = []

    def log_in() -> Ticket:
        logins.append(1)
        return Ticket(f"B1SESSION=s{len(logins)}", "1")

    for each in (one, other):
        each.bind(log_in)
        each.sign_in()
        each(requests.Request("GET", "https://h").prepare())
    assert one.renew() and other.renew()
    assert len(logins) == 2, "the second finds what the first has opened"
    one.sign_out(lambda: None)
    other.sign_out(lambda: None)


def test_other_passwords_have_sessions_of_their_own() -> None:
    one = session()
    other = B1Session(Account("https://b1.example.com:50000", "manager", "another-word", {"company_db": "SBO"}))
    opened: list[str] = []
    for name, each in (("one", one), ("other", other)):
        each.bind(lambda name=name: opened.append(name) or Ticket("B1SESSION=x", "1"))  # type: ignore[misc]
        each.sign_in()
    assert opened == ["one", "other"]
    for each in (one, other):
        each.sign_out(lambda: None)
