"""Batch templates at work: the mapped rows of a chunk as a pandas DataFrame, and back.

Rows are numbered from 1. A function that makes a new index (`reset_index`, `merge`) starts at 0, a number no row has:
so its rows are refused, and never taken for those of other records.

pandas is imported when the first batch template runs: a mapping without one never pays for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from erpflow.errors import FieldProblem
from erpflow.mapping.kinds import FieldType
from erpflow.mapping.lines import Row
from erpflow.mapping.pipeline import Read, local_reader
from erpflow.mapping.problems import BrokenPromise, kind_of, problem_of, problem_of_template, reason_of
from erpflow.mapping.template_use import BatchUse
from erpflow.mapping.values import Refused
from erpflow.vocabulary import Direction
from erpflow.yaml_files.complaints import excerpt
from erpflow.yaml_files.explain import allowed

if TYPE_CHECKING:
    import pandas as pd

    from erpflow.mapping.model import FieldSpec, Mapping

Position = int
"""Of a row in the chunk, from 0."""

FIRST_NUMBER = 1


@dataclass(frozen=True, slots=True)
class Refined:
    """What became of the rows of a chunk: each position is in exactly one of the three.

    `dropped` says by which template a row was left out, `rejected` what is wrong with it.
    """

    rows: dict[Position, Row]
    dropped: dict[Position, str]
    rejected: dict[Position, list[FieldProblem]]


Refine = Callable[[Sequence[Row]], Refined]


@dataclass(frozen=True, slots=True)
class Cells:
    """One column: its texts as values (`read`), and values of any kind as texts (`write`, which raises Refused).

    `changeable`: a value may be changed in place, so that finding the same object proves nothing. `pushes`: what is
    here goes to the vendor too, so a template, which has no way back, must leave it as it is.
    """

    column: str
    read: Callable[[str], Any]
    write: Read
    changeable: bool
    pushes: bool


_READERS: dict[FieldType, Callable[[str], Any]] = {
    FieldType.TEXT: str,
    FieldType.LOOKUP: str,
    FieldType.PICKLIST: str,
    FieldType.NUMBER: Decimal,
    FieldType.DATE: date.fromisoformat,
    FieldType.DATETIME: datetime.fromisoformat,
    FieldType.BOOLEAN: lambda text: text == "t",
    FieldType.JSON: msgspec.json.Decoder(float_hook=Decimal).decode,
}


def refiner(mapping: Mapping, *, zone: tzinfo) -> Refine | None:
    """The function that applies the batch templates of a mapping to the rows of a chunk; None when there are none.

    It never raises: what a template does wrong is a reject of the rows it was given.
    """
    if not mapping.batch:
        return None
    is_two_way = mapping.direction is not Direction.PULL
    cells = [_cells(spec, zone, pushes=is_two_way and spec.pushes()) for spec in mapping.fields if spec.pulls()]

    def refine(rows: Sequence[Row]) -> Refined:
        refined = Refined(dict(enumerate(rows)), {}, {})
        for use in mapping.batch:
            if refined.rows:
                _apply(use, cells, refined)
        return refined

    return refine


def _cells(spec: FieldSpec, zone: tzinfo, *, pushes: bool) -> Cells:
    return Cells(
        column=spec.local or "",
        read=_READERS[spec.type],
        write=local_reader(spec, zone=zone),
        changeable=spec.type is FieldType.JSON,
        pushes=pushes,
    )


def _apply(use: BatchUse, cells: Sequence[Cells], refined: Refined) -> None:
    """Let one template work on the rows that are left."""
    name, positions = use.template.name, list(refined.rows)
    before = [
        [None if (text := refined.rows[position][number]) is None else cell.read(text) for position in positions]
        for number, cell in enumerate(cells)
    ]
    try:
        returned = use.function.apply(_frame(cells, positions, before))
        places, after = _checked(returned, cells, positions)
    except Exception as error:  # noqa: BLE001 - a user's function may raise anything: its rows are rejects, the page goes on
        reason = f"{reason_of(error)} (all {len(positions)} records it was given are rejected)"
        problem = problem_of_template(name, Refused("template", reason))
        for position in positions:
            del refined.rows[position]
            refined.rejected[position] = [problem]
        return
    for number, position in enumerate(positions):
        place = places.get(position)
        row = refined.rows.pop(position)
        if place is None:
            refined.dropped[position] = f"dropped by {name}"
            continue
        values = [(old[number], new[place]) for old, new in zip(before, after, strict=True)]
        changed, problems = _changed(row, values, cells, name)
        if problems:
            refined.rejected[position] = problems
        else:
            refined.rows[position] = changed


def _changed(
    row: Row, values: Sequence[tuple[Any, Any]], cells: Sequence[Cells], name: str
) -> tuple[Row, list[FieldProblem]]:
    """The row with what the template changed; a value that is the same object keeps its text."""
    texts: list[str | None] | None = None
    problems: list[FieldProblem] = []
    for number, (old, new) in enumerate(values):
        cell = cells[number]
        if new is old and (new is None or not cell.changeable):
            continue
        texts = texts or list(row)
        try:
            texts[number] = cell.write(_plain(new))
            if cell.pushes and texts[number] != row[number]:
                raise Refused("template", "changed, and a batch template has no way back for a push; use only: pull")
            continue
        except Refused as refused:
            found = refused
        except Exception as error:  # noqa: BLE001 - a value so odd that reading it fails is its own problem
            found = Refused("type", f"{kind_of(new)} cannot be read: {type(error).__name__}")
        problems.append(problem_of(cell.column, f"the template {name}", found))
    return row if texts is None else tuple(texts), problems


def _frame(cells: Sequence[Cells], positions: Sequence[Position], values: Sequence[list[Any]]) -> pd.DataFrame:
    """The rows as a frame: object columns with Python values, the number of the record as the index."""
    import pandas as pd

    index = pd.Index([position + FIRST_NUMBER for position in positions], name="record")
    columns = zip(cells, values, strict=True)
    return pd.DataFrame({cell.column: pd.Series(found, index=index, dtype=object) for cell, found in columns})


def _checked(
    found: Any, cells: Sequence[Cells], positions: Sequence[Position]
) -> tuple[dict[Position, int], list[list[Any]]]:
    """Where in the returned frame each row is, and its values by column. Raises BrokenPromise."""
    import pandas as pd

    if not isinstance(found, pd.DataFrame):
        raise BrokenPromise(f"gave {kind_of(found)}, expected the DataFrame of what stays")
    _check_columns(found.columns.tolist(), [cell.column for cell in cells])
    known = {position + FIRST_NUMBER: position for position in positions}
    places: dict[Position, int] = {}
    for place, number in enumerate(found.index.tolist()):
        if number not in known:
            raise BrokenPromise(
                f"gave a row numbered {excerpt(number)}, which it was not given: keep the index of the frame "
                "(reset_index and merge make a new one)"
            )
        if known[number] in places:
            raise BrokenPromise(f"gave row {number} twice, expected each row once at most")
        places[known[number]] = place
    return places, [found[cell.column].tolist() for cell in cells]


def _check_columns(found: list[Any], wanted: list[str]) -> None:
    for column in wanted:
        if found.count(column) != 1:
            how = "no" if column not in found else "twice the"
            raise BrokenPromise(f'gave {how} column "{column}", expected exactly the columns it was given')
    extra = next((str(column) for column in found if column not in wanted), None)
    if extra is not None:
        raise BrokenPromise(f'gave a column "{extra}"{allowed(extra, wanted)}')


_AS_THEY_ARE = frozenset({str, bool, int, Decimal, date, datetime, dict, list, type(None)})


def _plain(value: Any) -> Any:
    """A value of pandas or numpy as the Python value it stands for; their missing values as None."""
    if type(value) in _AS_THEY_ARE:
        return value
    import numpy as np
    import pandas as pd

    if isinstance(value, np.datetime64):
        value = pd.Timestamp(value)
    elif isinstance(value, np.generic) and not isinstance(value, np.timedelta64):
        value = value.item()
    if value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value):
        return None
    return value.to_pydatetime(warn=False) if isinstance(value, pd.Timestamp) else value
