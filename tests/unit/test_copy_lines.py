"""COPY text: whatever a value holds, Postgres reads the same value back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from erpflow.sync.chunk import Chunk, copy_text

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
HOSTILE = st.sampled_from(["\x01", "a\x02b", "\\N", "\\.", "\t", "\n", "\r\n", "\\", "\\\\t", "", " ", "a\tb\\nc"])


def read_back(text: bytes) -> list[list[str | None]]:
    """COPY's text format as the manual describes it. Source: PostgreSQL, COPY, "Text Format"."""
    lines = text.decode().split("\n")
    assert lines.pop() == ""
    return [[_value(field) for field in line.split("\t")] for line in lines]


def _value(field: str) -> str | None:
    if field == "\\N":
        return None
    out, position = [], 0
    while position < len(field):
        character = field[position]
        if character == "\\":
            position += 1
            character = {"t": "\t", "n": "\n", "r": "\r"}.get(field[position], field[position])
        out.append(character)
        position += 1
    return "".join(out)


@st.composite
def tables(draw: st.DrawFn) -> list[list[str | None]]:
    """Rows of one width."""
    width = draw(st.integers(1, 12))
    row = st.lists(st.none() | TEXT | HOSTILE, min_size=width, max_size=width)
    return draw(st.lists(row, min_size=1, max_size=8))


@given(tables())
def test_every_row_comes_back_as_it_was(rows: list[list[str | None]]) -> None:
    assert read_back(copy_text(rows)) == rows


def test_no_rows_are_no_text() -> None:
    assert copy_text([]) == b""


def test_a_chunk_survives_the_landing_area() -> None:
    chunk = Chunk(
        number=3, read=2, count=1, unchanged=0, superseded=1, dropped={},
        heads=b"a\t1\t\\N\t\\N\n", rows=b"\xc3\xa9\n",
        children=[b""], origins=[4, 7], rejects=[],
        retried=["a"], retries_dropped=[], modified_to=None, fresh=False, last=True,
    )  # fmt: skip
    assert Chunk.decode(chunk.encode()) == chunk
    assert chunk.origin(1) == (4, 7)
