"""Where a read of the Service Layer goes on after each page, and what it never takes for a page."""

from __future__ import annotations

import json

import msgspec
import pytest

from erpflow.connectors.sap_b1_paging import Listed, Position, filter_of, position_of, step
from erpflow.connectors.sap_b1_records import Head
from erpflow.connectors.sap_b1_text import Key
from erpflow.connectors.sap_b1_time import Bounds
from erpflow.errors import ConfigError, ProtocolError

PARTNERS = Listed(Key("CardCode"), created="CreateDate", only="CardType eq 'cCustomer'")
ORDERS = Listed(Key("DocEntry", number=True), created="CreationDate")
PAYMENTS = Listed(Key("DocEntry", number=True), created="DocDate", dated=False)
OPEN = Bounds()
WINDOW = Bounds("2026-11-01T10:00:00", "2026-11-02T00:00:00")


def heads(*rows: tuple[int, str | None]) -> list[Head]:
    """Rows of orders: number, and time of one day (None: never updated)."""
    found = [
        {"DocEntry": number, "UpdateDate": time and "2026-11-01", "UpdateTime": time, "odata.etag": f'W/"{number}"'}
        for number, time in rows
    ]
    return msgspec.json.decode(json.dumps(found), type=list[Head])


def test_rows_without_an_update_come_first_from_the_day_of_the_window_on() -> None:
    assert filter_of(Position(), OPEN, ORDERS) == "UpdateDate eq null"
    assert (
        filter_of(Position(after="C'1"), WINDOW, PARTNERS)
        == "CardType eq 'cCustomer' and UpdateDate eq null and CreateDate ge '2026-11-01' and CardCode gt 'C''1'"
    )


def test_the_day_and_the_time_of_a_stamp_are_compared_together() -> None:
    assert filter_of(Position(dated=True), WINDOW, ORDERS) == (
        "(UpdateDate gt '2026-11-01' or (UpdateDate eq '2026-11-01' and UpdateTime ge '10:00:00'))"
        " and (UpdateDate lt '2026-11-02' or (UpdateDate eq '2026-11-02' and UpdateTime lt '00:00:00'))"
    )
    assert "UpdateTime gt '10:00:00'" in filter_of(
        Position(dated=True, at="2026-11-01T10:00:00", past=True), WINDOW, ORDERS
    )


def test_a_second_with_few_rows_is_asked_for_again_and_what_was_read_of_it_left_out() -> None:
    taken = step(
        Position(dated=True),
        heads((1, "10:00:00"), (2, "10:00:01"), (3, "10:00:01")),
        more=True, bounds=OPEN, listed=ORDERS,
    )  # fmt: skip
    assert taken.fresh is None
    assert taken.next == Position(dated=True, at="2026-11-01T10:00:01", seen=('2 W/"2"', '3 W/"3"'))
    again = heads((2, "10:00:01"), (3, "10:00:01"), (4, "10:00:01"))
    assert step(taken.next, again, more=False, bounds=OPEN, listed=ORDERS).fresh == [2]


def test_a_row_saved_again_within_the_second_that_was_read_is_read_again() -> None:
    position = Position(dated=True, at="2026-11-01T10:00:01", seen=('2 W/"older"',))
    assert step(position, heads((2, "10:00:01")), more=False, bounds=OPEN, listed=ORDERS).fresh is None


def test_a_page_of_one_second_goes_on_by_the_key_and_then_behind_that_second() -> None:
    rows = heads(*((number, "10:00:00") for number in range(1, 31)))
    inside = step(Position(dated=True), rows, more=True, bounds=OPEN, listed=ORDERS).next
    assert inside == Position(dated=True, at="2026-11-01T10:00:00", after="30")
    assert filter_of(inside, WINDOW, ORDERS) == (
        "UpdateDate eq '2026-11-01' and UpdateTime eq '10:00:00' and DocEntry gt 30"
    )
    behind = step(inside, heads((31, "10:00:00")), more=False, bounds=OPEN, listed=ORDERS).next
    assert behind == Position(dated=True, at="2026-11-01T10:00:00", past=True)


def test_what_has_no_times_goes_on_by_its_key_to_the_end() -> None:
    assert filter_of(Position(), OPEN, PAYMENTS) == ""
    following = step(Position(), heads((7, None)), more=True, bounds=OPEN, listed=PAYMENTS).next
    assert following == Position(after="7")
    assert filter_of(following, OPEN, PAYMENTS) == "DocEntry gt 7"
    assert step(following, heads((8, None)), more=False, bounds=OPEN, listed=PAYMENTS).next is None


@pytest.mark.parametrize(
    ("position", "rows", "said"),
    [
        (Position(dated=True), [(2, "10:00:02"), (1, "10:00:01")], "did not sort"),
        (Position(dated=True, at="2026-11-01T10:00:05"), [(1, "10:00:04")], "outside the window"),
        (Position(dated=True, at="2026-11-01T10:00:05", past=True), [(1, "10:00:05")], "outside the window"),
        (Position(dated=True, at="2026-11-01T10:00:05", after="3"), [(4, "10:00:06")], "does not heed"),
        (Position(dated=True, at="2026-11-01T10:00:05", after="3"), [(3, "10:00:05")], "repeats the row"),
        (Position(dated=True, at="2026-11-01T10:00:05", seen=('3 W/"3"',)), [(3, "10:00:05")], "repeats the rows"),
        (Position(), [(3, "10:00:05")], "without an UpdateDate"),
        (Position(after="3"), [(3, None)], "repeats the row"),
        (Position(dated=True), [], "an empty page and a link"),
    ],
)
def test_rows_that_were_not_asked_for_end_the_read(
    position: Position, rows: list[tuple[int, str | None]], said: str
) -> None:
    with pytest.raises(ProtocolError, match=said):
        step(position, heads(*rows), more=True, bounds=OPEN, listed=ORDERS)


def test_rows_behind_the_window_end_the_read() -> None:
    with pytest.raises(ProtocolError, match="outside the window"):
        step(Position(dated=True), heads((1, "23:59:59")), more=False, bounds=Bounds(None, "2026-11-01T12:00:00"),
             listed=ORDERS)  # fmt: skip


@pytest.mark.parametrize("token", ["", "{", "[]", '{"at":"2026-13-01"}', '{"at":"x\' or 1 eq 1"}', '{"skip":20}'])
def test_a_token_that_is_none_of_ours_is_refused(token: str) -> None:
    with pytest.raises(ConfigError, match="Start the read again"):
        position_of(token)  # type: ignore[arg-type]
