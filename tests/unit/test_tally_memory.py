"""A large answer of Tally passes through little memory: that of the whole process, the parser's too."""

from __future__ import annotations

from bench.tally_memory import measure


def test_an_answer_of_40_megabytes_is_never_held() -> None:
    """In a process of its own: what a C library takes is seen nowhere else. 300 MB: `python -m bench.tally_memory`."""
    taken = measure(40)
    assert taken.records > 6000 and taken.pages > 1
    assert taken.peak_mb < 150, "the answer alone, decoded and as a tree, would be several times that"
