"""Amounts and days as bills print them: what may mean two things is no value."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erpflow.services.bills.printed import amount_of, currency_of, day_of, usual_mark


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("122,00 €", "122.00"),
        ("$1,234.56", "1234.56"),
        ("1.234.567,8", "1234567.8"),
        ("₹ 1,18,000.00", "118000.00"),
        ("1,18,000", "118000"),
        ("CHF 1'234.50", "1234.50"),
        ("CHF 1’234.50", "1234.50"),
        ("1\u00a0234,50 kr", "1234.50"),
        ("1.234.567", "1234567"),
        ("0.250", "0.250"),
        ("1234.567", "1234.567"),
        ("2", "2"),
        ("-12,50 €", "-12.50"),
        ("€ -12.50", "-12.50"),
        ("12.50-", "-12.50"),
        ("(12.50)", "-12.50"),
        ("₹500/-", "500"),
        ("12,- €", "12"),
        ("Rs. 500", "500"),
    ],
)
def test_an_amount_is_read_in_any_countrys_way(text: str, amount: str) -> None:
    assert amount_of(text) == Decimal(amount)


@pytest.mark.parametrize(
    "text",
    [
        "", "Widget", "1.234", "12,345 €", "22 %", "2 x 50", "1,23,4", "12.34.5", "1.2,3.4", "12 34", "1,2345,678",
        "١٢٣", "19/01", "9" * 50, "1\x0023",
    ],
)  # fmt: skip
def test_what_is_no_amount_or_may_be_two_is_none(text: str) -> None:
    assert amount_of(text) is None


def test_what_the_rest_of_a_document_does_decides_for_a_thousand() -> None:
    assert usual_mark(["122,00 €", "1.234"]) == ","
    assert usual_mark(["122.00", "1,234"]) == "."
    assert usual_mark(["122,00", "1.50"]) is None
    assert usual_mark(["1.234", "5"]) is None
    assert amount_of("1.234", usual=",") == Decimal(1234)
    assert amount_of("1.234", usual=".") == Decimal("1.234")
    assert amount_of("12,345", usual=".") == Decimal(12345)


@given(st.decimals(min_value=0, max_value=10**9, places=2))
def test_an_amount_with_cents_means_the_same_in_the_west_and_in_the_east(amount: Decimal) -> None:
    western = f"{amount:,.2f}"
    eastern = western.translate(str.maketrans(",.", ".,"))
    assert amount_of(western) == amount_of(eastern) == amount
    assert amount_of(f"{western} $") == amount_of(f"€ {eastern}") == amount


@given(st.text(max_size=60), st.sampled_from([None, ".", ","]))
def test_no_text_breaks_it(text: str, usual: object) -> None:
    found = amount_of(text, usual=usual)  # type: ignore[arg-type]
    assert found is None or found.is_finite()
    day_of(text)
    currency_of(text, detected=text)


@pytest.mark.parametrize(
    ("text", "detected", "currency"),
    [
        ("122,00 €", "EUR", "EUR"),
        ("122,00 €", None, "EUR"),
        ("122,00", "EUR", "EUR"),
        ("INR 500", None, "INR"),
        ("$ 12", "USD", "USD"),
        ("$ 12", None, None),
        ("122,00 €", "USD", None),  # one of them is wrong
        ("12", "BZR", "BRL"),
        ("12", "XXX", None),
        ("€ 12 / £ 10", None, None),
    ],
)
def test_a_currency_is_what_is_printed_and_detected_unless_they_disagree(
    text: str, detected: str | None, currency: str | None
) -> None:
    assert currency_of(text, detected=detected) == currency


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-19", "2026/1/19", "19.01.2026", "19. 1. 2026", "19/01/2026", "01/19/2026", "19-01-2026",
        "19 January 2026", "January 19, 2026", "Jan. 19th, 2026", "19 Jan 2026", "19-JAN-2026", " 19  Jan\n2026 ",
    ],
)  # fmt: skip
def test_a_day_is_read_where_it_can_only_be_one(text: str) -> None:
    assert day_of(text) == date(2026, 1, 19)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "03/04/2026",
        "3-4-2026",
        "19.01.26",
        "31.02.2026",
        "2026-13-01",
        "J 19, 2026",
        "19 Ju 2026",
        "Q1 2026",
        "soon",
    ],
)
def test_a_day_that_may_be_two_or_none_is_none(text: str) -> None:
    assert day_of(text) is None


@given(st.integers(0, 36_500))
def test_a_day_is_itself_in_the_ways_that_are_clear(days: int) -> None:
    day = date(1990, 1, 1) + timedelta(days)
    assert day_of(day.isoformat()) == day_of(f"{day:%d.%m.%Y}") == day_of(f"{day.day} {day:%B %Y}") == day
