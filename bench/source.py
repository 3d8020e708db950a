"""A static source server in a process of its own, built not to be the bottleneck: a thread a connection, `sendfile`.

`GET /<records>/<state>/customers?page=<n>` (from 1) answers `{"data":[…],"next":"<path of page n+1>"}`, `next` null on
the last page, over HTTP/1.1 with keep-alive. It reads nothing of a request but its first line.
"""

from __future__ import annotations

import argparse
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.records import PAGE_SIZE, STATES, PageFile, open_pages

_REQUEST: Final = re.compile(rb"GET /(\d+)/(\w+)/customers(?:\?(?:[^ ]*&)?page=(\d+)[^ ]*)? HTTP/1\.1\r\n")
_NOT_FOUND: Final = b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\nnot found"
_PREFIX: Final = b'{"data":['
_MAX_REQUEST: Final = 65_536


def path(*, records: int, state: str) -> str:
    """The path of the first page."""
    return f"/{records}/{state}/customers"


class Server:
    """Serves rendered pages from `folder` on an ephemeral port of the loopback interface."""

    def __init__(self, folder: Path) -> None:
        self._states = {state.encode(): _Pages(open_pages(folder, state=state)) for state in STATES}
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]

    def serve(self) -> None:
        """Accepts connections until the process ends."""
        while True:
            connection, _ = self._socket.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        waiting = b""
        with connection:
            try:
                while True:
                    end = waiting.find(b"\r\n\r\n")
                    if end >= 0:
                        request, waiting = waiting[: end + 4], waiting[end + 4 :]
                        self._answer(connection, request)
                        continue
                    received = connection.recv(_MAX_REQUEST)
                    if not received:
                        return
                    waiting += received
            except (ConnectionError, TimeoutError):
                return

    def _answer(self, connection: socket.socket, request: bytes) -> None:
        asked = _REQUEST.match(request)
        pages = self._states.get(asked[2]) if asked else None
        if asked is None or pages is None:
            connection.sendall(_NOT_FOUND)
            return
        pages.send(connection, records=int(asked[1]), state=asked[2].decode(), number=int(asked[3] or 1))


class _Pages:
    """One state's pages, sent from the page cache without a copy through Python."""

    def __init__(self, file: PageFile) -> None:
        self._offsets = file.offsets
        self._descriptor = os.open(file.path, os.O_RDONLY)

    def send(self, connection: socket.socket, *, records: int, state: str, number: int) -> None:
        total = records // PAGE_SIZE
        if not 1 <= number <= total < len(self._offsets):
            connection.sendall(_NOT_FOUND)
            return
        start, stop = self._offsets[number - 1], self._offsets[number]
        following = f'"{path(records=records, state=state)}?page={number + 1}"' if number < total else "null"
        suffix = f'],"next":{following}}}'.encode()
        length = len(_PREFIX) + stop - start + len(suffix)
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n".encode()
        connection.sendall(head + _PREFIX, socket.MSG_MORE if hasattr(socket, "MSG_MORE") else 0)
        while start < stop:
            start += os.sendfile(connection.fileno(), self._descriptor, start, stop - start)
        connection.sendall(suffix)


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """A source server in a process of its own; gives its base URL, ends the process after."""
    command = [sys.executable, "-m", "bench.source", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            port = process.stdout.readline().strip() if process.stdout else ""
            if not port:
                raise RuntimeError(f"The source server did not start: see its message above (pages in {folder}).")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def main() -> None:
    """Serves until it is ended; prints its port first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    server = Server(parser.parse_args().folder)
    print(server.port, flush=True)
    server.serve()


if __name__ == "__main__":
    main()
