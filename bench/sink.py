"""A vendor that takes bulk writes, in a process of its own: it keeps what it is sent, counts, and can enforce a rate.

HTTP/1.1 with keep-alive, a thread a connection, JSON both ways:

    POST  /customers       {"data": [record, …]}           creates; an answer for each: {"id": …, "record": …}
    PATCH /customers       {"data": [{"id": …, …}, …]}     updates the fields that are named; {"error": "missing"}
    POST  /customers/find  {"field": …, "values": [text]}  the ids that hold each value
    POST  /customers/read  {"ids": [id, …]}                those that exist, as a page {"data": [record, …]}
    GET   /customers                                       all of them
    GET   /measures                                        what came in since the last time this was asked

With an allowed rate, a request that would be one too many within any second is refused with 429, counted from the
moment it is wholly read. `/measures` is not counted and not limited.
"""

from __future__ import annotations

import argparse
import re
import socket
import subprocess
import sys
import threading
import urllib.request
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Any, Final

import msgspec

_HEAD: Final = re.compile(rb"([A-Z]+) (/[^ ?]*)[^ ]* HTTP/1\.1\r\n")
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_BLOCK: Final = 256 * 1024
_START: Final = datetime(2026, 1, 1, tzinfo=UTC)
_STATUS: Final = {200: b"OK", 404: b"Not Found", 429: b"Too Many Requests"}
WINDOW_S: Final = 1.0
"""What an allowed rate is counted over."""


class Measures(msgspec.Struct, frozen=True):
    """What a sink met since it was asked last.

    `busy_seconds`: while it was working on a request, from having read it to having sent the answer; two requests at
    once count once. `busiest`: the most requests within any second, `seconds` from the first to the last of them.
    """

    requests: int
    refused: int
    written: int
    busy_seconds: float
    busiest: int
    seconds: float


class _Records(msgspec.Struct):
    data: list[dict[str, Any]]


class _Sought(msgspec.Struct):
    field: str
    values: list[str]


class _Named(msgspec.Struct):
    ids: list[str]


class Store:
    """The records, as bytes by id, and the ids by e-mail address and by `origin`: no other field is ever sought."""

    def __init__(self) -> None:
        self._records: dict[str, bytes] = {}
        self._by: dict[str, dict[str, str]] = {"email": {}, "origin": {}}
        self._versions = 0
        self._lock = threading.Lock()
        self._encode = msgspec.json.Encoder().encode

    def create(self, body: bytes) -> tuple[bytes, int]:
        """New records with ids of their own; the answer, and how many."""
        sent = msgspec.json.decode(body, type=_Records).data
        with self._lock:
            return b'{"results":[' + b",".join(map(self._created, sent)) + b"]}", len(sent)

    def update(self, body: bytes) -> tuple[bytes, int]:
        """Some fields of known records; the answer, and how many."""
        sent = msgspec.json.decode(body, type=_Records).data
        with self._lock:
            return b'{"results":[' + b",".join(map(self._updated, sent)) + b"]}", len(sent)

    def find(self, body: bytes) -> tuple[bytes, int]:
        """The ids of the records that hold each value."""
        sought = msgspec.json.decode(body, type=_Sought)
        known = self._by[sought.field]
        found = [[known[value]] if value in known else [] for value in sought.values]
        return self._encode({"found": found}), 0

    def read(self, body: bytes) -> tuple[bytes, int]:
        """Some records as a page."""
        named = msgspec.json.decode(body, type=_Named)
        records = [self._records[name] for name in named.ids if name in self._records]
        return b'{"data":[' + b",".join(records) + b"]}", 0

    def all(self, _body: bytes) -> tuple[bytes, int]:
        """Every record."""
        return b'{"data":[' + b",".join(self._records.values()) + b"]}", 0

    def _created(self, values: dict[str, Any]) -> bytes:
        remote_id = f"S{len(self._records) + 1:08d}"
        return self._keep(remote_id, values)

    def _updated(self, values: dict[str, Any]) -> bytes:
        remote_id = values["id"]
        known = self._records.get(remote_id)
        if known is None:
            return self._encode({"id": remote_id, "error": "missing"})
        return self._keep(remote_id, _merged(msgspec.json.decode(known), values))

    def _keep(self, remote_id: str, values: dict[str, Any]) -> bytes:
        self._versions += 1
        modified = (_START + timedelta(milliseconds=self._versions)).isoformat().replace("+00:00", "Z")
        record = self._encode({**values, "id": remote_id, "updated_at": modified})
        self._records[remote_id] = record
        for name, known in self._by.items():
            if value := values.get(name):
                known[value] = remote_id
        return b'{"id":"%b","record":%b}' % (remote_id.encode(), record)


