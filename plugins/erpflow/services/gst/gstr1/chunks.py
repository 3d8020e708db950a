"""A return in pieces that the portal takes: each a payload of its own, the rows of one document never apart."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

import msgspec

_HEAD: Final = ("gstin", "fp")
_ROWS: Final = {"b2b": "inv", "b2cl": "inv", "exp": "inv", "cdnr": "nt"}
_LISTS: Final = frozenset({"b2cs", "cdnur"})

_DECODER: Final = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")

_Piece = tuple[str, dict[str, Any] | None, Any]
"""A section, the group that a row is of (None: it is in none), and the row or the whole section."""


def chunks_of(payload: bytes, *, largest: int) -> list[bytes]:
    """The payload itself when it is no larger than `largest` bytes; else payloads that together say the same.

    Nothing when there is nothing in it. A section that is summed up (nil, hsn, doc_issue) stays whole.
    """
    whole = _DECODER.decode(payload)
    if not set(whole) - set(_HEAD):
        return []
    if len(payload) <= largest:
        return [payload]
    head = {key: whole[key] for key in _HEAD}
    found: list[bytes] = []
    pieces: list[_Piece] = []
    size = room = len(_ENCODER.encode(head))
    for piece in _pieces(whole):
        length = len(_ENCODER.encode([piece[1], piece[2]])) + len(piece[0]) + 16  # the keys and brackets around it
        if pieces and size + length > largest:
            found.append(_ENCODER.encode({**head, **_joined(pieces)}))
            pieces, size = [], room
        pieces.append(piece)
        size += length
    found.append(_ENCODER.encode({**head, **_joined(pieces)}))
    return found


def _pieces(whole: dict[str, Any]) -> Iterator[_Piece]:
    for section, rows in whole.items():
        if section in _ROWS:
            inner = _ROWS[section]
            for group in rows:
                head = {key: value for key, value in group.items() if key != inner}
                yield from ((section, head, row) for row in group[inner])
        elif section in _LISTS:
            yield from ((section, None, row) for row in rows)
        elif section not in _HEAD:
            yield section, None, rows


def _joined(pieces: list[_Piece]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for section, head, row in pieces:
        if head is not None:
            inner, groups = _ROWS[section], found.setdefault(section, [])
            if not groups or any(groups[-1][key] != value for key, value in head.items()):
                groups.append({**head, inner: []})
            groups[-1][inner].append(row)
        elif section in _LISTS:
            found.setdefault(section, []).append(row)
        else:
            found[section] = row
    return found
