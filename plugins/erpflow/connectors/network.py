"""Which machines a request may reach: an address that somebody typed must not lead into our own network.

Whoever gives erpflow an address could name a machine that only our workers reach: a database's console, the cloud's
metadata service with its keys (server-side request forgery). So a name is looked up once, every address it stands for
must be a public one, and the connection goes to exactly the addresses that were looked at: a name that means another
machine a moment later (DNS rebinding) changes nothing. It holds for each connection made, so for redirects too.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

import urllib3.exceptions
from urllib3.connection import HTTPConnection

from erpflow.errors import ConfigError

SETTING: Final = "allow_private_networks"
VARIABLE: Final = "ERPFLOW_ALLOW_PRIVATE_NETWORKS"
MOST_TRIED: Final = 4
"""Addresses of one name that are tried: each takes a whole time-out, and whoever names them may name hundreds."""
_YES: Final = frozenset({"1", "true", "yes", "on"})

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_HIDDEN: Final = (
    ipaddress.ip_network("168.63.129.16/32"),  # Azure's own services for a virtual machine, at a public address
    ipaddress.ip_network("192.0.0.0/24"),  # protocol assignments; Oracle's metadata service is among them
    ipaddress.ip_network("192.88.99.0/24"),  # 6to4 relays: what lies behind cannot be told
)
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class _Rule:
    """`own_proxies`: the proxy in use was named by the connection itself, and not by who runs this machine."""

    own_proxies: bool


_rule: ContextVar[_Rule | None] = ContextVar("erpflow_public_only", default=None)


@contextlib.contextmanager
def public_only(*, own_proxies: bool = False) -> Iterator[None]:
    """Connections opened in this block, in this thread, lead to public addresses only.

    It binds the sessions prepared by `deadline.enforce_deadlines`. A proxy of the environment is let pass: who runs
    this machine chose it, and it decides what may be reached. One that the connection itself names is not.
    """
    token = _rule.set(_Rule(own_proxies))
    try:
        yield
    finally:
        _rule.reset(token)


def allowed_by(setting: object) -> bool:
    """Whether private networks may be reached: as a connection's setting says, else as the environment does.

    Raises ConfigError for a setting that is neither yes nor no.
    """
    if setting is None or setting == "":
        return os.environ.get(VARIABLE, "").strip().lower() in _YES
    if isinstance(setting, bool):
        return setting
    word = str(setting).strip().lower()
    if word not in _YES | {"0", "false", "no", "off"}:
        raise ConfigError(f"The connection's setting {SETTING} is {setting!r}; it may be true or false.")
    return word in _YES


def is_public(text: str) -> bool:
    """Whether an address is one of the public internet, however it is wrapped."""
    try:
        address: Address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    address = _unwrapped(address)
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    return not any(address.version == net.version and address in net for net in _HIDDEN)


def public_addresses(host: str, port: int) -> list[str]:
    """The addresses that a name stands for now. Raises ConfigError unless all are public, OSError if there is none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in addresses:
        if not is_public(address):
            raise refusal(host, address)
    return addresses


def refusal(host: str, address: str) -> ConfigError:
    """What is said of a host that leads into a private network."""
    where = host if host == address else f"{host} ({address})"
    return ConfigError(
        f"{where} is inside a private network, on this machine or a cloud's own service, and connections of this kind "
        f"may not go there. Nothing was sent. If it is right, set {SETTING} of the connection to true, "
        f"or {VARIABLE}=true for all."
    )


def pinned(connection: HTTPConnection, connect: Callable[[], socket.socket]) -> socket.socket:
    """The socket of a new connection, checked while `public_only` holds; `connect` opens it to `_dns_host`.

    Raises ConfigError for a host that is not public, else what urllib3 raises.
    """
    rule = _rule.get()
    if rule is None or (connection.proxy is not None and not rule.own_proxies):
        return connect()
    name = connection._dns_host
    try:
        addresses = public_addresses(name, connection.port)
    except socket.gaierror as error:
        raise urllib3.exceptions.NameResolutionError(connection.host, connection, error) from error
    try:
        return _first(connection, addresses, connect)
    finally:
        connection._dns_host = name


def _first(connection: HTTPConnection, addresses: list[str], connect: Callable[[], socket.socket]) -> socket.socket:
    """A connection to the first of the addresses that takes one."""
    tried = addresses[:MOST_TRIED]
    for place, address in enumerate(tried, start=1):
        connection._dns_host = address
        try:
            return connect()
        except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError):
            if place == len(tried):
                raise
    raise AssertionError("a name that resolves has an address")


def _unwrapped(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one (mapped, 6to4, Teredo, NAT64): that is where the packets go."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    inside = address.ipv4_mapped or address.sixtofour
    if inside is None and address.teredo is not None:
        inside = address.teredo[1]
    return address if inside is None else inside
