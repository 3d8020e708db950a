"""Table 12: the same supplies once more, by what was supplied."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from erpflow.services.gst.gstr1.amounts import Amounts, shared_out
from erpflow.services.gst.gstr1.classify import Section
from erpflow.services.gst.gstr1.documents import ZERO, Line, Period, rupees
from erpflow.services.gst.gstr1.rows import Declared, Row, consumers
from erpflow.services.gst.hsn import is_service
from erpflow.services.gst.reference import NO_UNIT

DESCRIPTION_LENGTH: Final = 30

# By the kind of buyer. Exports are in the second tab, against intuition. Source: GSTN's advisory of May 2025.
_REGISTERED: Final = frozenset({Section.B2B, Section.CDNR})


@dataclass(slots=True)
class _Sum:
    amounts: Amounts = field(default_factory=Amounts)
    quantity: Decimal = ZERO
    description: str = ""


_Key = tuple[str, str, Decimal]


def hsn_rows(declared: Iterable[Declared], period: Period) -> dict[str, list[Row]]:
    """The rows by tab: `hsn_b2b` and `hsn_b2c`, before May 2025 all in `data`. Lines without a code are left out:
    whoever checks the documents says where that is not allowed.
    """
    tabs: dict[str, dict[_Key, _Sum]] = defaultdict(lambda: defaultdict(_Sum))
    for is_registered, rate, sign, line, amounts in _lines(tuple(declared)):
        if line.hsn:
            tab = ("hsn_b2b" if is_registered else "hsn_b2c") if period.has_split_hsn else "data"
            _add(tabs[tab][_key(line, rate)], line, sign, amounts)
    return {tab: [_row(number, key, tabs[tab][key]) for number, key in _numbered(tabs[tab])] for tab in sorted(tabs)}


def _lines(declared: tuple[Declared, ...]) -> Iterator[tuple[bool, Decimal, int, Line, Amounts]]:
    """Every line with its share of what its section says."""
    for each in declared:
        sign, is_registered = each.document.sign, each.document.buyer_gstin is not None
        for share in each.unrated:
            yield is_registered, ZERO, sign, share.line, Amounts(share.taxable).times(sign)
        if each.section is Section.B2CS:
            continue
        for item in each.items:
            signed = [(share, sign) for share in item.shares]
            for line, amounts in shared_out(signed, item.rate, is_inter=item.is_inter):
                yield each.section in _REGISTERED, item.rate, sign, line, amounts
    for row in consumers(declared):
        shared = shared_out(row.shares, row.rate, is_inter=row.is_inter)
        for (_, sign), (line, amounts) in zip(row.shares, shared, strict=True):
            yield False, row.rate, sign, line, amounts


def _key(line: Line, rate: Decimal) -> _Key:
    return (line.hsn, NO_UNIT if is_service(line.hsn) else line.unit, rate)


def _add(into: _Sum, line: Line, sign: int, amounts: Amounts) -> None:
    into.amounts += amounts
    if not is_service(line.hsn):
        into.quantity += line.quantity * sign
    described = line.description[:DESCRIPTION_LENGTH].strip()
    if described and (not into.description or described < into.description):
        into.description = described  # one of them, whichever came first; the portal writes its own


def _numbered(rows: dict[_Key, _Sum]) -> Iterator[tuple[int, _Key]]:
    return enumerate(sorted(rows, key=lambda key: (key[0], key[1], -key[2])), start=1)


def _row(number: int, key: _Key, found: _Sum) -> Row:
    code, unit, rate = key
    described = {"desc": found.description} if found.description else {}
    return {
        "num": number,
        "hsn_sc": code,
        **described,
        "uqc": unit,
        "qty": rupees(found.quantity),
        "rt": rate,
        "txval": found.amounts.taxable,
        "iamt": found.amounts.igst,
        "camt": found.amounts.cgst,
        "samt": found.amounts.sgst,
        "csamt": found.amounts.cess,
    }
