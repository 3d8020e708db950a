"""A return that is too large for one save is cut: together the pieces say what it says, and nothing twice."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from erpflow.services.gst.gstr1.build import generate
from erpflow.services.gst.gstr1.chunks import chunks_of
from erpflow.services.gst.gstr1.documents import Books
from tests.gstr1 import FILER, KARNATAKA, MAHARASHTRA, TODAY, credit_note, invoice, line, sample_documents

SAMPLE = generate(Books(FILER, tuple(sample_documents())), today=TODAY).payload
LARGEST_WHOLE = max(len(msgspec.json.encode(rows)) for rows in msgspec.json.decode(SAMPLE)["hsn"].values()) * 4


def joined(chunks: list[bytes]) -> dict[str, Any]:
    """What all of them say, rows of one group together again."""
    found: dict[str, Any] = {}
    for chunk in chunks:
        for section, rows in msgspec.json.Decoder(float_hook=Decimal).decode(chunk).items():
            if section in ("b2b", "b2cl", "exp", "cdnr"):
                inner = "nt" if section == "cdnr" else "inv"
                groups = found.setdefault(section, {})
                for group in rows:
                    (head,) = [value for key, value in group.items() if key != inner]
                    groups.setdefault(head, []).extend(group[inner])
            elif isinstance(rows, list):
                found.setdefault(section, []).extend(rows)
            else:
                assert found.setdefault(section, rows) == rows
    return found


def test_what_fits_is_sent_byte_for_byte() -> None:
    assert chunks_of(SAMPLE, largest=len(SAMPLE)) == [SAMPLE]


def test_nothing_is_sent_of_a_return_of_nothing() -> None:
    assert chunks_of(b'{"gstin":"29AABCV1234M1Z5","fp":"012026"}', largest=10) == []


@settings(deadline=None, max_examples=25)
@given(st.integers(LARGEST_WHOLE, len(SAMPLE) - 1))
def test_the_pieces_together_are_the_whole_and_each_is_small_enough(largest: int) -> None:
    chunks = chunks_of(SAMPLE, largest=largest)
    assert len(chunks) > 1 and all(len(chunk) <= largest for chunk in chunks)
    assert joined(chunks) == joined([SAMPLE])
    for chunk in chunks:
        assert msgspec.json.decode(chunk).items() >= {"gstin": FILER.gstin, "fp": "012026"}.items()


def test_one_large_buyer_is_cut_between_documents() -> None:
    documents = [invoice(f"A{n}", "27", "118", line("100"), buyer_gstin=MAHARASHTRA) for n in range(200)]
    documents += [credit_note(f"N{n}", "29", "118", line("100"), buyer_gstin=KARNATAKA) for n in range(200)]
    payload = generate(Books(FILER, tuple(documents)), today=TODAY).payload
    chunks = chunks_of(payload, largest=8_000)
    assert len(chunks) > 5 and max(map(len, chunks)) <= 8_000
    assert joined(chunks) == joined([payload])
