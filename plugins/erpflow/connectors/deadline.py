"""A total time-out for one HTTP exchange.

`requests` only bounds the silence between two bytes: a server that drips a byte a minute holds a worker for ever.
Here every read of the socket, headers and body alike, is bounded by what is left of the whole exchange.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from erpflow.connectors.network import pinned

_READ_BUFFER = 64 * 1024


@dataclass(frozen=True, slots=True)
class Deadline:
    """When an exchange must be over, in seconds of `clock`."""

    at: float
    clock: Callable[[], float]

    def left(self) -> float:
        """Seconds left. Raises TimeoutError when there are none."""
        left = self.at - self.clock()
        if left <= 0:
            raise TimeoutError("the exchange took longer than its total time-out")
        return left


_current: ContextVar[Deadline | None] = ContextVar("erpflow_deadline", default=None)


@contextlib.contextmanager
def within(deadline: Deadline) -> Iterator[None]:
    """Bounds every socket read of the sessions prepared by `enforce_deadlines`, in this thread."""
    token = _current.set(deadline)
    try:
        yield
    finally:
        _current.reset(token)


def enforce_deadlines(session: requests.Session) -> None:
    """Makes the connections a session will open obey `within`, whoever built its adapters."""
    for adapter in session.adapters.values():
        if isinstance(adapter, HTTPAdapter):
            _use_bounded_pools(adapter.poolmanager)
            adapter.proxy_manager_for = _bounded(adapter.proxy_manager_for)  # type: ignore[method-assign]


def _bounded(make: Callable[..., PoolManager]) -> Callable[..., PoolManager]:
    def proxy_manager_for(*args: Any, **kwargs: Any) -> PoolManager:
        return _use_bounded_pools(make(*args, **kwargs))

    return proxy_manager_for


def _use_bounded_pools(manager: PoolManager) -> PoolManager:
    manager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
    return manager


class _BoundedReads(io.RawIOBase):
    """A socket's stream whose every read gets at most the time that is left."""

    def __init__(self, stream: io.RawIOBase, sock: socket.socket) -> None:
        self._stream = stream
        self._sock = sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        deadline = _current.get()
        if deadline is not None:
            left = deadline.left()
            silence = self._sock.gettimeout()
            if silence is None or left < silence:
                self._sock.settimeout(left)
        return self._stream.readinto(buffer)

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_BoundedReads(self.fp.detach(), sock), _READ_BUFFER)


class _HttpConnection(HTTPConnection):
    response_class = _Response

    def _new_conn(self) -> socket.socket:
        return pinned(self, super()._new_conn)


class _HttpsConnection(HTTPSConnection):
    response_class = _Response

    def _new_conn(self) -> socket.socket:
        return pinned(self, super()._new_conn)


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _HttpConnection


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection
