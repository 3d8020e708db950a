"""Amounts in the smallest unit of their currency: never a hundred for all of them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erpflow.services.payments.money import WITH_THREE_DECIMALS, WITHOUT_DECIMALS, decimals_of, major_units, minor_units

CURRENCIES = sorted({"INR", "EUR", "USD", *WITHOUT_DECIMALS, *WITH_THREE_DECIMALS})


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [
        ("1180", "INR", 118_000),
        ("99.50", "INR", 9_950),
        ("1", "INR", 100),
        ("500", "JPY", 500),
        ("1.25", "KWD", 1_250),
        ("1E+2", "USD", 10_000),
    ],
)
def test_an_amount_is_counted_in_the_smallest_unit(amount: str, currency: str, minor: int) -> None:
    assert minor_units(Decimal(amount), currency) == minor


@pytest.mark.parametrize(
    ("amount", "currency"),
    [
        ("0.99", "INR"),
        ("1.005", "INR"),
        ("1.5", "JPY"),
        ("1.255", "KWD"),
        ("NaN", "INR"),
        ("1E+40", "INR"),
        ("0", "EUR"),
    ],
)
def test_an_amount_that_the_currency_does_not_have_is_refused(amount: str, currency: str) -> None:
    with pytest.raises(ValueError, match=currency):
        minor_units(Decimal(amount), currency)


@given(minor=st.integers(min_value=100, max_value=10**12), currency=st.sampled_from(CURRENCIES))
def test_there_and_back_is_the_same(minor: int, currency: str) -> None:
    minor -= minor % 10 if decimals_of(currency) == 3 else 0  # the last of three decimals must be 0
    assert minor_units(major_units(minor, currency), currency) == minor