def _merged(known: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    for name, value in values.items():
        inner = known.get(name)
        known[name] = _merged(inner, value) if isinstance(value, dict) and isinstance(inner, dict) else value
    return known


class Gate:
    """Counts requests and the time they take, and lets through what the rate allows."""

    def __init__(self, per_second: int | None) -> None:
        self._per_second = per_second
        self._lock = threading.Lock()
        self._recent: deque[float] = deque()
        self._working = 0
        self._busy_since = 0.0
        self._reset()

    def _reset(self) -> None:
        self._moments: list[float] = []
        self._refused = self._written = 0
        self._busy_seconds = 0.0

    def enter(self) -> bool:
        """A request has come: whether it is taken."""
        with self._lock:
            now = perf_counter()
            self._moments.append(now)
            if self._working == 0:
                self._busy_since = now
            self._working += 1
            while self._recent and self._recent[0] <= now - WINDOW_S:
                self._recent.popleft()
            if self._per_second is not None and len(self._recent) >= self._per_second:
                self._refused += 1
                return False
            self._recent.append(now)
            return True

    def leave(self, written: int) -> None:
        """Its answer is sent."""
        with self._lock:
            self._working -= 1
            self._written += written
            if self._working == 0:
                self._busy_seconds += perf_counter() - self._busy_since

    def measures(self) -> Measures:
        """What came in since the last call."""
        with self._lock:
            moments = self._moments
            found = Measures(
                requests=len(moments),
                refused=self._refused,
                written=self._written,
                busy_seconds=self._busy_seconds,
                busiest=busiest(moments),
                seconds=moments[-1] - moments[0] if moments else 0.0,
            )
            self._reset()
            return found


def busiest(moments: list[float], *, window: float = WINDOW_S) -> int:
    """The most of these moments, in ascending order, that lie within one window; its end does not belong to it."""
    most = first = 0
    for last, moment in enumerate(moments):
        while moments[first] <= moment - window:
            first += 1
        most = max(most, last - first + 1)
    return most


class Server:
    """Listens on an ephemeral port of the loopback interface."""

    def __init__(self, *, per_second: int | None = None) -> None:
        store = Store()
        self._gate = Gate(per_second)
        self._answers: dict[tuple[bytes, bytes], Callable[[bytes], tuple[bytes, int]]] = {
            (b"POST", b"/customers"): store.create,
            (b"PATCH", b"/customers"): store.update,
            (b"POST", b"/customers/find"): store.find,
            (b"POST", b"/customers/read"): store.read,
            (b"GET", b"/customers"): store.all,
        }
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]

    def serve(self) -> None:
        """Accepts connections until the process ends."""
        while True:
            connection, _ = self._socket.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        waiting = bytearray()
        with connection:
            try:
                while (request := _next_request(connection, waiting)) is not None:
                    self._answer(connection, *request)
            except (ConnectionError, TimeoutError):
                return

    def _answer(self, connection: socket.socket, method: bytes, path: bytes, body: bytes) -> None:
        if path == b"/measures":
            _send(connection, 200, msgspec.json.encode(self._gate.measures()))
            return
        written = 0
        is_taken = self._gate.enter()
        try:
            make = self._answers.get((method, path))
            if not is_taken:
                _send(connection, 429, b"{}", b"Retry-After: 1\r\n")
            elif make is None:
                _send(connection, 404, b"{}")
            else:
                payload, written = make(body)
                _send(connection, 200, payload)
        finally:
            self._gate.leave(written)


def _next_request(connection: socket.socket, waiting: bytearray) -> tuple[bytes, bytes, bytes] | None:
    """Method, path and body of the next request; what was read beyond it stays in `waiting`. None at the end."""
    while (end := waiting.find(b"\r\n\r\n")) < 0:
        if not _more(connection, waiting):
            return None
    head = bytes(waiting[: end + 2])
    asked, length = _HEAD.match(head), _LENGTH.search(head)
    stop = end + 4 + (int(length[1]) if length else 0)
    while len(waiting) < stop:
        if not _more(connection, waiting):
            return None
    body = bytes(waiting[end + 4 : stop])
    del waiting[:stop]
    return (asked[1], asked[2], body) if asked else (b"", b"", body)


def _more(connection: socket.socket, waiting: bytearray) -> bool:
    received = connection.recv(_BLOCK)
    waiting += received
    return bool(received)


def _send(connection: socket.socket, status: int, payload: bytes, headers: bytes = b"") -> None:
    head = b"HTTP/1.1 %d %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%b\r\n"
    connection.sendall(head % (status, _STATUS[status], len(payload), headers) + payload)


@dataclass(frozen=True, slots=True)
class RunningSink:
    """A sink server that runs."""

    url: str

    def measures(self) -> Measures:
        """What came in since this was called last."""
        return msgspec.json.decode(self._get("/measures"), type=Measures)

    def records(self) -> list[dict[str, Any]]:
        """Everything it holds."""
        return msgspec.json.decode(self._get("/customers"), type=_Records).data

    def _get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url + path) as response:  # noqa: S310  # our own server on the loopback interface
            body: bytes = response.read()
        return body


@contextmanager
def running(*, per_second: int | None = None) -> Iterator[RunningSink]:
    """A sink in a process of its own, empty; the process ends after."""
    command = [sys.executable, "-m", "bench.sink", *(["--per-second", str(per_second)] if per_second else [])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            port = process.stdout.readline().strip() if process.stdout else ""
            if not port:
                raise RuntimeError("The sink server did not start: see its message above.")
            yield RunningSink(f"http://127.0.0.1:{port}")
        finally:
            process.terminate()


def main() -> None:
    """Serves until it is ended; prints its port first."""
    parser = argparse.ArgumentParser(description="A vendor that takes bulk writes.")
    parser.add_argument("--per-second", type=int, default=None, help="requests it allows within any second")
    server = Server(per_second=parser.parse_args().per_second)
    print(server.port, flush=True)
    server.serve()


if __name__ == "__main__":
    main()
