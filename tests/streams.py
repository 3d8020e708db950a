"""Event streams over real sockets: the API behind uvicorn in a thread, and clients that read as slowly as they like."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import uvicorn
from starlette.types import ASGIApp

PATIENCE_S = 10.0
BUFFER = 4096
"""What the kernel keeps for a socket: with its own megabytes no client would be slow."""


@dataclass(frozen=True)
class Frame:
    """One frame of an event stream: `event` is empty for one that only has an id, or a comment."""

    id: str
    event: str
    data: Any
    text: str


@contextmanager
def listening(app: ASGIApp) -> Iterator[int]:
    """Serve an app on a port of this machine."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
    listener.bind(("127.0.0.1", 0))
    listener.listen(256)
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(timeout=PATIENCE_S)
        listener.close()
        assert not thread.is_alive()


@dataclass
class Stream:
    """One client that follows as soon as it is made; nothing is read before it is asked for."""

    port: int
    key: str
    query: str = ""
    last: str = ""
    seen: list[Frame] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect(("127.0.0.1", self.port))
        resume = f"Last-Event-ID: {self.last}\r\n" if self.last else ""
        self.socket.sendall(
            f"GET /api/erp/events/stream{self.query} HTTP/1.1\r\nHost: here\r\n"
            f"Authorization: Bearer {self.key}\r\n{resume}\r\n".encode()
        )
        self._frames = self._read()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._frames.close()  # it holds the socket open
        self.socket.close()

    def next(self) -> Frame | None:
        """The next frame; None when the stream has ended."""
        found = next(self._frames, None)
        if found is not None:
            self.last = found.id or self.last
            self.seen.append(found)
        return found

    def began(self) -> Self:
        """Wait until it follows: from here on nothing is missed."""
        while not any(frame.id for frame in self.seen):
            assert self.next() is not None
        return self

    def events(self, count: int) -> list[Frame]:
        """The next so many events."""
        found: list[Frame] = []
        while len(found) < count:
            frame = self.next()
            assert frame is not None, f"the stream ended after {len(found)} of {count} events"
            if frame.event:
                found.append(frame)
        return found

    def rest(self) -> list[Frame]:
        """Every frame up to the end of the stream."""
        with suppress(ConnectionResetError):
            return list(iter(self.next, None))
        return []

    def _read(self) -> Generator[Frame, None, None]:
        with self.socket.makefile("rb") as answer:
            status = answer.readline().decode()
            assert " 200 " in status, status
            while answer.readline() != b"\r\n":
                pass
            text = b""
            while size := int(answer.readline() or b"0", 16):
                text += answer.read(size)
                answer.readline()
                *whole, text = text.split(b"\n\n")
                for one in whole:
                    yield _frame(one.decode())


def _frame(text: str) -> Frame:
    fields = dict(line.split(": ", 1) for line in text.splitlines() if not line.startswith(":"))
    data = json.loads(fields["data"]) if "data" in fields else None
    return Frame(fields.get("id", ""), fields.get("event", ""), data, text)
