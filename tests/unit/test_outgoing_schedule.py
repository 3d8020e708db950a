"""When a message is sent again: the schedule of Standard Webhooks, spread a little, and patient where that is asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from erpflow.services.outgoing.schedule import JITTER, next_attempt

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SECONDS = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400]


@pytest.mark.parametrize(("attempt", "seconds"), list(enumerate(SECONDS, start=1)))
def test_each_attempt_is_followed_by_the_wait_of_the_standard(attempt: int, seconds: int) -> None:
    assert next_attempt(attempt, now=NOW, jitter=0.0) == NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize("attempt", [10, 11])
def test_after_the_tenth_attempt_there_is_none(attempt: int) -> None:
    assert next_attempt(attempt, now=NOW, jitter=0.5) is None


@pytest.mark.parametrize("attempt", range(1, 10))
def test_jitter_makes_a_wait_a_fifth_longer_at_most_and_never_shorter(attempt: int) -> None:
    soonest, latest = (next_attempt(attempt, now=NOW, jitter=jitter) for jitter in (0.0, 1.0))
    assert soonest is not None and latest is not None
    assert latest - NOW == (soonest - NOW) * (1 + JITTER)


def test_a_receiver_that_asks_for_patience_gets_it_but_not_for_ever() -> None:
    def wait(**asked: float) -> timedelta:
        due = next_attempt(1, now=NOW, jitter=0.0, retry_after=timedelta(**asked))
        assert due is not None
        return due - NOW

    assert wait(seconds=90) == timedelta(seconds=90)
    assert wait(seconds=1) == timedelta(seconds=5)
    assert wait(days=400) == timedelta(hours=24)
