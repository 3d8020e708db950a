"""Lists that can only be counted through, while others insert and delete."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erpflow.connectors.base import PageToken
from erpflow.connectors.metakocka_paging import Position, Row, position_of, walk
from erpflow.errors import ConfigError, ProtocolError

LIMIT = 5


class List:
    """A list that changes between two questions: `changes` are done before each of them in turn."""

    def __init__(self, ids: Sequence[int], changes: Sequence[Callable[[list[int]], None]] = ()) -> None:
        self.ids = list(ids)
        self.changes = list(changes)
        self.asked = 0

    def __call__(self, offset: int, limit: int) -> list[Row]:
        if self.asked and self.changes:
            self.changes.pop(0)(self.ids)
        self.asked += 1
        assert self.asked < 200, "the walk does not end"
        return [Row(str(each), b"{}") for each in self.ids[offset : offset + limit]]


def walked(found: List, position: Position | None = None, *, limit: int = LIMIT) -> list[int]:
    return [int(row.id) for rows, _ in walk(found, position or Position("part"), limit=limit) for row in rows]


@pytest.mark.parametrize("length", range(14))
def test_a_list_that_rests_is_read_once_and_in_order(length: int) -> None:
    assert walked(List(range(length))) == list(range(length))


def test_only_the_last_page_has_nothing_behind_it() -> None:
    ends = [following is None for _, following in walk(List(range(12)), Position("part"), limit=LIMIT)]
    assert ends[-1] and not any(ends[:-1])


@given(
    length=st.integers(0, 40),
    gone=st.lists(st.sets(st.integers(0, 39), max_size=8), max_size=12),
    limit=st.integers(4, 9),
)
def test_what_stays_is_read_whatever_is_deleted_meanwhile(length: int, gone: list[set[int]], limit: int) -> None:
    def deleting(ids: set[int]) -> Callable[[list[int]], None]:
        return lambda rows: rows.__setitem__(slice(None), [each for each in rows if each not in ids])

    read = walked(List(range(length), [deleting(ids) for ids in gone]), limit=limit)
    assert set(range(length)) - set().union(*gone) <= set(read)


@given(length=st.integers(0, 40), new=st.lists(st.integers(0, 4), max_size=12), limit=st.integers(4, 9))
def test_what_is_inserted_before_it_hides_nothing(length: int, new: list[int], limit: int) -> None:
    numbers = iter(range(1000, 2000))

    def inserting(count: int) -> Callable[[list[int]], None]:
        return lambda rows: rows.__setitem__(slice(0, 0), [next(numbers) for _ in range(count)])

    read = walked(List(range(length), [inserting(count) for count in new]), limit=limit)
    assert set(range(length)) <= set(read)


def test_a_walk_goes_on_from_its_token_in_another_process() -> None:
    pages = list(walk(List(range(23)), Position("part"), limit=LIMIT))
    read: list[str] = []
    for rows, following in pages[:-1]:
        read += [row.id for row in rows]
        assert following is not None
        rest = walked(List(range(23)), position_of(following.token(), parts=["part"]))
        assert [*map(int, read), *rest] == list(range(23))


def test_a_vendor_that_heeds_no_limit_or_no_offset_is_found_out() -> None:
    with pytest.raises(ProtocolError, match="heeds no limit"):
        list(walk(lambda offset, limit: [Row(str(n), b"{}") for n in range(9)], Position("part"), limit=LIMIT))
    with pytest.raises(ProtocolError, match="does not heed the offset"):
        list(walk(lambda offset, limit: [Row(str(n), b"{}") for n in range(5)], Position("part"), limit=LIMIT))


@pytest.mark.parametrize("token", ["", "{", '{"part":"other"}', '{"part":"part","offset":-1}', '{"part":"part","x":1}'])
def test_a_token_of_others_is_refused(token: str) -> None:
    with pytest.raises(ConfigError, match="page token"):
        position_of(PageToken(token), parts=["part"])
