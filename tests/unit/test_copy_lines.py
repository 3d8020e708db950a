"""COPY text: whatever a value holds, Postgres reads the same value back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from erpflow.sync.chunk import Chunk, copy_line

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
HOSTILE = st.sampled_from(["\\N", "\\.", "\t", "\n", "\r\n", "\\", "\\\\t", "", " ", "a\tb\\nc"])


def read_back(line: str) -> list[str | None]:
    """COPY's text format as the manual describes it. Source: PostgreSQL, COPY, "Text Format"."""
    assert line.endswith("\n")
    values: list[str | None] = []
    for field in line[:-1].split("\t"):
        if field == "\\N":
            values.append(None)
            continue
        out, position = [], 0
        while position < len(field):
            character = field[position]
            if character == "\\":
                position += 1
                character = {"t": "\t", "n": "\n", "r": "\r"}.get(field[position], field[position])
            out.append(character)
            position += 1
        values.append("".join(out))
    return values


@given(st.lists(st.none() | TEXT | HOSTILE, min_size=1, max_size=30))
def test_every_row_comes_back_as_it_was(values: list[str | None]) -> None:
    line = copy_line(values)
    assert line.count("\n") == 1
    assert read_back(line) == values


def test_a_chunk_survives_the_landing_area() -> None:
    chunk = Chunk(
        number=3, read=2, count=1, unchanged=0, superseded=1, rows=b"1\t\xc3\xa9\n", children=[b""], rejects=[],
        retried=["a"], modified_to=None, last=True,
    )  # fmt: skip
    assert Chunk.decode(chunk.encode()) == chunk
