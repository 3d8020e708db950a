"""Vendors that send webhooks at a steady rate, whatever the answers take: each request has its moment.

A request without an answer is sent again, as vendors do. Times count from the moment at which a request was due, so a
server that stalls is charged for everything it keeps waiting.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

CONNECTIONS = 24
AGAIN_AFTER_S = 1.0
PATIENCE_S = 10.0
CATCHES_UP_S = 10.0
"""After an outage everybody sends at once what was refused meanwhile."""

Signed = tuple[bytes, dict[str, str]]


@dataclass(frozen=True, slots=True)
class Address:
    """One webhook, and what makes the next signed request for it."""

    url: str
    make: Callable[[], Signed]


@dataclass(slots=True)
class Sent:
    """What came of the requests: when each was due and the seconds until its answer, event ids that were acknowledged.

    `outages`: from when until when the server was down, by the same clock; whoever was due then had to wait.
    """

    answers: list[tuple[float, float]] = field(default_factory=list)
    outages: list[tuple[float, float]] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    repeated: int = 0
    refused: dict[int, int] = field(default_factory=dict)

    def percentile(self, share: float) -> float:
        """The answer time that so large a share of the requests kept within, in seconds, while there was a server."""
        ordered = sorted(seconds for due, seconds in self.answers if not self._met_an_outage(due))
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    def _met_an_outage(self, due: float) -> bool:
        return any(down - PATIENCE_S < due < up + CATCHES_UP_S for down, up in self.outages)


async def send(addresses: Sequence[Address], *, per_second: float, seconds: float, sent: Sent) -> None:
    """Send to the addresses in turn, so many a second for so long."""
    waiting: asyncio.Queue[tuple[float, str, Signed]] = asyncio.Queue()
    workers = [asyncio.create_task(_work(waiting, sent)) for _ in range(CONNECTIONS)]
    began = time.monotonic()
    for number in range(int(per_second * seconds)):
        due = began + number / per_second
        if (early := due - time.monotonic()) > 0:
            await asyncio.sleep(early)
        address = addresses[number % len(addresses)]
        waiting.put_nowait((due, address.url, address.make()))
    await waiting.join()
    for worker in workers:
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)


async def _work(waiting: asyncio.Queue[tuple[float, str, Signed]], sent: Sent) -> None:
    connection = _Connection()
    while True:
        due, url, signed = await waiting.get()
        while True:
            try:
                async with asyncio.timeout(PATIENCE_S):
                    status, body = await connection.post(url, *signed)
                break
            except (OSError, TimeoutError, asyncio.IncompleteReadError):
                connection.drop()
                sent.repeated += 1
                due = time.monotonic() + AGAIN_AFTER_S  # the next try is a request of its own
                await asyncio.sleep(AGAIN_AFTER_S)
        sent.answers.append((due, time.monotonic() - due))
        if status == 202:
            sent.acknowledged.extend(json.loads(body)["event_ids"])
        else:
            sent.refused[status] = sent.refused.get(status, 0) + 1
        waiting.task_done()


class _Connection:
    """A connection that is kept, in as few bytes as HTTP/1.1 asks for: the sender must not be what is measured."""

    def __init__(self) -> None:
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, url: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        """Send a request; its status and its body."""
        parts = urlsplit(url)
        if self._streams is None:
            self._streams = await asyncio.open_connection(parts.hostname, parts.port)
        reader, writer = self._streams
        lines = [f"POST {parts.path} HTTP/1.1", f"Host: {parts.netloc}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        found = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
        answer = await reader.readexactly(int(found.get("content-length", "0")))
        if found.get("connection") == "close":
            self.drop()
        return int(head[0].split(" ")[1]), answer

    def drop(self) -> None:
        """Begin anew with the next request."""
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None
