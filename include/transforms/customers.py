"""Rows of customers, a chunk at a time: the functions of batch templates.

pandas is imported where it is used, for this file is read whenever a mapping is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from erpflow.mapping.transforms import batch_transform

if TYPE_CHECKING:
    import pandas as pd

CURRENCIES = {"Saudi Arabia": "SAR", "United Arab Emirates": "AED", "India": "INR", "Germany": "EUR"}
TEST_ADDRESS = r"@(?:.*\.)?(?:example\.(?:com|net|org)|test|invalid)$"  # reserved by RFC 2606


@batch_transform
def currency_of_country(frame: pd.DataFrame) -> pd.DataFrame:
    """Fills the column `currency` where it is null, by the column `country`."""
    frame["currency"] = frame["currency"].fillna(frame["country"].map(CURRENCIES))
    return frame


@batch_transform
def without_test_addresses(frame: pd.DataFrame) -> pd.DataFrame:
    """Leaves out the rows whose column `email` is an address for tests."""
    return frame[~frame["email"].fillna("").str.contains(TEST_ADDRESS, regex=True)]
