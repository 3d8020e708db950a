"""Writes the source of a compiled program: straight-line code per field, with the common case inline.

A program has four variants of one function. `typed` reads the Struct; `line` does too, and gives the row as one text
(`lines.py`) for the bulk path; `loose` reads plain dicts, for records of an unexpected shape; `careful` is `loose`
without the short cuts, for records that hold the escape of U+0000. All end in the same reader of a field
(`pipeline.field_reader`) as soon as a value is not the common one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from erpflow.mapping.lines import NULL, marked
from erpflow.mapping.paths import Path
from erpflow.mapping.shape import Node


class Variant(Enum):
    """How a generated function reads the record, and whether it takes short cuts."""

    TYPED = auto()
    LINE = auto()
    LOOSE = auto()
    CAREFUL = auto()

    @property
    def reads_struct(self) -> bool:
        """Whether the record was decoded into the Struct of the mapping."""
        return self in (Variant.TYPED, Variant.LINE)


@dataclass(slots=True)
class Writer:
    """Collects lines of source, and the objects they name."""

    names: dict[str, Any]
    lines: list[str] = field(default_factory=list)
    depth: int = 0

    def put(self, *lines: str) -> None:
        """Write lines at the current depth."""
        self.lines.extend("    " * self.depth + line for line in lines)

    def indent(self) -> None:
        """What follows belongs to the line before."""
        self.depth += 1

    def dedent(self, levels: int = 1) -> None:
        """Back out."""
        self.depth -= levels

    def name(self, prefix: str, value: Any) -> str:
        """A global name for `value` in the generated code."""
        known = next((n for n, v in self.names.items() if v is value and n.startswith(prefix)), None)
        if known is not None:
            return known
        name = f"{prefix}_{len(self.names)}"
        self.names[name] = value
        return name

    def source(self) -> str:
        """Everything written so far."""
        return "\n".join(self.lines) + "\n"


@dataclass(slots=True)
class Reach:
    """Writes how to get from a record (the variable `root`) to the values of paths.

    `given` are the variables of the values that record templates gave so far, by name: a name hides a path.
    """

    writer: Writer
    root: str
    node: Node
    variant: Variant
    given: dict[str | int, str] = field(default_factory=dict)
    _known: dict[Path, str] = field(default_factory=dict)

    def fetch(self, target: str, paths: Sequence[Path]) -> None:
        """Assign the value of the first path that has one."""
        if not self.variant.reads_struct and not any(path[0] in self.given for path in paths):
            self.writer.put(f"{target} = {self._loose(paths)}")
            return
        self.writer.put(f"{target} = {self._reached(paths[0], 'dig' if len(paths) == 1 else 'peek')}")
        for path in paths[1:]:
            self.writer.put(f'if {target} is None or {target} == "":')
            self.writer.indent()
            saved = dict(self._known)
            self.writer.put(f"{target} = {self._reached(path, 'peek')}")
            self._known = saved  # what was reached inside the `if` is not there outside of it
            self.writer.dedent()

    def _reached(self, path: Path, digger: str) -> str:
        if path[0] in self.given:
            return self.given[path[0]]
        return self._typed(path, digger) if self.variant.reads_struct else f"{digger}({self.root}, {path!r})"

    def _loose(self, paths: Sequence[Path]) -> str:
        if len(paths) > 1:
            return f"dig_first({self.root}, {tuple(paths)!r})"
        return f"{self.root}.get({paths[0][0]!r})" if len(paths[0]) == 1 else f"dig({self.root}, {paths[0]!r})"

    def _typed(self, path: Path, digger: str) -> str:
        here, node = self.root, self.node
        for position, step in enumerate(path):
            if node.loose:
                return f"{digger}({here}, {path[position:]!r})"
            reached = self._step(here, node, step)
            node = node.keys[step] if isinstance(step, str) else node.items or Node()
            if position == len(path) - 1:
                return reached
            here = self._remember(path[: position + 1], reached)
        raise AssertionError("a path has at least one step")

    def _step(self, here: str, node: Node, step: str | int) -> str:
        if isinstance(step, int):
            return f"{here}[{step}] if {here} is not None and len({here}) > {step} else None"
        reached = f"{here}.{node.attribute(step)}"
        return reached if here == self.root else f"{reached} if {here} is not None else None"

    def _remember(self, path: Path, reached: str) -> str:
        if path not in self._known:
            self._known[path] = f"{self.root}_{len(self.writer.lines)}"
            self.writer.put(f"{self._known[path]} = {reached}")
        return self._known[path]


@dataclass(frozen=True, slots=True)
class Column:
    """One column as the generator sees it.

    `constant` or (`paths`, `rescue`): the text it always has, or where its value is and the function
    `rescue(value, problems[, line])` that gives any value its text, or notes why there is none.
    `shortcut` writes the common case; None when there is none worth it. `none` is what a null becomes, as source;
    None when a null is a problem.
    """

    constant: str | None
    paths: tuple[Path, ...] = ()
    rescue: Callable[..., Any] | None = None
    shortcut: Callable[[Writer, str, str, str], None] | None = None
    none: str | None = None

    def write(self, writer: Writer, reach: Reach, target: str, line: str) -> None:
        """The code that assigns the column's text to `target`; `line` names the line number, "" outside of lists."""
        reach.fetch("v", self.paths)
        # In a line a null is a mark; child rows are tuples in every variant, and say so by naming their line.
        marks = reach.variant is Variant.LINE and not line
        rescue = writer.name("rescue", marked(self.rescue) if marks and self.rescue else self.rescue)
        rescued = f"{target}, p = {rescue}(v, p{', ' + line if line else ''})"
        otherwise = "if"
        if self.none is not None:
            none = repr(NULL) if marks and self.none == "None" else self.none
            writer.put("if v is None:", f"    {target} = {none}")
            otherwise = "elif"
        if self.shortcut is not None and reach.variant is not Variant.CAREFUL:
            self.shortcut(writer, otherwise, target, rescued)
        elif self.none is not None:
            writer.put("else:", f"    {rescued}")
        else:
            writer.put(rescued)


