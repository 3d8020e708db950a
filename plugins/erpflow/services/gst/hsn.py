"""HSN codes of goods and SAC codes of services: what a code may look like, and which headings there are."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Final

SERVICES: Final = "99"
_HEADING: Final = 4
_LENGTHS: Final = (4, 6, 8)
_SERVICE_LENGTHS: Final = (4, 6)


def is_service(code: str) -> bool:
    """Whether a code is of a service (chapter 99)."""
    return code.startswith(SERVICES)


def why_not(code: str, *, at_least: int) -> str | None:
    """Why a text cannot be the code of a line, as the end of a sentence; None when it can.

    `at_least`: digits that the supplier's turnover asks for, 4 or 6 (notification 78/2020-CT). A number with a digit
    too few has nearly always lost the zero in front in a spreadsheet; it is named and never repaired.
    """
    if not code.isascii() or not code.isdigit() or not code.strip("0"):
        return "is no code: digits only, as text"
    lengths = _SERVICE_LENGTHS if is_service(code) else _LENGTHS
    if len(code) not in lengths:
        kind = "services" if is_service(code) else "goods"
        hint = f"; 0{code} is listed: was a zero in front lost?" if _is_listed(f"0{code}") else ""
        return f"has {len(code)} digits; a code of {kind} has one of {lengths}{hint}"
    if len(code) < at_least:
        return f"has {len(code)} digits, and the turnover asks for {at_least} at least"
    return None


def is_heading_known(code: str) -> bool:
    """Whether its heading, the first four digits, is in the portal's list."""
    return code[:_HEADING] in _codes()


def is_service_known(code: str) -> bool:
    """Whether the whole code of a service is in the list. That new ones of this year are in it is UNVERIFIED."""
    return code in _codes()


def _is_listed(code: str) -> bool:
    return len(code) in _LENGTHS and is_heading_known(code)


@cache
def _codes() -> frozenset[str]:
    text = files("erpflow.services.gst").joinpath("data", "codes.txt").read_text(encoding="ascii")
    return frozenset(code for line in text.splitlines() if not line.startswith("#") for code in line.split())
