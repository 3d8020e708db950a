"""What the law lists: states, units, and which rates of tax were in force when.

Facts, written down here: state codes and unit quantity codes of GSTN, rates of the notifications 9/2025, 15/2025 and
19/2025-CT(Rate), the threshold of table 5 of notification 12/2024-CT.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

OTHER_COUNTRY: Final = "96"
"""The place of supply of an export."""

STATES: Final[dict[str, str]] = {
    "01": "Jammu and Kashmir", "02": "Himachal Pradesh", "03": "Punjab", "04": "Chandigarh", "05": "Uttarakhand",
    "06": "Haryana", "07": "Delhi", "08": "Rajasthan", "09": "Uttar Pradesh", "10": "Bihar", "11": "Sikkim",
    "12": "Arunachal Pradesh", "13": "Nagaland", "14": "Manipur", "15": "Mizoram", "16": "Tripura", "17": "Meghalaya",
    "18": "Assam", "19": "West Bengal", "20": "Jharkhand", "21": "Odisha", "22": "Chhattisgarh",
    "23": "Madhya Pradesh", "24": "Gujarat", "26": "Dadra and Nagar Haveli and Daman and Diu", "27": "Maharashtra",
    "29": "Karnataka", "30": "Goa", "31": "Lakshadweep Islands", "32": "Kerala", "33": "Tamil Nadu",
    "34": "Puducherry", "35": "Andaman and Nicobar Islands", "36": "Telangana", "37": "Andhra Pradesh",
    "38": "Ladakh", "97": "Other Territory",
}  # fmt: skip
"""By their code: where a taxpayer can be, and a supply can be made to within the country."""

NO_UNIT: Final = "NA"
"""The unit of services, which have no quantity."""

_UNITS: Final = """
BAG BAL BDL BKL BOU BOX BTL BUN CAN CBM CCM CMS CTN DOZ DRM GGK GMS GRS GYD KGS KLR KME LTR MLT MTR MTS NOS OTH PAC PCS
PRS QTL ROL SET SQF SQM SQY TBS TGM THD TON TUB UGS UNT YDS
"""
UNITS: Final = frozenset(_UNITS.split())
"""Unit quantity codes of goods."""


@dataclass(frozen=True, slots=True)
class Slab:
    """A rate in percent, and when it was in force: the first and the last day, None where there is no end."""

    rate: Decimal
    since: date | None = None
    until: date | None = None

    def holds(self, on: date) -> bool:
        """Whether the rate is in force on a day."""
        return (self.since is None or self.since <= on) and (self.until is None or on <= self.until)


GST_2_0: Final = date(2025, 9, 22)
SLABS: Final = (
    *(Slab(Decimal(rate)) for rate in ("0", "0.25", "1.5", "3", "5", "18")),
    Slab(Decimal(12), until=date(2025, 9, 21)),
    Slab(Decimal(28), until=date(2026, 1, 31)),  # from 22-Sep-2025 of tobacco and pan masala alone
    Slab(Decimal(40), since=GST_2_0),
    # Special rates of notifications of their own: merchant exports, housing, bricks. That each of them goes on after
    # 22-Sep-2025 is UNVERIFIED.
    *(Slab(Decimal(rate)) for rate in ("0.1", "1", "6", "7.5")),
)

_LARGE_UNTIL: Final = date(2024, 7, 31)
_LARGE_BEFORE: Final = Decimal(250_000)
_LARGE: Final = Decimal(100_000)


def rates_on(day: date) -> tuple[Decimal, ...]:
    """The rates in force on a day, ascending."""
    return tuple(sorted(slab.rate for slab in SLABS if slab.holds(day)))


def why_not_in_force(rate: Decimal, day: date) -> str | None:
    """Why a rate cannot be charged on a day, as the end of a sentence; None when it can."""
    known = [slab for slab in SLABS if slab.rate == rate]
    if any(slab.holds(day) for slab in known):
        return None
    allowed = ", ".join(f"{each:f}" for each in rates_on(day))
    if known and known[0].until is not None and day > known[0].until:
        return f"was withdrawn after {known[0].until:%d-%m-%Y}. On {day:%d-%m-%Y} there are {allowed}"
    if known and known[0].since is not None and day < known[0].since:
        return f"is in force from {known[0].since:%d-%m-%Y} on. On {day:%d-%m-%Y} there are {allowed}"
    return f"is not in the list. On {day:%d-%m-%Y} there are {allowed}"


def large_invoice_above(day: date) -> Decimal:
    """Above which value an inter-state invoice of that day to a consumer is declared by itself (table 5)."""
    return _LARGE_BEFORE if day <= _LARGE_UNTIL else _LARGE
