"""One thing that is wrong in a mapping or template file."""

from __future__ import annotations

from dataclasses import dataclass

Where = tuple[str | int, ...]
"""A place in the data of a file: the keys and positions that lead to it."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where in the file, and `found X, allowed Y`."""

    where: Where
    message: str
