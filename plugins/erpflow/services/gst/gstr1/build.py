"""A return out of documents: checked, put into sections, summed, and written as the portal takes it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

import msgspec

from erpflow.services.gst.gstr1.check import document_problems, filer_problems, with_originals
from erpflow.services.gst.gstr1.classify import Section
from erpflow.services.gst.gstr1.documents import Books, Problem
from erpflow.services.gst.gstr1.hsn_summary import hsn_rows
from erpflow.services.gst.gstr1.issued import issue_rows, series_of, series_problems
from erpflow.services.gst.gstr1.rows import declare, section_rows
from erpflow.services.gst.gstr1.totals import Compared, Total, compared, count_of, totals_of

MOST_PROBLEMS: Final = 2_000
"""Nobody reads more at once, and a file of another kind sent by mistake would be nothing but problems."""


@dataclass(frozen=True, slots=True)
class Return:
    """A generated return.

    `payload`: its JSON, byte for byte what is digested and sent. `left_out`: documents with a problem that blocks,
    which are in no section. `counts` of documents by kind, all of them.
    """

    payload: bytes
    sections: dict[Section, Total]
    compared: Compared
    problems: tuple[Problem, ...]
    left_out: tuple[str, ...]
    counts: dict[str, int]

    @property
    def digest(self) -> str:
        """SHA-256 of the payload, in hexadecimal."""
        return hashlib.sha256(self.payload).hexdigest()

    @property
    def is_blocked(self) -> bool:
        """Whether a problem has to be corrected first."""
        return any(problem.blocks for problem in self.problems)


def generate(books: Books, *, today: date) -> Return:
    """The return of a period. Never raises for what documents say: their problems are named. `today`: in India."""
    filer, documents = books.filer, with_originals(books.documents)
    problems = [
        *filer_problems(filer, today=today),
        *document_problems(documents, filer),
        *series_problems(documents, books.series),
    ]
    blocked = {(each.kind, each.document) for each in problems if each.blocks}
    good = [each for each in documents if (each.kind, each.number) not in blocked]
    declared = declare(good, filer)
    totals = totals_of(declared)
    sections: dict[str, Any] = {section.value: rows for section, rows in section_rows(declared).items()}
    by_code = hsn_rows(declared, filer.period)
    issued = issue_rows(series_of(good, books.series))
    if by_code:
        sections[Section.HSN] = by_code
    if issued:
        sections[Section.DOC_ISSUE] = {"doc_det": issued}
    if not sections and not problems:
        problems.append(Problem(None, "documents", "empty", "There is nothing to declare.", blocks=False))
    return Return(
        payload=encoded({"gstin": filer.gstin, "fp": str(filer.period), **sections}),
        sections=totals,
        compared=compared(declared, totals),
        problems=_listed(sorted(problems, key=_problem_order)),
        left_out=tuple(sorted({each.number for each in documents if (each.kind, each.number) in blocked})),
        counts=count_of(documents),
    )


def _listed(problems: list[Problem]) -> tuple[Problem, ...]:
    """The first of many problems, those that block before the others, and how many more there are."""
    if len(problems) <= MOST_PROBLEMS:
        return tuple(problems)
    first = sorted(problems, key=lambda problem: not problem.blocks)[:MOST_PROBLEMS]
    more = f"{len(problems) - MOST_PROBLEMS:,} more problems are not listed. Correct these first."
    return (*first, Problem(None, "documents", "more", more, blocks=False))


def encoded(payload: dict[str, Any]) -> bytes:
    """JSON as the portal takes it: amounts as numbers, days as dd-mm-yyyy."""
    return _ENCODER.encode(_written(payload))


_ENCODER = msgspec.json.Encoder(decimal_format="number")


def _written(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _written(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_written(each) for each in value]
    if isinstance(value, date):
        return f"{value:%d-%m-%Y}"
    if isinstance(value, Decimal):
        plain = value.normalize()
        return plain.quantize(Decimal(1)) if plain == plain.to_integral_value() else plain
    return value


def _problem_order(problem: Problem) -> tuple[str, str, str, str]:
    return (problem.document or "", problem.field, problem.rule, problem.message)
