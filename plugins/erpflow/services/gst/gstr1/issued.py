"""Table 13: which numbers were given out, and how many of them were cancelled."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from erpflow.services.gst.gstr1.documents import NATURES, Document, Nature, Problem, Series
from erpflow.services.gst.gstr1.rows import Row

_COUNTED: Final = re.compile(r"(.*?)([0-9]*)", re.DOTALL)
_MOST_NAMED: Final = 5

_Numbered = tuple[int, Document]


def series_of(documents: Iterable[Document], given: Sequence[Series]) -> list[Series]:
    """The series of a return: what is given for a nature of documents, else what the documents themselves say."""
    told = {series.nature for series in given}
    found = [_series(nature, each) for (nature, _), each in _by_prefix(documents).items() if nature not in told]
    return sorted([*given, *found], key=lambda series: (int(series.nature), series.first.upper()))


def issue_rows(series: Sequence[Series]) -> list[Row]:
    """The rows of `doc_issue`."""
    of: dict[Nature, list[Series]] = defaultdict(list)
    for each in series:
        of[each.nature].append(each)
    return [
        {
            "doc_num": int(nature),
            "docs": [
                {
                    "num": number,
                    "from": each.first,
                    "to": each.last,
                    "totnum": each.total,
                    "cancel": each.cancelled,
                    "net_issue": each.total - each.cancelled,
                }
                for number, each in enumerate(of[nature], start=1)
            ],
        }
        for nature in sorted(of, key=int)
    ]


def series_problems(documents: Sequence[Document], given: Sequence[Series]) -> Iterator[Problem]:
    """What is odd about the numbers: gaps in a series, and a given series that cannot hold the documents."""
    told = {series.nature for series in given}
    for series in given:
        if series.cancelled > series.total:
            yield Problem(
                None, "series", "cancelled", f"The series {series.first} to {series.last} has {series.total} numbers, "
                f"and {series.cancelled} cancelled.", str(series.cancelled),
            )  # fmt: skip
    for nature in told & set(NATURES.values()):
        issued = sum(1 for each in documents if NATURES.get(each.kind) is nature and not each.is_cancelled)
        net = sum(each.total - each.cancelled for each in given if each.nature is nature)
        if issued > net:
            yield Problem(
                None, "series", "count", f"The series of nature {nature} were issued {net} times net, and there are "
                f"{issued} such documents.", str(net),
            )  # fmt: skip
    for (nature, prefix), each in _by_prefix(documents).items():
        if nature not in told:
            yield from _gaps(prefix, each)


def _gaps(prefix: str, numbered: list[_Numbered]) -> Iterator[Problem]:
    known = {number for number, _ in numbered}
    first, last = min(known), max(known)
    missing = last - first + 1 - len(known)
    if missing:
        width = len(min((document.number for _, document in numbered), key=len)) - len(prefix)
        gaps = (number for number in range(first, last) if number not in known)
        named = [f"{prefix}{number:0{width}}" for number, _ in zip(gaps, range(_MOST_NAMED), strict=False)]
        yield Problem(
            None, "series", "gap", f"In the series {prefix}… {missing} numbers are missing, {', '.join(named)} among "
            "them. Give them as cancelled documents if they are; they count neither as issued nor as cancelled.",
            str(missing), blocks=False,
        )  # fmt: skip


def _by_prefix(documents: Iterable[Document]) -> dict[tuple[Nature, str], list[_Numbered]]:
    """Documents by the nature and what stands before the last digits of their number, numbers without case."""
    found: dict[tuple[Nature, str], list[_Numbered]] = defaultdict(list)
    for document in documents:
        matched = _COUNTED.fullmatch(document.number.upper())
        if matched is not None and document.kind in NATURES:
            prefix, digits = matched.groups()
            found[(NATURES[document.kind], prefix)].append((int(digits or 0), document))
    return dict(sorted(found.items()))


def _series(nature: Nature, numbered: list[_Numbered]) -> Series:
    first, *_ = ordered = sorted(numbered, key=lambda each: (each[0], each[1].number))
    cancelled = sum(1 for _, document in numbered if document.is_cancelled)
    return Series(
        nature=nature, first=first[1].number, last=ordered[-1][1].number, total=len(numbered), cancelled=cancelled
    )
