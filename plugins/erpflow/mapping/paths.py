"""Where a value sits inside a vendor's record: `Owner.email`, `credit_limits.0.credit_limit`, `"Tax.Id".value`."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

Path = tuple[str | int, ...]
"""The steps from the record to the value: a text is an object's key, a number a list's position."""

_STEP = re.compile(r'"((?:[^"\\]|\\.)*)"|((?:[^."\\]|\\.)+)')
_EMPTY: tuple[Any, ...] = ("", [])
MAX_STEPS = 12


class Misfit:
    """Found in place of a value when the record has another shape than the path: `email` of a number, say."""

    __slots__ = ("found", "key")

    def __init__(self, key: str | int, found: object) -> None:
        self.key = key
        self.found = found


@lru_cache(maxsize=4096)
def parse_path(text: str) -> Path:
    """The steps of a dotted path. Digits alone are a list position (from 0); quotes or `\\.` keep a dot in a key.

    Raises ValueError with a sentence that says what is wrong with the path.
    """
    steps: list[str | int] = []
    position = 0
    while True:
        step = _STEP.match(text, position)
        if step is None:
            raise ValueError(f'"{text}" is not a path: expected a key at character {position + 1}')
        quoted, plain = step.groups()
        if quoted is not None:
            steps.append(re.sub(r"\\(.)", r"\1", quoted))
        else:
            steps.append(int(plain) if plain.isascii() and plain.isdigit() else re.sub(r"\\(.)", r"\1", plain))
        position = step.end()
        if position == len(text):
            break
        if text[position] != ".":
            raise ValueError(f'"{text}" is not a path: expected a dot at character {position + 1}')
        position += 1
    _check_steps(text, steps)
    return tuple(steps)


def _check_steps(text: str, steps: Sequence[str | int]) -> None:
    if isinstance(steps[0], int):
        raise ValueError(f'"{text}" is not a path: a record is an object, so the first step is a key, not a position')
    if len(steps) > MAX_STEPS:
        raise ValueError(f'"{text}" is not a path: it has {len(steps)} steps, at most {MAX_STEPS} are allowed')
    if any(isinstance(step, int) and step > 999 for step in steps):
        raise ValueError(f'"{text}" is not a path: a list position is at most 999')


def dig(value: Any, path: Path) -> Any:
    """The value at the end of `path`, None where the record ends sooner, a `Misfit` where it has another shape.

    Vendors write an absent object as "" or [], and a list of one as the bare object: both are read as meant.
    """
    for step in path:
        if value is None:
            return None
        value = _item(value, step) if isinstance(step, int) else _member(value, step)
        if type(value) is Misfit:
            return value
    return value


def peek(value: Any, path: Path) -> Any:
    """Like `dig`, None where the record has another shape: for a path that has alternatives."""
    found = dig(value, path)
    return None if type(found) is Misfit else found


def dig_first(value: Any, paths: Sequence[Path]) -> Any:
    """The first of several paths that holds a value: neither null, empty text nor of another shape."""
    found = None
    for path in paths:
        found = peek(value, path)
        if found is not None and found != "":
            return found
    return found


def _member(value: Any, key: str) -> Any:
    if isinstance(value, Mapping):
        return value.get(key)
    return None if value in _EMPTY else Misfit(key, value)


def _item(value: Any, position: int) -> Any:
    if isinstance(value, list):
        return value[position] if position < len(value) else None
    if isinstance(value, Mapping):
        return value if position == 0 else None
    return None if value == "" else Misfit(position, value)


def plant(target: dict[str, Any], path: Path, value: Any) -> None:
    """Write `value` at the end of `path`, making the objects and lists on the way.

    The mapping's checks see to it that no path runs through another path's value.
    """
    here: Any = target
    for step, following in itertools.pairwise(path):
        made: Any = [] if isinstance(following, int) else {}
        here = _descend(here, step, made)
    _descend(here, path[-1], value)


def planter(path: Path) -> Callable[[dict[str, Any], Any], Any]:
    """`plant` for one path, quick where it has one or two keys and no position, as nearly all have."""
    keys = [step for step in path if isinstance(step, str)]
    if len(path) == len(keys) == 1:
        (only,) = keys
        return lambda target, value: target.setdefault(only, value)
    if len(path) == len(keys) == 2:
        outer, inner = keys
        return lambda target, value: target.setdefault(outer, {}).setdefault(inner, value)
    return lambda target, value: plant(target, path, value)


def _descend(here: Any, step: str | int, made: Any) -> Any:
    if isinstance(step, int):
        while len(here) <= step:
            here.append(None)
        if here[step] is None:
            here[step] = made
    elif step not in here:
        here[step] = made
    return here[step]
