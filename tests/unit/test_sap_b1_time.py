"""The Service Layer's clock: days and times in separate fields, local to the server, without a zone."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from erpflow.connectors.sap_b1_time import Bounds, bounds_of, is_stamp, stamp_of, to_instant
from erpflow.errors import ConfigError
from erpflow.vocabulary import Window

BERLIN = "Europe/Berlin"


@pytest.mark.parametrize(
    ("day", "clock", "stamp"),
    [
        ("2026-11-25T00:00:00Z", "14:03:11", "2026-11-25T14:03:11"),
        ("2026-11-25", "14:03:11", "2026-11-25T14:03:11"),
        ("2026-11-25T00:00:00Z", "14:03", "2026-11-25T14:03:00"),
        ("2026-11-25", "PT14H3M11S", "2026-11-25T14:03:11"),
        ("2026-11-25", "PT9H", "2026-11-25T09:00:00"),
        ("2026-11-25", None, "2026-11-25"),
        ("2026-11-25", "noon", "2026-11-25"),
        (None, "14:03:11", None),
        ("2026-02-30", "14:03:11", None),
        ("yesterday...", "14:03:11", None),
    ],
)
def test_a_stamp_is_made_of_a_day_and_a_time_in_whatever_form(
    day: str | None, clock: str | None, stamp: str | None
) -> None:
    assert stamp_of(day, clock) == stamp
    assert stamp is None or is_stamp(stamp)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-07-01T12:00:00", datetime(2026, 7, 1, 10, tzinfo=UTC)),
        ('2026-01-01T12:00:00 W/"DA4B"', datetime(2026, 1, 1, 11, tzinfo=UTC)),
        ("2026-01-01", datetime(2025, 12, 31, 23, tzinfo=UTC)),
        ("2026-10-25T02:30:00", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        ("9999-12-31T23:59:59", datetime(9999, 12, 31, 22, 59, 59, tzinfo=UTC)),
        ("0001-01-01T00:00:00", None),
        ("2026-01-01T25:00:00", None),
        ("", None),
    ],
)
def test_a_stamp_is_an_instant_whatever_stands_behind_it(text: str, expected: datetime | None) -> None:
    assert to_instant(text, zone=BERLIN) == expected


def test_a_window_is_written_in_the_servers_time_to_whole_seconds() -> None:
    window = Window(
        since=datetime(2026, 7, 1, 10, 0, 0, 1, tzinfo=UTC), until=datetime(2026, 7, 1, 11, 0, 0, tzinfo=UTC)
    )
    assert bounds_of(window, zone=BERLIN) == Bounds("2026-07-01T12:00:01", "2026-07-01T13:00:00")


def test_the_hour_that_runs_twice_widens_a_window_on_the_side_where_something_could_be_missed() -> None:
    first_run, second_run = datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    assert bounds_of(Window(since=first_run), zone=BERLIN).lower == "2026-10-25T01:30:00"
    assert bounds_of(Window(since=second_run), zone=BERLIN).lower == "2026-10-25T02:30:00"
    assert bounds_of(Window(until=first_run), zone=BERLIN).upper == "2026-10-25T02:30:00"
    assert bounds_of(Window(until=second_run), zone=BERLIN).upper == "2026-10-25T03:30:00"


def test_a_bound_before_the_databases_first_day_is_none() -> None:
    assert bounds_of(Window(since=datetime(1, 1, 1, tzinfo=UTC)), zone="America/Chicago") == Bounds(None, None)
    assert bounds_of(Window(since=datetime(1700, 1, 1, tzinfo=UTC)), zone=BERLIN).lower is None


def test_a_bound_without_an_offset_is_refused() -> None:
    with pytest.raises(ConfigError, match="has no time zone"):
        bounds_of(Window(since=datetime(2026, 1, 1)), zone=BERLIN)  # noqa: DTZ001
