"""A generator that runs ahead in a thread: order, errors, bounds, and an early stop."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from erpflow.sync.pipeline import ahead


def test_items_come_in_order_and_the_end_is_the_end() -> None:
    assert list(ahead(range(1000), depth=3)) == list(range(1000))
    assert list(ahead([], depth=1)) == []


def test_an_error_of_the_producer_is_raised_behind_what_it_produced() -> None:
    def producer() -> Iterator[int]:
        yield 1
        yield 2
        raise LookupError("page 3")

    items = ahead(producer(), depth=5)
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(LookupError, match="page 3"):
        next(items)


def test_the_producer_is_never_more_than_depth_items_ahead() -> None:
    produced = 0
    allowed = threading.Event()

    def producer() -> Iterator[int]:
        nonlocal produced
        for number in range(50):
            produced = number
            if number == 4:
                allowed.set()
            yield number

    items = ahead(producer(), depth=3)
    assert next(items) == 0
    assert allowed.wait(5)  # 3 in the queue, 1 in the hand of the producer
    assert produced == 4
    assert list(items) == list(range(1, 50))


def test_a_consumer_that_stops_early_ends_the_producer_and_closes_it() -> None:
    closed = threading.Event()

    def producer() -> Iterator[int]:
        try:
            yield from range(10_000)
        finally:
            closed.set()

    items = ahead(producer(), depth=2)
    assert next(items) == 0
    items.close()  # type: ignore[attr-defined]  # a generator
    assert closed.wait(5)
    assert not [thread for thread in threading.enumerate() if thread.name == "erpflow-ahead"]
