"""Amounts: exact arithmetic inside, JSON numbers outside; rounding and words as the vendor has them."""

from decimal import ROUND_HALF_EVEN, Decimal
from functools import lru_cache
from typing import Any

CENT = Decimal("0.01")
WHOLE_ROUNDED = frozenset({"INR"})  # currencies whose totals the site rounds to whole units
FRACTIONS = {
    "INR": "Paisa",
    "SAR": "Halala",
    "AED": "Fils",
    "USD": "Cent",
    "QAR": "Dirham",
    "OMR": "Baisa",
    "KWD": "Fils",
}

SMALL = (
    *("Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten", "Eleven", "Twelve"),
    *("Thirteen", "Fourteen", "Fifteen", "Sixteen", "Seventeen", "Eighteen", "Nineteen"),
)
TENS = ("", "", "Twenty", "Thirty", "Forty", "Fifty", "Sixty", "Seventy", "Eighty", "Ninety")
INDIAN = ((10_000_000, "Crore"), (100_000, "Lakh"), (1000, "Thousand"))
WESTERN = ((1_000_000_000, "Billion"), (1_000_000, "Million"), (1000, "Thousand"))


def decimal(value: Any) -> Decimal:
    """A stored JSON number as an exact amount."""
    return Decimal(str(value or 0))


def cents(value: Decimal) -> Decimal:
    return value.quantize(CENT, ROUND_HALF_EVEN)


def rounded_total(amount: Decimal, currency: str) -> Decimal:
    """What is asked for in the end: whole rupees, elsewhere the exact amount."""
    return amount.quantize(Decimal(1), ROUND_HALF_EVEN) if currency in WHOLE_ROUNDED else cents(amount)


@lru_cache(maxsize=4096)
def in_words(amount: Decimal, currency: str) -> str:
    """`INR Four Hundred And Fifty only.`"""
    amount = abs(amount)
    whole = int(amount)
    fraction = int((amount - whole) * 100)
    scale = INDIAN if currency == "INR" else WESTERN
    words = f"{currency} {number_words(whole, scale)}"
    if fraction:
        words += f" and {number_words(fraction, scale)} {FRACTIONS.get(currency, 'Cent')}"
    return f"{words} only."


def number_words(number: int, scale: tuple[tuple[int, str], ...]) -> str:
    parts: list[str] = []
    for size, name in scale:
        count, number = divmod(number, size)
        if count:
            parts.append(f"{number_words(count, scale)} {name}")
    hundreds, rest = divmod(number, 100)
    if hundreds:
        parts.append(f"{SMALL[hundreds]} Hundred")
    if rest or not parts:
        joined = "And " if parts else ""
        parts.append(joined + below_hundred(rest))
    return " ".join(parts)


def below_hundred(number: int) -> str:
    if number < 20:
        return SMALL[number]
    tens, ones = divmod(number, 10)
    return TENS[tens] + (f" {SMALL[ones]}" if ones else "")
