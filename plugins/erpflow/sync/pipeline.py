"""A generator that runs ahead in a thread of its own, a few items at most."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable, Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")

_END = object()


def ahead(items: Iterable[Item], *, depth: int) -> Iterator[Item]:
    """Yield `items`, produced in a thread that is at most `depth` items ahead.

    An exception of the producer is raised here, behind the items it produced before. When the consumer stops early,
    the producer stops at its next item, and its generator is closed in its own thread.
    """
    producer = _Producer(items, depth)
    try:
        yield from producer.results()
    finally:
        producer.stop()


class _Producer(Generic[Item]):
    """The thread behind `ahead`, and the short queue between the two."""

    def __init__(self, items: Iterable[Item], depth: int) -> None:
        self._items = items
        self._ready: queue.Queue[object] = queue.Queue(maxsize=depth)
        self._stopped = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._produce, name="erpflow-ahead", daemon=True)
        self._thread.start()

    def results(self) -> Iterator[Item]:
        """What the thread produces, then its exception if it had one."""
        while (item := self._ready.get()) is not _END:
            yield item  # type: ignore[misc]  # only items and the end are ever put
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """Nobody wants more: let the thread end."""
        self._stopped.set()
        self._thread.join()

    def _produce(self) -> None:
        try:
            for item in self._items:
                if not self._put(item):
                    break
        except BaseException as error:  # noqa: BLE001  # raised again in the consumer's thread
            self._error = error
        finally:
            if isinstance(self._items, Generator):
                self._items.close()
            self._put(_END)

    def _put(self, item: object) -> bool:
        """Hand an item over; False when nobody waits for it any more."""
        while not self._stopped.is_set():
            try:
                self._ready.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False
