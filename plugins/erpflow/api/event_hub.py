"""Hands what happens to everybody who follows: one reader of the database per process, a bounded queue per follower."""

from __future__ import annotations

import asyncio
import signal
from collections import deque
from collections.abc import Callable
from contextlib import aclosing
from datetime import datetime
from typing import Any, Final

import msgspec
import structlog

from erpflow.errors import DatabaseUnavailable, ErpflowError
from erpflow.store import events
from erpflow.store.database import Database
from erpflow.store.events import Event, Place, Wanted
from erpflow.vocabulary import TenantId

log = structlog.get_logger(__name__)

QUEUE_EVENTS: Final = 256
"""What a follower may be behind; an event is encoded once and shared by all queues."""

CATCHING_UP: Final = 4
"""Followers that read what they missed at the same time: after a restart all of them come at once."""

DRAIN_S: Final = 0.5
DRAIN_TICKS: Final = 50
"""How long events are held back for one that is behind, and in how many steps that is looked at."""

READY_S: Final = 5.0
TICK_S: Final = 0.5
LINGER_S: Final = 30.0
"""How long the reader stays when nobody follows: a page that is loaded anew is back at once."""

FIRST_PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 15.0


class Told(msgspec.Struct):
    """An event as it is sent."""

    kind: str
    at: datetime
    sync_config_id: str | None
    log_id: str | None
    payload: dict[str, Any]


def frame(event: Event) -> bytes:
    """An event in the format of an event stream. Source: WHATWG HTML, "Server-sent events"."""
    told = Told(event.kind, event.at, event.sync_config_id, event.log_id, event.payload)
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (
        str(event.place).encode(),
        event.kind.encode(),
        msgspec.json.encode(told),  # one line: JSON escapes line ends
    )


class Follower:
    """Somebody who follows, and what is still to be sent to them. `ended`: why nothing more comes."""

    def __init__(self, wanted: Wanted, *, since: Place, size: int) -> None:
        """`since`: what is offered is all that happens behind this place."""
        self.wanted = wanted
        self.since = since
        self.ended: str | None = None
        self._size = size
        self._waiting: deque[tuple[Place, bytes]] = deque()
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def offer(self, place: Place, told: bytes) -> None:
        """Give an event. Whoever is too far behind is given up: they come back for it with the last they got."""
        if self.ended is None and len(self._waiting) >= self._size:
            self.end("behind")
        if self.ended is None:
            self._waiting.append((place, told))
            self._wake.set()

    def end(self, why: str) -> None:
        """Nothing more comes, and what waits is let go of."""
        self.ended = self.ended or why
        self._waiting.clear()
        self._wake.set()

    async def next(self, *, patience_s: float) -> tuple[Place, bytes] | None:
        """The next event; None when there was none for so many seconds, or it has ended."""
        try:
            async with asyncio.timeout(patience_s):
                await self._wake.wait()
        except TimeoutError:
            return None
        found = self._waiting.popleft() if self._waiting else None
        if not self._waiting and self.ended is None:
            self._wake.clear()
        return found


def server_leaves() -> bool:
    """Whether uvicorn was told to stop: it waits for every response to end, and a stream would keep it for minutes.

    It tells no application; the handler of its signal is a method of the server, which knows.
    """
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return bool(getattr(server, "should_exit", False))


class EventHub:
    """Begins to read with the first follower, and stops when nobody has followed for a while. For one event loop."""

    def __init__(
        self,
        database: Callable[[], Database],
        *,
        size: int = QUEUE_EVENTS,
        leaving: Callable[[], bool] = server_leaves,
    ) -> None:
        self._database = database
        self._size = size
        self._at_once = max(1, size // 2)
        self._leaving = leaving
        self._followers: dict[TenantId, set[Follower]] = {}
        self._task: asyncio.Task[None] | None = None
        self._place: Place | None = None
        self._known = asyncio.Event()
        self._trouble: ErpflowError | None = None
        self.catching_up = asyncio.Semaphore(CATCHING_UP)

    @property
    def followers(self) -> list[Follower]:
        """Everybody who follows now."""
        return [one for of_tenant in self._followers.values() for one in of_tenant]

    async def ready(self) -> Place:
        """How far it has read. Raises DatabaseUnavailable (or why else it cannot read) when it cannot be known soon."""
        if self._task is None or self._task.done():
            self._start()
        try:
            async with asyncio.timeout(READY_S):
                await self._known.wait()
        except TimeoutError:
            raise self._trouble or DatabaseUnavailable(
                "The database does not answer yet. Try again in a moment; nothing is lost."
            ) from None
        assert self._place is not None  # noqa: S101  (it is known)
        return self._place

    async def join(self, wanted: Wanted) -> Follower:
        """Follow from now on. Raises as `ready`."""
        place = await self.ready()
        follower = Follower(wanted, since=place, size=self._size)
        self._followers.setdefault(wanted.tenant_id, set()).add(follower)
        return follower

    def leave(self, follower: Follower) -> None:
        """Follow no more."""
        of_tenant = self._followers.get(follower.wanted.tenant_id, set())
        of_tenant.discard(follower)
        if not of_tenant:
            self._followers.pop(follower.wanted.tenant_id, None)

    def _start(self) -> None:
        self._place, self._trouble = None, None
        self._known = asyncio.Event()
        self.catching_up = asyncio.Semaphore(CATCHING_UP)
        self._task = asyncio.create_task(self._serve(), name="erpflow-events")

    async def _serve(self) -> None:
        reader = asyncio.create_task(self._read(), name="erpflow-events-reader")
        clock = asyncio.get_running_loop().time
        needed_at = clock()
        try:
            while clock() - needed_at < LINGER_S and not reader.done():
                await asyncio.sleep(TICK_S)
                if self._followers:
                    needed_at = clock()
                if self._leaving():
                    self._end("leaving")
        finally:
            if self._task is asyncio.current_task():
                self._task = None
            self._end("stopped")
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    def _end(self, why: str) -> None:
        for follower in self.followers:
            follower.end(why)

    async def _read(self) -> None:
        pause = FIRST_PAUSE_S
        while True:
            try:
                async with aclosing(events.follow(self._database(), self._place, limit=self._at_once)) as reads:
                    async for read in reads:
                        pause = FIRST_PAUSE_S
                        self._hand_out(read)
                        await self._drained()
            except ErpflowError as error:
                self._trouble = error
                log.warning("event_reader_lost", error=str(error), again_in_s=pause)
            except Exception:
                log.exception("event_reader_broken")
                raise
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)

    def _hand_out(self, read: events.Read) -> None:
        for event in read.events:
            wanting = [one for one in self._followers.get(event.tenant_id, ()) if one.wanted.includes(event)]
            told = frame(event) if wanting else b""
            for follower in wanting:
                follower.offer(event.place, told)
        self._place = read.place
        self._known.set()

    async def _drained(self) -> None:
        """Give everybody room for the next events, for a moment: whoever makes none by then is cut off by them."""
        for _ in range(DRAIN_TICKS):
            if all(len(one) + self._at_once <= self._size for one in self.followers):
                return
            await asyncio.sleep(DRAIN_S / DRAIN_TICKS)

    def place_of(self, follower: Follower) -> Place | None:
        """How far a follower has got who has nothing waiting; None while something is, or the reader is new."""
        return self._place if not len(follower) and follower.ended is None else None
