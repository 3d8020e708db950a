"""Amounts in the smallest unit of their currency, as payment providers count them, and back.

Source: ISO 4217; razorpay.md §2: never a hundred for all of them, and of three decimals the last one must be 0.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

WITHOUT_DECIMALS: Final = frozenset(
    ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF")
)
WITH_THREE_DECIMALS: Final = frozenset(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"))
LEAST: Final = {"INR": 100}
"""In the smallest unit: what is less is refused."""
_LARGEST: Final = 10**15


def decimals_of(currency: str) -> int:
    """How many decimals an amount of a currency has."""
    if currency in WITHOUT_DECIMALS:
        return 0
    return 3 if currency in WITH_THREE_DECIMALS else 2


def minor_units(amount: Decimal, currency: str) -> int:
    """An amount in the smallest unit. Raises ValueError with a sentence for one that the currency does not have."""
    decimals = decimals_of(currency)
    usable = min(decimals, 2)
    scaled = amount.scaleb(usable) if amount.is_finite() else amount
    if not amount.is_finite() or scaled != scaled.to_integral_value() or abs(scaled) > _LARGEST:
        raise ValueError(f"an amount in {currency} has {usable} decimals at most, and {amount} is none")
    minor = int(scaled.scaleb(decimals - usable))
    least = LEAST.get(currency, 1)
    if minor < least:
        raise ValueError(f"it must be at least {currency} {major_units(least, currency)}")
    return minor


def major_units(minor: int, currency: str) -> Decimal:
    """The amount of so many of the smallest unit."""
    return Decimal(minor).scaleb(-decimals_of(currency))
