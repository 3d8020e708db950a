"""GSTIN, the number of a taxpayer in India: two digits of the state, the PAN, and a check digit."""

from __future__ import annotations

import re
from typing import Final

from erpflow.services.gst.reference import STATES

LENGTH: Final = 15
_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# Normal taxpayers. Those of deductors, collectors, UN bodies and non-residents look otherwise, and are refused by name.
_NORMAL: Final = re.compile(r"[0-9]{2}[A-Z]{5}[0-9]{4}[A-Z][1-9A-Z][Z1-9ABD-J][0-9A-Z]")
PAN: Final = re.compile(r"[A-Z]{5}[0-9]{4}[A-Z]")


def check_digit(first_fourteen: str) -> str:
    """The fifteenth character of a GSTIN.

    Factors 1, 2, 1, 2 …; of each product its quotient and remainder by 36; what their sum lacks to a multiple of 36.
    Source: GSTN, recomputed on published numbers.
    """
    total = 0
    for place, sign in enumerate(first_fourteen):
        product = _ALPHABET.index(sign) * (1 + place % 2)
        total += product // 36 + product % 36
    return _ALPHABET[-total % 36]


def why_not(text: str) -> str | None:
    """Why a text is no GSTIN of a normal taxpayer, as the end of a sentence; None when it is one."""
    if not _NORMAL.fullmatch(text):
        return "is no GSTIN of a normal taxpayer: two digits of the state, ten characters of the PAN, three more"
    if text[:2] not in STATES:
        return f"begins with {text[:2]}, which is no code of a state"
    right = check_digit(text[:-1])
    if text[-1] != right:
        return f"ends with {text[-1]} where the other characters make {right}: one of them is mistyped"
    return None
