"""The part of a vendor's record that a mapping reads, as one msgspec Struct, and the code that reaches into it.

Decoding into a Struct that holds only the needed fields is what makes a program fast: the rest is skipped unparsed.
Values stay undecided (`Any`), so that a number where a text was expected is the field's problem, not the record's.
Where a mapping reaches the same place in two ways (a value, and something inside it), that place stays undecided too
and is read with `dig`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from erpflow.mapping.paths import Path

_UNNAMEABLE = re.compile(r'["\\\x00-\x1f]')


@dataclass(slots=True)
class Node:
    """One place in the record: a value, an object with keys, a list with positions, or the lines of a child table."""

    leaf: bool = False
    keys: dict[str, Node] = field(default_factory=dict)
    items: Node | None = None
    lines: Node | None = None

    @property
    def loose(self) -> bool:
        """Whether it is read in more than one way, and so cannot be typed."""
        return sum(map(bool, (self.leaf, self.keys, self.items, self.lines))) > 1

    def add(self, path: Path) -> Node:
        """The node at the end of `path`, made if need be."""
        here = self
        for step in path:
            if isinstance(step, int):
                here.items = here.items or Node()
                here = here.items
            else:
                here = here.keys.setdefault(step, Node())
        return here

    def loose_on(self, path: Path) -> bool:
        """Whether `path` meets a loose place, so that what it reaches comes as plain dicts and lists."""
        here: Node | None = self
        for step in path:
            if here is None or here.loose:
                return True
            here = here.items if isinstance(step, int) else here.keys.get(step)
        return here is None or here.loose

    def attribute(self, key: str) -> str:
        """The name of the Struct's attribute for `key`."""
        return f"f{list(self.keys).index(key)}"

    def nameable(self) -> bool:
        """Whether msgspec can name all keys; it refuses quotes, backslashes and control characters."""
        below = [*self.keys.values(), *filter(None, (self.items, self.lines))]
        return not any(_UNNAMEABLE.search(key) for key in self.keys) and all(node.nameable() for node in below)


def tree(paths: Iterable[Path]) -> Node:
    """The node of a record of which the values at `paths` are needed."""
    root = Node()
    for path in paths:
        root.add(path).leaf = True
    return root


def add_lines(root: Node, paths: Sequence[Path], line: Node) -> None:
    """Note that the list at the first of `paths` holds lines; read twice or in several places, it stays untyped."""
    for path in paths:
        here = root.add(path)
        here.leaf = here.leaf or len(paths) > 1 or here.lines is not None
        here.lines = line


def struct_of(node: Node) -> type[msgspec.Struct]:
    """The Struct of an object."""
    names = {node.attribute(key): key for key in node.keys}
    members = [(node.attribute(key), _type_of(child), None) for key, child in node.keys.items()]
    return msgspec.defstruct("Record", members, rename=names, gc=False)


def _type_of(node: Node) -> Any:
    if node.loose or node.leaf:
        return Any
    if node.lines is not None:
        line = struct_of(node.lines)
        return list[line] | line | None  # type: ignore[valid-type]
    if node.items is not None:
        item: Any = _type_of(node.items)
        return list[item] | None
    return struct_of(node) | None
