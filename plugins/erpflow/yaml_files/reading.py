"""A YAML file as plain data that remembers its lines, and refuses what YAML can hide.

Only the safe and the sensible part of YAML: no tags, no duplicate keys, no merge keys, bounded size, depth and
aliases. Words and dates stay what was written: `no`, `on` and `2024-01-31` are texts, `true` and `false` are the
booleans, `007` keeps its zeros, and a number with a point is a Decimal.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from erpflow.errors import ConfigError
from erpflow.yaml_files.complaints import Where, dotted

MAX_BYTES = 1_000_000
MAX_NODES = 50_000
MAX_DEPTH = 50

_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,99})")
_DECIMAL = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,99})\.[0-9]{1,99}|[-+]?[0-9](?:\.[0-9]{1,99})?[eE][-+]?[0-9]{1,3}")
_NULLS = ("", "~", "null", "Null", "NULL")
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


@dataclass(slots=True)
class YamlFile:
    """The data of a file, the line of everything in it, and what is wrong with its form."""

    path: Path
    data: Any = None
    lines: dict[Where, int] = field(default_factory=dict)
    problems: list[tuple[int, str, str]] = field(default_factory=list)
    _count: int = 0

    def line_of(self, where: Where) -> int:
        """The line of a key, or of the nearest thing around it."""
        while where and where not in self.lines:
            where = where[:-1]
        return self.lines.get(where, 1)

    def read(self, node: yaml.Node, where: Where = ()) -> Any:
        """The data of a node; problems are noted, not raised, so that one reading finds all."""
        self._count += 1
        self.lines.setdefault(where, node.start_mark.line + 1)
        if self._count > MAX_NODES:
            raise ConfigError(
                f"{self.path}: aliases and values come to more than {MAX_NODES}; is an alias repeating itself?"
            )
        if len(where) > MAX_DEPTH:
            raise ConfigError(f"{self.path}:{node.start_mark.line + 1}: nested deeper than {MAX_DEPTH} levels")
        if isinstance(node, yaml.MappingNode):
            return self._object(node, where)
        if isinstance(node, yaml.SequenceNode):
            self._check_tag(node, where, "tag:yaml.org,2002:seq")
            return [self.read(item, (*where, position)) for position, item in enumerate(node.value)]
        return self._scalar(node, where)

    def note(self, node: yaml.Node, where: Where, message: str) -> None:
        """Note that something at a node is wrong."""
        self.problems.append((node.start_mark.line + 1, dotted(where), message))

    def _check_tag(self, node: yaml.Node, where: Where, *usual: str) -> None:
        if node.tag not in usual:
            self.note(node, where, f'found the tag "{node.tag}", allowed no tags')

    def _object(self, node: yaml.MappingNode, where: Where) -> dict[str, Any]:
        self._check_tag(node, where, "tag:yaml.org,2002:map")
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self.note(key_node, where, "found a list or a table as a key, allowed a word")
                continue
            key = str(key_node.value)
            inside = (*where, key)
            if key in found:
                self.note(
                    key_node, inside, f'found "{key}" a second time, allowed once (first on line {self.lines[inside]})'
                )
                continue
            self.lines[inside] = key_node.start_mark.line + 1
            found[key] = self.read(value_node, inside)
        return found

    def _scalar(self, node: yaml.Node, where: Where) -> Any:
        text = str(node.value)
        if node.style in ("'", '"', "|", ">"):  # type: ignore[attr-defined]
            self._check_tag(node, where, "tag:yaml.org,2002:str")
            return text
        if node.tag.startswith("!") or node.tag.startswith("tag:yaml.org,2002:python"):
            self.note(node, where, f'found the tag "{node.tag}", allowed no tags')
        return plain(text)


def plain(text: str) -> Any:
    """What a word without quotes means."""
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return Decimal(text) if _DECIMAL.fullmatch(text) else text


def _decoded(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{path}: larger than {MAX_BYTES:,} bytes, which no such file needs to be")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ConfigError(
            f"{path}:{line}: not UTF-8 text (byte 0x{content[error.start]:02x}); save the file as UTF-8"
        ) from error


@contextmanager
def _explained(path: Path, text: str) -> Iterator[None]:
    """YAML's own complaints as sentences with file and line."""
    try:
        yield
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(
            f"{path}:{line}: found the character U+{ord(text[error.position]):04X}, not allowed in YAML"
        ) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        reason = " ".join(filter(None, (error.context, error.problem)))
        if "'\\t'" in reason:
            reason = "found a tab where YAML wants spaces; replace tabs by spaces"
        raise ConfigError(f"{path}:{line}: not valid YAML: {reason}") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: nested deeper than {MAX_DEPTH} levels") from error


def read_yaml(path: Path, *, page: str) -> YamlFile:
    """Read one YAML document; `page` of the documentation says what belongs into it.

    Raises ConfigError when it is no such thing; lesser faults are in `problems`.
    """
    text = _decoded(path)
    found = YamlFile(path)
    with _explained(path, text):
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is None:
            raise ConfigError(f"{path}:1: the file is empty; {page} shows what belongs into it")
        found.data = found.read(node)
    return found
