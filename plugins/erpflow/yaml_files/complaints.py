"""One thing that is wrong in a file, and how places and values are shown in a message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

Where = tuple[str | int, ...]
"""A place in the data of a file: the keys and positions that lead to it."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where in the file, and `found X, allowed Y`."""

    where: Where
    message: str


@dataclass(frozen=True, slots=True)
class Complaint:
    """The same for whoever has to mend it: the key as a text, the sentence, and the line where it is in a file."""

    key: str
    message: str
    line: int | None = None

    def told(self, name: str) -> str:
        """`file:line: key: message`."""
        place = name if self.line is None else f"{name}:{self.line}"
        return f"{place}: {f'{self.key}: ' if self.key else ''}{self.message}"


def dotted(path: Where) -> str:
    """A path as a message shows it: `fields[3].type`."""
    parts = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in path]
    return "".join(parts).removeprefix(".")


def excerpt(value: object, *, width: int = 80) -> str:
    """A value as a message shows it: text in quotes, cut at `width` characters; objects and lists by their kind."""
    if value is None:
        return "null"
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, str):
        shown = value if len(value) <= width else value[:width] + "…"
        return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in shown) + '"'
    if isinstance(value, Mapping):
        return f"an object with {len(value)} keys"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    if isinstance(value, int) and value.bit_length() > 256:
        return f"a number of {value.bit_length()} bits"
    if isinstance(value, msgspec.Struct):
        return "an object"
    shown = str(value)
    return shown if len(shown) <= width else shown[:width] + "…"
