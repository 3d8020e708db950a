"""An address that somebody typed does not lead into our own network."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import urllib3.util.connection

from erpflow.connectors.network import MOST_TRIED, VARIABLE, allowed_by, is_public
from erpflow.connectors.transport import ONE_ATTEMPT, Transport
from erpflow.errors import ConfigError, ProtocolError, VendorUnavailable
from erpflow.testing.server import Asked, Reply, ScriptedServer

PUBLIC, OTHER_PUBLIC = "93.184.215.14", "93.184.215.15"
REAL = urllib3.util.connection.create_connection


class Names:
    """A resolver of our own: each name stands for the next of its answers, the last one stays."""

    def __init__(self) -> None:
        self.answers: dict[str, list[list[str]]] = {}
        self.asked: list[str] = []
        self.connected: list[str] = []
        self.refused = False

    def getaddrinfo(self, host: str, port: int, *args: Any, **kwargs: Any) -> list[Any]:
        self.asked.append(host)
        answers = self.answers.get(host)
        if answers is None:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    def answer(asked: Asked) -> Reply:
        if asked.path == "/moved":
            return Reply(302, headers={"Location": "/end", "Connection": "close"})
        if asked.path == "/away":
            return Reply(302, headers={"Location": "http://169.254.169.254/latest/meta-data"})
        return Reply.json({"host": asked.headers.get("Host")}, headers={"Connection": "close"})

    with ScriptedServer(answer) as running:
        yield running


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch, server: ScriptedServer) -> Names:
    """Names resolve as a test says, and public addresses lead to the test's own server."""
    names = Names()
    port = int(server.url.rpartition(":")[2])

    def create_connection(address: tuple[str, int], *args: Any, **kwargs: Any) -> socket.socket:
        names.connected.append(address[0])
        if names.refused or address[0] == OTHER_PUBLIC:
            raise ConnectionRefusedError("nobody is there")
        with monkeypatch.context() as undone:
            undone.setattr(socket, "getaddrinfo", original)
            return REAL(("127.0.0.1", port), *args, **kwargs)

    original = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", names.getaddrinfo)
    monkeypatch.setattr(urllib3.util.connection, "create_connection", create_connection)
    return names


def transport(url: str = "http://erp.example.com", **options: Any) -> Transport:
    session = requests.Session()
    session.trust_env = False
    return Transport(
        session, base_url=url, **{"private_networks": False, "retries": ONE_ATTEMPT, "sleep": lambda _: None, **options}
    )


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254",  # noqa: S104
        "100.100.100.200",
        "168.63.129.16", "192.0.0.192", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1%eth0", "fd00:ec2::254",
        "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::", "no address",
    ],
)  # fmt: skip
def test_private_local_and_metadata_addresses_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", [PUBLIC, "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(address)


def test_a_public_host_is_reached_by_the_address_that_was_looked_at(names: Names) -> None:
    names.answers["erp.example.com"] = [[PUBLIC], ["127.0.0.1"]]
    answer = transport().request("GET", "/hello")
    assert names.connected == [PUBLIC]
    assert names.asked == ["erp.example.com"], "looked up once, so a second answer has no say"
    assert b"erp.example.com" in answer.body, "the host the vendor sees is the name"


