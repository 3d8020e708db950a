"""How a mapping names its templates: of a record, with where and under which names its values are, and of a batch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationInfo
from pydantic_core import PydanticCustomError

from erpflow.mapping.forms import catalogue_of, path_text
from erpflow.mapping.functions import BatchFunction, RecordFunction
from erpflow.mapping.kinds import Level
from erpflow.mapping.paths import Path, parse_path
from erpflow.mapping.registry import digest_of
from erpflow.yaml_files.complaints import Problem, Where, excerpt
from erpflow.yaml_files.explain import allowed
from erpflow.yaml_files.part import GIVEN_PATTERN, NAMES

if TYPE_CHECKING:
    from erpflow.mapping.templates import BatchTemplate, RecordTemplate, Template

_FORM = "a template's name, or {name: {reads: {…}, gives: {…}}}"


@dataclass(frozen=True, slots=True)
class RecordUse:
    """A record template as a mapping names it.

    `reads` pairs each key the function gets with the paths (or the name given before) where its value is, `gives` each
    key it returns with the name of that value in the mapping. `outspoken` are the names the mapping wrote down itself.
    """

    template: Template
    function: RecordFunction
    reads: tuple[tuple[str, tuple[str, ...]], ...]
    gives: tuple[tuple[str, str], ...]
    outspoken: frozenset[str]

    @property
    def names(self) -> tuple[str, ...]:
        """What the values it gives are called."""
        return tuple(name for _, name in self.gives)

    @property
    def paths(self) -> tuple[tuple[Path, ...], ...]:
        """The parsed paths of each value it reads, in the order they are tried."""
        return tuple(tuple(map(parse_path, texts)) for _, texts in self.reads)

    @property
    def digest(self) -> str:
        """Changes when the file of its function does."""
        return digest_of(self.function)

    def canonical(self) -> list[Any]:
        """What decides over values, for the mapping's version: the name of the template does not."""
        reads = [[key, list(paths)] for key, paths in self.reads]
        return [self.function.name, reads, [list(pair) for pair in self.gives]]


@dataclass(frozen=True, slots=True)
class BatchUse:
    """A batch template as a mapping names it."""

    template: Template
    function: BatchFunction

    @property
    def digest(self) -> str:
        """Changes when the file of its function does."""
        return digest_of(self.function)

    def canonical(self) -> list[Any]:
        """What decides over values, for the mapping's version."""
        return [self.function.name]


def read_batch_use(value: Any, info: ValidationInfo) -> BatchUse:
    """From the file's form, a name. Raises pydantic's error."""
    if isinstance(value, BatchUse):
        return value
    template = catalogue_of(info).template(value, Level.BATCH)
    return BatchUse(template, cast("BatchTemplate", template.parts).function)


def given_names(uses: Sequence[RecordUse]) -> frozenset[str]:
    """The names that stand for a value after these templates."""
    return frozenset(name for use in uses for name in use.names)


def read_record_use(value: Any, info: ValidationInfo) -> RecordUse:
    """From the file's form. Raises pydantic's error, with every problem in it."""
    if isinstance(value, RecordUse):
        return value
    if isinstance(value, dict) and len(value) != 1:
        raise PydanticCustomError("expected", "{allowed}", {"allowed": _FORM})
    name, given = next(iter(value.items())) if isinstance(value, dict) else (value, None)
    template = catalogue_of(info).template(name, Level.RECORD)
    parts = cast("RecordTemplate", template.parts)
    options = {} if given is None else given
    problems = list(_odd(name, options, parts))
    if problems:
        raise PydanticCustomError("checks", "{problems}", {"problems": problems})
    reads, gives = options.get("reads", {}), options.get("gives", {})
    return RecordUse(
        template=template,
        function=parts.function,
        reads=tuple((key, _texts(reads.get(key, key))) for key in parts.reads),
        gives=tuple((key, gives.get(key, key)) for key in parts.gives),
        outspoken=frozenset(gives.values()),
    )


def _texts(paths: Any) -> tuple[str, ...]:
    return (paths,) if isinstance(paths, str) else tuple(paths)


def _odd(name: str, options: Any, parts: RecordTemplate) -> Iterator[Problem]:
    """What is wrong with the names a mapping gives a template."""
    known = {"reads": parts.reads, "gives": parts.gives}
    if not isinstance(options, dict):
        yield Problem((name,), f"found {excerpt(options)}, allowed {{reads: {{…}}, gives: {{…}}}}")
        return
    for word, renames in options.items():
        where: Where = (name, str(word))
        if word not in known:
            yield Problem(where, f'found the unknown key "{word}"{allowed(str(word), known)}')
        elif not isinstance(renames, dict):
            yield Problem(where, f"found {excerpt(renames)}, allowed a table of keys: {', '.join(known[word])}")
        else:
            for key, other in renames.items():
                if key not in known[word]:
                    yield Problem((*where, str(key)), f'found "{key}"{allowed(str(key), known[word])}')
                else:
                    yield from (_odd_paths if word == "reads" else _odd_name)((*where, key), other)


def _odd_paths(where: Where, paths: Any) -> Iterator[Problem]:
    if not paths or not isinstance(paths, str | list | tuple):
        yield Problem(where, f"found {excerpt(paths)}, allowed a path such as Owner.email, or several")
        return
    for text in _texts(paths):
        try:
            path_text(text)
        except PydanticCustomError as error:
            yield Problem(where, f"found {excerpt(text)}, allowed {(error.context or {}).get('allowed')}")


def _odd_name(where: Where, name: Any) -> Iterator[Problem]:
    if not isinstance(name, str) or re.match(GIVEN_PATTERN, name) is None:
        yield Problem(where, f"found {excerpt(name)}, allowed {NAMES[GIVEN_PATTERN]}")
