"""Amounts and days as they are printed on bills, in any country's way; what may mean two things is no value.

Source: aws.md §4: values are raw text, with the decimals, signs of currencies and days of their locale.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final, Literal

Mark = Literal[".", ","]

SIGNS: Final = {"€": "EUR", "£": "GBP", "₹": "INR"}
"""Those of one currency: dollars, crowns and the yen's sign are several countries'."""
CODES: Final = frozenset(
    ("USD", "EUR", "GBP", "CAD", "INR", "JPY", "CHF", "AUD", "CNY", "BRL", "SEK", "HKD", "DKK", "NOK", "PLN", "CZK")
)
MISSPELT: Final = {"BZR": "BRL"}  # so in AWS's list of codes

_SPACES: Final = re.compile("[\\s\u00a0\u2009\u202f]+")
_NUMBER: Final = re.compile(r"[0-9](?:[0-9.,'’ ]*[0-9])?")
_EMPTY_CENTS: Final = re.compile("(?:[,.][-–—]{1,2}|/-)(?=[^0-9]*$)")  # 12,- and 500/-
_CURRENCY: Final = re.compile("[A-Z€$£₹¥ ]")
_MINUS: Final = frozenset(("-", "−"))
_LONGEST: Final = 40
_WESTERN: Final = re.compile(r"[0-9]{1,3}(?:@[0-9]{3})+")
_INDIAN: Final = re.compile(r"[0-9]{1,2}(?:@[0-9]{2})*@[0-9]{3}")
_ISO: Final = re.compile(r"([0-9]{4})[-/.]([0-9]{1,2})[-/.]([0-9]{1,2})")
_DOTTED: Final = re.compile(r"([0-9]{1,2})\. ?([0-9]{1,2})\. ?([0-9]{4})")
_PLAIN: Final = re.compile(r"([0-9]{1,2})[-/]([0-9]{1,2})[-/]([0-9]{4})")
_DAY_NAMED: Final = re.compile(r"([0-9]{1,2})(?:st|nd|rd|th|\.)?[ -]+([a-z]+)\.?,?[ -]+([0-9]{4})")
_NAMED_DAY: Final = re.compile(r"([a-z]+)\.? ([0-9]{1,2})(?:st|nd|rd|th)?,? ([0-9]{4})")
_MONTHS: Final = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
_TWICE: Final = 12


@dataclass(frozen=True, slots=True)
class Split:
    """The digits of a number: which mark is before its decimals, where that is sure (`""`: it has none)."""

    text: str
    negative: bool
    mark: str | None


def amount_of(text: str, *, usual: Mark | None = None) -> Decimal | None:
    """The amount of a printed one; None for what is none, or may be two.

    `usual`: what the rest of the document puts before decimals. `1.234` is a thousand where that is a comma.
    """
    found = _split(text)
    if found is None:
        return None
    mark = found.mark
    if mark is None:  # one mark before three digits
        if usual is None:
            return None
        mark = usual if usual in found.text else ""
    whole, _, decimals = found.text.rpartition(mark) if mark else (found.text, "", "")
    digits = re.sub(r"[^0-9]", "", whole)
    number = Decimal(f"{digits}.{decimals}" if decimals else digits)
    return -number if found.negative else number


def usual_mark(texts: Iterable[str]) -> Mark | None:
    """What a document puts before decimals, where its amounts agree."""
    found = {split.mark for text in texts if (split := _split(text)) is not None and split.mark}
    if found == {"."}:
        return "."
    return "," if found == {","} else None


def currency_of(text: str, *, detected: str | None) -> str | None:
    """The currency of an amount; None when it is not told, or when what is printed contradicts what was detected."""
    named = MISSPELT.get(detected or "", detected)
    code = named if named in CODES else None
    words = set(re.findall(r"[A-Z]{3}", text)) & CODES
    signs = {currency for sign, currency in SIGNS.items() if sign in text}
    printed = words or signs
    if len(printed) > 1 or (printed and code is not None and code not in printed):
        return None
    return next(iter(printed), code)


def day_of(text: str) -> date | None:
    """The day of a printed one; None for what is none, or may be two: 03/04/2026."""
    plain = _SPACES.sub(" ", text).strip().lower()
    if found := _ISO.fullmatch(plain):
        return _day(found[1], found[2], found[3])
    if found := _DOTTED.fullmatch(plain):
        return _day(found[3], found[2], found[1])
    if found := _PLAIN.fullmatch(plain):
        first, second = int(found[1]), int(found[2])
        if first != second and first <= _TWICE and second <= _TWICE:
            return None
        day, month = (first, second) if second <= _TWICE else (second, first)
        return _day(found[3], str(month), str(day))
    if found := _DAY_NAMED.fullmatch(plain):
        return _day(found[3], _month(found[2]), found[1])
    if found := _NAMED_DAY.fullmatch(plain):
        return _day(found[3], _month(found[1]), found[2])
    return None


def _split(text: str) -> Split | None:
    plain = _EMPTY_CENTS.sub("", _SPACES.sub(" ", text).strip())
    found = list(_NUMBER.finditer(plain)) if len(plain) <= _LONGEST and plain.isprintable() else []
    if len(found) != 1:
        return None
    before, after = plain[: found[0].start()], plain[found[0].end() :]
    if any(sign in before + after for sign in "%/"):
        return None
    is_negative = (
        _CURRENCY.sub("", before) in _MINUS
        or after.strip()[:1] in _MINUS
        or (plain.startswith("(") and plain.endswith(")"))
    )
    return _marked(found[0][0], negative=is_negative)


def _marked(number: str, *, negative: bool) -> Split | None:
    """A number with what separates its decimals; None for digits that are separated in nobody's way."""
    marks = [sign for sign in number if sign in ".,"]
    if len(set(marks)) == 2:
        mark = marks[-1]
        whole, _, _ = number.rpartition(mark)
        return Split(number, negative, mark) if marks.count(mark) == 1 and _is_grouped(whole) else None
    if not marks:
        return Split(number, negative, "") if _is_grouped(number) else None
    if len(marks) > 1:
        return Split(number, negative, "") if _is_grouped(number) else None
    whole, mark, decimals = number.partition(marks[0])
    if not _is_grouped(whole) or not decimals.isdigit():
        return None
    is_clear = len(decimals) != 3 or len(whole) > 3 or whole.startswith("0")
    return Split(number, negative, mark if is_clear else None)


def _is_grouped(whole: str) -> bool:
    """Whether digits are in groups as they are in the West, or in India: 1.234.567, 12,34,567."""
    separators = set(whole) - set("0123456789")
    if not separators:
        return whole.isdigit()
    if len(separators) > 1:
        return False
    same = whole.replace(separators.pop(), "@")
    return bool(_WESTERN.fullmatch(same) or _INDIAN.fullmatch(same))


def _month(name: str) -> str:
    """The number of an English month, whole or by its first letters; no month is 0."""
    found = [number for number, month in enumerate(_MONTHS, start=1) if month.startswith(name) and len(name) >= 3]
    return str(found[0]) if len(found) == 1 else "0"


def _day(year: str, month: str, day: str) -> date | None:
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None