@dataclass(frozen=True, slots=True)
class Giver:
    """One record template: the paths of each value it reads, the names of those it gives, and what makes them.

    `give(values, problems)` returns a tuple with a value for each name, and the problems with its own added.
    """

    reads: tuple[tuple[Path, ...], ...]
    names: tuple[str, ...]
    give: Callable[..., Any]

    def write(self, writer: Writer, reach: Reach) -> None:
        """The code that assigns the given values to variables of their own, which `reach` then finds by name."""
        values = [f"a{number}" for number in range(len(self.reads))]
        for value, paths in zip(values, self.reads, strict=True):
            reach.fetch(value, paths)
        first = len(reach.given)
        targets = [f"g{first + number}" for number in range(len(self.names))]
        give = writer.name("give", self.give)
        writer.put(f"({', '.join(targets)},), p = {give}(({', '.join(values)},), p)")
        reach.given |= dict(zip(self.names, targets, strict=True))


@dataclass(frozen=True, slots=True)
class Lines:
    """One child table: where its list is, its columns, which of them tells the lines apart, and the notes it takes."""

    paths: tuple[Path, ...]
    node: Node
    columns: tuple[Column, ...]
    key: int
    spread: Callable[..., Any]
    odd: Callable[..., Any]
    repeated: Callable[..., Any]


def _row(writer: Writer, columns: Sequence[Column], targets: Sequence[str]) -> str:
    cells = [repr(c.constant) if c.constant is not None else t for c, t in zip(columns, targets, strict=True)]
    return f"({', '.join(cells)}{',' if len(cells) == 1 else ''})"


def write_columns(writer: Writer, reach: Reach, columns: Sequence[Column], *, prefix: str, line: str = "") -> str:
    """The code of all columns; returns the source of the tuple they make."""
    targets = [f"{prefix}{position}" for position in range(len(columns))]
    for column, target in zip(columns, targets, strict=True):
        if column.constant is None:
            column.write(writer, reach, target, line)
    return _row(writer, columns, targets)


