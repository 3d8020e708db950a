# ruff: noqa: DTZ001  (a site writes naive times; that is what is tested here)
"""Reading in order of (modified, name) from a site that others write to while we read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from erpflow.connectors.base import PageToken
from erpflow.connectors.erpnext_paging import (
    Bounds,
    Filter,
    Head,
    Position,
    bounds_of,
    canonical,
    filters_of,
    position_of,
    step,
    to_instant,
    zone_of,
)
from erpflow.errors import ConfigError, ProtocolError
from erpflow.vocabulary import Window

KOLKATA, BERLIN = ZoneInfo("Asia/Kolkata"), ZoneInfo("Europe/Berlin")
CLOCKS_GO_BACK = datetime(2026, 10, 25, 1, 0, tzinfo=UTC)  # in Berlin: 02:00 to 03:00 runs twice
ALWAYS = Bounds(lower=None, upper=None)
patiently = settings(deadline=None)  # a busy machine is no bug


@dataclass
class Site:
    """A table as MariaDB lists it: names compare without case, times by value; None is before everything."""

    rows: dict[str, str | None]
    clock: int = 10_000
    requests: int = 0

    def list(self, filters: list[Filter], limit: int) -> list[Head]:
        self.requests += 1
        order = sorted(self.rows.items(), key=lambda row: (row[1] or "", row[0].casefold()))
        found = [row for row in order if all(_holds(row, condition) for condition in filters)]
        return [Head(name=name, modified=modified) for name, modified in found[:limit]]

    def touch(self, name: str) -> None:
        """Inserts or saves a record: its time is now."""
        self.clock += 1
        self.rows[name] = at(self.clock)


def _holds(row: tuple[str, str | None], condition: Filter) -> bool:
    name, modified = row
    operator, value = condition[1], condition[2]
    if condition[0] == "name":
        return operator == ">" and name.casefold() > str(value).casefold()
    if operator == "is":
        return value == "not set" and modified is None
    if modified is None:
        return False
    compare: dict[str, Callable[[str, str], bool]] = {
        "=": lambda a, b: a == b,
        ">": lambda a, b: a > b,
        ">=": lambda a, b: a >= b,
        "<": lambda a, b: a < b,
    }
    return compare[operator](canonical(modified), canonical(value))


@dataclass
class Reading:
    """The names of every page, and the token behind each."""

    pages: list[list[str]] = field(default_factory=list)
    tokens: list[PageToken] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        return [name for page in self.pages for name in page]


def read(
    site: Site,
    *,
    limit: int,
    bounds: Bounds = ALWAYS,
    resume: PageToken | None = None,
    between: Callable[[int], None] = lambda page: None,
) -> Reading:
    reading, position = Reading(), position_of(resume)
    for number in range(10_000):
        rows = site.list(filters_of(position, bounds), limit)
        taken = step(position, rows, bounds=bounds, limit=limit)
        fresh = range(len(rows)) if taken.fresh is None else taken.fresh
        reading.pages.append([str(rows[i].name) for i in fresh])
        if taken.next is None:
            return reading
        reading.tokens.append(taken.next.token())
        position = position_of(taken.next.token())
        between(number)
    raise AssertionError("the reading does not end")


def at(second: int) -> str:
    return (datetime(2026, 11, 21) + timedelta(seconds=second)).isoformat(sep=" ", timespec="microseconds")


def test_rows_sharing_a_timestamp_across_pages_are_all_read() -> None:
    site = Site({f"C-{n:03}": at(n // 7) for n in range(100)})
    assert read(site, limit=5).names == sorted(site.rows)


def test_a_thousand_rows_of_one_timestamp_are_read_in_order_of_name() -> None:
    site = Site({f"C-{n:04}": at(1) for n in range(1000)} | {"later": at(2)})
    reading = read(site, limit=50)
    assert reading.names == [*sorted(set(site.rows) - {"later"}), "later"]
    assert max(map(len, reading.tokens)) < 1000, "a token does not hold all names it has seen"


def test_a_page_costs_one_request_when_times_differ() -> None:
    site = Site({f"C-{n:03}": at(n) for n in range(100)})
    read(site, limit=25)
    assert site.requests <= 100 / 24 + 1


def test_records_without_any_time_are_read_too() -> None:
    site = Site({f"C-{n}": None for n in range(7)} | {f"D-{n}": at(n) for n in range(7)})
    assert sorted(read(site, limit=3).names) == sorted(site.rows)


names = st.lists(st.text("abAB1 -é", min_size=1, max_size=4), min_size=0, max_size=25, unique_by=str.casefold)


@st.composite
def sites(draw: st.DrawFn) -> Site:
    seconds = draw(st.sampled_from([1, 3, 1000]))
    return Site({name: at(draw(st.integers(0, seconds))) for name in draw(names)})


@patiently
@given(site=sites(), limit=st.integers(1, 9))
def test_a_quiet_site_is_read_completely_and_each_record_once(site: Site, limit: int) -> None:
    assert sorted(read(site, limit=limit).names) == sorted(site.rows)


@patiently
@given(site=sites(), limit=st.integers(1, 9), writes=st.lists(st.integers(0, 30), max_size=12))
def test_nothing_is_missed_while_others_insert_and_update(site: Site, limit: int, writes: list[int]) -> None:
    there = sorted(site.rows)

    def write(page: int) -> None:
        if page < len(writes):
            choice = writes[page]
            site.touch(there[choice] if choice < len(there) else f"new-{choice}")

    read_names = read(site, limit=limit, between=write).names
    assert set(site.rows) <= set(read_names)


@patiently
@given(site=sites(), limit=st.integers(1, 9))
def test_reading_resumes_behind_every_page(site: Site, limit: int) -> None:
    whole = read(site, limit=limit)
    for number, token in enumerate(whole.tokens, start=1):
        before = [name for page in whole.pages[:number] for name in page]
        assert before + read(site, limit=limit, resume=token).names == whole.names


@patiently
@given(site=sites(), limit=st.integers(1, 9), low=st.integers(0, 1000), length=st.integers(0, 1000))
def test_a_window_holds_its_first_moment_and_not_its_last(site: Site, limit: int, low: int, length: int) -> None:
    bounds = Bounds(lower=at(low), upper=at(low + length))
    expected = sorted(name for name, time in site.rows.items() if at(low) <= str(time) < at(low + length))
    assert sorted(read(site, limit=limit, bounds=bounds).names) == expected


# -- a vendor that does not do as asked ---------------------------------------------------------------------------


def test_a_row_before_the_window_shows_that_the_filter_was_ignored() -> None:
    bounds = Bounds(lower=at(10), upper=None)
    with pytest.raises(ProtocolError, match="does not heed the filter"):
        step(Position(), [Head("A", at(9)), Head("B", at(11))], bounds=bounds, limit=5)


def test_a_row_behind_the_window_shows_that_the_filter_was_ignored() -> None:
    bounds = Bounds(lower=None, upper=at(10))
    with pytest.raises(ProtocolError, match="'B', modified"):
        step(Position(), [Head("A", at(9)), Head("B", at(10))], bounds=bounds, limit=5)


def test_rows_out_of_order_would_lose_records_and_are_refused() -> None:
    with pytest.raises(ProtocolError, match="did not sort"):
        step(Position(), [Head("A", at(2)), Head("B", at(1))], bounds=ALWAYS, limit=5)


def test_a_page_that_only_repeats_ends_the_reading_instead_of_looping() -> None:
    position = Position(at=at(1), seen=("A",))
    with pytest.raises(ProtocolError, match="repeats"):
        step(position, [Head("A", at(1))], bounds=ALWAYS, limit=1)


def test_a_stranger_inside_one_timestamp_is_refused() -> None:
    with pytest.raises(ProtocolError, match="does not heed the filter"):
        step(Position(at=at(1), after="A"), [Head("B", at(2))], bounds=ALWAYS, limit=5)


def test_the_same_page_again_inside_one_timestamp_is_refused() -> None:
    with pytest.raises(ProtocolError, match="repeats"):
        step(Position(at=at(1), after="B"), [Head("A", at(1)), Head("B", at(1))], bounds=ALWAYS, limit=2)


def test_a_full_second_compares_with_its_neighbours_as_time_does() -> None:
    site = Site({"A": "2026-11-21 00:00:01", "B": "2026-11-21 00:00:01.000001", "C": "2026-11-21 00:00:02"})
    assert read(site, limit=1, bounds=Bounds(lower="2026-11-21 00:00:01.000000", upper=None)).names == ["A", "B", "C"]


# -- tokens -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "[]",
        '{"at":1}',
        '{"at":"yesterday"}',
        '{"at":"2026-11-21"}',
        '{"page":3}',
        '{"at":null,"seen":[1]}',
        "[" * 9999,
    ],
)
def test_a_token_that_is_not_ours_is_refused_before_anything_is_asked(token: str) -> None:
    with pytest.raises(ConfigError, match="token"):
        position_of(PageToken(token))


# -- windows in site time -----------------------------------------------------------------------------------------


def test_a_window_is_written_in_the_sites_time() -> None:
    window = Window(
        since=datetime(2026, 11, 21, 1, 45, 21, 824831, tzinfo=UTC), until=datetime(2026, 11, 22, tzinfo=UTC)
    )
    assert bounds_of(window, zone=KOLKATA) == Bounds("2026-11-21 07:15:21.824831", "2026-11-22 05:30:00.000000")


def test_a_bound_without_a_zone_is_refused() -> None:
    with pytest.raises(ConfigError, match="no time zone"):
        bounds_of(Window(since=datetime(2026, 11, 21)), zone=KOLKATA)


@pytest.mark.parametrize("since", [datetime.min.replace(tzinfo=UTC), datetime(1899, 1, 1, tzinfo=UTC)])
def test_a_beginning_before_all_records_is_no_bound(since: datetime) -> None:
    assert bounds_of(Window(since=since), zone=ZoneInfo("America/New_York")).lower is None


def test_an_end_after_all_records_is_no_bound() -> None:
    assert bounds_of(Window(until=datetime.max.replace(tzinfo=UTC)), zone=KOLKATA).upper is None


@patiently
@given(
    moment=st.integers(-100, 100).map(lambda minutes: CLOCKS_GO_BACK + timedelta(minutes=minutes)),
    edge=st.integers(-100, 100).map(lambda minutes: CLOCKS_GO_BACK + timedelta(minutes=minutes)),
)
def test_no_record_falls_out_of_its_window_when_the_clocks_go_back(moment: datetime, edge: datetime) -> None:
    written = moment.astimezone(BERLIN).replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")
    if moment >= edge:
        assert written >= str(bounds_of(Window(since=edge), zone=BERLIN).lower)
    else:
        assert written < str(bounds_of(Window(until=edge), zone=BERLIN).upper)


# -- instants -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "zone", "instant"),
    [
        ("2026-11-21 07:15:21.824831", "Asia/Kolkata", datetime(2026, 11, 21, 1, 45, 21, 824831, tzinfo=UTC)),
        ("2026-11-21 07:15:21", "Asia/Kolkata", datetime(2026, 11, 21, 1, 45, 21, tzinfo=UTC)),
        ("2026-11-21", "Asia/Kolkata", datetime(2026, 11, 20, 18, 30, tzinfo=UTC)),
        ("2026-10-25 02:30:00", "Europe/Berlin", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),  # ran twice: the earlier
        ("2026-10-25 03:00:00", "Europe/Berlin", datetime(2026, 10, 25, 2, 0, tzinfo=UTC)),
        ("2026-03-29 02:30:00", "Europe/Berlin", datetime(2026, 3, 29, 1, 30, tzinfo=UTC)),  # never was
        ("2026-11-21T07:15:21+02:00", "Asia/Kolkata", datetime(2026, 11, 21, 5, 15, 21, tzinfo=UTC)),
        ("1970-01-01 00:00:00", "Asia/Kolkata", datetime(1969, 12, 31, 18, 30, tzinfo=UTC)),
        ("9999-12-31 23:59:59.999999", "Asia/Kolkata", datetime(9999, 12, 31, 18, 29, 59, 999999, tzinfo=UTC)),
    ],
)
def test_a_site_time_is_an_instant(text: str, zone: str, instant: datetime) -> None:
    assert to_instant(text, zone=zone) == instant


@pytest.mark.parametrize(
    ("text", "zone"),
    [
        ("", "UTC"),
        ("yesterday", "UTC"),
        ("0000-00-00 00:00:00", "UTC"),
        ("2026-13-01 00:00:00", "UTC"),
        ("2026-11-21 24:00:01", "UTC"),
        ("0001-01-01 00:00:00", "Asia/Kolkata"),
        ("9999-12-31 23:59:59", "America/New_York"),
        ("2026-11-21 07:15:21" + "9" * 10_000, "UTC"),
    ],
)
def test_what_is_no_time_is_no_instant(text: str, zone: str) -> None:
    assert to_instant(text, zone=zone) is None


@patiently
@given(
    text=st.text(max_size=40) | st.datetimes().map(str), zone=st.sampled_from(["UTC", "Asia/Kolkata", "Europe/Berlin"])
)
def test_any_text_is_an_instant_or_none_and_never_an_error(text: str, zone: str) -> None:
    assert to_instant(text, zone=zone) is None or text[:1].isdigit()


@patiently
@given(
    naive=st.datetimes(datetime(1971, 1, 1), datetime(2037, 1, 1)),
    zone=st.sampled_from(
        ["Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "America/St_Johns", "Africa/Casablanca"]
    ),
)
def test_the_fast_path_agrees_with_the_time_zone_database(naive: datetime, zone: str) -> None:
    assert to_instant(str(naive), zone=zone) == naive.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def test_a_zone_nobody_knows_is_refused() -> None:
    with pytest.raises(ProtocolError, match="Mars/Olympus"):
        zone_of("Mars/Olympus")
