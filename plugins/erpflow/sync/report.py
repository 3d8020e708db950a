"""The report of a reconciliation: every finding as a table, made part by part with pandas and written as CSV.

A spreadsheet takes a cell that begins with = + - @ or a tab for a formula, and vendors' values come from strangers:
such a cell gets an apostrophe in front.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import pandas as pd

from erpflow.sync.findings import REPORT, Finding, FindingsLanding, Part
from erpflow.sync.landing import Landing

COLUMNS: Final = ["kind", "remote_id", "local_id", "field", "here", "there", "reason"]
FORMULA: Final = r"^[=+\-@\t\r]"
NOTHING: Final = "∅"
"""A field that has no value on this side; an empty cell is an empty text."""


def write_report(landing: Landing) -> str:
    """Write the table of all findings, and of what became of their repair, into the landing folder; where it is."""
    findings = FindingsLanding(landing)
    file = landing.file(REPORT)
    with file.open("wb") as out:
        out.write(_csv(pd.DataFrame(columns=COLUMNS), header=True))
        for number, part in findings.parts():
            out.write(_csv(table_of(part, findings.outcomes(number)), header=False))
    return str(file)


def table_of(part: Part, outcomes: Sequence[str | None] | None = None) -> pd.DataFrame:
    """Findings as a table of texts, a row for each field that differs, safe to be opened in a spreadsheet.

    `outcomes`: for each finding why it is not repaired, None where it is; None as a whole while nobody has tried.
    """
    tried = [""] * len(part.findings) if outcomes is None else list(map(_outcome, outcomes))
    rows = [row for each, outcome in zip(part.findings, tried, strict=True) for row in _rows(each, outcome)]
    return pd.DataFrame(rows, columns=COLUMNS, dtype="str").apply(_without_formulas)


def _rows(finding: Finding, outcome: str) -> Iterator[tuple[str, ...]]:
    ids = (finding.kind.value, finding.remote_id or "", finding.local_id or "")
    reason = finding.reason + outcome
    if not finding.fields:
        yield (*ids, "", "", "", reason)
    for name, value in finding.fields.items():
        yield (*ids, name, *(NOTHING if text is None else text for text in (value.here, value.there)), reason)


def _outcome(outcome: str | None) -> str:
    return "; repaired" if outcome is None else f"; not repaired: {outcome}"


def _without_formulas(column: pd.Series[str]) -> pd.Series[str]:
    return column.mask(column.str.match(FORMULA), "'" + column)


def _csv(table: pd.DataFrame, *, header: bool) -> bytes:
    return table.to_csv(index=False, header=header).encode(errors="replace")
