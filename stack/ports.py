"""TCP ports of this machine: which are free, and which one to take."""

from __future__ import annotations

import socket
from typing import Final

from erpflow.errors import ConfigError

HOST: Final = "127.0.0.1"
HIGHEST: Final = 65535
TRIES: Final = 50


def is_free(port: int) -> bool:
    """Whether a server could listen on `port` of the loopback address now."""
    # An answer proves that somebody listens, on any address; binding alone would miss a listener on 0.0.0.0.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.5)
        if probe.connect_ex((HOST, port)) == 0:
            return False
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port nobody uses, chosen by the system."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def exactly(port: int) -> int:
    """`port`, when it can be had; ConfigError when it is out of range or taken."""
    if not 0 < port <= HIGHEST:
        raise ConfigError(f"{port} is not a port. Choose one between 1 and {HIGHEST}: make demo ARGS='--port 8081'")
    if not is_free(port):
        raise ConfigError(
            f"Port {port} is taken by another program. Choose another: make demo ARGS='--port {first_free(port + 1)}'"
        )
    return port


def first_free(port: int) -> int:
    """The first free port from `port` upwards; one chosen by the system when many in a row are taken."""
    for candidate in range(port, min(port + TRIES, HIGHEST + 1)):
        if is_free(candidate):
            return candidate
    return free_port()