@pytest.mark.parametrize(
    "host", ["http://127.0.0.1", "http://localhost", "http://[::1]", "http://0x7f000001", "http://intranet"]
)
def test_a_host_inside_is_refused_before_anything_is_sent(
    names: Names, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    for name in ("127.0.0.1", "localhost", "0x7f000001"):
        names.answers[name] = [["127.0.0.1"]]
    names.answers |= {"::1": [["::1"]], "intranet": [["10.3.4.5"]]}
    with pytest.raises(ConfigError, match="allow_private_networks"):
        transport(host).request("GET", "/")
    assert server.asked == [] and names.connected == []


def test_one_private_address_among_public_ones_is_enough_to_refuse(names: Names) -> None:
    names.answers["erp.example.com"] = [[PUBLIC, "192.168.0.7"]]
    with pytest.raises(ConfigError, match=r"192\.168\.0\.7"):
        transport().request("GET", "/")
    assert names.connected == []


def test_a_name_that_turns_private_between_two_requests_is_refused(names: Names) -> None:
    names.answers["erp.example.com"] = [[PUBLIC], ["127.0.0.1"]]
    asking = transport()
    asking.request("GET", "/one")
    with pytest.raises(ConfigError, match="private network"):
        asking.request("GET", "/two")


def test_the_connection_after_a_redirect_is_looked_at_too(names: Names, server: ScriptedServer) -> None:
    names.answers["erp.example.com"] = [[PUBLIC], ["169.254.169.254"]]
    with pytest.raises(ConfigError, match=r"169\.254\.169\.254"):
        transport().request("GET", "/moved")
    assert [asked.path for asked in server.asked] == ["/moved"]


def test_a_redirect_to_another_machine_is_not_followed(names: Names) -> None:
    names.answers["erp.example.com"] = [[PUBLIC]]
    with pytest.raises(ProtocolError, match="another address"):
        transport().request("GET", "/away")
    assert names.connected == [PUBLIC]


def test_the_next_address_is_tried_when_the_first_takes_no_connection(names: Names) -> None:
    names.answers["erp.example.com"] = [[OTHER_PUBLIC, PUBLIC]]
    transport().request("GET", "/")
    assert names.connected == [OTHER_PUBLIC, PUBLIC]


def test_a_host_of_which_no_address_answers_is_an_outage(names: Names) -> None:
    names.answers["erp.example.com"] = [[OTHER_PUBLIC]]
    with pytest.raises(VendorUnavailable) as raised:
        transport().request("GET", "/")
    assert not raised.value.maybe_done


def test_of_a_name_with_hundreds_of_dead_addresses_only_a_few_are_waited_for(names: Names) -> None:
    names.answers["erp.example.com"] = [[f"93.184.215.{last}" for last in (15, *range(20, 220))]]
    names.refused = True
    with pytest.raises(VendorUnavailable):
        transport().request("GET", "/")
    assert len(names.connected) == MOST_TRIED


def test_a_name_that_does_not_exist_is_said_not_to(names: Names) -> None:
    with pytest.raises(VendorUnavailable, match="no such host"):
        transport().request("GET", "/")


def test_a_proxy_of_the_connection_itself_is_no_way_around(names: Names) -> None:
    names.answers["proxy.internal"] = [["10.0.0.8"]]
    asking = transport()
    asking._session.proxies = {"http": "http://proxy.internal:3128"}
    asking = Transport(asking._session, base_url="http://erp.example.com", private_networks=False, retries=ONE_ATTEMPT)
    with pytest.raises(ConfigError, match=r"10\.0\.0\.8"):
        asking.request("GET", "/")


def test_where_private_networks_are_allowed_nothing_is_looked_at(names: Names) -> None:
    names.answers["intranet"] = [["10.3.4.5"]]
    transport("http://intranet", private_networks=True).request("GET", "/")
    assert names.connected == ["intranet"]


@pytest.mark.parametrize(
    ("setting", "environment", "allowed"),
    [
        (None, None, False),
        (None, "true", True),
        ("", "1", True),
        (True, None, True),
        ("yes", None, True),
        (False, "true", False),
        ("false", "true", False),
    ],
)
def test_the_connection_decides_and_the_environment_where_it_says_nothing(
    monkeypatch: pytest.MonkeyPatch, setting: object, environment: str | None, allowed: bool
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    if environment is not None:
        monkeypatch.setenv(VARIABLE, environment)
    assert allowed_by(setting) is allowed


def test_a_setting_that_is_neither_yes_nor_no_is_refused() -> None:
    with pytest.raises(ConfigError, match="true or false"):
        allowed_by("perhaps")