def write_lines(writer: Writer, reach: Reach, lines: Lines, *, target: str) -> None:
    """The code that collects the rows of one child table in the list `target`."""
    loose = reach.variant.reads_struct and reach.node.loose_on(lines.paths[0])
    variant = Variant.LOOSE if loose else reach.variant
    writer.put(f"{target} = []")
    reach.fetch("items", lines.paths)
    writer.put("if items is not None:")
    writer.indent()
    if variant.reads_struct:
        writer.put("if type(items) is not list:", "    items = [items]")
    else:
        writer.put(f"items, p = {writer.name('spread', lines.spread)}(items, p)")
    writer.put("n = -1", "for line in items:")
    writer.indent()
    writer.put("n += 1")
    if not variant.reads_struct:
        writer.put("if type(line) is not dict:", f"    p = {writer.name('odd', lines.odd)}(line, p, n)", "    continue")
    inner = Reach(writer, "line", lines.node, variant)
    row = write_columns(writer, inner, lines.columns, prefix="l", line="n")
    writer.put(f"{target}.append({row})")
    writer.dedent()
    writer.put(
        f"if p is None and len({target}) > 1 and len({{row[{lines.key}] for row in {target}}}) < len({target}):",
        f"    p = {writer.name('repeated', lines.repeated)}({target}, p)",
    )
    writer.dedent()


_OPENING = {
    Variant.TYPED: (
        "def typed(raw):",
        "    data = bytes(raw)",
        "    if BACKSLASH in data and NUL_ESCAPE in data:",
        "        return careful(data)",
        "    try:",
        "        r = decode(data)",
        "    except UNREADABLE:",
        "        return loose(data)",
    ),
    Variant.LINE: (
        "def line(raw):",
        "    data = bytes(raw)",
        "    if BACKSLASH in data and NUL_ESCAPE in data:",
        "        return as_line(careful(data))",
        "    try:",
        "        r = decode(data)",
        "    except UNREADABLE:",
        "        return as_line(loose(data))",
    ),
    Variant.LOOSE: ("def loose(data):", "    r = decode_object(data)"),
    Variant.CAREFUL: ("def careful(data):", "    r = decode_object(data)"),
}


def write_program(
    names: dict[str, Any],
    node: Node,
    columns: Sequence[Column],
    children: Sequence[Lines],
    *,
    givers: Sequence[Giver],
    variants: Sequence[Variant],
) -> str:
    """The source of the mapping functions, one for each variant; what they name is added to `names`."""
    writer = Writer(names)
    for variant in variants:
        writer.put(*_OPENING[variant])
        writer.indent()
        writer.put("p = None")
        reach = Reach(writer, "r", node, variant)
        for giver in givers:
            giver.write(writer, reach)
        row = write_columns(writer, reach, columns, prefix="o")
        for number, lines in enumerate(children):
            write_lines(writer, reach, lines, target=f"c{number}")
        collected = "".join(f"c{number}, " for number in range(len(children)))
        writer.put("if p is not None:", "    raise RecordRejected(p)")
        made = (
            f"join({row}), ({collected})" if variant is Variant.LINE else f"new(MappedRecord, ({row}, ({collected})))"
        )
        writer.put(f"return {made}", "")
        writer.dedent()
    return writer.source()


def write_identify(
    names: dict[str, Any], node: Node, key: Path, modified: Path | None, *, variants: Sequence[Variant]
) -> str:
    """The source of `identify`, typed and loose."""
    writer = Writer(names)
    for variant in variants:
        if variant is Variant.TYPED:
            writer.put("def identify(raw):", "    try:", "        r = decode_key(raw)", "    except UNREADABLE:")
            writer.put("        return identify_loose(raw)")
        else:
            writer.put("def identify_loose(raw):", "    r = decode_object(raw)")
        writer.indent()
        reach = Reach(writer, "r", node, variant)
        reach.fetch("k", (key,))
        if modified is None:
            writer.put("m = None")
        else:
            reach.fetch("m", (modified,))
        writer.put(
            "if type(k) is str and k and (m is None or type(m) is str and m and NUL not in m) and NUL not in k:",
            "    return k, m",
            "return identity(k, m)",
            "",
        )
        writer.dedent()
    return writer.source()
